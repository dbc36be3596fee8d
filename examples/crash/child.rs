//! The gateway that is killed: as `wharf serve` builds it, with scripted links in the place of WhatsApp.

use std::{
    io::{BufRead, Write, stdin, stdout},
    sync::Arc,
    time::Duration,
};

use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use wharf_actors::{Gateway, NewWebhook, Settings};
use wharf_domain::{
    ClientId, ConnectionKey, ConnectionStatus, EventStatus, IncomingMessage, MessageKind, PhoneNumber, Timestamp,
    WebhookId, address::TargetPolicy,
};
use wharf_store::{ByNumber, EventFilter, Store, StoreOptions};
use wharf_whatsapp::{ScriptedFactory, ScriptedHandle};

use super::{Failure, Order, Word};

/// How often a state that has no wake-up is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(2);
/// Pending events of one webhook that one `Hurry` looks at.
const HURRY: u32 = 1000;

/// What the child is started with.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Setting {
    /// `sqlite://PATH`.
    pub(crate) store: String,
    /// `http://HOST:PORT` of the receiver.
    pub(crate) receiver: String,
    /// Numbers, each with a webhook.
    pub(crate) webhooks: usize,
}

/// The linked number of a line.
pub(crate) fn phone_number(line: usize) -> String {
    format!("55118{line:08}")
}

struct Line {
    webhook: WebhookId,
    link: ScriptedHandle,
}

struct Child {
    gateway: Gateway,
    store: Store,
    client: ClientId,
    lines: Vec<Line>,
}

/// Runs until it is killed, or its standard input ends: then it stops as at SIGTERM.
pub(crate) async fn run(setting: Setting) -> Result<(), Failure> {
    let mut orders = read_orders();
    let mut child = Child::start(&setting).await?;
    say(&Word::Ready);
    while let Some(order) = orders.recv().await {
        child.obey(order).await?;
    }
    child.gateway.stop().await;
    Ok(())
}

/// tokio's own standard input would need a thread as well.
fn read_orders() -> mpsc::UnboundedReceiver<Order> {
    let (sender, orders) = mpsc::unbounded_channel();
    std::thread::spawn(move || {
        for line in stdin().lock().lines().map_while(Result::ok) {
            let Ok(order) = serde_json::from_str(&line) else {
                continue;
            };
            if sender.send(order).is_err() {
                return;
            }
        }
    });
    orders
}

/// One write, so that a kill cuts no line in two; on a line of its own, whatever a test runner has printed.
fn say(word: &Word) {
    if let Ok(json) = serde_json::to_string(word) {
        let _parent_gone = stdout().lock().write_all(format!("\n@{json}\n").as_bytes());
    }
}

impl Child {
    async fn start(setting: &Setting) -> Result<Self, Failure> {
        let store = Store::open(&StoreOptions {
            url: setting.store.clone(),
            readers: 2,
            exclusive: true,
        })
        .await?;
        let client = match store.clients().await?.first() {
            Some(client) => client.id,
            None => wharf::clients::add(&store, "crash").await?.id,
        };
        let links = ScriptedFactory::new();
        let gateway = Gateway::start(settings(), store.clone(), Arc::new(links.clone())).await?;
        let mut child = Self {
            gateway,
            store,
            client,
            lines: Vec::new(),
        };
        for line in 0..setting.webhooks {
            let line = child.line(line, &setting.receiver, &links).await?;
            child.lines.push(line);
        }
        Ok(child)
    }

    /// Links a number and sees that it has its webhook: the one before may have been killed at any point of this.
    async fn line(&self, line: usize, receiver: &str, links: &ScriptedFactory) -> Result<Line, Failure> {
        let number: PhoneNumber = phone_number(line).parse()?;
        let known = self.store.webhooks(self.client, &ByNumber::ALL).await?;
        let webhook = match known.into_iter().find(|webhook| webhook.phone_number == number) {
            Some(webhook) => webhook.id,
            None => {
                let new = NewWebhook {
                    max_retries: if line.is_multiple_of(2) { 2 } else { 4 },
                    ..NewWebhook::new(number.clone(), format!("{receiver}/{line}"))
                };
                self.gateway.register_webhook(self.client, new).await?.webhook.id
            }
        };
        let key = ConnectionKey::new(self.client, number.clone());
        // It is there already after the first time.
        let _exists = self.gateway.create_connection(self.client, number.clone()).await;
        let link = links.wait_for_link(&key).await;
        let jid = format!("{number}:1@s.whatsapp.net");
        link.pair(&jid, number.as_str());
        link.connect(&jid, None);
        while self.gateway.connection(self.client, &number).await?.session.status != ConnectionStatus::Connected {
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Ok(Line { webhook, link })
    }

    async fn obey(&mut self, order: Order) -> Result<(), Failure> {
        match order {
            Order::Offer {
                number,
                line,
                from,
                message_id,
            } => self.offer(number, line, from, message_id)?,
            Order::Hurry => say(&Word::Pending(self.hurry().await?)),
            Order::Count => {
                let mut counters = Vec::with_capacity(self.lines.len());
                for line in &self.lines {
                    let webhook = self.gateway.webhook(self.client, line.webhook).await?;
                    counters.push((webhook.failure_count, format!("{:?}", webhook.status)));
                }
                say(&Word::Counters(counters));
            }
        }
        Ok(())
    }

    fn offer(&self, number: usize, line: usize, from: String, message_id: String) -> Result<(), Failure> {
        let link = self.lines.get(line).ok_or("there is no such line")?.link.clone();
        let message = IncomingMessage {
            chat: format!("{from}@s.whatsapp.net"),
            sender: format!("{from}@s.whatsapp.net"),
            content: format!("message {number}"),
            message_id,
            from,
            // WhatsApp's time, which is the same at each offer.
            timestamp: Timestamp::from_seconds(1_762_352_580),
            kind: MessageKind::Text,
            details: None,
        };
        tokio::spawn(async move {
            say(&match link.deliver(vec![message]).await {
                Ok(()) => Word::Acknowledged(number),
                Err(refused) => Word::Refused(number, refused.to_string()),
            });
        });
        Ok(())
    }

    async fn hurry(&self) -> Result<usize, Failure> {
        let filter = EventFilter {
            status: Some(EventStatus::Pending),
            limit: HURRY,
            cursor: None,
            ..EventFilter::default()
        };
        let mut pending = 0;
        for line in &self.lines {
            let page = self.store.events(self.client, line.webhook, &filter).await?;
            let events = page.map(|page| page.events).unwrap_or_default();
            pending += events.len();
            for event in events.into_iter().filter(|event| event.next_retry_at.is_some()) {
                // It may have been delivered since: that is what was wanted.
                let _conflict = self.gateway.retry_event(self.client, event.id, false).await;
            }
        }
        Ok(pending)
    }
}

fn settings() -> Settings {
    Settings {
        targets: TargetPolicy {
            allow_http: true,
            allow_private_networks: true,
            ..TargetPolicy::default()
        },
        session_starts_per_second: 100_000,
        ..Settings::default()
    }
}
