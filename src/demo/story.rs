//! What is shown: linking a number, contacts who write, and what becomes of what they wrote.

use std::{
    collections::{HashMap, HashSet},
    io::Write,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tokio::time::{MissedTickBehavior, interval, sleep};

use super::{
    DemoError, Interrupts, Options, Summary,
    receiver::REFUSES_EVERY,
    screen::{Screen, short},
    script::{self, ANSWER, CONTACTS, Line, NUMBER},
    stage::Stage,
    track::{Event, Seen, Track},
};

/// Between two looks at what happened.
const LOOK: Duration = Duration::from_millis(150);
/// Between two looks at a link that comes up.
const LINK_LOOK: Duration = Duration::from_millis(50);
/// How long a link may take.
const LINK_WITHIN: Duration = Duration::from_secs(60);
/// How long messages under way get at the end: more than one retry takes.
const REST_WITHIN: Duration = Duration::from_secs(15);
/// Events on a page of the API, and pages read at a look.
const PAGE: usize = 50;
const PAGES: usize = 10;
/// The message that the gateway's owner answers.
const ANSWERED: u64 = 3;

/// The demo under way.
pub(super) struct Story<'a, W> {
    stage: &'a mut Stage,
    screen: &'a mut Screen<W>,
    track: Track,
    webhook: String,
    /// Messages on each contact's phone that were shown.
    heard: HashMap<&'static str, usize>,
}

impl<'a, W: Write> Story<'a, W> {
    pub(super) fn new(stage: &'a mut Stage, screen: &'a mut Screen<W>) -> Self {
        Self {
            stage,
            screen,
            track: Track::default(),
            webhook: String::new(),
            heard: HashMap::new(),
        }
    }

    /// All of it.
    pub(super) async fn tell(mut self, options: &Options, interrupts: &mut Interrupts) -> Result<Summary, DemoError> {
        self.introduce()?;
        tokio::select! {
            linked = self.link() => linked?,
            () = interrupts.next() => return Ok(self.track.summary()),
        }
        self.invite(options)?;
        self.write(options, interrupts).await?;
        self.rest(interrupts).await?;
        Ok(self.track.summary())
    }

    fn introduce(&mut self) -> Result<(), DemoError> {
        let Self { stage, screen, .. } = self;
        screen.title("wharf demo: all of this is one process; nothing leaves this machine")?;
        screen.part(
            "network",
            &format!("a WhatsApp of its own at {}", stage.network.ws_url()),
        )?;
        screen.part("gateway", &format!("{}, with an empty database", stage.api.base))?;
        let url = &stage.receiver.url;
        screen.part(
            "receiver",
            &format!("{url}, now and then busy: 503 to one in {REFUSES_EVERY}"),
        )?;
        Ok(())
    }

    /// Registers the webhook and links the number, as a user would.
    async fn link(&mut self) -> Result<(), DemoError> {
        let api = &self.stage.api;
        let hook = json!({"phone_number": NUMBER, "webhook_url": self.stage.receiver.url});
        let hook = api.create("/api/webhooks/register", hook).await?;
        self.webhook = hook["id"].as_str().unwrap_or_default().to_owned();
        self.screen.part("webhook", "POST /api/webhooks/register → 201")?;
        let began = Instant::now();
        api.create("/api/whatsapp/connections", json!({"phone_number": NUMBER}))
            .await?;
        self.screen
            .part("link", "POST /api/whatsapp/connections → 201, GET …/qr:")?;
        let path = format!("/api/whatsapp/connections/{NUMBER}");
        self.wait_for(&path, "awaiting_scan").await?;
        let code = self.stage.api.get(&format!("{path}/qr")).await?;
        let code = code["qr"].as_str().unwrap_or_default();
        self.screen.qr(code)?;
        let device = self.stage.network.scan(NUMBER, code).await?;
        self.screen
            .part("scan", &format!("the phone +{NUMBER} scans it and links {device}"))?;
        self.wait_for(&path, "connected").await?;
        self.screen
            .part("connected", &format!("after {}", short(began.elapsed())))?;
        Ok(())
    }

    /// Waits until the connection has this status.
    async fn wait_for(&self, path: &str, status: &str) -> Result<(), DemoError> {
        let began = Instant::now();
        loop {
            let shown = self.stage.api.get(path).await?;
            if shown["status"] == status {
                return Ok(());
            }
            if began.elapsed() > LINK_WITHIN {
                let what = format!("{path} to be {status}; it is {shown}");
                return Err(DemoError::Waited(LINK_WITHIN.as_secs(), what));
            }
            sleep(LINK_LOOK).await;
        }
    }

    /// What the one who watches can try.
    fn invite(&mut self, options: &Options) -> Result<(), DemoError> {
        let (base, contact) = (&self.stage.api.base, &CONTACTS[0]);
        let body = json!({"to": contact.phone, "type": "text", "text": "Hello from curl"});
        let lines = [
            format!("export T='authorization: Bearer {}'", self.stage.api.token),
            format!("curl -H \"$T\" {base}/api/webhooks/list"),
            format!("curl -H \"$T\" '{base}/api/webhooks/{}/events?limit=3'", self.webhook),
            format!(
                "curl -H \"$T\" -H 'content-type: application/json' -d '{body}' \\\n       \
                 {base}/api/whatsapp/connections/{NUMBER}/messages"
            ),
        ];
        self.screen.title("Try in another terminal:")?;
        for line in lines {
            self.screen.line(&format!("  {line}"))?;
        }
        let until = match options.run_for {
            Some(time) => format!("for {} s; Ctrl-C ends it sooner", time.as_secs()),
            None => "until Ctrl-C".to_owned(),
        };
        self.screen
            .title(&format!("{} contacts write to +{NUMBER}, {until}:", CONTACTS.len()))?;
        Ok(())
    }

    /// Lets contacts write until it is time.
    async fn write(&mut self, options: &Options, interrupts: &mut Interrupts) -> Result<(), DemoError> {
        let mut beat = interval(Duration::from_secs(1) / options.per_second.max(1));
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut look = interval(LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let end = async {
            match options.run_for {
                Some(time) => sleep(time).await,
                None => std::future::pending().await,
            }
        };
        let mut end = std::pin::pin!(end);
        let mut lines = script::lines();
        loop {
            tokio::select! {
                () = &mut end => return Ok(()),
                () = interrupts.next() => return Ok(()),
                _ = beat.tick() => {
                    if let Some(line) = lines.next() {
                        self.say(line).await?;
                    }
                }
                _ = look.tick() => self.look().await?,
            }
        }
    }

    /// Waits for the messages under way.
    async fn rest(&mut self, interrupts: &mut Interrupts) -> Result<(), DemoError> {
        self.stage.receiver.calm_down();
        self.look().await?;
        let open = self.track.open().count();
        self.screen.title(&format!(
            "Nobody writes any more, and the receiver is not busy any more; {open} on their way:"
        ))?;
        let began = Instant::now();
        while self.track.open().next().is_some() && began.elapsed() < REST_WITHIN {
            tokio::select! {
                () = sleep(LOOK) => self.look().await?,
                () = interrupts.next() => break,
            }
        }
        self.screen.line("")?;
        Ok(())
    }

    async fn say(&mut self, line: Line) -> Result<(), DemoError> {
        let at = Instant::now();
        let id = self
            .stage
            .network
            .send_text(line.contact.phone, NUMBER, line.text)
            .await?;
        let number = self.track.written(id, line.contact.phone, at);
        self.screen.written(number, line)?;
        if number == ANSWERED {
            self.answer(line).await?;
        }
        Ok(())
    }

    /// Sends a text through the gateway.
    async fn answer(&mut self, line: Line) -> Result<(), DemoError> {
        let path = format!("/api/whatsapp/connections/{NUMBER}/messages");
        let body = json!({"to": line.contact.phone, "type": "text", "text": ANSWER});
        self.stage.api.create(&path, body).await?;
        let text = format!("POST …/messages → 201; to {}: {ANSWER}", line.contact.name);
        self.screen.outward("answer", &text)?;
        Ok(())
    }

    /// Looks at everything that can be seen, and shows what is new.
    async fn look(&mut self) -> Result<(), DemoError> {
        // In this order: what the receiver has got was stored before, so its event is there.
        let attempts = self.stage.receiver.take_log();
        let events = self.events().await?;
        let seen = Seen {
            attempts,
            events,
            receipts: self.receipts().await?,
        };
        for step in self.track.advance(&seen, wharf_actors::clock::now()) {
            self.screen.step(&step)?;
        }
        self.phones().await
    }

    /// Messages that their sender's phone has a receipt for.
    async fn receipts(&self) -> Result<HashSet<String>, DemoError> {
        let mut found = HashSet::new();
        for phone in self.track.uncommitted() {
            let receipts = self.stage.network.receipts(phone).await?;
            let delivered = receipts
                .into_iter()
                .filter(|it| it.kind == "delivery" || it.kind == "inactive");
            found.extend(delivered.map(|it| it.id));
        }
        Ok(found)
    }

    /// Events of the messages under way, from the newest page back to the oldest of them.
    async fn events(&self) -> Result<Vec<Event>, DemoError> {
        let mut missing: HashSet<&str> = self.track.open().collect();
        let mut found = Vec::new();
        let mut cursor = String::new();
        for _ in 0..PAGES {
            if missing.is_empty() {
                break;
            }
            let path = format!("/api/webhooks/{}/events?limit={PAGE}{cursor}", self.webhook);
            let mut page = self.stage.api.get(&path).await?;
            let events: Vec<Event> = serde_json::from_value(page["data"].take()).unwrap_or_default();
            let past = events.iter().any(|event| self.track.is_past(&event.message_id));
            for event in events {
                if missing.remove(event.message_id.as_str()) {
                    found.push(event);
                }
            }
            match &page["next_cursor"] {
                Value::String(next) if !past => cursor = format!("&cursor={next}"),
                _ => break,
            }
        }
        Ok(found)
    }

    /// What contacts' phones got from the gateway, decrypted by them.
    async fn phones(&mut self) -> Result<(), DemoError> {
        for contact in &CONTACTS {
            let messages = self.stage.network.messages(contact.phone).await?;
            let heard = self.heard.entry(contact.phone).or_default();
            for message in messages.iter().skip(*heard) {
                let text = format!("on {}'s phone: {}", contact.name, message.text);
                self.screen.outward("decrypted", &text)?;
            }
            *heard = messages.len();
        }
        Ok(())
    }
}
