//! Bodies that are larger than others: messages and pictures that bring their file along. A file is written to the disk as it comes and
//! is never whole in memory; whoever sends it has as long as they keep a decent pace.
//!
//! `multipart/form-data` has a part `message` (JSON), which a picture goes without, and a part `file`. A large JSON body, which has its file in base64, is
//! received on the disk too, and read from there when few others are.

use std::{
    io,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use futures::{Stream, stream};
use multer::{Constraints, Field, Multipart, SizeLimit};
use parking_lot::Mutex;
use percent_encoding::percent_decode_str;
use warp::http::{HeaderMap, StatusCode, header};
use wharf_actors::{Permit, Receiving, Slots};
use wharf_domain::{fair::Caps, outgoing::FileType};

use super::{
    body::{BODY_MAX_BYTES, Body, LeastRate, announces_more_than, is_json, too_large},
    call::{Call, Upload},
    groups::check_group,
    idempotency::given_key,
    messages::check_before_file,
    problem::{FieldError, Problem},
};

/// The largest JSON body of a message, whose file is in base64.
const LARGE_JSON_BYTES: usize = 11 * 1024 * 1024;
/// JSON bodies of that size that are in memory at a time, and those of one client: others find room beside it.
const LARGE_AT_A_TIME: Caps = Caps {
    total: 4,
    per_client: 2,
};
/// What of a body may be neither header nor file, and wait to be made out: boundaries and the headers of parts.
const UNCLAIMED_BYTES: usize = 256 * 1024;
/// What is said of a body of another type.
const NO_MESSAGE: &str = "a message must be sent with content-type: application/json, or with its file as \
                          multipart/form-data: parts message and file";
const NO_PICTURE: &str =
    "a picture must be sent with content-type: application/json, or as multipart/form-data: part file";
/// The parts.
const MESSAGE: &str = "message";
const FILE: &str = "file";
/// Characters of an unknown part's name that are repeated.
const NAME_SHOWN: usize = 100;

/// What such a body brings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Brings {
    /// A message, perhaps with its file.
    Message,
    /// A picture alone.
    Picture,
}

/// The turns of large bodies, shared fairly between clients.
pub(super) fn turns() -> Slots {
    Slots::new(LARGE_AT_A_TIME)
}

/// Reads the body of a message into `call`. Answers whether it took its time: then the rest has its own.
pub(super) async fn take_in(
    call: &mut Call,
    body: &mut Body,
    time: Duration,
    large: &Slots,
    brings: Brings,
) -> Result<bool, Problem> {
    let mut pace = LeastRate::new(time);
    let check_json = |headers: &HeaderMap, body: &[u8]| check_json(headers, body, brings);
    if let Some(boundary) = boundary(&call.headers)? {
        let (message, upload) = parts(call, body, pace, boundary, brings).await?;
        (call.body, call.upload) = (message, Some(upload));
        return Ok(true);
    }
    // Who asks first is told before the body comes; another one is writing it already, and would not get to read an answer.
    if call.headers.contains_key(header::EXPECT) && announces_more_than(&call.headers, LARGE_JSON_BYTES) {
        let other_type = check_json(&call.headers, b"{");
        return other_type.and(Err(too_large(LARGE_JSON_BYTES)));
    }
    let mut begun = BytesMut::new();
    while let Some(piece) = body.next_within(&mut pace).await? {
        begun.extend_from_slice(&piece);
        if begun.len() > BODY_MAX_BYTES {
            check_json(&call.headers, &begun)?;
            // What the file in it may have is seen when it is decoded.
            let receiving = receive(call, brings, None, Some(LARGE_JSON_BYTES as u64)).await?;
            let (whole, turn) = from_the_disk(call, body, pace, (receiving, begun), large).await?;
            (call.body, call.large) = (whole, Some(turn));
            return Ok(true);
        }
    }
    check_json(&call.headers, &begun)?;
    call.body = begun.freeze();
    Ok(false)
}

fn check_json(headers: &HeaderMap, body: &[u8], brings: Brings) -> Result<(), Problem> {
    let detail = match brings {
        Brings::Message => NO_MESSAGE,
        Brings::Picture => NO_PICTURE,
    };
    match body.is_empty() || is_json(headers) {
        true => Ok(()),
        false => Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail)),
    }
}

/// The boundary of a body in parts; `None` when it is another one.
fn boundary(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let said = headers.get(header::CONTENT_TYPE).and_then(|said| said.to_str().ok());
    let Some(said) = said.filter(|said| {
        said.trim_start()
            .to_ascii_lowercase()
            .starts_with("multipart/form-data")
    }) else {
        return Ok(None);
    };
    let boundary = multer::parse_boundary(said);
    boundary.map(Some).map_err(|_| {
        let detail = "multipart/form-data must name its boundary";
        Problem::new(StatusCode::BAD_REQUEST, detail)
    })
}

/// A large JSON body, by way of the disk, so that a slow client holds no memory.
async fn from_the_disk(
    call: &Call,
    body: &mut Body,
    mut pace: LeastRate,
    (mut receiving, begun): (Receiving, BytesMut),
    large: &Slots,
) -> Result<(Bytes, Permit), Problem> {
    let mut size = begun.len();
    receiving.take(&begun).await?;
    drop(begun);
    while let Some(piece) = body.next_within(&mut pace).await? {
        size += piece.len();
        if size > LARGE_JSON_BYTES {
            return Err(too_large(LARGE_JSON_BYTES));
        }
        receiving.take(&piece).await?;
    }
    let received = receiving.finish().await?;
    let closing = || Problem::unavailable("the server is going down");
    let turn = large.turn(call.client).await.ok_or_else(closing)?;
    let whole = tokio::fs::read(received.path()).await.map_err(|error| {
        tracing::error!(%error, "a body that was received cannot be read");
        Problem::internal()
    })?;
    Ok((whole.into(), turn))
}

/// The message and the file of a body in parts, which may come in any order. A picture comes alone.
async fn parts(
    call: &Call,
    body: &mut Body,
    pace: LeastRate,
    boundary: String,
    brings: Brings,
) -> Result<(Bytes, Upload), Problem> {
    let flow = Flow::default();
    let constraints = Constraints::new().size_limit(SizeLimit::new().for_field(MESSAGE, BODY_MAX_BYTES as u64));
    let mut parts = Multipart::with_constraints(flow.pieces(body, pace), boundary, constraints);
    let alone = brings == Brings::Picture;
    let (mut message, mut upload) = (alone.then(Bytes::new), None);
    while let Some(part) = flow.of(parts.next_field().await)? {
        let name = part.name().unwrap_or_default().to_owned();
        match name.as_str() {
            MESSAGE if message.is_none() => message = Some(flow.of(part.bytes().await)?),
            FILE if upload.is_none() => {
                let checked = message.as_deref().filter(|_| !alone);
                let queue = checked.map(|message| check_before_file(call, message));
                let receiving = receive(call, brings, queue.transpose()?, None).await?;
                upload = Some(file(receiving, part, &flow, brings).await?);
            }
            _ => return Err(unwanted(&name, brings)),
        }
        flow.claimed();
    }
    match (message, upload) {
        (Some(message), Some(upload)) => Ok((message, upload)),
        (message, _) => {
            let missing = if message.is_none() { MESSAGE } else { FILE };
            Err(Problem::invalid(vec![FieldError::new(
                missing,
                "is missing: it is to be a part of the body",
            )]))
        }
    }
}

/// A part that is none of those that there are, or the second of its name.
fn unwanted(name: &str, brings: Brings) -> Problem {
    let parts = match brings {
        Brings::Message => "the parts are message (the message in JSON) and file (its file)",
        Brings::Picture => "the only part is file (the picture)",
    };
    let shown = match name {
        "" => "(a part without a name)".to_owned(),
        _ => name.chars().take(NAME_SHOWN).collect(),
    };
    let text = match name {
        "" => format!("needs a name in its content-disposition, as in form-data; name=\"file\": {parts}"),
        MESSAGE | FILE => format!("is not taken, or comes twice: {parts}"),
        "media" => format!("is not a known part: send the file as the part file; {parts}"),
        _ => format!("is not a known part: {parts}"),
    };
    Problem::invalid(vec![FieldError::new(shown, text)])
}

/// Begins to receive a file, unless it would be refused whatever the file is. `queue`: whether its message may wait for its
/// connection, if that is known yet: what it says stands somewhere in it.
async fn receive(call: &Call, brings: Brings, queue: Option<bool>, most: Option<u64>) -> Result<Receiving, Problem> {
    let phone = call.phone()?;
    let key = given_key(call)?;
    match brings {
        Brings::Message => call.desk.check_send(call.client, &phone, queue, key).await?,
        // That of the profile: nothing else is named.
        Brings::Picture if call.second.is_empty() => {}
        Brings::Picture => check_group(call)?,
    }
    Ok(call.desk.receive_file(call.client, &phone, most).await?)
}

async fn file(mut receiving: Receiving, mut part: Field<'_>, flow: &Flow, brings: Brings) -> Result<Upload, Problem> {
    let mut room = match brings {
        Brings::Message => u64::MAX,
        Brings::Picture => FileType::Image.most_bytes(),
    };
    let mime_type = part.content_type().map(ToString::to_string);
    let file_name = extended_name(part.headers()).or_else(|| part.file_name().map(str::to_owned));
    while let Some(piece) = flow.of(part.chunk().await)? {
        flow.claimed();
        room = room.checked_sub(piece.len() as u64).ok_or_else(|| {
            let most = FileType::Image.most_bytes();
            Problem::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                format!("a picture may have {most} bytes at most"),
            )
        })?;
        receiving.take(&piece).await?;
    }
    Ok(Upload {
        file: receiving.finish().await?,
        mime_type,
        file_name,
    })
}

/// The name in `filename*=UTF-8''…`, as Python's requests and others write one that is not ASCII. It counts before
/// `filename`, into which .NET writes the same as mail does (`=?utf-8?B?…?=`).
fn extended_name(headers: &HeaderMap) -> Option<String> {
    let disposition = headers.get(header::CONTENT_DISPOSITION)?.to_str().ok()?;
    let parameters = disposition
        .split(';')
        .filter_map(|parameter| parameter.trim().split_once('='));
    let mut named = parameters.filter(|(name, _)| name.trim().eq_ignore_ascii_case("filename*"));
    let (charset, text) = named.next()?.1.split_once("''")?;
    let name = percent_decode_str(text).decode_utf8().ok()?;
    charset.trim().eq_ignore_ascii_case("utf-8").then(|| name.into_owned())
}

/// What flows from the socket to the parser. The parser takes whatever there is at once and keeps it until it has made
/// something of it: so it is given one piece at a time, and not without end.
#[derive(Default)]
struct Flow {
    unclaimed: AtomicUsize,
    /// Why the flow ended before its end.
    broken: Mutex<Option<Problem>>,
}

impl Flow {
    /// The parser has made something of what it was given.
    fn claimed(&self) {
        self.unclaimed.store(0, Ordering::Relaxed);
    }

    fn pieces<'a>(&'a self, body: &'a mut Body, pace: LeastRate) -> impl Stream<Item = io::Result<Bytes>> + Send + 'a {
        stream::unfold((body, pace), |(body, mut pace)| async {
            // The parser goes on asking until there is nothing at the moment.
            tokio::task::yield_now().await;
            let piece = match body.next_within(&mut pace).await {
                Ok(piece) => piece?,
                Err(problem) => return Some((Err(self.end(problem)), (body, pace))),
            };
            let unclaimed = self.unclaimed.fetch_add(piece.len(), Ordering::Relaxed) + piece.len();
            if unclaimed > UNCLAIMED_BYTES + piece.len() {
                let detail = "the body is not made of parts, or the headers of one do not end";
                let problem = Problem::new(StatusCode::BAD_REQUEST, detail);
                return Some((Err(self.end(problem)), (body, pace)));
            }
            Some((Ok(piece), (body, pace)))
        })
    }

    fn end(&self, problem: Problem) -> io::Error {
        *self.broken.lock() = Some(problem);
        io::Error::other("the body ended early")
    }

    /// What the parser says, or why it got no more.
    fn of<T>(&self, parsed: multer::Result<T>) -> Result<T, Problem> {
        parsed.map_err(|error| {
            let broken = self.broken.lock().take();
            broken.unwrap_or_else(|| match error {
                multer::Error::FieldSizeExceeded { .. } => too_large(BODY_MAX_BYTES),
                error => Problem::new(
                    StatusCode::BAD_REQUEST,
                    format!("the body in parts cannot be read: {error}"),
                ),
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;
    use warp::http::HeaderValue;
    use wharf_domain::ClientId;

    use super::*;

    #[test]
    fn a_name_that_is_not_ascii_is_read() {
        let name = |disposition: &'static str| {
            let value = HeaderValue::from_static(disposition);
            extended_name(&HeaderMap::from_iter([(header::CONTENT_DISPOSITION, value)]))
        };
        for written in [
            "form-data; name=\"file\"; filename*=utf-8''%E2%82%AC%20a.pdf",
            "form-data; FileName* = UTF-8''%e2%82%ac%20a.pdf; name=\"file\"",
        ] {
            assert_eq!(name(written).as_deref(), Some("€ a.pdf"), "{written}");
        }
        for other in [
            "form-data; name=\"file\"",
            "form-data; filename*=latin1''%E9",
            "form-data; filename*=utf-8''%E9",
            "form-data; filename*=plain",
        ] {
            assert_eq!(name(other), None, "{other}");
        }
    }

    #[test]
    fn no_client_has_all_turns_and_they_come_back() {
        let (large, many, other) = (turns(), ClientId(1), ClientId(2));
        let turn = |client| large.turn(client).now_or_never().flatten();
        let held = [turn(many), turn(many)].map(Option::unwrap);
        assert!(turn(many).is_none(), "it waits, and gives up");
        let others = [turn(other), turn(other)].map(Option::unwrap);
        assert!(turn(ClientId(3)).is_none(), "no more are in memory");
        drop((held, others));
        assert!(turn(many).is_some());
    }
}
