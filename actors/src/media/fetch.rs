//! A file that is to be sent and that a client names by its address: fetched to the disk, bounded, a few times if need be.

use std::time::Duration;

use thiserror::Error;
use wharf_domain::{
    ClientId,
    outgoing::{FileType, MediaMessage, check_mime_type},
};

use super::outbound::ReceivedFile;
use crate::{
    GatewayError,
    post::{fetch::NotFetched, for_client},
    shared::Shared,
    slots::Permit,
};

/// Tries.
const TRIES: u32 = 3;
/// The wait before the second try; three times as long before the third.
const FIRST_WAIT: Duration = Duration::from_secs(1);
/// For one try, whatever its size.
const DEADLINE: Duration = Duration::from_secs(300);

/// Why there is no file.
#[derive(Debug, Error)]
pub(crate) enum NoFile {
    /// It cannot be fetched.
    #[error("the file could not be fetched: {0}")]
    Fetch(#[from] NotFetched),
    /// It is too large, or there is no room for it.
    #[error(transparent)]
    Room(#[from] GatewayError),
}

/// Bytes that a file of a kind may have.
pub(crate) fn most_bytes(shared: &Shared, kind: FileType) -> u64 {
    shared.settings.media.send_max_bytes.min(kind.most_bytes())
}

/// Fetches the file of a message, each try when it is this client's turn; with a slot that the caller has, all of them in that. Answers it with the message, which says now what the
/// server said of it where the client did not.
///
/// # Errors
/// See [`NoFile`].
pub(crate) async fn fetch(
    shared: &Shared,
    client: ClientId,
    mut message: MediaMessage,
    slot: Option<&Permit>,
) -> Result<(MediaMessage, ReceivedFile), NoFile> {
    let mut tries = 0;
    loop {
        tries += 1;
        let own = match slot {
            Some(_) => None,
            None => shared.media.transfers.turn(client).await,
        };
        let fetched = tokio::time::timeout(DEADLINE, once(shared, client, &mut message)).await;
        drop(own);
        let error = match fetched {
            Ok(Ok(file)) => return Ok((message, file)),
            Ok(Err(error)) => error,
            Err(_) => NoFile::Fetch(NotFetched {
                detail: format!("it did not come within {DEADLINE:?}"),
                passing: false,
            }),
        };
        let passing = match &error {
            NoFile::Fetch(error) => error.passing,
            NoFile::Room(error) => matches!(error, GatewayError::Unavailable(_)),
        };
        tracing::info!(%client, tries, %error, "a file that is to be sent was not fetched");
        if !passing || tries >= TRIES {
            return Err(error);
        }
        tokio::time::sleep(FIRST_WAIT * 3_u32.saturating_pow(tries - 1)).await;
    }
}

async fn once(shared: &Shared, client: ClientId, message: &mut MediaMessage) -> Result<ReceivedFile, NoFile> {
    let address = message.media.url.clone().unwrap_or_default();
    let most = most_bytes(shared, message.kind);
    let mut coming = for_client(client, shared.fetcher.open(&address)).await?;
    if let Some(length) = coming.length.filter(|length| *length > most) {
        let detail = format!(
            "the file has {length} bytes: at most {most} may be sent as {}",
            message.kind.as_str()
        );
        return Err(GatewayError::TooLarge(detail).into());
    }
    let mut receiving = shared.media.outbound.receive(&shared.store, client, most).await?;
    while let Some(piece) = coming.next().await? {
        receiving.take(&piece).await?;
    }
    let file = &mut message.media;
    if file.mime_type.is_none() {
        let said = coming.mime_type.take();
        file.mime_type = said.filter(|said| check_mime_type("media", said).is_ok());
    }
    if file.file_name.is_none() && message.kind == FileType::Document {
        file.file_name = coming.file_name.take();
    }
    Ok(receiving.finish().await?)
}
