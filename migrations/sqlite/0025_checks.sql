-- For a CHECK with a list of three words or more SQLite builds a table of these words, anew for each row that it writes: with an event,
-- whose state is checked twice in its life, a tenth of all the time that SQLite takes for it (docs/BENCHMARKS.md). Alternatives say the same
-- and build nothing; the words that come most often stand first.
--
-- The rows stay as they are, so only the words of the schema change, and not gigabytes of tables: "Making Other Kinds Of Table Schema
-- Changes" in https://www.sqlite.org/lang_altertable.html.
PRAGMA writable_schema = ON;

UPDATE sqlite_schema SET sql = replace(sql,
    'CHECK (status IN (''pending'', ''delivered'', ''failed''))',
    'CHECK (status = ''pending'' OR status = ''delivered'' OR status = ''failed'')')
WHERE type = 'table' AND name = 'webhook_events';

UPDATE sqlite_schema SET sql = replace(sql,
    'CHECK (status IN (''queued'', ''sent'', ''delivered'', ''read'', ''played'', ''failed''))',
    'CHECK (status = ''queued'' OR status = ''sent'' OR status = ''delivered'' OR status = ''read'' OR status = ''played'' OR status = ''failed'')')
WHERE type = 'table' AND name = 'whatsapp_outgoing_messages';

UPDATE sqlite_schema SET sql = replace(sql,
    'CHECK (state IN (''pending'', ''kept'', ''failed''))',
    'CHECK (state = ''pending'' OR state = ''kept'' OR state = ''failed'')')
WHERE type = 'table' AND name = 'whatsapp_media';

UPDATE sqlite_schema SET sql = replace(sql,
    'CHECK (kind IN (''device'', ''identity'', ''session'', ''prekey'', ''signed_prekey'', ''sender_key'', ''sender_key_device'', ''sync_key'', ''latest_sync_key'', ''sync_version'', ''mutation_mac'', ''lid'', ''lid_of_number'', ''base_key'', ''device_list'', ''group'', ''trust_token'', ''sent_message'', ''pending_message'', ''message_secret''))',
    'CHECK (kind = ''session'' OR kind = ''pending_message'' OR kind = ''message_secret'' OR kind = ''sent_message'' OR kind = ''sender_key'' OR kind = ''prekey'' OR kind = ''identity'' OR kind = ''device'' OR kind = ''device_list'' OR kind = ''lid'' OR kind = ''lid_of_number'' OR kind = ''base_key'' OR kind = ''sender_key_device'' OR kind = ''trust_token'' OR kind = ''group'' OR kind = ''signed_prekey'' OR kind = ''mutation_mac'' OR kind = ''sync_key'' OR kind = ''latest_sync_key'' OR kind = ''sync_version'')')
WHERE type = 'table' AND name = 'whatsapp_keys';

-- A table that comes and goes counts the schema's version up, by which other connections know that it is another.
CREATE TABLE schema_changed (version INTEGER) STRICT;
DROP TABLE schema_changed;
PRAGMA writable_schema = RESET;
