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
    if context.is_none() && message.mentions.is_empty() && !message.forwarded {
        return None;
    }
    let mentioned = message.mentions.iter();
    let mut context = context.unwrap_or_default();
    context.mentioned_jid = mentioned.map(|number| scene.jid(&number.clone().into())).collect();
    if message.forwarded {
        (context.is_forwarded, context.forwarding_score) = (Some(true), Some(1));
    }
    Some(context)
}

/// The fields that all kinds of files have under the same names, and those of this kind.
macro_rules! filled {
    ($message:ident, $ready:expr, $file:expr, $context:expr, { $($field:ident: $value:expr),* $(,)? }) => {{
        let MediaReference { direct_path, media_key, enc_sha256, sha256, size, .. } = $ready.reference.clone();
        MessageField::some($message {
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
        })
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
    let mut composed = Message::default();
    match message.kind {
        FileType::Image => {
            composed.image_message = filled!(ImageMessage, ready, file, context, {
                caption: caption,
                width: width,
                height: height,
                jpeg_thumbnail: ready.thumbnail.clone(),
                view_once: once,
            });
        }
        FileType::Video => {
            composed.video_message = filled!(VideoMessage, ready, file, context, {
                caption: caption,
                seconds: seconds,
                width: width,
                height: height,
                jpeg_thumbnail: ready.thumbnail.clone(),
                streaming_sidecar: ready.sidecar.clone(),
                view_once: once,
            });
        }
        FileType::Audio | FileType::Voice => {
            composed.audio_message = filled!(AudioMessage, ready, file, context, {
                seconds: seconds,
                ptt: Some(message.kind == FileType::Voice),
                waveform: ready.waveform.clone(),
                streaming_sidecar: ready.sidecar.clone(),
                view_once: once,
            });
        }
        FileType::Document => {
            let captioned = caption.is_some();
            composed.document_message = filled!(DocumentMessage, ready, file, context, {
                caption: caption,
                title: file.file_name.clone(),
                file_name: file.file_name.clone(),
                jpeg_thumbnail: ready.thumbnail.clone(),
            });
            // Phones wrap a document that has a caption, and show no caption without.
            if captioned {
                composed = Message {
                    document_with_caption_message: wrapped(composed),
                    ..Default::default()
                };
            }
        }
        FileType::Sticker => {
            composed.sticker_message = filled!(StickerMessage, ready, file, context, {
                width: width,
                height: height,
                is_animated: Some(ready.animated),
            });
        }
    }
    composed
}

/// What may be seen once is wrapped as well as marked: older phones heed the one, newer the other.
fn once(kind: FileType, message: Message) -> Message {
    let wrapped = wrapped(message);
    match kind {
        FileType::Voice | FileType::Audio => Message {
            view_once_message_v2_extension: wrapped,
            ..Default::default()
        },
        _ => Message {
            view_once_message_v2: wrapped,
            ..Default::default()
        },
    }
}

fn wrapped(message: Message) -> MessageField<FutureProofMessage> {
    MessageField::some(FutureProofMessage {
        message: MessageField::some(message),
    })
}
