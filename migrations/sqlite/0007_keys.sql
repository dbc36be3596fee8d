-- What linked devices keep: their identity, Signal sessions, prekeys, and what WhatsApp Web keeps beside them. A value is
-- encrypted (actors/src/vault/device_keys.rs), so that the file shows no key; names (addresses, ids) and times are plain,
-- because they are looked for. It goes with its connection, whoever removes that.
--
-- With rowids, against the habit of this schema: a session grows to some kilobytes, and without rowids all but the first
-- kilobyte of it would be on pages of its own, given back and taken anew by every message.
CREATE TABLE whatsapp_keys (
    client_id    INTEGER NOT NULL,
    phone_number TEXT    NOT NULL,
    kind         TEXT    NOT NULL CHECK (kind IN ('device', 'identity', 'session', 'prekey', 'signed_prekey', 'sender_key', 'sender_key_device', 'sync_key', 'latest_sync_key', 'sync_version', 'mutation_mac', 'lid', 'lid_of_number', 'base_key', 'device_list', 'group', 'trust_token', 'sent_message', 'pending_message', 'message_secret')),
    name         BLOB    NOT NULL,
    value        BLOB    NOT NULL,
    at           INTEGER NOT NULL DEFAULT 0, -- Unix seconds; what it is the time of depends on the kind (actors/store/src/keys.rs)
    also         INTEGER,                    -- a second time
    PRIMARY KEY (client_id, phone_number, kind, name),
    FOREIGN KEY (client_id, phone_number) REFERENCES whatsapp_connections (client_id, phone_number) ON DELETE CASCADE
) STRICT;

-- What has expired. Messages that wait for their commit keep their time in "also", so that they never enter it: there is
-- one for each message that arrives, and it is gone a moment later.
CREATE INDEX whatsapp_keys_age ON whatsapp_keys (client_id, phone_number, kind, at) WHERE at > 0;
