//! What two clients that burn processor time do to a third one, with bulkheads and without, in one run.
//!
//! Everything but the link is what `wharf serve` runs. A neighbour's link holds its session's thread for `burn_ms` at a
//! time and lets others run in between, for ever: more than the cryptography of any flood does. The third client's link
//! is a task on its session's runtime, as the real one's are; a message arrives when it is handed to that task, by a thread
//! that nobody holds up, at an even rate whatever becomes of the messages before.

use std::{
    collections::HashMap,
    hint::spin_loop,
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use serde_json::{Value, json};
use tokio::{runtime::Handle, sync::mpsc, task::JoinHandle};
use wharf_actors::{Gateway, NewWebhook, Settings};
use wharf_domain::{
    ClientId, ConnectionKey, ConnectionStatus, IncomingMessage, MessageKind, Outgoing, PhoneNumber, Timestamp,
    action::{Action, Done},
};
use wharf_store::{Store, StoreOptions};
use wharf_whatsapp::{
    CloseReason, Inbox, KeysError, Link, LinkError, LinkEvent, LinkEvents, LinkFactory, LinkOptions, PairCode,
    PairCodeError, SendError, Sent,
};

use crate::{
    Neighbours, directory,
    process::{Failure, Receiver, Stats},
    receiver::now_us,
    rounded, say,
    world::settings,
};

/// Sessions' threads, so many that each of the three clients has its own.
const ARBITERS: usize = 3;
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// Messages before the measurement: connections and caches.
const WARM: u64 = 50;

/// Both figures.
pub(crate) async fn both(of: &Neighbours) -> Result<Value, Failure> {
    let alone = measure(of, ARBITERS, false).await?;
    let on = measure(of, ARBITERS, true).await?;
    let off = measure(of, 0, true).await?;
    let p99 = |stats: &Stats| stats.p99_us;
    say(format!(
        "p99 from arrival to webhook: {} µs alone, {} µs among neighbours with bulkheads, {} µs without",
        p99(&alone),
        p99(&on),
        p99(&off)
    ));
    Ok(json!({
        "burn_ms": of.burn_ms,
        "rate": of.rate,
        "seconds": of.neighbours_s,
        "alone": shown(&alone),
        "bulkheads_on": shown(&on),
        "bulkheads_off": shown(&off),
    }))
}

fn shown(stats: &Stats) -> Value {
    let ms = |us: u64| json!((us as f64 / 10.0).round() / 100.0);
    json!({"p50_ms": ms(stats.p50_us), "p99_ms": ms(stats.p99_us), "max_ms": rounded(stats.max_us as f64 / 1000.0)})
}

async fn measure(of: &Neighbours, bulkheads: usize, burning: bool) -> Result<Stats, Failure> {
    let directory = directory()?;
    let receiver = Receiver::at(None)?;
    let store = Store::open(&StoreOptions {
        url: format!("sqlite://{}", directory.path().join("wharf.db").display()),
        readers: 0,
        exclusive: true,
    })
    .await?;
    let mut clients = Vec::new();
    for name in ["measured", "neighbour", "other neighbour"] {
        clients.push(wharf::clients::add(&store, name).await?.id);
    }
    let links = Arc::new(Links {
        measured: clients[0],
        burn: burning.then(|| Duration::from_millis(of.burn_ms)),
        arrivals: Mutex::default(),
    });
    let settings = Settings {
        bulkheads,
        ..settings()
    };
    let gateway = Gateway::start(settings, store, Arc::<Links>::clone(&links)).await?;
    let number: PhoneNumber = "5511888888888".parse()?;
    let webhook = NewWebhook::new(number.clone(), format!("http://{}/ok", receiver.address));
    gateway.register_webhook(clients[0], webhook).await?;
    for &client in &clients {
        gateway.create_connection(client, number.clone()).await?;
        while gateway.connection(client, &number).await?.session.status != ConnectionStatus::Connected {
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
    let arrivals = links.arrivals_of(clients[0]).ok_or("the measured link did not open")?;
    let total = of.rate.max(1) * of.neighbours_s;
    arrive(&arrivals, of.rate, 0..WARM).await?;
    receiver.wait_for(WARM).await?;
    receiver.get("/reset").await?;
    arrive(&arrivals, of.rate, WARM..WARM + total).await?;
    receiver.wait_for(total).await?;
    let stats = receiver.stats().await?;
    gateway.stop().await;
    Ok(stats)
}

type Arrivals = mpsc::UnboundedSender<IncomingMessage>;

/// Hands messages over at an even rate, from a thread that shares nothing with the gateway but the processor.
async fn arrive(arrivals: &Arrivals, rate: u64, which: std::ops::Range<u64>) -> Result<(), Failure> {
    let (arrivals, (tell, told)) = (arrivals.clone(), tokio::sync::oneshot::channel());
    thread::spawn(move || {
        let pause = Duration::from_secs(1) / u32::try_from(rate.max(1)).unwrap_or(u32::MAX);
        let mut next = Instant::now();
        for n in which {
            // Not tokio's: its clock counts in milliseconds, and its thread would be one more to share.
            #[expect(clippy::disallowed_methods, reason = "a thread of its own")]
            thread::sleep(next.saturating_duration_since(Instant::now()));
            next += pause;
            let _the_link_is_gone = arrivals.send(message(n));
        }
        let _nobody_waits = tell.send(());
    });
    Ok(told.await?)
}

/// Each of a chat of its own: none waits for the one before.
fn message(n: u64) -> IncomingMessage {
    let sender = format!("5511{n:09}");
    let now = now_us();
    IncomingMessage {
        chat: format!("{sender}@s.whatsapp.net"),
        sender: format!("{sender}@s.whatsapp.net"),
        message_id: format!("3EB0{n:016X}"),
        from: sender,
        timestamp: Timestamp::from_seconds(i64::try_from(now / 1_000_000).unwrap_or_default()),
        kind: MessageKind::Text,
        details: None,
        content: format!("@t={now};"),
    }
}

struct Links {
    measured: ClientId,
    /// How long neighbours hold their thread at a time; `None` leaves them quiet.
    burn: Option<Duration>,
    arrivals: Mutex<HashMap<ClientId, Arrivals>>,
}

impl Links {
    fn arrivals_of(&self, client: ClientId) -> Option<Arrivals> {
        let arrivals = self.arrivals.lock().unwrap_or_else(PoisonError::into_inner);
        arrivals.get(&client).cloned()
    }
}

#[async_trait]
impl LinkFactory for Links {
    async fn open(
        &self,
        key: &ConnectionKey,
        _options: LinkOptions,
        events: LinkEvents,
        inbox: Arc<dyn Inbox>,
    ) -> Result<Arc<dyn Link>, LinkError> {
        let jid = format!("{}:1@s.whatsapp.net", key.phone_number);
        let runtime = Handle::current();
        let task = if key.client_id == self.measured {
            let (arrive, mut arrivals) = mpsc::unbounded_channel::<IncomingMessage>();
            let mut links = self.arrivals.lock().unwrap_or_else(PoisonError::into_inner);
            links.insert(key.client_id, arrive);
            runtime.spawn(async move {
                while let Some(message) = arrivals.recv().await {
                    // Lost or late shows at the receiver.
                    let _refused = inbox.commit(vec![message.into()]).await;
                }
            })
        } else {
            let burn = self.burn;
            runtime.spawn(async move {
                while let Some(burn) = burn {
                    let begun = Instant::now();
                    while begun.elapsed() < burn {
                        spin_loop();
                    }
                    tokio::task::yield_now().await;
                }
            })
        };
        events.send(LinkEvent::Connected { jid, push_name: None });
        Ok(Arc::new(OpenLink { task, events }))
    }

    async fn forget(&self, _key: &ConnectionKey) -> Result<(), KeysError> {
        Ok(())
    }
}

struct OpenLink {
    task: JoinHandle<()>,
    events: LinkEvents,
}

#[async_trait]
impl Link for OpenLink {
    async fn send(&self, _id: &str, _message: &Outgoing, _deadline: Duration) -> Result<Sent, SendError> {
        Err(SendError::NotConnected)
    }

    async fn act(&self, _action: &Action, _deadline: Duration) -> Result<Done, SendError> {
        Err(SendError::NotConnected)
    }

    async fn pair_code(&self, _number: &PhoneNumber, _deadline: Duration) -> Result<PairCode, PairCodeError> {
        Err(PairCodeError::NotPairing)
    }

    fn silence(&self) -> Option<Duration> {
        Some(Duration::ZERO)
    }

    async fn close(&self) {
        self.task.abort();
        self.events.send(LinkEvent::Closed(CloseReason::Requested));
    }

    async fn log_out(&self) -> Result<(), String> {
        self.close().await;
        Ok(())
    }
}
