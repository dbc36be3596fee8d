//! Keys for media, derived from the vault's own by HKDF-SHA256: one encrypts what downloads need, one signs links.

use ring::{
    aead::{AES_256_GCM, LessSafeKey, UnboundKey},
    hkdf::{HKDF_SHA256, KeyType, Salt},
    rand::SystemRandom,
};
use wharf_domain::{EventId, message::MediaReference};

use super::{SecretsKey, VaultError, open, seal};

/// What the derived keys are for: another use of the vault's key derives others.
const SEALING: &[u8] = b"wharf: what downloads of media need";
const LINKING: &[u8] = b"wharf: links to media";

/// See the module.
pub(crate) struct MediaKeys {
    sealing: LessSafeKey,
    linking: [u8; 32],
    random: SystemRandom,
}

/// Bytes of the key that signs links.
struct LinkKey;

impl KeyType for LinkKey {
    fn len(&self) -> usize {
        32
    }
}

impl MediaKeys {
    /// # Errors
    /// `Cipher`.
    pub(super) fn new(key: &SecretsKey) -> Result<Self, VaultError> {
        // The key is random bytes already, so there is nothing for a salt to do.
        let derived = Salt::new(HKDF_SHA256, &[]).extract(&key.0);
        let sealing = derived.expand(&[SEALING], &AES_256_GCM);
        let sealing: UnboundKey = sealing.map_err(|_| VaultError::Cipher)?.into();
        let mut linking = [0; 32];
        derived
            .expand(&[LINKING], LinkKey)
            .and_then(|key| key.fill(&mut linking))
            .map_err(|_| VaultError::Cipher)?;
        Ok(Self {
            sealing: LessSafeKey::new(sealing),
            linking,
            random: SystemRandom::new(),
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
        seal(&self.sealing, &self.random, id.0.as_bytes(), &reference.to_bytes())
    }

    /// Decrypts what [`MediaKeys::seal`] made for this event.
    ///
    /// # Errors
    /// `SealedMedia`.
    pub(crate) fn open(&self, id: EventId, sealed: &[u8]) -> Result<MediaReference, VaultError> {
        let opened = open(&self.sealing, id.0.as_bytes(), sealed).map_err(|_| VaultError::SealedMedia)?;
        MediaReference::from_bytes(&opened).ok_or(VaultError::SealedMedia)
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;
    use wharf_domain::message::MediaKind;

    use super::*;

    #[test]
    fn a_reference_opens_for_its_event_under_its_key() {
        let keys = MediaKeys::new(&SecretsKey([7; 32])).unwrap();
        let reference = MediaReference {
            kind: MediaKind::Video,
            direct_path: "/v/t".into(),
            media_key: vec![1; 32],
            enc_sha256: vec![2; 32],
            sha256: vec![3; 32],
            size: 4,
        };
        let id = EventId(Uuid::from_u128(1));
        let sealed = keys.seal(id, &reference).unwrap();
        assert_eq!(keys.open(id, &sealed).unwrap(), reference);
        assert_ne!(keys.seal(id, &reference).unwrap(), sealed, "a nonce each");
        assert!(!sealed.windows(4).any(|bytes| bytes == b"/v/t"));
        let other = MediaKeys::new(&SecretsKey([8; 32])).unwrap();
        assert!(other.open(id, &sealed).is_err());
        assert_ne!(other.link_key(), keys.link_key());
        assert!(keys.open(EventId(Uuid::from_u128(2)), &sealed).is_err());
        for cut in [0, 11, sealed.len() - 1] {
            assert!(keys.open(id, &sealed[..cut]).is_err());
        }
    }
}
