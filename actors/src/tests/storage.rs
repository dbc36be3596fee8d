//! Disks that are full or read-only and databases that somebody else holds: nothing is lost, nothing is sent twice,
//! `/readyz` says why, and it all resumes by itself.

use std::{
    collections::HashSet,
    io::{BufRead as _, BufReader, Lines, Read as _},
    process::{Child, ChildStdout, Command, Stdio},
    time::{Duration, Instant},
};

use futures::future::join_all;
use wharf_domain::{ConnectionKey, ConnectionStatus, EventId, EventStatus, Webhook};
use wharf_store::{NewEvent, StoreError};
use wharf_support::{Reply, wait_until};
use wharf_whatsapp::ScriptedHandle;

use super::world::{WITHIN, World, message, number, open_store, open_store_with};
use crate::{GatewayError, clock, persistence::Write};

/// Offers messages one by one until the gateway refuses one; those that it took, and the one that it refused.
async fn deliver_until_refused(link: &ScriptedHandle, from: usize) -> (usize, String) {
    for n in from.. {
        let offered = link
            .deliver(vec![message("5511000000001", &format!("M{n}"), "text")])
            .await;
        if let Err(error) = offered {
            return (n, error.to_string());
        }
    }
    unreachable!("messages without end")
}

/// What may be thrown away later: a client whose webhook is inactive, with some hundreds of events.
async fn ballast(world: &World) -> Webhook {
    let client = world.add_client("ballast").await;
    let webhook = world.webhook(client.id, &number(9), "/never").await;
    let patch = wharf_domain::webhook::WebhookPatch {
        is_active: Some(false),
        ..Default::default()
    };
    world
        .gateway
        .update_webhook(client.id, webhook.id, patch)
        .await
        .unwrap();
    let key = ConnectionKey::new(client.id, number(9));
    let row = |n: u32| {
        let message = message("5511000000009", &format!("B{n}"), &"x".repeat(500));
        NewEvent {
            id: EventId(uuid::Uuid::now_v7()),
            payload: message.payload(client.id, &number(9)),
            key: key.clone(),
            message,
            created_at: clock::now(),
        }
    };
    let rows: Vec<NewEvent> = (0..300).map(row).collect();
    let mut writer = world.store.writer().await.unwrap();
    let mut group = writer.begin().await.unwrap();
    group.record_inbound(&rows.iter().collect::<Vec<_>>()).await.unwrap();
    group.commit().await.unwrap();
    webhook
}

/// The gateway never calls itself ready for so long.
async fn not_ready_for(world: &World, long: Duration) {
    let over = Instant::now() + long;
    wait_until("that is over", WITHIN, || async {
        assert!(world.gateway.ready().await.is_err(), "it takes no writes yet");
        Instant::now() > over
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_is_said_for_as_long_as_it_is_full_and_then_it_all_resumes() {
    let world = World::start_on("?max_page_count=300").await;
    let ballast = ballast(&world).await;
    let (_, webhook, link) = world.client_with_webhook("/ok").await;
    let (taken, error) = deliver_until_refused(&link, 0).await;
    assert!(error.contains("space"), "WhatsApp is not told that we have it: {error}");
    let why = wait_until("the gateway says so", WITHIN, || async {
        world.gateway.ready().await.err()
    })
    .await;
    assert!(why.contains("takes no writes") && why.contains("space"), "{why}");
    // For several rounds of the probe: it never calls itself ready in between.
    not_ready_for(&world, Duration::from_secs(2)).await;
    // Somebody makes space, beside the running gateway.
    let beside = open_store(&world.dir).await;
    let mut writer = beside.writer().await.unwrap();
    loop {
        let mut group = writer.begin().await.unwrap();
        let done = group.purge_client(ballast.client_id, 500).await.unwrap();
        group.commit().await.unwrap();
        if done {
            break;
        }
    }
    wait_until("it is ready again", WITHIN, || async {
        world.gateway.ready().await.is_ok()
    })
    .await;
    // WhatsApp offers again what was refused.
    link.deliver(vec![message("5511000000001", &format!("M{taken}"), "text")])
        .await
        .unwrap();
    let events = world.wait_for_delivered(&webhook, taken + 1).await;
    assert_eq!(events, taken + 1, "one row for each message that was taken");
    assert_posted_once(&world, taken + 1);
    world.gateway.stop().await;
}

/// Each event was posted once, although outcomes were refused for a while.
fn assert_posted_once(world: &World, events: usize) {
    let requests = world.receiver.requests();
    let ids: HashSet<&str> = requests
        .iter()
        .filter_map(|request| request.header("webhook-id"))
        .collect();
    assert_eq!((requests.len(), ids.len()), (events, events));
}

/// Holds the database's write lock in another process until it is dropped.
pub(super) struct Holder {
    child: Child,
    /// Kept open, so that the other process can go on writing there.
    _output: Lines<BufReader<ChildStdout>>,
}

impl Holder {
    pub(super) fn start(world: &World) -> Self {
        let inside = "tests::storage::inside_another_process_that_holds_the_database";
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--ignored", "--exact", "--nocapture", inside])
            .env("WHARF_TEST_DIRECTORY", world.dir.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        assert!(
            lines.any(|line| line.unwrap().contains("it is held")),
            "the other process holds it"
        );
        Self { child, _output: lines }
    }

    pub(super) fn release(mut self) {
        drop(self.child.stdin.take());
        let _ended = self.child.wait();
    }
}

#[tokio::test]
#[ignore = "runs in a process of its own for the tests below"]
async fn inside_another_process_that_holds_the_database() {
    let directory = std::env::var("WHARF_TEST_DIRECTORY").unwrap();
    let url = format!("sqlite://{directory}/wharf.db");
    let store = open_store_with(&url).await;
    let mut writer = store.writer().await.unwrap();
    let _held = writer.begin().await.unwrap();
    println!("it is held");
    let _closed = std::io::stdin().read(&mut [0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_another_process_holds_for_a_moment_is_waited_for() {
    let world = World::start().await;
    let (_, webhook, link) = world.client_with_webhook("/ok").await;
    let holder = Holder::start(&world);
    let mut offered = tokio::spawn(async move { link.deliver(vec![message("5511000000001", "M1", "1")]).await });
    let early = tokio::time::timeout(Duration::from_millis(700), &mut offered).await;
    early.expect_err("it waits for the lock");
    holder.release();
    tokio::time::timeout(WITHIN, offered).await.unwrap().unwrap().unwrap();
    world.wait_for_events(&webhook, EventStatus::Delivered, 1).await;
    assert!(world.gateway.ready().await.is_ok());
    world.gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_another_process_holds_for_long_is_said_and_nothing_is_sent_twice() {
    let world = World::start_on("?busy_timeout_ms=1000").await;
    let (_, webhook, link) = world.client_with_webhook("/slow").await;
    // An attempt is under way when the lock is taken: its outcome finds no way into the store.
    world.receiver.script("/slow", [Reply::Slow(Duration::from_secs(3))]);
    link.deliver(vec![message("5511000000001", "M1", "1")]).await.unwrap();
    world.receiver.wait_for(1, WITHIN).await;
    let holder = Holder::start(&world);
    let why = wait_until("the gateway says so before anybody has written", WITHIN, || async {
        world.gateway.ready().await.err()
    });
    assert!(why.await.contains("another program"));
    let refused = link.deliver(vec![message("5511000000002", "M2", "2")]).await;
    assert!(refused.is_err(), "WhatsApp is not told");
    let why = wait_until("the gateway says so", WITHIN, || async {
        world.gateway.ready().await.err()
    })
    .await;
    assert!(why.contains("another program"), "{why}");
    // Well beyond the end of the attempt.
    not_ready_for(&world, Duration::from_secs(4)).await;
    holder.release();
    wait_until("it is ready again", WITHIN, || async {
        world.gateway.ready().await.is_ok()
    })
    .await;
    link.deliver(vec![message("5511000000002", "M2", "2")]).await.unwrap();
    world.wait_for_events(&webhook, EventStatus::Delivered, 2).await;
    assert_posted_once(&world, 2);
    world.gateway.stop().await;
}

/// What was answered with 503 is not done halfway, and what was answered with 202 no crash undoes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_owner_wants_is_kept_before_it_is_done_and_refused_where_it_cannot_be() {
    let world = World::start_on("?busy_timeout_ms=1000").await;
    let (client, link) = world.client_with_number().await;
    let key = ConnectionKey::new(client, number(1));
    let status = async || {
        let shown = world.gateway.connection(client, &number(1)).await.unwrap();
        shown.session.status
    };
    let kept = async || {
        let row = world.store.connection(&key).await.unwrap().unwrap().session;
        (row.wanted, row.status)
    };
    let ready = async || world.gateway.ready().await.is_ok();
    let mut writer = world.store.writer().await.unwrap();

    let held = writer.begin().await.unwrap();
    let refused = world.gateway.disconnect(client, &number(1)).await.unwrap_err();
    assert!(
        matches!(&refused, GatewayError::Unavailable(text) if text.contains("another program")),
        "{refused}"
    );
    assert!(!link.is_closed() && status().await == ConnectionStatus::Connected);
    drop(held);
    wait_until("it is ready again", WITHIN, ready).await;
    world.gateway.disconnect(client, &number(1)).await.unwrap();
    assert_eq!(kept().await, (false, ConnectionStatus::Disconnected));
    wait_until("its link is closed", WITHIN, || async { link.is_closed() }).await;

    let held = writer.begin().await.unwrap();
    let refused = world.gateway.connect(client, &number(1)).await;
    assert!(matches!(refused, Err(GatewayError::Unavailable(_))), "{refused:?}");
    assert_eq!(status().await, ConnectionStatus::Disconnected);
    assert_eq!(world.links.open_links().len(), 0);
    drop(held);
    wait_until("it is ready again", WITHIN, ready).await;
    world.gateway.connect(client, &number(1)).await.unwrap();
    assert!(kept().await.0);
    world.links.wait_for_link(&key).await;
    world.gateway.stop().await;
}

/// As many as several groups take, each of which would wait for the database in its turn.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_behind_a_refused_group_is_refused_with_it() {
    let world = World::start_on("?busy_timeout_ms=2000").await;
    let mut writer = world.store.writer().await.unwrap();
    let held = writer.begin().await.unwrap();
    let persistence = &world.gateway.shared.persistence;
    let mut writes: Vec<_> = (0..2000)
        .map(|_| Box::pin(persistence.commit(Write::Settle, ())))
        .collect();
    assert!(writes.remove(0).await.is_err(), "another program holds the database");
    drop(held);
    let answers = join_all(writes).await;
    let taken = answers.iter().filter(|answer| answer.is_ok()).count();
    assert_eq!(taken, 0, "nothing waits for a store that is away");
    wait_until("it takes what comes then", WITHIN, || async {
        persistence.commit(Write::Settle, ()).await.is_ok()
    })
    .await;
    world.gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_read_only_database_is_said_and_takes_no_message() {
    let mut world = World::start().await;
    let (client, webhook, _) = world.client_with_webhook("/ok").await;
    world.restart_with("?mode=ro").await;
    let why = wait_until("the gateway says so", WITHIN, || async {
        world.gateway.ready().await.err()
    })
    .await;
    assert!(why.contains("takes no writes") && why.contains("writable"), "{why}");
    let link = world.relink(client, &number(1)).await;
    let refused = link.deliver(vec![message("5511000000001", "M1", "1")]).await;
    assert!(refused.is_err(), "WhatsApp is not told that we have it");
    assert_eq!(
        world.gateway.webhook(client, webhook.id).await.unwrap().id,
        webhook.id,
        "reading goes on"
    );
    // Made writable, it takes what WhatsApp offers again.
    world.restart_with("").await;
    wait_until("it is ready again", WITHIN, || async {
        world.gateway.ready().await.is_ok()
    })
    .await;
    let link = world.relink(client, &number(1)).await;
    link.deliver(vec![message("5511000000001", "M1", "1")]).await.unwrap();
    world.wait_for_events(&webhook, EventStatus::Delivered, 1).await;
    assert_posted_once(&world, 1);
    world.gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_database_is_not_ready_any_more_whatever_else_it_takes() {
    let world = World::start().await;
    let health = &world.gateway.shared.health;
    health.write_failed(&StoreError::Rejected("this write".to_owned()));
    health.write_failed(&StoreError::Unreadable("this row".to_owned()));
    assert_eq!(world.gateway.ready().await, Ok(()));
    health.write_failed(&StoreError::Corrupt("malformed".to_owned()));
    health.store_took_writes();
    let why = world.gateway.ready().await.unwrap_err();
    assert!(why.contains("malformed"), "{why}");
    world.gateway.stop().await;
}

/// A log that grows with every commit has its file's blocks written at each sync.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_that_come_one_by_one_leave_the_log_small() {
    let world = World::start().await;
    let (_, _webhook, link) = world.client_with_webhook("/hook").await;
    for n in 0..700 {
        let one = message("5511000000001", &format!("M{n}"), "text");
        link.deliver(vec![one]).await.unwrap();
    }
    let log = std::fs::metadata(world.dir.path().join("wharf.db-wal")).unwrap();
    // Each wrote some seven pages of 4 KiB, and its outcome as many.
    assert!(log.len() < 16 << 20, "{} KiB", log.len() >> 10);
    world.gateway.stop().await;
}
