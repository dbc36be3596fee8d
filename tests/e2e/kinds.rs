//! A phone sends every kind of message; the receiver gets what docs/EVENTS.md says.

use serde_json::{Value, json};
use wharf_support::wait_until;

use super::world::{CONTACT, NUMBER, WITHIN, World};

/// A member of the groups who is neither linked nor the sender.
const THIRD: &str = "5511977776666";
const SEVEN: [&str; 7] = ["client_id", "message_id", "from", "to", "timestamp", "type", "content"];

impl World {
    /// The phone of `from` sends what `body` says; answers the message's id.
    pub async fn phone_sends(&self, from: &str, body: &Value) -> String {
        let url = format!("{}/accounts/{from}/messages", self.network.admin_url());
        let response = outside().post(url).json(body).send().await.unwrap();
        let (status, sent) = (response.status(), response.bytes().await.unwrap());
        let sent: Value = serde_json::from_slice(&sent).unwrap();
        assert_eq!(status, 200, "{body}: {sent}");
        sent["ids"][0].as_str().unwrap().to_owned()
    }

    /// The contact writes to a group until that is told with the group's name: a message waits a second for it, and goes
    /// without where the answer takes longer. Answers how many texts it took.
    pub async fn until_named(&self, group: &str) -> usize {
        let mut texts = 0;
        wait_until("the group's name is told", WITHIN, || {
            texts += 1;
            async {
                let id = self.network.send_text(CONTACT, group, "its name?").await.unwrap();
                let body = self.bodies_of(&[id]).await.remove(0);
                body["group"]["subject"].is_string()
            }
        })
        .await;
        texts
    }

    /// The bodies that the receiver got, once there are as many.
    async fn bodies(&self, count: usize) -> Vec<Value> {
        let requests = self.receiver.wait_for(count, WITHIN).await;
        let read = |body: &[u8]| serde_json::from_slice(body).unwrap();
        requests.iter().map(|request| read(&request.body)).collect()
    }
}

pub fn outside() -> reqwest::Client {
    #[expect(clippy::disallowed_methods, reason = "a client of the test network, not the poster")]
    reqwest::Client::builder().no_proxy().build().unwrap()
}

/// What stands after the seven keys, without `push_name`, which has to be there if anything is.
fn extras(body: &Value) -> Value {
    let mut extras = body.as_object().unwrap().clone();
    for key in SEVEN {
        assert!(extras.shift_remove(key).is_some(), "{key} is missing in {body}");
    }
    if let Some(media) = extras.get_mut("media").and_then(Value::as_object_mut) {
        assert!(media.shift_remove("url").is_some() && media.shift_remove("expires_at").is_some());
    }
    let named = extras.shift_remove("push_name").is_some();
    assert_eq!(named, !extras.is_empty(), "{body}");
    Value::Object(extras)
}

fn media(mime_type: &str, more: Value) -> Value {
    // What "hi" is in SHA-256.
    let sha256 = "8f434346648f6b96df89dda901c5176b10a6d83961dd3c1ac88b59b2dc327aa4";
    let mut media = json!({"mime_type": mime_type, "size": 2, "sha256": sha256});
    media.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    json!({"media": media})
}

/// What the phone is told to send, and the `type`, the `content` and the keys that come of it.
fn plain_kinds() -> Vec<(Value, &'static str, &'static str, Value)> {
    let place = json!({"latitude": -23.5, "longitude": -46.5, "name": "Harbour"});
    let card = json!([{"name": "Paula", "numbers": [{"number": "+5511977776666", "phone_number": THIRD}]}]);
    let written = "BEGIN:VCARD\nVERSION:3.0\nFN:Rui\nORG:Shop;Sales\nitem1.EMAIL:rui@shop.\n example\nEND:VCARD";
    let full_card =
        json!([{"name": "Rui", "numbers": [], "organization": "Shop, Sales", "emails": ["rui@shop.example"]}]);
    let order = json!({"id": "77", "title": "Shop", "item_count": 2, "total": "12.50", "currency": "BRL",
        "seller": NUMBER, "status": "inquiry", "token": "AR6x=="});
    let product = json!({"id": "9", "title": "Rope", "description": "Hemp", "price": "12.50", "currency": "BRL", "seller": NUMBER});
    let captioned = |mut extras: Value, caption: &str| {
        extras["caption"] = caption.into();
        extras
    };
    vec![
        (json!({"text": "plain"}), "text", "plain", json!({})),
        (
            json!({"kind": "image", "data": "aGk=", "mime_type": "image/png", "caption": "look", "width": 4, "height": 3}),
            "image",
            "look",
            captioned(media("image/png", json!({"width": 4, "height": 3})), "look"),
        ),
        (
            json!({"kind": "video", "data": "aGk=", "mime_type": "video/mp4", "seconds": 7}),
            "video",
            "Video",
            media("video/mp4", json!({"seconds": 7})),
        ),
        (
            json!({"kind": "audio", "data": "aGk=", "mime_type": "audio/mpeg", "seconds": 7}),
            "audio",
            "Audio",
            media("audio/mpeg", json!({"seconds": 7})),
        ),
        (
            json!({"kind": "voice", "data": "aGk=", "mime_type": "audio/ogg", "seconds": 7}),
            "voice",
            "Voice message",
            media("audio/ogg", json!({"seconds": 7})),
        ),
        (
            json!({"kind": "document", "data": "aGk=", "mime_type": "application/pdf", "file_name": "a.pdf"}),
            "document",
            "a.pdf",
            media("application/pdf", json!({"file_name": "a.pdf"})),
        ),
        (
            json!({"kind": "sticker", "data": "aGk=", "mime_type": "image/webp"}),
            "sticker",
            "Sticker",
            media("image/webp", json!({})),
        ),
        (
            json!({"kind": "location", "latitude": -23.5, "longitude": -46.5, "name": "Harbour"}),
            "location",
            "Harbour",
            json!({"location": place}),
        ),
        (
            json!({"kind": "live_location", "latitude": 1.5, "longitude": 2.5, "caption": "coming", "sequence": 3}),
            "live_location",
            "coming",
            json!({"location": {"latitude": 1.5, "longitude": 2.5, "sequence": 3}}),
        ),
        (
            json!({"kind": "contact", "name": "Paula", "phone": THIRD}),
            "contact",
            "Paula",
            json!({"contacts": card}),
        ),
        (
            json!({"kind": "contact", "name": "Rui", "vcard": written}),
            "contact",
            "Rui",
            json!({"contacts": full_card}),
        ),
        (
            json!({"kind": "buttons_reply", "id": "yes", "text": "Yes"}),
            "buttons_reply",
            "Yes",
            json!({"buttons_reply": {"id": "yes", "text": "Yes"}}),
        ),
        (
            json!({"kind": "list_reply", "id": "row", "text": "Row"}),
            "list_reply",
            "Row",
            json!({"list_reply": {"id": "row", "title": "Row"}}),
        ),
        (
            json!({"kind": "order", "order_id": "77", "title": "Shop", "item_count": 2, "total_1000": 12_500, "currency": "BRL",
                "token": "AR6x=="}),
            "order",
            "Shop",
            json!({"order": order}),
        ),
        (
            json!({"kind": "product", "product_id": "9", "title": "Rope", "description": "Hemp", "price_1000": 12_500,
                "currency": "BRL", "text": "this one"}),
            "product",
            "this one",
            captioned(json!({"product": product}), "this one"),
        ),
        (
            json!({"kind": "event", "name": "Regatta", "start": 1_800_000_000}),
            "unknown",
            "Regatta",
            json!({
                "event_details": {"starts_at": "2027-01-15T08:00:00.000Z"},
                "unknown": {"reason": "unsupported", "name": "eventMessage"},
            }),
        ),
        (
            json!({"text": "soon gone", "ephemeral": 86_400, "forwarded": true}),
            "text",
            "soon gone",
            json!({"forwarded": true, "ephemeral": true, "ephemeral_seconds": 86_400}),
        ),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_kind_arrives_as_documented() {
    let world = World::start().await;
    let webhook = world.linked("/ok").await;
    world.network.create_account(THIRD).await.unwrap();
    let kinds = plain_kinds();
    let mut ids = Vec::new();
    for (body, ..) in &kinds {
        let mut body = body.clone();
        body["to"] = NUMBER.into();
        ids.push(world.phone_sends(CONTACT, &body).await);
    }
    let bodies = world.bodies(kinds.len()).await;
    for ((body, id), (sent, kind, content, expected)) in bodies.iter().zip(&ids).zip(&kinds) {
        assert_eq!(
            (&body["message_id"], &body["type"]),
            (&json!(id), &json!(kind)),
            "{sent}: {body}"
        );
        assert_eq!(
            (&body["content"], &body["from"]),
            (&json!(content), &json!(CONTACT)),
            "{sent}: {body}"
        );
        assert_eq!(&extras(body), expected, "{sent}: {body}");
    }
    let events = world.api().wait_for_events(&webhook, "delivered", kinds.len()).await;
    let types: Vec<_> = events
        .iter()
        .rev()
        .map(|event| event["message_type"].as_str().unwrap())
        .collect();
    assert_eq!(types, kinds.iter().map(|(_, kind, ..)| *kind).collect::<Vec<_>>());
    assert_eq!(events[0]["payload"], *bodies.last().unwrap());
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_about_a_message_names_it() {
    let world = World::start().await;
    world.linked("/ok").await;
    let send = async |mut body: Value| {
        body["to"] = NUMBER.into();
        world.phone_sends(CONTACT, &body).await
    };
    let first = send(json!({"text": "first", "secret": true})).await;
    let target = json!({"message_id": first});
    send(json!({"text": "again", "reply_to": first})).await;
    let rope = send(json!({"kind": "product", "product_id": "9", "title": "Rope"})).await;
    send(json!({"text": "in blue?", "reply_to": rope})).await;
    send(json!({"kind": "reaction", "message_id": first, "emoji": "👍"})).await;
    send(json!({"kind": "reaction", "message_id": first, "emoji": ""})).await;
    send(json!({"kind": "edit", "message_id": first, "text": "better"})).await;
    send(json!({"kind": "edit", "message_id": first, "text": "sealed", "encrypted": true})).await;
    send(json!({"kind": "revoke", "message_id": first})).await;
    let small = send(json!({"kind": "image", "data": "aGk=", "mime_type": "image/png"})).await;
    send(json!({"kind": "image", "data": "aGk=", "mime_type": "image/png", "hd_of": small})).await;
    let poll =
        send(json!({"kind": "poll", "question": "Lunch?", "options": ["Pizza", "Salad"], "selectable": 1})).await;
    send(json!({"kind": "poll_vote", "message_id": poll, "options": ["Salad"]})).await;
    send(json!({"kind": "poll_vote", "message_id": poll, "options": []})).await;
    let bodies = world.bodies(14).await;
    let mut in_hd = media("image/png", json!({}));
    in_hd["part_of"] = json!({"kind": "hd", "message_id": small});
    let expected = [
        ("text", "first", json!({})),
        (
            "text",
            "again",
            json!({"reply_to": {"message_id": first, "type": "text", "text": "first"}}),
        ),
        (
            "product",
            "Rope",
            json!({"product": {"id": "9", "title": "Rope", "seller": NUMBER}}),
        ),
        (
            "text",
            "in blue?",
            json!({"reply_to": {"message_id": rope, "type": "product", "text": "Rope", "product": {"id": "9", "title": "Rope"}}}),
        ),
        ("reaction", "👍", json!({"target": target, "emoji": "👍"})),
        ("reaction", "", json!({"target": target})),
        ("edit", "better", json!({"target": target})),
        ("edit", "sealed", json!({"target": target})),
        ("revoke", "A message was deleted", json!({"target": target})),
        ("image", "Image", media("image/png", json!({}))),
        ("image", "Image", in_hd),
        (
            "poll",
            "Lunch?",
            json!({"poll": {"question": "Lunch?", "options": ["Pizza", "Salad"], "selectable_count": 1}}),
        ),
        (
            "poll_vote",
            "Salad",
            json!({"target": {"message_id": poll}, "poll_vote": {"options": ["Salad"]}}),
        ),
        (
            "poll_vote",
            "",
            json!({"target": {"message_id": poll}, "poll_vote": {"options": []}}),
        ),
    ];
    for (body, (kind, content, keys)) in bodies.iter().zip(expected) {
        assert_eq!(
            (body["type"].as_str(), body["content"].as_str()),
            (Some(kind), Some(content)),
            "{body}"
        );
        assert_eq!(extras(body), keys, "{body}");
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_vote_is_told_by_name_after_a_restart_and_in_a_group_with_its_name() {
    let mut world = World::start().await;
    world.linked("/ok").await;
    world.network.create_account(THIRD).await.unwrap();
    let members = [NUMBER.to_owned(), THIRD.to_owned()];
    let group = world.network.create_group(CONTACT, "Harbour", &members).await.unwrap();
    let poll = json!({"to": group.id, "kind": "poll", "question": "Lunch?", "options": ["Pizza", "Salad"]});
    world.until_named(&group.id).await;
    let poll = world.phone_sends(CONTACT, &poll).await;
    let asked = world.bodies_of(std::slice::from_ref(&poll)).await.remove(0);
    let shown = json!({"id": group.id, "subject": "Harbour"});
    assert_eq!((&asked["from"], &asked["group"]), (&json!(CONTACT), &shown), "{asked}");

    world.restart_gateway().await;
    world
        .api()
        .wait_for_status("/api/whatsapp/connections/5511888888888", "connected")
        .await;
    let vote = json!({"to": group.id, "kind": "poll_vote", "message_id": poll, "options": ["Pizza"]});
    // A new process has to ask for the name anew.
    world.until_named(&group.id).await;
    let vote = world.phone_sends(THIRD, &vote).await;
    let hello = json!({"to": group.id, "text": "hello", "mentions": [NUMBER], "reply_to": poll});
    let hello = world.phone_sends(THIRD, &hello).await;
    let [vote, hello] = &world.bodies_of(&[vote, hello]).await[..] else {
        panic!("two")
    };
    let target = json!({"message_id": poll, "from": CONTACT});
    assert_eq!(
        (&vote["from"], &vote["content"]),
        (&json!(THIRD), &json!("Pizza")),
        "{vote}"
    );
    let keys = json!({"group": shown, "target": target, "poll_vote": {"options": ["Pizza"]}});
    assert_eq!(extras(vote), keys);
    let answered = json!({"message_id": poll, "from": CONTACT, "type": "poll", "text": "Lunch?"});
    let keys = json!({"group": shown, "reply_to": answered, "mentions": [NUMBER]});
    assert_eq!((&hello["from"], extras(hello)), (&json!(THIRD), keys), "{hello}");
    world.stop().await;
}
