//! What businesses write, invitations, and what is done to messages.

mod older;

use serde_json::{Value, json};
use whatsapp_rust::waproto::whatsapp::{
    KeepType,
    message::{
        ButtonsMessage, DocumentMessage, EventMessage, GroupInviteMessage, HighlyStructuredMessage, ImageMessage,
        InteractiveMessage, KeepInChatMessage, ListMessage, LocationMessage, PinInChatMessage, TemplateMessage,
        VideoMessage,
        buttons_message::Header,
        interactive_message::{
            self, Body as Text, CarouselMessage, InteractiveMessage as Part, NativeFlowMessage, header,
            native_flow_message::NativeFlowButton,
        },
        pin_in_chat_message,
        template_message::{
            Format, FourRowTemplate, HydratedFourRowTemplate, four_row_template, hydrated_four_row_template,
        },
    },
};

use super::{examples::key, *};

/// The name, the words and the keys but the sender's name.
fn told(message: &Message) -> (String, String, Value) {
    let told = carried(direct(), message);
    assert_eq!(told.kind, MessageKind::Unknown);
    let mut extras = extras(&told);
    let keys = extras.as_object_mut().unwrap();
    keys.shift_remove("push_name");
    let unknown = keys.shift_remove("unknown").unwrap();
    assert_eq!(unknown["reason"], "unsupported");
    (unknown["name"].as_str().unwrap().to_owned(), told.content, extras)
}

fn template(template: TemplateMessage) -> Message {
    Message {
        template_message: MessageField::some(template),
        ..Message::default()
    }
}

fn interactive(interactive: InteractiveMessage) -> Message {
    Message {
        interactive_message: MessageField::some(interactive),
        ..Message::default()
    }
}

fn rows(text: &str, title: hydrated_four_row_template::Title) -> HydratedFourRowTemplate {
    HydratedFourRowTemplate {
        hydrated_content_text: Some(text.into()),
        title: Some(title),
        ..HydratedFourRowTemplate::default()
    }
}

fn body(text: &str) -> MessageField<Text> {
    MessageField::some(Text {
        text: Some(text.into()),
    })
}

fn document() -> DocumentMessage {
    DocumentMessage {
        mimetype: Some("application/pdf".into()),
        file_name: Some("invoice.pdf".into()),
        direct_path: Some("/v/t62".into()),
        media_key: Some(vec![7; 32]),
        file_enc_sha256: Some(vec![8; 32]),
        file_sha256: Some(vec![9; 32]),
        ..DocumentMessage::default()
    }
}

#[test]
fn a_template_is_read_in_each_of_its_forms() {
    use hydrated_four_row_template::Title;
    let formed = |format| {
        template(TemplateMessage {
            format: Some(format),
            ..TemplateMessage::default()
        })
    };
    let titled = || rows("", Title::HydratedTitleText("Your order".into()));
    let hydrated = TemplateMessage {
        hydrated_template: MessageField::some(rows("It is on its way", Title::HydratedTitleText("Order".into()))),
        ..TemplateMessage::default()
    };
    let asked = InteractiveMessage {
        body: body("Which day?"),
        ..InteractiveMessage::default()
    };
    let structured = Message {
        highly_structured_message: MessageField::some(HighlyStructuredMessage {
            hydrated_hsm: MessageField::some(hydrated.clone()),
            ..HighlyStructuredMessage::default()
        }),
        ..Message::default()
    };
    for (message, words) in [
        (template(hydrated), "It is on its way"),
        (
            formed(Format::HydratedFourRowTemplate(Box::new(titled()))),
            "Your order",
        ),
        (
            formed(Format::InteractiveMessageTemplate(Box::new(asked))),
            "Which day?",
        ),
        (
            formed(Format::FourRowTemplate(Box::default())),
            "A message with buttons",
        ),
        (structured, "It is on its way"),
    ] {
        assert_eq!(told(&message).1, words);
    }
}

#[test]
fn what_stands_above_the_words_of_a_business_is_a_file() {
    let image = || Box::new(ImageMessage::default());
    let film = || Box::new(VideoMessage::default());
    let of_rows = |title| {
        template(TemplateMessage {
            hydrated_template: MessageField::some(rows("Look", title)),
            ..TemplateMessage::default()
        })
    };
    let four_rows = FourRowTemplate {
        title: Some(four_row_template::Title::ImageMessage(image())),
        ..FourRowTemplate::default()
    };
    let buttons = Message {
        buttons_message: MessageField::some(ButtonsMessage {
            content_text: Some("Look".into()),
            header: Some(Header::ImageMessage(image())),
            ..ButtonsMessage::default()
        }),
        ..Message::default()
    };
    let headed = interactive(InteractiveMessage {
        header: MessageField::some(interactive_message::Header {
            media: Some(header::Media::VideoMessage(film())),
            ..interactive_message::Header::default()
        }),
        body: body("Look"),
        ..InteractiveMessage::default()
    });
    let four_rows = template(TemplateMessage {
        format: Some(Format::FourRowTemplate(Box::new(four_rows))),
        ..TemplateMessage::default()
    });
    for message in [
        of_rows(hydrated_four_row_template::Title::ImageMessage(image())),
        of_rows(hydrated_four_row_template::Title::VideoMessage(film())),
        four_rows,
        buttons,
        headed,
    ] {
        assert!(told(&message).2["media"].is_object(), "{message:?}");
    }
    let invoice = of_rows(hydrated_four_row_template::Title::DocumentMessage(Box::new(document())));
    let message = carried(direct(), &invoice);
    assert_eq!(message.content, "Look");
    let media = message.media().unwrap();
    assert_eq!(media.file_name.as_deref(), Some("invoice.pdf"));
    assert_eq!(
        media.reference.as_ref().unwrap().direct_path,
        "/v/t62",
        "it is downloaded"
    );
}

pub(super) fn payment() -> Message {
    let params = r#"{"currency":"BRL","total_amount":{"value":4290,"offset":100},"payment_settings":[{"type":"pix_static_code","pix_static_code":{"merchant_name":"Harbour shop","key":"shop@harbour.example","key_type":"EMAIL"}}]}"#;
    interactive(InteractiveMessage {
        interactive_message: Some(flow(vec![button("payment_info", params)])),
        ..InteractiveMessage::default()
    })
}

fn button(name: &str, params: &str) -> NativeFlowButton {
    NativeFlowButton {
        name: Some(name.into()),
        button_params_json: Some(params.into()),
    }
}

fn flow(buttons: Vec<NativeFlowButton>) -> Part {
    Part::NativeFlowMessage(Box::new(NativeFlowMessage {
        buttons,
        ..NativeFlowMessage::default()
    }))
}

#[test]
fn buttons_that_lead_somewhere_say_where() {
    let (name, words, keys) = told(&payment());
    assert_eq!(
        (name.as_str(), words.as_str()),
        ("interactiveMessage", "A message with buttons")
    );
    let [flow_told] = keys["native_flow"].as_array().unwrap().as_slice() else {
        panic!("one: {keys}")
    };
    assert_eq!(flow_told["name"], "payment_info");
    let params: Value = serde_json::from_str(flow_told["params"].as_str().unwrap()).unwrap();
    assert_eq!(
        params["payment_settings"][0]["pix_static_code"]["key"],
        "shop@harbour.example"
    );

    let card = |text: &str| InteractiveMessage {
        body: body(text),
        interactive_message: Some(flow(vec![button("cta_url", text)])),
        ..InteractiveMessage::default()
    };
    let carousel = interactive(InteractiveMessage {
        interactive_message: Some(Part::CarouselMessage(Box::new(CarouselMessage {
            cards: vec![card("one"), card("two")],
            ..CarouselMessage::default()
        }))),
        ..InteractiveMessage::default()
    });
    let (_, words, keys) = told(&carousel);
    assert_eq!(words, "one\ntwo");
    let flows = json!([{"name": "cta_url", "params": "one"}, {"name": "cta_url", "params": "two"}]);
    assert_eq!(keys["native_flow"], flows);
}

#[test]
fn no_more_of_buttons_is_told_than_apps_show() {
    let mut buttons = vec![
        button("a", &"x".repeat(10_000)),
        button(&"n".repeat(1000), "x"),
        button("", "x"),
    ];
    buttons.extend((0..10_000).map(|n| button("b", &n.to_string())));
    let many = interactive(InteractiveMessage {
        interactive_message: Some(flow(buttons)),
        ..InteractiveMessage::default()
    });
    let (.., keys) = told(&many);
    let flows = keys["native_flow"].as_array().unwrap();
    assert_eq!(
        (flows.len(), &flows[0], &flows[31]["params"]),
        (32, &json!({"name": "a"}), &json!("30"))
    );
}

#[test]
fn a_list_without_a_description_has_its_title() {
    let list = |description: &str| Message {
        list_message: MessageField::some(ListMessage {
            title: Some("Our days".into()),
            description: Some(description.into()),
            ..ListMessage::default()
        }),
        ..Message::default()
    };
    assert_eq!(told(&list("")).1, "Our days");
    assert_eq!(told(&list("Pick one")).1, "Pick one");
}

#[test]
fn an_invitation_says_to_which_group() {
    let invite = |expiration| Message {
        group_invite_message: MessageField::some(GroupInviteMessage {
            group_jid: Some(GROUP.into()),
            invite_code: Some("ABCDEF".into()),
            invite_expiration: Some(expiration),
            group_name: Some("Harbour".into()),
            caption: Some("Join us".into()),
            ..GroupInviteMessage::default()
        }),
        ..Message::default()
    };
    let (name, words, keys) = told(&invite(1_762_957_380));
    assert_eq!((name.as_str(), words.as_str()), ("groupInviteMessage", "Join us"));
    let expected = json!({"id": GROUP, "code": "ABCDEF", "expires_at": "2025-11-12T14:23:00.000Z", "name": "Harbour"});
    assert_eq!(keys["group_invite"], expected);
    for strange in [0, -1, i64::MIN] {
        assert_eq!(told(&invite(strange)).2["group_invite"].get("expires_at"), None);
    }
    let latest = &told(&invite(i64::MAX)).2["group_invite"]["expires_at"];
    assert_eq!(latest, "9999-12-31T23:59:59.999Z");
}

#[test]
fn an_event_says_when_and_where() {
    let event = Message {
        event_message: MessageField::some(EventMessage {
            name: Some("Regatta".into()),
            description: Some("Bring a hat".into()),
            start_time: Some(1_762_957_380),
            end_time: Some(1_762_964_580),
            join_link: Some("https://call.whatsapp.com/video/abc".into()),
            location: MessageField::some(LocationMessage {
                degrees_latitude: Some(-23.5),
                degrees_longitude: Some(-46.5),
                name: Some("Old harbour".into()),
                ..LocationMessage::default()
            }),
            is_canceled: Some(true),
            ..EventMessage::default()
        }),
        ..Message::default()
    };
    let (_, words, keys) = told(&event);
    assert_eq!(words, "Regatta");
    let expected = json!({
        "description": "Bring a hat",
        "starts_at": "2025-11-12T14:23:00.000Z",
        "ends_at": "2025-11-12T16:23:00.000Z",
        "location": {"latitude": -23.5, "longitude": -46.5, "name": "Old harbour"},
        "link": "https://call.whatsapp.com/video/abc",
        "canceled": true,
    });
    assert_eq!(keys["event_details"], expected);
}

#[test]
fn what_is_pinned_or_kept_is_told_from_what_is_let_go() {
    use pin_in_chat_message::Type;
    let pin = |r#type| Message {
        pin_in_chat_message: MessageField::some(PinInChatMessage {
            key: key("3EB0AA11", true),
            r#type,
            ..PinInChatMessage::default()
        }),
        ..Message::default()
    };
    let keep = |keep_type| Message {
        keep_in_chat_message: MessageField::some(KeepInChatMessage {
            key: key("3EB0AA11", true),
            keep_type,
            ..KeepInChatMessage::default()
        }),
        ..Message::default()
    };
    let target = json!({"message_id": "3EB0AA11"});
    for (message, words, keys) in [
        (
            pin(Some(Type::PIN_FOR_ALL)),
            "A message was pinned",
            json!({"target": target, "pinned": true}),
        ),
        (
            pin(Some(Type::UNPIN_FOR_ALL)),
            "A message was unpinned",
            json!({"target": target, "pinned": false}),
        ),
        (pin(None), "A message was pinned or unpinned", json!({"target": target})),
        (
            keep(Some(KeepType::KEEP_FOR_ALL)),
            "A disappearing message was kept",
            json!({"target": target, "kept": true}),
        ),
        (
            keep(Some(KeepType::UNDO_KEEP_FOR_ALL)),
            "A disappearing message was let go",
            json!({"target": target, "kept": false}),
        ),
        (
            keep(None),
            "A disappearing message was kept or let go",
            json!({"target": target}),
        ),
    ] {
        let (_, content, told) = told(&message);
        assert_eq!((content.as_str(), told), (words, keys));
    }
}
