//! Turns for opening links: so many a second at the most, whether sessions start together with the program, lost their links
//! together, or are made and deleted in a loop. No start, no outage and no client is a stampede on WhatsApp, on the disk or on
//! the processor.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};

use parking_lot::Mutex;
use wharf_domain::{ClientId, Timestamp};

use crate::clock;

/// Turns are counted by such slices, so that a thousand of them are looked through in a moment.
const SLICE: Duration = Duration::from_millis(200);
/// A turn that is asked for further ahead counts for nobody: whoever sits out a ban, for hours or days, does not crowd now. The
/// longest pause of links that fail is 40 s.
const NEAR: Duration = Duration::from_secs(60);

/// Gives turns.
///
/// They are given ahead, so a client with thousands of numbers whose links fail over and over would have all of the next
/// minutes. Of each slice of time a fifth is kept for clients that wait for few.
#[derive(Debug)]
pub(crate) struct Pacer {
    per_slice: u32,
    slice: Duration,
    /// Turns ahead from which on a client waits for many: what is kept for the others of a second.
    many: u32,
    given: Arc<Mutex<Given>>,
}

/// A turn for opening one link, for whoever opens it to keep: dropped before its slice of time has come, it is given back.
/// After that it counts as used.
#[derive(Debug)]
#[must_use = "a turn that is dropped before it comes is given back"]
pub(crate) struct Turn {
    given: Arc<Mutex<Given>>,
    /// Its slice and its place in that.
    at: (i64, u32),
    /// When its slice begins.
    begins: Timestamp,
    wait: Duration,
}

impl Turn {
    /// How long it was away when it was taken.
    pub(crate) fn wait(&self) -> Duration {
        self.wait
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        // One of the slice that runs may have been used: given to another it would let out more links than there are turns.
        if self.begins > clock::steady() {
            self.given.lock().give_back(self.at);
        }
    }
}

/// Turns given, of which the time is not over.
#[derive(Debug, Default)]
struct Given {
    /// For whom they count, by slices of time and places in them.
    slices: BTreeMap<i64, BTreeMap<u32, Option<ClientId>>>,
    /// How many count for each client.
    of_client: HashMap<ClientId, u32>,
}

impl Given {
    /// Forgets the slices before this one.
    fn forget_before(&mut self, slice: i64) {
        let rest = self.slices.split_off(&slice);
        for client in std::mem::replace(&mut self.slices, rest)
            .into_values()
            .flat_map(BTreeMap::into_values)
            .flatten()
        {
            self.discount(client);
        }
    }

    /// Takes the first turn from this slice on, in a slice with fewer than `most`; answers the slice and the place in it.
    fn take(&mut self, client: Option<ClientId>, from: i64, most: u32) -> (i64, u32) {
        let mut slice = from;
        for (&next, turns) in self.slices.range(from..) {
            if next > slice || turns.len() < most as usize {
                break;
            }
            slice += 1;
        }
        let turns = self.slices.entry(slice).or_default();
        // What was given back leaves gaps.
        let place = (0..).zip(turns.keys()).take_while(|(place, taken)| place == *taken);
        let place = u32::try_from(place.count()).unwrap_or(u32::MAX);
        turns.insert(place, client);
        if let Some(client) = client {
            *self.of_client.entry(client).or_default() += 1;
        }
        (slice, place)
    }

    fn give_back(&mut self, (slice, place): (i64, u32)) {
        let Some(turns) = self.slices.get_mut(&slice) else {
            return;
        };
        let given_back = turns.remove(&place);
        if turns.is_empty() {
            self.slices.remove(&slice);
        }
        if let Some(client) = given_back.flatten() {
            self.discount(client);
        }
    }

    fn discount(&mut self, client: ClientId) {
        if let Some(count) = self.of_client.get_mut(&client) {
            *count -= 1;
            if *count == 0 {
                self.of_client.remove(&client);
            }
        }
    }
}

impl Pacer {
    pub(crate) fn new(per_second: u32) -> Self {
        let per_second = per_second.max(1);
        // Slices of at least one turn each.
        let slice = SLICE.max(Duration::from_secs(1) / per_second);
        let per_slice = (slice.as_secs_f64() * f64::from(per_second)).round().max(1.0);
        Self {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "a small positive number"
            )]
            per_slice: per_slice as u32,
            slice,
            many: kept(per_second),
            given: Arc::default(),
        }
    }

    /// The next free turn for a client that is not earlier than `after` from now.
    pub(crate) fn turn(&self, client: ClientId, after: Duration) -> Turn {
        // Not the wall's: put back by hours, it would let no session start for as long.
        self.turn_at(clock::steady(), client, after)
    }

    /// After how long each of so many turns has come at the latest, whoever waits for them.
    pub(crate) fn longest(&self, turns: usize) -> Duration {
        let slices = turns.div_ceil(self.most_of_many() as usize);
        self.slice * u32::try_from(slices).unwrap_or(u32::MAX)
    }

    /// How many turns of a slice a client may have that waits for many.
    fn most_of_many(&self) -> u32 {
        // A slice of one turn has none to keep.
        match self.per_slice {
            1 => 1,
            turns => turns - kept(turns),
        }
    }

    fn turn_at(&self, now: Timestamp, client: ClientId, after: Duration) -> Turn {
        let slice = i64::try_from(self.slice.as_millis()).unwrap_or(i64::MAX);
        let mut given = self.given.lock();
        given.forget_before(now.0.div_euclid(slice));
        let waits_for_many = given.of_client.get(&client).is_some_and(|count| *count >= self.many);
        let most = if waits_for_many {
            self.most_of_many()
        } else {
            self.per_slice
        };
        let earliest = now + after;
        let counts_for = (after <= NEAR).then_some(client);
        let (index, place) = given.take(counts_for, earliest.0.div_euclid(slice), most);
        let begins = Timestamp(index.saturating_mul(slice));
        let turn = begins + self.slice * place / self.per_slice;
        Turn {
            given: Arc::clone(&self.given),
            at: (index, place),
            begins,
            wait: turn.max(earliest).since(now),
        }
    }
}

/// Of so many turns, those that are kept for clients that wait for few.
fn kept(turns: u32) -> u32 {
    turns.div_ceil(5)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_762_352_580_050);
    /// A client with many numbers.
    const MANY: ClientId = ClientId(1);

    /// Takes a turn that is used when it comes; how long it is away.
    fn used(pacer: &Pacer, now: Timestamp, client: ClientId, after: Duration) -> Duration {
        let turn = pacer.turn_at(now, client, after);
        let wait = turn.wait();
        std::mem::forget(turn);
        wait
    }

    /// The most turns within any second, and when the last one is.
    fn spread(turns: impl IntoIterator<Item = Duration>) -> (usize, Duration) {
        let mut turns: Vec<Duration> = turns.into_iter().collect();
        turns.sort();
        let second = Duration::from_secs(1);
        let most = turns.iter().map(|&from| {
            let within = turns.iter().filter(|&&turn| turn >= from && turn < from + second);
            within.count()
        });
        (most.max().unwrap(), *turns.last().unwrap())
    }

    #[test]
    fn many_turns_are_spread_evenly() {
        for (per_second, slack) in [(1, 1), (3, 1), (20, 4), (50, 10), (1000, 200)] {
            let pacer = Pacer::new(per_second);
            let numbers = 0..i64::from(per_second) * 20;
            let (most, last) = spread(numbers.map(|n| used(&pacer, NOW, ClientId(n % 100), Duration::ZERO)));
            // A slice that has begun and one that has not may meet in a second.
            assert!(most <= per_second as usize + slack, "{most} of {per_second}");
            let seconds = last.as_secs_f64();
            assert!((18.5..21.5).contains(&seconds), "{seconds} at {per_second}");
        }
    }

    #[test]
    fn turns_that_are_due_at_different_times_fill_the_gaps_and_none_is_early() {
        let pacer = Pacer::new(50);
        let pauses = (0..1000).map(|n| Duration::from_millis(500 + n % 500));
        let turns: Vec<_> = pauses.map(|pause| (pause, used(&pacer, NOW, MANY, pause))).collect();
        assert!(turns.iter().all(|(pause, turn)| turn >= pause));
        let (most, last) = spread(turns.into_iter().map(|(_, turn)| turn));
        assert!(most <= 60, "{most}");
        // A client that is alone gets four fifths.
        assert!(last < Duration::from_secs(27), "{last:?}");
        // One that comes later still finds the time before them.
        assert!(used(&pacer, NOW, MANY, Duration::ZERO) < Duration::from_millis(500));
        // What is over is forgotten.
        let later = NOW + Duration::from_secs(60);
        assert_eq!(used(&pacer, later, MANY, Duration::ZERO), Duration::ZERO);
        let given = pacer.given.lock();
        assert_eq!((given.slices.len(), given.of_client[&MANY]), (1, 1));
    }

    #[test]
    fn a_client_with_thousands_of_links_does_not_have_the_minutes_ahead() {
        let pacer = Pacer::new(50);
        let turns = |count: usize, client| -> Vec<Duration> {
            (0..count)
                .map(|_| used(&pacer, NOW, ClientId(client), Duration::ZERO))
                .collect()
        };
        let mut hogs = turns(2000, 1);
        hogs.extend(turns(2000, 2));
        let few = turns(10, 3);
        assert!(few.iter().all(|turn| *turn < Duration::from_secs(3)), "{few:?}");
        let (most, last) = spread(hogs);
        assert!(most <= 60 && last < Duration::from_secs(110), "{most} {last:?}");
    }

    #[test]
    fn whoever_sits_out_bans_waits_for_few() {
        let pacer = Pacer::new(50);
        for _ in 0..100 {
            used(&pacer, NOW, ClientId(3), Duration::from_hours(6));
        }
        for _ in 0..2000 {
            used(&pacer, NOW, MANY, Duration::ZERO);
        }
        let back = used(&pacer, NOW, ClientId(3), Duration::ZERO);
        assert!(back < Duration::from_secs(3), "{back:?}");
    }

    #[test]
    fn no_turn_is_later_than_the_longest() {
        for per_second in [1, 3, 7, 12, 50, 1000] {
            // Whoever asks last waits for others' turns, too.
            for clients in [1, 2, 50] {
                let pacer = Pacer::new(per_second);
                for turns in 1..500 {
                    let client = ClientId(i64::try_from(turns).unwrap() % clients);
                    let wait = used(&pacer, NOW, client, Duration::ZERO);
                    let longest = pacer.longest(turns);
                    assert!(
                        wait <= longest,
                        "{wait:?} > {longest:?}: {turns} of {clients} at {per_second}"
                    );
                }
            }
        }
    }

    #[test]
    fn what_is_given_back_is_free_for_others() {
        let pacer = Pacer::new(50);
        for _ in 0..20_000 {
            drop(pacer.turn(MANY, Duration::ZERO));
        }
        let few: Vec<Turn> = (0..50).map(|_| pacer.turn(ClientId(2), Duration::ZERO)).collect();
        assert!(few.iter().all(|turn| turn.wait() < Duration::from_secs(3)), "{few:?}");
        assert!(pacer.given.lock().slices.len() < 20);
    }

    #[test]
    fn a_gap_is_filled_and_a_turn_that_came_counts_as_used() {
        let (pacer, now) = (Pacer::new(50), clock::steady());
        let later = || pacer.turn_at(now, MANY, Duration::from_secs(60));
        let mut turns: Vec<Turn> = (0..8).map(|_| later()).collect();
        let gap = turns.remove(3).at;
        assert_eq!(later().at, gap);
        assert_eq!(pacer.given.lock().of_client[&MANY], 7);
        // Whoever opens links and gives their turns back opens no more of them.
        let first = pacer.turn_at(now, MANY, Duration::ZERO).at;
        assert_ne!(pacer.turn_at(now, MANY, Duration::ZERO).at, first);
    }
}
