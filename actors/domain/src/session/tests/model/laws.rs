//! The laws.

use super::*;

impl World {
    /// Never two links at once, none that nobody wants, and none before the keys are settled.
    pub(super) fn allow_open(&mut self, generation: u64) {
        assert!(self.open.is_none(), "a second link");
        let pending = |job: &Job| matches!(job, Job::Close { run, .. } if *run == self.run);
        assert!(!self.jobs.iter().any(pending), "a link is being closed");
        assert!(self.machine.view().wanted || self.deleting, "nobody wants it");
        assert!(!self.stopping, "the program stops");
        // A clock that is set forward ends a ban for us: it is told as a moment.
        let banned = self.banned.is_some_and(|until| until > self.time) && !self.profile.jumps;
        assert!(!banned, "an attempt before the end of a ban");
        self.expect_new(generation);
        (self.open, self.told) = (Some(generation), false);
        self.links += 1;
    }

    /// Each link is closed once; the keys go for a reason only.
    pub(super) fn allow_close(&mut self, generation: u64, parting: Parting) {
        let forget = parting != Parting::Keep;
        assert!(!forget || self.forgettable || self.deleting, "the keys are lost");
        if self.open == Some(generation) {
            assert!(!self.told, "closed twice");
            self.told = true;
        } else {
            assert!(forget || generation == 1, "there is nothing to close");
            self.expect_new(generation);
            // A round for the keys stands in for the one that is under way; the first is for a predecessor's link.
            self.open = Some(generation);
            self.told = true;
        }
    }

    fn expect_new(&self, generation: u64) {
        assert_eq!(generation, self.machine.link_generation);
        let used = |event: &SessionEvent| match event {
            SessionEvent::LinkGone { generation: used } | SessionEvent::Link { generation: used, .. } => {
                *used == generation
            }
            _ => false,
        };
        assert!(!self.stale.iter().any(used), "generation {generation} again");
    }

    /// No pause is longer than 40 s, but for a ban and a client that is outdated or not wanted.
    pub(super) fn allow_pause(&self, after: Duration) {
        assert!(matches!(self.machine.phase, Phase::Pausing | Phase::PausingToUnlink));
        if self.machine.view().status != ConnectionStatus::Failed {
            assert!(after <= Duration::from_secs(40), "{after:?}");
        }
    }

    /// What the machine is about to be told, as far as the laws need it.
    pub(super) fn note(&mut self, event: &SessionEvent) {
        use CloseReason::{AccountLocked, LoggedOut, PairingFailed, QrExpired};
        match event {
            SessionEvent::Delete if !self.finished => self.deleting = true,
            SessionEvent::Shutdown if !self.finished => self.stopping = true,
            SessionEvent::LinkGone { generation } if self.open == Some(*generation) => {
                assert!(self.told, "it was not to be closed");
                self.open = None;
            }
            _ => {}
        }
        let passkey = self.machine.phase == Phase::AwaitingPasskey;
        if let SessionEvent::TimerFired { generation } = event
            && *generation == self.machine.timer_generation
        {
            // Nobody gave the passkey, or entered the pair code.
            let codes_over = self.machine.phase == Phase::AwaitingScan && self.machine.view().pair_code.is_some();
            self.forgettable = passkey || codes_over;
        }
        let SessionEvent::Link { event, generation } = event else {
            return;
        };
        if *generation == self.machine.link_generation && self.machine.has_link() {
            self.note_ban(event);
        }
        self.forgettable = match event {
            LinkEvent::Closed(reason) => {
                passkey || matches!(reason, LoggedOut(_) | AccountLocked(_) | PairingFailed(_) | QrExpired)
            }
            LinkEvent::Paired { phone_number, .. } => phone_number == OTHER,
            LinkEvent::Connected { jid, .. } => jid == OTHERS_JID,
            LinkEvent::Qr { .. } | LinkEvent::PairCode { .. } | LinkEvent::PasskeyNeeded | LinkEvent::Named { .. } => {
                false
            }
        };
    }

    /// Whether this is an end that another attempt may mend.
    pub(super) fn passes(&self, event: &SessionEvent) -> bool {
        use CloseReason::{Banned, Lost, Outdated, ProxyFailed, QueueFull, Refused, Requested, Unwanted};
        let SessionEvent::Link {
            event: LinkEvent::Closed(reason),
            ..
        } = event
        else {
            return matches!(event, SessionEvent::OpenFailed { .. } | SessionEvent::Silence { .. });
        };
        let mended = matches!(
            reason,
            Requested
                | Lost(_)
                | Refused(_)
                | Unwanted(_)
                | Outdated
                | QueueFull(_)
                | ProxyFailed(_)
                | Banned { until: Some(_), .. }
        );
        mended && self.machine.phase != Phase::AwaitingPasskey
    }

    fn note_ban(&mut self, event: &LinkEvent) {
        match event {
            LinkEvent::Closed(CloseReason::Banned { until: Some(until), .. })
                if self.machine.phase != Phase::Unlinking && self.machine.phase != Phase::AwaitingPasskey =>
            {
                let left = u64::try_from(until.since(self.now).as_millis()).unwrap();
                self.banned = Some(self.time + left);
            }
            // Keys that are gone take their ban with them.
            LinkEvent::Closed(_) | LinkEvent::Qr { .. } | LinkEvent::Connected { .. } => self.banned = None,
            _ => {}
        }
    }

    /// What is seen from outside agrees with itself, and something is always going to happen.
    pub(super) fn check(&self) {
        use ConnectionStatus as Is;
        let (view, phase) = (self.machine.view(), self.machine.phase);
        let connected = phase == Phase::Connected;
        let seen = format!("{:?}", self.machine);
        assert_eq!(view.status == Is::Connected, connected, "{seen}");
        assert_eq!(view.connected_since.is_some(), connected, "{seen}");
        assert_eq!(self.machine.connected_link().is_some(), connected, "{seen}");
        assert_eq!(view.status == Is::AwaitingScan, phase == Phase::AwaitingScan, "{seen}");
        assert_eq!(view.qr.is_some(), phase == Phase::AwaitingScan, "{seen}");
        assert!(view.pair_code.is_none() || phase == Phase::AwaitingScan, "{seen}");
        assert_eq!(
            view.status == Is::AwaitingPasskey,
            phase == Phase::AwaitingPasskey,
            "{seen}"
        );
        assert!(view.reason_code.explains(view.status), "{seen}");
        let pauses = matches!(phase, Phase::Pausing | Phase::PausingToUnlink);
        let waits = pauses || matches!(phase, Phase::Closing(Then::Reopen(_)));
        assert!(waits || view.retry_at.is_none(), "{seen}");
        assert!(view.retry_at.is_some() || !pauses, "{seen}");
        assert!(view.jid.is_some() || !connected, "{seen}");
        assert!(view.jid.is_none() || phase != Phase::AwaitingScan, "{seen}");
        assert!(view.jid.as_deref() != Some(OTHERS_JID), "{seen}");
        assert!(view.reason.is_some() || view.status != Is::Failed, "{seen}");
        if !view.wanted {
            assert!(
                matches!(view.status, Is::Disconnected | Is::LoggedOut | Is::Failed),
                "{seen}"
            );
        }
        match phase {
            Phase::Pausing | Phase::Opening | Phase::AwaitingScan | Phase::AwaitingPasskey | Phase::Connected => {
                assert!(view.wanted && self.timer_is_set(), "{seen}");
            }
            Phase::PausingToUnlink | Phase::Unlinking => {
                assert!(!view.wanted && self.deleting && self.timer_is_set(), "{seen}")
            }
            Phase::Closing(then) => {
                let on = matches!(then, Then::Reopen(_)) || then == Then::Stop && view.wanted;
                assert_eq!(view.wanted, on, "{seen}");
                assert!(
                    self.open == Some(self.machine.link_generation) && self.told,
                    "nobody will report: {seen}"
                );
            }
            Phase::Resting => assert!(!view.wanted && self.open.is_none(), "{seen}"),
            Phase::Over => assert!(self.finished && self.machine.is_over(), "{seen}"),
        }
        assert_eq!(self.open.is_some() && !self.told, self.machine.has_link(), "{seen}");
        assert!(
            !self.machine.has_link() || self.open == Some(self.machine.link_generation),
            "{seen}"
        );
    }

    fn timer_is_set(&self) -> bool {
        let generation = self.machine.timer_generation;
        let fired = SessionEvent::TimerFired { generation };
        let posted = self.mail.get(&Source::Timer).is_some_and(|mail| mail.contains(&fired));
        posted || self.timer.is_some_and(|(_, set)| set == generation)
    }

    /// A report that was taken already, or of a timer that was replaced, comes (again).
    pub(super) fn stale_changes_nothing(&mut self) {
        if self.stale.is_empty() {
            return;
        }
        let index = self.pick(u32::try_from(self.stale.len()).unwrap());
        let event = self.stale[usize::try_from(index).unwrap()].clone();
        let (link, timer) = (self.machine.link_generation, self.machine.timer_generation);
        let current = match &event {
            SessionEvent::Link { generation, .. }
            | SessionEvent::OpenFailed { generation, .. }
            | SessionEvent::Silence { generation, .. } => *generation == link && self.machine.has_link(),
            SessionEvent::LinkGone { generation } => *generation == link && self.open.is_some(),
            SessionEvent::TimerFired { generation } => *generation == timer,
            SessionEvent::Shutdown => !self.finished,
            _ => true,
        };
        if !current {
            let before = format!("{:?}", self.machine);
            assert_eq!(self.machine.step(self.now, 0.5, event.clone()), [], "stale {event:?}");
            assert_eq!(format!("{:?}", self.machine), before, "stale {event:?}");
        }
    }
}
