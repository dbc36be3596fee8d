//! Files on WhatsApp's media hosts: their keys, and decryption piece by piece. Pure: bytes come in, bytes go out.
//!
//! From a file's secret HKDF-SHA256 makes the initial vector (16 bytes), the key of AES-256-CBC (32) and the key of
//! HMAC-SHA256 (32); what kind of file it is goes in as `info`. What lies on the host is the ciphertext with PKCS#7
//! padding, and the first 10 bytes of the MAC over initial vector and ciphertext.

use std::io::{self, Read, Write};

use aes::Aes256;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use cbc::{
    Decryptor,
    cipher::{Array, BlockModeDecrypt as _, KeyIvInit as _, consts::U16},
};
use hkdf::Hkdf;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};
use thiserror::Error;
use wharf_domain::message::{Asked, MediaKind, MediaReference};
use whatsapp_rust::wacore::{download::MediaType, upload::encrypt_media_streaming};

/// Bytes of a block of AES.
const BLOCK: usize = 16;
/// Bytes of the MAC that are kept.
const MAC: usize = 10;
/// What is held back of a stream until its end is known: the last block has the padding.
const TAIL: usize = BLOCK + MAC;

/// What came is not what the sender sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum MediaFault {
    /// The reference has no key of 32 bytes, or no hashes of 32.
    #[error("the message names no keys or hashes that could be right")]
    Reference,
    /// It ends where no encrypted file ends.
    #[error("the file is cut off")]
    CutOff,
    /// The MAC is another's.
    #[error("the file's MAC is wrong")]
    Mac,
    /// The padding is none.
    #[error("the file's padding is wrong")]
    Padding,
    /// The hash of the encrypted file is another one.
    #[error("the encrypted file has another hash")]
    EncryptedHash,
    /// The hash of the file is another one.
    #[error("the file has another hash")]
    Hash,
}

/// What HKDF is told of a kind of file.
fn info(kind: MediaKind) -> &'static [u8] {
    match kind {
        MediaKind::Image | MediaKind::Sticker => b"WhatsApp Image Keys",
        MediaKind::Video => b"WhatsApp Video Keys",
        MediaKind::Audio => b"WhatsApp Audio Keys",
        MediaKind::Document => b"WhatsApp Document Keys",
    }
}

/// How large the encrypted file of a file of `bytes` is.
pub fn encrypted_size(bytes: u64) -> u64 {
    let block = BLOCK as u64;
    (bytes / block)
        .saturating_add(1)
        .saturating_mul(block)
        .saturating_add(MAC as u64)
}

/// A file as it goes to WhatsApp's hosts: what a message has to say of it.
#[derive(Clone, PartialEq, Eq)]
pub struct EncryptedFile {
    /// The secret that its keys are derived from.
    pub media_key: [u8; 32],
    /// SHA-256 of the encrypted file.
    pub enc_sha256: [u8; 32],
    /// SHA-256 of the file.
    pub sha256: [u8; 32],
    /// Bytes of the file.
    pub size: u64,
    /// With which a film or sound can be checked while it plays; only of those.
    pub sidecar: Option<Vec<u8>>,
}

impl EncryptedFile {
    /// What downloads and decrypts it again, once it lies at `direct_path` on WhatsApp's hosts.
    pub fn reference(&self, kind: MediaKind, direct_path: String) -> MediaReference {
        MediaReference {
            kind,
            direct_path,
            media_key: self.media_key.to_vec(),
            enc_sha256: self.enc_sha256.to_vec(),
            sha256: self.sha256.to_vec(),
            size: self.size,
            by_proxy: false,
            asked: Asked::No,
        }
    }
}

/// Where files of a kind are uploaded to on a media host.
pub fn upload_path(kind: MediaKind) -> &'static str {
    media_type(kind).upload_path()
}

/// The name of a file in the address that it is uploaded to: its hash, as it lies there.
pub fn upload_token(enc_sha256: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(enc_sha256)
}

const fn media_type(kind: MediaKind) -> MediaType {
    match kind {
        MediaKind::Image => MediaType::Image,
        MediaKind::Video => MediaType::Video,
        MediaKind::Audio => MediaType::Audio,
        MediaKind::Document => MediaType::Document,
        MediaKind::Sticker => MediaType::Sticker,
    }
}

/// Encrypts a file with a secret of its own, in pieces. Blocks; belongs in a thread of its own.
///
/// # Errors
/// What reading or writing gives.
pub fn encrypt(kind: MediaKind, from: impl Read, to: impl Write) -> io::Result<EncryptedFile> {
    let made =
        encrypt_media_streaming(from, to, media_type(kind)).map_err(|error| io::Error::other(error.to_string()))?;
    Ok(EncryptedFile {
        media_key: made.media_key,
        enc_sha256: made.file_enc_sha256,
        sha256: made.file_sha256,
        size: made.file_length,
        sidecar: made.streaming_sidecar,
    })
}

/// Decrypts one file, in pieces of any size. What it gives out is known to be right only when [`MediaDecryptor::finish`]
/// says so: until then it belongs in a place that nobody looks at.
pub struct MediaDecryptor {
    cipher: Decryptor<Aes256>,
    mac: Hmac<Sha256>,
    encrypted: Sha256,
    plain: Sha256,
    wanted_encrypted: [u8; 32],
    wanted_plain: [u8; 32],
    held: Vec<u8>,
    written: u64,
}

impl MediaDecryptor {
    /// A decryptor for the file of `reference`.
    ///
    /// # Errors
    /// `Reference`.
    pub fn new(reference: &MediaReference) -> Result<Self, MediaFault> {
        let bytes = |bytes: &[u8]| <[u8; 32]>::try_from(bytes).map_err(|_| MediaFault::Reference);
        let secret = bytes(&reference.media_key)?;
        let mut keys = [0; BLOCK + 32 + 32];
        Hkdf::<Sha256>::new(None, &secret)
            .expand(info(reference.kind), &mut keys)
            .map_err(|_| MediaFault::Reference)?;
        let (iv, rest) = keys.split_at(BLOCK);
        let (key, mac_key) = rest.split_at(32);
        let mut mac = Hmac::<Sha256>::new_from_slice(mac_key).map_err(|_| MediaFault::Reference)?;
        mac.update(iv);
        Ok(Self {
            cipher: Decryptor::new_from_slices(key, iv).map_err(|_| MediaFault::Reference)?,
            mac,
            encrypted: Sha256::new(),
            plain: Sha256::new(),
            wanted_encrypted: bytes(&reference.enc_sha256)?,
            wanted_plain: bytes(&reference.sha256)?,
            held: Vec::new(),
            written: 0,
        })
    }

    /// Takes the next piece of the encrypted file; appends what it decrypts to `out`.
    pub fn update(&mut self, piece: &[u8], out: &mut Vec<u8>) {
        self.encrypted.update(piece);
        self.held.extend_from_slice(piece);
        let ready = self.held.len().saturating_sub(TAIL) / BLOCK * BLOCK;
        if ready > 0 {
            let begin = out.len();
            out.extend(self.held.drain(..ready));
            self.decrypt(&mut out[begin..]);
        }
    }

    /// The file has ended: appends its last bytes to `out` and answers how many there are in all.
    ///
    /// # Errors
    /// Everything that was given out is to be thrown away.
    pub fn finish(mut self, out: &mut Vec<u8>) -> Result<u64, MediaFault> {
        if self.held.len() != TAIL {
            return Err(MediaFault::CutOff);
        }
        let (last, mac) = self.held.split_at(BLOCK);
        let (mut last, mac): (Vec<u8>, Vec<u8>) = (last.to_vec(), mac.to_vec());
        self.mac.update(&last);
        self.mac
            .clone()
            .verify_truncated_left(&mac)
            .map_err(|_| MediaFault::Mac)?;
        let (blocks, _) = Array::<u8, U16>::slice_as_chunks_mut(&mut last);
        self.cipher.decrypt_blocks(blocks);
        let padding = usize::from(last[BLOCK - 1]);
        let sane = (1..=BLOCK).contains(&padding) && last[BLOCK - padding..].iter().all(|&b| usize::from(b) == padding);
        if !sane {
            return Err(MediaFault::Padding);
        }
        last.truncate(BLOCK - padding);
        self.plain.update(&last);
        self.written += last.len() as u64;
        out.append(&mut last);
        if self.encrypted.finalize()[..] != self.wanted_encrypted {
            return Err(MediaFault::EncryptedHash);
        }
        if self.plain.finalize()[..] != self.wanted_plain {
            return Err(MediaFault::Hash);
        }
        Ok(self.written)
    }

    /// Whole blocks, in place.
    fn decrypt(&mut self, bytes: &mut [u8]) {
        self.mac.update(bytes);
        let (blocks, _) = Array::<u8, U16>::slice_as_chunks_mut(bytes);
        self.cipher.decrypt_blocks(blocks);
        self.plain.update(&bytes);
        self.written += bytes.len() as u64;
    }
}

#[cfg(test)]
mod tests;
