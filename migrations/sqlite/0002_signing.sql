-- Whether deliveries carry X-Hub-Signature-256 besides webhook-signature.
ALTER TABLE whatsapp_webhooks ADD COLUMN hub_signature INTEGER NOT NULL DEFAULT 0 CHECK (hub_signature IN (0, 1));

-- What signs a webhook's deliveries. Webhooks that are older than this table have no secret, and sign nothing, until
-- one is made by rotate-secret: nobody would know one that was made here.
CREATE TABLE whatsapp_webhook_secrets (
    webhook_id BLOB    NOT NULL REFERENCES whatsapp_webhooks (id) ON DELETE CASCADE,
    generation INTEGER NOT NULL, -- the highest is the present one
    sealed     BLOB    NOT NULL, -- encrypted (actors/src/vault.rs); the key is not in this database
    created_at INTEGER NOT NULL,
    expires_at INTEGER, -- of one that was replaced: it signs until then
    PRIMARY KEY (webhook_id, generation)
) STRICT, WITHOUT ROWID;
