//! Pictures: how large they are, and a small JPEG of them for the place where the picture will be; a square one for a group.
//!
//! A PNG is read row by row, and everything else whole, so pixels are bounded: a file of some KiB can say that it is a picture of
//! gigabytes. What has more, or is broken, is sent without a small one.

use std::io::{BufRead, BufReader, Cursor, Read, Seek, SeekFrom};

use image_webp::WebPDecoder;
use jpeg_encoder::{ColorType, Encoder};
use png::{BitDepth, Transformations};
use zune_core::{bytestream::ZCursor, colorspace::ColorSpace, options::DecoderOptions};
use zune_jpeg::JpegDecoder;

use super::Facts;

/// Pixels of a JPEG that is decoded: three bytes each are in memory meanwhile, of a progressive one nine.
const JPEG_PIXELS: u64 = 24_000_000;
const PROGRESSIVE_PIXELS: u64 = 12_000_000;
/// Pixels of a PNG: its rows are thrown away as they are read.
const PNG_PIXELS: u64 = 50_000_000;
/// Pixels of a PNG that is interlaced, or of a WebP: four bytes each are in memory meanwhile, of a WebP some twelve.
const INTERLACED_PIXELS: u64 = 12_000_000;
const WEBP_PIXELS: u64 = 8_000_000;
/// Bytes that a WebP's decoder may take for what is neither pixels nor compressed.
const WEBP_MEMORY: usize = 16 << 20;
/// Bytes of a picture that is looked at: of what is sent as one WhatsApp takes no more, and a document may have a hundred times as
/// many.
const MOST_BYTES: u64 = 16 << 20;
/// The longest side, in pixels.
const LONGEST_SIDE: usize = 65_535;
/// The small one, as phones make it; it is shown blurred.
const SMALL: Wanted = Wanted {
    side: 100,
    square: false,
    quality: 50,
};
/// The one of a group or a person, as phones make it: they show it in a circle.
const SQUARE: Wanted = Wanted {
    side: 640,
    square: true,
    quality: 80,
};
/// Scans of a progressive JPEG: each goes over the whole picture, and a hostile one has thousands.
const MOST_SCANS: usize = 64;
/// The tag that says how a camera was held.
const ORIENTATION: u16 = 0x0112;

/// What is made of a picture.
#[derive(Debug, Clone, Copy)]
struct Wanted {
    /// Its longest side, in pixels.
    side: u32,
    /// Whether what is left and right, or above and below, of the largest square in the middle goes.
    square: bool,
    /// Of 1 to 100.
    quality: u8,
}

pub(super) fn look(file: &mut (impl Read + Seek)) -> Option<Facts> {
    look_for(file, SMALL)
}

/// The middle of a picture as a square JPEG, as WhatsApp takes it of a group.
pub(super) fn square(file: &mut (impl Read + Seek)) -> Option<Vec<u8>> {
    look_for(file, SQUARE)?.thumbnail
}

fn look_for(file: &mut (impl Read + Seek), wanted: Wanted) -> Option<Facts> {
    if file.seek(SeekFrom::End(0)).ok()? > MOST_BYTES {
        return None;
    }
    file.rewind().ok()?;
    let mut magic = [0; 2];
    file.read_exact(&mut magic).ok()?;
    file.rewind().ok()?;
    match magic {
        [0xff, 0xd8] => of_jpeg(file, wanted),
        [b'R', b'I'] => of_webp(file, wanted),
        _ => of_png(file, wanted),
    }
}

fn of_jpeg(file: &mut impl Read, wanted: Wanted) -> Option<Facts> {
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).ok()?;
    let options = DecoderOptions::default()
        .set_max_width(LONGEST_SIDE)
        .set_max_height(LONGEST_SIDE)
        .jpeg_set_max_scans(MOST_SCANS)
        .jpeg_set_out_colorspace(ColorSpace::RGB);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(&bytes[..]), options);
    decoder.decode_headers().ok()?;
    let info = decoder.info()?;
    let (width, height) = (u32::from(info.width), u32::from(info.height));
    let turn = decoder.exif().and_then(|exif| orientation(exif)).unwrap_or(1);
    let mut facts = Facts {
        size: Some(if turn >= 5 { (height, width) } else { (width, height) }),
        ..Facts::default()
    };
    let most = if is_baseline(&bytes) {
        JPEG_PIXELS
    } else {
        PROGRESSIVE_PIXELS
    };
    if u64::from(width) * u64::from(height) > most {
        return Some(facts);
    }
    if let Ok(pixels) = decoder.decode()
        && let Some(mut shrinking) = Shrinking::new((width, height), wanted)
    {
        for row in pixels.chunks_exact(width as usize * 3) {
            shrinking.row(row.as_chunks::<3>().0.iter().copied());
        }
        facts.thumbnail = shrinking.finish().turned(turn).jpeg();
    }
    Some(facts)
}

/// Whether a JPEG is decoded block by block, as its frame's header says; the segments before it say how long they are.
fn is_baseline(bytes: &[u8]) -> bool {
    let mut place = 2;
    while let Some(&[0xff, marker, high, low]) = bytes.get(place..place + 4) {
        match marker {
            0xc0 | 0xc1 => return true,
            0xc2..=0xcf if !matches!(marker, 0xc4 | 0xc8 | 0xcc) => return false,
            // A byte that fills up.
            0xff => place += 1,
            _ => place += 2 + usize::from(u16::from_be_bytes([high, low])),
        }
    }
    false
}

fn of_png(file: &mut (impl Read + Seek), wanted: Wanted) -> Option<Facts> {
    let mut decoder = png::Decoder::new(BufReader::new(file));
    decoder.set_transformations(Transformations::normalize_to_color8());
    let mut reader = decoder.read_info().ok()?;
    let (width, height) = reader.info().size();
    let mut facts = Facts {
        size: Some((width, height)),
        ..Facts::default()
    };
    let interlaced = reader.info().interlaced;
    let most = if interlaced { INTERLACED_PIXELS } else { PNG_PIXELS };
    let modest = u64::from(width) * u64::from(height) <= most && width as usize <= LONGEST_SIDE;
    let (colour, depth) = reader.output_color_type();
    let samples = colour.samples();
    if modest && depth == BitDepth::Eight {
        facts.thumbnail = match interlaced {
            true => whole_png(&mut reader).and_then(|pixels| small((width, height), samples, &pixels, wanted)),
            false => Shrinking::new((width, height), wanted).and_then(|mut shrinking| {
                while let Some(row) = reader.next_row().ok()? {
                    shrinking.row(row.data().chunks_exact(samples).map(on_white));
                }
                shrinking.finish().jpeg()
            }),
        };
    }
    Some(facts)
}

fn whole_png(reader: &mut png::Reader<impl BufRead + Seek>) -> Option<Vec<u8>> {
    let mut pixels = vec![0; reader.output_buffer_size()?];
    reader.next_frame(&mut pixels).ok()?;
    Some(pixels)
}

/// Of one that moves, what is seen first.
fn of_webp(file: &mut (impl Read + Seek), wanted: Wanted) -> Option<Facts> {
    let mut decoder = WebPDecoder::new(BufReader::new(file)).ok()?;
    decoder.set_memory_limit(WEBP_MEMORY);
    let (width, height) = decoder.dimensions();
    let mut facts = Facts {
        size: Some((width, height)),
        animated: decoder.is_animated(),
        ..Facts::default()
    };
    if u64::from(width) * u64::from(height) <= WEBP_PIXELS {
        let samples = if decoder.has_alpha() { 4 } else { 3 };
        let mut pixels = vec![0; decoder.output_buffer_size()?];
        let read = decoder.read_image(&mut pixels).ok();
        facts.thumbnail = read.and_then(|()| small((width, height), samples, &pixels, wanted));
    }
    Some(facts)
}

/// A small JPEG of a picture that is whole in memory, of so many samples for each pixel.
fn small((width, height): (u32, u32), samples: usize, pixels: &[u8], wanted: Wanted) -> Option<Vec<u8>> {
    let mut shrinking = Shrinking::new((width, height), wanted)?;
    for row in pixels.chunks_exact(width as usize * samples) {
        shrinking.row(row.chunks_exact(samples).map(on_white));
    }
    shrinking.finish().jpeg()
}

/// A pixel of grey or colour, as it looks on white where one sees through it.
fn on_white(pixel: &[u8]) -> [u8; 3] {
    let blend = |value: u8, alpha: u8| {
        let (value, alpha) = (u32::from(value), u32::from(alpha));
        u8::try_from((value * alpha + 255 * (255 - alpha)) / 255).unwrap_or(255)
    };
    match *pixel {
        [grey] => [grey; 3],
        [grey, alpha] => [blend(grey, alpha); 3],
        [red, green, blue] => [red, green, blue],
        [red, green, blue, alpha] => [red, green, blue].map(|value| blend(value, alpha)),
        _ => [255; 3],
    }
}

/// A picture that is made smaller row by row: each small pixel is the mean of those that fall on it.
struct Shrinking {
    /// What is left out at the left and above.
    skipped: (u32, u32),
    from: (u32, u32),
    to: (u32, u32),
    sums: Vec<([u64; 3], u64)>,
    row: u32,
    quality: u8,
}

/// A small picture, three bytes for a pixel.
struct Small {
    width: u32,
    height: u32,
    pixels: Vec<[u8; 3]>,
    quality: u8,
}

impl Shrinking {
    fn new((width, height): (u32, u32), wanted: Wanted) -> Option<Self> {
        if width == 0 || height == 0 {
            return None;
        }
        let shortest = width.min(height);
        let from = if wanted.square {
            (shortest, shortest)
        } else {
            (width, height)
        };
        let longest = from.0.max(from.1);
        let side = |side: u32| match longest <= wanted.side {
            true => side,
            false => u32::try_from(u64::from(side) * u64::from(wanted.side) / u64::from(longest))
                .unwrap_or(wanted.side)
                .max(1),
        };
        let to = (side(from.0), side(from.1));
        Some(Self {
            skipped: ((width - from.0) / 2, (height - from.1) / 2),
            from,
            to,
            sums: vec![([0; 3], 0); to.0 as usize * to.1 as usize],
            row: 0,
            quality: wanted.quality,
        })
    }

    fn row(&mut self, pixels: impl Iterator<Item = [u8; 3]>) {
        let onto = |place: u32, from: u32, to: u32| (u64::from(place) * u64::from(to) / u64::from(from)) as usize;
        let (row, (left, above)) = (self.row, self.skipped);
        self.row += 1;
        let Some(row) = row.checked_sub(above).filter(|row| *row < self.from.1) else {
            return;
        };
        let begin = onto(row, self.from.1, self.to.1) * self.to.0 as usize;
        for (pixel, place) in pixels.skip(left as usize).zip(0..self.from.0) {
            let (sums, count) = &mut self.sums[begin + onto(place, self.from.0, self.to.0)];
            sums.iter_mut()
                .zip(pixel)
                .for_each(|(sum, value)| *sum += u64::from(value));
            *count += 1;
        }
    }

    fn finish(self) -> Small {
        let mean = |(sums, count): ([u64; 3], u64)| sums.map(|sum| u8::try_from(sum / count.max(1)).unwrap_or(u8::MAX));
        Small {
            width: self.to.0,
            height: self.to.1,
            pixels: self.sums.into_iter().map(mean).collect(),
            quality: self.quality,
        }
    }
}

impl Small {
    /// As it is to be seen, where the camera was held another way (the eight values of Exif).
    fn turned(self, orientation: u16) -> Self {
        let (width, height) = (self.width, self.height);
        let on_its_side = orientation >= 5;
        let (seen_width, seen_height) = if on_its_side { (height, width) } else { (width, height) };
        let source = |x: u32, y: u32| match orientation {
            2 => (width - 1 - x, y),
            3 => (width - 1 - x, height - 1 - y),
            4 => (x, height - 1 - y),
            5 => (y, x),
            6 => (y, height - 1 - x),
            7 => (width - 1 - y, height - 1 - x),
            8 => (width - 1 - y, x),
            _ => (x, y),
        };
        let places = (0..seen_height).flat_map(|y| (0..seen_width).map(move |x| (x, y)));
        let pixels = places.map(|(x, y)| {
            let (x, y) = source(x, y);
            self.pixels[(y * width + x) as usize]
        });
        Self {
            width: seen_width,
            height: seen_height,
            pixels: pixels.collect(),
            quality: self.quality,
        }
    }

    fn jpeg(&self) -> Option<Vec<u8>> {
        let mut bytes = Vec::new();
        let encoder = Encoder::new(Cursor::new(&mut bytes), self.quality);
        let (width, height) = (u16::try_from(self.width).ok()?, u16::try_from(self.height).ok()?);
        encoder
            .encode(self.pixels.as_flattened(), width, height, ColorType::Rgb)
            .ok()?;
        Some(bytes)
    }
}

/// How the camera was held, out of a JPEG's Exif: a TIFF header, and a directory of tags.
fn orientation(exif: &[u8]) -> Option<u16> {
    let exif = exif.strip_prefix(b"Exif\0\0").unwrap_or(exif);
    let big = match exif.get(..2)? {
        b"MM" => true,
        b"II" => false,
        _ => return None,
    };
    let short = |place: usize| {
        let bytes = exif.get(place..place + 2)?.try_into().ok()?;
        Some(if big {
            u16::from_be_bytes(bytes)
        } else {
            u16::from_le_bytes(bytes)
        })
    };
    let bytes = exif.get(4..8)?.try_into().ok()?;
    let place = if big {
        u32::from_be_bytes(bytes)
    } else {
        u32::from_le_bytes(bytes)
    };
    let directory = usize::try_from(place).ok()?.min(exif.len());
    let entries = usize::from(short(directory)?);
    let mut places = (0..entries).map(|entry| directory + 2 + entry * 12);
    let entry = places.find(|place| short(*place) == Some(ORIENTATION))?;
    short(entry + 8).filter(|value| (1..=8).contains(value))
}

#[cfg(test)]
#[path = "picture_tests.rs"]
pub(crate) mod tests;
