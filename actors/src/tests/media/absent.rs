//! Files that WhatsApp's hosts do not have.

use super::*;

/// Somebody sends one after another, and the phone is off: the client's only slot is not held until it answers.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_phone_is_asked_for_holds_up_no_other_chat() {
    let host = Host::start().await;
    let more = MediaSettings {
        max_downloads_per_client: 1,
        ..MediaSettings::default()
    };
    let world = World::start_with(with_media(&host, more)).await;
    let client = world.add_client("a").await.id;
    let (webhook, link) = world.linked(client, &number(1), "/ok").await;
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
