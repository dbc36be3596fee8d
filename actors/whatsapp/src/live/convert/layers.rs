//! The wrappers of a message: what disappears, what is seen once, what another device sent, what comments on another.

use std::iter;

use whatsapp_rust::waproto::whatsapp::Message;

/// How deep wrappers are unpacked; WhatsApp nests two or three.
const MAX_WRAPPERS: usize = 6;

/// A message and what is wrapped in it, from the outside in.
pub(super) fn layers(message: &Message) -> impl Iterator<Item = &Message> {
    iter::successors(Some(message), |layer| unwrapped(layer)).take(MAX_WRAPPERS)
}

fn unwrapped(message: &Message) -> Option<&Message> {
    if let Some(sent) = message.device_sent_message.as_option() {
        return sent.message.as_option();
    }
    if let Some(comment) = message.comment_message.as_option() {
        return comment.message.as_option();
    }
    [
        &message.ephemeral_message,
        &message.view_once_message,
        &message.view_once_message_v2,
        &message.view_once_message_v2_extension,
        &message.document_with_caption_message,
        &message.edited_message,
        &message.group_mentioned_message,
        &message.bot_invoke_message,
        &message.lottie_sticker_message,
        &message.associated_child_message,
        &message.poll_creation_message_v4,
        &message.poll_creation_option_image_message,
        &message.event_cover_image,
        &message.spoiler_message,
        &message.question_message,
        &message.question_reply_message,
        &message.bot_forwarded_message,
        &message.bot_task_message,
        &message.group_status_message,
        &message.group_status_message_v2,
        &message.limit_sharing_message,
    ]
    .into_iter()
    .find_map(|wrapper| wrapper.as_option()?.message.as_option())
}
