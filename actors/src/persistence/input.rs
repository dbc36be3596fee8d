//! What writes are given, and the writes that take more than one statement of the store.

use std::time::Duration;

use uuid::Uuid;
use wharf_domain::{
    AttemptOutcome, ClientId, Connection, ConnectionKey, EventId, EventKind, HeaderNames, IncomingMessage, Timestamp,
    Webhook, WebhookId,
    outgoing::{Content, StatusChange},
    webhook::WebhookPatch,
};
use wharf_store::{
    AwaitedId, Behind, ConnectionRecord, ConnectionSettings, Group, KeyClaim, NewEvent, NewOutgoing, Note,
    RecordedEvent, StoreError,
};
use wharf_whatsapp::report_of;

use crate::NewWebhook;

/// An attempt that ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) outcome: AttemptOutcome,
    /// Whether nothing waits for its commit.
    pub(crate) may_wait: bool,
}

/// A retry of one event by hand.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Retry {
    pub(crate) client_id: ClientId,
    pub(crate) event_id: EventId,
    /// Also if it is delivered.
    pub(crate) force: bool,
    /// How long its body is.
    pub(crate) body_bytes: usize,
}

/// What a webhook is registered with.
#[derive(Debug)]
pub(crate) struct Registration {
    pub(crate) id: WebhookId,
    pub(crate) key: ConnectionKey,
    /// Without headers.
    pub(crate) asked: NewWebhook,
    pub(crate) headers: Option<SealedHeaders>,
    /// Encrypted; none of one that is pulled.
    pub(crate) sealed_secret: Option<Vec<u8>>,
    /// How many the client may have; 0 is no limit.
    pub(crate) most: u32,
}

/// What a connection is made with, and how many the client may have; 0 is no limit.
pub(crate) type Creation = (ConnectionSettings, u32);

/// A change of a webhook.
#[derive(Debug)]
pub(crate) struct Change {
    pub(crate) client_id: ClientId,
    pub(crate) webhook_id: WebhookId,
    /// Without headers.
    pub(crate) patch: WebhookPatch,
    pub(crate) headers: Option<SealedHeaders>,
}

/// A webhook's own headers, all of them.
#[derive(Debug)]
pub(crate) struct SealedHeaders {
    pub(crate) names: HeaderNames,
    /// Encrypted.
    pub(crate) sealed: Vec<u8>,
}

/// A new secret for a webhook.
#[derive(Debug)]
pub(crate) struct Rotation {
    pub(crate) client_id: ClientId,
    pub(crate) webhook_id: WebhookId,
    /// Encrypted.
    pub(crate) sealed_secret: Vec<u8>,
    /// For how long the present one goes on signing.
    pub(crate) overlap: Duration,
}

/// A download that is tried again.
#[derive(Debug)]
pub(crate) struct Postponed {
    pub(crate) id: EventId,
    /// Tries that failed.
    pub(crate) attempts: u32,
    pub(crate) due_at: Timestamp,
    /// What it needs now, encrypted, where that has changed.
    pub(crate) sealed: Option<Vec<u8>>,
}

/// A claim on an `Idempotency-Key`.
#[derive(Debug)]
pub(crate) struct Claim {
    pub(crate) key: ConnectionKey,
    pub(crate) idempotency_key: String,
    pub(crate) body_hash: [u8; 32],
    pub(crate) at: Timestamp,
}

/// The end of a claim: the answer to give again, or none when nothing was sent.
#[derive(Debug, Clone)]
pub(crate) struct Settlement {
    pub(crate) key: ConnectionKey,
    pub(crate) idempotency_key: String,
    /// When that claim was made.
    pub(crate) claimed_at: Timestamp,
    pub(crate) answer: Option<String>,
}

/// A state that a session reached, and what is to be told of it.
#[derive(Debug)]
pub(crate) struct Reached {
    pub(crate) record: ConnectionRecord,
    pub(crate) told: Vec<NewEvent>,
}

/// Messages of which some were waited for, or are about such.
#[derive(Debug)]
pub(crate) struct Arrived {
    pub(crate) key: ConnectionKey,
    pub(crate) all: Vec<Arrival>,
}

/// One of them.
#[derive(Debug)]
pub(crate) struct Arrival {
    /// What is told of it, if anybody is.
    pub(crate) event: Option<NewEvent>,
    /// What it waits behind, if that is still waited for.
    pub(crate) behind: Option<Behind>,
    /// What was waited for, if it is that itself.
    pub(crate) came: Option<AwaitedId>,
}

/// What was learned of messages that went out, where some may be waited for: those that the account sent from elsewhere.
#[derive(Debug)]
pub(crate) struct Learned {
    pub(crate) notes: Vec<Note>,
    /// What some of the messages wait behind, which may be they themselves, if that is still waited for.
    pub(crate) behind: Vec<(String, AwaitedId)>,
}

impl From<Vec<Note>> for Learned {
    fn from(notes: Vec<Note>) -> Self {
        Self {
            notes,
            behind: Vec::new(),
        }
    }
}

/// The word that a message which was waited for has not come.
#[derive(Debug)]
pub(crate) struct Missed {
    pub(crate) id: AwaitedId,
    pub(crate) report: NewEvent,
}

/// What can be chosen in a poll.
#[derive(Debug)]
pub(crate) struct Poll {
    pub(crate) key: ConnectionKey,
    pub(crate) id: String,
    pub(crate) options: Vec<String>,
}

/// The message's row. Votes in a poll that this device asked can be told by name, like those in others'.
pub(super) async fn record_outgoing(group: &mut Group<'_>, new: &NewOutgoing) -> Result<bool, StoreError> {
    let made = group.record_outgoing(new).await?;
    if made && let Content::Poll { poll } = &new.outgoing.content {
        group
            .keep_poll(&new.key, &new.message_id, &poll.options, new.created_at)
            .await?;
    }
    Ok(made)
}

/// Writes what was learned of messages that went out, and what of it the number's webhook is to be told; of messages that are
/// waited for, once they have come.
pub(super) async fn note(
    group: &mut Group<'_>,
    learned: &Learned,
    now: Timestamp,
) -> Result<Vec<RecordedEvent>, StoreError> {
    let changes = group.note_outgoing(&learned.notes).await?;
    tell(group, &changes, &learned.behind, now).await
}

/// Messages, and that they are not waited for any more: what is about them follows them.
pub(super) async fn record_arrived(
    group: &mut Group<'_>,
    arrived: &Arrived,
    now: Timestamp,
) -> Result<Vec<RecordedEvent>, StoreError> {
    let (mut recorded, mut gathered, mut crowd) = (Vec::new(), Vec::new(), Vec::new());
    for (place, Arrival { event, behind, came }) in arrived.all.iter().enumerate() {
        if let Some(event) = event {
            let is_held = match behind {
                Some(behind) => group.hold(behind, event).await?,
                None => false,
            };
            let awaited = behind.as_ref().map(|behind| &behind.id);
            let mut later = arrived.all.iter().skip(place);
            match awaited.filter(|id| later.any(|later| later.came.as_ref() == Some(*id))) {
                _ if is_held => {}
                // Too much waits there already, but the wait ends in this commit.
                Some(id) => crowd.push((id, event)),
                None => gathered.push(event),
            }
        }
        if let Some(id) = came {
            // What waits for it goes before what came with it.
            recorded.extend(group.record_inbound(&gathered).await?);
            recorded.extend(end_wait(group, &arrived.key, id, now).await?);
            gathered = crowd
                .extract_if(.., |(behind, _)| *behind == id)
                .map(|(_, event)| event)
                .collect();
        }
    }
    recorded.extend(group.record_inbound(&gathered).await?);
    Ok(recorded)
}

/// A message is not waited for any more: what is about it is told.
async fn end_wait(
    group: &mut Group<'_>,
    key: &ConnectionKey,
    id: &AwaitedId,
    now: Timestamp,
) -> Result<Vec<RecordedEvent>, StoreError> {
    group.end_awaited(key, id).await?;
    group.release(key, id, now).await
}

/// Reports a message that is still waited for, and tells what is about it. One that is not has come, or was reported.
pub(super) async fn report_missed(
    group: &mut Group<'_>,
    missed: &Missed,
    now: Timestamp,
) -> Result<Vec<RecordedEvent>, StoreError> {
    let key = &missed.report.key;
    if !group.end_awaited(key, &missed.id).await? {
        return Ok(Vec::new());
    }
    let mut recorded = group.record_inbound(std::slice::from_ref(&missed.report)).await?;
    recorded.extend(group.release(key, &missed.id, now).await?);
    Ok(recorded)
}

/// Reports what a number that goes still waits for, and tells what is about it: WhatsApp has heard that they came.
pub(super) async fn end_waits(
    group: &mut Group<'_>,
    key: &ConnectionKey,
    now: Timestamp,
) -> Result<Vec<RecordedEvent>, StoreError> {
    let mut awaited = group.awaited_messages(key).await?;
    awaited.sort_by_key(|one| one.due_at);
    let reports = awaited.iter().filter_map(|one| report_of(&key.phone_number, one));
    let reports = Vec::from_iter(reports.map(|report| new_event(key, report, now)));
    let mut recorded = group.record_inbound(&reports).await?;
    recorded.extend(group.release_all(key, now).await?);
    Ok(recorded)
}

/// Makes events of changes, for webhooks that ask for them; whoever does not pays nothing. Those of messages that are waited for
/// wait behind them.
pub(super) async fn tell(
    group: &mut Group<'_>,
    changes: &[StatusChange],
    behind: &[(String, AwaitedId)],
    now: Timestamp,
) -> Result<Vec<RecordedEvent>, StoreError> {
    let mut events = Vec::new();
    for change in changes {
        if !group.wants(&change.key, EventKind::Status).await? {
            continue;
        }
        let event = new_event(&change.key, change.event(), now);
        let is_held = match behind.iter().find(|(id, _)| *id == change.message_id) {
            Some((_, id)) => group.hold(&id.clone().into(), &event).await?,
            None => false,
        };
        if !is_held {
            events.push(event);
        }
    }
    match events.as_slice() {
        [] => Ok(Vec::new()),
        events => group.record_inbound(events).await,
    }
}

/// An event to be made of something that happened to a number.
pub(crate) fn new_event(key: &ConnectionKey, message: IncomingMessage, created_at: Timestamp) -> NewEvent {
    NewEvent {
        id: EventId(Uuid::now_v7()),
        payload: message.payload(key.client_id, &key.phone_number),
        key: key.clone(),
        message,
        created_at,
    }
}

/// Another secret signs; those before it go on signing for a while.
pub(super) async fn rotate(group: &mut Group<'_>, to: &Rotation, now: Timestamp) -> Result<bool, StoreError> {
    let others_until = now + to.overlap;
    group
        .add_secret(to.client_id, to.webhook_id, &to.sealed_secret, others_until, now)
        .await
}

/// Takes an `Idempotency-Key`, unless it is taken.
pub(super) async fn claim(group: &mut Group<'_>, claim: &Claim) -> Result<KeyClaim, StoreError> {
    group
        .claim_key(&claim.key, &claim.idempotency_key, &claim.body_hash, claim.at)
        .await
}

/// Keeps the answer that was given under an `Idempotency-Key`, or gives the key back.
pub(super) async fn settle(group: &mut Group<'_>, of: &Settlement) -> Result<(), StoreError> {
    match &of.answer {
        Some(answer) => group.complete_key(&of.key, &of.idempotency_key, answer).await,
        None => group.release_key(&of.key, &of.idempotency_key, of.claimed_at).await,
    }
}

/// A webhook's headers and what else of it was changed.
pub(super) async fn change(
    group: &mut Group<'_>,
    change: &Change,
    now: Timestamp,
) -> Result<Option<Webhook>, StoreError> {
    let (client, webhook) = (change.client_id, change.webhook_id);
    if let Some(SealedHeaders { names, sealed }) = &change.headers {
        group.set_headers(client, webhook, names, sealed, now).await?;
    }
    group.update_webhook(client, webhook, &change.patch, now).await
}

/// The connection's row, if there may be one more. Counted here: requests of one moment do not pass together.
pub(super) async fn create(
    group: &mut Group<'_>,
    (new, most): &Creation,
    now: Timestamp,
) -> Result<Option<Connection>, StoreError> {
    if *most > 0 && group.count_connections(new.key.client_id).await? >= u64::from(*most) {
        return Ok(None);
    }
    group.create_connection(new, now).await
}

/// The webhook's row, its secret, and what else was asked for.
pub(super) async fn register(
    group: &mut Group<'_>,
    registration: &Registration,
    now: Timestamp,
) -> Result<Option<Webhook>, StoreError> {
    let Registration {
        id,
        key,
        asked,
        headers,
        sealed_secret,
        most,
    } = registration;
    if *most > 0 && group.count_webhooks(key.client_id).await? >= u64::from(*most) {
        return Ok(None);
    }
    let (url, metadata) = (asked.webhook_url.as_deref(), asked.metadata.as_ref());
    let made = group
        .register_webhook(*id, key, url, asked.max_retries, asked.is_active, metadata, now)
        .await?;
    if made.is_none() {
        return Ok(None);
    }
    if let Some(sealed) = sealed_secret {
        group.add_secret(key.client_id, *id, sealed, now, now).await?;
    }
    if let Some(SealedHeaders { names, sealed }) = headers {
        group.set_headers(key.client_id, *id, names, sealed, now).await?;
    }
    let rest = WebhookPatch {
        events: Some(asked.events),
        chats: Some(asked.chats),
        sender: Some(asked.sender),
        hub_signature: Some(asked.hub_signature),
        courtesy: asked.courtesy.into(),
        ..WebhookPatch::default()
    };
    group.update_webhook(key.client_id, *id, &rest, now).await
}
