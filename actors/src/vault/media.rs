//! Keys for media, derived from the vault's own by HKDF-SHA256: one encrypts what downloads need, one signs links.

use ring::{
    aead::LessSafeKey,
    hkdf::{HKDF_SHA256, Prk},
};
use wharf_domain::{ConnectionKey, EventId, message::MediaReference, outgoing::ReadyFile};

use super::{VaultError, derived, open, seal};

/// What the derived keys are for: another use of the vault's key derives others.
const SEALING: &[u8] = b"wharf: what downloads of media need";
/// The same for files that go out.
const SENDING: &[u8] = b"wharf: files of messages that go out";
const LINKING: &[u8] = b"wharf: links to media";

/// See the module.
pub(crate) struct MediaKeys {
    sealing: LessSafeKey,
    sending: LessSafeKey,
    linking: [u8; 32],
}

impl MediaKeys {
    /// # Errors
    /// `Cipher`.
    pub(super) fn new(from: &Prk) -> Result<Self, VaultError> {
        let mut linking = [0; 32];
        from.expand(&[LINKING], HKDF_SHA256)
            .and_then(|key| key.fill(&mut linking))
            .map_err(|_| VaultError::Cipher)?;
        Ok(Self {
            sealing: derived(from, &[SEALING])?,
            sending: derived(from, &[SENDING])?,
            linking,
        })
    }

    /// What links are signed with.
    pub(crate) fn link_key(&self) -> &[u8; 32] {
        &self.linking
    }

    /// Encrypts what the download of an event's file needs.
    ///
    /// # Errors
    /// `Cipher`.
    pub(crate) fn seal(&self, id: EventId, reference: &MediaReference) -> Result<Vec<u8>, VaultError> {
        seal(&self.sealing, id.0.as_bytes(), &reference.to_bytes())
    }

    /// Decrypts what [`MediaKeys::seal`] made for this event.
    ///
    /// # Errors
    /// `SealedMedia`.
    pub(crate) fn open(&self, id: EventId, sealed: &[u8]) -> Result<MediaReference, VaultError> {
        let opened = open(&self.sealing, id.0.as_bytes(), sealed).map_err(|_| VaultError::SealedMedia)?;
        MediaReference::from_bytes(&opened).ok_or(VaultError::SealedMedia)
    }

    /// Encrypts what is known of the file of a message that this number sends.
    ///
    /// # Errors
    /// `Cipher`.
    pub(crate) fn seal_sent(
        &self,
        key: &ConnectionKey,
        message_id: &str,
        file: &ReadyFile,
    ) -> Result<Vec<u8>, VaultError> {
        seal(&self.sending, &owner(key, message_id), &file.to_bytes())
    }

    /// Decrypts what [`MediaKeys::seal_sent`] made for this message.
    ///
    /// # Errors
    /// `SealedMedia`.
    pub(crate) fn open_sent(
        &self,
        key: &ConnectionKey,
        message_id: &str,
        sealed: &[u8],
    ) -> Result<ReadyFile, VaultError> {
        let opened = open(&self.sending, &owner(key, message_id), sealed).map_err(|_| VaultError::SealedMedia)?;
        ReadyFile::from_bytes(&opened).ok_or(VaultError::SealedMedia)
    }
}

/// Whose message a file belongs to, as authenticated data.
fn owner(key: &ConnectionKey, message_id: &str) -> Vec<u8> {
    format!("{}/{}/{message_id}", key.client_id, key.phone_number).into_bytes()
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;
    use wharf_domain::message::{Asked, MediaKind};

    use super::{
        super::{SecretsKey, deriver},
        *,
    };

    fn keys_of(byte: u8) -> MediaKeys {
        MediaKeys::new(&deriver(&SecretsKey([byte; 32]))).unwrap()
    }

    #[test]
    fn a_sent_file_opens_for_its_message_only() {
        let keys = keys_of(7);
        let file = ReadyFile {
            reference: MediaReference {
                kind: MediaKind::Image,
                direct_path: String::new(),
                media_key: vec![1; 32],
                enc_sha256: vec![2; 32],
                sha256: vec![3; 32],
                size: 4,
                by_proxy: false,
                asked: Asked::No,
            },
            url: String::new(),
            thumbnail: Some(vec![5; 10]),
            waveform: None,
            sidecar: None,
            animated: false,
            made_at: 0,
        };
        let number = |client| ConnectionKey::new(wharf_domain::ClientId(client), "5511888888888".parse().unwrap());
        let sealed = keys.seal_sent(&number(1), "A", &file).unwrap();
        assert_eq!(keys.open_sent(&number(1), "A", &sealed).unwrap(), file);
        assert!(keys.open_sent(&number(1), "B", &sealed).is_err());
        assert!(keys.open_sent(&number(2), "A", &sealed).is_err());
    }

    #[test]
    fn a_reference_opens_for_its_event_under_its_key() {
        let keys = keys_of(7);
        let reference = MediaReference {
            kind: MediaKind::Video,
            direct_path: "/v/t".into(),
            media_key: vec![1; 32],
            enc_sha256: vec![2; 32],
            sha256: vec![3; 32],
            size: 4,
            by_proxy: true,
            asked: Asked::No,
        };
        let id = EventId(Uuid::from_u128(1));
        let sealed = keys.seal(id, &reference).unwrap();
        assert_eq!(keys.open(id, &sealed).unwrap(), reference);
        assert_ne!(keys.seal(id, &reference).unwrap(), sealed, "a nonce each");
        assert!(!sealed.windows(4).any(|bytes| bytes == b"/v/t"));
        let other = keys_of(8);
        assert!(other.open(id, &sealed).is_err());
        assert_ne!(other.link_key(), keys.link_key());
        assert!(keys.open(EventId(Uuid::from_u128(2)), &sealed).is_err());
        for cut in [0, 11, sealed.len() - 1] {
            assert!(keys.open(id, &sealed[..cut]).is_err());
        }
    }
}
