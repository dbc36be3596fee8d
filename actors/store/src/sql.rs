//! Every statement, by name. What SQLite and PostgreSQL both understand stands here once; what only one of them does
//! (bulk writes, the loose index scan) stands under `queries/`.

use crate::bulk::{
    ADVANCE_SEQUENCES, COUNT_ATTEMPTS, PUT_KEYS, RECORD_ATTEMPTS, RECORD_INBOUND, RECORD_OUTCOMES, REMOVE_KEYS,
};

macro_rules! client_columns {
    () => {
        "id, name, created_at"
    };
}
macro_rules! connection_columns {
    () => {
        "client_id, phone_number, status, reason, reason_code, jid, push_name, connected_since, last_event_at, \
         reconnect_attempts, wanted, banned_until, device_name, proxy_shown, sending_per_second, sending_burst, created_at, \
         updated_at"
    };
}
macro_rules! webhook_columns {
    () => {
        "id, client_id, phone_number, webhook_url, is_active, status, failure_count, max_retries, last_error, \
         last_success_at, last_attempt_at, metadata, events, hub_signature, max_in_flight, max_per_second, timeout_ms, ordering, \
         retry_client_errors, recovery, header_names, created_at, updated_at, deleted_at"
    };
}
macro_rules! single_columns {
    () => {
        "e.webhook_id, e.id, e.seq, e.sequence, e.chat, e.attempt_count, e.budget_start, e.next_retry_at, e.payload"
    };
}
macro_rules! event_columns {
    () => {
        "e.id, e.webhook_id, e.sequence, e.message_id, e.payload, e.status, e.attempt_count, e.http_status, \
         e.response, e.error, e.next_retry_at, e.created_at, e.delivered_at"
    };
}
macro_rules! outgoing_columns {
    () => {
        "seq, message_id, \"to\", type, message, status, error_code, error, created_at, deadline_at, started_at, sent_at, \
         delivered_at, read_at, played_at, failed_at"
    };
}
/// A kind of what a number's device keeps.
macro_rules! key_columns {
    () => {
        "name, value, at, also FROM whatsapp_keys WHERE client_id = $1 AND phone_number = $2 AND kind = $3"
    };
}
/// The events of webhook $2 of client $1 before place $3, newest first, that meet a condition: those that are not
/// listed yet and those that are, merged.
macro_rules! listed_events {
    ($condition:literal) => {
        concat!(
            "SELECT e.seq, ",
            event_columns!(),
            " FROM webhook_events e WHERE e.seq > (SELECT up_to FROM listed WHERE id = 1) AND e.seq < $3 \
             AND +e.webhook_id = $2 AND e.client_id = $1",
            $condition,
            " UNION ALL SELECT l.seq, ",
            event_columns!(),
            " FROM webhook_event_list l CROSS JOIN webhook_events e ON e.seq = l.seq \
             WHERE l.webhook_id = $2 AND l.seq < $3 AND e.client_id = $1",
            $condition,
            " ORDER BY 1 DESC LIMIT $4"
        )
    };
}
/// The same of a status that has an index.
macro_rules! undelivered_events {
    ($status:literal) => {
        concat!(
            "SELECT ",
            event_columns!(),
            " FROM webhook_events e WHERE e.webhook_id = $2 AND e.client_id = $1 \
             AND e.status <> 'delivered' AND e.status = '",
            $status,
            "' AND e.seq < $3 ORDER BY e.seq DESC LIMIT $4"
        )
    };
}

/// The places of the events of webhook $1 before place $2 and after place $3, newest first: those that are not listed
/// yet and those that are, merged. Whose webhook it is, the caller has asked. A `+` keeps
/// SQLite, which seeks to one bound only, from choosing that one.
macro_rules! listed_places {
    () => {
        "SELECT e.seq FROM webhook_events e \
         WHERE e.seq > (SELECT up_to FROM listed WHERE id = 1) AND e.seq < $2 AND +e.seq > $3 AND +e.webhook_id = $1 \
         UNION ALL SELECT l.seq FROM webhook_event_list l \
         WHERE l.webhook_id = $1 AND l.seq < $2 AND l.seq > $3 \
         ORDER BY 1 DESC"
    };
}
/// What an event filter asks for, from $5 on; what is null is not asked for. A chat that WhatsApp calls by a hidden id is
/// found by the number that its messages come from.
macro_rules! matching {
    () => {
        " AND +e.seq > $5 AND e.created_at >= $6 AND e.created_at < $7 AND ($8 IS NULL OR e.message_id = $8) \
         AND ($9 IS NULL OR e.chat = $9 OR ($10 IS NOT NULL AND e.chat LIKE '%@lid' AND e.payload ->> 'from' = $10)) \
         AND ($11 IS NULL OR e.status = $11) \
         AND ($12 IS NULL OR coalesce(e.payload ->> 'event', 'message') = $12)"
    };
}
macro_rules! statements {
    ($($name:ident = $text:expr;)*) => {
        $(pub(crate) const $name: &str = $text;)*

        /// Every statement of the store with its name, so that a test can prepare each one on each database and look
        /// at its plan. The bulk statements are here with a single row.
        pub fn statements() -> Vec<(&'static str, String)> {
            let mut all = vec![$((stringify!($name), $name.to_owned())),*];
            all.push(("RECORD_INBOUND", RECORD_INBOUND.for_rows(1).to_string()));
            all.push(("ADVANCE_SEQUENCES", ADVANCE_SEQUENCES.for_rows(1).to_string()));
            all.push(("RECORD_ATTEMPTS", RECORD_ATTEMPTS.for_rows(1).to_string()));
            all.push(("COUNT_ATTEMPTS", COUNT_ATTEMPTS.for_rows(1).to_string()));
            all.push(("RECORD_OUTCOMES", RECORD_OUTCOMES.for_rows(1).to_string()));
            all.push(("PUT_KEYS", PUT_KEYS.for_rows(1).to_string()));
            all.push(("REMOVE_KEYS", REMOVE_KEYS.for_rows(1).to_string()));
            all
        }
    };
}

statements! {
    CLIENT_OF_TOKEN = "SELECT id FROM clients WHERE token_hash = $1 AND removed_at IS NULL";
    CLIENTS = concat!("SELECT ", client_columns!(), " FROM clients WHERE removed_at IS NULL ORDER BY id");
    REMOVED_CLIENTS = "SELECT id FROM clients WHERE removed_at IS NOT NULL ORDER BY id";
    ADD_CLIENT = concat!(
        "INSERT INTO clients (name, token_hash, created_at, updated_at) VALUES ($1, $2, $3, $3) RETURNING ",
        client_columns!()
    );
    ROTATE_CLIENT = concat!(
        "UPDATE clients SET token_hash = $2, updated_at = $3 WHERE id = $1 AND removed_at IS NULL RETURNING ",
        client_columns!()
    );
    REMOVE_CLIENT = "UPDATE clients SET removed_at = $2, updated_at = $2 WHERE id = $1 AND removed_at IS NULL";
    PURGE_CLIENT_UNLISTED = "DELETE FROM webhook_events \
        WHERE seq > (SELECT up_to FROM listed WHERE id = 1) AND client_id = $1";
    PURGE_CLIENT_EVENTS = "DELETE FROM webhook_events WHERE seq IN (\
        SELECT l.seq FROM whatsapp_webhooks w \
        CROSS JOIN webhook_event_list l ON l.webhook_id = w.id WHERE w.client_id = $1 LIMIT $2)";
    // Which ones are gone by now is asked in the same order.
    PURGE_CLIENT_LIST = "DELETE FROM webhook_event_list WHERE (webhook_id, seq) IN (\
        SELECT l.webhook_id, l.seq FROM whatsapp_webhooks w \
        CROSS JOIN webhook_event_list l ON l.webhook_id = w.id WHERE w.client_id = $1 LIMIT $2)";
    PURGE_CLIENT_DEVICES = "DELETE FROM whatsapp_keys WHERE rowid IN (\
        SELECT k.rowid FROM whatsapp_keys k WHERE k.client_id = $1 LIMIT $2)";
    PURGE_CLIENT_WEBHOOKS = "DELETE FROM whatsapp_webhooks WHERE client_id = $1";
    PURGE_CLIENT_CONNECTIONS = "DELETE FROM whatsapp_connections WHERE client_id = $1";
    PURGE_CLIENT_KEYS = "DELETE FROM idempotency_keys WHERE client_id = $1";
    PURGE_CLIENT_POLLS = "DELETE FROM whatsapp_polls WHERE client_id = $1";
    PURGE_CLIENT_OUTGOING = "DELETE FROM whatsapp_outgoing_messages WHERE client_id = $1";
    PURGE_CLIENT_MEDIA = "DELETE FROM whatsapp_media WHERE client_id = $1";
    PURGE_CLIENT = "DELETE FROM clients WHERE id = $1";

    CONNECTIONS = concat!(
        "SELECT ", connection_columns!(), " FROM whatsapp_connections WHERE client_id = $1 ORDER BY phone_number"
    );
    CONNECTION = concat!(
        "SELECT ", connection_columns!(), " FROM whatsapp_connections WHERE client_id = $1 AND phone_number = $2"
    );
    CREATE_CONNECTION = concat!(
        "INSERT INTO whatsapp_connections \
            (client_id, phone_number, status, wanted, created_at, updated_at, device_name, proxy_shown, proxy_sealed, \
             sending_per_second, sending_burst) \
         VALUES ($1, $2, $3, true, $4, $4, $5, $6, $7, $8, $9) ON CONFLICT (client_id, phone_number) DO NOTHING RETURNING ",
        connection_columns!()
    );
    RECORD_CONNECTION = "UPDATE whatsapp_connections \
        SET status = $3, reason = $4, jid = $5, push_name = $6, connected_since = $7, last_event_at = $8, \
            reconnect_attempts = $9, wanted = $10, updated_at = $11, reason_code = $12, banned_until = $13 \
        WHERE client_id = $1 AND phone_number = $2";
    UPDATE_CONNECTION = concat!(
        "UPDATE whatsapp_connections SET device_name = CASE WHEN $3 THEN $4 ELSE device_name END, \
            proxy_shown = CASE WHEN $5 THEN $6 ELSE proxy_shown END, \
            proxy_sealed = CASE WHEN $5 THEN $7 ELSE proxy_sealed END, updated_at = $8, \
            sending_per_second = CASE WHEN $9 THEN $10 ELSE sending_per_second END, \
            sending_burst = CASE WHEN $9 THEN $11 ELSE sending_burst END \
         WHERE client_id = $1 AND phone_number = $2 RETURNING ",
        connection_columns!()
    );
    SEALED_PROXY = "SELECT proxy_sealed FROM whatsapp_connections WHERE client_id = $1 AND phone_number = $2";
    ANY_PROXY = "SELECT client_id, phone_number, proxy_sealed FROM whatsapp_connections WHERE proxy_sealed IS NOT NULL LIMIT 1";
    DELETE_CONNECTION = "DELETE FROM whatsapp_connections WHERE client_id = $1 AND phone_number = $2";

    WEBHOOKS = concat!(
        "SELECT ", webhook_columns!(), " FROM whatsapp_webhooks \
         WHERE client_id = $1 AND deleted_at IS NULL ORDER BY id"
    );
    WEBHOOK = concat!("SELECT ", webhook_columns!(), " FROM whatsapp_webhooks WHERE id = $2 AND client_id = $1");
    WEBHOOKS_WITH_WORK = "SELECT w.id FROM whatsapp_webhooks w \
        WHERE w.client_id = $1 AND w.deleted_at IS NULL AND w.is_active AND (EXISTS \
            (SELECT 1 FROM webhook_events e WHERE e.webhook_id = w.id AND e.status = 'pending') \
            OR (w.recovery = 'auto' AND EXISTS (SELECT 1 FROM webhook_events e \
                WHERE e.webhook_id = w.id AND e.status = 'failed' AND e.next_retry_at IS NOT NULL)))";
    REGISTER_WEBHOOK = concat!(
        "INSERT INTO whatsapp_webhooks \
            (client_id, id, phone_number, webhook_url, max_retries, is_active, metadata, created_at, updated_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $8) \
         ON CONFLICT (client_id, phone_number) WHERE deleted_at IS NULL DO NOTHING RETURNING ",
        webhook_columns!()
    );
    UPDATE_WEBHOOK = concat!(
        "UPDATE whatsapp_webhooks \
         SET webhook_url = coalesce($3, webhook_url), max_retries = coalesce($4, max_retries), \
             is_active = coalesce($5, is_active), metadata = CASE WHEN $6 THEN $7 ELSE metadata END, \
             hub_signature = coalesce($9, hub_signature), events = coalesce($10, events), updated_at = $8 \
         WHERE id = $2 AND client_id = $1 AND deleted_at IS NULL RETURNING ",
        webhook_columns!()
    );
    SET_COURTESY = "UPDATE whatsapp_webhooks \
        SET max_in_flight = $3, max_per_second = $4, timeout_ms = $5, ordering = $6, retry_client_errors = $7, recovery = $8 \
        WHERE id = $2 AND client_id = $1 AND deleted_at IS NULL";
    SET_HEADERS = "UPDATE whatsapp_webhooks SET header_names = $3, headers_sealed = $4, updated_at = $5 \
        WHERE id = $2 AND client_id = $1 AND deleted_at IS NULL";
    SEALED_HEADERS = "SELECT headers_sealed FROM whatsapp_webhooks \
        WHERE id = $2 AND client_id = $1 AND headers_sealed IS NOT NULL";
    ANY_HEADERS = "SELECT id, headers_sealed FROM whatsapp_webhooks WHERE headers_sealed IS NOT NULL LIMIT 1";
    DEACTIVATE_WEBHOOK = concat!(
        "UPDATE whatsapp_webhooks SET is_active = false, last_error = $3, updated_at = $4 \
         WHERE id = $2 AND client_id = $1 AND deleted_at IS NULL RETURNING ",
        webhook_columns!()
    );
    DELETE_WEBHOOK = "UPDATE whatsapp_webhooks SET deleted_at = $3, updated_at = $3 \
        WHERE id = $2 AND client_id = $1 AND deleted_at IS NULL";
    WEBHOOK_SECRETS = "SELECT sealed, expires_at FROM whatsapp_webhook_secrets \
        WHERE webhook_id = (SELECT id FROM whatsapp_webhooks WHERE id = $2 AND client_id = $1) ORDER BY generation DESC";
    ANY_SECRET = "SELECT webhook_id, sealed FROM whatsapp_webhook_secrets LIMIT 1";
    ADD_SECRET = "INSERT INTO whatsapp_webhook_secrets (webhook_id, generation, sealed, created_at) \
        SELECT w.id, coalesce((SELECT max(s.generation) FROM whatsapp_webhook_secrets s WHERE s.webhook_id = w.id), 0) + 1, \
            $3, $4 \
        FROM whatsapp_webhooks w WHERE w.id = $2 AND w.client_id = $1 AND w.deleted_at IS NULL";
    EXPIRE_SECRETS = "UPDATE whatsapp_webhook_secrets SET expires_at = $2 \
        WHERE webhook_id = $1 AND (expires_at IS NULL OR expires_at > $2) AND generation < \
            (SELECT max(s.generation) FROM whatsapp_webhook_secrets s WHERE s.webhook_id = $1)";
    DROP_SECRETS = "DELETE FROM whatsapp_webhook_secrets \
        WHERE webhook_id = $1 AND (expires_at <= $2 OR generation <= \
            (SELECT max(s.generation) FROM whatsapp_webhook_secrets s WHERE s.webhook_id = $1) - $3)";
    FAIL_EVENTS_OF_WEBHOOK = "UPDATE webhook_events \
        SET status = 'failed', error = 'webhook deleted', next_retry_at = NULL \
        WHERE seq IN (SELECT seq FROM webhook_events WHERE webhook_id = $1 AND status = 'pending' LIMIT $2)";
    DELETED_WEBHOOKS_WITH_PENDING = "SELECT w.id FROM whatsapp_webhooks w \
        WHERE w.deleted_at IS NOT NULL AND EXISTS \
            (SELECT 1 FROM webhook_events e WHERE e.webhook_id = w.id AND e.status = 'pending') LIMIT 1";

    LINE = "SELECT w.id, coalesce((SELECT s.last FROM number_sequences s \
            WHERE s.client_id = w.client_id AND s.phone_number = w.phone_number), 0), w.events \
        FROM whatsapp_webhooks w WHERE w.client_id = $1 AND w.phone_number = $2 AND w.deleted_at IS NULL";
    WANTED_EVENTS = "SELECT w.events FROM whatsapp_webhooks w \
        WHERE w.client_id = $1 AND w.phone_number = $2 AND w.deleted_at IS NULL";
    IS_RECORDED = "SELECT EXISTS (SELECT 1 FROM webhook_events e WHERE e.message_key = $1)";
    TAKE_BACK = "DELETE FROM webhook_events WHERE id = $1 AND seq > $2";
    LISTED_UP_TO = "SELECT up_to FROM listed WHERE id = 1";
    LIST_EVENTS = "INSERT INTO webhook_event_list (webhook_id, seq) \
        SELECT e.webhook_id, e.seq FROM webhook_events e \
        WHERE e.seq > (SELECT up_to FROM listed WHERE id = 1) AND e.seq <= $1";
    LIST_UP_TO = "UPDATE listed SET up_to = $1 WHERE id = 1 AND up_to < $1";

    EVENT = concat!("SELECT ", event_columns!(), " FROM webhook_events e WHERE e.id = $2 AND e.client_id = $1");
    EVENTS_ALL = listed_events!("");
    EVENTS_MATCHING = concat!(
        "SELECT e.seq, ", event_columns!(), " FROM webhook_events e \
         WHERE e.seq > (SELECT up_to FROM listed WHERE id = 1) AND e.seq < $3 AND +e.webhook_id = $2 AND e.client_id = $1",
        matching!(),
        " UNION ALL SELECT l.seq, ", event_columns!(), " FROM webhook_event_list l \
         CROSS JOIN webhook_events e ON e.seq = l.seq \
         WHERE l.webhook_id = $2 AND l.seq < $3 AND e.client_id = $1 AND l.seq > $5",
        matching!(),
        " ORDER BY 1 DESC LIMIT $4"
    );
    UNDELIVERED_MATCHING = concat!(
        "SELECT e.seq, ", event_columns!(), " FROM webhook_events e WHERE e.webhook_id = $2 AND e.client_id = $1 \
         AND e.status <> 'delivered' AND e.status = $11 AND e.seq < $3 AND e.seq > $5",
        matching!(),
        " ORDER BY e.seq DESC LIMIT $4"
    );
    LIST_FLOOR = concat!(listed_places!(), " LIMIT 2 OFFSET $4");
    UNDELIVERED_FLOOR = "SELECT e.seq FROM webhook_events e \
        WHERE e.webhook_id = $1 AND e.status <> 'delivered' AND e.status = $5 AND e.seq < $2 AND e.seq > $3 \
        ORDER BY e.seq DESC LIMIT 2 OFFSET $4";
    EVENT_AT = "SELECT id FROM webhook_events WHERE seq = $1";
    NEXT_CREATED = "SELECT seq, created_at FROM webhook_events WHERE seq >= $1 ORDER BY seq LIMIT 1";
    LAST_PLACE = "SELECT max(seq) FROM webhook_events";

    ATTEMPTS = "SELECT a.number, a.started_at, a.duration_ms, a.http_status, a.error, a.response, a.manual \
        FROM whatsapp_webhook_attempts a \
        WHERE a.event_seq = (SELECT e.seq FROM webhook_events e WHERE e.id = $2 AND e.client_id = $1) \
        ORDER BY a.number DESC LIMIT $3";
    ATTEMPTS_SINCE = concat!(
        "SELECT a.started_at, a.duration_ms, a.error IS NULL, e.status = 'failed' AND a.number = e.attempt_count \
         FROM (", listed_places!(), " LIMIT $4) s \
         CROSS JOIN webhook_events e ON e.seq = s.seq \
         CROSS JOIN whatsapp_webhook_attempts a ON a.event_seq = s.seq \
         WHERE a.started_at >= $5 LIMIT $6"
    );
    COUNT_PENDING = "SELECT count(*) FROM (SELECT 1 FROM webhook_events \
        WHERE webhook_id = $1 AND status = 'pending' LIMIT $2) AS s";
    OLDEST_PENDING = "SELECT created_at FROM webhook_events \
        WHERE webhook_id = $1 AND status <> 'delivered' AND status = 'pending' ORDER BY seq LIMIT 1";

    FAILED_STEP = "SELECT max(s.seq), count(*) FROM (SELECT e.seq FROM webhook_events e \
        WHERE e.webhook_id = $1 AND e.status <> 'delivered' AND e.status = 'failed' AND e.seq > $2 AND e.seq < $3 \
        ORDER BY e.seq LIMIT $4) AS s";
    FAILED_EVENTS = "SELECT e.seq, e.created_at FROM webhook_events e \
        WHERE e.webhook_id = $2 AND e.client_id = $1 AND e.status <> 'delivered' AND e.status = 'failed' \
            AND e.seq > $3 AND e.seq <= $4 AND e.created_at >= $5 AND e.created_at < $6 \
            AND ($7 IS NULL OR substr(e.error, 1, length($7)) = $7) ORDER BY e.seq LIMIT $8";
    RENEW_FAILED = include_str!("../queries/sqlite/renew_failed.sql");

    // How many of a client's events were removed, and up to which place some of a number's.
    PURGED = "SELECT coalesce(sum(purged), 0), \
            coalesce(max(CASE WHEN $2 IS NULL OR phone_number = $2 THEN purged_up_to END), 0) \
        FROM number_sequences WHERE client_id = $1";
    PLACE_OF = "SELECT seq FROM webhook_events WHERE id = $2 AND client_id = $1";
    // Of each webhook of client $1 the first listed event after place $2.
    PULL_HEADS = "SELECT (SELECT l.seq FROM webhook_event_list l \
            WHERE l.webhook_id = w.id AND l.seq > $2 ORDER BY l.seq LIMIT 1) \
        FROM whatsapp_webhooks w WHERE w.client_id = $1 AND ($3 IS NULL OR w.phone_number = $3)";
    // Of each webhook of client $1 the first $4 listed events after place $2, up to place $5.
    PULL_LISTED = "SELECT l.seq FROM whatsapp_webhooks w CROSS JOIN webhook_event_list l \
        WHERE w.client_id = $1 AND ($3 IS NULL OR w.phone_number = $3) AND l.webhook_id = w.id AND l.seq IN (\
            SELECT n.seq FROM webhook_event_list n \
            WHERE n.webhook_id = w.id AND n.seq > $2 AND n.seq <= $5 ORDER BY n.seq LIMIT $4)";
    PULL_UNLISTED = "SELECT e.seq FROM webhook_events e \
        WHERE +e.seq > $2 AND e.seq > (SELECT up_to FROM listed WHERE id = 1) AND e.client_id = $1 \
            AND ($3 IS NULL OR $3 = (SELECT w.phone_number FROM whatsapp_webhooks w WHERE w.id = e.webhook_id)) \
        ORDER BY e.seq LIMIT $4";
    PULL_EVENTS = concat!(
        "SELECT ", event_columns!(), " FROM json_each($2) c CROSS JOIN webhook_events e \
         WHERE e.seq = c.value AND e.client_id = $1"
    );
    EVENTS_PENDING = undelivered_events!("pending");
    EVENTS_FAILED = undelivered_events!("failed");
    EVENT_SEQ = "SELECT seq FROM webhook_events WHERE id = $3 AND webhook_id = $2 AND client_id = $1";
    PAYLOAD = "SELECT payload FROM webhook_events WHERE id = $1";
    NEXT_DUE_AT = "SELECT min(next_retry_at) FROM webhook_events \
        WHERE webhook_id = $1 AND status = 'pending' AND next_retry_at IS NOT NULL";
    DUE_HEADS = include_str!("../queries/sqlite/due_heads.sql");
    DUE_EVENTS = include_str!("../queries/sqlite/due_events.sql");
    // Each pending event by itself, in the order of webhook_events_pending: the rest of a chat, then the chats
    // after it. As one comparison of rows SQLite would seek to the chat only, and read it from its beginning each time.
    DUE_SINGLES_OF_CHAT = concat!(
        "SELECT ", single_columns!(), " FROM webhook_events e \
         WHERE e.webhook_id = $1 AND e.status = 'pending' AND e.chat = $2 AND e.seq > $3 ORDER BY e.seq LIMIT $4"
    );
    DUE_SINGLES_AFTER_CHAT = concat!(
        "SELECT ", single_columns!(), " FROM webhook_events e \
         WHERE e.webhook_id = $1 AND e.status = 'pending' AND e.chat > $2 ORDER BY e.chat, e.seq LIMIT $3"
    );
    // Named, because SQLite takes the list's index otherwise and reads every event that a receiver refused.
    PARKED_EVENTS = "SELECT id, seq, next_retry_at FROM webhook_events INDEXED BY webhook_events_parked \
        WHERE webhook_id = $1 AND status = 'failed' AND next_retry_at IS NOT NULL AND seq > $2 ORDER BY seq LIMIT $3";
    REVIVE_EVENT = "UPDATE webhook_events SET status = 'pending', next_retry_at = NULL \
        WHERE id = $2 AND webhook_id = $1 AND status = 'failed' AND next_retry_at IS NOT NULL \
        RETURNING webhook_id, id, seq, sequence, chat, attempt_count, budget_start, next_retry_at, payload, client_id";
    EVENT_TO_RENEW = "SELECT e.status, w.is_active, w.deleted_at IS NOT NULL, \
            e.status = 'pending' AND e.next_retry_at IS NOT DISTINCT FROM $3 \
        FROM webhook_events e JOIN whatsapp_webhooks w ON w.id = e.webhook_id \
        WHERE e.id = $2 AND e.client_id = $1";
    RENEW_EVENT = "UPDATE webhook_events \
        SET status = 'pending', next_retry_at = NULL, delivered_at = NULL, budget_start = attempt_count WHERE id = $1 \
        RETURNING webhook_id, id, seq, sequence, chat, attempt_count, budget_start, next_retry_at, payload";

    KEY = concat!("SELECT ", key_columns!(), " AND name = $4");
    KEYS_NAMED = "SELECT k.name, k.value, k.at, k.also FROM json_each($4) j CROSS JOIN whatsapp_keys k \
        WHERE k.client_id = $1 AND k.phone_number = $2 AND k.kind = $3 AND k.name = unhex(j.value)";
    KEYS_BETWEEN = concat!("SELECT ", key_columns!(), " AND name >= $4 AND name < $5 ORDER BY name");
    HAS_KEYS = "SELECT EXISTS (SELECT 1 FROM whatsapp_keys \
        WHERE client_id = $1 AND phone_number = $2 AND kind = $3 AND name >= $4 AND name < $5)";
    LAST_KEY_NAME = "SELECT name FROM whatsapp_keys WHERE client_id = $1 AND phone_number = $2 AND kind = $3 \
        ORDER BY name DESC LIMIT 1";
    HAS_KEYS_BEFORE = "SELECT EXISTS (SELECT 1 FROM whatsapp_keys \
        WHERE client_id = $1 AND phone_number = $2 AND kind = $3 AND at > 0 AND at < $4)";
    HAS_PENDING_BEFORE = "SELECT EXISTS (SELECT 1 FROM whatsapp_keys \
        WHERE client_id = $1 AND phone_number = $2 AND kind = $3 AND also < $4)";
    ANY_KEY = "SELECT name, value, at, also, kind, client_id, phone_number FROM whatsapp_keys \
        WHERE value <> x'' LIMIT 1";
    TAKE_KEY = "DELETE FROM whatsapp_keys \
        WHERE client_id = $1 AND phone_number = $2 AND kind = $3 AND name = $4 RETURNING value";
    REMOVE_KEYS_BETWEEN = "DELETE FROM whatsapp_keys \
        WHERE client_id = $1 AND phone_number = $2 AND kind = $3 AND name >= $4 AND name < $5";
    REMOVE_KEYS_BEFORE = "DELETE FROM whatsapp_keys \
        WHERE client_id = $1 AND phone_number = $2 AND kind = $3 AND at > 0 AND at < $4";
    REMOVE_PENDING_BEFORE = "DELETE FROM whatsapp_keys \
        WHERE client_id = $1 AND phone_number = $2 AND kind = 'pending_message' AND also < $3";
    RECEIVE_TOKEN = "INSERT INTO whatsapp_keys (client_id, phone_number, kind, name, value, at) \
        VALUES ($1, $2, 'trust_token', $3, $4, $5) \
        ON CONFLICT (client_id, phone_number, kind, name) DO UPDATE SET value = excluded.value, at = excluded.at \
        WHERE whatsapp_keys.value = x'' OR excluded.at >= whatsapp_keys.at";
    TOKEN_SENT = "INSERT INTO whatsapp_keys (client_id, phone_number, kind, name, value, at, also) \
        VALUES ($1, $2, 'trust_token', $3, x'', $4, $4) \
        ON CONFLICT (client_id, phone_number, kind, name) \
        DO UPDATE SET also = max(coalesce(whatsapp_keys.also, excluded.also), excluded.also)";
    REMOVE_TOKENS = "DELETE FROM whatsapp_keys WHERE client_id = $1 AND phone_number = $2 AND kind = 'trust_token' \
        AND (value = x'' OR at < $3) AND (also IS NULL OR also < $4)";
    FORGET_KEYS = "DELETE FROM whatsapp_keys WHERE client_id = $1 AND phone_number = $2";

    FIND_KEY = "SELECT body_hash, answer FROM idempotency_keys \
        WHERE client_id = $1 AND phone_number = $2 AND idempotency_key = $3 AND created_at >= $4";
    CLAIM_KEY = "INSERT INTO idempotency_keys (client_id, phone_number, idempotency_key, body_hash, created_at) \
        VALUES ($1, $2, $3, $4, $5) \
        ON CONFLICT (client_id, phone_number, idempotency_key) \
        DO UPDATE SET body_hash = excluded.body_hash, answer = NULL, created_at = excluded.created_at";
    COMPLETE_KEY = "UPDATE idempotency_keys SET answer = $4 \
        WHERE client_id = $1 AND phone_number = $2 AND idempotency_key = $3";
    RELEASE_KEY = "DELETE FROM idempotency_keys \
        WHERE client_id = $1 AND phone_number = $2 AND idempotency_key = $3 AND answer IS NULL";
    KEEP_POLL = "INSERT INTO whatsapp_polls (client_id, phone_number, message_id, options, created_at) \
        VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING";
    POLL_OPTIONS = "SELECT options FROM whatsapp_polls WHERE client_id = $1 AND phone_number = $2 AND message_id = $3";
    FORGET_POLLS = "DELETE FROM whatsapp_polls WHERE client_id = $1 AND phone_number = $2";
    PURGE_POLLS = "DELETE FROM whatsapp_polls WHERE (client_id, phone_number, message_id) IN (\
        SELECT k.client_id, k.phone_number, k.message_id FROM whatsapp_polls k WHERE k.created_at < $1 LIMIT $2)";
    PURGE_KEYS = "DELETE FROM idempotency_keys WHERE (client_id, phone_number, idempotency_key) IN (\
        SELECT k.client_id, k.phone_number, k.idempotency_key FROM idempotency_keys k WHERE k.created_at < $1 LIMIT $2)";

    RECORD_OUTGOING = "INSERT INTO whatsapp_outgoing_messages \
        (client_id, phone_number, message_id, \"to\", type, message, status, created_at, deadline_at, started_at, file) \
        VALUES ($1, $2, $3, $4, $5, $6, 'queued', $7, $8, $9, $10) ON CONFLICT DO NOTHING";
    KEEP_OUTGOING_FILE = "UPDATE whatsapp_outgoing_messages SET message = $4, file = $5 \
        WHERE client_id = $1 AND phone_number = $2 AND message_id = $3 AND status = 'queued'";
    OUTGOING_FILE = "SELECT file FROM whatsapp_outgoing_messages \
        WHERE client_id = $1 AND phone_number = $2 AND message_id = $3";
    OUTGOING_MESSAGE = concat!(
        "SELECT ", outgoing_columns!(), " FROM whatsapp_outgoing_messages \
         WHERE client_id = $1 AND phone_number = $2 AND message_id = $3"
    );
    OUTGOING_PLACE = "SELECT seq FROM whatsapp_outgoing_messages \
        WHERE client_id = $1 AND phone_number = $2 AND message_id = $3";
    OUTGOING_MESSAGES = concat!(
        "SELECT ", outgoing_columns!(), " FROM whatsapp_outgoing_messages \
         WHERE client_id = $1 AND phone_number = $2 AND seq < $3 ORDER BY seq DESC LIMIT $4"
    );
    OUTGOING_MESSAGES_OF_STATUS = concat!(
        "SELECT ", outgoing_columns!(), " FROM whatsapp_outgoing_messages \
         WHERE client_id = $1 AND phone_number = $2 AND seq < $3 AND +status = $5 ORDER BY seq DESC LIMIT $4"
    );
    QUEUED_MESSAGES = concat!(
        "SELECT ", outgoing_columns!(), ", file FROM whatsapp_outgoing_messages \
         WHERE client_id = $1 AND phone_number = $2 AND status = 'queued' ORDER BY seq"
    );
    NOTE_OUTGOING = "UPDATE whatsapp_outgoing_messages \
        SET status = $2, error_code = $3, error = $4, started_at = $5, sent_at = $6, delivered_at = $7, read_at = $8, \
            played_at = $9, failed_at = $10 WHERE seq = $1";
    PURGE_OUTGOING = "DELETE FROM whatsapp_outgoing_messages WHERE seq IN (\
        SELECT o.seq FROM whatsapp_outgoing_messages o WHERE o.created_at < $3 AND (\
            (+o.status = 'failed' AND +o.created_at < $2) \
            OR (+o.status NOT IN ('failed', 'queued') AND +o.created_at < $1)) ORDER BY o.created_at LIMIT $4)";
    KEEP_MEDIA = "INSERT INTO whatsapp_media \
            (id, client_id, phone_number, state, due_at, created_at, size, mime_type, sha256, sealed, expires_at) \
        VALUES ($1, $2, $3, 'pending', $4, $4, $5, $6, $7, $8, $9)";
    HOLD_EVENT = "UPDATE webhook_events SET next_retry_at = $2 WHERE seq = $1";
    DUE_MEDIA = include_str!("../queries/sqlite/due_media.sql");
    END_MEDIA = "UPDATE whatsapp_media \
        SET state = $2, size = coalesce($3, size), error = $4, due_at = NULL, sealed = NULL WHERE id = $1 AND state = 'pending'";
    RELEASE_EVENT = "UPDATE webhook_events SET next_retry_at = NULL, payload = coalesce($3, payload) \
        WHERE id = $1 AND status = 'pending' AND next_retry_at = $2 \
        RETURNING webhook_id, id, seq, sequence, chat, attempt_count, budget_start, next_retry_at, payload, client_id";
    POSTPONE_MEDIA = "UPDATE whatsapp_media SET attempts = $2, due_at = $3, sealed = coalesce($4, sealed) \
        WHERE id = $1 AND state = 'pending'";
    MEDIA = "SELECT state, size, mime_type, sha256, expires_at, error FROM whatsapp_media WHERE id = $2 AND client_id = $1";
    MEDIA_BYTES = "SELECT coalesce(sum(size), 0) FROM whatsapp_media WHERE client_id = $1 AND state = 'kept'";
    EXPIRED_MEDIA = "SELECT client_id, id FROM whatsapp_media \
        WHERE state <> 'pending' AND expires_at < $1 ORDER BY expires_at LIMIT $2";
    PURGE_MEDIA = "DELETE FROM whatsapp_media WHERE id = $1 AND state <> 'pending'";

    VISIT_EVENTS = "SELECT seq, status, created_at FROM webhook_events WHERE seq > $1 ORDER BY seq LIMIT $2";
    PURGE_LIST = "DELETE FROM webhook_event_list WHERE (webhook_id, seq) IN (\
        SELECT e.webhook_id, e.seq FROM json_each($1) j CROSS JOIN webhook_events e ON e.seq = j.value \
        WHERE (+e.status = 'delivered' AND e.created_at < $2) OR (+e.status = 'failed' AND e.created_at < $3))";
    PURGE_EVENTS = "DELETE FROM webhook_events WHERE seq IN (SELECT j.value FROM json_each($1) j) \
        AND ((+status = 'delivered' AND created_at < $2) OR (+status = 'failed' AND created_at < $3))";
    EMPTY_WEBHOOKS = "SELECT w.id FROM whatsapp_webhooks w WHERE w.deleted_at < $1 \
        AND NOT EXISTS (SELECT 1 FROM webhook_event_list l WHERE l.webhook_id = w.id) \
        AND NOT EXISTS (SELECT 1 FROM webhook_events e \
            WHERE e.seq > (SELECT up_to FROM listed WHERE id = 1) AND +e.webhook_id = w.id) LIMIT $2";
    PURGE_WEBHOOK = "DELETE FROM whatsapp_webhooks WHERE id = $1 AND deleted_at IS NOT NULL";
    PENDING_EVENTS = "SELECT count(*) FROM (SELECT 1 FROM whatsapp_webhooks w \
        CROSS JOIN webhook_events e ON e.webhook_id = w.id \
        WHERE w.client_id = $1 AND e.status = 'pending' LIMIT $2)";
    RETENTION_SEEN_AT = "SELECT seen_at FROM retention WHERE id = 1";
    NOTE_RETENTION = "INSERT INTO retention (id, seen_at) VALUES (1, $1) \
        ON CONFLICT (id) DO UPDATE SET seen_at = excluded.seen_at";
    COUNT_WEBHOOKS = "SELECT count(*) FROM whatsapp_webhooks WHERE client_id = $1 AND deleted_at IS NULL";
    COUNT_CONNECTIONS = "SELECT count(*) FROM whatsapp_connections WHERE client_id = $1";

    CHECKPOINT = "PRAGMA wal_checkpoint(PASSIVE)";
    WRITE_CHECK = "INSERT INTO write_check (id, checks) VALUES (1, 1) \
        ON CONFLICT (id) DO UPDATE SET checks = write_check.checks + 1";
}
