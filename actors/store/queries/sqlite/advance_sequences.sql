-- The last numbers given out, one row per phone number. Parameters without numbers: see record_inbound.sql.
WITH s (client_id, phone_number, last) AS (
    VALUES /*rows*/
)
INSERT INTO number_sequences (client_id, phone_number, last)
SELECT s.client_id, s.phone_number, s.last
FROM s
WHERE s.client_id IS NOT NULL
ON CONFLICT (client_id, phone_number) DO UPDATE SET last = excluded.last
