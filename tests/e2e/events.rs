//! More than messages: what a webhook asks for, it gets, in order.

use reqwest::StatusCode;
use serde_json::{Value, json};
use wharf_support::wait_until;

use super::world::{CONTACT, NUMBER, WITHIN, World};

impl World {
    async fn wants(&self, webhook: &str, events: Value) {
        let path = format!("/api/webhooks/{webhook}");
        let changed = self.api().patch(&path, json!({"events": events})).await;
        assert_eq!(changed.expect(StatusCode::OK)["events"], events);
    }

    fn told(&self) -> Vec<Value> {
        let requests = self.receiver.requests();
        requests
            .iter()
            .map(|request| serde_json::from_slice(&request.body).unwrap())
            .collect()
    }

    /// The bodies so far, once one of them is what was waited for.
    async fn told_until(&self, what: &str, is: impl Fn(&Value) -> bool) -> Vec<Value> {
        let is = &is;
        wait_until(what, WITHIN, || async {
            let told = self.told();
            told.iter().any(is).then_some(told)
        })
        .await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_original_gets_messages_and_nothing_else() {
    let world = World::start().await;
    let webhook = world.linked("/ok").await;
    let shown = world.api().get(&format!("/api/webhooks/{webhook}")).await;
    assert_eq!(shown.expect(StatusCode::OK)["events"], json!(["message"]));
    world
        .network
        .send_text(NUMBER, CONTACT, "from the phone")
        .await
        .unwrap();
    world.network.call(CONTACT, NUMBER, false).await.unwrap();
    world
        .network
        .show_presence(CONTACT, "composing", Some(NUMBER))
        .await
        .unwrap();
    world.text("the end").await;
    let told = world.told_until("the text", |body| body["content"] == "the end").await;
    assert_eq!(told.len(), 1, "{told:#?}");
    assert_eq!(told[0].get("event"), None);
    assert_eq!(world.api().events(&webhook).await.len(), 1);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_sent_here_and_one_from_the_phone_are_told_with_what_became_of_them() {
    let world = World::start().await;
    let webhook = world.linked("/ok").await;
    world
        .wants(&webhook, json!(["message", "message.status", "message.sent"]))
        .await;
    let messages = format!("/api/whatsapp/connections/{NUMBER}/messages");
    let body = json!({"to": CONTACT, "type": "text", "text": "hello"});
    let sent = world.api().post(&messages, body).await.expect(StatusCode::CREATED);
    let here = sent["message_id"].as_str().unwrap().to_owned();
    let phone = world
        .network
        .send_text(NUMBER, CONTACT, "from the phone")
        .await
        .unwrap();
    // By itself its phone says that it has what came, in its own time.
    let count = |told: &[Value], status: &str| told.iter().filter(|body| body["status"] == status).count();
    wait_until("it is delivered", WITHIN, || async {
        (count(&world.told(), "delivered") >= 1).then_some(())
    })
    .await;
    // Of what another phone sent it says so when it is told to.
    world
        .network
        .send_receipts(CONTACT, "delivery", std::slice::from_ref(&phone))
        .await
        .unwrap();
    for id in [&here, &phone] {
        world
            .network
            .send_receipts(CONTACT, "read", std::slice::from_ref(id))
            .await
            .unwrap();
    }
    wait_until("both are read", WITHIN, || async {
        (count(&world.told(), "read") == 2).then_some(())
    })
    .await;
    let told = world.told();
    let about = |id: &str| -> Vec<(&str, &str)> {
        let about = told.iter().filter(|body| body["message_id"] == *id);
        about
            .map(|body| (body["event"].as_str().unwrap(), body["type"].as_str().unwrap()))
            .collect()
    };
    let status = |status: &'static str| ("message.status", status);
    assert_eq!(about(&here), [status("sent"), status("delivered"), status("read")]);
    assert_eq!(
        about(&phone),
        [("message.sent", "text"), status("delivered"), status("read")]
    );
    for body in &told {
        assert_eq!(
            (&body["from"], &body["to"]),
            (&json!(NUMBER), &json!(CONTACT)),
            "{body}"
        );
        let keys: Vec<&String> = body.as_object().unwrap().keys().collect();
        assert_eq!(keys[7], "event", "right after the seven: {body}");
    }
    let from_the_phone = told.iter().find(|body| body["event"] == "message.sent").unwrap();
    assert_eq!(
        (&from_the_phone["content"], &from_the_phone["is_from_me"]),
        (&json!("from the phone"), &json!(true))
    );

    let list = format!("/api/webhooks/{webhook}/events?event=message.sent");
    let listed = world.api().get(&list).await.expect(StatusCode::OK);
    assert_eq!(listed["data"].as_array().unwrap().len(), 1, "{listed}");
    assert_eq!(
        (&listed["data"][0]["event"], &listed["data"][0]["to"]),
        (&json!("message.sent"), &json!(CONTACT))
    );
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_wants_to_know_all_of_a_sender_is_told_the_name_and_both_ids() {
    let world = World::start().await;
    let webhook = world.linked("/ok").await;
    let lid = world.network.create_account(CONTACT).await.unwrap().lid;
    let lid = lid.split('@').next().unwrap().to_owned();
    let named = json!({"to": NUMBER, "text": "my name is", "push_name": "Maria"});
    world.phone_sends(CONTACT, &named).await;
    world
        .told_until("the first", |body| body["content"] == "my name is")
        .await;
    let path = format!("/api/webhooks/{webhook}");
    let full = json!({"sender": "full", "events": ["message", "message.sent"]});
    let shown = world.api().patch(&path, full).await.expect(StatusCode::OK);
    assert_eq!(shown["sender"], "full");
    world.phone_sends(CONTACT, &named).await;
    world
        .network
        .send_text(NUMBER, CONTACT, "from the phone")
        .await
        .unwrap();
    let told = world
        .told_until("mine", |body| body["content"] == "from the phone")
        .await;
    let told: Vec<_> = told
        .iter()
        .map(|body| ["from", "push_name", "from_lid", "to", "to_lid"].map(|key| body[key].as_str()))
        .collect();
    let (contact, number, lid) = (Some(CONTACT), Some(NUMBER), Some(lid.as_str()));
    assert_eq!(
        told,
        [
            [contact, None, None, number, None],
            [contact, Some("Maria"), lid, number, None],
            [number, told[2][1], None, contact, lid],
        ]
    );
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_never_goes_out_is_told_as_failed_and_in_its_order() {
    let world = World::start().await;
    let webhook = world.linked("/ok").await;
    world.wants(&webhook, json!(["message.status"])).await;
    let connection = format!("/api/whatsapp/connections/{NUMBER}");
    let messages = format!("{connection}/messages");
    // One at once and one a second: what follows waits, and then for a connection.
    let slow = json!({"sending": {"per_second": 1, "burst": 1}});
    let patched = world.api().patch(&connection, slow.clone()).await;
    assert_eq!(patched.expect(StatusCode::OK)["sending"], slow["sending"]);
    let body = json!({"to": CONTACT, "type": "text", "text": "hello", "queue": true});
    let sent = world
        .api()
        .post(&messages, body.clone())
        .await
        .expect(StatusCode::CREATED);
    let disconnect = world.api().post(&format!("{connection}/disconnect"), json!({})).await;
    disconnect.expect(StatusCode::ACCEPTED);
    world.api().wait_for_status(&connection, "disconnected").await;
    let waits = world.api().post(&format!("{messages}?wait=false"), body).await;
    let waits = waits.expect(StatusCode::ACCEPTED);
    let deleted = world.api().call(reqwest::Method::DELETE, &connection).await;
    deleted.expect(StatusCode::NO_CONTENT);
    let told = world.told_until("the failure", |body| body["status"] == "failed").await;
    let failed = told.iter().find(|body| body["status"] == "failed").unwrap();
    assert_eq!(
        (&failed["message_id"], &failed["code"], &failed["to"]),
        (&waits["message_id"], &json!("connection_deleted"), &json!(CONTACT)),
        "{told:#?}"
    );
    assert_eq!(
        (&told[0]["message_id"], &told[0]["status"]),
        (&sent["message_id"], &json!("sent"))
    );
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn groups_calls_presence_and_the_connection_are_told() {
    let world = World::start().await;
    world.network.create_account(CONTACT).await.unwrap();
    let webhook = world.webhook(NUMBER, "/ok").await;
    world
        .wants(&webhook, json!(["connection", "group", "call", "presence"]))
        .await;
    world.link(NUMBER).await;
    let statuses = |told: &[Value]| -> Vec<Value> {
        let of_connection = told.iter().filter(|body| body["event"] == "connection");
        of_connection.map(|body| body["type"].clone()).collect()
    };
    let told = world
        .told_until("it is connected", |body| body["type"] == "connected")
        .await;
    assert_eq!(statuses(&told), ["awaiting_scan", "connecting", "connected"]);

    let group = world
        .network
        .create_group(CONTACT, "Harbour", &[NUMBER.to_owned()])
        .await
        .unwrap();
    let rename = wharf_testnet::GroupChange {
        subject: Some("Old harbour".to_owned()),
        ..Default::default()
    };
    world.network.change_group(&group.id, rename).await.unwrap();
    let told = world.told_until("the new name", |body| body["type"] == "subject").await;
    let renamed = told.iter().find(|body| body["type"] == "subject").unwrap();
    let shown = json!({"id": group.id, "subject": "Old harbour"});
    assert_eq!(
        (&renamed["from"], &renamed["group"]),
        (&json!(CONTACT), &shown),
        "{renamed}"
    );
    assert_eq!(renamed["change"], json!({"subject": "Old harbour"}));

    let call = world.network.call(CONTACT, NUMBER, true).await.unwrap();
    world.network.hang_up(CONTACT, &call.id, None).await.unwrap();
    let told = world
        .told_until("the end of the call", |body| body["type"] == "terminate")
        .await;
    let calls: Vec<_> = told.iter().filter(|body| body["event"] == "call").collect();
    assert_eq!(
        calls[0]["call"],
        json!({"id": call.id, "state": "offer", "video": true})
    );
    assert_eq!(
        (&calls[1]["message_id"], &calls[1]["from"]),
        (&json!(call.id), &json!(CONTACT))
    );

    world
        .network
        .show_presence(CONTACT, "recording", Some(NUMBER))
        .await
        .unwrap();
    let told = world
        .told_until("the presence", |body| body["event"] == "presence")
        .await;
    let presence = told.iter().find(|body| body["event"] == "presence").unwrap();
    assert_eq!(
        (&presence["from"], &presence["presence"]),
        (&json!(CONTACT), &json!({"state": "recording"}))
    );
    assert_eq!(presence.get("message_id"), None);

    let path = format!("/api/whatsapp/connections/{NUMBER}/disconnect");
    world.api().post(&path, json!({})).await.expect(StatusCode::ACCEPTED);
    let told = world
        .told_until("it is disconnected", |body| body["type"] == "disconnected")
        .await;
    assert_eq!(statuses(&told).last(), Some(&json!("disconnected")));
    // A message was never wanted, and leaves no gap in the numbers.
    let events = world.api().events(&webhook).await;
    let sequences: Vec<i64> = events
        .iter()
        .rev()
        .map(|event| event["sequence"].as_i64().unwrap())
        .collect();
    assert_eq!(
        sequences,
        (1..=i64::try_from(events.len()).unwrap()).collect::<Vec<_>>()
    );
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unknown_events_are_refused_with_what_is_accepted() {
    let world = World::start().await;
    let webhook = world.webhook(NUMBER, "/ok").await;
    let path = format!("/api/webhooks/{webhook}");
    for bad in [json!([]), json!(["messages"]), json!("message")] {
        let refused = world
            .api()
            .patch(&path, json!({"events": bad}))
            .await
            .expect(StatusCode::BAD_REQUEST);
        let said = refused["errors"][0]["message"].as_str().unwrap();
        assert!(
            said.contains("\"message.status\"") && said.contains("\"presence\""),
            "{said}"
        );
    }
    let list = world.api().get(&format!("{path}/events?event=messages")).await;
    assert_eq!(list.expect(StatusCode::BAD_REQUEST)["errors"][0]["field"], "event");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_wants_no_groups_is_told_of_people_only() {
    let world = World::start().await;
    let webhook = world.linked("/ok").await;
    let path = format!("/api/webhooks/{webhook}");
    let want = async |chats: Value| {
        let changed = world.api().patch(&path, json!({"chats": chats})).await;
        assert_eq!(changed.expect(StatusCode::OK)["chats"], chats);
    };
    let members = [NUMBER.to_owned()];
    let group = world.network.create_group(CONTACT, "Boats", &members).await.unwrap();
    want(json!(["person"])).await;
    world.network.send_text(CONTACT, &group.id, "ahoy").await.unwrap();
    world.text("hello").await;
    world.told_until("the text", |body| body["content"] == "hello").await;
    want(json!(["group"])).await;
    world.text("hello again").await;
    world.network.send_text(CONTACT, &group.id, "ahoy again").await.unwrap();
    let told = world
        .told_until("the group's text", |body| body["content"] == "ahoy again")
        .await;
    let told: Vec<&Value> = told.iter().map(|body| &body["content"]).collect();
    assert_eq!(told, ["hello", "ahoy again"]);
    world.stop().await;
}
