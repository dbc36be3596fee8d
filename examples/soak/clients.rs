//! Clients that are added, get new tokens and are removed, as `wharf client` does it beside a gateway that runs.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use fastrand::Rng;
use reqwest::Method;
use serde_json::json;
use wharf_domain::ClientId;

use crate::{
    api::{LOOK_EVERY, PATIENCE, Tenant},
    churn::bring_back,
    line::{Line, Stage},
    process::Failure,
    pull::pull,
};

/// Adds a client.
pub(crate) async fn add(stage: &Stage, name: &str) -> Result<Arc<Tenant>, Failure> {
    let store = stage.lives.store().await?;
    let added = wharf::clients::add(&store, name).await?;
    stage.book.did("client added");
    Ok(Arc::new(Tenant::new(added.id.0, added.token)))
}

/// Removes a client, and waits until nothing of it is left.
pub(crate) async fn remove(stage: &Stage, tenant: &Tenant) -> Result<(), Failure> {
    let store = stage.lives.store().await?;
    wharf::clients::remove(&store, ClientId(tenant.id), true).await?;
    let begun = Instant::now();
    while store.removed_clients().await?.contains(&ClientId(tenant.id)) {
        if begun.elapsed() > PATIENCE {
            stage
                .book
                .wrong(format!("client {} was removed, and its rows stay", tenant.id));
            break;
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    stage.book.did("client removed");
    Ok(())
}

/// Tokens that change now and then.
pub(crate) async fn rotate(
    stage: Arc<Stage>,
    tenants: Vec<Arc<Tenant>>,
    mut rng: Rng,
    pace_ms: u64,
) -> Result<(), Failure> {
    while !stage.is_over() {
        stage.pause(rng.u64(pace_ms..pace_ms * 4)).await;
        let tenant = &tenants[rng.usize(..tenants.len())];
        let store = stage.lives.store().await?;
        let rotated = wharf::clients::rotate(&store, ClientId(tenant.id)).await?;
        tenant.has_token(rotated.token);
        stage.book.did("token rotated");
    }
    Ok(())
}

/// A client that comes, links a number and takes some messages, and is removed: one after another.
pub(crate) async fn come_and_go(stage: Arc<Stage>, place: usize, mut rng: Rng, pace_ms: u64) -> Result<(), Failure> {
    while !stage.is_over() {
        let tenant = add(&stage, "for a while").await?;
        let line = Arc::new(Line::new(&stage, place, Arc::clone(&tenant)).await?);
        let pulling = tokio::spawn(pull(Arc::clone(&stage), Arc::clone(&line)));
        bring_back(&stage, &line, &mut rng).await?;
        let path = format!("/accounts/{}/messages", line.contacts[0]);
        for message in [
            json!({"to": line.number, "text": "to one who will go", "count": 10}),
            json!({"to": line.number, "kind": "image", "mime_type": "image/jpeg", "size": 200_000}),
        ] {
            let sent = stage.api.network(Method::POST, &path, Some(&message)).await?;
            let ids = sent["ids"].as_array().into_iter().flatten();
            stage
                .book
                .sent(place, ids.filter_map(|id| id.as_str().map(str::to_owned)));
        }
        if rng.bool() {
            let standing = line.gate.read().await;
            if !line.drain(&stage, &mut rng, &standing).await? {
                stage.book.lose(place, "before a client went");
            }
        }
        pulling.abort();
        remove(&stage, &tenant).await?;
        stage.book.excuse(place);
        unlinked(&stage, &line.number).await?;
        stage.pause(rng.u64(pace_ms / 2..pace_ms * 2)).await;
    }
    Ok(())
}

/// A number whose connection is gone has no device at WhatsApp.
pub(crate) async fn unlinked(stage: &Stage, number: &str) -> Result<(), Failure> {
    let begun = Instant::now();
    loop {
        let devices = stage.api.devices(number).await?;
        if devices.is_empty() {
            return Ok(());
        }
        if begun.elapsed() > Duration::from_secs(10) {
            stage.book.wrong(format!(
                "{number} is not linked here any more, and WhatsApp has {devices:?}"
            ));
            return Ok(());
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}
