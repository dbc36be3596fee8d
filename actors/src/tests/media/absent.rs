//! Files that WhatsApp's hosts do not have.

use super::*;

/// A file that the phone uploads to its place on the host anew, once it is asked; the hosts have forgotten where its message says.
fn forgotten(host: &Host, id: &str) -> (IncomingMessage, String) {
    let mut lost = picture(host, "5511999999999", id, 5000);
    let path = path_of(&lost);
    lost.media_mut().unwrap().reference.as_mut().unwrap().direct_path = "/v/expired".into();
    (lost, path)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_phone_is_asked_whenever_the_hosts_say_that_it_is_gone() {
    let host = Host::start().await;
    let world = World::start_with(with_media(&host, MediaSettings::default())).await;
    let client = world.add_client("a").await.id;
    let mut webhooks = Vec::new();
    for n in 1..=4 {
        let (webhook, link) = world.linked(client, &number(n), "/ok").await;
        let (mut lost, path) = forgotten(&host, &format!("M{n}"));
        let forgotten = &mut lost.media_mut().unwrap().reference.as_mut().unwrap().direct_path;
        forgotten.push_str(&n.to_string());
        match n {
            // The first try ends otherwise.
            1 => host.script(forgotten, [Act::Status(500)]),
            // The first time there is no way to the phone.
            2 => link.cannot_ask_phone(1),
            // What it uploaded has not come to the first of the hosts yet.
            3 => host.script(&path, [Act::Status(404)]),
            // It comes to neither.
            _ => host.script(&path, [Act::Status(404), Act::Status(404)]),
        }
        link.uploads_again(&path);
        link.deliver(vec![lost]).await.unwrap();
        webhooks.push(webhook);
    }
    for webhook in &webhooks {
        world.wait_for_events(webhook, EventStatus::Delivered, 1).await;
    }
    for body in bodies(&world) {
        match body["message_id"].as_str() {
            Some("M4") => assert_eq!(body["media"]["error"], "gone"),
            _ => assert_eq!(file(&world.gateway, &body).await.unwrap().size, 5000, "{body}"),
        }
    }
    assert_eq!(host.requests(), 4 * 3, "each is asked for three times");
    world.gateway.stop().await;
}

/// Somebody sends one after another, and the phone is off: the client's only slot is not held until it answers.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_phone_is_asked_for_holds_up_no_other_chat() {
    let host = Host::start().await;
    let more = MediaSettings {
        max_downloads_per_client: 1,
        ..MediaSettings::default()
    };
    let world = World::start_with(with_media(&host, more)).await;
    let (_, webhook, link) = world.client_with_webhook("/ok").await;
    link.turns_phone_off();
    for n in 0..4 {
        let mut lost = picture(&host, "5511999999999", &format!("lost {n}"), 100);
        lost.media_mut().unwrap().reference.as_mut().unwrap().direct_path = "/v/expired".into();
        link.deliver(vec![lost]).await.unwrap();
    }
    link.deliver(vec![picture(&host, "5511888888888", "honest", 100)])
        .await
        .unwrap();
    world.wait_for_events(&webhook, EventStatus::Delivered, 1).await;
    let bodies = bodies(&world);
    assert_eq!(ids(&bodies), ["honest"]);
    assert!(bodies[0]["media"]["url"].is_string());
    world.gateway.stop().await;
}
