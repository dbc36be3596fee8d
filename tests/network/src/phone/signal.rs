//! The phone's Signal sessions: prekey bundles in both directions, sealing and opening of messages.

use rand::CryptoRng;
use rand::rngs::StdRng;
use wacore::types::jid::JidExt as _;
use wacore_binary::Jid;
use wacore_libsignal::protocol::{
    CiphertextMessage, GenericSignedPreKey as _, IdentityKey, IdentityKeyPair, KeyPair, PreKeyBundle, PreKeyRecord,
    PreKeySignalMessage, PublicKey, SignalMessage, SignalProtocolError, SignedPreKeyId, SignedPreKeyRecord, Timestamp,
    UsePQRatchet, message_decrypt_prekey, message_decrypt_signal, message_encrypt, process_prekey_bundle,
};

use super::group::Groups;
use super::store::{Identities, PreKeys, Sessions, SignedPreKeys};
use crate::NetworkError;

/// The only signed prekey of a phone.
const SIGNED_PREKEY_ID: u32 = 1;
/// Prekey ids are 24 bits on the wire and start at 1.
const PREKEY_IDS: u32 = 0xFF_FFFF;

/// What never changes about a phone: readable without its lock.
pub(crate) struct PhoneKeys {
    /// Signs devices and is the identity of its sessions.
    pub(crate) identity: KeyPair,
    /// 31 bits, as Signal wants them.
    pub(crate) registration_id: u32,
    /// The signed prekey and its signature.
    pub(crate) signed: KeyPair,
    pub(crate) signature: Vec<u8>,
}

impl PhoneKeys {
    /// Makes the keys of a new phone.
    ///
    /// # Errors
    /// [`NetworkError::Internal`] if signing fails.
    pub(crate) fn generate<R: CryptoRng>(rng: &mut R) -> Result<Self, NetworkError> {
        let identity = KeyPair::generate(rng);
        let signed = KeyPair::generate(rng);
        let signature = identity
            .calculate_signature(&signed.public_key.serialize(), rng)
            .map_err(|error| NetworkError::Internal(format!("cannot sign a prekey: {error}")))?
            .to_vec();
        let registration_id = (rng.next_u32() & 0x7FFF_FFFF).max(1);
        Ok(Self {
            identity,
            registration_id,
            signed,
            signature,
        })
    }
}

/// A signed prekey as the wire shows it: id, key, signature.
pub(crate) type SignedKey = (u32, [u8; 32], Vec<u8>);
/// A one-time prekey as the wire shows it: id, key.
pub(crate) type OneTimeKey = (u32, [u8; 32]);

/// A prekey bundle as the wire shows it; keys are 32 bytes without a type byte.
#[derive(Clone, Debug)]
pub(crate) struct Bundle {
    pub(crate) registration_id: u32,
    pub(crate) identity: [u8; 32],
    pub(crate) signed: SignedKey,
    pub(crate) one_time: Option<OneTimeKey>,
}

impl Bundle {
    fn to_signal(&self) -> Result<PreKeyBundle, SignalProtocolError> {
        let one_time = match self.one_time {
            Some((id, key)) => Some((id.into(), PublicKey::from_djb_public_key_bytes(&key)?)),
            None => None,
        };
        PreKeyBundle::new(
            self.registration_id,
            0.into(),
            one_time,
            self.signed.0.into(),
            PublicKey::from_djb_public_key_bytes(&self.signed.1)?,
            self.signed.2.clone(),
            IdentityKey::new(PublicKey::from_djb_public_key_bytes(&self.identity)?),
        )
    }
}

/// An encrypted message and its wire type, `pkmsg` or `msg`.
pub(crate) struct Sealed {
    pub(crate) kind: &'static str,
    pub(crate) bytes: Vec<u8>,
}

/// The mutable Signal state of a phone.
pub(crate) struct Phone {
    sessions: Sessions,
    identities: Identities,
    prekeys: PreKeys,
    signed: SignedPreKeys,
    next_prekey: u32,
    pub(super) groups: Groups,
    pub(super) rng: StdRng,
}

impl Phone {
    /// A phone that has met nobody.
    pub(crate) fn new(keys: &PhoneKeys) -> Self {
        let own = IdentityKeyPair::new(
            IdentityKey::new(keys.identity.public_key),
            keys.identity.private_key.clone(),
        );
        let id = SignedPreKeyId::from(SIGNED_PREKEY_ID);
        let record = SignedPreKeyRecord::new(id, Timestamp::from_epoch_millis(0), &keys.signed, &keys.signature);
        Self {
            sessions: Sessions::default(),
            identities: Identities {
                own,
                registration_id: keys.registration_id,
                met: Default::default(),
            },
            prekeys: PreKeys::default(),
            signed: SignedPreKeys { id, record },
            next_prekey: 1,
            groups: Groups::default(),
            rng: rand::make_rng(),
        }
    }

    /// A bundle for someone who wants to write to this phone, with a fresh one-time prekey.
    pub(crate) fn bundle(&mut self, keys: &PhoneKeys) -> Bundle {
        let id = self.next_prekey;
        self.next_prekey = self.next_prekey % PREKEY_IDS + 1;
        let pair = KeyPair::generate(&mut self.rng);
        self.prekeys.0.insert(id.into(), PreKeyRecord::new(id.into(), &pair));
        Bundle {
            registration_id: keys.registration_id,
            identity: raw(&keys.identity.public_key),
            signed: (SIGNED_PREKEY_ID, raw(&keys.signed.public_key), keys.signature.clone()),
            one_time: Some((id, raw(&pair.public_key))),
        }
    }

    /// Whether a session with that device exists.
    pub(crate) fn knows(&self, device: &Jid) -> bool {
        self.sessions.contains(&device.to_protocol_address())
    }

    /// Starts a session over; the next message goes out as `pkmsg`.
    ///
    /// # Errors
    /// [`SignalProtocolError`] if the bundle's keys or signature are bad.
    pub(crate) async fn meet(&mut self, device: &Jid, bundle: &Bundle) -> Result<(), SignalProtocolError> {
        let address = device.to_protocol_address();
        self.sessions.forget(&address);
        process_prekey_bundle(
            &address,
            &mut self.sessions,
            &mut self.identities,
            &bundle.to_signal()?,
            &mut self.rng,
            UsePQRatchet::No,
        )
        .await?;
        Ok(())
    }

    /// Forgets a device that was unlinked.
    pub(crate) fn forget(&mut self, device: &Jid) {
        self.sessions.forget(&device.to_protocol_address());
        self.groups.told_nothing(device);
    }

    /// Encrypts for a device with which a session exists.
    ///
    /// # Errors
    /// [`SignalProtocolError`] if there is no session.
    pub(crate) async fn seal(&mut self, device: &Jid, plaintext: &[u8]) -> Result<Sealed, SignalProtocolError> {
        let address = device.to_protocol_address();
        let message = message_encrypt(plaintext, &address, &mut self.sessions, &mut self.identities).await?;
        let kind = match message {
            CiphertextMessage::PreKeySignalMessage(_) => "pkmsg",
            _ => "msg",
        };
        Ok(Sealed {
            kind,
            bytes: message.serialize().to_vec(),
        })
    }

    /// Decrypts what a device sent; `kind` is the wire type.
    ///
    /// # Errors
    /// [`SignalProtocolError`] if it does not decrypt or the kind is another.
    pub(crate) async fn open(
        &mut self,
        device: &Jid,
        kind: &str,
        ciphertext: &[u8],
    ) -> Result<Vec<u8>, SignalProtocolError> {
        let address = device.to_protocol_address();
        let result = match kind {
            "pkmsg" => {
                message_decrypt_prekey(
                    &PreKeySignalMessage::try_from(ciphertext)?,
                    &address,
                    &mut self.sessions,
                    &mut self.identities,
                    &mut self.prekeys,
                    &self.signed,
                    &mut self.rng,
                    UsePQRatchet::No,
                )
                .await?
            }
            "msg" => {
                message_decrypt_signal(
                    &SignalMessage::try_from(ciphertext)?,
                    &address,
                    &mut self.sessions,
                    &mut self.identities,
                    &mut self.rng,
                )
                .await?
            }
            _ => {
                return Err(SignalProtocolError::InvalidArgument(format!(
                    "a message of type {kind}"
                )));
            }
        };
        if let Some(id) = result.consumed_prekey_id {
            self.prekeys.0.remove(&id);
        }
        Ok(result.plaintext)
    }
}

fn raw(key: &PublicKey) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes.copy_from_slice(key.public_key_bytes());
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn phone() -> (PhoneKeys, Phone) {
        let keys = PhoneKeys::generate(&mut rand::rng()).unwrap();
        let phone = Phone::new(&keys);
        (keys, phone)
    }

    #[tokio::test]
    async fn the_first_messages_are_pkmsg_until_an_answer() {
        let (_, mut alice) = phone();
        let (bob_keys, mut bob) = phone();
        let (alice_jid, bob_jid) = (Jid::lid_device("1", 0), Jid::lid_device("2", 3));
        alice.meet(&bob_jid, &bob.bundle(&bob_keys)).await.unwrap();
        for _ in 0..2 {
            let sealed = alice.seal(&bob_jid, b"hello").await.unwrap();
            assert_eq!(sealed.kind, "pkmsg");
            assert_eq!(
                bob.open(&alice_jid, sealed.kind, &sealed.bytes).await.unwrap(),
                b"hello"
            );
        }
        let answer = bob.seal(&alice_jid, b"hi").await.unwrap();
        assert_eq!(answer.kind, "msg");
        assert_eq!(alice.open(&bob_jid, answer.kind, &answer.bytes).await.unwrap(), b"hi");
        assert_eq!(alice.seal(&bob_jid, b"now").await.unwrap().kind, "msg");
    }

    #[tokio::test]
    async fn a_message_opens_once() {
        let (_, mut alice) = phone();
        let (bob_keys, mut bob) = phone();
        let (alice_jid, bob_jid) = (Jid::lid_device("1", 0), Jid::lid_device("2", 3));
        alice.meet(&bob_jid, &bob.bundle(&bob_keys)).await.unwrap();
        let sealed = alice.seal(&bob_jid, b"hello").await.unwrap();
        bob.open(&alice_jid, sealed.kind, &sealed.bytes).await.unwrap();
        assert!(bob.open(&alice_jid, sealed.kind, &sealed.bytes).await.is_err());
    }
}
