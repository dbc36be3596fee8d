//! Downloads that fail or are cut short, and go on.

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_fails_is_tried_again_and_then_told() {
    let host = Host::start().await;
    let world = World::start_with(with_media(&host, MediaSettings::default())).await;
    let (_, webhook, link) = world.client_with_webhook("/ok").await;
    let damaged = picture(&host, "5511911111111", "damaged", 5000);
    host.script(&path_of(&damaged), [Act::Flip(2500), Act::Cut(100), Act::Whole]);
    let gone = picture(&host, "5511922222222", "gone", 5000);
    host.script(&path_of(&gone), [Act::Status(404), Act::Status(410)]);
    let mut nothing = picture(&host, "5511933333333", "nothing", 5000);
    nothing.media_mut().unwrap().reference = None;
    let mut liar = picture(&host, "5511944444444", "liar", 5000);
    liar.media_mut().unwrap().reference.as_mut().unwrap().direct_path = "@evil.example/".into();
    link.deliver(vec![damaged, gone, nothing, liar]).await.unwrap();
    world.wait_for_events(&webhook, EventStatus::Delivered, 4).await;
    let bodies = bodies(&world);
    let told = |id: &str| {
        let body = bodies.iter().find(|body| body["message_id"] == id).unwrap();
        assert_eq!(body["media"].get("url").is_none(), body["media"].get("error").is_some());
        assert_eq!(
            body["media"].get("expires_at").is_none(),
            body["media"].get("error").is_some()
        );
        body["media"].get("error").cloned()
    };
    assert_eq!(told("gone"), Some("gone".into()));
    assert_eq!(told("nothing"), Some("incomplete".into()));
    assert_eq!(told("liar"), Some("incomplete".into()));
    assert_eq!(told("damaged"), None, "the third try brought it");
    let directory = world.dir.path().join("media");
    assert_eq!(files_below(&directory), 1, "nothing is left of what failed");
    world.gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_phone_uploads_again_what_is_gone() {
    let host = Host::start().await;
    let world = World::start_with(with_media(&host, MediaSettings::default())).await;
    let (_, webhook, link) = world.client_with_webhook("/ok").await;
    let mut lost = picture(&host, "5511999999999", "M1", 5000);
    let path = path_of(&lost);
    lost.media_mut().unwrap().reference.as_mut().unwrap().direct_path = "/v/expired".into();
    link.uploads_again(&path);
    link.deliver(vec![lost]).await.unwrap();
    world.wait_for_events(&webhook, EventStatus::Delivered, 1).await;
    let body = bodies(&world).remove(0);
    assert_eq!(file(&world.gateway, &body).await.unwrap().size, 5000, "{body}");
    world.gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_goes_on_with_what_was_pending() {
    let host = Host::start().await;
    let more = with_media(&host, MediaSettings::default());
    let mut world = World::start_with(more.clone()).await;
    let (_, webhook, link) = world.client_with_webhook("/ok").await;
    let slow = picture(&host, "5511999999999", "M1", 300_000);
    host.script(&path_of(&slow), [Act::Hang]);
    link.deliver(vec![slow, message("5511999999999", "M2", "after it")])
        .await
        .unwrap();
    wait_until("the download has begun", WITHIN, || async { host.requests() == 1 }).await;
    let before = world.events(&webhook).await;
    world.gateway.stop().await;
    assert_eq!(world.receiver.count(), 0);
    world.gateway = Gateway::start(more, world.store.clone(), std::sync::Arc::new(world.links.clone()))
        .await
        .unwrap();
    let events = world.wait_for_events(&webhook, EventStatus::Delivered, 2).await;
    let bodies = bodies(&world);
    assert_eq!(ids(&bodies), ["M1", "M2"]);
    let of = |events: &[wharf_domain::Event]| events.iter().map(|e| e.payload.get().to_owned()).collect::<Vec<_>>();
    assert_eq!(of(&before), of(&events));
    assert_eq!(file(&world.gateway, &bodies[0]).await.unwrap().size, 300_000);
    let incoming = world.dir.path().join("media").join("incoming");
    assert_eq!(files_below(&incoming), 0);
    world.gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_comes_late_has_a_link_that_is_good() {
    let host = Host::start().await;
    let more = MediaSettings {
        keep: Duration::from_secs(4),
        ..MediaSettings::default()
    };
    let world = World::start_with(with_media(&host, more)).await;
    let (client, webhook, link) = world.client_with_webhook("/ok").await;
    let slow = picture(&host, "5511999999999", "M1", 1000);
    host.script(&path_of(&slow), [Act::Hang]);
    link.deliver(vec![slow]).await.unwrap();
    let before = world.events(&webhook).await[0].payload.get().to_owned();
    let before: Value = serde_json::from_str(&before).unwrap();
    wait_until("the time of its link is over", WITHIN, || async {
        self::link(&before).0.has_expired(clock::now())
    })
    .await;
    assert_eq!(file(&world.gateway, &before).await, Err(NoMedia::NotYet));
    let late = clock::now();
    host.go_on();
    world.wait_for_events(&webhook, EventStatus::Delivered, 1).await;
    let body = bodies(&world).remove(0);
    let link = self::link(&body).0;
    assert!(!link.has_expired(late), "{body}");
    assert_eq!(file(&world.gateway, &body).await.unwrap().size, 1000, "{body}");
    let row = world.store.media(client, link.event_id).await.unwrap();
    assert_eq!(body["media"]["expires_at"], row.unwrap().expires_at.to_string());
    world.gateway.stop().await;
}
