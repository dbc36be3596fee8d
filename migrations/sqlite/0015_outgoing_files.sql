-- The file of a message that goes out: its key, its place at WhatsApp once it is there, and what is shown of it before it
-- is fetched, encrypted (actors/src/vault/media.rs). While the row is queued and has one, the file lies in the media directory.
ALTER TABLE whatsapp_outgoing_messages ADD COLUMN file BLOB;
