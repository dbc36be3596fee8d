//! Files, as far as they are looked at.

/// Bytes that are no picture, and not all the same.
pub fn noise(size: usize) -> Vec<u8> {
    (0..size).map(|place| u8::try_from(place * 7 % 253).unwrap()).collect()
}

/// A PNG of one colour.
pub fn png(width: u32, height: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, width, height);
    encoder.set_color(png::ColorType::Rgb);
    let pixels = [10, 120, 200].repeat(width as usize * height as usize);
    encoder.write_header().unwrap().write_image_data(&pixels).unwrap();
    bytes
}

/// A film of 12.3 seconds, as far as it is looked at.
pub fn film() -> Vec<u8> {
    let atom = |kind: &[u8; 4], content: &[u8]| {
        let size = u32::try_from(content.len() + 8).unwrap();
        [&size.to_be_bytes()[..], kind, content].concat()
    };
    let mut header = [0; 100];
    header[12..16].copy_from_slice(&1000_u32.to_be_bytes());
    header[16..20].copy_from_slice(&12_300_u32.to_be_bytes());
    let mut track = [0; 84];
    track[40..44].copy_from_slice(&0x1_0000_u32.to_be_bytes());
    track[76..80].copy_from_slice(&(640_u32 << 16).to_be_bytes());
    track[80..84].copy_from_slice(&(352_u32 << 16).to_be_bytes());
    let movie = [atom(b"mvhd", &header), atom(b"trak", &atom(b"tkhd", &track))].concat();
    [
        atom(b"ftyp", b"isom\0\0\x02\0isommp41"),
        atom(b"mdat", &noise(90_000)),
        atom(b"moov", &movie),
    ]
    .concat()
}

/// A voice note of two seconds, the first of which is silent.
pub fn voice() -> Vec<u8> {
    let page = |flags: u8, position: u64, packet: &[u8]| {
        let mut lacing = vec![255; packet.len() / 255];
        lacing.push(u8::try_from(packet.len() % 255).unwrap());
        let count = u8::try_from(lacing.len()).unwrap();
        [
            &b"OggS\0"[..],
            &[flags],
            &position.to_le_bytes(),
            &[0; 12],
            &[count],
            &lacing,
            packet,
        ]
        .concat()
    };
    let mut file = page(2, 0, b"OpusHead\x01\x01\0\0\x80\xbb\0\0\0\0\0");
    file.extend(page(0, 0, b"OpusTags\0\0\0\0\0\0\0\0"));
    for at in 1..=100_u64 {
        file.extend(page(0, at * 960, &vec![0x78; if at <= 50 { 10 } else { 200 }]));
    }
    file
}

pub fn sticker() -> Vec<u8> {
    let head = b"RIFF\x1e\0\0\0WEBPVP8X\x0a\0\0\0\x02\0\0\0\xff\x01\0\xff\x01\0";
    [&head[..], &noise(4000)].concat()
}
