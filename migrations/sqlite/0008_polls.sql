-- What can be chosen in a poll: votes name options by a hash. Kept as long as WhatsApp's secrets of polls are.
CREATE TABLE whatsapp_polls (
    client_id    INTEGER NOT NULL REFERENCES clients (id),
    phone_number TEXT    NOT NULL,
    message_id   TEXT    NOT NULL, -- WhatsApp's id of the poll
    options      TEXT    NOT NULL, -- a JSON array of texts
    created_at   INTEGER NOT NULL,
    PRIMARY KEY (client_id, phone_number, message_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX whatsapp_polls_age ON whatsapp_polls (created_at);
