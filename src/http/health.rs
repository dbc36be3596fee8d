//! `/healthz` and `/readyz`, without a token, and `/metrics` with the operator's.

use serde_json::json;
use warp::{
    http::{HeaderValue, StatusCode, header},
    reply::Reply as _,
};
use wharf_actors::METRICS_TYPE;

use super::{
    call::{Answer, Call, json},
    problem::Problem,
    token::token_of,
};

/// `GET /healthz`: answering is the proof.
pub(super) async fn alive(_: Call) -> Answer {
    json(StatusCode::OK, &json!({ "status": "ok" }))
}

/// `GET /readyz`: 503 says why not.
pub(super) async fn ready(call: Call) -> Answer {
    call.desk.ready().await.map_err(Problem::unavailable)?;
    json(StatusCode::OK, &json!({ "status": "ready" }))
}

/// `GET /metrics`: what operators measure. Without a token in the configuration there is no such route.
pub(super) async fn metrics(call: Call) -> Answer {
    let Some(operator) = call.operator else {
        let detail = "there is no such route: http.metrics_token is not set";
        return Err(Problem::new(StatusCode::NOT_FOUND, detail));
    };
    if token_of(&call.headers) != Some(operator) {
        return Err(Problem::unauthorized());
    }
    let mut response = call.desk.metrics().await?.into_response();
    let of_metrics = HeaderValue::from_static(METRICS_TYPE);
    response.headers_mut().insert(header::CONTENT_TYPE, of_metrics);
    Ok(response)
}
