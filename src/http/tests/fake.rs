//! A desk in memory: client 1 has one webhook, one event and one connection, client 2 has nothing.

mod acts;
mod pages;
mod samples;
mod state;

use std::{sync::atomic::Ordering, time::Duration};

use async_trait::async_trait;
use serde_json::value::RawValue;
use tokio::sync::watch;
use wharf_actors::{
    BulkRetry, ConnectionPatch, Deletion, GatewayError, IdempotencyKey, MadeLinkPage, MediaFile, NewLinkPage,
    NewMessage, NewPicture, NewWebhook, NoMedia, Qr, Receiving, SentMessage, Shown, ShownPairCode, Tested,
    WebhookWithSecret,
};
use wharf_domain::{
    Attempt, ClientId, Connection, ConnectionStatus, Event, EventId, EventStatus, GroupId, InvalidField, Outgoing,
    OutgoingMessage, PhoneNumber, SendStatus, Timestamp, TokenHash, Webhook, WebhookId,
    action::{Action, Done},
    link_page::{self, LinkPage, PageStatus},
    media_link::MediaLink,
    session::{ReasonCode, SessionView},
    signing::Secret,
    stats::{Queue, WebhookStats, periods},
    webhook::{WebhookPatch, status},
};
use wharf_store::{ByNumber, EventFilter, EventPage, FailedFilter, OutgoingFilter, OutgoingPage, PullPage, PullQuery};

pub(super) use self::pages::{EXPIRED, FORMER, PAGE, TITLE};
use self::samples::{attempt, connection, event, outgoing, webhook, with_secret};
pub(super) use self::state::{CODE, FILE_MAX, FakeDesk, GROUP, ID, MESSAGE};
use super::{super::Desk, ALPHA, BETA, NUMBER};

#[async_trait]
impl Desk for FakeDesk {
    async fn client_of_token(&self, token: &TokenHash) -> Result<Option<ClientId>, GatewayError> {
        if self.rotated.load(Ordering::Relaxed) {
            return Ok(None);
        }
        let hash = TokenHash::of;
        Ok([(ALPHA, 1), (BETA, 2)]
            .into_iter()
            .find_map(|(t, id)| (hash(t) == *token).then_some(ClientId(id))))
    }

    async fn register_webhook(&self, client: ClientId, new: NewWebhook) -> Result<WebhookWithSecret, GatewayError> {
        if new.webhook_url.as_ref().is_some_and(|url| !url.starts_with("https://")) {
            return Err(InvalidField::new("webhook_url", "must be https").into());
        }
        if new.phone_number.as_str() == NUMBER {
            return Err(GatewayError::Conflict("there is a webhook for this number".into()));
        }
        self.note(&new);
        Ok(with_secret(webhook(client, new)))
    }

    async fn webhooks(&self, client: ClientId, part: &ByNumber) -> Result<Vec<Webhook>, GatewayError> {
        self.turn()?;
        let all = self.own_webhook(client, WebhookId(ID)).into_iter();
        Ok(acts::part_of(all.collect(), part, |webhook| &webhook.phone_number))
    }

    async fn webhook(&self, client: ClientId, id: WebhookId) -> Result<Webhook, GatewayError> {
        self.own_webhook(client, id)
    }

    async fn update_webhook(
        &self,
        client: ClientId,
        id: WebhookId,
        patch: WebhookPatch,
    ) -> Result<Webhook, GatewayError> {
        self.note(&patch);
        self.own_webhook(client, id)
    }

    async fn rotate_secret(
        &self,
        client: ClientId,
        id: WebhookId,
        overlap: Duration,
    ) -> Result<WebhookWithSecret, GatewayError> {
        self.note(overlap);
        self.own_webhook(client, id).map(with_secret)
    }

    async fn delete_webhook(&self, client: ClientId, id: WebhookId) -> Result<(), GatewayError> {
        self.own_webhook(client, id).map(drop)
    }

    async fn events(&self, client: ClientId, id: WebhookId, filter: EventFilter) -> Result<EventPage, GatewayError> {
        self.turn()?;
        self.own_webhook(client, id)?;
        self.note(&filter);
        Ok(EventPage {
            events: vec![event()],
            next_cursor: Some(ID.simple().to_string().parse().unwrap()),
        })
    }

    async fn event(&self, client: ClientId, id: EventId) -> Result<Event, GatewayError> {
        self.own_event(client, id)
    }

    async fn attempts(&self, client: ClientId, id: EventId) -> Result<Vec<Attempt>, GatewayError> {
        self.own_event(client, id).map(|_| vec![attempt()])
    }

    async fn pull(&self, client: ClientId, pull: PullQuery) -> Result<PullPage, GatewayError> {
        self.turn()?;
        self.note(&pull);
        acts::pulled(client, pull)
    }

    async fn webhook_stats(&self, client: ClientId, id: WebhookId) -> Result<WebhookStats, GatewayError> {
        self.turn()?;
        self.own_webhook(client, id)?;
        let (last_hour, last_day) = periods(&[], Timestamp(0));
        Ok(WebhookStats {
            webhook_id: id,
            at: Timestamp(0),
            last_hour,
            last_day,
            sampled: false,
            queue: Queue::new(1, false, Some(Timestamp(0)), Timestamp(0)),
        })
    }

    async fn test_webhook(&self, client: ClientId, id: WebhookId) -> Result<Tested, GatewayError> {
        self.own_webhook(client, id)?;
        Ok(Tested {
            event: event(),
            attempt: self.prompt.load(Ordering::Relaxed).then(attempt),
        })
    }

    async fn retry_failed(
        &self,
        client: ClientId,
        id: WebhookId,
        filter: FailedFilter,
    ) -> Result<BulkRetry, GatewayError> {
        self.turn()?;
        self.own_webhook(client, id)?;
        self.note(&filter);
        Ok(BulkRetry {
            retrying: 3,
            next_since: None,
        })
    }

    async fn retry_event(&self, client: ClientId, id: EventId, force: bool) -> Result<Event, GatewayError> {
        self.note(force);
        self.own_event(client, id)
    }

    async fn create_connection_with(
        &self,
        _: ClientId,
        phone: PhoneNumber,
        settings: ConnectionPatch,
    ) -> Result<Connection, GatewayError> {
        self.note(settings);
        match phone.as_str() {
            NUMBER => Err(GatewayError::Conflict("there is a connection for this number".into())),
            "10000000" => Err(GatewayError::Unavailable("the disk is full".into())),
            _ => Ok(connection(phone)),
        }
    }

    async fn update_connection(
        &self,
        client: ClientId,
        phone: &PhoneNumber,
        patch: ConnectionPatch,
    ) -> Result<Connection, GatewayError> {
        self.note(&patch);
        if patch.proxy == Some(Some("bad".to_owned())) {
            return Err(InvalidField::new("proxy", "must be a proxy").into());
        }
        self.own_connection(client, phone)
    }

    async fn shown(&self, client: ClientId, phone: &PhoneNumber) -> Result<Shown, GatewayError> {
        let connection = self.own_connection(client, phone)?;
        Ok(Shown {
            connection,
            qr: self.qr.lock().unwrap().clone(),
            pair_code: None,
        })
    }

    async fn changes(&self, client: ClientId, phone: &PhoneNumber) -> Result<watch::Receiver<()>, GatewayError> {
        self.own_connection(client, phone)?;
        let changes = self.changes.lock().unwrap();
        // Nobody will tell of changes, unless a test wants to.
        Ok(changes
            .as_ref()
            .map_or_else(|| watch::channel(()).1, watch::Sender::subscribe))
    }

    fn token_changes(&self) -> watch::Receiver<()> {
        self.tokens.subscribe()
    }

    async fn pair_code(&self, client: ClientId, phone: &PhoneNumber) -> Result<ShownPairCode, GatewayError> {
        self.own_connection(client, phone)?;
        Ok(ShownPairCode {
            code: "ABCD1234".into(),
            expires_at: Timestamp(180_000),
        })
    }

    async fn make_link_page(
        &self,
        client: ClientId,
        phone: &PhoneNumber,
        _: TokenHash,
        new: NewLinkPage,
    ) -> Result<MadeLinkPage, GatewayError> {
        self.own_connection(client, phone)?;
        self.note((new.lifetime.as_secs(), new.title));
        Ok(MadeLinkPage {
            url: format!("https://wharf.example/link/{PAGE}"),
            expires_at: Timestamp(600_000),
        })
    }

    async fn open_link_page(&self, sealed: &str) -> Result<LinkPage, GatewayError> {
        pages::open(self, sealed)
    }

    async fn on_link_page(&self, page: &LinkPage) -> Result<(PageStatus, Option<Qr>), GatewayError> {
        pages::on(self, page)
    }

    async fn begin_on_link_page(&self, page: &LinkPage) -> Result<(), GatewayError> {
        pages::begin(self, page)
    }

    async fn pair_on_link_page(&self, page: &LinkPage) -> Result<ShownPairCode, GatewayError> {
        pages::pair(self, page)
    }

    async fn connections(&self, client: ClientId, part: &ByNumber) -> Result<Vec<Connection>, GatewayError> {
        self.turn()?;
        let all = self.own_connection(client, &NUMBER.parse().unwrap()).into_iter();
        Ok(acts::part_of(all.collect(), part, |connection| {
            &connection.phone_number
        }))
    }

    async fn connection(&self, client: ClientId, phone: &PhoneNumber) -> Result<Connection, GatewayError> {
        self.own_connection(client, phone)
    }

    async fn qr(&self, client: ClientId, phone: &PhoneNumber) -> Result<Qr, GatewayError> {
        self.own_connection(client, phone)?;
        Ok(Qr {
            qr: super::pictures::CODE.into(),
            expires_at: Timestamp(20_000),
        })
    }

    async fn connect(&self, client: ClientId, phone: &PhoneNumber) -> Result<Connection, GatewayError> {
        self.own_connection(client, phone)
    }

    async fn disconnect(&self, client: ClientId, phone: &PhoneNumber) -> Result<Connection, GatewayError> {
        self.own_connection(client, phone)
    }

    async fn delete_connection(&self, client: ClientId, phone: &PhoneNumber) -> Result<Deletion, GatewayError> {
        let connection = self.own_connection(client, phone)?;
        Ok(match self.prompt.load(Ordering::Relaxed) {
            true => Deletion::Done,
            false => Deletion::GoesOn(Box::new(connection)),
        })
    }

    async fn check_send(
        &self,
        client: ClientId,
        phone: &PhoneNumber,
        queue: Option<bool>,
        key: Option<&str>,
    ) -> Result<(), GatewayError> {
        self.own_connection(client, phone)?;
        match key {
            Some("in-use") => Err(GatewayError::Conflict("in use".into())),
            Some("full") => Err(GatewayError::Busy(format!("{queue:?}"))),
            _ => Ok(()),
        }
    }

    async fn receive_file(
        &self,
        client: ClientId,
        phone: &PhoneNumber,
        most: Option<u64>,
    ) -> Result<Receiving, GatewayError> {
        self.own_connection(client, phone)?;
        let most = most.unwrap_or_else(|| self.most.load(Ordering::Relaxed));
        Ok(Receiving::begin(self.received.path(), most).await.unwrap())
    }

    async fn send(
        &self,
        client: ClientId,
        phone: &PhoneNumber,
        message: NewMessage,
        key: Option<IdempotencyKey>,
    ) -> Result<SentMessage, GatewayError> {
        self.own_connection(client, phone)?;
        acts::send(self, message, key).await
    }

    async fn outgoing_message(
        &self,
        client: ClientId,
        phone: &PhoneNumber,
        message_id: &str,
    ) -> Result<OutgoingMessage, GatewayError> {
        self.own_connection(client, phone)?;
        match message_id {
            MESSAGE => Ok(outgoing()),
            _ => Err(GatewayError::NotFound("message")),
        }
    }

    async fn outgoing_messages(
        &self,
        client: ClientId,
        phone: &PhoneNumber,
        filter: OutgoingFilter,
    ) -> Result<OutgoingPage, GatewayError> {
        self.turn()?;
        self.own_connection(client, phone)?;
        self.note(&filter);
        Ok(OutgoingPage {
            messages: vec![outgoing()],
            next_cursor: Some(MESSAGE.into()),
        })
    }

    async fn act(
        &self,
        client: ClientId,
        phone: &PhoneNumber,
        action: Action,
        key: Option<IdempotencyKey>,
    ) -> Result<Done, GatewayError> {
        self.own_connection(client, phone)?;
        self.note((key.map(|key| key.key), &action));
        acts::done(action)
    }

    async fn set_picture(
        &self,
        client: ClientId,
        phone: &PhoneNumber,
        group: Option<GroupId>,
        picture: NewPicture,
        key: Option<IdempotencyKey>,
    ) -> Result<Done, GatewayError> {
        self.own_connection(client, phone)?;
        let shown = match &picture {
            NewPicture::Url(url) => format!("at {url}"),
            NewPicture::Received { file, field } => {
                *self.file.lock().unwrap() = std::fs::read(file.path()).unwrap();
                format!("in {field}")
            }
        };
        self.note((self.came_under(key), group, shown));
        Ok(Done::Done)
    }

    async fn media(&self, link: &MediaLink, signature: &str) -> Result<MediaFile, NoMedia> {
        self.files.get(link, signature)
    }

    async fn metrics(&self) -> Result<String, GatewayError> {
        Ok("# EOF\n".to_owned())
    }

    async fn ready(&self) -> Result<(), String> {
        if self.ready.load(Ordering::Relaxed) {
            Ok(())
        } else {
            Err("the disk is full".into())
        }
    }
}
