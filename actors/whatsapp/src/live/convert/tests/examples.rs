//! The examples of docs/EVENTS.md, made from protobuf messages: what is documented is what is sent.

mod happenings;

use whatsapp_rust::waproto::whatsapp::{
    message::{
        AudioMessage, ButtonsResponseMessage, ContactMessage, DocumentMessage, ImageMessage, ListResponseMessage,
        LiveLocationMessage, LocationMessage, PollCreationMessage, PollUpdateMessage, ReactionMessage, StickerMessage,
        VideoMessage, buttons_response_message::Response, list_response_message::SingleSelectReply,
        poll_creation_message, protocol_message::Type,
    },
    message_association::AssociationType,
};

use wharf_domain::{EventKind, media_link::file_name};

use super::*;

const DOCUMENTED: &str = include_str!("../../../../../../docs/EVENTS.md");

fn some<T: Default>(message: T) -> MessageField<T> {
    MessageField::some(message)
}

pub(super) fn key(id: &str, from_me: bool) -> MessageField<MessageKey> {
    some(MessageKey {
        remote_jid: Some("5511999999999@s.whatsapp.net".into()),
        from_me: Some(from_me),
        id: Some(id.into()),
        participant: None,
    })
}

fn media(message: Message) -> IncomingMessage {
    carried(direct(), &message)
}

fn picture() -> IncomingMessage {
    media(Message {
        image_message: some(ImageMessage {
            mimetype: Some("image/jpeg".into()),
            caption: Some("The harbour".into()),
            file_sha256: Some(vec![0xAB; 32]),
            file_length: Some(48_213),
            width: Some(1280),
            height: Some(960),
            ..ImageMessage::default()
        }),
        ..Message::default()
    })
}

fn video() -> IncomingMessage {
    media(Message {
        video_message: some(VideoMessage {
            mimetype: Some("video/mp4".into()),
            file_sha256: Some(vec![0xAB; 32]),
            file_length: Some(2_048_000),
            seconds: Some(12),
            width: Some(640),
            height: Some(352),
            view_once: Some(true),
            ..VideoMessage::default()
        }),
        ..Message::default()
    })
}

fn sound(ptt: bool) -> IncomingMessage {
    media(Message {
        audio_message: some(AudioMessage {
            mimetype: Some(if ptt { "audio/ogg; codecs=opus" } else { "audio/mpeg" }.into()),
            file_sha256: Some(vec![0xAB; 32]),
            file_length: Some(9_120),
            seconds: Some(4),
            ptt: Some(ptt),
            ..AudioMessage::default()
        }),
        ..Message::default()
    })
}

fn document() -> IncomingMessage {
    let document = Message {
        document_message: some(DocumentMessage {
            mimetype: Some("application/pdf".into()),
            file_name: Some("invoice.pdf".into()),
            caption: Some("For you".into()),
            file_sha256: Some(vec![0xAB; 32]),
            file_length: Some(81_920),
            ..DocumentMessage::default()
        }),
        ..Message::default()
    };
    media(Message {
        document_with_caption_message: wrapped(document),
        ..Message::default()
    })
}

fn sticker() -> IncomingMessage {
    media(Message {
        sticker_message: some(StickerMessage {
            mimetype: Some("image/webp".into()),
            file_sha256: Some(vec![0xAB; 32]),
            file_length: Some(15_360),
            width: Some(512),
            height: Some(512),
            ..StickerMessage::default()
        }),
        ..Message::default()
    })
}

fn location() -> IncomingMessage {
    media(Message {
        location_message: some(LocationMessage {
            degrees_latitude: Some(-23.5505),
            degrees_longitude: Some(-46.6333),
            name: Some("Old harbour".into()),
            address: Some("Rua do Porto 1".into()),
            ..LocationMessage::default()
        }),
        ..Message::default()
    })
}

fn live_location() -> IncomingMessage {
    media(Message {
        live_location_message: some(LiveLocationMessage {
            degrees_latitude: Some(-23.5505),
            degrees_longitude: Some(-46.6333),
            accuracy_in_meters: Some(12),
            speed_in_mps: Some(1.5),
            degrees_clockwise_from_magnetic_north: Some(90),
            caption: Some("On my way".into()),
            sequence_number: Some(1),
            ..LiveLocationMessage::default()
        }),
        ..Message::default()
    })
}

fn contact() -> IncomingMessage {
    let card = "BEGIN:VCARD\nVERSION:3.0\nFN:Paula Reis\nORG:Harbour shop;Sales\n\
        TEL;type=CELL;waid=5511977776666:+55 11 97777-6666\nitem1.EMAIL:paula@harbour.example\nEND:VCARD";
    media(Message {
        contact_message: some(ContactMessage {
            display_name: Some("Paula Reis".into()),
            vcard: Some(card.into()),
            ..ContactMessage::default()
        }),
        ..Message::default()
    })
}

pub(super) fn reaction(emoji: &str) -> Message {
    Message {
        reaction_message: some(ReactionMessage {
            key: key("3EB0AA11", false),
            text: Some(emoji.into()),
            ..ReactionMessage::default()
        }),
        ..Message::default()
    }
}

pub(super) fn poll() -> Message {
    let option = |name: &str| poll_creation_message::Option {
        option_name: Some(name.into()),
        option_hash: None,
    };
    Message {
        poll_creation_message_v3: some(PollCreationMessage {
            name: Some("Lunch?".into()),
            options: vec![option("Pizza"), option("Salad")],
            selectable_options_count: Some(1),
            ..PollCreationMessage::default()
        }),
        ..Message::default()
    }
}

fn vote() -> IncomingMessage {
    let mut around = around();
    around.ballot = Ballot::Opened {
        options: vec!["Pizza".into()],
        hashes: Vec::new(),
    };
    let vote = Message {
        poll_update_message: some(PollUpdateMessage {
            poll_creation_message_key: key("3EB0CC33", false),
            ..PollUpdateMessage::default()
        }),
        ..Message::default()
    };
    carried_with(direct(), &vote, &around)
}

fn change(kind: Type, edited: Option<Message>) -> IncomingMessage {
    let change = protocol(ProtocolMessage {
        key: key("3EB0AA11", true),
        r#type: Some(kind),
        edited_message: edited.map(some).unwrap_or_default(),
        ..ProtocolMessage::default()
    });
    carried(direct(), &change)
}

fn button() -> IncomingMessage {
    let asked = ContextInfo {
        stanza_id: Some("3EB0AA11".into()),
        participant: Some("5511888888888@s.whatsapp.net".into()),
        ..ContextInfo::default()
    };
    media(Message {
        buttons_response_message: some(ButtonsResponseMessage {
            selected_button_id: Some("confirm".into()),
            response: Some(Response::SelectedDisplayText("Yes, please".into())),
            context_info: some(asked),
            ..ButtonsResponseMessage::default()
        }),
        ..Message::default()
    })
}

fn row() -> IncomingMessage {
    media(Message {
        list_response_message: some(ListResponseMessage {
            title: Some("Tuesday".into()),
            description: Some("9 to 12".into()),
            single_select_reply: some(SingleSelectReply {
                selected_row_id: Some("day-2".into()),
            }),
            ..ListResponseMessage::default()
        }),
        ..Message::default()
    })
}

fn undecryptable_one() -> IncomingMessage {
    let lost = UndecryptableMessage::builder()
        .info(Arc::new(info(direct())))
        .is_unavailable(false)
        .unavailable_type(UnavailableType::Unknown)
        .decrypt_fail_mode(DecryptFailMode::Show)
        .build();
    match undecryptable(&lost, &People::new(OWN), None) {
        Converted::Message(message) => *message,
        Converted::Skipped(reason) => panic!("skipped as {reason}"),
    }
}

fn in_a_group() -> IncomingMessage {
    let context = ContextInfo {
        stanza_id: Some("3EB0BB22".into()),
        participant: Some("5511977776666@s.whatsapp.net".into()),
        quoted_message: some(conversation("Who has the key?")),
        mentioned_jid: vec!["5511888888888@s.whatsapp.net".into(), "100000087654321@lid".into()],
        is_forwarded: Some(true),
        expiration: Some(604_800),
        ..ContextInfo::default()
    };
    let mut message = carried(source(GROUP, LID, Some(PN)), &extended("@5511888888888 look", context));
    let group = message.details.as_mut().and_then(|details| details.group.as_mut());
    group.unwrap().subject = Some("Harbour".into());
    message
}

fn in_hd() -> IncomingMessage {
    let picture = Message {
        image_message: some(ImageMessage {
            mimetype: Some("image/jpeg".into()),
            file_sha256: Some(vec![0xAB; 32]),
            file_length: Some(1_048_213),
            width: Some(4000),
            height: Some(3000),
            ..ImageMessage::default()
        }),
        ..Message::default()
    };
    media(Message {
        associated_child_message: wrapped(picture),
        message_context_info: around::associated(Some(AssociationType::HD_IMAGE_DUAL_UPLOAD), key("3EB0AA11", true)),
        ..Message::default()
    })
}

fn hidden() -> IncomingMessage {
    carried(source(LID, LID, None), &conversation("Hello"))
}

fn of_the_past() -> IncomingMessage {
    let mut message = carried(direct(), &conversation("From before"));
    let details = message.details.get_or_insert_default();
    (details.history, details.push_name) = (true, Some("Maria".into()));
    message
}

/// Every example by its heading.
fn examples() -> Vec<(&'static str, IncomingMessage)> {
    vec![
        ("text", carried(direct(), &conversation("Your message here"))),
        ("image", picture()),
        ("video", video()),
        ("audio", sound(false)),
        ("voice", sound(true)),
        ("document", document()),
        ("sticker", sticker()),
        ("location", location()),
        ("live_location", live_location()),
        ("contact", contact()),
        ("reaction", carried(direct(), &reaction("👍"))),
        ("poll", carried(direct(), &poll())),
        ("poll_vote", vote()),
        (
            "edit",
            change(Type::MESSAGE_EDIT, Some(conversation("Your better message"))),
        ),
        ("revoke", change(Type::REVOKE, None)),
        ("buttons_reply", button()),
        ("list_reply", row()),
        ("order", media(catalogue::order())),
        ("product", media(catalogue::product(Some("This one?")))),
        ("unknown", undecryptable_one()),
        ("A reply in a group", in_a_group()),
        ("A reply about a product", media(catalogue::question())),
        ("A hidden number", hidden()),
        ("A picture in HD", in_hd()),
        ("From an advertisement", carried(direct(), &around::from_an_ad())),
        ("A message of a business", carried(direct(), &offers::payment())),
        ("History", of_the_past()),
    ]
}

/// What the inbox adds to a message with a file.
fn link_media(message: &mut IncomingMessage) {
    if let Some(media) = message.media_mut() {
        let name = file_name(media.file_name.as_deref(), &media.mime_type);
        let path = format!("/media/1/0190a7c2-5e4b-7c3d-9f21-6b8d3e5f7a10/{name}");
        media.url = Some(format!(
            "https://wharf.example{path}?expires=1762957380&signature=VGhlIGhhcmJvdXI"
        ));
        media.expires_at = Some(Timestamp::from_seconds(1_762_957_380));
    }
}

/// The block of JSON after a heading, on one line.
fn documented(heading: &str) -> Option<String> {
    let (_, after) = DOCUMENTED.split_once(&format!("\n### {heading}\n"))?;
    let section = after.split("\n### ").next()?;
    let (_, block) = section.split_once("```json\n")?;
    let (block, _) = block.split_once("```")?;
    let value: serde_json::Value = serde_json::from_str(block).ok()?;
    Some(value.to_string())
}

#[test]
fn every_kind_is_documented_as_it_is_sent() {
    let mut wrong = String::new();
    for (heading, mut message) in examples().into_iter().chain(happenings::examples()) {
        link_media(&mut message);
        let sent = payload(&message);
        let written = heading.replace('"', "");
        let heading = match MessageKind::ALL.iter().find(|kind| kind.as_str() == written) {
            Some(kind) => {
                assert_eq!(message.kind, *kind);
                format!("`{written}`")
            }
            None => written,
        };
        if documented(&heading).as_deref() != Some(sent.as_str()) {
            let value: serde_json::Value = serde_json::from_str(&sent).unwrap();
            let pretty = serde_json::to_string_pretty(&value).unwrap();
            wrong += &format!("\n### {heading}\n\n```json\n{pretty}\n```\n");
        }
    }
    assert!(wrong.is_empty(), "docs/EVENTS.md should say:\n{wrong}");
    for kind in MessageKind::ALL {
        assert!(DOCUMENTED.contains(&format!("\n### `{}`\n", kind.as_str())), "{kind:?}");
    }
    for kind in EventKind::ALL {
        assert!(
            DOCUMENTED.contains(&format!("| `{}` |", kind.as_str())),
            "{kind:?} is not in the table"
        );
    }
}
