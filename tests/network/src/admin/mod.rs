//! The HTTP side: the WebSocket of the clients and the admin routes, a thin layer over [`crate::Network`].

mod media;
mod problem;
mod request;
mod routes;

use std::convert::Infallible;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::sync::watch;
use warp::Filter;
use warp::http::StatusCode;
use warp::reply::Response;

use crate::network::WeakNetwork;
use crate::serve;
use crate::state::World;
use problem::Problem;

/// Serves clients and admin routes.
pub(crate) async fn serve_all(
    listener: TcpListener,
    network: WeakNetwork,
    world: Arc<World>,
    stopped: watch::Receiver<bool>,
) {
    let chat = warp::path!("ws" / "chat")
        .and(warp::ws())
        .then(move |upgrade: warp::ws::Ws| {
            let world = Arc::clone(&world);
            async move {
                // A stalled server does not even answer the upgrade.
                if let Some(until) = world.faults.stalled(None) {
                    tokio::time::sleep_until(until.into()).await;
                    return Problem::new(StatusCode::SERVICE_UNAVAILABLE, "the network was stalled").into_response();
                }
                warp::reply::Reply::into_response(upgrade.on_upgrade(move |socket| serve::run(world, socket)))
            }
        });
    let served = chat.or(admin(network)).unify();
    warp::serve(served)
        .incoming(listener)
        .graceful(until(stopped))
        .run()
        .await;
}

/// Serves the admin routes alone.
pub(crate) async fn serve_admin(listener: TcpListener, network: WeakNetwork, stopped: watch::Receiver<bool>) {
    warp::serve(admin(network))
        .incoming(listener)
        .graceful(until(stopped))
        .run()
        .await;
}

async fn until(mut stopped: watch::Receiver<bool>) {
    // An error means that the network is gone, which is as good a reason to stop.
    let _ = stopped.wait_for(|stopped| *stopped).await;
}

fn admin(network: WeakNetwork) -> impl Filter<Extract = (Response,), Error = Infallible> + Clone {
    let any = warp::any()
        .and(warp::method())
        .and(warp::path::full())
        .and(warp::query::raw().or(warp::any().map(String::new)).unify())
        .and(warp::header::headers_cloned())
        .and(warp::body::stream())
        .then(
            move |method, path: warp::path::FullPath, query: String, headers: warp::http::HeaderMap, body| {
                let network = network.clone();
                async move {
                    let answer = async {
                        let network = network.get()?;
                        let path = path.as_str();
                        if media::serves(path) {
                            return media::answer(network.world(), method, (path, &query), &headers, body).await;
                        }
                        routes::answer(&network, method, path, &headers, body).await
                    };
                    answer.await.unwrap_or_else(Problem::into_response)
                }
            },
        );
    // The filter above matches every request, so a rejection cannot happen; the type wants it said.
    any.recover(|_| async {
        Ok::<_, Infallible>(Problem::new(StatusCode::NOT_FOUND, "there is no such route").into_response())
    })
    .unify()
}
