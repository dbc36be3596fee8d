//! What takes minutes, and is run by hand: `cargo test -p wharf-testnet --test network -- --ignored --nocapture`.

use std::sync::Arc;
use std::time::{Duration, Instant};

use wacore::types::events::Event;
use wharf_support::wait_until;
use wharf_testnet::{Fault, FaultKind};

use crate::companion::{ANA, BOB, Companion, network, until};

const NUMBERS: u64 = 200;
const TEXTS: usize = 50;

fn number(n: u64) -> String {
    (551_100_000_000 + n).to_string()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes in a debug build"]
async fn many_numbers_get_many_texts() {
    let network = network().await;
    let started = Instant::now();
    let mut companions = Vec::new();
    for n in 0..NUMBERS {
        network.create_account(&number(n)).await.unwrap();
        companions.push(Arc::new(Companion::linked(&network, &number(n)).await));
    }
    println!("{NUMBERS} numbers linked and connected after {:?}", started.elapsed());
    let started = Instant::now();
    let sends = (0..NUMBERS).map(|n| {
        let network = network.clone();
        tokio::spawn(async move {
            for text in 0..TEXTS {
                network.send_text(BOB, &number(n), &text.to_string()).await.unwrap();
            }
        })
    });
    for send in sends.collect::<Vec<_>>() {
        send.await.unwrap();
    }
    println!("{} texts sent after {:?}", NUMBERS as usize * TEXTS, started.elapsed());
    for companion in &companions {
        until("all texts", || async {
            (companion.texts().len() == TEXTS).then_some(())
        })
        .await;
    }
    until("empty queues", || async {
        (network.stats().await.unacked == 0).then_some(())
    })
    .await;
    println!(
        "all of them received and receipted after {:?}: {:?}",
        started.elapsed(),
        network.stats().await
    );
}

/// On a dead socket the client ends its connection without a `Disconnected` event; only its state tells.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "waits for the client's keep-alive"]
async fn the_client_notices_a_stall_by_itself() {
    let network = network().await;
    let companion = Companion::linked(&network, ANA).await;
    let before = network.stats().await.handshakes;
    let started = Instant::now();
    let stall = Fault {
        kind: FaultKind::Stall,
        phone: None,
        code: None,
        for_ms: Some(100_000),
    };
    network.fault(stall).await.unwrap();
    wait_until("the client to notice", Duration::from_secs(95), || async {
        (!companion.client.is_connected()).then_some(())
    })
    .await;
    println!("noticed {:?} after the stall began", started.elapsed());
    wait_until("the client to come back", Duration::from_secs(100), || async {
        let again = network.stats().await.handshakes > before;
        (again && companion.client.is_logged_in()).then_some(())
    })
    .await;
    println!("back {:?} after the stall began", started.elapsed());
    let events = companion
        .all(|event| matches!(event, Event::Disconnected(_)).then_some(()))
        .len();
    println!("{events} Disconnected events");
}
