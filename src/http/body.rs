//! Request bodies: read up to a limit, within a time.

use std::{pin::Pin, time::Duration};

use bytes::{Buf, Bytes, BytesMut};
use futures::{Stream, StreamExt};
use tokio::time::timeout;
use warp::http::{HeaderMap, HeaderValue, StatusCode, header};

use super::problem::Problem;

/// The largest body (CONTRACT.md section 2).
pub(super) const BODY_MAX_BYTES: usize = 64 * 1024;
/// What is read and thrown away of a body that nobody wants. Closing a socket with unread bytes in it resets the
/// connection, and a client that is still writing then sees the reset and not our answer.
const DRAIN_MAX_BYTES: usize = 4 * 1024 * 1024;
/// How long that may take.
const DRAIN_TIME: Duration = Duration::from_millis(500);

/// A body as it arrives.
pub(super) struct Body {
    chunks: Pin<Box<dyn Stream<Item = Result<Bytes, warp::Error>> + Send>>,
    ended: bool,
}

impl Body {
    /// Wraps what warp gives.
    pub(super) fn new<B: Buf>(stream: impl Stream<Item = Result<B, warp::Error>> + Send + 'static) -> Self {
        let chunks = stream.map(|chunk| chunk.map(|mut buf| buf.copy_to_bytes(buf.remaining())));
        Self {
            chunks: Box::pin(chunks),
            ended: false,
        }
    }

    /// The whole body, if it is JSON by its content type, not larger than the limit, and here in time.
    pub(super) async fn read(&mut self, headers: &HeaderMap, time: Duration) -> Result<Bytes, Problem> {
        let announced = headers
            .get(header::CONTENT_LENGTH)
            .and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
        if announced.is_some_and(|length| length > BODY_MAX_BYTES as u64) {
            return Err(too_large());
        }
        let body = match timeout(time, self.collect()).await {
            Ok(body) => body?,
            Err(_) => {
                let detail = format!("the body did not arrive within {time:?}");
                return Err(Problem::new(StatusCode::REQUEST_TIMEOUT, detail)
                    .with(header::CONNECTION, HeaderValue::from_static("close")));
            }
        };
        if !body.is_empty() && !is_json(headers) {
            let detail = "a body must be sent with content-type: application/json";
            return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail));
        }
        Ok(body)
    }

    /// Takes the rest from the client, within reason, so that it gets to read the answer.
    pub(super) async fn drain(&mut self) {
        let mut left = DRAIN_MAX_BYTES;
        let rest = async {
            while let Some(chunk) = self.next().await {
                match chunk {
                    Ok(chunk) if chunk.len() < left => left -= chunk.len(),
                    _ => break,
                }
            }
        };
        // Too slow is as good as done: the answer goes out either way.
        let _ = timeout(DRAIN_TIME, rest).await;
    }

    async fn collect(&mut self) -> Result<Bytes, Problem> {
        let mut whole = BytesMut::new();
        while let Some(chunk) = self.next().await {
            let chunk = chunk.map_err(|error| {
                tracing::debug!(%error, "a body broke off");
                Problem::new(
                    StatusCode::BAD_REQUEST,
                    "the body broke off or is not framed as HTTP wants it",
                )
            })?;
            if whole.len() + chunk.len() > BODY_MAX_BYTES {
                return Err(too_large());
            }
            whole.extend_from_slice(&chunk);
        }
        Ok(whole.freeze())
    }

    async fn next(&mut self) -> Option<Result<Bytes, warp::Error>> {
        if self.ended {
            return None;
        }
        let chunk = self.chunks.next().await;
        self.ended = !matches!(chunk, Some(Ok(_)));
        chunk
    }
}

fn too_large() -> Problem {
    Problem::new(
        StatusCode::PAYLOAD_TOO_LARGE,
        format!("a body may have {BODY_MAX_BYTES} bytes at most"),
    )
}

/// `application/json` or `application/…+json`, with whatever parameters: JSON is UTF-8, no matter what they say.
fn is_json(headers: &HeaderMap) -> bool {
    let mut types = headers.get_all(header::CONTENT_TYPE).iter();
    let (Some(only), None) = (types.next(), types.next()) else {
        return false;
    };
    let essence = only
        .to_str()
        .unwrap_or_default()
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase();
    essence
        .strip_prefix("application/")
        .is_some_and(|kind| kind == "json" || kind.ends_with("+json"))
}
