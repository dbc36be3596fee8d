-- What numbers send, each with how far it has come (wharf_domain::outgoing). A row is there before WhatsApp hears of it.
CREATE TABLE whatsapp_outgoing_messages (
    seq          INTEGER PRIMARY KEY, -- the order in which they were asked for
    client_id    INTEGER NOT NULL REFERENCES clients (id),
    phone_number TEXT    NOT NULL,
    message_id   TEXT    NOT NULL, -- WhatsApp's, made here
    "to"         TEXT    NOT NULL,
    type         TEXT    NOT NULL,
    message      TEXT    NOT NULL, -- what was asked for, as JSON
    status       TEXT    NOT NULL CHECK (status IN ('queued', 'sent', 'delivered', 'read', 'played', 'failed')),
    error_code   TEXT,
    error        TEXT,
    created_at   INTEGER NOT NULL,
    deadline_at  INTEGER NOT NULL, -- when it is not to be started any more
    started_at   INTEGER,          -- when it began to be handed to WhatsApp
    sent_at      INTEGER,
    delivered_at INTEGER,
    read_at      INTEGER,
    played_at    INTEGER,
    failed_at    INTEGER,
    UNIQUE (client_id, phone_number, message_id),
    CHECK ((status = 'failed') = (error_code IS NOT NULL))
) STRICT;

-- A number's newest first: the index ends with seq.
CREATE INDEX whatsapp_outgoing_messages_list ON whatsapp_outgoing_messages (client_id, phone_number);
-- What still waits, for the start of a session.
CREATE INDEX whatsapp_outgoing_messages_queued ON whatsapp_outgoing_messages (client_id, phone_number)
    WHERE status = 'queued';
CREATE INDEX whatsapp_outgoing_messages_age ON whatsapp_outgoing_messages (created_at);
