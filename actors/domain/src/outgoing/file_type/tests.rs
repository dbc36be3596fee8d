use proptest::prelude::*;

use super::*;

const JPEG: &[u8] = b"\xff\xd8\xff\xe0\0\x10JFIF";
const OPUS: &[u8] = b"OggS\0\x02\0\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\0\0\0\0\x01\x13OpusHead\x01\x01";
const VORBIS: &[u8] = b"OggS\0\x02\0\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\0\0\0\0\x01\x1e\x01vorbis";

#[test]
fn a_file_is_what_its_first_bytes_say() {
    for (head, mime) in [
        (JPEG, "image/jpeg"),
        (b"\x89PNG\r\n\x1a\n...", "image/png"),
        (b"RIFF\x10\0\0\0WEBPVP8 ", "image/webp"),
        (b"\0\0\0\x18ftypmp42\0\0\0\0", "video/mp4"),
        (b"\0\0\0\x18ftypM4A \0\0\0\0", "audio/mp4"),
        (b"\0\0\0\x18ftyp3gp5\0\0\0\0", "video/3gpp"),
        (OPUS, VOICE),
        (VORBIS, "audio/ogg"),
        (b"\xff\xfb\x90\x64", "audio/mpeg"),
        (b"\xff\xf1\x50\x80", "audio/aac"),
        (b"%PDF-1.7", "application/pdf"),
    ] {
        assert_eq!(sniff(head), Some(mime), "{}", String::from_utf8_lossy(head));
    }
    for strange in [&b""[..], b"x", b"RIFF\0\0\0\0XXXX", b"hello world", b"\xff\xfeh\0i\0"] {
        assert_eq!(sniff(strange), None);
    }
}

#[test]
fn what_whatsapp_does_not_take_is_refused_with_what_it_takes() {
    let of = |kind: FileType, said, head| {
        let signs = Signs {
            said,
            head,
            ..Signs::default()
        };
        kind.mime_type(signs)
    };
    assert_eq!(of(FileType::Image, Some("image/png"), JPEG).unwrap(), "image/jpeg");
    assert_eq!(of(FileType::Voice, None, OPUS).unwrap(), VOICE);
    assert_eq!(of(FileType::Audio, None, OPUS).unwrap(), VOICE);
    assert_eq!(of(FileType::Audio, Some("audio/AMR"), b"?").unwrap(), "audio/amr");
    for (kind, said, head) in [
        (FileType::Image, None, &b"GIF89a"[..]),
        (FileType::Image, Some("image/jpeg"), b"nothing known"),
        (FileType::Voice, None, b"ID3"),
        (FileType::Voice, Some(VOICE), VORBIS),
        (FileType::Voice, Some(VOICE), b"unknown"),
        (FileType::Audio, Some(VOICE), b"unknown"),
        (FileType::Sticker, None, JPEG),
        (FileType::Video, None, b"\x1a\x45\xdf\xa3"),
    ] {
        let refused = of(kind, said, head).unwrap_err();
        assert!(refused.message.contains(&kind.takes().join(", ")), "{refused}");
    }
}

#[test]
fn a_sound_is_an_mp4_without_a_picture() {
    let of = |kind: FileType, said, brand: &[u8], has_picture| {
        let head = [b"\0\0\0\x18ftyp", brand, b"\0\0\0\0"].concat();
        let signs = Signs {
            said,
            head: &head,
            has_picture,
            name: None,
        };
        kind.mime_type(signs).ok()
    };
    for brand in [&b"mp42"[..], b"isom", b"iso5", b"dash", b"3gp5"] {
        for (said, has_picture, sound) in [
            (None, Some(false), true),
            (Some("video/mp4"), Some(false), true),
            (Some("audio/mp4"), Some(true), false),
            (Some("audio/mp4"), None, true),
            (Some("video/mp4"), None, false),
            (None, None, false),
        ] {
            let mime = of(FileType::Audio, said, brand, has_picture);
            assert_eq!(
                mime.as_deref(),
                sound.then_some("audio/mp4"),
                "{said:?} {has_picture:?}"
            );
        }
    }
    let film = of(FileType::Video, Some("audio/mp4"), b"mp42", Some(false));
    assert_eq!(film.as_deref(), Some("video/mp4"));
}

#[test]
fn a_document_is_what_is_said_of_it_or_else_what_it_shows() {
    const ZIP: &[u8] = b"PK\x03\x04\x14\0";
    const WORD: &str = "application/vnd.openxmlformats-officedocument.wordprocessingml.document";
    const EXCEL: &str = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet";
    for (said, name, head, mime) in [
        (Some("Text/CSV"), "a.txt", &b"a,b"[..], "text/csv"),
        (Some("application/octet-stream"), "", b"%PDF-1.4", "application/pdf"),
        (Some("application/octet-stream; charset=binary"), "a.docx", ZIP, WORD),
        (Some("binary/octet-stream"), "a.bin", b"%PDF-1.4", "application/pdf"),
        (Some("application/x-download"), "a.xlsx", ZIP, EXCEL),
        (Some("application/force-download"), "a.csv", b"a,b", "text/csv"),
        (None, "", JPEG, "image/jpeg"),
        (None, "a.pdf", JPEG, "image/jpeg"),
        (None, "A.DOCX", ZIP, WORD),
        (None, "a.zip", ZIP, "application/zip"),
        (None, "a", ZIP, "application/zip"),
        (None, "a.strange", ZIP, "application/zip"),
        (None, "a.bin", ZIP, "application/zip"),
        (None, "a.csv", b"BMW,Audi", "text/csv"),
        (None, "", b"BM\x36\0", "image/bmp"),
        (None, "a.txt", b"\xff\xfeh\0i\0", "text/plain"),
        (None, "a.txt", b"\xff\xfb\x90", "text/plain"),
        (None, "a.mp3", b"\xff\xfb\x90", "audio/mpeg"),
        (None, "a.txt", b"ID3\x04", "audio/mpeg"),
        (None, "a.txt", b"hello", "text/plain"),
        (None, "", b"a,b", UNKNOWN_MIME),
    ] {
        let signs = Signs {
            said,
            name: Some(name),
            head,
            has_picture: None,
        };
        let told = FileType::Document.mime_type(signs).unwrap();
        assert_eq!(told, mime, "{said:?} {name:?} {}", String::from_utf8_lossy(head));
    }
    let nothing = FileType::Document.mime_type(Signs::default());
    assert_eq!(nothing.unwrap(), UNKNOWN_MIME);
}

#[test]
fn a_mime_type_has_its_form() {
    for good in ["image/jpeg", "audio/ogg; codecs=opus", "application/vnd.ms-excel"] {
        assert!(check_mime_type("media.mime_type", good).is_ok(), "{good}");
    }
    for bad in [
        "",
        "image",
        "image/",
        "/x",
        "a b/c",
        "text/plain\r\nx: y",
        "ä/b",
        &"x/y".repeat(200),
    ] {
        assert!(check_mime_type("media.mime_type", bad).is_err(), "{bad:?}");
    }
}

#[test]
fn a_type_is_the_same_word_everywhere() {
    for kind in FileType::ALL {
        assert_eq!(FileType::from_word(kind.as_str()), Some(kind));
        assert_eq!(serde_json::to_value(kind).unwrap(), kind.as_str());
    }
}

proptest! {
    #[test]
    fn no_bytes_and_no_name_are_too_strange(head in prop::collection::vec(any::<u8>(), 0..64), name in "\\PC{0,5}\\.\\w{0,4}") {
        for kind in FileType::ALL {
            let signs = Signs { name: Some(&name), head: &head, ..Signs::default() };
            if let Ok(mime) = kind.mime_type(signs) {
                prop_assert!(check_mime_type("x", &mime).is_ok());
            }
        }
    }
}
