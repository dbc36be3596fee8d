//! What people show, blocks, the own profile and calls, over the API and seen from the phones.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use reqwest::{Method, StatusCode};
use serde_json::json;
use wharf_support::wait_until;
use wharf_testnet::ProfileChange;

use super::{
    attachments::samples::png,
    world::{CONTACT, NUMBER, WITHIN, World},
};

const NOBODY: &str = "5511000000000";
const HERE: &str = "/api/whatsapp/connections/5511888888888";

/// The state of a call of the contact's phone.
async fn call_is(world: &World, id: &str, state: &str) -> Option<()> {
    let calls = world.network.calls(CONTACT).await.unwrap();
    calls
        .iter()
        .any(|call| call.id == id && call.state == state)
        .then_some(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_contact_shows_is_looked_up() {
    let world = World::start().await;
    let early = world.api().get(&format!("{HERE}/contacts/{CONTACT}")).await;
    assert_eq!(early.status, StatusCode::NOT_FOUND, "{}", early.body);
    world.linked("/ok").await;
    let change = ProfileChange {
        about: Some("At sea".to_owned()),
        picture: Some(BASE64_STANDARD.encode([0xff, 0xd8, 0xff])),
        verified_name: Some("Harbour Ltd".to_owned()),
        ..ProfileChange::default()
    };
    let shown = world.network.change_profile(CONTACT, &change).await.unwrap();
    let lid = world.network.create_account(CONTACT).await.unwrap().lid;
    let picture_id = shown.picture_id.unwrap().to_string();
    let expected = json!({
        "number": CONTACT, "jid": format!("{CONTACT}@s.whatsapp.net"), "lid": lid, "exists": true, "about": "At sea",
        "picture_id": picture_id, "business": {"verified_name": "Harbour Ltd"}, "devices": [0],
    });
    for who in [CONTACT, &lid] {
        let told = world.api().get(&format!("{HERE}/contacts/{who}")).await;
        assert_eq!(told.expect(StatusCode::OK), expected, "{who}");
        let picture = world
            .api()
            .get(&format!("{HERE}/contacts/{who}/picture?preview=true"))
            .await;
        let picture = picture.expect(StatusCode::OK);
        assert_eq!(picture["id"], picture_id, "{picture}");
        assert!(picture["url"].as_str().unwrap().starts_with("https://"), "{picture}");
    }
    let nobody = world.api().get(&format!("{HERE}/contacts/{NOBODY}")).await;
    assert_eq!(nobody.expect(StatusCode::OK)["exists"], json!(false));
    for (who, says) in [(NOBODY, "no such number on WhatsApp"), (NUMBER, "none is set")] {
        let none = world.api().get(&format!("{HERE}/contacts/{who}/picture")).await;
        let none = none.expect(StatusCode::NOT_FOUND);
        assert!(none["detail"].as_str().unwrap().contains(says), "{none}");
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_blocked_is_not_heard() {
    let world = World::start().await;
    let webhook = world.linked("/ok").await;
    let api = world.api();
    let place = format!("{HERE}/blocks/{CONTACT}");
    let block = || api.request(Method::PUT, &place).header("idempotency-key", "once");
    for _ in 0..2 {
        let blocked = api.send(block()).await;
        assert_eq!(blocked.status, StatusCode::NO_CONTENT, "{}", blocked.body);
    }
    let listed = api.get(&format!("{HERE}/blocks")).await.expect(StatusCode::OK);
    let lid = world.network.create_account(CONTACT).await.unwrap().lid;
    assert_eq!(listed, json!({"data": [{"jid": lid, "phone_number": CONTACT}]}));
    world.text("unheard").await;
    // The same key for something else.
    let other = api.request(Method::DELETE, &place).header("idempotency-key", "once");
    assert_eq!(api.send(other).await.status, StatusCode::CONFLICT);
    let unblocked = api.call(Method::DELETE, &place).await;
    assert_eq!(unblocked.status, StatusCode::NO_CONTENT, "{}", unblocked.body);
    world.text("heard").await;
    let events = api.wait_for_events(&webhook, "delivered", 1).await;
    assert_eq!(events[0]["content"], "heard");
    let nobody = api.call(Method::PUT, &format!("{HERE}/blocks/{NOBODY}")).await;
    assert_eq!(nobody.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", nobody.body);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_profile_and_its_picture_are_the_numbers_to_change() {
    let world = World::start().await;
    world.linked("/ok").await;
    let api = world.api();
    let profile = format!("{HERE}/profile");
    // The client library takes both for addresses, and WhatsApp would end the link for the second.
    for about in ["team_1@g.us", "@ the harbour"] {
        let changed = api.patch(&profile, json!({"name": "Shop @ 7", "about": about})).await;
        assert_eq!(changed.status, StatusCode::NO_CONTENT, "{}", changed.body);
        let seen = world.network.profile(NUMBER).await.unwrap();
        assert_eq!((&*seen.name, seen.about.as_deref()), ("Shop \u{ff20} 7", Some(about)));
    }
    let changed = api.patch(&profile, json!({"name": "Shop", "about": "Open"})).await;
    assert_eq!(changed.status, StatusCode::NO_CONTENT, "{}", changed.body);
    api.wait_for(HERE, "the name is shown", |body| body["push_name"] == "Shop")
        .await;
    wait_until("others see it", WITHIN, || async {
        let seen = world.network.profile(NUMBER).await.unwrap();
        (seen.name == "Shop" && seen.about.as_deref() == Some("Open")).then_some(())
    })
    .await;

    let place = format!("{profile}/picture");
    let put = async |body: serde_json::Value| api.send(api.request(Method::PUT, &place).json(&body)).await;
    let media = json!({"media": {"base64": BASE64_STANDARD.encode(png(900, 700))}});
    let set = put(media).await;
    assert_eq!(set.status, StatusCode::NO_CONTENT, "{}", set.body);
    let jpeg = world.network.picture(NUMBER).await.unwrap();
    assert_eq!(size_of_jpeg(&jpeg), (640, 640));
    let served = wharf_support::Receiver::start().await;
    let elsewhere = put(json!({"media": {"url": served.url("/no-picture")}})).await;
    assert!(
        matches!(
            elsewhere.status,
            StatusCode::BAD_REQUEST | StatusCode::UNPROCESSABLE_ENTITY
        ),
        "{}: {}",
        elsewhere.status,
        elsewhere.body
    );
    let text = put(json!({"media": {"base64": BASE64_STANDARD.encode("no picture")}})).await;
    let text = text.expect(StatusCode::BAD_REQUEST);
    assert_eq!(text["errors"][0]["field"], "media.base64", "{text}");
    let shown = api.get(&profile).await.expect(StatusCode::OK);
    let seen = world.network.profile(NUMBER).await.unwrap();
    assert_eq!(
        (&shown["name"], &shown["about"], &shown["picture_id"]),
        (
            &json!("Shop"),
            &json!("Open"),
            &json!(seen.picture_id.unwrap().to_string())
        ),
        "{shown}"
    );
    let parts = "--b\r\ncontent-disposition: form-data; name=\"file\"; filename=\"a.png\"\r\n\r\n";
    let body = [parts.as_bytes(), &png(64, 64), b"\r\n--b--\r\n"].concat();
    let part = api
        .request(Method::PUT, &place)
        .header("content-type", "multipart/form-data; boundary=b")
        .body(body);
    let part = api.send(part).await;
    assert_eq!(part.status, StatusCode::NO_CONTENT, "{}", part.body);
    assert_eq!(size_of_jpeg(&world.network.picture(NUMBER).await.unwrap()), (64, 64));

    let removed = api.call(Method::DELETE, &place).await;
    assert_eq!(removed.status, StatusCode::NO_CONTENT, "{}", removed.body);
    assert_eq!(world.network.profile(NUMBER).await.unwrap().picture_id, None);
    world.stop().await;
}

/// What the header of its frame says.
fn size_of_jpeg(jpeg: &[u8]) -> (u16, u16) {
    assert!(jpeg.starts_with(&[0xff, 0xd8]), "a JPEG");
    let frame = jpeg.windows(2).position(|two| two == [0xff, 0xc0]).unwrap();
    let number = |at: usize| u16::from_be_bytes([jpeg[frame + at], jpeg[frame + at + 1]]);
    (number(7), number(5))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_are_turned_down_by_hand_or_as_they_ring() {
    let mut world = World::start().await;
    let webhook = world.linked("/ok").await;
    let api = world.api();
    let wants = json!({"events": ["call"]});
    api.patch(&format!("/api/webhooks/{webhook}"), wants)
        .await
        .expect(StatusCode::OK);
    let before = api.get(HERE).await.expect(StatusCode::OK);
    assert_eq!(before["reject_calls"], json!(false));

    let call = world.network.call(CONTACT, NUMBER, false).await.unwrap();
    let told = api.wait_for_events(&webhook, "delivered", 1).await.remove(0);
    assert_eq!(
        told["payload"]["call"],
        json!({"id": call.id, "state": "offer", "video": false})
    );
    let path = format!("{HERE}/calls/{}/reject", call.id);
    let rejected = api.post(&path, json!({"from": CONTACT})).await;
    assert_eq!(rejected.status, StatusCode::NO_CONTENT, "{}", rejected.body);
    wait_until("it is over", WITHIN, || call_is(&world, &call.id, "rejected")).await;

    let set = api.patch(HERE, json!({"reject_calls": true})).await;
    assert_eq!(set.expect(StatusCode::OK)["reject_calls"], json!(true));
    let call = world.network.call(CONTACT, NUMBER, true).await.unwrap();
    wait_until("it is over", WITHIN, || call_is(&world, &call.id, "rejected")).await;
    let told = api.wait_for_events(&webhook, "delivered", 2).await.remove(0);
    let expected = json!({"id": call.id, "state": "offer", "video": true, "rejected": true});
    assert_eq!(told["payload"]["call"], expected);

    // It is the row's, and outlives the program.
    world.restart_gateway().await;
    let connection = world.api().wait_for_status(HERE, "connected").await;
    assert_eq!(connection["reject_calls"], json!(true));
    let call = world.network.call(CONTACT, NUMBER, false).await.unwrap();
    wait_until("it is over", WITHIN, || call_is(&world, &call.id, "rejected")).await;
    world.stop().await;
}

/// What the phone knows of its chat with the contact: which setting, and whether it is on.
async fn arranged(world: &World) -> Vec<(String, bool)> {
    let lid = world.network.create_account(CONTACT).await.unwrap().lid;
    let settings = world.network.settings(NUMBER).await.unwrap();
    let mut arranged = Vec::new();
    for setting in settings {
        if let (Some(on), true) = (setting.on, setting.index.contains(&lid)) {
            arranged.push((setting.index[0].clone(), on));
        }
    }
    arranged.sort();
    arranged
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn chats_are_arranged_where_the_phone_sees_it() {
    let world = World::start().await;
    world.linked("/ok").await;
    let arrange = async |what: &str, body: serde_json::Value| {
        let path = format!("{HERE}/chats/{CONTACT}/{what}");
        world.api().post(&path, body).await.status
    };
    // The phone shares the key of its settings after the linking.
    wait_until("the key", WITHIN, || async {
        (arrange("pin", json!({"pinned": true})).await == StatusCode::NO_CONTENT).then_some(())
    })
    .await;
    for (what, body) in [
        ("archive", json!({"archived": true})),
        ("mute", json!({"muted": true})),
        ("pin", json!({"pinned": false})),
        ("mute", json!({"muted": true, "until": "2100-01-01T00:00:00Z"})),
    ] {
        assert_eq!(arrange(what, body.clone()).await, StatusCode::NO_CONTENT, "{body}");
    }
    let on = |what: &str, on: bool| (what.to_owned(), on);
    assert_eq!(
        arranged(&world).await,
        [on("archive", true), on("mute", true), on("pin_v1", false)]
    );
    for (what, body) in [
        ("archive", json!({"archived": false})),
        ("mute", json!({"muted": false})),
    ] {
        assert_eq!(arrange(what, body.clone()).await, StatusCode::NO_CONTENT, "{body}");
    }
    assert!(arranged(&world).await.iter().all(|(_, on)| !on));
    let past = json!({"muted": true, "until": "2000-01-01T00:00:00Z"});
    assert_eq!(arrange("mute", past).await, StatusCode::BAD_REQUEST);
    world.stop().await;
}
