//! Who gets the next slot for an attempt when there are fewer than are wanted.
//!
//! Slots are shared out between clients by what they hold, not by who came first: the next one goes to the client that
//! holds the fewest for its weight, and among equals to the one that was served longest ago. A client with thousands
//! of attempts waiting delays another by the one slot that is about to become free. Within a client its receivers have them by
//! turns.
//!
//! A dead receiver keeps a slot for the whole deadline, and a hundred of them would keep all. So, within a client and in all,
//! attempts at receivers that are *in doubt* (silent of late) get half of the slots at the most, those at receivers of which
//! *nothing is known* yet half of them too, and both together three quarters: receivers that answer always find the last one.
//! When nothing waits the limits are only the caps. Of what waits of a client, receivers that answer go first, then those
//! that may, but not for ever: one in doubt that is never attempted has no way out of it.

use std::collections::{HashMap, VecDeque};

use crate::{ClientId, WebhookId};

/// Slots that others of its client get in a row while attempts of one standing wait.
const IN_A_ROW: u32 = 7;

/// How many slots there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Caps {
    /// In all.
    pub total: usize,
    /// Of one client.
    pub per_client: usize,
}

/// What is known of the receiver that an attempt goes to, the better first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Standing {
    /// It answers.
    Sound,
    /// Nothing.
    Untried,
    /// It has been silent.
    Doubtful,
}

impl Standing {
    const ALL: [Self; 3] = [Self::Sound, Self::Untried, Self::Doubtful];
}

/// Something of each standing.
type OfEach<T> = [T; Standing::ALL.len()];

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
struct Held(OfEach<usize>);

impl Held {
    fn all(self) -> usize {
        self.0.iter().sum()
    }

    fn has_room(self, cap: usize, standing: Standing) -> bool {
        let [sound, untried, doubtful] = self.0;
        // Never none.
        let part = |quarters: usize| (cap * quarters / 4).max(1);
        sound + untried + doubtful < cap
            && (standing == Standing::Sound || self.0[standing as usize] < part(2) && untried + doubtful < part(3))
    }

    fn take(&mut self, standing: Standing) {
        self.0[standing as usize] += 1;
    }

    fn give_back(&mut self, standing: Standing) {
        let held = &mut self.0[standing as usize];
        *held = held.saturating_sub(1);
    }
}

/// What waits as of one standing: receivers by turns, the attempts at each in their order.
#[derive(Debug)]
struct Lane<T> {
    turns: VecDeque<Option<WebhookId>>,
    waiting: HashMap<Option<WebhookId>, VecDeque<T>>,
    /// Slots that others of the client were given since this lane, which waited, was given the last.
    passed_over: u32,
}

impl<T> Default for Lane<T> {
    fn default() -> Self {
        Self {
            turns: VecDeque::new(),
            waiting: HashMap::new(),
            passed_over: 0,
        }
    }
}

impl<T> Lane<T> {
    fn is_empty(&self) -> bool {
        self.turns.is_empty()
    }

    fn push(&mut self, receiver: Option<WebhookId>, ticket: T) {
        let waiting = self.waiting.entry(receiver).or_default();
        if waiting.is_empty() {
            self.turns.push_back(receiver);
        }
        waiting.push_back(ticket);
    }

    fn pop(&mut self) -> Option<T> {
        let receiver = self.turns.pop_front()?;
        let waiting = self.waiting.get_mut(&receiver)?;
        let ticket = waiting.pop_front();
        if waiting.is_empty() {
            self.waiting.remove(&receiver);
        } else {
            self.turns.push_back(receiver);
        }
        ticket
    }

    /// The first `most` attempts at this receiver, out of the queue.
    fn take_out(&mut self, receiver: Option<WebhookId>, most: usize) -> VecDeque<T> {
        let Some(waiting) = self.waiting.get_mut(&receiver) else {
            return VecDeque::new();
        };
        let rest = waiting.split_off(most.min(waiting.len()));
        let taken = std::mem::replace(waiting, rest);
        if waiting.is_empty() {
            self.waiting.remove(&receiver);
            self.turns.retain(|turn| *turn != receiver);
        }
        taken
    }
}

#[derive(Debug)]
struct Share<T> {
    weight: u32,
    held: Held,
    lanes: OfEach<Lane<T>>,
    /// When it was last served, in grants.
    served: u64,
}

impl<T> Share<T> {
    fn lane(&mut self, standing: Standing) -> &mut Lane<T> {
        &mut self.lanes[standing as usize]
    }

    fn is_waiting(&self) -> bool {
        self.lanes.iter().any(|lane| !lane.is_empty())
    }

    /// Which of its attempts is next, among those that `may` have a slot.
    fn whose_turn(&self, may: impl Fn(Standing) -> bool) -> Option<Standing> {
        let passed_over = |standing: &Standing| self.lanes[*standing as usize].passed_over;
        let choices = Standing::ALL.into_iter();
        let choices = choices.filter(|standing| !self.lanes[*standing as usize].is_empty() && may(*standing));
        let longest = choices.clone().max_by_key(passed_over);
        let longest = longest.filter(|standing| passed_over(standing) >= IN_A_ROW);
        longest.or_else(|| choices.min())
    }

    fn note_served(&mut self, standing: Standing) {
        for (lane, its) in self.lanes.iter_mut().zip(Standing::ALL) {
            lane.passed_over = match its != standing && !lane.is_empty() {
                true => lane.passed_over.saturating_add(1),
                false => 0,
            };
        }
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
        self.held.all()
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
    pub fn wait(&mut self, client: ClientId, receiver: Option<WebhookId>, standing: Standing, ticket: T) {
        self.share(client).lane(standing).push(receiver, ticket);
        self.waiting += 1;
    }

    /// More is known of a receiver: what waits for it as of a worse standing waits as of this one now. That is all of it if it
    /// answers, and else one attempt, to find out. Follow with [`Fair::next_granted`].
    pub fn reconsider(&mut self, client: ClientId, receiver: WebhookId, standing: Standing) {
        let Some(share) = self.shares.get_mut(&client) else {
            return;
        };
        let most = if standing == Standing::Sound { usize::MAX } else { 1 };
        for worse in Standing::ALL.into_iter().filter(|worse| *worse > standing) {
            for ticket in share.lane(worse).take_out(Some(receiver), most) {
                share.lane(standing).push(Some(receiver), ticket);
            }
        }
    }

    /// Takes a slot back. Follow with [`Fair::next_granted`].
    pub fn release(&mut self, slot: Slot) {
        self.held.give_back(slot.standing);
        if let Some(share) = self.shares.get_mut(&slot.client) {
            share.held.give_back(slot.standing);
            if share.held.all() == 0 && !share.is_waiting() {
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
        let ticket = share.lane(standing).pop()?;
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
                left.held.all() as u64 * u64::from(right.weight),
                right.held.all() as u64 * u64::from(left.weight),
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
            lanes: OfEach::default(),
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
