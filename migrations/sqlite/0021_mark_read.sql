-- Whether messages that come in are marked as read by themselves.
ALTER TABLE whatsapp_connections ADD COLUMN mark_read INTEGER NOT NULL DEFAULT 0 CHECK (mark_read IN (0, 1));
