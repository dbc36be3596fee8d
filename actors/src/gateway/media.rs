//! Files that were received, for those who have their links.

use std::path::PathBuf;

use wharf_domain::media_link::MediaLink;
use wharf_store::MediaState;

use super::Gateway;
use crate::clock;

/// A file that is here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MediaFile {
    /// Where it lies.
    pub path: PathBuf,
    /// Its bytes.
    pub size: u64,
    /// What it is, as the sender says.
    pub mime_type: String,
    /// SHA-256 in hexadecimal digits.
    pub sha256: String,
}

/// Why a link gives no file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoMedia {
    /// It was never given out like this. Says nothing of what exists.
    NotSigned,
    /// Its time is over, and its file gone.
    Expired,
    /// It has not been downloaded yet.
    NotYet,
    /// It could not be downloaded, or is not kept any more.
    Missing,
    /// The store cannot be read.
    Unavailable(String),
}

impl Gateway {
    /// The file of a link with this signature.
    ///
    /// # Errors
    /// [`NoMedia`].
    pub async fn media(&self, link: &MediaLink, signature: &str) -> Result<MediaFile, NoMedia> {
        let shared = &self.shared;
        // The signature first: whoever made a link up learns nothing, not even what time it is here.
        if !link.is_signed(shared.vault.media().link_key(), signature) {
            return Err(NoMedia::NotSigned);
        }
        let row = shared.store.media(link.client_id, link.event_id).await;
        let row = row.map_err(|error| NoMedia::Unavailable(error.to_string()))?;
        // A row goes with its file, and that stays until the retention comes by, and for as long as its event needs it.
        let row = row.ok_or_else(|| match link.has_expired(clock::now()) {
            true => NoMedia::Expired,
            false => NoMedia::Missing,
        })?;
        match row.state {
            MediaState::Pending => Err(NoMedia::NotYet),
            MediaState::Failed(_) => Err(NoMedia::Missing),
            MediaState::Kept => Ok(MediaFile {
                path: shared.media.files.path(link.client_id, link.event_id),
                size: row.size,
                mime_type: row.mime_type,
                sha256: row.sha256,
            }),
        }
    }
}
