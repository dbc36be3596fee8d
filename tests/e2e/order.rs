//! What follows what: messages that are about one that is missing, and the two sides of a chat in a backlog.

use reqwest::StatusCode;
use serde_json::{Value, json};
use wharf_support::wait_until;

use super::{
    again::{A_WHILE, HERE, LATE},
    world::{CONTACT, NUMBER, WITHIN, World},
};

impl World {
    /// A message that cannot be decrypted however often it is asked for, and after it what its sender says about it. That, the
    /// number's device has, but nobody is told of it yet: another message passes it by.
    async fn missed_and_spoken_of(&self, webhook: &str) -> String {
        let id = self.missed(&json!({"to": NUMBER, "text": "spoilt"})).await;
        for about in [
            json!({"to": NUMBER, "kind": "edit", "message_id": id, "text": "better"}),
            json!({"to": NUMBER, "kind": "reaction", "message_id": id, "emoji": "👍"}),
        ] {
            self.phone_sends(CONTACT, &about).await;
        }
        self.text("something else").await;
        self.api().wait_for_events(webhook, "delivered", 1).await;
        id
    }

    /// A message of the other one that cannot be decrypted however often it is asked for.
    async fn missed(&self, message: &Value) -> String {
        self.phone_off().await;
        self.spoil(1000).await;
        let id = self.phone_sends(CONTACT, message).await;
        // Until the device has given up its answers would be what is spoilt.
        self.answered(&id, 5).await;
        self.spoil(0).await;
        id
    }

    /// The same, and what its sender says about it, which comes before it, over a restart. Answers what was told, in its order.
    async fn spoken_of_over_a_restart(mut self, mut message: Value, mut about: Value) -> (Self, Vec<Value>) {
        let webhook = self.linked("/ok").await;
        let id = self.missed(&message).await;
        about["message_id"] = json!(id);
        self.phone_sends(CONTACT, &about).await;
        self.text("something else").await;
        self.api().wait_for_events(&webhook, "delivered", 1).await;
        self.restart_gateway().await;
        self.api().wait_for_status(HERE, "connected").await;
        message["id"] = json!(id);
        assert_eq!(self.phone_sends(CONTACT, &message).await, id);
        let events = self.api().wait_for_events(&webhook, "delivered", 3).await;
        let told = events.iter().rev().map(|event| event["payload"].clone());
        let told = told.skip(1).collect();
        (self, told)
    }

    /// The same in one backlog, which comes to the device as a whole.
    async fn spoken_of_in_a_backlog(mut self, mut message: Value, mut about: Value) -> (Self, Vec<Value>) {
        let webhook = self.linked("/ok").await;
        let id = self.missed(&message).await;
        self.stop_gateway().await;
        about["message_id"] = json!(id);
        self.phone_sends(CONTACT, &about).await;
        message["id"] = json!(id);
        assert_eq!(self.phone_sends(CONTACT, &message).await, id);
        self.start_gateway().await;
        let events = self.api().wait_for_events(&webhook, "delivered", 2).await;
        let told = events.iter().rev().map(|event| event["payload"].clone()).collect();
        (self, told)
    }

    /// The message is sent once more, and can be read.
    async fn comes_after_all(&self, id: &str) {
        let again = json!({"to": NUMBER, "text": "spoilt", "id": id});
        assert_eq!(self.phone_sends(CONTACT, &again).await, id);
    }

    /// What was told, in its order, once it is so much.
    async fn told_of(&self, webhook: &str, count: usize) -> Vec<(String, String)> {
        let events = self.api().wait_for_events(webhook, "delivered", count).await;
        let told = events.iter().rev().map(|event| {
            let word = |key: &str| event["payload"][key].as_str().unwrap().to_owned();
            (word("type"), word("content"))
        });
        told.collect()
    }
}

fn followed(kind: &str, content: &str) -> Vec<(String, String)> {
    let told = [
        ("text", "something else"),
        (kind, content),
        ("edit", "better"),
        ("reaction", "👍"),
    ];
    told.map(|(kind, content)| (kind.to_owned(), content.to_owned()))
        .to_vec()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_about_a_message_that_is_missing_follows_it_when_it_comes() {
    let world = World::start_with(&LATE).await;
    let webhook = world.linked("/ok").await;
    let id = world.missed_and_spoken_of(&webhook).await;
    world.comes_after_all(&id).await;
    assert_eq!(world.told_of(&webhook, 4).await, followed("text", "spoilt"));
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_follows_the_report_where_it_does_not_come() {
    let world = World::start_with(&A_WHILE).await;
    let webhook = world.linked("/ok").await;
    world.missed_and_spoken_of(&webhook).await;
    let report = followed("unknown", "A message that could not be decrypted");
    assert_eq!(world.told_of(&webhook, 4).await, report);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_follows_it_over_a_restart() {
    let mut world = World::start_with(&LATE).await;
    let webhook = world.linked("/ok").await;
    let id = world.missed_and_spoken_of(&webhook).await;
    world.restart_gateway().await;
    world.api().wait_for_status(HERE, "connected").await;
    world.comes_after_all(&id).await;
    assert_eq!(world.told_of(&webhook, 4).await, followed("text", "spoilt"));
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_goes_tells_what_waited() {
    let world = World::start_with(&LATE).await;
    let webhook = world.linked("/ok").await;
    world.missed_and_spoken_of(&webhook).await;
    let gone = world.api().call(reqwest::Method::DELETE, HERE).await;
    assert!(gone.status.is_success(), "{gone:?}");
    let report = followed("unknown", "A message that could not be decrypted");
    assert_eq!(world.told_of(&webhook, 4).await, report);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_encrypted_edit_of_a_message_that_is_missing_is_read_when_it_comes() {
    let world = World::start_with(&LATE).await;
    let message = json!({"to": NUMBER, "text": "good", "secret": true});
    let edit = json!({"to": NUMBER, "kind": "edit", "text": "better", "encrypted": true});
    let (world, told) = world.spoken_of_over_a_restart(message, edit).await;
    assert_eq!(
        (&told[0]["type"], &told[0]["content"]),
        (&json!("text"), &json!("good"))
    );
    assert_eq!(
        (&told[1]["type"], &told[1]["content"]),
        (&json!("edit"), &json!("better"))
    );
    assert_eq!(told[1]["target"]["message_id"], told[0]["message_id"]);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_sealed_is_read_where_its_message_comes_in_the_same_backlog() {
    let world = World::start_with(&LATE).await;
    // The vote is opened when it comes, since the client library opens all of the backlog first; its options are not known then.
    let poll = json!({"to": NUMBER, "kind": "poll", "question": "Lunch?", "options": ["yes", "no"]});
    let vote = json!({"to": NUMBER, "kind": "poll_vote", "options": ["no"]});
    let (world, told) = world.spoken_of_in_a_backlog(poll, vote).await;
    assert_eq!(told[0]["poll"]["question"], "Lunch?", "{told:?}");
    assert_eq!(told[1]["poll_vote"], json!({"options": ["no"]}), "{told:?}");
    world.stop().await;

    let world = World::start_with(&LATE).await;
    let message = json!({"to": NUMBER, "text": "good", "secret": true});
    let edit = json!({"to": NUMBER, "kind": "edit", "text": "better", "encrypted": true});
    let (world, told) = world.spoken_of_in_a_backlog(message, edit).await;
    let told = told
        .iter()
        .map(|event| (event["type"].clone(), event["content"].clone()));
    let expected = [("text", "good"), ("edit", "better")].map(|(kind, content)| (json!(kind), json!(content)));
    assert_eq!(told.collect::<Vec<_>>(), expected);
    world.stop().await;
}

/// More than may wait behind one message.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_votes_of_a_backlog_are_read_where_their_poll_comes_in_it() {
    let mut world = World::start_with(&LATE).await;
    let webhook = world.linked("/ok").await;
    let mut poll = json!({"to": NUMBER, "kind": "poll", "question": "Lunch?", "options": ["yes", "no"]});
    let id = world.missed(&poll).await;
    world.stop_gateway().await;
    let vote = json!({"to": NUMBER, "kind": "poll_vote", "message_id": id, "options": ["no"]});
    let mut votes = Vec::new();
    for _ in 0..70 {
        votes.push(world.phone_sends(CONTACT, &vote).await);
    }
    poll["id"] = json!(id);
    world.phone_sends(CONTACT, &poll).await;
    world.start_gateway().await;
    world.all_taken().await;
    let told = world.api().wait_for_events(&webhook, "delivered", 71).await;
    let mut told = told.iter().rev().map(|event| &event["payload"]);
    assert_eq!(told.next().unwrap()["poll"]["question"], "Lunch?");
    let named: Vec<_> = told
        .map(|vote| json!([vote["message_id"], vote["poll_vote"]]))
        .collect();
    let expected = votes.iter().map(|id| json!([id, {"options": ["no"]}]));
    assert_eq!(named, expected.collect::<Vec<_>>());
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn so_is_a_vote() {
    let world = World::start_with(&LATE).await;
    let poll = json!({"to": NUMBER, "kind": "poll", "question": "Lunch?", "options": ["yes", "no"]});
    let vote = json!({"to": NUMBER, "kind": "poll_vote", "options": ["no"]});
    let (world, told) = world.spoken_of_over_a_restart(poll, vote).await;
    assert_eq!(told[0]["poll"]["question"], "Lunch?", "{told:?}");
    assert_eq!(told[1]["poll_vote"], json!({"options": ["no"]}), "{told:?}");
    world.stop().await;
}

impl World {
    /// A message that the phone sent and that cannot be decrypted, and what its receiver's phone says of it. Nobody is told of that
    /// yet: another message passes it by.
    async fn sent_and_read_unseen(&self, webhook: &str) -> String {
        let wants = json!({"events": ["message", "message.sent", "message.status"]});
        let path = format!("/api/webhooks/{webhook}");
        self.api().patch(&path, wants).await.expect(StatusCode::OK);
        self.phone_off().await;
        self.spoil(1).await;
        let id = self.network.send_text(NUMBER, CONTACT, "spoilt").await.unwrap();
        let ids = std::slice::from_ref(&id);
        self.network.send_receipts(CONTACT, "read", ids).await.unwrap();
        self.text("something else").await;
        self.api().wait_for_events(webhook, "delivered", 1).await;
        id
    }
}

fn followed_by_its_receipt(kind: &str, content: &str) -> Vec<(String, String)> {
    let told = [("text", "something else"), (kind, content), ("read", "Read")];
    told.map(|(kind, content)| (kind.to_owned(), content.to_owned()))
        .to_vec()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receipt_of_a_message_that_is_missing_follows_it_over_a_restart() {
    let mut world = World::start_with(&LATE).await;
    let webhook = world.linked("/ok").await;
    let id = world.sent_and_read_unseen(&webhook).await;
    world.restart_gateway().await;
    world.api().wait_for_status(HERE, "connected").await;
    let again = json!({"to": CONTACT, "text": "spoilt", "id": id});
    assert_eq!(world.phone_sends(NUMBER, &again).await, id);
    assert_eq!(
        world.told_of(&webhook, 3).await,
        followed_by_its_receipt("text", "spoilt")
    );
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_follows_its_report_where_it_does_not_come() {
    let world = World::start_with(&A_WHILE).await;
    let webhook = world.linked("/ok").await;
    world.sent_and_read_unseen(&webhook).await;
    let report = followed_by_its_receipt("unknown", "A message that could not be decrypted");
    assert_eq!(world.told_of(&webhook, 3).await, report);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receipt_of_what_waits_follows_that() {
    let world = World::start_with(&LATE).await;
    let webhook = world.linked("/ok").await;
    let wants = json!({"events": ["message", "message.sent", "message.status"]});
    let path = format!("/api/webhooks/{webhook}");
    world.api().patch(&path, wants).await.expect(StatusCode::OK);
    let id = world.missed(&json!({"to": NUMBER, "text": "spoilt"})).await;
    let reaction = json!({"to": CONTACT, "kind": "reaction", "message_id": id, "emoji": "👍"});
    let own = world.phone_sends(NUMBER, &reaction).await;
    world.network.send_receipts(CONTACT, "read", &[own]).await.unwrap();
    world.text("something else").await;
    world.api().wait_for_events(&webhook, "delivered", 1).await;
    world.comes_after_all(&id).await;
    let expected = [
        ("text", "something else"),
        ("text", "spoilt"),
        ("reaction", "👍"),
        ("read", "Read"),
    ];
    let expected = expected.map(|(kind, content)| (kind.to_owned(), content.to_owned()));
    assert_eq!(world.told_of(&webhook, 4).await, expected);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn votes_in_a_poll_that_only_the_phone_had_can_be_read() {
    let mut world = World::start().await;
    let webhook = world.linked("/ok").await;
    let poll =
        json!({"to": NUMBER, "kind": "poll", "question": "Lunch?", "options": ["yes", "no"], "unavailable": "unknown"});
    let id = world.phone_sends(CONTACT, &poll).await;
    let events = world.api().wait_for_events(&webhook, "delivered", 1).await;
    assert_eq!(events[0]["payload"]["poll"]["question"], "Lunch?", "{events:?}");
    // What only the process remembers of it is gone.
    world.restart_gateway().await;
    world.api().wait_for_status(HERE, "connected").await;
    let vote = json!({"to": NUMBER, "kind": "poll_vote", "message_id": id, "options": ["no"]});
    world.phone_sends(CONTACT, &vote).await;
    let vote = world.api().wait_for_events(&webhook, "delivered", 2).await.remove(0);
    assert_eq!(vote["payload"]["poll_vote"], json!({"options": ["no"]}), "{vote}");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backlog_has_both_sides_of_a_chat_in_their_order() {
    let mut world = World::start().await;
    let webhook = world.linked("/ok").await;
    let wants = json!({"events": ["message", "message.sent"]});
    let path = format!("/api/webhooks/{webhook}");
    world.api().patch(&path, wants).await.expect(StatusCode::OK);
    world.stop_gateway().await;
    let mut said = Vec::new();
    for n in 0..40 {
        let (from, to) = match n % 4 {
            0 | 1 => (CONTACT, NUMBER),
            _ => (NUMBER, CONTACT),
        };
        said.push(n.to_string());
        world.network.send_text(from, to, &n.to_string()).await.unwrap();
    }
    world.start_gateway().await;
    let told = wait_until("all is delivered", WITHIN, || async {
        let events = world.api().events(&webhook).await;
        (events.len() == said.len()).then_some(events)
    })
    .await;
    let heard = told
        .iter()
        .rev()
        .map(|event| event["payload"]["content"].as_str().unwrap());
    assert_eq!(heard.collect::<Vec<_>>(), said);
    world.stop().await;
}
