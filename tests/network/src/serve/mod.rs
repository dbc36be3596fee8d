//! Serving clients: one task per socket, one module per kind of stanza.

mod connection;
mod iq;
mod keys;
mod login;
mod message;
mod pair_code;
mod pairing;
mod receipt;
mod refusal;
mod session;
mod socket;
mod texting;
mod usync;

pub(crate) use connection::run;
pub(crate) use pair_code::{Codes, enter as enter_pair_code};
pub(crate) use pairing::{pair, read_qr};
pub(crate) use texting::{send_text, unlink};

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
