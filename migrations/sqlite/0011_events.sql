-- What a webhook is told of (wharf_domain::event_kind): a JSON array. Webhooks from before are told of messages, as they were.
ALTER TABLE whatsapp_webhooks ADD COLUMN events TEXT NOT NULL DEFAULT '["message"]' CHECK (events <> '[]');

DROP VIEW whatsapp_webhook_events;
CREATE VIEW whatsapp_webhook_events AS
SELECT e.id, e.webhook_id, e.client_id, e.sequence, coalesce(e.payload ->> 'event', 'message') AS event, e.message_id,
    e.payload ->> 'from' AS "from", e.payload ->> 'to' AS "to", e.payload ->> 'type' AS message_type,
    e.payload ->> 'content' AS content, e.payload, e.status, e.attempt_count,
    e.http_status, e.response, e.error, e.next_retry_at, e.created_at, e.delivered_at
FROM webhook_events e;
