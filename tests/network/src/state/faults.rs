//! Faults that last: who is refused, stalled or sent everything twice, and until when.

use std::sync::Mutex;
use std::time::Instant;

use tokio::sync::watch;
use tokio::time::sleep_until;

use super::lock;
use crate::FaultKind;

#[derive(Debug)]
struct Active {
    kind: FaultKind,
    phone: Option<String>,
    code: Option<u32>,
    until: Instant,
    /// How often it may still strike; without end if `None`.
    left: Option<u32>,
}

/// The faults in force.
#[derive(Debug, Default)]
pub(crate) struct FaultBoard {
    active: Mutex<Vec<Active>>,
    /// Tells those who wait for the end of one.
    changes: watch::Sender<()>,
}

impl FaultBoard {
    /// Puts a fault in force until then, or until it has struck so many times, in place of an equal one.
    pub(crate) fn add(
        &self,
        kind: FaultKind,
        phone: Option<String>,
        code: Option<u32>,
        (until, left): (Instant, Option<u32>),
    ) {
        let mut active = lock(&self.active);
        let now = Instant::now();
        active.retain(|fault| fault.until > now && (fault.kind, &fault.phone) != (kind, &phone));
        active.push(Active {
            kind,
            phone,
            code,
            until,
            left,
        });
        drop(active);
        self.changes.send_replace(());
    }

    /// Whether a link is refused, and with which code. `None` for the phone: one that has not said who it is.
    pub(crate) fn refused(&self, phone: Option<&str>) -> Option<Option<u32>> {
        self.find(FaultKind::Refuse, phone, |fault| fault.code)
    }

    /// Until when a link is stalled.
    pub(crate) fn stalled(&self, phone: Option<&str>) -> Option<Instant> {
        self.find(FaultKind::Stall, phone, |fault| fault.until)
    }

    /// Whether nothing is said of what waits for a device.
    pub(crate) fn held_up(&self, phone: &str) -> bool {
        self.find(FaultKind::Backlog, Some(phone), |_| ()).is_some()
    }

    /// Waits until there is no such fault: until its time is over, or another with none takes its place.
    pub(crate) async fn end_of(&self, kind: FaultKind, phone: Option<&str>) {
        let mut changes = self.changes.subscribe();
        while let Some(until) = self.find(kind, phone, |fault| fault.until) {
            tokio::select! {
                () = sleep_until(until.into()) => {}
                _ = changes.changed() => {}
            }
        }
    }

    /// Whether messages go out twice.
    pub(crate) fn duplicated(&self, phone: &str) -> bool {
        self.find(FaultKind::Duplicate, Some(phone), |_| ()).is_some()
    }

    /// Whether a fault that strikes one thing at a time strikes now; one that is counted has struck once more then.
    /// Returns its code.
    pub(crate) fn strikes(&self, kind: FaultKind, phone: Option<&str>) -> Option<Option<u32>> {
        let now = Instant::now();
        let mut active = lock(&self.active);
        let fault = active
            .iter_mut()
            .rev()
            .find(|fault| fault.left != Some(0) && fault.meant(kind, phone, now))?;
        if let Some(left) = &mut fault.left {
            *left -= 1;
        }
        Some(fault.code)
    }

    /// Whether an account is banned: WhatsApp's code for why, of a ban that has an end, and until when.
    pub(crate) fn banned(&self, phone: Option<&str>) -> Option<(Option<u32>, Instant)> {
        self.find(FaultKind::Ban, phone, |fault| (fault.code, fault.until))
    }

    /// Whether an account takes messages from nobody without its token.
    pub(crate) fn wary(&self, phone: &str) -> bool {
        self.find(FaultKind::Wary, Some(phone), |_| ()).is_some()
    }

    /// Whether nobody is told which devices an account has, and with which code that is refused, if it is.
    pub(crate) fn deviceless(&self, phone: &str) -> Option<Option<u32>> {
        self.find(FaultKind::Deviceless, Some(phone), |fault| fault.code)
    }

    /// Whether a device is asked for the account's passkey.
    pub(crate) fn wants_passkey(&self, phone: &str) -> bool {
        self.find(FaultKind::Passkey, Some(phone), |_| ()).is_some()
    }

    /// The least revision of a client that is taken.
    pub(crate) fn least_version(&self, phone: Option<&str>) -> Option<u32> {
        self.find(FaultKind::Outdated, phone, |fault| fault.code.unwrap_or(u32::MAX))
    }

    fn find<T>(&self, kind: FaultKind, phone: Option<&str>, read: impl Fn(&Active) -> T) -> Option<T> {
        let now = Instant::now();
        lock(&self.active)
            .iter()
            .rev()
            .find(|fault| fault.meant(kind, phone, now))
            .map(read)
    }
}

impl Active {
    fn meant(&self, kind: FaultKind, phone: Option<&str>, now: Instant) -> bool {
        let meant = self.phone.is_none() || (phone.is_some() && self.phone.as_deref() == phone);
        self.kind == kind && self.until > now && meant
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt as _;
    use std::time::Duration;

    #[test]
    fn a_fault_for_one_account_spares_the_others_and_the_unknown() {
        let board = FaultBoard::default();
        let until = Instant::now() + Duration::from_secs(60);
        board.add(FaultKind::Refuse, Some("1".to_owned()), Some(503), (until, None));
        assert_eq!(board.refused(Some("1")), Some(Some(503)));
        assert_eq!(board.refused(Some("2")), None);
        assert_eq!(board.refused(None), None);
    }

    #[test]
    fn a_fault_ends() {
        let board = FaultBoard::default();
        board.add(FaultKind::Stall, None, None, (Instant::now(), None));
        assert_eq!(board.stalled(None), None);
    }

    #[tokio::test]
    async fn who_waits_for_the_end_of_a_fault_hears_when_it_is_taken_back() {
        let board = FaultBoard::default();
        let late = Instant::now() + Duration::from_secs(600);
        board.add(FaultKind::Backlog, Some("1".to_owned()), None, (late, None));
        let mut waiting = Box::pin(board.end_of(FaultKind::Backlog, Some("1")));
        board.add(FaultKind::Backlog, Some("2".to_owned()), None, (Instant::now(), None));
        assert!(waiting.as_mut().now_or_never().is_none());
        board.add(FaultKind::Backlog, Some("1".to_owned()), None, (Instant::now(), None));
        assert!(waiting.now_or_never().is_some());
    }

    #[test]
    fn a_counted_fault_strikes_so_many_times() {
        let board = FaultBoard::default();
        let until = Instant::now() + Duration::from_secs(60);
        board.add(FaultKind::MediaError, Some("1".to_owned()), Some(503), (until, Some(2)));
        assert_eq!(board.strikes(FaultKind::MediaError, Some("2")), None);
        for _ in 0..2 {
            assert_eq!(board.strikes(FaultKind::MediaError, Some("1")), Some(Some(503)));
        }
        assert_eq!(board.strikes(FaultKind::MediaError, Some("1")), None);
    }
}
