//! Lists and buttons of the messages that businesses wrote before there were flows.

use whatsapp_rust::waproto::whatsapp::{
    HydratedTemplateButton,
    hydrated_template_button::{HydratedButton, HydratedCallButton, HydratedQuickReplyButton, HydratedURLButton},
    message::{
        buttons_message::{Button, button::ButtonText},
        list_message::{Row, Section},
    },
};

use super::*;

/// The names and parameters of flows.
fn flows(keys: &Value) -> Vec<(&str, Value)> {
    let flows = keys["native_flow"].as_array().unwrap().iter();
    let params = |flow: &Value| serde_json::from_str(flow["params"].as_str().unwrap()).unwrap();
    flows
        .map(|flow| (flow["name"].as_str().unwrap(), params(flow)))
        .collect()
}

#[test]
fn buttons_of_older_messages_are_told_as_newer_ones_have_them() {
    let some = |text: &str| Some(text.to_owned());
    let hydrated = |button| HydratedTemplateButton {
        hydrated_button: Some(button),
        ..HydratedTemplateButton::default()
    };
    let of_template = template(TemplateMessage {
        hydrated_template: MessageField::some(HydratedFourRowTemplate {
            hydrated_content_text: some("It is on its way"),
            hydrated_buttons: vec![
                hydrated(HydratedButton::UrlButton(Box::new(HydratedURLButton {
                    display_text: some("Follow it"),
                    url: some("https://shop.example/7"),
                    ..HydratedURLButton::default()
                }))),
                hydrated(HydratedButton::CallButton(Box::new(HydratedCallButton {
                    display_text: some("Call us"),
                    phone_number: some("+5511988888888"),
                }))),
                hydrated(HydratedButton::QuickReplyButton(Box::new(HydratedQuickReplyButton {
                    display_text: some("Thanks"),
                    id: some("thanks"),
                }))),
                HydratedTemplateButton::default(),
            ],
            ..HydratedFourRowTemplate::default()
        }),
        ..TemplateMessage::default()
    });
    let (_, words, keys) = told(&of_template);
    assert_eq!(words, "It is on its way");
    let expected = [
        (
            "cta_url",
            json!({"display_text": "Follow it", "url": "https://shop.example/7"}),
        ),
        (
            "cta_call",
            json!({"display_text": "Call us", "phone_number": "+5511988888888"}),
        ),
        ("quick_reply", json!({"display_text": "Thanks", "id": "thanks"})),
    ];
    assert_eq!(flows(&keys), expected);

    let plain = |text: &str, id: Option<&str>| Button {
        button_id: id.map(str::to_owned),
        button_text: MessageField::some(ButtonText {
            display_text: some(text),
        }),
        ..Button::default()
    };
    let mut plain_buttons = vec![plain("Yes", Some("y")), plain("No", None), Button::default()];
    plain_buttons.extend((0..100).map(|_| plain("Perhaps", None)));
    let buttons = Message {
        buttons_message: MessageField::some(ButtonsMessage {
            buttons: plain_buttons,
            ..ButtonsMessage::default()
        }),
        ..Message::default()
    };
    let (.., keys) = told(&buttons);
    let expected = [
        ("quick_reply", json!({"display_text": "Yes", "id": "y"})),
        ("quick_reply", json!({"display_text": "No"})),
    ];
    assert_eq!((&flows(&keys)[..2], flows(&keys).len()), (&expected[..], 32));
}

#[test]
fn a_list_says_what_can_be_chosen() {
    let row = |title: &str, description: Option<&str>| Row {
        title: Some(title.to_owned()),
        description: description.map(str::to_owned),
        row_id: Some(title.to_lowercase()),
    };
    let list = |rows: Vec<Row>| Message {
        list_message: MessageField::some(ListMessage {
            title: Some("Our days".into()),
            button_text: Some("Days".into()),
            sections: vec![Section {
                title: Some("This week".into()),
                rows,
            }],
            ..ListMessage::default()
        }),
        ..Message::default()
    };
    let (.., keys) = told(&list(vec![row("Monday", Some("From nine")), row("Friday", None)]));
    let rows =
        json!([{"title": "Monday", "description": "From nine", "id": "monday"}, {"title": "Friday", "id": "friday"}]);
    let expected = json!({"title": "Days", "sections": [{"title": "This week", "rows": rows}]});
    assert_eq!(flows(&keys), [("single_select", expected)]);
    let (.., keys) = told(&list(vec![row(&"x".repeat(9000), None)]));
    assert_eq!(keys["native_flow"], json!([{"name": "single_select"}]));
}
