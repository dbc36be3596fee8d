-- For consumers that pull: what was removed of each number's events. Who has read up to an earlier event than one that
-- was removed since has missed it, and is told so.
ALTER TABLE number_sequences ADD COLUMN purged INTEGER NOT NULL DEFAULT 0; -- how many
ALTER TABLE number_sequences ADD COLUMN purged_up_to INTEGER NOT NULL DEFAULT 0; -- the seq of the last one of them

-- A pending event is never removed for its age: what is removed while it is pending was taken back before its commit.
CREATE TRIGGER webhook_events_purged AFTER DELETE ON webhook_events WHEN old.status <> 'pending'
BEGIN
    UPDATE number_sequences SET purged = purged + 1, purged_up_to = max(purged_up_to, old.seq)
    WHERE client_id = old.client_id
        AND phone_number = (SELECT w.phone_number FROM whatsapp_webhooks w WHERE w.id = old.webhook_id);
END;
