//! The media store: encrypted files by the hash under which they were uploaded. It holds what is encrypted, and never a
//! key, as WhatsApp's does.

use std::collections::{HashMap, VecDeque};
use std::sync::Mutex;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use bytes::{Bytes, BytesMut};
use sha2::{Digest as _, Sha256};

use super::lock;

/// More than that is not kept in memory: the oldest files go, and are not found any more, as on WhatsApp after some days.
const CAPACITY: usize = 1 << 30;
/// Where WhatsApp's phones say that a file lies.
const FOLDER: &str = "/v/t62.7118-24/";
/// WhatsApp's media host, in the links that phones write into messages.
const HOST: &str = "mmg.whatsapp.net";

/// The files.
#[derive(Debug, Default)]
pub(crate) struct MediaStore {
    shelf: Mutex<Shelf>,
}

#[derive(Debug, Default)]
struct Shelf {
    files: HashMap<String, Bytes>,
    order: VecDeque<String>,
    bytes: usize,
    /// Uploads that broke off, by token.
    parts: HashMap<String, BytesMut>,
}

/// Where a file lies, as messages name it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// The path on any media host.
    pub(crate) direct_path: String,
    /// The link on WhatsApp's own.
    pub(crate) url: String,
}

impl Place {
    /// The place of a file with that token.
    pub(crate) fn of(token: &str) -> Self {
        let direct_path = format!("{FOLDER}{token}");
        Self {
            url: format!("https://{HOST}{direct_path}"),
            direct_path,
        }
    }
}

impl MediaStore {
    /// Keeps a file; its token is the hash of what is in it, so the same file twice is kept once.
    pub(crate) fn put(&self, file: impl Into<Bytes>) -> Place {
        let file = file.into();
        let token = token_of(&file);
        let place = Place::of(&token);
        let mut shelf = lock(&self.shelf);
        if shelf.files.contains_key(&token) {
            return place;
        }
        shelf.bytes += file.len();
        shelf.files.insert(token.clone(), file);
        shelf.order.push_back(token);
        while shelf.bytes > CAPACITY
            && shelf.order.len() > 1
            && let Some(oldest) = shelf.order.pop_front()
        {
            shelf.bytes -= shelf.files.remove(&oldest).map_or(0, |file| file.len());
        }
        place
    }

    /// Keeps what came of an upload that broke off, so that it can go on there.
    pub(crate) fn keep_part(&self, token: &str, part: BytesMut) {
        lock(&self.shelf).parts.insert(token.to_owned(), part);
    }

    /// What there is of an upload that broke off; it is taken out.
    pub(crate) fn take_part(&self, token: &str) -> Option<BytesMut> {
        lock(&self.shelf).parts.remove(token)
    }

    /// How much there is of an upload that broke off, in bytes.
    pub(crate) fn part_length(&self, token: &str) -> usize {
        lock(&self.shelf).parts.get(token).map_or(0, BytesMut::len)
    }

    /// The file of a token, or at a direct path.
    pub(crate) fn get(&self, path_or_token: &str) -> Option<Bytes> {
        let path = path_or_token.split('?').next().unwrap_or_default();
        let token = path.rsplit('/').next().unwrap_or_default();
        lock(&self.shelf).files.get(token).cloned()
    }
}

/// The token of a file: the SHA-256 of what is stored, in URL-safe base64.
pub(crate) fn token_of(file: &[u8]) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(file))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_found_by_its_path_and_by_its_token() {
        let store = MediaStore::default();
        let place = store.put(&b"sealed"[..]);
        assert_eq!(store.put(&b"sealed"[..]), place);
        assert_eq!(store.get(&place.direct_path).as_deref(), Some(&b"sealed"[..]));
        assert_eq!(
            store.get(&format!("{}?token=x", place.url)).as_deref(),
            Some(&b"sealed"[..])
        );
        assert_eq!(store.get(&token_of(b"sealed")).as_deref(), Some(&b"sealed"[..]));
        assert_eq!(store.get("/v/t62.7118-24/other"), None);
    }
}
