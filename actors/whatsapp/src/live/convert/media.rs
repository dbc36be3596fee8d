//! Pictures, films, sounds, files and stickers.

use wharf_domain::{
    MessageKind, hex,
    message::{Asked, Media, MediaKind, MediaReference},
};
use whatsapp_rust::waproto::whatsapp::{
    Message,
    message::{AudioMessage, DocumentMessage, ImageMessage, StickerMessage, VideoMessage},
};

use super::part::Content;

/// The file of a message: what all that have one call by the same names.
macro_rules! file {
    ($kind:ident, $message:ident) => {
        File {
            kind: MediaKind::$kind,
            mime_type: $message.mimetype.as_deref(),
            sha256: $message.file_sha256.as_deref(),
            size: $message.file_length,
            direct_path: $message.direct_path.as_deref(),
            media_key: $message.media_key.as_deref(),
            enc_sha256: $message.file_enc_sha256.as_deref(),
        }
    };
}

/// The media in a message, if it is of that sort.
pub(super) fn read(message: &Message) -> Option<Content<'_>> {
    if let Some(image) = message.image_message.as_option() {
        Some(of_image(image))
    } else if let Some(video) = message.video_message.as_option() {
        Some(of_video(video, false))
    } else if let Some(note) = message.ptv_message.as_option() {
        Some(of_video(note, true))
    } else if let Some(audio) = message.audio_message.as_option() {
        Some(of_audio(audio))
    } else if let Some(document) = message.document_message.as_option() {
        Some(of_document(document))
    } else {
        message.sticker_message.as_option().map(of_sticker)
    }
}

pub(super) fn of_image(image: &ImageMessage) -> Content<'_> {
    let media = Media {
        width: image.width,
        height: image.height,
        ..file!(Image, image).media()
    };
    let mut content = captioned(MessageKind::Image, "Image", image.caption.as_deref(), media);
    content.context = image.context_info.as_option();
    content.view_once = image.view_once == Some(true);
    content
}

pub(super) fn of_video(video: &VideoMessage, note: bool) -> Content<'_> {
    let gif = video.gif_playback == Some(true);
    let name = match (note, gif) {
        (true, _) => "Video note",
        (false, true) => "GIF",
        (false, false) => "Video",
    };
    let media = Media {
        seconds: video.seconds,
        width: video.width,
        height: video.height,
        gif,
        note,
        ..file!(Video, video).media()
    };
    let mut content = captioned(MessageKind::Video, name, video.caption.as_deref(), media);
    content.context = video.context_info.as_option();
    content.view_once = video.view_once == Some(true);
    content
}

fn of_audio(audio: &AudioMessage) -> Content<'_> {
    let media = Media {
        seconds: audio.seconds,
        ..file!(Audio, audio).media()
    };
    let (kind, name) = match audio.ptt {
        Some(true) => (MessageKind::Voice, "Voice message"),
        _ => (MessageKind::Audio, "Audio"),
    };
    let mut content = captioned(kind, name, None, media);
    content.context = audio.context_info.as_option();
    content.view_once = audio.view_once == Some(true);
    content
}

pub(super) fn of_document(document: &DocumentMessage) -> Content<'_> {
    let name = document.file_name.as_deref().or(document.title.as_deref());
    let name = name.filter(|name| !name.is_empty());
    let media = Media {
        file_name: name.map(str::to_owned),
        ..file!(Document, document).media()
    };
    let caption = document.caption.as_deref();
    let mut content = captioned(MessageKind::Document, name.unwrap_or("Document"), caption, media);
    content.context = document.context_info.as_option();
    content
}

fn of_sticker(sticker: &StickerMessage) -> Content<'_> {
    let media = Media {
        width: sticker.width,
        height: sticker.height,
        ..file!(Sticker, sticker).media()
    };
    let mut content = captioned(MessageKind::Sticker, "Sticker", None, media);
    content.context = sticker.context_info.as_option();
    content
}

fn captioned<'a>(kind: MessageKind, name: &'a str, caption: Option<&'a str>, media: Media) -> Content<'a> {
    let caption = caption.filter(|caption| !caption.is_empty());
    let mut content = Content::new(kind, caption.unwrap_or(name));
    content.caption = caption;
    content.media = Some(media);
    content
}

/// See [`file`].
struct File<'a> {
    kind: MediaKind,
    mime_type: Option<&'a str>,
    sha256: Option<&'a [u8]>,
    size: Option<u64>,
    direct_path: Option<&'a str>,
    media_key: Option<&'a [u8]>,
    enc_sha256: Option<&'a [u8]>,
}

impl File<'_> {
    fn media(&self) -> Media {
        Media {
            mime_type: self.mime_type.unwrap_or("application/octet-stream").to_owned(),
            size: self.size.unwrap_or_default(),
            sha256: hex(self.sha256.unwrap_or_default()),
            reference: self.reference().map(Box::new),
            ..Media::default()
        }
    }

    fn reference(&self) -> Option<MediaReference> {
        Some(MediaReference {
            kind: self.kind,
            direct_path: self.direct_path?.to_owned(),
            media_key: self.media_key?.to_owned(),
            enc_sha256: self.enc_sha256?.to_owned(),
            sha256: self.sha256?.to_owned(),
            size: self.size.unwrap_or_default(),
            by_proxy: false,
            asked: Asked::No,
        })
    }
}
