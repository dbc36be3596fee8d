//! The primary phone of an account, played by the network: its Signal side, its signatures, its messages.

mod adv;
mod content;
mod group;
mod signal;
mod store;

pub(crate) use adv::{Enrolment, key_index_list, sign_device, verify_device_signature};
pub(crate) use content::{app_state_key_share, pad, sender_key_share};
pub(crate) use signal::{Bundle, OneTimeKey, Phone, PhoneKeys, Sealed, SignedKey};
