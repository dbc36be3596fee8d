//! What is held of a webhook's events, and what is left to the store.

use std::sync::Arc;

use super::{Window, entry::State};
use crate::{PendingEvent, Timestamp};

impl Window {
    /// Takes a new or renewed event in, or leaves it to the store. `new_chats` says whether the store has nothing of
    /// chats that are not here. An error names the chat that is not here and was left to the store.
    pub(in crate::delivery) fn admit(
        &mut self,
        event: PendingEvent,
        new_chats: bool,
        now: Timestamp,
    ) -> Result<(), Box<str>> {
        let full = self.len() >= self.most;
        let Some(chat) = self.chats.get_mut(event.chat.as_ref()) else {
            if full || !new_chats {
                return Err(event.chat);
            }
            self.insert(event, now);
            return Ok(());
        };
        let last = chat
            .queue
            .front()
            .into_iter()
            .chain(chat.queue.back())
            .map(|entry| entry.seq)
            .max();
        let within = last.is_some_and(|last| event.seq < last);
        if !within && (full || !chat.complete) {
            chat.complete = false;
            return Ok(());
        }
        // Only a renewed event is within, and those behind it must not overtake it: the last of them makes place for it.
        // Beside one that is being worked on there is always place.
        if full {
            chat.complete = false;
            match chat
                .queue
                .pop_back_if(|last| !last.state.in_progress() && last.seq > event.seq)
            {
                Some(last) => drop(self.by_id.remove(&last.id)),
                None if chat.queue.len() == 1 => {}
                None => return Ok(()),
            }
        }
        self.insert(event, now);
        Ok(())
    }

    /// Adds a chat from the store.
    pub(in crate::delivery) fn load(&mut self, events: Vec<PendingEvent>, complete: bool, now: Timestamp) {
        let Some(chat) = events.first().map(|event| event.chat.clone()) else {
            return;
        };
        for event in events {
            self.insert(event, now);
        }
        if let Some(held) = self.chats.get_mut(chat.as_ref()) {
            held.complete = complete;
        }
    }

    /// Drops every event with which nothing is being done.
    pub(in crate::delivery) fn drop_idle(&mut self) {
        let keys: Vec<_> = self.chats.keys().cloned().collect();
        for key in keys {
            let Some(chat) = self.chats.get_mut(&key) else { continue };
            if chat.queue.front().is_some_and(|front| front.state.in_progress()) {
                for entry in chat.queue.drain(1..) {
                    self.by_id.remove(&entry.id);
                }
            } else {
                self.forget(&key);
            }
        }
    }

    /// Leaves to the store what is far back in its chat until `room` events fit, if that is enough: a few chats that write
    /// much must not keep the others out.
    pub(in crate::delivery) fn thin_out(&mut self, room: usize) {
        if self.len() + room <= self.most {
            return;
        }
        let most = (self.most.saturating_sub(room) / self.chats.len().max(1)).max(1);
        for chat in self.chats.values_mut() {
            // A front that has to go back behind others must find one: then it is left to the store too, see `take_back`.
            let seqs = [0, 1].map(|place| chat.queue.get(place).map(|entry| entry.seq));
            let least = if seqs[0] > seqs[1] { 2 } else { 1 };
            while chat.queue.len() > most.max(least)
                && let Some(last) = chat.queue.pop_back()
            {
                chat.complete = false;
                self.by_id.remove(&last.id);
            }
        }
    }

    /// Drops chats that wait, those due last first, until `room` events fit. Answers how many, and when the first of
    /// them is due.
    pub(in crate::delivery) fn evict_waiting(&mut self, room: usize) -> (usize, Option<Timestamp>) {
        let (mut evicted, mut due_at) = (0, None);
        while self.len() + room > self.most {
            let waits = |key: &Arc<str>| {
                let front = self.chats.get(key).and_then(|chat| chat.queue.front());
                front.is_some_and(|front| matches!(front.state, State::Waiting(_)))
            };
            let Some((at, key)) = self.due.iter().rev().find(|(_, key)| waits(key)).cloned() else {
                break;
            };
            self.forget(&key);
            (evicted, due_at) = (evicted + 1, Some(at));
        }
        (evicted, due_at)
    }
}
