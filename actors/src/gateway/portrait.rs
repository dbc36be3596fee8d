//! The picture that a number shows of itself.

use std::sync::Arc;

use wharf_domain::{
    ClientId, Connection, PhoneNumber,
    action::{Action, Done},
};

use super::{Gateway, GatewayError, IdempotencyKey};
use crate::media::{outbound::ReceivedFile, portrait, prepare::Unprepared};

/// Where a picture that a client wants shown is.
#[derive(Debug)]
pub enum NewPicture {
    /// At this address.
    Url(String),
    /// Here.
    Received(ReceivedFile),
}

impl Gateway {
    /// Shows another picture of a number: the middle of it, as a JPEG of 640 by 640 pixels at the most.
    ///
    /// # Errors
    /// As [`Gateway::act`]; `Invalid` for what is no picture, and for an address that is refused; `Refused` when it cannot be
    /// fetched; `TooLarge`, `Conflict` and `Unavailable` as of a file that is sent.
    pub async fn set_picture(
        &self,
        client: ClientId,
        number: &PhoneNumber,
        picture: NewPicture,
        idempotency: Option<IdempotencyKey>,
    ) -> Result<Done, GatewayError> {
        let connection = self.connection(client, number).await?;
        let gateway = self.clone();
        let setting = |connection: Connection| async move {
            let jpeg = gateway.square(client, picture).await?;
            gateway
                .carry_out(&connection, Action::SetPicture(Arc::from(jpeg)))
                .await
        };
        self.once(connection, idempotency, setting).await
    }

    async fn square(&self, client: ClientId, picture: NewPicture) -> Result<Vec<u8>, GatewayError> {
        let received = match picture {
            NewPicture::Received(received) => received,
            NewPicture::Url(url) => {
                self.check_address(&url).await?;
                portrait::fetched(&self.shared, client, url).await?
            }
        };
        let made = portrait::portrait(&self.shared, client, received).await;
        made.map_err(|error| match error {
            Unprepared::Refused(refused) => refused.into(),
            Unprepared::Disk(error) => {
                tracing::error!(%error, "a picture cannot be read back");
                GatewayError::Unavailable("the picture cannot be kept here at present".to_owned())
            }
        })
    }
}
