//! What stands around a message: what it answers, whom it mentions, whether it was forwarded.

use std::collections::HashSet;

use wharf_domain::{message::MessageRef, outgoing::MENTIONS_MAX};
use whatsapp_rust::wacore_binary::Jid;
use whatsapp_rust::waproto::whatsapp::ContextInfo;

use super::who::Writer;

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
