-- Ids are 16-byte UUIDv7, times are Unix milliseconds, names are those of the API (CONTRACT.md section 2).
-- 'WHRF': tells a database of ours from anybody else's before anything is written to it.
PRAGMA application_id = 1464357446;

CREATE TABLE clients (
    id         INTEGER PRIMARY KEY AUTOINCREMENT, -- never given out again, also after a removal
    name       TEXT    NOT NULL,
    token_hash BLOB    NOT NULL UNIQUE CHECK (length(token_hash) = 32), -- SHA-256; the token itself is kept nowhere
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    removed_at INTEGER -- its token is dead from here on; the row goes when its sessions are logged out and its data is gone
) STRICT;

CREATE TABLE whatsapp_connections (
    client_id          INTEGER NOT NULL REFERENCES clients (id),
    phone_number       TEXT    NOT NULL,
    status             TEXT    NOT NULL CHECK (status IN ('disconnected', 'connecting', 'awaiting_scan', 'connected', 'logged_out', 'failed')),
    reason             TEXT,
    jid                TEXT,
    push_name          TEXT,
    connected_since    INTEGER,
    last_event_at      INTEGER,
    reconnect_attempts INTEGER NOT NULL DEFAULT 0 CHECK (reconnect_attempts >= 0),
    wanted             INTEGER NOT NULL CHECK (wanted IN (0, 1)), -- whether the session shall run
    created_at         INTEGER NOT NULL,
    updated_at         INTEGER NOT NULL,
    PRIMARY KEY (client_id, phone_number)
) STRICT, WITHOUT ROWID;

-- WITHOUT ROWID: every index ends with the id, which is what a webhook is looked up by.
CREATE TABLE whatsapp_webhooks (
    id              BLOB    NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    client_id       INTEGER NOT NULL REFERENCES clients (id),
    phone_number    TEXT    NOT NULL,
    webhook_url     TEXT    NOT NULL,
    is_active       INTEGER NOT NULL CHECK (is_active IN (0, 1)),
    -- wharf_domain::webhook::status says the same; a test holds them together.
    status          TEXT    NOT NULL GENERATED ALWAYS AS (CASE WHEN is_active = 0 THEN 'inactive' WHEN failure_count > 0 THEN 'failed' ELSE 'active' END) VIRTUAL,
    failure_count   INTEGER NOT NULL DEFAULT 0 CHECK (failure_count >= 0),
    max_retries     INTEGER NOT NULL CHECK (max_retries BETWEEN 1 AND 20),
    last_error      TEXT,
    last_success_at INTEGER,
    last_attempt_at INTEGER,
    metadata        TEXT, -- JSON, as the client gave it
    created_at      INTEGER NOT NULL,
    updated_at      INTEGER NOT NULL,
    deleted_at      INTEGER -- kept until its events are gone
) STRICT, WITHOUT ROWID;

-- One webhook per client and number; deleted ones do not count.
CREATE UNIQUE INDEX whatsapp_webhooks_live ON whatsapp_webhooks (client_id, phone_number) WHERE deleted_at IS NULL;
-- A client's webhooks, oldest first (by the id that every index ends with).
CREATE INDEX whatsapp_webhooks_by_client ON whatsapp_webhooks (client_id);

CREATE TABLE whatsapp_webhook_events (
    seq           INTEGER PRIMARY KEY AUTOINCREMENT, -- the order of arrival
    id            BLOB    NOT NULL UNIQUE CHECK (length(id) = 16),
    webhook_id    BLOB    NOT NULL REFERENCES whatsapp_webhooks (id),
    client_id     INTEGER NOT NULL, -- the webhook's, so that a tenant's query can begin with it
    status        TEXT    NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'delivered', 'failed')),
    attempt_count INTEGER NOT NULL DEFAULT 0 CHECK (attempt_count >= 0),
    budget_start  INTEGER NOT NULL DEFAULT 0 CHECK (budget_start >= 0), -- attempts before the present budget
    next_retry_at INTEGER, -- of a pending event: null is now
    created_at    INTEGER NOT NULL,
    delivered_at  INTEGER,
    http_status   INTEGER,
    error         TEXT,
    chat          TEXT    NOT NULL,
    sender        TEXT    NOT NULL,
    message_id    TEXT    NOT NULL,
    "from"        TEXT    NOT NULL,
    "to"          TEXT    NOT NULL,
    message_type  TEXT    NOT NULL,
    response      TEXT,
    content       TEXT,
    payload       TEXT    NOT NULL -- the exact bytes of every attempt
) STRICT;

-- In SQLite every index of this table ends with seq.
-- A redelivered message is recognised by this.
CREATE UNIQUE INDEX whatsapp_webhook_events_message ON whatsapp_webhook_events (webhook_id, chat, sender, message_id);
-- The list of a webhook's events, newest first: of one status, or of the three merged.
CREATE INDEX whatsapp_webhook_events_list ON whatsapp_webhook_events (webhook_id, status);
-- The first pending events of each chat.
CREATE INDEX whatsapp_webhook_events_pending ON whatsapp_webhook_events (webhook_id, chat) WHERE status = 'pending';
-- The next timer. Holds only what failed before, so a message that is delivered at once never enters it.
CREATE INDEX whatsapp_webhook_events_retry ON whatsapp_webhook_events (webhook_id, next_retry_at) WHERE status = 'pending' AND next_retry_at IS NOT NULL;

CREATE TABLE idempotency_keys (
    client_id       INTEGER NOT NULL REFERENCES clients (id),
    phone_number    TEXT    NOT NULL,
    idempotency_key TEXT    NOT NULL,
    body_hash       BLOB    NOT NULL CHECK (length(body_hash) = 32), -- SHA-256
    answer          TEXT, -- JSON; null while the first request runs
    created_at      INTEGER NOT NULL,
    PRIMARY KEY (client_id, phone_number, idempotency_key)
) STRICT, WITHOUT ROWID;

CREATE INDEX idempotency_keys_age ON idempotency_keys (created_at);

-- What /readyz writes to, to know that writing works.
CREATE TABLE write_check (
    id     INTEGER PRIMARY KEY CHECK (id = 1),
    checks INTEGER NOT NULL
) STRICT;
