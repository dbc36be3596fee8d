//! Orders and products.

use serde_json::json;
use whatsapp_rust::waproto::whatsapp::message::{
    OrderMessage, ProductMessage, order_message::OrderStatus, product_message::ProductSnapshot,
};

use super::*;

pub(super) fn order() -> Message {
    Message {
        order_message: MessageField::some(OrderMessage {
            order_id: Some("1234567890".into()),
            item_count: Some(3),
            order_title: Some("Harbour shop".into()),
            total_amount1000: Some(42_900),
            total_currency_code: Some("BRL".into()),
            seller_jid: Some("5511888888888@s.whatsapp.net".into()),
            status: Some(OrderStatus::INQUIRY),
            token: Some("AR6xBKbXZn0Xwmu76Ksyd7rnxI+Rx87HfinVlW4lwXa6JA==".into()),
            ..OrderMessage::default()
        }),
        ..Message::default()
    }
}

pub(super) fn product(body: Option<&str>) -> Message {
    Message {
        product_message: MessageField::some(ProductMessage {
            product: MessageField::some(ProductSnapshot {
                product_id: Some("7654321098765432".into()),
                title: Some("Rope, 10 m".into()),
                description: Some("Hemp, 12 mm".into()),
                currency_code: Some("BRL".into()),
                price_amount1000: Some(42_900),
                retailer_id: Some("ROPE-10".into()),
                url: Some("https://harbour.example/rope".into()),
                product_image_count: Some(2),
                ..ProductSnapshot::default()
            }),
            business_owner_jid: Some("5511888888888@s.whatsapp.net".into()),
            body: body.map(str::to_owned),
            ..ProductMessage::default()
        }),
        ..Message::default()
    }
}

/// What is asked about a product.
pub(super) fn question() -> Message {
    let context = ContextInfo {
        stanza_id: Some("3EB0BB22".into()),
        participant: Some("5511888888888@s.whatsapp.net".into()),
        quoted_message: MessageField::some(product(None)),
        ..ContextInfo::default()
    };
    extended("Do you have it in blue?", context)
}

#[test]
fn what_is_from_a_catalogue_says_whose_that_is() {
    let seller = |jid: &str| {
        let mut message = product(None);
        message.product_message.as_option_mut().unwrap().business_owner_jid = Some(jid.to_owned());
        message
    };
    let hidden = seller("100000087654321@lid");
    assert_eq!(hidden_in(&info(direct()), &hidden), [jid("100000087654321@lid")]);
    let mut around = around();
    let told = carried_with(direct(), &hidden, &around);
    assert_eq!(extras(&told)["product"]["seller"], "100000087654321");
    around.people.know("100000087654321", "5511977776666");
    let told = carried_with(direct(), &hidden, &around);
    assert_eq!(extras(&told)["product"]["seller"], "5511977776666");
    let nobody = carried(direct(), &seller("@"));
    assert_eq!(extras(&nobody)["product"].get("seller"), None);
}

#[test]
fn a_product_without_words_is_told_by_its_title_and_an_empty_one_all_the_same() {
    let mut bare = product(None);
    let told = carried(direct(), &bare);
    assert_eq!((told.kind, told.content.as_str()), (MessageKind::Product, "Rope, 10 m"));
    assert_eq!(extras(&told).get("caption"), None);
    let message = bare.product_message.as_option_mut().unwrap();
    let snapshot = message.product.as_option_mut().unwrap();
    (snapshot.title, snapshot.url) = (Some("t".repeat(1200)), Some("u".repeat(3000)));
    let told = &extras(&carried(direct(), &bare))["product"];
    assert_eq!((&told["title"], told.get("url")), (&json!("t".repeat(1000)), None));
    bare.product_message = MessageField::some(ProductMessage::default());
    let told = carried(direct(), &bare);
    assert_eq!(told.content, "A product");
    assert_eq!(
        extras(&told),
        json!({"push_name": "Maria", "product": {"id": "", "title": ""}})
    );
}

#[test]
fn an_order_says_where_it_stands() {
    for (status, word) in [
        (None, json!(null)),
        (Some(OrderStatus::INQUIRY), json!("inquiry")),
        (Some(OrderStatus::ACCEPTED), json!("accepted")),
        (Some(OrderStatus::DECLINED), json!("declined")),
    ] {
        let order = Message {
            order_message: MessageField::some(OrderMessage {
                status,
                token: Some("x".repeat(3000)),
                ..OrderMessage::default()
            }),
            ..Message::default()
        };
        let order = &extras(&carried(direct(), &order))["order"];
        assert_eq!((&order["status"], order.get("token")), (&word, None));
    }
}

#[test]
fn who_asks_about_a_product_says_which() {
    let quoted = |message: Message| {
        let context = ContextInfo {
            stanza_id: Some("3EB0BB22".into()),
            quoted_message: MessageField::some(message),
            ..ContextInfo::default()
        };
        extras(&carried(direct(), &extended("this?", context)))["reply_to"].clone()
    };
    let (id, title) = ("7654321098765432", "Rope, 10 m");
    let told =
        json!({"message_id": "3EB0BB22", "type": "product", "text": "Look", "product": {"id": id, "title": title}});
    assert_eq!(quoted(product(Some("Look"))), told);
    let wrapped_one = Message {
        ephemeral_message: wrapped(product(Some("Look"))),
        ..Message::default()
    };
    assert_eq!(quoted(wrapped_one), told);
    let unnamed = Message {
        product_message: MessageField::some(ProductMessage::default()),
        ..Message::default()
    };
    assert_eq!(quoted(unnamed).get("product"), None);
    assert_eq!(quoted(order()).get("product"), None);
}
