//! The law of liveness: what may go, does go. After every step either it has started, or the outbox asks to be woken when
//! the next of it can start, or it waits for something that is under way and ends.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

/// Names of chats: more than may be under way.
const NAMES: usize = 24;
/// As in the outbox.
const PAUSE_MS: i64 = 1000;

#[derive(Debug, Clone)]
enum Act {
    /// Names, and how long it may wait.
    Accept([usize; 2], i64),
    /// The same of a message from before a restart, however many wait.
    Restore([usize; 2], i64),
    /// What of the message at a place is changed, and how.
    Hold(usize, bool),
    Lack(usize, bool),
    /// It is typed first, for so long.
    Type(usize, i64),
    Finish(usize),
    /// What waits has failed before its turn: its row was not written, or its file cannot be sent.
    Drop(usize),
    /// Something is said once more of a message that is gone.
    Stale(usize),
    Return(usize),
    Pass(i64),
    Jump(i64),
    Link(bool),
    Pace(u32, u32),
}

fn act() -> impl Strategy<Value = Act> {
    let names = prop_oneof![
        (0..NAMES).prop_map(|name| [name, name]),
        [0..4_usize, 0..4_usize],
        [0..NAMES, 0..NAMES],
    ];
    prop_oneof![
        8 => (names, 0..60_000_i64).prop_map(|(names, wait)| Act::Accept(names, wait)),
        1 => (names_of_few(), 0..60_000_i64).prop_map(|(names, wait)| Act::Restore(names, wait)),
        2 => (0..16_usize, any::<bool>()).prop_map(|(at, is)| Act::Hold(at, is)),
        2 => (0..16_usize, any::<bool>()).prop_map(|(at, is)| Act::Lack(at, is)),
        2 => (0..16_usize, 1..20_000_i64).prop_map(|(at, ms)| Act::Type(at, ms)),
        4 => (0..16_usize).prop_map(Act::Finish),
        2 => (0..16_usize).prop_map(Act::Return),
        1 => (0..16_usize).prop_map(Act::Drop),
        1 => (0..16_usize).prop_map(Act::Stale),
        4 => prop_oneof![0..10_i64, 0..3000_i64].prop_map(Act::Pass),
        1 => (-5_000_000..5_000_000_i64).prop_map(Act::Jump),
        1 => any::<bool>().prop_map(Act::Link),
        1 => pace().prop_map(|(per_second, burst)| Act::Pace(per_second, burst)),
    ]
}

fn names_of_few() -> impl Strategy<Value = [usize; 2]> {
    [0..NAMES, 0..4_usize]
}

fn pace() -> impl Strategy<Value = (u32, u32)> {
    let per_second = prop_oneof![Just(0), Just(1), Just(3), Just(1000), 1..50_u32];
    (per_second, prop_oneof![Just(1), 1..40_u32])
}

#[derive(Debug)]
struct Message {
    names: [usize; 2],
    held: bool,
    lacks_file: bool,
    running: bool,
    /// How long it will be typed, and until when it is.
    types: Option<i64>,
    typed: Option<i64>,
}

/// What is known without asking the outbox.
struct Model {
    outbox: Outbox,
    pacing: Pacing,
    now: i64,
    connected: bool,
    messages: BTreeMap<Ticket, Message>,
    gone: Vec<Ticket>,
    paused_until: i64,
    /// Thousandths of tokens at a time; `None` after the clock was set, until it is known again.
    tokens: Option<(u64, i64)>,
}

impl Model {
    fn new((per_second, burst): (u32, u32)) -> Self {
        let pacing = Pacing {
            per_second,
            burst,
            queue_max: 40,
            ..PACING
        };
        Self {
            outbox: Outbox::new(pacing, at(0)),
            pacing,
            now: 0,
            connected: true,
            messages: BTreeMap::new(),
            gone: Vec::new(),
            paused_until: 0,
            tokens: Some((1000, 0)),
        }
    }

    fn nth(&self, place: usize, of: impl Fn(&Message) -> bool) -> Option<Ticket> {
        let mut tickets = self.messages.iter().filter(|(_, message)| of(message));
        tickets.nth(place).map(|(ticket, _)| *ticket)
    }

    fn change(&mut self, ticket: Ticket, change: impl FnOnce(&mut Message)) {
        self.messages.get_mut(&ticket).map(change);
    }

    fn take_in(&mut self, names: [usize; 2], wait: i64) {
        let named = names.map(|name| format!("chat {name}"));
        let named = named.each_ref().map(String::as_str);
        let ticket = self.outbox.take_in(&named, at(self.now + wait));
        self.took(ticket, names);
    }

    fn act(&mut self, act: Act) {
        match act {
            Act::Accept(names, wait) => {
                let waiting = self.messages.values().filter(|message| !message.running).count();
                assert_eq!(self.outbox.is_full(), waiting >= self.pacing.queue_max as usize);
                if !self.outbox.is_full() {
                    self.take_in(names, wait);
                }
            }
            Act::Restore(names, wait) => self.take_in(names, wait),
            Act::Hold(place, is) => self.hold(place, is),
            Act::Lack(place, is) => self.lack(place, is),
            Act::Type(place, ms) => {
                if let Some(ticket) = self.nth(place, |message| !message.running && message.typed.is_none()) {
                    self.outbox.types(ticket, Duration::from_millis(ms.unsigned_abs()));
                    self.change(ticket, |message| message.types = Some(ms));
                }
            }
            Act::Finish(place) => {
                let ticket = self.nth(place, |message| message.running);
                self.ends(ticket);
            }
            Act::Drop(place) => {
                let ticket = self.nth(place, |message| !message.running);
                self.ends(ticket);
            }
            Act::Stale(place) => {
                if let Some(ticket) = self.gone.get(place).copied() {
                    self.outbox.finished(ticket);
                    self.outbox.returned(ticket, at(self.now));
                    self.outbox.release(ticket);
                    self.outbox.have_file(ticket);
                }
            }
            Act::Return(place) => {
                if let Some(ticket) = self.nth(place, |message| message.running) {
                    self.outbox.returned(ticket, at(self.now));
                    self.change(ticket, |message| (message.running, message.typed) = (false, None));
                    self.paused_until = self.now + PAUSE_MS;
                    let most = self.most();
                    self.tokens = self.filled().map(|level| ((level + 1000).min(most), self.now));
                }
            }
            Act::Pass(ms) => self.now += ms,
            Act::Jump(ms) => {
                self.now += ms;
                self.paused_until = self.paused_until.min(self.now + PAUSE_MS);
                self.tokens = None;
            }
            Act::Link(up) => self.connected = up,
            Act::Pace(per_second, burst) => {
                let level = self.filled();
                self.pacing = Pacing {
                    per_second,
                    burst,
                    ..self.pacing
                };
                self.outbox.pace(self.pacing, at(self.now));
                let most = self.most();
                self.tokens = level.map(|level| (level.min(most), self.now));
            }
        }
    }

    fn took(&mut self, ticket: Ticket, names: [usize; 2]) {
        let message = Message {
            names,
            held: false,
            lacks_file: false,
            running: false,
            types: None,
            typed: None,
        };
        assert!(self.messages.insert(ticket, message).is_none());
    }

    fn ends(&mut self, ticket: Option<Ticket>) {
        let Some(ticket) = ticket else { return };
        self.outbox.finished(ticket);
        self.messages.remove(&ticket);
        self.gone.insert(0, ticket);
    }

    fn hold(&mut self, place: usize, is: bool) {
        if let Some(ticket) = self.nth(place, |message| !message.running && message.held != is) {
            match is {
                true => self.outbox.hold(ticket),
                false => self.outbox.release(ticket),
            }
            self.change(ticket, |message| message.held = is);
        }
    }

    fn lack(&mut self, place: usize, is: bool) {
        if let Some(ticket) = self.nth(place, |message| !message.running && message.lacks_file != is) {
            match is {
                true => self.outbox.lack_file(ticket),
                false => self.outbox.have_file(ticket),
            }
            self.change(ticket, |message| message.lacks_file = is);
        }
    }

    fn most(&self) -> u64 {
        u64::from(self.pacing.burst) * 1000
    }

    /// Thousandths of tokens by now.
    fn filled(&self) -> Option<u64> {
        let (level, since) = self.tokens?;
        let gained = (self.now - since).unsigned_abs() * u64::from(self.pacing.per_second);
        Some(self.most().min(level + gained))
    }

    fn pump(&mut self) -> Pumped {
        let pumped = self.outbox.pump(at(self.now), self.connected);
        for ticket in &pumped.expired {
            let expired = self.messages.remove(ticket).expect("it was there");
            assert!(!expired.running && !expired.held);
            self.gone.insert(0, *ticket);
        }
        let now = self.now;
        for ticket in &pumped.type_first {
            self.change(*ticket, |message| {
                message.typed = message.types.take().map(|ms| now + ms)
            });
        }
        // Those that were typed have their tokens.
        let mut taken = pumped.type_first.len() as u64 * 1000;
        for ticket in &pumped.start {
            let message = self.messages.get_mut(ticket).expect("it was there");
            assert!(message.types.is_none() && message.typed.is_none_or(|over| over <= now));
            message.running = true;
            taken += if message.typed.is_none() { 1000 } else { 0 };
        }
        if self.pacing.per_second > 0 {
            self.tokens = self
                .filled()
                .map(|level| (level.checked_sub(taken).expect("faster than it may"), self.now));
        }
        self.check(&pumped);
        pumped
    }

    /// Messages that nothing is in the way of but the pace, a pause, the number of those under way, and the time that they are typed.
    fn free(&self) -> impl Iterator<Item = &Message> {
        let free = |(ticket, message): &(&Ticket, &Message)| {
            let mut earlier = self.messages.range(..*ticket).map(|(_, earlier)| earlier);
            let mut running = self.messages.values().filter(|other| other.running);
            let shares = |other: &Message| other.names.iter().any(|name| message.names.contains(name));
            !message.running && !message.held && !message.lacks_file && !earlier.any(shares) && !running.any(shares)
        };
        self.messages.iter().filter(free).map(|(_, message)| message)
    }

    fn check(&self, pumped: &Pumped) {
        let running = self.messages.values().filter(|message| message.running).count();
        assert!(running <= UNDER_WAY);
        if !self.connected || running == UNDER_WAY {
            return;
        }
        if let Some(over) = self.free().filter_map(|message| message.typed).min()
            && self.now >= self.paused_until
        {
            assert!(over > self.now, "it was typed, and does not go");
            assert!(
                pumped.wake_at.is_some_and(|wake| wake.0 <= over),
                "asleep while it goes"
            );
        }
        if self.free().all(|message| message.typed.is_some()) {
            return;
        }
        let wake = pumped.wake_at.expect("something may go, and nobody asks when").0;
        let per_second = i64::from(self.pacing.per_second);
        let token_takes = if per_second > 0 { 1000 / per_second + 1 } else { 0 };
        assert!(wake > self.now, "a timer that fires at once");
        assert!(wake <= self.now + token_takes.max(PAUSE_MS), "asleep until {wake}");
        if self.now < self.paused_until {
            assert!(wake <= self.paused_until, "asleep until {wake}, after the pause");
        } else if let Some(level) = self.filled() {
            assert!(per_second > 0 && level < 1000, "it may go at once");
            let missing = i64::try_from((1000 - level).div_ceil(u64::from(self.pacing.per_second))).unwrap();
            assert!(wake <= self.now + missing, "asleep until {wake}, with a token there");
        }
    }

    /// Nothing is in the way any more, and what is under way ends: all of it goes, or is told to have waited too long.
    fn drain(&mut self) {
        self.connected = true;
        while self.nth(0, |message| message.held).is_some() {
            self.hold(0, false);
        }
        while self.nth(0, |message| message.lacks_file).is_some() {
            self.lack(0, false);
        }
        for _ in 0..1000 {
            let pumped = self.pump();
            if self.messages.is_empty() {
                return;
            }
            match self.nth(0, |message| message.running) {
                Some(_) => self.act(Act::Finish(0)),
                None => self.now = pumped.wake_at.expect("it waits for nothing").0,
            }
        }
        panic!("left lying: {:?}", self.messages);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(
        std::env::var("OUTBOX_WORLDS").ok().and_then(|text| text.parse().ok()).unwrap_or(256)
    ) })]

    /// `OUTBOX_WORLDS=n` runs that many.
    #[test]
    fn what_may_go_does_go(pace in pace(), acts in prop::collection::vec(act(), 0..200)) {
        let mut model = Model::new(pace);
        for act in acts {
            model.act(act);
            model.pump();
        }
        model.drain();
    }
}
