//! Status updates (WhatsApp's stories): posted, seen and taken back; told to whoever asks for them, and to nobody else.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use wharf_support::wait_until;
use wharf_testnet::ReceivedMessage;

use super::{
    attachments::samples::png,
    world::{CONTACT, NUMBER, WITHIN, World},
};

const MESSAGES: &str = "/api/whatsapp/connections/5511888888888/messages";
const READ: &str = "/api/whatsapp/connections/5511888888888/read";
const STATUS: &str = "status@broadcast";
/// Somebody else.
const EVE: &str = "5511777777777";
/// A number that nobody has.
const NOBODY: &str = "5511000000000";

impl World {
    async fn wants_of(&self, number: &str, path: &str, events: Value) -> String {
        let webhook = self.webhook(number, path).await;
        let changed = self
            .api()
            .patch(&format!("/api/webhooks/{webhook}"), json!({"events": events}))
            .await;
        changed.expect(StatusCode::OK);
        webhook
    }

    async fn posts(&self, body: Value) -> String {
        let mut body = body;
        body["to"] = STATUS.into();
        let sent = self.api().post(MESSAGES, body).await.expect(StatusCode::CREATED);
        assert_eq!(sent["to"], STATUS);
        sent["message_id"].as_str().unwrap().to_owned()
    }

    /// The status update on somebody's phone, once it is there.
    async fn seen(&self, phone: &str, id: &str) -> ReceivedMessage {
        wait_until("the phone has it", WITHIN, || async {
            let all = self.network.messages(phone).await.unwrap();
            all.into_iter().find(|message| message.id == id)
        })
        .await
    }
}

fn group_of(message: &ReceivedMessage) -> Option<&str> {
    message.details.as_ref()?.group.as_deref()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_status_update_is_posted_seen_and_taken_back_by_those_who_were_named() {
    let world = World::start().await;
    world.network.create_account(CONTACT).await.unwrap();
    world.network.create_account(EVE).await.unwrap();
    let webhook = world.wants_of(NUMBER, "/ok", json!(["message.status"])).await;
    world.link(NUMBER).await;
    let text = json!({
        "type": "text", "text": "open until eight", "recipients": [CONTACT, NOBODY],
        "background_color": "#1e6e4f", "font": 8,
    });
    let first = world.posts(text.clone()).await;
    let seen = world.seen(CONTACT, &first).await;
    assert_eq!(
        (seen.text.as_str(), group_of(&seen)),
        ("open until eight", Some(STATUS))
    );
    // What says who can read it is theirs by now.
    let picture = json!({"base64": BASE64_STANDARD.encode(png(4, 4))});
    let image = json!({"type": "image", "media": picture, "caption": "look", "recipients": [CONTACT]});
    let second = world.posts(image).await;
    let seen = world.seen(CONTACT, &second).await;
    assert_eq!((&*seen.kind, seen.text.as_str()), ("image", "look"));
    assert_eq!(seen.details.unwrap().media.unwrap().intact, Some(true));
    // And somebody new gets it with the next one.
    let third = world
        .posts(json!({"type": "text", "text": "for two", "recipients": [EVE, CONTACT]}))
        .await;
    world.seen(EVE, &third).await;
    world.seen(CONTACT, &third).await;
    let eves = world.network.messages(EVE).await.unwrap();
    assert_eq!(eves.len(), 1, "{eves:?}");

    let shown = format!("{MESSAGES}/{first}");
    let row = world.api().wait_for_status(&shown, "delivered").await;
    assert_eq!(row["message"]["recipients"], json!([CONTACT, NOBODY]));
    assert_eq!(row["message"]["background_color"], "#1E6E4F");
    world
        .network
        .send_receipts(CONTACT, "read", std::slice::from_ref(&first))
        .await
        .unwrap();
    world.api().wait_for_status(&shown, "read").await;
    let told = wait_until("it is told who has seen it", WITHIN, || async {
        let told = world.api().events(&webhook).await;
        let of_first = |event: &&Value| event["message_id"] == *first;
        told.iter().any(|event| event["payload"]["type"] == "read").then(|| {
            let steps = told.iter().rev().filter(of_first);
            steps.map(|event| event["payload"].clone()).collect::<Vec<_>>()
        })
    })
    .await;
    let steps: Vec<_> = told
        .iter()
        .map(|body| (body["type"].as_str().unwrap(), body["participant"].as_str()))
        .collect();
    assert_eq!(
        steps,
        [("sent", None), ("delivered", Some(CONTACT)), ("read", Some(CONTACT))]
    );
    assert!(told.iter().all(|body| body["to"] == STATUS), "{told:?}");

    let revoke = json!({"to": STATUS, "type": "revoke", "target": {"message_id": third}});
    let again = |key: &'static str| {
        let request = world.api().request(Method::POST, MESSAGES);
        let request = request.header("idempotency-key", key).json(&revoke);
        async { world.api().send(request).await.expect(StatusCode::CREATED) }
    };
    assert_eq!(again("k").await, again("k").await);
    for phone in [CONTACT, EVE] {
        wait_until("it is gone", WITHIN, || async {
            let posted = world.seen(phone, &third).await;
            posted.details.is_some_and(|details| details.revoked).then_some(())
        })
        .await;
    }
    let elsewhere = json!({"to": CONTACT, "type": "revoke", "target": {"message_id": third}});
    let refused = world.api().post(MESSAGES, elsewhere).await;
    refused.expect(StatusCode::UNPROCESSABLE_ENTITY);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_posted_is_refused_with_its_field() {
    let world = World::start().await;
    world.link(NUMBER).await;
    let refused = async |body: Value| {
        let mut body = body;
        body["to"] = STATUS.into();
        let problem = world.api().post(MESSAGES, body).await.expect(StatusCode::BAD_REQUEST);
        problem["errors"][0]["field"].as_str().unwrap().to_owned()
    };
    assert_eq!(refused(json!({"type": "text", "text": "to whom?"})).await, "recipients");
    let unknown = json!({"type": "revoke", "target": {"message_id": "3EB0"}});
    assert_eq!(refused(unknown).await, "recipients");
    let nobody = json!({"to": STATUS, "type": "text", "text": "is anybody there?", "recipients": [NOBODY]});
    let answer = world.api().post(MESSAGES, nobody).await;
    let problem = answer.expect(StatusCode::UNPROCESSABLE_ENTITY);
    assert!(problem["detail"].as_str().unwrap().contains(NOBODY), "{problem}");
    let failed = world
        .api()
        .get(&format!("{MESSAGES}?status=failed"))
        .await
        .expect(StatusCode::OK);
    assert_eq!(failed["data"][0]["error_code"], "not_on_whatsapp");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_a_webhook_that_asks_for_status_updates_is_told_of_them() {
    let world = World::start().await;
    world.network.create_account(CONTACT).await.unwrap();
    let asks = world.wants_of(NUMBER, "/asks", json!(["message", "status"])).await;
    let does_not = world.webhook(EVE, "/does-not").await;
    world.link(NUMBER).await;
    world.link(EVE).await;
    let text = world.network.send_text(CONTACT, STATUS, "good morning").await.unwrap();
    let file = json!({"to": STATUS, "kind": "image", "mime_type": "image/png", "size": 5000, "caption": "sunrise"});
    let image = world.phone_sends(CONTACT, &file).await;
    let gone = json!({"to": STATUS, "kind": "revoke", "message_id": text});
    let revoke = world.phone_sends(CONTACT, &gone).await;
    let own = world
        .network
        .send_text(NUMBER, STATUS, "from the own phone")
        .await
        .unwrap();
    let told = world.api().wait_for_events(&asks, "delivered", 3).await;
    world.all_taken().await;
    let bodies: Vec<&Value> = told.iter().rev().map(|event| &event["payload"]).collect();
    let heads: Vec<_> = bodies
        .iter()
        .map(|body| (body["message_id"].as_str().unwrap(), body["type"].as_str().unwrap()))
        .collect();
    assert_eq!(
        heads,
        [(&*text, "text"), (&*image, "image"), (&*revoke, "revoke")],
        "not {own}"
    );
    for body in &bodies {
        let about = (&body["event"], &body["from"], &body["to"]);
        assert_eq!(about, (&json!("status"), &json!(CONTACT), &json!(NUMBER)), "{body}");
    }
    assert_eq!(bodies[2]["target"], json!({"message_id": text}));
    let link = bodies[1]["media"]["url"].as_str().unwrap();
    let path = &link[link.find("/media/").unwrap()..];
    let file = world.api().get(path).await;
    assert_eq!((file.status, file.bytes.len()), (StatusCode::OK, 5000));
    assert_eq!(world.network.stats().await.downloads, 1, "for the one that asks");
    assert_eq!(world.api().events(&does_not).await.len(), 0);

    let seen = json!({"chat": STATUS, "from": CONTACT, "message_ids": [image]});
    world.api().post(READ, seen).await.expect(StatusCode::NO_CONTENT);
    wait_until("its author hears that it was seen", WITHIN, || async {
        let receipts = world.network.receipts(CONTACT).await.unwrap();
        let mut of_image = receipts.iter().filter(|receipt| receipt.id == image);
        of_image.any(|receipt| receipt.kind == "read").then_some(())
    })
    .await;
    world.stop().await;
}

/// From one linked device to another, and again to one that could not read it at first.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_status_update_from_here_is_an_event_of_the_other_number_here() {
    let world = World::start().await;
    let theirs = world.wants_of(CONTACT, "/theirs", json!(["status"])).await;
    world.link(NUMBER).await;
    world.link(CONTACT).await;
    let deaf = serde_json::from_value(json!({"kind": "deaf", "phone": CONTACT})).unwrap();
    world.network.fault_times(deaf, Some(1)).await.unwrap();
    let id = world
        .posts(json!({"type": "text", "text": "hello to the town", "recipients": [CONTACT]}))
        .await;
    let told = world.api().wait_for_events(&theirs, "delivered", 1).await;
    let body = &told[0]["payload"];
    assert_eq!(
        (&body["event"], &body["message_id"], &body["content"], &body["from"]),
        (
            &json!("status"),
            &json!(id),
            &json!("hello to the town"),
            &json!(NUMBER)
        )
    );
    let seen = world.seen(CONTACT, &id).await;
    assert_eq!(
        (seen.text.as_str(), group_of(&seen)),
        ("hello to the town", Some(STATUS))
    );
    world.all_taken().await;
    assert_eq!(world.api().events(&theirs).await.len(), 1);
    world.stop().await;
}
