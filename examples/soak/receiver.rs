//! The receiver as a process of its own. Each webhook has a path, `/NUMBER/GENERATION`, and each path a mood.

use std::{io, time::Duration};

use serde_json::{Value, json};
use wharf_support::{Receiver, Reply};

use crate::{print_line, process::Failure};

/// How a path answers from now on, by its name.
fn mood(name: &str) -> Reply {
    match name {
        "unable" => Reply::Status(503),
        "unwanted" => Reply::Status(404),
        "gone" => Reply::Status(410),
        "hung" => Reply::Hang,
        "closed" => Reply::Close,
        "reset" => Reply::Reset,
        "slow" => Reply::Slow(Duration::from_millis(300)),
        "flood" => Reply::Big,
        _ => Reply::Ok,
    }
}

/// Whether who posts takes this for taken.
fn took(reply: &Reply) -> bool {
    matches!(reply, Reply::Ok | Reply::Slow(_) | Reply::Big)
}

/// Says on standard output where it listens, and answers lines until its standard input ends: `mood PATH NAME`, and
/// `take`, which is answered with what came since.
pub(crate) async fn run() -> Result<(), Failure> {
    let receiver = Receiver::start().await;
    print_line(&json!({"address": receiver.address().to_string()}));
    tokio::task::spawn_blocking(move || {
        for line in io::stdin().lines().map_while(Result::ok) {
            let mut words = line.split(' ');
            match (words.next(), words.next(), words.next()) {
                (Some("mood"), Some(path), Some(name)) => {
                    receiver.always(path, mood(name));
                    print_line(&json!({}));
                }
                _ => print_line(&came(&receiver)),
            }
        }
    })
    .await?;
    Ok(())
}

/// `[path, message id, whether it was taken, link to a file]` of each message.
fn came(receiver: &Receiver) -> Value {
    let posts = receiver.take_requests().into_iter().filter_map(|request| {
        let body: Value = serde_json::from_slice(&request.body).ok()?;
        // Not of messages that came in: statuses and the like, which may have the id of one that was sent.
        if body.get("event").is_some() || body.get("test").is_some() {
            return None;
        }
        Some(json!([
            request.path,
            body["message_id"],
            took(&request.reply),
            body["media"]["url"]
        ]))
    });
    json!({"came": posts.collect::<Vec<_>>()})
}
