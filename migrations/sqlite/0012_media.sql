-- Files that messages came with. The event of one that is pending waits for it (its next_retry_at is the year 9999).
CREATE TABLE whatsapp_media (
    id           BLOB    NOT NULL PRIMARY KEY CHECK (length(id) = 16), -- the event's
    client_id    INTEGER NOT NULL,
    phone_number TEXT    NOT NULL,
    state        TEXT    NOT NULL CHECK (state IN ('pending', 'kept', 'failed')),
    attempts     INTEGER NOT NULL DEFAULT 0 CHECK (attempts >= 0), -- downloads that failed
    due_at       INTEGER CHECK ((due_at IS NULL) = (state <> 'pending')),
    size         INTEGER NOT NULL CHECK (size >= 0), -- as the sender says, then as it is
    mime_type    TEXT    NOT NULL,
    sha256       TEXT    NOT NULL, -- hexadecimal digits
    sealed       BLOB CHECK ((sealed IS NULL) = (state <> 'pending')), -- where it is and its key, encrypted (actors/src/vault/media.rs)
    error        TEXT CHECK ((error IS NULL) = (state <> 'failed')),
    created_at   INTEGER NOT NULL,
    expires_at   INTEGER NOT NULL -- when the file goes, and this row with it
) STRICT, WITHOUT ROWID;

-- The next downloads of each client.
CREATE INDEX whatsapp_media_pending ON whatsapp_media (client_id, due_at) WHERE state = 'pending';
-- What a client has, and how much.
CREATE INDEX whatsapp_media_of_client ON whatsapp_media (client_id, state, size);
CREATE INDEX whatsapp_media_expiry ON whatsapp_media (expires_at) WHERE state <> 'pending';
