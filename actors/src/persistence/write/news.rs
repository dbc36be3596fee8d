//! What tenants hear of writes.

use wharf_domain::{ClientId, Webhook};

use super::{Job, Write};
use crate::{delivery, tenant};

impl Write {
    /// What the client's tenant is to hear of what this changed.
    pub(in crate::persistence) fn news(&self) -> Option<(ClientId, tenant::Message)> {
        match self {
            // In one message: no attempt takes the old headers to the new target.
            Self::ChangeWebhook(Job {
                input,
                output: Some(webhook),
                ..
            }) => Some(webhook_changed(webhook.as_ref()?, input.headers.is_some())),
            Self::DeactivateWebhook(Job {
                output: Some(webhook), ..
            }) => Some(webhook_changed(webhook.as_ref()?, false)),
            Self::RotateSecret(Job {
                input,
                output: Some(true),
                ..
            }) => {
                let changed = Box::new(delivery::Message::SecretsChanged);
                Some((input.client_id, tenant::Message::ForDelivery(input.webhook_id, changed)))
            }
            Self::DeleteWebhook(Job {
                input: (client, id),
                output: Some(Some(_)),
                ..
            }) => {
                let close = Box::new(delivery::Message::Close);
                Some((*client, tenant::Message::ForDelivery(*id, close)))
            }
            Self::CreateConnection(Job {
                output: Some(connection),
                ..
            }) => {
                let connection = connection.clone()?;
                let client = connection.client_id;
                Some((client, tenant::Message::ConnectionCreated(Box::new(connection))))
            }
            Self::DeleteConnection(Job {
                input: key,
                output: Some(true),
                ..
            }) => {
                let number = key.phone_number.clone();
                Some((key.client_id, tenant::Message::ConnectionDeleted(number)))
            }
            _ => None,
        }
    }
}

fn webhook_changed(webhook: &Webhook, secrets: bool) -> (ClientId, tenant::Message) {
    let changed = tenant::Message::WebhookChanged {
        webhook: Box::new(webhook.clone()),
        secrets,
    };
    (webhook.client_id, changed)
}
