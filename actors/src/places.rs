//! Places of messages in their chats while they are made ready: a page is asked for a preview, a file is encrypted, and the next
//! message of the chat, which needs nothing, would overtake.

use std::{collections::HashMap, sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use wharf_domain::{ConnectionKey, Recipient};

/// How long a message that is ready waits for those before it: as long as a preview may take. Behind a file that takes longer it would
/// come too late for whoever waits for it.
const LONGEST: Duration = Duration::from_secs(5);

/// The chats of a number, each as messages name it.
type Chat = (ConnectionKey, Recipient);

/// The chats in which messages are being made ready, with the last one of each.
#[derive(Debug, Default)]
pub(crate) struct Places(Mutex<HashMap<Chat, Arc<Turn>>>);

/// A message among those of its chat.
#[derive(Debug)]
struct Turn {
    over: CancellationToken,
    /// The one before it, until it has waited for that.
    before: Mutex<Option<Arc<Turn>>>,
}

/// A message's place in its chat, until it is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    places: Arc<Places>,
    chat: Chat,
    turn: Arc<Turn>,
}

impl Places {
    /// A place behind the messages of a chat that came before.
    pub(crate) fn take(self: &Arc<Self>, number: ConnectionKey, to: Recipient) -> Place {
        let chat = (number, to);
        let mut last = self.0.lock();
        let turn = Arc::new(Turn {
            over: CancellationToken::new(),
            before: Mutex::new(last.get(&chat).cloned()),
        });
        last.insert(chat.clone(), Arc::clone(&turn));
        Place {
            places: Arc::clone(self),
            chat,
            turn,
        }
    }
}

impl Place {
    /// Waits until those before it are handed on or given up, or take too long.
    pub(crate) async fn turn(&self) {
        let mut next = self.turn.before.lock().clone();
        let all = async {
            while let Some(before) = next {
                before.over.cancelled().await;
                // One that was given up leaves those that it waited for.
                next = before.before.lock().clone();
            }
        };
        let _or_too_long = timeout(LONGEST, all).await;
        *self.turn.before.lock() = None;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut last = self.places.0.lock();
        self.turn.over.cancel();
        if last.get(&self.chat).is_some_and(|turn| Arc::ptr_eq(turn, &self.turn)) {
            let before = self.turn.before.lock().clone();
            match before.filter(|before| !before.over.is_cancelled()) {
                Some(before) => last.insert(self.chat.clone(), before),
                None => last.remove(&self.chat),
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::poll;
    use wharf_domain::ClientId;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn those_of_one_chat_wait_for_each_other_and_not_for_ever() {
        let places = Arc::new(Places::default());
        let take = |to: &str| {
            let number = ConnectionKey::new(ClientId(1), "5511999999999".parse().unwrap());
            places.take(number, to.parse().unwrap())
        };
        let chat = "5511888888888";
        let (first, gave_up, second) = (take(chat), take(chat), take(chat));
        first.turn().await;
        let mut waits = Box::pin(second.turn());
        assert!(poll!(&mut waits).is_pending());
        take("5511777777777").turn().await;
        drop(gave_up);
        assert!(poll!(&mut waits).is_pending(), "the first is still made ready");
        drop(first);
        waits.await;
        drop(take(chat));
        let third = take(chat);
        let mut waits = Box::pin(third.turn());
        assert!(
            poll!(&mut waits).is_pending(),
            "one that gave up leaves the second in its place"
        );
        let begun = tokio::time::Instant::now();
        waits.await;
        assert_eq!(begun.elapsed(), LONGEST, "those before take too long");
        drop((second, third));
        assert!(places.0.lock().is_empty());
    }
}
