//! Frames: an optional routing intro, the connection header, then messages with a three-byte length.

use bytes::{Buf, Bytes, BytesMut};
use wacore_binary::consts::WA_CONN_HEADER;

/// The intro with which a client asks for an edge: `ED`, two version bytes, three bytes of length, that many bytes.
const ROUTING_INTRO: &[u8; 4] = b"ED\0\x01";
const LENGTH_BYTES: usize = 3;
const MAX_FRAME: usize = 1 << 24;

/// What is wrong with the bytes of a connection; the connection cannot go on after it.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub(crate) enum FrameError {
    #[error("the connection does not start with the header of WhatsApp's protocol")]
    Header,
    #[error("a frame of {0} bytes does not fit its length field")]
    TooLong(usize),
}

/// Cuts frames out of a stream of bytes, however the stream is chunked.
#[derive(Debug, Default)]
pub(crate) struct FrameReader {
    buffer: BytesMut,
    header_seen: bool,
}

impl FrameReader {
    /// Takes what arrived.
    pub(crate) fn feed(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole frame without its length, or `None` until more bytes are fed.
    ///
    /// # Errors
    /// [`FrameError::Header`] if the first bytes are not WhatsApp's.
    pub(crate) fn next(&mut self) -> Result<Option<BytesMut>, FrameError> {
        if !self.header_seen && !self.skip_header()? {
            return Ok(None);
        }
        let Some(length) = length_at(&self.buffer, 0) else {
            return Ok(None);
        };
        if self.buffer.len() < LENGTH_BYTES + length {
            return Ok(None);
        }
        self.buffer.advance(LENGTH_BYTES);
        Ok(Some(self.buffer.split_to(length)))
    }

    /// Skips intro and header once both are complete; `false` until then.
    fn skip_header(&mut self) -> Result<bool, FrameError> {
        let mut at = 0;
        let intro = self.buffer.len().min(ROUTING_INTRO.len());
        if intro > 0 && self.buffer[..intro] == ROUTING_INTRO[..intro] {
            let Some(length) = length_at(&self.buffer, ROUTING_INTRO.len()) else {
                return Ok(false);
            };
            at = ROUTING_INTRO.len() + LENGTH_BYTES + length;
        }
        let rest = self.buffer.get(at..).unwrap_or_default();
        let known = rest.len().min(WA_CONN_HEADER.len());
        if rest[..known] != WA_CONN_HEADER[..known] {
            return Err(FrameError::Header);
        }
        if known < WA_CONN_HEADER.len() {
            return Ok(false);
        }
        self.buffer.advance(at + WA_CONN_HEADER.len());
        self.header_seen = true;
        Ok(true)
    }
}

fn length_at(bytes: &[u8], at: usize) -> Option<usize> {
    let field = bytes.get(at..at + LENGTH_BYTES)?;
    Some(usize::from(field[0]) << 16 | usize::from(field[1]) << 8 | usize::from(field[2]))
}

/// A payload with its length in front.
///
/// # Errors
/// [`FrameError::TooLong`] from 16 MiB on.
pub(crate) fn encode(payload: &[u8]) -> Result<Bytes, FrameError> {
    let length = payload.len();
    if length >= MAX_FRAME {
        return Err(FrameError::TooLong(length));
    }
    let mut frame = Vec::with_capacity(LENGTH_BYTES + length);
    frame.extend_from_slice(&[(length >> 16) as u8, (length >> 8) as u8, length as u8]);
    frame.extend_from_slice(payload);
    Ok(frame.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn stream(routing: Option<&[u8]>, payloads: &[Vec<u8>]) -> Vec<u8> {
        let mut bytes = Vec::new();
        if let Some(routing) = routing {
            bytes.extend_from_slice(ROUTING_INTRO);
            bytes.extend_from_slice(&encode(routing).unwrap());
        }
        bytes.extend_from_slice(&WA_CONN_HEADER);
        for payload in payloads {
            bytes.extend_from_slice(&encode(payload).unwrap());
        }
        bytes
    }

    proptest! {
        #[test]
        fn frames_survive_any_chunking(
            routing in proptest::option::of(proptest::collection::vec(any::<u8>(), 0..40)),
            payloads in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..300), 1..8),
            chunk in 1_usize..50,
        ) {
            let mut reader = FrameReader::default();
            let mut seen = Vec::new();
            for part in stream(routing.as_deref(), &payloads).chunks(chunk) {
                reader.feed(part);
                while let Some(frame) = reader.next().unwrap() {
                    seen.push(frame.to_vec());
                }
            }
            prop_assert_eq!(seen, payloads);
        }

        #[test]
        fn other_first_bytes_are_refused(first in any::<[u8; 4]>()) {
            prop_assume!(first != WA_CONN_HEADER && first != *ROUTING_INTRO);
            let mut reader = FrameReader::default();
            reader.feed(&first);
            prop_assert_eq!(reader.next().unwrap_err(), FrameError::Header);
        }
    }

    #[test]
    fn a_frame_of_16_mib_is_refused() {
        assert_eq!(encode(&vec![0; MAX_FRAME]).unwrap_err(), FrameError::TooLong(MAX_FRAME));
    }
}
