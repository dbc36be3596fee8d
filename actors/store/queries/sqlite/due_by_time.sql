-- The pending events of webhook $1 that have become due by $2, after the place ($3, $4), in the order of their times, $5 at
-- the most, and whether each is the first of its chat. The cost is what is due, not what waits beside it.
SELECT e.seq, e.next_retry_at, e.chat, NOT EXISTS (
    SELECT 1 FROM webhook_events p
    WHERE p.webhook_id = $1 AND p.status = 'pending' AND p.chat = e.chat AND p.seq < e.seq
)
FROM webhook_events e
WHERE e.webhook_id = $1 AND e.status = 'pending' AND e.next_retry_at IS NOT NULL AND e.next_retry_at <= $2
    AND (e.next_retry_at, e.seq) > ($3, $4)
ORDER BY e.next_retry_at, e.seq LIMIT $5
