//! Who a client is, and whether it may come in.

use std::sync::Arc;
use std::time::Instant;

use wacore_binary::Node;
use waproto::whatsapp::ClientPayload;
use waproto::whatsapp::client_payload::DevicePairingRegistrationData;

use super::refusal::refusal;
use super::session::{Role, Session};
use crate::state::{Link, Offer, Registration, World};
use crate::wire::stanza::big_endian;

/// WhatsApp's reasons in `<failure>`.
const LOGGED_OUT: u32 = 401;
const BAD_REQUEST: u32 = 400;

/// What happens to a client after the handshake.
pub(super) enum Admission {
    /// It is served.
    Welcome(Box<Session>),
    /// It is told why not.
    Refused(u32),
    /// It is told more about why not.
    Failed(Box<Node>),
    /// It is closed without a word.
    Silent,
    /// It hears nothing until then.
    Stalled(Instant),
}

/// Decides by the faults in force, the client's payload and its static key.
pub(super) fn admit(world: &Arc<World>, link: &Link, client_key: &[u8; 32], payload: ClientPayload) -> Admission {
    let phone = payload.username.map(|number| number.to_string());
    if let Some(phone) = &phone {
        world.links.belongs(link.id, phone);
    }
    if let Some(code) = world.faults.refused(phone.as_deref()) {
        return code.map_or(Admission::Silent, Admission::Refused);
    }
    if let Some(failure) = refusal(world, phone.as_deref(), &payload) {
        return Admission::Failed(Box::new(failure));
    }
    if let Some(until) = world.faults.stalled(phone.as_deref()) {
        return Admission::Stalled(until);
    }
    let role = match phone {
        Some(phone) => device(world, &phone, payload.device, client_key),
        None => newcomer(link, client_key, payload),
    };
    match role {
        Ok(role) => Admission::Welcome(Box::new(Session::new(Arc::clone(world), link.clone(), role))),
        Err(reason) => Admission::Refused(reason),
    }
}

fn device(world: &World, phone: &str, number: Option<u32>, client_key: &[u8; 32]) -> Result<Role, u32> {
    let account = world.account(phone).map_err(|_| LOGGED_OUT)?;
    let number = u16::try_from(number.unwrap_or_default()).map_err(|_| BAD_REQUEST)?;
    let device = account
        .device(number)
        .filter(|device| device.noise == *client_key)
        .ok_or(LOGGED_OUT)?;
    Ok(Role::Device { account, device })
}

fn newcomer(link: &Link, client_key: &[u8; 32], payload: ClientPayload) -> Result<Role, u32> {
    let data = payload.device_pairing_data.into_option().ok_or(BAD_REQUEST)?;
    let registration = registration(client_key, data).ok_or(BAD_REQUEST)?;
    let name = payload.push_name.filter(|name| !name.is_empty());
    Ok(Role::Newcomer(Arc::new(Offer::new(link.clone(), registration, name))))
}

fn registration(client_key: &[u8; 32], data: DevicePairingRegistrationData) -> Option<Registration> {
    Some(Registration {
        noise: *client_key,
        identity: data.e_ident?.try_into().ok()?,
        registration_id: big_endian(&data.e_regid?)?,
        signed: (
            big_endian(&data.e_skey_id?)?,
            data.e_skey_val?.try_into().ok()?,
            data.e_skey_sig?,
        ),
    })
}
