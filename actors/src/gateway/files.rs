//! Files that are to be sent, and what is passed on.

use std::{
    io::{self, ErrorKind},
    sync::Arc,
    time::Duration,
};

use tokio::io::AsyncReadExt as _;
use wharf_domain::{
    ClientId, Connection, EventId, InvalidField, PhoneNumber, Timestamp,
    address::check_url,
    outgoing::{Content, ForwardSource, Forwarded, NotForwardable, ReadyFile, forwarded},
};
use wharf_store::MediaState;

use super::{Gateway, GatewayError, NewFile, NewMedia};
use crate::{
    clock,
    media::{
        outbound::{KeptFile, ReceivedFile, Receiving, disk},
        prepare::{Unprepared, prepare},
    },
    post::{fetch::in_field, for_client},
};

/// The field that names a file's address.
const URL: &str = "media.url";
/// For how long a file that was uploaded is passed on without being uploaded again: WhatsApp's hosts keep it for weeks.
const AT_WHATSAPP: Duration = Duration::from_hours(7 * 24);
/// What of a file is read in one go.
const PIECE: usize = 64 * 1024;

impl Gateway {
    /// Begins to receive a file that this number is to send, of at most `most` bytes; without, of as many as a file may have.
    ///
    /// # Errors
    /// `NotFound`; `Unavailable` for the store or the disk.
    pub async fn receive_file(
        &self,
        client: ClientId,
        number: &PhoneNumber,
        most: Option<u64>,
    ) -> Result<Receiving, GatewayError> {
        // Nobody uploads a hundred megabytes to learn that there is no such number.
        self.connection(client, number).await?;
        let shared = &self.shared;
        let most = most.unwrap_or(shared.settings.media.send_max_bytes);
        shared.media.outbound.receive(&shared.store, client, most).await
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
                let address = message.media.url.as_deref().unwrap_or_default();
                for_client(connection.client_id, self.check_address(address)).await?;
                (message, None)
            }
            NewFile::Received { file, field } => {
                let key = connection.key();
                let ready = prepare(&self.shared, &key, message_id, message, file).await;
                let (message, kept) = ready.map_err(|error| match error {
                    Unprepared::Refused(refused) => in_field(field, refused).into(),
                    Unprepared::Disk(error) => disk(&error),
                })?;
                (message, Some(kept))
            }
        };
        Ok((Content::Media(Box::new(message)), kept))
    }

    /// What is passed on, with its file.
    ///
    /// # Errors
    /// `NotFound`; `Refused` for what cannot be passed on, or has a file that is not there; of a file whatever its session refuses, which
    /// has `queue` with it.
    pub(super) async fn forwarded(
        &self,
        connection: &Connection,
        message_id: &str,
        source: ForwardSource,
        queue: bool,
    ) -> Result<(Content, Option<KeptFile>), GatewayError> {
        let refused = |error: NotForwardable| GatewayError::Refused(error.to_string());
        match source {
            ForwardSource::Event(id) => {
                let event = self.event(connection.client_id, id).await?;
                let payload = serde_json::from_str(event.payload.get()).unwrap_or_default();
                match forwarded(&payload).map_err(refused)? {
                    Forwarded::Words(content) => Ok((content, None)),
                    Forwarded::File(message) => {
                        // No file is copied for a message that would be refused.
                        self.check_session(connection, queue).await?;
                        let received = self.copied(connection.client_id, id).await?;
                        let media = NewMedia {
                            message: *message,
                            file: NewFile::Received {
                                file: received,
                                field: "event_id",
                            },
                        };
                        let ready = self.ready_file(connection, message_id, media).await;
                        // Nothing that the request says is wrong.
                        ready.map_err(|error| match error {
                            GatewayError::Invalid(InvalidField { message, .. }) => {
                                GatewayError::Refused(format!("it cannot be forwarded: its file {message}"))
                            }
                            error => error,
                        })
                    }
                }
            }
            ForwardSource::Sent(of) => {
                let key = connection.key();
                let sent = self.shared.store.outgoing_message(&key, &of).await?;
                let sent = sent.ok_or(GatewayError::NotFound("message"))?;
                let unreadable =
                    || GatewayError::Refused("it cannot be forwarded: it cannot be read any more".to_owned());
                let asked_for = sent.message.ok_or_else(unreadable)?;
                let mut content = asked_for.content.forwarded().map_err(refused)?;
                if let Content::Media(message) = &mut content {
                    message.ready = Some(Arc::new(self.uploaded(connection, &of).await?));
                }
                Ok((content, None))
            }
        }
    }

    /// A copy of the file that an event's message came with.
    async fn copied(&self, client: ClientId, id: EventId) -> Result<ReceivedFile, GatewayError> {
        let shared = &self.shared;
        let gone = || GatewayError::Refused("it cannot be forwarded: its file is not here".to_owned());
        let row = shared.store.media(client, id).await?.ok_or_else(gone)?;
        if row.state != MediaState::Kept {
            return Err(gone());
        }
        // As a transfer: a file may be large, and copies of many at once would take the disk from everybody.
        let _turn = shared.media.transfers.turn(client).await;
        let path = shared.media.files.path(client, id);
        let unreadable = |error: io::Error| match error.kind() {
            ErrorKind::NotFound => gone(),
            // Of a moment maybe: too many open files, a disk that does not answer.
            _ => {
                tracing::warn!(event = %id, %error, "a file of media cannot be read");
                GatewayError::Unavailable("its file cannot be read at present".to_owned())
            }
        };
        let mut file = tokio::fs::File::open(path).await.map_err(unreadable)?;
        let most = shared.settings.media.send_max_bytes;
        let mut receiving = shared.media.outbound.receive(&shared.store, client, most).await?;
        let mut piece = vec![0; PIECE];
        loop {
            match file.read(&mut piece).await.map_err(unreadable)? {
                0 => return receiving.finish().await,
                read => receiving.take(&piece[..read]).await?,
            }
        }
    }

    /// The file of a message that was sent, as it lies at WhatsApp.
    async fn uploaded(&self, connection: &Connection, message_id: &str) -> Result<ReadyFile, GatewayError> {
        let key = connection.key();
        let sealed = self.shared.store.outgoing_file(&key, message_id).await?;
        let opened = sealed.map(|sealed| self.shared.vault.media().open_sent(&key, message_id, &sealed));
        let ready = opened.transpose()?.filter(|ready| {
            let young = clock::now().since(Timestamp::from_seconds(ready.made_at)) < AT_WHATSAPP;
            young && !ready.reference.direct_path.is_empty()
        });
        ready.ok_or_else(|| {
            let days = AT_WHATSAPP.as_secs() / 86_400;
            GatewayError::Refused(format!(
                "it cannot be forwarded: its file was not uploaded, or more than {days} days ago; send it again"
            ))
        })
    }

    /// As a webhook's: its form now, and each address again when it is connected to.
    pub(super) async fn check_address(&self, address: &str) -> Result<(), GatewayError> {
        let refused = |refused: InvalidField| GatewayError::Invalid(in_field(URL, refused));
        let url = check_url(&self.shared.settings.targets, address).map_err(refused)?;
        self.shared.poster.check_target(&url).await.map_err(refused)
    }
}
