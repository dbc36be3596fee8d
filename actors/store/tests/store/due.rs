use proptest::prelude::*;
use wharf_domain::{KEPT_PAYLOAD_BYTES, Ordering, PendingEvent, Timestamp, Webhook};
use wharf_store::{DueChat, DuePage, DueQuery, DueScope};

use crate::{
    database::{Database, NOW, delivered, failed, later, on_every_database, postponed},
    retry_failed::renewal,
};

/// Everything that a small test can hold.
pub fn everything() -> DueQuery {
    DueQuery {
        after: None,
        now: NOW,
        only_due: false,
        room: 1000,
        per_chat: 1000,
        visit: 1000,
        ordering: Ordering::Chat,
        scope: DueScope::Chats,
        named: Vec::new(),
    }
}

fn names(page: &DuePage) -> Vec<&str> {
    page.chats.iter().map(|chat| &*chat.events[0].chat).collect()
}

on_every_database! {
    async fn a_webhook_without_a_backlog_has_nothing_due(db: &mut Database) {
        let (_, webhook) = db.tenant("acme").await;
        let (_, others) = db.tenant("other").await;
        db.events(&others, &["a"]).await;
        let page = db.store.due_chats(webhook.id, &everything()).await.unwrap();
        assert!(page.chats.is_empty() && page.cursor.is_none() && page.next_due_at.is_none() && page.skipped == 0);
    }

    async fn events_come_by_chat_and_in_order(db: &mut Database) {
        let (_, webhook) = db.tenant("acme").await;
        let events = db.events(&webhook, &["b", "a", "b", "c", "a", "b"]).await;
        let page = db.store.due_chats(webhook.id, &everything()).await.unwrap();
        let chat = |places: &[usize]| DueChat {
            events: places.iter().map(|&place| events[place].clone()).collect(),
            more: false,
        };
        assert_eq!(page.chats, [chat(&[1, 4]), chat(&[0, 2, 5]), chat(&[3])]);
        assert_eq!((page.cursor, page.skipped, page.next_due_at), (None, 0, None));
    }

    async fn a_chat_that_waits_hides_no_other(db: &mut Database) {
        let (_, webhook) = db.tenant("acme").await;
        let events = db.events(&webhook, &["a", "a", "b", "c", "d"]).await;
        db.outcomes(&[
            postponed(&webhook, &events[0], 60),
            postponed(&webhook, &events[2], 30),
            postponed(&webhook, &events[3], 0),
        ])
        .await;
        let query = DueQuery { only_due: true, ..everything() };
        let page = db.store.due_chats(webhook.id, &query).await.unwrap();
        assert_eq!(names(&page), ["c", "d"], "a's second event waits for its first");
        assert_eq!((page.skipped, page.next_due_at), (2, Some(later(30))), "a time that has come is no timer's");
        let page = db.store.due_chats(webhook.id, &DueQuery { now: later(60), ..query }).await.unwrap();
        assert_eq!(names(&page), ["a", "b", "c", "d"]);
        let page = db.store.due_chats(webhook.id, &everything()).await.unwrap();
        assert_eq!(names(&page), ["a", "b", "c", "d"], "whether due or not");
        assert_eq!(page.chats[0].events[0].next_retry_at, Some(later(60)));
        assert_eq!(page.chats[0].events[0].attempt_count, 1);
    }

    async fn each_limit_stops_and_says_where(db: &mut Database) {
        let (_, webhook) = db.tenant("acme").await;
        let events = db.events(&webhook, &["a", "b", "b", "b", "c", "d"]).await;
        db.outcomes(&[postponed(&webhook, &events[0], 60)]).await;
        let read = async |query: DueQuery| db.store.due_chats(webhook.id, &query).await.unwrap();
        let due = DueQuery { only_due: true, ..everything() };

        let page = read(DueQuery { room: 2, per_chat: 1, ..due.clone() }).await;
        assert_eq!((names(&page), page.cursor.as_deref(), page.skipped), (vec!["b", "c"], Some("c"), 1));
        let page = read(DueQuery { after: page.cursor, room: 2, per_chat: 1, ..due.clone() }).await;
        assert_eq!((names(&page), page.cursor.as_deref(), page.skipped), (vec!["d"], None, 0));

        let page = read(DueQuery { visit: 1, ..due.clone() }).await;
        assert_eq!((names(&page), page.cursor.as_deref(), page.skipped), (vec![], Some("a"), 1));
        let page = read(DueQuery { visit: 4, ..due.clone() }).await;
        assert_eq!((names(&page), page.cursor.as_deref(), page.skipped), (vec!["b", "c", "d"], None, 1));

        let page = read(DueQuery { per_chat: 2, ..due.clone() }).await;
        let sizes: Vec<_> = page.chats.iter().map(|chat| (chat.events.len(), chat.more)).collect();
        assert_eq!((sizes, page.cursor), (vec![(2, true), (1, false), (1, false)], None));

        let page = read(DueQuery { room: 2, ..due.clone() }).await;
        let sizes: Vec<_> = page.chats.iter().map(|chat| (chat.events.len(), chat.more)).collect();
        assert_eq!((sizes, page.cursor.as_deref()), (vec![(2, true)], Some("b")));
        let page = read(DueQuery { room: 3, ..due.clone() }).await;
        let sizes: Vec<_> = page.chats.iter().map(|chat| (chat.events.len(), chat.more)).collect();
        assert_eq!((sizes, page.cursor.as_deref()), (vec![(3, false)], Some("b")));

        let page = read(DueQuery { room: 0, per_chat: 0, visit: 0, ..everything() }).await;
        assert_eq!((names(&page), page.cursor.as_deref()), (vec!["a"], Some("a")), "none counts as one");
    }

    async fn named_chats_are_read_and_no_others(db: &mut Database) {
        let (_, webhook) = db.tenant("acme").await;
        let events = db.events(&webhook, &["a", "b", "b", "b", "c", "d"]).await;
        db.outcomes(&[postponed(&webhook, &events[0], 60), postponed(&webhook, &events[4], 0)]).await;
        let read = async |query: DueQuery| db.store.due_chats(webhook.id, &query).await.unwrap();
        let named = |chats: &[&str]| DueQuery {
            scope: DueScope::Named,
            named: chats.iter().map(|chat| (*chat).into()).collect(),
            ..everything()
        };
        let page = read(named(&["b", "a", "none"])).await;
        assert_eq!(names(&page), ["b", "a"]);
        assert_eq!((page.cursor, page.next_due_at), (None, Some(later(60))));
        let page = read(DueQuery { only_due: true, ..named(&["a", "d"]) }).await;
        assert_eq!(names(&page), ["d"], "a waits");
        let page = read(DueQuery { room: 2, per_chat: 2, ..named(&["b", "d"]) }).await;
        assert_eq!((names(&page), page.chats[0].more), (vec!["b"], true));
        assert_eq!(page.left, ["d".into()], "there was no room for it");
    }

    async fn named_events_without_an_order_are_read_and_no_others(db: &mut Database) {
        let ((_, webhook), (_, others)) = (db.tenant("acme").await, db.tenant("other").await);
        let events = db.events(&webhook, &["a", "a", "b", "b"]).await;
        let theirs = db.events(&others, &["a"]).await.remove(0);
        db.outcomes(&[delivered(&webhook, &events[2])]).await;
        let named = |events: &[&PendingEvent]| DueQuery {
            scope: DueScope::Named,
            ordering: Ordering::None,
            named: events.iter().map(|event| event.id.to_string().into()).collect(),
            ..everything()
        };
        let alone = |event: &PendingEvent| DueChat { events: vec![event.clone()], more: false };
        let all = named(&[&events[3], &theirs, &events[2], &events[1]]);
        let page = db.store.due_chats(webhook.id, &all).await.unwrap();
        assert_eq!(page.chats, [alone(&events[3]), alone(&events[1])]);
        let few = DueQuery { room: 1, ..named(&[&events[0], &events[1]]) };
        let page = db.store.due_chats(webhook.id, &few).await.unwrap();
        assert_eq!((page.chats, page.left), (vec![alone(&events[0])], vec![events[1].id.to_string().into()]));
    }

    async fn a_large_body_stays_in_the_store(db: &mut Database) {
        let (_, webhook) = db.tenant("acme").await;
        let mut bodies = Vec::new();
        let mut messages = Vec::new();
        for bytes in [KEPT_PAYLOAD_BYTES, KEPT_PAYLOAD_BYTES + 1] {
            let mut new = db.message(&webhook.key(), "a", &bytes.to_string());
            // Bytes are counted, not characters.
            let room = bytes - new.payload.len();
            new.message.content.push_str(&("é".repeat(room / 2) + &"x".repeat(room % 2)));
            new.payload = new.message.payload(webhook.client_id, &webhook.phone_number);
            assert_eq!(new.payload.len(), bytes);
            bodies.push(new.payload.clone().into_bytes());
            messages.push(new);
        }
        let events: Vec<_> = db.record(&messages).await.into_iter().map(|made| made.event).collect();
        let arrived: Vec<_> = events.iter().map(|event| event.payload.as_deref()).collect();
        assert_eq!(arrived, [Some(&bodies[0][..]), Some(&bodies[1])], "one that may go at once");
        let kept = |events: &[PendingEvent]| -> Vec<_> {
            events.iter().map(|event| event.payload.as_ref().map(|body| body.to_vec())).collect()
        };
        let expected = [Some(bodies[0].clone()), None];
        let named: Vec<Box<str>> = events.iter().map(|event| event.id.to_string().into()).collect();
        for (ordering, scope, named) in [
            (Ordering::Chat, DueScope::Chats, vec![]),
            (Ordering::None, DueScope::Chats, vec![]),
            (Ordering::None, DueScope::Named, named),
        ] {
            let query = DueQuery { ordering, scope, named, ..everything() };
            let page = db.store.due_chats(webhook.id, &query).await.unwrap();
            let read: Vec<_> = page.chats.into_iter().flat_map(|chat| chat.events).collect();
            assert_eq!(kept(&read), expected, "{ordering:?}");
        }
        db.outcomes(&[failed(&webhook, &events[0]), failed(&webhook, &events[1])]).await;
        let renewal = renewal(&webhook, events.iter().map(|event| event.seq).collect(), 4);
        let renewed = db.write(async |group| group.renew_failed(&renewal).await).await;
        assert_eq!(kept(&renewed), expected);
        assert_eq!(db.store.payload(events[1].id).await.unwrap().unwrap(), bodies[1]);
    }

    async fn what_ended_is_not_in_the_backlog(db: &mut Database) {
        let (_, webhook) = db.tenant("acme").await;
        let events = db.events(&webhook, &["a", "a", "b", "c"]).await;
        db.outcomes(&[
            delivered(&webhook, &events[0]),
            failed(&webhook, &events[2]),
            wharf_domain::AttemptOutcome { next_retry_at: Some(later(1)), ..failed(&webhook, &events[3]) },
        ])
        .await;
        let page = db.store.due_chats(webhook.id, &everything()).await.unwrap();
        assert_eq!(page.chats, [DueChat { events: vec![events[1].clone()], more: false }]);
        assert_eq!(page.next_due_at, None, "an exhausted event's time is nobody's timer");
    }
}

/// The same by hand, over the backlog as a list.
fn model(backlog: &[PendingEvent], query: &DueQuery) -> DuePage {
    let mut by_chat: std::collections::BTreeMap<&str, Vec<&PendingEvent>> = Default::default();
    for event in backlog {
        by_chat.entry(&event.chat).or_default().push(event);
    }
    let after = query.after.as_deref().unwrap_or("");
    let waiting: Vec<_> = by_chat.iter().filter(|(chat, _)| **chat > after).collect();
    let (mut chats, mut skipped, mut visited, mut room) = (Vec::new(), 0, 0, query.room);
    for (_, events) in &waiting {
        let due = !query.only_due || events[0].next_retry_at.is_none_or(|at| at <= query.now);
        if visited == query.visit || (due && room == 0) {
            break;
        }
        visited += 1;
        if !due {
            skipped += 1;
            continue;
        }
        let keep = query.per_chat.min(room).min(events.len());
        room -= keep;
        chats.push(DueChat {
            events: events[..keep].iter().map(|&event| event.clone()).collect(),
            more: keep < events.len(),
        });
    }
    let cursor = (visited < waiting.len()).then(|| (*waiting[visited - 1].0).into());
    DuePage {
        chats,
        cursor,
        skipped,
        left: Vec::new(),
        next_due_at: next_due_at(backlog),
    }
}

fn next_due_at(backlog: &[PendingEvent]) -> Option<Timestamp> {
    backlog
        .iter()
        .filter_map(|event| event.next_retry_at)
        .filter(|at| *at > NOW)
        .min()
}

/// The chats that a sweep by time meets: whose first event has become due, in the order of the times.
fn due_by_time(backlog: &[PendingEvent], ordering: Ordering) -> Vec<(Timestamp, i64)> {
    let is_first = |event: &PendingEvent| {
        let earlier = |other: &PendingEvent| other.chat == event.chat && other.seq < event.seq;
        ordering == Ordering::None || !backlog.iter().any(earlier)
    };
    let due = backlog.iter().filter(|event| is_first(event));
    let mut due: Vec<_> = due
        .filter_map(|event| Some((event.next_retry_at?, event.seq)))
        .collect();
    due.retain(|(at, _)| *at <= NOW);
    due.sort();
    due
}

/// A backlog of few chats: for each event its chat, and when it is due, and how it ended.
fn backlogs() -> impl Strategy<Value = Vec<(u8, Option<i64>, bool)>> {
    prop::collection::vec(
        (
            0..9u8,
            prop::option::weighted(0.4, -5..5i64),
            prop::bool::weighted(0.15),
        ),
        0..60,
    )
}

fn queries() -> impl Strategy<Value = DueQuery> {
    (
        prop::option::of(0..9u8),
        any::<bool>(),
        1..12usize,
        1..4usize,
        1..8usize,
    )
        .prop_map(|(after, only_due, room, per_chat, visit)| DueQuery {
            after: after.map(|chat| format!("chat{chat}").into()),
            now: NOW,
            only_due,
            room,
            per_chat,
            visit,
            ..everything()
        })
}

async fn fill(db: &mut Database, webhook: &Webhook, backlog: &[(u8, Option<i64>, bool)]) -> Vec<PendingEvent> {
    let chats: Vec<String> = backlog.iter().map(|(chat, ..)| format!("chat{chat}")).collect();
    let mut events = db
        .events(webhook, &chats.iter().map(String::as_str).collect::<Vec<_>>())
        .await;
    let mut outcomes = Vec::new();
    for (event, &(_, due, ended)) in events.iter_mut().zip(backlog) {
        if ended {
            outcomes.push(delivered(webhook, event));
        } else if let Some(seconds) = due {
            outcomes.push(postponed(webhook, event, seconds));
            event.next_retry_at = Some(Timestamp(NOW.0 + seconds * 1000));
            event.attempt_count = 1;
        }
    }
    db.outcomes(&outcomes).await;
    events
        .into_iter()
        .zip(backlog)
        .filter(|(_, (.., ended))| !ended)
        .map(|(event, _)| event)
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..Default::default() })]

    #[test]
    fn due_chats_are_those_of_the_model(backlog in backlogs(), queries in prop::collection::vec(queries(), 1..12)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut db = Database::sqlite().await;
            let (_, webhook) = db.tenant("acme").await;
            let (_, others) = db.tenant("other").await;
            fill(&mut db, &others, &[(3, None, false), (4, Some(-9), false), (5, Some(1), false)]).await;
            let backlog = fill(&mut db, &webhook, &backlog).await;
            for query in queries {
                let page = db.store.due_chats(webhook.id, &query).await.unwrap();
                assert_eq!(format!("{page:?}"), format!("{:?}", model(&backlog, &query)), "{query:?}");
            }
            // Page by page, every due chat is met exactly once.
            let mut query = DueQuery { only_due: true, room: 3, per_chat: 2, visit: 3, ..everything() };
            let mut met = Vec::new();
            loop {
                let page = db.store.due_chats(webhook.id, &query).await.unwrap();
                met.extend(names(&page).into_iter().map(str::to_owned));
                query.after = page.cursor;
                if query.after.is_none() {
                    break;
                }
            }
            let all = DueQuery { only_due: true, ..everything() };
            assert_eq!(met, names(&model(&backlog, &all)));
        });
    }

    #[test]
    fn what_has_become_due_is_met_in_the_order_of_its_times(
        backlog in backlogs(),
        named in prop::collection::btree_set(0..9u8, 0..4),
        (room, per_chat, visit) in (1..12usize, 1..4usize, 1..8usize),
        alone in any::<bool>(),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut db = Database::sqlite().await;
            let (_, webhook) = db.tenant("acme").await;
            let (_, others) = db.tenant("other").await;
            fill(&mut db, &others, &[(3, None, false), (4, Some(-4), false)]).await;
            let backlog = fill(&mut db, &webhook, &backlog).await;
            let ordering = if alone { Ordering::None } else { Ordering::Chat };
            let named: Vec<Box<str>> = named.into_iter().filter(|_| !alone).map(|chat| format!("chat{chat}").into()).collect();
            let first = |chat: &str| backlog.iter().find(|event| &*event.chat == chat);
            let due = |event: &PendingEvent| event.next_retry_at.is_none_or(|at| at <= NOW);
            let mut expected: Vec<i64> = named.iter().filter_map(|chat| first(chat)).filter(|event| due(event)).map(|event| event.seq).collect();
            let by_time = due_by_time(&backlog, ordering);
            let of_named = |seq: i64| backlog.iter().any(|event| event.seq == seq && named.contains(&event.chat));
            expected.extend(by_time.into_iter().map(|(_, seq)| seq).filter(|seq| !of_named(*seq)));
            let mut query = DueQuery { scope: DueScope::Times, named, ordering, only_due: true, room, per_chat, visit, ..everything() };
            let (mut met, mut left) = (Vec::new(), Vec::new());
            loop {
                let page = db.store.due_chats(webhook.id, &query).await.unwrap();
                assert_eq!(page.next_due_at, next_due_at(&backlog));
                let held: usize = page.chats.iter().map(|chat| chat.events.len()).sum();
                assert!(held <= room, "{page:?}");
                for DueChat { events, more } in &page.chats {
                    let of_chat = backlog.iter().filter(|event| event.chat == events[0].chat).collect::<Vec<_>>();
                    assert!(events.len() <= per_chat);
                    assert_eq!(*more, !alone && events.len() < of_chat.len());
                }
                // A named one is met again in the place of its time, by whoever holds it already.
                let found = page.chats.iter().map(|chat| chat.events[0].seq);
                met.extend(found.filter(|seq| !met.contains(seq)).collect::<Vec<_>>());
                left.extend(page.left);
                (query.after, query.named) = (page.cursor, Vec::new());
                if query.after.is_none() {
                    let waiting = backlog.iter().filter(|event| event.next_retry_at.is_some_and(|at| at > NOW));
                    assert_eq!(page.skipped, waiting.count());
                    break;
                }
                assert_eq!(page.skipped, 0);
            }
            // What there was no room for is said, and is met when it is named again; or before, in the place of its time.
            let is_left = |seq: &i64| backlog.iter().any(|event| event.seq == *seq && left.contains(&event.chat));
            expected.retain(|seq| !is_left(seq));
            met.retain(|seq| !is_left(seq));
            assert_eq!(met, expected);
        });
    }
}
