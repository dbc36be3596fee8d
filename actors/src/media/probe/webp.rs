//! The size of a WebP picture and of what is in it, and whether it moves.

use std::io::{Read, Seek};

use super::{Facts, fill};

/// The flag of a picture that moves.
const ANIMATED: u8 = 0x02;

pub(super) fn look(file: &mut (impl Read + Seek)) -> Option<Facts> {
    let mut head = [0; 32];
    let read = fill(file, &mut head).ok()?;
    let head = &head[..read];
    let chunk = head.get(12..16)?;
    let byte = |place: usize| head.get(place).copied().map(u32::from);
    let (size, animated) = match chunk {
        b"VP8X" => {
            let side = |place| Some(1 + byte(place)? + (byte(place + 1)? << 8) + (byte(place + 2)? << 16));
            ((side(24)?, side(27)?), head.get(20)? & ANIMATED != 0)
        }
        // 14 bits each, less one.
        b"VP8L" if byte(20)? == 0x2f => {
            let bits = byte(21)? | (byte(22)? << 8) | (byte(23)? << 16) | (byte(24)? << 24);
            ((1 + (bits & 0x3fff), 1 + ((bits >> 14) & 0x3fff)), false)
        }
        b"VP8 " if head.get(23..26)? == b"\x9d\x01\x2a" => {
            let side = |place| Some((byte(place)? | (byte(place + 1)? << 8)) & 0x3fff);
            ((side(26)?, side(28)?), false)
        }
        _ => return None,
    };
    Some(Facts {
        size: Some(size),
        animated,
        ..Facts::default()
    })
}

/// Pixels of the largest lossy frame in the first `most` bytes of a WebP: the decoder takes room for a frame by what the frame says of itself, before it
/// looks whether the picture is as large. What only looks like one counts as well.
pub(super) fn largest_lossy(file: &mut (impl Read + Seek), most: u64) -> Option<u64> {
    let mut bytes = Vec::new();
    file.take(most).read_to_end(&mut bytes).ok()?;
    file.rewind().ok()?;
    // The chunk's name and length, three bytes of the frame's, the mark of a key frame; 14 bits for each side.
    let side = |low: u8, high: u8| u64::from(u16::from_le_bytes([low, high]) & 0x3fff);
    let sizes = bytes.windows(18).filter_map(|at| match at {
        [b'V', b'P', b'8', b' ', _, _, _, _, _, _, _, 0x9d, 1, 0x2a, w, ww, h, hh] => {
            Some(side(*w, *ww) * side(*h, *hh))
        }
        _ => None,
    });
    Some(sizes.max().unwrap_or(0))
}

#[cfg(test)]
pub(crate) mod tests {
    use std::io::Cursor;

    use super::*;

    fn file(chunk: &[u8; 4], content: &[u8]) -> Vec<u8> {
        [&b"RIFF\0\0\0\0WEBP"[..], chunk, &[0; 4], content].concat()
    }

    /// A sticker as far as it is looked at.
    pub(crate) fn sticker(animated: bool) -> Vec<u8> {
        let flags = if animated { ANIMATED } else { 0 };
        file(b"VP8X", &[flags, 0, 0, 0, 0xff, 1, 0, 0xff, 1, 0])
    }

    #[test]
    fn each_form_tells_its_size() {
        let of = |bytes: Vec<u8>| look(&mut Cursor::new(bytes)).map(|facts| (facts.size.unwrap(), facts.animated));
        assert_eq!(of(sticker(true)), Some(((512, 512), true)));
        assert_eq!(of(sticker(false)), Some(((512, 512), false)));
        let lossless = 511_u32 | (95 << 14);
        let lossless = [&[0x2f][..], &lossless.to_le_bytes()].concat();
        assert_eq!(of(file(b"VP8L", &lossless)), Some(((512, 96), false)));
        let lossy = [0, 0, 0, 0x9d, 1, 0x2a, 0x40, 1, 0xf0, 0];
        assert_eq!(of(file(b"VP8 ", &lossy)), Some(((320, 240), false)));
        for strange in [
            b"".to_vec(),
            file(b"VP8X", &[0]),
            file(b"XXXX", &[0; 20]),
            file(b"VP8L", &[0; 5]),
        ] {
            assert_eq!(of(strange), None);
        }
    }
}
