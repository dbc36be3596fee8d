//! `/healthz` and `/readyz`; no token.

use serde_json::json;
use warp::http::StatusCode;

use super::{
    call::{Answer, Call, json},
    problem::Problem,
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
