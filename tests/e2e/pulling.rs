//! Catching up by pulling: in order, without a gap, or with a clear word that there is one.

use reqwest::StatusCode;
use serde_json::{Value, json};
use tokio::sync::watch;
use wharf_domain::retention::Cutoffs;
use wharf_store::{Store, StoreOptions};

use super::{
    media::fetch,
    world::{Api, CONTACT, NUMBER, WITHIN, World, id},
};

/// Messages that arrive while they are pulled and removed.
const MESSAGES: usize = 150;

/// Where a consumer is, and what it got.
#[derive(Default)]
struct Consumer {
    after: Option<String>,
    sequences: Vec<i64>,
    /// Places in `sequences` at which it was told that there is a gap.
    gaps: Vec<usize>,
}

impl Consumer {
    /// One pull; answers how many events came.
    async fn pull(&mut self, api: &Api, limit: usize) -> usize {
        let after = self
            .after
            .as_ref()
            .map_or_else(String::new, |after| format!("&after={after}"));
        let answer = api.get(&format!("/api/events?limit={limit}{after}")).await;
        if answer.status == StatusCode::GONE {
            self.after = None;
            self.gaps.push(self.sequences.len());
            return 0;
        }
        let page = answer.expect(StatusCode::OK);
        let events = page["data"].as_array().unwrap();
        assert!(events.len() <= limit);
        self.sequences
            .extend(events.iter().map(|event| event["sequence"].as_i64().unwrap()));
        self.after = page["next_cursor"].as_str().map(str::to_owned);
        events.len()
    }

    /// Each event is the next of its number, but for the places where the consumer was told.
    fn check(&self) {
        for (place, pair) in self.sequences.windows(2).enumerate() {
            let told = self.gaps.contains(&(place + 1));
            assert!(
                told || pair[1] == pair[0] + 1,
                "{pair:?} at {place} of {:?}",
                self.sequences
            );
        }
    }
}

/// How many events may go: all that were pulled, but for the one that the next pull begins after.
fn spent(pulled: usize) -> usize {
    if pulled == MESSAGES {
        pulled
    } else {
        pulled.saturating_sub(1)
    }
}

/// As the janitor's retention does, removes what is delivered and was pulled by whoever keeps up; `removed` says how many.
async fn retention(store: Store, mut pulled: watch::Receiver<usize>, removed: watch::Sender<usize>) {
    let mut gone = 0;
    while gone < MESSAGES {
        let spent = spent(*pulled.wait_for(|pulled| spent(*pulled) > gone).await.unwrap());
        let visited = store.visit_events(-1, spent - gone).await.unwrap();
        let seqs: Vec<i64> = visited.iter().map(|row| row.seq).collect();
        let before = wharf_actors::clock::now();
        let cutoffs = Cutoffs {
            delivered: before,
            failed: before,
        };
        let purge = store.write_beside(async |group| group.purge_events(&seqs, &cutoffs).await);
        let step = purge.await.unwrap();
        gone += usize::try_from(step).unwrap();
        removed.send_replace(gone);
    }
}

/// Pulls until all are removed; `pulled` says how many came.
async fn keeps_up(api: Api, removed: watch::Receiver<usize>, pulled: watch::Sender<usize>) -> Consumer {
    let mut consumer = Consumer::default();
    while *removed.borrow() < MESSAGES {
        consumer.pull(&api, 50).await;
        pulled.send_replace(consumer.sequences.len());
    }
    // Once more, when nothing is left.
    consumer.pull(&api, 50).await;
    consumer
}

/// Pulls one event, and the next when that one and several more are removed.
async fn is_too_slow(api: Api, mut removed: watch::Receiver<usize>) -> Consumer {
    let mut consumer = Consumer::default();
    while *removed.borrow() < MESSAGES {
        consumer.pull(&api, 1).await;
        let last = consumer.sequences.last().copied().unwrap_or_default();
        let place = usize::try_from(last).unwrap();
        let enough = removed.wait_for(|removed| *removed >= (place + 10).min(MESSAGES)).await;
        enough.unwrap();
    }
    consumer
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pulling_has_no_silent_gap_while_messages_arrive_and_retention_runs() {
    let world = World::start().await;
    world.linked("/ok").await;
    let url = format!("sqlite://{}", world.dir.path().join("wharf.db").display());
    let options = StoreOptions {
        url,
        readers: 1,
        exclusive: false,
    };
    let store = Store::open(&options).await.unwrap();
    let ((pulls, pulled), (removals, removed)) = (watch::channel(0), watch::channel(0));
    let removing = tokio::spawn(retention(store, pulled, removals));
    // One keeps up; the other is too slow for this retention, and has to be told.
    let quick = tokio::spawn(keeps_up(world.api().clone(), removed.clone(), pulls));
    let slow = tokio::spawn(is_too_slow(world.api().clone(), removed));
    for n in 0..MESSAGES {
        world.text(&n.to_string()).await;
    }
    tokio::time::timeout(WITHIN, removing)
        .await
        .expect("all is removed")
        .unwrap();
    let (quick, slow) = (quick.await.unwrap(), slow.await.unwrap());
    quick.check();
    slow.check();
    let all: Vec<i64> = (1..=i64::try_from(MESSAGES).unwrap()).collect();
    assert_eq!(quick.sequences, all);
    // When nothing is left, its last event is not there either.
    assert!(quick.gaps.iter().all(|gap| *gap == MESSAGES), "{:?}", quick.gaps);
    assert!(!slow.gaps.is_empty() && slow.sequences.len() < MESSAGES);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_consumer_catches_up_on_all_numbers_whatever_became_of_the_events() {
    let world = World::start().await;
    let webhook = world.linked("/hook").await;
    let second = "5511777777777";
    let other = world.webhook(second, "/status/404").await;
    world.link(second).await;
    world
        .api()
        .patch(&format!("/api/webhooks/{webhook}"), json!({"is_active": false}))
        .await
        .expect(StatusCode::OK);
    for n in 0..6 {
        let to = [NUMBER, second][n % 2];
        world.network.send_text(CONTACT, to, &n.to_string()).await.unwrap();
        // One after another: two links have no order between them.
        let count = n / 2 + 1;
        if to == NUMBER {
            world.api().wait_for_events(&webhook, "pending", count).await;
        } else {
            world.api().wait_for_events(&other, "failed", count).await;
        }
    }
    let contents = |page: &Value| -> Vec<String> {
        let events = page["data"].as_array().unwrap();
        events
            .iter()
            .map(|event| event["content"].as_str().unwrap().to_owned())
            .collect()
    };
    let first = world.api().get("/api/events?limit=4").await.expect(StatusCode::OK);
    assert_eq!(contents(&first), ["0", "1", "2", "3"]);
    let place = first["next_cursor"].as_str().unwrap();
    let rest = world
        .api()
        .get(&format!("/api/events?after={place}"))
        .await
        .expect(StatusCode::OK);
    assert_eq!(contents(&rest), ["4", "5"]);
    let end = rest["next_cursor"].as_str().unwrap();
    let nothing = world
        .api()
        .get(&format!("/api/events?after={end}"))
        .await
        .expect(StatusCode::OK);
    assert_eq!((&nothing["data"], &nothing["next_cursor"]), (&json!([]), &json!(end)));
    let of_one = world
        .api()
        .get(&format!("/api/events?phone_number={second}"))
        .await
        .expect(StatusCode::OK);
    assert_eq!(contents(&of_one), ["1", "3", "5"]);
    let sequences: Vec<&Value> = of_one["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|event| &event["sequence"])
        .collect();
    assert_eq!(sequences, [&json!(1), &json!(2), &json!(3)]);
    world.stop().await;
}

/// Without a receiver: a text and a picture, which is there with its event.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_only_pulls_needs_no_receiver() {
    let mut world = World::start().await;
    world.network.create_account(CONTACT).await.unwrap();
    let new = json!({"phone_number": NUMBER, "delivery": "pull"});
    let webhook = world.api().post("/api/webhooks/register", new).await;
    let webhook = webhook.expect(StatusCode::CREATED);
    assert_eq!(
        (&webhook["delivery"], &webhook["webhook_url"]),
        (&json!("pull"), &Value::Null)
    );
    assert!(webhook.get("secret").is_none(), "{webhook}");
    world.link(NUMBER).await;
    world.text("hello").await;
    let picture = json!({"to": NUMBER, "kind": "image", "mime_type": "image/png", "size": 5000});
    world.phone_sends(CONTACT, &picture).await;
    let page = world
        .api()
        .wait_for("/api/events", "both can be pulled", |page| {
            let events = page["data"].as_array().unwrap();
            events.len() == 2 && events.iter().all(|event| event["status"] == "delivered")
        })
        .await;
    let (text, picture) = (&page["data"][0], &page["data"][1]);
    assert_eq!((&text["content"], &text["attempt_count"]), (&json!("hello"), &json!(0)));
    assert_eq!(text["delivered_at"], text["created_at"]);
    let (status, _, file) = fetch(&picture["payload"]["media"]["url"], None).await;
    assert_eq!((status, file.len()), (StatusCode::OK, 5000));

    let hook = format!("/api/webhooks/{}", id(&webhook));
    for path in [
        format!("{hook}/test"),
        format!("{hook}/rotate-secret"),
        format!("/api/webhooks/events/{}/retry", id(text)),
    ] {
        let refused = world.api().post(&path, json!({})).await.expect(StatusCode::CONFLICT);
        assert!(refused["detail"].as_str().unwrap().contains("is pulled"), "{refused}");
    }
    let stats = world.api().get(&format!("{hook}/stats")).await.expect(StatusCode::OK);
    let hour = &stats["last_hour"];
    assert_eq!(
        (&hour["delivered"], &hour["attempts"], &hour["latency_ms"]),
        (&json!(2), &json!(0), &Value::Null)
    );

    // It goes on after a restart, from where it was.
    world.restart_gateway().await;
    let connection = format!("/api/whatsapp/connections/{NUMBER}");
    world.api().wait_for_status(&connection, "connected").await;
    world.text("again").await;
    let place = page["next_cursor"].as_str().unwrap();
    let rest = world
        .api()
        .wait_for(&format!("/api/events?after={place}"), "the next is there", |page| {
            page["data"].as_array().unwrap().len() == 1
        })
        .await;
    assert_eq!(
        (&rest["data"][0]["content"], &rest["data"][0]["status"]),
        (&json!("again"), &json!("delivered"))
    );
    assert_eq!(world.receiver.count(), 0);
    world.stop().await;
}
