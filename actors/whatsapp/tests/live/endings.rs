//! Every way in which a link ends.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use wharf_domain::Timestamp;
use wharf_testnet::FaultKind;
use wharf_whatsapp::{CloseReason, Http, HttpRequest, HttpResponse, LinkEvent, LinkFactory};

use crate::support::{Line, OURS, THEIRS, World, eventually, key};

/// Long enough for one attempt.
const A_WHILE: Duration = Duration::from_secs(60);

async fn devices(world: &World, phone: &str) -> usize {
    world.network.devices(phone).await.unwrap().len()
}

#[tokio::test]
async fn a_restart_needs_no_new_code() {
    let (mut world, mut line) = World::paired().await;
    line.link.close().await;
    assert_eq!(line.closed().await, CloseReason::Requested);
    for _ in 0..3 {
        world.restart();
        let mut line = world.open().await;
        line.connected().await;
        line.link.close().await;
    }
    assert_eq!(devices(&world, OURS).await, 1);
}

#[tokio::test]
async fn a_broken_socket_is_lost_and_the_next_link_connects() {
    let (world, mut line) = World::paired().await;
    world.trouble(FaultKind::Drop, None, Duration::ZERO).await;
    let reason = line.closed().await;
    assert!(matches!(reason, CloseReason::Lost(_)), "{reason:?}");
    line.link.close().await;
    let mut line = world.open().await;
    line.connected().await;
    line.link.close().await;
}

#[tokio::test]
async fn an_unlinked_device_is_logged_out_and_pairs_anew_once_forgotten() {
    let (world, mut line) = World::paired().await;
    world.network.unlink(OURS, 1).await.unwrap();
    let reason = line.closed().await;
    assert!(matches!(reason, CloseReason::LoggedOut(_)), "{reason:?}");
    line.link.close().await;

    let mut line = world.open().await;
    assert!(
        matches!(line.closed().await, CloseReason::LoggedOut(_)),
        "the keys are of no use any more"
    );
    line.link.close().await;

    world.factory.forget(&key()).await.unwrap();
    let line = world.pair().await;
    line.link.close().await;
}

#[tokio::test]
async fn another_instance_replaces_the_link() {
    let (world, mut line) = World::paired().await;
    world
        .trouble(FaultKind::StreamError, Some("replaced"), Duration::ZERO)
        .await;
    assert_eq!(line.closed().await, CloseReason::Replaced);
    line.link.close().await;
}

#[tokio::test]
async fn a_stream_error_ends_the_link() {
    let (world, mut line) = World::paired().await;
    for code in ["503", "429", "500"] {
        world.trouble(FaultKind::StreamError, Some(code), Duration::ZERO).await;
        let reason = line.closed().await;
        let expected = match code {
            "500" => matches!(reason, CloseReason::Lost(_)),
            _ => matches!(&reason, CloseReason::Refused(why) if why.contains(code)),
        };
        assert!(expected, "{code}: {reason:?}");
        line.link.close().await;
        line = world.open().await;
        line.connected().await;
    }
    line.link.close().await;
}

#[tokio::test]
async fn refusals_say_what_to_do_next() {
    let world = World::start().await;
    world.pair().await.link.close().await;
    for code in [
        Some("503"),
        Some("429"),
        Some("402"),
        Some("405"),
        Some("401"),
        Some("409"),
        None,
    ] {
        world.trouble(FaultKind::Refuse, code, A_WHILE).await;
        let mut line = world.open().await;
        let reason = line.closed().await;
        let expected = match code {
            Some("402") => matches!(reason, CloseReason::Banned { .. }),
            Some("405") => matches!(reason, CloseReason::Outdated),
            Some("401") => matches!(reason, CloseReason::LoggedOut(_)),
            Some("409") => matches!(reason, CloseReason::Unwanted(_)),
            Some(_) => matches!(reason, CloseReason::Refused(_)),
            None => matches!(reason, CloseReason::Lost(_)),
        };
        assert!(expected, "{code:?}: {reason:?}");
        line.link.close().await;
    }
}

#[tokio::test]
async fn a_server_that_is_not_there_is_lost() {
    let closed = wharf_support::ClosedPort::take();
    let nowhere = format!("ws://127.0.0.1:{}/ws/chat", closed.number());
    let world = World::with(|config| config.server_url = Some(nowhere)).await;
    let mut line = world.open().await;
    let reason = line.closed().await;
    assert!(
        matches!(&reason, CloseReason::Lost(why) if why.contains("reached")),
        "{reason:?}"
    );
    line.link.close().await;
}

#[tokio::test]
async fn logging_out_unlinks_the_device() {
    let (world, mut line) = World::paired().await;
    assert_eq!(devices(&world, OURS).await, 1);
    assert_eq!(line.link.log_out().await, Ok(()));
    assert_eq!(line.closed().await, CloseReason::Requested);
    assert_eq!(devices(&world, OURS).await, 0);
}

/// It is logged in then, and says that it is connected up to a minute later only.
#[tokio::test]
async fn logging_out_does_not_wait_for_what_waits_at_whatsapp() {
    let world = World::start().await;
    world.pair().await.link.close().await;
    world.trouble(FaultKind::Backlog, None, A_WHILE * 10).await;
    let mut line = world.open().await;
    assert_eq!(line.link.log_out().await, Ok(()));
    assert_eq!(line.closed().await, CloseReason::Requested);
    assert_eq!(devices(&world, OURS).await, 0);
}

#[tokio::test]
async fn a_device_that_cannot_be_unlinked_is_said_to_stay() {
    let world = World::start().await;
    world.pair().await.link.close().await;
    world.trouble(FaultKind::Refuse, None, A_WHILE).await;
    let line = world.open().await;
    assert!(line.link.log_out().await.is_err());
    assert_eq!(devices(&world, OURS).await, 1);
}

/// Why it could not be is said as the link said it, also where it had ended before.
#[tokio::test]
async fn one_that_is_banned_meanwhile_stays_for_that_and_one_that_is_unlinked_does_not_stay() {
    let world = World::start().await;
    world.pair().await.link.close().await;
    world.trouble(FaultKind::Refuse, Some("402"), A_WHILE).await;
    let mut line = world.open().await;
    assert!(matches!(line.closed().await, CloseReason::Banned { .. }));
    let stays = line.link.log_out().await.unwrap_err();
    assert!(stays.contains("Banned"), "{stays}");

    world.trouble(FaultKind::Refuse, None, Duration::ZERO).await;
    world.network.unlink(OURS, 1).await.unwrap();
    let mut line = world.open().await;
    assert!(matches!(line.closed().await, CloseReason::LoggedOut(_)));
    assert_eq!(line.link.log_out().await, Ok(()));
}

#[tokio::test]
async fn a_code_scanned_by_another_number_can_be_undone_at_once() {
    let world = World::start().await;
    let mut line = world.scan(THEIRS).await;
    let LinkEvent::Paired { phone_number, .. } = line.next().await else {
        panic!("not paired")
    };
    assert_eq!(phone_number, THEIRS);
    let leaving = line.link.clone();
    let leaving = tokio::spawn(async move { leaving.log_out().await });
    for _ in 0..20 {
        world.network.send_text(OURS, THEIRS, "not for us").await.unwrap();
    }
    assert_eq!(leaving.await.unwrap(), Ok(()));
    assert_eq!(last(&mut line).await, CloseReason::Requested);
    eventually("the device to be gone", async || devices(&world, THEIRS).await == 0).await;
    assert!(line.inbox.messages().is_empty());
    world.factory.forget(&key()).await.unwrap();
    world.pair().await.link.close().await;
}

/// The end, whatever comes before it.
async fn last(line: &mut Line) -> CloseReason {
    loop {
        if let LinkEvent::Closed(reason) = line.next().await {
            return reason;
        }
    }
}

#[tokio::test]
async fn logging_out_before_anything_was_scanned_just_closes() {
    let world = World::start().await;
    let mut line = world.open().await;
    line.qr().await;
    assert_eq!(line.link.log_out().await, Ok(()));
    assert_eq!(line.closed().await, CloseReason::Requested);
}

#[tokio::test]
async fn a_ban_says_until_when_and_ends_open_links() {
    let (world, mut line) = World::paired().await;
    world.trouble(FaultKind::Ban, Some("104"), A_WHILE).await;
    assert!(matches!(line.closed().await, CloseReason::Lost(_)));
    line.link.close().await;
    let mut line = world.open().await;
    let CloseReason::Banned {
        detail,
        until: Some(until),
    } = line.closed().await
    else {
        panic!("not banned until a time")
    };
    assert!(detail.contains("104"), "{detail}");
    let left = until.since(Timestamp(now_ms()));
    assert!(
        left <= A_WHILE + Duration::from_secs(1) && left > A_WHILE / 2,
        "{left:?}"
    );
    line.link.close().await;
}

#[tokio::test]
async fn a_version_that_is_refused_is_looked_up_anew_and_accepted() {
    let site = Arc::new(WebSite(Mutex::new((1_050_000_000, 0))));
    let (http, url) = (Arc::clone(&site), "https://web.example/sw.js".to_owned());
    let world = World::with(|config| {
        config.http = Some(http);
        config.version_url = Some(url);
    })
    .await;
    world.pair().await.link.close().await;
    assert_eq!(site.0.lock().unwrap().1, 1, "asked once, and fresh since");
    // WhatsApp moves on, and so does its web site.
    world
        .trouble(FaultKind::Outdated, Some("1060000000"), A_WHILE * 10)
        .await;
    site.0.lock().unwrap().0 = 1_060_000_000;
    let mut line = world.open().await;
    assert_eq!(line.closed().await, CloseReason::Outdated);
    line.link.close().await;
    eventually("the next link to come in", async || {
        let mut line = world.open().await;
        let connected = matches!(line.next().await, LinkEvent::Connected { .. });
        line.link.close().await;
        connected
    })
    .await;
    assert_eq!(site.0.lock().unwrap().1, 2, "asked anew, once");
}

#[tokio::test]
async fn a_second_instance_with_the_same_keys_takes_over() {
    let mut world = World::start().await;
    let mut first = world.pair().await;
    // Another factory on the same keys, as when somebody starts the program a second time.
    world.restart();
    let mut second = world.open().await;
    second.connected().await;
    assert_eq!(first.closed().await, CloseReason::Replaced);
    first.link.close().await;
    second.link.close().await;
}

/// A web site that names a version, and how often it was asked.
struct WebSite(Mutex<(u32, u32)>);

#[async_trait]
impl Http for WebSite {
    async fn execute(&self, _request: HttpRequest) -> Result<HttpResponse, String> {
        let mut site = self.0.lock().unwrap();
        site.1 += 1;
        let body = format!("{{\"client_revision\":{}}}", site.0);
        Ok(HttpResponse {
            status: 200,
            body: body.into(),
        })
    }
}

#[expect(clippy::disallowed_methods, reason = "the network tells a time of the wall clock")]
fn now_ms() -> i64 {
    let since = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap();
    i64::try_from(since.as_millis()).unwrap()
}

#[tokio::test]
async fn a_message_that_makes_the_inbox_panic_costs_its_link_and_no_other() {
    let (world, mut line) = World::paired().await;
    line.inbox.panic_once();
    world.write("poison").await;
    let reason = line.closed().await;
    assert!(
        matches!(&reason, CloseReason::Lost(why) if why.contains("could not be processed")),
        "{reason:?}"
    );
    line.link.close().await;
    let inbox = Arc::clone(&line.inbox);
    let line = world.open_into(inbox).await;
    eventually("the message comes again", async || line.inbox.texts() == ["poison"]).await;
    line.link.close().await;
}
