//! Files that are here and cannot be read.

use std::os::unix::fs::symlink;

use wharf_domain::outgoing::ForwardSource;

use super::*;
use crate::{NewContent, NewMessage};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_cannot_be_read_for_a_moment_is_not_said_to_be_gone() {
    let host = Host::start().await;
    let world = World::start_with(with_media(&host, MediaSettings::default())).await;
    let client = world.add_client("a").await.id;
    let (webhook, link) = world.linked(client, &number(1), "/ok").await;
    link.deliver(vec![picture(&host, "5511999999999", "M1", 100)])
        .await
        .unwrap();
    let id = world.wait_for_events(&webhook, EventStatus::Delivered, 1).await[0].id;
    let place = world.gateway.shared.media.files.path(client, id);
    fs::remove_file(&place).unwrap();
    // What leads to itself is there, and cannot be opened.
    symlink(&place, &place).unwrap();
    let forward = async || {
        let message = NewMessage {
            to: "5511777777777".parse().unwrap(),
            content: NewContent::Forward(ForwardSource::Event(id)),
            reply_to: None,
            queue: false,
            wait: true,
        };
        world.gateway.send(client, &number(1), message, None).await
    };
    let unreadable = forward().await.unwrap_err();
    assert!(matches!(unreadable, GatewayError::Unavailable(_)), "{unreadable:?}");
    fs::remove_file(&place).unwrap();
    let gone = forward().await.unwrap_err();
    assert!(matches!(gone, GatewayError::Refused(_)), "{gone:?}");
    world.gateway.stop().await;
}
