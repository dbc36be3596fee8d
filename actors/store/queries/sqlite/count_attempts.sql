-- The counters of webhooks after attempts, one row per webhook. Parameters without numbers: see record_inbound.sql.
WITH c (id, failure_count, last_attempt_at, last_error, last_success_at) AS (
    VALUES /*rows*/
)
UPDATE whatsapp_webhooks AS w
SET failure_count = c.failure_count, last_attempt_at = c.last_attempt_at, last_error = c.last_error,
    last_success_at = coalesce(c.last_success_at, w.last_success_at)
FROM c
WHERE w.id = c.id
