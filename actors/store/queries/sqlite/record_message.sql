-- One message as an event, a redelivery makes none: a whole transaction. See record_inbound.sql.
BEGIN IMMEDIATE;

INSERT INTO webhook_events (id, webhook_id, client_id, sequence, created_at, message_key, chat, sender, message_id, payload)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (message_key) DO NOTHING
RETURNING seq;

INSERT INTO number_sequences (client_id, phone_number, last)
SELECT ?, ?, ?
WHERE changes() = 1
ON CONFLICT (client_id, phone_number) DO UPDATE SET last = excluded.last;

COMMIT
