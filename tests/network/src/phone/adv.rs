//! Signatures by which a phone vouches for its devices, and by which a device confirms.

use rand::CryptoRng;
use wacore_libsignal::crypto::CryptographicMac;
use wacore_libsignal::protocol::PublicKey;
use waproto::buffa::Message as _;
use waproto::whatsapp::{
    ADVDeviceIdentity, ADVKeyIndexList, ADVSignedDeviceIdentity, ADVSignedDeviceIdentityHMAC, ADVSignedKeyIndexList,
};

use super::PhoneKeys;
use crate::NetworkError;

/// Prefixes that keep the signatures of different things apart.
const ACCOUNT_SIGNATURE: &[u8] = &[6, 0];
const DEVICE_SIGNATURE: &[u8] = &[6, 1];
const KEY_INDEX_SIGNATURE: &[u8] = &[6, 2];

/// What a phone signs when it links a device.
pub(crate) struct Enrolment<'a> {
    /// The account's number of the signing generation.
    pub(crate) raw_id: u32,
    /// The device's place in the account's list of devices.
    pub(crate) key_index: u32,
    /// Unix seconds.
    pub(crate) timestamp: u64,
    /// The device's identity key.
    pub(crate) identity: &'a [u8; 32],
    /// The secret from the QR.
    pub(crate) adv_secret: &'a [u8],
}

/// The `<device-identity>` of a pair-success: an `ADVSignedDeviceIdentityHMAC`, encoded.
///
/// # Errors
/// [`NetworkError::Internal`] if signing fails.
pub(crate) fn sign_device<R: CryptoRng>(
    keys: &PhoneKeys,
    enrolment: &Enrolment<'_>,
    rng: &mut R,
) -> Result<Vec<u8>, NetworkError> {
    let details = ADVDeviceIdentity {
        raw_id: Some(enrolment.raw_id),
        timestamp: Some(enrolment.timestamp),
        key_index: Some(enrolment.key_index),
        ..Default::default()
    }
    .encode_to_vec();
    let signed = [ACCOUNT_SIGNATURE, &details, enrolment.identity].concat();
    let identity = ADVSignedDeviceIdentity {
        details: Some(details),
        account_signature_key: Some(keys.identity.public_key.public_key_bytes().to_vec()),
        account_signature: Some(sign(keys, &signed, rng)?),
        ..Default::default()
    }
    .encode_to_vec();
    let mut mac = CryptographicMac::new("HmacSha256", enrolment.adv_secret)
        .map_err(|error| NetworkError::Internal(error.to_string()))?;
    mac.update(&identity);
    Ok(ADVSignedDeviceIdentityHMAC {
        details: Some(identity),
        hmac: Some(mac.finalize()),
        ..Default::default()
    }
    .encode_to_vec())
}

/// Whether the `ADVSignedDeviceIdentity` that the device sent back carries its own valid signature.
pub(crate) fn verify_device_signature(keys: &PhoneKeys, identity: &[u8; 32], answer: &[u8]) -> bool {
    let Ok(signed) = waproto::codec::adv_signed_device_identity_decode(answer) else {
        return false;
    };
    let (Some(details), Some(signature)) = (signed.details, signed.device_signature) else {
        return false;
    };
    let account_key = keys.identity.public_key.public_key_bytes();
    let message = [DEVICE_SIGNATURE, &details, identity, account_key].concat();
    PublicKey::from_djb_public_key_bytes(identity).is_ok_and(|key| key.verify_signature(&message, &signature))
}

/// The signed list of the account's valid device indexes, encoded; `timestamp` is in Unix seconds.
///
/// # Errors
/// [`NetworkError::Internal`] if signing fails.
pub(crate) fn key_index_list<R: CryptoRng>(
    keys: &PhoneKeys,
    raw_id: u32,
    timestamp: u64,
    valid_indexes: Vec<u32>,
    rng: &mut R,
) -> Result<Vec<u8>, NetworkError> {
    let details = ADVKeyIndexList {
        raw_id: Some(raw_id),
        timestamp: Some(timestamp),
        current_index: valid_indexes.iter().max().copied(),
        valid_indexes,
        ..Default::default()
    }
    .encode_to_vec();
    let signature = sign(keys, &[KEY_INDEX_SIGNATURE, &details].concat(), rng)?;
    Ok(ADVSignedKeyIndexList {
        details: Some(details),
        account_signature: Some(signature),
        ..Default::default()
    }
    .encode_to_vec())
}

fn sign<R: CryptoRng>(keys: &PhoneKeys, message: &[u8], rng: &mut R) -> Result<Vec<u8>, NetworkError> {
    let signature = keys
        .identity
        .calculate_signature(message, rng)
        .map_err(|error| NetworkError::Internal(format!("cannot sign: {error}")))?;
    Ok(signature.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;
    use wacore::pair::{DeviceState, PairUtils};
    use wacore_libsignal::protocol::KeyPair;

    fn device() -> DeviceState {
        let rng = &mut rand::rng();
        DeviceState {
            identity_key: KeyPair::generate(rng),
            noise_key: KeyPair::generate(rng),
            adv_secret_key: [7; 32],
        }
    }

    fn enrolled(keys: &PhoneKeys, device: &DeviceState, adv_secret: &[u8]) -> Vec<u8> {
        let identity = device.identity_key.public_key.public_key_bytes().try_into().unwrap();
        let enrolment = Enrolment {
            raw_id: 1,
            key_index: 4,
            timestamp: 1_700_000_000,
            identity: &identity,
            adv_secret,
        };
        sign_device(keys, &enrolment, &mut rand::rng()).unwrap()
    }

    #[test]
    fn the_client_accepts_and_its_answer_verifies() {
        let keys = PhoneKeys::generate(&mut rand::rng()).unwrap();
        let device = device();
        let identity = device.identity_key.public_key.public_key_bytes().try_into().unwrap();
        let (answer, key_index) =
            PairUtils::do_pair_crypto(&device, &enrolled(&keys, &device, &device.adv_secret_key)).unwrap();
        assert_eq!(key_index, 4);
        assert!(verify_device_signature(&keys, &identity, &answer));
        assert!(!verify_device_signature(&keys, &[9; 32], &answer));
    }

    #[test]
    fn the_client_refuses_another_secret() {
        let keys = PhoneKeys::generate(&mut rand::rng()).unwrap();
        let device = device();
        assert!(PairUtils::do_pair_crypto(&device, &enrolled(&keys, &device, &[8; 32])).is_err());
    }
}
