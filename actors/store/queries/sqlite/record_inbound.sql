-- One event per message whose number has a live webhook; a redelivery makes none. The parameters have no numbers:
-- SQLite looks a numbered one up by walking the list of all of them, which with hundreds costs more than the insert.
WITH m (id, client_id, phone_number, chat, sender, message_id, "from", message_type, content, payload, created_at) AS (
    VALUES /*rows*/
)
INSERT INTO whatsapp_webhook_events (id, client_id, webhook_id, chat, sender, message_id, "from", "to", message_type, content, payload, created_at)
SELECT m.id, m.client_id, w.id, m.chat, m.sender, m.message_id, m."from", m.phone_number, m.message_type, m.content, m.payload, m.created_at
FROM m
CROSS JOIN whatsapp_webhooks w ON w.client_id = m.client_id AND w.phone_number = m.phone_number AND w.deleted_at IS NULL
WHERE true
ON CONFLICT (webhook_id, chat, sender, message_id) DO NOTHING
RETURNING seq, id, webhook_id
