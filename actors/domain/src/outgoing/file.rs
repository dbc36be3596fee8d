//! Messages that carry a file: what is shown of it, and what only WhatsApp and the receiver are told.

use std::{fmt, sync::Arc, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::{Deserialize, Serialize};

use super::{FileType, Mentions};
use crate::{InvalidField, message::MediaReference};

/// Bytes in a second that a slow way to WhatsApp still has: a file's message may wait so much longer.
const SLOW_BYTES_PER_SECOND: u64 = 128 * 1024;
/// What a file that has to be fetched gets on top of that.
const FETCH_ALLOWANCE: Duration = Duration::from_secs(120);
/// WhatsApp's limit of captions, in characters; their bytes are bounded by it.
const CAPTION_MAX_CHARS: usize = 1024;
/// The longest name of a file, in characters.
const FILE_NAME_MAX_CHARS: usize = 240;

/// A message with a file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MediaMessage {
    /// What the file is sent as.
    #[serde(rename = "type")]
    pub kind: FileType,
    /// The file, as it is shown.
    pub media: SentFile,
    /// The words under it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub caption: Option<String>,
    /// Who is mentioned in them.
    #[serde(skip_serializing_if = "Mentions::is_empty", default)]
    pub mentions: Mentions,
    /// Whether it may be seen once.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub view_once: bool,
    /// Whether a film is played as a GIF is: again and again, without sound.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub gif: bool,
    /// Whether a film is a video note, shown round. Those have no caption.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub note: bool,
    /// Whether it is passed on.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub forwarded: bool,
    /// The file's key and what the message says of it to the receiver; there when the file is ready to be uploaded.
    /// Never in the JSON.
    #[serde(skip)]
    pub ready: Option<Arc<ReadyFile>>,
}

impl MediaMessage {
    /// A file and nothing else, which is not ready yet.
    pub fn plain(kind: FileType, media: SentFile) -> Self {
        Self {
            kind,
            media,
            caption: None,
            mentions: Mentions::default(),
            view_once: false,
            gif: false,
            note: false,
            forwarded: false,
            ready: None,
        }
    }
}

/// A file that is sent, as it is shown.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct SentFile {
    /// Where it is fetched from.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub url: Option<String>,
    /// Its MIME type; before it was fetched, what the client says.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub mime_type: Option<String>,
    /// Bytes.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub size: Option<u64>,
    /// SHA-256 in hexadecimal digits.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub sha256: Option<String>,
    /// What it is called.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub file_name: Option<String>,
    /// How long it plays, in seconds.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub seconds: Option<u32>,
    /// Pixels across.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub width: Option<u32>,
    /// Pixels down.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub height: Option<u32>,
}

/// What is known of a file that lies here encrypted, or at WhatsApp.
#[derive(Clone, PartialEq, Eq)]
pub struct ReadyFile {
    /// Its key, hashes and size; its `direct_path` is empty until it is uploaded.
    pub reference: MediaReference,
    /// Its address at WhatsApp, where messages name one.
    pub url: String,
    /// A small JPEG of it.
    pub thumbnail: Option<Vec<u8>>,
    /// How loud it is, 64 values from 0 to 100.
    pub waveform: Option<Vec<u8>>,
    /// With which a film or sound can be checked while it plays.
    pub sidecar: Option<Vec<u8>>,
    /// Whether a sticker moves.
    pub animated: bool,
    /// Unix seconds of its key.
    pub made_at: i64,
}

impl MediaMessage {
    /// Whether the file is at WhatsApp.
    pub fn is_uploaded(&self) -> bool {
        self.ready
            .as_ref()
            .is_some_and(|ready| !ready.reference.direct_path.is_empty())
    }

    /// How much longer than a text it may wait, for the way of its file; one whose size is not known yet may be as large as
    /// any of its kind, or as any that is sent at all (`most` bytes).
    pub fn allowance(&self, most: u64) -> Duration {
        let slow = |bytes| Duration::from_secs(bytes / SLOW_BYTES_PER_SECOND);
        match self.media.size {
            Some(bytes) => slow(bytes),
            None => FETCH_ALLOWANCE + slow(self.kind.most_bytes().min(most)),
        }
    }
}

/// # Errors
/// `InvalidField` naming `field` for a caption that is empty or too long.
pub fn check_caption(field: &'static str, caption: &str) -> Result<(), InvalidField> {
    match caption.chars().count() {
        1..=CAPTION_MAX_CHARS => Ok(()),
        length => Err(InvalidField::new(
            field,
            format!("must be 1 to {CAPTION_MAX_CHARS} characters long, this is {length}"),
        )),
    }
}

/// # Errors
/// `InvalidField` naming `field` for a name that no file should have.
pub fn check_file_name(field: &'static str, name: &str) -> Result<(), InvalidField> {
    let sane = (1..=FILE_NAME_MAX_CHARS).contains(&name.chars().count()) && !name.trim().is_empty();
    match sane && !name.chars().any(|c| c.is_control() || matches!(c, '/' | '\\')) {
        true => Ok(()),
        false => Err(InvalidField::new(
            field,
            format!("must be 1 to {FILE_NAME_MAX_CHARS} characters without slashes and control characters"),
        )),
    }
}

/// What [`ReadyFile::to_bytes`] writes.
#[derive(Serialize, Deserialize)]
struct Written {
    reference: String,
    url: String,
    thumbnail: Option<String>,
    waveform: Option<String>,
    sidecar: Option<String>,
    animated: bool,
    made_at: i64,
}

impl ReadyFile {
    /// As bytes, to be encrypted. There is no `Serialize`: nothing else can write the key by mistake.
    pub fn to_bytes(&self) -> Vec<u8> {
        let text = |bytes: &Option<Vec<u8>>| bytes.as_ref().map(|bytes| STANDARD.encode(bytes));
        let written = Written {
            reference: STANDARD.encode(self.reference.to_bytes()),
            url: self.url.clone(),
            thumbnail: text(&self.thumbnail),
            waveform: text(&self.waveform),
            sidecar: text(&self.sidecar),
            animated: self.animated,
            made_at: self.made_at,
        };
        // Text and numbers: serialising them into memory has no way to fail.
        serde_json::to_vec(&written).unwrap_or_default()
    }

    /// From what [`ReadyFile::to_bytes`] gave.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let written: Written = serde_json::from_slice(bytes).ok()?;
        let bytes = |text: Option<String>| text.map(|text| STANDARD.decode(text)).transpose();
        Some(Self {
            reference: MediaReference::from_bytes(&STANDARD.decode(written.reference).ok()?)?,
            url: written.url,
            thumbnail: bytes(written.thumbnail).ok()?,
            waveform: bytes(written.waveform).ok()?,
            sidecar: bytes(written.sidecar).ok()?,
            animated: written.animated,
            made_at: written.made_at,
        })
    }
}

impl fmt::Debug for ReadyFile {
    /// Without the key, and without bytes that fill pages.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReadyFile")
            .field("reference", &self.reference)
            .field("thumbnail", &self.thumbnail.as_ref().map(Vec::len))
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::{Asked, MediaKind};

    fn ready() -> ReadyFile {
        ReadyFile {
            reference: MediaReference {
                kind: MediaKind::Audio,
                direct_path: String::new(),
                media_key: vec![171; 32],
                enc_sha256: vec![1; 32],
                sha256: vec![2; 32],
                size: 3,
                by_proxy: false,
                asked: Asked::No,
            },
            url: String::new(),
            thumbnail: Some(vec![9; 100]),
            waveform: Some(vec![0, 100]),
            sidecar: None,
            animated: true,
            made_at: 1_762_352_580,
        }
    }

    fn message() -> MediaMessage {
        let media = SentFile {
            mime_type: Some("audio/ogg; codecs=opus".into()),
            size: Some(1 << 20),
            ..SentFile::default()
        };
        MediaMessage {
            ready: Some(Arc::new(ready())),
            ..MediaMessage::plain(FileType::Voice, media)
        }
    }

    #[test]
    fn the_key_shows_nowhere_and_is_kept_all_the_same() {
        assert_eq!(ReadyFile::from_bytes(&ready().to_bytes()), Some(ready()));
        assert_eq!(ReadyFile::from_bytes(b"{}"), None);
        let message = message();
        assert!(!format!("{message:?}").contains("171"));
        assert_eq!(
            serde_json::to_string(&message).unwrap(),
            r#"{"type":"voice","media":{"mime_type":"audio/ogg; codecs=opus","size":1048576}}"#
        );
    }

    #[test]
    fn a_file_has_time_for_its_way() {
        let mut message = message();
        assert_eq!(message.allowance(100 << 20), Duration::from_secs(8));
        message.media.size = None;
        // It may be larger, and not as large as WhatsApp would take: hours for what is fetched within minutes or not at all.
        assert_eq!(message.allowance(100 << 20), FETCH_ALLOWANCE + Duration::from_secs(800));
        message.kind = FileType::Sticker;
        assert_eq!(message.allowance(100 << 20), FETCH_ALLOWANCE + Duration::from_secs(8));
        assert!(!message.is_uploaded());
    }

    #[test]
    fn names_and_captions_have_limits() {
        assert!(check_caption("caption", "two\nlines").is_ok() && check_caption("caption", &"é".repeat(1024)).is_ok());
        assert!(check_caption("caption", "").is_err() && check_caption("caption", &"x".repeat(1025)).is_err());
        assert!(check_file_name("file_name", "Conta de luz.pdf").is_ok());
        for bad in ["", " ", "../a", "a\\b", "a\r\nb", &"x".repeat(241)] {
            assert!(check_file_name("file_name", bad).is_err(), "{bad:?}");
        }
    }
}
