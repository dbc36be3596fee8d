//! `GET /openapi.json`: the API for programs, without a token. `tests/openapi.rs` holds it to what is served.

use warp::{
    http::{HeaderValue, header},
    reply::Response,
};

use super::call::{Answer, Call};

/// OpenAPI 3.1.
pub(super) const DESCRIPTION: &str = include_str!("../../docs/openapi.json");

pub(super) async fn openapi(_: Call) -> Answer {
    let mut response = Response::new(DESCRIPTION.into());
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    Ok(response)
}
