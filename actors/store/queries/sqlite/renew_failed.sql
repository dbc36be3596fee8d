-- The failed events of webhook $2 at the places of the JSON array $3 become pending again, with a fresh budget, the n-th
-- of them $5·n / $6 after $4. What is not failed any more, or was never this webhook's, stays as it is. Bodies of more than
-- $7 bytes are left out of the answer.
UPDATE webhook_events AS e
SET status = 'pending', next_retry_at = $4 + c.key * $5 / $6, delivered_at = NULL, budget_start = attempt_count
FROM json_each($3) c
WHERE e.seq = c.value AND e.webhook_id = $2 AND e.client_id = $1 AND e.status = 'failed'
    AND EXISTS (SELECT 1 FROM whatsapp_webhooks w
        WHERE w.id = $2 AND w.client_id = $1 AND w.deleted_at IS NULL AND w.is_active)
RETURNING webhook_id, id, seq, sequence, chat, attempt_count, budget_start, next_retry_at,
    CASE WHEN octet_length(payload) <= $7 THEN payload END
