//! Answers without an end.

use super::{
    Hostility::{Flood, Paced},
    Over, Row, Says, h2,
};

pub(super) const OK: &[u8] = b"HTTP/1.1 200 OK\r\n\r\n";
/// Its headers go on.
pub(super) const OK_HEADERS: &[u8] = b"HTTP/1.1 200 OK\r\n";
pub(super) const OK_CHUNKED: &[u8] = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
const OK_GIB: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 1073741824\r\n\r\n";
/// The extension of a first chunk goes on.
const OK_EXTENSION: &[u8] = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1;";
/// The trailers go on.
const OK_TRAILERS: &[u8] = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n";
const HINTS: &[u8] = b"HTTP/1.1 103 Early Hints\r\nx: y\r\n\r\n";
const TLS_GREETING: &[u8] = b"\x16\x03\x03\x00\x08\x02\x00\xff\xff\x00\x00\x00\x00";
const TLS_WARNING: &[u8] = b"\x15\x03\x03\x00\x02\x01\x5a";

/// Answers without an end, of each kind that could make the gateway hold more and more.
pub(in crate::post::tests) fn endless() -> Vec<Row> {
    use Over::{Http2, Plain, Tls, TlsToPlain};
    vec![
        ("a body without end", Plain, Flood(OK, b"x")),
        ("the same over TLS", Tls, Flood(OK, b"x")),
        ("a body of 1 GB", Plain, Flood(OK_GIB, b"x")),
        ("chunks of one byte", Plain, Flood(OK_CHUNKED, b"1\r\nx\r\n")),
        ("a chunk's extension without end", Plain, Flood(OK_EXTENSION, b"x")),
        ("trailers without end", Plain, Flood(OK_TRAILERS, b"x: y\r\n")),
        ("headers without end", Plain, Flood(OK_HEADERS, b"x: y\r\n")),
        ("one header without end", Plain, Flood(b"HTTP/1.1 200 OK\r\nx: ", b"y")),
        ("a reason without end", Plain, Flood(b"HTTP/1.1 200 ", b"y")),
        ("empty lines without end", Plain, Flood(b"", b"\r\n")),
        ("interim answers without end", Plain, Paced(b"", HINTS)),
        ("a TLS greeting without end", TlsToPlain, Flood(b"", TLS_GREETING)),
        (
            "warnings in place of a TLS greeting",
            TlsToPlain,
            Flood(b"", TLS_WARNING),
        ),
        (
            "HTTP/2: headers without end",
            Http2,
            Flood(h2::HEADERS_BEGUN, h2::CONTINUATION),
        ),
        (
            "HTTP/2: interim answers without end",
            Http2,
            Paced(h2::SETTINGS, h2::INTERIM),
        ),
        ("HTTP/2: settings without end", Http2, Paced(h2::SETTINGS, h2::SETTINGS)),
        ("HTTP/2: pings without end", Http2, Paced(h2::SETTINGS, h2::PING)),
        (
            "HTTP/2: empty data without end",
            Http2,
            Paced(h2::OK_BEGUN, h2::NO_DATA),
        ),
        ("HTTP/2: data beyond the window", Http2, Flood(h2::OK_BEGUN, h2::DATA)),
        (
            "HTTP/2: unknown frames without end",
            Http2,
            Paced(h2::SETTINGS, h2::UNKNOWN),
        ),
        (
            "HTTP/2: window updates without end",
            Http2,
            Paced(h2::SETTINGS, h2::WINDOW_UPDATE),
        ),
        (
            "HTTP/2: pushes without end",
            Http2,
            Flood(h2::SETTINGS, h2::PUSH_PROMISE),
        ),
    ]
}

/// What each of [`endless`] ends as, by its name.
pub(super) fn says(name: &str) -> Says {
    match name {
        "a body without end" | "the same over TLS" | "a body of 1 GB" | "chunks of one byte" => Says::Full,
        "a TLS greeting without end" | "warnings in place of a TLS greeting" => Says::Error("ETLS"),
        // They say nothing, and cost nothing but the deadline.
        "interim answers without end"
        | "HTTP/2: interim answers without end"
        | "HTTP/2: settings without end"
        | "HTTP/2: pings without end"
        | "HTTP/2: unknown frames without end"
        | "HTTP/2: window updates without end" => Says::TimedOut,
        // Their head was there.
        "a chunk's extension without end"
        | "trailers without end"
        | "HTTP/2: empty data without end"
        | "HTTP/2: data beyond the window" => Says::Answered,
        _ => Says::Error("EPROTO"),
    }
}
