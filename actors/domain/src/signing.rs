//! Signatures of deliveries, as [Standard Webhooks](https://www.standardwebhooks.com) has them, and the one that
//! receivers of Meta's API check. Pure: secrets come in as bytes, and the caller made them.

use std::fmt;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde::{Serialize as _, Serializer};
use sha2::{Digest as _, Sha256};

use crate::{EventId, Timestamp, hex};

/// Random bytes in a secret.
pub const SECRET_BYTES: usize = 32;
/// What a secret's text begins with, so that people, libraries and secret scanners recognise one.
const PREFIX: &str = "whsec_";
/// The block of SHA-256, to which HMAC brings every key.
const BLOCK: usize = 64;

/// What a webhook's deliveries are signed with. It is shown by [`Secret::reveal`] only.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Box<[u8]>);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl Secret {
    /// A secret of these bytes.
    pub fn new(bytes: &[u8]) -> Self {
        Self(bytes.into())
    }

    /// Its bytes: the key of `webhook-signature`.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// Its text, `whsec_` and base64: what its owner is shown, and the key of `X-Hub-Signature-256`.
    pub fn reveal(&self) -> String {
        format!("{PREFIX}{}", STANDARD.encode(&self.0))
    }

    /// For `#[serde(serialize_with)]` in the two answers that show a secret, once. There is no `Serialize`: nothing else
    /// can show one by mistake.
    ///
    /// # Errors
    /// The serializer's.
    pub fn reveal_in<S: Serializer>(secret: &Option<Self>, serializer: S) -> Result<S::Ok, S::Error> {
        secret.as_ref().map(Self::reveal).serialize(serializer)
    }
}

/// A secret, and until when it signs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SigningSecret {
    /// The secret.
    pub secret: Secret,
    /// The end of one that was replaced; `None` for the present one.
    pub expires_at: Option<Timestamp>,
}

/// What signs a webhook's deliveries.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Signer {
    /// The present secret first. None at all: nothing is signed.
    pub secrets: Vec<SigningSecret>,
    /// Whether to sign as Meta does, too.
    pub hub_signature: bool,
}

/// The signing headers of one attempt.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Signatures {
    /// `webhook-signature`
    pub webhook_signature: Option<String>,
    /// `X-Hub-Signature-256`
    pub hub_signature: Option<String>,
}

impl Signer {
    /// Signs an attempt that starts at `now`.
    ///
    /// `webhook-signature` has one signature for each secret that is valid, the present one's first. The other header
    /// has room for one only: it is the oldest valid secret's, so that a receiver which learns a new secret has the
    /// whole overlap to make it known.
    pub fn sign(&self, event_id: EventId, now: Timestamp, body: &[u8]) -> Signatures {
        let is_valid = |secret: &&SigningSecret| secret.expires_at.is_none_or(|end| now < end);
        let valid: Vec<&Secret> = self
            .secrets
            .iter()
            .filter(is_valid)
            .map(|signing| &signing.secret)
            .collect();
        let id = event_id.to_string();
        let signed: Vec<String> = valid
            .iter()
            .map(|secret| sign(secret, &id, now.seconds(), body))
            .collect();
        let hub_secret = valid.last().filter(|_| self.hub_signature);
        Signatures {
            webhook_signature: (!signed.is_empty()).then(|| signed.join(" ")),
            hub_signature: hub_secret.map(|secret| hub_sign(secret, body)),
        }
    }
}

/// `v1,` and the base64 of HMAC-SHA256 over `id.timestamp.body`, keyed by the secret's bytes.
pub fn sign(secret: &Secret, id: &str, timestamp: i64, body: &[u8]) -> String {
    let head = format!("{id}.{timestamp}.");
    format!("v1,{}", STANDARD.encode(mac(secret.bytes(), &[head.as_bytes(), body])))
}

/// `sha256=` and the hexadecimal HMAC-SHA256 over the body, keyed by the secret's text with its `whsec_`, as Meta keys
/// it by the text of the app secret.
pub fn hub_sign(secret: &Secret, body: &[u8]) -> String {
    format!("sha256={}", hex(&mac(secret.reveal().as_bytes(), &[body])))
}

/// HMAC-SHA256. The key is brought to a block here, by HMAC's own rule, because only then the crate cannot refuse it.
fn mac(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    let mut block = [0; BLOCK];
    match block.get_mut(..key.len()) {
        Some(start) => start.copy_from_slice(key),
        None => block[..32].copy_from_slice(&Sha256::digest(key)),
    }
    let mut mac = Hmac::<Sha256>::new(&block.into());
    parts.iter().for_each(|part| mac.update(part));
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;

    const EVENT: EventId = EventId(Uuid::from_u128(7));
    const NOW: Timestamp = Timestamp(1_762_352_580_999);

    fn secret(byte: u8) -> Secret {
        Secret::new(&[byte; SECRET_BYTES])
    }

    fn signer(secrets: &[(u8, Option<i64>)], hub_signature: bool) -> Signer {
        let signing = |&(byte, end): &(u8, Option<i64>)| SigningSecret {
            secret: secret(byte),
            expires_at: end.map(Timestamp),
        };
        Signer {
            secrets: secrets.iter().map(signing).collect(),
            hub_signature,
        }
    }

    /// The vector that the specification's libraries are tested with.
    #[test]
    fn the_published_vector() {
        let bytes = STANDARD.decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let secret = Secret::new(&bytes);
        assert_eq!(secret.reveal(), "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
        let signature = sign(
            &secret,
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            1_614_265_330,
            br#"{"test": 2432232314}"#,
        );
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    /// RFC 4231, cases 2 and 6: a short key, and one that is longer than a block.
    #[test]
    fn the_vectors_of_hmac() {
        assert_eq!(
            hex(&mac(b"Jefe", &[b"what do ya want ", b"for nothing?"])),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
        assert_eq!(
            hex(&mac(
                &[0xaa; 131],
                &[b"Test Using Larger Than Block-Size Key - Hash Key First"]
            )),
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"
        );
    }

    #[test]
    fn every_valid_secret_signs_and_expired_ones_do_not() {
        let alone = |byte| sign(&secret(byte), &EVENT.to_string(), NOW.seconds(), b"{}");
        let signed = signer(&[(1, None), (2, Some(NOW.0 + 1)), (3, Some(NOW.0))], true).sign(EVENT, NOW, b"{}");
        assert_eq!(signed.webhook_signature, Some(format!("{} {}", alone(1), alone(2))));
        assert_eq!(
            signed.hub_signature,
            Some(hub_sign(&secret(2), b"{}")),
            "the oldest that is valid"
        );
        let signed = signer(&[(1, None)], false).sign(EVENT, NOW, b"{}");
        assert_eq!((signed.webhook_signature, signed.hub_signature), (Some(alone(1)), None));
    }

    #[test]
    fn without_a_secret_nothing_is_signed() {
        assert_eq!(signer(&[], true).sign(EVENT, NOW, b"{}"), Signatures::default());
    }

    #[test]
    fn a_secret_is_not_in_its_debug_output() {
        let debug = format!("{:?}", signer(&[(65, None)], true));
        assert!(
            !debug.contains("65") && !debug.contains("AAAA") && !debug.contains("QUFB"),
            "{debug}"
        );
    }

    proptest! {
        #[test]
        fn a_signature_depends_on_everything_that_is_signed(
            key in prop::collection::vec(any::<u8>(), 24..=64),
            id in "[a-z0-9-]{1,40}",
            timestamp in 0_i64..4_000_000_000,
            body in prop::collection::vec(any::<u8>(), 0..200),
            at in any::<prop::sample::Index>(),
        ) {
            let made = Secret::new(&key);
            let signature = sign(&made, &id, timestamp, &body);
            prop_assert_eq!(signature.len(), "v1,".len() + 44);
            let mut other_key = key.clone();
            other_key[at.index(key.len())] ^= 1;
            let mut other_body = body.clone();
            other_body.push(b' ');
            for other in [
                sign(&Secret::new(&other_key), &id, timestamp, &body),
                sign(&made, &format!("{id}x"), timestamp, &body),
                sign(&made, &id, timestamp + 1, &body),
                sign(&made, &id, timestamp, &other_body),
            ] {
                prop_assert_ne!(&signature, &other);
            }
            prop_assert_eq!(STANDARD.decode(&made.reveal()["whsec_".len()..]).unwrap(), key);
        }
    }
}
