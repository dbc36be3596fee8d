//! Every kind of message from a phone to a device, and what a phone makes of every kind that it receives.

use serde_json::{Value, json};
use waproto::whatsapp::Message;

use crate::admin::request;
use crate::companion::{ANA, BOB, Companion, network, until};

async fn send(network: &wharf_testnet::Network, body: Value) -> String {
    let (status, _, sent) = request(
        network,
        "POST",
        &format!("/accounts/{BOB}/messages"),
        Some(body.clone()),
    )
    .await;
    assert_eq!(status, 200, "{body}: {sent}");
    sent["ids"][0].as_str().unwrap().to_owned()
}

/// What Ana's phone shows of a message.
async fn shown(network: &wharf_testnet::Network, phone: &str, id: &str) -> Value {
    let list = request(network, "GET", &format!("/accounts/{phone}/messages"), None)
        .await
        .2;
    let found = list.as_array().unwrap().iter().find(|one| one["id"] == id);
    found.unwrap_or_else(|| panic!("{phone} has no {id}: {list}")).clone()
}

type Check = fn(&Message) -> bool;

/// A body, and how the message it makes is told.
fn kinds() -> Vec<(&'static str, Value, Check)> {
    let file = json!({ "data": "aGVsbG8=" });
    let with = |kind: &str, more: Value| {
        let mut body = more.as_object().unwrap().clone();
        body.insert("kind".to_owned(), kind.into());
        Value::Object(body)
    };
    vec![
        ("text", with("text", json!({ "text": "hello" })), |m| {
            m.conversation.is_some()
        }),
        (
            "text",
            with(
                "text",
                json!({ "text": "see https://example.org", "preview": { "url": "https://example.org" } }),
            ),
            |m| m.extended_text_message.is_set(),
        ),
        (
            "image",
            with("image", json!({ "data": "aGVsbG8=", "caption": "c" })),
            |m| m.image_message.is_set(),
        ),
        ("video", with("video", json!({ "size": 3000, "gif": true })), |m| {
            m.video_message.is_set()
        }),
        ("video_note", with("video_note", file.clone()), |m| {
            m.ptv_message.is_set()
        }),
        ("audio", with("audio", file.clone()), |m| m.audio_message.is_set()),
        ("voice", with("voice", json!({ "seconds": 2 })), |m| {
            m.audio_message.as_option().unwrap().ptt == Some(true)
        }),
        ("document", with("document", json!({ "file_name": "a.pdf" })), |m| {
            m.document_message.is_set()
        }),
        ("sticker", with("sticker", file), |m| m.sticker_message.is_set()),
        (
            "location",
            with("location", json!({ "latitude": 1.5, "longitude": 2 })),
            |m| m.location_message.is_set(),
        ),
        (
            "live_location",
            with("live_location", json!({ "latitude": 1, "longitude": 2 })),
            |m| m.live_location_message.is_set(),
        ),
        (
            "contact",
            with("contact", json!({ "name": "Eve", "phone": "5511000000001" })),
            |m| m.contact_message.is_set(),
        ),
        (
            "contact",
            with("contact", json!({ "contacts": [{ "name": "Eve" }, { "name": "Max" }] })),
            |m| m.contacts_array_message.is_set(),
        ),
        (
            "poll",
            with("poll", json!({ "question": "Tea?", "options": ["yes", "no"] })),
            |m| m.poll_creation_message.is_set(),
        ),
        (
            "event",
            with("event", json!({ "name": "Party", "start": 1_800_000_000 })),
            |m| m.event_message.is_set(),
        ),
        (
            "buttons_reply",
            with("buttons_reply", json!({ "id": "1", "text": "Yes" })),
            |m| m.buttons_response_message.is_set(),
        ),
        (
            "template_reply",
            with("template_reply", json!({ "id": "1", "text": "Yes" })),
            |m| m.template_button_reply_message.is_set(),
        ),
        (
            "list_reply",
            with("list_reply", json!({ "id": "1", "text": "Row" })),
            |m| m.list_response_message.is_set(),
        ),
        (
            "interactive_reply",
            with("interactive_reply", json!({ "id": "flow", "text": "Yes" })),
            |m| m.interactive_response_message.is_set(),
        ),
        (
            "order",
            with("order", json!({ "order_id": "7", "title": "Cake", "total_1000": 5000 })),
            |m| m.order_message.is_set(),
        ),
        (
            "product",
            with("product", json!({ "product_id": "7", "title": "Cake" })),
            |m| m.product_message.is_set(),
        ),
        // A `Message` whose field 2 is nothing: a conversation of one letter is `0a 01 78`.
        ("text", json!({ "proto": "CgF4" }), |m| {
            m.conversation.as_deref() == Some("x")
        }),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_reaches_a_device_as_what_it_is() {
    let network = network().await;
    let companion = Companion::linked(&network, ANA).await;
    for (kind, mut body, is_it) in kinds() {
        body["to"] = ANA.into();
        let id = send(&network, body.clone()).await;
        let arrived = companion.message(&id).await;
        assert!(is_it(&arrived.message), "{body} arrived as {:?}", arrived.message);
        assert_eq!(shown(&network, ANA, &id).await["kind"], kind, "{body}");
    }
    until("an empty queue", || async {
        (network.stats().await.unacked == 0).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn options_go_with_any_kind() {
    let network = network().await;
    let companion = Companion::linked(&network, ANA).await;
    let first = send(&network, json!({ "to": ANA, "text": "first" })).await;
    let id = send(
        &network,
        json!({
            "to": ANA, "kind": "image", "reply_to": first, "mentions": [ANA], "forwarded": true, "ephemeral": 86_400,
            "push_name": "Bobby", "timestamp": 1_700_000_000,
        }),
    )
    .await;
    let arrived = companion.message(&id).await;
    assert_eq!(arrived.info.push_name, "Bobby");
    assert_eq!(arrived.info.timestamp.timestamp(), 1_700_000_000);
    let context = arrived
        .message
        .image_message
        .as_option()
        .unwrap()
        .context_info
        .as_option()
        .unwrap()
        .clone();
    assert_eq!(context.stanza_id.as_deref(), Some(first.as_str()));
    assert_eq!(
        context.quoted_message.as_option().unwrap().conversation.as_deref(),
        Some("first")
    );
    assert_eq!((context.is_forwarded, context.expiration), (Some(true), Some(86_400)));
    assert_eq!(context.mentioned_jid, [network.create_account(ANA).await.unwrap().lid]);
    let seen = shown(&network, ANA, &id).await;
    assert_eq!(seen["reply_to"], json!({ "id": first, "from": BOB, "text": "first" }));
    assert_eq!((&seen["mentions"], &seen["forwarded"]), (&json!([ANA]), &json!(true)));

    let once = send(&network, json!({ "to": ANA, "kind": "image", "view_once": true })).await;
    companion.message(&once).await;
    assert_eq!(shown(&network, ANA, &once).await["view_once"], true);
}

#[tokio::test(flavor = "multi_thread")]
async fn edits_reactions_votes_and_deletions_are_noted_at_what_they_are_about() {
    let network = network().await;
    let companion = Companion::linked(&network, ANA).await;
    let text = send(&network, json!({ "to": ANA, "text": "helo", "secret": true })).await;
    let edit = send(
        &network,
        json!({ "to": ANA, "kind": "edit", "message_id": text, "text": "hello" }),
    )
    .await;
    assert!(companion.message(&edit).await.message.protocol_message.is_set());
    send(
        &network,
        json!({ "to": ANA, "kind": "edit", "message_id": text, "text": "hello!", "encrypted": true }),
    )
    .await;
    send(
        &network,
        json!({ "to": ANA, "kind": "reaction", "message_id": text, "emoji": "👍" }),
    )
    .await;
    let gone = send(&network, json!({ "to": ANA, "kind": "revoke", "message_id": text })).await;
    companion.message(&gone).await;
    let seen = shown(&network, ANA, &text).await;
    assert_eq!(
        (&seen["edits"], &seen["reactions"], &seen["revoked"]),
        (
            &json!(["hello", "hello!"]),
            &json!([{ "from": BOB, "emoji": "👍" }]),
            &json!(true)
        )
    );

    // A device votes in the phone's poll, and the phone in the device's.
    let poll = send(
        &network,
        json!({ "to": ANA, "kind": "poll", "question": "Tea?", "options": ["yes", "no"] }),
    )
    .await;
    let arrived = companion.message(&poll).await;
    let secret = arrived
        .message
        .message_context_info
        .as_option()
        .unwrap()
        .message_secret
        .clone()
        .unwrap();
    let chat = arrived.info.source.chat.clone();
    companion
        .client
        .polls()
        .vote(chat.clone(), &poll, &chat, &secret, &["yes".to_owned()])
        .await
        .unwrap();
    let vote = until("the vote", || async {
        network
            .messages(BOB)
            .await
            .unwrap()
            .into_iter()
            .find(|one| one.kind == "poll_vote")
    })
    .await;
    assert_eq!(vote.text, "yes");
    let (own, _) = companion
        .client
        .polls()
        .create(
            whatsapp_rust::Jid::pn(BOB),
            "Cake?",
            &["now".to_owned(), "later".to_owned()],
            1,
        )
        .await
        .unwrap();
    until("the poll", || async {
        network
            .messages(BOB)
            .await
            .unwrap()
            .into_iter()
            .find(|one| one.id == own.message_id)
    })
    .await;
    let vote = json!({ "to": ANA, "kind": "poll_vote", "message_id": own.message_id, "options": ["later"] });
    let id = send(&network, vote).await;
    assert!(companion.message(&id).await.message.poll_update_message.is_set());
    assert_eq!(shown(&network, ANA, &id).await["text"], "later");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_spoilt_message_is_asked_for_again_and_a_deaf_phone_asks() {
    let network = network().await;
    let companion = Companion::linked(&network, ANA).await;
    let fault = |kind: &str, phone: &str| json!({ "kind": kind, "phone": phone, "times": 1, "for_ms": 600_000 });
    request(&network, "POST", "/faults", Some(fault("corrupt", ANA))).await;
    let id = send(&network, json!({ "to": ANA, "text": "spoilt on the way" })).await;
    companion.text("spoilt on the way").await;
    let asked = network.receipts(BOB).await.unwrap();
    assert!(asked.iter().any(|one| one.id == id && one.kind == "retry"), "{asked:?}");

    request(&network, "POST", "/faults", Some(fault("deaf", BOB))).await;
    companion.send(BOB, "say that again").await;
    until("the text", || async {
        network
            .messages(BOB)
            .await
            .unwrap()
            .into_iter()
            .find(|one| one.text == "say that again")
    })
    .await;
}
