//! What the world does.

use super::*;

const DAY: i64 = 86_400_000;

impl World {
    /// Something happens, whatever may.
    pub(in super::super) fn happen(&mut self) {
        match self.pick(24) {
            0 => self.step(SessionEvent::Connect),
            1 => self.step(SessionEvent::Disconnect),
            2 if self.one_in(2) => self.step(SessionEvent::Renew),
            3 if self.profile.ends && self.one_in(6) => self.step(SessionEvent::Delete),
            4 if self.profile.ends && self.one_in(12) => self.step(SessionEvent::Shutdown),
            2..=8 => self.work(),
            9..=14 => self.deliver(),
            15..=18 => self.link_acts(),
            19 | 20 => {
                let wait = [100, 2_000, 20_000, 100_000][self.pick(4) as usize];
                self.pass(wait);
            }
            21 => self.until_the_timer(),
            22 => self.stale_changes_nothing(),
            _ if self.profile.jumps && self.one_in(3) => {
                let by = [-400 * DAY, -DAY, -60_000, 60_000, DAY, 400 * DAY][self.pick(6) as usize];
                self.now = Timestamp(self.now.0 + by);
            }
            _ if self.profile.restarts && self.one_in(3) => self.restart(),
            _ => {}
        }
    }

    fn pass(&mut self, milliseconds: u64) {
        self.time = self.time.saturating_add(milliseconds);
        self.now = self.now + Duration::from_millis(milliseconds);
        if let Some((at, generation)) = self.timer
            && at <= self.time
        {
            self.timer = None;
            self.post(Source::Timer, SessionEvent::TimerFired { generation });
        }
    }

    fn until_the_timer(&mut self) {
        if let Some((at, _)) = self.timer {
            self.pass(at.saturating_sub(self.time));
        }
    }

    /// The next in the queue for the link's place.
    fn work(&mut self) {
        match self.jobs.pop_front() {
            None => {}
            Some(Job::Open { run, generation }) => {
                self.end_link(CloseReason::Requested);
                self.live = None;
                if !self.calm && self.one_in(8) {
                    let detail = "the keys cannot be read".to_owned();
                    self.report(run, SessionEvent::OpenFailed { generation, detail });
                    return;
                }
                let stalled = (!self.calm && self.one_in(12)).then_some(self.time);
                let stage = Stage::Opening;
                self.live = Some(Live {
                    run,
                    generation,
                    stage,
                    stalled,
                });
            }
            Some(Job::Close {
                run,
                generation,
                parting,
            }) => {
                let up = self
                    .live
                    .as_ref()
                    .is_some_and(|live| live.stage != Stage::Ended && live.stalled.is_none());
                if up && parting == Parting::LogOut && self.keys.is_some() {
                    self.registered = false;
                }
                self.end_link(CloseReason::Requested);
                self.live = None;
                if parting != Parting::Keep {
                    self.keys = None;
                }
                self.report(run, SessionEvent::LinkGone { generation });
            }
        }
    }

    fn report(&mut self, run: u64, event: SessionEvent) {
        if run == self.run {
            self.post(Source::Place, event);
        }
    }

    fn deliver(&mut self) {
        let sources: Vec<Source> = self.mail.keys().copied().collect();
        if sources.is_empty() {
            return;
        }
        let source = sources[self.pick(u32::try_from(sources.len()).unwrap()) as usize];
        let mail = self.mail.get_mut(&source).unwrap();
        let event = mail.pop_front().unwrap();
        if mail.is_empty() {
            self.mail.remove(&source);
        }
        self.step(event);
    }

    fn tell(&mut self, event: LinkEvent) {
        let Some(live) = self.live.as_mut().filter(|live| live.stage != Stage::Ended) else {
            return;
        };
        live.stage = match event {
            LinkEvent::Qr { .. } => Stage::Scan,
            LinkEvent::PairCode { .. } | LinkEvent::PasskeyNeeded | LinkEvent::Named { .. } => live.stage,
            LinkEvent::Paired { .. } => Stage::Paired,
            LinkEvent::Connected { .. } => Stage::Connected,
            LinkEvent::Closed(_) => Stage::Ended,
        };
        let (run, generation) = (live.run, live.generation);
        if run == self.run {
            self.post(Source::Link(generation), SessionEvent::Link { generation, event });
        }
    }

    fn end_link(&mut self, reason: CloseReason) {
        self.tell(LinkEvent::Closed(reason));
    }

    fn link_acts(&mut self) {
        let Some(live) = self.live.as_mut().filter(|live| live.stage != Stage::Ended) else {
            return;
        };
        if live.stalled.is_some() {
            return;
        }
        let stage = live.stage;
        if self.one_in(20) {
            let time = self.time;
            self.live.as_mut().unwrap().stalled = Some(time);
        } else if self.one_in(4) {
            let reason = self.any_reason();
            self.end_link(reason);
        } else if self.profile.wild {
            match self.pick(6) {
                5 => self.rename(),
                3 => self.show_pair_code(),
                4 => self.tell(LinkEvent::PasskeyNeeded),
                0 => self.show_qr(),
                1 => self.scan(),
                _ => self.log_in(),
            }
        } else if stage == Stage::Connected && self.one_in(3) {
            self.registered = false;
            self.end_link(CloseReason::LoggedOut("unlinked by the phone".into()));
        } else if stage == Stage::Connected {
            self.rename();
        } else {
            self.link_goes_on();
        }
    }

    fn any_reason(&mut self) -> CloseReason {
        let until = [None, Some(self.now), Some(self.now + Duration::from_secs(7200))][self.pick(3) as usize];
        let detail = "so it is".to_owned();
        match self.pick(if self.profile.wild { 13 } else { 9 }) {
            0 => CloseReason::Lost(detail),
            1 => CloseReason::Incomplete(detail),
            2 => CloseReason::Refused(detail),
            3 => CloseReason::Outdated,
            4 => CloseReason::Banned { detail, until },
            5 => CloseReason::Replaced,
            6 => CloseReason::QueueFull(detail),
            7 => CloseReason::ProxyFailed(detail),
            8 => CloseReason::Unwanted(detail),
            9 => CloseReason::QrExpired,
            10 => CloseReason::PairingFailed(detail),
            11 => CloseReason::AccountLocked(detail),
            _ => CloseReason::LoggedOut(detail),
        }
    }

    /// What a link does on its way when nothing is in it.
    fn link_goes_on(&mut self) {
        let Some(live) = self.live.as_ref().filter(|live| live.stalled.is_none()) else {
            return;
        };
        match (live.stage, self.keys) {
            (Stage::Opening, None) => self.show_qr(),
            (Stage::Scan, _) if self.one_in(4) => self.show_qr(),
            (Stage::Scan, _) if self.one_in(4) => self.show_pair_code(),
            (Stage::Scan, _) if !self.calm && self.one_in(8) => self.tell(LinkEvent::PasskeyNeeded),
            (Stage::Scan, _) => self.scan(),
            (Stage::Opening | Stage::Paired, Some(_)) if self.registered => self.log_in(),
            (Stage::Opening | Stage::Paired, _) => self.end_link(CloseReason::LoggedOut("not known (401)".into())),
            (Stage::Connected | Stage::Ended, _) => {}
        }
    }

    fn show_qr(&mut self) {
        let expires_at = self.now + Duration::from_secs(20);
        self.tell(qr("2@a", expires_at));
    }

    fn show_pair_code(&mut self) {
        let (code, expires_at) = ("ABCD1234".to_owned(), self.now + Duration::from_secs(180));
        self.tell(LinkEvent::PairCode { code, expires_at });
    }

    fn scan(&mut self) {
        let right_number = !self.one_in(5);
        self.keys = Some(Keys { right_number });
        self.registered = true;
        self.tell(if right_number {
            paired()
        } else {
            LinkEvent::Paired {
                jid: OTHERS_JID.into(),
                phone_number: OTHER.into(),
            }
        });
    }

    fn rename(&mut self) {
        let push_name = ["Ana", "Bea"][self.pick(2) as usize].to_owned();
        self.tell(LinkEvent::Named { push_name });
    }

    fn log_in(&mut self) {
        let keys = *self.keys.get_or_insert(Keys { right_number: true });
        self.registered = true;
        self.tell(if keys.right_number {
            connected()
        } else {
            LinkEvent::Connected {
                jid: OTHERS_JID.into(),
                push_name: None,
            }
        });
    }

    /// Everything that can be done without time is done.
    fn quiet(&mut self) -> bool {
        let mut quiet = true;
        while !self.jobs.is_empty() || !self.mail.is_empty() {
            quiet = false;
            self.work();
            self.deliver();
        }
        quiet
    }

    fn is_up(&self) -> bool {
        let up = |live: &Live| live.stage == Stage::Connected && live.stalled.is_none();
        self.live.as_ref().is_some_and(up) && self.machine.connected_link().is_some()
    }

    /// From here on links are healthy: all ends well, by timers alone.
    pub(in super::super) fn settle(&mut self) {
        for _ in 0..2000 {
            self.quiet();
            if self.finished || self.is_up() || self.machine.phase == Phase::Resting {
                break;
            }
            let stage = self.live.as_ref().map(|live| (live.stage, live.stalled));
            self.link_goes_on();
            if self.live.as_ref().map(|live| (live.stage, live.stalled)) == stage {
                self.until_the_timer();
            }
        }
        let (view, phase) = (self.machine.view(), self.machine.phase);
        if self.deleting || self.stopping {
            assert!(self.finished, "{phase:?}");
            assert!(self.live.is_none());
            assert!(!self.deleted || self.keys.is_none(), "keys without a row");
            // The next start goes on with what the stop cut short.
            let row_says_so = self.saved.reason_code == ReasonCode::BeingDeleted;
            assert!(self.deleted || !self.deleting || row_says_so, "a deletion is forgotten");
        } else if view.wanted {
            assert!(self.is_up(), "{phase:?} {view:?}");
            assert_eq!(self.keys, Some(Keys { right_number: true }));
        } else {
            assert_eq!(phase, Phase::Resting);
            assert!(self.live.is_none());
        }
    }

    /// After all that happened it can be connected, deleted and stopped.
    pub(in super::super) fn end(&mut self) {
        self.settle();
        while !self.finished && !self.is_up() {
            self.step(SessionEvent::Connect);
            self.settle();
        }
        if self.finished {
            return;
        }
        // Anything from connected to resting, a little later.
        self.calm = true;
        match self.pick(4) {
            0 => self.step(SessionEvent::Disconnect),
            1 => self.end_link(CloseReason::Lost("EOF".into())),
            _ => {}
        }
        if self.one_in(2) {
            self.quiet();
        }
        if self.one_in(3) {
            self.step(SessionEvent::Shutdown);
            self.settle();
            assert!(self.registered && self.keys.is_some(), "a stop is no logout");
            return;
        }
        // A link that ended while nobody was told cannot log out.
        let orderly = self.mail.is_empty();
        self.step(SessionEvent::Delete);
        self.settle();
        assert!(!orderly || !self.registered, "not logged out");
    }
}
