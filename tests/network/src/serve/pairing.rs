//! Pairing by QR: the refs that a newcomer shows, the scan by a phone, the newcomer's answer.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use rand::Rng as _;
use tokio::sync::oneshot;
use wacore_binary::Node;
use wacore_binary::builder::NodeBuilder;
use waproto::buffa::Message as _;
use waproto::whatsapp::ClientPairingProps;

use crate::phone::{Enrolment, sign_device, verify_device_signature};
use crate::state::{Account, Command, Device, Offer, Registration, World};
use crate::wire::notification;
use crate::wire::stanza::{attr, bytes_node, child_bytes, content, server, stream_error};
use crate::{FaultKind, NetworkError, clock};

/// As many as WhatsApp hands out at once.
const REFS: usize = 6;
/// A client signs within milliseconds; this is for one that has hung up.
const ANSWER_LIMIT: Duration = Duration::from_secs(20);
/// Some clients put this in front, so that a phone's camera opens WhatsApp.
const CAMERA_LINK: &str = "https://wa.me/settings/linked_devices#";

/// What a QR says.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Qr {
    name: String,
    noise: [u8; 32],
    identity: [u8; 32],
    adv_secret: Vec<u8>,
}

impl Qr {
    /// What a QR of this device would say, as both sides know it after a pair code.
    pub(super) fn of_code(registration: &Registration, adv_secret: Vec<u8>) -> Self {
        Self {
            name: String::new(),
            noise: registration.noise,
            identity: registration.identity,
            adv_secret,
        }
    }

    /// Reads `ref,noise key,identity key,adv secret` and ignores what newer clients append.
    fn parse(text: &str) -> Result<Self, NetworkError> {
        let text = text.trim();
        let fields: Vec<&str> = text.strip_prefix(CAMERA_LINK).unwrap_or(text).split(',').collect();
        let [name, noise, identity, adv_secret, ..] = fields[..] else {
            return Err(invalid("it has fewer than four fields"));
        };
        if name.is_empty() {
            return Err(invalid("its ref is empty"));
        }
        Ok(Self {
            name: name.to_owned(),
            noise: key(noise, "noise key")?,
            identity: key(identity, "identity key")?,
            adv_secret: base64(adv_secret, "secret")?,
        })
    }
}

fn invalid(why: &str) -> NetworkError {
    NetworkError::Invalid(format!("this is no QR of a device that wants to be linked: {why}"))
}

fn base64(text: &str, name: &str) -> Result<Vec<u8>, NetworkError> {
    BASE64_STANDARD
        .decode(text)
        .map_err(|_| invalid(&format!("its {name} is not base64")))
}

fn key(text: &str, name: &str) -> Result<[u8; 32], NetworkError> {
    base64(text, name)?
        .try_into()
        .map_err(|_| invalid(&format!("its {name} is not 32 bytes long")))
}

/// Sends a newcomer its refs.
pub(super) fn offer(world: &World, offer: &Arc<Offer>) {
    let refs: Vec<String> = (0..REFS).map(|_| reference()).collect();
    world.offers.add(offer, &refs);
    let nodes = refs.into_iter().map(|name| bytes_node("ref", name.into_bytes()));
    hand_out(offer, nodes.collect());
}

fn hand_out(offer: &Offer, refs: Vec<Node>) {
    offer.link.send(set("pair-device", refs, &super::message_id()));
}

/// Has the refs that newcomers show expire: none take their place.
pub(crate) fn expire_qrs(world: &World) {
    for offer in world.offers.expire() {
        hand_out(&offer, Vec::new());
    }
}

fn reference() -> String {
    let mut random = [0_u8; 32];
    rand::rng().fill_bytes(&mut random);
    format!("2@{}", BASE64_STANDARD.encode(random))
}

fn set(tag: &'static str, children: Vec<Node>, id: &str) -> Node {
    NodeBuilder::new("iq")
        .attr("from", server())
        .attr("type", "set")
        .attr("id", id)
        .attr("xmlns", "md")
        .attr("t", clock::now_s())
        .children([NodeBuilder::new(tag).children(children).build()])
        .build()
}

/// A QR that was read, and the device that shows it.
pub(crate) struct Scanned {
    qr: Qr,
    offer: Arc<Offer>,
}

impl Scanned {
    /// The device whose code was typed in.
    pub(super) fn by_code(qr: Qr, offer: Arc<Offer>) -> Self {
        Self { qr, offer }
    }

    /// The name that the device gave itself.
    pub(crate) fn name(&self) -> Option<&str> {
        self.offer.name.as_deref()
    }
}

/// Reads a QR and finds the device that shows it.
///
/// # Errors
/// [`NetworkError::Invalid`] for text that is no QR, [`NetworkError::Conflict`] for a QR that nobody shows any more.
pub(crate) fn read_qr(world: &World, text: &str) -> Result<Scanned, NetworkError> {
    let qr = Qr::parse(text)?;
    let offer = world.offers.find(&qr.name).ok_or_else(|| {
        NetworkError::Conflict("no device shows this QR now: its ref is unknown or has expired".to_owned())
    })?;
    if offer.registration.noise != qr.noise || offer.registration.identity != qr.identity {
        let detail = "the keys in this QR are not those of the device that shows its ref";
        return Err(NetworkError::Conflict(detail.to_owned()));
    }
    Ok(Scanned { qr, offer })
}

/// The account's phone links the device of a QR; returns the device's address.
///
/// # Errors
/// [`NetworkError::Conflict`] if the device hangs up, does not confirm in time, or refuses the phone's signature.
pub(crate) async fn pair(world: &Arc<World>, account: Arc<Account>, scanned: Scanned) -> Result<String, NetworkError> {
    let Scanned { qr, offer } = scanned;
    if world.faults.wants_passkey(&account.phone) {
        offer.link.send(notification::passkey_request());
        let detail = "the account has a passkey, which the device was asked for";
        return Err(NetworkError::Conflict(detail.to_owned()));
    }
    if !offer.claim() {
        return Err(NetworkError::Conflict("another phone is scanning this QR".to_owned()));
    }
    let world = Arc::clone(world);
    // On a task of its own: a caller that gives up half-way must not leave a device that believes to be linked.
    let task = tokio::spawn(async move {
        let result = link(&world, &account, &offer, &qr).await;
        if result.is_err() {
            offer.release();
        }
        result
    });
    task.await.map_err(|error| NetworkError::Internal(error.to_string()))?
}

async fn link(world: &World, account: &Arc<Account>, offer: &Offer, qr: &Qr) -> Result<String, NetworkError> {
    let (number, key_index) = account.reserve();
    let mut adv_secret = qr.adv_secret.clone();
    if world
        .faults
        .strikes(FaultKind::PairCorrupt, Some(&account.phone))
        .is_some()
    {
        // What a phone signs that has read another QR.
        adv_secret.reverse();
    }
    let enrolment = Enrolment {
        raw_id: account.raw_id,
        key_index,
        timestamp: clock::now_s(),
        identity: &qr.identity,
        adv_secret: &adv_secret,
    };
    let identity = sign_device(&account.keys, &enrolment, &mut rand::make_rng::<rand::rngs::StdRng>())?;
    let own = account.name();
    let name = offer.name.as_deref().unwrap_or(&own);
    let id = super::message_id();
    let stanza = pair_success(account, number, name, identity, &id);
    let (answer, answered) = oneshot::channel();
    let gone = || NetworkError::Conflict("the device that showed this QR hung up".to_owned());
    if !offer.link.tell(Command::Pair { id, stanza, answer }) {
        return Err(gone());
    }
    let signed = tokio::time::timeout(ANSWER_LIMIT, answered)
        .await
        .map_err(|_| NetworkError::Conflict("the device did not confirm the pairing in time".to_owned()))?
        .map_err(|_| gone())?
        .map_err(|error| NetworkError::Conflict(format!("the device refused the pairing: {error}")))?;
    if !verify_device_signature(&account.keys, &qr.identity, &signed) {
        return Err(NetworkError::Conflict(
            "the device's signature does not verify".to_owned(),
        ));
    }
    let device = Device::new(
        (&account.phone, &account.lid),
        number,
        key_index,
        offer.registration.clone(),
        signed,
    );
    let device = Arc::new(device);
    let jid = device.pn.to_string();
    account.link(Arc::clone(&device));
    let indexes = account.key_indexes()?;
    account.tell_watchers(&device, || {
        notification::device_added(&device.lid, key_index, indexes.clone())
    });
    world.offers.withdraw(offer.link.id);
    offer.link.tell(Command::Close(Some(stream_error("515"))));
    Ok(jid)
}

fn pair_success(account: &Account, number: u16, name: &str, identity: Vec<u8>, id: &str) -> Node {
    let props = ClientPairingProps {
        is_chat_db_lid_migrated: Some(account.is_lid_migrated()),
        ..Default::default()
    };
    let device = NodeBuilder::new("device")
        .attr("jid", account.pn_jid().with_device(number))
        .attr("lid", account.lid_jid().with_device(number))
        .build();
    let children = vec![
        bytes_node("device-identity", identity),
        NodeBuilder::new("biz").attr("name", name).build(),
        NodeBuilder::new("platform").attr("name", "android").build(),
        device,
        bytes_node("client-props", props.encode_to_vec()),
    ];
    set("pair-success", children, id)
}

/// What the client answered to a pair-success: its signed identity, or why not.
pub(super) fn read_answer(answer: &Node) -> Result<Vec<u8>, String> {
    if let Some(error) = answer.get_optional_child("error") {
        let text = attr(error, "text").unwrap_or_default();
        return Err(format!("{} {text}", attr(error, "code").unwrap_or_default()));
    }
    answer
        .get_optional_child("pair-device-sign")
        .and_then(|sign| child_bytes(sign, "device-identity").or_else(|| content(sign)))
        .map(<[u8]>::to_vec)
        .ok_or_else(|| "it answered without a signed identity".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use wacore::companion_reg::CompanionWebClientType;
    use wacore::pair::{DeviceState, PairUtils};
    use wacore_libsignal::protocol::KeyPair;

    #[test]
    fn the_clients_own_qr_is_read() {
        let rng = &mut rand::rng();
        let state = DeviceState {
            identity_key: KeyPair::generate(rng),
            noise_key: KeyPair::generate(rng),
            adv_secret_key: [5; 32],
        };
        let text = PairUtils::make_qr_data(&state, "2@abc", CompanionWebClientType::Chrome);
        let qr = Qr::parse(&text).unwrap();
        assert_eq!(qr.name, "2@abc");
        assert_eq!(qr.noise, state.noise_key.public_key.public_key_bytes());
        assert_eq!(qr.identity, state.identity_key.public_key.public_key_bytes());
        assert_eq!(qr.adv_secret, [5; 32]);
        assert_eq!(Qr::parse(&format!("{CAMERA_LINK}{text}")).unwrap(), qr);
    }

    proptest! {
        #[test]
        fn other_text_is_refused_and_never_panics(text in ".{0,200}") {
            prop_assert!(Qr::parse(&text).is_err());
        }
    }
}
