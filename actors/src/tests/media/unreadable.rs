//! Files that came in and are passed on, also where they cannot be read.

use std::os::unix::fs::symlink;

use wharf_domain::{EventId, outgoing::ForwardSource};

use super::*;
use crate::{NewContent, NewMessage};

/// A client to whose number a picture came.
async fn with_a_picture() -> (Host, World, ClientId, EventId) {
    let host = Host::start().await;
    let world = World::start_with(with_media(&host, MediaSettings::default())).await;
    let (client, webhook, link) = world.client_with_webhook("/ok").await;
    link.deliver(vec![picture(&host, "5511999999999", "M1", 100)])
        .await
        .unwrap();
    let id = world.wait_for_events(&webhook, EventStatus::Delivered, 1).await[0].id;
    (host, world, client, id)
}

fn forward(id: EventId) -> NewMessage {
    NewMessage {
        to: "5511777777777".parse().unwrap(),
        content: NewContent::Forward(ForwardSource::Event(id)),
        reply_to: None,
        update: None,
        typing_seconds: None,
        queue: false,
        wait: true,
    }
}

/// It was sent as a picture and is none: nothing that the request says is wrong.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_is_not_what_it_came_as_cannot_be_passed_on() {
    let (_host, world, client, id) = with_a_picture().await;
    let refused = world.gateway.send(client, &number(1), forward(id), None).await;
    assert!(
        matches!(&refused, Err(GatewayError::Refused(why)) if why.starts_with("it cannot be forwarded: its file holds ")),
        "{refused:?}"
    );
    world.gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_cannot_be_read_for_a_moment_is_not_said_to_be_gone() {
    let (_host, world, client, id) = with_a_picture().await;
    let place = world.gateway.shared.media.files.path(client, id);
    fs::remove_file(&place).unwrap();
    // What leads to itself is there, and cannot be opened.
    symlink(&place, &place).unwrap();
    let forward = async || world.gateway.send(client, &number(1), forward(id), None).await;
    let unreadable = forward().await.unwrap_err();
    assert!(matches!(unreadable, GatewayError::Unavailable(_)), "{unreadable:?}");
    fs::remove_file(&place).unwrap();
    let gone = forward().await.unwrap_err();
    assert!(matches!(gone, GatewayError::Refused(_)), "{gone:?}");
    world.gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sound_in_an_mp4_is_passed_on_whatever_its_brand() {
    let host = Host::start().await;
    let world = World::start_with(with_media(&host, MediaSettings::default())).await;
    let (client, webhook, link) = world.client_with_webhook("/ok").await;
    let mut sound = picture(&host, "5511999999999", "M1", 100);
    sound.kind = MessageKind::Audio;
    let media = sound.details.as_mut().unwrap().media.as_mut().unwrap();
    media.mime_type = "audio/mp4".into();
    link.deliver(vec![sound]).await.unwrap();
    let id = world.wait_for_events(&webhook, EventStatus::Delivered, 1).await[0].id;
    let place = world.gateway.shared.media.files.path(client, id);
    fs::write(place, b"\0\0\0\x10ftypmp42\0\0\0\0\0\0\0\x08moov").unwrap();
    let message = NewMessage {
        wait: false,
        ..forward(id)
    };
    let queued = world.gateway.send(client, &number(1), message, None).await.unwrap();
    let row = world
        .gateway
        .outgoing_message(client, &number(1), &queued.message_id)
        .await;
    let content = row.unwrap().message.unwrap().content;
    assert_eq!(content.media().unwrap().media.mime_type.as_deref(), Some("audio/mp4"));
    world.gateway.stop().await;
}
