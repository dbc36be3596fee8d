-- How fast a number sends, where its client has set it: messages per second (0: no limit) and at once after a pause.
ALTER TABLE whatsapp_connections ADD COLUMN sending_per_second INTEGER CHECK (sending_per_second >= 0);
ALTER TABLE whatsapp_connections ADD COLUMN sending_burst INTEGER
    CHECK (sending_burst >= 1 AND (sending_burst IS NULL) = (sending_per_second IS NULL));
