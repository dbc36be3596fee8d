//! The media store over HTTP, as clients build its links: `POST /mms/:type/:token` takes a file, `GET` of the direct path
//! gives it, whole or in ranges.

use bytes::{Buf, Bytes, BytesMut};
use futures::{Stream, StreamExt as _};
use serde_json::json;
use warp::http::header::{ACCEPT_RANGES, CONTENT_RANGE, CONTENT_TYPE, HeaderMap, HeaderValue, RANGE};
use warp::http::{Method, Response as HttpResponse, StatusCode};
use warp::reply::Response;

use super::problem::Problem;
use crate::FaultKind;
use crate::state::{Place, World, token_of};

/// More than WhatsApp takes at once, and still in memory.
const LARGEST: usize = 512 << 20;

/// Whether a path is the media store's.
pub(super) fn serves(path: &str) -> bool {
    ["/mms/", "/v/", "/product/"]
        .iter()
        .any(|folder| path.starts_with(folder))
}

/// Answers one request.
///
/// # Errors
/// 404 for a file that is not there, 401 for an upload without what `media_conn` gave an account, 400 for one whose token is
/// not its hash, 413 for one too large, what a fault says.
pub(super) async fn answer<S, B>(
    world: &World,
    method: Method,
    (path, query): (&str, &str),
    headers: &HeaderMap,
    body: S,
) -> Result<Response, Problem>
where
    S: Stream<Item = Result<B, warp::Error>>,
    B: Buf,
{
    let auth = parameter(query, "auth");
    fault(world, auth).await?;
    match method {
        Method::GET | Method::HEAD => download(world, path, auth, headers),
        Method::POST | Method::PUT => upload(world, path, query, body).await,
        _ => Err(Problem::method("GET, POST")),
    }
}

fn parameter<'a>(query: &'a str, name: &str) -> Option<&'a str> {
    query
        .split('&')
        .find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
}

async fn fault(world: &World, auth: Option<&str>) -> Result<(), Problem> {
    if world.faults.strikes(FaultKind::MediaStall, auth).is_some() {
        world.faults.end_of(FaultKind::MediaStall, auth).await;
    }
    let Some(code) = world.faults.strikes(FaultKind::MediaError, auth) else {
        return Ok(());
    };
    let status = code
        .and_then(|code| StatusCode::from_u16(u16::try_from(code).ok()?).ok())
        .unwrap_or(StatusCode::SERVICE_UNAVAILABLE);
    Err(Problem::new(status, "a fault of the media store"))
}

fn download(world: &World, path: &str, auth: Option<&str>, headers: &HeaderMap) -> Result<Response, Problem> {
    let missing = world.faults.strikes(FaultKind::MediaMissing, auth).is_some();
    let file = if missing { None } else { world.media.give(path) };
    let mut file = file.ok_or_else(|| Problem::new(StatusCode::NOT_FOUND, format!("nothing lies at {path}")))?;
    if world.faults.strikes(FaultKind::MediaTruncated, auth).is_some() {
        file.truncate(file.len() / 2);
    }
    if world.faults.strikes(FaultKind::MediaCorrupt, auth).is_some() {
        let mut spoilt = BytesMut::from(&file[..]);
        let middle = spoilt.len() / 2;
        if let Some(byte) = spoilt.get_mut(middle) {
            *byte ^= 0xFF;
        }
        file = spoilt.freeze();
    }
    let length = file.len();
    let range = headers.get(RANGE).and_then(|range| range.to_str().ok());
    let (status, part, content_range) = match range {
        None => (StatusCode::OK, file, None),
        Some(range) => {
            let (from, to) = bounds(range, length).ok_or_else(|| {
                let detail = format!("{range} does not lie within {length} bytes");
                Problem::new(StatusCode::RANGE_NOT_SATISFIABLE, detail)
            })?;
            let said = format!("bytes {from}-{}/{length}", to - 1);
            (StatusCode::PARTIAL_CONTENT, file.slice(from..to), Some(said))
        }
    };
    let mut response = bytes(status, part);
    if let Some(said) = content_range.and_then(|said| HeaderValue::from_str(&said).ok()) {
        response.headers_mut().insert(CONTENT_RANGE, said);
    }
    Ok(response)
}

fn bytes(status: StatusCode, part: Bytes) -> Response {
    let mut response = HttpResponse::new(part.into());
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    response
}

/// The half-open range of `bytes=from-to`; several ranges are not served.
fn bounds(range: &str, length: usize) -> Option<(usize, usize)> {
    let (from, to) = range.strip_prefix("bytes=")?.split_once('-')?;
    let (from, to) = match (from.parse::<usize>().ok(), to.parse::<usize>().ok()) {
        (Some(from), Some(to)) => (from, to.saturating_add(1).min(length)),
        (Some(from), None) if to.is_empty() => (from, length),
        (None, Some(last)) if from.is_empty() => (length.saturating_sub(last), length),
        _ => return None,
    };
    (from < to).then_some((from, to))
}

async fn upload<S, B>(world: &World, path: &str, query: &str, body: S) -> Result<Response, Problem>
where
    S: Stream<Item = Result<B, warp::Error>>,
    B: Buf,
{
    let auth = parameter(query, "auth").unwrap_or_default();
    if world.account(auth).is_err() {
        let detail = "an upload brings the auth that media_conn gave";
        return Err(Problem::new(StatusCode::UNAUTHORIZED, detail));
    }
    let token = path.rsplit('/').next().unwrap_or_default();
    if parameter(query, "resume") == Some("1") {
        return super::routes::ok(&if world.media.get(token).is_some() {
            let place = Place::of(token);
            json!({ "resume": "complete", "url": place.url, "direct_path": place.direct_path })
        } else {
            json!({ "resume": world.media.part_length(token).to_string() })
        });
    }
    let offset = parameter(query, "file_offset").and_then(|offset| offset.parse::<usize>().ok());
    let mut file = match offset {
        Some(offset) => {
            let mut part = world.media.take_part(token).unwrap_or_default();
            if part.len() < offset {
                return Err(Problem::new(
                    StatusCode::BAD_REQUEST,
                    "there is less of the file than file_offset says",
                ));
            }
            part.truncate(offset);
            part
        }
        None => BytesMut::new(),
    };
    let mut body = std::pin::pin!(body);
    while let Some(part) = body.next().await {
        match part {
            Ok(mut part) => {
                while part.has_remaining() {
                    let chunk = part.chunk();
                    file.extend_from_slice(chunk);
                    let length = chunk.len();
                    part.advance(length);
                }
            }
            Err(error) => {
                world.media.keep_part(token, file);
                return Err(Problem::new(
                    StatusCode::BAD_REQUEST,
                    format!("the upload broke off: {error}"),
                ));
            }
        }
        if file.len() > LARGEST {
            let detail = format!("a file has at most {LARGEST} bytes");
            return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, detail));
        }
    }
    if token != token_of(&file) {
        let detail = "the token in the path is to be the file's SHA-256 in URL-safe base64 without padding";
        return Err(Problem::new(StatusCode::BAD_REQUEST, detail));
    }
    let place = world.media.put(file);
    super::routes::ok(&json!({ "url": place.url, "direct_path": place.direct_path }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_cut_to_the_file() {
        assert_eq!(bounds("bytes=0-3", 10), Some((0, 4)));
        assert_eq!(bounds("bytes=4-", 10), Some((4, 10)));
        assert_eq!(bounds("bytes=-3", 10), Some((7, 10)));
        assert_eq!(bounds("bytes=8-99", 10), Some((8, 10)));
        assert_eq!(bounds("bytes=10-", 10), None);
        assert_eq!(bounds("bytes=x-", 10), None);
        assert_eq!(bounds("lines=0-3", 10), None);
    }

    #[test]
    fn parameters_are_found_by_their_whole_name() {
        assert_eq!(parameter("auth=1&token=2", "token"), Some("2"));
        assert_eq!(parameter("myauth=1", "auth"), None);
    }
}
