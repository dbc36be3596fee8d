//! The desk that the program runs with: the gateway itself.

use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::watch;
use wharf_actors::{
    BulkRetry, ConnectionPatch, Deletion, Gateway, GatewayError, IdempotencyKey, MediaFile, NewMessage, NewPicture,
    NewWebhook, NoMedia, Qr, Receiving, SentMessage, Shown, ShownPairCode, Tested, WebhookWithSecret,
};
use wharf_domain::{
    Attempt, ClientId, Connection, Event, EventId, GroupId, OutgoingMessage, PhoneNumber, TokenHash, Webhook,
    WebhookId,
    action::{Action, Done},
    media_link::MediaLink,
    stats::WebhookStats,
    webhook::WebhookPatch,
};
use wharf_store::{ByNumber, EventFilter, EventPage, FailedFilter, OutgoingFilter, OutgoingPage, PullPage, PullQuery};

use super::Desk;

#[async_trait]
impl Desk for Gateway {
    async fn client_of_token(&self, token: &TokenHash) -> Result<Option<ClientId>, GatewayError> {
        self.client_of_token(token).await
    }

    async fn register_webhook(&self, client: ClientId, new: NewWebhook) -> Result<WebhookWithSecret, GatewayError> {
        self.register_webhook(client, new).await
    }

    async fn webhooks(&self, client: ClientId, part: &ByNumber) -> Result<Vec<Webhook>, GatewayError> {
        self.webhooks(client, part).await
    }

    async fn webhook(&self, client: ClientId, id: WebhookId) -> Result<Webhook, GatewayError> {
        self.webhook(client, id).await
    }

    async fn update_webhook(
        &self,
        client: ClientId,
        id: WebhookId,
        patch: WebhookPatch,
    ) -> Result<Webhook, GatewayError> {
        self.update_webhook(client, id, patch).await
    }

    async fn rotate_secret(
        &self,
        client: ClientId,
        id: WebhookId,
        overlap: Duration,
    ) -> Result<WebhookWithSecret, GatewayError> {
        self.rotate_secret(client, id, overlap).await
    }

    async fn delete_webhook(&self, client: ClientId, id: WebhookId) -> Result<(), GatewayError> {
        self.delete_webhook(client, id).await
    }

    async fn events(&self, client: ClientId, id: WebhookId, filter: EventFilter) -> Result<EventPage, GatewayError> {
        self.events(client, id, filter).await
    }

    async fn event(&self, client: ClientId, id: EventId) -> Result<Event, GatewayError> {
        self.event(client, id).await
    }

    async fn attempts(&self, client: ClientId, id: EventId) -> Result<Vec<Attempt>, GatewayError> {
        self.attempts(client, id).await
    }

    async fn pull(&self, client: ClientId, pull: PullQuery) -> Result<PullPage, GatewayError> {
        self.pull(client, pull).await
    }

    async fn webhook_stats(&self, client: ClientId, id: WebhookId) -> Result<WebhookStats, GatewayError> {
        self.webhook_stats(client, id).await
    }

    async fn test_webhook(&self, client: ClientId, id: WebhookId) -> Result<Tested, GatewayError> {
        self.test_webhook(client, id).await
    }

    async fn retry_failed(
        &self,
        client: ClientId,
        id: WebhookId,
        filter: FailedFilter,
    ) -> Result<BulkRetry, GatewayError> {
        self.retry_failed(client, id, filter).await
    }

    async fn retry_event(&self, client: ClientId, id: EventId, force: bool) -> Result<Event, GatewayError> {
        self.retry_event(client, id, force).await
    }

    async fn create_connection(
        &self,
        client: ClientId,
        phone: PhoneNumber,
        settings: ConnectionPatch,
    ) -> Result<Connection, GatewayError> {
        self.create_connection_with(client, phone, settings).await
    }

    async fn update_connection(
        &self,
        client: ClientId,
        phone: &PhoneNumber,
        patch: ConnectionPatch,
    ) -> Result<Connection, GatewayError> {
        self.update_connection(client, phone, patch).await
    }

    async fn shown(&self, client: ClientId, phone: &PhoneNumber) -> Result<Shown, GatewayError> {
        self.shown(client, phone).await
    }

    async fn changes(&self, client: ClientId, phone: &PhoneNumber) -> Result<watch::Receiver<()>, GatewayError> {
        self.changes(client, phone).await
    }

    fn token_changes(&self) -> watch::Receiver<()> {
        self.token_changes()
    }

    async fn pair_code(&self, client: ClientId, phone: &PhoneNumber) -> Result<ShownPairCode, GatewayError> {
        self.pair_code(client, phone).await
    }

    async fn connections(&self, client: ClientId, part: &ByNumber) -> Result<Vec<Connection>, GatewayError> {
        self.connections(client, part).await
    }

    async fn connection(&self, client: ClientId, phone: &PhoneNumber) -> Result<Connection, GatewayError> {
        self.connection(client, phone).await
    }

    async fn qr(&self, client: ClientId, phone: &PhoneNumber) -> Result<Qr, GatewayError> {
        self.qr(client, phone).await
    }

    async fn connect(&self, client: ClientId, phone: &PhoneNumber) -> Result<Connection, GatewayError> {
        self.connect(client, phone).await
    }

    async fn disconnect(&self, client: ClientId, phone: &PhoneNumber) -> Result<Connection, GatewayError> {
        self.disconnect(client, phone).await
    }

    async fn delete_connection(&self, client: ClientId, phone: &PhoneNumber) -> Result<Deletion, GatewayError> {
        self.delete_connection(client, phone).await
    }

    async fn check_send(
        &self,
        client: ClientId,
        phone: &PhoneNumber,
        queue: Option<bool>,
        key: Option<&str>,
    ) -> Result<(), GatewayError> {
        self.check_send(client, phone, queue, key).await
    }

    async fn receive_file(
        &self,
        client: ClientId,
        phone: &PhoneNumber,
        most: Option<u64>,
    ) -> Result<Receiving, GatewayError> {
        self.receive_file(client, phone, most).await
    }

    async fn send(
        &self,
        client: ClientId,
        phone: &PhoneNumber,
        message: NewMessage,
        key: Option<IdempotencyKey>,
    ) -> Result<SentMessage, GatewayError> {
        self.send(client, phone, message, key).await
    }

    async fn outgoing_message(
        &self,
        client: ClientId,
        phone: &PhoneNumber,
        message_id: &str,
    ) -> Result<OutgoingMessage, GatewayError> {
        self.outgoing_message(client, phone, message_id).await
    }

    async fn outgoing_messages(
        &self,
        client: ClientId,
        phone: &PhoneNumber,
        filter: OutgoingFilter,
    ) -> Result<OutgoingPage, GatewayError> {
        self.outgoing_messages(client, phone, filter).await
    }

    async fn act(
        &self,
        client: ClientId,
        phone: &PhoneNumber,
        action: Action,
        key: Option<IdempotencyKey>,
    ) -> Result<Done, GatewayError> {
        self.act(client, phone, action, key).await
    }

    async fn set_picture(
        &self,
        client: ClientId,
        phone: &PhoneNumber,
        group: Option<GroupId>,
        picture: NewPicture,
        key: Option<IdempotencyKey>,
    ) -> Result<Done, GatewayError> {
        self.set_picture(client, phone, group, picture, key).await
    }

    async fn media(&self, link: &MediaLink, signature: &str) -> Result<MediaFile, NoMedia> {
        self.media(link, signature).await
    }

    async fn metrics(&self) -> Result<String, GatewayError> {
        self.metrics().await
    }

    async fn ready(&self) -> Result<(), String> {
        self.ready().await
    }
}
