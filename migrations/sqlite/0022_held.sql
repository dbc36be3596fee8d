-- Messages about one that is waited for (whatsapp_awaited_messages): an edit, a deletion, a reaction. WhatsApp is told of them, their
-- receivers are not: each becomes an event in the commit of what it waits for, or of the report that that has not come.
CREATE TABLE whatsapp_held_messages (
    seq            INTEGER PRIMARY KEY AUTOINCREMENT, -- the order in which they came
    client_id      INTEGER NOT NULL,
    phone_number   TEXT    NOT NULL,
    awaited_id     TEXT    NOT NULL, -- what it waits for, as its row names it
    awaited_chat   TEXT    NOT NULL,
    awaited_sender TEXT    NOT NULL,
    chat           TEXT    NOT NULL, -- as its event will have them
    sender         TEXT    NOT NULL,
    message_id     TEXT    NOT NULL,
    sent_at        INTEGER NOT NULL,
    type           TEXT    NOT NULL,
    is_sent        INTEGER NOT NULL CHECK (is_sent IN (0, 1)), -- the account sent it itself
    payload        TEXT    NOT NULL,
    FOREIGN KEY (client_id, phone_number) REFERENCES whatsapp_connections (client_id, phone_number) ON DELETE CASCADE
) STRICT;
CREATE INDEX whatsapp_held_messages_awaited
    ON whatsapp_held_messages (client_id, phone_number, awaited_id, awaited_chat, awaited_sender);
-- WhatsApp may bring one again.
CREATE UNIQUE INDEX whatsapp_held_messages_key
    ON whatsapp_held_messages (client_id, phone_number, chat, sender, message_id, type, sent_at);
