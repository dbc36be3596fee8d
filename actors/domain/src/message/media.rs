//! Media of a message: what a receiver is told, and what a download needs.

use std::fmt;

use serde::Serialize;

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
    /// What a download needs; `None` when the sender left something of it out.
    #[serde(skip)]
    pub reference: Option<Box<MediaReference>>,
}

/// Which keys WhatsApp derives for a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
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
        };
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
}
