//! Messages that no app of WhatsApp's would make.

mod catalogue;
mod kinds;

use proptest::{collection::vec, option, prelude::*, sample::select, strategy::Union};
use whatsapp_rust::chrono::{DateTime, Utc};
use whatsapp_rust::wacore::types::message::{MessageCategory, MessageInfo, MessageSource};
use whatsapp_rust::wacore_binary::{Jid, JidExt};
use whatsapp_rust::waproto::{
    buffa::MessageField,
    whatsapp::{
        ContextInfo, Message, MessageAssociation, MessageKey,
        context_info::ExternalAdReplyInfo,
        message::{
            CommentMessage, DeviceSentMessage, ProtocolMessage, SenderKeyDistributionMessage, protocol_message::Type,
        },
        message_association::AssociationType,
    },
};

use self::{
    catalogue::catalogue,
    kinds::{acts, answers, cards, files, offers, places, polls, texts},
};
use super::super::{OWN, wrapped};

/// Ids of all servers, and what is none.
const JIDS: [&str; 20] = [
    "5511999999999@s.whatsapp.net",
    "5511999999999:3@s.whatsapp.net",
    "5511888888888@s.whatsapp.net",
    "5511999999999@c.us",
    "100000012345678@lid",
    "100000012345678:99@lid",
    "5511999999999:99@hosted",
    "100000012345678:99@hosted.lid",
    "867051314767696@bot",
    "120363000000000001@g.us",
    "120363000000000002@newsletter",
    "1699999999@broadcast",
    "status@broadcast",
    "0@s.whatsapp.net",
    "s.whatsapp.net",
    "a@msgr",
    "1-2@interop",
    "\u{202e}\"\u{0}@lid",
    "@",
    "",
];

fn words() -> BoxedStrategy<String> {
    let strange = [
        "",
        " ",
        "hi",
        "\u{0}\u{7}\u{1b}[31m",
        "invoice\u{202e}fdp.exe",
        "\u{2028}\u{feff}",
        "\"\\/\r\n",
        "..",
        "-1",
        "{\"id\":1}",
        "{\"id\":\"\u{0}\"}",
        "FN:a\n b\nTEL;waid=1:\\\nORG:;a\\;\nitem1.EMAIL;QUOTED-PRINTABLE:=4=\n1=FF",
        "👩‍👩‍👧‍👦",
    ];
    prop_oneof![
        8 => select(strange.map(str::to_owned).to_vec()),
        2 => "\\PC{0,30}",
        1 => (0_usize..20_000).prop_map(|n| "\u{1}x".repeat(n / 2)),
    ]
    .boxed()
}

fn said() -> BoxedStrategy<Option<String>> {
    option::of(words()).boxed()
}

fn name() -> BoxedStrategy<String> {
    prop_oneof![
        12 => select(JIDS.map(str::to_owned).to_vec()),
        1 => Just(format!("{}@lid", "9".repeat(10_000))),
        1 => words(),
    ]
    .boxed()
}

fn bytes() -> BoxedStrategy<Option<Vec<u8>>> {
    option::of(select(vec![
        vec![],
        vec![1; 16],
        vec![2; 32],
        vec![3; 33],
        vec![255; 4000],
    ]))
    .boxed()
}

fn number() -> BoxedStrategy<Option<u32>> {
    option::of(prop_oneof![select(vec![0, 1, u32::MAX]), any::<u32>()]).boxed()
}

fn degrees() -> BoxedStrategy<Option<f64>> {
    let strange = [
        0.0,
        -0.0,
        f64::NAN,
        f64::INFINITY,
        f64::NEG_INFINITY,
        f64::MAX,
        5e-324,
        -91.5,
    ];
    option::of(select(strange.to_vec())).boxed()
}

fn flag() -> BoxedStrategy<Option<bool>> {
    any::<Option<bool>>().boxed()
}

fn field<T: Default + std::fmt::Debug + 'static>(
    of: impl Strategy<Value = T> + 'static,
) -> BoxedStrategy<MessageField<T>> {
    option::of(of).prop_map(MessageField::from).boxed()
}

fn key() -> BoxedStrategy<MessageField<MessageKey>> {
    let key = (option::of(name()), flag(), said(), option::of(name()));
    field(key.prop_map(|(remote_jid, from_me, id, participant)| MessageKey {
        remote_jid,
        from_me,
        id,
        participant,
    }))
}

fn context() -> BoxedStrategy<MessageField<ContextInfo>> {
    let context = (
        said(),
        option::of(name()),
        prop_oneof![9 => vec(name(), 0..4), 1 => vec(select(JIDS.map(str::to_owned).to_vec()), 0..3000)],
        (flag(), number(), number(), number()),
        (quoted(), option::of(name()), field(advertisement()), said()),
    );
    field(context.prop_map(
        |(
            stanza_id,
            participant,
            mentioned_jid,
            (is_forwarded, forwarding_score, expiration, non_jid_mentions),
            (quoted_message, remote_jid, external_ad_reply, entry_point_conversion_source),
        )| ContextInfo {
            stanza_id,
            participant,
            mentioned_jid,
            is_forwarded,
            forwarding_score,
            expiration,
            non_jid_mentions,
            quoted_message,
            remote_jid,
            external_ad_reply,
            entry_point_conversion_source,
            ..ContextInfo::default()
        },
    ))
}

fn quoted() -> BoxedStrategy<MessageField<Message>> {
    let text = words().prop_map(|text| Message {
        conversation: Some(text),
        ..Message::default()
    });
    field(prop_oneof![
        text,
        polls(),
        cards(),
        catalogue(),
        Just(Message::default())
    ])
}

fn advertisement() -> impl Strategy<Value = ExternalAdReplyInfo> {
    let ad = (said(), said(), said(), said(), said());
    ad.prop_map(|(title, body, source_url, source_id, ctwa_clid)| ExternalAdReplyInfo {
        title,
        body,
        source_url,
        source_id,
        ctwa_clid,
        ..ExternalAdReplyInfo::default()
    })
}

/// A message that has to be told.
fn told() -> BoxedStrategy<Message> {
    Union::new([
        texts(),
        files(),
        places(),
        cards(),
        polls(),
        answers(),
        catalogue(),
        acts(),
        offers(),
    ])
    .boxed()
}

/// One that may be about keys, settings, or another message.
fn untold() -> BoxedStrategy<Message> {
    let kinds = [
        Type::REVOKE,
        Type::MESSAGE_EDIT,
        Type::EPHEMERAL_SETTING,
        Type::HISTORY_SYNC_NOTIFICATION,
        Type::APP_STATE_SYNC_KEY_SHARE,
        Type::LIMIT_SHARING,
    ];
    let protocol = (
        option::of(select(kinds.to_vec())),
        key(),
        field(wrapped_deep(told(), 4)),
    );
    let protocol = protocol.prop_map(|(r#type, key, edited_message)| Message {
        protocol_message: MessageField::some(ProtocolMessage {
            r#type,
            key,
            edited_message,
            ..ProtocolMessage::default()
        }),
        ..Message::default()
    });
    prop_oneof![
        3 => protocol.clone(),
        1 => protocol.prop_map(|edit_of_an_edit| Message {
            protocol_message: MessageField::some(ProtocolMessage {
                r#type: Some(Type::MESSAGE_EDIT),
                edited_message: MessageField::some(edit_of_an_edit),
                ..ProtocolMessage::default()
            }),
            ..Message::default()
        }),
        1 => Just(Message {
            sender_key_distribution_message: MessageField::some(SenderKeyDistributionMessage::default()),
            ..Message::default()
        }),
        1 => Just(Message { conversation: Some(String::new()), ..Message::default() }),
    ]
    .boxed()
}

fn wrap(message: Message, wrapper: u8) -> Message {
    let mut outer = Message::default();
    if wrapper == 0 {
        outer.device_sent_message = MessageField::some(DeviceSentMessage {
            destination_jid: Some(JIDS[0].to_owned()),
            message: MessageField::some(message),
            ..DeviceSentMessage::default()
        });
        return outer;
    }
    if wrapper == 14 {
        outer.comment_message = MessageField::some(CommentMessage {
            message: MessageField::some(message),
            ..CommentMessage::default()
        });
        return outer;
    }
    let place = match wrapper {
        1 => &mut outer.ephemeral_message,
        2 => &mut outer.view_once_message,
        3 => &mut outer.view_once_message_v2,
        4 => &mut outer.view_once_message_v2_extension,
        5 => &mut outer.document_with_caption_message,
        6 => &mut outer.edited_message,
        7 => &mut outer.group_mentioned_message,
        8 => &mut outer.bot_invoke_message,
        9 => &mut outer.lottie_sticker_message,
        10 => &mut outer.associated_child_message,
        11 => &mut outer.poll_creation_message_v4,
        12 => &mut outer.spoiler_message,
        _ => &mut outer.question_message,
    };
    *place = wrapped(message);
    outer
}

fn association() -> BoxedStrategy<Option<MessageAssociation>> {
    let kinds = [
        AssociationType::UNKNOWN,
        AssociationType::MEDIA_ALBUM,
        AssociationType::HD_IMAGE_DUAL_UPLOAD,
    ];
    let association = (option::of(select(kinds.to_vec())), key());
    let association = association.prop_map(|(association_type, parent_message_key)| MessageAssociation {
        association_type,
        parent_message_key,
        ..MessageAssociation::default()
    });
    option::weighted(0.2, association).boxed()
}

fn wrapped_deep(message: BoxedStrategy<Message>, most: usize) -> BoxedStrategy<Message> {
    let wrappers = prop_oneof![4 => vec(0_u8..15, 0..=most.min(3)), 1 => vec(0_u8..15, 0..=most)];
    (message, wrappers, association())
        .prop_map(|(message, wrappers, association)| {
            let mut outer = wrappers.into_iter().fold(message, wrap);
            if let Some(association) = association {
                let context = outer.message_context_info.get_or_insert_default();
                context.message_association = MessageField::some(association);
            }
            outer
        })
        .boxed()
}

/// A message in any number of wrappers, and whether it has to be told.
pub(super) fn anything() -> impl Strategy<Value = (Message, bool)> {
    prop_oneof![
        3 => wrapped_deep(told(), 12).prop_map(|message| (message, true)),
        1 => wrapped_deep(untold(), 12).prop_map(|message| (message, false)),
    ]
}

/// What a stanza says of it.
pub(super) fn information() -> impl Strategy<Value = MessageInfo> {
    let jid = || name().prop_map(|name| name.parse::<Jid>().unwrap_or_else(|_| Jid::pn(OWN)));
    let moments = [DateTime::<Utc>::MIN_UTC, DateTime::<Utc>::MAX_UTC, DateTime::UNIX_EPOCH];
    let moments = moments
        .into_iter()
        .chain([-62_167_219_201, 253_402_300_800, -1].map(|s| DateTime::from_timestamp(s, 0).unwrap()));
    let source = (jid(), jid(), option::of(jid()), prop::bool::weighted(0.2));
    let rest = (
        words(),
        words(),
        select(moments.collect::<Vec<_>>()),
        number(),
        prop::bool::weighted(0.05),
    );
    (source, rest).prop_map(
        |((chat, sender, sender_alt, is_from_me), (id, push_name, timestamp, expiration, peer))| MessageInfo {
            source: MessageSource {
                is_group: chat.is_group(),
                chat: chat.to_non_ad(),
                sender,
                sender_alt,
                is_from_me,
                ..MessageSource::default()
            },
            id,
            push_name,
            timestamp,
            ephemeral_expiration: expiration,
            category: if peer {
                MessageCategory::Peer
            } else {
                MessageCategory::default()
            },
            ..MessageInfo::default()
        },
    )
}

pub(super) fn varint(mut number: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while number >= 0x80 {
        bytes.push(number.to_le_bytes()[0] | 0x80);
        number >>= 7;
    }
    bytes.push(number.to_le_bytes()[0]);
    bytes
}

/// Fields of protobuf in fields of protobuf, by any number.
pub(super) fn wire() -> impl Strategy<Value = Vec<u8>> {
    let leaf = prop_oneof![
        Just(Vec::new()),
        words().prop_map(String::into_bytes),
        vec(any::<u8>(), 0..40),
    ];
    leaf.prop_recursive(6, 40, 4, |inner| {
        let one = (1_u64..=127, inner, any::<u64>(), 0..4).prop_map(|(number, bytes, value, kind)| match kind {
            0 => [varint(number << 3), varint(value)].concat(),
            _ => [varint((number << 3) | 2), varint(bytes.len() as u64), bytes].concat(),
        });
        vec(one, 0..4).prop_map(|fields| fields.concat())
    })
}
