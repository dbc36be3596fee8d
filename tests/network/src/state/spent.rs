//! Which message keys devices have used on the wire: a key that encrypts twice gives both texts away.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Mutex;

use wacore_binary::Jid;
use wacore_libsignal::protocol::{PreKeySignalMessage, SignalMessage};

use super::lock;

/// See the module.
#[derive(Default)]
pub(crate) struct Spent(Mutex<State>);

#[derive(Default)]
struct State {
    /// By sender, recipient, ratchet key and counter: what was encrypted with it. Hashes of both.
    seen: HashMap<u64, u64>,
    reused: u64,
}

impl Spent {
    /// Takes note of a message from one device to another. One that is sent again as it was uses no key anew.
    pub(crate) fn note(&self, from: &Jid, to: &Jid, kind: &str, ciphertext: &[u8]) {
        let key = match kind {
            "pkmsg" => PreKeySignalMessage::try_from(ciphertext).map(|message| place(from, to, message.message())),
            "msg" => SignalMessage::try_from(ciphertext).map(|message| place(from, to, &message)),
            _ => return,
        };
        let Ok(key) = key else { return };
        let text = hash(&ciphertext);
        let mut state = lock(&self.0);
        match state.seen.entry(key) {
            Entry::Vacant(unused) => {
                unused.insert(text);
            }
            Entry::Occupied(used) if *used.get() == text => {}
            Entry::Occupied(_) => {
                state.reused += 1;
                tracing::error!(%from, %to, "a message key was used twice");
            }
        }
    }

    /// How often a key was used for another message than before.
    pub(crate) fn reused(&self) -> u64 {
        lock(&self.0).reused
    }
}

/// What makes a message's key one of a kind. A `pkmsg` is looked at without its wrapping: its key is that of the message
/// inside.
fn place(from: &Jid, to: &Jid, message: &SignalMessage) -> u64 {
    let ratchet = message.sender_ratchet_key().serialize();
    hash(&(from.to_string(), to.to_string(), ratchet.as_slice(), message.counter()))
}

fn hash(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}
