//! Who holds a connection: what each is doing and since when, so that nobody holds one for nothing.
//!
//! A connection waits for a request, receives its head, has it carried out, or sends its answer. Carrying out is
//! bounded by the request's own deadline; the other three are bounded here. When every place is taken, those who have
//! asked for nothing yet make room for who comes next, the longest first.

use std::{
    collections::HashMap,
    io::{self, IoSlice},
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};

use bytes::{Buf as _, Bytes};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    sync::Notify,
    task::{AbortHandle, Id},
};

use super::{Limits, bare};

/// Bytes per second at which a client has to take an answer that is larger than its time allows: files of media.
const LEAST_PACE: f64 = 16.0 * 1024.0;

/// What a connection is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Doing {
    /// Nothing of a request has come since the last answer.
    Waiting,
    /// The head of a request is coming.
    Head,
    /// A request is carried out; its body may still be coming.
    Busy,
    /// An answer is on its way out.
    Answering,
    /// It was told to go.
    Gone,
}

/// One connection's place.
pub(super) struct Seat {
    state: Mutex<(Doing, Instant)>,
    /// Told when its answer is with the kernel.
    flushed: Notify,
    /// Told when this one could make room.
    idle: Arc<Notify>,
}

impl Seat {
    fn state(&self) -> MutexGuard<'_, (Doing, Instant)> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn turn(&self, from: Doing, to: Doing) {
        let mut state = self.state();
        if state.0 == from {
            *state = (to, Instant::now());
            if to == Doing::Waiting {
                self.flushed.notify_one();
                self.idle.notify_one();
            }
        }
    }

    /// A request's head is here: waits until it may be carried out. For ever, when the connection was told to go; and
    /// until the answer before has left, because hyper goes on reading requests while their answers pile up, without
    /// bound, for a client that reads none.
    pub(super) async fn begin(&self) {
        loop {
            {
                let mut state = self.state();
                if !matches!(state.0, Doing::Answering | Doing::Gone) {
                    *state = (Doing::Busy, Instant::now());
                    return;
                }
            }
            self.flushed.notified().await;
        }
    }

    /// Bytes of an answer have left: whoever takes a large one at a decent pace has the time for it.
    fn moved(&self, bytes: usize) {
        let mut state = self.state();
        if state.0 == Doing::Answering {
            let earned = Duration::from_secs_f64(bytes as f64 / LEAST_PACE);
            state.1 = (state.1 + earned).min(Instant::now());
        }
    }

    /// The answer is known.
    pub(super) fn answered(&self) {
        self.turn(Doing::Busy, Doing::Answering);
    }

    /// Since when it has been without a request, if it has.
    fn without_request_since(&self) -> Option<Instant> {
        let (doing, since) = *self.state();
        matches!(doing, Doing::Waiting | Doing::Head).then_some(since)
    }

    /// Whether its time for what it is doing has passed; then it is gone.
    fn expire(&self, limits: &Limits) -> bool {
        let mut state = self.state();
        let limit = match state.0 {
            Doing::Waiting => limits.idle_timeout,
            Doing::Head => limits.header_timeout,
            Doing::Answering => limits.request_timeout,
            Doing::Busy | Doing::Gone => return false,
        };
        let expired = state.1.elapsed() > limit;
        if expired {
            state.0 = Doing::Gone;
        }
        expired
    }

    /// Tells it to go, unless a request has come meanwhile.
    fn give_up(&self) -> bool {
        let mut state = self.state();
        let idle = matches!(state.0, Doing::Waiting | Doing::Head);
        if idle {
            state.0 = Doing::Gone;
        }
        idle
    }
}

/// All places.
pub(super) struct House {
    limits: Limits,
    taken: HashMap<Id, (Arc<Seat>, AbortHandle)>,
    idle: Arc<Notify>,
}

impl House {
    pub(super) fn new(limits: Limits) -> Self {
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
            state: Mutex::new((Doing::Waiting, Instant::now())),
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
        let is_idle = |(seat, _): &(Arc<Seat>, AbortHandle)| seat.without_request_since().is_some();
        self.taken.len() < self.limits.max_connections || self.taken.values().any(is_idle)
    }

    /// Waits until somebody might make room.
    pub(super) fn idle(&self) -> Arc<Notify> {
        Arc::clone(&self.idle)
    }

    /// Ends the connection that has been without a request for longest, if there is no room without that. Answers whether
    /// there is room now.
    pub(super) fn make_room(&mut self) -> bool {
        if self.taken.len() >= self.limits.max_connections {
            self.show_out_longest_idle();
        }
        self.taken.len() < self.limits.max_connections
    }

    /// Ends the connection that has been without a request for longest.
    pub(super) fn show_out_longest_idle(&mut self) {
        let idle = |(id, (seat, _)): (&Id, &(Arc<Seat>, _))| Some((seat.without_request_since()?, *id));
        let Some((_, longest)) = self.taken.iter().filter_map(idle).min_by_key(|(since, _)| *since) else {
            return;
        };
        // A request may have come since it was looked at.
        if self.taken.get(&longest).is_some_and(|(seat, _)| seat.give_up())
            && let Some((_, task)) = self.taken.remove(&longest)
        {
            task.abort();
        }
    }

    /// Connections at present.
    pub(super) fn len(&self) -> usize {
        self.taken.len()
    }
}

/// A socket that notes on its seat what it does.
pub(super) struct Watched {
    stream: TcpStream,
    seat: Arc<Seat>,
    max_header_bytes: usize,
    /// What is being sent in the place of a bare refusal.
    instead: Option<Bytes>,
}

impl Watched {
    pub(super) fn new(stream: TcpStream, seat: Arc<Seat>, max_header_bytes: usize) -> Self {
        Self {
            stream,
            seat,
            max_header_bytes,
            instead: None,
        }
    }

    /// An answer before there is a request is hyper's own.
    fn look_for_refusal(&mut self, bytes: &[u8]) {
        if self.instead.is_none() && self.seat.without_request_since().is_some() {
            self.instead = bare::in_place_of(bytes, self.max_header_bytes).map(Bytes::from);
        }
    }

    /// Sends what stands in the place of `length` bytes, if anything does.
    fn send_instead(&mut self, cx: &mut Context<'_>, length: usize) -> Option<Poll<io::Result<usize>>> {
        let instead = self.instead.as_mut()?;
        while !instead.is_empty() {
            match Pin::new(&mut self.stream).poll_write(cx, instead) {
                Poll::Ready(Ok(0)) => return Some(Poll::Ready(Err(io::ErrorKind::WriteZero.into()))),
                Poll::Ready(Ok(written)) => instead.advance(written),
                Poll::Ready(Err(error)) => return Some(Poll::Ready(Err(error))),
                Poll::Pending => return Some(Poll::Pending),
            }
        }
        self.instead = None;
        Some(self.wrote(Ok(length)))
    }

    fn wrote(&self, written: io::Result<usize>) -> Poll<io::Result<usize>> {
        if matches!(written, Ok(bytes) if bytes > 0) {
            self.seat.turn(Doing::Waiting, Doing::Answering);
        }
        if let Ok(bytes) = written {
            self.seat.moved(bytes);
        }
        Poll::Ready(written)
    }
}

impl AsyncRead for Watched {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buf))?;
        if buf.filled().len() > before {
            self.seat.turn(Doing::Waiting, Doing::Head);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Watched {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.look_for_refusal(buf);
        if let Some(sent) = self.send_instead(cx, buf.len()) {
            return sent;
        }
        let written = ready!(Pin::new(&mut self.stream).poll_write(cx, buf));
        self.wrote(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        // A refusal is one piece.
        if let [only] = bufs {
            return self.poll_write(cx, only);
        }
        let written = ready!(Pin::new(&mut self.stream).poll_write_vectored(cx, bufs));
        self.wrote(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // hyper flushes when it has handed everything over: the answer is with the kernel.
        ready!(Pin::new(&mut self.stream).poll_flush(cx))?;
        self.seat.turn(Doing::Answering, Doing::Waiting);
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
