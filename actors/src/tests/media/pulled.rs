//! Files of what is pulled: their events are delivered when they are here, and no delivery hears of it.

use wharf_domain::EventStatus;
use wharf_support::wait_until;

use super::{Host, file, files_below, host::Act, path_of, picture, with_media};
use crate::{
    MediaSettings, clock,
    tests::world::{WITHIN, World, message},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_is_delivered_when_its_file_is_here_or_known_not_to_come() {
    let host = Host::start().await;
    let world = World::start_with(with_media(&host, MediaSettings::default())).await;
    let (client, webhook, link) = world.client_that_pulls().await;
    let woken = world.woken(client).await;
    let (slow, missing) = (
        picture(&host, "5511999999999", "M1", 300_000),
        picture(&host, "5511999999999", "M2", 100),
    );
    host.script(&path_of(&slow), [Act::Hang]);
    host.script(&path_of(&missing), [Act::Status(404), Act::Status(410)]);
    link.deliver(vec![slow, missing, message("5511999999999", "M3", "3")])
        .await
        .unwrap();
    let directory = world.dir.path().join("media");
    wait_until("half of it is here", WITHIN, || async { files_below(&directory) >= 1 }).await;
    let statuses: Vec<EventStatus> = world.events(&webhook).await.iter().map(|event| event.status).collect();
    // The newest first; nobody waits for the one before.
    assert_eq!(
        (statuses[0], statuses[2]),
        (EventStatus::Delivered, EventStatus::Pending)
    );
    let before = clock::now();
    host.go_on();
    let events = world.wait_for_events(&webhook, EventStatus::Delivered, 3).await;
    let (kept, lost) = (&events[2], &events[1]);
    assert!(kept.delivered_at >= Some(before) && kept.attempt_count == 0, "{kept:?}");
    let body = serde_json::from_str(kept.payload.get()).unwrap();
    assert_eq!(file(&world.gateway, &body).await.unwrap().size, 300_000);
    assert!(lost.payload.get().contains(r#""error":"gone""#), "{lost:?}");
    assert_eq!(*woken.lock().unwrap(), []);
    assert_eq!(world.receiver.count(), 0);
    world.gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_webhook_that_is_deleted_ends_what_waits_for_its_file() {
    let host = Host::start().await;
    let world = World::start_with(with_media(&host, MediaSettings::default())).await;
    let (client, webhook, link) = world.client_that_pulls().await;
    let slow = picture(&host, "5511999999999", "M1", 300_000);
    host.script(&path_of(&slow), [Act::Hang]);
    link.deliver(vec![slow]).await.unwrap();
    let directory = world.dir.path().join("media");
    wait_until("half of it is here", WITHIN, || async { files_below(&directory) == 1 }).await;
    world.gateway.delete_webhook(client, webhook.id).await.unwrap();
    let ended = world.wait_for_events(&webhook, EventStatus::Failed, 1).await.remove(0);
    assert_eq!(ended.error.as_deref(), Some("webhook deleted"));
    host.go_on();
    wait_until("the file has come", WITHIN, || async {
        let row = world.store.media(client, ended.id).await.unwrap().unwrap();
        row.state == wharf_store::MediaState::Kept
    })
    .await;
    assert_eq!(world.events(&webhook).await[0].status, EventStatus::Failed, "it stays");
    world.gateway.stop().await;
}
