//! What a phone reads in a message: its kind, what it says, the file it names, what it refers to.

pub(crate) mod file;
mod fold;
mod kinds;
mod updates;

pub(crate) use fold::fold;

use std::borrow::Cow;

use wacore_binary::Jid;
use waproto::whatsapp::{ContextInfo, Message};

use crate::compose::context_of;
use crate::state::{Account, World};
use crate::{MessageDetails, Quoted, ReceivedMessage};

/// The envelope of a message.
pub(crate) struct Envelope<'a> {
    pub(crate) id: &'a str,
    /// The sender's account.
    pub(crate) sender: &'a Account,
    /// The address of the group that it came through.
    pub(crate) group: Option<String>,
    /// Unix seconds.
    pub(crate) timestamp: u64,
}

/// Reads a message as the phone of `owner`; `None` if there is nothing in it for a person.
pub(crate) async fn read(
    world: &World,
    owner: &Account,
    envelope: &Envelope<'_>,
    message: &Message,
) -> Option<ReceivedMessage> {
    let mut wraps = Wraps::default();
    let inner = unwrapped(message, &mut wraps);
    let mut details = MessageDetails {
        group: envelope.group.clone(),
        view_once: wraps.view_once,
        ..Default::default()
    };
    let seen = match updates::read(world, owner, envelope, inner, &mut details) {
        Some(seen) => seen,
        None => kinds::read(inner)?,
    };
    details.content = seen.content;
    if let Some(file) = file::named(inner) {
        details.media = Some(file::fetch(world, file).await);
    }
    let mut copy = inner.clone();
    if let Some(context) = context_of(&mut copy).and_then(|context| context.as_option()) {
        note_context(world, context, &mut details);
    }
    let plain = details == MessageDetails::default();
    Some(ReceivedMessage {
        id: envelope.id.to_owned(),
        from: envelope.sender.phone.clone(),
        text: seen.text,
        timestamp: i64::try_from(envelope.timestamp).unwrap_or(i64::MAX),
        kind: Cow::Borrowed(seen.kind),
        details: (!plain).then(|| Box::new(details)),
    })
}

/// What a message is and says.
struct Seen {
    kind: &'static str,
    /// What a person would read: the text, the caption, the question.
    text: String,
    /// The fields of its kind.
    content: Option<serde_json::Value>,
}

impl Seen {
    fn new(kind: &'static str, text: Option<&str>) -> Self {
        Self {
            kind,
            text: text.unwrap_or_default().to_owned(),
            content: None,
        }
    }

    fn with(self, content: serde_json::Value) -> Self {
        Self {
            content: Some(content),
            ..self
        }
    }
}

#[derive(Default)]
struct Wraps {
    view_once: bool,
}

/// The message inside its wrappers.
fn unwrapped<'a>(message: &'a Message, wraps: &mut Wraps) -> &'a Message {
    let once = [
        &message.view_once_message,
        &message.view_once_message_v2,
        &message.view_once_message_v2_extension,
    ];
    let others = [
        &message.ephemeral_message,
        &message.document_with_caption_message,
        &message.edited_message,
        &message.associated_child_message,
        &message.poll_creation_message_v4,
    ];
    let inner = |wrapper: &'a waproto::buffa::MessageField<waproto::whatsapp::message::FutureProofMessage>| {
        wrapper.as_option().and_then(|wrapper| wrapper.message.as_option())
    };
    if let Some(found) = once.into_iter().find_map(inner) {
        wraps.view_once = true;
        return unwrapped(found, wraps);
    }
    match others.into_iter().find_map(inner) {
        Some(found) => unwrapped(found, wraps),
        None => message,
    }
}

/// The file that a message names, inside whatever wraps it.
pub(crate) fn file_of(message: &Message) -> Option<file::Named> {
    file::named(unwrapped(message, &mut Wraps::default()))
}

/// The small picture that a message shows, inside whatever wraps it.
pub(crate) fn thumbnail_of(message: &Message) -> Option<Vec<u8>> {
    let message = unwrapped(message, &mut Wraps::default());
    let image = message.image_message.as_option();
    let video = message.video_message.as_option();
    let document = message.document_message.as_option();
    let text = message.extended_text_message.as_option();
    image
        .and_then(|image| image.jpeg_thumbnail.clone())
        .or_else(|| video?.jpeg_thumbnail.clone())
        .or_else(|| document?.jpeg_thumbnail.clone())
        .or_else(|| text?.jpeg_thumbnail.clone())
}

fn note_context(world: &World, context: &ContextInfo, details: &mut MessageDetails) {
    details.forwarded = context.is_forwarded == Some(true);
    details.ephemeral = context.expiration.filter(|seconds| *seconds > 0);
    details.mentions = context.mentioned_jid.iter().map(|jid| number(world, jid)).collect();
    details.mentions_all = context.non_jid_mentions.is_some_and(|mentions| mentions > 0);
    details.reply_to = context.stanza_id.as_ref().map(|id| Quoted {
        id: id.clone(),
        from: context.participant.as_deref().map(|jid| number(world, jid)),
        text: context
            .quoted_message
            .as_option()
            .and_then(|quoted| kinds::read(unwrapped(quoted, &mut Wraps::default())))
            .map(|seen| seen.text),
    });
}

/// The number behind an address; the address itself where there is none.
fn number(world: &World, jid: &str) -> String {
    jid.parse::<Jid>()
        .ok()
        .and_then(|jid| world.resolve(&jid))
        .map_or_else(|| jid.to_owned(), |account| account.phone.clone())
}
