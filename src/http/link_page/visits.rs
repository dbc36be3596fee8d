//! How much whoever has a link to a page may ask for: it may be anybody, and asks at the expense of the client that gave it away.
//!
//! Counted by number and not by link, since a client may make any number of these: what is asked for by links to one number
//! leaves those to others, and the client itself, most of what the client may have.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use warp::http::{HeaderValue, StatusCode, header};
use wharf_actors::{Tally, Ticket};
use wharf_domain::{ClientId, ConnectionKey};

use super::super::problem::Problem;

/// Requests by links to one number at a time: a page has one or two, and is open in a window or two.
const UNDER_WAY: usize = 8;
/// Waiting requests by links of one client, of those that it may have (`watch`): the rest is its own. A page whose request may
/// not wait asks every few seconds instead.
const WAITING: usize = 8;
/// Requests of all kinds by links to one number: five a second, fifty at once.
const ASKS: Pace = Pace {
    apart: Duration::from_millis(200),
    gathered: Duration::from_secs(10),
};
/// Those of them that begin something at WhatsApp: five a minute, five at once.
const ACTS: Pace = Pace {
    apart: Duration::from_secs(12),
    gathered: Duration::from_secs(60),
};

/// How often something may be done.
#[derive(Debug, Clone, Copy)]
struct Pace {
    /// In the long run, once in this time.
    apart: Duration,
    /// Time whose turns may come at once.
    gathered: Duration,
}

/// Up to when what was done reaches, at the pace that is allowed.
#[derive(Debug, Default)]
struct Reach(Option<Instant>);

impl Reach {
    /// Counts one more; else how long to wait for that.
    fn take(&mut self, now: Instant, pace: Pace) -> Result<(), Duration> {
        let reaches = self.0.map_or(now, |reaches| reaches.max(now)) + pace.apart;
        let beyond = reaches.saturating_duration_since(now + pace.gathered);
        if !beyond.is_zero() {
            return Err(beyond);
        }
        self.0 = Some(reaches);
        Ok(())
    }

    fn is_over(&self, now: Instant) -> bool {
        self.0.is_none_or(|reaches| reaches <= now)
    }
}

/// What is asked for by links to one number.
#[derive(Debug, Default)]
struct Asked {
    under_way: usize,
    asks: Reach,
    acts: Reach,
}

/// See the module.
#[derive(Debug)]
pub(in super::super) struct Visits {
    asked: Mutex<HashMap<ConnectionKey, Asked>>,
    waiting: Arc<Tally>,
}

/// A request that is counted until this is dropped.
#[derive(Debug)]
pub(in super::super) struct Visit {
    visits: Arc<Visits>,
    key: ConnectionKey,
}

impl Visits {
    pub(in super::super) fn new() -> Arc<Self> {
        Arc::new(Self {
            asked: Mutex::default(),
            waiting: Tally::new(WAITING),
        })
    }

    /// One more request by a link to this number.
    pub(in super::super) fn enter(self: &Arc<Self>, key: ConnectionKey) -> Result<Visit, Problem> {
        self.enter_at(Instant::now(), key)
    }

    fn enter_at(self: &Arc<Self>, now: Instant, key: ConnectionKey) -> Result<Visit, Problem> {
        let mut asked = self.asked.lock();
        asked.retain(|_, one| one.under_way > 0 || !one.asks.is_over(now) || !one.acts.is_over(now));
        let one = asked.entry(key.clone()).or_default();
        if one.under_way >= UNDER_WAY {
            return Err(later(Duration::ZERO));
        }
        one.asks.take(now, ASKS).map_err(later)?;
        one.under_way += 1;
        Ok(Visit {
            visits: Arc::clone(self),
            key,
        })
    }

    /// Counts that something is begun at WhatsApp for this number.
    pub(super) fn act(&self, key: &ConnectionKey) -> Result<(), Problem> {
        let mut asked = self.asked.lock();
        let one = asked.entry(key.clone()).or_default();
        one.acts.take(Instant::now(), ACTS).map_err(later)
    }

    /// One more request that waits, by a link of this client.
    pub(super) fn wait(&self, client: ClientId) -> Result<Ticket, Problem> {
        self.waiting.enter(client, 1).ok_or_else(|| later(Duration::ZERO))
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        // What is left of it goes with the next one.
        if let Some(one) = self.visits.asked.lock().get_mut(&self.key) {
            one.under_way -= 1;
        }
    }
}

/// That too much is asked for, in words for whoever has a link.
pub(super) fn later(wait: Duration) -> Problem {
    let seconds = wait.as_secs() + 1;
    let detail = "too much is asked for by this link, or by others like it; try again in a moment";
    Problem::new(StatusCode::TOO_MANY_REQUESTS, detail).with(header::RETRY_AFTER, HeaderValue::from(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(client: i64, number: &str) -> ConnectionKey {
        ConnectionKey::new(ClientId(client), number.parse().unwrap())
    }

    #[test]
    fn one_number_has_a_few_requests_under_way_and_others_have_theirs() {
        let visits = Visits::new();
        let enter = |client, number| visits.enter(key(client, number));
        let mut held: Vec<Visit> = (0..UNDER_WAY).map(|_| enter(1, "5511888888888").unwrap()).collect();
        assert!(enter(1, "5511888888888").is_err_and(|problem| problem.is_busy()));
        assert!(enter(1, "5511999999999").is_ok() && enter(2, "5511888888888").is_ok());
        held.pop();
        assert!(enter(1, "5511888888888").is_ok());
    }

    #[test]
    fn one_number_is_asked_about_at_a_pace_and_forgotten_afterwards() {
        let (visits, now) = (Visits::new(), Instant::now());
        let asks = |now| {
            let asked = (0..100).filter(|_| visits.enter_at(now, key(1, "5511888888888")).is_ok());
            asked.count()
        };
        assert_eq!((asks(now), asks(now + Duration::from_secs(2))), (50, 10));
        let later = now + Duration::from_secs(60);
        assert!(visits.enter_at(later, key(2, "5511888888888")).is_ok());
        assert_eq!(visits.asked.lock().len(), 1);
    }

    #[test]
    fn what_is_begun_at_whatsapp_is_little() {
        let visits = Visits::new();
        let number = key(1, "5511888888888");
        let acts = (0..20).filter(|_| visits.act(&number).is_ok()).count();
        assert_eq!(acts, 5);
        let mut reach = Reach::default();
        let now = Instant::now();
        let waits: Vec<_> = (0..6).map(|_| reach.take(now, ACTS)).collect();
        assert_eq!(waits[5], Err(Duration::from_secs(12)));
        assert_eq!(reach.take(now + Duration::from_secs(12), ACTS), Ok(()));
    }

    #[test]
    fn pages_leave_a_client_room_to_wait_itself() {
        let visits = Visits::new();
        let held: Vec<_> = (0..WAITING).map(|_| visits.wait(ClientId(1)).unwrap()).collect();
        assert!(visits.wait(ClientId(1)).is_err());
        assert!(visits.wait(ClientId(2)).is_ok());
        drop(held);
        assert!(visits.wait(ClientId(1)).is_ok());
    }
}
