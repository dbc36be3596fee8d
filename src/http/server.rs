//! Sockets: accepts connections, bounds them in number, size and time, and stops without cutting an answer.
//!
//! warp is the service; hyper's connection is driven here and not by `warp::serve`, because warp 0.4 has no way to set
//! a header timeout, to cap connections, or to bound how long stopping takes. HTTP/1.1 only: TLS and HTTP/2 are the
//! business of the proxy in front. How long a connection may do what stands in `seats`; hyper's own timer is off,
//! because it knows no difference between a slow head and an idle connection.
//!
//! Requests that are not HTTP, or whose head is too large, are answered by hyper itself, with a bare 400, 414 or 431, which
//! `bare` makes an answer like all others of.

use std::{
    future::{Future, ready},
    io,
    sync::Arc,
    time::Duration,
};

use http_body_util::BodyExt as _;
use hyper::{
    Request, Response, Uri,
    body::{Body, Incoming},
    server::conn::http1,
    service::{Service, service_fn},
};
use hyper_util::{rt::TokioIo, server::graceful::GracefulShutdown, service::TowerToHyperService};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    task::{Id, JoinError, JoinSet},
    time::{MissedTickBehavior, interval, sleep, timeout},
};

use wharf_actors::Tally;
use wharf_domain::TokenHash;

use super::{
    Desk,
    bare::MAX_HEADERS,
    call::Times,
    dispatch::{Dispatch, unsent},
    link_page::Visits,
    refusals::Refusals,
    seats::{House, Places, Seat, Watched},
    upload,
    watch::watchers,
};

/// hyper takes no smaller buffer than this.
const LEAST_BUFFER: usize = 8192;
/// How long running requests get after the stop (CONTRACT.md section 5).
pub(super) const STOP_TIME: Duration = Duration::from_secs(10);
/// Pause after an accept that failed.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How much the facade takes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ServerLimits {
    /// For everything between the last header byte and the answer, and as long again for the client to take it.
    pub request_timeout: Duration,
    /// For the head of a request, from its first byte to its last.
    pub header_timeout: Duration,
    /// For a connection without a request.
    pub idle_timeout: Duration,
    /// The largest head of a request, in bytes.
    pub max_header_bytes: usize,
    /// Connections at a time. One more takes the place of an idle one; if none is idle, it waits in the kernel's queue.
    pub max_connections: usize,
    /// Requests of one client at a time, from its token to the last byte of the answer. One more is 429.
    pub max_requests_per_client: usize,
}

/// Serves until `shutdown` ends; then takes no new request and gives the running ones ten seconds.
/// `operator` is the token with which the metrics may be read.
pub async fn serve(
    listener: TcpListener,
    desk: Arc<dyn Desk>,
    limits: ServerLimits,
    operator: Option<TokenHash>,
    shutdown: impl Future<Output = ()>,
) {
    let (close, closing) = watch::channel(false);
    let service = warp::service(
        Dispatch {
            desk,
            times: Times {
                request: limits.request_timeout,
                idle: limits.idle_timeout,
            },
            under_way: Tally::new(limits.max_requests_per_client),
            places: Arc::new(Places::new(limits.max_connections)),
            unsent: unsent(),
            refusals: Arc::new(Refusals::default()),
            watchers: watchers(),
            visits: Visits::new(),
            large: upload::turns(),
            operator,
            closing,
        }
        .filter(),
    );
    let mut http = http1::Builder::new();
    http.header_read_timeout(None)
        .max_headers(MAX_HEADERS)
        .max_header_size(limits.max_header_bytes)
        .max_buf_size(2 * limits.max_header_bytes.max(LEAST_BUFFER));
    let mut house = House::new(limits);
    let (idle, mut rounds) = (house.idle(), interval(house.round()));
    rounds.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let graceful = GracefulShutdown::new();
    let mut connections = JoinSet::new();
    let mut shutdown = std::pin::pin!(shutdown);
    // Accepted for a place that was taken meanwhile: whoever held it idly has made a request.
    let mut at_the_door: Option<TcpStream> = None;
    loop {
        let may_enter = house.may_enter();
        let stream = tokio::select! {
            biased;
            () = &mut shutdown => break,
            Some(ended) = connections.join_next_with_id() => {
                house.leave(id_of(ended));
                continue;
            }
            _ = rounds.tick() => {
                house.show_out_expired();
                continue;
            }
            () = idle.notified(), if !may_enter => continue,
            () = ready(()), if may_enter && at_the_door.is_some() => match at_the_door.take() {
                Some(stream) => stream,
                None => continue,
            },
            accepted = listener.accept(), if may_enter => match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    accept_failed(&mut house, &error).await;
                    continue;
                }
            },
        };
        if !house.make_room() {
            at_the_door = Some(stream);
            continue;
        }
        // Answers are small and written at once; waiting for more to send only delays them.
        let _ = stream.set_nodelay(true);
        let seat = house.seat();
        let connection = http.serve_connection(
            TokioIo::new(Watched::new(stream, Arc::clone(&seat), limits.max_header_bytes)),
            seated(TowerToHyperService::new(service.clone()), Arc::clone(&seat)),
        );
        let connection = graceful.watch(connection);
        let task = connections.spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection ended badly");
            }
        });
        house.enter(seat, task);
    }
    drop(listener);
    close.send_replace(true);
    if timeout(STOP_TIME, graceful.shutdown()).await.is_err() {
        tracing::warn!(open = house.len(), "connections still open after {STOP_TIME:?} are cut");
    }
    connections.shutdown().await;
}

fn id_of(ended: Result<(Id, ()), JoinError>) -> Id {
    ended.map_or_else(|error| error.id(), |(id, ())| id)
}

/// Mostly "too many open files": who asks for nothing shall not keep others out, and the rest only time heals.
async fn accept_failed(house: &mut House, error: &io::Error) {
    tracing::warn!(%error, "a connection could not be accepted");
    house.show_one_out();
    sleep(ACCEPT_PAUSE).await;
}

/// `service`, noting on the seat of its connection what it does.
fn seated<S, B>(
    service: S,
    seat: Arc<Seat>,
) -> impl Service<
    Request<Incoming>,
    Response = Response<impl Body<Data = B::Data, Error = B::Error> + 'static>,
    Error = S::Error,
    Future: Send,
>
where
    S: Service<Request<Incoming>, Response = Response<B>, Future: Send>,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    B: Body + 'static,
{
    service_fn(move |mut request| {
        // `CONNECT host:port` has no path, which warp takes for granted: it is nobody's, like `/`.
        if request.uri().path_and_query().is_none() {
            *request.uri_mut() = Uri::from_static("/");
        }
        request.extensions_mut().insert(Arc::clone(&seat));
        let (seat, answer) = (Arc::clone(&seat), service.call(request));
        async move {
            seat.begin().await;
            let answer = answer.await;
            let answered = seat.answered();
            // Held by the body, which lives until the connection has taken the last of it.
            let holding = move |error| {
                let _held = &answered;
                error
            };
            answer.map(|answer| answer.map(|body| body.map_err(holding)))
        }
    })
}
