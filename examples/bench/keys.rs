//! Real links on a test network in this process: messages in, out, and both, and what their keys cost.
//!
//! The processor time includes the network's: it decrypts and encrypts as much as the gateway does.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tokio::task::JoinSet;
use wharf_actors::{Gateway, NewMessage, NewWebhook};
use wharf_domain::{ClientId, ConnectionStatus, EventKind, EventKinds, PhoneNumber};
use wharf_store::{KeyKind, Store, StoreOptions};
use wharf_testnet::{Network, NetworkConfig};
use wharf_whatsapp::{KeyStore, LiveConfig, LiveFactory};

use crate::{
    process::{Failure, Receiver, cpu_us},
    world::{settings, store_url},
};

/// How often a state that has no wake-up is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(2);
/// About what a session with an archived state takes.
const SESSION_BYTES: usize = 2048;
const SEALS: u32 = 20_000;

struct Bench {
    network: Network,
    gateway: Gateway,
    receiver: Receiver,
    client: ClientId,
    numbers: Vec<PhoneNumber>,
    /// What the webhooks ask for.
    events: EventKinds,
    /// What the receiver has to have in all.
    due: u64,
}

pub(crate) async fn run(
    count: usize,
    messages: u64,
    events: EventKinds,
    store: Option<&str>,
) -> Result<Value, Failure> {
    let (url, _directory) = store_url(store)?;
    let options = StoreOptions {
        url,
        readers: 0,
        exclusive: true,
    };
    let store = Store::open(&options).await?;
    let client = wharf::clients::add(&store, "keys").await?.id;
    let network = Network::start(NetworkConfig::default()).await?;
    let config = LiveConfig {
        server_url: Some(network.ws_url()),
        ..LiveConfig::default()
    };
    let mut sealing = None;
    let gateway = Gateway::start_with(settings(), store, |keys| {
        sealing = Some(keys.clone());
        Ok(Arc::new(LiveFactory::new(config, keys)?))
    })
    .await?;
    let mut bench = Bench {
        network,
        gateway,
        receiver: Receiver::at(None)?,
        client,
        numbers: Vec::new(),
        events,
        due: 0,
    };
    bench.link(count).await?;
    // The first messages make sessions and learn who is who.
    bench.texts(1, true, true).await?;
    let inward = bench.texts(messages, true, false).await?;
    let outward = bench.texts(messages, false, true).await?;
    let both = bench.texts(messages, true, true).await?;
    let reused = bench.network.stats().await.reused_keys;
    let seal = match (sealing, bench.numbers.first()) {
        (Some(keys), Some(number)) => seal_us(&keys, client, number)?,
        _ => Value::Null,
    };
    bench.gateway.stop().await;
    bench.network.stop().await;
    Ok(json!({
        "mode": "keys", "statuses": events.contains(EventKind::Status), "numbers": count, "messages_each_way": messages, "in": inward, "out": outward, "both": both,
        "reused_keys": reused, "seal": seal,
    }))
}

/// Microseconds to encrypt and to decrypt a session.
fn seal_us(keys: &KeyStore, client_id: ClientId, number: &PhoneNumber) -> Result<Value, Failure> {
    let of = wharf_domain::ConnectionKey::new(client_id, number.clone());
    let (cipher, session) = (keys.keeper.cipher(&of)?, vec![7; SESSION_BYTES]);
    let begin = Instant::now();
    let mut sealed = Vec::new();
    for _ in 0..SEALS {
        sealed = cipher.seal(KeyKind::Session, b"551199999999999:3@lid", &session)?;
    }
    let sealing = begin.elapsed();
    let begin = Instant::now();
    for _ in 0..SEALS {
        cipher.open(KeyKind::Session, b"551199999999999:3@lid", &sealed)?;
    }
    let each = |took: Duration| (took.as_secs_f64() * 1e8 / f64::from(SEALS)).round() / 100.0;
    Ok(json!({"bytes": SESSION_BYTES, "seal_us": each(sealing), "open_us": each(begin.elapsed())}))
}

fn contact(n: usize) -> String {
    format!("55119{n:08}")
}

impl Bench {
    async fn link(&mut self, count: usize) -> Result<(), Failure> {
        for n in 0..count {
            let number: PhoneNumber = format!("55118{n:08}").parse()?;
            self.network.create_account(number.as_str()).await?;
            self.network.create_account(&contact(n)).await?;
            let new = NewWebhook {
                events: self.events,
                ..NewWebhook::new(number.clone(), format!("http://{}/ok", self.receiver.address))
            };
            self.gateway.register_webhook(self.client, new).await?;
            self.gateway.create_connection(self.client, number.clone()).await?;
            let qr = loop {
                match self.gateway.qr(self.client, &number).await {
                    Ok(shown) => break shown.qr,
                    Err(_) => tokio::time::sleep(LOOK_EVERY).await,
                }
            };
            self.network.scan(number.as_str(), &qr).await?;
            self.numbers.push(number);
        }
        for number in &self.numbers {
            while self.gateway.connection(self.client, number).await?.session.status != ConnectionStatus::Connected {
                tokio::time::sleep(LOOK_EVERY).await;
            }
        }
        Ok(())
    }

    /// Each number gets so many texts of its contact, one after another as fast as the contact's phone writes, or sends so
    /// many, each when the one before is acknowledged.
    async fn texts(&mut self, each: u64, inward: bool, outward: bool) -> Result<Value, Failure> {
        let ways = u64::from(inward) + u64::from(outward);
        let total = each * ways * u64::try_from(self.numbers.len())?;
        let (before, cpu, begin) = (self.gateway.commits(), cpu_us()?, Instant::now());
        let mut running = JoinSet::new();
        for (n, number) in self.numbers.iter().cloned().enumerate() {
            if inward {
                let (network, number) = (self.network.clone(), number.clone());
                running.spawn(async move {
                    for text in 0..each {
                        network
                            .send_text(&contact(n), number.as_str(), &format!("in {text}"))
                            .await?;
                    }
                    Ok::<_, Failure>(())
                });
            }
            if outward {
                let (gateway, client) = (self.gateway.clone(), self.client);
                let to: PhoneNumber = contact(n).parse()?;
                running.spawn(async move {
                    for text in 0..each {
                        let text = format!("out {text}");
                        let message = NewMessage::text(to.clone().into(), text);
                        gateway.send(client, &number, message, None).await?;
                    }
                    Ok(())
                });
            }
        }
        while let Some(ended) = running.join_next().await {
            ended??;
        }
        let each_number = each * u64::try_from(self.numbers.len())?;
        if inward {
            self.due += each_number;
        }
        if outward && self.events.contains(EventKind::Status) {
            // The server has it, and the contact's phone says by itself that it has it, too.
            self.due += 2 * each_number;
        }
        self.receiver.wait_for(self.due).await?;
        let (seconds, now) = (begin.elapsed().as_secs_f64(), self.gateway.commits());
        let per = |count: u64| (count as f64 / total as f64 * 100.0).round() / 100.0;
        Ok(json!({
            "messages": total,
            "per_s": (total as f64 / seconds).round(),
            "per_s_and_number": (total as f64 / seconds / self.numbers.len() as f64 * 10.0).round() / 10.0,
            "commits_per_message": per(now.commits - before.commits),
            "writes_per_message": per(now.writes - before.writes),
            "cpu_us_per_message": per(cpu_us()? - cpu).round(),
        }))
    }
}
