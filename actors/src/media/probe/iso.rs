//! Films and sounds in the ISO base format (MP4, 3GP, M4A): the length of the film, the size of its first picture track, and a
//! small one of the cover that some carry. What the film itself shows would have to be decoded.

use std::io::{Cursor, Read, Seek, SeekFrom};

use super::{Facts, at, seconds, thumbnail};

/// Boxes that are looked at: real files have some dozens on these levels.
const MOST_BOXES: u32 = 4096;
/// Bytes of a cover that is looked at.
const MOST_COVER: u64 = 4 << 20;

/// A box: what it is, and where its content lies.
struct Atom {
    kind: [u8; 4],
    begin: u64,
    end: u64,
}

pub(super) fn look(file: &mut (impl Read + Seek)) -> Option<Facts> {
    let end = file.seek(SeekFrom::End(0)).ok()?;
    let mut left = MOST_BOXES;
    let movie = find(file, 0, end, *b"moov", &mut left)?;
    let mut facts = Facts::default();
    let mut place = movie.begin;
    while let Some(atom) = next(file, place, movie.end, &mut left) {
        match &atom.kind {
            b"mvhd" => facts.seconds = length(file, &atom),
            b"trak" if facts.size.is_none() => facts.size = size(file, &atom, &mut left),
            b"udta" if facts.thumbnail.is_none() => facts.thumbnail = cover(file, &atom, &mut left),
            _ => {}
        }
        place = atom.end;
    }
    Some(facts)
}

fn find(file: &mut (impl Read + Seek), mut place: u64, end: u64, kind: [u8; 4], left: &mut u32) -> Option<Atom> {
    while let Some(atom) = next(file, place, end, left) {
        if atom.kind == kind {
            return Some(atom);
        }
        place = atom.end;
    }
    None
}

/// The box at a place; none at the end, or where there is nothing that could be one.
fn next(file: &mut (impl Read + Seek), place: u64, end: u64, left: &mut u32) -> Option<Atom> {
    *left = left.checked_sub(1)?;
    if place.checked_add(8)? > end {
        return None;
    }
    let [a, b, c, d, kind @ ..] = at::<8>(file, place)?;
    let (head, size) = match u32::from_be_bytes([a, b, c, d]) {
        // It reaches to the end.
        0 => (8, end - place),
        1 => (16, u64::from_be_bytes(at::<8>(file, place + 8)?)),
        size => (8, u64::from(size)),
    };
    let stop = place.checked_add(size)?;
    (size >= head && stop <= end).then_some(Atom {
        kind,
        begin: place + head,
        end: stop,
    })
}

/// Of the movie's header.
fn length(file: &mut (impl Read + Seek), header: &Atom) -> Option<u32> {
    let [version] = at::<1>(file, header.begin)?;
    let (per_second, units) = match version {
        1 => {
            let per_second = u32::from_be_bytes(at(file, header.begin + 20)?);
            (per_second, u64::from_be_bytes(at(file, header.begin + 24)?))
        }
        _ => {
            let per_second = u32::from_be_bytes(at(file, header.begin + 12)?);
            (per_second, u64::from(u32::from_be_bytes(at(file, header.begin + 16)?)))
        }
    };
    // All ones: the length is not known.
    let known = units != u64::from(u32::MAX) && units != u64::MAX;
    known.then(|| seconds(units, u64::from(per_second)))?
}

/// Of a track's header: sixteen bits of whole pixels each. Sounds have none. A film that is shown on its side says so by
/// a matrix whose first number is 0.
fn size(file: &mut (impl Read + Seek), track: &Atom, left: &mut u32) -> Option<(u32, u32)> {
    let header = find(file, track.begin, track.end, *b"tkhd", left)?;
    let [version] = at::<1>(file, header.begin)?;
    let matrix = header.begin + if version == 1 { 52 } else { 40 };
    let upright = u32::from_be_bytes(at(file, matrix)?) != 0;
    let whole = |fixed: [u8; 4]| u32::from_be_bytes(fixed) >> 16;
    let (width, height) = (whole(at(file, matrix + 36)?), whole(at(file, matrix + 40)?));
    let seen = width > 0 && height > 0;
    seen.then_some(if upright { (width, height) } else { (height, width) })
}

/// The cover, as iTunes and ffmpeg write it: a JPEG or PNG behind eight bytes that say so.
fn cover(file: &mut (impl Read + Seek), user_data: &Atom, left: &mut u32) -> Option<Vec<u8>> {
    let meta = find(file, user_data.begin, user_data.end, *b"meta", left)?;
    // A version and flags, which QuickTime leaves out.
    let begin = match at::<8>(file, meta.begin)? {
        [.., b'h', b'd', b'l', b'r'] => meta.begin,
        _ => meta.begin + 4,
    };
    let list = find(file, begin, meta.end, *b"ilst", left)?;
    let cover = find(file, list.begin, list.end, *b"covr", left)?;
    let data = find(file, cover.begin, cover.end, *b"data", left)?;
    let length = data
        .end
        .checked_sub(data.begin + 8)
        .filter(|length| *length <= MOST_COVER)?;
    file.seek(SeekFrom::Start(data.begin + 8)).ok()?;
    let mut picture = Vec::new();
    file.take(length).read_to_end(&mut picture).ok()?;
    thumbnail(&mut Cursor::new(picture))
}

#[cfg(test)]
pub(crate) mod tests {
    use std::io::Cursor;

    use proptest::prelude::*;

    use super::*;

    fn atom(kind: &[u8; 4], content: &[u8]) -> Vec<u8> {
        let size = u32::try_from(content.len() + 8).unwrap();
        [&size.to_be_bytes()[..], kind, content].concat()
    }

    fn track(width: u32, height: u32, upright: bool) -> Vec<u8> {
        let mut header = vec![0; 84];
        header[40..44].copy_from_slice(&u32::from(upright).to_be_bytes());
        header[76..80].copy_from_slice(&(width << 16).to_be_bytes());
        header[80..84].copy_from_slice(&(height << 16).to_be_bytes());
        atom(b"trak", &atom(b"tkhd", &header))
    }

    /// A film of so many thousandths of a second: its boxes, and noise for what it shows.
    pub(crate) fn film(milliseconds: u32, width: u32, height: u32, upright: bool) -> Vec<u8> {
        let mut header = vec![0; 100];
        header[12..16].copy_from_slice(&1000_u32.to_be_bytes());
        header[16..20].copy_from_slice(&milliseconds.to_be_bytes());
        let movie = [atom(b"mvhd", &header), track(0, 0, true), track(width, height, upright)].concat();
        [
            atom(b"ftyp", b"isom\0\0\x02\0isommp41"),
            atom(b"mdat", &[7; 5000]),
            atom(b"moov", &movie),
        ]
        .concat()
    }

    #[test]
    fn a_film_tells_its_length_and_size() {
        let facts = look(&mut Cursor::new(film(12_345, 640, 352, true))).unwrap();
        assert_eq!((facts.seconds, facts.size), (Some(13), Some((640, 352))));
        let facts = look(&mut Cursor::new(film(1, 640, 352, false))).unwrap();
        assert_eq!((facts.seconds, facts.size), (Some(1), Some((352, 640))));
        assert_eq!(look(&mut Cursor::new(film(0, 1, 1, true))).unwrap().seconds, None);
        assert_eq!(look(&mut Cursor::new(b"no film".to_vec())), None);
    }

    /// A film with a cover, with the version in front of `meta` or without.
    fn covered(picture: &[u8], version: &[u8]) -> Vec<u8> {
        let data = atom(b"data", &[&[0, 0, 0, 13, 0, 0, 0, 0], picture].concat());
        let list = atom(b"ilst", &[atom(b"free", b"x"), atom(b"covr", &data)].concat());
        let meta = atom(b"meta", &[version, &atom(b"hdlr", &[0; 24]), &list].concat());
        let movie = [track(64, 32, true), atom(b"udta", &meta)].concat();
        [atom(b"ftyp", b"isom\0\0\x02\0"), atom(b"moov", &movie)].concat()
    }

    #[test]
    fn a_cover_is_shown_where_there_is_one() {
        let picture = super::super::picture::tests::jpeg(40, 20, None);
        for version in [&[0; 4][..], &[]] {
            let facts = look(&mut Cursor::new(covered(&picture, version))).unwrap();
            assert_eq!(facts.size, Some((64, 32)));
            assert!(facts.thumbnail.unwrap().starts_with(b"\xff\xd8"));
        }
        let facts = look(&mut Cursor::new(covered(b"no picture", &[0; 4]))).unwrap();
        assert_eq!((facts.size, facts.thumbnail), (Some((64, 32)), None));
        let facts = look(&mut Cursor::new(film(1000, 64, 32, true))).unwrap();
        assert_eq!(facts.thumbnail, None, "no decoder for films");
    }

    proptest! {
        /// Whatever is changed in it, looking ends.
        #[test]
        fn no_film_is_too_strange(
            has_cover in any::<bool>(),
            changes in prop::collection::vec((0_usize..6000, any::<u8>()), 0..40),
            cut in 0_usize..6000,
        ) {
            let mut bytes = match has_cover {
                true => covered(&super::super::picture::tests::jpeg(40, 20, None), &[0; 4]),
                false => film(1000, 10, 10, true),
            };
            let length = bytes.len();
            for (place, byte) in changes {
                bytes[place % length] = byte;
            }
            bytes.truncate(cut.min(length));
            let _facts = look(&mut Cursor::new(bytes));
        }
    }
}
