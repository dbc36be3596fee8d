//! What a session actor needs of WhatsApp: open a link, hear what happens on it, send, close.
//!
//! Two implementations: [`crate::live`] over whatsapp-rust, and [`crate::scripted`], which a test drives by hand.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use futures::future::BoxFuture;
use thiserror::Error;
use tokio::sync::mpsc;
use wharf_domain::{
    ConnectionKey, EventKinds, IncomingMessage, Outgoing, PhoneNumber, Recipient, SenderShown, Timestamp,
    action::{Action, Done, PresenceState},
    outgoing::Place,
    proxy::Proxy,
};
pub use wharf_domain::{
    outgoing::Told,
    session::{CloseReason, LinkEvent},
};
use wharf_store::{AwaitedId, AwaitedMessage, Behind};

use crate::KeysError;

/// The server does not have the message; WhatsApp will send it again.
#[derive(Debug, Error)]
#[error("the message was not committed: {0}")]
pub struct NotCommitted(pub String);

/// A message that comes, with what it has to do with those that are waited for.
#[derive(Debug, Clone, Default)]
pub struct Incoming {
    /// What is told of it; nothing, if nobody is told.
    pub message: Option<IncomingMessage>,
    /// The message that it is about, if that is waited for. As long as that is so, this one is committed without being told; it
    /// is told right behind that one, or behind the report that it has not come. One that waits there already, as it came
    /// ([`Inbox::sealed_behind`]), is told as what it is read as now.
    pub behind: Option<Behind>,
    /// It was waited for itself, and is not any more ([`Inbox::keep_awaited`]).
    pub came: Option<AwaitedId>,
}

/// One that was not waited for, and is about none that is.
impl From<IncomingMessage> for Incoming {
    fn from(message: IncomingMessage) -> Self {
        Self {
            message: Some(message),
            ..Self::default()
        }
    }
}

/// One that is not waited for any more, and of which nothing is told.
impl From<AwaitedId> for Incoming {
    fn from(id: AwaitedId) -> Self {
        Self {
            came: Some(id),
            ..Self::default()
        }
    }
}

/// Where incoming messages go, and what else happens to be told. `Ok` is the promise that they are committed: only then is WhatsApp told.
#[async_trait]
pub trait Inbox: Send + Sync + 'static {
    /// Commits a batch in its order, all or nothing. May be called again with the same; must be idempotent.
    ///
    /// # Errors
    /// `NotCommitted` leaves the whole batch unacknowledged at WhatsApp. The live link asks again for a while (30 s); if
    /// the answer stays the same it closes as `Lost`, because WhatsApp sends a message again at the next login only.
    async fn commit(&self, batch: Vec<Incoming>) -> Result<(), NotCommitted>;

    /// What waits behind a message and could not be opened without it, as it came and in its order.
    ///
    /// # Errors
    /// `NotCommitted` when that cannot be read: committed now, the message would leave them unread for good.
    async fn sealed_behind(&self, _id: &AwaitedId) -> Result<Vec<Vec<u8>>, NotCommitted> {
        Ok(Vec::new())
    }

    /// Keeps that messages which could not be decrypted are waited for, so that [`Inbox::awaited`] has them after a restart.
    /// It is on its way when this returns: what is committed after that is committed later. Idempotent.
    ///
    /// The future fails with `NotCommitted` when they are not kept.
    fn keep_awaited(&self, _awaited: Vec<AwaitedMessage>) -> BoxFuture<'static, Result<(), NotCommitted>> {
        Box::pin(async { Ok(()) })
    }

    /// Commits the report that a message which was waited for has not come, unless it has, or was reported before. It is not
    /// waited for any more.
    ///
    /// # Errors
    /// As [`Inbox::commit`].
    async fn report_awaited(&self, _id: AwaitedId, report: IncomingMessage) -> Result<(), NotCommitted> {
        self.commit(vec![report.into()]).await
    }

    /// What is waited for, as it was kept.
    ///
    /// # Errors
    /// `LinkError` when it cannot be read.
    async fn awaited(&self) -> Result<Vec<AwaitedMessage>, LinkError> {
        Ok(Vec::new())
    }

    /// What somebody wants to be told of, at this moment: a link need not bring anything else. Asked for often, so cheap.
    fn wanted(&self) -> EventKinds {
        EventKinds::default()
    }

    /// What somebody wants to be told of who sent a message, at this moment. Asked for often, so cheap.
    fn sender(&self) -> SenderShown {
        SenderShown::default()
    }

    /// Whether calls are to be turned down as they ring, at this moment. Asked for often, so cheap.
    fn rejects_calls(&self) -> bool {
        false
    }

    /// Keeps what can be chosen in a poll, or more of that, so that its votes can be told by name. Idempotent; what is kept
    /// stays.
    ///
    /// # Errors
    /// `NotCommitted` leaves the poll unacknowledged, as [`Inbox::commit`] does.
    async fn keep_poll(&self, _poll_id: &str, _options: &[String]) -> Result<(), NotCommitted> {
        Ok(())
    }

    /// Takes what WhatsApp told of messages that went out: receipts, and answers that nobody waited for any more. Of those of
    /// the messages that are in `behind` it is told behind the message that is waited for there, or behind the report that this has
    /// not come.
    /// May be called again with the same; must be idempotent. WhatsApp does not tell it again.
    ///
    /// # Errors
    /// `NotCommitted` when nothing of it was kept; the link asks again for a while, as with messages.
    async fn told(&self, _told: Vec<Told>, _behind: Vec<(String, AwaitedId)>) -> Result<(), NotCommitted> {
        Ok(())
    }

    /// What can be chosen in a poll, if that was kept. A failure to look is no knowledge.
    async fn poll_options(&self, _poll_id: &str) -> Option<Vec<String>> {
        None
    }
}

/// A message that WhatsApp's server took.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sent {
    /// When the server took it.
    pub timestamp: Timestamp,
}

/// Why a message was not sent, or something else not done.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SendError {
    /// The link is not up, or WhatsApp is not done yet with what came while it was not.
    #[error("not connected to WhatsApp, or still taking in what waited there (a minute or two at the most)")]
    NotConnected,
    /// Nobody has this number on WhatsApp.
    #[error("{0} is not on WhatsApp{hint}", hint = hint_of(.0))]
    NotOnWhatsApp(PhoneNumber),
    /// WhatsApp gives out no keys of the receiver's devices, so it was not sent: none of them could read it.
    #[error(
        "WhatsApp gives out no keys of the receiver's devices now, and none of them could read the message; it was not sent"
    )]
    NoKeys,
    /// WhatsApp refused it.
    #[error("WhatsApp refused it: {words} ({code})")]
    Refused {
        /// WhatsApp's code.
        code: String,
        /// What it means.
        words: String,
    },
    /// It cannot be sent as it is; the text says why.
    #[error("{0}")]
    Impossible(String),
    /// No answer within the deadline. It may have been done.
    #[error("no answer from WhatsApp within {0:?}; it may have been sent")]
    TimedOut(Duration),
    /// Something broke on our side.
    #[error("could not send: {0}")]
    Failed(String),
}

/// What is added where digits are as many as those of a hidden id, which numbers seldom have.
fn hint_of(number: &PhoneNumber) -> &'static str {
    match number.as_str().len() {
        14.. => "; if this is a hidden id (`from_lid` of an event), write @lid behind it",
        _ => "",
    }
}

/// How one number's link differs from what is configured for all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LinkOptions {
    /// The device's name on the phone, told when it is linked.
    pub device_name: Option<String>,
    /// The way to WhatsApp.
    pub proxy: Option<Proxy>,
}

/// A code to type into the phone, instead of scanning a QR code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PairCode {
    /// Eight characters.
    pub code: String,
    /// When WhatsApp stops accepting it.
    pub expires_at: Timestamp,
}

/// Why there is no code to type into the phone.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PairCodeError {
    /// The link does not wait for a phone.
    #[error("the connection does not wait to be linked")]
    NotPairing,
    /// WhatsApp gives none: mostly because it gave too many for this number.
    #[error(
        "WhatsApp gave no code ({0}); it limits how many a number may have, so wait some minutes or scan the QR code"
    )]
    Refused(String),
    /// No answer in time, or something broke on our side.
    #[error("no code could be had: {0}")]
    Failed(String),
}

/// The store of a device's keys failed, or the link could not be built.
#[derive(Debug, Error)]
#[error("{0}")]
pub struct LinkError(pub String);

/// A file that WhatsApp's hosts do not have any more, as its message names it.
#[derive(Clone, PartialEq, Eq)]
pub struct LostFile {
    /// The chat's JID.
    pub chat: String,
    /// The sender's JID.
    pub sender: String,
    /// WhatsApp's id of the message.
    pub message_id: String,
    /// The file's secret, with which question and answer are encrypted.
    pub media_key: Vec<u8>,
}

/// Why a file was not uploaded again.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ReuploadError {
    /// The link is not up.
    #[error("not connected to WhatsApp")]
    NotConnected,
    /// The phone does not have it any more, or would not.
    #[error("the phone did not upload it: {0}")]
    Refused(String),
    /// No answer within the deadline.
    #[error("no answer within {0:?}")]
    TimedOut(Duration),
}

/// Where files are uploaded to, and what lets us.
#[derive(Clone, PartialEq, Eq)]
pub struct MediaHosts {
    /// Names of hosts, the best one first.
    pub hosts: Vec<String>,
    /// Goes with every upload; a secret for some hours.
    pub auth: String,
}

impl std::fmt::Debug for MediaHosts {
    /// Without what lets us upload.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MediaHosts")
            .field("hosts", &self.hosts)
            .finish_non_exhaustive()
    }
}

/// An open link. Dropping it does not close it; [`Link::close`] does.
#[async_trait]
pub trait Link: Send + Sync + 'static {
    /// Sends a message under `id` and waits for the server's ack, at most `deadline`. Dropping the future does not take
    /// it back.
    ///
    /// `TimedOut` and `Failed` mean that it may have been sent, all others that it was not.
    ///
    /// # Errors
    /// See [`SendError`].
    async fn send(&self, id: &str, message: &Outgoing, deadline: Duration) -> Result<Sent, SendError>;

    /// Where a message to somebody goes, as far as that is known here: WhatsApp may know a number under other digits or by
    /// a hidden id, and a group has a name. WhatsApp is not asked. `None` when nothing is known.
    async fn place(&self, _to: &Recipient) -> Option<Place> {
        None
    }

    /// Shows somebody that something is typed or recorded for them, for so long, and the account online meanwhile, since they
    /// would not see it otherwise. What fails is left out.
    async fn types(&self, _to: &Recipient, _shown: PresenceState, _long: Duration) {}

    /// Does something else at WhatsApp, within `deadline`. Dropping the future does not take it back.
    ///
    /// # Errors
    /// As [`Link::send`].
    async fn act(&self, action: &Action, deadline: Duration) -> Result<Done, SendError>;

    /// Asks WhatsApp for a code that can be typed into the phone of `number` while a QR code is shown; it is also told as
    /// [`LinkEvent::PairCode`]. At most `deadline`.
    ///
    /// # Errors
    /// See [`PairCodeError`].
    async fn pair_code(&self, number: &PhoneNumber, deadline: Duration) -> Result<PairCode, PairCodeError>;

    /// Asks the account's phone to upload a file again. Answers its new path on WhatsApp's media hosts.
    ///
    /// # Errors
    /// See [`ReuploadError`].
    async fn upload_again(&self, _file: &LostFile, _deadline: Duration) -> Result<String, ReuploadError> {
        Err(ReuploadError::NotConnected)
    }

    /// Where files are uploaded to. `fresh`: what was answered before is not good any more.
    ///
    /// # Errors
    /// As [`Link::send`]; nothing was sent.
    async fn media_hosts(&self, _fresh: bool, _deadline: Duration) -> Result<MediaHosts, SendError> {
        Err(SendError::NotConnected)
    }

    /// How long nothing at all has been heard from the server; `None` while not logged in.
    fn silence(&self) -> Option<Duration>;

    /// Closes the socket, keeps the keys, and returns when every task of the link has ended. Idempotent.
    async fn close(&self);

    /// Unlinks the device at WhatsApp as far as that can be reached within 10 s, then closes as [`Link::close`] does. A link that is
    /// not logged in yet has as long for that.
    ///
    /// # Errors
    /// Why WhatsApp may know the device still.
    async fn log_out(&self) -> Result<(), String>;
}

/// Where what happens on a link is told. Clones are the same place.
#[derive(Clone)]
pub struct LinkEvents(Arc<dyn Fn(LinkEvent) + Send + Sync>);

impl LinkEvents {
    /// `tell` is called for each event, in their order and from any task: it must not wait.
    pub fn new(tell: impl Fn(LinkEvent) + Send + Sync + 'static) -> Self {
        Self(Arc::new(tell))
    }

    /// Tells of an event.
    pub fn send(&self, event: LinkEvent) {
        self.0(event);
    }
}

impl From<mpsc::UnboundedSender<LinkEvent>> for LinkEvents {
    fn from(sender: mpsc::UnboundedSender<LinkEvent>) -> Self {
        Self::new(move |event| {
            let _nobody_listens = sender.send(event);
        })
    }
}

/// Opens links and owns where their keys are kept.
#[async_trait]
pub trait LinkFactory: Send + Sync + 'static {
    /// Opens the link of a number: with keys it logs in, without it pairs and shows QR codes. Returns at once; what
    /// happens comes through `events`. The link's tasks run on the runtime that polls this future. A link of the same
    /// number that was left open is closed first.
    ///
    /// # Errors
    /// `LinkError` when the keys cannot be read; nothing was opened then.
    async fn open(
        &self,
        key: &ConnectionKey,
        options: LinkOptions,
        events: LinkEvents,
        inbox: Arc<dyn Inbox>,
    ) -> Result<Arc<dyn Link>, LinkError>;

    /// Forgets the device of a number: from then on none of its keys is ever read. Removing them is left to whoever calls,
    /// since there may be very many. The link must be closed. Idempotent.
    ///
    /// # Errors
    /// `Unavailable` when the device stays for now: whoever opens a link then logs in with keys that are none any more. Any other
    /// says that it stays for good.
    async fn forget(&self, key: &ConnectionKey) -> Result<(), KeysError>;
}
