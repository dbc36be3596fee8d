//! Who holds a connection: what each is doing and since when, so that nobody holds one for nothing.
//!
//! A connection waits for a request, receives its head, has it carried out, or sends its answer. Carrying out is
//! bounded by the request's own deadline; the other three are bounded here. When every place is taken, those who have
//! asked for nothing yet, are refused, or do not take an answer that counts for nobody, make room for who comes next: first of
//! the client that has the most connections, and of these the longest idle one, those last of which a stream goes on. Those whose
//! client is not known are one client in this.

use std::{
    cmp::Reverse,
    collections::HashMap,
    sync::{Arc, Weak},
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use tokio::{
    sync::Notify,
    task::{AbortHandle, Id},
};

use wharf_actors::{Tally, Ticket};
use wharf_domain::{ClientId, pace::earned};

use super::{ServerLimits, held::Held};

mod watched;

pub(super) use watched::Watched;

/// After this an answer that counts for nobody makes room: it is small, and its client does not take it.
const UNCOUNTED_ANSWER: Duration = Duration::from_secs(1);

/// After this a body that goes on makes room, all of which has left so far: it is a stream. A file waits for the disk.
const RESTING_BODY: Duration = Duration::from_secs(1);

/// At the most so many connections are left for requests that count for nobody, of which health is one, however many clients have
/// requests that last: who watches the process would end it for all. Fewer of a small house.
const LEFT_FOR_HEALTH: usize = 16;
/// What all clients together are counted by; the ids of clients begin at 1.
const EVERYBODY: ClientId = ClientId(0);

/// The places of requests that count for clients, of whichever.
pub(super) struct Places(Arc<Tally>);

impl Places {
    /// In a house with room for so many connections.
    pub(super) fn new(max_connections: usize) -> Self {
        Self(Tally::new(max_connections - LEFT_FOR_HEALTH.min(max_connections / 16)))
    }

    /// One of them; `None` if all are taken.
    pub(super) fn take(&self) -> Option<Ticket> {
        self.0.enter(EVERYBODY, 1)
    }
}

/// What a connection is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Doing {
    /// Nothing of a request has come since the last answer.
    Waiting,
    /// The head of a request is coming.
    Head,
    /// A request is carried out; its body may still be coming.
    Busy,
    /// A request is refused, or counts for nobody, and the rest of it is taken off the socket.
    Refused,
    /// An answer is on its way out.
    Answering,
    /// It was told to go.
    Gone,
}

/// One connection's place.
pub(super) struct Seat {
    state: Mutex<State>,
    /// Told when its answer is with the kernel.
    flushed: Notify,
    /// Told when this one could make room.
    idle: Arc<Notify>,
}

impl Seat {
    fn turn(&self, from: Doing, to: Doing) {
        let mut state = self.state.lock();
        if state.doing == from {
            state.turn(to);
        }
    }

    /// A request's head is here: waits until it may be carried out. For ever, when the connection was told to go; and
    /// until the answer before has left, because hyper goes on reading requests while their answers pile up, without
    /// bound, for a client that reads none.
    pub(super) async fn begin(&self) {
        loop {
            {
                let mut state = self.state.lock();
                if !matches!(state.doing, Doing::Answering | Doing::Gone) {
                    state.turn(Doing::Busy);
                    (state.held, state.place) = (None, None);
                    return;
                }
            }
            self.flushed.notified().await;
        }
    }

    /// Bytes of an answer have left: whoever takes a large one at a decent pace has the time for it.
    fn moved(&self, bytes: usize) {
        let mut state = self.state.lock();
        if state.doing == Doing::Answering {
            state.since = (state.since + earned(bytes)).min(Instant::now());
        }
    }

    /// The request is this client's, whether it is carried out or not.
    pub(super) fn belongs_to(&self, client: ClientId) {
        self.state.lock().client = Some(client);
    }

    /// The request is carried out, and counts for its client; `place` counts it among everybody's until it could make room.
    pub(super) fn is_of(&self, held: Arc<Held>, place: Ticket) {
        let mut state = self.state.lock();
        (state.held, state.place) = (Some(held), Some(place));
    }

    /// The request is refused, or has its answer and counts for nobody; what is still coming of it is of no use to anybody but its
    /// sender.
    pub(super) fn refused(&self) {
        self.turn(Doing::Busy, Doing::Refused);
        self.idle.notify_one();
    }

    /// Something has come. While a body goes out it waits in hyper's buffer, and is no request yet.
    fn came(&self) {
        let mut state = self.state.lock();
        if state.doing == Doing::Waiting && state.body.is_none() {
            state.turn(Doing::Head);
        }
    }

    /// The answer is known. What this gives is to be held by its body, which counts it for its client as long as it lives.
    pub(super) fn answered(&self) -> Answered {
        let mut state = self.state.lock();
        if matches!(state.doing, Doing::Busy | Doing::Refused) {
            state.turn(Doing::Answering);
        }
        let body = Arc::default();
        state.body = Some(Arc::downgrade(&body));
        Answered {
            _body: body,
            _held: state.held.clone(),
        }
    }

    /// All that there is of the answer is with the kernel. A body that goes on counts for its client further.
    fn flushed(&self) {
        let mut state = self.state.lock();
        if state.doing == Doing::Answering {
            state.turn(Doing::Waiting);
            state.place = None;
            self.flushed.notify_one();
            self.idle.notify_one();
        }
        if state.doing == Doing::Waiting {
            state.held.take_if(|held| Arc::strong_count(held) == 1);
        }
        state.body.take_if(|body| body.strong_count() == 0);
    }

    /// Whether nothing of a request has come since the whole of the last answer, or not all of its head.
    fn is_without_request(&self) -> bool {
        let state = self.state.lock();
        matches!(state.doing, Doing::Waiting | Doing::Head) && state.body.is_none()
    }

    /// Whose it is, and if it could make room, whether its answer goes on, and since when it is idle.
    fn standing(&self) -> (Option<ClientId>, Option<(bool, Instant)>) {
        let state = self.state.lock();
        (
            state.client,
            state.could_go().then_some((state.has_body(), state.since)),
        )
    }

    /// Whether its time for what it is doing has passed; then it is gone.
    fn expire(&self, limits: &ServerLimits) -> bool {
        let mut state = self.state.lock();
        let limit = match state.doing {
            Doing::Waiting => limits.idle_timeout,
            Doing::Head => limits.header_timeout,
            Doing::Answering => limits.request_timeout,
            Doing::Busy | Doing::Refused | Doing::Gone => return false,
        };
        let expired = state.since.elapsed() > limit;
        if expired {
            state.doing = Doing::Gone;
        }
        expired
    }

    /// Tells it to go, unless a request has come meanwhile.
    fn give_up(&self) -> bool {
        let mut state = self.state.lock();
        let goes = state.could_go();
        if goes {
            state.doing = Doing::Gone;
        }
        goes
    }
}

struct State {
    doing: Doing,
    since: Instant,
    /// Whose request came last, if that is known.
    client: Option<ClientId>,
    /// Counts the request for its client. The body of its answer has another one.
    held: Option<Arc<Held>>,
    /// Its place among those that make no room, see [`Places`].
    place: Option<Ticket>,
    /// The body of the last answer, until all of it is with the kernel: what is there of it may be long before. What
    /// it says is somebody's, and may look like anything.
    body: Option<Weak<()>>,
}

/// What the body of an answer holds.
pub(super) struct Answered {
    _body: Arc<()>,
    _held: Option<Arc<Held>>,
}

impl State {
    fn turn(&mut self, to: Doing) {
        (self.doing, self.since) = (to, Instant::now());
    }

    /// Whether there is a body of which something may come.
    fn has_body(&self) -> bool {
        self.body.as_ref().is_some_and(|body| body.strong_count() > 0)
    }

    fn could_go(&self) -> bool {
        match self.doing {
            Doing::Waiting if self.has_body() => self.since.elapsed() > RESTING_BODY,
            Doing::Waiting | Doing::Head | Doing::Refused => true,
            // What counts for its client is bounded by that. Strangers, and whoever is refused, could have any number of these.
            Doing::Answering => self.held.is_none() && self.since.elapsed() > UNCOUNTED_ANSWER,
            Doing::Busy | Doing::Gone => false,
        }
    }
}

/// All places.
pub(super) struct House {
    limits: ServerLimits,
    taken: HashMap<Id, (Arc<Seat>, AbortHandle)>,
    idle: Arc<Notify>,
}

impl House {
    pub(super) fn new(limits: ServerLimits) -> Self {
        Self {
            limits,
            taken: HashMap::new(),
            idle: Arc::default(),
        }
    }

    /// How often [`House::show_out_expired`] has to be called for the limits to mean something.
    pub(super) fn round(&self) -> Duration {
        let shortest = self.limits.idle_timeout.min(self.limits.header_timeout);
        (shortest / 4).clamp(Duration::from_millis(10), Duration::from_secs(1))
    }

    /// A place for a new connection.
    pub(super) fn seat(&self) -> Arc<Seat> {
        Arc::new(Seat {
            state: Mutex::new(State {
                doing: Doing::Waiting,
                since: Instant::now(),
                client: None,
                held: None,
                place: None,
                body: None,
            }),
            flushed: Notify::new(),
            idle: Arc::clone(&self.idle),
        })
    }

    /// The connection on `seat` is served by `task`.
    pub(super) fn enter(&mut self, seat: Arc<Seat>, task: AbortHandle) {
        self.taken.insert(task.id(), (seat, task));
    }

    /// That task has ended.
    pub(super) fn leave(&mut self, task: Id) {
        self.taken.remove(&task);
    }

    /// Ends the connections whose time has passed.
    pub(super) fn show_out_expired(&mut self) {
        let limits = self.limits;
        self.taken.retain(|_, (seat, task)| {
            let expired = seat.expire(&limits);
            if expired {
                task.abort();
            }
            !expired
        });
    }

    /// Whether a new connection may come in, now or by way of [`House::make_room`].
    pub(super) fn may_enter(&self) -> bool {
        let could_go = |(seat, _): &(Arc<Seat>, AbortHandle)| seat.state.lock().could_go();
        self.taken.len() < self.limits.max_connections || self.taken.values().any(could_go)
    }

    /// Waits until somebody might make room.
    pub(super) fn idle(&self) -> Arc<Notify> {
        Arc::clone(&self.idle)
    }

    /// Ends the connection that makes room first, if there is no room without that. Answers whether there is room now.
    pub(super) fn make_room(&mut self) -> bool {
        if self.taken.len() >= self.limits.max_connections {
            self.show_one_out();
        }
        self.taken.len() < self.limits.max_connections
    }

    /// Ends the connection that makes room first: the longest idle one of the client that has the most of all, so that
    /// nobody loses theirs to one who opens ever more.
    pub(super) fn show_one_out(&mut self) {
        let mut clients = HashMap::<_, (usize, Option<(bool, Instant, Id)>)>::new();
        for (id, (seat, _)) in &self.taken {
            let (client, idle) = seat.standing();
            let (count, longest) = clients.entry(client).or_default();
            *count += 1;
            if let Some((goes_on, since)) = idle
                && longest.is_none_or(|(other_goes_on, earliest, _)| (goes_on, since) < (other_goes_on, earliest))
            {
                *longest = Some((goes_on, since, *id));
            }
        }
        let idle = clients
            .into_values()
            .filter_map(|(count, longest)| Some((count, longest?)));
        let Some((_, (.., first))) = idle.max_by_key(|(count, (_, since, _))| (*count, Reverse(*since))) else {
            return;
        };
        // A request may have come since it was looked at.
        if self.taken.get(&first).is_some_and(|(seat, _)| seat.give_up())
            && let Some((_, task)) = self.taken.remove(&first)
        {
            task.abort();
        }
    }

    /// Connections at present.
    pub(super) fn len(&self) -> usize {
        self.taken.len()
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use super::{super::tests::LIMITS, *};

    /// What a file that is sent does whenever its next piece is not there yet.
    #[tokio::test(start_paused = true)]
    async fn a_file_that_waits_for_the_disk_makes_no_room() {
        let mut house = House::new(ServerLimits {
            max_connections: 2,
            ..LIMITS
        });
        let (sending, idle) = (house.seat(), house.seat());
        let tasks = [&sending, &idle].map(|seat| {
            let task = tokio::spawn(pending::<()>());
            house.enter(Arc::clone(seat), task.abort_handle());
            task
        });
        sending.begin().await;
        let body = sending.answered();
        sending.flushed();
        idle.begin().await;
        drop(idle.answered());
        idle.flushed();
        assert!(house.make_room());
        let [sending_task, idle_task] = tasks;
        assert!(idle_task.await.unwrap_err().is_cancelled() && !sending_task.is_finished());
        let other = house.seat();
        house.enter(Arc::clone(&other), tokio::spawn(pending::<()>()).abort_handle());
        other.begin().await;
        assert!(!house.may_enter() && !house.make_room(), "it is a file that goes on");
        // A stream, on which nothing happens, makes room.
        sending.state.lock().since -= RESTING_BODY * 2;
        assert!(house.may_enter() && house.make_room());
        assert!(sending_task.await.unwrap_err().is_cancelled());
        drop(body);
    }
}
