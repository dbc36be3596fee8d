-- What a webhook's owner asks of its deliveries (wharf_domain::courtesy); the defaults are what they were before.
ALTER TABLE whatsapp_webhooks ADD COLUMN max_in_flight INTEGER CHECK (max_in_flight >= 1);
ALTER TABLE whatsapp_webhooks ADD COLUMN max_per_second INTEGER CHECK (max_per_second BETWEEN 1 AND 1000);
ALTER TABLE whatsapp_webhooks ADD COLUMN timeout_ms INTEGER NOT NULL DEFAULT 10000 CHECK (timeout_ms BETWEEN 1000 AND 30000);
ALTER TABLE whatsapp_webhooks ADD COLUMN ordering TEXT NOT NULL DEFAULT 'chat' CHECK (ordering IN ('chat', 'none'));
-- A JSON array, ascending.
ALTER TABLE whatsapp_webhooks ADD COLUMN retry_client_errors TEXT NOT NULL DEFAULT '[]'
    CHECK (retry_client_errors IN ('[]', '[408]', '[425]', '[429]', '[408,425]', '[408,429]', '[425,429]', '[408,425,429]'));
ALTER TABLE whatsapp_webhooks ADD COLUMN recovery TEXT NOT NULL DEFAULT 'manual' CHECK (recovery IN ('manual', 'auto'));
-- The names of its own headers, a JSON array, and names with values, encrypted (actors/src/vault.rs). Both or neither.
ALTER TABLE whatsapp_webhooks ADD COLUMN header_names TEXT;
ALTER TABLE whatsapp_webhooks ADD COLUMN headers_sealed BLOB CHECK ((headers_sealed IS NULL) = (header_names IS NULL));

-- Parked events: failed because their budget was used up (after a 4xx next_retry_at is null). In the order of arrival,
-- by the seq that the index ends with; nothing enters it that is delivered or refused.
CREATE INDEX webhook_events_parked ON webhook_events (webhook_id) WHERE status = 'failed' AND next_retry_at IS NOT NULL;
