//! What is old enough to go, what may not grow, and whether the database takes writes.

/// That webhook w has no events, listed or not.
macro_rules! is_empty {
    () => {
        " AND NOT EXISTS (SELECT 1 FROM webhook_event_list l WHERE l.webhook_id = w.id) \
          AND NOT EXISTS (SELECT 1 FROM webhook_events e \
              WHERE e.seq > (SELECT up_to FROM listed WHERE id = 1) AND +e.webhook_id = w.id)"
    };
}

/// That event e is old enough to go: it came long ago, and nobody has tried it for as long. One that waited for weeks and failed
/// today is there tomorrow; so is one that is pulled, and waited for its file.
macro_rules! is_old {
    () => {
        " ((+e.status = 'delivered' AND e.created_at < $2 AND (e.attempt_count > 0 OR e.delivered_at < $2) AND NOT EXISTS \
            (SELECT 1 FROM whatsapp_webhook_attempts a WHERE a.event_seq = e.seq AND a.started_at >= $2)) \
         OR (+e.status = 'failed' AND e.created_at < $3 AND NOT EXISTS \
            (SELECT 1 FROM whatsapp_webhook_attempts a WHERE a.event_seq = e.seq AND a.started_at >= $3)))"
    };
}

statements! {
    VISIT_EVENTS = concat!(
        "SELECT e.seq, e.status, e.created_at, ", event_weight!(),
        " FROM webhook_events e WHERE e.seq > $1 ORDER BY e.seq LIMIT $2"
    );
    PURGE_LIST = concat!("DELETE FROM webhook_event_list WHERE (webhook_id, seq) IN (\
        SELECT e.webhook_id, e.seq FROM json_each($1) j CROSS JOIN webhook_events e ON e.seq = j.value WHERE", is_old!(), ")");
    PURGE_EVENTS = concat!("DELETE FROM webhook_events AS e WHERE e.seq IN (SELECT j.value FROM json_each($1) j) AND", is_old!());
    EMPTY_WEBHOOKS = concat!(
        "SELECT w.id FROM whatsapp_webhooks w WHERE w.deleted_at < $1", is_empty!(), " LIMIT $2"
    );
    PURGE_EMPTY_WEBHOOK = concat!(
        "DELETE FROM whatsapp_webhooks AS w WHERE w.id = $1 AND w.deleted_at IS NOT NULL", is_empty!()
    );
    PURGE_WEBHOOK = "DELETE FROM whatsapp_webhooks WHERE id = $1 AND deleted_at IS NOT NULL";
    PENDING_EVENTS = "SELECT count(*) FROM (SELECT 1 FROM whatsapp_webhooks w \
        CROSS JOIN webhook_events e ON e.webhook_id = w.id \
        WHERE w.client_id = $1 AND e.status = 'pending' LIMIT $2)";
    ALL_PENDING_EVENTS = "SELECT count(*) FROM (SELECT 1 FROM webhook_events WHERE status = 'pending' LIMIT $1)";
    RETENTION_SEEN_AT = "SELECT seen_at FROM retention WHERE id = 1";
    NOTE_RETENTION = "INSERT INTO retention (id, seen_at) VALUES (1, $1) \
        ON CONFLICT (id) DO UPDATE SET seen_at = excluded.seen_at";
    COUNT_WEBHOOKS = "SELECT count(*) FROM whatsapp_webhooks WHERE client_id = $1 AND deleted_at IS NULL";
    COUNT_CONNECTIONS = "SELECT count(*) FROM whatsapp_connections WHERE client_id = $1";

    CHECKPOINT = "PRAGMA wal_checkpoint(PASSIVE)";
    CHECKPOINT_RESTART = "PRAGMA wal_checkpoint(RESTART)";
    CHECKPOINT_ALL = "PRAGMA wal_checkpoint(TRUNCATE)";
    WRITE_CHECK = "INSERT INTO write_check (id, checks) VALUES (1, 1) \
        ON CONFLICT (id) DO UPDATE SET checks = write_check.checks + 1";
}
