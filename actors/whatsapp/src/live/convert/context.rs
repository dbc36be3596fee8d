//! What stands around a message: what it belongs to, what it answers, whom it mentions, whether it was forwarded.

use std::collections::HashSet;

use wharf_domain::{
    message::{MessageRef, PartKind, PartOf},
    outgoing::MENTIONS_MAX,
};
use whatsapp_rust::wacore_binary::Jid;
use whatsapp_rust::waproto::whatsapp::{ContextInfo, MessageAssociation, message_association::AssociationType};

use super::who::Writer;

/// What it came as a part of.
pub(super) fn part_of(association: &MessageAssociation) -> Option<PartOf> {
    use AssociationType as Kind;
    let kind = match association.association_type? {
        // A film in a newer coding is that film once more, too.
        Kind::HD_IMAGE_DUAL_UPLOAD | Kind::HD_VIDEO_DUAL_UPLOAD | Kind::HEVC_VIDEO_DUAL_UPLOAD => PartKind::Hd,
        Kind::MOTION_PHOTO => PartKind::Motion,
        Kind::MEDIA_ALBUM => PartKind::Album,
        Kind::MEDIA_POLL => PartKind::Poll,
        Kind::EVENT_COVER_IMAGE => PartKind::EventCover,
        Kind::STATUS_POLL
        | Kind::STATUS_EXTERNAL_RESHARE
        | Kind::STATUS_ADD_YOURS
        | Kind::STATUS_NOTIFICATION
        | Kind::STATUS_LINK_ACTION
        | Kind::STATUS_ADD_YOURS_AI_IMAGINE
        | Kind::STATUS_QUESTION
        | Kind::STATUS_ADD_YOURS_DIWALI
        | Kind::STATUS_REACTION => PartKind::Status,
        _ => PartKind::Other,
    };
    let message_id = association.parent_message_key.as_option()?.id.clone();
    let message_id = message_id.filter(|id| !id.is_empty())?;
    Some(PartOf { kind, message_id })
}

/// The quoted message.
pub(super) fn reply_to(context: &ContextInfo, writer: &Writer<'_>) -> Option<MessageRef> {
    let message_id = context.stanza_id.clone().filter(|id| !id.is_empty())?;
    let from = context.participant.as_deref().and_then(|jid| writer.other(jid));
    Some(MessageRef { message_id, from })
}

/// The ids of those who are mentioned. Each may have to be looked up, and a message holds a hundred thousand of them: so no
/// more than a group has people are heeded.
pub(super) fn mentioned(context: &ContextInfo) -> impl Iterator<Item = &String> {
    context.mentioned_jid.iter().take(MENTIONS_MAX)
}

/// Who is mentioned, each once.
pub(super) fn mentions(context: &ContextInfo, writer: &Writer<'_>) -> Vec<String> {
    let jids = mentioned(context).filter_map(|jid| jid.parse::<Jid>().ok());
    let mut seen = HashSet::new();
    jids.map(|jid| writer.people.shown(&jid))
        .filter(|shown| seen.insert(shown.clone()))
        .collect()
}

/// Whether it was forwarded.
pub(super) fn is_forwarded(context: &ContextInfo) -> bool {
    context.is_forwarded == Some(true) || context.forwarding_score.is_some_and(|score| score > 0)
}
