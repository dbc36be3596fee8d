use wharf_domain::{EventId, EventKind, EventStatus, retention::Cutoffs};
use wharf_store::{Cursor, EventFilter, PullQuery, Pulled};

use crate::database::{Database, NOW, delivered, failed, later, on_every_database};

async fn ids(db: &Database, webhook: &wharf_domain::Webhook, filter: &EventFilter) -> (Vec<EventId>, Option<Cursor>) {
    let page = db
        .store
        .events(webhook.client_id, webhook.id, filter)
        .await
        .unwrap()
        .unwrap();
    (page.events.iter().map(|event| event.id).collect(), page.next_cursor)
}

on_every_database! {
    async fn pages_are_newest_first_and_meet_without_gap(db: &mut Database) {
        let (_, webhook) = db.tenant("acme").await;
        let (_, others) = db.tenant("other").await;
        let mut made = Vec::new();
        for _ in 0..10 {
            made.extend(db.events(&webhook, &["a", "b", "c"]).await);
            db.events(&others, &["a"]).await;
        }
        let outcomes: Vec<_> = made
            .iter()
            .enumerate()
            .filter_map(|(n, event)| match n % 3 {
                0 => Some(delivered(&webhook, event)),
                1 => Some(failed(&webhook, event)),
                _ => None,
            })
            .collect();
        db.outcomes(&outcomes).await;
        let of = |status: Option<EventStatus>| -> Vec<EventId> {
            let wanted = |n: usize| match status {
                None => true,
                Some(EventStatus::Delivered) => n.is_multiple_of(3),
                Some(EventStatus::Failed) => n % 3 == 1,
                Some(EventStatus::Pending) => n % 3 == 2,
            };
            (0..30).rev().filter(|&n| wanted(n)).map(|n| made[n].id).collect()
        };
        for status in [None, Some(EventStatus::Pending), Some(EventStatus::Delivered), Some(EventStatus::Failed)] {
            for limit in [1, 3, 7, 10, 30, 200] {
                let mut filter = EventFilter { status, limit, ..Default::default() };
                let mut listed = Vec::new();
                loop {
                    let (page, next) = ids(db, &webhook, &filter).await;
                    assert!(page.len() <= limit as usize);
                    assert_eq!(next.is_some(), listed.len() + page.len() < of(status).len());
                    listed.extend(page);
                    // As the API does it: through text.
                    filter.cursor = next.map(|cursor| cursor.to_string().parse().unwrap());
                    if filter.cursor.is_none() {
                        break;
                    }
                }
                assert_eq!(listed, of(status), "{status:?} by {limit}");
            }
        }
    }

    async fn a_page_ends_by_its_bytes_too(db: &mut Database) {
        let (client, webhook) = db.tenant("acme").await;
        let mut made = Vec::new();
        for n in 0..20 {
            let mut message = db.message(&webhook.key(), "a", &n.to_string());
            message.message.content = "x".repeat(1 << 20);
            message.payload = message.message.payload(webhook.client_id, &webhook.phone_number);
            made.extend(db.record(&[message]).await.into_iter().map(|recorded| recorded.event.id));
        }
        let ended = |page: &[EventId]| assert!((1..=9).contains(&page.len()), "{}", page.len());
        let pending = Some(EventStatus::Pending);
        for (status, event) in [(None, None), (pending, None), (None, Some(EventKind::Message))] {
            let mut filter = EventFilter { status, event, limit: 200, ..Default::default() };
            let mut listed = Vec::new();
            loop {
                let (page, next) = ids(db, &webhook, &filter).await;
                ended(&page);
                listed.extend(page);
                filter.cursor = next;
                if next.is_none() {
                    break;
                }
            }
            listed.reverse();
            assert_eq!(listed, made, "{filter:?}");
        }
        let mut query = PullQuery { after: None, phone_number: None, limit: 200 };
        let mut pulled = Vec::new();
        while pulled.len() < made.len() {
            let Pulled::Page(page) = db.store.pull(client.id, &query).await.unwrap() else { panic!("gone") };
            let ids: Vec<EventId> = page.events.iter().map(|event| event.id).collect();
            ended(&ids);
            pulled.extend(ids);
            query.after = Some(page.next_cursor);
        }
        assert_eq!(pulled, made);
    }

    async fn a_page_goes_from_what_is_new_to_what_is_listed(db: &mut Database) {
        let (_, webhook) = db.tenant("acme").await;
        let (_, others) = db.tenant("other").await;
        let mut made = Vec::new();
        for _ in 0..7 {
            made.extend(db.events(&webhook, &["a"; 150]).await.into_iter().map(|event| event.id));
            db.events(&others, &["a"; 150]).await;
        }
        made.reverse();
        let (all, end) = ids(db, &webhook, &EventFilter { limit: 2000, ..Default::default() }).await;
        assert_eq!((all, end), (made, None));
    }

    async fn new_events_do_not_shift_a_page(db: &mut Database) {
        let (_, webhook) = db.tenant("acme").await;
        let old: Vec<_> = db.events(&webhook, &["a"; 4]).await.into_iter().map(|event| event.id).collect();
        let (first, cursor) = ids(db, &webhook, &EventFilter { limit: 2, ..Default::default() }).await;
        db.events(&webhook, &["a"; 3]).await;
        let (second, end) = ids(db, &webhook, &EventFilter { limit: 2, cursor, ..Default::default() }).await;
        assert_eq!([first, second].concat(), [old[3], old[2], old[1], old[0]]);
        assert_eq!(end, None);
    }

    async fn a_cursor_whose_event_is_gone_or_another_webhooks_is_none(db: &mut Database) {
        let (client, webhook) = db.tenant("acme").await;
        let (_, others) = db.tenant("other").await;
        let events = db.events(&webhook, &["a"; 4]).await;
        db.events(&others, &["a"; 4]).await;
        let (_, foreign) = ids(db, &others, &EventFilter { limit: 2, ..Default::default() }).await;
        // The retention takes what was delivered and leaves the failed one that is older.
        db.outcomes(&[failed(&webhook, &events[0]), delivered(&webhook, &events[2])]).await;
        let (_, gone) = ids(db, &webhook, &EventFilter { limit: 2, ..Default::default() }).await;
        assert_eq!(gone.map(|cursor| cursor.to_string()), Some(events[2].id.0.simple().to_string()));
        let cutoffs = Cutoffs { delivered: later(1), failed: NOW };
        assert_eq!(db.write(async |group| group.purge_events(&[events[2].seq], &cutoffs).await).await, 1);
        for cursor in [foreign, gone] {
            for status in [None, Some(EventStatus::Failed), Some(EventStatus::Delivered)] {
                let filter = EventFilter { limit: 2, cursor, status, ..Default::default() };
                let page = db.store.events(client.id, webhook.id, &filter).await.unwrap();
                assert!(page.is_none(), "{filter:?}: {page:?}");
            }
        }
    }
}

#[test]
fn a_broken_cursor_is_named() {
    for text in [
        "",
        "1",
        "-1",
        "zz",
        &"z".repeat(32),
        "00000000-0000-0000-0000-000000000001",
        &"0".repeat(33),
    ] {
        let error = text.parse::<Cursor>().unwrap_err();
        assert_eq!(error.field, "cursor", "{text:?}");
    }
}
