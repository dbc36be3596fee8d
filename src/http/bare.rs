//! Requests that hyper refuses by itself: what is no HTTP, or has too large a head. It answers them with a status and nothing
//! else, before any of our code is asked; on the way to the socket such an answer becomes one like all others, a problem
//! document with a request id.

use uuid::Uuid;
use warp::http::StatusCode;

use super::problem::Problem;

/// Headers in one request.
pub(super) const MAX_HEADERS: usize = 100;
/// What hyper's own answers begin with; no other status class is one of them.
const BEGINS: &[u8] = b"HTTP/1.1 4";
/// The header in the place of which ours go.
const EMPTY: &str = "content-length: 0\r\n";

/// What is sent in the place of these bytes; `None` when they are no bare refusal.
pub(super) fn in_place_of(answer: &[u8], max_header_bytes: usize) -> Option<Vec<u8>> {
    let status = StatusCode::from_bytes(answer.strip_prefix(b"HTTP/1.1 ")?.get(..3)?).ok()?;
    let head = std::str::from_utf8(answer.strip_suffix(b"\r\n\r\n")?).ok()?;
    let (before, after) = answer
        .starts_with(BEGINS)
        .then(|| head.split_once(EMPTY))?
        .filter(|(before, _)| before.ends_with("\r\n"))?;
    let document = Problem::new(status, detail(status, max_header_bytes)).document();
    let id = Uuid::now_v7();
    let length = document.len();
    let mut whole = format!(
        "{before}content-type: application/problem+json\r\ncache-control: no-store\r\nx-request-id: {id}\r\n\
         content-length: {length}\r\n{after}\r\n\r\n"
    )
    .into_bytes();
    whole.extend_from_slice(&document);
    Some(whole)
}

fn detail(status: StatusCode, max_header_bytes: usize) -> String {
    match status {
        StatusCode::URI_TOO_LONG | StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE => format!(
            "the request line and the headers may have {max_header_bytes} bytes (http.max_header_bytes) and {MAX_HEADERS} \
             headers at most"
        ),
        _ => {
            "this is not HTTP/1.1, or its request line, a header or its framing is not as RFC 9112 wants it".to_owned()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_bare_refusal_is_replaced() {
        let bare = "HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-length: 0\r\ndate: today\r\n\r\n";
        let whole = String::from_utf8(in_place_of(bare.as_bytes(), 32_768).unwrap()).unwrap();
        let (head, body) = whole.split_once("\r\n\r\n").unwrap();
        assert!(
            head.contains("\r\nconnection: close\r\n") && head.ends_with("\r\ndate: today"),
            "{head}"
        );
        assert!(
            head.contains(&format!("\r\ncontent-length: {}\r\n", body.len())),
            "{head}"
        );
        assert!(!head.contains("content-length: 0") && body.contains("32768"), "{whole}");
        for other in [
            "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
            "HTTP/1.1 404 Not Found\r\ncontent-length: 5\r\n\r\nhello",
            "HTTP/1.1 400 Bad Request\r\nx-content-length: 0\r\n\r\n",
            "HTTP/1.1 100 Continue\r\n\r\n",
            "HTTP/1.1 4",
            "",
        ] {
            assert!(in_place_of(other.as_bytes(), 1).is_none(), "{other:?}");
        }
    }
}
