-- The janitor asks for deleted webhooks every few minutes; without this it would go over all webhooks.
CREATE INDEX whatsapp_webhooks_deleted ON whatsapp_webhooks (deleted_at) WHERE deleted_at IS NOT NULL;

-- When the retention last believed the clock, so that one that leaps by months does not cost the whole history.
CREATE TABLE retention (
    id      INTEGER PRIMARY KEY CHECK (id = 1),
    seen_at INTEGER NOT NULL
) STRICT;
