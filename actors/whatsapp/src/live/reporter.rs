//! Turns the client's events into the link's, in their order, and makes sure that exactly one `Closed` ends them.
//!
//! The client calls its event handlers synchronously where the event happens, so pushing into an unbounded channel
//! right there keeps the order and drops nothing; its own ordered delivery drops events when it is full.

use std::{
    sync::{
        Arc, OnceLock, Weak,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;
use wharf_domain::{ConnectionKey, Timestamp};
use whatsapp_rust::Client;
use whatsapp_rust::wacore::types::events::{Event, EventHandler};

use super::{
    acks::Acks,
    meaning::{self, Meaning},
    silence::{Look, Silence},
};
use crate::{CloseReason, LinkEvent, LinkEvents};

/// How far a link has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// On its way to a QR code or to being logged in.
    Opening,
    /// Shows QR codes.
    AwaitingScan,
    /// Registered, on its way to being logged in for the first time.
    Paired,
    /// Logged in.
    Connected,
}

/// Wall clock, as the domain writes it.
pub(crate) fn now() -> Timestamp {
    Timestamp(whatsapp_rust::wacore::time::now_millis())
}

/// Where the events of one link go, and what is known of its end.
pub(crate) struct Reporter {
    key: ConnectionKey,
    state: Mutex<State>,
    client: OnceLock<Weak<Client>>,
    silence: Mutex<Silence>,
    over: CancellationToken,
    leaving: AtomicBool,
    pub(crate) acks: Acks,
}

struct State {
    /// `None` once `Closed` was sent.
    events: Option<LinkEvents>,
    stage: Stage,
    since: Instant,
    reason: Option<CloseReason>,
    /// What ended it first that we did not ask for: of a device that is being unlinked that is not told as the reason.
    fate: Option<CloseReason>,
    hint: Option<String>,
    /// Whether what waited at WhatsApp has come.
    caught_up: bool,
    /// Whether the account's settings (app state) have come, once it is connected.
    settled: bool,
}

impl Reporter {
    pub(crate) fn new(key: ConnectionKey, events: LinkEvents) -> Arc<Self> {
        let state = State {
            events: Some(events),
            stage: Stage::Opening,
            since: Instant::now(),
            reason: None,
            fate: None,
            hint: None,
            caught_up: false,
            settled: false,
        };
        Arc::new(Self {
            key,
            state: Mutex::new(state),
            client: OnceLock::new(),
            silence: Mutex::new(Silence::new(Instant::now())),
            over: CancellationToken::new(),
            leaving: AtomicBool::new(false),
            acks: Acks::default(),
        })
    }

    /// Starts listening to a client. Weak, because the client owns its handlers.
    pub(crate) fn listen(self: &Arc<Self>, client: &Arc<Client>) {
        if self.client.set(Arc::downgrade(client)).is_ok() {
            client
                .subscribe_handler(Arc::clone(self) as Arc<dyn EventHandler>)
                .detach();
        }
    }

    /// The number that this link is for.
    pub(crate) fn key(&self) -> &ConnectionKey {
        &self.key
    }

    /// How far the link has come, and how long it has been there.
    pub(crate) fn stage(&self) -> (Stage, Duration) {
        let state = self.state.lock();
        (state.stage, state.since.elapsed())
    }

    /// How long the server has said nothing; `None` before its first byte, and without a client.
    pub(crate) fn silence(&self) -> Option<Look> {
        let noted = self.client()?.stats().last_data_received_ms;
        let mut silence = self.silence.lock();
        silence.look(noted, now(), Instant::now())
    }

    /// Whether messages come in.
    pub(crate) fn is_connected(&self) -> bool {
        self.state.lock().stage == Stage::Connected && !self.over.is_cancelled()
    }

    /// Whether messages can go out as well. While WhatsApp still brings what waited there, the client holds up what it is given
    /// to send, and sends it when whoever asked has long been told that it failed.
    pub(crate) fn can_send(&self) -> bool {
        self.is_connected() && self.state.lock().caught_up
    }

    /// Something that explains the end if it comes next.
    pub(crate) fn hint(&self, hint: String) {
        self.state.lock().hint = Some(hint);
    }

    /// Ends the link; the first reason counts.
    pub(crate) fn end(&self, reason: CloseReason) {
        {
            let mut state = self.state.lock();
            if reason != CloseReason::Requested {
                state.fate.get_or_insert_with(|| reason.clone());
            }
            state.reason.get_or_insert(reason);
        }
        self.over.cancel();
    }

    /// Why the link ended, if that is known and was not asked for.
    pub(crate) fn fate(&self) -> Option<CloseReason> {
        self.state.lock().fate.clone()
    }

    /// Whether, and when, the link shall end or has ended.
    pub(crate) fn over(&self) -> &CancellationToken {
        &self.over
    }

    /// Whether the link ends because WhatsApp does not take the client's version any more.
    pub(crate) fn is_outdated(&self) -> bool {
        self.state.lock().reason == Some(CloseReason::Outdated)
    }

    /// From now on nothing that arrives is for us: the device is being unlinked.
    pub(crate) fn leave(&self) {
        self.leaving.store(true, Ordering::Relaxed);
        self.state.lock().reason.get_or_insert(CloseReason::Requested);
    }

    /// Whether the device is being unlinked.
    pub(crate) fn is_leaving(&self) -> bool {
        self.leaving.load(Ordering::Relaxed)
    }

    /// Sends `Closed`, once, with the best reason there is.
    pub(crate) fn close(&self) {
        self.over.cancel();
        let mut state = self.state.lock();
        let reason = state.reason.take();
        let hint = state.hint.take();
        if let Some(events) = state.events.take() {
            let reason = reason.unwrap_or_else(|| {
                let given_up = state.caught_up && !state.settled;
                meaning::unexplained(state.stage, given_up, hint)
            });
            tracing::debug!(client_id = %self.key.client_id, phone_number = %self.key.phone_number, ?reason, "link closed");
            events.send(LinkEvent::Closed(reason));
        }
        self.acks.clear();
    }

    /// Ends without a word: the link was never opened.
    pub(crate) fn discard(&self) {
        self.over.cancel();
        self.state.lock().events = None;
    }

    fn tell(&self, stage: Stage, event: LinkEvent) {
        let mut state = self.state.lock();
        if state.stage != stage {
            state.stage = stage;
            state.since = Instant::now();
        }
        if let Some(events) = &state.events {
            // Nobody listening is no reason to stop: whoever opened the link closes it.
            events.send(event);
        }
    }

    /// While the client may reconnect by itself: only from the scan to the first login. The server ends that connection
    /// (515) and the same client has to come back at once, with what it holds in memory. At any other time the session
    /// actor owns reconnecting.
    fn reconnect_by_itself(&self, on: bool) {
        if let Some(client) = self.client() {
            client.enable_auto_reconnect.store(on, Ordering::Relaxed);
        }
    }

    /// The client, while it lives.
    pub(crate) fn client(&self) -> Option<Arc<Client>> {
        self.client.get()?.upgrade()
    }

    /// The client is through with what it does at a login.
    fn all_came(&self, settled: bool) {
        self.state.lock().caught_up = true;
        self.connected(settled);
    }

    /// Logged in, and messages flow. `settled`: with the account's settings. Without them the client gives the connection up
    /// after three minutes, to fetch them with the next one.
    pub(crate) fn connected(&self, settled: bool) {
        self.state.lock().settled |= settled;
        if self.stage().0 == Stage::Connected {
            return;
        }
        if !settled {
            tracing::warn!(client_id = %self.key.client_id, phone_number = %self.key.phone_number, "connected without app state");
        }
        self.reconnect_by_itself(false);
        let Some(client) = self.client() else { return };
        let jid = client.pn().map(|jid| jid.to_string()).unwrap_or_default();
        let push_name = Some(client.push_name()).filter(|name| !name.is_empty());
        self.state.lock().hint = None;
        self.tell(Stage::Connected, LinkEvent::Connected { jid, push_name });
    }

    /// The account shows another name from now on, at its own wish.
    pub(crate) fn named(&self, push_name: String) {
        if self.is_connected() {
            self.tell(Stage::Connected, LinkEvent::Named { push_name });
        }
    }
}

impl EventHandler for Reporter {
    fn handle_event(&self, event: Arc<Event>) {
        self.note(&event);
        match meaning::of(&event, now()) {
            Meaning::Show(event) => self.tell(Stage::AwaitingScan, event),
            Meaning::Paired(event) => {
                self.reconnect_by_itself(true);
                self.tell(Stage::Paired, event);
            }
            Meaning::Connected => self.all_came(true),
            Meaning::Unsettled => self.all_came(false),
            // A link that is not connected yet tells the name when it is.
            Meaning::Named(event) if self.is_connected() => self.tell(Stage::Connected, event),
            Meaning::Named(_) => {}
            Meaning::Over(reason) => self.end(reason),
            Meaning::Hint(hint) => self.hint(hint),
            Meaning::Nothing => {}
        }
    }
}

impl Reporter {
    /// Events that change nothing of how far the link is.
    fn note(&self, event: &Event) {
        let (client_id, phone_number) = (self.key.client_id, &self.key.phone_number);
        match event {
            Event::OfflineSyncCompleted(_) => self.state.lock().caught_up = true,
            Event::UndecryptableMessage(message) => {
                tracing::warn!(%client_id, %phone_number, message_id = message.info.id, "a message could not be decrypted; WhatsApp was asked for it again");
            }
            Event::AppStateSyncFailed(failed) if meaning::is_missing(failed) => {
                tracing::warn!(%client_id, %phone_number, fatal = ?failed.fatal, retryable = ?failed.retryable, "app state could not be synced");
            }
            _ => {}
        }
    }
}

#[cfg(test)]
pub(super) mod tests;
