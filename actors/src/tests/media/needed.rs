//! Files whose events wait for longer than their links say.

use wharf_domain::webhook::WebhookPatch;

use super::*;
use crate::persistence::{Work, Write};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_stays_while_its_event_waits_and_for_a_day_behind_it() {
    let host = Host::start().await;
    let more = MediaSettings {
        keep: Duration::from_secs(1),
        ..MediaSettings::default()
    };
    let world = World::start_with(with_media(&host, more)).await;
    let (client, webhook, number_1) = world.client_with_webhook("/ok").await;
    let turn = async |is_active| {
        let patch = WebhookPatch {
            is_active: Some(is_active),
            ..WebhookPatch::default()
        };
        world.gateway.update_webhook(client, webhook.id, patch).await.unwrap();
    };
    turn(false).await;
    number_1
        .deliver(vec![picture(&host, "5511999999999", "M1", 100)])
        .await
        .unwrap();
    let body: Value = serde_json::from_str(world.events(&webhook).await[0].payload.get()).unwrap();
    wait_until("the file is here, and its link's time over", WITHIN, || async {
        let is_here = file(&world.gateway, &body).await.is_ok();
        is_here && link(&body).0.has_expired(clock::now())
    })
    .await;
    assert_eq!(
        file(&world.gateway, &body).await.unwrap().size,
        100,
        "before the janitor comes by, too"
    );
    // Each begins anew, as after a restart: time does not leap for them.
    let round = async |ahead| {
        let now = clock::now() + ahead;
        Retention::default().round(&world.gateway.shared, now).await.unwrap()
    };
    assert_eq!(round(Duration::ZERO).await.media, 0);
    assert_eq!(file(&world.gateway, &body).await.unwrap().size, 100);
    turn(true).await;
    world.wait_for_events(&webhook, EventStatus::Delivered, 1).await;
    // Its time is over once more, just behind the delivery.
    let shared = &world.gateway.shared;
    let id = link(&body).0.event_id;
    let over = Work::NeededMedia(vec![id], clock::now());
    shared.persistence.commit(Write::Step, (over, 1)).await.unwrap();
    assert_eq!(round(Duration::from_hours(23)).await.media, 0);
    let row = shared.store.media(client, id).await.unwrap().unwrap();
    assert!(row.expires_at > clock::now() + Duration::from_hours(46), "{row:?}");
    assert_eq!(round(Duration::from_hours(24 * 3)).await.media, 1);
    assert_eq!(file(&world.gateway, &body).await, Err(NoMedia::Expired));
    world.gateway.stop().await;
}
