//! What a sender says of a file's size, and what there is.

use wharf_domain::Webhook;
use wharf_whatsapp::ScriptedHandle;

use super::*;

/// Says of the file of a message that it has so many bytes.
fn saying(mut message: IncomingMessage, size: u64) -> IncomingMessage {
    let media = message.media_mut().unwrap();
    media.size = size;
    media.reference.as_mut().unwrap().size = size;
    message
}

/// A client whose files may have so many bytes, with a number.
async fn with_room_for(max_bytes: u64) -> (Host, World, ClientId, Webhook, ScriptedHandle) {
    let host = Host::start().await;
    let more = MediaSettings {
        max_bytes,
        ..MediaSettings::default()
    };
    let world = World::start_with(with_media(&host, more)).await;
    let (client, webhook, link) = world.client_with_webhook("/ok").await;
    (host, world, client, webhook, link)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_says_too_much_takes_no_room_of_others() {
    for (max_bytes, said) in [(10_000, 9_900), (0, u64::MAX)] {
        let (host, world, _, webhook, link) = with_room_for(max_bytes).await;
        let boast = saying(picture(&host, "5511999999999", "boast", 100), said);
        host.script(&path_of(&boast), [Act::Hang]);
        link.deliver(vec![boast]).await.unwrap();
        wait_until("the boast is on its way", WITHIN, async || host.requests() == 1).await;
        let honest = picture(&host, "5511888888888", "honest", 5_000);
        link.deliver(vec![honest]).await.unwrap();
        world.wait_for_events(&webhook, EventStatus::Delivered, 1).await;
        host.go_on();
        world.wait_for_events(&webhook, EventStatus::Delivered, 2).await;
        let bodies = bodies(&world);
        assert_eq!(ids(&bodies), ["honest", "boast"]);
        for (body, size) in bodies.iter().zip([5_000, 100]) {
            assert_eq!(body["media"]["size"], size, "{body}");
            assert!(body["media"]["url"].is_string(), "{body}");
        }
        world.gateway.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_says_nothing_takes_room_all_the_same() {
    let (host, world, _, webhook, link) = with_room_for(10_000).await;
    for (chat, id) in [("5511999999999", "one"), ("5511888888888", "two")] {
        let message = saying(picture(&host, chat, id, 6_000), 0);
        host.script(&path_of(&message), [Act::Hang]);
        link.deliver(vec![message]).await.unwrap();
    }
    // Whichever comes second has no room, while the first is on its way.
    world.wait_for_events(&webhook, EventStatus::Delivered, 1).await;
    assert_eq!(bodies(&world)[0]["media"]["error"], "quota");
    host.go_on();
    world.wait_for_events(&webhook, EventStatus::Delivered, 2).await;
    assert_eq!(bodies(&world)[1]["media"]["size"], 6_000);
    // And a client that is full asks for nothing.
    let fills = picture(&host, "5511999999999", "fills", 4_000);
    link.deliver(vec![fills]).await.unwrap();
    world.wait_for_events(&webhook, EventStatus::Delivered, 3).await;
    assert!(bodies(&world)[2]["media"]["url"].is_string());
    let asked = host.requests();
    link.deliver(vec![picture(&host, "5511999999999", "late", 1)])
        .await
        .unwrap();
    world.wait_for_events(&webhook, EventStatus::Delivered, 4).await;
    assert_eq!(
        (&bodies(&world)[3]["media"]["error"], host.requests()),
        (&"quota".into(), asked)
    );
    world.gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_nobody_says_the_size_of_takes_room_as_it_comes() {
    let (host, world, client, webhook, link) = with_room_for(10_000).await;
    let unsaid = |chat, id, size| {
        let message = saying(picture(&host, chat, id, size), 0);
        host.script(&path_of(&message), [Act::HangUnsaid]);
        message
    };
    link.deliver(vec![unsaid("5511999999999", "slow", 6_000)])
        .await
        .unwrap();
    wait_until("it is on its way", WITHIN, async || host.requests() == 1).await;
    let beside = picture(&host, "5511888888888", "beside", 3_000);
    link.deliver(vec![beside]).await.unwrap();
    world.wait_for_events(&webhook, EventStatus::Delivered, 1).await;
    assert!(
        bodies(&world)[0]["media"]["url"].is_string(),
        "there was room beside it"
    );
    host.go_on();
    world.wait_for_events(&webhook, EventStatus::Delivered, 2).await;
    assert_eq!(bodies(&world)[1]["media"]["size"], 6_000);
    link.deliver(vec![unsaid("5511777777777", "large", 2_000)])
        .await
        .unwrap();
    world.wait_for_events(&webhook, EventStatus::Delivered, 3).await;
    assert_eq!(bodies(&world)[2]["media"]["error"], "quota");
    assert_eq!(world.store.media_bytes(client).await.unwrap(), 9_000);
    world.gateway.stop().await;
}

/// A file that drips in does not pass by what came in beside it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_came_in_meanwhile_takes_room_of_what_is_still_coming() {
    let (host, world, client, webhook, link) = with_room_for(10_000).await;
    let mut dripping = world.gateway.receive_file(client, &number(1), None).await.unwrap();
    dripping.take(&[0; 1_000]).await.unwrap();
    link.deliver(vec![picture(&host, "5511999999999", "kept", 6_000)])
        .await
        .unwrap();
    world.wait_for_events(&webhook, EventStatus::Delivered, 1).await;
    let directory = world.dir.path().join("media");
    wait_until("the file is there", WITHIN, async || files_below(&directory) == 2).await;
    let refused = dripping.take(&[0; 4_000]).await.unwrap_err();
    assert!(
        matches!(&refused, GatewayError::Conflict(why) if why.contains("media.max_bytes")),
        "{refused:?}"
    );
    dripping.take(&[0; 3_000]).await.expect("as much as there is room for");
    drop(dripping);
    world.gateway.stop().await;
}
