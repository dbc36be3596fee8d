//! Who makes room in a full house while a request is ended, without a socket.

use std::{convert::Infallible, future::pending, sync::Arc, sync::atomic::Ordering};

use bytes::Bytes;
use futures::{Stream, poll, stream};
use http_body_util::StreamBody;
use hyper::{body::Frame, service::Service};
use hyper_util::service::TowerToHyperService;
use tokio::{sync::watch, task::yield_now};
use warp::{
    http::{Request, request::Builder},
    reply::Response,
};
use wharf_actors::Tally;
use wharf_domain::ClientId;

use super::{
    super::{
        call::Times,
        dispatch::{Dispatch, unsent},
        link_page::Visits,
        refusals::{Asker, Refusals},
        seats::{House, Places, Seat},
        upload,
        watch::watchers,
    },
    ALPHA, LIMITS, ServerLimits,
    fake::FakeDesk,
};

/// A house of one place, where a request is carried out.
struct Full {
    house: House,
    seat: Arc<Seat>,
    desk: Arc<FakeDesk>,
    refusals: Arc<Refusals>,
    close: watch::Sender<bool>,
}

impl Full {
    async fn new() -> Self {
        let mut house = House::new(ServerLimits {
            max_connections: 1,
            ..LIMITS
        });
        let seat = house.seat();
        house.enter(Arc::clone(&seat), tokio::spawn(pending::<()>()).abort_handle());
        seat.begin().await;
        assert!(!house.may_enter(), "it is full");
        Self {
            house,
            seat,
            desk: Arc::default(),
            refusals: Arc::default(),
            close: watch::Sender::new(false),
        }
    }

    /// What comes of the request.
    fn answer(
        &self,
        request: Builder,
        body: impl Stream<Item = Result<Frame<Bytes>, Infallible>> + Send + Sync + 'static,
    ) -> impl Future<Output = Response> {
        let dispatch = Dispatch {
            desk: self.desk.clone(),
            times: Times {
                request: LIMITS.request_timeout,
                idle: LIMITS.idle_timeout,
            },
            under_way: Tally::new(LIMITS.max_requests_per_client),
            places: Arc::new(Places::new(LIMITS.max_connections)),
            unsent: unsent(),
            refusals: Arc::clone(&self.refusals),
            watchers: watchers(),
            visits: Visits::new(),
            large: upload::turns(),
            operator: None,
            closing: self.close.subscribe(),
        };
        let service = TowerToHyperService::new(warp::service(dispatch.filter()));
        let request = request.extension(Arc::clone(&self.seat)).body(StreamBody::new(body));
        async move { service.call(request.unwrap()).await.unwrap() }
    }
}

/// A body that does not come is waited for, so that whoever sends one gets to read the answer.
#[tokio::test]
async fn a_body_that_nobody_wants_holds_no_place_if_it_counts_for_nobody() {
    for path in ["/healthz", "/nothing", "/api/events"] {
        let full = Full::new().await;
        let mut answer = Box::pin(full.answer(Request::get(path), stream::pending()));
        while !full.house.may_enter() {
            assert!(poll!(&mut answer).is_pending(), "{path}: was answered first");
            yield_now().await;
        }
    }
}

#[tokio::test]
async fn a_refusal_that_is_held_back_holds_no_place_and_a_stop_does_not_wait_for_it() {
    let full = Full::new().await;
    full.desk.read_out.store(true, Ordering::Relaxed);
    while full.refusals.hold_back(Asker::Client(ClientId(1))).is_zero() {}
    // By two seconds more: a moment would be over before it is looked at.
    for _ in 0..40 {
        full.refusals.hold_back(Asker::Client(ClientId(1)));
    }
    let ask = Request::get("/api/webhooks/list").header("authorization", format!("Bearer {ALPHA}"));
    let mut answer = Box::pin(full.answer(ask, stream::empty()));
    while !full.house.may_enter() {
        assert!(poll!(&mut answer).is_pending(), "it is held back");
        yield_now().await;
    }
    full.close.send_replace(true);
    assert!(poll!(&mut answer).is_ready());
}
