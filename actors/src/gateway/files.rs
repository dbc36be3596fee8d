//! Files that are to be sent.

use wharf_domain::{
    ClientId, Connection, InvalidField, PhoneNumber,
    address::check_url,
    outgoing::{Content, MediaMessage},
};

use super::{Gateway, GatewayError, NewFile, NewMedia};
use crate::{
    media::{
        fetch::bounds,
        outbound::{KeptFile, Receiving},
        prepare::{Unprepared, prepare},
    },
    post::fetch::in_field,
};

/// The field that names a file's address.
const URL: &str = "media.url";

impl Gateway {
    /// Begins to receive a file that this number is to send.
    ///
    /// # Errors
    /// `NotFound`; `Unavailable` for the store or the disk.
    pub async fn receive_file(&self, client: ClientId, number: &PhoneNumber) -> Result<Receiving, GatewayError> {
        // Nobody uploads a hundred megabytes to learn that there is no such number.
        self.connection(client, number).await?;
        let shared = &self.shared;
        let bounds = bounds(shared, client, shared.settings.media.send_max_bytes).await?;
        shared.media.outbound.receive(client, bounds).await
    }

    /// The message with its file ready: encrypted at its place, or to be fetched from an address that may be one.
    ///
    /// # Errors
    /// `Invalid` for what WhatsApp does not take and for an address that is refused; `Unavailable` for the disk.
    pub(super) async fn ready_file(
        &self,
        connection: &Connection,
        message_id: &str,
        NewMedia { message, file }: NewMedia,
    ) -> Result<(Content, Option<KeptFile>), GatewayError> {
        let (message, kept) = match file {
            NewFile::Url => {
                self.check_address(&message).await?;
                (message, None)
            }
            NewFile::Received(received) => {
                let key = connection.key();
                let ready = prepare(&self.shared, &key, message_id, message, received).await;
                let (message, kept) = ready.map_err(|error| match error {
                    Unprepared::Refused(refused) => refused.into(),
                    Unprepared::Disk(error) => {
                        tracing::error!(%error, "a file that is to be sent cannot be kept");
                        GatewayError::Unavailable("the file cannot be kept here at present".to_owned())
                    }
                })?;
                (message, Some(kept))
            }
        };
        Ok((Content::Media(Box::new(message)), kept))
    }

    /// As a webhook's: its form now, and each address again when it is connected to.
    async fn check_address(&self, message: &MediaMessage) -> Result<(), GatewayError> {
        let address = message.media.url.as_deref().unwrap_or_default();
        let refused = |refused: InvalidField| GatewayError::Invalid(in_field(URL, refused));
        let url = check_url(self.shared.settings.targets, address).map_err(refused)?;
        self.shared.poster.check_target(&url).await.map_err(refused)
    }
}
