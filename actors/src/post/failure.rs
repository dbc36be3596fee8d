//! What an error of the HTTP client means in the words of CONTRACT.md section 4.
//!
//! The client's error is a chain (reqwest, hyper-util, hyper, I/O, rustls) whose links say where it failed, but only a
//! few of them why. Those are looked for by type, the innermost knowledge first; texts of the outer links are not
//! shown, as they can carry the URL and with it a receiver's secret.

use std::{
    error::Error,
    io::{self, ErrorKind},
    iter,
};

use wharf_domain::AttemptResult;

use super::lookup::LookupError;
use crate::open_files::is_shortage_of_files;

/// The longest detail, in characters. Names in a receiver's certificate are part of some.
const LONGEST_DETAIL: usize = 300;

type Link<'a> = &'a (dyn Error + 'static);

/// Why an attempt at `target` (host and port) failed with `error`; `greeting` when TLS was still being set up.
pub(super) fn classify(target: &str, greeting: bool, error: Link<'_>) -> AttemptResult {
    let links: Vec<Link<'_>> = links(error).collect();
    links
        .iter()
        .find_map(|link| of_lookup(*link))
        .or_else(|| links.iter().find_map(|link| of_tls(*link)))
        .or_else(|| links.iter().find_map(|link| of_io(target, greeting, io_of(*link)?)))
        .or_else(|| links.iter().find_map(|link| of_http(target, *link)))
        .unwrap_or_else(|| of_the_rest(target, links.last().copied()))
}

/// Whether this machine had no descriptor left to connect with. The receiver has heard nothing and is not to blame.
pub(super) fn is_shortage(error: &reqwest::Error) -> bool {
    error.is_connect()
        && links(error).any(|link| {
            matches!(link.downcast_ref(), Some(LookupError::Shortage(_)))
                || link.downcast_ref().is_some_and(is_shortage_of_files)
        })
}

/// The chain of an error.
fn links<'a>(error: Link<'a>) -> impl Iterator<Item = Link<'a>> {
    iter::successors(Some(error), |link| next(*link))
}

/// The next link. What an I/O error wraps is one: its `source` skips it.
fn next<'a>(link: Link<'a>) -> Option<Link<'a>> {
    match link.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
        Some(inner) => Some(inner),
        None => link.source(),
    }
}

fn of_lookup(link: Link<'_>) -> Option<AttemptResult> {
    Some(match link.downcast_ref::<LookupError>()? {
        LookupError::Blocked(reason) => AttemptResult::Blocked { detail: tidy(reason) },
        LookupError::NotFound(reason) => failed("ENOTFOUND", reason),
        LookupError::Shortage(reason) => failed("EHOSTUNREACH", reason),
    })
}

fn of_tls(link: Link<'_>) -> Option<AttemptResult> {
    link.downcast_ref::<rustls::Error>()
        .map(|error| failed("ETLS", &error.to_string()))
}

/// The I/O error that a link is. HTTP/2's wraps one and does not name it as its source.
fn io_of<'a>(link: Link<'a>) -> Option<&'a io::Error> {
    link.downcast_ref::<io::Error>()
        .or_else(|| link.downcast_ref::<h2::Error>()?.get_io())
}

fn of_io(target: &str, greeting: bool, error: &io::Error) -> Option<AttemptResult> {
    use ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, NotConnected, UnexpectedEof};
    Some(match error.kind() {
        // TCP stands, or there would be nothing to end; what is being set up on it is TLS. Typical of a port that
        // speaks plain HTTP.
        ConnectionReset | ConnectionAborted | BrokenPipe | NotConnected | UnexpectedEof if greeting => failed(
            "ETLS",
            &format!("{target} ended the connection during the TLS handshake"),
        ),
        ErrorKind::ConnectionRefused => failed("ECONNREFUSED", &format!("{target} refused the connection")),
        ConnectionReset | ConnectionAborted | BrokenPipe | NotConnected => {
            failed("ECONNRESET", &format!("{target} reset the connection"))
        }
        UnexpectedEof => failed("ECONNRESET", &format!("{target} closed the connection before its end")),
        // What ends with the attempt's own time, or before it is connected, does not come here.
        ErrorKind::TimedOut => silent(target),
        // A greeting that is larger than any.
        ErrorKind::InvalidData if greeting => failed("ETLS", &format!("{target}: {error}")),
        // What hyper says of a body that breaks its own framing.
        ErrorKind::InvalidData | ErrorKind::InvalidInput => not_http(target, error),
        // No route, no network, no local port, a firewall's refusal, no descriptor left: the host was not reached.
        _ if error.raw_os_error().is_some() => failed("EHOSTUNREACH", &format!("{target}: {error}")),
        _ => return None,
    })
}

fn of_http(target: &str, link: Link<'_>) -> Option<AttemptResult> {
    let error = link.downcast_ref::<hyper::Error>()?;
    if error.is_timeout() {
        return Some(silent(target));
    }
    let closed = error.is_incomplete_message() || error.is_closed() || error.is_canceled();
    Some(if closed {
        failed(
            "ECONNRESET",
            &format!("{target} closed the connection without an answer"),
        )
    } else {
        not_http(target, error.source().map_or(error as Link<'_>, |cause| cause))
    })
}

/// Its connection was given up before the attempt's time was over.
fn silent(target: &str) -> AttemptResult {
    failed(
        "ECONNRESET",
        &format!("{target} gave no sign of life on the connection"),
    )
}

fn not_http(target: &str, error: Link<'_>) -> AttemptResult {
    failed("EPROTO", &format!("{target} did not answer in HTTP: {error}"))
}

/// No link that is known.
fn of_the_rest(target: &str, innermost: Option<Link<'_>>) -> AttemptResult {
    failed(
        "EPROTO",
        &innermost.map_or_else(|| target.to_owned(), |error| format!("{target}: {error}")),
    )
}

fn failed(code: &'static str, detail: &str) -> AttemptResult {
    AttemptResult::Failed {
        code,
        detail: tidy(detail),
    }
}

/// One short line without control characters: parts of it may come from the receiver.
fn tidy(detail: &str) -> String {
    detail
        .chars()
        .take(LONGEST_DETAIL)
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}
