-- One row per attempt of an event that is still there. Parameters without numbers: see record_inbound.sql.
WITH a (event_seq, number, started_at, duration_ms, http_status, error, response, manual) AS (
    VALUES /*rows of 8*/
)
INSERT INTO whatsapp_webhook_attempts (event_seq, number, started_at, duration_ms, http_status, error, response, manual)
SELECT e.seq, a.number, a.started_at, a.duration_ms, a.http_status, a.error, a.response, a.manual
FROM a
CROSS JOIN webhook_events e ON e.seq = a.event_seq
WHERE true
ON CONFLICT (event_seq, number) DO NOTHING;

-- What became of attempts, one row per event. An event that is no longer pending (its webhook was deleted) stays as
-- it is, unless a receiver took it after all. So does one that was begun anew since, when an outcome is written once more.
WITH o (seq, status, attempt_count, http_status, response, error, next_retry_at, delivered_at) AS (
    VALUES /*rows of 8*/
)
UPDATE webhook_events AS e
SET status = o.status, attempt_count = o.attempt_count, http_status = o.http_status, response = o.response,
    error = o.error, next_retry_at = o.next_retry_at, delivered_at = o.delivered_at
FROM o
WHERE e.seq = o.seq AND (e.status = 'pending' AND o.attempt_count > e.budget_start OR o.status = 'delivered');

-- The counters of webhooks after attempts, one row per webhook. What is said of one that is switched off stays: it may be why. So does
-- what a later attempt said, when an outcome is written once more. A later one than now was before the clock was put back.
WITH c (id, failure_count, last_attempt_at, last_error, last_success_at, now) AS (
    VALUES /*rows of 6*/
)
UPDATE whatsapp_webhooks AS w
SET failure_count = c.failure_count,
    last_attempt_at = CASE
        WHEN w.last_attempt_at > c.last_attempt_at AND w.last_attempt_at <= c.now THEN w.last_attempt_at
        ELSE c.last_attempt_at
    END,
    last_error = CASE
        WHEN NOT w.is_active OR w.last_attempt_at > c.last_attempt_at AND w.last_attempt_at <= c.now THEN w.last_error
        ELSE c.last_error
    END,
    last_success_at = CASE
        WHEN c.last_success_at IS NULL OR w.last_success_at > c.last_success_at AND w.last_success_at <= c.now
        THEN w.last_success_at
        ELSE c.last_success_at
    END
FROM c
WHERE w.id = c.id
