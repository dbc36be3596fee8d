//! A message that cannot be decrypted is asked for again, and reported once if it stays so.

use std::time::Duration;

use wharf_domain::{EventKind, EventKinds, MessageKind, message::Happening};
use wharf_testnet::{Fault, FaultKind, PhoneSettings};

use crate::support::{OURS, THEIRS, World, eventually};

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
    world.trouble(FaultKind::Corrupt, None, Duration::from_secs(600)).await;
    let id = world.write("spoilt").await;
    eventually("the report", async || line.inbox.messages().len() == 2).await;
    let report = line.inbox.messages().remove(1);
    assert_eq!(
        (report.kind, report.message_id.as_str()),
        (MessageKind::Unknown, id.as_str())
    );
    assert_eq!(report.content, "A message that could not be decrypted");
    assert!(report.is_undecryptable());
    world.trouble(FaultKind::Corrupt, None, Duration::ZERO).await;
    world.write("after").await;
    eventually("the next one", async || {
        line.inbox.texts().contains(&"after".to_owned())
    })
    .await;
    let messages = line.inbox.messages();
    let reports = messages.iter().filter(|message| message.is_undecryptable());
    assert_eq!(reports.count(), 1, "{messages:?}");
    line.link.close().await;
}

#[tokio::test]
async fn so_is_what_the_own_phone_sent_where_that_is_wanted() {
    let world = World::with(|config| config.undecryptable_patience = Duration::from_secs(2)).await;
    let line = world.pair().await;
    let off = PhoneSettings {
        answers_devices: Some(false),
        ..PhoneSettings::default()
    };
    world.network.set_phone(OURS, &off).await.unwrap();
    world.trouble(FaultKind::Corrupt, None, Duration::from_secs(60)).await;
    line.inbox.want(EventKinds::of([EventKind::Sent]));
    let id = world.network.send_text(OURS, THEIRS, "spoilt").await.unwrap();
    eventually("the report", async || !line.inbox.messages().is_empty()).await;
    let report = line.inbox.messages().remove(0);
    assert_eq!(
        (report.kind, report.message_id.as_str(), report.from.as_str()),
        (MessageKind::Unknown, id.as_str(), OURS)
    );
    assert!(report.is_undecryptable());
    assert!(
        matches!(report.happening(), Some(Happening::Sent { to, .. }) if to == THEIRS),
        "{report:?}"
    );
    line.link.close().await;
}

#[tokio::test]
async fn the_phone_is_asked_for_what_it_sent_itself() {
    let (world, line) = World::paired().await;
    line.inbox.want(EventKinds::of([EventKind::Sent]));
    let fault = Fault {
        kind: FaultKind::Corrupt,
        phone: Some(OURS.into()),
        code: None,
        for_ms: Some(600_000),
    };
    world.network.fault_times(fault, Some(1)).await.unwrap();
    let id = world.network.send_text(OURS, THEIRS, "spoilt once").await.unwrap();
    eventually("the phone's copy", async || !line.inbox.messages().is_empty()).await;
    let message = line.inbox.messages().remove(0);
    assert_eq!(
        (
            message.content.as_str(),
            message.message_id.as_str(),
            message.from.as_str()
        ),
        ("spoilt once", id.as_str(), OURS)
    );
    assert!(
        matches!(message.happening(), Some(Happening::Sent { to, .. }) if to == THEIRS),
        "{message:?}"
    );
    line.link.close().await;
}
