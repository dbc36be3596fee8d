//! What linked devices keep, and keys of idempotent requests.

/// A kind of what a number's device keeps.
macro_rules! key_columns {
    () => {
        "name, value, at, also FROM whatsapp_keys WHERE client_id = $1 AND phone_number = $2 AND kind = $3"
    };
}
/// That a number has no device.
macro_rules! no_device {
    ($client:literal, $number:literal) => {
        concat!(
            " AND NOT EXISTS (SELECT 1 FROM whatsapp_keys d WHERE d.client_id = ",
            $client,
            " AND d.phone_number = ",
            $number,
            " AND d.kind = 'device')"
        )
    };
}

statements! {
    KEY = concat!("SELECT ", key_columns!(), " AND name = $4");
    KEYS_NAMED = "SELECT k.name, k.value, k.at, k.also FROM json_each($4) j CROSS JOIN whatsapp_keys k \
        WHERE k.client_id = $1 AND k.phone_number = $2 AND k.kind = $3 AND k.name = unhex(j.value)";
    // Of the index alone: no value is read.
    KEY_NAMES_AMONG = "SELECT k.name FROM json_each($4) j CROSS JOIN whatsapp_keys k \
        WHERE k.client_id = $1 AND k.phone_number = $2 AND k.kind = $3 AND k.name = unhex(j.value)";
    KEYS_BETWEEN = concat!("SELECT ", key_columns!(), " AND name >= $4 AND name < $5 ORDER BY name LIMIT $6");
    HAS_KEYS = "SELECT EXISTS (SELECT 1 FROM whatsapp_keys \
        WHERE client_id = $1 AND phone_number = $2 AND kind = $3 AND name >= $4 AND name < $5)";
    // Of the index alone: no value is read.
    KEY_NAMES_ENDING = "WITH ends AS MATERIALIZED (SELECT unhex(value) AS name FROM json_each($4)) \
        SELECT k.name FROM whatsapp_keys k WHERE k.client_id = $1 AND k.phone_number = $2 AND k.kind = $3 \
        AND EXISTS (SELECT 1 FROM ends e WHERE substr(k.name, -length(e.name)) = e.name)";
    LAST_KEY_NAME = "SELECT name FROM whatsapp_keys WHERE client_id = $1 AND phone_number = $2 AND kind = $3 \
        ORDER BY name DESC LIMIT 1";
    HAS_KEYS_BEFORE = "SELECT EXISTS (SELECT 1 FROM whatsapp_keys \
        WHERE client_id = $1 AND phone_number = $2 AND kind = $3 AND at > 0 AND at < $4)";
    HAS_PENDING_BEFORE = "SELECT EXISTS (SELECT 1 FROM whatsapp_keys \
        WHERE client_id = $1 AND phone_number = $2 AND kind = $3 AND also < $4)";
    ANY_KEY = "SELECT name, value, at, also, kind, client_id, phone_number FROM whatsapp_keys \
        WHERE value <> x'' LIMIT 1";
    REMOVE_KEYS_BETWEEN = "DELETE FROM whatsapp_keys WHERE rowid IN (\
        SELECT k.rowid FROM whatsapp_keys k \
        WHERE k.client_id = $1 AND k.phone_number = $2 AND k.kind = $3 AND k.name >= $4 AND k.name < $5 LIMIT $6)";
    REMOVE_KEYS_BEFORE = "DELETE FROM whatsapp_keys WHERE rowid IN (\
        SELECT k.rowid FROM whatsapp_keys k \
        WHERE k.client_id = $1 AND k.phone_number = $2 AND k.kind = $3 AND k.at > 0 AND k.at < $4 LIMIT $5)";
    REMOVE_PENDING_BEFORE = "DELETE FROM whatsapp_keys WHERE rowid IN (\
        SELECT k.rowid FROM whatsapp_keys k \
        WHERE k.client_id = $1 AND k.phone_number = $2 AND k.kind = $3 AND k.also < $4 LIMIT $5)";
    RECEIVE_TOKEN = "INSERT INTO whatsapp_keys (client_id, phone_number, kind, name, value, at) \
        VALUES ($1, $2, 'trust_token', $3, $4, $5) \
        ON CONFLICT (client_id, phone_number, kind, name) DO UPDATE SET value = excluded.value, at = excluded.at \
        WHERE whatsapp_keys.value = x'' OR excluded.at >= whatsapp_keys.at";
    TOKEN_SENT = "INSERT INTO whatsapp_keys (client_id, phone_number, kind, name, value, at, also) \
        VALUES ($1, $2, 'trust_token', $3, x'', $4, $4) \
        ON CONFLICT (client_id, phone_number, kind, name) \
        DO UPDATE SET also = max(coalesce(whatsapp_keys.also, excluded.also), excluded.also)";
    REMOVE_TOKENS = "DELETE FROM whatsapp_keys WHERE rowid IN (\
        SELECT k.rowid FROM whatsapp_keys k WHERE k.client_id = $1 AND k.phone_number = $2 AND k.kind = $3 \
            AND (k.value = x'' OR k.at < $4) AND (k.also IS NULL OR k.also < $5) LIMIT $6)";
    // Keys are left where the device is gone: its row is written before any other and goes before them.
    HAS_LEFT_KEYS = concat!("SELECT EXISTS (SELECT 1 FROM whatsapp_keys k WHERE k.client_id = $1 AND k.phone_number = $2)", no_device!("$1", "$2"));
    NUMBERS_WITH_LEFT_KEYS = concat!(
        "SELECT c.client_id, c.phone_number FROM whatsapp_connections c \
         WHERE EXISTS (SELECT 1 FROM whatsapp_keys k WHERE k.client_id = c.client_id AND k.phone_number = c.phone_number)",
        no_device!("c.client_id", "c.phone_number")
    );
    REMOVE_LEFT_KEYS = concat!(
        "DELETE FROM whatsapp_keys WHERE rowid IN (\
         SELECT k.rowid FROM whatsapp_keys k WHERE k.client_id = $1 AND k.phone_number = $2",
        no_device!("$1", "$2"),
        " LIMIT $3)"
    );

    FIND_KEY = "SELECT body_hash, answer FROM idempotency_keys \
        WHERE client_id = $1 AND phone_number = $2 AND idempotency_key = $3 AND created_at >= $4";
    CLAIM_KEY = "INSERT INTO idempotency_keys (client_id, phone_number, idempotency_key, body_hash, created_at) \
        VALUES ($1, $2, $3, $4, $5) \
        ON CONFLICT (client_id, phone_number, idempotency_key) \
        DO UPDATE SET body_hash = excluded.body_hash, answer = NULL, created_at = excluded.created_at";
    COMPLETE_KEY = "UPDATE idempotency_keys SET answer = $4 \
        WHERE client_id = $1 AND phone_number = $2 AND idempotency_key = $3";
    RELEASE_KEY = "DELETE FROM idempotency_keys \
        WHERE client_id = $1 AND phone_number = $2 AND idempotency_key = $3 AND created_at = $4 AND answer IS NULL";
    PURGE_KEYS = "DELETE FROM idempotency_keys WHERE (client_id, phone_number, idempotency_key) IN (\
        SELECT k.client_id, k.phone_number, k.idempotency_key FROM idempotency_keys k WHERE k.created_at < $1 LIMIT $2)";
}
