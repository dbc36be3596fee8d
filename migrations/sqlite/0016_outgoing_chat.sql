-- The chat that the events of a message lie in (wharf_domain::outgoing::Told): the first that WhatsApp named, or that something
-- was told in. NULL as long as neither has happened.
ALTER TABLE whatsapp_outgoing_messages ADD COLUMN chat TEXT;
