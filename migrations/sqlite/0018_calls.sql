-- Whether a number turns down every call as it rings.
ALTER TABLE whatsapp_connections ADD COLUMN reject_calls INTEGER NOT NULL DEFAULT 0 CHECK (reject_calls IN (0, 1));
