use wharf_domain::{Client, EventId, PendingEvent, PhoneNumber, Timestamp, retention::Cutoffs};
use wharf_store::{PullCursor, PullPage, PullQuery, Pulled};

use crate::database::{Database, delivered, failed, key, later, on_every_database};

async fn pull(db: &Database, client: &Client, query: PullQuery) -> Option<(Vec<EventId>, Option<PullCursor>)> {
    match db.store.pull(client.id, &query).await.unwrap() {
        Pulled::Page(PullPage { events, next_cursor }) => {
            Some((events.iter().map(|event| event.id).collect(), Some(next_cursor)))
        }
        Pulled::Gone => None,
    }
}

/// Everything after `after`, by pages of `limit`.
async fn rest(db: &Database, client: &Client, number: Option<&PhoneNumber>, limit: u32) -> Vec<EventId> {
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let query = PullQuery {
            after,
            phone_number: number.cloned(),
            limit,
        };
        let (page, next) = pull(db, client, query).await.unwrap();
        if page.is_empty() {
            assert!(next == after || after.is_none(), "the same place again");
            return all;
        }
        all.extend(page);
        // As the API does it: through text.
        after = next.map(|cursor| cursor.to_string().parse().unwrap());
    }
}

/// Whatever of these is finished goes; answers how many.
async fn purge(db: &mut Database, events: &[PendingEvent]) -> u64 {
    let seqs: Vec<i64> = events.iter().map(|event| event.seq).collect();
    let all = Cutoffs {
        delivered: Timestamp(i64::MAX),
        failed: Timestamp(i64::MAX),
    };
    db.write(async |group| group.purge_events(&seqs, &all).await).await
}

on_every_database! {
    async fn all_webhooks_are_merged_in_the_order_of_arrival(db: &mut Database) {
        let client = db.client("acme").await;
        let mut webhooks = Vec::new();
        for n in 0..5 {
            webhooks.push(db.webhook(&key(client.id, &format!("551180000000{n}"))).await);
        }
        let (_, others) = db.tenant("other").await;
        let mut made = Vec::new();
        // Some are listed and some are not; one number is busy and one is silent.
        for round in 0..120 {
            for n in [0, 0, 0, 1, 2, 3] {
                if n != 3 || round % 40 == 0 {
                    let event = db.events(&webhooks[n], &["a"; 3]).await;
                    made.extend(event.into_iter().map(|event| (n, event.id)));
                }
            }
            db.events(&others, &["a"]).await;
        }
        let all: Vec<EventId> = made.iter().map(|(_, id)| *id).collect();
        for limit in [1_000_000, 200, 7] {
            assert_eq!(rest(db, &client, None, limit).await, all, "by {limit}");
        }
        for (n, webhook) in webhooks.iter().enumerate() {
            let own: Vec<EventId> = made.iter().filter(|(of, _)| *of == n).map(|(_, id)| *id).collect();
            assert_eq!(rest(db, &client, Some(&webhook.phone_number), 50).await, own);
        }
        let mut sequence = 0;
        let query = PullQuery { phone_number: Some(webhooks[0].phone_number.clone()), limit: 5000, after: None };
        let Pulled::Page(PullPage { events, .. }) = db.store.pull(client.id, &query).await.unwrap() else { panic!("gone") };
        for event in events {
            sequence += 1;
            assert_eq!(event.sequence, sequence, "without a gap");
        }
    }

    // Found by going over everybody's events as far as that is no dearer, and then by looking at each webhook.
    async fn many_webhooks_are_merged_whoever_else_has_events_in_between(db: &mut Database) {
        let client = db.client("acme").await;
        let mut webhooks = Vec::new();
        for n in 0..130 {
            webhooks.push(db.webhook(&key(client.id, &format!("5511800000{n:03}"))).await);
        }
        let (_, others) = db.tenant("other").await;
        let mut all = Vec::new();
        for (foreign, own) in [(1, 3), (500, 2), (3, 1), (120, 4), (400, 150), (700, 2), (3000, 1), (0, 1), (200, 0)] {
            db.events(&others, &vec!["a"; foreign]).await;
            for n in 0..own {
                let webhook = &webhooks[if own > 4 { n % 130 } else { n / 2 * 77 }];
                all.extend(db.events(webhook, &["a", "b"]).await.into_iter().map(|event| event.id));
            }
        }
        for limit in [1000, 100, 7, 1] {
            assert_eq!(rest(db, &client, None, limit).await, all, "by {limit}");
        }
        let own = Some(&webhooks[77].phone_number);
        assert!(rest(db, &client, own, 2).await.len() > 4, "one number's");
    }

    async fn nothing_has_a_place_too_and_a_place_is_kept_when_nothing_is_newer(db: &mut Database) {
        let (client, webhook) = db.tenant("acme").await;
        let (other, _) = db.tenant("other").await;
        let query = |after| PullQuery { after, phone_number: None, limit: 10 };
        let (page, nowhere) = pull(db, &client, query(None)).await.unwrap();
        assert_eq!(page, []);
        assert_eq!(pull(db, &client, query(nowhere)).await, Some((vec![], nowhere)));
        let first = db.events(&webhook, &["a", "b"]).await;
        let (page, cursor) = pull(db, &client, query(None)).await.unwrap();
        assert_eq!(page, [first[0].id, first[1].id]);
        assert_eq!(pull(db, &client, query(nowhere)).await, Some((page, cursor)));
        assert_eq!(pull(db, &client, query(cursor)).await, Some((vec![], cursor)));
        db.outcomes(&[delivered(&webhook, &first[0]), failed(&webhook, &first[1])]).await;
        let second = db.events(&webhook, &["a"]).await.remove(0);
        assert_eq!(pull(db, &client, query(cursor)).await.unwrap().0, [second.id], "whatever became of the others");
        assert_eq!(pull(db, &other, query(cursor)).await, None, "another client's place is none");
    }

    async fn what_others_have_ends_no_page_and_what_of_theirs_goes_is_no_gap(db: &mut Database) {
        let ((client, webhook), (_, others)) = (db.tenant("acme").await, db.tenant("other").await);
        let first = db.events(&webhook, &["a"]).await.remove(0);
        let theirs = db.events(&others, &["a"; 5]).await;
        let last = db.events(&webhook, &["a"]).await.remove(0);
        assert_eq!(rest(db, &client, None, 1).await, [first.id, last.id]);
        let query = |after| PullQuery { after, phone_number: None, limit: 1 };
        let (_, cursor) = pull(db, &client, query(None)).await.unwrap();
        let outcomes: Vec<_> = theirs.iter().map(|event| delivered(&others, event)).collect();
        db.outcomes(&outcomes).await;
        assert_eq!(purge(db, &theirs).await, 5);
        assert_eq!(pull(db, &client, query(cursor)).await.unwrap().0, [last.id]);
    }

    async fn deleted_webhooks_are_among_them(db: &mut Database) {
        let (client, webhook) = db.tenant("acme").await;
        let old = db.events(&webhook, &["a"]).await.remove(0);
        db.write(async |group| group.delete_webhook(client.id, webhook.id, later(1)).await).await;
        let again = db.webhook(&webhook.key()).await;
        let new = db.events(&again, &["a"]).await.remove(0);
        assert_eq!(rest(db, &client, Some(&webhook.phone_number), 1).await, [old.id, new.id]);
    }

    async fn a_place_that_retention_passed_is_gone_and_not_a_gap(db: &mut Database) {
        let client = db.client("acme").await;
        let webhook = db.webhook(&key(client.id, "5511888888888")).await;
        let quiet = db.webhook(&key(client.id, "5511777777777")).await;
        let still = db.events(&quiet, &["a"]).await.remove(0);
        let events = db.events(&webhook, &["a", "b", "c", "d"]).await;
        let query = |after, number: Option<&PhoneNumber>| PullQuery { after, phone_number: number.cloned(), limit: 1 };
        // After each of the five.
        let mut places = vec![None];
        for _ in 0..5 {
            places.push(pull(db, &client, query(*places.last().unwrap(), None)).await.unwrap().1);
        }
        // The first stays pending; the second and the third go.
        db.outcomes(&[delivered(&webhook, &events[1]), failed(&webhook, &events[2])]).await;
        assert_eq!(purge(db, &events).await, 2);
        for (place, what) in [(1, "both"), (2, "both"), (3, "its event and the next")] {
            assert_eq!(pull(db, &client, query(places[place], None)).await, None, "{what} are gone");
        }
        let (next, _) = pull(db, &client, query(places[4], None)).await.expect("what is gone was seen");
        assert_eq!(next, [events[3].id]);
        assert_eq!(pull(db, &client, query(places[5], None)).await, Some((vec![], places[5])));
        let quietly = pull(db, &client, query(places[1], Some(&quiet.phone_number))).await;
        assert_eq!(quietly, Some((vec![], places[1])), "nothing of this number is missing");
        // Who begins now gets what is kept, however old, and no gap since.
        assert_eq!(rest(db, &client, None, 1).await, [still.id, events[0].id, events[3].id]);
    }

    async fn who_has_got_everything_misses_nothing_when_that_goes(db: &mut Database) {
        let ((client, webhook), (other, others)) = (db.tenant("acme").await, db.tenant("other").await);
        let query0 = PullQuery { after: None, phone_number: None, limit: 10 };
        let (_, nowhere) = pull(db, &client, query0).await.unwrap();
        let events = db.events(&webhook, &["a", "b"]).await;
        let query = |after| PullQuery { after, phone_number: None, limit: 10 };
        let (_, place) = pull(db, &client, query(None)).await.unwrap();
        db.outcomes(&[delivered(&webhook, &events[0]), delivered(&webhook, &events[1])]).await;
        assert_eq!(purge(db, &events).await, 2);
        assert_eq!(pull(db, &client, query(place)).await, Some((vec![], place)));
        assert_eq!(pull(db, &client, query(nowhere)).await, None, "who had got nothing has missed them");
        let theirs = db.events(&others, &["a"]).await;
        assert_eq!(pull(db, &other, query(place)).await, None, "another client's place is none");
        let next = db.events(&webhook, &["a"]).await;
        assert_eq!(pull(db, &client, query(place)).await.unwrap().0, [next[0].id]);
        db.outcomes(&[delivered(&webhook, &next[0]), delivered(&others, &theirs[0])]).await;
        assert_eq!(purge(db, &next).await, 1);
        assert_eq!(pull(db, &client, query(place)).await, None, "and what it has not got is a gap");
    }

    async fn retention_between_two_pages_is_no_silent_gap(db: &mut Database) {
        let (client, webhook) = db.tenant("acme").await;
        let events = db.events(&webhook, &["a"; 6]).await;
        db.outcomes(&[delivered(&webhook, &events[0])]).await;
        purge(db, &events[..1]).await;
        let query = |after| PullQuery { after, phone_number: None, limit: 2 };
        let (page, place) = pull(db, &client, query(None)).await.unwrap();
        assert_eq!(page, [events[1].id, events[2].id]);
        let (_, next) = pull(db, &client, query(place)).await.expect("what went before it began is no gap");
        // What was seen goes: no gap. What was not: a gap.
        db.outcomes(&[delivered(&webhook, &events[1])]).await;
        purge(db, &events).await;
        assert_eq!(pull(db, &client, query(next)).await.unwrap().0, [events[5].id]);
        db.outcomes(&[delivered(&webhook, &events[5])]).await;
        purge(db, &events).await;
        assert_eq!(pull(db, &client, query(next)).await, None);
    }

    async fn a_message_that_comes_again_moves_no_place(db: &mut Database) {
        let (client, webhook) = db.tenant("acme").await;
        let known = db.message(&webhook.key(), "a", "1");
        db.record(std::slice::from_ref(&known)).await;
        let (_, after) = pull(db, &client, PullQuery { limit: 10, ..PullQuery::default() }).await.unwrap();
        // Known and new ones in one group: what was written for the known ones is taken back.
        let (b, c) = (db.message(&webhook.key(), "a", "2"), db.message(&webhook.key(), "a", "3"));
        let again = wharf_store::NewEvent { id: EventId(db.uuid()), ..known };
        let recorded = db.record(&[b, again, c]).await;
        assert_eq!(recorded.len(), 2);
        let query = PullQuery { after, phone_number: None, limit: 10 };
        let (page, _) = pull(db, &client, query).await.expect("nothing was removed");
        assert_eq!(page, [recorded[0].event.id, recorded[1].event.id]);
    }
}

#[test]
fn a_broken_place_is_named() {
    let good = format!("{}{:016x}", "0".repeat(32), 7);
    assert_eq!(good.parse::<PullCursor>().unwrap().to_string(), good);
    for text in [
        "",
        "1",
        &"0".repeat(32),
        &"z".repeat(48),
        &format!("{}-000000000000001", "0".repeat(32)),
        &"f".repeat(48),
    ] {
        assert_eq!(text.parse::<PullCursor>().unwrap_err().field, "after", "{text:?}");
    }
}
