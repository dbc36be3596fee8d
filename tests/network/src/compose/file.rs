//! Files: encrypted as phones do, laid into the media store, and named in a message.

use rand::Rng as _;
use wacore::download::MediaType;
use wacore::upload::{EncryptedMedia, encrypt_media};
use waproto::buffa::MessageField;
use waproto::whatsapp::Message;
use waproto::whatsapp::message::{AudioMessage, DocumentMessage, ImageMessage, StickerMessage, VideoMessage};

use super::content::{Content, MediaContent};
use super::{Scene, context};
use crate::state::Place;
use crate::{MediaView, NetworkError, hex};

/// What a phone invents if it is not told how much.
const INVENTED: u64 = 1_024;
/// WhatsApp takes documents up to 2 GB; here everything is in memory.
const LARGEST: u64 = 256 << 20;
/// Encrypting more than that would hold up other connections.
const LARGE: usize = 64 << 10;

/// How a kind of file is encrypted, its usual type, and how one begins.
struct Make {
    media: MediaType,
    mime: &'static str,
    magic: &'static [u8],
}

fn make(content: &Content) -> Make {
    let (media, mime, magic): (_, _, &[u8]) = match content {
        Content::Video(_) | Content::VideoNote(_) => {
            (MediaType::Video, "video/mp4", b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom")
        }
        Content::Audio(_) => (MediaType::Audio, "audio/mpeg", b"ID3\x04"),
        Content::Voice(_) => (MediaType::Audio, "audio/ogg; codecs=opus", b"OggS"),
        Content::Document(_) => (MediaType::Document, "application/pdf", b"%PDF-1.4\n"),
        Content::Sticker(_) => (MediaType::Sticker, "image/webp", b"RIFF\0\0\0\0WEBP"),
        _ => (MediaType::Image, "image/jpeg", b"\xff\xd8\xff\xe0\0\x10JFIF\0"),
    };
    Make { media, mime, magic }
}

/// Encrypts and stores the file, and makes the message that names it.
///
/// # Errors
/// [`NetworkError::Invalid`] for a field that the kind does not have, or more than 256 MiB.
pub(super) async fn message(
    scene: &Scene<'_>,
    kind: &Content,
    content: &MediaContent,
) -> Result<(Message, MediaView), NetworkError> {
    check(kind, content)?;
    let make = make(kind);
    let plain = match (&content.data, content.size) {
        (Some(_), Some(_)) => return Err(NetworkError::Invalid("data and size exclude each other".to_owned())),
        (Some(data), None) => data.clone(),
        (None, size) => invented(size.unwrap_or(INVENTED), make.magic)?,
    };
    let length = plain.len() as u64;
    let sealed = seal(plain, make.media).await?;
    let mime = content.mime_type.clone().unwrap_or_else(|| make.mime.to_owned());
    let view = MediaView {
        mime_type: mime.clone(),
        size: length,
        sha256: hex(&sealed.file_sha256),
        file_name: content.file_name.clone(),
        intact: Some(true),
    };
    let EncryptedMedia {
        data_to_upload,
        media_key,
        file_sha256,
        file_enc_sha256,
        streaming_sidecar,
    } = sealed;
    let file = File {
        place: scene.world.media.put(data_to_upload),
        key: media_key.to_vec(),
        plain_hash: file_sha256.to_vec(),
        sealed_hash: file_enc_sha256.to_vec(),
        sidecar: streaming_sidecar,
        length,
        mime,
        now_s: scene.now_ms / 1_000,
    };
    Ok((named(kind, content, file), view))
}

struct File {
    place: Place,
    key: Vec<u8>,
    plain_hash: Vec<u8>,
    sealed_hash: Vec<u8>,
    sidecar: Option<Vec<u8>>,
    length: u64,
    mime: String,
    now_s: i64,
}

/// The fields that all kinds of files have under the same names, and those of this kind.
macro_rules! filled {
    ($message:ident, $file:expr, { $($field:ident: $value:expr),* $(,)? }) => {{
        let file = $file;
        $message {
            url: Some(file.place.url),
            direct_path: Some(file.place.direct_path),
            mimetype: Some(file.mime),
            file_sha256: Some(file.plain_hash),
            file_enc_sha256: Some(file.sealed_hash),
            file_length: Some(file.length),
            media_key: Some(file.key),
            media_key_timestamp: Some(file.now_s),
            $($field: $value,)*
            ..Default::default()
        }
    }};
}

fn named(kind: &Content, content: &MediaContent, mut file: File) -> Message {
    let MediaContent {
        caption,
        file_name,
        seconds,
        width,
        height,
        thumbnail,
        waveform,
        ..
    } = content.clone();
    let sidecar = file.sidecar.take();
    let mut message = Message::default();
    match kind {
        Content::Video(_) | Content::VideoNote(_) => {
            let video = MessageField::some(filled!(VideoMessage, file, {
                caption: caption,
                seconds: seconds,
                width: width,
                height: height,
                jpeg_thumbnail: thumbnail,
                gif_playback: content.gif.then_some(true),
                streaming_sidecar: sidecar,
            }));
            match kind {
                Content::VideoNote(_) => message.ptv_message = video,
                _ => message.video_message = video,
            }
        }
        Content::Audio(_) | Content::Voice(_) => {
            let voice = matches!(kind, Content::Voice(_));
            message.audio_message = MessageField::some(filled!(AudioMessage, file, {
                seconds: seconds,
                ptt: voice.then_some(true),
                waveform: waveform,
                streaming_sidecar: sidecar,
            }));
        }
        Content::Document(_) => {
            let with_caption = caption.is_some();
            message.document_message = MessageField::some(filled!(DocumentMessage, file, {
                title: file_name.clone(),
                file_name: file_name,
                caption: caption,
                jpeg_thumbnail: thumbnail,
            }));
            // Phones wrap a document that has a caption.
            if with_caption {
                message = Message {
                    document_with_caption_message: context::wrapped(message),
                    ..Default::default()
                };
            }
        }
        Content::Sticker(_) => {
            message.sticker_message = MessageField::some(filled!(StickerMessage, file, {
                width: width,
                height: height,
                is_animated: Some(content.animated),
            }));
        }
        _ => {
            message.image_message = MessageField::some(filled!(ImageMessage, file, {
                caption: caption,
                width: width,
                height: height,
                jpeg_thumbnail: thumbnail,
            }));
        }
    }
    message
}

/// Refuses what the kind does not have, rather than losing it.
fn check(kind: &Content, content: &MediaContent) -> Result<(), NetworkError> {
    let (name, has): (_, &[&str]) = match kind {
        Content::Image(_) => ("an image", &["caption", "width", "height", "thumbnail"]),
        Content::Video(_) => (
            "a video",
            &["caption", "seconds", "width", "height", "gif", "thumbnail"],
        ),
        Content::VideoNote(_) => ("a video note", &["seconds", "width", "height", "thumbnail"]),
        Content::Audio(_) => ("an audio", &["seconds"]),
        Content::Voice(_) => ("a voice note", &["seconds", "waveform"]),
        Content::Document(_) => ("a document", &["caption", "file_name", "thumbnail"]),
        _ => ("a sticker", &["width", "height", "animated"]),
    };
    let given = [
        ("caption", content.caption.is_some()),
        ("file_name", content.file_name.is_some()),
        ("seconds", content.seconds.is_some()),
        ("width", content.width.is_some()),
        ("height", content.height.is_some()),
        ("gif", content.gif),
        ("animated", content.animated),
        ("waveform", content.waveform.is_some()),
        ("thumbnail", content.thumbnail.is_some()),
    ];
    match given.iter().find(|(field, given)| *given && !has.contains(field)) {
        None => Ok(()),
        Some((field, _)) => Err(NetworkError::Invalid(format!("{name} has no {field}"))),
    }
}

fn invented(size: u64, magic: &[u8]) -> Result<Vec<u8>, NetworkError> {
    if size > LARGEST {
        return Err(NetworkError::Invalid(format!("size is to be at most {LARGEST} bytes")));
    }
    let size = usize::try_from(size).unwrap_or_default();
    let mut bytes = vec![0; size];
    rand::rng().fill_bytes(&mut bytes);
    let length = magic.len().min(size);
    bytes[..length].copy_from_slice(&magic[..length]);
    Ok(bytes)
}

async fn seal(plain: Vec<u8>, media: MediaType) -> Result<EncryptedMedia, NetworkError> {
    let failed = |error: String| NetworkError::Internal(format!("cannot encrypt the file: {error}"));
    if plain.len() <= LARGE {
        return encrypt_media(&plain, media).map_err(|error| failed(error.to_string()));
    }
    match tokio::task::spawn_blocking(move || encrypt_media(&plain, media)).await {
        Ok(sealed) => sealed.map_err(|error| failed(error.to_string())),
        Err(error) => Err(failed(error.to_string())),
    }
}
