//! Links to files that were received: whoever has one may fetch the file until it expires, without a token. Pure.
//!
//! What a link says (client, event, time, name) is signed with HMAC-SHA256, so that no part of it can be changed and
//! nothing is learned from links that were made up: they are all refused alike, whether the file exists or not.

use std::{fmt, str::FromStr};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use url::Url;

use crate::{ClientId, EventId, InvalidField, Timestamp};

/// Characters of a file's name in a link, at the most: names may be as long as senders like.
const NAME_MAX: usize = 100;
/// The block of SHA-256, to which HMAC brings every key.
const BLOCK: usize = 64;
/// What the path of a link begins with.
pub const MEDIA_PATH: &str = "media";

/// Where this server is reached from outside: what links begin with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicUrl(Url);

impl FromStr for PublicUrl {
    type Err = InvalidField;

    /// An `http` or `https` URL without a query; a path is kept, for a proxy that has the server under one.
    fn from_str(text: &str) -> Result<Self, InvalidField> {
        let url = Url::parse(text).ok().filter(|url| {
            let plain = url.query().is_none() && url.fragment().is_none() && url.username().is_empty();
            matches!(url.scheme(), "http" | "https") && url.has_host() && plain && url.password().is_none()
        });
        url.map(Self).ok_or_else(|| {
            InvalidField::new(
                "http.public_url",
                "must be an http or https URL without credentials and query",
            )
        })
    }
}

impl PublicUrl {
    /// The address of what lies at these segments of the path below this one.
    pub(crate) fn below(&self, segments: &[&str]) -> Url {
        let mut url = self.0.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(segments);
        }
        url
    }
}

impl fmt::Display for PublicUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What a link says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MediaLink {
    /// Whose file.
    pub client_id: ClientId,
    /// The event that it came with.
    pub event_id: EventId,
    /// What it is to be called: the last part of the path.
    pub file_name: String,
    /// Until when the link is good, in Unix seconds.
    pub expires: i64,
}

impl MediaLink {
    /// Whether it is not good any more.
    pub fn has_expired(&self, now: Timestamp) -> bool {
        now.seconds() >= self.expires
    }

    fn mac(&self, key: &[u8; 32]) -> Hmac<Sha256> {
        // HMAC brings every key to a block; one that is shorter is filled up with zeros.
        let mut block = [0; BLOCK];
        block[..key.len()].copy_from_slice(key);
        let mut mac = Hmac::<Sha256>::new(&block.into());
        // The name comes last: it alone may hold anything.
        let Self {
            client_id,
            event_id,
            file_name,
            expires,
        } = self;
        mac.update(format!("{client_id}/{event_id}/{expires}/{file_name}").as_bytes());
        mac
    }

    /// The link's address below `base`.
    pub fn url(&self, base: &PublicUrl, key: &[u8; 32]) -> String {
        let (client, event) = (self.client_id.to_string(), self.event_id.to_string());
        let mut url = base.below(&[MEDIA_PATH, &client, &event, &self.file_name]);
        let signature = URL_SAFE_NO_PAD.encode(self.mac(key).finalize().into_bytes());
        url.set_query(Some(&format!("expires={}&signature={signature}", self.expires)));
        url.into()
    }

    /// Whether this is the signature of exactly this link. Takes the same time for every wrong one.
    pub fn is_signed(&self, key: &[u8; 32], signature: &str) -> bool {
        let signature = URL_SAFE_NO_PAD.decode(signature).unwrap_or_default();
        self.mac(key).verify_slice(&signature).is_ok()
    }
}

/// A name for a file in a link: the sender's, without what a path or a header could trip over, or one that is made of the
/// MIME type.
pub fn file_name(given: Option<&str>, mime_type: &str) -> String {
    let tame = |c: char| match c {
        '/' | '\\' | '"' | '%' | ';' => '_',
        c if c.is_control() || is_unseen(c) => '_',
        c => c,
    };
    let name: String = given.unwrap_or_default().chars().map(tame).collect();
    let name = name.trim_matches(|c: char| c == '.' || c.is_whitespace());
    if name.is_empty() {
        return format!("file.{}", extension(mime_type));
    }
    if name.chars().count() <= NAME_MAX {
        return name.to_owned();
    }
    // What it ends with says what it is.
    let (stem, extension) = name.rsplit_once('.').unwrap_or((name, ""));
    let extension: String = extension.chars().take(10).collect();
    let stem: String = stem.chars().take(NAME_MAX - 11).collect();
    if extension.is_empty() {
        stem
    } else {
        format!("{stem}.{extension}")
    }
}

/// Whether a character is not seen but changes how others are, or where a line ends: with the right one of them `exe.jpg` is
/// read for `gpj.exe`.
const fn is_unseen(c: char) -> bool {
    matches!(
        c,
        '\u{61c}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
    )
}

/// What the names of files of a MIME type usually end with.
fn extension(mime_type: &str) -> &'static str {
    let essence = mime_type.split(';').next().unwrap_or_default().trim();
    match essence.to_ascii_lowercase().as_str() {
        "image/jpeg" => "jpg",
        "image/png" => "png",
        "image/webp" => "webp",
        "image/gif" => "gif",
        "video/mp4" => "mp4",
        "video/3gpp" => "3gp",
        "audio/ogg" => "ogg",
        "audio/mpeg" => "mp3",
        "audio/mp4" => "m4a",
        "audio/aac" => "aac",
        "application/pdf" => "pdf",
        "text/plain" => "txt",
        _ => "bin",
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;

    const KEY: [u8; 32] = [7; 32];

    fn link(file_name: &str) -> MediaLink {
        MediaLink {
            client_id: ClientId(3),
            event_id: EventId(Uuid::from_u128(9)),
            file_name: file_name.to_owned(),
            expires: 1_762_352_580,
        }
    }

    fn signature(url: &str) -> String {
        url.split_once("signature=").unwrap().1.to_owned()
    }

    #[test]
    fn a_link_has_the_documented_form() {
        let base = "https://wharf.example/gate/".parse().unwrap();
        let url = link("a b.jpg").url(&base, &KEY);
        let (path, query) = url.split_once('?').unwrap();
        assert_eq!(
            path,
            "https://wharf.example/gate/media/3/00000000-0000-0000-0000-000000000009/a%20b.jpg"
        );
        assert!(query.starts_with("expires=1762352580&signature="), "{query}");
    }

    #[test]
    fn nothing_of_a_link_can_be_changed() {
        let base = "http://127.0.0.1:8080".parse().unwrap();
        let good = link("a.jpg");
        let signature = signature(&good.url(&base, &KEY));
        assert!(good.is_signed(&KEY, &signature));
        let mut others = [good.clone(), good.clone(), good.clone(), good.clone()];
        others[0].client_id = ClientId(4);
        others[1].event_id = EventId(Uuid::from_u128(8));
        others[2].expires += 1;
        others[3].file_name = "b.jpg".into();
        assert!(others.iter().all(|other| !other.is_signed(&KEY, &signature)));
        assert!(!good.is_signed(&[8; 32], &signature));
        for wrong in ["", "AAAA", &signature[1..], &format!("{signature}A")] {
            assert!(!good.is_signed(&KEY, wrong), "{wrong}");
        }
    }

    #[test]
    fn a_link_expires_at_its_second() {
        let link = link("a");
        assert!(!link.has_expired(Timestamp(link.expires * 1000 - 1)));
        assert!(link.has_expired(Timestamp::from_seconds(link.expires)));
    }

    #[test]
    fn only_addresses_of_servers_are_taken() {
        for good in ["https://wharf.example", "http://10.0.0.1:8080/below/"] {
            assert!(good.parse::<PublicUrl>().is_ok(), "{good}");
        }
        for bad in [
            "",
            "wharf.example",
            "ftp://a",
            "https://a/?b",
            "https://u:p@a",
            "https://a/#b",
        ] {
            assert!(bad.parse::<PublicUrl>().is_err(), "{bad}");
        }
    }

    #[test]
    fn names_are_tame_and_say_what_they_are() {
        for (given, mime_type, name) in [
            (None, "image/jpeg", "file.jpg"),
            (Some(".."), "audio/ogg; codecs=opus", "file.ogg"),
            (Some("../../etc/passwd"), "text/plain", "_.._etc_passwd"),
            (Some("a\r\nb\".pdf"), "application/pdf", "a__b_.pdf"),
            (Some("Olá mundo.pdf"), "application/pdf", "Olá mundo.pdf"),
            (Some("photo_\u{202e}gpj.exe"), "image/jpeg", "photo__gpj.exe"),
            (Some("\u{feff}a\u{2028}b\u{2066}.pdf"), "application/pdf", "_a_b_.pdf"),
        ] {
            assert_eq!(file_name(given, mime_type), name);
        }
        let long = file_name(Some(&format!("{}.pdf", "x".repeat(300))), "application/pdf");
        assert!(long.ends_with("x.pdf") && long.len() <= NAME_MAX, "{long}");
    }

    proptest! {
        /// The server reads from the path what was signed, whatever the sender called the file.
        #[test]
        fn any_name_comes_back_from_the_path(given in "\\PC{0,140}") {
            let name = file_name(Some(&given), "video/mp4");
            let base = "https://wharf.example".parse().unwrap();
            let url = Url::parse(&link(&name).url(&base, &KEY)).unwrap();
            let last = url.path_segments().unwrap().next_back().unwrap();
            prop_assert_eq!(url.path_segments().unwrap().count(), 4);
            let bytes = decode(last);
            prop_assert_eq!(String::from_utf8(bytes).unwrap(), name);
        }
    }

    /// Percent-decoding.
    fn decode(text: &str) -> Vec<u8> {
        let mut bytes = text.bytes();
        let mut decoded = Vec::new();
        while let Some(byte) = bytes.next() {
            let hex = |byte: Option<u8>| char::from(byte.unwrap()).to_digit(16).unwrap();
            decoded.push(match byte {
                b'%' => u8::try_from(hex(bytes.next()) * 16 + hex(bytes.next())).unwrap(),
                byte => byte,
            });
        }
        decoded
    }
}
