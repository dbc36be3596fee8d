//! Messages that no app of WhatsApp's would make.

use proptest::{collection::vec, option, prelude::*, sample::select, strategy::Union};
use whatsapp_rust::chrono::{DateTime, Utc};
use whatsapp_rust::wacore::types::message::{MessageCategory, MessageInfo, MessageSource};
use whatsapp_rust::wacore_binary::{Jid, JidExt};
use whatsapp_rust::waproto::{
    buffa::MessageField,
    whatsapp::{
        ContextInfo, Message, MessageContextInfo, MessageKey,
        message::{
            AudioMessage, ButtonsResponseMessage, ContactMessage, ContactsArrayMessage, DeviceSentMessage,
            DocumentMessage, EncReactionMessage, ExtendedTextMessage, ImageMessage, InteractiveResponseMessage,
            ListResponseMessage, LiveLocationMessage, LocationMessage, OrderMessage, PinInChatMessage,
            PollCreationMessage, PollEncValue, PollUpdateMessage, ProtocolMessage, ReactionMessage,
            SenderKeyDistributionMessage, StickerMessage, TemplateMessage, VideoMessage,
            buttons_response_message::Response,
            interactive_response_message::{InteractiveResponseMessage as Interactive, NativeFlowResponseMessage},
            list_response_message::SingleSelectReply,
            poll_creation_message,
            protocol_message::Type,
        },
    },
};

use super::super::{OWN, wrapped};

/// Ids of all servers, and what is none.
const JIDS: [&str; 20] = [
    "5511888888888@s.whatsapp.net",
    "5511888888888:3@s.whatsapp.net",
    "5511999999999@s.whatsapp.net",
    "5511888888888@c.us",
    "100000012345678@lid",
    "100000012345678:99@lid",
    "5511888888888:99@hosted",
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
        "FN:a\n b\nTEL;waid=1:\\",
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
        (flag(), number(), number()),
    );
    field(context.prop_map(
        |(stanza_id, participant, mentioned_jid, (is_forwarded, forwarding_score, expiration))| ContextInfo {
            stanza_id,
            participant,
            mentioned_jid,
            is_forwarded,
            forwarding_score,
            expiration,
            ..ContextInfo::default()
        },
    ))
}

/// The fields that all files have under the same names.
macro_rules! file {
    ($kind:ident, $message:ident, $($more:ident),*) => {{
        let of = (
            (said(), bytes(), option::of(any::<u64>()), said(), bytes(), bytes()),
            context(),
            ($({ let _field = stringify!($more); said() },)*),
        );
        of.prop_map(|((mimetype, sha256, size, path, media_key, enc), context_info, ($($more,)*))| Message {
            $message: MessageField::some($kind {
                mimetype,
                file_sha256: sha256,
                file_length: size,
                direct_path: path,
                media_key,
                file_enc_sha256: enc,
                context_info,
                $($more,)*
                ..$kind::default()
            }),
            ..Message::default()
        })
        .boxed()
    }};
}

fn files() -> BoxedStrategy<Message> {
    let sound = (flag(), number(), context(), bytes()).prop_map(|(ptt, seconds, context_info, file_sha256)| Message {
        audio_message: MessageField::some(AudioMessage {
            ptt,
            seconds,
            context_info,
            file_sha256,
            ..AudioMessage::default()
        }),
        ..Message::default()
    });
    let sticker = (number(), number(), context()).prop_map(|(width, height, context_info)| Message {
        sticker_message: MessageField::some(StickerMessage {
            width,
            height,
            context_info,
            ..StickerMessage::default()
        }),
        ..Message::default()
    });
    prop_oneof![
        file!(ImageMessage, image_message, caption),
        file!(VideoMessage, video_message, caption),
        file!(VideoMessage, ptv_message, caption),
        file!(DocumentMessage, document_message, caption, file_name, title),
        sound,
        sticker,
    ]
    .boxed()
}

fn places() -> BoxedStrategy<Message> {
    let place = (
        (degrees(), degrees()),
        (said(), said(), said()),
        (flag(), number()),
        context(),
    );
    let place = place.prop_map(
        |((latitude, longitude), (name, address, url), (is_live, accuracy), context_info)| LocationMessage {
            degrees_latitude: latitude,
            degrees_longitude: longitude,
            name,
            address,
            url,
            is_live,
            accuracy_in_meters: accuracy,
            context_info,
            ..LocationMessage::default()
        },
    );
    let live = (
        (degrees(), degrees(), degrees()),
        said(),
        option::of(any::<i64>()),
        context(),
    );
    let live = live.prop_map(
        |((latitude, longitude, speed), caption, sequence_number, context_info)| LiveLocationMessage {
            degrees_latitude: latitude,
            degrees_longitude: longitude,
            #[expect(clippy::cast_possible_truncation, reason = "any speed will do")]
            speed_in_mps: speed.map(|speed| speed as f32),
            caption,
            sequence_number,
            context_info,
            ..LiveLocationMessage::default()
        },
    );
    prop_oneof![
        place.prop_map(|place| Message {
            location_message: MessageField::some(place),
            ..Message::default()
        }),
        live.prop_map(|live| Message {
            live_location_message: MessageField::some(live),
            ..Message::default()
        }),
    ]
    .boxed()
}

fn cards() -> BoxedStrategy<Message> {
    let card = (said(), said()).prop_map(|(display_name, vcard)| ContactMessage {
        display_name,
        vcard,
        ..ContactMessage::default()
    });
    let several = prop_oneof![9 => vec(card, 0..5), 1 => Just(vec![ContactMessage::default(); 3000])];
    several
        .prop_map(|contacts| Message {
            contacts_array_message: MessageField::some(ContactsArrayMessage {
                contacts,
                ..ContactsArrayMessage::default()
            }),
            ..Message::default()
        })
        .boxed()
}

fn polls() -> BoxedStrategy<Message> {
    let options = prop_oneof![9 => vec(said(), 0..5), 1 => Just(vec![Some("x".to_owned()); 10_000])];
    let asked = (said(), options, number(), 0..5, bytes()).prop_map(|(name, options, count, version, secret)| {
        let options = options.into_iter().map(|option_name| poll_creation_message::Option {
            option_name,
            ..poll_creation_message::Option::default()
        });
        let poll = MessageField::some(PollCreationMessage {
            name,
            options: options.collect(),
            selectable_options_count: count,
            ..PollCreationMessage::default()
        });
        let mut message = Message {
            message_context_info: MessageField::some(MessageContextInfo {
                message_secret: secret,
                ..MessageContextInfo::default()
            }),
            ..Message::default()
        };
        match version {
            0 => message.poll_creation_message = poll,
            1 => message.poll_creation_message_v2 = poll,
            2 => message.poll_creation_message_v3 = poll,
            3 => message.poll_creation_message_v5 = poll,
            _ => message.poll_creation_message_v6 = poll,
        }
        message
    });
    let vote = (key(), bytes(), bytes()).prop_map(|(key, enc_payload, enc_iv)| Message {
        poll_update_message: MessageField::some(PollUpdateMessage {
            poll_creation_message_key: key,
            vote: MessageField::some(PollEncValue { enc_payload, enc_iv }),
            ..PollUpdateMessage::default()
        }),
        ..Message::default()
    });
    prop_oneof![asked, vote].boxed()
}

fn answers() -> BoxedStrategy<Message> {
    let button = (said(), option::of(words()), context()).prop_map(|(id, text, context_info)| Message {
        buttons_response_message: MessageField::some(ButtonsResponseMessage {
            selected_button_id: id,
            response: text.map(Response::SelectedDisplayText),
            context_info,
            ..ButtonsResponseMessage::default()
        }),
        ..Message::default()
    });
    let flow = said().prop_map(|params_json| Message {
        interactive_response_message: MessageField::some(InteractiveResponseMessage {
            interactive_response_message: Some(Interactive::NativeFlowResponseMessage(Box::new(
                NativeFlowResponseMessage {
                    params_json,
                    ..NativeFlowResponseMessage::default()
                },
            ))),
            ..InteractiveResponseMessage::default()
        }),
        ..Message::default()
    });
    let row = (said(), said(), said(), context()).prop_map(|(title, description, id, context_info)| Message {
        list_response_message: MessageField::some(ListResponseMessage {
            title,
            description,
            single_select_reply: MessageField::some(SingleSelectReply { selected_row_id: id }),
            context_info,
            ..ListResponseMessage::default()
        }),
        ..Message::default()
    });
    let order = (
        said(),
        said(),
        option::of(any::<i64>()),
        option::of(any::<i32>()),
        said(),
    );
    let order = order.prop_map(|(order_id, order_title, total, item_count, currency)| Message {
        order_message: MessageField::some(OrderMessage {
            order_id,
            order_title,
            total_amount1000: total,
            item_count,
            total_currency_code: currency,
            ..OrderMessage::default()
        }),
        ..Message::default()
    });
    prop_oneof![button, flow, row, order].boxed()
}

fn acts() -> BoxedStrategy<Message> {
    let reaction = (key(), said()).prop_map(|(key, text)| Message {
        reaction_message: MessageField::some(ReactionMessage {
            key,
            text,
            ..ReactionMessage::default()
        }),
        ..Message::default()
    });
    let sealed = key().prop_map(|target_message_key| Message {
        enc_reaction_message: MessageField::some(EncReactionMessage {
            target_message_key,
            ..EncReactionMessage::default()
        }),
        ..Message::default()
    });
    let pin = key().prop_map(|key| Message {
        pin_in_chat_message: MessageField::some(PinInChatMessage {
            key,
            ..PinInChatMessage::default()
        }),
        ..Message::default()
    });
    prop_oneof![reaction, sealed, pin].boxed()
}

fn texts() -> BoxedStrategy<Message> {
    let bare = words().prop_filter("an empty one is no message", |text| !text.is_empty());
    let extended = (said(), flag(), context()).prop_map(|(text, view_once, context_info)| Message {
        extended_text_message: MessageField::some(ExtendedTextMessage {
            text,
            view_once,
            context_info,
            ..ExtendedTextMessage::default()
        }),
        ..Message::default()
    });
    prop_oneof![
        bare.prop_map(|text| Message {
            conversation: Some(text),
            ..Message::default()
        }),
        extended,
        Just(Message {
            template_message: MessageField::some(TemplateMessage::default()),
            ..Message::default()
        }),
        Just(Message::default()),
    ]
    .boxed()
}

/// A message that has to be told.
fn told() -> BoxedStrategy<Message> {
    Union::new([texts(), files(), places(), cards(), polls(), answers(), acts()]).boxed()
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
        13 => &mut outer.question_message,
        _ => &mut outer.group_status_message_v2,
    };
    *place = wrapped(message);
    outer
}

fn wrapped_deep(message: BoxedStrategy<Message>, most: usize) -> BoxedStrategy<Message> {
    let wrappers = prop_oneof![4 => vec(0_u8..15, 0..=most.min(3)), 1 => vec(0_u8..15, 0..=most)];
    (message, wrappers)
        .prop_map(|(message, wrappers)| wrappers.into_iter().fold(message, wrap))
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
            _ => [varint(number << 3 | 2), varint(bytes.len() as u64), bytes].concat(),
        });
        vec(one, 0..4).prop_map(|fields| fields.concat())
    })
}
