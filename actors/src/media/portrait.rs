//! The picture that an account or a group shows: received or fetched as a file that is sent, and made a square JPEG.

use std::{fs, io, panic, panic::AssertUnwindSafe, time::Duration};

use wharf_domain::{
    ClientId, InvalidField,
    action::Jpeg,
    outgoing::{FileType, MediaMessage, SentFile},
};

use super::{
    fetch::fetch,
    outbound::ReceivedFile,
    prepare::{Unprepared, check_size},
    probe::square,
};
use crate::{GatewayError, shared::Shared};

/// Somebody waits for the answer meanwhile.
const FETCHED_WITHIN: Duration = Duration::from_secs(10);
/// And before that for a turn, which the client's files that go out may take.
const TURN_WITHIN: Duration = Duration::from_secs(5);

/// Fetches a picture from an address that may be one.
///
/// # Errors
/// `Refused` when it cannot be had in time; `Unavailable` when it was not this client's turn in time; `TooLarge` and `Conflict` as of a file that is sent.
pub(crate) async fn fetched(shared: &Shared, client: ClientId, url: String) -> Result<ReceivedFile, GatewayError> {
    let media = SentFile {
        url: Some(url),
        ..SentFile::default()
    };
    let message = MediaMessage::plain(FileType::Image, media);
    let turn = tokio::time::timeout(TURN_WITHIN, shared.media.transfers.turn(client)).await;
    let turn = turn.map_err(|_| {
        GatewayError::Unavailable("other files are being fetched and uploaded; the file was not asked for".to_owned())
    })?;
    match tokio::time::timeout(FETCHED_WITHIN, fetch(shared, client, message, turn.as_ref())).await {
        Ok(Ok((_, received))) => Ok(received),
        Ok(Err(super::fetch::NoFile::Room(error))) => Err(error),
        Ok(Err(error)) => Err(GatewayError::Refused(error.to_string())),
        Err(_) => Err(GatewayError::Refused(format!(
            "the file could not be fetched: it did not come within {FETCHED_WITHIN:?}"
        ))),
    }
}

/// Makes a square JPEG of a picture, when it is this client's turn: pictures take memory. `field` is what the client gave it in.
///
/// # Errors
/// `Unprepared`.
pub(crate) async fn portrait(
    shared: &Shared,
    client: ClientId,
    field: &'static str,
    received: ReceivedFile,
) -> Result<Jpeg, Unprepared> {
    check_size(FileType::Image, received.size).map_err(|refused| InvalidField::new(field, refused.message))?;
    let turn = shared.media.preparing.turn(client).await;
    // The thread goes on when nobody waits for it any more, and its turn lasts so long.
    let working = tokio::task::spawn_blocking(move || {
        let _turn = turn;
        let mut file = fs::File::open(received.path())?;
        // Strangers wrote what is read here.
        let making = AssertUnwindSafe(|| square(field, &mut file));
        let made = panic::catch_unwind(making);
        let unreadable = |_| {
            Err(InvalidField::new(
                field,
                "must be a JPEG, a PNG or a WebP; this cannot be read as one",
            ))
        };
        made.unwrap_or_else(unreadable).map(Jpeg).map_err(Unprepared::from)
    });
    working
        .await
        .unwrap_or_else(|panicked| Err(io::Error::other(panicked.to_string()).into()))
}
