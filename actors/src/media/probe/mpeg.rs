//! How long an MP3 plays: by the count of frames that its encoder wrote into the first one, else by its size at the rate of
//! that one.

use std::io::{Read, Seek, SeekFrom};

use super::{Facts, at, fill, seconds};

/// Kilobits per second of layer 3, by the header's index: MPEG 1, then MPEG 2.
const RATES: [[u32; 15]; 2] = [
    [0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320],
    [0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160],
];
/// Where the first frame is looked for, after the tags.
const SEARCHED: usize = 64 * 1024;

pub(super) fn look(file: &mut (impl Read + Seek)) -> Option<Facts> {
    let end = file.seek(SeekFrom::End(0)).ok()?;
    let begin = after_tags(file)?;
    file.seek(SeekFrom::Start(begin)).ok()?;
    let mut bytes = vec![0; SEARCHED];
    let read = fill(file, &mut bytes).ok()?;
    bytes.truncate(read);
    let place = bytes.windows(4).position(|four| frame(four).is_some())?;
    let first = frame(bytes.get(place..place + 4)?)?;
    let counted = counted(&bytes, place + first.xing);
    let units = match counted {
        Some(frames) => seconds(u64::from(frames) * first.samples, first.per_second),
        None => {
            let sound = end.checked_sub(begin)?;
            seconds(sound.checked_mul(8)?, u64::from(first.kilobits) * 1000)
        }
    };
    Some(Facts {
        seconds: units,
        ..Facts::default()
    })
}

/// Tags in front say their length in four times seven bits.
fn after_tags(file: &mut (impl Read + Seek)) -> Option<u64> {
    let head: [u8; 10] = at(file, 0)?;
    if !head.starts_with(b"ID3") {
        return Some(0);
    }
    let length = head[6..]
        .iter()
        .fold(0, |sum, byte| (sum << 7) | u64::from(byte & 0x7f));
    Some(10 + length)
}

struct Frame {
    kilobits: u32,
    per_second: u64,
    samples: u64,
    /// How far behind its beginning the count may be.
    xing: usize,
}

fn frame(head: &[u8]) -> Option<Frame> {
    let &[first, second, third, fourth] = head else {
        return None;
    };
    let (version, layer) = ((second >> 3) & 3, (second >> 1) & 3);
    if first != 0xff || second & 0xe0 != 0xe0 || version == 1 || layer != 1 {
        return None;
    }
    let one = version == 3;
    let kilobits = *RATES[usize::from(!one)].get(usize::from(third >> 4))?;
    let per_second = *[44_100_u64, 48_000, 32_000].get(usize::from((third >> 2) & 3))?;
    let per_second = match version {
        3 => per_second,
        2 => per_second / 2,
        _ => per_second / 4,
    };
    let mono = fourth >> 6 == 3;
    let side = match (one, mono) {
        (true, false) => 32,
        (true, true) | (false, false) => 17,
        (false, true) => 9,
    };
    (kilobits > 0).then_some(Frame {
        kilobits,
        per_second,
        samples: if one { 1152 } else { 576 },
        xing: 4 + side,
    })
}

/// The count of frames, where the encoder wrote one.
fn counted(bytes: &[u8], place: usize) -> Option<u32> {
    let head = bytes.get(place..place + 12)?;
    let has_count = (head.starts_with(b"Xing") || head.starts_with(b"Info")) && head[7] & 1 != 0;
    let [.., a, b, c, d] = *head else { return None };
    has_count.then_some(u32::from_be_bytes([a, b, c, d]))
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use proptest::prelude::*;

    use super::*;

    fn of(bytes: Vec<u8>) -> Option<u32> {
        look(&mut Cursor::new(bytes))?.seconds
    }

    #[test]
    fn a_sound_tells_its_length() {
        // 128 kilobits a second, 44.1 kHz, stereo: 16,000 bytes are a second.
        let mut plain = b"\xff\xfb\x90\x00".to_vec();
        plain.resize(160_000, 0);
        assert_eq!(of(plain.clone()), Some(10));
        let tagged = [&b"ID3\x04\0\0\0\0\x01\0"[..], &[0; 128], &plain].concat();
        assert_eq!(of(tagged), Some(10));
        let mut counted = plain;
        counted[36..48].copy_from_slice(b"Xing\0\0\0\x01\0\0\x03\xe8");
        assert_eq!(of(counted), Some(27), "1000 frames of 1152 samples");
        assert_eq!(of(b"no sound at all".to_vec()), None);
        assert_eq!(of(Vec::new()), None);
    }

    proptest! {
        #[test]
        fn no_sound_is_too_strange(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _seconds = of([&b"\xff\xfb"[..], &bytes].concat());
        }
    }
}
