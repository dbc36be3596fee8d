//! The kinds of messages, with anything in them.

use proptest::{collection::vec, option, prelude::*};
use whatsapp_rust::waproto::{
    buffa::MessageField,
    whatsapp::{
        Message, MessageContextInfo,
        message::{
            AudioMessage, ButtonsResponseMessage, ContactMessage, ContactsArrayMessage, DocumentMessage,
            EncReactionMessage, EventMessage, ExtendedTextMessage, GroupInviteMessage, ImageMessage,
            InteractiveMessage, InteractiveResponseMessage, ListResponseMessage, LiveLocationMessage, LocationMessage,
            PinInChatMessage, PollCreationMessage, PollEncValue, PollUpdateMessage, ReactionMessage, StickerMessage,
            TemplateMessage, VideoMessage,
            buttons_response_message::Response,
            interactive_message::{
                self, CarouselMessage, InteractiveMessage as Part, NativeFlowMessage, header,
                native_flow_message::NativeFlowButton,
            },
            interactive_response_message::{InteractiveResponseMessage as Interactive, NativeFlowResponseMessage},
            list_response_message::SingleSelectReply,
            poll_creation_message,
        },
    },
};

use super::{bytes, context, degrees, flag, key, number, said, words};

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

pub(super) fn files() -> BoxedStrategy<Message> {
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

pub(super) fn places() -> BoxedStrategy<Message> {
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

pub(super) fn cards() -> BoxedStrategy<Message> {
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

pub(super) fn polls() -> BoxedStrategy<Message> {
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

pub(super) fn answers() -> BoxedStrategy<Message> {
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
    prop_oneof![button, flow, row].boxed()
}

pub(super) fn acts() -> BoxedStrategy<Message> {
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

/// What businesses write, and invitations.
pub(super) fn offers() -> BoxedStrategy<Message> {
    let button = (said(), said()).prop_map(|(name, button_params_json)| NativeFlowButton {
        name,
        button_params_json,
    });
    let buttons = prop_oneof![9 => vec(button, 0..4), 1 => Just(vec![NativeFlowButton {
        name: Some("a".to_owned()),
        button_params_json: Some("x".repeat(100)),
    }; 500])];
    let card = (said(), said(), option::of(buttons), said(), context()).prop_map(
        |(text, title, buttons, caption, context_info)| InteractiveMessage {
            body: MessageField::some(interactive_message::Body { text }),
            header: MessageField::some(interactive_message::Header {
                title,
                media: caption.map(|caption| {
                    header::Media::ImageMessage(Box::new(ImageMessage {
                        caption: Some(caption),
                        ..ImageMessage::default()
                    }))
                }),
                ..interactive_message::Header::default()
            }),
            interactive_message: buttons.map(|buttons| {
                Part::NativeFlowMessage(Box::new(NativeFlowMessage {
                    buttons,
                    ..NativeFlowMessage::default()
                }))
            }),
            context_info,
            ..InteractiveMessage::default()
        },
    );
    let carousel = vec(card.clone(), 0..20).prop_map(|cards| InteractiveMessage {
        interactive_message: Some(Part::CarouselMessage(Box::new(CarouselMessage {
            cards,
            ..CarouselMessage::default()
        }))),
        ..InteractiveMessage::default()
    });
    let interactive = prop_oneof![card, carousel].prop_map(|interactive| Message {
        interactive_message: MessageField::some(interactive),
        ..Message::default()
    });
    let invite = (said(), said(), option::of(any::<i64>()), said(), said());
    let invite = invite.prop_map(
        |(group_jid, invite_code, invite_expiration, group_name, caption)| Message {
            group_invite_message: MessageField::some(GroupInviteMessage {
                group_jid,
                invite_code,
                invite_expiration,
                group_name,
                caption,
                ..GroupInviteMessage::default()
            }),
            ..Message::default()
        },
    );
    let event = (said(), said(), option::of(any::<i64>()), said(), degrees());
    let event = event.prop_map(|(name, description, start_time, join_link, degrees_latitude)| Message {
        event_message: MessageField::some(EventMessage {
            name,
            description,
            start_time,
            join_link,
            location: MessageField::some(LocationMessage {
                degrees_latitude,
                ..LocationMessage::default()
            }),
            ..EventMessage::default()
        }),
        ..Message::default()
    });
    prop_oneof![2 => interactive, 1 => invite, 1 => event].boxed()
}

pub(super) fn texts() -> BoxedStrategy<Message> {
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
