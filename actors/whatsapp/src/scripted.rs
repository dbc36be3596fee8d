//! A link that a test or a load generator drives by hand: what WhatsApp would do is a call on [`ScriptedHandle`].

mod link;

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use parking_lot::{Mutex, MutexGuard};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use wharf_domain::{
    ConnectionKey, IncomingMessage, Outgoing, Timestamp,
    action::Action,
    outgoing::{News, Place},
};

use crate::{
    CloseReason, Inbox, KeysError, Link, LinkError, LinkEvent, LinkEvents, LinkFactory, LinkOptions, NotCommitted, Told,
};

/// What [`ScriptedFactory::open`] does.
#[derive(Debug, Clone, Default)]
pub enum OpenScript {
    /// Opens a link.
    #[default]
    Open,
    /// Opens a link that logs in at once, as the first device of its number.
    Login,
    /// Opens a link that ends at once, for this reason.
    End(CloseReason),
    /// Fails, as if the keys could not be read.
    Fail(String),
    /// Panics. So does [`ScriptedFactory::forget`].
    Panic,
}

/// What becomes of a message that is sent.
#[derive(Debug, Clone, Default)]
pub enum SendScript {
    /// WhatsApp takes it.
    #[default]
    Accept,
    /// WhatsApp refuses it, with this code.
    Refuse(String),
    /// Nobody has the number.
    Nobody,
    /// The socket is gone, although nobody has noticed yet.
    Gone,
    /// No answer before the deadline, or the end of the link.
    Hang,
    /// The client library panics, also when it is asked where files go.
    Panic,
    /// WhatsApp takes it after so long, or does what is scripted by then. Of a link that ends meanwhile nobody hears.
    Slow(Duration),
}

/// A message that was handed to a scripted link.
#[derive(Debug, Clone, PartialEq)]
pub struct SentMessage {
    /// WhatsApp's id of it.
    pub id: String,
    /// The message.
    pub message: Outgoing,
}

/// How often what was called, over all links of a factory.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// Links opened.
    pub opened: usize,
    /// Links closed, by whichever side.
    pub closed: usize,
    /// Devices unlinked.
    pub logged_out: usize,
    /// Numbers whose keys were deleted.
    pub forgotten: usize,
    /// Links that were opened before the one before had been closed to its end: two clients on one set of keys.
    pub overlaps: usize,
}

/// Opens scripted links. Clones share everything.
#[derive(Clone, Default)]
pub struct ScriptedFactory {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<FactoryState>,
    /// Counts openings, for those who wait for one.
    openings: watch::Sender<usize>,
}

#[derive(Default)]
struct FactoryState {
    links: HashMap<ConnectionKey, ScriptedHandle>,
    script: OpenScript,
    counters: Counters,
    /// How often the keys of a device are not deleted before they are.
    unforgettable: u32,
    /// When each link was opened.
    opened_at: Vec<Instant>,
    /// What all links sent, in its order.
    sent: Vec<SentMessage>,
}

impl ScriptedFactory {
    /// A factory whose links open.
    pub fn new() -> Self {
        Self::default()
    }

    /// What `open` does from now on.
    pub fn on_open(&self, script: OpenScript) {
        self.shared.state().script = script;
    }

    /// The next so many times that keys are to be deleted, the store takes no writes.
    pub fn keep_keys(&self, times: u32) {
        self.shared.state().unforgettable = times;
    }

    /// How often what was called.
    pub fn counters(&self) -> Counters {
        self.shared.state().counters
    }

    /// When links were opened, in their order.
    pub fn opened_at(&self) -> Vec<Instant> {
        self.shared.state().opened_at.clone()
    }

    /// The messages that all links sent, in their order: as [`ScriptedHandle::sent`].
    pub fn sent(&self) -> Vec<SentMessage> {
        self.shared.state().sent.clone()
    }

    /// Lets go of all links: they hold their sessions' inbox, and with it whatever that belongs to.
    pub fn let_go(&self) {
        self.shared.state().links.clear();
    }

    /// Every open link.
    pub fn open_links(&self) -> Vec<ScriptedHandle> {
        let state = self.shared.state();
        state.links.values().filter(|link| !link.is_closed()).cloned().collect()
    }

    /// The open link of a number.
    pub fn link(&self, key: &ConnectionKey) -> Option<ScriptedHandle> {
        self.shared
            .state()
            .links
            .get(key)
            .filter(|link| !link.is_closed())
            .cloned()
    }

    /// The open link of a number, once there is one.
    pub async fn wait_for_link(&self, key: &ConnectionKey) -> ScriptedHandle {
        let mut openings = self.shared.openings.subscribe();
        loop {
            openings.mark_unchanged();
            if let Some(link) = self.link(key) {
                return link;
            }
            // The sender lives as long as `self`: this cannot fail.
            let _ = openings.changed().await;
        }
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, FactoryState> {
        self.state.lock()
    }
}

#[async_trait]
impl LinkFactory for ScriptedFactory {
    async fn open(
        &self,
        key: &ConnectionKey,
        options: LinkOptions,
        events: LinkEvents,
        inbox: Arc<dyn Inbox>,
    ) -> Result<Arc<dyn Link>, LinkError> {
        let script = self.shared.state().script.clone();
        match script.clone() {
            OpenScript::Open | OpenScript::Login | OpenScript::End(_) => {}
            OpenScript::Fail(why) => return Err(LinkError(why)),
            OpenScript::Panic => scripted_panic(),
        }
        let link = ScriptedHandle {
            factory: Arc::clone(&self.shared),
            inbox,
            state: Arc::new(Mutex::new(LinkState {
                events: Some(events),
                options,
                ..LinkState::default()
            })),
        };
        let left_open = {
            let mut state = self.shared.state();
            state.counters.opened += 1;
            state.opened_at.push(Instant::now());
            let left_open = state.links.insert(key.clone(), link.clone());
            let overlaps = left_open.as_ref().is_some_and(|link| !link.state().gone);
            state.counters.overlaps += usize::from(overlaps);
            left_open
        };
        // As the live factory does: one link for each number.
        if let Some(left_open) = left_open {
            left_open.close(CloseReason::Requested);
        }
        self.shared.openings.send_modify(|openings| *openings += 1);
        match script {
            OpenScript::Login => link.connect(&format!("{}:1@s.whatsapp.net", key.phone_number), None),
            OpenScript::End(reason) => link.close(reason),
            _ => {}
        }
        Ok(Arc::new(link))
    }

    async fn forget(&self, _key: &ConnectionKey) -> Result<(), KeysError> {
        let mut state = self.shared.state();
        if matches!(state.script, OpenScript::Panic) {
            drop(state);
            scripted_panic();
        }
        if let Some(left) = state.unforgettable.checked_sub(1) {
            state.unforgettable = left;
            return Err(KeysError::Unavailable("the script says no".to_owned()));
        }
        state.counters.forgotten += 1;
        Ok(())
    }
}

/// The same as a panic for who calls, without the message on standard error.
fn scripted_panic() -> ! {
    std::panic::resume_unwind(Box::new("a scripted panic"))
}

/// Drives one open link; also the link itself. Clones are the same link.
#[derive(Clone)]
pub struct ScriptedHandle {
    factory: Arc<Shared>,
    inbox: Arc<dyn Inbox>,
    state: Arc<Mutex<LinkState>>,
}

#[derive(Default)]
struct LinkState {
    /// `None` once closed.
    events: Option<LinkEvents>,
    options: LinkOptions,
    connected: bool,
    ended: CancellationToken,
    /// Closed from our side, to its end.
    gone: bool,
    silence: Duration,
    sends: SendScript,
    sent: Vec<SentMessage>,
    /// What WhatsApp calls the chats with some.
    chats: HashMap<String, String>,
    acts: Vec<Action>,
    /// Where files are uploaded to again.
    reuploads: Option<String>,
    /// How often the phone cannot be asked for a file before it can.
    unasked: u32,
    phone_is_off: bool,
    /// One code at a time.
    is_asked_for_code: bool,
    /// How often it was asked afresh what lets us upload.
    media_auths: u32,
}

impl ScriptedHandle {
    /// Where its messages go.
    pub fn inbox(&self) -> Arc<dyn Inbox> {
        Arc::clone(&self.inbox)
    }

    /// WhatsApp shows a QR code.
    pub fn qr(&self, code: &str, expires_at: Timestamp) {
        self.tell(LinkEvent::Qr {
            code: code.to_owned(),
            expires_at,
        });
    }

    /// A phone scans it.
    pub fn pair(&self, jid: &str, phone_number: &str) {
        self.tell(LinkEvent::Paired {
            jid: jid.to_owned(),
            phone_number: phone_number.to_owned(),
        });
    }

    /// The link logs in.
    pub fn connect(&self, jid: &str, push_name: Option<&str>) {
        self.state().connected = true;
        self.tell(LinkEvent::Connected {
            jid: jid.to_owned(),
            push_name: push_name.map(str::to_owned),
        });
    }

    /// The link ends. Only the first time counts.
    pub fn close(&self, reason: CloseReason) {
        let mut state = self.state();
        state.connected = false;
        state.ended.cancel();
        let Some(events) = state.events.take() else { return };
        drop(state);
        self.factory.state().counters.closed += 1;
        events.send(LinkEvent::Closed(reason));
    }

    /// Messages arrive; `Ok` is what WhatsApp would be told.
    ///
    /// # Errors
    /// `NotCommitted` when the inbox refuses them, or the link is closed.
    pub async fn deliver(&self, messages: Vec<IncomingMessage>) -> Result<(), NotCommitted> {
        if self.is_closed() {
            return Err(NotCommitted("the link is closed".to_owned()));
        }
        self.inbox.commit(messages.into_iter().map(Into::into).collect()).await
    }

    /// WhatsApp tells something of messages that went out; `place` is where, as a link finds it out.
    ///
    /// # Errors
    /// `NotCommitted` when the inbox refuses it.
    pub async fn tell_of(
        &self,
        message_ids: &[&str],
        news: News,
        at: Timestamp,
        place: Option<Place>,
    ) -> Result<(), NotCommitted> {
        let told = Told {
            message_ids: message_ids.iter().map(|id| (*id).to_owned()).collect(),
            news,
            at,
            place,
        };
        self.inbox.told(vec![told], Vec::new()).await
    }

    /// What becomes of messages from now on.
    pub fn on_send(&self, script: SendScript) {
        self.state().sends = script;
    }

    /// WhatsApp calls the chat with `to` this, from now on.
    pub fn names_chat(&self, to: &str, chat: &str) {
        self.state().chats.insert(to.to_owned(), chat.to_owned());
    }

    /// Files are uploaded again to this path from now on.
    pub fn uploads_again(&self, direct_path: &str) {
        self.state().reuploads = Some(direct_path.to_owned());
    }

    /// The next so many questions to the phone for a file find no way to it.
    pub fn cannot_ask_phone(&self, times: u32) {
        self.state().unasked = times;
    }

    /// Whoever asks the phone for a file waits in vain.
    pub fn turns_phone_off(&self) {
        self.state().phone_is_off = true;
    }

    /// The messages that were sent, in their order, refused and unanswered ones too.
    pub fn sent(&self) -> Vec<SentMessage> {
        self.state().sent.clone()
    }

    /// What else was asked for, in its order.
    pub fn acts(&self) -> Vec<Action> {
        self.state().acts.clone()
    }

    /// What it was opened with.
    pub fn options(&self) -> LinkOptions {
        self.state().options.clone()
    }

    /// How long the server is said to have been silent.
    pub fn silent_for(&self, silence: Duration) {
        self.state().silence = silence;
    }

    /// Whether the link has ended.
    pub fn is_closed(&self) -> bool {
        self.state().events.is_none()
    }

    fn tell(&self, event: LinkEvent) {
        if let Some(events) = &self.state().events {
            events.send(event);
        }
    }

    fn state(&self) -> MutexGuard<'_, LinkState> {
        self.state.lock()
    }
}

#[cfg(test)]
mod tests;
