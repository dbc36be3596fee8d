//! Files that messages come with: downloaded from a host that a test scripts.

mod absent;
mod again;
mod departed;
mod flat;
mod host;
mod needed;
mod proxy;
mod pulled;
mod sizes;
mod unreadable;
mod unwanted;

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path, time::Duration};

use serde_json::Value;
use wharf_domain::{
    ClientId, EventStatus, IncomingMessage, MessageKind, PhoneNumber, Timestamp,
    media_link::MediaLink,
    message::{Details, Media},
};
use wharf_support::wait_until;

use self::host::{Act, Host};
use super::world::{WITHIN, World, message, number, settings};
use crate::{Gateway, GatewayError, MediaFile, MediaSettings, NoMedia, Settings, clock, janitor::retention::Retention};

fn with_media(host: &Host, more: MediaSettings) -> Settings {
    Settings {
        media: MediaSettings {
            public_url: Some("https://wharf.example".parse().unwrap()),
            test_network: Some(host.url()),
            ..more
        },
        ..settings()
    }
}

/// A picture of `size` bytes in `chat`, which lies on the host.
fn picture(host: &Host, chat: &str, id: &str, size: usize) -> IncomingMessage {
    let reference = host.put(size);
    let media = Media {
        mime_type: "image/png".into(),
        size: reference.size,
        sha256: reference.sha256.iter().map(|byte| format!("{byte:02x}")).collect(),
        reference: Some(Box::new(reference)),
        ..Media::default()
    };
    IncomingMessage {
        kind: MessageKind::Image,
        details: Some(Box::new(Details {
            media: Some(Box::new(media)),
            ..Details::default()
        })),
        ..message(chat, id, "Image")
    }
}

fn path_of(message: &IncomingMessage) -> String {
    let reference = message.media().unwrap().reference.as_ref().unwrap();
    reference.direct_path.clone()
}

/// What the receiver got, by message id and in order.
fn bodies(world: &World) -> Vec<Value> {
    let requests = world.receiver.requests();
    let read = |body: &[u8]| serde_json::from_slice(body).unwrap();
    requests.iter().map(|request| read(&request.body)).collect()
}

fn ids(bodies: &[Value]) -> Vec<&str> {
    bodies.iter().map(|body| body["message_id"].as_str().unwrap()).collect()
}

/// The link in a body, taken apart as the facade does.
fn link(body: &Value) -> (MediaLink, String) {
    let url = url::Url::parse(body["media"]["url"].as_str().expect("a link")).unwrap();
    let path: Vec<&str> = url.path_segments().unwrap().collect();
    let [_, client, event, name] = path.as_slice() else {
        panic!("{url}")
    };
    let query: std::collections::HashMap<_, _> = url.query_pairs().into_owned().collect();
    let link = MediaLink {
        client_id: ClientId(client.parse().unwrap()),
        event_id: event.parse().unwrap(),
        file_name: (*name).to_owned(),
        expires: query["expires"].parse().unwrap(),
    };
    (link, query["signature"].clone())
}

async fn file(gateway: &Gateway, body: &Value) -> Result<MediaFile, NoMedia> {
    let (link, signature) = link(body);
    gateway.media(&link, &signature).await
}

/// Without the one that says whose the directory is.
fn files_below(directory: &Path) -> usize {
    let Ok(entries) = fs::read_dir(directory) else { return 0 };
    entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| !path.ends_with("database"))
        .map(|path| if path.is_dir() { files_below(&path) } else { 1 })
        .sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_is_kept_and_linked_before_its_event_goes_out() {
    let host = Host::start().await;
    let world = World::start_with(with_media(&host, MediaSettings::default())).await;
    let (client, webhook, link_) = world.client_with_webhook("/ok").await;
    let message = picture(&host, "5511999999999", "M1", 100_000);
    link_.deliver(vec![message.clone()]).await.unwrap();
    let events = world.wait_for_events(&webhook, EventStatus::Delivered, 1).await;
    let body = bodies(&world).remove(0);
    assert_eq!(body["media"]["size"], 100_000);
    assert!(body["media"].get("error").is_none() && body["media"].get("base64").is_none());
    let (opened, signature) = link(&body);
    assert_eq!((opened.client_id, opened.event_id), (client, events[0].id));
    assert_eq!(opened.file_name, "file.png");
    let expires = Timestamp::from_seconds(opened.expires);
    assert_eq!(body["media"]["expires_at"], expires.to_string());
    let week = expires.since(events[0].created_at);
    assert!(
        week <= Duration::from_hours(168) && week > Duration::from_hours(167),
        "{week:?}"
    );
    let kept = file(&world.gateway, &body).await.unwrap();
    assert_eq!((kept.size, kept.mime_type.as_str()), (100_000, "image/png"));
    assert_eq!(kept.sha256, body["media"]["sha256"]);
    assert!(fs::read(&kept.path).unwrap() == host::plain(100_000));
    assert_eq!(
        fs::metadata(&kept.path).unwrap().permissions().mode() & 0o777,
        0o600,
        "for this user only"
    );
    // Neither a change nor a made-up link opens anything.
    let other = MediaLink {
        client_id: ClientId(client.0 + 1),
        ..opened.clone()
    };
    assert_eq!(world.gateway.media(&other, &signature).await, Err(NoMedia::NotSigned));
    assert_eq!(world.gateway.media(&opened, "AAAA").await, Err(NoMedia::NotSigned));
    // The row knows no key any more, and the same message makes no second download.
    link_.deliver(vec![message]).await.unwrap();
    assert_eq!(host.requests(), 1);
    world.gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_download_holds_its_own_chat_only() {
    let host = Host::start().await;
    let world = World::start_with(with_media(&host, MediaSettings::default())).await;
    let (client, webhook, link) = world.client_with_webhook("/ok").await;
    let slow = picture(&host, "5511999999999", "M1", 1000);
    let path = path_of(&slow);
    host.script(&path, [Act::Hang]);
    link.deliver(vec![
        slow,
        message("5511999999999", "M2", "after it"),
        message("5511777777777", "M3", "elsewhere"),
        picture(&host, "5511666666666", "M4", 10),
    ])
    .await
    .unwrap();
    let events = world.wait_for_events(&webhook, EventStatus::Delivered, 2).await;
    let mut first = ids(&bodies(&world)).into_iter().map(str::to_owned).collect::<Vec<_>>();
    first.sort();
    assert_eq!(first, ["M3", "M4"]);
    let waiting = events.iter().find(|event| event.message_id == "M1").unwrap();
    assert_eq!((waiting.attempt_count, waiting.next_retry_at), (0, None));
    // Who asks for it by hand is told that it is on its way; it does not go out without its file.
    let retried = world.gateway.retry_event(client, waiting.id, false).await.unwrap();
    assert_eq!((retried.status, retried.attempt_count), (EventStatus::Pending, 0));
    let early: Value = serde_json::from_str(waiting.payload.get()).unwrap();
    assert_eq!(file(&world.gateway, &early).await, Err(NoMedia::NotYet));
    host.go_on();
    world.wait_for_events(&webhook, EventStatus::Delivered, 4).await;
    let bodies = bodies(&world);
    assert_eq!(ids(&bodies)[2..], ["M1", "M2"]);
    assert_eq!(
        bodies[2], early,
        "the payload that could be pulled is the one that went out"
    );
    world.gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn small_files_go_out_in_the_event_and_a_full_client_gets_none() {
    let host = Host::start().await;
    let more = MediaSettings {
        inline_max_bytes: 64,
        max_bytes: 10_000,
        ..MediaSettings::default()
    };
    let world = World::start_with(with_media(&host, more)).await;
    let (_, webhook, link) = world.client_with_webhook("/ok").await;
    let chat = "5511999999999";
    for (place, size) in [64, 65, 9000, 900, 800].into_iter().enumerate() {
        let message = picture(&host, chat, &format!("M{place}"), size);
        link.deliver(vec![message]).await.unwrap();
        world.wait_for_events(&webhook, EventStatus::Delivered, place + 1).await;
    }
    let bodies = bodies(&world);
    let media = |place: usize| &bodies[place]["media"];
    let encoded = media(0)["base64"].as_str().unwrap();
    let decoded = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, encoded).unwrap();
    assert!(decoded == host::plain(64) && media(0).get("url").is_none());
    assert!(media(1)["url"].is_string() && media(1).get("base64").is_none());
    assert!(media(2)["url"].is_string());
    assert_eq!(media(3)["error"], "quota", "64 + 65 + 9000 + 900 are more than 10,000");
    assert!(media(4)["url"].is_string(), "what fits is taken");
    world.gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_go_when_their_time_has_passed_and_with_their_client() {
    let host = Host::start().await;
    let world = World::start_with(with_media(&host, MediaSettings::default())).await;
    let (client, webhook, number_1) = world.client_with_webhook("/ok").await;
    let pictures = [1, 2].map(|n| picture(&host, &format!("551199999999{n}"), &format!("M{n}"), 100));
    number_1.deliver(pictures.to_vec()).await.unwrap();
    world.wait_for_events(&webhook, EventStatus::Delivered, 2).await;
    let directory = world.dir.path().join("media");
    assert_eq!(files_below(&directory), 2);
    let mut retention = Retention::default();
    let shared = &world.gateway.shared;
    let report = retention
        .round(shared, clock::now() + Duration::from_mins(168 * 60 - 15))
        .await
        .unwrap();
    assert_eq!((report.media, files_below(&directory)), (0, 2));
    // What cannot be removed keeps nothing else from being removed, and is tried again.
    let (first, _) = link(&bodies(&world)[0]);
    let stays = shared.media.files.path(client, first.event_id);
    fs::remove_file(&stays).unwrap();
    fs::create_dir(&stays).unwrap();
    for (removed, left) in [(1, 1), (0, 1), (1, 0)] {
        let round = retention
            .round(shared, clock::now() + Duration::from_mins(168 * 60 + 15))
            .await;
        assert_eq!(
            (
                round.unwrap().media,
                shared.store.media_bytes(client).await.unwrap() / 100
            ),
            (removed, left)
        );
        if removed == 0 {
            fs::remove_dir(&stays).unwrap();
        }
    }
    assert_eq!(files_below(&directory), 0);
    let body = bodies(&world).remove(0);
    assert_eq!(file(&world.gateway, &body).await, Err(NoMedia::Missing));
    // Another one, and the client goes.
    number_1
        .deliver(vec![picture(&host, "5511999999993", "M3", 100)])
        .await
        .unwrap();
    wait_until("a third file", WITHIN, || async { files_below(&directory) == 1 }).await;
    let mut writer = world.store.writer().await.unwrap();
    let mut group = writer.begin().await.unwrap();
    group.remove_client(client, clock::now()).await.unwrap();
    group.commit().await.unwrap();
    wait_until("no file is left", WITHIN, || async { files_below(&directory) == 0 }).await;
    world.gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_downloaded_when_that_is_switched_off() {
    let host = Host::start().await;
    let off = MediaSettings {
        download: false,
        ..MediaSettings::default()
    };
    let world = World::start_with(with_media(&host, off)).await;
    let (_, webhook, link) = world.client_with_webhook("/ok").await;
    link.deliver(vec![picture(&host, "5511999999999", "M1", 100)])
        .await
        .unwrap();
    world.wait_for_events(&webhook, EventStatus::Delivered, 1).await;
    let media = bodies(&world).remove(0)["media"].clone();
    let keys: Vec<&String> = media.as_object().unwrap().keys().collect();
    assert_eq!(keys, ["mime_type", "size", "sha256"]);
    assert_eq!(host.requests(), 0);
    world.gateway.stop().await;
}

/// One client's downloads hang; another's go on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clients_downloads_hold_its_own_slots_only() {
    let host = Host::start().await;
    let more = MediaSettings {
        max_downloads: 3,
        max_downloads_per_client: 2,
        ..MediaSettings::default()
    };
    let world = World::start_with(with_media(&host, more)).await;
    let mut of = Vec::new();
    for (place, name) in ["a", "b"].into_iter().enumerate() {
        let client = world.add_client(name).await.id;
        let number: PhoneNumber = number(place as u64 + 1);
        of.push(world.linked(client, &number, "/ok").await);
    }
    let [(slow_hook, slow), (quick_hook, quick)] = of.as_slice() else {
        panic!("two")
    };
    for n in 0..8 {
        let message = picture(&host, &format!("551199999990{n}"), &format!("slow {n}"), 100);
        host.script(&path_of(&message), [Act::Hang]);
        slow.deliver(vec![message]).await.unwrap();
    }
    for n in 0..8 {
        let message = picture(&host, &format!("551188888880{n}"), &format!("quick {n}"), 100);
        quick.deliver(vec![message]).await.unwrap();
    }
    world.wait_for_events(quick_hook, EventStatus::Delivered, 8).await;
    assert!(
        world
            .events(slow_hook)
            .await
            .iter()
            .all(|event| event.status == EventStatus::Pending)
    );
    host.go_on();
    world.wait_for_events(slow_hook, EventStatus::Delivered, 8).await;
    world.gateway.stop().await;
}
