//! Messages with a file that is at WhatsApp.

use wharf_domain::{
    message::MediaReference,
    outgoing::{FileType, MediaMessage, ReadyFile, SentFile},
};
use whatsapp_rust::{
    buffa::MessageField,
    waproto::whatsapp::{
        ContextInfo, Message,
        message::{AudioMessage, DocumentMessage, FutureProofMessage, ImageMessage, StickerMessage, VideoMessage},
    },
};

use super::Scene;

/// Makes the message. `context` says what it answers.
///
/// # Errors
/// Says so when its file is not at WhatsApp.
pub(super) fn message(
    scene: &Scene<'_>,
    message: &MediaMessage,
    context: Option<ContextInfo>,
) -> Result<Message, String> {
    let ready = message.ready.as_deref().filter(|_| message.is_uploaded());
    let ready = ready.ok_or("its file is not uploaded")?;
    let context = MessageField::from(in_context(scene, message, context));
    let mut composed = of_kind(scene, message, ready, context);
    if message.view_once {
        composed = once(message.kind, composed);
    }
    Ok(composed)
}

fn in_context(scene: &Scene<'_>, message: &MediaMessage, context: Option<ContextInfo>) -> Option<ContextInfo> {
    if context.is_none() && message.mentions.is_empty() && !message.forwarded && scene.expires.is_none() {
        return None;
    }
    let mut context = context.unwrap_or_default();
    scene.mention(&message.mentions, &mut context);
    context.expiration = scene.expires;
    if message.forwarded {
        (context.is_forwarded, context.forwarding_score) = (Some(true), Some(1));
    }
    Some(context)
}

/// The fields that all kinds of files have under the same names, and those of this kind.
macro_rules! filled {
    ($message:ident, $ready:expr, $file:expr, $context:expr, { $($field:ident: $value:expr),* $(,)? }) => {{
        let MediaReference { direct_path, media_key, enc_sha256, sha256, size, .. } = $ready.reference.clone();
        $message {
            url: Some($ready.url.clone()).filter(|url| !url.is_empty()),
            direct_path: Some(direct_path),
            mimetype: $file.mime_type.clone(),
            file_sha256: Some(sha256),
            file_enc_sha256: Some(enc_sha256),
            file_length: Some(size),
            media_key: Some(media_key),
            media_key_timestamp: Some($ready.made_at),
            context_info: $context,
            $($field: $value,)*
            ..Default::default()
        }
    }};
}

fn of_kind(
    scene: &Scene<'_>,
    message: &MediaMessage,
    ready: &ReadyFile,
    context: MessageField<ContextInfo>,
) -> Message {
    let MediaMessage {
        media: file, mentions, ..
    } = message;
    // A mention is shown where the words name the id.
    let caption = message.caption.as_ref().map(|caption| scene.named(caption, mentions));
    let once = message.view_once.then_some(true);
    let SentFile {
        seconds, width, height, ..
    } = *file;
    match message.kind {
        FileType::Image => only!(image_message: filled!(ImageMessage, ready, file, context, {
            caption: caption,
            width: width,
            height: height,
            jpeg_thumbnail: ready.thumbnail.clone(),
            view_once: once,
        })),
        FileType::Video => {
            let film = filled!(VideoMessage, ready, file, context, {
                caption: caption,
                seconds: seconds,
                width: width,
                height: height,
                jpeg_thumbnail: ready.thumbnail.clone(),
                streaming_sidecar: ready.sidecar.clone(),
                view_once: once,
                gif_playback: message.gif.then_some(true),
            });
            match message.note {
                true => only!(ptv_message: film),
                false => only!(video_message: film),
            }
        }
        FileType::Audio | FileType::Voice => only!(audio_message: filled!(AudioMessage, ready, file, context, {
            seconds: seconds,
            ptt: Some(message.kind == FileType::Voice),
            waveform: ready.waveform.clone(),
            streaming_sidecar: ready.sidecar.clone(),
            view_once: once,
        })),
        FileType::Document => {
            let captioned = caption.is_some();
            let document = only!(document_message: filled!(DocumentMessage, ready, file, context, {
                caption: caption,
                title: file.file_name.clone(),
                file_name: file.file_name.clone(),
                jpeg_thumbnail: ready.thumbnail.clone(),
            }));
            // Phones wrap a document that has a caption, and show no caption without.
            match captioned {
                true => only!(document_with_caption_message: wrapped(document)),
                false => document,
            }
        }
        FileType::Sticker => only!(sticker_message: filled!(StickerMessage, ready, file, context, {
            width: width,
            height: height,
            is_animated: Some(ready.animated),
        })),
    }
}

/// Words as the caption of a file that was sent, which leaves the file as it is: WhatsApp's apps change a caption only where what
/// replaces it is of the file's kind.
pub(super) fn captioned(kind: FileType, words: Message) -> Message {
    let (caption, context_info) = match words.extended_text_message.into_option() {
        Some(text) => (text.text, text.context_info),
        None => (words.conversation, MessageField::none()),
    };
    match kind {
        FileType::Image => only!(image_message: ImageMessage {
            caption,
            context_info,
            ..Default::default()
        }),
        FileType::Video => only!(video_message: VideoMessage {
            caption,
            context_info,
            ..Default::default()
        }),
        // Nothing else has a caption.
        FileType::Document | FileType::Audio | FileType::Voice | FileType::Sticker => {
            let document = DocumentMessage {
                caption,
                context_info,
                ..Default::default()
            };
            only!(document_with_caption_message: wrapped(only!(document_message: document)))
        }
    }
}

/// What may be seen once is wrapped as well as marked: older phones heed the one, newer the other.
fn once(kind: FileType, message: Message) -> Message {
    match kind {
        FileType::Voice | FileType::Audio => only!(view_once_message_v2_extension: wrapped(message)),
        _ => only!(view_once_message_v2: wrapped(message)),
    }
}

fn wrapped(message: Message) -> FutureProofMessage {
    FutureProofMessage {
        message: MessageField::some(message),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::{Value, json};
    use wharf_domain::{
        message::{Asked, MediaKind},
        outgoing::{Content, Outgoing},
    };
    use whatsapp_rust::{wacore::proto_helpers::MessageExt as _, wacore_binary::Jid};

    use super::{super::compose, *};

    fn ready(direct_path: &str) -> ReadyFile {
        ReadyFile {
            reference: MediaReference {
                kind: MediaKind::Image,
                direct_path: direct_path.to_owned(),
                media_key: vec![1; 32],
                enc_sha256: vec![2; 32],
                sha256: vec![3; 32],
                size: 4,
                by_proxy: false,
                asked: Asked::No,
            },
            url: "https://mmg.whatsapp.net/v/x".to_owned(),
            thumbnail: Some(vec![5]),
            waveform: Some(vec![6; 64]),
            sidecar: Some(vec![7]),
            animated: true,
            made_at: 8,
        }
    }

    fn composed(body: Value, direct_path: &str) -> Result<Message, String> {
        composed_where(None, body, direct_path)
    }

    /// In a chat whose messages disappear after so many seconds.
    fn composed_where(expires: Option<u32>, mut body: Value, direct_path: &str) -> Result<Message, String> {
        let known = [("5511777777777".parse().unwrap(), Jid::lid("100000000000007"))];
        let scene = Scene {
            chat: "120363000000000001@g.us",
            own: "5511888888888",
            now_ms: 7,
            known: &known,
            expires,
        };
        body["to"] = scene.chat.into();
        let mut outgoing: Outgoing = serde_json::from_value(body).unwrap();
        let Content::Media(media) = &mut outgoing.content else {
            panic!("no file")
        };
        media.ready = Some(Arc::new(ready(direct_path)));
        compose(&outgoing, &scene)
    }

    fn made(body: Value) -> Message {
        composed(body, "/v/x").unwrap()
    }

    #[test]
    fn an_image_says_where_its_file_is_and_who_is_meant() {
        let message = made(
            json!({"type": "image", "caption": "for @5511777777777", "mentions": ["5511777777777"],
            "media": {"mime_type": "image/jpeg", "size": 4, "width": 30, "height": 20}, "forwarded": true,
            "reply_to": {"message_id": "Q", "from": "5511777777777", "text": "?"}}),
        );
        let image = message.image_message.as_option().unwrap();
        assert_eq!(image.caption.as_deref(), Some("for @100000000000007"));
        assert_eq!(
            (image.width, image.height, image.file_length),
            (Some(30), Some(20), Some(4))
        );
        assert_eq!(image.direct_path.as_deref(), Some("/v/x"));
        assert_eq!(
            (image.media_key.clone(), image.file_enc_sha256.clone()),
            (Some(vec![1; 32]), Some(vec![2; 32]))
        );
        assert_eq!(
            (image.jpeg_thumbnail.clone(), image.media_key_timestamp),
            (Some(vec![5]), Some(8))
        );
        let context = image.context_info.as_option().unwrap();
        assert_eq!(context.mentioned_jid, ["100000000000007@lid"]);
        assert_eq!(context.participant.as_deref(), Some("100000000000007@lid"));
        assert_eq!(
            (context.stanza_id.as_deref(), context.is_forwarded),
            (Some("Q"), Some(true))
        );
    }

    #[test]
    fn what_may_be_seen_once_is_marked_and_wrapped() {
        let video =
            made(json!({"type": "video", "media": {"mime_type": "video/mp4", "seconds": 3}, "view_once": true}));
        let inner = video
            .view_once_message_v2
            .as_option()
            .unwrap()
            .message
            .as_option()
            .unwrap();
        let film = inner.video_message.as_option().unwrap();
        assert_eq!(
            (film.view_once, film.seconds, film.streaming_sidecar.clone()),
            (Some(true), Some(3), Some(vec![7]))
        );
        let voice = made(json!({"type": "voice", "media": {}, "view_once": true}));
        let inner = voice
            .view_once_message_v2_extension
            .as_option()
            .unwrap()
            .message
            .as_option()
            .unwrap();
        let sound = inner.audio_message.as_option().unwrap();
        assert_eq!(
            (sound.ptt, sound.waveform.as_ref().map(Vec::len)),
            (Some(true), Some(64))
        );
        let audio = made(json!({"type": "audio", "media": {}}));
        assert_eq!(audio.audio_message.as_option().unwrap().ptt, Some(false));
    }

    #[test]
    fn a_file_disappears_whatever_it_is_wrapped_in() {
        for body in [
            json!({"type": "image", "media": {}}),
            json!({"type": "video", "media": {}, "view_once": true}),
            json!({"type": "voice", "media": {}, "view_once": true}),
            json!({"type": "document", "media": {"file_name": "a.pdf"}, "caption": "x", "reply_to": {"message_id": "Q", "from": "5511777777777"}}),
        ] {
            let message = composed_where(Some(86_400), body.clone(), "/v/x").unwrap();
            let expires = message.get_base_message().get_ephemeral_expiration();
            assert_eq!(expires, Some(86_400), "{body}");
        }
    }

    #[test]
    fn a_film_may_be_a_gif_or_a_note() {
        let gif = made(json!({"type": "video", "media": {"seconds": 3}, "caption": "x", "gif": true}));
        let film = gif.video_message.as_option().unwrap();
        assert_eq!((film.gif_playback, film.seconds), (Some(true), Some(3)));
        let note = made(json!({"type": "video", "media": {"seconds": 3}, "note": true}));
        let film = note.ptv_message.as_option().unwrap();
        assert_eq!((film.gif_playback, film.direct_path.as_deref()), (None, Some("/v/x")));
        assert!(note.video_message.is_unset());
    }

    #[test]
    fn a_document_with_a_caption_is_wrapped_and_a_sticker_moves() {
        let plain = made(json!({"type": "document", "media": {"file_name": "a.pdf"}}));
        let document = plain.document_message.as_option().unwrap();
        assert_eq!(
            (document.file_name.as_deref(), document.caption.as_deref()),
            (Some("a.pdf"), None)
        );
        assert!(document.context_info.is_unset());
        let captioned = made(json!({"type": "document", "caption": "x", "media": {"file_name": "a.pdf"}}));
        let inner = captioned
            .document_with_caption_message
            .as_option()
            .unwrap()
            .message
            .as_option()
            .unwrap();
        assert_eq!(
            inner.document_message.as_option().unwrap().caption.as_deref(),
            Some("x")
        );
        let sticker = made(json!({"type": "sticker", "media": {}}));
        assert_eq!(sticker.sticker_message.as_option().unwrap().is_animated, Some(true));
    }

    #[test]
    fn a_file_that_is_not_uploaded_is_not_sent() {
        let refused = composed(json!({"type": "image", "media": {}}), "").unwrap_err();
        assert!(refused.contains("not uploaded"), "{refused}");
    }
}
