//! Pictures that clients give groups.

use std::time::Duration;

use wharf_domain::{
    ClientId, Connection, GroupId, PhoneNumber,
    action::{Action, Done, Jpeg},
    outgoing::{FileType, MediaMessage, SentFile},
};

use super::{Gateway, GatewayError, IdempotencyKey};
use crate::media::{
    fetch::{NoFile, fetch_now},
    outbound::ReceivedFile,
    portrait::portrait,
};

/// For fetching a picture: whoever asks waits for it, and WhatsApp's answer comes after it.
const FETCH_WITHIN: Duration = Duration::from_secs(8);

/// A picture that a client gives, not looked at yet.
#[derive(Debug)]
pub enum NewPicture {
    /// It lies at this address.
    Url(String),
    /// It is here.
    Received {
        /// The file.
        file: ReceivedFile,
        /// What the client gave it in, for what is said of it.
        field: &'static str,
    },
}

impl Gateway {
    /// Gives a group a picture: its middle, as the square JPEG that WhatsApp takes.
    ///
    /// # Errors
    /// As [`Gateway::act`]; `Invalid` for what is no picture and for an address that is refused; `Refused` for what cannot be
    /// fetched; `TooLarge`.
    pub async fn set_group_picture(
        &self,
        client: ClientId,
        number: &PhoneNumber,
        group: GroupId,
        picture: NewPicture,
        idempotency: Option<IdempotencyKey>,
    ) -> Result<Done, GatewayError> {
        let connection = self.connection(client, number).await?;
        let gateway = self.clone();
        let setting = |connection: Connection| async move {
            let picture = Some(gateway.square(connection.client_id, picture).await?);
            let action = Action::SetGroupPicture { group, picture };
            gateway.carry_out(&connection, action).await
        };
        self.once(connection, idempotency, setting).await
    }

    async fn square(&self, client: ClientId, picture: NewPicture) -> Result<Jpeg, GatewayError> {
        let (file, field) = match picture {
            NewPicture::Received { file, field } => (file, field),
            NewPicture::Url(address) => {
                self.check_address(&address).await?;
                let fetched = fetch_now(&self.shared, client, at(address), FETCH_WITHIN).await;
                let file = fetched.map_err(|error| match error {
                    NoFile::Room(error) => error,
                    error @ NoFile::Fetch(_) => GatewayError::Refused(error.to_string()),
                })?;
                (file, "media.url")
            }
        };
        portrait(&self.shared, client, field, file).await
    }
}

/// What is fetched, as a message would have it.
fn at(address: String) -> MediaMessage {
    MediaMessage {
        kind: FileType::Image,
        media: SentFile {
            url: Some(address),
            ..SentFile::default()
        },
        caption: None,
        mentions: Vec::new(),
        view_once: false,
        gif: false,
        note: false,
        forwarded: false,
        ready: None,
    }
}
