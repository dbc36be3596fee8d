//! Wharf's tables: the only crate that knows sqlx.
#![allow(clippy::unused_async)]

mod error;
mod types;

use bytes::Bytes;
use wharf_domain::{webhook::WebhookPatch, *};

pub use error::StoreError;
pub use types::*;

fn todo() -> StoreError {
    StoreError::Unavailable("the store is not built yet".into())
}

/// A handle.
#[derive(Debug, Clone)]
pub struct Store;

impl Store {
    /// Skeleton.
    #[allow(clippy::too_many_arguments)]
    pub async fn open(options: &StoreOptions) -> Result<Store, StoreError> {
        let _ = (options,);
        Err(todo())
    }

    /// Skeleton.
    #[allow(clippy::too_many_arguments)]
    pub async fn writer(&self) -> Result<Writer, StoreError> {
        Err(todo())
    }

    /// Skeleton.
    #[allow(clippy::too_many_arguments)]
    pub async fn check_writable(&self) -> Result<(), StoreError> {
        Err(todo())
    }

    /// Skeleton.
    #[allow(clippy::too_many_arguments)]
    pub async fn client_of_token(&self, token: &TokenHash) -> Result<Option<ClientId>, StoreError> {
        let _ = (token,);
        Err(todo())
    }

    /// Skeleton.
    #[allow(clippy::too_many_arguments)]
    pub async fn clients(&self) -> Result<Vec<Client>, StoreError> {
        Err(todo())
    }

    /// Skeleton.
    #[allow(clippy::too_many_arguments)]
    pub async fn removed_clients(&self) -> Result<Vec<ClientId>, StoreError> {
        Err(todo())
    }

    /// Skeleton.
    #[allow(clippy::too_many_arguments)]
    pub async fn webhooks(&self, client: ClientId) -> Result<Vec<Webhook>, StoreError> {
        let _ = (client,);
        Err(todo())
    }

    /// Skeleton.
    #[allow(clippy::too_many_arguments)]
    pub async fn webhook(&self, client: ClientId, id: WebhookId) -> Result<Option<Webhook>, StoreError> {
        let _ = (client, id);
        Err(todo())
    }

    /// Skeleton.
    #[allow(clippy::too_many_arguments)]
    pub async fn connections(&self, client: ClientId) -> Result<Vec<Connection>, StoreError> {
        let _ = (client,);
        Err(todo())
    }

    /// Skeleton.
    #[allow(clippy::too_many_arguments)]
    pub async fn connection(&self, key: &ConnectionKey) -> Result<Option<Connection>, StoreError> {
        let _ = (key,);
        Err(todo())
    }

    /// Skeleton.
    #[allow(clippy::too_many_arguments)]
    pub async fn event(&self, client: ClientId, id: EventId) -> Result<Option<Event>, StoreError> {
        let _ = (client, id);
        Err(todo())
    }

    /// Skeleton.
    #[allow(clippy::too_many_arguments)]
    pub async fn events(
        &self,
        client: ClientId,
        webhook: WebhookId,
        filter: &EventFilter,
    ) -> Result<EventPage, StoreError> {
        let _ = (client, webhook, filter);
        Err(todo())
    }

    /// Skeleton.
    #[allow(clippy::too_many_arguments)]
    pub async fn payload(&self, id: EventId) -> Result<Option<Bytes>, StoreError> {
        let _ = (id,);
        Err(todo())
    }

    /// Skeleton.
    #[allow(clippy::too_many_arguments)]
    pub async fn due_chats(&self, webhook: WebhookId, query: &DueQuery) -> Result<DuePage, StoreError> {
        let _ = (webhook, query);
        Err(todo())
    }
}

/// The one writing connection.
#[derive(Debug)]
pub struct Writer;

impl Writer {
    /// Begins a transaction.
    pub async fn begin(&mut self) -> Result<Group<'_>, StoreError> {
        Err(todo())
    }
}

/// One transaction; dropping it rolls it back.
#[derive(Debug)]
pub struct Group<'a>(std::marker::PhantomData<&'a mut Writer>);

impl Group<'_> {
    /// Skeleton.
    #[allow(clippy::too_many_arguments)]
    pub async fn add_client(&mut self, name: &str, token: &TokenHash, now: Timestamp) -> Result<Client, StoreError> {
        let _ = (name, token, now);
        Err(todo())
    }

    /// Skeleton.
    #[allow(clippy::too_many_arguments)]
    pub async fn rotate_client(
        &mut self,
        id: ClientId,
        token: &TokenHash,
        now: Timestamp,
    ) -> Result<Option<Client>, StoreError> {
        let _ = (id, token, now);
        Err(todo())
    }

    /// Skeleton.
    #[allow(clippy::too_many_arguments)]
    pub async fn remove_client(&mut self, id: ClientId, now: Timestamp) -> Result<bool, StoreError> {
        let _ = (id, now);
        Err(todo())
    }

    /// Skeleton.
    #[allow(clippy::too_many_arguments)]
    pub async fn purge_client(&mut self, id: ClientId) -> Result<bool, StoreError> {
        let _ = (id,);
        Err(todo())
    }

    /// Skeleton.
    #[allow(clippy::too_many_arguments)]
    pub async fn register_webhook(
        &mut self,
        id: WebhookId,
        key: &ConnectionKey,
        url: &str,
        max_retries: u32,
        is_active: bool,
        metadata: Option<&serde_json::Map<String, serde_json::Value>>,
        now: Timestamp,
    ) -> Result<Option<Webhook>, StoreError> {
        let _ = (id, key, url, max_retries, is_active, metadata, now);
        Err(todo())
    }

    /// Skeleton.
    #[allow(clippy::too_many_arguments)]
    pub async fn update_webhook(
        &mut self,
        client: ClientId,
        id: WebhookId,
        patch: &WebhookPatch,
        now: Timestamp,
    ) -> Result<Option<Webhook>, StoreError> {
        let _ = (client, id, patch, now);
        Err(todo())
    }

    /// Skeleton.
    #[allow(clippy::too_many_arguments)]
    pub async fn delete_webhook(
        &mut self,
        client: ClientId,
        id: WebhookId,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let _ = (client, id, now);
        Err(todo())
    }

    /// Skeleton.
    #[allow(clippy::too_many_arguments)]
    pub async fn create_connection(
        &mut self,
        key: &ConnectionKey,
        now: Timestamp,
    ) -> Result<Option<Connection>, StoreError> {
        let _ = (key, now);
        Err(todo())
    }

    /// Skeleton.
    #[allow(clippy::too_many_arguments)]
    pub async fn record_connection(&mut self, change: &ConnectionRecord) -> Result<bool, StoreError> {
        let _ = (change,);
        Err(todo())
    }

    /// Skeleton.
    #[allow(clippy::too_many_arguments)]
    pub async fn delete_connection(&mut self, key: &ConnectionKey) -> Result<bool, StoreError> {
        let _ = (key,);
        Err(todo())
    }

    /// Skeleton.
    #[allow(clippy::too_many_arguments)]
    pub async fn record_inbound(&mut self, messages: &[NewEvent]) -> Result<Vec<RecordedEvent>, StoreError> {
        let _ = (messages,);
        Err(todo())
    }

    /// Skeleton.
    #[allow(clippy::too_many_arguments)]
    pub async fn record_outcomes(&mut self, outcomes: &[AttemptOutcome]) -> Result<(), StoreError> {
        let _ = (outcomes,);
        Err(todo())
    }

    /// Skeleton.
    #[allow(clippy::too_many_arguments)]
    pub async fn renew_event(
        &mut self,
        client: ClientId,
        id: EventId,
        force: bool,
        now: Timestamp,
    ) -> Result<Renewal, StoreError> {
        let _ = (client, id, force, now);
        Err(todo())
    }

    /// Skeleton.
    #[allow(clippy::too_many_arguments)]
    pub async fn claim_key(
        &mut self,
        key: &ConnectionKey,
        idempotency_key: &str,
        body_hash: &[u8; 32],
        now: Timestamp,
    ) -> Result<KeyClaim, StoreError> {
        let _ = (key, idempotency_key, body_hash, now);
        Err(todo())
    }

    /// Skeleton.
    #[allow(clippy::too_many_arguments)]
    pub async fn complete_key(
        &mut self,
        key: &ConnectionKey,
        idempotency_key: &str,
        answer: &str,
    ) -> Result<(), StoreError> {
        let _ = (key, idempotency_key, answer);
        Err(todo())
    }

    /// Skeleton.
    #[allow(clippy::too_many_arguments)]
    pub async fn release_key(&mut self, key: &ConnectionKey, idempotency_key: &str) -> Result<(), StoreError> {
        let _ = (key, idempotency_key);
        Err(todo())
    }

    /// Skeleton.
    #[allow(clippy::too_many_arguments)]
    pub async fn purge_keys(&mut self, before: Timestamp) -> Result<u64, StoreError> {
        let _ = (before,);
        Err(todo())
    }

    /// Skeleton.
    #[allow(clippy::too_many_arguments)]
    pub async fn purge_events(
        &mut self,
        after: Option<i64>,
        before: Timestamp,
        visit: u32,
    ) -> Result<PurgedEvents, StoreError> {
        let _ = (after, before, visit);
        Err(todo())
    }

    /// Skeleton.
    #[allow(clippy::too_many_arguments)]
    pub async fn purge_webhooks(&mut self, before: Timestamp) -> Result<u64, StoreError> {
        let _ = (before,);
        Err(todo())
    }

    /// Skeleton.
    #[allow(clippy::too_many_arguments)]
    pub async fn commit(self) -> Result<(), StoreError> {
        Err(todo())
    }
}
