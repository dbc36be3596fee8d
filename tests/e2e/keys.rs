//! The keys of a linked device through SIGKILL in the middle of two-way traffic.

use std::{
    collections::HashSet,
    fs,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
};

use serde_json::json;
use tokio::task::JoinSet;
use wharf_support::wait_until;

use super::{
    crash::{Ground, all_events},
    world::{NUMBER, WITHIN},
};

/// How often the gateway is killed.
const KILLS: usize = 4;
/// Messages that went out before the first kill, and how many more before each further one.
const MORE: usize = 3;

fn contact(n: u64) -> String {
    format!("55119000000{n:02}")
}

/// Between two kills: whether it is over, and how many messages went out.
#[derive(Default)]
struct Round {
    number: usize,
    killed: AtomicBool,
    went_out: AtomicUsize,
}

/// Sends texts to a contact until the gateway does not answer any more; the ids of those that it calls sent.
async fn write_until_killed(ground: &Ground, to: &str, round: &Round) -> Vec<String> {
    let path = format!("/api/whatsapp/connections/{NUMBER}/messages");
    let mut sent = Vec::new();
    for n in 0.. {
        let body = json!({"to": to, "type": "text", "text": format!("out {}, {n}", round.number)});
        let request = ground
            .api
            .request(reqwest::Method::POST, &path)
            .json(&body)
            .send()
            .await;
        let Ok(answer) = request else { break };
        let status = answer.status();
        let Ok(answer) = answer.json::<serde_json::Value>().await else {
            break;
        };
        if status == reqwest::StatusCode::CREATED {
            sent.push(answer["message_id"].as_str().unwrap().to_owned());
            round.went_out.fetch_add(1, Relaxed);
        }
    }
    sent
}

/// Writes to the number, the next when the one before has its receipt, until the gateway is killed; the ids.
async fn write_in(ground: &Ground, from: &str, round: &Round) -> Vec<String> {
    let mut sent = Vec::new();
    while !round.killed.load(Relaxed) {
        let text = format!("in {}, {}", round.number, sent.len());
        let id = ground.network.send_text(from, NUMBER, &text).await.unwrap();
        wait_until("its receipt, or the end", WITHIN, || async {
            let receipts = ground.network.receipts(from).await.unwrap();
            round.killed.load(Relaxed) || receipts.iter().any(|receipt| receipt.id == id)
        })
        .await;
        sent.push(id);
    }
    sent
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_key_is_used_twice_and_no_session_breaks_when_the_gateway_is_killed() {
    let ground = Arc::new(Ground::prepare().await);
    let mut process = ground.start().await;
    let webhook = ground.link("/ok").await;
    let connection = format!("/api/whatsapp/connections/{NUMBER}");
    let contacts = [contact(1), contact(2), contact(3)];
    for phone in &contacts {
        ground.network.create_account(phone).await.unwrap();
    }
    let (mut came_in, mut went_out) = (HashSet::new(), Vec::new());
    for number in 0..KILLS {
        let round = Arc::new(Round {
            number,
            ..Round::default()
        });
        let (mut writing, mut reading) = (JoinSet::new(), JoinSet::new());
        for phone in contacts.clone() {
            let (writer, reader, to) = (ground.clone(), ground.clone(), phone.clone());
            let (ending, ended) = (Arc::clone(&round), Arc::clone(&round));
            writing.spawn(async move { (to.clone(), write_until_killed(&writer, &to, &ending).await) });
            reading.spawn(async move { write_in(&reader, &phone, &ended).await });
        }
        wait_until("there is traffic", WITHIN, || async {
            round.went_out.load(Relaxed) >= MORE * (number + 1)
        })
        .await;
        drop(process);
        round.killed.store(true, Relaxed);
        while let Some(sent) = reading.join_next().await {
            came_in.extend(sent.unwrap());
        }
        while let Some(sent) = writing.join_next().await {
            went_out.push(sent.unwrap());
        }
        process = ground.start().await;
        ground.api.wait_for_status(&connection, "connected").await;
    }

    // Both ways still work with everybody.
    let path = format!("{connection}/messages");
    for phone in &contacts {
        let body = json!({"to": phone, "type": "text", "text": "still here"});
        let answer = ground.api.post(&path, body).await.expect(reqwest::StatusCode::CREATED);
        went_out.push((phone.clone(), vec![answer["message_id"].as_str().unwrap().to_owned()]));
        came_in.insert(ground.network.send_text(phone, NUMBER, "still here too").await.unwrap());
    }
    // More than one page of them, where writing goes faster than sending.
    let delivered = wait_until("all that came in is delivered", WITHIN, || async {
        let events = all_events(&ground.api, &webhook).await;
        let delivered = events.iter().filter(|event| event["status"] == "delivered").count();
        (delivered >= came_in.len()).then_some(events)
    })
    .await;
    let delivered: HashSet<String> = delivered
        .iter()
        .map(|event| event["message_id"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(delivered, came_in, "each message that came in, and no other");
    for (phone, sent) in &went_out {
        wait_until("what was called sent has arrived", WITHIN, || async {
            let arrived = ground.network.messages(phone).await.unwrap();
            let arrived: HashSet<&str> = arrived.iter().map(|message| message.id.as_str()).collect();
            sent.iter().all(|id| arrived.contains(id.as_str())).then_some(())
        })
        .await;
    }
    let sent: usize = went_out.iter().map(|(_, sent)| sent.len()).sum();
    assert!(sent > contacts.len(), "there was traffic while it was killed");
    assert_eq!(ground.network.stats().await.reused_keys, 0);

    // The device is in the database, and none of its fields can be read there.
    drop(process);
    for file in ["wharf.db", "wharf.db-wal"] {
        let Ok(bytes) = fs::read(ground.dir.path().join(file)) else {
            continue;
        };
        for field in ["noise_key", "adv_secret_key", "signed_pre_key"] {
            let shows = bytes.windows(field.len()).any(|part| part == field.as_bytes());
            assert!(!shows, "{file} shows {field}");
        }
    }
}
