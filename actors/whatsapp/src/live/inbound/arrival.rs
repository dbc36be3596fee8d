//! A message that was waited for and comes after all: from when it is seen until it is committed.

use std::sync::Arc;

use wharf_store::AwaitedId;
use whatsapp_rust::wacore::types::message::MessageInfo;

use crate::live::{awaited, memory::Memory};

/// See the module. While it is there the message is not reported; if it is dropped without [`Arrival::settle`], the message
/// was not committed, and is missing as before.
pub(crate) struct Arrival {
    memory: Arc<Memory>,
    first: Arc<MessageInfo>,
    /// Whether it was missing until now; else it is another copy of one that has come, or was reported.
    is_missing: bool,
}

impl Arrival {
    /// A message comes; `None` if it was never missing.
    pub(crate) fn of(memory: &Arc<Memory>, info: &MessageInfo) -> Option<Self> {
        let (first, is_missing) = memory.awaited().arrives(info)?;
        Some(Self {
            memory: Arc::clone(memory),
            first,
            is_missing,
        })
    }

    /// How it was first heard of.
    pub(crate) fn first(&self) -> &MessageInfo {
        &self.first
    }

    /// The row that goes with its commit.
    pub(crate) fn row(&self) -> Option<AwaitedId> {
        self.is_missing.then(|| awaited::id(&self.first))
    }

    /// It is committed.
    pub(crate) fn settle(mut self) {
        if std::mem::take(&mut self.is_missing) {
            self.memory.awaited().settle(&self.first);
        }
    }
}

impl Drop for Arrival {
    fn drop(&mut self) {
        if self.is_missing {
            self.memory.awaited().did_not_arrive(&self.first);
            self.memory.missed().notify_one();
        }
    }
}
