//! The media store: encrypted files by the hash under which they were uploaded. It holds what is encrypted, and never a
//! key, as WhatsApp's does.

use std::collections::{HashMap, HashSet, VecDeque};
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
    /// Paths at which nothing lies any more.
    expired: HashSet<String>,
    /// How many files were laid to another place.
    moved: u64,
    /// How many files were given out.
    given: u64,
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
        shelf.expired.remove(&place.direct_path);
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
        let (path, token) = split(path_or_token);
        let shelf = lock(&self.shelf);
        shelf
            .files
            .get(token)
            .filter(|_| !shelf.expired.contains(path))
            .cloned()
    }

    /// The file at a path, for a client that fetches it.
    pub(crate) fn give(&self, path: &str) -> Option<Bytes> {
        let file = self.get(path)?;
        lock(&self.shelf).given += 1;
        Some(file)
    }

    /// How many files were given out.
    pub(crate) fn given(&self) -> u64 {
        lock(&self.shelf).given
    }

    /// WhatsApp keeps a file for some weeks: nothing lies at this path any more. `false` if nothing did.
    pub(crate) fn expire(&self, direct_path: &str) -> bool {
        let lay_there = self.get(direct_path).is_some();
        lock(&self.shelf).expired.insert(split(direct_path).0.to_owned());
        lay_there
    }

    /// Who has the file lays it down once more, whether or not it lies at its path; `None` if nobody has it.
    pub(crate) fn lay_again(&self, direct_path: &str) -> Option<String> {
        let (_, token) = split(direct_path);
        let mut shelf = lock(&self.shelf);
        shelf.files.get(token)?;
        shelf.moved += 1;
        Some(format!("{FOLDER}{}/{token}", shelf.moved))
    }
}

/// The path without its query, and the token at its end.
fn split(path_or_token: &str) -> (&str, &str) {
    let path = path_or_token.split('?').next().unwrap_or_default();
    (path, path.rsplit('/').next().unwrap_or_default())
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

    #[test]
    fn what_expired_is_gone_until_it_is_laid_down_at_another_place() {
        let store = MediaStore::default();
        let place = store.put(&b"sealed"[..]);
        assert!(store.expire(&place.direct_path));
        assert!(!store.expire(&place.direct_path));
        assert_eq!(store.give(&format!("{}?token=x", place.direct_path)), None);
        let moved = store.lay_again(&place.direct_path).unwrap();
        assert_eq!(store.give(&moved).as_deref(), Some(&b"sealed"[..]));
        assert_eq!((store.get(&place.direct_path), store.given()), (None, 1));
        assert_eq!(store.lay_again("/v/t62.7118-24/other"), None);
    }
}
