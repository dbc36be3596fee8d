//! Reading a request's body: bounded, JSON where JSON is expected.

use bytes::{Buf, BytesMut};
use futures::{Stream, StreamExt as _};
use serde::de::DeserializeOwned;
use warp::http::StatusCode;
use warp::http::header::{CONTENT_TYPE, HeaderMap};

use super::problem::Problem;

/// Enough for a text of WhatsApp's greatest length, escaped.
pub(super) const MAX_BODY: usize = 64 * 1024;
/// A message may bring a file, as base64.
pub(super) const MAX_MESSAGE: usize = 24 << 20;

/// The whole body.
///
/// # Errors
/// 413 if it is longer than `most` bytes, 400 if it breaks off.
pub(super) async fn body<S, B>(stream: S, most: usize) -> Result<BytesMut, Problem>
where
    S: Stream<Item = Result<B, warp::Error>>,
    B: Buf,
{
    let mut stream = std::pin::pin!(stream);
    let mut body = BytesMut::new();
    while let Some(part) = stream.next().await {
        let part =
            part.map_err(|error| Problem::new(StatusCode::BAD_REQUEST, format!("the body broke off: {error}")))?;
        if body.len() + part.remaining() > most {
            let detail = format!("a body has at most {most} bytes here");
            return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, detail));
        }
        let mut part = part;
        while part.has_remaining() {
            let chunk = part.chunk();
            body.extend_from_slice(chunk);
            let length = chunk.len();
            part.advance(length);
        }
    }
    Ok(body)
}

/// The body as JSON.
///
/// # Errors
/// 415 for another content type, 400 for JSON that does not fit.
pub(super) fn json<T: DeserializeOwned>(headers: &HeaderMap, body: &[u8]) -> Result<T, Problem> {
    let kind = headers
        .get(CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok())
        .unwrap_or_default();
    let essence = kind.split(';').next().unwrap_or_default().trim();
    if !essence.eq_ignore_ascii_case("application/json") {
        let detail = "the body is to be JSON, with content-type application/json";
        return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail));
    }
    serde_json::from_slice(body)
        .map_err(|error| Problem::new(StatusCode::BAD_REQUEST, format!("the body does not fit: {error}")))
}
