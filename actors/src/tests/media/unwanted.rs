//! Of a chat that the webhook does not want to be told of nothing is kept, and no file is fetched.

use wharf_domain::{ChatKind, ChatKinds, webhook::WebhookPatch};

use super::*;

const GROUP: &str = "120363000000000001@g.us";
const PERSON: &str = "5511999999999";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_picture_in_a_group_that_is_not_wanted_is_neither_kept_nor_fetched() {
    let host = Host::start().await;
    let world = World::start_with(with_media(&host, MediaSettings::default())).await;
    let (client, webhook, link) = world.client_with_webhook("/ok").await;
    let want = async |only: ChatKind| {
        let patch = WebhookPatch {
            chats: Some(ChatKinds::of([only])),
            ..WebhookPatch::default()
        };
        world.gateway.update_webhook(client, webhook.id, patch).await.unwrap();
    };
    let of_person = |id| picture(&host, PERSON, id, 1000);
    let in_group = |id| IncomingMessage {
        chat: GROUP.to_owned(),
        ..of_person(id)
    };
    let kept = || files_below(&world.dir.path().join("media"));

    want(ChatKind::Person).await;
    link.deliver(vec![in_group("G1"), of_person("P1")]).await.unwrap();
    link.deliver(vec![in_group("G2")]).await.unwrap();
    world.wait_for_events(&webhook, EventStatus::Delivered, 1).await;
    assert_eq!((ids(&bodies(&world)), host.requests(), kept()), (vec!["P1"], 1, 1));

    // As soon as the change is answered.
    want(ChatKind::Group).await;
    link.deliver(vec![in_group("G3"), of_person("P2")]).await.unwrap();
    world.wait_for_events(&webhook, EventStatus::Delivered, 2).await;
    assert_eq!(
        (ids(&bodies(&world)), host.requests(), kept()),
        (vec!["P1", "G3"], 2, 2)
    );

    let tested = world.gateway.test_webhook(client, webhook.id).await.unwrap();
    assert!(tested.attempt.is_some(), "a test is of no chat");
    assert_eq!(world.events(&webhook).await.len(), 3);
    world.gateway.stop().await;
}
