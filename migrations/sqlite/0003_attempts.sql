-- Attempts get rows of their own, and events a shape that costs few pages: on a disk, what a commit costs is the pages
-- that it touches, and an index that is entered in random places touches one for each event.

-- The last number given out to an event of a phone number.
CREATE TABLE number_sequences (
    client_id    INTEGER NOT NULL REFERENCES clients (id) ON DELETE CASCADE,
    phone_number TEXT    NOT NULL,
    last         INTEGER NOT NULL CHECK (last > 0),
    PRIMARY KEY (client_id, phone_number)
) STRICT, WITHOUT ROWID;

INSERT INTO number_sequences (client_id, phone_number, last)
SELECT w.client_id, w.phone_number, count(*)
FROM whatsapp_webhook_events e JOIN whatsapp_webhooks w ON w.id = e.webhook_id
GROUP BY w.client_id, w.phone_number;

-- Small columns first, since reading a column means walking over those before it. What the payload says is kept once: the
-- view whatsapp_webhook_events shows it in columns of its own.
CREATE TABLE webhook_events (
    seq           INTEGER PRIMARY KEY AUTOINCREMENT, -- the order of arrival
    id            BLOB    NOT NULL CHECK (length(id) = 16),
    webhook_id    BLOB    NOT NULL, -- no foreign key: to check one when a webhook goes, an index would be needed
    client_id     INTEGER NOT NULL, -- the webhook's, so that a tenant's query can begin with it
    sequence      INTEGER NOT NULL CHECK (sequence > 0), -- among the events of its phone number, without a gap
    status        TEXT    NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'delivered', 'failed')),
    attempt_count INTEGER NOT NULL DEFAULT 0 CHECK (attempt_count >= 0),
    budget_start  INTEGER NOT NULL DEFAULT 0 CHECK (budget_start >= 0), -- attempts before the present budget
    next_retry_at INTEGER, -- of a pending event: null is now
    created_at    INTEGER NOT NULL,
    delivered_at  INTEGER,
    http_status   INTEGER,
    error         TEXT,
    response      TEXT,
    -- What a redelivered message is recognised by: the second of its sending and a hash (wharf_domain::message).
    message_key   BLOB    NOT NULL CHECK (length(message_key) = 16),
    chat          TEXT    NOT NULL,
    sender        TEXT    NOT NULL,
    message_id    TEXT    NOT NULL,
    payload       TEXT    NOT NULL -- the exact bytes of every attempt
) STRICT;

-- SQL has no such hash: what was recorded before is not recognised. WhatsApp sends again only what was not acknowledged.
INSERT INTO webhook_events (
    seq, id, webhook_id, client_id, sequence, status, attempt_count, budget_start, next_retry_at, created_at, delivered_at,
    http_status, error, response, message_key, chat, sender, message_id, payload
)
SELECT e.seq, e.id, e.webhook_id, e.client_id,
    row_number() OVER (PARTITION BY w.client_id, w.phone_number ORDER BY e.seq),
    e.status, e.attempt_count, e.budget_start, e.next_retry_at, e.created_at, e.delivered_at,
    e.http_status, e.error, e.response, e.id, e.chat, e.sender, e.message_id, e.payload
FROM whatsapp_webhook_events e JOIN whatsapp_webhooks w ON w.id = e.webhook_id
ORDER BY e.seq;

-- What was given out stays given out, also when the newest events are gone.
DELETE FROM sqlite_sequence WHERE name = 'webhook_events';
INSERT INTO sqlite_sequence (name, seq)
SELECT 'webhook_events', s.seq FROM sqlite_sequence s WHERE s.name = 'whatsapp_webhook_events';

DROP TABLE whatsapp_webhook_events;

CREATE VIEW whatsapp_webhook_events AS
SELECT e.id, e.webhook_id, e.client_id, e.sequence, e.message_id, e.payload ->> 'from' AS "from", e.payload ->> 'to' AS "to",
    e.payload ->> 'type' AS message_type, e.payload ->> 'content' AS content, e.payload, e.status, e.attempt_count,
    e.http_status, e.response, e.error, e.next_retry_at, e.created_at, e.delivered_at
FROM webhook_events e;

-- In SQLite every index of this table ends with seq.
CREATE UNIQUE INDEX webhook_events_id ON webhook_events (id);
-- Begins with a time, so that entries arrive nearly in order.
CREATE UNIQUE INDEX webhook_events_message ON webhook_events (message_key);
-- The first pending events of each chat.
CREATE INDEX webhook_events_pending ON webhook_events (webhook_id, chat) WHERE status = 'pending';
-- The next timer. Holds only what failed before, so a message that is delivered at once never enters it.
CREATE INDEX webhook_events_retry ON webhook_events (webhook_id, next_retry_at) WHERE status = 'pending' AND next_retry_at IS NOT NULL;
-- A webhook's events that are not delivered, of one status.
CREATE INDEX webhook_events_undelivered ON webhook_events (webhook_id, status) WHERE status <> 'delivered';

-- A webhook's events in the order of arrival, as far as `listed.up_to`; what is newer is found by going over the newest
-- rows. An index would be written to in as many places as there are webhooks with every commit; this is, once in a while.
CREATE TABLE webhook_event_list (
    webhook_id BLOB    NOT NULL,
    seq        INTEGER NOT NULL,
    PRIMARY KEY (webhook_id, seq)
) STRICT, WITHOUT ROWID;

INSERT INTO webhook_event_list (webhook_id, seq)
SELECT webhook_id, seq FROM webhook_events ORDER BY webhook_id, seq;

CREATE TABLE listed (
    id    INTEGER PRIMARY KEY CHECK (id = 1),
    up_to INTEGER NOT NULL -- a seq
) STRICT;

INSERT INTO listed (id, up_to) SELECT 1, coalesce(max(seq), 0) FROM webhook_events;

-- One row per attempt. Those made before this table existed have none.
CREATE TABLE whatsapp_webhook_attempts (
    event_seq   INTEGER NOT NULL REFERENCES webhook_events (seq) ON DELETE CASCADE,
    number      INTEGER NOT NULL CHECK (number > 0), -- webhook-attempt
    started_at  INTEGER NOT NULL,
    duration_ms INTEGER NOT NULL CHECK (duration_ms >= 0),
    http_status INTEGER,
    error       TEXT,
    response    TEXT, -- its first KiB
    manual      INTEGER NOT NULL CHECK (manual IN (0, 1)),
    PRIMARY KEY (event_seq, number)
) STRICT, WITHOUT ROWID;
