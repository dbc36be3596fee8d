//! Open sockets, and what can be told to the task that owns one.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use tokio::sync::{mpsc, oneshot};
use wacore_binary::Node;

use super::lock;

/// What a connection's task does next.
#[derive(Debug)]
pub(crate) enum Command {
    /// Send a stanza.
    Send(Node),
    /// Send a pair-success, and hand over what the client answers to the iq with this id.
    Pair {
        id: String,
        stanza: Node,
        answer: oneshot::Sender<Result<Vec<u8>, String>>,
    },
    /// Send a last stanza, if any, and close.
    Close(Option<Node>),
    /// Answer nothing and lose what arrives until then, and close.
    Stall(Instant),
}

/// The way to a connection's task.
#[derive(Clone, Debug)]
pub(crate) struct Link {
    /// Unique among all connections since the start.
    pub(crate) id: u64,
    commands: mpsc::UnboundedSender<Command>,
}

impl Link {
    /// Tells the task; `false` if it has ended.
    pub(crate) fn tell(&self, command: Command) -> bool {
        self.commands.send(command).is_ok()
    }

    /// Sends a stanza.
    pub(crate) fn send(&self, stanza: Node) -> bool {
        self.tell(Command::Send(stanza))
    }
}

#[derive(Debug)]
struct Entry {
    link: Link,
    /// Known after the login.
    phone: Option<String>,
}

/// All open links.
#[derive(Debug, Default)]
pub(crate) struct Links {
    last: AtomicU64,
    open: Mutex<HashMap<u64, Entry>>,
}

/// Takes the link off the list when its task ends.
pub(crate) struct LinkGuard {
    links: Arc<Links>,
    pub(crate) link: Link,
}

impl Drop for LinkGuard {
    fn drop(&mut self) {
        lock(&self.links.open).remove(&self.link.id);
    }
}

impl Links {
    /// Lists a new connection; the receiver is for its task.
    pub(crate) fn open(self: &Arc<Self>) -> (LinkGuard, mpsc::UnboundedReceiver<Command>) {
        let (commands, receiver) = mpsc::unbounded_channel();
        let id = self.last.fetch_add(1, Ordering::Relaxed);
        let link = Link { id, commands };
        lock(&self.open).insert(
            id,
            Entry {
                link: link.clone(),
                phone: None,
            },
        );
        (
            LinkGuard {
                links: Arc::clone(self),
                link,
            },
            receiver,
        )
    }

    /// Notes whose link it is.
    pub(crate) fn belongs(&self, id: u64, phone: &str) {
        if let Some(entry) = lock(&self.open).get_mut(&id) {
            entry.phone = Some(phone.to_owned());
        }
    }

    /// How many are open.
    pub(crate) fn count(&self) -> usize {
        lock(&self.open).len()
    }

    /// The links of one account, or all.
    pub(crate) fn of(&self, phone: Option<&str>) -> Vec<Link> {
        lock(&self.open)
            .values()
            .filter(|entry| phone.is_none() || entry.phone.as_deref() == phone)
            .map(|entry| entry.link.clone())
            .collect()
    }
}
