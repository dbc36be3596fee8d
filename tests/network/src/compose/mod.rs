//! From what a phone is asked to send to the message that it encrypts.

mod business;
mod chat;
mod content;
mod context;
mod file;
mod request;
mod updates;

use waproto::buffa::MessageField;
use waproto::whatsapp::{Message, MessageContextInfo};

pub use content::{
    Card, ContactContent, Content, EditContent, EventContent, GroupInviteContent, LiveLocationContent, LocationContent,
    MediaContent, OrderContent, PollContent, PollVoteContent, Preview, ProductContent, ProtoContent, ReactionContent,
    ReplyContent, RevokeContent, TextContent,
};
pub(crate) use context::context_of;
pub(crate) use request::{Dispatch, read};
pub use request::{MessageOptions, NewMessage, Unavailable};
pub(crate) use updates::options;

use crate::state::{Account, Chat, World};
use crate::{MediaView, NetworkError};
use rand::Rng as _;
use waproto::buffa::Message as _;

/// Who sends what to whom.
pub(crate) struct Scene<'a> {
    pub(crate) world: &'a World,
    pub(crate) sender: &'a Account,
    pub(crate) chat: &'a Chat,
    /// Unix milliseconds.
    pub(crate) now_ms: i64,
}

/// A message that is ready, and the file that goes with it.
pub(crate) struct Composed {
    pub(crate) message: Message,
    pub(crate) media: Option<MediaView>,
}

/// Makes the message.
///
/// # Errors
/// [`NetworkError::Invalid`] if a field does not fit the kind, [`NetworkError::NotFound`] if a message or an account
/// that is named does not exist.
pub(crate) async fn compose(scene: &Scene<'_>, new: &NewMessage) -> Result<Composed, NetworkError> {
    let mut media = None;
    let mut message = match &new.content {
        Content::Text(text) => chat::text(text, context::wanted(&new.options))?,
        Content::Image(file)
        | Content::Video(file)
        | Content::VideoNote(file)
        | Content::Audio(file)
        | Content::Voice(file)
        | Content::Document(file)
        | Content::Sticker(file) => {
            let (message, view) = file::message(scene, &new.content, file).await?;
            media = Some(view);
            message
        }
        Content::Location(place) => chat::location(place),
        Content::LiveLocation(place) => chat::live_location(place),
        Content::Contact(contact) => chat::contact(contact)?,
        Content::Poll(poll) => chat::poll(poll)?,
        Content::Event(event) => chat::event(event),
        Content::GroupInvite(invite) => chat::group_invite(scene, invite)?,
        Content::Reaction(reaction) => updates::reaction(scene, reaction),
        Content::PollVote(vote) => updates::poll_vote(scene, vote)?,
        Content::Edit(edit) => updates::edit(scene, edit)?,
        Content::Revoke(revoke) => updates::revoke(scene, revoke),
        Content::ButtonsReply(reply) => business::buttons_reply(reply),
        Content::TemplateReply(reply) => business::template_reply(reply),
        Content::ListReply(reply) => business::list_reply(reply),
        Content::InteractiveReply(reply) => business::interactive_reply(reply),
        Content::Order(order) => business::order(scene, order),
        Content::Product(product) => business::product(scene, product),
        Content::Proto(proto) => decoded(proto)?,
    };
    if new.options.secret || matches!(new.content, Content::Poll(_) | Content::Event(_)) {
        // One that is sent again is the same message.
        let again = new.options.id.as_deref().and_then(|id| updates::secret_of(scene, id));
        let secret = again.unwrap_or_else(|| {
            let mut secret = vec![0; 32];
            rand::rng().fill_bytes(&mut secret);
            secret
        });
        message.message_context_info = MessageField::some(MessageContextInfo {
            message_secret: Some(secret),
            ..Default::default()
        });
    }
    let message = context::apply(scene, message, &new.options)?;
    Ok(Composed { message, media })
}

fn decoded(proto: &ProtoContent) -> Result<Message, NetworkError> {
    let bytes = proto
        .proto
        .as_deref()
        .ok_or_else(|| NetworkError::Invalid("proto is missing: a waproto Message in base64 is expected".to_owned()))?;
    let message = Message::decode_from_slice(bytes)
        .map_err(|error| NetworkError::Invalid(format!("proto is no waproto Message: {error}")))?;
    if message == Message::default() {
        return Err(NetworkError::Invalid("proto holds nothing".to_owned()));
    }
    Ok(message)
}
