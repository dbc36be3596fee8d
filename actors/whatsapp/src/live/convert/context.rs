//! What stands around a message: what it belongs to, what it answers, whom it mentions, whether it was forwarded,
//! which advertisement it came from.

use std::{
    borrow::Cow,
    collections::{HashMap, HashSet},
};

use wharf_domain::{
    message::{Body, PartKind, PartOf, Quoted, QuotedProduct, Referral, Unknown},
    outgoing::MENTIONS_MAX,
};
use whatsapp_rust::wacore_binary::Jid;
use whatsapp_rust::waproto::whatsapp::{
    ContextInfo, MessageAssociation, context_info::ExternalAdReplyInfo, message_association::AssociationType,
};

use super::{
    content,
    part::{cut, whole},
    votes::Ballot,
    who::{People, Writer},
};
use crate::live::ids::renamed;

/// The chat of status updates.
const STATUS: &str = "status@broadcast";
/// What WhatsApp's words for an advertisement that leads to a chat begin with ("click to WhatsApp").
const FROM_AN_AD: &str = "ctwa";

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
pub(super) fn reply_to(context: &ContextInfo, writer: &Writer<'_>) -> Option<Quoted> {
    let message_id = context.stanza_id.clone().filter(|id| !id.is_empty())?;
    let quoted = context.quoted_message.as_option();
    let quoted = quoted.and_then(|quoted| content::read(quoted, &Ballot::Sealed).ok());
    // What cannot be read may be a quotation that was left empty: that says nothing of the message.
    let quoted = quoted.filter(|quoted| !matches!(quoted.unknown, Some(Unknown { name: None, .. })));
    Some(Quoted {
        message_id,
        from: context.participant.as_deref().and_then(|jid| writer.other(jid)),
        status: context.remote_jid.as_deref() == Some(STATUS),
        kind: quoted.as_ref().map(|quoted| quoted.kind),
        product: quoted.as_ref().and_then(|quoted| product_in(quoted.body.as_ref()?)),
        text: quoted.and_then(|quoted| cut(Some(&named(quoted.words, quoted.context, writer.people)))),
    })
}

/// The product that is asked about.
fn product_in(quoted: &Body) -> Option<QuotedProduct> {
    match quoted {
        Body::Product(product) if !product.id.is_empty() => Some(QuotedProduct {
            id: product.id.clone(),
            title: product.title.clone(),
        }),
        _ => None,
    }
}

/// The advertisement that the sender came from.
///
/// Phones note for every chat how it was begun (`global_search_new_chat`, `click_to_chat_link`, …): that alone is worth no key.
pub(super) fn referral(context: &ContextInfo) -> Option<Referral> {
    let entry_point = whole(context.entry_point_conversion_source.as_deref());
    let ad = context.external_ad_reply.as_option();
    if ad.is_none() && !entry_point.as_ref().is_some_and(|word| word.starts_with(FROM_AN_AD)) {
        return None;
    }
    let of_ad = |field: fn(&ExternalAdReplyInfo) -> &Option<String>| ad.and_then(|ad| field(ad).as_deref());
    let app = of_ad(|ad| &ad.source_app).or(context.entry_point_conversion_app.as_deref());
    let referral = Referral {
        source_url: whole(of_ad(|ad| &ad.source_url)),
        source_type: whole(of_ad(|ad| &ad.source_type)),
        source_id: whole(of_ad(|ad| &ad.source_id)),
        title: cut(of_ad(|ad| &ad.title)),
        body: cut(of_ad(|ad| &ad.body)),
        ctwa_clid: whole(of_ad(|ad| &ad.ctwa_clid)),
        reference: whole(of_ad(|ad| &ad.r#ref)),
        entry_point,
        app: whole(app),
    };
    (referral != Referral::default()).then_some(referral)
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

/// Words with whom they mention as [`mentions`] has them: where chats go by hidden ids, phones write those behind the `@`.
pub(super) fn named<'w>(words: Cow<'w, str>, context: Option<&ContextInfo>, people: &People<'_>) -> Cow<'w, str> {
    let jids = context
        .into_iter()
        .flat_map(mentioned)
        .filter_map(|jid| jid.parse::<Jid>().ok());
    let numbers = jids.filter_map(|jid| Some((jid.user_base().to_owned(), people.number_of(&jid)?)));
    let numbers: HashMap<String, &str> = numbers.collect();
    match numbers.is_empty() {
        true => words,
        false => renamed(&words, |digits| numbers.get(digits).copied()).into(),
    }
}

/// Whether everybody in the group is mentioned, which names nobody.
pub(super) fn mentions_all(context: &ContextInfo) -> bool {
    context.non_jid_mentions.is_some_and(|mentions| mentions > 0)
}

/// Whether it was forwarded.
pub(super) fn is_forwarded(context: &ContextInfo) -> bool {
    context.is_forwarded == Some(true) || context.forwarding_score.is_some_and(|score| score > 0)
}
