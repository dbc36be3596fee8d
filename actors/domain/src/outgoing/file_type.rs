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
mod tests {
    use proptest::prelude::*;

    use super::*;

    const JPEG: &[u8] = b"\xff\xd8\xff\xe0\0\x10JFIF";
    const OPUS: &[u8] = b"OggS\0\x02\0\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\0\0\0\0\x01\x13OpusHead\x01\x01";
    const VORBIS: &[u8] = b"OggS\0\x02\0\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\0\0\0\0\x01\x1e\x01vorbis";

    #[test]
    fn a_file_is_what_its_first_bytes_say() {
        for (head, mime) in [
            (JPEG, "image/jpeg"),
            (b"\x89PNG\r\n\x1a\n...", "image/png"),
            (b"RIFF\x10\0\0\0WEBPVP8 ", "image/webp"),
            (b"\0\0\0\x18ftypmp42\0\0\0\0", "video/mp4"),
            (b"\0\0\0\x18ftypM4A \0\0\0\0", "audio/mp4"),
            (b"\0\0\0\x18ftyp3gp5\0\0\0\0", "video/3gpp"),
            (OPUS, VOICE),
            (VORBIS, "audio/ogg"),
            (b"\xff\xfb\x90\x64", "audio/mpeg"),
            (b"\xff\xf1\x50\x80", "audio/aac"),
            (b"%PDF-1.7", "application/pdf"),
        ] {
            assert_eq!(sniff(head), Some(mime), "{}", String::from_utf8_lossy(head));
        }
        for strange in [&b""[..], b"x", b"RIFF\0\0\0\0XXXX", b"hello world", b"\xff\xfeh\0i\0"] {
            assert_eq!(sniff(strange), None);
        }
    }

    #[test]
    fn what_whatsapp_does_not_take_is_refused_with_what_it_takes() {
        let of = |kind: FileType, said, head| {
            let signs = Signs {
                said,
                head,
                ..Signs::default()
            };
            kind.mime_type(signs)
        };
        assert_eq!(of(FileType::Image, Some("image/png"), JPEG).unwrap(), "image/jpeg");
        assert_eq!(of(FileType::Voice, None, OPUS).unwrap(), VOICE);
        assert_eq!(of(FileType::Audio, None, OPUS).unwrap(), VOICE);
        assert_eq!(of(FileType::Audio, Some("audio/AMR"), b"?").unwrap(), "audio/amr");
        for (kind, said, head) in [
            (FileType::Image, None, &b"GIF89a"[..]),
            (FileType::Image, Some("image/jpeg"), b"nothing known"),
            (FileType::Voice, None, b"ID3"),
            (FileType::Voice, Some(VOICE), VORBIS),
            (FileType::Voice, Some(VOICE), b"unknown"),
            (FileType::Audio, Some(VOICE), b"unknown"),
            (FileType::Sticker, None, JPEG),
            (FileType::Video, None, b"\x1a\x45\xdf\xa3"),
        ] {
            let refused = of(kind, said, head).unwrap_err();
            assert!(refused.message.contains(&kind.takes().join(", ")), "{refused}");
        }
    }

    #[test]
    fn a_sound_is_an_mp4_without_a_picture() {
        let of = |kind: FileType, said, brand: &[u8], has_picture| {
            let head = [b"\0\0\0\x18ftyp", brand, b"\0\0\0\0"].concat();
            let signs = Signs {
                said,
                head: &head,
                has_picture,
                name: None,
            };
            kind.mime_type(signs).ok()
        };
        for brand in [&b"mp42"[..], b"isom", b"iso5", b"dash", b"3gp5"] {
            for (said, has_picture, sound) in [
                (None, Some(false), true),
                (Some("video/mp4"), Some(false), true),
                (Some("audio/mp4"), Some(true), false),
                (Some("audio/mp4"), None, true),
                (Some("video/mp4"), None, false),
                (None, None, false),
            ] {
                let mime = of(FileType::Audio, said, brand, has_picture);
                assert_eq!(mime.as_deref(), sound.then_some("audio/mp4"), "{said:?} {has_picture:?}");
            }
        }
        let film = of(FileType::Video, Some("audio/mp4"), b"mp42", Some(false));
        assert_eq!(film.as_deref(), Some("video/mp4"));
    }

    #[test]
    fn a_document_is_what_is_said_of_it_or_else_what_it_shows() {
        const ZIP: &[u8] = b"PK\x03\x04\x14\0";
        const WORD: &str = "application/vnd.openxmlformats-officedocument.wordprocessingml.document";
        const EXCEL: &str = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet";
        for (said, name, head, mime) in [
            (Some("Text/CSV"), "a.txt", &b"a,b"[..], "text/csv"),
            (Some("application/octet-stream"), "", b"%PDF-1.4", "application/pdf"),
            (Some("application/octet-stream; charset=binary"), "a.docx", ZIP, WORD),
            (Some("binary/octet-stream"), "a.bin", b"%PDF-1.4", "application/pdf"),
            (Some("application/x-download"), "a.xlsx", ZIP, EXCEL),
            (Some("application/force-download"), "a.csv", b"a,b", "text/csv"),
            (None, "", JPEG, "image/jpeg"),
            (None, "a.pdf", JPEG, "image/jpeg"),
            (None, "A.DOCX", ZIP, WORD),
            (None, "a.zip", ZIP, "application/zip"),
            (None, "a", ZIP, "application/zip"),
            (None, "a.strange", ZIP, "application/zip"),
            (None, "a.bin", ZIP, "application/zip"),
            (None, "a.csv", b"BMW,Audi", "text/csv"),
            (None, "", b"BM\x36\0", "image/bmp"),
            (None, "a.txt", b"\xff\xfeh\0i\0", "text/plain"),
            (None, "a.txt", b"\xff\xfb\x90", "text/plain"),
            (None, "a.mp3", b"\xff\xfb\x90", "audio/mpeg"),
            (None, "a.txt", b"ID3\x04", "audio/mpeg"),
            (None, "a.txt", b"hello", "text/plain"),
            (None, "", b"a,b", UNKNOWN_MIME),
        ] {
            let signs = Signs {
                said,
                name: Some(name),
                head,
                has_picture: None,
            };
            let told = FileType::Document.mime_type(signs).unwrap();
            assert_eq!(told, mime, "{said:?} {name:?} {}", String::from_utf8_lossy(head));
        }
        let nothing = FileType::Document.mime_type(Signs::default());
        assert_eq!(nothing.unwrap(), UNKNOWN_MIME);
    }

    #[test]
    fn a_mime_type_has_its_form() {
        for good in ["image/jpeg", "audio/ogg; codecs=opus", "application/vnd.ms-excel"] {
            assert!(check_mime_type("media.mime_type", good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "image",
            "image/",
            "/x",
            "a b/c",
            "text/plain\r\nx: y",
            "ä/b",
            &"x/y".repeat(200),
        ] {
            assert!(check_mime_type("media.mime_type", bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_type_is_the_same_word_everywhere() {
        for kind in FileType::ALL {
            assert_eq!(FileType::from_word(kind.as_str()), Some(kind));
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.as_str());
        }
    }

    proptest! {
        #[test]
        fn no_bytes_and_no_name_are_too_strange(head in prop::collection::vec(any::<u8>(), 0..64), name in "\\PC{0,5}\\.\\w{0,4}") {
            for kind in FileType::ALL {
                let signs = Signs { name: Some(&name), head: &head, ..Signs::default() };
                if let Ok(mime) = kind.mime_type(signs) {
                    prop_assert!(check_mime_type("x", &mime).is_ok());
                }
            }
        }
    }
}
