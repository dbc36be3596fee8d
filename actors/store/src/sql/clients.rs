//! Clients: who they are, and all that goes with one that is removed.

macro_rules! client_columns {
    () => {
        "id, name, created_at"
    };
}
/// The places in the list of events of the first $3 webhooks of client $1.
macro_rules! listed_of_client {
    () => {
        " FROM (SELECT w.id FROM whatsapp_webhooks w WHERE w.client_id = $1 ORDER BY w.id LIMIT $3) f \
         CROSS JOIN webhook_event_list l ON l.webhook_id = f.id"
    };
}
/// The events of client $1 that are not listed yet.
macro_rules! unlisted_of_client {
    () => {
        " FROM webhook_events e WHERE e.seq > (SELECT up_to FROM listed WHERE id = 1) AND e.client_id = $1 LIMIT $2"
    };
}

statements! {
    CLIENT_OF_TOKEN = "SELECT id FROM clients WHERE token_hash = $1 AND removed_at IS NULL";
    CLIENTS = concat!("SELECT ", client_columns!(), " FROM clients WHERE removed_at IS NULL ORDER BY id");
    INSTALLATION = "SELECT id FROM installation";
    // Ids are never given out again, so SQLite remembers the last one.
    EVER_HAD_CLIENTS = "SELECT EXISTS (SELECT 1 FROM sqlite_sequence WHERE name = 'clients' AND seq > 0)";
    // Each goes up with what it counts and ids are never given out again, so the first three are the same only where nobody was
    // added, removed or purged. The last one is another with each change of a token.
    CLIENTS_COUNTED = "SELECT \
        (SELECT coalesce(max(s.seq), 0) FROM sqlite_sequence s WHERE s.name = 'clients'), count(*), count(removed_at), \
        coalesce(sum(updated_at), 0) FROM clients";
    REMOVED_CLIENTS = "SELECT id FROM clients WHERE removed_at IS NOT NULL ORDER BY id";
    IS_NO_COPY = "PRAGMA user_version = 0";
    LEAVE_OUT_CLIENTS = "UPDATE sqlite_sequence SET seq = seq + $1 WHERE name = 'clients'";
    ADD_CLIENT = concat!(
        "INSERT INTO clients (name, token_hash, created_at, updated_at) VALUES ($1, $2, $3, $3) RETURNING ",
        client_columns!()
    );
    ROTATE_CLIENT = concat!(
        "UPDATE clients SET token_hash = $2, updated_at = $3 WHERE id = $1 AND removed_at IS NULL RETURNING ",
        client_columns!()
    );
    REMOVE_CLIENT = "UPDATE clients SET removed_at = $2, updated_at = $2 WHERE id = $1 AND removed_at IS NULL";
    // What each of them weighs, in the order in which they go.
    WEIGH_CLIENT_UNLISTED = concat!("SELECT ", event_weight!(), unlisted_of_client!());
    PURGE_CLIENT_UNLISTED = concat!(
        "DELETE FROM webhook_events WHERE seq IN (SELECT e.seq", unlisted_of_client!(), ")"
    );
    // Of the first webhooks: a step that went over all that are empty by now, and wait for theirs, would take longer with
    // each of them.
    WEIGH_CLIENT_EVENTS = concat!(
        "SELECT coalesce(", event_weight!(), ", 1)", listed_of_client!(),
        " LEFT JOIN webhook_events e ON e.seq = l.seq LIMIT $2"
    );
    PURGE_CLIENT_EVENTS = concat!(
        "DELETE FROM webhook_events WHERE seq IN (SELECT l.seq", listed_of_client!(), " LIMIT $2)"
    );
    // Which ones are gone by now is asked in the same order.
    PURGE_CLIENT_LIST = concat!(
        "DELETE FROM webhook_event_list WHERE (webhook_id, seq) IN (\
            SELECT l.webhook_id, l.seq", listed_of_client!(), " LIMIT $2)"
    );
    PURGE_CLIENT_DEVICES = "DELETE FROM whatsapp_keys WHERE rowid IN (\
        SELECT k.rowid FROM whatsapp_keys k WHERE k.client_id = $1 LIMIT $2)";
    PURGE_CLIENT_OUTGOING = "DELETE FROM whatsapp_outgoing_messages WHERE seq IN (\
        SELECT o.seq FROM whatsapp_outgoing_messages o WHERE o.client_id = $1 LIMIT $2)";
    PURGE_CLIENT_POLLS = "DELETE FROM whatsapp_polls WHERE (client_id, phone_number, message_id) IN (\
        SELECT k.client_id, k.phone_number, k.message_id FROM whatsapp_polls k WHERE k.client_id = $1 LIMIT $2)";
    PURGE_CLIENT_KEYS = "DELETE FROM idempotency_keys WHERE (client_id, phone_number, idempotency_key) IN (\
        SELECT k.client_id, k.phone_number, k.idempotency_key FROM idempotency_keys k WHERE k.client_id = $1 LIMIT $2)";
    PURGE_CLIENT_MEDIA = "DELETE FROM whatsapp_media WHERE id IN (\
        SELECT m.id FROM whatsapp_media m WHERE m.client_id = $1 LIMIT $2)";
    PURGE_CLIENT_WEBHOOKS = "DELETE FROM whatsapp_webhooks WHERE id IN (\
        SELECT w.id FROM whatsapp_webhooks w WHERE w.client_id = $1 ORDER BY w.id LIMIT $2)";
    // These and those that they wait for before their connections, each of which would take along all of its own.
    PURGE_CLIENT_HELD = "DELETE FROM whatsapp_held_messages WHERE seq IN (\
        SELECT h.seq FROM whatsapp_held_messages h WHERE h.client_id = $1 LIMIT $2)";
    PURGE_CLIENT_AWAITED = "DELETE FROM whatsapp_awaited_messages \
        WHERE (client_id, phone_number, message_id, chat, sender) IN (\
            SELECT k.client_id, k.phone_number, k.message_id, k.chat, k.sender FROM whatsapp_awaited_messages k \
            WHERE k.client_id = $1 LIMIT $2)";
    PURGE_CLIENT_CONNECTIONS = "DELETE FROM whatsapp_connections WHERE (client_id, phone_number) IN (\
        SELECT k.client_id, k.phone_number FROM whatsapp_connections k WHERE k.client_id = $1 LIMIT $2)";
    PURGE_CLIENT_SEQUENCES = "DELETE FROM number_sequences WHERE (client_id, phone_number) IN (\
        SELECT k.client_id, k.phone_number FROM number_sequences k WHERE k.client_id = $1 LIMIT $2)";
    PURGE_CLIENT = "DELETE FROM clients WHERE id = $1";
}
