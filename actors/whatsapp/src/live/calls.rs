//! Calls that ring, for a while: who calls, as WhatsApp wants to hear it when a call is turned down, and whether it was.

use std::collections::VecDeque;

use parking_lot::Mutex;
use tokio::sync::oneshot;
use whatsapp_rust::wacore_binary::Jid;

/// Calls remembered. A phone rings for a minute, and strangers decide how often.
const MOST: usize = 64;

/// See the module.
#[derive(Default)]
pub(crate) struct Calls(Mutex<VecDeque<Ringing>>);

struct Ringing {
    id: String,
    /// Where its stanza came from.
    caller: Jid,
    /// Who made the call.
    creator: Jid,
    /// Says whether it was turned down, if it is to be.
    rejected: Option<oneshot::Receiver<bool>>,
}

impl Calls {
    /// A call rings; the same once more only if it is one.
    pub(crate) fn rings(&self, id: &str, (caller, creator): (&Jid, &Jid), rejected: Option<oneshot::Receiver<bool>>) {
        let mut calls = self.0.lock();
        calls.retain(|call| call.id != id);
        if calls.len() >= MOST {
            calls.pop_front();
        }
        calls.push_back(Ringing {
            id: id.to_owned(),
            caller: caller.clone(),
            creator: creator.clone(),
            rejected,
        });
    }

    /// Whom to tell that a call is turned down: where it came from, and who made it.
    pub(crate) fn parties(&self, id: &str) -> Option<(Jid, Jid)> {
        let calls = self.0.lock();
        let call = calls.iter().find(|call| call.id == id)?;
        Some((call.caller.clone(), call.creator.clone()))
    }

    /// What says whether a call was turned down; once. `None` when it was not to be.
    pub(crate) fn take_rejected(&self, id: &str) -> Option<oneshot::Receiver<bool>> {
        self.0.lock().iter_mut().find(|call| call.id == id)?.rejected.take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_calls_are_known_by_their_ids() {
        let calls = Calls::default();
        let (caller, creator) = (Jid::lid("100000000000007"), Jid::lid("100000000000008"));
        let (told, rejected) = oneshot::channel();
        calls.rings("A", (&caller, &creator), Some(rejected));
        assert_eq!(calls.parties("A"), Some((caller.clone(), creator.clone())));
        assert_eq!(calls.parties("B"), None);
        told.send(true).unwrap();
        assert_eq!(calls.take_rejected("A").unwrap().try_recv(), Ok(true));
        assert!(calls.take_rejected("A").is_none(), "once");
        for n in 0..MOST {
            calls.rings(&n.to_string(), (&caller, &creator), None);
            calls.rings(&n.to_string(), (&caller, &creator), None);
        }
        assert_eq!(calls.parties("A"), None, "the oldest is forgotten");
        assert!(calls.parties("0").is_some() && calls.0.lock().len() == MOST);
    }
}
