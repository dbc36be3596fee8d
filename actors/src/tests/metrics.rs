//! What operators measure, held against what happened.

use wharf_domain::{EventStatus, session::CloseReason};
use wharf_support::{Reply, wait_until};

use super::world::{WITHIN, World, message, number};
use crate::{NewMessage, session, supervision::Crash};

/// The value of a line.
async fn value(world: &World, line: &str) -> Option<f64> {
    let text = world.gateway.metrics().await.unwrap();
    let found = text
        .lines()
        .find_map(|found| found.strip_prefix(line)?.strip_prefix(' '));
    found.map(|value| value.parse().unwrap())
}

async fn until(world: &World, line: &str, wanted: f64) {
    wait_until(&format!("{line} {wanted}"), WITHIN, || async {
        value(world, line).await == Some(wanted)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_happens_is_counted_and_what_is_there_is_told() {
    let world = World::start().await;
    let (client, webhook, link) = world.client_with_webhook("/hook").await;
    world.receiver.script("/hook", [Reply::Status(200), Reply::Status(404)]);
    for id in ["M1", "M2"] {
        link.deliver(vec![message("5511999999999", id, "1")]).await.unwrap();
    }
    world.wait_for_events(&webhook, EventStatus::Failed, 1).await;
    let sent = NewMessage::text("5511999999999".parse().unwrap(), "1");
    world.gateway.send(client, &number(1), sent, None).await.unwrap();

    let text = world.gateway.metrics().await.unwrap();
    assert!(text.ends_with("# EOF\n") && !text.contains("55119"), "{text}");
    assert!(text.contains("wharf_build_info{version=\""), "{text}");
    for (line, wanted) in [
        ("wharf_ready", 1.0),
        ("wharf_events_total", 2.0),
        ("wharf_events_pending", 0.0),
        ("wharf_attempts_total{result=\"delivered\"}", 1.0),
        ("wharf_attempts_total{result=\"client_error\"}", 1.0),
        ("wharf_attempt_duration_seconds_count", 2.0),
        ("wharf_delivery_delay_seconds_count", 1.0),
        ("wharf_attempts_in_flight", 0.0),
        ("wharf_attempts_waiting", 0.0),
        ("wharf_deliveries", 1.0),
        ("wharf_sends_total{result=\"sent\"}", 1.0),
        ("wharf_connections{status=\"connected\"}", 1.0),
        ("wharf_connections{status=\"failed\"}", 0.0),
        ("wharf_attempts_total{result=\"interrupted\"}", 0.0),
        ("wharf_restarts_total{actor=\"persistence\"}", 0.0),
    ] {
        assert_eq!(value(&world, line).await, Some(wanted), "{line} in {text}");
    }
    wait_until("sessions have their turn within a second", WITHIN, || async {
        let delay = value(&world, "wharf_session_delay_seconds").await;
        delay.is_some_and(|delay| delay < 1.0)
    })
    .await;
    let commits = value(&world, "wharf_commits_total").await.unwrap();
    assert!(commits > 0.0 && value(&world, "wharf_database_bytes").await.unwrap() > 4096.0);

    link.close(CloseReason::Lost("the socket broke".into()));
    until(&world, "wharf_links_lost_total{reason=\"link_lost\"}", 1.0).await;
    world.relinked(client, &number(1)).await;
    until(&world, "wharf_connections{status=\"connected\"}", 1.0).await;
    let session = world
        .gateway
        .shared
        .directory
        .session(&webhook.key())
        .unwrap()
        .actor
        .unwrap();
    session.cast(session::Message::Crash(Crash::Panic)).unwrap();
    until(&world, "wharf_restarts_total{actor=\"session\"}", 1.0).await;
    world.gateway.stop().await;
}
