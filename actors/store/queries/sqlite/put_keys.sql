-- Keys of devices, new or in the place of what was there. A message's secret keeps the later of two deadlines (0 is
-- never, and later than any) and the later of two times. Parameters without numbers: see record_inbound.sql.
WITH k (client_id, phone_number, kind, name, value, at, also) AS (
    VALUES /*rows of 7*/
)
INSERT INTO whatsapp_keys (client_id, phone_number, kind, name, value, at, also)
SELECT k.client_id, k.phone_number, k.kind, k.name, k.value, k.at, k.also
FROM k
WHERE k.client_id IS NOT NULL
ON CONFLICT (client_id, phone_number, kind, name) DO UPDATE
SET value = excluded.value,
    at = CASE
        WHEN excluded.kind <> 'message_secret' THEN excluded.at
        WHEN excluded.at = 0 OR whatsapp_keys.at = 0 THEN 0
        ELSE max(whatsapp_keys.at, excluded.at)
    END,
    also = CASE
        WHEN excluded.kind <> 'message_secret' THEN excluded.also
        ELSE max(coalesce(whatsapp_keys.also, 0), coalesce(excluded.also, 0))
    END
