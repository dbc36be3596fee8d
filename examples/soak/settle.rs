//! The end: everything that is due comes, everything is taken away, and nothing may be left.

use std::{
    collections::HashSet,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use fastrand::Rng;
use futures::future::try_join_all;
use reqwest::Method;

use crate::{
    api::{LOOK_EVERY, PATIENCE, Tenant},
    churn, clients,
    growth::files_below,
    line::{Line, Stage},
    process::Failure,
};

/// Tables that hold something when there is no client any more.
const LASTING: [&str; 4] = ["installation", "listed", "retention", "write_check"];

/// Everything that is due comes.
pub(crate) async fn settle(stage: &Stage, lines: &[Arc<Line>], rng: &mut Rng) -> Result<(), Failure> {
    let seeds: Vec<u64> = lines.iter().map(|_| rng.u64(..)).collect();
    try_join_all(lines.iter().zip(seeds).map(async |(line, seed)| {
        let mut rng = Rng::with_seed(seed);
        churn::bring_back(stage, line, &mut rng).await?;
        let standing = line.gate.read().await;
        if !line.drain(stage, &mut rng, &standing).await? {
            stage.book.lose(line.place, "at the end");
        }
        Ok::<_, Failure>(())
    }))
    .await?;
    let begun = Instant::now();
    loop {
        let rows = stage.lives.store().await?.census().await?;
        let waiting = [
            "webhook_events.pending",
            "whatsapp_media.pending",
            "whatsapp_outgoing_messages.queued",
        ];
        let waiting: Vec<_> = waiting
            .into_iter()
            .filter_map(|of| Some((of, *rows.get(of)?)))
            .collect();
        if waiting.is_empty() {
            return Ok(());
        }
        if begun.elapsed() > PATIENCE {
            stage.book.wrong(format!("something waits for ever: {waiting:?}"));
            return Ok(());
        }
        for line in lines {
            let standing = line.gate.read().await;
            line.heal(stage, &standing).await?;
        }
        tokio::time::sleep(LOOK_EVERY * 5).await;
    }
}

/// What the gateway said that WhatsApp has, the phones have.
pub(crate) async fn outgoing(stage: &Stage, lines: &[Arc<Line>]) -> Result<(), Failure> {
    for (chat, ids) in stage.book.outgoing() {
        let of_group = lines.iter().find(|line| line.group == chat);
        let phone = of_group.map_or(&chat, |line| &line.contacts[0]);
        let has = stage
            .api
            .network(Method::GET, &format!("/accounts/{phone}/messages"), None)
            .await?;
        let has: HashSet<&str> = has
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|message| message["id"].as_str())
            .collect();
        for id in ids.iter().filter(|id| !has.contains(id.as_str())) {
            stage.book.wrong(format!(
                "message {id} to {chat} was said to be sent, and the phone does not have it"
            ));
        }
    }
    Ok(())
}

/// Files that no row knows of, and what the database has that it should not.
pub(crate) async fn left_over(stage: &Stage, directory: &Path, when: &str) -> Result<(), Failure> {
    // What is under way comes to an end.
    let begun = Instant::now();
    let strange = loop {
        let store = stage.lives.store().await?;
        let mut strange = store.strays().await?;
        let kept: HashSet<String> = store
            .kept_files()
            .await?
            .iter()
            .map(|(_, id)| id.0.simple().to_string())
            .collect();
        let media = directory.join("media");
        for (path, _) in files_below(&media) {
            let name = path
                .file_name()
                .map(|name| name.to_string_lossy().into_owned())
                .unwrap_or_default();
            // The one that says whose the directory is has none.
            if name != "database" && !kept.contains(&name) {
                strange.push(format!("the file {} has no row", path.display()));
            }
        }
        if strange.is_empty() || begun.elapsed() > Duration::from_secs(20) {
            break strange;
        }
        tokio::time::sleep(LOOK_EVERY * 5).await;
    };
    for what in strange {
        stage.book.wrong(format!("{when}: {what}"));
    }
    Ok(())
}

/// Half of the connections are deleted, then all clients: no device, no row and no file may be left.
pub(crate) async fn take_away(
    stage: &Stage,
    lines: &[Arc<Line>],
    tenants: &[Arc<Tenant>],
    directory: &Path,
) -> Result<(), Failure> {
    for line in lines.iter().step_by(2) {
        let mut standing = line.gate.write().await;
        churn::delete_connection(stage, line, &mut standing).await?;
        clients::unlinked(stage, &line.number).await?;
    }
    try_join_all(tenants.iter().map(|tenant| clients::remove(stage, tenant))).await?;
    for line in lines {
        clients::unlinked(stage, &line.number).await?;
    }
    left_over(stage, directory, "after all clients were removed").await?;
    let rows = stage.lives.store().await?.census().await?;
    let rows: Vec<_> = rows
        .into_iter()
        .filter(|(table, _)| !LASTING.contains(&table.as_str()))
        .collect();
    if !rows.is_empty() {
        stage
            .book
            .wrong(format!("after all clients were removed there are rows: {rows:?}"));
    }
    Ok(())
}
