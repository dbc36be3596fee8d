-- What else waits behind a message that is waited for: receipts of one that the account sent itself, what has a file, and what is
-- encrypted with a secret of that message, which is read again when it has come.
ALTER TABLE whatsapp_held_messages ADD COLUMN status TEXT NOT NULL DEFAULT ''; -- of a receipt, how far its message has come
ALTER TABLE whatsapp_held_messages ADD COLUMN participant TEXT NOT NULL DEFAULT ''; -- of a receipt in a group, whose it is
ALTER TABLE whatsapp_held_messages ADD COLUMN sealed BLOB; -- the message as it came, where it could not be opened
ALTER TABLE whatsapp_held_messages ADD COLUMN event_id BLOB; -- of what has a file: its link names it
ALTER TABLE whatsapp_held_messages ADD COLUMN file_size INTEGER; -- and the rest is for the file's row in whatsapp_media
ALTER TABLE whatsapp_held_messages ADD COLUMN file_type TEXT;
ALTER TABLE whatsapp_held_messages ADD COLUMN file_sha256 TEXT;
ALTER TABLE whatsapp_held_messages ADD COLUMN file_sealed BLOB;
ALTER TABLE whatsapp_held_messages ADD COLUMN file_expires_at INTEGER;
-- All receipts of a message have its id.
DROP INDEX whatsapp_held_messages_key;
CREATE UNIQUE INDEX whatsapp_held_messages_key ON whatsapp_held_messages
    (client_id, phone_number, chat, sender, message_id, type, sent_at, status, participant);
