//! Sockets: accepts connections, bounds them in number and in idleness, and stops without cutting an answer.
//!
//! warp is the service; hyper's connection is driven here and not by `warp::serve`, because warp 0.4 has no way to set
//! a header timeout, to cap connections, or to bound how long stopping takes. HTTP/1.1 only: TLS and HTTP/2 are the
//! business of the proxy in front.
//!
//! Not bounded: a client that reads its answer slowly keeps its connection (never more than `max_connections` of them).
//! Requests that are not HTTP are answered by hyper itself, with a bare 400 or 431.

use std::{future::Future, sync::Arc, time::Duration};

use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
    service::TowerToHyperService,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    task::JoinSet,
    time::{sleep, timeout},
};

use super::{Desk, dispatch::Dispatch};

/// How long a connection may take to send a request's headers, counted from the end of the answer before: the limit of
/// slow headers and of idle keep-alive in one. Longer than the idle time of most clients' pools, so that it is they
/// who close.
const HEADER_TIME: Duration = Duration::from_secs(100);
/// How long running requests get after the stop (CONTRACT.md section 5).
const STOP_TIME: Duration = Duration::from_secs(10);
/// Pause after an accept that failed: mostly "too many open files", which only time heals.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How much the facade takes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// For everything between the last header byte and the answer.
    pub request_timeout: Duration,
    /// Connections at a time; more wait in the kernel's queue.
    pub max_connections: usize,
}

/// Serves until `shutdown` ends; then takes no new request and gives the running ones ten seconds.
pub async fn serve(listener: TcpListener, desk: Arc<dyn Desk>, limits: Limits, shutdown: impl Future<Output = ()>) {
    let service = warp::service(
        Dispatch {
            desk,
            deadline: limits.request_timeout,
        }
        .filter(),
    );
    let places = Arc::new(Semaphore::new(limits.max_connections));
    let graceful = GracefulShutdown::new();
    let mut connections = JoinSet::new();
    let mut shutdown = std::pin::pin!(shutdown);
    loop {
        let stream = tokio::select! {
            biased;
            () = &mut shutdown => break,
            Some(_) = connections.join_next() => continue,
            accepted = accept(&listener, &places) => accepted,
        };
        let Some((stream, place)) = stream else { continue };
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEADER_TIME)
            .serve_connection(TokioIo::new(stream), TowerToHyperService::new(service.clone()));
        let connection = graceful.watch(connection);
        connections.spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection ended badly");
            }
            drop(place);
        });
    }
    drop(listener);
    if timeout(STOP_TIME, graceful.shutdown()).await.is_err() {
        tracing::warn!(
            open = connections.len(),
            "connections still open after {STOP_TIME:?} are cut"
        );
    }
    connections.shutdown().await;
}

/// The next connection and its place among the allowed ones.
async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> Option<(TcpStream, tokio::sync::OwnedSemaphorePermit)> {
    let place = Arc::clone(places).acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, _)) => {
            // Answers are small and written at once; waiting for more to send only delays them.
            let _ = stream.set_nodelay(true);
            Some((stream, place))
        }
        Err(error) => {
            tracing::warn!(%error, "a connection could not be accepted");
            sleep(ACCEPT_PAUSE).await;
            None
        }
    }
}
