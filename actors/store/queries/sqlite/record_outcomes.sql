-- What became of attempts, one row per event. An event that is no longer pending (its webhook was deleted) stays as
-- it is, unless a receiver took it after all. Parameters without numbers: see record_inbound.sql.
WITH o (seq, status, attempt_count, http_status, response, error, next_retry_at, delivered_at) AS (
    VALUES /*rows*/
)
UPDATE webhook_events AS e
SET status = o.status, attempt_count = o.attempt_count, http_status = o.http_status, response = o.response,
    error = o.error, next_retry_at = o.next_retry_at, delivered_at = o.delivered_at
FROM o
WHERE e.seq = o.seq AND (e.status = 'pending' OR o.status = 'delivered')
