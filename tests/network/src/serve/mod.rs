//! Serving clients: one task per socket, one module per kind of stanza.

mod call;
mod community;
mod connection;
mod group_change;
mod group_message;
mod group_picture;
mod groups;
mod history;
mod iq;
mod keys;
mod login;
mod media_retry;
mod membership;
mod message;
mod mex;
mod pair_code;
mod pairing;
mod peer;
mod phone;
mod presence;
mod profile;
mod reading_receipts;
mod receipt;
mod refusal;
mod sending;
mod session;
mod settings;
mod socket;
mod usync;

pub(crate) use call::{hang_up, ring};
pub(crate) use community::{dissolve, found_community, found_inside, link, unlink as unlink_groups};
pub(crate) use connection::run;
pub(crate) use group_change::{Change, change, found};
pub(crate) use group_picture::set_picture;
pub(crate) use history::share_history;
pub(crate) use membership::{ask, decide};
pub(crate) use pair_code::{Codes, enter as enter_pair_code};
pub(crate) use pairing::{expire_qrs, pair, read_qr};
pub(crate) use phone::unlink;
pub(crate) use presence::show_presence;
pub(crate) use reading_receipts::send_receipts;
pub(crate) use sending::send;
pub(crate) use settings::tell as tell_settings;

use rand::Rng as _;

/// A message id as WhatsApp's clients make them: `3EB0` and 18 hex digits.
pub(crate) fn message_id() -> String {
    let mut random = [0_u8; 9];
    rand::rng().fill_bytes(&mut random);
    random.iter().fold(String::from("3EB0"), |mut id, byte| {
        id.push_str(&format!("{byte:02X}"));
        id
    })
}
