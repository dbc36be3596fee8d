//! A gateway as `wharf serve` builds it, with scripted links in the place of WhatsApp.

use std::{ops::Range, path::PathBuf, sync::Arc, time::Duration};

use tempfile::TempDir;
use wharf_actors::{Gateway, Limits, NewWebhook, Settings};
use wharf_domain::{
    ClientId, ConnectionKey, ConnectionStatus, EventStatus, IncomingMessage, MessageKind, PhoneNumber, Timestamp,
    WebhookId, address::TargetPolicy, outgoing::Pacing,
};
use wharf_store::{ByNumber, EventFilter, Store, StoreOptions};
use wharf_whatsapp::{ScriptedFactory, ScriptedHandle};

use crate::process::Failure;

/// How often it is looked at whether all is delivered, and for how long: far longer than a failing receiver's last attempt takes.
const SETTLED_EVERY: Duration = Duration::from_millis(10);
const SETTLES_WITHIN: Duration = Duration::from_secs(600);
/// What fills a message up, so that both contenders send bodies of about 550 bytes.
const FILLER: &str = match str::from_utf8(&[b'x'; 330]) {
    Ok(filler) => filler,
    Err(_) => "",
};

/// A running gateway.
pub(crate) struct World {
    pub(crate) gateway: Gateway,
    pub(crate) store: Store,
    client: ClientId,
    links: ScriptedFactory,
    /// Removed at the end, when the store was made for this run.
    _directory: Option<TempDir>,
}

/// One linked number with its webhook.
pub(crate) struct Line {
    client: ClientId,
    number: PhoneNumber,
    webhook: WebhookId,
    link: ScriptedHandle,
}

/// The store that was asked for, or a new one beside this program: under `target/`, so on a real disk.
pub(crate) fn store_url(asked: Option<&str>) -> Result<(String, Option<TempDir>), Failure> {
    if let Some(url) = asked {
        return Ok((url.to_owned(), None));
    }
    let beside = std::env::current_exe()?
        .parent()
        .map_or_else(PathBuf::new, PathBuf::from);
    let directory = tempfile::Builder::new().prefix("load-").tempdir_in(beside)?;
    Ok((
        format!("sqlite://{}", directory.path().join("wharf.db").display()),
        Some(directory),
    ))
}

impl World {
    pub(crate) async fn start(url: Option<&str>) -> Result<Self, Failure> {
        let (url, directory) = store_url(url)?;
        // As `wharf serve` opens it.
        let store = Store::open(&StoreOptions {
            url,
            readers: 0,
            exclusive: true,
        })
        .await?;
        let client = match store.clients().await?.first() {
            Some(client) => client.id,
            None => wharf::clients::add(&store, "load").await?.id,
        };
        let links = ScriptedFactory::new();
        let gateway = Gateway::start(settings(), store.clone(), Arc::new(links.clone())).await?;
        Ok(Self {
            gateway,
            store,
            client,
            links,
            _directory: directory,
        })
    }

    /// Registers webhooks for `count` new numbers, many at a time, without linking any.
    pub(crate) async fn webhooks(&self, count: usize, target: &str) -> Result<Vec<(PhoneNumber, WebhookId)>, Failure> {
        let known = self.store.webhooks(self.client, &ByNumber::ALL).await?;
        let mut all: Vec<_> = known
            .into_iter()
            .map(|known| (known.phone_number, known.id))
            .take(count)
            .collect();
        let rest: Vec<usize> = (all.len()..count).collect();
        for some in rest.chunks(256) {
            let registered = some.iter().map(|&n| self.register(self.client, n, target));
            all.extend(futures::future::try_join_all(registered).await?);
        }
        Ok(all)
    }

    async fn register(&self, client: ClientId, n: usize, target: &str) -> Result<(PhoneNumber, WebhookId), Failure> {
        let new = NewWebhook::new(format!("55118{n:08}").parse()?, target);
        let webhook = self.gateway.register_webhook(client, new).await?.webhook;
        Ok((webhook.phone_number, webhook.id))
    }

    /// `count` numbers, linked, each with a webhook.
    pub(crate) async fn lines(&self, count: usize, target: &str) -> Result<Vec<Line>, Failure> {
        let webhooks = self.webhooks(count, target).await?;
        self.link(self.client, webhooks).await
    }

    /// So many clients, the first one among them.
    pub(crate) async fn clients(&self, count: usize) -> Result<Vec<ClientId>, Failure> {
        let mut clients = vec![self.client];
        for n in 1..count {
            clients.push(wharf::clients::add(&self.store, &format!("load {n}")).await?.id);
        }
        Ok(clients)
    }

    /// Numbers of a client that has none of them yet, linked, each with a webhook.
    pub(crate) async fn more_lines(
        &self,
        client: ClientId,
        numbers: Range<usize>,
        target: &str,
    ) -> Result<Vec<Line>, Failure> {
        let mut webhooks = Vec::with_capacity(numbers.len());
        for n in numbers {
            webhooks.push(self.register(client, n, target).await?);
        }
        self.link(client, webhooks).await
    }

    async fn link(&self, client: ClientId, webhooks: Vec<(PhoneNumber, WebhookId)>) -> Result<Vec<Line>, Failure> {
        let mut lines = Vec::with_capacity(webhooks.len());
        for (number, webhook) in webhooks {
            let key = ConnectionKey::new(client, number.clone());
            // It is there already in a store that was used before.
            let _exists = self.gateway.create_connection(client, number.clone()).await;
            let link = self.links.wait_for_link(&key).await;
            let jid = format!("{number}:1@s.whatsapp.net");
            link.pair(&jid, number.as_str());
            link.connect(&jid, None);
            lines.push(Line {
                client,
                number,
                webhook,
                link,
            });
        }
        for line in &lines {
            while self.gateway.connection(client, &line.number).await?.session.status != ConnectionStatus::Connected {
                tokio::time::sleep(SETTLED_EVERY).await;
            }
        }
        Ok(lines)
    }

    /// Waits until the outcome of everything that was injected is committed. What was lost on the way is not waited for: the
    /// receiver's figures tell.
    ///
    /// # Errors
    /// When something stays pending.
    pub(crate) async fn settled(&self, lines: &[Line]) -> Result<(), Failure> {
        let settled = tokio::time::timeout(SETTLES_WITHIN, self.nothing_pends(lines)).await;
        settled.map_err(|_| "not everything was delivered in time")?
    }

    async fn nothing_pends(&self, lines: &[Line]) -> Result<(), Failure> {
        let pending = EventFilter {
            status: Some(EventStatus::Pending),
            limit: 1,
            ..EventFilter::default()
        };
        for line in lines {
            let waiting = async || self.store.events(line.client, line.webhook, &pending).await;
            while waiting().await?.is_some_and(|page| !page.events.is_empty()) {
                tokio::time::sleep(SETTLED_EVERY).await;
            }
        }
        Ok(())
    }
}

pub(crate) fn settings() -> Settings {
    Settings {
        targets: TargetPolicy {
            allow_http: true,
            allow_private_networks: true,
            ..TargetPolicy::default()
        },
        session_starts_per_second: 100_000,
        // What the machine can do is measured here, not what WhatsApp likes.
        sending: Pacing {
            per_second: 0,
            queue_max: u32::MAX,
            ..Pacing::default()
        },
        limits: Limits {
            changes_per_second: 0,
            ..Limits::default()
        },
        ..Settings::default()
    }
}

impl Line {
    /// A message comes in, or should have at `due_us` (Unix µs), where its clock begins; returns when WhatsApp may be told
    /// that we have it.
    pub(crate) async fn inject(&self, run: u64, n: u64, chats: u64, due_us: u64) -> Result<(), Failure> {
        let sender = format!("5511{:09}", n % chats);
        let message = IncomingMessage {
            chat: format!("{sender}@s.whatsapp.net"),
            sender: format!("{sender}@s.whatsapp.net"),
            message_id: format!("3EB0{run:012X}{n:08X}"),
            from: sender,
            timestamp: Timestamp::from_seconds(i64::try_from(due_us / 1_000_000)?),
            kind: MessageKind::Text,
            details: None,
            content: format!("@t={due_us}; {FILLER}"),
        };
        Ok(self.link.deliver(vec![message]).await?)
    }
}
