//! A QR code as a picture, and which picture a client wants.

use qrcode::{Color, EcLevel, QrCode, render::svg};
use warp::{
    http::{HeaderMap, HeaderValue, header},
    reply::Response,
};

use super::problem::Problem;

/// Empty modules around the code; the standard asks for four, and phones do miss codes that have fewer.
const QUIET_ZONE: usize = 4;
/// Pixels per module in a PNG. WhatsApp's codes have about 50 modules: 8 makes some 450 pixels, which a phone reads
/// from a screen at arm's length.
const MODULE_PIXELS: usize = 8;

/// How the code is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Json,
    Png,
    Svg,
}

impl Format {
    /// In order of preference where the client has none.
    const ALL: [(Self, &'static str, &'static str); 3] = [
        (Self::Json, "json", "application/json"),
        (Self::Png, "png", "image/png"),
        (Self::Svg, "svg", "image/svg+xml"),
    ];

    /// The format of `?format=`.
    pub(super) fn from_word(word: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find_map(|(format, name, _)| (name == word).then_some(format))
    }

    /// What `?format=` takes.
    pub(super) fn words() -> String {
        "must be json, png or svg".into()
    }
}

/// The format that `Accept` likes best; JSON when it names none of ours, as it is the format of everything else here.
pub(super) fn negotiate(headers: &HeaderMap) -> Format {
    let accept: Vec<&str> = headers
        .get_all(header::ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|v| v.split(','))
        .collect();
    let mut best = (Format::Json, (0.0, 0));
    for (format, _, media_type) in Format::ALL {
        let liking = liking(media_type, &accept);
        if liking.0 > 0.0 && liking > best.1 {
            best = (format, liking);
        }
    }
    best.0
}

/// The quality that the most specific fitting range gives a media type, and how specific that range is.
fn liking(media_type: &str, accept: &[&str]) -> (f32, u8) {
    let (kind, _) = media_type.split_once('/').unwrap_or_default();
    let mut found = (0.0, 0);
    for range in accept {
        let mut parts = range.split(';').map(str::trim);
        let specific = match parts.next().unwrap_or_default().to_ascii_lowercase() {
            exact if exact == media_type => 3,
            group if group.strip_suffix("/*") == Some(kind) => 2,
            all if all == "*/*" => 1,
            _ => continue,
        };
        let quality = parts
            .find_map(|part| part.strip_prefix("q="))
            .map_or(1.0, |q| q.parse().unwrap_or(0.0));
        if specific > found.1 {
            found = (quality, specific);
        }
    }
    found
}

/// The code as a black and white PNG, one bit a pixel.
pub(super) fn png(text: &str) -> Result<Vec<u8>, Problem> {
    let code = encode(text)?;
    let modules = code.width();
    let colors = code.to_colors();
    let side = (modules + 2 * QUIET_ZONE) * MODULE_PIXELS;
    let row_bytes = side.div_ceil(8);
    let mut pixels = vec![0xff_u8; row_bytes * side];
    for y in 0..modules * MODULE_PIXELS {
        let row = &mut pixels[(y + QUIET_ZONE * MODULE_PIXELS) * row_bytes..][..row_bytes];
        for x in 0..modules * MODULE_PIXELS {
            if colors[y / MODULE_PIXELS * modules + x / MODULE_PIXELS] == Color::Dark {
                let at = x + QUIET_ZONE * MODULE_PIXELS;
                row[at / 8] &= !(0x80 >> (at % 8));
            }
        }
    }
    write_png(side, &pixels).map_err(|error| {
        tracing::error!(%error, "a QR code could not be written as PNG");
        Problem::internal()
    })
}

fn write_png(side: usize, pixels: &[u8]) -> Result<Vec<u8>, png::EncodingError> {
    let mut file = Vec::new();
    // A code has at most 177 modules: its side fits by far.
    let side = u32::try_from(side).unwrap_or(u32::MAX);
    let mut encoder = png::Encoder::new(&mut file, side, side);
    encoder.set_color(png::ColorType::Grayscale);
    encoder.set_depth(png::BitDepth::One);
    encoder.write_header()?.write_image_data(pixels)?;
    Ok(file)
}

/// The code as SVG.
pub(super) fn svg(text: &str) -> Result<Vec<u8>, Problem> {
    let picture = encode(text)?
        .render::<svg::Color<'_>>()
        .quiet_zone(true)
        .min_dimensions(400, 400)
        .build();
    Ok(picture.into_bytes())
}

fn encode(text: &str) -> Result<QrCode, Problem> {
    // Low correction: a screen has no stains, and larger modules are easier to read.
    QrCode::with_error_correction_level(text, EcLevel::L).map_err(|error| {
        tracing::error!(%error, length = text.len(), "a QR code could not be drawn");
        Problem::internal()
    })
}

/// An answer with a picture in it.
pub(super) fn reply(media_type: &'static str, picture: Vec<u8>) -> Response {
    let mut response = Response::new(picture.into());
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    response
}
