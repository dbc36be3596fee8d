//! The pictures that numbers and groups show.

use wharf_domain::{
    ClientId, Connection, GroupId, PhoneNumber,
    action::{Action, Done, Jpeg},
};

use super::{Gateway, GatewayError, IdempotencyKey};
use crate::{
    media::{outbound::ReceivedFile, portrait, prepare::Unprepared},
    post::for_client,
};

/// Where a picture that a client wants shown is.
#[derive(Debug)]
pub enum NewPicture {
    /// At this address.
    Url(String),
    /// It came with the request.
    Received {
        /// The file.
        file: ReceivedFile,
        /// What the client gave it in, for what is said of it.
        field: &'static str,
    },
}

impl Gateway {
    /// Shows another picture of a number, or of a group: the middle of it, as a JPEG of 640 by 640 pixels at the most.
    ///
    /// # Errors
    /// As [`Gateway::act`]; `Invalid` for what is no picture, and for an address that is refused; `Refused` when it cannot be
    /// fetched; `TooLarge`, `Conflict` and `Unavailable` as of a file that is sent.
    pub async fn set_picture(
        &self,
        client: ClientId,
        number: &PhoneNumber,
        group: Option<GroupId>,
        picture: NewPicture,
        idempotency: Option<IdempotencyKey>,
    ) -> Result<Done, GatewayError> {
        let connection = self.connection(client, number).await?;
        let gateway = self.clone();
        let setting = |connection: Connection| async move {
            let picture = Some(gateway.square(client, picture).await?);
            gateway
                .carry_out(&connection, Action::SetPicture { group, picture })
                .await
        };
        self.once(connection, idempotency, true, setting).await
    }

    async fn square(&self, client: ClientId, picture: NewPicture) -> Result<Jpeg, GatewayError> {
        let (file, field) = match picture {
            NewPicture::Received { file, field } => (file, field),
            NewPicture::Url(url) => {
                for_client(client, self.check_address(&url)).await?;
                (portrait::fetched(&self.shared, client, url).await?, "media.url")
            }
        };
        let made = portrait::portrait(&self.shared, client, field, file).await;
        made.map_err(|error| match error {
            Unprepared::Refused(refused) => refused.into(),
            Unprepared::Disk(error) => {
                tracing::error!(%error, "a picture cannot be read back");
                GatewayError::Unavailable("the picture cannot be kept here at present".to_owned())
            }
        })
    }
}
