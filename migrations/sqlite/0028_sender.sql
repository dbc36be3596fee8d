-- What a webhook is told of who sent a message (wharf_domain::webhook), and client errors of any kind after which an event is tried
-- again (wharf_domain::courtesy): a JSON array, ascending, as before. Of the second only the words of the schema change, as in 0025_checks.sql.
ALTER TABLE whatsapp_webhooks ADD COLUMN sender TEXT NOT NULL DEFAULT 'short' CHECK (sender = 'short' OR sender = 'full');

PRAGMA writable_schema = ON;

UPDATE sqlite_schema SET sql = replace(sql,
    'CHECK (retry_client_errors IN (''[]'', ''[408]'', ''[425]'', ''[429]'', ''[408,425]'', ''[408,429]'', ''[425,429]'', ''[408,425,429]''))',
    'CHECK (retry_client_errors LIKE ''[%]'')')
WHERE type = 'table' AND name = 'whatsapp_webhooks';

-- A table that comes and goes counts the schema's version up, by which other connections know that it is another.
CREATE TABLE schema_changed (version INTEGER) STRICT;
DROP TABLE schema_changed;
PRAGMA writable_schema = RESET;
