-- What else waits behind a message that is waited for: receipts of one that the account sent itself.
ALTER TABLE whatsapp_held_messages ADD COLUMN status TEXT NOT NULL DEFAULT ''; -- of a receipt, how far its message has come
ALTER TABLE whatsapp_held_messages ADD COLUMN participant TEXT NOT NULL DEFAULT ''; -- of a receipt in a group, whose it is
-- All receipts of a message have its id.
DROP INDEX whatsapp_held_messages_key;
CREATE UNIQUE INDEX whatsapp_held_messages_key ON whatsapp_held_messages
    (client_id, phone_number, chat, sender, message_id, type, sent_at, status, participant);
