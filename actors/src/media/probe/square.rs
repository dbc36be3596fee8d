//! A square JPEG of a picture, as WhatsApp shows accounts and groups: the middle of it, made smaller where it is larger.

use std::io::{Read, Seek, SeekFrom};

use wharf_domain::InvalidField;

use super::picture::{MOST_BYTES, MOST_MARKED, MOST_SCANS, Picture, Shrinking};

/// Pixels of a side, at the most.
const SIDE: u32 = 640;
/// Of 1 to 100: what WhatsApp's apps send looks like that.
const QUALITY: u8 = 85;

/// Makes one. Blocks, and has a large picture whole in memory; belongs in a thread of its own, and few at a time.
///
/// # Errors
/// `InvalidField` naming `field` for what is no picture that can be read.
pub(in crate::media) fn square(field: &'static str, file: &mut (impl Read + Seek)) -> Result<Vec<u8>, InvalidField> {
    let refused = |message: String| InvalidField::new(field, message);
    let unreadable = || refused("must be a JPEG, a PNG or a WebP, and whole; this cannot be read as one".to_owned());
    let size = file.seek(SeekFrom::End(0)).map_err(|_| unreadable())?;
    if size > MOST_BYTES {
        return Err(refused(format!(
            "must have at most {MOST_BYTES} bytes, this has {size}"
        )));
    }
    let mut picture = Picture::open(file).ok_or_else(unreadable)?;
    if !picture.is_modest {
        let (width, height) = picture.size;
        return Err(refused(format!(
            "has {width} by {height} pixels: JPEGs may have 24 million (and {MOST_MARKED} scans), progressive ones (of \
             {MOST_SCANS} scans) and interlaced PNGs 12 million, other PNGs 50 million, WebPs 8 million"
        )));
    }
    middle(&mut picture).ok_or_else(unreadable)
}

fn middle(picture: &mut Picture<impl Read + Seek>) -> Option<Vec<u8>> {
    let mut middle = Cut::new(picture.size)?;
    picture.each_row(|row| middle.row(row))?;
    middle.shrinking.finish().turned(picture.turn).jpeg(QUALITY)
}

/// Takes rows, and of each what lies in the middle.
struct Cut {
    shrinking: Shrinking,
    side: u32,
    left: usize,
    top: u32,
    row: u32,
}

impl Cut {
    fn new((width, height): (u32, u32)) -> Option<Self> {
        let side = width.min(height);
        if side == 0 {
            return None;
        }
        let small = side.min(SIDE);
        Some(Self {
            shrinking: Shrinking::onto((side, side), (small, small)),
            side,
            left: ((width - side) / 2) as usize,
            top: (height - side) / 2,
            row: 0,
        })
    }

    fn row(&mut self, pixels: &[[u8; 3]]) {
        let is_within = (self.top..self.top + self.side).contains(&self.row);
        if let Some(pixels) = pixels
            .get(self.left..self.left + self.side as usize)
            .filter(|_| is_within)
        {
            self.shrinking.row(pixels);
        }
        self.row += 1;
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use jpeg_encoder::{ColorType, Encoder};

    use super::{super::picture::tests as pictures, *};

    const BLUE: [u8; 3] = [0, 0, 255];
    const RED: [u8; 3] = [255, 0, 0];

    /// Red, and blue in the square of its middle.
    fn pixels(width: u32, height: u32) -> Vec<u8> {
        let side = width.min(height);
        let (left, top) = ((width - side) / 2, (height - side) / 2);
        let within = |x: u32, y: u32| (left..left + side).contains(&x) && (top..top + side).contains(&y);
        let places = (0..height).flat_map(|y| (0..width).map(move |x| (x, y)));
        places
            .flat_map(|(x, y)| if within(x, y) { BLUE } else { RED })
            .collect()
    }

    fn jpeg(width: u16, height: u16) -> Vec<u8> {
        let mut bytes = Vec::new();
        let pixels = pixels(u32::from(width), u32::from(height));
        let encoder = Encoder::new(&mut bytes, 95);
        encoder.encode(&pixels, width, height, ColorType::Rgb).unwrap();
        bytes
    }

    fn png(width: u32, height: u32) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut encoder = png::Encoder::new(&mut bytes, width, height);
        encoder.set_color(png::ColorType::Rgb);
        let mut writer = encoder.write_header().unwrap();
        writer.write_image_data(&pixels(width, height)).unwrap();
        writer.finish().unwrap();
        bytes
    }

    /// Its size, and whether it is blue all over but for what lies at its edges.
    fn seen(bytes: &[u8]) -> ((u32, u32), bool) {
        let (width, height, pixels) = pictures::seen(bytes);
        let inner = |place: usize| {
            let (x, y) = (place as u32 % width, place as u32 / width);
            (16..width - 16).contains(&x) && (16..height - 16).contains(&y)
        };
        let blue = |pixel: &[u8; 3]| pixel[2] > 200 && pixel[0] < 60;
        let is_blue = pixels
            .iter()
            .enumerate()
            .filter(|(place, _)| inner(*place))
            .all(|(_, pixel)| blue(pixel));
        ((width, height), is_blue)
    }

    #[test]
    fn the_middle_is_cut_out_and_made_no_larger_than_it_is_shown() {
        for (made, side) in [
            (jpeg(1280, 800), 640),
            (jpeg(700, 2000), 640),
            (jpeg(640, 640), 640),
            (jpeg(300, 200), 200),
            (png(1000, 700), 640),
            (png(90, 64), 64),
        ] {
            let square = square("media", &mut Cursor::new(made)).unwrap();
            assert_eq!(seen(&square), ((side, side), true));
        }
    }

    #[test]
    fn it_is_turned_upright_and_not_made_larger_and_what_one_sees_through_is_white() {
        let square = |bytes: Vec<u8>| pictures::seen(&square("media", &mut Cursor::new(bytes)).unwrap());
        let (red, blue) = ([255, 0, 0], [0, 0, 255]);
        // Red and blue meet in the middle, whatever is left out at the sides.
        let (width, height, pixels) = square(pictures::jpeg(2000, 800, None));
        assert_eq!((width, height), (640, 640));
        let at = |x: usize, y: usize| pixels[y * 640 + x];
        assert!(pictures::like(at(0, 0), red) && pictures::like(at(310, 639), red));
        assert!(pictures::like(at(330, 0), blue) && pictures::like(at(639, 639), blue));
        // One that was held another way: red is on top.
        let (width, height, pixels) = square(pictures::jpeg(400, 300, Some(6)));
        assert_eq!((width, height), (300, 300));
        assert!(pictures::like(pixels[0], red) && pictures::like(pixels[299 * 300], blue));
        assert_eq!(square(pictures::interlaced(40, 99)).0, 40);
        let (width, _, pixels) = square(pictures::png(100, 300, png::ColorType::Rgba, &[0, 0, 0, 0]));
        assert!(width == 100 && pixels.iter().all(|pixel| pictures::like(*pixel, [255; 3])));
        let (width, _, pixels) = square(pictures::webp(300, 100));
        assert!(width == 100 && pictures::like(pixels[0], red) && pictures::like(pixels[99], [255; 3]));
    }

    #[test]
    fn what_is_no_picture_or_too_large_a_one_is_refused() {
        let whole = jpeg(64, 64);
        let mut bomb = whole.clone();
        // What its header says of its size.
        let frame = bomb.windows(2).position(|two| two == [0xff, 0xc0]).unwrap();
        bomb[frame + 5..frame + 9].copy_from_slice(&[0xff, 0xff, 0xff, 0xff]);
        let png = png(64, 64);
        for (bytes, says) in [
            (Vec::new(), "cannot be read"),
            (b"GIF89a".to_vec(), "cannot be read"),
            (whole[..20].to_vec(), "cannot be read"),
            (png[..40].to_vec(), "cannot be read"),
            (bomb, "65535 by 65535 pixels"),
            (vec![0; 16 * 1024 * 1024 + 1], "at most 16777216 bytes"),
        ] {
            let refused = square("media", &mut Cursor::new(bytes)).unwrap_err();
            assert!(refused.message.contains(says), "{}", refused.message);
        }
    }
}
