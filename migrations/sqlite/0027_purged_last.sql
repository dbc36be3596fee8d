-- Who has pulled everything has missed nothing when the last of it is removed: that event, and none behind it (0005_pulled.sql).
ALTER TABLE number_sequences ADD COLUMN purged_last BLOB; -- the id of the event at purged_up_to

DROP TRIGGER webhook_events_purged;

CREATE TRIGGER webhook_events_purged AFTER DELETE ON webhook_events WHEN old.status <> 'pending'
BEGIN
    UPDATE number_sequences SET purged = purged + 1, purged_up_to = max(purged_up_to, old.seq),
        purged_last = CASE WHEN old.seq > purged_up_to THEN old.id ELSE purged_last END
    WHERE client_id = old.client_id
        AND phone_number = (SELECT w.phone_number FROM whatsapp_webhooks w WHERE w.id = old.webhook_id);
END;
