-- Keys of devices that go. A row of nulls, which fills a statement up, equals no key.
WITH gone (client_id, phone_number, kind, name) AS (
    VALUES /*rows of 4*/
)
DELETE FROM whatsapp_keys
WHERE rowid IN (
    SELECT k.rowid
    FROM gone CROSS JOIN whatsapp_keys k
    WHERE k.client_id = gone.client_id AND k.phone_number = gone.phone_number AND k.kind = gone.kind AND k.name = gone.name
)
