//! Files that are passed on, and what is shown of links.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use reqwest::StatusCode;
use serde_json::json;
use wharf_support::{Receiver, Reply};

use super::{
    super::world::{CONTACT, NUMBER, World},
    MESSAGES, id_of,
    samples::png,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_that_came_in_and_files_that_were_sent_are_passed_on() {
    let world = World::start_with(&[("WHARF_SENDING__PER_SECOND", "0")]).await;
    let webhook = world.linked("/ok").await;
    let picture = png(60, 40);
    let theirs = json!({"to": NUMBER, "kind": "image", "mime_type": "image/png", "caption": "the harbour",
        "data": BASE64_STANDARD.encode(&picture)});
    world.phone_sends(CONTACT, &theirs).await;
    let once = json!({"to": NUMBER, "kind": "image", "view_once": true, "size": 100});
    let once = world.phone_sends(CONTACT, &once).await;
    let events = world.api().wait_for_events(&webhook, "delivered", 2).await;
    let event = |is_once: bool| {
        let event = events.iter().find(|event| (event["message_id"] == *once) == is_once);
        event.unwrap()["id"].as_str().unwrap().to_owned()
    };
    let forward = async |of: serde_json::Value| {
        let mut body = json!({"to": CONTACT, "type": "forward"});
        body.as_object_mut().unwrap().extend(of.as_object().unwrap().clone());
        world.api().post(MESSAGES, body).await
    };
    let sent = forward(json!({"event_id": event(false)})).await;
    let seen = world.arrives(sent, &picture, "image/png").await;
    assert_eq!(
        (&seen["forwarded"], &seen["text"]),
        (&json!(true), &json!("the harbour")),
        "{seen}"
    );
    assert_eq!(seen["content"]["thumbnail"], true, "{seen}");
    let refused = forward(json!({"event_id": event(true)})).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", refused.body);

    // What is at WhatsApp is not uploaded again, so that nothing can go wrong with that.
    world.upload_fault(500, 1000).await;
    let sent = forward(json!({"message_id": seen["id"]})).await;
    let again = world.arrives(sent, &picture, "image/png").await;
    assert_eq!(
        (&again["forwarded"], &again["text"]),
        (&json!(true), &json!("the harbour")),
        "{again}"
    );
    assert_ne!(again["id"], seen["id"]);
    let unknown = forward(json!({"message_id": "3EB0UNKNOWN"})).await;
    assert_eq!(unknown.status, StatusCode::NOT_FOUND);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_preview_is_fetched_where_it_is_asked_for_and_never_holds_a_text_up() {
    let world = World::start_with(&[("WHARF_SENDING__PER_SECOND", "0")]).await;
    world.linked("/ok").await;
    let origin = Receiver::start().await;
    let html = || vec![("content-type", "text/html; charset=utf-8".to_owned())];
    let page = "<title>x</title><meta property='og:title' content='The harbour &amp; the sea'>\
                <meta property='og:description' content='Ships.'><meta property='og:image' content='/p.png'>";
    origin.always("/page", Reply::Answer(200, html(), page.into()));
    origin.always("/p.png", Reply::Answer(200, vec![], png(400, 200).into()));
    origin.always("/mute", Reply::Answer(200, html(), "<p>nothing".into()));
    let send = async |path: &str, preview: serde_json::Value| {
        let text = format!("see {} soon", origin.url(path));
        let body = json!({"to": CONTACT, "type": "text", "text": text, "link_preview": preview});
        let sent = world.api().post(MESSAGES, body).await.expect(StatusCode::CREATED);
        let seen = world.reached(&id_of(&sent)).await;
        assert_eq!(seen["text"], text, "{seen}");
        seen
    };
    for (path, asked) in [("/page", json!(true)), ("/page#piers", json!("auto"))] {
        let seen = send(path, asked).await;
        let preview = &seen["content"]["preview"];
        assert_eq!(preview["url"], origin.url(path), "{seen}");
        assert_eq!(
            (&preview["title"], &preview["description"]),
            (&json!("The harbour & the sea"), &json!("Ships."))
        );
        let small = world
            .network
            .thumbnail(CONTACT, seen["id"].as_str().unwrap())
            .await
            .unwrap();
        assert!(small.starts_with(b"\xff\xd8\xff"));
    }
    let asked_for = origin.count();
    assert!(send("/page", json!(false)).await.get("content").is_none());
    assert_eq!(origin.count(), asked_for, "nobody asked for it");
    for path in ["/mute", "/status/500", "/hang", "/close", "/endless"] {
        let seen = send(path, json!(true)).await;
        assert!(seen.get("content").is_none(), "{path}: {seen}");
    }
    let wrong = json!({"to": CONTACT, "type": "text", "text": "x", "link_preview": "yes"});
    let refused = world.api().post(MESSAGES, wrong).await.expect(StatusCode::BAD_REQUEST);
    assert_eq!(refused["errors"][0]["field"], "link_preview", "{refused}");
    world.stop().await;
}
