//! Webhooks, their secrets and their end.

macro_rules! webhook_columns {
    () => {
        "id, client_id, phone_number, webhook_url, is_active, status, failure_count, max_retries, last_error, \
         last_success_at, last_attempt_at, metadata, events, chats, sender, hub_signature, max_in_flight, max_per_second, timeout_ms, \
         ordering, retry_client_errors, recovery, header_names, created_at, updated_at, deleted_at"
    };
}

statements! {
    WEBHOOKS = concat!(
        "SELECT ", webhook_columns!(), " FROM whatsapp_webhooks \
         WHERE client_id = $1 AND deleted_at IS NULL AND phone_number > $2 ORDER BY phone_number LIMIT $3"
    );
    WEBHOOK = concat!("SELECT ", webhook_columns!(), " FROM whatsapp_webhooks WHERE id = $2 AND client_id = $1");
    WEBHOOKS_WITH_WORK = "SELECT w.id FROM whatsapp_webhooks w \
        WHERE w.client_id = $1 AND w.deleted_at IS NULL AND w.is_active AND w.webhook_url IS NOT NULL AND (EXISTS \
            (SELECT 1 FROM webhook_events e WHERE e.webhook_id = w.id AND e.status = 'pending') \
            OR (w.recovery = 'auto' AND EXISTS (SELECT 1 FROM webhook_events e \
                WHERE e.webhook_id = w.id AND e.status = 'failed' AND e.next_retry_at IS NOT NULL)))";
    REGISTER_WEBHOOK = concat!(
        "INSERT INTO whatsapp_webhooks \
            (client_id, id, phone_number, webhook_url, max_retries, is_active, metadata, created_at, updated_at) \
         SELECT $1, $2, $3, $4, $5, $6, $7, $8, $8 WHERE ", not_written_as!("$9"), " \
         ON CONFLICT (client_id, phone_number) WHERE deleted_at IS NULL DO NOTHING RETURNING ",
        webhook_columns!()
    );
    UPDATE_WEBHOOK = concat!(
        "UPDATE whatsapp_webhooks \
         SET webhook_url = coalesce($3, webhook_url), max_retries = coalesce($4, max_retries), \
             is_active = coalesce($5, is_active), metadata = CASE WHEN $6 THEN $7 ELSE metadata END, \
             hub_signature = coalesce($9, hub_signature), events = coalesce($10, events), \
             chats = coalesce($11, chats), sender = coalesce($12, sender), updated_at = $8 \
         WHERE id = $2 AND client_id = $1 AND deleted_at IS NULL RETURNING ",
        webhook_columns!()
    );
    SET_COURTESY = "UPDATE whatsapp_webhooks \
        SET max_in_flight = $3, max_per_second = $4, timeout_ms = $5, ordering = $6, retry_client_errors = $7, recovery = $8 \
        WHERE id = $2 AND client_id = $1 AND deleted_at IS NULL";
    SET_HEADERS = "UPDATE whatsapp_webhooks SET header_names = $3, headers_sealed = $4, updated_at = $5 \
        WHERE id = $2 AND client_id = $1 AND deleted_at IS NULL";
    SEALED_HEADERS = "SELECT webhook_url, headers_sealed FROM whatsapp_webhooks \
        WHERE id = $2 AND client_id = $1 AND headers_sealed IS NOT NULL";
    ANY_HEADERS = "SELECT id, headers_sealed FROM whatsapp_webhooks WHERE headers_sealed IS NOT NULL LIMIT 1";
    DEACTIVATE_WEBHOOK = concat!(
        "UPDATE whatsapp_webhooks SET is_active = false, last_error = $3, updated_at = $4 \
         WHERE id = $2 AND client_id = $1 AND deleted_at IS NULL AND webhook_url = $5 RETURNING ",
        webhook_columns!()
    );
    DEACTIVATE_ALL = concat!(
        "UPDATE whatsapp_webhooks SET is_active = false, last_error = $2, updated_at = $1 \
         WHERE is_active AND deleted_at IS NULL AND webhook_url IS NOT NULL RETURNING ",
        webhook_columns!()
    );
    ALL_PULLED = concat!(
        "SELECT ", webhook_columns!(), " FROM whatsapp_webhooks WHERE deleted_at IS NULL AND webhook_url IS NULL"
    );
    // Nobody is shown what its owner kept in it; an attempt that begins just now has its headers and secrets.
    DELETE_WEBHOOK = "UPDATE whatsapp_webhooks SET deleted_at = $3, updated_at = $3, metadata = NULL \
        WHERE id = $2 AND client_id = $1 AND deleted_at IS NULL RETURNING phone_number";
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
    PENDING_OF_WEBHOOK = concat!(
        "SELECT e.seq, ", row_weight!(), " FROM webhook_events e WHERE e.webhook_id = $1 AND e.status = 'pending' LIMIT $2"
    );
    FAIL_EVENTS = "UPDATE webhook_events SET status = 'failed', error = 'webhook deleted', next_retry_at = NULL \
        WHERE seq IN (SELECT j.value FROM json_each($1) j)";
    DELETED_WEBHOOKS_WITH_PENDING = "SELECT w.id FROM whatsapp_webhooks w \
        WHERE w.deleted_at IS NOT NULL AND EXISTS \
            (SELECT 1 FROM webhook_events e WHERE e.webhook_id = w.id AND e.status = 'pending')";
}
