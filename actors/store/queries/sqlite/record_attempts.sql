-- One row per attempt of an event that is still there. Parameters without numbers: see record_inbound.sql.
WITH a (event_seq, number, started_at, duration_ms, http_status, error, response, manual) AS (
    VALUES /*rows*/
)
INSERT INTO whatsapp_webhook_attempts (event_seq, number, started_at, duration_ms, http_status, error, response, manual)
SELECT e.seq, a.number, a.started_at, a.duration_ms, a.http_status, a.error, a.response, a.manual
FROM a
CROSS JOIN webhook_events e ON e.seq = a.event_seq
WHERE true
ON CONFLICT (event_seq, number) DO NOTHING
