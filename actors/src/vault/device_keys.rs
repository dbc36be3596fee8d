//! Encrypts what linked devices keep.
//!
//! Each number has a key of its own, made of the vault's by HKDF-SHA256. A random nonce of 96 bits is good for some 2³²
//! encryptions under one key (NIST SP 800-38D, section 8.3); a thousand busy numbers would use that up within months, a
//! single one does not within the life of the program.

use std::sync::Arc;

use ring::aead::LessSafeKey;
use wharf_domain::ConnectionKey;
use wharf_store::{KeyKind, StoredKey};
use wharf_whatsapp::{KeyCipher, KeysError};

use super::{Vault, VaultError, derived, open, seal};

/// What the derived keys are for: another use of the vault's key derives others.
const PURPOSE: &[u8] = b"wharf: what a linked device keeps";

/// Encrypts for one number.
pub(crate) struct NumberCipher {
    of: ConnectionKey,
    key: LessSafeKey,
}

impl Vault {
    /// What encrypts for a number.
    ///
    /// # Errors
    /// `Cipher`.
    pub(crate) fn number_cipher(&self, of: &ConnectionKey) -> Result<Arc<NumberCipher>, VaultError> {
        let client = of.client_id.0.to_be_bytes();
        let info = [PURPOSE, client.as_slice(), of.phone_number.as_str().as_bytes()];
        Ok(Arc::new(NumberCipher {
            of: of.clone(),
            key: derived(&self.deriver, &info)?,
        }))
    }

    /// Whether this is the key that a device's row was encrypted with.
    pub(super) fn opens_key(&self, of: &ConnectionKey, row: &StoredKey) -> bool {
        let cipher = self.number_cipher(of);
        cipher.is_ok_and(|cipher| cipher.open(row.kind, &row.name, &row.value).is_ok())
    }
}

impl NumberCipher {
    /// The associated data: whose it is, what, and under which name. Only the name is of any length, and it is last.
    fn place(&self, kind: KeyKind, name: &[u8]) -> Vec<u8> {
        let client = self.of.client_id.0.to_be_bytes();
        let number = self.of.phone_number.as_str().as_bytes();
        [&client, number, b"\0", kind.as_str().as_bytes(), b"\0", name].concat()
    }
}

impl KeyCipher for NumberCipher {
    fn seal(&self, kind: KeyKind, name: &[u8], value: &[u8]) -> Result<Vec<u8>, KeysError> {
        seal(&self.key, &self.place(kind, name), value).map_err(|_| KeysError::Cipher)
    }

    fn open(&self, kind: KeyKind, name: &[u8], sealed: &[u8]) -> Result<Vec<u8>, KeysError> {
        open(&self.key, &self.place(kind, name), sealed).map_err(|_| KeysError::Sealed(kind, self.of.clone()))
    }
}

#[cfg(test)]
mod tests {
    use wharf_domain::ClientId;

    use super::{super::SecretsKey, *};

    fn number(client: i64, phone: &str) -> ConnectionKey {
        ConnectionKey::new(ClientId(client), phone.parse().unwrap())
    }

    fn vault(byte: u8) -> Vault {
        Vault::new(&SecretsKey([byte; 32])).unwrap()
    }

    #[test]
    fn a_key_opens_for_its_number_under_its_kind_and_name_and_not_otherwise() {
        let of = number(1, "5511888888888");
        let cipher = vault(1).number_cipher(&of).unwrap();
        let sealed = cipher.seal(KeyKind::Session, b"a", b"ratchet").unwrap();
        assert!(!sealed.windows(7).any(|part| part == b"ratchet"));
        assert_ne!(cipher.seal(KeyKind::Session, b"a", b"ratchet").unwrap(), sealed);
        let opened = vault(1)
            .number_cipher(&of)
            .unwrap()
            .open(KeyKind::Session, b"a", &sealed);
        assert_eq!(opened.unwrap(), b"ratchet");
        let refused = Err(KeysError::Sealed(KeyKind::Session, of.clone()));
        assert_eq!(cipher.open(KeyKind::Session, b"b", &sealed), refused, "another name");
        assert!(cipher.open(KeyKind::PreKey, b"a", &sealed).is_err(), "another kind");
        assert!(cipher.open(KeyKind::Session, b"a", b"").is_err());
        for (vault, of) in [
            (vault(2), of.clone()),
            (vault(1), number(2, "5511888888888")),
            (vault(1), number(1, "5511777777777")),
        ] {
            let other = vault.number_cipher(&of).unwrap();
            assert!(other.open(KeyKind::Session, b"a", &sealed).is_err(), "{of:?}");
        }
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert!(cipher.open(KeyKind::Session, b"a", &changed).is_err(), "byte {at}");
        }
    }
}
