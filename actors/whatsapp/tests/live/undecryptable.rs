//! A message that cannot be decrypted is asked for again, and reported once if it stays so.

use std::time::Duration;

use wharf_domain::MessageKind;
use wharf_testnet::{FaultKind, PhoneSettings};

use crate::support::{OURS, World, eventually};

#[tokio::test]
async fn what_stays_undecryptable_is_reported_once() {
    let world = World::with(|config| config.undecryptable_patience = Duration::from_secs(2)).await;
    let line = world.pair().await;
    world.write("before").await;
    eventually("the first", async || line.inbox.texts() == ["before"]).await;
    let off = PhoneSettings {
        answers_devices: Some(false),
        ..PhoneSettings::default()
    };
    world.network.set_phone(OURS, &off).await.unwrap();
    world.trouble(FaultKind::Corrupt, None, Duration::from_secs(30)).await;
    let id = world.write("spoilt").await;
    eventually("the report", async || line.inbox.messages().len() == 2).await;
    let report = line.inbox.messages().remove(1);
    assert_eq!(
        (report.kind, report.message_id.as_str()),
        (MessageKind::Unknown, id.as_str())
    );
    assert_eq!(report.content, "A message that could not be decrypted");
    assert!(report.is_undecryptable());
    line.link.close().await;
}
