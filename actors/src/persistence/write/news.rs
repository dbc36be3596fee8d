//! What tenants hear of writes.

use wharf_domain::ClientId;

use super::{Job, Write};
use crate::{delivery, tenant};

impl Write {
    /// What the client's tenant is to hear of what this changed.
    pub(in crate::persistence) fn news(&self) -> Option<(ClientId, tenant::Message)> {
        match self {
            Self::ChangeWebhook(Job {
                output: Some(webhook), ..
            })
            | Self::DeactivateWebhook(Job {
                output: Some(webhook), ..
            }) => {
                let webhook = webhook.clone()?;
                Some((webhook.client_id, tenant::Message::WebhookChanged(Box::new(webhook))))
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
