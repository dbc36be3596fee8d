//! A picture of a group: whatever a client gives becomes the square JPEG that WhatsApp takes.

use std::{
    fs, io,
    panic::{self, AssertUnwindSafe},
};

use wharf_domain::{ClientId, InvalidField, action::Jpeg, fair::Standing};

use super::{outbound::ReceivedFile, probe};
use crate::{GatewayError, shared::Shared};

/// Bytes of a picture that is looked at.
pub const PICTURE_MAX_BYTES: u64 = 16 << 20;
/// What is said of a file that none is made of.
const WANTED: &str = "must be a JPEG (24 megapixels at the most; progressive: 12), PNG (50; interlaced: 12) or WebP (8) of at \
                      most 16 MiB that can be read; its middle is taken, as a square JPEG of at most 640 pixels across";

/// Makes a picture of a file, when it is this client's turn: a large one takes some hundred MiB meanwhile. `field` is what the client
/// gave the file in.
///
/// # Errors
/// `Invalid` for what is no picture, or too large a one; `Unavailable` for the disk.
pub(crate) async fn portrait(
    shared: &Shared,
    client: ClientId,
    field: &'static str,
    file: ReceivedFile,
) -> Result<Jpeg, GatewayError> {
    let turn = shared.media.preparing.wait(client, Standing::Sound).await;
    // The thread goes on when nobody waits for it any more, and its turn lasts so long.
    let working = tokio::task::spawn_blocking(move || {
        let _turn = turn;
        let mut file = fs::File::open(file.path())?;
        // Strangers wrote what is read here.
        let looking = AssertUnwindSafe(|| probe::square(&mut file));
        Ok(panic::catch_unwind(looking).unwrap_or_default())
    });
    let made = working
        .await
        .unwrap_or_else(|ended| Err(io::Error::other(ended.to_string())));
    let made = made.map_err(|error| {
        tracing::error!(%error, "a picture that was received cannot be read");
        GatewayError::Unavailable("the picture cannot be read here at present".to_owned())
    })?;
    made.map(Jpeg).ok_or_else(|| InvalidField::new(field, WANTED).into())
}
