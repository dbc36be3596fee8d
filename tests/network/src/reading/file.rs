//! The file that a message names: fetched, decrypted, checked.

use sha2::{Digest as _, Sha256};
use wacore::download::{DownloadUtils, MediaType};
use waproto::whatsapp::Message;

use crate::state::World;
use crate::{MediaView, hex};

/// Decrypting more than that would hold up other connections.
const LARGE: u64 = 64 << 10;

/// A file as a message names it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Named {
    pub(crate) direct_path: Option<String>,
    pub(crate) key: Option<Vec<u8>>,
    plain_hash: Option<Vec<u8>>,
    length: Option<u64>,
    mime: Option<String>,
    file_name: Option<String>,
    sticker: bool,
    video: bool,
    audio: bool,
    document: bool,
}

impl Named {
    fn media_type(&self) -> MediaType {
        match self {
            Self { video: true, .. } => MediaType::Video,
            Self { audio: true, .. } => MediaType::Audio,
            Self { document: true, .. } => MediaType::Document,
            Self { sticker: true, .. } => MediaType::Sticker,
            _ => MediaType::Image,
        }
    }
}

/// The file that the message names, if any.
pub(crate) fn named(message: &Message) -> Option<Named> {
    macro_rules! of {
        ($file:expr) => {
            Named {
                direct_path: $file.direct_path.clone(),
                key: $file.media_key.clone(),
                plain_hash: $file.file_sha256.clone(),
                length: $file.file_length,
                mime: $file.mimetype.clone(),
                ..Default::default()
            }
        };
    }
    if let Some(file) = message.image_message.as_option() {
        return Some(of!(file));
    }
    for video in [&message.video_message, &message.ptv_message] {
        if let Some(file) = video.as_option() {
            return Some(Named {
                video: true,
                ..of!(file)
            });
        }
    }
    if let Some(file) = message.audio_message.as_option() {
        return Some(Named {
            audio: true,
            ..of!(file)
        });
    }
    if let Some(file) = message.document_message.as_option() {
        return Some(Named {
            document: true,
            file_name: file.file_name.clone(),
            ..of!(file)
        });
    }
    let file = message.sticker_message.as_option()?;
    Some(Named {
        sticker: true,
        ..of!(file)
    })
}

/// What is to be told of the file: as the message says, and whether it is what the store holds.
pub(super) async fn fetch(world: &World, file: Named) -> MediaView {
    let mut view = MediaView {
        mime_type: file.mime.clone().unwrap_or_default(),
        size: file.length.unwrap_or_default(),
        sha256: file.plain_hash.as_deref().map(hex).unwrap_or_default(),
        file_name: file.file_name.clone(),
        intact: None,
    };
    let promised = view.sha256.clone();
    view.intact = Some(match plain(world, file).await {
        Ok(bytes) => bytes.len() as u64 == view.size && hex(&Sha256::digest(&bytes)) == promised,
        Err(_) => false,
    });
    view
}

/// The decrypted file.
///
/// # Errors
/// What is missing, or does not decrypt.
pub(crate) async fn plain(world: &World, file: Named) -> Result<Vec<u8>, String> {
    let path = file.direct_path.clone().ok_or("the message names no place")?;
    let key = file.key.clone().ok_or("the message brings no key")?;
    let sealed = world
        .media
        .get(&path)
        .ok_or_else(|| format!("nothing lies at {path}"))?;
    let media = file.media_type();
    let open = move || DownloadUtils::verify_and_decrypt(&sealed, &key, media).map_err(|error| error.to_string());
    if file.length.unwrap_or_default() <= LARGE {
        return open();
    }
    tokio::task::spawn_blocking(open)
        .await
        .map_err(|error| error.to_string())?
}
