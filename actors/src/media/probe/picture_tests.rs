use proptest::prelude::*;

use super::*;

/// A JPEG whose left half is red and whose right half is blue; `exif` says how the camera was held.
pub(crate) fn jpeg(width: u16, height: u16, exif: Option<u16>) -> Vec<u8> {
    let mut pixels = Vec::new();
    for _ in 0..height {
        for x in 0..width {
            pixels.extend(if x < width / 2 { [255, 0, 0] } else { [0, 0, 255] });
        }
    }
    let mut bytes = Vec::new();
    let mut encoder = Encoder::new(Cursor::new(&mut bytes), 90);
    if let Some(value) = exif {
        let mut said = b"Exif\0\0MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01".to_vec();
        said.extend(value.to_be_bytes());
        said.extend([0; 6]);
        encoder.add_app_segment(1, said).unwrap();
    }
    encoder.encode(&pixels, width, height, ColorType::Rgb).unwrap();
    bytes
}

pub(crate) fn png(width: u32, height: u32, colour: png::ColorType, pixel: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, width, height);
    encoder.set_color(colour);
    encoder.set_depth(BitDepth::Eight);
    let pixels = pixel.repeat(width as usize * height as usize);
    encoder.write_header().unwrap().write_image_data(&pixels).unwrap();
    bytes
}

/// A PNG that is interlaced: the seven passes of Adam7, in zlib's stored blocks. Its left half is red, its right half blue.
pub(crate) fn interlaced(width: u32, height: u32) -> Vec<u8> {
    let mut rows = Vec::new();
    let passes = [
        (0, 0, 8, 8),
        (4, 0, 8, 8),
        (0, 4, 4, 8),
        (2, 0, 4, 4),
        (0, 2, 2, 4),
        (1, 0, 2, 2),
        (0, 1, 1, 2),
    ];
    for (left, top, across, down) in passes {
        for _ in (top..height).step_by(down).filter(|_| left < width) {
            let pixels = (left..width).step_by(across);
            let pixels = pixels.flat_map(|x| if x < width / 2 { [255, 0, 0] } else { [0, 0, 255] });
            // Each row says first that it is not filtered.
            rows.extend([0].into_iter().chain(pixels));
        }
    }
    let mut zlib = vec![0x78, 1];
    let blocks = rows.chunks(60_000);
    for (n, block) in rows.chunks(60_000).enumerate() {
        let length = u16::try_from(block.len()).unwrap();
        zlib.push(u8::from(n + 1 == blocks.len()));
        zlib.extend(length.to_le_bytes());
        zlib.extend((!length).to_le_bytes());
        zlib.extend(block);
    }
    let (low, high) = rows.iter().fold((1_u32, 0_u32), |(low, high), byte| {
        let low = (low + u32::from(*byte)) % 65_521;
        (low, (high + low) % 65_521)
    });
    zlib.extend((high << 16 | low).to_be_bytes());
    let head = [&width.to_be_bytes()[..], &height.to_be_bytes(), &[8, 2, 0, 0, 1]].concat();
    let chunk = |kind: &[u8; 4], content: &[u8]| {
        let said = [kind, content].concat();
        let crc = !said.iter().fold(u32::MAX, |crc, byte| {
            (0..8).fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ ((crc & 1) * 0xedb8_8320))
        });
        let length = u32::try_from(content.len()).unwrap();
        [&length.to_be_bytes()[..], &said, &crc.to_be_bytes()].concat()
    };
    [
        b"\x89PNG\r\n\x1a\n".to_vec(),
        chunk(b"IHDR", &head),
        chunk(b"IDAT", &zlib),
        chunk(b"IEND", b""),
    ]
    .concat()
}

/// A WebP whose left half is red and whose right half can be seen through.
pub(crate) fn webp(width: u32, height: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    let row = (0..width).flat_map(|x| if x < width / 2 { [255, 0, 0, 255] } else { [0; 4] });
    let pixels: Vec<u8> = row.collect::<Vec<u8>>().repeat(height as usize);
    let encoder = image_webp::WebPEncoder::new(&mut bytes);
    encoder
        .encode(&pixels, width, height, image_webp::ColorType::Rgba8)
        .unwrap();
    bytes
}

/// The pixels of a small one.
pub(crate) fn seen(jpeg: &[u8]) -> (u32, u32, Vec<[u8; 3]>) {
    let options = DecoderOptions::default().jpeg_set_out_colorspace(ColorSpace::RGB);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(jpeg), options);
    let pixels = decoder.decode().unwrap();
    let info = decoder.info().unwrap();
    let pixels = pixels.as_chunks::<3>().0.to_vec();
    (info.width.into(), info.height.into(), pixels)
}

fn look_at(bytes: &[u8]) -> Facts {
    look(&mut Cursor::new(bytes)).unwrap()
}

pub(crate) fn like(pixel: [u8; 3], wanted: [u8; 3]) -> bool {
    pixel.iter().zip(wanted).all(|(is, wanted)| is.abs_diff(wanted) < 40)
}

#[test]
fn a_small_one_looks_like_the_large_one() {
    let facts = look_at(&jpeg(640, 320, None));
    assert_eq!(facts.size, Some((640, 320)));
    let small = facts.thumbnail.unwrap();
    assert!(small.len() < 3000, "{}", small.len());
    let (width, height, pixels) = seen(&small);
    assert_eq!((width, height), (100, 50));
    assert!(
        like(pixels[0], [255, 0, 0]) && like(pixels[99], [0, 0, 255]),
        "{pixels:?}"
    );
}

#[test]
fn one_that_was_held_another_way_is_turned() {
    let facts = look_at(&jpeg(640, 320, Some(6)));
    assert_eq!(facts.size, Some((320, 640)));
    let (width, height, pixels) = seen(&facts.thumbnail.unwrap());
    assert_eq!((width, height), (50, 100));
    // A quarter to the right: what was left is on top.
    assert!(like(pixels[0], [255, 0, 0]) && like(pixels[99 * 50], [0, 0, 255]));
    let upside_down = seen(&look_at(&jpeg(64, 32, Some(3))).thumbnail.unwrap()).2;
    assert!(like(upside_down[0], [0, 0, 255]));
}

#[test]
fn every_turn_moves_each_pixel_to_its_place() {
    // 1 2 3
    // 4 5 6
    let pixels = (1..=6).map(|value| [value; 3]).collect::<Vec<_>>();
    for (orientation, wanted) in [
        (1, [1, 2, 3, 4, 5, 6]),
        (2, [3, 2, 1, 6, 5, 4]),
        (3, [6, 5, 4, 3, 2, 1]),
        (4, [4, 5, 6, 1, 2, 3]),
        (5, [1, 4, 2, 5, 3, 6]),
        (6, [4, 1, 5, 2, 6, 3]),
        (7, [6, 3, 5, 2, 4, 1]),
        (8, [3, 6, 2, 5, 1, 4]),
    ] {
        let small = Small {
            width: 3,
            height: 2,
            pixels: pixels.clone(),
        };
        let turned = small.turned(orientation);
        let values: Vec<u8> = turned.pixels.iter().map(|pixel| pixel[0]).collect();
        assert_eq!(values, wanted, "{orientation}");
    }
}

#[test]
fn a_png_of_any_colour_is_read_row_by_row() {
    use png::ColorType::{Grayscale, GrayscaleAlpha, Rgb, Rgba};
    for (colour, pixel, wanted) in [
        (Rgb, &[0, 200, 0][..], [0, 200, 0]),
        (Rgba, &[0, 0, 0, 0], [255, 255, 255]),
        (Grayscale, &[90], [90; 3]),
        (GrayscaleAlpha, &[0, 255], [0; 3]),
    ] {
        let facts = look_at(&png(300, 100, colour, pixel));
        assert_eq!(facts.size, Some((300, 100)));
        let (width, height, pixels) = seen(&facts.thumbnail.unwrap());
        assert_eq!((width, height), (100, 33));
        assert!(pixels.iter().all(|pixel| like(*pixel, wanted)), "{colour:?}");
    }
    let tiny = look_at(&png(3, 1, Rgb, &[1, 2, 3]));
    assert_eq!(seen(&tiny.thumbnail.unwrap()).0, 3);
}

#[test]
fn an_interlaced_png_and_a_webp_are_read_whole() {
    let facts = look_at(&interlaced(301, 99));
    assert_eq!(facts.size, Some((301, 99)));
    let (width, height, pixels) = seen(&facts.thumbnail.unwrap());
    assert_eq!((width, height), (100, 32));
    assert!(like(pixels[0], [255, 0, 0]) && like(pixels[100 * 32 - 1], [0, 0, 255]));

    let facts = look_at(&webp(300, 100));
    assert_eq!((facts.size, facts.animated), (Some((300, 100)), false));
    let (width, height, pixels) = seen(&facts.thumbnail.unwrap());
    assert_eq!((width, height), (100, 33));
    assert!(like(pixels[0], [255, 0, 0]) && like(pixels[100 * 33 - 1], [255; 3]));
    // 16,000 by 16,000 pixels of one colour are a few KiB.
    let mut large = webp(64, 64);
    let bits = 15_999_u32 | (15_999 << 14) | (1 << 28);
    large[21..25].copy_from_slice(&bits.to_le_bytes());
    let facts = look_at(&large);
    assert_eq!((facts.size, facts.thumbnail), (Some((16_000, 16_000)), None));
}

#[test]
fn a_progressive_one_is_read_too_and_known_to_be_one() {
    let mut bytes = Vec::new();
    let mut encoder = Encoder::new(Cursor::new(&mut bytes), 90);
    encoder.set_progressive(true);
    encoder.encode(&[9; 200 * 100 * 3], 200, 100, ColorType::Rgb).unwrap();
    assert_eq!(seen(&look_at(&bytes).thumbnail.unwrap()).0, 100);
    // 5,000 by 4,000: more than is decoded of one, also where a comment before it pretends that it is none.
    let header = bytes.windows(2).position(|two| two == [0xff, 0xc2]).unwrap();
    bytes[header + 5..header + 9].copy_from_slice(&[0x0f, 0xa0, 0x13, 0x88]);
    assert!(!Picture::open(Cursor::new(&bytes)).unwrap().is_modest);
    bytes.splice(2..2, *b"\xff\xfe\x00\x06\xff\xc0\x00\x02");
    assert!(!Picture::open(Cursor::new(&bytes)).unwrap().is_modest);
}

#[test]
fn one_whose_colours_come_one_after_another_is_decoded_like_a_progressive_one() {
    let is_modest = |bytes: &[u8]| Picture::open(Cursor::new(bytes)).unwrap().is_modest;
    // 5,000 by 4,000.
    let mut bytes = jpeg(16, 16, Some(1));
    let header = bytes.windows(2).position(|two| two == [0xff, 0xc0]).unwrap();
    bytes[header + 5..header + 9].copy_from_slice(&[0x0f, 0xa0, 0x13, 0x88]);
    assert!(is_modest(&bytes));
    let scan = bytes.windows(2).position(|two| two == SCAN).unwrap();
    let [_, _, _, length, colours, ..] = &mut bytes[scan..] else {
        panic!()
    };
    assert_eq!((*length, *colours), (12, 3));
    (*length, *colours) = (8, 1);
    assert!(!is_modest(&bytes));
}

/// Each costs a row of the picture.
#[test]
fn one_of_more_scans_than_there_are_in_honest_ones_is_not_decoded() {
    let mut bytes = jpeg(16, 16, None);
    // Behind the picture, as in the film of a photo that moves.
    bytes.extend(SCAN.repeat(MOST_MARKED - 1));
    assert!(look_at(&bytes).thumbnail.is_some());
    bytes.extend(SCAN);
    let facts = look_at(&bytes);
    assert_eq!((facts.size, facts.thumbnail), (Some((16, 16)), None));
}

#[test]
fn a_webp_whose_frame_is_larger_than_itself_is_not_decoded() {
    let chunk = |name: &[u8; 4], content: &[u8]| {
        let length = u32::try_from(content.len()).unwrap().to_le_bytes();
        [&name[..], &length, content].concat()
    };
    let canvas = chunk(b"VP8X", &[0, 0, 0, 0, 15, 0, 0, 15, 0, 0]);
    let with_frame = |width: u16, height: u16| {
        let sides = [width.to_le_bytes(), height.to_le_bytes()].concat();
        let frame = chunk(b"VP8 ", &[&[0, 0, 0, 0x9d, 1, 0x2a][..], &sides, &[0; 40]].concat());
        let content = [&b"WEBP"[..], &canvas, &frame].concat();
        chunk(b"RIFF", &content)
    };
    let is_modest = |bytes: Vec<u8>| Picture::open(Cursor::new(bytes)).unwrap().is_modest;
    assert!(is_modest(with_frame(16, 16)));
    assert!(!is_modest(with_frame(16_383, 16_383)));
}

#[test]
fn a_bomb_is_not_decoded() {
    // A picture of 60,000 by 60,000 pixels, as its header says.
    let mut bytes = jpeg(16, 16, None);
    let header = bytes.windows(2).position(|two| two == [0xff, 0xc0]).unwrap();
    bytes[header + 5..header + 9].copy_from_slice(&[0xea, 0x60, 0xea, 0x60]);
    let facts = look_at(&bytes);
    assert_eq!((facts.size, facts.thumbnail), (Some((60_000, 60_000)), None));
    // What stands behind a picture is no part of it, but would be read along.
    let mut long = jpeg(16, 16, None);
    long.resize(usize::try_from(MOST_BYTES).unwrap() + 1, 0);
    assert_eq!(look(&mut Cursor::new(&long)), None);
    long.pop();
    assert!(look_at(&long).thumbnail.is_some());
}

proptest! {
    /// Whatever is changed in one, looking ends, and what comes of it is small.
    #[test]
    fn no_picture_is_too_strange(
        form in 0..4,
        changes in prop::collection::vec((any::<usize>(), any::<u8>()), 0..20),
        cut in any::<usize>(),
    ) {
        let mut bytes = match form {
            0 => png(30, 20, png::ColorType::Rgb, &[1, 2, 3]),
            1 => interlaced(30, 20),
            2 => webp(30, 20),
            _ => jpeg(30, 20, Some(5)),
        };
        let length = bytes.len();
        for (place, byte) in changes {
            bytes[place % length] = byte;
        }
        bytes.truncate(length - cut % 10);
        if let Some(Facts { thumbnail: Some(small), .. }) = look(&mut Cursor::new(&bytes)) {
            prop_assert!(small.len() < 20_000);
        }
        if let Ok(square) = super::super::square::square("media", &mut Cursor::new(&bytes)) {
            prop_assert!(square.len() < 1_000_000);
        }
    }
}
