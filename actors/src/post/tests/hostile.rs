//! Receivers that mean harm, one row each: what the attempt says, when it ends, and what it may cost.
//!
//! What a whole answer of an odd kind means (statuses, redirects, hanging names, certificates) stands in the files
//! beside this one.

mod endless;
mod h2;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use wharf_support::{HostileReceiver, Hostility};

use super::*;
use Hostility::{Drip, ResetAfterReading, ResetAtOnce, WriteThenClose, WriteThenHang, WriteThenReset};
pub(super) use endless::endless;
use endless::{OK, OK_CHUNKED, OK_HEADERS, says};

/// An attempt's deadline in rows that run into it.
const SHORT: Duration = Duration::from_millis(800);
const PAUSE: Duration = Duration::from_millis(20);

/// How the gateway reaches the receiver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Over {
    /// `http://`
    Plain,
    /// `https://`, HTTP/1.1
    Tls,
    /// `https://`, HTTP/2
    Http2,
    /// `https://`, but the receiver speaks no TLS.
    TlsToPlain,
}

/// What the attempt says.
#[derive(Debug, Clone, Copy)]
enum Says {
    TimedOut,
    Error(&'static str),
    /// 200, and an excerpt full of `x`.
    Full,
    /// 200, at once, and as an excerpt what came.
    Answered,
}

pub(super) type Row = (&'static str, Over, Hostility);

pub(super) async fn receiver(over: Over, hostility: Hostility, identity: &Identity) -> (HostileReceiver, String) {
    let receiver = match over {
        Over::Plain | Over::TlsToPlain => HostileReceiver::start(hostility).await,
        Over::Tls => HostileReceiver::start_tls(hostility, identity, "http/1.1").await,
        Over::Http2 => HostileReceiver::start_tls(hostility, identity, "h2").await,
    };
    let scheme = if over == Over::Plain { "http" } else { "https" };
    let url = receiver.url_with(scheme, "/hook");
    (receiver, url)
}

pub(super) fn poster_trusting(identity: &Identity) -> Poster {
    let extra_roots_pem = identity.root_pem().to_owned();
    poster_knowing(
        PosterOptions {
            extra_roots_pem,
            ..options(OPEN)
        },
        &[],
    )
}

async fn check(rows: Vec<(Row, Says)>) {
    let identity = Identity::for_names(&["127.0.0.1"]);
    let mut wrong = Vec::new();
    for ((name, over, hostility), says) in rows {
        let (receiver, url) = receiver(over, hostility, &identity).await;
        let timeout = if matches!(says, Says::TimedOut) {
            SHORT
        } else {
            PATIENCE
        };
        let poster = poster_trusting(&identity);
        let began = Instant::now();
        let result = post_within(&poster, &url, timeout).await;
        let took = began.elapsed();
        let full = AttemptResult::Answered {
            http_status: 200,
            response: Some("x".repeat(1024)),
        };
        let as_said = match says {
            Says::TimedOut => result == AttemptResult::TimedOut && (SHORT..PATIENCE).contains(&took),
            Says::Full => result == full,
            Says::Answered => result.http_status() == Some(200) && took < PATIENCE,
            Says::Error(code) => {
                matches!(&result, AttemptResult::Failed { code: said, .. } if *said == code)
                    && result.failure().is_some_and(|failure| failure.retry)
            }
        };
        if !as_said {
            wrong.push(format!("{name}: {result:?} after {took:?}, not {says:?}"));
        }
        // An attempt is one POST. A receiver that says it did not take it gets it once or twice more, no storm.
        assert!(
            receiver.connections() <= 3,
            "{name}: {} connections",
            receiver.connections()
        );
        // One of HTTP/2 is kept for the next attempt, for a while; the others are of no use any more.
        let _kept = (over != Over::Http2).then_some(poster);
        wait_until(&format!("{name}: its connection is dropped"), PATIENCE * 4, || async {
            receiver.open_connections() == 0
        })
        .await;
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_without_end() {
    check(endless().into_iter().map(|row| (row.clone(), says(row.0))).collect()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_byte_at_a_time_ends_with_the_deadline() {
    let drip = |first, again| Drip(first, again, PAUSE);
    let rows = [
        ("the status", Over::Plain, drip(b"", b"HTTP/1.1 200 O")),
        ("the headers", Over::Plain, drip(OK_HEADERS, b"x: y\r\n")),
        ("the headers over TLS", Over::Tls, drip(OK_HEADERS, b"x: y\r\n")),
        (
            "HTTP/2: the headers",
            Over::Http2,
            drip(h2::HEADERS_BEGUN, h2::CONTINUATION),
        ),
        (
            "a TLS greeting",
            Over::TlsToPlain,
            drip(b"\x16\x03\x03\x40\x00\x02\x00\x3f\x00", b"\0"),
        ),
        ("nothing", Over::Plain, WriteThenHang(b"")),
        ("nothing of HTTP/2", Over::Http2, WriteThenHang(b"")),
        // Sent once more, as refused means not processed; then the receiver is silent.
        (
            "HTTP/2: silent after a refusal",
            Over::Http2,
            WriteThenHang(h2::REFUSED),
        ),
        // The answer to what was sent before may still come.
        (
            "HTTP/2: silent after a farewell",
            Over::Http2,
            WriteThenHang(h2::GOAWAY_CALM),
        ),
        ("half a status", Over::Plain, WriteThenHang(b"HTTP/1.1 20")),
        ("the body", Over::Plain, drip(OK, b"x")),
        ("a chunk", Over::Plain, drip(OK_CHUNKED, b"1\r\nx\r\n")),
        // Leading zeros: hyper reads them for ever, without holding them.
        ("a chunk's size", Over::Plain, drip(OK_CHUNKED, b"0")),
        ("the body over TLS", Over::Tls, drip(OK, b"x")),
        ("HTTP/2: the body", Over::Http2, drip(h2::OK_BEGUN, h2::DATA)),
        (
            "half a body",
            Over::Tls,
            WriteThenHang(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nx"),
        ),
    ];
    check(rows.into_iter().map(|row| (row, Says::TimedOut)).collect()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn broken_off_at_every_stage() {
    use Over::{Http2, Plain, Tls, TlsToPlain};
    let cut_body: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n0123456789";
    let cut_headers: &[u8] = b"HTTP/1.1 200 OK\r\nx: y";
    let cut_tls: &[u8] = b"\x16\x03\x03\x00\x40\x02\x00";
    let hints: &[u8] = b"HTTP/1.1 103 Early Hints\r\n\r\n";
    let cut_chunk: &[u8] = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n64\r\n0123456789";
    let rows = [
        (("before the request", Plain, ResetAtOnce), "ECONNRESET"),
        (("within the request's line", Plain, ResetAfterReading(6)), "ECONNRESET"),
        (
            ("within the request's head", Plain, ResetAfterReading(60)),
            "ECONNRESET",
        ),
        (("after the request", Plain, WriteThenReset(b"")), "ECONNRESET"),
        (
            ("within the status", Plain, WriteThenReset(b"HTTP/1.1 20")),
            "ECONNRESET",
        ),
        (("within the headers", Plain, WriteThenReset(cut_headers)), "ECONNRESET"),
        (("after an interim answer", Plain, WriteThenReset(hints)), "ECONNRESET"),
        (("ended after the request", Plain, WriteThenClose(b"")), "ECONNRESET"),
        (
            ("ended within the headers", Plain, WriteThenClose(cut_headers)),
            "ECONNRESET",
        ),
        (("before the TLS greeting", TlsToPlain, ResetAtOnce), "ETLS"),
        (("within the TLS greeting", TlsToPlain, ResetAfterReading(40)), "ETLS"),
        (("after the TLS greeting", TlsToPlain, WriteThenReset(b"")), "ETLS"),
        (("within TLS's answer", TlsToPlain, WriteThenReset(cut_tls)), "ETLS"),
        (
            ("ended within TLS's answer", TlsToPlain, WriteThenClose(cut_tls)),
            "ETLS",
        ),
        (("over TLS, after the request", Tls, WriteThenReset(b"")), "ECONNRESET"),
        (
            ("over TLS, within the headers", Tls, WriteThenReset(cut_headers)),
            "ECONNRESET",
        ),
        (
            ("HTTP/2: before its settings", Http2, WriteThenClose(b"")),
            "ECONNRESET",
        ),
        (
            ("HTTP/2: after its settings", Http2, WriteThenClose(h2::SETTINGS)),
            "ECONNRESET",
        ),
        // Ten seconds for the ping that is not answered.
        (
            ("HTTP/2: silent after its settings", Http2, WriteThenHang(h2::SETTINGS)),
            "ECONNRESET",
        ),
        (
            ("HTTP/2: the stream is reset", Http2, WriteThenHang(h2::RST_STREAM)),
            "EPROTO",
        ),
        (
            ("HTTP/2: told to go away every time", Http2, WriteThenHang(h2::GOAWAY)),
            "EPROTO",
        ),
        (
            ("HTTP/1.1 where HTTP/2 was agreed on", Http2, WriteThenHang(OK)),
            "EPROTO",
        ),
    ];
    check(rows.into_iter().map(|(row, code)| (row, Says::Error(code))).collect()).await;
    let bodies = [
        ("within the body", Plain, WriteThenReset(cut_body)),
        ("within a chunk", Plain, WriteThenReset(cut_chunk)),
        ("ended within the body", Plain, WriteThenClose(cut_body)),
        ("ended within a chunk", Plain, WriteThenClose(cut_chunk)),
        ("over TLS, within the body", Tls, WriteThenReset(cut_body)),
        ("HTTP/2: within the body", Http2, WriteThenReset(h2::OK_BEGUN)),
    ];
    check(bodies.into_iter().map(|row| (row, Says::Answered)).collect()).await;
}

/// 8 MiB of zeros in 8 KB of gzip in 113 bytes of gzip.
const BOMB: &str = "H4sIAClNBmsC/+3XsQ1AQACF4XcnRIygEYnGBCZQmsEAlrhEqTGAHSygsYLWCmIEhzHI/1V//bqXDbHKJuqsP1ZjJLnxms84EQAAAAAA\
                    +Dm394F9I/dtVbAHAAAAAAAfMIX1sqXPrdcNMERnwu8fAAA=";

#[tokio::test]
async fn nothing_is_decompressed() {
    let receiver = Receiver::start().await;
    let bomb = BASE64_STANDARD.decode(BOMB).unwrap();
    for encoding in ["gzip, gzip", "gzip", "br", "zstd", "deflate"] {
        let headers = vec![("content-encoding", encoding.to_owned())];
        receiver.script("/hook", [Reply::Answer(200, headers, bomb.clone().into())]);
        let result = post(&poster(), &receiver.url("/hook")).await;
        let as_it_came = String::from_utf8_lossy(&bomb).replace('\0', "\u{fffd}");
        assert_eq!(result.response(), Some(as_it_came.as_str()), "{encoding}");
        // As JSON, in which clients read it, it is plain characters: no escape sequence reaches a terminal.
        let json = serde_json::to_string(&result.response()).unwrap();
        assert!(!json.chars().any(|c| c < ' '), "{json}");
    }
    assert!(
        receiver
            .requests()
            .iter()
            .all(|request| request.header("accept-encoding").is_none())
    );
}

#[tokio::test]
async fn every_kind_of_bad_certificate_is_etls() {
    let names: &[(&str, &[IpAddr])] = &[("receiver.test", LOOPBACK), ("other.test", LOOPBACK)];
    let host = &["receiver.test"];
    let (good, unknown) = (Identity::for_names(host), Identity::for_names(host));
    let (expired, early, own) = (
        Identity::expired(host),
        Identity::not_yet_valid(host),
        Identity::self_signed(host),
    );
    // The self-signed one is not among them: nobody vouches for it.
    let trusted = [&good, &expired, &early].map(Identity::root_pem).concat();
    let poster = poster_knowing(
        PosterOptions {
            extra_roots_pem: trusted,
            ..options(OPEN)
        },
        names,
    );
    for (identity, name, part) in [
        (&expired, "receiver.test", "expired"),
        (&early, "receiver.test", "not valid yet"),
        (&good, "other.test", "not valid for name"),
        // Its root bears the same name as one that is trusted, but not its key.
        (&unknown, "receiver.test", "BadSignature"),
        (&own, "receiver.test", "invalid peer certificate"),
    ] {
        let receiver = Receiver::start_tls(identity).await;
        let result = post(&poster, &receiver.url_of(name, "/ok")).await;
        let error = error_of(&result);
        assert!(error.starts_with("ETLS: ") && error.contains(part), "{part}: {error}");
        assert_eq!(receiver.count(), 0, "{part}: nothing was sent");
    }
    // The other way round: no TLS towards a port that wants it.
    let receiver = Receiver::start_tls(&good).await;
    let plain = receiver.url_of("receiver.test", "/ok").replace("https://", "http://");
    let error = error_of(&post(&poster, &plain).await);
    assert!(
        error.starts_with("EPROTO: ") || error.starts_with("ECONNRESET: "),
        "{error}"
    );
}

#[tokio::test]
async fn a_chain_of_redirects_is_not_followed() {
    let receiver = Receiver::start().await;
    for hop in 0..20 {
        let next = receiver.url(&format!("/hop/{}", hop + 1));
        receiver.always(&format!("/hop/{hop}"), Reply::Redirect(next));
    }
    let error = error_of(&post(&poster(), &receiver.url("/hop/0")).await);
    assert_eq!(error, "Unexpected status (308)");
    receiver.always("/loop", Reply::Redirect(receiver.url("/loop")));
    let error = error_of(&post(&poster(), &receiver.url("/loop")).await);
    assert_eq!((error.as_str(), receiver.count()), ("Unexpected status (308)", 2));
}
