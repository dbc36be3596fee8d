//! What takes minutes, and is run by hand: `cargo test -p wharf-testnet --test network -- --ignored --nocapture`.

use std::sync::Arc;
use std::time::{Duration, Instant};

use wacore::types::events::Event;
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

#[tokio::test(flavor = "multi_thread")]
#[ignore = "waits for the client's keep-alive"]
async fn the_client_notices_a_stall_by_itself() {
    let network = network().await;
    let companion = Companion::linked(&network, ANA).await;
    let started = Instant::now();
    let stall = Fault {
        kind: FaultKind::Stall,
        phone: None,
        code: None,
        for_ms: Some(120_000),
    };
    network.fault(stall).await.unwrap();
    companion
        .saw("Disconnected", |event| {
            matches!(event, Event::Disconnected(_)).then_some(())
        })
        .await;
    println!("Disconnected {:?} after the stall began", started.elapsed());
    assert!(started.elapsed() < Duration::from_secs(120));
    until("a new login", || async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        (network.stats().await.handshakes > 3 && network.devices(ANA).await.unwrap()[0].connected).then_some(())
    })
    .await;
    println!("back {:?} after the stall began", started.elapsed());
}
