//! A QR code in characters, two modules to each.

use qrcode::{EcLevel, QrCode, render::unicode::Dense1x2};

/// The code's lines: dark modules are blank on a dark terminal, or inked where the colours are ours.
pub(super) fn lines(text: &str, inked: bool) -> Option<Vec<String>> {
    let code = QrCode::with_error_correction_level(text, EcLevel::L).ok()?;
    let (dark, light) = match inked {
        true => (Dense1x2::Dark, Dense1x2::Light),
        false => (Dense1x2::Light, Dense1x2::Dark),
    };
    let drawn = code.render::<Dense1x2>().dark_color(dark).light_color(light).build();
    Some(drawn.lines().map(str::to_owned).collect())
}
