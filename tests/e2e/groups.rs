//! Groups, as those know them who come from other gateways: settings, pictures, invite links, requests to join.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use wharf_support::{Receiver, Reply, wait_until};
use wharf_testnet::{Content, GroupChange, GroupInviteContent, NewMessage};

use super::{
    attachments::samples::{noise, png},
    world::{Answer, CONTACT, NUMBER, WITHIN, World},
};

const GROUPS: &str = "/api/whatsapp/connections/5511888888888/groups";
const INVITES: &str = "/api/whatsapp/connections/5511888888888/invites";
/// Somebody else.
const EVE: &str = "5511777777777";
const BOUNDARY: &str = "----a-picture";

impl World {
    /// A linked number in a group of its own, with the contact; answers the group's path.
    async fn with_group(&self) -> (String, String) {
        self.network.create_account(CONTACT).await.unwrap();
        self.network.create_account(EVE).await.unwrap();
        self.link(NUMBER).await;
        let new = json!({"subject": "Harbour", "participants": [CONTACT]});
        let made = self.api().post(GROUPS, new).await.expect(StatusCode::CREATED);
        let id = made["id"].as_str().unwrap().to_owned();
        (format!("{GROUPS}/{id}"), id)
    }

    /// What an event of a message in the group calls it: of a later one, where it took too long to ask for the name.
    async fn called_in_events(&self, webhook: &str, group: &str) -> String {
        for _ in 0..10 {
            let id = self.network.send_text(CONTACT, group, "Hello").await.unwrap();
            let is_it = |event: &&Value| event["message_id"] == *id && event["status"] == "delivered";
            let told = wait_until("the group's message is told", WITHIN, || async {
                self.api().events(webhook).await.iter().find(is_it).cloned()
            });
            if let Some(subject) = told.await["payload"]["group"]["subject"].as_str() {
                return subject.to_owned();
            }
        }
        panic!("no event has the group's name");
    }

    async fn keyed(&self, method: Method, path: &str, key: &str, body: &Value) -> Answer {
        let request = self.api().request(method, path).header("idempotency-key", key);
        self.api().send(request.json(body)).await
    }

    async fn put_picture(&self, path: &str, file: &[u8]) -> Answer {
        let head = format!(
            "--{BOUNDARY}\r\ncontent-disposition: form-data; name=\"file\"; filename=\"a.png\"\r\ncontent-type: image/png\r\n\r\n"
        );
        let end = format!("\r\n--{BOUNDARY}--\r\n");
        let request = self
            .api()
            .request(Method::PUT, path)
            .header("content-type", format!("multipart/form-data; boundary={BOUNDARY}"))
            .body([head.as_bytes(), file, end.as_bytes()].concat());
        self.api().send(request).await
    }
}

/// The client library takes all three for addresses, and WhatsApp would end the link for the second and the third.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_group_is_called_may_have_an_at() {
    let world = World::start().await;
    let webhook = world.webhook(NUMBER, "/ok").await;
    world.with_group().await;
    for text in ["team_1@g.us", "We @ the harbour", "@"] {
        let new = json!({"subject": text, "participants": [CONTACT]});
        let made = world.api().post(GROUPS, new).await.expect(StatusCode::CREATED);
        assert_eq!(made["subject"], text);
        let group = made["id"].as_str().unwrap();
        assert_eq!(world.called_in_events(&webhook, group).await, text);
        let path = format!("{GROUPS}/{group}");
        let change = json!({"subject": "Harbour", "description": text});
        let changed = world.api().patch(&path, change).await.expect(StatusCode::OK);
        assert_eq!(
            (&changed["subject"], &changed["description"]),
            (&json!("Harbour"), &json!(text))
        );
        assert_eq!(world.called_in_events(&webhook, group).await, "Harbour", "the new name");
        let changed = world.api().patch(&path, json!({"subject": text})).await;
        assert_eq!(changed.expect(StatusCode::OK)["subject"], text);
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_group_is_changed_shown_and_told_of() {
    let world = World::start().await;
    let (path, id) = world.with_group().await;
    // The contact is linked here, too, and told of what changes.
    let webhook = world.webhook(CONTACT, "/ok").await;
    let wanted = json!({"events": ["group"]});
    let hook = format!("/api/webhooks/{webhook}");
    world.api().patch(&hook, wanted).await.expect(StatusCode::OK);
    world.link(CONTACT).await;
    let change = json!({
        "subject": "Old harbour", "description": "Boats", "announce": true, "locked": true, "ephemeral_seconds": 86_400,
        "join_approval": true, "member_add_mode": "admins",
    });
    let changed = world.api().patch(&path, change.clone()).await.expect(StatusCode::OK);
    for (field, value) in change.as_object().unwrap() {
        assert_eq!(&changed[field], value, "{field}");
    }
    assert_eq!(world.api().get(&path).await.expect(StatusCode::OK), changed);
    let told = world.api().wait_for_events(&webhook, "delivered", 7).await;
    let mut types: Vec<&str> = told
        .iter()
        .map(|event| event["payload"]["type"].as_str().unwrap())
        .collect();
    types.sort_unstable();
    assert_eq!(
        types,
        [
            "announcement",
            "description",
            "ephemeral",
            "locked",
            "member_add_mode",
            "membership_approval_mode",
            "subject"
        ]
    );
    let plain = world
        .api()
        .patch(&path, json!({"description": null}))
        .await
        .expect(StatusCode::OK);
    assert_eq!(plain["description"], json!(null));

    // The contact is no admin, and says so of its own gateway.
    let theirs = path.replace(NUMBER, CONTACT);
    let refused = world.api().patch(&theirs, json!({"locked": false})).await;
    let problem = refused.expect(StatusCode::UNPROCESSABLE_ENTITY);
    let detail = problem["detail"].as_str().unwrap();
    assert!(
        detail.contains("no admin") && detail.contains("(at locked)") && detail.contains("403"),
        "{detail}"
    );
    let nowhere = path.replace(&id, "120363999999999999@g.us");
    let missing = world.api().patch(&nowhere, json!({"locked": false})).await;
    assert_eq!(
        missing.expect(StatusCode::NOT_FOUND)["detail"],
        "there is no such group"
    );
    let wrong = json!({"ephemeral_seconds": 5, "member_add_mode": "x"});
    let wrong = world.api().patch(&path, wrong).await.expect(StatusCode::BAD_REQUEST);
    assert_eq!(wrong["errors"].as_array().map(Vec::len), Some(2));
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_picture_of_any_form_becomes_the_square_that_whatsapp_takes() {
    let world = World::start().await;
    let (path, id) = world.with_group().await;
    let picture = format!("{path}/picture");
    let none = world.api().get(&picture).await.expect(StatusCode::NOT_FOUND);
    assert!(none["detail"].as_str().unwrap().contains("none is set"), "{none}");

    // In a part; the network takes nothing but a square JPEG of at most 640 pixels.
    let put = world.put_picture(&picture, &png(900, 700)).await;
    assert_eq!(put.status, StatusCode::NO_CONTENT, "{}", put.body);
    let shown = world.api().get(&picture).await.expect(StatusCode::OK);
    assert!(shown["url"].as_str().unwrap().starts_with("https://"), "{shown}");
    let there = world.network.group_picture(&id).await.unwrap();
    assert!(there.starts_with(&[0xff, 0xd8]));

    // In base64, once under its key.
    let body = json!({"media": {"base64": BASE64_STANDARD.encode(png(80, 120))}});
    let mut seen = vec![shown["id"].clone()];
    for _ in 0..2 {
        let put = world.keyed(Method::PUT, &picture, "k", &body).await;
        assert_eq!(put.status, StatusCode::NO_CONTENT, "{}", put.body);
        seen.push(world.api().get(&picture).await.expect(StatusCode::OK)["id"].clone());
    }
    assert_ne!(seen[0], seen[1]);
    assert_eq!(seen[1], seen[2]);

    // From an address.
    let origin = Receiver::start().await;
    origin.always("/a.png", Reply::Answer(200, Vec::new(), png(64, 64).into()));
    let body = json!({"media": {"url": origin.url("/a.png")}});
    let fetched = world.keyed(Method::PUT, &picture, "u", &body).await;
    assert_eq!(fetched.status, StatusCode::NO_CONTENT, "{}", fetched.body);
    let small = world
        .api()
        .get(&format!("{picture}?preview=true"))
        .await
        .expect(StatusCode::OK);
    assert_ne!(small["id"], seen[2]);

    // What is no picture is refused before WhatsApp hears of it, and nothing of it stays.
    let wrong = world
        .put_picture(&picture, &noise(5000))
        .await
        .expect(StatusCode::BAD_REQUEST);
    assert_eq!(wrong["errors"][0]["field"], "file", "{wrong}");
    let body = json!({"media": {"base64": BASE64_STANDARD.encode("no picture")}});
    let wrong = world
        .keyed(Method::PUT, &picture, "w", &body)
        .await
        .expect(StatusCode::BAD_REQUEST);
    assert_eq!(wrong["errors"][0]["field"], "media.base64", "{wrong}");
    origin.always("/gone", Reply::Status(404));
    let body = json!({"media": {"url": origin.url("/gone")}});
    let gone = world.keyed(Method::PUT, &picture, "g", &body).await;
    assert!(
        gone.expect(StatusCode::UNPROCESSABLE_ENTITY)["detail"]
            .as_str()
            .unwrap()
            .contains("404")
    );
    let receiving = world.dir.path().join("media/receiving");
    assert_eq!(std::fs::read_dir(receiving).unwrap().count(), 0);

    let deleted = world.api().call(Method::DELETE, &picture).await;
    assert_eq!(deleted.status, StatusCode::NO_CONTENT, "{}", deleted.body);
    world.api().get(&picture).await.expect(StatusCode::NOT_FOUND);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn people_come_by_a_link_and_admins_let_them_in() {
    let world = World::start().await;
    let (path, id) = world.with_group().await;
    let api = world.api();
    let link = api.get(&format!("{path}/invite")).await.expect(StatusCode::OK);
    let code = link["code"].as_str().unwrap();
    assert_eq!(link["url"], format!("https://chat.whatsapp.com/{code}"));
    let reset = api
        .post(&format!("{path}/invite/reset"), json!({}))
        .await
        .expect(StatusCode::OK);
    assert_ne!(reset["code"], link["code"]);
    assert_eq!(api.get(&format!("{path}/invite")).await.expect(StatusCode::OK), reset);
    let gone = api.get(&format!("{INVITES}/{code}")).await.expect(StatusCode::GONE);
    assert!(gone["detail"].as_str().unwrap().contains("was reset"), "{gone}");
    let gone = api.post(&format!("{INVITES}/{code}/join"), json!({})).await;
    gone.expect(StatusCode::GONE);
    let unknown = api
        .get(&format!("{INVITES}/neverMade"))
        .await
        .expect(StatusCode::NOT_FOUND);
    assert_eq!(unknown["detail"], "there is no such invite link");

    // The number joins a group of somebody else, by the whole link.
    let theirs = world.network.create_group(CONTACT, "Boats", &[]).await.unwrap();
    let written = format!("https%3A%2F%2Fchat.whatsapp.com%2F{}", theirs.invite);
    let seen = api.get(&format!("{INVITES}/{written}")).await.expect(StatusCode::OK);
    assert_eq!(
        (&seen["id"], &seen["subject"], &seen["size"]),
        (&json!(theirs.id), &json!("Boats"), &json!(1))
    );
    let join = format!("{INVITES}/{written}/join");
    for _ in 0..2 {
        let joined = world.keyed(Method::POST, &join, "join", &json!({})).await;
        assert_eq!(
            joined.expect(StatusCode::OK),
            json!({"id": theirs.id, "status": "joined"})
        );
    }
    // Where an admin has to be asked, it waits.
    let guarded = world.network.create_group(CONTACT, "Club", &[]).await.unwrap();
    let approval = GroupChange {
        approval: Some(true),
        ..GroupChange::default()
    };
    world.network.change_group(&guarded.id, approval).await.unwrap();
    let asked = api.post(&format!("{INVITES}/{}/join", guarded.invite), json!({})).await;
    assert_eq!(
        asked.expect(StatusCode::ACCEPTED),
        json!({"id": guarded.id, "status": "requested"})
    );

    // And lets others into its own.
    let approval = json!({"join_approval": true});
    api.patch(&path, approval).await.expect(StatusCode::OK);
    let ask = GroupChange {
        ask: vec![EVE.to_owned()],
        ..GroupChange::default()
    };
    world.network.change_group(&id, ask).await.unwrap();
    let requests = format!("{path}/requests");
    let asking = api.get(&requests).await.expect(StatusCode::OK);
    assert_eq!(asking["data"].as_array().map(Vec::len), Some(1), "{asking}");
    let decision = json!({"approve": [EVE], "reject": [CONTACT]});
    let fates = api.post(&requests, decision).await.expect(StatusCode::OK);
    let fate = |at: usize| {
        let fate = &fates["data"][at];
        json!([fate["action"], fate["phone_number"], fate["ok"], fate["error"]])
    };
    assert_eq!(fate(0), json!(["approve", EVE, true, null]), "{fates}");
    assert_eq!(fate(1), json!(["reject", CONTACT, false, "404"]), "{fates}");
    assert_eq!(api.get(&requests).await.expect(StatusCode::OK), json!({"data": []}));
    let group = api.get(&path).await.expect(StatusCode::OK);
    assert_eq!(group["participants"].as_array().map(Vec::len), Some(3), "{group}");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_joined_while_the_number_was_away_reads_what_it_sends_when_it_is_back() {
    let world = World::start_with(&[("WHARF_SENDING__PER_SECOND", "0")]).await;
    let (path, id) = world.with_group().await;
    let api = world.api();
    let send = async |text: &str| {
        let message = json!({"to": id, "type": "text", "text": text});
        let sent = api
            .post(&path.replace(&format!("groups/{id}"), "messages"), message)
            .await;
        assert!(matches!(sent.status.as_u16(), 201 | 202), "{}", sent.body);
        sent.body["message_id"].as_str().unwrap().to_owned()
    };
    send("before").await;
    let participants = format!("{path}/participants");
    let promoted = api.post(&participants, json!({"promote": [CONTACT]})).await;
    promoted.expect(StatusCode::OK);
    let left = api.post(&format!("{path}/leave"), json!({})).await;
    assert_eq!(left.status, StatusCode::NO_CONTENT, "{}", left.body);
    for phone in [EVE, NUMBER] {
        let add = GroupChange {
            actor: Some(CONTACT.to_owned()),
            add: vec![phone.to_owned()],
            ..GroupChange::default()
        };
        world.network.change_group(&id, add).await.unwrap();
    }
    let taken = async || world.network.stats().await.messages_in;
    let before = taken().await;
    let after = send("after").await;
    for phone in [CONTACT, EVE] {
        let seen = wait_until("it arrives", WITHIN, || async {
            let messages = world.network.messages(phone).await.unwrap();
            messages.into_iter().find(|message| message.id == after)
        });
        assert_eq!(seen.await.text, "after", "{phone}");
    }
    // Nobody had to ask for it again.
    assert_eq!(taken().await, before + 1);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_invitation_that_came_as_a_message_is_accepted_as_it_came() {
    let world = World::start().await;
    let webhook = world.webhook(NUMBER, "/ok").await;
    world.with_group().await;
    let theirs = world.network.create_group(CONTACT, "Boats", &[]).await.unwrap();
    // One that is over, one that is good.
    let mut invited = Vec::new();
    for (at, seconds) in [Some(-60), None].into_iter().enumerate() {
        let invitation = Content::GroupInvite(GroupInviteContent {
            group: theirs.id.clone(),
            text: None,
            seconds,
        });
        let new = NewMessage::from(invitation);
        world.network.send(CONTACT, NUMBER, &new).await.unwrap();
        let told = world.api().wait_for_events(&webhook, "delivered", at + 1).await;
        let latest = told.iter().max_by_key(|event| event["sequence"].as_u64()).unwrap();
        invited.push(latest["payload"].clone());
    }
    let join = async |told: &Value, key: &str, change: Value| {
        let invite = &told["group_invite"];
        let mut invitation = json!({"group": invite["id"], "from": told["from"], "expires_at": invite["expires_at"]});
        for (name, value) in change.as_object().unwrap() {
            invitation[name] = value.clone();
        }
        let path = format!("{INVITES}/{}/join", invite["code"].as_str().unwrap());
        let body = json!({"invitation": invitation});
        world.keyed(Method::POST, &path, key, &body).await
    };
    let over = join(&invited[0], "over", json!({})).await.expect(StatusCode::GONE);
    assert!(over["detail"].as_str().unwrap().contains("is over"), "{over}");
    for (at, change) in [json!({"from": EVE}), json!({"expires_at": "2099-01-01T00:00:00Z"})]
        .into_iter()
        .enumerate()
    {
        let changed = join(&invited[1], &format!("changed-{at}"), change).await;
        let changed = changed.expect(StatusCode::NOT_FOUND);
        assert_eq!(changed["detail"], "there is no such invitation");
    }
    // Again under the same key, and once more for somebody who is in it.
    for key in ["good", "good", "again"] {
        let joined = join(&invited[1], key, json!({})).await.expect(StatusCode::OK);
        assert_eq!(joined, json!({"id": theirs.id, "status": "joined"}));
    }
    let members = world.network.group(&theirs.id).await.unwrap().participants;
    assert_eq!(members.iter().filter(|member| member.phone == NUMBER).count(), 1);
    world.stop().await;
}
