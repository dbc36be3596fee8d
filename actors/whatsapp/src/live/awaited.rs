//! Messages that could not be decrypted: asked for again, and reported if they stay so.
//!
//! The client asks the sender to send again (a retry receipt, up to five times) and the phone for its copy, once. What
//! comes of that is a message like any other. Here is only kept what is missing and until when to wait: in memory
//! (`awaited/list.rs`), and in a row, so that a new process goes on where the last one ended. The row goes in the commit
//! of the message, or of the report; whichever is committed first counts, so there is one report at the most, and none
//! after the message.

mod list;
mod report;
mod row;
pub(crate) mod sealed;

use std::sync::Arc;

use wharf_store::AwaitedId;
use whatsapp_rust::wacore::types::{events::UndecryptableMessage, message::MessageInfo};

pub use self::report::report_of;
pub(crate) use self::{
    list::Awaited,
    row::{id, recipient_of},
};

/// A message that is to be reported.
pub(crate) struct Lost {
    pub(crate) message: Arc<UndecryptableMessage>,
    /// Its row, which says whether it has come meanwhile. One that is not waited for has none.
    pub(crate) row: Option<AwaitedId>,
}

/// The head of a message that was asked for again: where it is from and when it was sent are what its first copy said,
/// so that all its copies have one key.
pub(crate) fn as_first(info: &MessageInfo, first: &MessageInfo) -> MessageInfo {
    MessageInfo {
        source: first.source.clone(),
        timestamp: first.timestamp,
        push_name: first.push_name.clone(),
        peer_recipient_pn: first.peer_recipient_pn.clone(),
        ..info.clone()
    }
}
