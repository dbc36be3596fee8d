-- A status more (`awaiting_passkey`). The column is made anew in place: a new table would have to be dropped and renamed
-- under the feet of whatever refers to it.
ALTER TABLE whatsapp_connections ADD COLUMN standing TEXT NOT NULL DEFAULT 'disconnected' CHECK (standing IN (
    'disconnected', 'connecting', 'awaiting_scan', 'awaiting_passkey', 'connected', 'logged_out', 'failed'));
UPDATE whatsapp_connections SET standing = status;
ALTER TABLE whatsapp_connections DROP COLUMN status;
ALTER TABLE whatsapp_connections RENAME COLUMN standing TO status;

-- Why it stands there, for machines (docs/SESSIONS.md). What was written before had words for people only.
ALTER TABLE whatsapp_connections ADD COLUMN reason_code TEXT NOT NULL DEFAULT 'starting';
UPDATE whatsapp_connections SET reason_code = CASE
    WHEN status = 'disconnected' AND reason = 'being deleted' THEN 'being_deleted'
    WHEN status = 'disconnected' THEN 'requested'
    WHEN status = 'awaiting_scan' THEN 'waiting_for_phone'
    WHEN status = 'connected' THEN 'online'
    WHEN status = 'logged_out' THEN 'unlinked'
    WHEN status = 'failed' AND reason = 'wrong number' THEN 'wrong_number'
    WHEN status = 'failed' AND reason LIKE 'replaced%' THEN 'conflict'
    WHEN status = 'failed' AND reason LIKE 'banned by WhatsApp%' THEN 'banned'
    WHEN status = 'failed' AND reason LIKE 'WhatsApp does not accept this version%' THEN 'outdated'
    WHEN status = 'failed' AND reason LIKE 'no phone scanned%' THEN 'qr_expired'
    WHEN status = 'failed' THEN 'pairing_failed'
    ELSE 'starting' END;
-- The end of a ban: no attempt is made before, also not by a program that was started anew.
ALTER TABLE whatsapp_connections ADD COLUMN banned_until INTEGER;

-- The device's name on the phone, where it is not that of the configuration.
ALTER TABLE whatsapp_connections ADD COLUMN device_name TEXT;
-- The proxy as it is shown, without credentials, and the whole of it, sealed.
ALTER TABLE whatsapp_connections ADD COLUMN proxy_shown TEXT;
ALTER TABLE whatsapp_connections ADD COLUMN proxy_sealed BLOB CHECK ((proxy_sealed IS NULL) = (proxy_shown IS NULL));
