-- Which chats a webhook is told of (wharf_domain::chat_kind): a JSON array. Webhooks from before are told of all, as they were.
ALTER TABLE whatsapp_webhooks ADD COLUMN chats TEXT NOT NULL DEFAULT '["person","group"]' CHECK (chats <> '[]');
