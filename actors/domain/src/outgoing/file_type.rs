//! The kinds of messages that carry a file, and which files WhatsApp takes for each: recognised by their first bytes,
//! because a name and a header say what somebody believes.

use serde::Deserialize;

use crate::{InvalidField, message::MediaKind, words};

/// First bytes that [`sniff`] wants, at the most.
pub const HEAD_BYTES: usize = 512;
/// The longest MIME type that is passed on.
const MIME_MAX_BYTES: usize = 255;
/// What a file is when nobody knows.
const UNKNOWN_MIME: &str = "application/octet-stream";
/// What servers say of files that they know nothing of: S3 has a word of its own, others want the file saved.
const SAY_NOTHING: [&str; 4] = [
    UNKNOWN_MIME,
    "binary/octet-stream",
    "application/x-download",
    "application/force-download",
];
/// The one kind of voice note that phones play.
const VOICE: &str = "audio/ogg; codecs=opus";

words! {
    /// What a file is sent as: the word of `type`.
    #[derive(Deserialize)]
    #[serde(rename_all = "snake_case")]
    pub enum FileType {
        /// A picture.
        Image = "image",
        /// A film.
        Video = "video",
        /// A sound.
        Audio = "audio",
        /// A sound that was spoken into the phone.
        Voice = "voice",
        /// A file of any kind.
        Document = "document",
        /// A sticker.
        Sticker = "sticker",
    }
}

/// What tells the MIME type of a file.
#[derive(Debug, Clone, Copy, Default)]
pub struct Signs<'a> {
    /// What was said of it.
    pub said: Option<&'a str>,
    /// Its name.
    pub name: Option<&'a str>,
    /// Its first bytes, [`HEAD_BYTES`] of them if there are so many.
    pub head: &'a [u8],
    /// Whether it has a picture track, where it tells of its tracks.
    pub has_picture: Option<bool>,
}

impl FileType {
    /// How it is encrypted.
    pub const fn media_kind(self) -> MediaKind {
        match self {
            Self::Image => MediaKind::Image,
            Self::Video => MediaKind::Video,
            Self::Audio | Self::Voice => MediaKind::Audio,
            Self::Document => MediaKind::Document,
            Self::Sticker => MediaKind::Sticker,
        }
    }

    /// Whether it may have a caption.
    pub const fn has_caption(self) -> bool {
        matches!(self, Self::Image | Self::Video | Self::Document)
    }

    /// Whether it may be one that is seen once.
    pub const fn has_view_once(self) -> bool {
        matches!(self, Self::Image | Self::Video | Self::Voice)
    }

    /// What WhatsApp takes of it; empty: anything.
    pub const fn takes(self) -> &'static [&'static str] {
        match self {
            Self::Image => &["image/jpeg", "image/png"],
            Self::Video => &["video/mp4", "video/3gpp"],
            Self::Audio => &["audio/aac", "audio/mp4", "audio/mpeg", "audio/amr", VOICE],
            Self::Voice => &[VOICE],
            Self::Sticker => &["image/webp"],
            Self::Document => &[],
        }
    }

    /// Bytes that such a file may have, beside what is configured for all.
    pub const fn most_bytes(self) -> u64 {
        match self {
            Self::Image => 16 << 20,
            Self::Sticker => 1 << 20,
            Self::Video | Self::Audio | Self::Voice | Self::Document => 2 << 30,
        }
    }

    /// The MIME type that a file goes out with. What its first bytes say counts; what was said counts where they say
    /// nothing, and for documents, of which the name tells it where neither does.
    ///
    /// # Errors
    /// `InvalidField` when it is not what WhatsApp takes.
    pub fn mime_type(self, signs: Signs<'_>) -> Result<String, InvalidField> {
        let said = signs.said.map(|said| said.trim().to_ascii_lowercase());
        let said = said.filter(|said| !SAY_NOTHING.contains(&essence(said)));
        let seen = sniff(signs.head);
        if self == Self::Document {
            let named = || signs.name.and_then(|name| mime_guess::from_path(name).first_raw());
            let told = match is_vague(seen, signs.head) {
                true => named().filter(|named| *named != UNKNOWN_MIME).or(seen),
                false => seen,
            };
            return Ok(said.unwrap_or_else(|| told.unwrap_or(UNKNOWN_MIME).to_owned()));
        }
        let seen = match seen {
            // The same brands stand before films and before sounds.
            Some("video/mp4" | "video/3gpp") if self == Self::Audio => {
                let is_said = said.as_deref().is_some_and(|said| said.starts_with("audio/"));
                let is_sound = signs.has_picture.map_or(is_said, |has_picture| !has_picture);
                if is_sound { Some("audio/mp4") } else { seen }
            }
            seen => seen,
        };
        let takes = |mime: &str| self.takes().iter().find(|taken| same_type(taken, mime)).copied();
        let refuse = |is: &str| {
            let taken = self.takes().join(", ");
            let message = format!(
                "holds {is}, which WhatsApp does not take as {}: it takes {taken}",
                self.as_str()
            );
            Err(InvalidField::new("media", message))
        };
        match (seen, said) {
            // A voice note is one by its codec, which only the file itself can show.
            (Some(seen), _) => takes(seen).map_or_else(|| refuse(seen), |mime| Ok(mime.to_owned())),
            (None, Some(said)) if self == Self::Audio => match takes(&said) {
                Some(mime) if mime != VOICE => Ok(mime.to_owned()),
                _ => refuse("something that is not recognised"),
            },
            (None, _) => refuse("something that is not recognised"),
        }
    }
}

/// Whether first bytes may be of something else: a zip is what office documents are, and the others are two bytes long.
fn is_vague(seen: Option<&str>, head: &[u8]) -> bool {
    let is_sync = || head.first() == Some(&0xff);
    match seen {
        None | Some("application/zip" | "image/bmp") => true,
        Some("audio/mpeg" | "audio/aac") => is_sync(),
        Some(_) => false,
    }
}

/// A MIME type without its parameters.
fn essence(mime: &str) -> &str {
    mime.split(';').next().unwrap_or_default().trim()
}

/// Whether two MIME types are the same but for their parameters; those of Ogg say what is in it.
fn same_type(taken: &str, mime: &str) -> bool {
    match taken == VOICE {
        true => mime.replace(' ', "") == VOICE.replace(' ', ""),
        false => taken == essence(mime),
    }
}

/// Checks a MIME type that a client says.
///
/// # Errors
/// `InvalidField` naming `field` when it is none.
pub fn check_mime_type(field: &'static str, mime: &str) -> Result<(), InvalidField> {
    let token = |part: &str| {
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"!#$&^_.+-".contains(&b);
        !part.is_empty() && part.bytes().all(plain)
    };
    let parts = essence(mime).split_once('/');
    let sane = mime.len() <= MIME_MAX_BYTES && mime.bytes().all(|b| b.is_ascii_graphic() || b == b' ');
    match parts {
        Some((kind, name)) if sane && token(kind) && token(name) => Ok(()),
        _ => Err(InvalidField::new(field, "must be a MIME type such as image/jpeg")),
    }
}

/// What a file is by its first bytes, if they tell.
pub fn sniff(head: &[u8]) -> Option<&'static str> {
    let at = |place: usize, bytes: &[u8]| head.get(place..).is_some_and(|rest| rest.starts_with(bytes));
    let simple: [(&[u8], &str); 12] = [
        (b"\xff\xd8\xff", "image/jpeg"),
        (b"\x89PNG\r\n\x1a\n", "image/png"),
        (b"GIF87a", "image/gif"),
        (b"GIF89a", "image/gif"),
        (b"ID3", "audio/mpeg"),
        (b"#!AMR", "audio/amr"),
        (b"fLaC", "audio/flac"),
        (b"%PDF-", "application/pdf"),
        (b"PK\x03\x04", "application/zip"),
        (b"\x1a\x45\xdf\xa3", "video/webm"),
        (b"BM", "image/bmp"),
        (b"{\\rtf", "application/rtf"),
    ];
    if let Some((_, mime)) = simple.iter().find(|(magic, _)| head.starts_with(magic)) {
        return Some(mime);
    }
    if at(0, b"RIFF") {
        return [
            (&b"WEBP"[..], "image/webp"),
            (b"WAVE", "audio/wav"),
            (b"AVI ", "video/x-msvideo"),
        ]
        .iter()
        .find_map(|(form, mime)| at(8, form).then_some(*mime));
    }
    if at(4, b"ftyp") {
        return Some(of_brand(head.get(8..12).unwrap_or_default()));
    }
    if at(0, b"OggS") {
        let opus = head.windows(8).any(|bytes| bytes == b"OpusHead");
        return Some(if opus { VOICE } else { "audio/ogg" });
    }
    // A frame of MPEG audio begins with eleven ones; AAC's ADTS has layer 0 there. Fifteen begin a text in UTF-16.
    match head {
        [0xff, 0xfe, ..] => None,
        [0xff, second, ..] if second & 0xf6 == 0xf0 => Some("audio/aac"),
        [0xff, second, ..] if second & 0xe0 == 0xe0 && second & 0x06 != 0 => Some("audio/mpeg"),
        _ => None,
    }
}

/// The files that the ISO base format is used for.
fn of_brand(brand: &[u8]) -> &'static str {
    match brand {
        b"M4A " | b"M4B " => "audio/mp4",
        b"qt  " => "video/quicktime",
        b"heic" | b"heix" | b"mif1" => "image/heic",
        b"avif" => "image/avif",
        [b'3', b'g', ..] => "video/3gpp",
        _ => "video/mp4",
    }
}

#[cfg(test)]
mod tests;
