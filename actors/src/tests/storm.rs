//! A thousand sessions lose their links in one moment, the network stays away for a while, and comes back.

use std::time::{Duration, Instant};

use futures::future::join_all;
use wharf_domain::{ClientId, ConnectionStatus, session::ReasonCode};
use wharf_store::ByNumber;
use wharf_support::wait_until;
use wharf_whatsapp::{CloseReason, OpenScript};

use super::world::{World, number, settings};
use crate::{Limits, Settings};

const SESSIONS: u64 = 1000;
/// Fast, for a test; a tenth of it in a default configuration.
const PER_SECOND: u32 = 500;
/// Turns of two slices of time (`shared::Pacer`): of one that has begun, and of the next one's beginning.
const BEGUN: u32 = PER_SECOND * 2 / 5;
/// What the project promises is a minute; a machine that runs other tests as well may be slower.
const BACK_WITHIN: Duration = Duration::from_secs(180);

async fn with_status(world: &World, client: ClientId, status: ConnectionStatus) -> usize {
    let all = world.gateway.connections(client, &ByNumber::ALL).await.unwrap();
    all.iter()
        .filter(|connection| connection.session.status == status)
        .count()
}

async fn all_connected(world: &World, client: ClientId, within: Duration) {
    wait_until("all are connected", within, || async {
        with_status(world, client, ConnectionStatus::Connected).await as u64 == SESSIONS
    })
    .await;
}

/// By how many links the turns since then were exceeded, when most. A machine that stands still opens late what had its
/// turn, and then many at once; nothing opens early.
fn ahead_of_turns(opened: &[Instant], since: Instant) -> f64 {
    let turns = |at: &Instant| at.duration_since(since).as_secs_f64() * f64::from(PER_SECOND);
    let ahead = opened
        .iter()
        .zip(1_u32..)
        .map(|(at, count)| f64::from(count) - turns(at));
    ahead.fold(0.0, f64::max)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_sessions_come_back_spread_and_one_link_each() {
    let world = World::start_with(Settings {
        session_starts_per_second: PER_SECOND,
        limits: Limits {
            changes_per_second: 0,
            ..Limits::default()
        },
        ..settings()
    })
    .await;
    let client = world.add_client("a").await.id;
    world.links.on_open(OpenScript::Login);
    let made = (0..SESSIONS).map(|n| world.gateway.create_connection(client, number(n)));
    join_all(made).await.into_iter().for_each(|made| drop(made.unwrap()));
    all_connected(&world, client, BACK_WITHIN).await;

    // The network goes: every socket breaks, and no attempt succeeds.
    let (before, gone) = (world.links.opened_at().len(), Instant::now());
    let away = || CloseReason::Lost("WhatsApp could not be reached".to_owned());
    world.links.on_open(OpenScript::End(away()));
    world.links.open_links().into_iter().for_each(|link| link.close(away()));
    wait_until("nobody says connected", BACK_WITHIN, || async {
        with_status(&world, client, ConnectionStatus::Connected).await == 0
    })
    .await;
    let shown = world.gateway.connection(client, &number(7)).await.unwrap();
    assert!(
        matches!(shown.session.reason_code, ReasonCode::LinkLost | ReasonCode::Starting),
        "{shown:?}"
    );
    wait_until("every session has tried", BACK_WITHIN, || async {
        let all = world.gateway.connections(client, &ByNumber::ALL).await.unwrap();
        all.iter().all(|connection| connection.session.reconnect_attempts > 0)
    })
    .await;

    // It comes back.
    world.links.on_open(OpenScript::Login);
    let back = Instant::now();
    all_connected(&world, client, BACK_WITHIN).await;
    assert!(back.elapsed() < BACK_WITHIN, "{:?}", back.elapsed());

    let ahead = ahead_of_turns(&world.links.opened_at()[before..], gone);
    assert!(ahead <= f64::from(BEGUN), "{ahead} links were opened before their turn");
    assert_eq!(world.links.counters().overlaps, 0, "a second client on one store");
    assert_eq!(world.links.open_links().len() as u64, SESSIONS);
    world.gateway.stop().await;
    assert_eq!(world.links.open_links().len(), 0);
}
