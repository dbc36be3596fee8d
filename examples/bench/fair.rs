//! Half of the webhooks are black holes: what that costs the other half.
//!
//! The healthy half is measured alone, and then, at the same rate and in the same process, among as many webhooks whose
//! receiver takes every message and never answers. Both halves are spread over several clients alike.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::{
    process::{Failure, Receiver, Stats},
    receiver::now_us,
    steady,
    world::{Line, World},
};

/// What is measured.
pub(crate) struct Fair {
    pub(crate) webhooks: usize,
    pub(crate) clients: usize,
    pub(crate) chats: u64,
    /// Messages per second, of each half.
    pub(crate) rate: u64,
    pub(crate) seconds: u64,
}

pub(crate) async fn run(fair: &Fair, store: Option<&str>) -> Result<Value, Failure> {
    let (healthy, dead) = (Receiver::at(None)?, Receiver::at(None)?);
    let world = World::start(store).await?;
    let (mut well, mut holes) = (Vec::new(), Vec::new());
    let each = (fair.webhooks / 2 / fair.clients.max(1)).max(1);
    for client in world.clients(fair.clients.max(1)).await? {
        well.extend(
            world
                .more_lines(client, 0..each, &format!("http://{}/ok", healthy.address))
                .await?,
        );
        let target = format!("http://{}/hang", dead.address);
        holes.extend(world.more_lines(client, each..2 * each, &target).await?);
    }
    let (well, holes): (Arc<[Line]>, Arc<[Line]>) = (well.into(), holes.into());
    let (rate, total, chats) = (fair.rate.max(1), fair.rate.max(1) * fair.seconds, fair.chats.max(1));
    let run = now_us();

    // Connections and caches, as in the other shapes.
    let warm = u64::try_from(well.len())?;
    steady(&well, run, chats, 500, warm).await?;
    let alone = measure(&world, &healthy, &well, async || {
        steady(&well, run + 1, chats, rate, total).await
    });
    let alone = alone.await?;
    let among = measure(&world, &healthy, &well, async || {
        let measured = steady(&well, run + 2, chats, rate, total);
        let others = steady(&holes, run + 3, chats, rate, total);
        tokio::try_join!(measured, others).map(drop)
    });
    let among = among.await?;
    let swallowed = dead.count().await?;
    world.gateway.stop().await;
    let ratio = |of: u64, by: u64| (of as f64 / by.max(1) as f64 * 100.0).round() / 100.0;
    Ok(json!({
        "mode": "fair",
        "webhooks": well.len() + holes.len(),
        "clients": fair.clients,
        "rate_of_each_half": rate,
        "seconds": fair.seconds,
        "alone_p50_us": alone.p50_us,
        "alone_p99_us": alone.p99_us,
        "among_p50_us": among.p50_us,
        "among_p99_us": among.p99_us,
        "among_max_us": among.max_us,
        "p99_ratio": ratio(among.p99_us, alone.p99_us),
        "lost": total.saturating_sub(among.distinct),
        "attempts_at_black_holes": swallowed,
    }))
}

/// What the healthy half's receiver saw of `load`, and of nothing that was on its way before.
async fn measure(
    world: &World,
    receiver: &Receiver,
    lines: &[Line],
    load: impl AsyncFnOnce() -> Result<(), Failure>,
) -> Result<Stats, Failure> {
    world.settled(lines).await?;
    receiver.get("/reset").await?;
    load().await?;
    world.settled(lines).await?;
    receiver.stats().await
}
