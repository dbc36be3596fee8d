-- The first $3 pending events of webhook $1 in each chat of the JSON array $2, in the array's order; $4 in all. Bodies
-- of more than $5 bytes are left out.
SELECT c.key, e.id, e.seq, e.sequence, e.chat, e.attempt_count, e.budget_start, e.next_retry_at,
    CASE WHEN octet_length(e.payload) <= $5 THEN e.payload END
FROM json_each($2) c
CROSS JOIN webhook_events e
WHERE e.seq IN (
    SELECT p.seq FROM webhook_events p
    WHERE p.webhook_id = $1 AND p.status = 'pending' AND p.chat = c.value
    ORDER BY p.seq LIMIT $3
)
LIMIT $4
