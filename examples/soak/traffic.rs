//! Who writes: contacts to the number, and the number to them, at a steady pace.

use std::{sync::Arc, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use fastrand::Rng;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep_until};

use crate::{
    line::{Line, Stage},
    process::Failure,
};

/// The next moment at a pace, evened out by lot.
fn next(rng: &mut Rng, from: Instant, per_second: f64) -> Instant {
    let pause = 2.0 * rng.f64() / per_second.max(0.01);
    (from + Duration::from_secs_f64(pause)).max(Instant::now())
}

/// Contacts write.
pub(crate) async fn inward(stage: Arc<Stage>, line: Arc<Line>, mut rng: Rng, per_second: f64) -> Result<(), Failure> {
    let mut at = Instant::now();
    while !stage.is_over() {
        at = next(&mut rng, at, per_second);
        sleep_until(at).await;
        let contact = rng.usize(..line.contacts.len());
        let message = written(&mut rng, &line, contact);
        let standing = line.gate.read().await;
        let path = format!("/accounts/{}/messages", line.contacts[contact]);
        let sent = stage.api.network(Method::POST, &path, Some(&message)).await?;
        // A status update makes no event.
        if standing.takes() && message["to"] != "status@broadcast" {
            let ids = sent["ids"].as_array().into_iter().flatten();
            let ids = ids.filter_map(|id| id.as_str().map(str::to_owned));
            stage.book.sent(line.place, ids);
        }
    }
    Ok(())
}

fn written(rng: &mut Rng, line: &Line, contact: usize) -> Value {
    let number = &line.number;
    match rng.u32(..100) {
        0..70 => json!({"to": number, "text": "steady drops wear the stone away"}),
        70..75 => json!({"to": number, "text": "several", "count": 3}),
        75..83 => {
            let (kind, mime) = [
                ("image", "image/jpeg"),
                ("document", "application/pdf"),
                ("voice", "audio/ogg; codecs=opus"),
            ][rng.usize(..3)];
            json!({"to": number, "kind": kind, "mime_type": mime, "size": rng.u32(1..60_000)})
        }
        83..86 => json!({"to": number, "kind": "location", "latitude": -23.5, "longitude": -46.6}),
        86..89 => json!({"to": number, "kind": "poll", "question": "Tea?", "options": ["yes", "no"]}),
        89..91 => json!({"to": "status@broadcast", "text": "here I am"}),
        // The first two are in the group.
        _ if contact < 2 => json!({"to": line.group, "text": "to all of you"}),
        _ => json!({"to": number, "text": "quoting", "mentions": [number]}),
    }
}

/// The number writes.
pub(crate) async fn outward(stage: Arc<Stage>, line: Arc<Line>, mut rng: Rng, per_second: f64) -> Result<(), Failure> {
    let mut at = Instant::now();
    while !stage.is_over() {
        at = next(&mut rng, at, per_second);
        sleep_until(at).await;
        let to = match rng.u32(..10) {
            0 => line.group.clone(),
            _ => line.contacts[rng.usize(..line.contacts.len())].clone(),
        };
        let message = answered(&mut rng, &to);
        let path = format!("{}/messages", line.connection());
        // Once: whether the one that got no answer went out nobody knows.
        match stage.api.once(&line.tenant, &Method::POST, &path, Some(&message)).await {
            Some(reply) if reply.status == 201 => {
                stage.book.did("sent out");
                if let Some(id) = reply.body["message_id"].as_str() {
                    stage.book.went_out(&to, id);
                }
            }
            Some(reply) => {
                stage.book.did(match reply.status {
                    202 => "sent out: queued",
                    401 => "sent out: 401",
                    404 => "sent out: 404",
                    409 => "sent out: 409",
                    422 => "sent out: 422",
                    429 => "sent out: 429",
                    503 => "sent out: 503",
                    504 => "sent out: 504",
                    _ => "sent out: another answer",
                });
                if ![202, 401, 404, 409, 422, 429, 503, 504].contains(&reply.status) {
                    let what = format!("sending was answered {}: {}", reply.status, reply.body);
                    stage.book.wrong(what);
                }
            }
            None => stage.book.did("sent out: no answer"),
        }
    }
    Ok(())
}

fn answered(rng: &mut Rng, to: &str) -> Value {
    match rng.u32(..100) {
        0..80 => json!({"to": to, "type": "text", "text": "and the answer", "queue": rng.u32(..4) == 0}),
        80..90 => {
            let size = rng.usize(1..40_000);
            let media = json!({"base64": STANDARD.encode(vec![b'x'; size]), "file_name": "list.txt", "mime_type": "text/plain"});
            json!({"to": to, "type": "document", "media": media, "queue": rng.bool()})
        }
        90..95 => json!({"to": to, "type": "location", "latitude": 1.0, "longitude": 2.0}),
        _ => json!({"to": to, "type": "poll", "poll": {"question": "Coffee?", "options": ["yes", "no"]}}),
    }
}
