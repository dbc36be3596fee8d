use wharf_domain::{
    EventId, EventKind, EventKinds, EventStatus, SendStatus, Timestamp, Webhook,
    message::{Details, Happening, update_chat},
    outgoing::STATUS,
    webhook::WebhookPatch,
};
use wharf_store::{ChatFilter, EventFilter, NewEvent};

use crate::database::{Database, NOW, delivered, failed, key, later, on_every_database};

/// Everything that a filter finds, by pages of `limit`; each page but the last has a cursor.
async fn found(db: &Database, webhook: &Webhook, filter: &EventFilter) -> Vec<EventId> {
    let mut filter = filter.clone();
    let mut found = Vec::new();
    loop {
        let page = db
            .store
            .events(webhook.client_id, webhook.id, &filter)
            .await
            .unwrap()
            .unwrap();
        assert!(page.events.len() <= filter.limit as usize);
        found.extend(page.events.iter().map(|event| event.id));
        filter.cursor = page.next_cursor;
        if filter.cursor.is_none() {
            return found;
        }
    }
}

fn filter(limit: u32) -> EventFilter {
    EventFilter {
        limit,
        ..Default::default()
    }
}

/// A message of a chat, from a number, created at a time.
fn new(db: &mut Database, webhook: &Webhook, chat: &str, from: &str, created_at: Timestamp) -> NewEvent {
    let id = db.uuid().to_string();
    let mut new = db.message(&webhook.key(), chat, &id);
    new.message.from = from.to_owned();
    new.payload = new.message.payload(webhook.client_id, &webhook.phone_number);
    NewEvent { created_at, ..new }
}

on_every_database! {
    async fn a_chat_is_found_by_its_jid_and_by_its_number(db: &mut Database) {
        let (_, webhook) = db.tenant("acme").await;
        let chats = [
            ("5511999999999@s.whatsapp.net", "5511999999999"),
            ("77@lid", "5511999999999"),
            ("12036300@g.us", "5511999999999"),
            ("5511777777777@s.whatsapp.net", "5511777777777"),
            ("78@lid", "78"),
        ];
        let mut made = Vec::new();
        for (chat, from) in chats {
            let new = new(db, &webhook, chat, from, NOW);
            made.push(db.record(&[new]).await.remove(0).event.id);
        }
        let by = |chat| EventFilter { chat: Some(chat), ..filter(1) };
        let number = |number: &str| by(ChatFilter::Number(number.parse().unwrap()));
        assert_eq!(found(db, &webhook, &number("5511999999999")).await, [made[1], made[0]]);
        assert_eq!(found(db, &webhook, &number("5511777777777")).await, [made[3]]);
        assert_eq!(found(db, &webhook, &number("5511000000000")).await, []);
        for ((jid, _), id) in chats.iter().zip(&made) {
            assert_eq!(found(db, &webhook, &by(ChatFilter::Jid((*jid).to_owned()))).await, [*id]);
        }
    }

    async fn status_updates_are_found_together_and_by_author(db: &mut Database) {
        let (_, webhook) = db.tenant("acme").await;
        let chats = [STATUS.to_owned(), update_chat("1@lid"), update_chat("2@lid"), "3@lid".to_owned()];
        let mut made = Vec::new();
        for chat in &chats {
            let new = new(db, &webhook, chat, "5511999999999", NOW);
            made.push(db.record(&[new]).await.remove(0).event.id);
        }
        let by = |chat: &str| EventFilter { chat: Some(ChatFilter::Jid(chat.to_owned())), ..filter(5) };
        assert_eq!(found(db, &webhook, &by(STATUS)).await, [made[2], made[1], made[0]]);
        assert_eq!(found(db, &webhook, &by(&chats[1])).await, [made[1]]);
    }

    async fn a_hidden_chat_is_found_by_the_other_ones_number_whoever_wrote(db: &mut Database) {
        let (_, webhook) = db.tenant("acme").await;
        let (own, theirs) = (webhook.phone_number.as_str().to_owned(), "5511999999999".to_owned());
        let came_in = new(db, &webhook, "77@lid", &theirs, NOW);
        let sent = Happening::Sent { to: theirs.clone(), to_lid: None, is_from_me: true };
        let (code, participant) = (None, None);
        let told = Happening::Status { to: theirs.clone(), to_lid: None, status: SendStatus::Read, code, participant };
        let mut made = vec![db.record(&[came_in]).await.remove(0).event.id];
        let every = EventKinds::of([EventKind::Message, EventKind::Sent, EventKind::Status]);
        let patch = WebhookPatch { events: Some(every), ..WebhookPatch::default() };
        let (client, id) = (webhook.client_id, webhook.id);
        db.write(async |group| group.update_webhook(client, id, &patch, NOW).await).await;
        for happening in [sent, told] {
            let mut new = new(db, &webhook, "77@lid", &own, NOW);
            new.message.details = Some(Box::new(Details { happening: Some(happening), ..Details::default() }));
            new.payload = new.message.payload(webhook.client_id, &webhook.phone_number);
            made.push(db.record(&[new]).await.remove(0).event.id);
        }
        made.reverse();
        let by = |number: &str| EventFilter { chat: Some(ChatFilter::Number(number.parse().unwrap())), ..filter(5) };
        assert_eq!(found(db, &webhook, &by(&theirs)).await, made);
        assert_eq!(found(db, &webhook, &by(&own)).await, []);
    }

    async fn filters_are_met_all_together_in_listed_and_unlisted_events(db: &mut Database) {
        let (_, webhook) = db.tenant("acme").await;
        let (_, others) = db.tenant("other").await;
        let mut made = Vec::new();
        // Enough for the list to be written at least once, and for some that are not in it.
        for second in 0..12 {
            let mut batch = Vec::new();
            for n in 0..100 {
                batch.push(new(db, &webhook, ["a@x", "b@x", "c@x"][n % 3], "5511999999999", later(second * 600)));
            }
            made.extend(db.record(&batch).await.into_iter().map(|recorded| recorded.event));
            db.events(&others, &["a@x"; 30]).await;
        }
        let outcomes: Vec<_> = made
            .iter()
            .enumerate()
            .filter_map(|(n, event)| match n % 4 {
                0 => Some(delivered(&webhook, event)),
                1 => Some(failed(&webhook, event)),
                _ => None,
            })
            .collect();
        db.outcomes(&outcomes).await;
        let status_of = |n: usize| match n % 4 {
            0 => EventStatus::Delivered,
            1 => EventStatus::Failed,
            _ => EventStatus::Pending,
        };
        for status in [None, Some(EventStatus::Delivered), Some(EventStatus::Failed), Some(EventStatus::Pending)] {
            for chat in [None, Some("b@x")] {
                for (since, until) in [(None, None), (Some(2), None), (None, Some(9)), (Some(3), Some(11))] {
                    let at = |place: Option<i64>| place.map(|place| later(place * 600));
                    let wanted = |n: usize| {
                        let second = i64::try_from(n / 100).unwrap();
                        status.is_none_or(|status| status == status_of(n))
                            && chat.is_none_or(|chat| chat == ["a@x", "b@x", "c@x"][n % 100 % 3])
                            && since.is_none_or(|since| second >= since)
                            && until.is_none_or(|until| second < until)
                    };
                    let expected: Vec<EventId> = (0..made.len()).rev().filter(|&n| wanted(n)).map(|n| made[n].id).collect();
                    let filter = EventFilter {
                        status,
                        chat: chat.map(|chat| ChatFilter::Jid(chat.to_owned())),
                        since: at(since),
                        until: at(until),
                        ..filter(97)
                    };
                    assert_eq!(found(db, &webhook, &filter).await, expected, "{filter:?}");
                }
            }
        }
        let one = db.event(&webhook, made[500].id).await;
        let by_message = EventFilter { message_id: Some(one.message_id), ..filter(5) };
        assert_eq!(found(db, &webhook, &by_message).await, [one.id]);
    }

    async fn a_clock_that_was_set_back_hides_nothing(db: &mut Database) {
        let (_, webhook) = db.tenant("acme").await;
        let mut made = Vec::new();
        for minute in [0, 10, 50, 5, 20, 8, 60, 59, 120] {
            let new = new(db, &webhook, "a", "5511999999999", later(minute * 60));
            made.push((minute, db.record(&[new]).await.remove(0).event.id));
        }
        for (since, until) in [(0, 6), (5, 21), (8, 60), (50, 200), (121, 122)] {
            let expected: Vec<EventId> = made
                .iter()
                .rev()
                .filter(|(minute, _)| (since..until).contains(minute))
                .map(|(_, id)| *id)
                .collect();
            let filter = EventFilter { since: Some(later(since * 60)), until: Some(later(until * 60)), ..filter(2) };
            assert_eq!(found(db, &webhook, &filter).await, expected, "{since} to {until}");
        }
    }

    async fn a_page_ends_after_many_rows_that_do_not_match(db: &mut Database) {
        let (_, webhook) = db.tenant("acme").await;
        let needle = db.events(&webhook, &["needle@x"]).await.remove(0);
        for _ in 0..21 {
            let batch: Vec<NewEvent> = (0..500)
                .map(|_| {
                    let id = db.uuid().to_string();
                    db.message(&webhook.key(), "hay@x", &id)
                })
                .collect();
            db.record(&batch).await;
        }
        let mut wanted = EventFilter { chat: Some(ChatFilter::Jid("needle@x".into())), ..filter(50) };
        for status in [None, Some(EventStatus::Pending)] {
            (wanted.status, wanted.cursor) = (status, None);
            let first = db.store.events(webhook.client_id, webhook.id, &wanted).await.unwrap().unwrap();
            assert_eq!(first.events.len(), 0, "10,000 rows were looked at");
            assert!(first.next_cursor.is_some());
            assert_eq!(found(db, &webhook, &wanted).await, [needle.id]);
        }
        // Nothing is delivered: that too is found out in bounded steps.
        let none = EventFilter { status: Some(EventStatus::Delivered), ..filter(50) };
        let page = db.store.events(webhook.client_id, webhook.id, &none).await.unwrap().unwrap();
        assert!(page.events.is_empty() && page.next_cursor.is_some());
        assert_eq!(found(db, &webhook, &none).await, []);
    }

    // What lies within the hour beside a range was gone over in case that the clock had been set back.
    async fn a_range_of_time_is_found_at_once_where_the_clock_was_not_set_back(db: &mut Database) {
        let (_, webhook) = db.tenant("acme").await;
        for part in 0..24_i64 {
            let batch: Vec<NewEvent> = (0..500).map(|_| new(db, &webhook, "a@x", "5511999999999", later(part * 60))).collect();
            db.record(&batch).await;
        }
        let early = EventFilter { until: Some(later(60)), ..filter(3) };
        // Asked again where the machine stood still: a page ends after so long, too.
        let mut first = 0;
        for _ in 0..20 {
            let page = db.store.events(webhook.client_id, webhook.id, &early).await.unwrap().unwrap();
            first = page.events.len();
            if first == 3 {
                break;
            }
        }
        assert_eq!(first, 3, "the first page");
        let late = EventFilter { since: Some(later(22 * 60)), ..filter(1000) };
        assert_eq!(found(db, &webhook, &late).await.len(), 1000);
    }

    async fn a_filter_shows_nothing_of_another_client(db: &mut Database) {
        let (client, webhook) = db.tenant("acme").await;
        let (_, others) = db.tenant("other").await;
        db.events(&others, &["a@x"; 4]).await;
        let own = db.webhook(&key(client.id, "5511777777777")).await;
        db.events(&own, &["a@x"]).await;
        for filter in [
            EventFilter { chat: Some(ChatFilter::Jid("a@x".into())), ..filter(5) },
            EventFilter { since: Some(Timestamp(0)), ..filter(5) },
            EventFilter { status: Some(EventStatus::Delivered), ..filter(5) },
        ] {
            for webhook in [&others, &own] {
                let page = db.store.events(webhook.client_id, webhook.id, &filter).await.unwrap().unwrap();
                assert_eq!(page.events.is_empty(), filter.status.is_some());
            }
            let foreign = db.store.events(client.id, others.id, &filter).await.unwrap().unwrap();
            assert!(foreign.events.is_empty() && foreign.next_cursor.is_none());
            let empty = db.store.events(client.id, webhook.id, &filter).await.unwrap().unwrap();
            assert!(empty.events.is_empty() && empty.next_cursor.is_none());
        }
    }
}
