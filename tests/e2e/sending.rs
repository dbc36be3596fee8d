//! What goes out, seen from the phones that it reaches.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use wharf_support::wait_until;
use wharf_testnet::ReceivedMessage;

use super::{
    attachments::samples::voice,
    world::{Api, CONTACT, NUMBER, WITHIN, World},
};

/// A member of the groups who is neither linked nor writes first.
const THIRD: &str = "5511977776666";
const NOBODY: &str = "5511000000000";
const HERE: &str = "/api/whatsapp/connections/5511888888888";

/// Sends without waiting for the pace of one message a second: each of these tests stays within the burst or says so.
async fn send(api: &Api, to: &str, mut body: Value) -> Value {
    body["to"] = to.into();
    let sent = api.post(&format!("{HERE}/messages"), body).await;
    assert!(matches!(sent.status.as_u16(), 201 | 202), "{}", sent.body);
    sent.body
}

/// What the phone of `phone` received under this id, as JSON.
async fn received(world: &World, phone: &str, id: &str) -> Value {
    let message: ReceivedMessage = wait_until("it arrives", WITHIN, || async {
        let messages = world.network.messages(phone).await.unwrap();
        messages.into_iter().find(|message| message.id == id)
    })
    .await;
    serde_json::to_value(message).unwrap()
}

async fn id_of(world: &World, phone: &str, body: Value) -> (String, Value) {
    let sent = send(world.api(), phone, body).await;
    let id = sent["message_id"].as_str().unwrap().to_owned();
    let shown = received(world, phone, &id).await;
    (id, shown)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_kind_reaches_the_contacts_phone() {
    let world = World::start_with(&[("WHARF_SENDING__PER_SECOND", "0")]).await;
    world.linked("/ok").await;
    let theirs = world.text("how are you?").await;
    let (first, text) = id_of(
        &world,
        CONTACT,
        json!({"type": "text", "text": "fine", "reply_to": {"message_id": theirs, "text": "how are you?"}}),
    )
    .await;
    assert_eq!(text["text"], "fine");
    assert_eq!(text["reply_to"]["id"], theirs, "{text}");
    let preview = json!({"type": "text", "text": "see https://example.com/a", "mentions": [CONTACT],
        "link_preview": {"url": "https://example.com/a", "title": "A page"}});
    let (_, linked) = id_of(&world, CONTACT, preview).await;
    assert_eq!(
        (&linked["kind"], &linked["text"]),
        (&json!("text"), &json!("see https://example.com/a"))
    );
    assert_eq!(linked["mentions"], json!([CONTACT]), "{linked}");
    let place = json!({"type": "location", "latitude": -23.5, "longitude": -46.25, "name": "Harbour"});
    let (_, place) = id_of(&world, CONTACT, place).await;
    assert_eq!(
        (&place["kind"], &place["content"]["latitude"]),
        (&json!("location"), &json!(-23.5)),
        "{place}"
    );
    let card = json!({"type": "contact", "contacts": [{"name": "Paula", "phone_number": THIRD}]});
    let (_, card) = id_of(&world, CONTACT, card).await;
    assert_eq!(card["kind"], "contact", "{card}");
    assert!(card["content"].to_string().contains("Paula"), "{card}");
    let poll = json!({"type": "poll", "poll": {"question": "Lunch?", "options": ["yes", "no"]}});
    let (_, poll) = id_of(&world, CONTACT, poll).await;
    assert_eq!(poll["kind"], "poll", "{poll}");
    let (_, forwarded) = id_of(&world, CONTACT, json!({"type": "forward", "message_id": first})).await;
    assert_eq!(
        (&forwarded["text"], &forwarded["forwarded"]),
        (&json!("fine"), &json!(true)),
        "{forwarded}"
    );

    send(
        world.api(),
        CONTACT,
        json!({"type": "edit", "target": {"message_id": first}, "text": "very well"}),
    )
    .await;
    wait_until("it is changed", WITHIN, || async {
        received(&world, CONTACT, &first).await["edits"] == json!(["very well"])
    })
    .await;
    send(
        world.api(),
        CONTACT,
        json!({"type": "revoke", "target": {"message_id": first}}),
    )
    .await;
    wait_until("it is deleted", WITHIN, || async {
        received(&world, CONTACT, &first).await["revoked"] == json!(true)
    })
    .await;
    let reaction = json!({"type": "reaction", "emoji": "👍", "target": {"message_id": theirs}});
    let reaction = send(world.api(), CONTACT, reaction).await;
    let reaction = received(&world, CONTACT, reaction["message_id"].as_str().unwrap()).await;
    assert_eq!(
        (&reaction["kind"], &reaction["target"]),
        (&json!("reaction"), &json!(theirs)),
        "{reaction}"
    );
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_vote_in_our_poll_is_told_by_name() {
    let world = World::start().await;
    let webhook = world.linked("/ok").await;
    let poll = json!({"type": "poll", "poll": {"question": "Lunch?", "options": ["yes", "no"]}});
    let (id, _) = id_of(&world, CONTACT, poll).await;
    world
        .phone_sends(
            CONTACT,
            &json!({"to": NUMBER, "kind": "poll_vote", "message_id": id, "options": ["no"]}),
        )
        .await;
    let event = world.api().wait_for_events(&webhook, "delivered", 1).await.remove(0);
    assert_eq!(event["payload"]["poll_vote"], json!({"options": ["no"]}), "{event}");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_vote_of_the_own_phone_in_somebodys_poll_is_told_by_name() {
    let world = World::start().await;
    let webhook = world.linked("/ok").await;
    let path = format!("/api/webhooks/{webhook}");
    let wanted = world
        .api()
        .patch(&path, json!({"events": ["message", "message.sent"]}))
        .await;
    wanted.expect(StatusCode::OK);
    let poll = json!({"to": NUMBER, "kind": "poll", "question": "Lunch?", "options": ["yes", "no"]});
    let id = world.phone_sends(CONTACT, &poll).await;
    world.api().wait_for_events(&webhook, "delivered", 1).await;
    let vote = json!({"to": CONTACT, "kind": "poll_vote", "message_id": id, "options": ["no"]});
    world.phone_sends(NUMBER, &vote).await;
    let event = world.api().wait_for_events(&webhook, "delivered", 2).await.remove(0);
    assert_eq!(
        (&event["payload"]["poll_vote"], &event["from"]),
        (&json!({"options": ["no"]}), &json!(NUMBER)),
        "{event}"
    );
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn receipts_move_the_row() {
    let world = World::start().await;
    world.linked("/ok").await;
    let (id, _) = id_of(&world, CONTACT, json!({"type": "text", "text": "hello"})).await;
    let path = format!("{HERE}/messages/{id}");
    let delivered = world.api().wait_for_status(&path, "delivered").await;
    assert!(
        delivered["sent_at"].is_string() && delivered["delivered_at"].is_string(),
        "{delivered}"
    );
    for (kind, moment) in [("read", "read_at"), ("played", "played_at")] {
        world
            .network
            .send_receipts(CONTACT, kind, std::slice::from_ref(&id))
            .await
            .unwrap();
        let now = world.api().wait_for_status(&path, kind).await;
        assert!(now[moment].is_string(), "{now}");
    }
    let listed = world.api().get(&format!("{HERE}/messages?status=played")).await;
    assert_eq!(listed.expect(StatusCode::OK)["data"][0]["message_id"], json!(id));
    for (chat, found) in [(CONTACT, json!(id)), (THIRD, Value::Null)] {
        let listed = world.api().get(&format!("{HERE}/messages?chat={chat}")).await;
        assert_eq!(listed.expect(StatusCode::OK)["data"][0]["message_id"], found, "{chat}");
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn numbers_are_looked_up_and_nobody_is_refused() {
    let world = World::start().await;
    world.linked("/ok").await;
    let checked = world
        .api()
        .get(&format!("{HERE}/contacts/check?numbers={CONTACT},{NOBODY}"))
        .await;
    let checked = checked.expect(StatusCode::OK);
    assert_eq!(
        (&checked["data"][0]["exists"], &checked["data"][1]["exists"]),
        (&json!(true), &json!(false)),
        "{checked}"
    );
    let body = json!({"to": NOBODY, "type": "text", "text": "x"});
    for _ in 0..2 {
        let refused = world.api().post(&format!("{HERE}/messages"), body.clone()).await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", refused.body);
    }
    let failed = world
        .api()
        .get(&format!("{HERE}/messages?status=failed"))
        .await
        .expect(StatusCode::OK);
    assert_eq!(failed["data"][0]["error_code"], "not_on_whatsapp");
    assert_eq!(failed["data"].as_array().unwrap().len(), 2);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_read_is_told_to_its_writer() {
    let world = World::start().await;
    let webhook = world.linked("/ok").await;
    let id = world.text("read me").await;
    world.api().wait_for_events(&webhook, "delivered", 1).await;
    let body = json!({"from": CONTACT, "message_ids": [id]});
    let read = world.api().post(&format!("{HERE}/read"), body).await;
    assert_eq!(read.status, StatusCode::NO_CONTENT, "{}", read.body);
    wait_until("the receipt", WITHIN, || async {
        let receipts = world.network.receipts(CONTACT).await.unwrap();
        receipts
            .iter()
            .any(|receipt| receipt.id == id && receipt.kind == "read")
    })
    .await;
    let typing = world
        .api()
        .post(&format!("{HERE}/presence"), json!({"to": CONTACT, "state": "typing"}))
        .await;
    assert_eq!(typing.status, StatusCode::NO_CONTENT, "{}", typing.body);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_gets_a_message_sees_it_being_typed_before() {
    let world = World::start().await;
    world.linked("/ok").await;
    let api = world.api();
    let text = json!({"type": "text", "text": "well", "typing_seconds": 1});
    let note = json!({"base64": BASE64_STANDARD.encode(voice())});
    let note = json!({"type": "voice", "media": note, "typing_seconds": 1});
    let mut states = Vec::new();
    for (body, state) in [(text, "composing"), (note, "recording")] {
        let sent = send(api, CONTACT, body).await;
        received(&world, CONTACT, sent["message_id"].as_str().unwrap()).await;
        states.push(state);
        let seen = world.network.presence(CONTACT).await.unwrap();
        assert!(seen.iter().map(|one| &one.state).eq(&states), "{seen:?}");
    }
    world.stop().await;
}

/// Also what waited at WhatsApp while nobody was there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_number_that_marks_what_comes_in_needs_nobody_to_read() {
    let mut world = World::start().await;
    let webhook = world.linked("/ok").await;
    let unread = world.text("unread").await;
    world.api().wait_for_events(&webhook, "delivered", 1).await;
    let set = world.api().patch(HERE, json!({"mark_read": true})).await;
    assert_eq!(set.expect(StatusCode::OK)["mark_read"], json!(true));
    let here = world.text("while it is here").await;
    let is_read = async |world: &World, id: &str| {
        let receipts = world.network.receipts(CONTACT).await.unwrap();
        receipts
            .iter()
            .any(|receipt| receipt.id == id && receipt.kind == "read")
    };
    wait_until("the receipt", WITHIN, || is_read(&world, &here)).await;
    world.stop_gateway().await;
    let away = world.text("while it is away").await;
    world.start_gateway().await;
    wait_until("the other one", WITHIN, || is_read(&world, &away)).await;
    assert!(!is_read(&world, &unread).await);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn groups_are_made_written_to_changed_and_left() {
    let world = World::start().await;
    world.linked("/ok").await;
    world.network.create_account(THIRD).await.unwrap();
    let api = world.api();
    let made = api
        .post(
            &format!("{HERE}/groups"),
            json!({"subject": "Friends", "participants": [CONTACT]}),
        )
        .await;
    let made = made.expect(StatusCode::CREATED);
    let group = made["id"].as_str().unwrap().to_owned();
    assert_eq!(
        (&made["subject"], made["participants"].as_array().unwrap().len()),
        (&json!("Friends"), 2),
        "{made}"
    );
    let path = format!("{HERE}/groups/{group}");
    let added = api
        .post(
            &format!("{path}/participants"),
            json!({"add": [THIRD], "promote": [CONTACT]}),
        )
        .await;
    let added = added.expect(StatusCode::OK);
    assert!(
        added["data"]
            .as_array()
            .unwrap()
            .iter()
            .all(|change| change["ok"] == true),
        "{added}"
    );
    let seen = api.get(&path).await.expect(StatusCode::OK);
    let role = |phone: &str| {
        let people = seen["participants"].as_array().unwrap();
        let person = people.iter().find(|person| person["phone_number"] == phone);
        person.map(|person| person["role"].clone())
    };
    assert_eq!(
        (role(THIRD), role(CONTACT)),
        (Some(json!("member")), Some(json!("admin"))),
        "{seen}"
    );
    let text = json!({"type": "text", "text": format!("hello @{CONTACT}"), "mentions": [CONTACT]});
    let sent = send(api, &group, text).await;
    let id = sent["message_id"].as_str().unwrap();
    for phone in [CONTACT, THIRD] {
        let seen = received(&world, phone, id).await;
        assert!(seen["text"].as_str().unwrap().starts_with("hello @"), "{seen}");
        assert_eq!(
            (&seen["mentions"], &seen["group"]),
            (&json!([CONTACT]), &json!(group)),
            "{seen}"
        );
    }
    api.wait_for_status(&format!("{HERE}/messages/{id}"), "delivered").await;
    let listed = api.get(&format!("{HERE}/groups")).await.expect(StatusCode::OK);
    assert_eq!(listed["data"][0]["id"], json!(group));
    let left = api.post(&format!("{path}/leave"), json!({})).await;
    assert_eq!(left.status, StatusCode::NO_CONTENT, "{}", left.body);
    let again = api.post(&format!("{path}/leave"), json!({})).await;
    for gone in [api.call(Method::GET, &path).await, again] {
        assert!(
            matches!(gone.status.as_u16(), 404 | 422),
            "{}: {}",
            gone.status,
            gone.body
        );
    }
    world.stop().await;
}

/// WhatsApp refuses who writes to somebody that it protects, and does not show the token that they gave.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_of_trust_is_shown_and_outlives_a_restart() {
    let mut world = World::start_with(&[("WHARF_SENDING__PER_SECOND", "0")]).await;
    let webhook = world.linked("/ok").await;
    let wary = json!({"kind": "wary", "phone": CONTACT, "for_ms": 600_000});
    world
        .network
        .fault(serde_json::from_value(wary).unwrap())
        .await
        .unwrap();
    let body = json!({"to": CONTACT, "type": "text", "text": "Good morning"});
    let path = format!("{HERE}/messages");
    let refused = world.api().post(&path, body.clone()).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", refused.body);

    // The token comes just before the message.
    world.text("write to me").await;
    world.api().wait_for_events(&webhook, "delivered", 1).await;
    let taken = async |world: &World| {
        wait_until("a message is taken", WITHIN, || async {
            world.api().post(&path, body.clone()).await.status == StatusCode::CREATED
        })
        .await;
    };
    taken(&world).await;
    world.restart_gateway().await;
    world.api().wait_for_status(HERE, "connected").await;
    taken(&world).await;
    world.stop().await;
}
