//! The world around one machine: the place of the link with its queue of openings and closings, the keys, WhatsApp, the
//! timer and a clock that may be set. Each acts at any time in any order; the laws are checked at every step.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use proptest::{prelude::Rng, test_runner::TestRng};

use super::{super::*, desk::*};

mod acts;
mod laws;

/// What waits for the place of the link; one at a time, in this order.
#[derive(Debug, Clone, Copy)]
enum Job {
    Open {
        run: u64,
        generation: u64,
    },
    Close {
        run: u64,
        generation: u64,
        parting: Parting,
    },
}

/// The device whose keys are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Keys {
    right_number: bool,
}

/// How far an open link has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Opening,
    Scan,
    Paired,
    Connected,
    Ended,
}

#[derive(Debug)]
struct Live {
    run: u64,
    generation: u64,
    stage: Stage,
    /// Since when nothing comes through any more.
    stalled: Option<u64>,
}

/// Who a report comes from; reports of one source stay in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Source {
    Place,
    Link(u64),
    Timer,
    Silence,
}

/// What may happen.
#[derive(Debug, Clone, Copy)]
pub(super) struct Profile {
    /// Links say anything at any time, not only what makes sense.
    pub(super) wild: bool,
    /// The clock is set forward and back.
    pub(super) jumps: bool,
    /// The actor dies and starts from its row.
    pub(super) restarts: bool,
    /// Deletions and shutdowns come while other things happen.
    pub(super) ends: bool,
}

pub(super) struct World {
    rng: TestRng,
    profile: Profile,
    patience: Patience,
    /// Milliseconds that went by, whatever the clock says.
    time: u64,
    now: Timestamp,
    machine: Session,
    /// Starts of the actor.
    run: u64,
    saved: SessionView,
    jobs: VecDeque<Job>,
    live: Option<Live>,
    keys: Option<Keys>,
    /// WhatsApp knows the device of the keys.
    registered: bool,
    timer: Option<(u64, u64)>,
    mail: BTreeMap<Source, VecDeque<SessionEvent>>,
    /// Reports that were taken already, and timers that were replaced.
    stale: Vec<SessionEvent>,
    /// What the machine has open: opened, and not yet reported gone.
    open: Option<u64>,
    /// Whether that one was told to close.
    told: bool,
    deleting: bool,
    stopping: bool,
    pub(super) finished: bool,
    /// It ended with the deletion carried out.
    deleted: bool,
    /// A reason to forget the keys was given to this start of the actor.
    forgettable: bool,
    /// The end of a ban that the machine was told of, by the time that goes by.
    banned: Option<u64>,
    /// Links open and none stalls.
    calm: bool,
    pub(super) links: usize,
}

impl World {
    pub(super) fn new(mut rng: TestRng, profile: Profile, paired: bool) -> Self {
        let jid = paired.then_some(JID);
        let saved = row(ConnectionStatus::Connecting, jid, true);
        let seconds = [[60, 50], [5, 20], [600, 300]][rng.next_u32() as usize % 3];
        let [opening, silence] = seconds.map(Duration::from_secs);
        let mut world = Self {
            rng,
            profile,
            patience: Patience { opening, silence },
            time: 0,
            now: NOW,
            machine: Session::new(NUMBER.parse().unwrap(), saved.clone()),
            run: 0,
            saved,
            jobs: VecDeque::new(),
            live: None,
            keys: paired.then_some(Keys { right_number: true }),
            registered: paired,
            timer: None,
            mail: BTreeMap::new(),
            stale: Vec::new(),
            open: None,
            told: false,
            deleting: false,
            stopping: false,
            finished: false,
            deleted: false,
            forgettable: false,
            banned: None,
            calm: false,
            links: 0,
        };
        world.restart();
        world
    }

    pub(super) fn pick(&mut self, choices: u32) -> u32 {
        self.rng.next_u32() % choices
    }

    fn one_in(&mut self, choices: u32) -> bool {
        self.pick(choices) == 0
    }

    /// The actor dies, if there is one, and starts from what was written last.
    fn restart(&mut self) {
        self.run += 1;
        self.mail.clear();
        self.stale.clear();
        (self.timer, self.open, self.told) = (None, None, false);
        (self.deleting, self.stopping, self.forgettable) = (false, false, false);
        (self.finished, self.deleted) = (false, false);
        let machine = Session::new(NUMBER.parse().unwrap(), self.saved.clone());
        self.machine = machine.with_patience(self.patience);
        let effects = self.machine.start(self.now, 0.0);
        self.carry_out(effects);
        self.check();
    }

    fn post(&mut self, source: Source, event: SessionEvent) {
        self.mail.entry(source).or_default().push_back(event);
    }

    fn step(&mut self, event: SessionEvent) {
        let before = self.machine.view().clone();
        self.note(&event);
        let goes_on = before.wanted && self.passes(&event);
        let jitter = f64::from(self.pick(101)) / 100.0;
        let effects = self.machine.step(self.now, jitter, event.clone());
        let stopping = matches!(event, SessionEvent::Shutdown);
        let saves = effects.iter().filter(|effect| **effect == SessionEffect::Save).count();
        let changed = differs(&before, self.machine.view()) && !stopping;
        assert_eq!(saves, usize::from(changed), "{event:?}");
        assert!(!goes_on || self.machine.view().wanted, "given up: {event:?}");
        self.carry_out(effects);
        self.check();
        if !matches!(
            event,
            SessionEvent::Connect | SessionEvent::Renew | SessionEvent::Disconnect | SessionEvent::Delete
        ) {
            self.stale.push(event);
        }
    }

    fn set_timer(&mut self, wait: Duration, generation: u64) {
        let wait = u64::try_from(wait.as_millis()).unwrap();
        if let Some((_, generation)) = self.timer.replace((self.time.saturating_add(wait), generation)) {
            self.stale.push(SessionEvent::TimerFired { generation });
        }
    }

    fn carry_out(&mut self, effects: Vec<SessionEffect>) {
        let run = self.run;
        for effect in effects {
            assert!(!self.finished, "{effect:?} after the end");
            match effect {
                SessionEffect::OpenLink { generation } => {
                    self.allow_open(generation);
                    self.jobs.push_back(Job::Open { run, generation });
                }
                SessionEffect::CloseLink { generation, parting } => {
                    self.allow_close(generation, parting);
                    self.jobs.push_back(Job::Close {
                        run,
                        generation,
                        parting,
                    });
                }
                SessionEffect::CheckSilence { generation } => {
                    let open = self
                        .live
                        .as_ref()
                        .filter(|live| (live.run, live.generation) == (run, generation));
                    let connected = open.filter(|live| live.stage == Stage::Connected);
                    let silent_for = connected.map(|live| live.stalled.map_or(0, |since| self.time - since));
                    let silent_for = silent_for.map(Duration::from_millis);
                    self.post(Source::Silence, SessionEvent::Silence { generation, silent_for });
                }
                SessionEffect::SetTimer { at, generation } => self.set_timer(at.since(self.now), generation),
                SessionEffect::TakeTurn { after, generation } => {
                    let turn = after + Duration::from_millis(u64::from(self.pick(500)));
                    self.machine.turn_is(generation, self.now + turn);
                    self.allow_pause(after);
                    self.set_timer(turn, generation);
                }
                SessionEffect::StaysLinked { why } => assert!(self.deleting && !why.is_empty()),
                SessionEffect::Save => self.saved = self.machine.view().clone(),
                SessionEffect::Finished { deleted } => {
                    let asked_for = if deleted { self.deleting } else { self.stopping };
                    assert!(asked_for, "nobody asked for the end");
                    assert!(self.open.is_none(), "a link is left open");
                    (self.finished, self.deleted) = (true, deleted);
                }
            }
        }
    }
}
