//! What the outbox is asked, and what it answers.

use ractor::RpcReplyPort;
use wharf_domain::{
    Outgoing, Timestamp,
    outgoing::{self, Ticket},
};
use wharf_whatsapp::{SendError, Sent};

use crate::{
    media::outbound::KeptFile,
    persistence::WriteError,
    places::Place,
    session::files::{Failed, Step},
};

/// A message to be sent.
pub(crate) struct Request {
    pub(crate) message_id: String,
    pub(crate) outgoing: Outgoing,
    /// Its file, where that lies here.
    pub(crate) file: Option<KeptFile>,
    /// Whether it may wait for a connection.
    pub(crate) queue: bool,
    /// Whether the caller wants to hear what became of it.
    pub(crate) wait: bool,
    /// What it kept while it was made ready.
    pub(crate) place: Option<Place>,
}

/// The way back to who wants it sent.
pub(crate) type Reply = RpcReplyPort<Result<Answer, Undone>>;

/// What a caller is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) message_id: String,
    /// `None`: it waits.
    pub(crate) sent: Option<Sent>,
    /// When that was so.
    pub(crate) at: Timestamp,
}

/// Why a message was not sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Undone {
    /// The link could not.
    Link(SendError),
    /// As many wait as may.
    Full(u32),
    /// It waited for too long.
    Expired,
    /// Its file cannot be sent.
    File(Failed),
    /// There is no row of it.
    NotRecorded(WriteError),
    /// There is no connection any more.
    Gone,
}

/// What happened to a message.
pub(crate) enum Event {
    /// Its row is there, or could not be written.
    Recorded(Ticket, Result<(), WriteError>),
    /// WhatsApp answered, or did not; and where it went, as far as that is known.
    Ended(Ticket, Result<Sent, SendError>, Option<outgoing::Place>),
    /// Its caller has waited long enough.
    Impatient(Ticket),
    /// A step with its file has ended.
    File(Ticket, Box<Step>),
    /// Something may go.
    Wake,
}
