//! Whose presence WhatsApp tells: of those only to whom a device has subscribed, and only while the account shows itself
//! online. So this is done where somebody wants to know, for those who wrote lately.

use std::{collections::VecDeque, sync::Arc};

use parking_lot::Mutex;
use whatsapp_rust::Client;
use whatsapp_rust::wacore_binary::Jid;

use super::{convert::bare, online, runtime::LinkRuntime};

/// Subscriptions at a time; one more, and the oldest ends.
const MOST: usize = 128;

/// See the module. One for each link: subscriptions end with it.
#[derive(Default)]
pub(crate) struct Follow(Mutex<VecDeque<Jid>>);

/// What has to be done to follow somebody else.
#[derive(Debug, PartialEq, Eq)]
struct Change {
    begin: Jid,
    end: Option<Jid>,
    /// Nobody was followed before.
    first: bool,
}

impl Follow {
    /// Follows the one on the other side of a chat. `shown_online`: whether the account is to be seen online, as its client said
    /// last.
    pub(crate) fn follow(&self, client: &Arc<Client>, runtime: &LinkRuntime, chat: &Jid, shown_online: Option<bool>) {
        let Some(change) = self.note(&bare(chat)) else { return };
        let shows = change.first && online::stays(shown_online, true);
        let client = Arc::downgrade(client);
        drop(runtime.start(async move {
            let Some(client) = client.upgrade() else { return };
            let presence = client.presence();
            let mut done = Ok(());
            if shows {
                done = presence.set_available().await;
            }
            if let Some(end) = &change.end {
                done = done.and(presence.unsubscribe(end).await);
            }
            done = done.and(presence.subscribe(change.begin).await);
            if let Err(error) = done {
                tracing::debug!(%error, "somebody's presence may not be told");
            }
        }));
    }

    /// Whether somebody is followed.
    pub(crate) fn is_used(&self) -> bool {
        let followed = self.0.lock();
        !followed.is_empty()
    }

    /// Nobody's presence is wanted any more; whether somebody's was. What was subscribed to ends with the link.
    pub(crate) fn end(&self) -> bool {
        let mut followed = self.0.lock();
        !std::mem::take(&mut *followed).is_empty()
    }

    fn note(&self, who: &Jid) -> Option<Change> {
        let mut followed = self.0.lock();
        if let Some(place) = followed.iter().position(|known| known == who) {
            // Whoever wrote last is kept longest.
            let known = followed.remove(place)?;
            followed.push_back(known);
            return None;
        }
        let first = followed.is_empty();
        let end = if followed.len() >= MOST {
            followed.pop_front()
        } else {
            None
        };
        followed.push_back(who.clone());
        Some(Change {
            begin: who.clone(),
            end,
            first,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_who_wrote_last_are_followed() {
        let follow = Follow::default();
        assert!(!follow.is_used());
        let who = |n: usize| Jid::pn(format!("{n}"));
        let change = |begin, end, first| {
            Some(Change {
                begin: who(begin),
                end: Option::map(end, who),
                first,
            })
        };
        assert_eq!(follow.note(&who(0)), change(0, None, true));
        assert!(follow.is_used());
        for n in 1..MOST {
            assert_eq!(follow.note(&who(n)), change(n, None, false));
        }
        assert_eq!(follow.note(&who(0)), None, "is followed");
        assert_eq!(follow.note(&who(MOST)), change(MOST, Some(1), false));
        assert_eq!(follow.note(&who(1)), change(1, Some(2), false));
        assert!(follow.end() && !follow.end());
        assert_eq!(follow.note(&who(1)), change(1, None, true), "as at first");
    }
}
