//! A linked device: its keys, its queue, its open link.

use std::collections::{HashSet, VecDeque};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use wacore_binary::{Jid, Node};

use super::{Batch, Link, Mailbox, lock};
use crate::DeviceView;
use crate::phone::{Bundle, OneTimeKey, SignedKey};
use crate::wire::notification;
use crate::wire::stanza::{attr, stream_error};

/// Below that many one-time prekeys a device is asked for more.
const LOW: usize = 10;

/// The keys that a device brings when it registers.
#[derive(Clone, Debug)]
pub(crate) struct Registration {
    pub(crate) noise: [u8; 32],
    pub(crate) identity: [u8; 32],
    pub(crate) registration_id: u32,
    pub(crate) signed: SignedKey,
}

/// A linked device.
pub(crate) struct Device {
    /// The phone's number and hidden number with the device's.
    pub(crate) pn: Jid,
    pub(crate) lid: Jid,
    pub(crate) noise: [u8; 32],
    pub(crate) identity: [u8; 32],
    pub(crate) registration_id: u32,
    pub(crate) key_index: u32,
    /// The signed identity with both signatures, as others verify it.
    pub(crate) signed_identity: Vec<u8>,
    state: Mutex<State>,
    sent: AtomicU64,
    /// Whether it said that somebody is there.
    available: AtomicBool,
}

struct State {
    link: Option<Link>,
    mailbox: Mailbox,
    signed: SignedKey,
    prekeys: VecDeque<OneTimeKey>,
    /// Whether the phone shared its keys.
    greeted: bool,
    /// Whether the device was told that its prekeys run out.
    low: bool,
}

impl Device {
    /// A device that the phone just linked.
    pub(crate) fn new(
        account: (&str, &str),
        number: u16,
        key_index: u32,
        registration: Registration,
        signed_identity: Vec<u8>,
    ) -> Self {
        let (phone, lid) = account;
        Self {
            pn: Jid::pn_device(phone, number),
            lid: Jid::lid_device(lid, number),
            noise: registration.noise,
            identity: registration.identity,
            registration_id: registration.registration_id,
            key_index,
            signed_identity,
            state: Mutex::new(State {
                link: None,
                mailbox: Mailbox::default(),
                signed: registration.signed,
                prekeys: VecDeque::new(),
                greeted: false,
                low: false,
            }),
            sent: AtomicU64::new(0),
            available: AtomicBool::new(false),
        }
    }

    /// Whether it said that somebody is there, and its link is open.
    pub(crate) fn is_available(&self) -> bool {
        self.available.load(Ordering::Relaxed) && lock(&self.state).link.is_some()
    }

    /// It says whether somebody is there.
    pub(crate) fn set_available(&self, available: bool) {
        self.available.store(available, Ordering::Relaxed);
    }

    /// What the admin routes show.
    pub(crate) fn view(&self) -> DeviceView {
        let state = lock(&self.state);
        DeviceView {
            jid: self.pn.to_string(),
            connected: state.link.is_some(),
            available: self.available.load(Ordering::Relaxed) && state.link.is_some(),
            prekeys: state.prekeys.len(),
            unacked: state.mailbox.unacked(),
        }
    }

    /// Message stanzas sent to it, and messages it has not acknowledged.
    pub(crate) fn counts(&self) -> (u64, usize) {
        (self.sent.load(Ordering::Relaxed), lock(&self.state).mailbox.unacked())
    }

    /// A new login; an older one is told that it was replaced.
    pub(crate) fn login(&self, link: Link) {
        let mut state = lock(&self.state);
        self.set_available(false);
        state.mailbox.leave();
        if let Some(old) = state.link.replace(link) {
            old.tell(super::Command::Close(Some(stream_error("replaced"))));
        }
    }

    /// The link ended; a newer one stays.
    pub(crate) fn logout(&self, link: u64) {
        let mut state = lock(&self.state);
        if state.link.as_ref().is_some_and(|open| open.id == link) {
            state.link = None;
            state.mailbox.leave();
        }
    }

    /// Ends the open link, if any, with a last stanza.
    pub(crate) fn close(&self, last: Node) {
        if let Some(link) = lock(&self.state).link.take() {
            link.tell(super::Command::Close(Some(last)));
        }
    }

    /// Queues a stanza and sends it if the device is live; `times` is 2 under the duplicate fault.
    pub(crate) fn deliver(&self, stanza: Node, times: usize) {
        self.enqueue(&mut lock(&self.state), stanza, times);
    }

    fn enqueue(&self, state: &mut State, stanza: Node, times: usize) {
        let id = attr(&stanza, "id").unwrap_or_default().into_owned();
        if let Some(stanza) = state.mailbox.push(&id, stanza) {
            for _ in 1..times {
                self.transmit(state, stanza.clone());
            }
            self.transmit(state, stanza);
        }
    }

    /// Sends the last acknowledged messages once more.
    pub(crate) fn repeat(&self) {
        let state = lock(&self.state);
        for stanza in state.mailbox.repeat() {
            self.transmit(&state, stanza);
        }
    }

    /// Sends something that is not queued, such as a receipt; it is lost if the device is not connected.
    pub(crate) fn notify(&self, stanza: Node) {
        if let Some(link) = &lock(&self.state).link {
            link.send(stanza);
        }
    }

    /// The device acknowledged a message; `false` if it was not queued.
    pub(crate) fn acknowledge(&self, id: &str) -> bool {
        lock(&self.state).mailbox.acknowledge(id)
    }

    /// Whether a message waits of which the device got no content.
    pub(crate) fn has_gap(&self, id: &str) -> bool {
        lock(&self.state).mailbox.has_gap(id)
    }

    /// The device wants its backlog: how many stanzas wait, and how many of them are messages.
    pub(crate) fn announce(&self) -> (usize, usize) {
        let mut state = lock(&self.state);
        (state.mailbox.announce(), state.mailbox.unacked())
    }

    /// Sends the next part of the backlog; `end` builds the stanza that closes it.
    pub(crate) fn send_batch(&self, count: usize, end: impl FnOnce(u32) -> Node) {
        let mut state = lock(&self.state);
        let Batch { offline, end: ended } = state.mailbox.batch(count);
        for stanza in offline {
            self.transmit(&state, stanza);
        }
        let (Some((told, since)), Some(link)) = (ended, &state.link) else {
            return;
        };
        link.send(end(told));
        for stanza in since {
            self.transmit(&state, stanza);
        }
    }

    fn transmit(&self, state: &State, stanza: Node) {
        let message = u64::from(stanza.tag == "message");
        if let Some(link) = &state.link
            && link.send(stanza)
        {
            self.sent.fetch_add(message, Ordering::Relaxed);
        }
    }

    /// Takes uploaded prekeys and the signed one. `true` the first time: the phone then shares its keys.
    pub(crate) fn upload(&self, signed: SignedKey, prekeys: Vec<OneTimeKey>) -> bool {
        let mut state = lock(&self.state);
        state.signed = signed;
        state.low = false;
        let known: HashSet<u32> = state.prekeys.iter().map(|(id, _)| *id).collect();
        state
            .prekeys
            .extend(prekeys.into_iter().filter(|(id, _)| !known.contains(id)));
        !std::mem::replace(&mut state.greeted, true)
    }

    /// Replaces the signed prekey.
    pub(crate) fn rotate(&self, signed: SignedKey) {
        lock(&self.state).signed = signed;
    }

    /// How many one-time prekeys are left.
    pub(crate) fn prekey_count(&self) -> usize {
        lock(&self.state).prekeys.len()
    }

    /// Everything the server holds, for the digest: signed prekey and one-time prekeys.
    pub(crate) fn held_keys(&self) -> (SignedKey, Vec<OneTimeKey>) {
        let state = lock(&self.state);
        (state.signed.clone(), state.prekeys.iter().copied().collect())
    }

    /// A bundle for someone who wants to write to the device; takes one one-time prekey if any is left.
    pub(crate) fn bundle(&self) -> Bundle {
        let mut state = lock(&self.state);
        let one_time = state.prekeys.pop_front();
        let left = state.prekeys.len();
        if one_time.is_some() && left < LOW && !std::mem::replace(&mut state.low, true) {
            self.enqueue(&mut state, notification::prekeys_low(left), 1);
        }
        Bundle {
            registration_id: self.registration_id,
            identity: self.identity,
            signed: state.signed.clone(),
            one_time,
        }
    }
}
