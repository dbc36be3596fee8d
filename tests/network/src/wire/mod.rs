//! The layers below a stanza: frames, certificates, the Noise responder, node helpers. No sockets, no state.

pub(crate) mod cert;
pub(crate) mod frames;
pub(crate) mod literal;
pub(crate) mod noise;
pub(crate) mod notification;
pub(crate) mod stanza;
