-- A webhook without a URL is pulled (wharf_domain::webhook): nothing of it is sent anywhere. The rows stay as they are, so only the words of
-- the schema change, as in 0025_checks.sql.
PRAGMA writable_schema = ON;

UPDATE sqlite_schema SET sql = replace(sql, 'webhook_url     TEXT    NOT NULL,', 'webhook_url     TEXT, -- null: its events are pulled')
WHERE type = 'table' AND name = 'whatsapp_webhooks';

-- A table that comes and goes counts the schema's version up, by which other connections know that it is another.
CREATE TABLE schema_changed (version INTEGER) STRICT;
DROP TABLE schema_changed;
PRAGMA writable_schema = RESET;
