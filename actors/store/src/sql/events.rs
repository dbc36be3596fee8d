//! Events of webhooks: recorded, listed, pulled, due, retried.

macro_rules! event_columns {
    () => {
        "e.id, e.webhook_id, e.sequence, e.message_id, e.payload, e.status, e.attempt_count, e.http_status, \
         e.response, e.error, e.next_retry_at, e.created_at, e.delivered_at"
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
/// The pending events of webhook $1 that the JSON array $2 lists, in its order, with bodies of up to $3 bytes.
macro_rules! due_singles {
    ($listed:literal) => {
        concat!(
            "SELECT e.webhook_id, e.id, e.seq, e.sequence, e.chat, e.attempt_count, e.budget_start, e.next_retry_at, \
                CASE WHEN octet_length(e.payload) <= $3 THEN e.payload END \
             FROM json_each($2) c CROSS JOIN webhook_events e \
             WHERE ",
            $listed,
            " AND e.webhook_id = $1 AND e.status = 'pending'"
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
/// found by the number that its messages come from or go to, and people's status updates, of which each one's are in a chat of their
/// own (wharf_domain::message::update_chat), by the chat that WhatsApp has them all in.
macro_rules! matching {
    () => {
        " AND +e.seq > $5 AND e.created_at >= $6 AND e.created_at < $7 AND ($8 IS NULL OR e.message_id = $8) \
         AND ($9 IS NULL OR e.chat = $9 OR ($9 = 'status@broadcast' AND e.chat GLOB 'status@broadcast/*') OR ($10 IS NOT NULL AND e.chat LIKE '%@lid' AND \
            CASE WHEN coalesce(e.payload ->> 'event', 'message') IN ('message.sent', 'message.status') \
                THEN e.payload ->> 'to' ELSE e.payload ->> 'from' END = $10)) \
         AND ($11 IS NULL OR e.status = $11) \
         AND ($12 IS NULL OR coalesce(e.payload ->> 'event', 'message') = $12)"
    };
}

statements! {
    LINE = "SELECT w.id, coalesce((SELECT s.last FROM number_sequences s \
            WHERE s.client_id = w.client_id AND s.phone_number = w.phone_number), 0), w.events, w.chats, w.webhook_url IS NULL \
        FROM whatsapp_webhooks w WHERE w.client_id = $1 AND w.phone_number = $2 AND w.deleted_at IS NULL";
    WANTED = "SELECT w.events, w.chats, w.sender FROM whatsapp_webhooks w \
        WHERE w.client_id = $1 AND w.phone_number = $2 AND w.deleted_at IS NULL";
    IS_RECORDED = "SELECT EXISTS (SELECT 1 FROM webhook_events e WHERE e.message_key = $1)";
    // If it is what the $2 rows of the last insert made: AUTOINCREMENT gives each of them a place, also those that were not new.
    TAKE_BACK = "DELETE FROM webhook_events WHERE id = $1 \
        AND seq > (SELECT s.seq FROM sqlite_sequence s WHERE s.name = 'webhook_events') - $2";
    // Of the events from place $1 to $2, which were made just now, those that are pulled and wait for no file.
    DELIVER_PULLED = "UPDATE webhook_events AS e SET status = 'delivered', delivered_at = e.created_at \
        WHERE e.seq BETWEEN $1 AND $2 AND e.next_retry_at IS NULL \
            AND EXISTS (SELECT 1 FROM whatsapp_webhooks w WHERE w.id = e.webhook_id AND w.webhook_url IS NULL)";
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
        WHERE a.event_seq = $1 ORDER BY a.number DESC LIMIT $2";
    FORGET_ATTEMPTS = "DELETE FROM whatsapp_webhook_attempts WHERE event_seq = $1 AND number IN (\
        SELECT a.number FROM whatsapp_webhook_attempts a WHERE a.event_seq = $1 AND a.number <= $2 \
        ORDER BY a.number LIMIT $3)";
    ATTEMPTS_SINCE = concat!(
        "SELECT a.started_at, a.duration_ms, a.error IS NULL, e.status = 'failed' AND a.number = e.attempt_count \
         FROM (", listed_places!(), " LIMIT $4) s \
         CROSS JOIN webhook_events e ON e.seq = s.seq \
         CROSS JOIN whatsapp_webhook_attempts a ON a.event_seq = s.seq \
         WHERE a.started_at >= $5 LIMIT $6"
    );
    DELIVERED_SINCE = concat!(
        "SELECT e.delivered_at FROM (", listed_places!(), " LIMIT $4) s \
         CROSS JOIN webhook_events e ON e.seq = s.seq \
         WHERE e.delivered_at >= $5 LIMIT $6"
    );
    COUNT_PENDING = "SELECT count(*) FROM (SELECT 1 FROM webhook_events \
        WHERE webhook_id = $1 AND status = 'pending' LIMIT $2) AS s";
    OLDEST_PENDING = "SELECT created_at FROM webhook_events \
        WHERE webhook_id = $1 AND status <> 'delivered' AND status = 'pending' ORDER BY seq LIMIT 1";

    FAILED_STEP = "SELECT max(s.seq), count(*) FROM (SELECT e.seq FROM webhook_events e \
        WHERE e.webhook_id = $1 AND e.status <> 'delivered' AND e.status = 'failed' AND e.seq > $2 AND e.seq < $3 \
        ORDER BY e.seq LIMIT $4) AS s";
    EARLIEST_FAILED = "SELECT min(e.created_at) FROM webhook_events e \
        WHERE e.webhook_id = $1 AND e.status <> 'delivered' AND e.status = 'failed' AND e.seq > $2 AND e.seq < $3 \
            AND e.created_at >= $4";
    // Without test events (wharf_domain::message::is_test_chat): each is one attempt.
    FAILED_EVENTS = concat!("SELECT e.seq, e.created_at, ", row_weight!(), " FROM webhook_events e \
        WHERE e.webhook_id = $2 AND e.client_id = $1 AND e.status <> 'delivered' AND e.status = 'failed' \
            AND e.seq > $3 AND e.seq <= $4 AND e.created_at >= $5 AND e.created_at < $6 \
            AND ($7 IS NULL OR substr(e.error, 1, length($7)) = $7) \
            AND (e.chat NOT GLOB 'test-*' OR instr(e.chat, '@') > 0) ORDER BY e.seq LIMIT $8");
    RENEW_FAILED = include_str!("../../queries/sqlite/renew_failed.sql");

    // How many of a client's events were removed, and up to which place some of a number's.
    // With a single `max` the other column is that of its row (<https://sqlite.org/lang_select.html>, 2.5).
    PURGED = "SELECT coalesce(sum(purged), 0), \
            coalesce(max(CASE WHEN $2 IS NULL OR phone_number = $2 THEN purged_up_to END), 0), purged_last \
        FROM number_sequences WHERE client_id = $1";
    // Numbers that had no event may have had some since.
    SEQUENCE_OF_EACH_WEBHOOK = "INSERT INTO number_sequences (client_id, phone_number, last) \
        SELECT w.client_id, w.phone_number, 1 FROM whatsapp_webhooks w WHERE true ON CONFLICT DO NOTHING";
    SEQUENCE_OF_EACH_CONNECTION = "INSERT INTO number_sequences (client_id, phone_number, last) \
        SELECT k.client_id, k.phone_number, 1 FROM whatsapp_connections k WHERE true ON CONFLICT DO NOTHING";
    // What is said above the bits $2 of a client's count stands in one of its rows, since they are summed up.
    LEAVE_OUT_SEQUENCES = "UPDATE number_sequences SET last = last + $1, \
        purged = (purged & $2) + CASE WHEN phone_number = \
            (SELECT min(n.phone_number) FROM number_sequences n WHERE n.client_id = number_sequences.client_id) \
            THEN $3 ELSE 0 END";
    PLACE_OF = "SELECT seq FROM webhook_events WHERE id = $2 AND client_id = $1";
    // Of each webhook of client $1 the first listed event after place $2.
    PULL_HEADS = "SELECT (SELECT l.seq FROM webhook_event_list l \
            WHERE l.webhook_id = w.id AND l.seq > $2 ORDER BY l.seq LIMIT 1) \
        FROM whatsapp_webhooks w WHERE w.client_id = $1 AND ($3 IS NULL OR w.phone_number = $3)";
    // Of each webhook of client $1 with an event at one of the places of the JSON array $2 the first $3 listed events from
    // there on, up to place $4.
    PULL_LISTED = "SELECT l.seq FROM json_each($2) c CROSS JOIN webhook_events e CROSS JOIN webhook_event_list l \
        WHERE e.seq = c.value AND e.client_id = $1 AND l.webhook_id = e.webhook_id AND l.seq IN (\
            SELECT n.seq FROM webhook_event_list n \
            WHERE n.webhook_id = e.webhook_id AND n.seq >= c.value AND n.seq <= $4 ORDER BY n.seq LIMIT $3)";
    // Whoever's events there are after place $2 and up to place $3, the first $4 of client $1 among them.
    PULL_WALKED = "SELECT e.seq FROM webhook_events e WHERE e.seq > $2 AND e.seq <= $3 AND e.client_id = $1 \
        ORDER BY e.seq LIMIT $4";
    COUNT_WEBHOOKS_OF = "SELECT count(*) FROM whatsapp_webhooks w WHERE w.client_id = $1";
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
        WHERE webhook_id = $1 AND status = 'pending' AND next_retry_at IS NOT NULL AND next_retry_at > $2";
    DUE_HEADS = include_str!("../../queries/sqlite/due_heads.sql");
    DUE_EVENTS = include_str!("../../queries/sqlite/due_events.sql");
    DUE_BY_TIME = include_str!("../../queries/sqlite/due_by_time.sql");
    DUE_SINGLES_AT = due_singles!("e.seq = c.value");
    DUE_SINGLES_NAMED = due_singles!("e.id = unhex(c.value, '-')");
    COUNT_WAITING = "SELECT count(*) FROM (SELECT 1 FROM webhook_events \
        WHERE webhook_id = $1 AND status = 'pending' AND next_retry_at IS NOT NULL AND next_retry_at > $2 LIMIT $3) AS s";
    // Each pending event by itself, in the order of webhook_events_pending: the rest of a chat, then the chats
    // after it. As one comparison of rows SQLite would seek to the chat only, and read it from its beginning each time.
    DUE_SINGLES_OF_CHAT = "SELECT e.seq, e.chat, e.next_retry_at FROM webhook_events e \
        WHERE e.webhook_id = $1 AND e.status = 'pending' AND e.chat = $2 AND e.seq > $3 ORDER BY e.seq LIMIT $4";
    DUE_SINGLES_AFTER_CHAT = "SELECT e.seq, e.chat, e.next_retry_at FROM webhook_events e \
        WHERE e.webhook_id = $1 AND e.status = 'pending' AND e.chat > $2 ORDER BY e.chat, e.seq LIMIT $3";
    // Named, because SQLite takes the list's index otherwise and reads every event that a receiver refused.
    PARKED_EVENTS = "SELECT id, seq, next_retry_at FROM webhook_events INDEXED BY webhook_events_parked \
        WHERE webhook_id = $1 AND status = 'failed' AND next_retry_at IS NOT NULL AND seq > $2 ORDER BY seq LIMIT $3";
    REVIVE_EVENT = "UPDATE webhook_events SET status = 'pending', next_retry_at = NULL \
        WHERE id = $2 AND webhook_id = $1 AND status = 'failed' AND next_retry_at IS NOT NULL \
            AND EXISTS (SELECT 1 FROM whatsapp_webhooks w WHERE w.id = $1 AND w.deleted_at IS NULL) \
        RETURNING webhook_id, id, seq, sequence, chat, attempt_count, budget_start, next_retry_at, payload, client_id";
    EVENT_TO_RENEW = "SELECT e.status, w.is_active, w.deleted_at IS NOT NULL, \
            e.status = 'pending' AND e.next_retry_at IS NOT DISTINCT FROM $3, w.webhook_url IS NULL \
        FROM webhook_events e JOIN whatsapp_webhooks w ON w.id = e.webhook_id \
        WHERE e.id = $2 AND e.client_id = $1";
    RENEW_EVENT = "UPDATE webhook_events \
        SET status = 'pending', next_retry_at = NULL, delivered_at = NULL, budget_start = attempt_count WHERE id = $1 \
        RETURNING webhook_id, id, seq, sequence, chat, attempt_count, budget_start, next_retry_at, payload";
}
