//! Opus in Ogg: how long it plays, by the position that each page says; and how loud it is, as far as that shows without
//! decoding.
//!
//! Nothing is decoded: the waveform is made of how many bytes the encoder spent on each moment. Opus spends many on speech
//! and few on silence, so that pauses show where they are; how loud the loudest word is does not. A sound with packets of
//! one size has no waveform.

use std::io::{BufReader, Read, Seek};

use super::{Facts, fill, seconds};

/// Opus counts in these, whatever it was recorded with.
const PER_SECOND: u64 = 48_000;
/// Values of a waveform, as phones draw them.
const VALUES: usize = 64;
/// Packets of sound that are looked at: some ten hours.
const MOST_PACKETS: usize = 2_000_000;
/// Pages before the sound: the header's and the tags'.
const HEADERS: usize = 2;

pub(super) fn look(file: &mut (impl Read + Seek)) -> Option<Facts> {
    let mut reader = BufReader::new(file);
    let (mut packets, mut headers) = (Vec::new(), 0);
    let (mut length, mut skipped, mut last) = (0_u32, 0, None);
    while let Some(page) = next(&mut reader) {
        if page.first {
            let head = page.body_start.strip_prefix(b"OpusHead")?;
            skipped = u64::from(u16::from_le_bytes([*head.get(2)?, *head.get(3)?]));
        }
        // All ones: no packet ends on this page.
        if page.position != u64::MAX {
            last = Some(page.position);
        }
        for lace in page.lacing {
            length += u32::from(lace);
            if lace < 255 {
                headers += 1;
                if headers > HEADERS {
                    packets.push(length);
                }
                length = 0;
            }
        }
        if packets.len() > MOST_PACKETS {
            return None;
        }
    }
    Some(Facts {
        seconds: last
            .and_then(|last| last.checked_sub(skipped))
            .and_then(|played| seconds(played, PER_SECOND)),
        waveform: waveform(&packets),
        ..Facts::default()
    })
}

struct Page {
    first: bool,
    position: u64,
    lacing: Vec<u8>,
    body_start: Vec<u8>,
}

fn next<R: Read + Seek>(reader: &mut BufReader<R>) -> Option<Page> {
    let mut head = [0; 27];
    reader.read_exact(&mut head).ok()?;
    if !head.starts_with(b"OggS") {
        return None;
    }
    let (flags, segments) = (head[5], head[26]);
    let mut lacing = vec![0; usize::from(segments)];
    reader.read_exact(&mut lacing).ok()?;
    let body: i64 = lacing.iter().map(|lace| i64::from(*lace)).sum();
    let first = flags & 2 != 0;
    let mut body_start = vec![0; if first { 19 } else { 0 }];
    let read = fill(reader, &mut body_start).ok()?;
    body_start.truncate(read);
    reader.seek_relative(body - i64::try_from(read).ok()?).ok()?;
    let [.., a, b, c, d, e, f, g, h] = head[..14] else {
        return None;
    };
    Some(Page {
        first,
        position: u64::from_le_bytes([a, b, c, d, e, f, g, h]),
        lacing,
        body_start,
    })
}

/// 64 values from 0 to 100: the mean size of the packets of each part, between the smallest and the largest mean.
fn waveform(packets: &[u32]) -> Option<Vec<u8>> {
    if packets.is_empty() {
        return None;
    }
    let mean = |part: usize| {
        let from = part * packets.len() / VALUES;
        let to = ((part + 1) * packets.len() / VALUES).max(from + 1).min(packets.len());
        let sum: u64 = packets[from..to].iter().map(|bytes| u64::from(*bytes)).sum();
        sum / (to - from) as u64
    };
    let means: Vec<u64> = (0..VALUES).map(mean).collect();
    let (least, most) = (*means.iter().min()?, *means.iter().max()?);
    // Of one size, or nearly: that says nothing.
    if most < least + 8 {
        return None;
    }
    let value = |mean: &u64| u8::try_from((mean - least) * 100 / (most - least)).unwrap_or(100);
    Some(means.iter().map(value).collect())
}

#[cfg(test)]
pub(crate) mod tests {
    use std::io::Cursor;

    use proptest::prelude::*;

    use super::*;

    fn page(flags: u8, position: u64, packets: &[&[u8]]) -> Vec<u8> {
        let mut lacing = Vec::new();
        for packet in packets {
            lacing.extend(std::iter::repeat_n(255, packet.len() / 255));
            lacing.push(u8::try_from(packet.len() % 255).unwrap());
        }
        let mut page = [&b"OggS\0"[..], &[flags], &position.to_le_bytes(), &[0; 12]].concat();
        page.push(u8::try_from(lacing.len()).unwrap());
        page.extend(lacing);
        page.extend(packets.concat());
        page
    }

    /// A voice note with packets of 20 ms of these sizes.
    pub(crate) fn note(sizes: &[usize]) -> Vec<u8> {
        let head = b"OpusHead\x01\x01\x38\x01\x80\xbb\0\0\0\0\0";
        let mut file = page(2, 0, &[head]);
        file.extend(page(0, 0, &[b"OpusTags\0\0\0\0\0\0\0\0"]));
        let mut position = 312;
        for size in sizes {
            position += 960;
            file.extend(page(0, position, &[&vec![0x78; *size]]));
        }
        file
    }

    #[test]
    fn a_voice_note_tells_its_length_and_where_it_is_silent() {
        let sizes: Vec<usize> = (0..640).map(|n| if n < 320 { 20 } else { 300 }).collect();
        let facts = look(&mut Cursor::new(note(&sizes))).unwrap();
        assert_eq!(facts.seconds, Some(13), "12.8 seconds");
        let waveform = facts.waveform.unwrap();
        assert_eq!(waveform.len(), VALUES);
        assert!(waveform[..32].iter().all(|value| *value == 0) && waveform[32..].iter().all(|value| *value == 100));
    }

    #[test]
    fn a_short_one_has_values_for_all_parts_and_an_even_one_none() {
        let facts = look(&mut Cursor::new(note(&[10, 200, 90]))).unwrap();
        assert_eq!((facts.seconds, facts.waveform.unwrap().len()), (Some(1), VALUES));
        let even = look(&mut Cursor::new(note(&[80; 100]))).unwrap();
        assert_eq!((even.seconds, even.waveform), (Some(2), None));
        assert_eq!(look(&mut Cursor::new(page(2, 0, &[b"\x01vorbis"]))), None);
        let cut = look(&mut Cursor::new(b"OggS".to_vec())).unwrap();
        assert_eq!(cut, Facts::default());
    }

    proptest! {
        /// Values are in range whatever the packets, and looking ends whatever the bytes.
        #[test]
        fn no_note_is_too_strange(
            sizes in prop::collection::vec(0_usize..2000, 0..80),
            changes in prop::collection::vec((any::<usize>(), any::<u8>()), 0..20),
        ) {
            let mut bytes = note(&sizes);
            if let Some(waveform) = look(&mut Cursor::new(bytes.clone())).unwrap().waveform {
                prop_assert!(waveform.iter().all(|value| *value <= 100));
                prop_assert!(waveform.contains(&100) && waveform.contains(&0));
            }
            let length = bytes.len();
            for (place, byte) in changes {
                bytes[place % length] = byte;
            }
            let _facts = look(&mut Cursor::new(bytes));
        }
    }
}
