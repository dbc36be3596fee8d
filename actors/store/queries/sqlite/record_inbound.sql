-- One event per message; a redelivery makes none. The parameters have no numbers: SQLite looks a numbered one up by walking
-- the list of all of them, which with hundreds costs more than the insert. A row of nulls fills a statement up.
WITH m (id, webhook_id, client_id, sequence, created_at, message_key, chat, sender, message_id, payload) AS (
    VALUES /*rows*/
)
INSERT INTO webhook_events (id, webhook_id, client_id, sequence, created_at, message_key, chat, sender, message_id, payload)
SELECT m.id, m.webhook_id, m.client_id, m.sequence, m.created_at, m.message_key, m.chat, m.sender, m.message_id, m.payload
FROM m
WHERE m.id IS NOT NULL
ON CONFLICT (message_key) DO NOTHING
