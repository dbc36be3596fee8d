//! Media of a message: what a receiver is told, and what a download needs.

use std::fmt;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::{Deserialize, Serialize};

use crate::{Timestamp, words};

/// What a receiver is told of a picture, film, sound, file or sticker.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Media {
    /// Its MIME type, as the sender says.
    pub mime_type: String,
    /// Its size in bytes, as the sender says.
    pub size: u64,
    /// SHA-256 of the file in hexadecimal digits, as the sender says.
    pub sha256: String,
    /// Its name, where it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file_name: Option<String>,
    /// How long it plays, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seconds: Option<u32>,
    /// Pixels across.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub width: Option<u32>,
    /// Pixels down.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub height: Option<u32>,
    /// Whether a film is played as a GIF is.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub gif: bool,
    /// Whether a film is a video note.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub note: bool,
    /// Where the file can be fetched from until [`Media::expires_at`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Until when.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// Why there is no file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<MediaError>,
    /// What a download needs; `None` when the sender left something of it out.
    #[serde(skip)]
    pub reference: Option<Box<MediaReference>>,
    /// Of a file that is to be downloaded before the event goes out.
    #[serde(skip)]
    pub awaited: Option<Box<AwaitedMedia>>,
}

/// A file that an event waits for, as the store keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AwaitedMedia {
    /// The [`MediaReference`], encrypted.
    pub sealed: Vec<u8>,
    /// Until when the file is kept.
    pub expires_at: Timestamp,
}

words! {
    /// Why a receiver gets no file.
    pub enum MediaError {
        /// The sender left out what a download needs.
        Incomplete = "incomplete",
        /// WhatsApp does not have it any more.
        Gone = "gone",
        /// WhatsApp could not be reached, or gave no whole answer.
        Unreachable = "unreachable",
        /// The number's own proxy could not be used, and nothing is fetched without it.
        ProxyFailed = "proxy_failed",
        /// What came is not what the sender sent.
        Corrupt = "corrupt",
        /// The client has as many bytes of media as it may (`media.max_bytes`).
        Quota = "quota",
        /// The file could not be kept here.
        Storage = "storage",
    }
}

/// Which keys WhatsApp derives for a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MediaKind {
    /// Pictures.
    Image,
    /// Films.
    Video,
    /// Sounds and voice notes.
    Audio,
    /// Files.
    Document,
    /// Stickers, which WhatsApp keeps as pictures.
    Sticker,
}

/// What is needed to download a file from WhatsApp and to decrypt it. Never in a payload.
#[derive(Clone, PartialEq, Eq)]
pub struct MediaReference {
    /// Which keys it has.
    pub kind: MediaKind,
    /// Its path on WhatsApp's media hosts.
    pub direct_path: String,
    /// The secret that its keys are derived from; 32 bytes.
    pub media_key: Vec<u8>,
    /// SHA-256 of the encrypted file.
    pub enc_sha256: Vec<u8>,
    /// SHA-256 of the file.
    pub sha256: Vec<u8>,
    /// Its size in bytes, as the sender says.
    pub size: u64,
    /// Whether it came to a number with a proxy of its own: once nothing is known of that any more, it is not fetched.
    pub by_proxy: bool,
    /// What the account's phone did when it was asked to upload the file again.
    pub asked: Asked,
}

/// What the account's phone did when it was asked for a file that WhatsApp's hosts do not have any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Asked {
    /// It was not asked.
    #[default]
    No,
    /// It does not have it any more, would not, or is off.
    Refused,
    /// It uploaded it again.
    Uploaded,
    /// It did, and one host did not have it yet.
    UploadedAndGone,
}

/// A reference in JSON, before it is encrypted.
#[derive(Serialize, Deserialize)]
struct Written {
    kind: MediaKind,
    direct_path: String,
    media_key: String,
    enc_sha256: String,
    sha256: String,
    size: u64,
    #[serde(default)]
    by_proxy: bool,
    #[serde(default)]
    asked: Asked,
}

impl MediaReference {
    /// As bytes, to be encrypted. There is no `Serialize`: nothing else can write the key by mistake.
    pub fn to_bytes(&self) -> Vec<u8> {
        let written = Written {
            kind: self.kind,
            direct_path: self.direct_path.clone(),
            media_key: STANDARD.encode(&self.media_key),
            enc_sha256: STANDARD.encode(&self.enc_sha256),
            sha256: STANDARD.encode(&self.sha256),
            size: self.size,
            by_proxy: self.by_proxy,
            asked: self.asked,
        };
        // Text and numbers: serialising them into memory has no way to fail.
        serde_json::to_vec(&written).unwrap_or_default()
    }

    /// From what [`MediaReference::to_bytes`] gave.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let written: Written = serde_json::from_slice(bytes).ok()?;
        Some(Self {
            kind: written.kind,
            direct_path: written.direct_path,
            media_key: STANDARD.decode(written.media_key).ok()?,
            enc_sha256: STANDARD.decode(written.enc_sha256).ok()?,
            sha256: STANDARD.decode(written.sha256).ok()?,
            size: written.size,
            by_proxy: written.by_proxy,
            asked: written.asked,
        })
    }
}

impl fmt::Debug for MediaReference {
    /// Without the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MediaReference")
            .field("kind", &self.kind)
            .field("direct_path", &self.direct_path)
            .field("size", &self.size)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_of_a_file_shows_nowhere() {
        let reference = MediaReference {
            kind: MediaKind::Image,
            direct_path: "/v/t62".into(),
            media_key: vec![171; 32],
            enc_sha256: vec![1; 32],
            sha256: vec![2; 32],
            size: 3,
            by_proxy: true,
            asked: Asked::UploadedAndGone,
        };
        assert_eq!(
            MediaReference::from_bytes(&reference.to_bytes()).as_ref(),
            Some(&reference)
        );
        let media = Media {
            reference: Some(Box::new(reference)),
            ..Media::default()
        };
        assert!(!format!("{media:?}").contains("171"));
        assert_eq!(
            serde_json::to_string(&media).unwrap(),
            r#"{"mime_type":"","size":0,"sha256":""}"#
        );
    }

    #[test]
    fn an_error_is_the_same_word_everywhere() {
        for error in MediaError::ALL {
            assert_eq!(serde_json::to_value(error).unwrap(), error.as_str());
            assert_eq!(MediaError::from_word(error.as_str()), Some(error));
        }
        assert_eq!(MediaError::from_word("other"), None);
    }
}
