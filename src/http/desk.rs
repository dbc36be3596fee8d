//! What the facade asks of the rest of the program.
//!
//! A trait, so that the facade's tests run against a desk that answers at once, and so that nothing of the tree but
//! these questions can leak into HTTP.

use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::watch;
use wharf_actors::{
    BulkRetry, ConnectionPatch, Deletion, Gateway, GatewayError, IdempotencyKey, MadeLinkPage, MediaFile, NewLinkPage,
    NewMessage, NewPicture, NewWebhook, NoMedia, Qr, Receiving, SentMessage, Shown, ShownPairCode, Tested,
    WebhookWithSecret,
};
use wharf_domain::{
    Attempt, ClientId, Connection, Event, EventId, GroupId, OutgoingMessage, PhoneNumber, TokenHash, Webhook,
    WebhookId,
    action::{Action, Done},
    link_page::{LinkPage, PageStatus},
    media_link::MediaLink,
    stats::WebhookStats,
    webhook::WebhookPatch,
};
use wharf_store::{ByNumber, EventFilter, EventPage, FailedFilter, OutgoingFilter, OutgoingPage, PullPage, PullQuery};

/// Declares the trait, and that the gateway is one, by its own methods of the same names.
macro_rules! desk {
    (
        $(#[$about:meta])*
        pub trait Desk {
            $(#[$now_about:meta])*
            fn $now:ident(&self) -> $now_answer:ty;
            $(
                $(#[$name_about:meta])*
                async fn $name:ident(&self $(, $input:ident: $kind:ty)* $(,)?) -> $answer:ty;
            )*
        }
    ) => {
        $(#[$about])*
        #[async_trait]
        pub trait Desk: Send + Sync + 'static {
            $(#[$now_about])*
            fn $now(&self) -> $now_answer;
            $(
                $(#[$name_about])*
                async fn $name(&self $(, $input: $kind)*) -> $answer;
            )*
        }

        #[async_trait]
        impl Desk for Gateway {
            fn $now(&self) -> $now_answer {
                Gateway::$now(self)
            }
            $(
                async fn $name(&self $(, $input: $kind)*) -> $answer {
                    Gateway::$name(self $(, $input)*).await
                }
            )*
        }
    };
}

desk! {
    /// The gateway, as a client of the API sees it. Every question names the client first; what belongs to another client
    /// is [`GatewayError::NotFound`].
    pub trait Desk {
        /// Tells when some client may have another token, or none.
        fn token_changes(&self) -> watch::Receiver<()>;
        /// Whose token has this hash.
        async fn client_of_token(&self, token: &TokenHash) -> Result<Option<ClientId>, GatewayError>;

        /// Registers a webhook.
        async fn register_webhook(&self, client: ClientId, new: NewWebhook) -> Result<WebhookWithSecret, GatewayError>;
        /// The client's webhooks.
        async fn webhooks(&self, client: ClientId, part: &ByNumber) -> Result<Vec<Webhook>, GatewayError>;
        /// One webhook.
        async fn webhook(&self, client: ClientId, id: WebhookId) -> Result<Webhook, GatewayError>;
        /// Changes a webhook; an empty patch changes nothing.
        async fn update_webhook(
            &self,
            client: ClientId,
            id: WebhookId,
            patch: WebhookPatch,
        ) -> Result<Webhook, GatewayError>;
        /// Gives a webhook a new secret; the present one goes on signing for `overlap`.
        async fn rotate_secret(
            &self,
            client: ClientId,
            id: WebhookId,
            overlap: Duration,
        ) -> Result<WebhookWithSecret, GatewayError>;
        /// Deletes a webhook.
        async fn delete_webhook(&self, client: ClientId, id: WebhookId) -> Result<(), GatewayError>;
        /// A page of a webhook's events, newest first.
        async fn events(&self, client: ClientId, id: WebhookId, filter: EventFilter) -> Result<EventPage, GatewayError>;
        /// One event.
        async fn event(&self, client: ClientId, id: EventId) -> Result<Event, GatewayError>;
        /// The attempts of one event, oldest first.
        async fn attempts(&self, client: ClientId, id: EventId) -> Result<Vec<Attempt>, GatewayError>;
        /// The events of all webhooks after a place, in the order of arrival.
        async fn pull(&self, client: ClientId, pull: PullQuery) -> Result<PullPage, GatewayError>;
        /// What a webhook's attempts of late come to, and what waits.
        async fn webhook_stats(&self, client: ClientId, id: WebhookId) -> Result<WebhookStats, GatewayError>;
        /// Sends a test event and waits for its attempt.
        async fn test_webhook(&self, client: ClientId, id: WebhookId) -> Result<Tested, GatewayError>;
        /// Retries failed events of a webhook together.
        async fn retry_failed(
            &self,
            client: ClientId,
            id: WebhookId,
            filter: FailedFilter,
        ) -> Result<BulkRetry, GatewayError>;
        /// Retries an event by hand; `force` also a delivered one.
        async fn retry_event(&self, client: ClientId, id: EventId, force: bool) -> Result<Event, GatewayError>;

        /// Creates a connection; pairing starts.
        async fn create_connection_with(
            &self,
            client: ClientId,
            phone: PhoneNumber,
            settings: ConnectionPatch,
        ) -> Result<Connection, GatewayError>;
        /// Changes what a client may set of a connection.
        async fn update_connection(
            &self,
            client: ClientId,
            phone: &PhoneNumber,
            patch: ConnectionPatch,
        ) -> Result<Connection, GatewayError>;
        /// One connection with the codes that are shown now.
        async fn shown(&self, client: ClientId, phone: &PhoneNumber) -> Result<Shown, GatewayError>;
        /// Tells when a connection may have changed; ends with it.
        async fn changes(&self, client: ClientId, phone: &PhoneNumber) -> Result<watch::Receiver<()>, GatewayError>;
        /// A code to type into the phone.
        async fn pair_code(&self, client: ClientId, phone: &PhoneNumber) -> Result<ShownPairCode, GatewayError>;
        /// Makes a page on which a connection can be linked without its client's token.
        async fn make_link_page(
            &self,
            client: ClientId,
            phone: &PhoneNumber,
            token: TokenHash,
            new: NewLinkPage,
        ) -> Result<MadeLinkPage, GatewayError>;
        /// The page of an address that was given out and is good still.
        async fn open_link_page(&self, sealed: &str) -> Result<LinkPage, GatewayError>;
        /// Where linking stands on a page, and the code to scan.
        async fn on_link_page(&self, page: &LinkPage) -> Result<(PageStatus, Option<Qr>), GatewayError>;
        /// Has linking begun from a page, where that is possible.
        async fn begin_on_link_page(&self, page: &LinkPage) -> Result<(), GatewayError>;
        /// A code to type, for a page.
        async fn pair_on_link_page(&self, page: &LinkPage) -> Result<ShownPairCode, GatewayError>;
        /// The client's connections.
        async fn connections(&self, client: ClientId, part: &ByNumber) -> Result<Vec<Connection>, GatewayError>;
        /// One connection.
        async fn connection(&self, client: ClientId, phone: &PhoneNumber) -> Result<Connection, GatewayError>;
        /// The QR code to scan now.
        async fn qr(&self, client: ClientId, phone: &PhoneNumber) -> Result<Qr, GatewayError>;
        /// Starts the session again.
        async fn connect(&self, client: ClientId, phone: &PhoneNumber) -> Result<Connection, GatewayError>;
        /// Closes the link and keeps the pairing.
        async fn disconnect(&self, client: ClientId, phone: &PhoneNumber) -> Result<Connection, GatewayError>;
        /// Unlinks the device and forgets the connection.
        async fn delete_connection(&self, client: ClientId, phone: &PhoneNumber) -> Result<Deletion, GatewayError>;
        /// Refuses what would be refused whatever a message that is still coming has in it. `queue`: whether it may wait for its
        /// connection, if that is known; `key`: its idempotency key.
        async fn check_send(
            &self,
            client: ClientId,
            phone: &PhoneNumber,
            queue: Option<bool>,
            key: Option<&str>,
        ) -> Result<(), GatewayError>;
        /// Begins to receive a file that is to be sent, of at most `most` bytes, or of as many as a file may have.
        async fn receive_file(
            &self,
            client: ClientId,
            phone: &PhoneNumber,
            most: Option<u64>,
        ) -> Result<Receiving, GatewayError>;
        /// Sends a message.
        async fn send(
            &self,
            client: ClientId,
            phone: &PhoneNumber,
            message: NewMessage,
            key: Option<IdempotencyKey>,
        ) -> Result<SentMessage, GatewayError>;
        /// One message that was sent or waits.
        async fn outgoing_message(
            &self,
            client: ClientId,
            phone: &PhoneNumber,
            message_id: &str,
        ) -> Result<OutgoingMessage, GatewayError>;
        /// A page of the messages that were sent or wait, newest first.
        async fn outgoing_messages(
            &self,
            client: ClientId,
            phone: &PhoneNumber,
            filter: OutgoingFilter,
        ) -> Result<OutgoingPage, GatewayError>;
        /// Does something else at WhatsApp.
        async fn act(
            &self,
            client: ClientId,
            phone: &PhoneNumber,
            action: Action,
            key: Option<IdempotencyKey>,
        ) -> Result<Done, GatewayError>;

        /// Shows another picture of a number, or of a group.
        async fn set_picture(
            &self,
            client: ClientId,
            phone: &PhoneNumber,
            group: Option<GroupId>,
            picture: NewPicture,
            key: Option<IdempotencyKey>,
        ) -> Result<Done, GatewayError>;

        /// The file of a link with this signature.
        async fn media(&self, link: &MediaLink, signature: &str) -> Result<MediaFile, NoMedia>;

        /// What operators measure, as [`wharf_actors::METRICS_TYPE`].
        async fn metrics(&self) -> Result<String, GatewayError>;
        /// Whether the store takes writes and the tree is up; else why not.
        async fn ready(&self) -> Result<(), String>;
    }
}
