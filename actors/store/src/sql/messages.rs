//! Messages beside their events: polls, what is waited for, what goes out.

macro_rules! outgoing_columns {
    () => {
        "seq, message_id, \"to\", type, message, status, error_code, error, created_at, deadline_at, started_at, sent_at, \
         delivered_at, read_at, played_at, failed_at, chat"
    };
}

/// What a filter of messages that went out asks for of their chat, $5 as clients name it and $6 as WhatsApp does; what is null is not
/// asked for. WhatsApp may have the chat by another name than the message was sent to: by the hidden id of a number, by the number of a
/// hidden id, or by other digits.
macro_rules! of_chat {
    () => {
        " AND ($5 IS NULL OR \"to\" = $5 OR chat = $6)"
    };
}

macro_rules! held_columns {
    () => {
        "seq, chat, sender, message_id, sent_at, type, is_sent, payload, status, participant, sealed IS NOT NULL AS is_sealed, \
         event_id, file_size, file_type, file_sha256, file_sealed, file_expires_at"
    };
}

statements! {
    // What is known stays, before what is new. Of a poll at most so many options are told; where nothing is new, nothing is written.
    KEEP_POLL = "INSERT INTO whatsapp_polls (client_id, phone_number, message_id, options, created_at) \
        VALUES ($1, $2, $3, $4, $5) ON CONFLICT (client_id, phone_number, message_id) DO UPDATE SET options = (\
            SELECT json_group_array(o.value) FROM (\
                SELECT k.value FROM json_each(whatsapp_polls.options) k \
                UNION ALL SELECT n.value FROM json_each(excluded.options) n \
                WHERE n.value NOT IN (SELECT k.value FROM json_each(whatsapp_polls.options) k) LIMIT 256) o) \
        WHERE json_array_length(whatsapp_polls.options) < 256 \
        AND EXISTS (SELECT 1 FROM json_each(excluded.options) n \
            WHERE n.value NOT IN (SELECT k.value FROM json_each(whatsapp_polls.options) k))";
    POLL_OPTIONS = "SELECT options FROM whatsapp_polls WHERE client_id = $1 AND phone_number = $2 AND message_id = $3";
    FORGET_POLLS = "DELETE FROM whatsapp_polls WHERE (client_id, phone_number, message_id) IN (\
        SELECT k.client_id, k.phone_number, k.message_id FROM whatsapp_polls k \
        WHERE k.client_id = $1 AND k.phone_number = $2 LIMIT $3)";
    PURGE_POLLS = "DELETE FROM whatsapp_polls WHERE (client_id, phone_number, message_id) IN (\
        SELECT k.client_id, k.phone_number, k.message_id FROM whatsapp_polls k WHERE k.created_at < $1 LIMIT $2)";
    AWAITED_MESSAGES = "SELECT message_id, chat, sender, head, due_at FROM whatsapp_awaited_messages \
        WHERE client_id = $1 AND phone_number = $2 ORDER BY message_id";
    // Those that should have been reported before $1; behind the one named from $3 on.
    AWAITED_OVERDUE = "SELECT client_id, phone_number, message_id, chat, sender, head, due_at FROM whatsapp_awaited_messages \
        WHERE (client_id, phone_number, message_id, chat, sender) > ($3, $4, $5, $6, $7) AND due_at < $1 \
        ORDER BY client_id, phone_number, message_id, chat, sender LIMIT $2";
    KEEP_AWAITED = "INSERT INTO whatsapp_awaited_messages \
        (client_id, phone_number, message_id, chat, sender, head, due_at) \
        VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING";
    END_AWAITED = "DELETE FROM whatsapp_awaited_messages \
        WHERE client_id = $1 AND phone_number = $2 AND message_id = $3 AND chat = $4 AND sender = $5";
    // Whether a message is waited for, and one more waits behind it already, or has room there: $7 of its own, of receipts ($6) or of
    // others, and $8 of all of the number.
    MAY_HOLD = "SELECT EXISTS (SELECT 1 FROM whatsapp_awaited_messages \
            WHERE client_id = $1 AND phone_number = $2 AND message_id = $3 AND chat = $4 AND sender = $5) \
        AND (EXISTS (SELECT 1 FROM whatsapp_held_messages WHERE client_id = $1 AND phone_number = $2 \
                AND chat = $9 AND sender = $10 AND message_id = $11 AND type = $12 AND sent_at = $13 \
                AND status = $14 AND participant = $15) \
            OR (SELECT count(*) FROM whatsapp_held_messages WHERE client_id = $1 AND phone_number = $2 \
                AND awaited_id = $3 AND awaited_chat = $4 AND awaited_sender = $5 AND (status <> '') = $6) < $7 \
            AND (SELECT count(*) FROM whatsapp_held_messages WHERE client_id = $1 AND phone_number = $2) < $8)";
    HOLD = "INSERT INTO whatsapp_held_messages (client_id, phone_number, awaited_id, awaited_chat, awaited_sender, \
            chat, sender, message_id, sent_at, type, is_sent, payload, status, participant, \
            sealed, event_id, file_size, file_type, file_sha256, file_sealed, file_expires_at) \
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21) \
        ON CONFLICT DO NOTHING";
    // What was kept as it came is told as what it was read as since.
    // By which of its ids its chat is named may have changed meanwhile.
    HOLD_READ = "UPDATE OR IGNORE whatsapp_held_messages SET chat = $6, type = $10, payload = $12, sealed = $15, event_id = $16, \
            file_size = $17, file_type = $18, file_sha256 = $19, file_sealed = $20, file_expires_at = $21 \
        WHERE client_id = $1 AND phone_number = $2 AND awaited_id = $3 AND awaited_chat = $4 AND awaited_sender = $5 \
        AND sender = $7 AND message_id = $8 AND sent_at = $9 AND is_sent = $11 \
        AND status = $13 AND participant = $14 AND sealed IS NOT NULL";
    HELD = concat!(
        "SELECT ", held_columns!(), " FROM whatsapp_held_messages \
         WHERE client_id = $1 AND phone_number = $2 AND awaited_id = $3 AND awaited_chat = $4 AND awaited_sender = $5 \
         ORDER BY seq"
    );
    SEALED = "SELECT sealed FROM whatsapp_held_messages \
        WHERE client_id = $1 AND phone_number = $2 AND awaited_id = $3 AND awaited_chat = $4 AND awaited_sender = $5 \
        AND sealed IS NOT NULL ORDER BY seq";
    RELEASE = "DELETE FROM whatsapp_held_messages \
        WHERE client_id = $1 AND phone_number = $2 AND awaited_id = $3 AND awaited_chat = $4 AND awaited_sender = $5";
    HELD_OF_NUMBER = concat!(
        "SELECT ", held_columns!(), " FROM whatsapp_held_messages WHERE client_id = $1 AND phone_number = $2"
    );
    RELEASE_OF_NUMBER = "DELETE FROM whatsapp_held_messages WHERE client_id = $1 AND phone_number = $2";
    // For what is not waited for any more, or should have been reported before $1; behind the one named from $3 on.
    HELD_IN_VAIN = "SELECT h.client_id, h.phone_number, h.awaited_id, h.awaited_chat, h.awaited_sender, \
            max(a.due_at) AS due_at \
        FROM whatsapp_held_messages h LEFT JOIN whatsapp_awaited_messages a \
            ON a.client_id = h.client_id AND a.phone_number = h.phone_number AND a.message_id = h.awaited_id \
            AND a.chat = h.awaited_chat AND a.sender = h.awaited_sender \
        WHERE (h.client_id, h.phone_number, h.awaited_id, h.awaited_chat, h.awaited_sender) > ($3, $4, $5, $6, $7) \
        AND (a.due_at IS NULL OR a.due_at < $1) \
        GROUP BY 1, 2, 3, 4, 5 LIMIT $2";

    RECORD_OUTGOING = "INSERT INTO whatsapp_outgoing_messages \
        (client_id, phone_number, message_id, \"to\", type, message, status, created_at, deadline_at, started_at, file) \
        VALUES ($1, $2, $3, $4, $5, $6, 'queued', $7, $8, $9, $10) ON CONFLICT DO NOTHING";
    KEEP_OUTGOING_FILE = "UPDATE whatsapp_outgoing_messages SET message = $4, file = $5 \
        WHERE client_id = $1 AND phone_number = $2 AND message_id = $3 AND status = 'queued'";
    OUTGOING_FILE = "SELECT file FROM whatsapp_outgoing_messages \
        WHERE client_id = $1 AND phone_number = $2 AND message_id = $3";
    OUTGOING_MESSAGE = concat!(
        "SELECT ", outgoing_columns!(), " FROM whatsapp_outgoing_messages \
         WHERE client_id = $1 AND phone_number = $2 AND message_id = $3"
    );
    // Those of the messages in the JSON array $3 that have a row.
    OUTGOING_NAMED = concat!(
        "SELECT ", outgoing_columns!(), " FROM whatsapp_outgoing_messages \
         WHERE client_id = $1 AND phone_number = $2 AND message_id IN (SELECT j.value FROM json_each($3) j)"
    );
    OUTGOING_PLACE = "SELECT seq FROM whatsapp_outgoing_messages \
        WHERE client_id = $1 AND phone_number = $2 AND message_id = $3";
    OUTGOING_MESSAGES = concat!(
        "SELECT ", outgoing_columns!(), " FROM whatsapp_outgoing_messages \
         WHERE client_id = $1 AND phone_number = $2 AND seq < $3 ORDER BY seq DESC LIMIT $4"
    );
    OUTGOING_MESSAGES_MATCHING = concat!(
        "SELECT ", outgoing_columns!(), " FROM whatsapp_outgoing_messages \
         WHERE client_id = $1 AND phone_number = $2 AND seq < $3 AND seq >= $7 AND ($8 IS NULL OR status = $8)",
        of_chat!(), " ORDER BY seq DESC LIMIT $4"
    );
    // Those that wait are few, and have an index.
    OUTGOING_MESSAGES_QUEUED = concat!(
        "SELECT ", outgoing_columns!(), " FROM whatsapp_outgoing_messages \
         WHERE client_id = $1 AND phone_number = $2 AND status = 'queued' AND seq < $3",
        of_chat!(), " ORDER BY seq DESC LIMIT $4"
    );
    OUTGOING_FLOOR = "SELECT seq FROM whatsapp_outgoing_messages \
        WHERE client_id = $1 AND phone_number = $2 AND seq < $3 ORDER BY seq DESC LIMIT 2 OFFSET $4";
    OUTGOING_AT = "SELECT message_id FROM whatsapp_outgoing_messages WHERE seq = $1";
    QUEUED_MESSAGES = concat!(
        "SELECT ", outgoing_columns!(), ", file FROM whatsapp_outgoing_messages \
         WHERE client_id = $1 AND phone_number = $2 AND status = 'queued' ORDER BY seq"
    );
    NOTE_OUTGOING = "UPDATE whatsapp_outgoing_messages \
        SET status = $2, error_code = $3, error = $4, started_at = $5, sent_at = $6, delivered_at = $7, read_at = $8, \
            played_at = $9, failed_at = $10, chat = $11 WHERE seq = $1";
    // What had begun when its session ended is not sent again (`unknown`).
    BEGIN_ALL_QUEUED = "UPDATE whatsapp_outgoing_messages SET started_at = coalesce(started_at, created_at) \
        WHERE status = 'queued'";
    // As the retention sees events. Begins where the index can: what has the same time is passed over again.
    VISIT_OUTGOING = "SELECT o.seq, \
            CASE o.status WHEN 'queued' THEN 'pending' WHEN 'failed' THEN 'failed' ELSE 'delivered' END, o.created_at, \
            1 + (octet_length(o.message) + coalesce(octet_length(o.file), 0)) / 4096 \
        FROM whatsapp_outgoing_messages o WHERE (o.created_at, o.seq) > ($1, $2) AND o.created_at < $3 \
        ORDER BY o.created_at, o.seq LIMIT $4";
    PURGE_OUTGOING = "DELETE FROM whatsapp_outgoing_messages WHERE seq IN (SELECT j.value FROM json_each($1) j) \
        AND ((+status NOT IN ('failed', 'queued') AND +created_at < $2) OR (+status = 'failed' AND +created_at < $3))";
}
