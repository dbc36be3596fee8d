//! Whether a message would be taken, as far as that can be said before it is here.

use wharf_whatsapp::SendError;

use super::{Undone, open_link};
use crate::session::State;

/// Whether a message would be taken now that may wait for its connection, or may not.
pub(in crate::session) fn check(state: &State, queue: bool) -> Result<(), Undone> {
    if !queue && open_link(state).is_none() {
        return Err(Undone::Link(SendError::NotConnected));
    }
    match state.sends.outbox.is_full() {
        true => Err(Undone::Full(state.args.shared.settings.sending.queue_max)),
        false => Ok(()),
    }
}
