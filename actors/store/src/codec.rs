//! How values and rows cross between the database and the domain.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sqlx::{
    Decode, Encode, FromRow, Row, Sqlite, Type,
    encode::IsNull,
    error::BoxDynError,
    query,
    query::QueryScalar,
    query_scalar,
    sqlite::{SqliteArguments, SqliteArgumentsBuffer, SqliteRow, SqliteTypeInfo, SqliteValueRef},
};
use uuid::Uuid;
use wharf_domain::{
    AWAITS_MEDIA, ChatKinds, Client, ClientId, Connection, ConnectionKey, ConnectionStatus, Courtesy, DeliveryMode,
    Event, EventId, EventKind, EventKinds, EventStatus, HeaderNames, KEPT_PAYLOAD_BYTES, Metadata, Ordering,
    PendingEvent, PhoneNumber, Recovery, SenderShown, Timestamp, Webhook, WebhookId, WebhookStatus,
    courtesy::ClientErrors,
    outgoing::Pace,
    session::{ReasonCode, SessionView},
};

use crate::{RecordedEvent, bulk::Statement};

/// A [`Timestamp`] in a column: Unix milliseconds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct At(pub(crate) Timestamp);

impl Type<Sqlite> for At {
    fn type_info() -> SqliteTypeInfo {
        <i64 as Type<Sqlite>>::type_info()
    }

    fn compatible(ty: &SqliteTypeInfo) -> bool {
        <i64 as Type<Sqlite>>::compatible(ty)
    }
}

impl Encode<'_, Sqlite> for At {
    fn encode_by_ref(&self, buffer: &mut SqliteArgumentsBuffer) -> Result<IsNull, BoxDynError> {
        Encode::<Sqlite>::encode_by_ref(&self.0.0, buffer)
    }
}

impl Decode<'_, Sqlite> for At {
    fn decode(value: SqliteValueRef<'_>) -> Result<Self, BoxDynError> {
        <i64 as Decode<Sqlite>>::decode(value).map(|ms| Self(Timestamp(ms)))
    }
}

/// A row that this program did not write, or that changed under it.
pub(crate) fn broken(column: &'static str, source: impl Into<BoxDynError>) -> sqlx::Error {
    sqlx::Error::ColumnDecode {
        index: column.to_owned(),
        source: source.into(),
    }
}

pub(crate) fn word<T>(column: &'static str, text: &str, read: fn(&str) -> Option<T>) -> Result<T, sqlx::Error> {
    read(text).ok_or_else(|| broken(column, format!("unknown word {text:?}")))
}

/// A statement about a number, which it takes first: the client, then the number.
pub(crate) fn of_number<'q>(sql: &'static str, key: &'q ConnectionKey) -> Statement<'q> {
    query(sql).bind(key.client_id.0).bind(key.phone_number.as_str())
}

/// The same, of which the first column is wanted.
pub(crate) fn scalar_of_number<'q, T>(
    sql: &'static str,
    key: &'q ConnectionKey,
) -> QueryScalar<'q, Sqlite, T, SqliteArguments>
where
    (T,): for<'r> FromRow<'r, SqliteRow>,
{
    query_scalar(sql).bind(key.client_id.0).bind(key.phone_number.as_str())
}

/// A number of rows as the database takes it.
pub(crate) fn count(rows: usize) -> i64 {
    i64::try_from(rows).unwrap_or(i64::MAX)
}

/// A weight or a number of rows as the database gives it.
pub(crate) fn size(weight: i64) -> usize {
    usize::try_from(weight).unwrap_or(usize::MAX)
}

/// A value as the text of its column, or as a list that a statement takes apart.
pub(crate) fn json_text(value: &(impl Serialize + ?Sized)) -> Result<String, sqlx::Error> {
    serde_json::to_string(value).map_err(|error| sqlx::Error::Encode(Box::new(error)))
}

/// An event's status, by the place of its column.
pub(crate) fn event_status(row: &SqliteRow, place: usize) -> Result<EventStatus, sqlx::Error> {
    word("status", row.try_get(place)?, EventStatus::from_word)
}

pub(crate) fn time(row: &SqliteRow, column: &'static str) -> Result<Timestamp, sqlx::Error> {
    row.try_get::<At, _>(column).map(|at| at.0)
}

pub(crate) fn some_time(row: &SqliteRow, column: &'static str) -> Result<Option<Timestamp>, sqlx::Error> {
    Ok(row.try_get::<Option<At>, _>(column)?.map(|at| at.0))
}

pub(crate) fn number(row: &SqliteRow, column: &'static str) -> Result<PhoneNumber, sqlx::Error> {
    row.try_get::<&str, _>(column)?
        .parse()
        .map_err(|error| broken(column, Box::new(error)))
}

pub(crate) fn client(row: &SqliteRow) -> Result<Client, sqlx::Error> {
    Ok(Client {
        id: ClientId(row.try_get("id")?),
        name: row.try_get("name")?,
        created_at: time(row, "created_at")?,
    })
}

pub(crate) fn connection(row: &SqliteRow) -> Result<Connection, sqlx::Error> {
    Ok(Connection {
        client_id: ClientId(row.try_get("client_id")?),
        phone_number: number(row, "phone_number")?,
        session: SessionView {
            status: word("status", row.try_get("status")?, ConnectionStatus::from_word)?,
            reason: row.try_get("reason")?,
            reason_code: word("reason_code", row.try_get("reason_code")?, ReasonCode::from_word)?,
            jid: row.try_get("jid")?,
            push_name: row.try_get("push_name")?,
            connected_since: some_time(row, "connected_since")?,
            last_event_at: some_time(row, "last_event_at")?,
            reconnect_attempts: row.try_get("reconnect_attempts")?,
            retry_at: None,
            banned_until: some_time(row, "banned_until")?,
            wanted: row.try_get("wanted")?,
            qr: None,
            pair_code: None,
        },
        restarts: 0,
        device_name: row.try_get("device_name")?,
        proxy: row.try_get("proxy_shown")?,
        sending: pace(row)?,
        reject_calls: row.try_get("reject_calls")?,
        mark_read: row.try_get("mark_read")?,
        created_at: time(row, "created_at")?,
        updated_at: time(row, "updated_at")?,
    })
}

fn pace(row: &SqliteRow) -> Result<Option<Pace>, sqlx::Error> {
    let per_second: Option<u32> = row.try_get("sending_per_second")?;
    let burst: Option<u32> = row.try_get("sending_burst")?;
    Ok(per_second
        .zip(burst)
        .map(|(per_second, burst)| Pace { per_second, burst }))
}

/// What a webhook is told of.
pub(crate) fn events(row: &SqliteRow) -> Result<EventKinds, sqlx::Error> {
    let words: Vec<&str> = json(row, "events")?.unwrap_or_default();
    EventKinds::check(words).map_err(|error| broken("events", Box::new(error)))
}

/// Of which chats.
pub(crate) fn chats(row: &SqliteRow) -> Result<ChatKinds, sqlx::Error> {
    let words: Vec<&str> = json(row, "chats")?.unwrap_or_default();
    ChatKinds::check(words).map_err(|error| broken("chats", Box::new(error)))
}

/// What it is told of who sent a message.
pub(crate) fn sender(row: &SqliteRow) -> Result<SenderShown, sqlx::Error> {
    word("sender", row.try_get("sender")?, SenderShown::from_word)
}

/// The first column.
pub(crate) fn webhook_id(row: &SqliteRow) -> Result<WebhookId, sqlx::Error> {
    row.try_get(0).map(WebhookId)
}

pub(crate) fn webhook(row: &SqliteRow) -> Result<Webhook, sqlx::Error> {
    let metadata = row.try_get::<Option<String>, _>("metadata")?;
    Ok(Webhook {
        id: WebhookId(row.try_get("id")?),
        client_id: ClientId(row.try_get("client_id")?),
        phone_number: number(row, "phone_number")?,
        delivery: DeliveryMode::of(row.try_get("webhook_url")?),
        webhook_url: row.try_get("webhook_url")?,
        is_active: row.try_get("is_active")?,
        status: word("status", row.try_get("status")?, WebhookStatus::from_word)?,
        failure_count: row.try_get("failure_count")?,
        max_retries: row.try_get("max_retries")?,
        last_error: row.try_get("last_error")?,
        last_success_at: some_time(row, "last_success_at")?,
        last_attempt_at: some_time(row, "last_attempt_at")?,
        metadata: metadata
            .map(Metadata::of_checked)
            .transpose()
            .map_err(|error| broken("metadata", error))?,
        events: events(row)?,
        chats: chats(row)?,
        sender: sender(row)?,
        hub_signature: row.try_get("hub_signature")?,
        courtesy: courtesy(row)?,
        headers: HeaderNames(json(row, "header_names")?.unwrap_or_default()),
        created_at: time(row, "created_at")?,
        updated_at: time(row, "updated_at")?,
        deleted_at: some_time(row, "deleted_at")?,
    })
}

/// What of an event only its payload has. The view that shows it in columns is for people: SQLite's JSON functions end a
/// text at its first NUL.
#[derive(Deserialize)]
struct FromPayload {
    event: Option<String>,
    from: String,
    to: String,
    #[serde(rename = "type")]
    message_type: String,
    content: Option<String>,
}

fn courtesy(row: &SqliteRow) -> Result<Courtesy, sqlx::Error> {
    let codes: Vec<u64> = json(row, "retry_client_errors")?.unwrap_or_default();
    let retry_client_errors = ClientErrors::of(codes);
    Ok(Courtesy {
        max_in_flight: row.try_get("max_in_flight")?,
        max_per_second: row.try_get("max_per_second")?,
        timeout_ms: row.try_get("timeout_ms")?,
        ordering: word("ordering", row.try_get("ordering")?, Ordering::from_word)?,
        retry_client_errors: retry_client_errors.ok_or_else(|| broken("retry_client_errors", "an unknown code"))?,
        recovery: word("recovery", row.try_get("recovery")?, Recovery::from_word)?,
    })
}

fn json<'r, T: Deserialize<'r>>(row: &'r SqliteRow, column: &'static str) -> Result<Option<T>, sqlx::Error> {
    let text = row.try_get::<Option<&str>, _>(column)?;
    text.map(serde_json::from_str)
        .transpose()
        .map_err(|error| broken(column, error))
}

pub(crate) fn event(row: &SqliteRow) -> Result<Event, sqlx::Error> {
    let FromPayload {
        event,
        from,
        to,
        message_type,
        content,
    } = serde_json::from_str(row.try_get("payload")?).map_err(|error| broken("payload", error))?;
    Ok(Event {
        id: EventId(row.try_get("id")?),
        webhook_id: WebhookId(row.try_get("webhook_id")?),
        sequence: row.try_get("sequence")?,
        event: event.unwrap_or_else(|| EventKind::Message.as_str().to_owned()),
        message_id: row.try_get("message_id")?,
        from,
        to,
        message_type,
        content,
        payload: RawValue::from_string(row.try_get("payload")?).map_err(|error| broken("payload", error))?,
        status: word("status", row.try_get("status")?, EventStatus::from_word)?,
        attempt_count: row.try_get("attempt_count")?,
        http_status: row.try_get("http_status")?,
        response: row.try_get("response")?,
        error: row.try_get("error")?,
        // One that waits for its media has no time.
        next_retry_at: some_time(row, "next_retry_at")?.filter(|at| *at != AWAITS_MEDIA),
        created_at: time(row, "created_at")?,
        delivered_at: some_time(row, "delivered_at")?,
    })
}

/// The largest body that statements answer beside an event that may have to wait, as they take it.
pub(crate) fn kept_payload_bytes() -> i64 {
    i64::try_from(KEPT_PAYLOAD_BYTES).unwrap_or(i64::MAX)
}

/// From `id, seq, sequence, chat, attempt_count, budget_start, next_retry_at, payload`, beginning at the second column.
pub(crate) fn pending_event(row: &SqliteRow) -> Result<PendingEvent, sqlx::Error> {
    Ok(PendingEvent {
        id: EventId(row.try_get::<Uuid, _>(1)?),
        seq: row.try_get(2)?,
        sequence: row.try_get(3)?,
        chat: row.try_get::<&str, _>(4)?.into(),
        attempt_count: row.try_get(5)?,
        budget_start: row.try_get(6)?,
        next_retry_at: row.try_get::<Option<At>, _>(7)?.map(|at| at.0),
        payload: row.try_get::<Option<Vec<u8>>, _>(8)?.map(Bytes::from),
    })
}

/// The same with the webhook before it, which is one that is pushed, and the client as the tenth column.
pub(crate) fn recorded(row: &SqliteRow) -> Result<RecordedEvent, sqlx::Error> {
    Ok(RecordedEvent {
        client_id: ClientId(row.try_get(9)?),
        webhook_id: WebhookId(row.try_get(0)?),
        is_pulled: false,
        event: pending_event(row)?,
    })
}
