//! Who gets the next slot for an attempt when there are fewer than are wanted.
//!
//! Slots are shared out between clients by what they hold, not by who came first: the next one goes to the client that
//! holds the fewest for its weight, and among equals to the one that was served longest ago. A client with thousands
//! of attempts waiting delays another by the one slot that is about to become free.
//!
//! Within a client, and in all, attempts at receivers that are *in doubt* (silent of late) get half of the slots at the
//! most: a dead receiver keeps a slot for the whole deadline, and a hundred of them would otherwise keep all. Receivers
//! that answer find the other half. When nothing waits the limits are only the caps. Of what waits of a client, receivers that
//! answer go first, but not for ever: one in doubt that is never attempted has no way out of it.

use std::collections::{HashMap, VecDeque};

use crate::ClientId;

/// Of a client that has both waiting, slots that go to receivers that answer for each one that goes to a receiver in doubt.
const SOUND_IN_A_ROW: u32 = 7;

/// How many slots there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Caps {
    /// In all.
    pub total: usize,
    /// Of one client.
    pub per_client: usize,
}

/// What is known of the receiver that an attempt goes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It answers.
    Sound,
    /// It has been silent.
    Doubtful,
}

/// A slot that was given out; to be given back with [`Fair::release`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slot {
    /// Whose attempt it is for.
    pub client: ClientId,
    /// As what it was asked for.
    pub standing: Standing,
}

/// Slots held, of each standing.
#[derive(Debug, Clone, Copy, Default)]
struct Held {
    all: usize,
    doubtful: usize,
}

impl Held {
    fn has_room(self, cap: usize, standing: Standing) -> bool {
        self.all < cap && (standing == Standing::Sound || self.doubtful < doubtful_cap(cap))
    }

    fn take(&mut self, standing: Standing) {
        self.all += 1;
        self.doubtful += usize::from(standing == Standing::Doubtful);
    }

    fn give_back(&mut self, standing: Standing) {
        self.all = self.all.saturating_sub(1);
        self.doubtful = self
            .doubtful
            .saturating_sub(usize::from(standing == Standing::Doubtful));
    }
}

/// Half, but never none.
fn doubtful_cap(cap: usize) -> usize {
    (cap / 2).max(1)
}

#[derive(Debug)]
struct Share<T> {
    weight: u32,
    held: Held,
    sound: VecDeque<T>,
    doubtful: VecDeque<T>,
    /// Slots given to sound ones since one in doubt, that waited, was given the last.
    passed_over: u32,
    /// When it was last served, in grants.
    served: u64,
}

impl<T> Share<T> {
    fn waiting(&mut self, standing: Standing) -> &mut VecDeque<T> {
        match standing {
            Standing::Sound => &mut self.sound,
            Standing::Doubtful => &mut self.doubtful,
        }
    }

    /// Which of its attempts is next, among those that `may` have a slot.
    fn whose_turn(&self, may: impl Fn(Standing) -> bool) -> Option<Standing> {
        let sound = !self.sound.is_empty() && may(Standing::Sound);
        let doubtful = !self.doubtful.is_empty() && may(Standing::Doubtful);
        match (sound, doubtful) {
            (true, true) if self.passed_over >= SOUND_IN_A_ROW => Some(Standing::Doubtful),
            (true, _) => Some(Standing::Sound),
            (false, true) => Some(Standing::Doubtful),
            (false, false) => None,
        }
    }

    fn note_served(&mut self, standing: Standing) {
        self.passed_over = match standing {
            Standing::Sound if !self.doubtful.is_empty() => self.passed_over.saturating_add(1),
            _ => 0,
        };
    }
}

/// The slots of a process. `T` stands for whoever waits.
#[derive(Debug)]
pub struct Fair<T> {
    caps: Caps,
    held: Held,
    weights: HashMap<ClientId, u32>,
    /// Clients that hold a slot or wait for one.
    shares: HashMap<ClientId, Share<T>>,
    waiting: usize,
    grants: u64,
}

impl<T> Fair<T> {
    /// With these caps; a client that `weights` does not name has weight 1.
    pub fn new(caps: Caps, weights: HashMap<ClientId, u32>) -> Self {
        Self {
            caps,
            held: Held::default(),
            weights,
            shares: HashMap::new(),
            waiting: 0,
            grants: 0,
        }
    }

    /// Slots that are held.
    pub fn held(&self) -> usize {
        self.held.all
    }

    /// How many wait for one.
    pub fn waiting(&self) -> usize {
        self.waiting
    }

    /// A slot at once, if one is free that this client may have. What waits already has been offered every free slot,
    /// so nobody is overtaken.
    pub fn take(&mut self, client: ClientId, standing: Standing) -> Option<Slot> {
        if !self.held.has_room(self.caps.total, standing) {
            return None;
        }
        let per_client = self.caps.per_client;
        let share = self.share(client);
        if !share.held.has_room(per_client, standing) {
            return None;
        }
        Some(self.grant(client, standing))
    }

    /// Waits for a slot; the ticket comes back from [`Fair::next_granted`].
    pub fn wait(&mut self, client: ClientId, standing: Standing, ticket: T) {
        self.share(client).waiting(standing).push_back(ticket);
        self.waiting += 1;
    }

    /// Takes a slot back. Follow with [`Fair::next_granted`].
    pub fn release(&mut self, slot: Slot) {
        self.held.give_back(slot.standing);
        if let Some(share) = self.shares.get_mut(&slot.client) {
            share.held.give_back(slot.standing);
            if share.held.all == 0 && share.sound.is_empty() && share.doubtful.is_empty() {
                self.shares.remove(&slot.client);
            }
        }
    }

    /// Gives the next slot to whose turn it is; `None` when no slot is free or nobody waits who may have one. Call
    /// it until then.
    pub fn next_granted(&mut self) -> Option<(T, Slot)> {
        if self.waiting == 0 {
            return None;
        }
        let (client, standing) = self.whose_turn()?;
        let share = self.share(client);
        let ticket = share.waiting(standing).pop_front()?;
        share.note_served(standing);
        self.waiting -= 1;
        Some((ticket, self.grant(client, standing)))
    }

    /// Costs the clients that hold or want slots, and only while some attempt waits.
    fn whose_turn(&self) -> Option<(ClientId, Standing)> {
        let choices = self.shares.iter().filter_map(|(client, share)| {
            let may = |standing| {
                self.held.has_room(self.caps.total, standing) && share.held.has_room(self.caps.per_client, standing)
            };
            Some((client, share, share.whose_turn(may)?))
        });
        let first = choices.min_by(|(_, left, _), (_, right, _)| {
            // held / weight, without the division.
            let (left_load, right_load) = (
                left.held.all as u64 * u64::from(right.weight),
                right.held.all as u64 * u64::from(left.weight),
            );
            left_load.cmp(&right_load).then(left.served.cmp(&right.served))
        });
        first.map(|(client, _, standing)| (*client, standing))
    }

    fn share(&mut self, client: ClientId) -> &mut Share<T> {
        let weight = self.weights.get(&client).copied().unwrap_or(1).max(1);
        self.shares.entry(client).or_insert_with(|| Share {
            weight,
            held: Held::default(),
            sound: VecDeque::new(),
            doubtful: VecDeque::new(),
            passed_over: 0,
            served: 0,
        })
    }

    fn grant(&mut self, client: ClientId, standing: Standing) -> Slot {
        self.grants += 1;
        self.held.take(standing);
        let grants = self.grants;
        let share = self.share(client);
        share.held.take(standing);
        share.served = grants;
        Slot { client, standing }
    }
}

#[cfg(test)]
mod tests;
