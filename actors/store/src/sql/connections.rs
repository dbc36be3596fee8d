//! Connections of numbers.

macro_rules! connection_columns {
    () => {
        "client_id, phone_number, status, reason, reason_code, jid, push_name, connected_since, last_event_at, \
         reconnect_attempts, wanted, banned_until, device_name, proxy_shown, sending_per_second, sending_burst, \
         reject_calls, mark_read, created_at, updated_at"
    };
}

statements! {
    // Of a number of client $1: whether a connection and whether a webhook has it.
    WRITTEN_AS = "SELECT EXISTS (SELECT 1 FROM whatsapp_connections WHERE client_id = $1 AND phone_number = $2), \
        EXISTS (SELECT 1 FROM whatsapp_webhooks WHERE client_id = $1 AND phone_number = $2 AND deleted_at IS NULL)";
    CONNECTIONS = concat!(
        "SELECT ", connection_columns!(), " FROM whatsapp_connections \
         WHERE client_id = $1 AND phone_number > $2 ORDER BY phone_number LIMIT $3"
    );
    CONNECTION = concat!(
        "SELECT ", connection_columns!(), " FROM whatsapp_connections WHERE client_id = $1 AND phone_number = $2"
    );
    CREATE_CONNECTION = concat!(
        "INSERT INTO whatsapp_connections \
            (client_id, phone_number, status, wanted, created_at, updated_at, device_name, proxy_shown, proxy_sealed, \
             sending_per_second, sending_burst, reject_calls, mark_read) \
         SELECT $1, $2, $3, true, $4, $4, $5, $6, $7, $8, $9, $10, $11 WHERE ", not_written_as!("$12"), " \
         ON CONFLICT (client_id, phone_number) DO NOTHING RETURNING ",
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
            sending_burst = CASE WHEN $9 THEN $11 ELSE sending_burst END, \
            reject_calls = COALESCE($12, reject_calls), mark_read = COALESCE($13, mark_read) \
         WHERE client_id = $1 AND phone_number = $2 RETURNING ",
        connection_columns!()
    );
    SEALED_PROXY = "SELECT proxy_sealed FROM whatsapp_connections WHERE client_id = $1 AND phone_number = $2";
    ANY_PROXY = "SELECT client_id, phone_number, proxy_sealed FROM whatsapp_connections WHERE proxy_sealed IS NOT NULL LIMIT 1";
    CONNECTIONS_BEING_DELETED = concat!(
        "SELECT ", connection_columns!(), " FROM whatsapp_connections WHERE reason_code = $1"
    );
    // One that is being deleted is wanted no more, and goes on being deleted.
    DISCONNECT_ALL = "UPDATE whatsapp_connections SET wanted = false, status = 'disconnected', reason = NULL, \
            reason_code = 'requested', connected_since = NULL, updated_at = $1 \
        WHERE wanted RETURNING client_id, phone_number";
    DELETE_CONNECTION = "DELETE FROM whatsapp_connections WHERE client_id = $1 AND phone_number = $2";
}
