//! What stands around a message: what it answers, whom it mentions, whether it was forwarded.

use wharf_domain::message::MessageRef;
use whatsapp_rust::wacore_binary::Jid;
use whatsapp_rust::waproto::whatsapp::ContextInfo;

use super::who::Writer;

/// The quoted message.
pub(super) fn reply_to(context: &ContextInfo, writer: &Writer<'_>) -> Option<MessageRef> {
    let message_id = context.stanza_id.clone().filter(|id| !id.is_empty())?;
    let from = context.participant.as_deref().and_then(|jid| writer.other(jid));
    Some(MessageRef { message_id, from })
}

/// Who is mentioned, each once.
pub(super) fn mentions(context: &ContextInfo, writer: &Writer<'_>) -> Vec<String> {
    let mut mentions: Vec<String> = Vec::with_capacity(context.mentioned_jid.len());
    for jid in &context.mentioned_jid {
        let Ok(jid) = jid.parse::<Jid>() else { continue };
        let shown = writer.people.shown(&jid);
        if !mentions.contains(&shown) {
            mentions.push(shown);
        }
    }
    mentions
}

/// Whether it was forwarded.
pub(super) fn is_forwarded(context: &ContextInfo) -> bool {
    context.is_forwarded == Some(true) || context.forwarding_score.is_some_and(|score| score > 0)
}
