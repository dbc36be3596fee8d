//! Pictures: how large they are, and a small JPEG of them for the place where the picture will be; `square` makes another of them.
//!
//! A PNG is read row by row, and everything else whole, so pixels are bounded: a file of some KiB can say that it is a picture of
//! gigabytes. What has more, or is broken, is sent without a small one.

use std::io::{BufReader, Cursor, Read, Seek, SeekFrom};

use image_webp::WebPDecoder;
use jpeg_encoder::{ColorType, Encoder};
use png::{BitDepth, Transformations};
use zune_core::{bytestream::ZCursor, colorspace::ColorSpace, options::DecoderOptions};
use zune_jpeg::JpegDecoder;

use super::{Facts, webp};

/// Pixels of a JPEG that is decoded: three bytes each are in memory meanwhile, of a progressive one, or one whose colours come one
/// after another, nine.
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
pub(super) const MOST_BYTES: u64 = 16 << 20;
/// The longest side, in pixels.
const LONGEST_SIDE: usize = 65_535;
/// Of the small one: as phones make it.
const SMALL_SIDE: u32 = 100;
/// Of 1 to 100: it is shown blurred.
const QUALITY: u8 = 50;
/// Scans of a progressive JPEG: each goes over the whole picture, and a hostile one has thousands.
pub(super) const MOST_SCANS: usize = 64;
/// The marker that begins one.
const SCAN: [u8; 2] = [0xff, 0xda];
/// The same of any JPEG, which the decoder does not count: each costs a row, and a hostile one has millions. What only looks like one
/// counts as well: a film behind a photo that moves has one in each 64 KiB, by chance.
pub(super) const MOST_MARKED: usize = 1024;
/// The tag that says how a camera was held.
const ORIENTATION: u16 = 0x0112;

pub(super) fn look(file: &mut (impl Read + Seek)) -> Option<Facts> {
    if file.seek(SeekFrom::End(0)).ok()? > MOST_BYTES {
        return None;
    }
    let mut picture = Picture::open(file)?;
    let ((width, height), turn) = (picture.size, picture.turn);
    let shrinking = Shrinking::new(width, height).filter(|_| picture.is_modest);
    let thumbnail = shrinking.and_then(|mut shrinking| {
        picture.each_row(|row| shrinking.row(row))?;
        shrinking.finish().turned(turn).jpeg(QUALITY)
    });
    Some(Facts {
        size: Some(if turn >= 5 { (height, width) } else { (width, height) }),
        animated: picture.animated,
        thumbnail,
        ..Facts::default()
    })
}

/// How many colours the first scan of a JPEG has; `None` where its segments do not lead there.
fn in_first_scan(bytes: &[u8]) -> Option<u8> {
    let mut rest = bytes.get(SCAN.len()..)?;
    loop {
        let [0xff, marker, length @ ..] = rest else { return None };
        if *marker == 0xff {
            rest = &rest[1..];
            continue;
        }
        let length = u16::from_be_bytes(length.first_chunk().copied()?);
        if *marker == SCAN[1] {
            return rest.get(4).copied();
        }
        rest = rest.get(2 + usize::from(length)..)?;
    }
}

/// A JPEG, a PNG or a WebP of which the headers were read.
pub(super) struct Picture<R: Read + Seek> {
    decoder: Decoder<R>,
    /// Pixels across and down, as they are stored.
    pub(super) size: (u32, u32),
    /// How the camera was held (the eight values of Exif).
    pub(super) turn: u16,
    animated: bool,
    /// Whether there are no more pixels than are decoded.
    pub(super) is_modest: bool,
}

enum Decoder<R: Read + Seek> {
    Jpeg(Box<JpegDecoder<ZCursor<Vec<u8>>>>),
    Png(Box<png::Reader<BufReader<R>>>),
    Webp(WebPDecoder<BufReader<R>>),
}

impl<R: Read + Seek> Picture<R> {
    pub(super) fn open(mut file: R) -> Option<Self> {
        let mut magic = [0; 2];
        file.rewind().ok()?;
        file.read_exact(&mut magic).ok()?;
        file.rewind().ok()?;
        match magic {
            [0xff, 0xd8] => Self::jpeg(file),
            [b'R', b'I'] => Self::webp(file),
            _ => Self::png(file),
        }
    }

    fn jpeg(mut file: R) -> Option<Self> {
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).ok()?;
        let options = DecoderOptions::default()
            .set_max_width(LONGEST_SIDE)
            .set_max_height(LONGEST_SIDE)
            .jpeg_set_max_scans(MOST_SCANS)
            .jpeg_set_out_colorspace(ColorSpace::RGB);
        let marked = bytes.windows(2).filter(|two| *two == SCAN).count();
        let in_first_scan = in_first_scan(&bytes);
        let mut decoder = JpegDecoder::new_with_options(ZCursor::new(bytes), options);
        decoder.decode_headers().ok()?;
        let info = decoder.info()?;
        let is_at_once = !info.sof.is_progressive() && in_first_scan == Some(info.components);
        let most = if is_at_once { JPEG_PIXELS } else { PROGRESSIVE_PIXELS };
        Some(Self {
            size: (info.width.into(), info.height.into()),
            turn: decoder.exif().and_then(|exif| orientation(exif)).unwrap_or(1),
            animated: false,
            is_modest: marked <= MOST_MARKED && u64::from(info.width) * u64::from(info.height) <= most,
            decoder: Decoder::Jpeg(Box::new(decoder)),
        })
    }

    fn png(file: R) -> Option<Self> {
        let mut decoder = png::Decoder::new(BufReader::new(file));
        decoder.set_transformations(Transformations::normalize_to_color8());
        let reader = decoder.read_info().ok()?;
        let (width, height) = reader.info().size();
        let most = match reader.info().interlaced {
            true => INTERLACED_PIXELS,
            false => PNG_PIXELS,
        };
        let modest = u64::from(width) * u64::from(height) <= most && width as usize <= LONGEST_SIDE;
        Some(Self {
            size: (width, height),
            turn: 1,
            animated: false,
            is_modest: modest && reader.output_color_type().1 == BitDepth::Eight,
            decoder: Decoder::Png(Box::new(reader)),
        })
    }

    fn webp(mut file: R) -> Option<Self> {
        let frames = webp::largest_lossy(&mut file, MOST_BYTES)?;
        let mut decoder = WebPDecoder::new(BufReader::new(file)).ok()?;
        decoder.set_memory_limit(WEBP_MEMORY);
        let (width, height) = decoder.dimensions();
        let pixels = u64::from(width) * u64::from(height);
        Some(Self {
            size: (width, height),
            turn: 1,
            animated: decoder.is_animated(),
            is_modest: pixels.max(frames) <= WEBP_PIXELS,
            decoder: Decoder::Webp(decoder),
        })
    }

    /// Gives the rows one by one: of a PNG that is not interlaced as they are read, of others when all are there, and of one that
    /// moves those of what is seen first. `None` when it is broken.
    pub(super) fn each_row(&mut self, mut take: impl FnMut(&[[u8; 3]])) -> Option<()> {
        let mut give = |row: &[u8], samples| match samples {
            3 => take(row.as_chunks().0),
            _ => take(&row.chunks_exact(samples).map(on_white).collect::<Vec<_>>()),
        };
        let (pixels, samples) = match &mut self.decoder {
            Decoder::Jpeg(decoder) => (decoder.decode().ok()?, 3),
            Decoder::Png(reader) => {
                let samples = reader.output_color_type().0.samples();
                if !reader.info().interlaced {
                    while let Some(row) = reader.next_row().ok()? {
                        give(row.data(), samples);
                    }
                    return Some(());
                }
                let mut pixels = vec![0; reader.output_buffer_size()?];
                reader.next_frame(&mut pixels).ok()?;
                (pixels, samples)
            }
            Decoder::Webp(decoder) => {
                let mut pixels = vec![0; decoder.output_buffer_size()?];
                decoder.read_image(&mut pixels).ok()?;
                (pixels, if decoder.has_alpha() { 4 } else { 3 })
            }
        };
        let rows = pixels.chunks_exact(self.size.0 as usize * samples);
        rows.for_each(|row| give(row, samples));
        Some(())
    }
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
pub(super) struct Shrinking {
    from: (u32, u32),
    to: (u32, u32),
    sums: Vec<([u64; 3], u64)>,
    row: u32,
}

/// A small picture, three bytes for a pixel.
pub(super) struct Small {
    width: u32,
    height: u32,
    pixels: Vec<[u8; 3]>,
}

impl Shrinking {
    fn new(width: u32, height: u32) -> Option<Self> {
        let longest = width.max(height);
        if width == 0 || height == 0 {
            return None;
        }
        let side = |side: u32| match longest <= SMALL_SIDE {
            true => side,
            false => u32::try_from(u64::from(side) * u64::from(SMALL_SIDE) / u64::from(longest))
                .unwrap_or(SMALL_SIDE)
                .max(1),
        };
        Some(Self::onto((width, height), (side(width), side(height))))
    }

    /// Onto a picture of that size, which is not larger.
    pub(super) fn onto(from: (u32, u32), to: (u32, u32)) -> Self {
        Self {
            from,
            to,
            sums: vec![([0; 3], 0); to.0 as usize * to.1 as usize],
            row: 0,
        }
    }

    pub(super) fn row(&mut self, pixels: &[[u8; 3]]) {
        let onto = |place: u32, from: u32, to: u32| (u64::from(place) * u64::from(to) / u64::from(from)) as usize;
        if self.row >= self.from.1 {
            return;
        }
        let begin = onto(self.row, self.from.1, self.to.1) * self.to.0 as usize;
        for (pixel, place) in pixels.iter().zip(0..self.from.0) {
            let (sums, count) = &mut self.sums[begin + onto(place, self.from.0, self.to.0)];
            sums.iter_mut()
                .zip(pixel)
                .for_each(|(sum, value)| *sum += u64::from(*value));
            *count += 1;
        }
        self.row += 1;
    }

    pub(super) fn finish(self) -> Small {
        let mean = |(sums, count): ([u64; 3], u64)| sums.map(|sum| u8::try_from(sum / count.max(1)).unwrap_or(u8::MAX));
        Small {
            width: self.to.0,
            height: self.to.1,
            pixels: self.sums.into_iter().map(mean).collect(),
        }
    }
}

impl Small {
    /// As it is to be seen, where the camera was held another way (the eight values of Exif).
    pub(super) fn turned(self, orientation: u16) -> Self {
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
        }
    }

    /// As a JPEG of that quality, 1 to 100.
    pub(super) fn jpeg(&self, quality: u8) -> Option<Vec<u8>> {
        let mut bytes = Vec::new();
        let encoder = Encoder::new(Cursor::new(&mut bytes), quality);
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
