//! What holds of a window between any two steps.

use super::*;

impl Window {
    pub(in super::super) fn check(&self) {
        assert_eq!(
            self.chats.values().map(|chat| chat.queue.len()).sum::<usize>(),
            self.by_id.len()
        );
        assert_eq!(
            self.chats.values().filter(|chat| chat.listed.is_some()).count(),
            self.ready.len() + self.due.len()
        );
        let mut in_progress = 0;
        for (key, chat) in &self.chats {
            let front = chat.queue.front().unwrap_or_else(|| panic!("{key} is empty"));
            let listing = match &front.state {
                State::Ready => chat.listed.filter(|listing| matches!(listing, Listing::Ready(_))),
                State::Waiting(at) | State::Recording { again_at: Some(at), .. } => Some(Listing::Due(*at)),
                _ => None,
            };
            assert_eq!(chat.listed, listing, "{front:?}");
            match listing {
                Some(Listing::Ready(number)) => assert_eq!(self.ready.get(&number), Some(key)),
                Some(Listing::Due(at)) => assert!(self.due.contains(&(at, Arc::clone(key)))),
                None => assert_ne!(front.state, State::Ready),
            }
            in_progress += usize::from(front.state.in_progress());
            assert!(
                chat.queue.iter().skip(1).all(|entry| !entry.state.in_progress()),
                "{chat:?}"
            );
            let sorted_from = usize::from(front.state.in_progress());
            assert!(
                chat.queue.range(sorted_from..).is_sorted_by_key(|entry| entry.seq),
                "{chat:?}"
            );
            for entry in &chat.queue {
                assert!(!entry.is_large(), "{entry:?}");
                assert_eq!(self.by_id.get(&entry.id), Some(key));
                assert_eq!(
                    entry.state == State::Held,
                    self.renewing.contains(&entry.id),
                    "{entry:?}"
                );
            }
        }
        assert_eq!(in_progress, self.in_progress);
        assert!(self.len() <= self.most + self.in_progress, "{} are held", self.len());
    }
}
