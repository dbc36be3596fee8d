//! `/media/CLIENT/EVENT/NAME?expires=…&signature=…`: files that messages came with, for whoever has the link. No token.
//!
//! What others sent is served from this server's own address, so a browser is told not to run any of it: no sniffing, a
//! sandbox, and only pictures, sounds and films are shown in place.

use std::{
    io::{self, ErrorKind, SeekFrom},
    sync::Arc,
};

use bytes::BytesMut;
use futures::stream;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use tokio::{
    fs::File,
    io::{AsyncReadExt as _, AsyncSeekExt as _},
};
use warp::{
    Reply as _,
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    reply::Response,
};
use wharf_actors::{MediaFile, NoMedia};
use wharf_domain::media_link::MediaLink;

use super::{Desk, call::Answer, problem::Problem};

/// What is read from the disk in one go.
const PIECE: u64 = 64 * 1024;
/// What the log calls these paths.
pub(super) const PATTERN: &str = "/media/:client/:event_id/:name";
/// The methods of these paths.
pub(super) const ALLOW: &str = "GET, HEAD, OPTIONS";
/// How long a browser may keep a file. A link says nothing else until it expires.
const CACHE: &str = "private, max-age=3600";
/// Nothing in a file runs, or loads anything.
const SANDBOX: &str = "sandbox; default-src 'none'; media-src 'self'; img-src 'self'; style-src 'unsafe-inline'";

/// Reads the link in a path below `/media/`, with its signature; `None` when that is no path of a file.
pub(super) fn link_of(segments: &[String], query: &str) -> Option<Result<(MediaLink, String), Problem>> {
    let [_, client, event, name] = segments else {
        return None;
    };
    let read = || {
        let parameter = |wanted: &str| {
            let mut found = query.split('&').filter_map(|pair| pair.split_once('='));
            found.find_map(|(name, value)| (name == wanted).then_some(value))
        };
        let link = MediaLink {
            client_id: wharf_domain::ClientId(client.parse().ok()?),
            event_id: event.parse().ok()?,
            file_name: name.clone(),
            expires: parameter("expires")?.parse().ok()?,
        };
        Some((link, parameter("signature")?.to_owned()))
    };
    // What cannot be a link of ours is no other case than one with a wrong signature.
    Some(read().ok_or_else(not_signed))
}

/// The file of a link, if it is signed as ours are.
pub(super) async fn file(desk: &Arc<dyn Desk>, link: &MediaLink, signature: &str) -> Result<MediaFile, Problem> {
    desk.media(link, signature).await.map_err(refusal)
}

/// Serves the file of a link.
pub(super) async fn serve(file: MediaFile, method: &Method, headers: &HeaderMap, link: &MediaLink) -> Answer {
    let unopened = |error: io::Error| {
        tracing::warn!(event = %link.event_id, %error, "a file of media cannot be opened");
        refusal(match error.kind() {
            ErrorKind::NotFound => NoMedia::Missing,
            // Of a moment maybe: too many open files, a disk that does not answer.
            _ => NoMedia::Unavailable("the file cannot be opened at present".to_owned()),
        })
    };
    let mut opened = File::open(&file.path).await.map_err(unopened)?;
    let tag = format!("\"{}\"", file.sha256);
    if listed(headers, &header::IF_NONE_MATCH, &tag) {
        let mut response = Response::default();
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        described(&mut response, &file, link, &tag)?;
        response.headers_mut().remove(header::CONTENT_TYPE);
        return Ok(response);
    }
    let wanted = match *method {
        Method::GET => wanted(headers, &tag, file.size),
        // Ranges are of `GET` alone (RFC 9110, 14.2).
        _ => Wanted::Whole,
    };
    let part = match wanted {
        Wanted::Whole => None,
        Wanted::Part(from, to) => Some((from, to)),
        Wanted::Outside => return outside(file.size),
    };
    let (from, to) = part.unwrap_or((0, file.size));
    let mut response = if method == Method::HEAD {
        Response::default()
    } else {
        opened.seek(SeekFrom::Start(from)).await.map_err(unopened)?;
        body(opened, to - from)
    };
    described(&mut response, &file, link, &tag)?;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_LENGTH, (to - from).into());
    if part.is_some() {
        headers.insert(
            header::CONTENT_RANGE,
            value(&format!("bytes {from}-{}/{}", to - 1, file.size))?,
        );
        *response.status_mut() = StatusCode::PARTIAL_CONTENT;
    }
    Ok(response)
}

/// The headers that every answer about a file has.
fn described(response: &mut Response, file: &MediaFile, link: &MediaLink, tag: &str) -> Result<(), Problem> {
    let mime_type = told(&file.mime_type).and_then(|text| HeaderValue::from_str(text).ok());
    let unknown = HeaderValue::from_static("application/octet-stream");
    let shown = match mime_type.is_some() && is_shown(&file.mime_type) {
        true => "inline",
        false => "attachment",
    };
    let ascii: String = link
        .file_name
        .chars()
        .map(|c| if c.is_ascii_graphic() || c == ' ' { c } else { '_' })
        .filter(|c| !matches!(c, '"' | '\\'))
        .collect();
    let name = utf8_percent_encode(&link.file_name, NON_ALPHANUMERIC);
    let disposition = format!("{shown}; filename=\"{ascii}\"; filename*=UTF-8''{name}");
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, mime_type.unwrap_or(unknown));
    headers.insert(header::CONTENT_DISPOSITION, value(&disposition)?);
    headers.insert(header::ETAG, value(tag)?);
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(SANDBOX));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(CACHE));
    Ok(())
}

fn value(text: &str) -> Result<HeaderValue, Problem> {
    HeaderValue::from_str(text).map_err(|_| Problem::internal())
}

/// What is told of a text that is a MIME type as far as a header goes: `type/subtype`, and maybe parameters. One, and no list:
/// of several a browser goes by the last (the Fetch standard: extract a MIME type). So parameters with a comma are left out, as
/// of a film that names its two codecs.
fn told(text: &str) -> Option<&str> {
    let token = |part: &str| {
        !part.is_empty()
            && part
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&b))
    };
    let essence = text.split(';').next().unwrap_or_default().trim();
    let (kind, subtype) = essence.split_once('/')?;
    let is_one = text.len() <= 200 && token(kind) && token(subtype);
    is_one.then_some(if text.contains(',') { essence } else { text })
}

/// Whether a browser may show it in place: nothing that can hold a script.
fn is_shown(mime_type: &str) -> bool {
    let mime_type = mime_type.to_ascii_lowercase();
    let kinds = ["image/", "video/", "audio/"];
    kinds.iter().any(|kind| mime_type.starts_with(kind)) && !mime_type.starts_with("image/svg")
}

/// Bytes of a file from where it stands, read as the socket takes them.
fn body(file: File, length: u64) -> Response {
    let pieces = stream::try_unfold((file, length), |(mut file, left)| async move {
        if left == 0 {
            return Ok(None);
        }
        let mut piece = BytesMut::with_capacity(usize::try_from(left.min(PIECE)).unwrap_or(0));
        match (&mut file).take(left.min(PIECE)).read_buf(&mut piece).await? {
            // Cut off behind our back: the connection breaks off, so that nobody takes it for the whole.
            0 => Err(io::Error::from(ErrorKind::UnexpectedEof)),
            read => Ok(Some((piece.freeze(), (file, left.saturating_sub(read as u64))))),
        }
    });
    warp::reply::stream(pieces).into_response()
}

/// What of a file is asked for.
#[derive(Debug, PartialEq, Eq)]
enum Wanted {
    /// All of it.
    Whole,
    /// From this byte up to, and without, that one.
    Part(u64, u64),
    /// Nothing that it has.
    Outside,
}

/// RFC 9110, section 14. Several ranges at once, and what is no range of bytes, are answered with the whole, as it allows.
fn wanted(headers: &HeaderMap, tag: &str, size: u64) -> Wanted {
    let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    let Some(range) = text(header::RANGE) else {
        return Wanted::Whole;
    };
    // A part of another file is of no use. A date is never ours.
    if headers.contains_key(header::IF_RANGE) && text(header::IF_RANGE) != Some(tag) {
        return Wanted::Whole;
    }
    let bounds = range
        .trim()
        .strip_prefix("bytes=")
        .and_then(|bounds| bounds.split_once('-'));
    let Some((first, last)) = bounds else {
        return Wanted::Whole;
    };
    let number = |text: &str| {
        (!text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())).then(|| text.parse().unwrap_or(u64::MAX))
    };
    match (number(first.trim()), number(last.trim())) {
        (None, Some(count)) if first.trim().is_empty() => match count.min(size) {
            0 => Wanted::Outside,
            count => Wanted::Part(size - count, size),
        },
        (Some(from), None) if last.trim().is_empty() => part(from, u64::MAX, size),
        (Some(from), Some(to)) if from <= to => part(from, to, size),
        _ => Wanted::Whole,
    }
}

fn part(from: u64, to: u64, size: u64) -> Wanted {
    if from >= size {
        return Wanted::Outside;
    }
    Wanted::Part(from, to.saturating_add(1).min(size))
}

/// Whether a list of entity tags has this one, or says "any".
fn listed(headers: &HeaderMap, name: &header::HeaderName, tag: &str) -> bool {
    let lists = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    lists
        .flat_map(|list| list.split(','))
        .map(|item| item.trim().trim_start_matches("W/"))
        .any(|item| item == tag || item == "*")
}

fn outside(size: u64) -> Answer {
    let detail = format!("the file has {size} bytes; the range lies outside of it");
    let range = value(&format!("bytes */{size}"))?;
    Err(Problem::new(StatusCode::RANGE_NOT_SATISFIABLE, detail).with(header::CONTENT_RANGE, range))
}

fn not_signed() -> Problem {
    refusal(NoMedia::NotSigned)
}

/// A link that was made up is refused the same way whatever it names.
fn refusal(no: NoMedia) -> Problem {
    match no {
        NoMedia::NotSigned => Problem::new(
            StatusCode::FORBIDDEN,
            "this is no link that was given out; take media.url of an event as it is",
        ),
        NoMedia::Expired => Problem::new(StatusCode::GONE, "the link has expired, and its file with it"),
        NoMedia::Missing => Problem::new(
            StatusCode::NOT_FOUND,
            "there is no file: it could not be downloaded, or was removed",
        ),
        NoMedia::NotYet => Problem::not_yet("the file is being downloaded from WhatsApp"),
        NoMedia::Unavailable(detail) => Problem::unavailable(detail),
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;

    use super::*;

    #[tokio::test]
    async fn a_file_that_is_cut_off_meanwhile_is_not_taken_for_the_whole() {
        let dir = tempfile::TempDir::new().unwrap();
        let path = dir.path().join("file");
        std::fs::write(&path, b"0123").unwrap();
        let of = async |length| {
            body(File::open(&path).await.unwrap(), length)
                .into_body()
                .collect()
                .await
        };
        assert_eq!(of(4).await.unwrap().to_bytes(), b"0123"[..]);
        assert!(of(5).await.is_err());
    }

    #[test]
    fn ranges_are_read_as_the_rfc_says() {
        let of = |range: Option<&str>, if_range: Option<&str>, size| {
            let mut headers = HeaderMap::new();
            for (name, value) in [(header::RANGE, range), (header::IF_RANGE, if_range)] {
                if let Some(value) = value {
                    headers.insert(name, HeaderValue::from_str(value).unwrap());
                }
            }
            wanted(&headers, "\"tag\"", size)
        };
        for (range, size, expected) in [
            ("bytes=0-0", 10, Wanted::Part(0, 1)),
            ("bytes=2-5", 10, Wanted::Part(2, 6)),
            ("bytes=2-99", 10, Wanted::Part(2, 10)),
            ("bytes=9-", 10, Wanted::Part(9, 10)),
            ("bytes=-3", 10, Wanted::Part(7, 10)),
            ("bytes=-30", 10, Wanted::Part(0, 10)),
            ("bytes=0-99999999999999999999999", 10, Wanted::Part(0, 10)),
            ("bytes=10-", 10, Wanted::Outside),
            ("bytes=99999999999999999999999-", 10, Wanted::Outside),
            ("bytes=-0", 10, Wanted::Outside),
            ("bytes=0-", 0, Wanted::Outside),
            ("bytes=-5", 0, Wanted::Outside),
            ("bytes=5-2", 10, Wanted::Whole),
            ("bytes=0-1,3-4", 10, Wanted::Whole),
            ("bytes=a-b", 10, Wanted::Whole),
            ("bytes=-", 10, Wanted::Whole),
            ("bytes=--1", 10, Wanted::Whole),
            ("lines=1-2", 10, Wanted::Whole),
            ("", 10, Wanted::Whole),
        ] {
            assert_eq!(of(Some(range), None, size), expected, "{range} of {size}");
        }
        assert_eq!(of(None, None, 10), Wanted::Whole);
        assert_eq!(of(Some("bytes=1-2"), Some("\"tag\""), 10), Wanted::Part(1, 3));
        for other in ["\"other\"", "W/\"tag\"", "Wed, 21 Oct 2015 07:28:00 GMT"] {
            assert_eq!(of(Some("bytes=1-2"), Some(other), 10), Wanted::Whole, "{other}");
        }
    }

    #[test]
    fn what_could_run_in_a_browser_is_not_shown() {
        for shown in ["image/jpeg", "VIDEO/mp4", "audio/ogg; codecs=opus"] {
            assert!(is_shown(shown), "{shown}");
        }
        for not in ["text/html", "image/svg+xml", "application/pdf", "", "imag"] {
            assert!(!is_shown(not), "{not}");
        }
    }

    #[test]
    fn a_mime_type_is_one_or_is_not_passed_on() {
        for good in ["image/jpeg", "audio/ogg; codecs=opus", "application/vnd.ms-excel"] {
            assert_eq!(told(good), Some(good));
        }
        for (list, first) in [
            (r#"video/mp4; codecs="avc1.42E01E, mp4a.40.2""#, "video/mp4"),
            ("image/png;, text/html", "image/png"),
        ] {
            assert_eq!(told(list), Some(first));
        }
        for bad in [
            "",
            "image",
            "image/",
            "/jpeg",
            "te xt/html",
            "a/b/c",
            "text/html\u{e9}",
            "image/png, text/html",
        ] {
            assert_eq!(told(bad), None, "{bad}");
        }
    }
}
