//! Frames of HTTP/2 (RFC 9113) as bytes: length, type, flags, stream, payload.

pub(in crate::post::tests) const SETTINGS: &[u8] = b"\0\0\0\x04\0\0\0\0\0";
/// SETTINGS, then HEADERS of stream 1 that are not complete: `:status: 200`.
pub(in crate::post::tests) const HEADERS_BEGUN: &[u8] = b"\0\0\0\x04\0\0\0\0\0\0\0\x01\x01\0\0\0\0\x01\x88";
/// More of them: `a: b`.
pub(in crate::post::tests) const CONTINUATION: &[u8] = b"\0\0\x05\x09\0\0\0\0\x01\x00\x01a\x01b";
/// HEADERS of stream 1: `:status: 103`.
pub(in crate::post::tests) const INTERIM: &[u8] = b"\0\0\x05\x01\x04\0\0\0\x01\x08\x03103";
/// SETTINGS, then all HEADERS of stream 1: `:status: 200`.
pub(in crate::post::tests) const OK_BEGUN: &[u8] = b"\0\0\0\x04\0\0\0\0\0\0\0\x01\x01\x04\0\0\0\x01\x88";
pub(in crate::post::tests) const PING: &[u8] = b"\0\0\x08\x06\0\0\0\0\0pingpong";
pub(in crate::post::tests) const NO_DATA: &[u8] = b"\0\0\0\0\0\0\0\0\x01";
pub(in crate::post::tests) const DATA: &[u8] = b"\0\0\x08\0\0\0\0\0\x01xxxxxxxx";
pub(in crate::post::tests) const UNKNOWN: &[u8] = b"\0\0\x04\xbe\0\0\0\0\0what";
pub(in crate::post::tests) const WINDOW_UPDATE: &[u8] = b"\0\0\x04\x08\0\0\0\0\0\0\0\0\x01";
/// PUSH_PROMISE on stream 1 of stream 2, `:status` standing for its headers.
pub(in crate::post::tests) const PUSH_PROMISE: &[u8] = b"\0\0\x05\x05\x04\0\0\0\x01\0\0\0\x02\x88";
/// SETTINGS, then GOAWAY: nothing was processed, no error.
pub(in crate::post::tests) const GOAWAY: &[u8] = b"\0\0\0\x04\0\0\0\0\0\0\0\x08\x07\0\0\0\0\0\0\0\0\0\0\0\0\0";
/// SETTINGS, then GOAWAY: ENHANCE_YOUR_CALM, stream 1 may have been processed.
pub(in crate::post::tests) const GOAWAY_CALM: &[u8] = b"\0\0\0\x04\0\0\0\0\0\0\0\x08\x07\0\0\0\0\0\0\0\0\x01\0\0\0\x0b";
/// SETTINGS, then RST_STREAM of stream 1: INTERNAL_ERROR.
pub(in crate::post::tests) const RST_STREAM: &[u8] = b"\0\0\0\x04\0\0\0\0\0\0\0\x04\x03\0\0\0\0\x01\0\0\0\x02";
/// SETTINGS, then RST_STREAM of stream 1: REFUSED_STREAM.
pub(in crate::post::tests) const REFUSED: &[u8] = b"\0\0\0\x04\0\0\0\0\0\0\0\x04\x03\0\0\0\0\x01\0\0\0\x07";
