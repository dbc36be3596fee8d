-- The first $3 pending events of webhook $1 in each chat of the JSON array $2, in the array's order; $4 in all.
SELECT c.key, e.id, e.seq, e.sequence, e.chat, e.attempt_count, e.budget_start, e.next_retry_at, e.payload
FROM json_each($2) c
CROSS JOIN webhook_events e
WHERE e.seq IN (
    SELECT p.seq FROM webhook_events p
    WHERE p.webhook_id = $1 AND p.status = 'pending' AND p.chat = c.value
    ORDER BY p.seq LIMIT $3
)
LIMIT $4
