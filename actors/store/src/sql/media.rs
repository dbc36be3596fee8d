//! Files that messages came with.

statements! {
    KEEP_MEDIA = "INSERT INTO whatsapp_media \
            (id, client_id, phone_number, state, due_at, created_at, size, mime_type, sha256, sealed, expires_at) \
        VALUES ($1, $2, $3, 'pending', $4, $4, $5, $6, $7, $8, $9)";
    HOLD_EVENT = "UPDATE webhook_events SET next_retry_at = $2 WHERE seq = $1";
    DUE_MEDIA = include_str!("../../queries/sqlite/due_media.sql");
    END_MEDIA = "UPDATE whatsapp_media \
        SET state = $2, size = coalesce($3, size), error = $4, expires_at = coalesce($5, expires_at), due_at = NULL, sealed = NULL \
        WHERE id = $1 AND state = 'pending'";
    // Nobody's answer is awaited for what is pulled.
    RELEASE_EVENT = "UPDATE webhook_events AS e SET next_retry_at = NULL, payload = coalesce($3, e.payload), \
            status = CASE WHEN w.webhook_url IS NULL THEN 'delivered' ELSE 'pending' END, \
            delivered_at = CASE WHEN w.webhook_url IS NULL THEN $4 END \
        FROM whatsapp_webhooks w \
        WHERE e.id = $1 AND e.status = 'pending' AND e.next_retry_at = $2 AND w.id = e.webhook_id \
        RETURNING webhook_id, id, seq, sequence, chat, attempt_count, budget_start, next_retry_at, payload, client_id, \
            status = 'delivered'";
    POSTPONE_MEDIA = "UPDATE whatsapp_media SET attempts = $2, due_at = $3, sealed = coalesce($4, sealed) \
        WHERE id = $1 AND state = 'pending'";
    MEDIA = "SELECT state, size, mime_type, sha256, expires_at, error FROM whatsapp_media WHERE id = $2 AND client_id = $1";
    MEDIA_BYTES = "SELECT coalesce(sum(size), 0) FROM whatsapp_media WHERE client_id = $1 AND state = 'kept'";
    HAS_MEDIA = "SELECT EXISTS (SELECT 1 FROM whatsapp_media WHERE state = 'kept')";
    EXPIRED_MEDIA = "SELECT m.client_id, m.id, m.expires_at, coalesce(e.status = 'pending' OR e.delivered_at >= $5 \
            OR (e.status = 'failed' AND e.next_retry_at IS NOT NULL AND EXISTS (SELECT 1 FROM whatsapp_webhooks w \
                WHERE w.id = e.webhook_id AND w.deleted_at IS NULL AND w.recovery = 'auto')), FALSE) \
        FROM whatsapp_media m LEFT JOIN webhook_events e ON e.id = m.id \
        WHERE m.state <> 'pending' AND m.expires_at < $1 AND m.expires_at >= $3 AND (m.expires_at > $3 OR m.id > $4) \
        ORDER BY m.expires_at, m.id LIMIT $2";
    PROLONG_MEDIA = "UPDATE whatsapp_media SET expires_at = $2 WHERE id = $1 AND state <> 'pending'";
    PURGE_MEDIA = "DELETE FROM whatsapp_media WHERE id = $1 AND state <> 'pending'";
}
