//! Pairing by a code that is typed into the phone: `link_code_companion_reg` in its three stages.
//!
//! The device makes a code, shows it, and sends an ephemeral key wrapped with it (`companion_hello`). The phone, which was
//! told the code by a person, unwraps that key and sends one of its own (`primary_hello`). With both the device seals the
//! secret that a QR would have carried (`companion_finish`); from there on it is the same pairing.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rand::Rng as _;
use tokio::sync::oneshot;
use wacore::crypto::hkdf_sha256_into;
use wacore::pair_code::PairCodeUtils;
use wacore_binary::Node;
use wacore_binary::builder::NodeBuilder;
use wacore_libsignal::crypto::aes_256_gcm_decrypt;
use wacore_libsignal::protocol::{KeyPair, PublicKey};

use super::pairing::{Qr, Scanned, pair};
use super::session::{Role, Session};
use crate::NetworkError;
use crate::state::{Account, Offer, World, lock};
use crate::wire::notification;
use crate::wire::stanza::{attr, bytes_node, child_array, child_bytes, iq_error, iq_result};

/// How long a code is good, as the client counts it.
const VALID_FOR: Duration = Duration::from_secs(180);
/// A client answers the phone within a second; this is for a slow machine, or for one that has hung up.
const FINISH_LIMIT: Duration = Duration::from_secs(30);

const REGISTRATION: &str = "link_code_companion_reg";
const REFERENCE: &str = "link_code_pairing_ref";

/// What a device sent when it had made a code.
struct Hello {
    offer: Arc<Offer>,
    reference: Vec<u8>,
    /// The device's ephemeral key, wrapped with the code.
    wrapped: Vec<u8>,
    until: Instant,
    finish: Option<oneshot::Sender<Finish>>,
}

/// What a device answers to the phone.
struct Finish {
    bundle: Vec<u8>,
    identity: [u8; 32],
}

/// The devices that wait for a code to be typed, by number.
#[derive(Default)]
pub(crate) struct Codes {
    waiting: Mutex<HashMap<String, Hello>>,
}

impl Codes {
    /// Forgets what a connection that ended was waiting for.
    pub(crate) fn withdraw(&self, link: u64) {
        lock(&self.waiting).retain(|_, hello| hello.offer.link.id != link);
    }
}

/// Takes a stage from a device that wants to be linked, and answers it.
pub(super) fn handle(session: &Session, iq: &Node, registration: &Node) -> Node {
    let Role::Newcomer(offer) = &session.role else {
        return iq_error(iq, 403, "forbidden");
    };
    let codes = &session.world.codes;
    let done = match attr(registration, "stage").as_deref() {
        Some("companion_hello") => hello(codes, offer, registration).map(|answer| vec![answer]),
        Some("companion_finish") => finish(codes, offer, registration).map(|()| Vec::new()),
        _ => None,
    };
    match done {
        Some(children) => iq_result(iq, children),
        None => iq_error(iq, 400, "bad-request"),
    }
}

fn hello(codes: &Codes, offer: &Arc<Offer>, registration: &Node) -> Option<Node> {
    let jid = attr(registration, "jid")?;
    let phone = jid.split('@').next()?.to_owned();
    let wrapped = child_bytes(registration, "link_code_pairing_wrapped_companion_ephemeral_pub")?;
    let mut reference = vec![0; 16];
    rand::rng().fill_bytes(&mut reference);
    let hello = Hello {
        offer: Arc::clone(offer),
        reference: reference.clone(),
        wrapped: wrapped.to_vec(),
        until: Instant::now() + VALID_FOR,
        finish: None,
    };
    lock(&codes.waiting).insert(phone, hello);
    let answer = NodeBuilder::new(REGISTRATION)
        .attr("stage", "companion_hello")
        .children([bytes_node(REFERENCE, reference)]);
    Some(answer.build())
}

fn finish(codes: &Codes, offer: &Offer, registration: &Node) -> Option<()> {
    let finish = Finish {
        bundle: child_bytes(registration, "link_code_pairing_wrapped_key_bundle")?.to_vec(),
        identity: child_array(registration, "companion_identity_public")?,
    };
    let reference = child_bytes(registration, REFERENCE)?;
    let mut waiting = lock(&codes.waiting);
    let hello = waiting
        .values_mut()
        .find(|hello| hello.offer.link.id == offer.link.id && hello.reference == reference)?;
    hello.finish.take()?.send(finish).ok()
}

/// A person types a code into the account's phone; returns the address of the device that it links.
///
/// # Errors
/// [`NetworkError::Conflict`] if no device waits for a code of this number, if it is another code, or as for a QR.
pub(crate) async fn enter(world: &Arc<World>, account: Arc<Account>, code: &str) -> Result<String, NetworkError> {
    let conflict = |why: &str| NetworkError::Conflict(why.to_owned());
    let (offer, reference, wrapped) = {
        let waiting = lock(&world.codes.waiting);
        let hello = waiting.get(&account.phone).filter(|hello| hello.until > Instant::now());
        let hello = hello.ok_or_else(|| conflict("no device waits for a code of this number"))?;
        (Arc::clone(&hello.offer), hello.reference.clone(), hello.wrapped.clone())
    };
    let ephemeral = KeyPair::generate(&mut rand::rng());
    let (theirs, ours) = wrap(code, wrapped, &ephemeral).await?;
    let (answer, answered) = oneshot::channel();
    if let Some(hello) = lock(&world.codes.waiting).get_mut(&account.phone) {
        hello.finish = Some(answer);
    }
    offer.link.send(notification::primary_hello(
        ours,
        account.keys.identity.public_key.public_key_bytes(),
        reference,
    ));
    let finish = tokio::time::timeout(FINISH_LIMIT, answered)
        .await
        .map_err(|_| conflict("the device did not answer in time"))?
        .map_err(|_| conflict("the device that showed this code hung up"))?;
    let adv_secret = open(&account, &ephemeral, &theirs, &finish)
        .filter(|_| finish.identity == offer.registration.identity)
        .ok_or_else(|| conflict("this is not the code that the device shows"))?;
    lock(&world.codes.waiting).remove(&account.phone);
    let qr = Qr::of_code(&offer.registration, adv_secret.to_vec());
    pair(world, account, Scanned::by_code(qr, offer)).await
}

/// The device's ephemeral key, unwrapped, and the phone's, wrapped. A wrong code unwraps something else, unnoticed yet.
async fn wrap(code: &str, wrapped: Vec<u8>, ephemeral: &KeyPair) -> Result<([u8; 32], [u8; 80]), NetworkError> {
    let internal = |error: String| NetworkError::Internal(error);
    let ours: [u8; 32] = ephemeral
        .public_key
        .public_key_bytes()
        .try_into()
        .map_err(|_| internal("a key of another length".to_owned()))?;
    let code = code.trim().replace('-', "").to_uppercase();
    // The derivation of the key is slow on purpose.
    let work = move || {
        let theirs = PairCodeUtils::decrypt_primary_ephemeral_pub(&wrapped, &code);
        theirs.map(|theirs| (theirs, PairCodeUtils::encrypt_ephemeral_pub(&ours, &code)))
    };
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| internal(error.to_string()))?
        .map_err(|error| NetworkError::Conflict(error.to_string()))
}

/// The secret that both sides derive, if the bundle opens: only a device that shows this code could seal it.
fn open(account: &Account, ephemeral: &KeyPair, theirs: &[u8; 32], finish: &Finish) -> Option<[u8; 32]> {
    let (salt, rest) = finish.bundle.split_at_checked(32)?;
    let (nonce, sealed) = rest.split_at_checked(12)?;
    let agree = |own: &KeyPair, other: &[u8; 32]| {
        let other = PublicKey::from_djb_public_key_bytes(other).ok()?;
        own.private_key.calculate_agreement(&other).ok()
    };
    let shared = agree(ephemeral, theirs)?;
    let mut key = [0; 32];
    let purpose = b"link_code_pairing_key_bundle_encryption_key";
    hkdf_sha256_into(&shared, Some(salt), purpose, &mut key).ok()?;
    let mut bundle = Vec::new();
    aes_256_gcm_decrypt(&key, nonce.try_into().ok()?, b"", sealed, &mut bundle).ok()?;
    let (identities, random) = bundle.split_at_checked(64)?;
    let own_identity = account.keys.identity.public_key.public_key_bytes();
    if identities != [&finish.identity, own_identity].concat() {
        return None;
    }
    let shared_identity = agree(&account.keys.identity, &finish.identity)?;
    let mut secret = [0; 32];
    hkdf_sha256_into(
        &[&shared, &shared_identity, random].concat(),
        None,
        b"adv_secret",
        &mut secret,
    )
    .ok()?;
    Some(secret)
}
