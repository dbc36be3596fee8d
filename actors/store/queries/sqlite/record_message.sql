-- One message as an event, a redelivery makes none: a whole transaction. See record_inbound.sql.
BEGIN IMMEDIATE;

WITH m (id, webhook_id, client_id, sequence, created_at, message_key, chat, sender, message_id, payload, delivered_at) AS (
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
)
INSERT INTO webhook_events (id, webhook_id, client_id, sequence, created_at, message_key, chat, sender, message_id, payload, status, delivered_at)
SELECT m.id, m.webhook_id, m.client_id, m.sequence, m.created_at, m.message_key, m.chat, m.sender, m.message_id, m.payload,
    CASE WHEN m.delivered_at IS NULL THEN 'pending' ELSE 'delivered' END, m.delivered_at
FROM m
WHERE TRUE
ON CONFLICT (message_key) DO NOTHING
RETURNING seq;

INSERT INTO number_sequences (client_id, phone_number, last)
SELECT ?, ?, ?
WHERE changes() = 1
ON CONFLICT (client_id, phone_number) DO UPDATE SET last = excluded.last;

COMMIT
