-- Messages that could not be decrypted and are waited for (actors/whatsapp/src/live/awaited.rs). A row goes in the commit of the
-- message that came after all, or of the report that it did not. It goes with its connection, too.
CREATE TABLE whatsapp_awaited_messages (
    client_id    INTEGER NOT NULL,
    phone_number TEXT    NOT NULL,
    message_id   TEXT    NOT NULL, -- WhatsApp's
    chat         TEXT    NOT NULL, -- as its stanza named it
    sender       TEXT    NOT NULL,
    head         TEXT    NOT NULL, -- what else the stanza said, as JSON
    due_at       INTEGER NOT NULL, -- when it is reported
    PRIMARY KEY (client_id, phone_number, message_id, chat, sender),
    FOREIGN KEY (client_id, phone_number) REFERENCES whatsapp_connections (client_id, phone_number) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
