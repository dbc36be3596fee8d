//! What goes with a message of any kind: the message it answers, mentions, how it disappears.

use waproto::buffa::MessageField;
use waproto::whatsapp::message::FutureProofMessage;
use waproto::whatsapp::message_association::AssociationType;
use waproto::whatsapp::{ContextInfo, Message, MessageAssociation, MessageKey};

use super::request::MessageOptions;
use super::{Scene, chat};
use crate::NetworkError;
use crate::state::Chat;

/// From so many on WhatsApp calls a message forwarded many times; once is 1.
const FORWARDED_ONCE: u32 = 1;

/// Whether the options need a context, so that a text cannot be plain.
pub(super) fn wanted(options: &MessageOptions) -> bool {
    options.reply_to.is_some() || !options.mentions.is_empty() || options.forwarded || options.ephemeral.is_some()
}

/// Puts the options into the message, and the message into the wrappers that they ask for.
///
/// # Errors
/// [`NetworkError::Invalid`] if the kind cannot carry them, [`NetworkError::NotFound`] if somebody mentioned does not
/// exist.
pub(super) fn apply(
    scene: &Scene<'_>,
    mut message: Message,
    options: &MessageOptions,
) -> Result<Message, NetworkError> {
    if wanted(options) {
        let context = context(scene, options)?;
        let Some(place) = context_of(&mut message) else {
            return Err(NetworkError::Invalid(
                "a message of this kind answers, mentions and forwards nothing".to_owned(),
            ));
        };
        *place = MessageField::some(context);
    }
    if options.view_once {
        message = view_once(message)?;
    }
    if let Some(first) = &options.hd_of {
        message = in_hd(message, first)?;
    }
    if options.ephemeral_wrapper {
        message = Message {
            ephemeral_message: wrapped(message),
            ..Default::default()
        };
    }
    Ok(message)
}

fn context(scene: &Scene<'_>, options: &MessageOptions) -> Result<ContextInfo, NetworkError> {
    let mut context = ContextInfo {
        is_forwarded: options.forwarded.then_some(true),
        forwarding_score: options.forwarded.then_some(FORWARDED_ONCE),
        expiration: options.ephemeral,
        ..Default::default()
    };
    for phone in &options.mentions {
        context.mentioned_jid.push(chat::mention(scene, phone)?);
    }
    if let Some(id) = &options.reply_to {
        let known = scene.sender.known(id);
        let author = match (&known, scene.chat) {
            (Some(known), _) => Some(scene.world.account(&known.author)?.lid_jid()),
            (None, Chat::Person(other)) => Some(other.lid_jid()),
            (None, Chat::Group(_) | Chat::Status) => None,
        };
        context.stanza_id = Some(id.clone());
        context.participant = author.map(|jid| jid.to_string());
        if let Some(mut quoted) = known.and_then(|known| known.message()) {
            // A quotation does not quote, and keeps no secrets.
            quoted.message_context_info = MessageField::default();
            if let Some(place) = context_of(&mut quoted) {
                *place = MessageField::default();
            }
            context.quoted_message = MessageField::some(quoted);
        }
    }
    Ok(context)
}

fn view_once(mut message: Message) -> Result<Message, NetworkError> {
    if let Some(image) = message.image_message.as_option_mut() {
        image.view_once = Some(true);
    } else if let Some(video) = message.video_message.as_option_mut() {
        video.view_once = Some(true);
    } else if let Some(audio) = message.audio_message.as_option_mut() {
        audio.view_once = Some(true);
        return Ok(Message {
            view_once_message_v2_extension: wrapped(message),
            ..Default::default()
        });
    } else {
        return Err(NetworkError::Invalid(
            "view_once is for images, videos and sounds".to_owned(),
        ));
    }
    Ok(Message {
        view_once_message_v2: wrapped(message),
        ..Default::default()
    })
}

/// A picture or film once more, as phones send it after the small one: in a wrapper, beside which the first one is named.
fn in_hd(mut message: Message, first: &str) -> Result<Message, NetworkError> {
    let kind = if message.image_message.is_set() {
        AssociationType::HD_IMAGE_DUAL_UPLOAD
    } else if message.video_message.is_set() {
        AssociationType::HD_VIDEO_DUAL_UPLOAD
    } else {
        return Err(NetworkError::Invalid("hd_of is for images and videos".to_owned()));
    };
    let mut around = message.message_context_info.take().unwrap_or_default();
    around.message_association = MessageField::some(MessageAssociation {
        association_type: Some(kind),
        parent_message_key: MessageField::some(MessageKey {
            from_me: Some(true),
            id: Some(first.to_owned()),
            ..Default::default()
        }),
        ..Default::default()
    });
    Ok(Message {
        associated_child_message: wrapped(message),
        message_context_info: MessageField::some(around),
        ..Default::default()
    })
}

/// Inside a wrapper; what is needed to decrypt things about the message stays outside.
pub(super) fn wrapped(message: Message) -> MessageField<FutureProofMessage> {
    MessageField::some(FutureProofMessage {
        message: MessageField::some(message),
    })
}

/// Where a message of its kind carries its context; `None` for kinds that carry none.
pub(crate) fn context_of(message: &mut Message) -> Option<&mut MessageField<ContextInfo>> {
    macro_rules! first {
        ($($field:ident),+ $(,)?) => {
            $(if message.$field.is_set() {
                return message.$field.as_option_mut().map(|content| &mut content.context_info);
            })+
        };
    }
    if let Some(inner) = message
        .document_with_caption_message
        .as_option_mut()
        .and_then(|wrapper| wrapper.message.as_option_mut())
    {
        return context_of(inner);
    }
    first!(
        extended_text_message,
        image_message,
        video_message,
        ptv_message,
        audio_message,
        document_message,
        sticker_message,
        location_message,
        live_location_message,
        contact_message,
        contacts_array_message,
        poll_creation_message,
        poll_creation_message_v2,
        poll_creation_message_v3,
        poll_creation_message_v5,
        buttons_response_message,
        template_button_reply_message,
        list_response_message,
        interactive_response_message,
        order_message,
        product_message,
        group_invite_message,
        event_message,
    );
    None
}
