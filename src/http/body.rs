//! Request bodies: read up to a limit, within a time.

use std::{pin::Pin, time::Duration};

use bytes::{Buf, Bytes, BytesMut};
use futures::{Stream, StreamExt};
use tokio::time::{Instant, timeout};
use warp::http::{HeaderMap, HeaderValue, StatusCode, header};
use wharf_domain::pace::earned;

use super::problem::Problem;

/// The largest body (CONTRACT.md section 2).
pub(super) const BODY_MAX_BYTES: usize = 64 * 1024;
/// What is read and thrown away of a body that nobody wants. Closing a socket with unread bytes in it resets the
/// connection, and a client that is still writing then sees the reset and not our answer.
const DRAIN_MAX_BYTES: usize = 4 * 1024 * 1024;
/// How long that may take.
const DRAIN_TIME: Duration = Duration::from_millis(500);

/// How slow the sender of a large body may be: silent for so long, and in the long run no slower than the least pace. Only
/// what is waited for the sender counts, not what is done with what has come.
pub(super) struct LeastRate {
    most: Duration,
    left: Duration,
}

impl LeastRate {
    pub(super) fn new(most: Duration) -> Self {
        Self { most, left: most }
    }

    /// What came gives time for more, but none to be saved up.
    fn came(&mut self, bytes: usize, waited: Duration) {
        self.left = (self.left.saturating_sub(waited) + earned(bytes)).min(self.most);
    }
}

/// A body as it arrives.
pub(super) struct Body {
    chunks: Pin<Box<dyn Stream<Item = Result<Bytes, warp::Error>> + Send>>,
    begun: bool,
    ended: bool,
}

impl Body {
    /// Wraps what warp gives.
    pub(super) fn new<B: Buf>(stream: impl Stream<Item = Result<B, warp::Error>> + Send + 'static) -> Self {
        let chunks = stream.map(|chunk| chunk.map(|mut buf| buf.copy_to_bytes(buf.remaining())));
        Self {
            chunks: Box::pin(chunks),
            begun: false,
            ended: false,
        }
    }

    /// Whether anything of it was asked for: then a client that waited for `100 Continue` was told to send it.
    pub(super) fn is_begun(&self) -> bool {
        self.begun
    }

    /// The whole body, if it is JSON by its content type, not larger than the limit, and here in time.
    pub(super) async fn read(&mut self, headers: &HeaderMap, time: Duration) -> Result<Bytes, Problem> {
        if announces_more_than(headers, BODY_MAX_BYTES) {
            return Err(too_large(BODY_MAX_BYTES));
        }
        let body = match timeout(time, self.collect()).await {
            Ok(body) => body?,
            Err(_) => return Err(too_slow(format!("the body did not arrive within {time:?}"))),
        };
        if !body.is_empty() && !is_json(headers) {
            return Err(not_json());
        }
        Ok(body)
    }

    /// The next piece of a large body; `None` at the end.
    pub(super) async fn next_within(&mut self, pace: &mut LeastRate) -> Result<Option<Bytes>, Problem> {
        let begun = Instant::now();
        match timeout(pace.left, self.next()).await {
            Ok(Some(piece)) => {
                let piece = piece.map_err(|error| broken_off(&error))?;
                pace.came(piece.len(), begun.elapsed());
                Ok(Some(piece))
            }
            Ok(None) => Ok(None),
            Err(_) => Err(too_slow("the body comes too slowly".to_owned())),
        }
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
            let chunk = chunk.map_err(|error| broken_off(&error))?;
            if whole.len() + chunk.len() > BODY_MAX_BYTES {
                return Err(too_large(BODY_MAX_BYTES));
            }
            whole.extend_from_slice(&chunk);
        }
        Ok(whole.freeze())
    }

    async fn next(&mut self) -> Option<Result<Bytes, warp::Error>> {
        if self.ended {
            return None;
        }
        self.begun = true;
        let chunk = self.chunks.next().await;
        self.ended = !matches!(chunk, Some(Ok(_)));
        chunk
    }
}

/// Whether a body says beforehand that it is too large: it need not come at all.
pub(super) fn announces_more_than(headers: &HeaderMap, most: usize) -> bool {
    let announced = headers.get(header::CONTENT_LENGTH);
    let announced = announced.and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    announced.is_some_and(|length| length > most as u64)
}

pub(super) fn too_large(most: usize) -> Problem {
    let detail = format!("a body may have {most} bytes at most");
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, detail)
}

fn not_json() -> Problem {
    let detail = "a body must be sent with content-type: application/json";
    Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail)
}

/// Refuses a body that is compressed: it would be read as garbled JSON, or sent on as it is.
pub(super) fn check_coding(headers: &HeaderMap) -> Result<(), Problem> {
    let said = headers.get_all(header::CONTENT_ENCODING).iter();
    let mut codings = said.flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
    let is_plain =
        |coding: &[u8]| coding.trim_ascii().is_empty() || coding.trim_ascii().eq_ignore_ascii_case(b"identity");
    match codings.all(is_plain) {
        true => Ok(()),
        false => {
            let detail = "a body must be sent as it is, without a content-encoding such as gzip";
            let problem = Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail);
            // RFC 9110 section 12.5.3: what would be taken.
            Err(problem.with(header::ACCEPT_ENCODING, HeaderValue::from_static("identity")))
        }
    }
}

fn too_slow(detail: String) -> Problem {
    Problem::new(StatusCode::REQUEST_TIMEOUT, detail).with(header::CONNECTION, HeaderValue::from_static("close"))
}

fn broken_off(error: &warp::Error) -> Problem {
    tracing::debug!(%error, "a body broke off");
    let detail = "the body broke off or is not framed as HTTP wants it";
    Problem::new(StatusCode::BAD_REQUEST, detail)
}

/// `application/json` or `application/…+json`, with whatever parameters: JSON is UTF-8, no matter what they say.
pub(super) fn is_json(headers: &HeaderMap) -> bool {
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

#[cfg(test)]
mod tests {
    use futures::stream;
    use tokio::time::sleep;

    use super::*;

    /// A body of which each piece is there when it is asked for the second time.
    fn body(pieces: usize) -> Body {
        let piece = |_| async {
            tokio::task::yield_now().await;
            Ok(&b"x"[..])
        };
        Body::new(stream::iter(0..pieces).then(piece))
    }

    #[tokio::test]
    async fn what_is_done_between_two_pieces_is_not_the_senders_time() {
        let time = Duration::from_millis(300);
        let (mut body, mut pace) = (body(3), LeastRate::new(time));
        for number in 0..3 {
            assert!(matches!(body.next_within(&mut pace).await, Ok(Some(_))), "{number}");
            // As a desk that is slow to say whether a file may come, or a disk that is slow to take it.
            sleep(time).await;
        }
        assert!(matches!(body.next_within(&mut pace).await, Ok(None)));
    }

    #[test]
    fn time_is_spent_and_earned_but_not_saved_up() {
        let second = Duration::from_secs(1);
        let mut pace = LeastRate::new(10 * second);
        pace.came(16 * 1024, 4 * second);
        assert_eq!(pace.left, 7 * second);
        pace.came(1 << 20, second);
        assert_eq!(pace.left, 10 * second);
        pace.came(0, 20 * second);
        assert_eq!(pace.left, Duration::ZERO);
    }
}
