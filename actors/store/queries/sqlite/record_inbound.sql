-- One event per message, a redelivery makes none. The parameters have no numbers: SQLite looks a numbered one up by walking
-- the list of all of them, which with hundreds costs more than the insert. A row of nulls fills a statement up.
WITH m (id, webhook_id, client_id, sequence, created_at, message_key, chat, sender, message_id, payload) AS (
    VALUES /*rows of 10*/
)
INSERT INTO webhook_events (id, webhook_id, client_id, sequence, created_at, message_key, chat, sender, message_id, payload)
SELECT m.id, m.webhook_id, m.client_id, m.sequence, m.created_at, m.message_key, m.chat, m.sender, m.message_id, m.payload
FROM m
WHERE m.id IS NOT NULL
ON CONFLICT (message_key) DO NOTHING;

-- The last numbers given out, one row per phone number, if all events are new: otherwise they are numbered anew.
WITH s (client_id, phone_number, last, events) AS (
    VALUES /*rows of 4*/
)
INSERT INTO number_sequences (client_id, phone_number, last)
SELECT s.client_id, s.phone_number, s.last
FROM s
WHERE s.client_id IS NOT NULL AND changes() = s.events
ON CONFLICT (client_id, phone_number) DO UPDATE SET last = excluded.last
