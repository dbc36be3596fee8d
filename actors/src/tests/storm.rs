//! A thousand sessions lose their links in one moment, the network stays away for a while, and comes back.

use std::time::{Duration, Instant};

use futures::future::join_all;
use wharf_domain::{ClientId, ConnectionStatus, session::ReasonCode};
use wharf_store::ByNumber;
use wharf_support::wait_until;
use wharf_whatsapp::{CloseReason, OpenScript};

use super::world::{World, number, settings};
use crate::Settings;

const SESSIONS: u64 = 1000;
/// Fast, for a test; a tenth of it in a default configuration.
const PER_SECOND: u32 = 500;
/// What the project promises.
const BACK_WITHIN: Duration = Duration::from_secs(60);

async fn with_status(world: &World, client: ClientId, status: ConnectionStatus) -> usize {
    let all = world.gateway.connections(client, &ByNumber::ALL).await.unwrap();
    all.iter().filter(|connection| connection.status == status).count()
}

async fn all_connected(world: &World, client: ClientId, within: Duration) {
    wait_until("all are connected", within, || async {
        with_status(world, client, ConnectionStatus::Connected).await as u64 == SESSIONS
    })
    .await;
}

/// The most links opened within any second.
fn most_in_a_second(opened: &[Instant]) -> usize {
    let within = |(at, from): (usize, &Instant)| {
        let later = opened[at..].iter();
        later
            .take_while(|to| to.duration_since(*from) < Duration::from_secs(1))
            .count()
    };
    opened.iter().enumerate().map(within).max().unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_sessions_come_back_spread_and_one_link_each() {
    let world = World::start_with(Settings {
        session_starts_per_second: PER_SECOND,
        ..settings()
    })
    .await;
    let client = world.add_client("a").await.id;
    world.links.on_open(OpenScript::Login);
    let made = (0..SESSIONS).map(|n| world.gateway.create_connection(client, number(n)));
    join_all(made).await.into_iter().for_each(|made| drop(made.unwrap()));
    all_connected(&world, client, BACK_WITHIN).await;

    // The network goes: every socket breaks, and no attempt succeeds.
    let before = world.links.opened_at().len();
    let away = || CloseReason::Lost("WhatsApp could not be reached".to_owned());
    world.links.on_open(OpenScript::End(away()));
    world.links.open_links().into_iter().for_each(|link| link.close(away()));
    wait_until("nobody says connected", BACK_WITHIN, || async {
        with_status(&world, client, ConnectionStatus::Connected).await == 0
    })
    .await;
    let shown = world.gateway.connection(client, &number(7)).await.unwrap();
    assert!(
        matches!(shown.reason_code, ReasonCode::LinkLost | ReasonCode::Starting),
        "{shown:?}"
    );
    wait_until("every session has tried", BACK_WITHIN, || async {
        let all = world.gateway.connections(client, &ByNumber::ALL).await.unwrap();
        all.iter().all(|connection| connection.reconnect_attempts > 0)
    })
    .await;

    // It comes back.
    world.links.on_open(OpenScript::Login);
    let back = Instant::now();
    all_connected(&world, client, BACK_WITHIN).await;
    assert!(back.elapsed() < BACK_WITHIN, "{:?}", back.elapsed());

    let opened = world.links.opened_at();
    let most = most_in_a_second(&opened[before..]);
    // A loaded machine opens late what was due in the second before.
    assert!(
        most <= 2 * PER_SECOND as usize,
        "{most} links were opened within a second"
    );
    assert_eq!(world.links.counters().overlaps, 0, "a second client on one store");
    assert_eq!(world.links.open_links().len() as u64, SESSIONS);
    world.gateway.stop().await;
    assert_eq!(world.links.open_links().len(), 0);
}
