//! What the desk remembers.

use std::sync::{
    Mutex,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

use tokio::sync::{Notify, watch};
use uuid::Uuid;
use wharf_actors::{GatewayError, IdempotencyKey, NewWebhook, Qr};
use wharf_domain::{ClientId, Connection, Event, EventId, PhoneNumber, Timestamp, Webhook, WebhookId};

use super::{
    super::NUMBER,
    samples::{connection, event, webhook},
};

/// The webhook, the event and everything else that has an id.
pub(in super::super) const ID: Uuid = Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0001);

/// The message that was sent.
pub(in super::super) const MESSAGE: &str = "3EB0";
/// The group.
pub(in super::super) const GROUP: &str = "120363000000000001@g.us";

/// The code of the group's invite link.
pub(in super::super) const CODE: &str = "AbCdEfGhIjKlMnOpQrStUv";

/// Bytes that a file may have, unless a test says so.
pub(in super::super) const FILE_MAX: u64 = 20 << 20;

pub(in super::super) struct FakeDesk {
    pub(in super::super) webhook: Mutex<Webhook>,
    pub(in super::super) connection: Mutex<Option<Connection>>,
    /// What was last asked for, to see what the facade made of a request.
    pub(in super::super) asked: Mutex<String>,
    pub(in super::super) qr: Mutex<Option<Qr>>,
    pub(in super::super) changes: Mutex<Option<watch::Sender<()>>>,
    pub(in super::super) ready: AtomicBool,
    /// Whether no token is known any more.
    pub(in super::super) rotated: AtomicBool,
    /// Tells of that.
    pub(in super::super) tokens: watch::Sender<()>,
    /// Whether its clients read as much at a time as they may.
    pub(in super::super) read_out: AtomicBool,
    /// Whether a test's attempt, and a deletion, end in time.
    pub(in super::super) prompt: AtomicBool,
    /// What links lead to.
    pub(in super::super) files: super::super::media::Files,
    /// Where files are received, and what the last one held.
    pub(in super::super) received: tempfile::TempDir,
    pub(in super::super) file: Mutex<Vec<u8>>,
    pub(in super::super) file_size: AtomicU64,
    /// Bytes that a file may have.
    pub(in super::super) most: AtomicU64,
    /// The hashes of bodies that came under a key.
    pub(in super::super) hashes: Mutex<Vec<[u8; 32]>>,
    /// Told when a slow message shall be sent.
    pub(in super::super) go_on: Notify,
}

impl Default for FakeDesk {
    fn default() -> Self {
        let new = NewWebhook::new(NUMBER.parse().unwrap(), "https://example.com/in");
        Self {
            webhook: Mutex::new(webhook(ClientId(1), new)),
            connection: Mutex::new(Some(connection(NUMBER.parse().unwrap()))),
            asked: Mutex::default(),
            qr: Mutex::new(Some(Qr {
                qr: super::super::pictures::CODE.into(),
                expires_at: Timestamp(20_000),
            })),
            changes: Mutex::default(),
            ready: AtomicBool::new(true),
            rotated: AtomicBool::new(false),
            tokens: watch::Sender::new(()),
            read_out: AtomicBool::new(false),
            prompt: AtomicBool::new(true),
            files: super::super::media::Files::default(),
            received: tempfile::tempdir().unwrap(),
            file: Mutex::default(),
            file_size: AtomicU64::new(0),
            most: AtomicU64::new(FILE_MAX),
            hashes: Mutex::default(),
            go_on: Notify::new(),
        }
    }
}

impl FakeDesk {
    /// What lists, pulls and statistics begin with.
    pub(super) fn turn(&self) -> Result<(), GatewayError> {
        match self.read_out.load(Ordering::Relaxed) {
            true => Err(GatewayError::Busy("32 of this client are being read".into())),
            false => Ok(()),
        }
    }

    pub(in super::super) fn asked(&self) -> String {
        self.asked.lock().unwrap().clone()
    }

    pub(super) fn note(&self, what: impl std::fmt::Debug) {
        *self.asked.lock().unwrap() = format!("{what:?}");
    }

    pub(super) fn own_webhook(&self, client: ClientId, id: WebhookId) -> Result<Webhook, GatewayError> {
        let found = (client == ClientId(1) && id.0 == ID).then(|| self.webhook.lock().unwrap().clone());
        found.ok_or(GatewayError::NotFound("webhook"))
    }

    pub(super) fn own_event(&self, client: ClientId, id: EventId) -> Result<Event, GatewayError> {
        let found = self.own_webhook(client, WebhookId(id.0)).map(|_| event());
        found.map_err(|_| GatewayError::NotFound("event"))
    }

    /// Notes the hash of a body that came under a key; answers the key.
    pub(super) fn came_under(&self, key: Option<IdempotencyKey>) -> Option<String> {
        let key = key?;
        self.hashes.lock().unwrap().push(key.body_hash);
        Some(key.key)
    }

    pub(super) fn own_connection(&self, client: ClientId, phone: &PhoneNumber) -> Result<Connection, GatewayError> {
        let found = self.connection.lock().unwrap().clone();
        found
            .filter(|row| row.client_id == client && row.phone_number == *phone)
            .ok_or(GatewayError::NotFound("connection"))
    }
}
