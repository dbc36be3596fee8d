//! What can be told of a file by looking into it: how long it plays, how large its picture is, a small picture of it, how
//! loud it is. Strangers wrote what is read here: every length is bounded, and what cannot be read is left out.

mod iso;
mod mpeg;
mod ogg;
mod picture;
mod square;
mod webp;

use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom},
};

use wharf_domain::outgoing::FileType;

pub(super) use square::square;

/// What was found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Facts {
    /// How long it plays, in seconds.
    pub(super) seconds: Option<u32>,
    /// Pixels across and down.
    pub(super) size: Option<(u32, u32)>,
    /// A small JPEG.
    pub(super) thumbnail: Option<Vec<u8>>,
    /// 64 values from 0 to 100.
    pub(super) waveform: Option<Vec<u8>>,
    /// Whether a picture moves.
    pub(super) animated: bool,
}

/// Looks at a file that is sent as `kind`. Blocks; belongs in a thread of its own.
pub(super) fn look(kind: FileType, mime_type: &str, file: &mut File) -> Facts {
    let _to_the_start = file.rewind();
    let found = match (kind, mime_type) {
        (FileType::Image, _) => picture::look(file),
        (FileType::Sticker, _) => webp::look(file),
        (FileType::Video, _) | (FileType::Audio, "audio/mp4") => iso::look(file),
        (FileType::Audio, "audio/mpeg") => mpeg::look(file),
        (FileType::Audio, mime) if mime.starts_with("audio/ogg") => ogg::look(file).map(|facts| Facts {
            waveform: None,
            ..facts
        }),
        (FileType::Voice, _) => ogg::look(file),
        (FileType::Document, "image/jpeg" | "image/png" | "image/webp") => picture::look(file),
        _ => None,
    };
    let mut facts = found.unwrap_or_default();
    if matches!(kind, FileType::Audio | FileType::Document) {
        facts.size = None;
    }
    facts
}

/// Whether an MP4 that is sent as a sound has a picture track; `None` for what tells of no tracks. Blocks as [`look`] does.
pub(super) fn has_picture(kind: FileType, file: &mut File) -> Option<bool> {
    let facts = (kind == FileType::Audio).then(|| iso::look(file))??;
    Some(facts.size.is_some())
}

/// A small JPEG of a picture, if it can be read. Blocks; belongs in a thread of its own.
pub(crate) fn thumbnail(file: &mut (impl Read + Seek)) -> Option<Vec<u8>> {
    picture::look(file)?.thumbnail
}

/// As many bytes as there are, up to those of `buffer`.
fn fill(from: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match from.read(&mut buffer[filled..])? {
            0 => break,
            more => filled += more,
        }
    }
    Ok(filled)
}

/// The bytes at a place, if there are so many.
fn at<const N: usize>(file: &mut (impl Read + Seek), place: u64) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    file.seek(SeekFrom::Start(place)).ok()?;
    file.read_exact(&mut bytes).ok()?;
    Some(bytes)
}

/// Seconds of a sound, rounded up: one that plays at all is not shown with none.
fn seconds(units: u64, per_second: u64) -> Option<u32> {
    let seconds = units.checked_add(per_second.checked_sub(1)?)? / per_second;
    u32::try_from(seconds).ok().filter(|seconds| *seconds > 0)
}
