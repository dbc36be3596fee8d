-- The first $3 downloads of each client after client $2 that are due at $1, by client; $4 in all. A loose index scan over the
-- clients with downloads: one client's thousand hide nobody's first. No pause between tries is longer than a minute: what is due
-- later than $5 was written by a clock that has been put back since, and is due now.
WITH RECURSIVE c (id) AS (
    SELECT min(m.client_id) FROM whatsapp_media m WHERE m.state = 'pending' AND m.client_id > $2
    UNION ALL
    SELECT (SELECT min(m.client_id) FROM whatsapp_media m WHERE m.state = 'pending' AND m.client_id > c.id)
    FROM c
    WHERE c.id IS NOT NULL
)
SELECT m.id, m.client_id, m.phone_number, m.attempts, m.sealed, e.chat, e.sender, e.message_id
FROM c
CROSS JOIN whatsapp_media m
LEFT JOIN webhook_events e ON e.id = m.id
WHERE m.id IN (
    SELECT d.id FROM whatsapp_media d
    WHERE d.client_id = c.id AND d.state = 'pending' AND (+d.due_at <= $1 OR +d.due_at > $5)
    ORDER BY d.due_at LIMIT $3
)
LIMIT $4
