//! The server's identity: its static Noise key and the certificate chain that vouches for it.
//!
//! The chain has WhatsApp's shape (root signs the intermediate, the intermediate signs the leaf), but the root is made
//! anew at every start, so a client that checks WhatsApp's root refuses it.

use rand::CryptoRng;
use wacore_libsignal::protocol::KeyPair;
use waproto::buffa::{Message as _, MessageField};
use waproto::whatsapp::CertChain;
use waproto::whatsapp::cert_chain::NoiseCertificate;
use waproto::whatsapp::cert_chain::noise_certificate::Details;

use crate::NetworkError;

/// Valid from a day ago, so that a client whose clock is behind accepts it.
const VALID_BEFORE_NOW_S: u64 = 86_400;
/// Valid for a year from now: no test runs longer, and a client keeps the chain to resume by IK.
const VALID_FROM_NOW_S: u64 = 365 * 86_400;
const INTERMEDIATE_SERIAL: u32 = 1;
const LEAF_SERIAL: u32 = 2;

/// The server's static key and the encoded chain for it.
pub(crate) struct ServerIdentity {
    /// The key of the Noise handshake.
    pub(crate) static_key: KeyPair,
    /// `CertChain`, encoded.
    pub(crate) chain: Vec<u8>,
    /// The root's public key, for a client that can be told to trust it.
    pub(crate) root: [u8; 32],
}

impl ServerIdentity {
    /// Makes a root, an intermediate and a leaf; `now` is in Unix seconds.
    ///
    /// # Errors
    /// [`NetworkError::Internal`] if signing fails.
    pub(crate) fn generate<R: CryptoRng>(now: u64, rng: &mut R) -> Result<Self, NetworkError> {
        let root = KeyPair::generate(rng);
        let intermediate = KeyPair::generate(rng);
        let static_key = KeyPair::generate(rng);
        let validity = (now.saturating_sub(VALID_BEFORE_NOW_S), now + VALID_FROM_NOW_S);
        let chain = CertChain {
            intermediate: MessageField::some(certificate(
                &intermediate,
                INTERMEDIATE_SERIAL,
                (0, &root),
                validity,
                rng,
            )?),
            leaf: MessageField::some(certificate(
                &static_key,
                LEAF_SERIAL,
                (INTERMEDIATE_SERIAL, &intermediate),
                validity,
                rng,
            )?),
        };
        let mut public = [0; 32];
        public.copy_from_slice(root.public_key.public_key_bytes());
        Ok(Self {
            static_key,
            chain: chain.encode_to_vec(),
            root: public,
        })
    }
}

fn certificate<R: CryptoRng>(
    subject: &KeyPair,
    serial: u32,
    (issuer_serial, issuer): (u32, &KeyPair),
    (not_before, not_after): (u64, u64),
    rng: &mut R,
) -> Result<NoiseCertificate, NetworkError> {
    let details = Details {
        serial: Some(serial),
        issuer_serial: Some(issuer_serial),
        key: Some(subject.public_key.public_key_bytes().to_vec()),
        not_before: Some(not_before),
        not_after: Some(not_after),
    }
    .encode_to_vec();
    let signature = issuer
        .calculate_signature(&details, rng)
        .map_err(|error| NetworkError::Internal(format!("cannot sign a certificate: {error}")))?;
    Ok(NoiseCertificate {
        details: Some(details),
        signature: Some(signature.to_vec()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use wacore_libsignal::protocol::PublicKey;
    use wacore_noise::HandshakeUtils;

    fn signed(by: &[u8], certificate: &NoiseCertificate) -> bool {
        let key = PublicKey::from_djb_public_key_bytes(by).unwrap();
        key.verify_signature(
            certificate.details.as_deref().unwrap(),
            certificate.signature.as_deref().unwrap(),
        )
    }

    #[test]
    fn each_certificate_is_signed_by_the_one_above() {
        let identity = ServerIdentity::generate(1_700_000_000, &mut rand::rng()).unwrap();
        let chain = waproto::codec::cert_chain_decode(&identity.chain).unwrap();
        let intermediate = chain.intermediate.into_option().unwrap();
        let details = intermediate.details.as_deref().unwrap();
        let issuer = waproto::codec::noise_certificate_details_decode(details).unwrap();
        assert!(signed(&identity.root, &intermediate));
        assert!(signed(
            issuer.key.as_deref().unwrap(),
            &chain.leaf.into_option().unwrap()
        ));
    }

    #[test]
    fn the_clients_verifier_reads_the_chain() {
        let identity = ServerIdentity::generate(1_700_000_000, &mut rand::rng()).unwrap();
        let key: [u8; 32] = identity.static_key.public_key.public_key_bytes().try_into().unwrap();
        // The verifier knows only WhatsApp's root. Built with the client's test feature it skips the signatures and
        // checks serials, key and validity; built without, the signature of the test root must be what it refuses.
        match HandshakeUtils::verify_server_cert(&identity.chain, &key) {
            Ok(chain) => {
                assert_eq!(chain.leaf_key, key);
                assert!(chain.leaf_not_before < 1_700_000_000 && chain.leaf_not_after > 1_700_000_000);
            }
            Err(error) => assert!(error.to_string().contains("intermediate signature"), "{error}"),
        }
    }
}
