//! What happens to a number in months: everything that its owner, its phone, WhatsApp and its receiver can do.

use std::{sync::Arc, time::Instant};

use fastrand::Rng;
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    api::{LOOK_EVERY, PATIENCE},
    line::{Hook, Line, Stage, Standing},
    process::Failure,
};

/// One thing after another until the end, with pauses of some `pace_ms`.
pub(crate) async fn churn(stage: Arc<Stage>, line: Arc<Line>, mut rng: Rng, pace_ms: u64) -> Result<(), Failure> {
    while !stage.is_over() {
        stage.pause(rng.u64(pace_ms / 2..pace_ms * 2)).await;
        match rng.u32(..100) {
            0..12 => patch(&stage, &line, &mut rng).await?,
            12..16 => rotate(&stage, &line, &mut rng).await?,
            16..36 => fail(&stage, &line, &mut rng, pace_ms).await?,
            36..44 => retry(&stage, &line).await?,
            44..50 => reconnect(&stage, &line, &mut rng, pace_ms).await?,
            50..58 => trouble(&stage, &line, &mut rng).await?,
            58..72 => act(&stage, &line, &mut rng).await?,
            72..84 => take_away(&stage, &line, &mut rng, Away::Webhook).await?,
            84..93 => take_away(&stage, &line, &mut rng, Away::Device).await?,
            _ => take_away(&stage, &line, &mut rng, Away::Connection).await?,
        }
    }
    Ok(())
}

/// The id and the path of a webhook that has a receiver.
async fn hook(line: &Line) -> Option<(String, String)> {
    let Hook { id, path } = line.gate.read().await.webhook.clone()?;
    Some((id, path?))
}

/// The owner changes the webhook.
async fn patch(stage: &Stage, line: &Line, rng: &mut Rng) -> Result<(), Failure> {
    let Some((id, _)) = hook(line).await else { return Ok(()) };
    let change = match rng.u32(..6) {
        0 => json!({"max_in_flight": rng.u32(1..8)}),
        1 => json!({"max_per_second": rng.u32(5..60)}),
        2 => json!({"ordering": if rng.bool() { "none" } else { "chat" }}),
        3 => json!({"headers": {"x-soak": rng.u32(..).to_string()}, "metadata": {"n": rng.u32(..)}}),
        4 => json!({"max_retries": rng.u32(1..5), "retry_client_errors": [429]}),
        _ => json!({"is_active": false}),
    };
    let path = format!("/api/webhooks/{id}");
    line.ask(stage, Method::PATCH, &path, Some(&change)).await?;
    stage.pause(rng.u64(..1500)).await;
    let on = json!({"is_active": true, "max_per_second": null});
    line.ask(stage, Method::PATCH, &path, Some(&on)).await?;
    stage.book.did("webhook changed");
    Ok(())
}

async fn rotate(stage: &Stage, line: &Line, rng: &mut Rng) -> Result<(), Failure> {
    let Some((id, _)) = hook(line).await else { return Ok(()) };
    let overlap = json!({"overlap_hours": rng.u32(..3)});
    let path = format!("/api/webhooks/{id}/rotate-secret");
    line.ask(stage, Method::POST, &path, Some(&overlap)).await?;
    stage.book.did("secret rotated");
    Ok(())
}

/// The receiver is in trouble for a while, and gets well.
async fn fail(stage: &Stage, line: &Line, rng: &mut Rng, pace_ms: u64) -> Result<(), Failure> {
    let Some((_, path)) = hook(line).await else {
        return Ok(());
    };
    let moods = [
        "unable", "unable", "hung", "unwanted", "gone", "closed", "reset", "slow", "flood",
    ];
    stage.hooks.mood(&path, moods[rng.usize(..moods.len())])?;
    stage.pause(rng.u64(pace_ms / 4..pace_ms)).await;
    stage.hooks.mood(&path, "fine")?;
    stage.book.did("receiver failed");
    // Sometimes it is left to the schedule, and to recovery.
    if rng.bool() {
        let standing = line.gate.read().await;
        line.heal(stage, &standing).await?;
    }
    Ok(())
}

/// A person looks at what failed, and tries single events again.
async fn retry(stage: &Stage, line: &Line) -> Result<(), Failure> {
    let Some((id, _)) = hook(line).await else { return Ok(()) };
    let failed = format!("/api/webhooks/{id}/events?status=failed&limit=20");
    let failed = line.ask(stage, Method::GET, &failed, None).await?.body;
    for event in failed["data"].as_array().into_iter().flatten() {
        let event = event["id"].as_str().unwrap_or_default();
        let path = format!("/api/webhooks/events/{event}");
        line.ask(stage, Method::GET, &format!("{path}/attempts"), None).await?;
        line.ask(stage, Method::POST, &format!("{path}/retry"), None).await?;
        stage.book.did("event retried by hand");
    }
    line.ask(stage, Method::GET, &format!("/api/webhooks/{id}/stats"), None)
        .await?;
    let tested = line
        .ask(stage, Method::POST, &format!("/api/webhooks/{id}/test"), None)
        .await?;
    if tested.is_good() {
        stage.book.did("webhook tested");
    }
    let mut path = "/api/events?limit=200".to_owned();
    for _ in 0..3 {
        let page = line.ask(stage, Method::GET, &path, None).await?.body;
        let Some(cursor) = page["next_cursor"].as_str() else {
            break;
        };
        path = format!("/api/events?limit=200&after={cursor}");
    }
    Ok(())
}

/// The owner closes the link, and opens it.
async fn reconnect(stage: &Stage, line: &Line, rng: &mut Rng, pace_ms: u64) -> Result<(), Failure> {
    if !line.gate.read().await.linked {
        return Ok(());
    }
    let path = format!("{}/disconnect", line.connection());
    line.ask(stage, Method::POST, &path, None).await?;
    stage.pause(rng.u64(..pace_ms)).await;
    // As it was: what is taken away waits for this one's turn.
    let _standing = line.gate.read().await;
    line.link(stage, rng).await?;
    stage.book.did("disconnected and connected");
    Ok(())
}

/// WhatsApp has trouble.
async fn trouble(stage: &Stage, line: &Line, rng: &mut Rng) -> Result<(), Failure> {
    let phone = &line.number;
    let fault = match rng.u32(..8) {
        0..3 => json!({"kind": "drop", "phone": phone}),
        3 => json!({"kind": "refuse", "phone": phone, "code": 503, "for_ms": 2000}),
        4 => json!({"kind": "stream_error", "phone": phone}),
        5 => json!({"kind": "duplicate", "phone": phone, "for_ms": 2000}),
        6 => json!({"kind": "corrupt", "phone": phone, "times": 2}),
        _ => json!({"kind": "drop"}),
    };
    stage.api.network(Method::POST, "/faults", Some(&fault)).await?;
    stage.book.did("trouble at WhatsApp");
    Ok(())
}

/// The owner does what one does with a number besides writing.
async fn act(stage: &Stage, line: &Line, rng: &mut Rng) -> Result<(), Failure> {
    let (of, contact) = (line.connection(), &line.contacts[rng.usize(..line.contacts.len())]);
    let ask = async |method, path: String, body: Option<Value>| {
        let reply = line.ask(stage, method, &path, body.as_ref()).await?;
        stage.book.did(if reply.is_good() { "acted" } else { "acted in vain" });
        Ok::<_, Failure>(reply)
    };
    match rng.u32(..7) {
        0 => {
            let typing = json!({"to": contact, "state": "typing"});
            ask(Method::POST, format!("{of}/presence"), Some(typing)).await?;
        }
        1 => {
            let path = format!("{of}/contacts/check?numbers={contact},551100000000");
            ask(Method::GET, path, None).await?;
        }
        2 => {
            ask(Method::GET, format!("{of}/groups"), None).await?;
            ask(Method::GET, format!("{of}/groups/{}", line.group), None).await?;
        }
        3 => {
            let new = json!({"subject": "For an hour", "participants": [contact]});
            let made = ask(Method::POST, format!("{of}/groups"), Some(new)).await?;
            if let Some(id) = made.body["id"].as_str() {
                ask(Method::POST, format!("{of}/groups/{id}/leave"), None).await?;
            }
        }
        4 => {
            let presence = json!({"state": "available"});
            let path = format!("/accounts/{contact}/presence");
            stage.api.network(Method::POST, &path, Some(&presence)).await?;
            let call = json!({"to": line.number});
            let call = stage
                .api
                .network(Method::POST, &format!("/accounts/{contact}/calls"), Some(&call))
                .await?;
            let ended = format!(
                "/accounts/{contact}/calls/{}/terminate",
                call["id"].as_str().unwrap_or_default()
            );
            // It may have ended with the device.
            let _ended = stage.api.network(Method::POST, &ended, None).await;
        }
        5 => {
            let change = json!({"subject": format!("Soak {}", rng.u32(..100))});
            let path = format!("/groups/{}", line.group);
            stage.api.network(Method::PATCH, &path, Some(&change)).await?;
        }
        _ => {
            let change = json!({"device_name": format!("Soak {}", rng.u32(..100))});
            ask(Method::PATCH, of, Some(change)).await?;
            ask(Method::GET, format!("{}/messages?limit=50", line.connection()), None).await?;
        }
    }
    Ok(())
}

/// What can go.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Away {
    Webhook,
    /// Its phone unlinks it.
    Device,
    /// Its owner deletes it.
    Connection,
}

/// Something goes and comes again; half of the time only after everything that is due has come, so that nothing is excused.
async fn take_away(stage: &Stage, line: &Line, rng: &mut Rng, what: Away) -> Result<(), Failure> {
    let mut standing = line.gate.write().await;
    if rng.bool() {
        if !line.drain(stage, rng, &standing).await? {
            stage.book.lose(line.place, "before something went");
        }
        stage.book.did("waited for everything");
    }
    match what {
        Away::Webhook => delete_webhook(stage, line, &mut standing).await?,
        Away::Device => unlink(stage, line, &mut standing).await?,
        Away::Connection => delete_connection(stage, line, &mut standing).await?,
    }
    stage.book.excuse(line.place);
    drop(standing);
    stage.pause(rng.u64(..2000)).await;
    bring_back(stage, line, rng).await
}

/// Everything that a number needs, whatever it has.
pub(crate) async fn bring_back(stage: &Stage, line: &Line, rng: &mut Rng) -> Result<(), Failure> {
    let mut standing = line.gate.write().await;
    if standing.webhook.is_none() {
        line.register(stage, rng, &mut standing).await?;
    }
    if !standing.linked {
        line.link(stage, rng).await?;
        standing.linked = true;
    }
    Ok(())
}

async fn delete_webhook(stage: &Stage, line: &Line, standing: &mut Standing) -> Result<(), Failure> {
    let Some(Hook { id, .. }) = standing.webhook.take() else {
        return Ok(());
    };
    let path = format!("/api/webhooks/{id}");
    let gone = line.ask(stage, Method::DELETE, &path, None).await?;
    if !matches!(gone.status, 202 | 204 | 404) {
        stage.book.wrong(format!(
            "deleting a webhook was answered {}: {}",
            gone.status, gone.body
        ));
    }
    stage.book.did("webhook deleted");
    Ok(())
}

async fn unlink(stage: &Stage, line: &Line, standing: &mut Standing) -> Result<(), Failure> {
    for device in stage.api.devices(&line.number).await? {
        let jid = device["jid"].as_str().unwrap_or_default();
        let Some(device) = jid.split([':', '@']).nth(1) else {
            continue;
        };
        let path = format!("/accounts/{}/devices/{device}", line.number);
        stage.api.network(Method::DELETE, &path, None).await?;
    }
    standing.linked = false;
    stage.book.did("device unlinked");
    // The gateway hears of it a moment later, and until then shows `connected`: what is sent meanwhile has no device to go to.
    let begun = Instant::now();
    while line.ask(stage, Method::GET, &line.connection(), None).await?.body["status"] == "connected" {
        if begun.elapsed() > PATIENCE {
            stage
                .book
                .wrong(format!("{} is unlinked and stays connected", line.number));
            return Ok(());
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    Ok(())
}

pub(crate) async fn delete_connection(stage: &Stage, line: &Line, standing: &mut Standing) -> Result<(), Failure> {
    let gone = line.ask(stage, Method::DELETE, &line.connection(), None).await?;
    if !matches!(gone.status, 202 | 204 | 404) {
        let what = format!("deleting a connection was answered {}: {}", gone.status, gone.body);
        stage.book.wrong(what);
    }
    standing.linked = false;
    stage.book.did("connection deleted");
    Ok(())
}
