//! Places of messages in their chats while they are made ready: a page is asked for a preview, a file is encrypted, and the next
//! message of the chat, which needs nothing, would overtake.

use std::{collections::HashMap, sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio::{sync::OwnedMutexGuard, time::timeout};
use wharf_domain::{ConnectionKey, Recipient};

/// How long a message waits for those before it: as long as a preview may take. Behind a file that takes longer it would come too
/// late for whoever waits for it.
const LONGEST: Duration = Duration::from_secs(5);

/// The chats of a number, each as messages name it.
type Chat = (ConnectionKey, Recipient);
type Line = Arc<tokio::sync::Mutex<()>>;

/// The chats in which messages are being made ready.
#[derive(Debug, Default)]
pub(crate) struct Places(Mutex<HashMap<Chat, Line>>);

/// A message's place in its chat, until it is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    places: Arc<Places>,
    chat: Chat,
    line: Option<Line>,
    /// What comes behind waits for it. There is none when those before took too long.
    turn: Option<OwnedMutexGuard<()>>,
}

impl Places {
    /// Waits for the messages of a chat that came before.
    pub(crate) async fn take(self: &Arc<Self>, number: ConnectionKey, to: Recipient) -> Place {
        let chat = (number, to);
        let line = Arc::clone(self.0.lock().entry(chat.clone()).or_default());
        // Before the waiting: whoever gives that up leaves nothing behind.
        let mut place = Place {
            places: Arc::clone(self),
            chat,
            line: Some(Arc::clone(&line)),
            turn: None,
        };
        place.turn = timeout(LONGEST, line.lock_owned()).await.ok();
        place
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut lines = self.places.0.lock();
        (self.turn, self.line) = (None, None);
        if lines.get(&self.chat).is_some_and(|line| Arc::strong_count(line) == 1) {
            lines.remove(&self.chat);
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::poll;
    use wharf_domain::ClientId;

    use super::*;

    fn chat(to: &str) -> Chat {
        let number = ConnectionKey::new(ClientId(1), "5511999999999".parse().unwrap());
        (number, to.parse().unwrap())
    }

    #[tokio::test(start_paused = true)]
    async fn those_of_one_chat_wait_for_each_other_and_not_for_ever() {
        let places = Arc::new(Places::default());
        let take = |to: &str| {
            let (number, to) = chat(to);
            places.take(number, to)
        };
        let first = take("5511888888888").await;
        let mut second = Box::pin(take("5511888888888"));
        assert!(poll!(&mut second).is_pending());
        assert!(take("5511777777777").await.turn.is_some(), "another chat");
        let mut gave_up = Box::pin(take("5511888888888"));
        assert!(poll!(&mut gave_up).is_pending());
        drop((gave_up, first));
        let second = second.await;
        assert!(second.turn.is_some());
        let third = take("5511888888888").await;
        assert!(third.turn.is_none(), "those before take too long");
        drop((second, third));
        assert!(places.0.lock().is_empty());
    }
}
