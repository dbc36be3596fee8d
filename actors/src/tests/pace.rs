//! The pace of one number.

use wharf_domain::outgoing::{Pace, Pacing};
use wharf_support::wait_until;

use super::world::{WITHIN, World, number, settings};
use crate::{ConnectionPatch, GatewayError, NewMessage, Settings};

fn of(sending: Option<Pace>) -> ConnectionPatch {
    ConnectionPatch {
        sending: Some(sending),
        ..ConnectionPatch::default()
    }
}

fn pace(per_second: u32) -> Option<Pace> {
    Some(Pace { per_second, burst: 1 })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_numbers_own_pace_counts_at_once_for_what_waits_already_and_is_kept() {
    let pacing = Pacing {
        per_second: 1,
        burst: 1,
        fastest: Pace {
            per_second: 50,
            burst: 9,
        },
        ..Pacing::default()
    };
    let mut world = World::start_with(Settings {
        sending: pacing,
        ..settings()
    })
    .await;
    let (client, link) = world.client_with_number().await;
    assert_eq!(
        world.gateway.connection(client, &number(1)).await.unwrap().sending,
        None
    );
    // One a second would take a minute, longer than is waited for.
    for _ in 0..60 {
        let message = NewMessage {
            wait: false,
            ..NewMessage::text("5511999999999".parse().unwrap(), "hello")
        };
        world.gateway.send(client, &number(1), message, None).await.unwrap();
    }
    let update = async |world: &World, sending| {
        let patch = of(sending);
        world.gateway.update_connection(client, &number(1), patch).await
    };
    for too_much in [
        pace(51),
        pace(0),
        Some(Pace {
            per_second: 1,
            burst: 10,
        }),
    ] {
        let refused = update(&world, too_much).await;
        assert!(
            matches!(&refused, Err(GatewayError::Invalid(field)) if field.field.starts_with("sending.")),
            "{refused:?}"
        );
    }
    let changed = update(&world, pace(50)).await.unwrap();
    assert_eq!(changed.sending, pace(50));
    wait_until("all are sent", WITHIN, || async {
        (link.sent().len() == 60).then_some(())
    })
    .await;

    world.restart_with("").await;
    let kept = world.gateway.connection(client, &number(1)).await.unwrap();
    assert_eq!(kept.sending, pace(50));
    assert_eq!(update(&world, None).await.unwrap().sending, None);
    let made = world
        .gateway
        .create_connection_with(client, number(2), of(pace(2)))
        .await;
    assert_eq!(made.unwrap().sending, pace(2));
    world.gateway.stop().await;
}
