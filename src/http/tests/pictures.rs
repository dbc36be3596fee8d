//! QR codes as pictures, and who gets which.

use qrcode::{Color, EcLevel, QrCode};

use super::{Facade, NUMBER};

/// As long as a real one.
pub(super) const CODE: &str = "2@tYkD8sP0vJqLw3nRzXyB5uC7mF1hG9aKe4iOoQ2xWdZ6bNcVlTjUfSgHrEpMyA,\
    k8vXo1N3bYq5RzT7wLdJ2mF9pGhC4sUeA6iKyE0xQjM=,Zq4tWn8RyB1uKcV6dLgP3sHfX9jEoM7aTiN5kYvG2w0=,Pp1mXc7VbN3qWe9RtY5uIo8KaS2dFgH4jLz6QxT0v=,1";

#[tokio::test]
async fn the_client_says_which_picture_it_wants() {
    let facade = Facade::start().await;
    let path = format!("/api/whatsapp/connections/{NUMBER}/qr");
    let (json, png, svg) = ("application/json", "image/png", "image/svg+xml");
    for (accept, expected) in [
        (None, json),
        (Some("*/*"), json),
        (Some("image/png"), png),
        (Some("image/svg+xml"), svg),
        (Some("image/*"), png),
        (Some("IMAGE/PNG"), png),
        (Some("image/svg+xml, */*"), svg),
        (Some("image/svg+xml;q=0.5, image/png;q=0.4, */*;q=0.1"), svg),
        (Some("image/png;q=0, */*"), json),
        (Some("text/html,application/xhtml+xml,image/avif,*/*;q=0.8"), json),
        (Some("text/html"), json),
        (Some("image/png;q=rubbish"), json),
        (Some(";;;,,,"), json),
    ] {
        let mut ask = facade.ask("GET", &path);
        if let Some(accept) = accept {
            ask = ask.header("accept", accept);
        }
        let reply = ask.send().await;
        assert_eq!(
            (reply.status, reply.header("content-type")),
            (200, Some(expected)),
            "{accept:?}"
        );
        assert_eq!(reply.header("cache-control"), Some("no-store"));
    }
    for (format, expected) in [("json", json), ("png", png), ("svg", svg)] {
        let reply = facade
            .ask("GET", &format!("{path}?format={format}"))
            .header("accept", "image/png")
            .send()
            .await;
        assert_eq!((reply.status, reply.header("content-type")), (200, Some(expected)));
    }
    let reply = facade.ask("GET", &format!("{path}?format=gif")).send().await;
    reply.is_refused_for(&["format"], "gif");
}

#[tokio::test]
async fn the_png_shows_the_code_with_its_quiet_zone() {
    let facade = Facade::start().await;
    let reply = facade
        .ask("GET", &format!("/api/whatsapp/connections/{NUMBER}/qr?format=png"))
        .send()
        .await;
    let mut reader = png::Decoder::new(std::io::Cursor::new(&reply.body))
        .read_info()
        .unwrap();
    let (width, height) = (reader.info().width as usize, reader.info().height as usize);
    let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
    reader.next_frame(&mut pixels).unwrap();
    let row_bytes = width.div_ceil(8);
    let dark = |x: usize, y: usize| pixels[y * row_bytes + x / 8] & (0x80 >> (x % 8)) == 0;

    let code = QrCode::with_error_correction_level(CODE, EcLevel::L).unwrap();
    let modules = code.width();
    assert_eq!((width, height), ((modules + 8) * 8, (modules + 8) * 8));
    for y in 0..height {
        for x in 0..width {
            let (column, row) = ((x / 8).wrapping_sub(4), (y / 8).wrapping_sub(4));
            let expected = column < modules && row < modules && code[(column, row)] == Color::Dark;
            assert_eq!(dark(x, y), expected, "pixel {x},{y}");
        }
    }
}

#[tokio::test]
async fn the_svg_is_one() {
    let facade = Facade::start().await;
    let reply = facade
        .ask("GET", &format!("/api/whatsapp/connections/{NUMBER}/qr?format=svg"))
        .send()
        .await;
    let text = String::from_utf8(reply.body).unwrap();
    assert!(text.contains("<svg") && text.trim_end().ends_with("</svg>"));
}
