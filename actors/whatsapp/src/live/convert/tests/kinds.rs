//! What the examples do not show: the edges of each kind.

use serde_json::json;
use wharf_domain::message::MediaKind;
use whatsapp_rust::waproto::whatsapp::message::{
    ContactMessage, ContactsArrayMessage, EncReactionMessage, EventMessage, ImageMessage, InteractiveResponseMessage,
    LocationMessage, SecretEncryptedMessage, TemplateButtonReplyMessage, VideoMessage,
    interactive_response_message::{InteractiveResponseMessage as Interactive, NativeFlowResponseMessage},
    protocol_message::Type,
};

use super::{
    examples::{key, reaction},
    *,
};

#[test]
fn what_a_download_needs_is_kept_beside_the_payload() {
    let image = ImageMessage {
        direct_path: Some("/v/t62".into()),
        media_key: Some(vec![7; 32]),
        file_enc_sha256: Some(vec![8; 32]),
        file_sha256: Some(vec![9; 32]),
        file_length: Some(10),
        ..ImageMessage::default()
    };
    let message = |image: ImageMessage| Message {
        image_message: MessageField::some(image),
        ..Message::default()
    };
    let carried_one = carried(direct(), &message(image.clone()));
    let reference = carried_one.media().unwrap().reference.as_deref().unwrap();
    assert_eq!((reference.kind, reference.size), (MediaKind::Image, 10));
    assert_eq!(
        (reference.media_key.as_slice(), reference.direct_path.as_str()),
        (&[7; 32][..], "/v/t62")
    );
    assert_eq!(carried_one.content, "Image");
    assert!(!payload(&carried_one).contains("t62"));

    let without_key = ImageMessage {
        media_key: None,
        ..image
    };
    let carried_one = carried(direct(), &message(without_key));
    assert_eq!(carried_one.media().unwrap().reference, None);
}

#[test]
fn a_reaction_names_whose_message_it_is_about() {
    let taken_back = carried(direct(), &reaction(""));
    assert_eq!(taken_back.content, "");
    let target = json!({"message_id": "3EB0AA11", "from": OWN});
    assert_eq!(extras(&taken_back), json!({"push_name": "Maria", "target": target}));

    // In a group the key names the writer, by hidden id as it is.
    let mut in_group = reaction("👍");
    let reaction = in_group.reaction_message.as_option_mut().unwrap();
    reaction.key.as_option_mut().unwrap().participant = Some("100000087654321@lid".into());
    let from_group = source(GROUP, LID, Some(PN));
    let looked_up = hidden_in(&info(from_group.clone()), &in_group);
    assert_eq!(looked_up, [jid("100000087654321@lid")]);
    let mut around = around();
    around.people.know("100000087654321", "5511977776666");
    let known = carried_with(from_group.clone(), &in_group, &around);
    assert_eq!(extras(&known)["target"]["from"], "5511977776666");
    let reaction = in_group.reaction_message.as_option_mut().unwrap();
    reaction.key.as_option_mut().unwrap().participant = Some("5511999999999@s.whatsapp.net".into());
    let own = carried(from_group, &in_group);
    assert_eq!(extras(&own)["target"], json!({"message_id": "3EB0AA11"}));
}

/// A change of what a member of a group wrote, or, in a chat of two, of what this account did.
fn of_anothers(kind: Type, edited: Option<&str>, participant: Option<&str>) -> Message {
    let mut key = key("3EB0AA11", false);
    key.as_option_mut().unwrap().participant = participant.map(str::to_owned);
    protocol(ProtocolMessage {
        key,
        r#type: Some(kind),
        edited_message: edited
            .map(conversation)
            .map_or_else(MessageField::none, MessageField::some),
        ..ProtocolMessage::default()
    })
}

const MEMBER: Option<&str> = Some("5511977776666@s.whatsapp.net");

#[test]
fn an_admin_deletes_what_another_wrote_and_nobody_else_does() {
    let revoke = of_anothers(Type::REVOKE, None, MEMBER);
    let marked = |source: MessageSource, edit: EditAttribute| MessageInfo { edit, ..info(source) };
    let in_group = |edit| marked(source(GROUP, PN, None), edit);
    let from_phone = MessageInfo {
        unavailable_request_id: Some("3EB0DD44".into()),
        ..in_group(EditAttribute::Empty)
    };
    for info in [in_group(EditAttribute::AdminRevoke), from_phone] {
        let Converted::Message(message) = convert(&info, &revoke, &around()) else {
            panic!("skipped")
        };
        assert_eq!(message.kind, MessageKind::Revoke);
        assert_eq!(
            extras(&message)["target"],
            json!({"message_id": "3EB0AA11", "from": "5511977776666"})
        );
    }
    let ours = of_anothers(Type::REVOKE, None, None);
    for (info, revoke) in [
        (in_group(EditAttribute::SenderRevoke), &revoke),
        (in_group(EditAttribute::Empty), &revoke),
        (marked(direct(), EditAttribute::AdminRevoke), &ours),
    ] {
        let skipped = convert(&info, revoke, &around());
        assert_eq!(skipped, Converted::Skipped("a deletion of what another one wrote"));
    }
}

#[test]
fn nobody_edits_what_another_wrote() {
    for (source, participant) in [(source(GROUP, PN, None), MEMBER), (direct(), None)] {
        let edit = of_anothers(Type::MESSAGE_EDIT, Some("forged"), participant);
        assert_eq!(skipped(source, &edit), "an edit of what another one wrote");
    }
    // A key may name the writer instead of saying that it is theirs.
    let own = of_anothers(Type::MESSAGE_EDIT, Some("better"), Some("5511999999999@s.whatsapp.net"));
    let edit = carried(source(GROUP, PN, None), &own);
    assert_eq!(extras(&edit)["target"], json!({"message_id": "3EB0AA11"}));
}

#[test]
fn a_film_says_whether_it_is_a_gif_or_a_note() {
    let film = |gif: bool| {
        MessageField::some(VideoMessage {
            gif_playback: gif.then_some(true),
            ..VideoMessage::default()
        })
    };
    for (message, content, marks) in [
        (
            Message {
                video_message: film(false),
                ..Message::default()
            },
            "Video",
            (None, None),
        ),
        (
            Message {
                video_message: film(true),
                ..Message::default()
            },
            "GIF",
            (Some(true), None),
        ),
        (
            Message {
                ptv_message: film(false),
                ..Message::default()
            },
            "Video note",
            (None, Some(true)),
        ),
    ] {
        let told = carried(direct(), &message);
        assert_eq!((told.kind, told.content.as_str()), (MessageKind::Video, content));
        let media = &extras(&told)["media"];
        assert_eq!((media["gif"].as_bool(), media["note"].as_bool()), marks, "{media}");
    }
}

#[test]
fn an_edit_is_found_in_its_wrapper_and_tells_the_new_caption() {
    let image = Message {
        image_message: MessageField::some(ImageMessage {
            caption: Some("a better caption".into()),
            ..ImageMessage::default()
        }),
        ..Message::default()
    };
    let edit = protocol(ProtocolMessage {
        key: key("3EB0AA11", true),
        r#type: Some(Type::MESSAGE_EDIT),
        edited_message: MessageField::some(image),
        ..ProtocolMessage::default()
    });
    let message = carried(
        direct(),
        &Message {
            edited_message: wrapped(edit),
            ..Message::default()
        },
    );
    assert_eq!(
        (message.kind, message.content.as_str()),
        (MessageKind::Edit, "a better caption")
    );
    assert_eq!(
        extras(&message),
        json!({"push_name": "Maria", "target": {"message_id": "3EB0AA11"}})
    );
}

#[test]
fn what_the_client_could_not_open_says_what_it_is_about() {
    let edit = Message {
        secret_encrypted_message: MessageField::some(SecretEncryptedMessage {
            target_message_key: key("3EB0AA11", true),
            ..SecretEncryptedMessage::default()
        }),
        ..Message::default()
    };
    let reaction = Message {
        enc_reaction_message: MessageField::some(EncReactionMessage {
            target_message_key: key("3EB0AA11", true),
            ..EncReactionMessage::default()
        }),
        ..Message::default()
    };
    for (message, word) in [(edit, "edit"), (reaction, "reaction")] {
        let message = carried(direct(), &message);
        assert_eq!(message.kind, MessageKind::Unknown);
        assert!(message.content.contains(word), "{}", message.content);
        assert_eq!(extras(&message)["target"]["message_id"], "3EB0AA11");
        assert_eq!(extras(&message)["unknown"]["reason"], "undecryptable");
    }
}

#[test]
fn several_cards_and_places_without_a_name() {
    let card = |name: &str| ContactMessage {
        vcard: Some(format!("FN:{name}\nTEL:1")),
        ..ContactMessage::default()
    };
    let cards = Message {
        contacts_array_message: MessageField::some(ContactsArrayMessage {
            contacts: vec![card("A"), card("B")],
            ..ContactsArrayMessage::default()
        }),
        ..Message::default()
    };
    assert_eq!(carried(direct(), &cards).content, "A, B");
    let place = Message {
        location_message: MessageField::some(LocationMessage {
            degrees_latitude: Some(1.5),
            degrees_longitude: Some(f64::NAN),
            ..LocationMessage::default()
        }),
        ..Message::default()
    };
    let place = carried(direct(), &place);
    assert_eq!(place.content, "1.5, 0");
    assert_eq!(extras(&place)["location"], json!({"latitude": 1.5, "longitude": 0.0}));
}

#[test]
fn buttons_of_templates_and_flows_are_buttons() {
    let template = Message {
        template_button_reply_message: MessageField::some(TemplateButtonReplyMessage {
            selected_id: Some("1".into()),
            selected_display_text: Some("Yes".into()),
            ..TemplateButtonReplyMessage::default()
        }),
        ..Message::default()
    };
    let flow = |parameters: &str| Message {
        interactive_response_message: MessageField::some(InteractiveResponseMessage {
            interactive_response_message: Some(Interactive::NativeFlowResponseMessage(Box::new(
                NativeFlowResponseMessage {
                    params_json: Some(parameters.into()),
                    ..NativeFlowResponseMessage::default()
                },
            ))),
            ..InteractiveResponseMessage::default()
        }),
        ..Message::default()
    };
    let told = [
        (template, "Yes", json!({"id": "1", "text": "Yes"})),
        (flow(r#"{"id":"a"}"#), "a", json!({"id": "a", "text": ""})),
        (flow("{broken"), "{broken", json!({"id": "{broken", "text": ""})),
    ];
    for (message, content, reply) in told {
        let message = carried(direct(), &message);
        assert_eq!(message.kind, MessageKind::ButtonsReply);
        assert_eq!(
            (message.content.as_str(), extras(&message)["buttons_reply"].clone()),
            (content, reply)
        );
    }
}

#[test]
fn a_kind_without_a_type_is_told_in_words() {
    let event = Message {
        event_message: MessageField::some(EventMessage {
            name: Some("Regatta".into()),
            ..EventMessage::default()
        }),
        ..Message::default()
    };
    let message = carried(direct(), &event);
    assert_eq!(
        (message.kind, message.content.as_str()),
        (MessageKind::Unknown, "Regatta")
    );
    assert_eq!(
        extras(&message)["unknown"],
        json!({"reason": "unsupported", "name": "eventMessage"})
    );
}
