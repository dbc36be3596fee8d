-- One event per message; a redelivery makes none. The parameters have no numbers: SQLite looks a numbered one up by walking
-- the list of all of them, which with hundreds costs more than the insert. A row of nulls fills a statement up.
WITH m (id, webhook_id, client_id, sequence, created_at, sent_at, chat, sender, message_id, payload) AS (
    VALUES /*rows*/
)
INSERT INTO whatsapp_webhook_events (id, webhook_id, client_id, sequence, created_at, sent_at, chat, sender, message_id, payload)
SELECT m.id, m.webhook_id, m.client_id, m.sequence, m.created_at, m.sent_at, m.chat, m.sender, m.message_id, m.payload
FROM m
WHERE m.id IS NOT NULL
ON CONFLICT (sent_at, webhook_id, chat, sender, message_id) DO NOTHING
