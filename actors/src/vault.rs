//! Keeps secrets: makes those of webhooks, and encrypts them, connections' proxies, and what linked devices keep
//! ([`device_keys`]) for the store. The only place that knows ring.
//!
//! AES-256-GCM with a random nonce for each secret and the webhook's id as associated data, so that a secret that was
//! copied to another webhook's row does not open. The key is not in the database: see [`key_file`].

pub(crate) mod device_keys;
pub(crate) mod key_file;
pub(crate) mod media;
pub(crate) mod pages;

use std::{fmt, path::PathBuf, str::FromStr};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use ring::{
    aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    hkdf::{HKDF_SHA256, Prk, Salt},
    rand::{SecureRandom as _, SystemRandom},
};
use thiserror::Error;
use wharf_domain::{
    ConnectionKey, InvalidField, OwnHeaders, WebhookId,
    proxy::Proxy,
    signing::{SECRET_BYTES, Secret},
};
use wharf_store::{SealedProxy, Store, StoreError, StoredKey};

/// Bytes of the key.
const KEY_BYTES: usize = 32;
/// The first byte of a sealed secret: which way it was sealed.
const FORMAT: u8 = 1;
/// Bytes before the text: the format and the nonce.
const HEAD: usize = 1 + NONCE_LEN;

/// The key that webhooks' secrets and the keys of linked devices are encrypted with.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretsKey([u8; KEY_BYTES]);

impl fmt::Debug for SecretsKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretsKey(…)")
    }
}

/// From base64 of 32 bytes.
impl FromStr for SecretsKey {
    type Err = InvalidField;

    fn from_str(text: &str) -> Result<Self, InvalidField> {
        let bytes = STANDARD.decode(text.trim()).ok();
        let key = bytes.and_then(|bytes| <[u8; KEY_BYTES]>::try_from(bytes).ok());
        key.map(Self)
            .ok_or_else(|| InvalidField::new("store.secrets_key", "must be 32 bytes in base64"))
    }
}

/// Why secrets cannot be kept.
#[derive(Debug, Error)]
pub enum VaultError {
    /// The database's secrets were sealed with another key.
    #[error(
        "the secrets in this database (of webhooks, of linked devices) were encrypted with another key than that of {0}: \
         give the one that they were encrypted with, from the backup of this database"
    )]
    WrongKey(String),
    /// The key's file is gone, the secrets are not.
    #[error(
        "{} is missing, and this database has secrets (of webhooks, of linked devices) that were encrypted with it: \
         restore it from the backup, or give its content as store.secrets_key",
        .0.display()
    )]
    NoKey(PathBuf),
    /// The key's file does not hold a key.
    #[error("{} does not hold 32 bytes in base64: restore it from the backup", .0.display())]
    Damaged(PathBuf),
    /// The key's file cannot be read or written.
    #[error("{} cannot be read or written: {error}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: std::io::Error,
    },
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The system gives no random bytes, or the cipher refused its input.
    #[error("no secret could be made or encrypted")]
    Cipher,
    /// A secret does not open.
    #[error("a webhook's secret cannot be decrypted; rotate-secret makes a new one")]
    Sealed,
    /// A connection's proxy does not open.
    #[error("a connection's proxy cannot be decrypted; give it again")]
    SealedProxy,
    /// A webhook's own headers do not open.
    #[error("a webhook's headers cannot be decrypted; give them again")]
    SealedHeaders,
    /// What a download needs does not open.
    #[error("what the download needs cannot be decrypted")]
    SealedMedia,
}

/// See the module.
pub(crate) struct Vault {
    key: LessSafeKey,
    media: media::MediaKeys,
    pages: pages::PageKey,
    deriver: Prk,
}

impl Vault {
    /// The keys for media.
    pub(crate) fn media(&self) -> &media::MediaKeys {
        &self.media
    }

    /// The key for pages on which numbers are linked.
    pub(crate) fn pages(&self) -> &pages::PageKey {
        &self.pages
    }

    /// Opens the vault of a store, with the key of the configuration or, without one, that of the file beside the
    /// database, which is made if there was never need of one before.
    ///
    /// # Errors
    /// `VaultError`; a key that does not open what is there is one.
    pub(crate) async fn open_for(store: &Store, configured: Option<&SecretsKey>) -> Result<Self, VaultError> {
        let sample = sample(store).await?;
        let device = store.any_key().await?;
        let is_new = sample.is_none() && device.is_none();
        let (key, source) = match configured {
            Some(key) => (key.clone(), "store.secrets_key".to_owned()),
            None => {
                let path = store.directory().join(key_file::NAME);
                let source = path.display().to_string();
                let reading = tokio::task::spawn_blocking(move || key_file::read_or_make(&path, is_new));
                (reading.await.map_err(|_| VaultError::Cipher)??, source)
            }
        };
        let vault = Self::new(&key)?;
        let opens = |(of, sealed): &(Vec<u8>, Vec<u8>)| open(&vault.key, of, sealed).is_ok();
        let opens_device = |(of, row): &(ConnectionKey, StoredKey)| vault.opens_key(of, row);
        // One that opens says that the key is right, and the other, if it does not, is damaged: who needs that hears of it.
        if !is_new && !sample.iter().any(opens) && !device.iter().any(opens_device) {
            return Err(VaultError::WrongKey(source));
        }
        Ok(vault)
    }

    fn new(key: &SecretsKey) -> Result<Self, VaultError> {
        let deriver = deriver(key);
        let key = UnboundKey::new(&AES_256_GCM, &key.0).map_err(|_| VaultError::Cipher)?;
        Ok(Self {
            key: LessSafeKey::new(key),
            media: media::MediaKeys::new(&deriver)?,
            pages: pages::PageKey::new(&deriver)?,
            deriver,
        })
    }

    /// Makes a secret for a webhook: itself, and as the store may have it.
    ///
    /// # Errors
    /// `Cipher`.
    pub(crate) fn make_secret(&self, webhook_id: WebhookId) -> Result<(Secret, Vec<u8>), VaultError> {
        let secret = Secret::new(&random::<SECRET_BYTES>()?);
        let sealed = self.seal(webhook_id, &secret)?;
        Ok((secret, sealed))
    }

    fn seal(&self, webhook_id: WebhookId, secret: &Secret) -> Result<Vec<u8>, VaultError> {
        seal(&self.key, &Kind::Secret.of(webhook_id), secret.bytes())
    }

    /// Decrypts what [`Vault::make_secret`] sealed for this webhook.
    ///
    /// # Errors
    /// `Sealed`.
    pub(crate) fn open(&self, webhook_id: WebhookId, sealed: &[u8]) -> Result<Secret, VaultError> {
        Ok(Secret::new(&open(&self.key, &Kind::Secret.of(webhook_id), sealed)?))
    }

    /// Encrypts a webhook's own headers.
    ///
    /// # Errors
    /// `Cipher`.
    pub(crate) fn seal_headers(&self, webhook_id: WebhookId, headers: &OwnHeaders) -> Result<Vec<u8>, VaultError> {
        seal(&self.key, &Kind::Headers.of(webhook_id), &headers.to_json())
    }

    /// Decrypts what [`Vault::seal_headers`] sealed for this webhook.
    ///
    /// # Errors
    /// `SealedHeaders`.
    pub(crate) fn open_headers(&self, webhook_id: WebhookId, sealed: &[u8]) -> Result<OwnHeaders, VaultError> {
        let opened = open(&self.key, &Kind::Headers.of(webhook_id), sealed);
        let headers = opened.ok().and_then(|text| OwnHeaders::from_json(&text));
        headers.ok_or(VaultError::SealedHeaders)
    }

    /// Encrypts a connection's proxy.
    ///
    /// # Errors
    /// `Cipher`.
    pub(crate) fn seal_proxy(&self, key: &ConnectionKey, proxy: &Proxy) -> Result<SealedProxy, VaultError> {
        Ok(SealedProxy {
            shown: proxy.shown(),
            sealed: seal(&self.key, &of_proxy(key), proxy.to_text().as_bytes())?,
        })
    }

    /// Decrypts what [`Vault::seal_proxy`] sealed for this connection.
    ///
    /// # Errors
    /// `SealedProxy`.
    pub(crate) fn open_proxy(&self, key: &ConnectionKey, sealed: &[u8]) -> Result<Proxy, VaultError> {
        let opened = open(&self.key, &of_proxy(key), sealed).ok();
        let text = opened.and_then(|bytes| String::from_utf8(bytes).ok());
        text.and_then(|text| Proxy::from_text(&text))
            .ok_or(VaultError::SealedProxy)
    }
}

/// What the keys for other purposes are derived from.
fn deriver(key: &SecretsKey) -> Prk {
    // The key is random bytes already, so there is nothing for a salt to do.
    Salt::new(HKDF_SHA256, &[]).extract(&key.0)
}

/// The key for a purpose.
fn derived(from: &Prk, purpose: &[&[u8]]) -> Result<LessSafeKey, VaultError> {
    let key = from.expand(purpose, &AES_256_GCM).map_err(|_| VaultError::Cipher)?;
    Ok(LessSafeKey::new(key.into()))
}

/// Encrypts `bytes` for the place that `place` says: format, nonce, text, tag.
fn seal(key: &LessSafeKey, place: &[u8], bytes: &[u8]) -> Result<Vec<u8>, VaultError> {
    let nonce = random::<NONCE_LEN>()?;
    let mut sealed = Vec::with_capacity(HEAD + bytes.len() + key.algorithm().tag_len());
    sealed.push(FORMAT);
    sealed.extend_from_slice(&nonce);
    sealed.extend_from_slice(bytes);
    let nonce = Nonce::assume_unique_for_key(nonce);
    let tag = key.seal_in_place_separate_tag(nonce, Aad::from(place), &mut sealed[HEAD..]);
    sealed.extend_from_slice(tag.map_err(|_| VaultError::Cipher)?.as_ref());
    Ok(sealed)
}

/// Decrypts what [`seal`] made for the same place.
fn open(key: &LessSafeKey, place: &[u8], sealed: &[u8]) -> Result<Vec<u8>, VaultError> {
    let (nonce, text) = match sealed.split_first_chunk::<HEAD>() {
        Some(([FORMAT, nonce @ ..], text)) => (*nonce, text),
        _ => return Err(VaultError::Sealed),
    };
    let mut text = text.to_vec();
    let nonce = Nonce::assume_unique_for_key(nonce);
    let opened = key.open_in_place(nonce, Aad::from(place), &mut text);
    let length = opened.map_err(|_| VaultError::Sealed)?.len();
    text.truncate(length);
    Ok(text)
}

/// Something that was sealed, to try a key on, and its associated data.
async fn sample(store: &Store) -> Result<Option<(Vec<u8>, Vec<u8>)>, StoreError> {
    if let Some((id, sealed)) = store.any_secret().await? {
        return Ok(Some((Kind::Secret.of(id), sealed)));
    }
    // Webhooks that are older than signing may have headers and no secret; connections need no webhook.
    if let Some((id, sealed)) = store.any_headers().await? {
        return Ok(Some((Kind::Headers.of(id), sealed)));
    }
    let proxy = store.any_proxy().await?;
    Ok(proxy.map(|(key, sealed)| (of_proxy(&key), sealed)))
}

/// The associated data of a connection's proxy.
fn of_proxy(key: &ConnectionKey) -> Vec<u8> {
    format!("{}/{}/proxy", key.client_id.0, key.phone_number).into_bytes()
}

/// What is sealed: one kind does not open as the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Secret,
    Headers,
}

impl Kind {
    /// The associated data.
    fn of(self, webhook_id: WebhookId) -> Vec<u8> {
        let suffix: &[u8] = match self {
            Self::Secret => b"",
            Self::Headers => b"headers",
        };
        [webhook_id.0.as_bytes().as_slice(), suffix].concat()
    }
}

fn random<const N: usize>() -> Result<[u8; N], VaultError> {
    let mut bytes = [0; N];
    SystemRandom::new().fill(&mut bytes).map_err(|_| VaultError::Cipher)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;
    use wharf_domain::ClientId;

    use super::*;

    fn vault(byte: u8) -> Vault {
        Vault::new(&SecretsKey([byte; KEY_BYTES])).unwrap()
    }

    fn webhook(n: u128) -> WebhookId {
        WebhookId(Uuid::from_u128(n))
    }

    #[test]
    fn a_sealed_secret_opens_for_its_webhook_under_its_key_and_not_otherwise() {
        let (secret, sealed) = vault(1).make_secret(webhook(1)).unwrap();
        assert_eq!(secret.bytes().len(), SECRET_BYTES);
        assert_eq!(vault(1).open(webhook(1), &sealed).unwrap(), secret);
        assert!(vault(2).open(webhook(1), &sealed).is_err(), "another key");
        assert!(vault(1).open(webhook(2), &sealed).is_err(), "another webhook");
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert!(vault(1).open(webhook(1), &changed).is_err(), "byte {at}");
            assert!(vault(1).open(webhook(1), &sealed[..at]).is_err(), "cut at {at}");
        }
    }

    #[test]
    fn headers_open_as_headers_of_their_webhook_only() {
        let headers = OwnHeaders::check([("authorization", "Bearer hunter2")]).unwrap();
        let sealed = vault(1).seal_headers(webhook(1), &headers).unwrap();
        assert!(!sealed.windows(7).any(|part| part == b"hunter2"));
        assert_eq!(vault(1).open_headers(webhook(1), &sealed).unwrap(), headers);
        assert!(vault(1).open(webhook(1), &sealed).is_err(), "not as a secret");
        assert!(vault(1).open_headers(webhook(2), &sealed).is_err());
        assert!(vault(2).open_headers(webhook(1), &sealed).is_err());
        let (_, secret) = vault(1).make_secret(webhook(1)).unwrap();
        assert!(vault(1).open_headers(webhook(1), &secret).is_err());
    }

    #[test]
    fn a_proxy_opens_for_its_connection_only_and_shows_no_credentials() {
        let key = |client, number: &str| ConnectionKey::new(ClientId(client), number.parse().unwrap());
        let own = key(1, "5511999999999");
        let proxy = Proxy::from_text("socks5://ana:hunter2@proxy.example.com:1080").unwrap();
        let SealedProxy { shown, sealed } = vault(1).seal_proxy(&own, &proxy).unwrap();
        assert_eq!(shown, "socks5://proxy.example.com:1080");
        assert!(!sealed.windows(7).any(|part| part == b"hunter2"));
        assert_eq!(vault(1).open_proxy(&own, &sealed).unwrap(), proxy);
        for other in [key(2, "5511999999999"), key(1, "5511999999998")] {
            assert!(vault(1).open_proxy(&other, &sealed).is_err());
        }
        assert!(vault(2).open_proxy(&own, &sealed).is_err());
        assert!(vault(1).open(webhook(1), &sealed).is_err(), "not as a secret");
    }

    #[test]
    fn no_two_secrets_and_no_two_seals_are_alike() {
        let (first, sealed) = vault(1).make_secret(webhook(1)).unwrap();
        let (second, _) = vault(1).make_secret(webhook(1)).unwrap();
        assert_ne!(first, second);
        assert_ne!(vault(1).seal(webhook(1), &first).unwrap(), sealed);
        assert!(!sealed.windows(8).any(|part| first.bytes().starts_with(part)));
    }

    #[test]
    fn a_key_is_32_bytes_in_base64_and_not_in_its_debug_output() {
        let key: SecretsKey = format!("{}\n", STANDARD.encode([65; 32])).parse().unwrap();
        assert_eq!((key.0, format!("{key:?}")), ([65; 32], "SecretsKey(…)".to_owned()));
        for bad in ["", "x", &STANDARD.encode([65; 31]), &STANDARD.encode([65; 33])] {
            let refusal = bad.parse::<SecretsKey>().unwrap_err();
            assert_eq!(
                refusal.message, "must be 32 bytes in base64",
                "and never what was given"
            );
        }
    }
}
