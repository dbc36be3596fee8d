-- The chats of webhook $1 with pending events after chat $2, each with the next_retry_at of its first pending event.
-- A loose index scan: one step of the recursion is one seek in webhook_events_pending, so the cost is the
-- chats looked at and not the events that wait in them. Chats due after $3 are passed over. It stops one step after
-- $4 due chats or $5 chats in all, so that the caller learns whether more follow.
WITH RECURSIVE heads (chat, next_retry_at, visited, due) AS (
    SELECT e.chat, e.next_retry_at, 1, coalesce(e.next_retry_at, $3) <= $3
    FROM webhook_events e
    WHERE e.seq = (
        SELECT p.seq FROM webhook_events p
        WHERE p.webhook_id = $1 AND p.status = 'pending' AND p.chat > $2
        ORDER BY p.chat, p.seq LIMIT 1
    )
    UNION ALL
    SELECT e.chat, e.next_retry_at, h.visited + 1, h.due + (coalesce(e.next_retry_at, $3) <= $3)
    FROM heads h
    CROSS JOIN webhook_events e
    WHERE h.visited <= $5 AND h.due <= $4 AND e.seq = (
        SELECT p.seq FROM webhook_events p
        WHERE p.webhook_id = $1 AND p.status = 'pending' AND p.chat > h.chat
        ORDER BY p.chat, p.seq LIMIT 1
    )
)
SELECT chat, next_retry_at FROM heads
