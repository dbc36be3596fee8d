use sqlx::{Connection, SqliteConnection, sqlite::SqliteConnectOptions};
use wharf_domain::{
    ConnectionKey, EventStatus, Outgoing, SendStatus, Timestamp,
    outgoing::{News, Place, StatusChange, Told, code},
    retention::{Cutoffs, Visited},
};
use wharf_store::{NewOutgoing, Note, OutgoingFile, OutgoingFilter};

use crate::database::{Database, NOW, key, later, on_every_database};

fn outgoing(number: &ConnectionKey, id: &str, at: Timestamp, started: bool) -> NewOutgoing {
    NewOutgoing {
        key: number.clone(),
        message_id: id.to_owned(),
        outgoing: Outgoing::text("5511999999999".parse().unwrap(), format!("text of {id}")),
        created_at: at,
        deadline_at: Timestamp(at.0 + 60_000),
        started_at: started.then_some(at),
        file: None,
    }
}

pub(crate) async fn record(db: &mut Database, number: &ConnectionKey, id: &str, at: Timestamp, started: bool) -> bool {
    let new = outgoing(number, id, at, started);
    db.write(async |group| group.record_outgoing(&new).await).await
}

async fn hear(
    db: &mut Database,
    number: &ConnectionKey,
    ids: &[&str],
    news: News,
    at: Timestamp,
    place: Option<Place>,
) -> Vec<StatusChange> {
    let told = Told {
        message_ids: ids.iter().map(|id| (*id).to_owned()).collect(),
        news,
        at,
        place,
    };
    let key = number.clone();
    db.write(async |group| group.note_outgoing(&[Note { key, told }]).await)
        .await
}

async fn note(db: &mut Database, number: &ConnectionKey, ids: &[&str], news: News, at: Timestamp) -> Vec<StatusChange> {
    hear(db, number, ids, news, at, None).await
}

async fn listed(db: &Database, number: &ConnectionKey, filter: OutgoingFilter) -> (Vec<String>, Option<String>) {
    let page = db.store.outgoing_messages(number, &filter).await.unwrap().unwrap();
    let ids = page.messages.into_iter().map(|message| message.message_id).collect();
    (ids, page.next_cursor)
}

on_every_database! {
    async fn a_message_is_kept_and_its_progress_told_once(db: &mut Database) {
        let number = key(db.client("acme").await.id, "5511888888888");
        assert!(record(db, &number, "A", NOW, true).await);
        assert!(!record(db, &number, "A", NOW, true).await, "its id is taken");
        assert!(record(db, &number, "B", NOW, true).await);
        let sent = note(db, &number, &["A"], News::Sent, later(1)).await;
        let change = StatusChange {
            key: number.clone(),
            message_id: "A".into(),
            status: SendStatus::Sent,
            error_code: None,
            error: None,
            at: later(1),
            place: Place::of(&"5511999999999".parse().unwrap()),
        };
        assert_eq!(sent, [change]);
        // One receipt for several; one of somebody else's messages among them.
        let read = note(db, &number, &["A", "X", "B", "A"], News::Read, later(3)).await;
        let steps: Vec<_> = read.iter().map(|change| (change.message_id.as_str(), change.status)).collect();
        let expected = [("A", SendStatus::Read), ("B", SendStatus::Sent), ("B", SendStatus::Read)];
        assert_eq!(steps, expected, "the server had it before");
        assert_eq!(note(db, &number, &["A"], News::Delivered, later(2)).await, [], "late, and nothing new");
        let shown = db.store.outgoing_message(&number, "A").await.unwrap().unwrap();
        assert_eq!((shown.status, shown.sent_at, shown.read_at), (SendStatus::Read, Some(later(1)), Some(later(3))));
        assert_eq!(shown.delivered_at, Some(later(2)));
        assert_eq!(shown.message, Some(Outgoing::text("5511999999999".parse().unwrap(), "text of A")));
    }

    async fn what_has_no_row_is_answered_as_its_receiver_tells_it(db: &mut Database) {
        let number = key(db.client("acme").await.id, "5511888888888");
        let place = Place::of(&"5511777777777".parse().unwrap());
        let read = hear(db, &number, &["phone's", "phone's"], News::Read, later(1), Some(place.clone())).await;
        let told: Vec<_> = read.iter().map(|change| (change.message_id.as_str(), change.status, &change.place)).collect();
        assert_eq!(told, [("phone's", SendStatus::Read, &place)]);
        assert_eq!(note(db, &number, &["phone's"], News::Read, later(1)).await, [], "where is not known");
        assert_eq!(hear(db, &number, &["client's"], News::Sent, later(1), Some(place)).await, [], "its own doing");
    }

    async fn a_failure_has_its_code_until_a_receipt_proves_otherwise(db: &mut Database) {
        let number = key(db.client("acme").await.id, "5511888888888");
        record(db, &number, "A", NOW, true).await;
        let failed = note(db, &number, &["A"], News::failed("463", "no"), later(1)).await;
        assert_eq!((failed[0].status, failed[0].error_code.as_deref()), (SendStatus::Failed, Some("463")));
        let shown = db.store.outgoing_message(&number, "A").await.unwrap().unwrap();
        assert_eq!((shown.error.as_deref(), shown.failed_at), (Some("no"), Some(later(1))));
        note(db, &number, &["A"], News::Delivered, later(2)).await;
        let shown = db.store.outgoing_message(&number, "A").await.unwrap().unwrap();
        assert_eq!((shown.status, shown.error_code, shown.failed_at), (SendStatus::Delivered, None, None));
    }

    async fn all_that_is_told_of_a_message_lies_in_the_chat_of_the_first(db: &mut Database) {
        let number = key(db.client("acme").await.id, "5511888888888");
        let given = Place::of(&"5511999999999".parse().unwrap());
        let named = Place { chat: "551199999999@s.whatsapp.net".into(), ..given.clone() };
        for id in ["A", "B", "C"] {
            record(db, &number, id, NOW, true).await;
        }
        let unknown = || News::failed(code::UNKNOWN, "no answer");
        let chats = |changes: Vec<StatusChange>| changes.into_iter().map(|change| change.place.chat).collect::<Vec<_>>();
        // A failure with its place, then the server's word without, then a receipt from another place.
        for (news, place) in [(unknown(), Some(named.clone())), (News::Sent, None), (News::Read, Some(given.clone()))] {
            assert_eq!(chats(hear(db, &number, &["A"], news, NOW, place).await), [named.chat.as_str()]);
        }
        // A failure without, which a crash left; then a receipt.
        for (news, place) in [(unknown(), None), (News::Delivered, Some(named.clone()))] {
            assert_eq!(chats(hear(db, &number, &["B"], news, NOW, place).await), [given.chat.as_str()]);
        }
        // Known when it was started, and the connection is deleted.
        hear(db, &number, &["C"], News::Started, later(1), Some(named.clone())).await;
        assert_eq!(chats(db.write(async |group| group.fail_queued(&number, NOW).await).await), [named.chat]);
    }

    async fn a_row_that_cannot_be_read_hides_no_other(db: &mut Database) {
        let number = key(db.client("acme").await.id, "5511888888888");
        for id in ["A", "B", "C", "D"] {
            record(db, &number, id, NOW, true).await;
        }
        let options = SqliteConnectOptions::new().filename(db.dir.path().join("wharf.db"));
        let mut beside = SqliteConnection::connect_with(&options).await.unwrap();
        for damage in [
            r#"UPDATE whatsapp_outgoing_messages SET message = '{"type": "of tomorrow"}' WHERE message_id = 'B'"#,
            r#"UPDATE whatsapp_outgoing_messages SET "to" = 'somebody' WHERE message_id = 'C'"#,
        ] {
            sqlx::query(damage).execute(&mut beside).await.unwrap();
        }
        let page = |cursor: Option<&str>| OutgoingFilter { limit: 2, cursor: cursor.map(Into::into), ..Default::default() };
        assert_eq!(listed(db, &number, page(None)).await, (vec!["D".into()], Some("C".into())));
        assert_eq!(listed(db, &number, page(Some("C"))).await, (vec!["B".into(), "A".into()], None));
        let shown = db.store.outgoing_message(&number, "B").await.unwrap().unwrap();
        assert_eq!((shown.message, shown.status, shown.kind.as_str()), (None, SendStatus::Queued, "text"));
        let sent = note(db, &number, &["C", "A"], News::Sent, NOW).await;
        assert_eq!(sent.iter().map(|change| change.message_id.as_str()).collect::<Vec<_>>(), ["A"]);
    }

    async fn messages_are_one_clients_and_one_numbers(db: &mut Database) {
        let (client, other) = (db.client("acme").await.id, db.client("other").await.id);
        let number = key(client, "5511888888888");
        record(db, &number, "A", NOW, true).await;
        for stranger in [key(client, "5511888888889"), key(other, "5511888888888")] {
            assert_eq!(db.store.outgoing_message(&stranger, "A").await.unwrap(), None);
            assert_eq!(listed(db, &stranger, OutgoingFilter { limit: 9, ..Default::default() }).await.0, [""; 0]);
            assert_eq!(note(db, &stranger, &["A"], News::Read, NOW).await, []);
            let cursor = OutgoingFilter { limit: 9, cursor: Some("A".into()), ..Default::default() };
            assert_eq!(db.store.outgoing_messages(&stranger, &cursor).await.unwrap(), None);
        }
    }

    async fn pages_go_from_the_newest_on(db: &mut Database) {
        let number = key(db.client("acme").await.id, "5511888888888");
        for id in ["A", "B", "C", "D", "E"] {
            record(db, &number, id, NOW, true).await;
        }
        note(db, &number, &["B", "D"], News::Sent, NOW).await;
        let page = |cursor: Option<&str>, status| OutgoingFilter { status, limit: 2, cursor: cursor.map(Into::into), chat: None };
        assert_eq!(listed(db, &number, page(None, None)).await, (vec!["E".into(), "D".into()], Some("D".into())));
        assert_eq!(listed(db, &number, page(Some("D"), None)).await, (vec!["C".into(), "B".into()], Some("B".into())));
        assert_eq!(listed(db, &number, page(Some("B"), None)).await, (vec!["A".into()], None));
        assert_eq!(listed(db, &number, page(None, Some(SendStatus::Sent))).await, (vec!["D".into(), "B".into()], None));
    }

    async fn the_messages_of_a_chat_are_found_by_whom_they_went_to_and_by_whatsapps_name_of_it(db: &mut Database) {
        let number = key(db.client("acme").await.id, "5511888888888");
        let group = "120363000000000001@g.us";
        for (id, to, chat) in [
            ("untold", "5511999999999", None),
            ("by number", "5511999999999", Some("77@lid")),
            ("by hidden id", "77@lid", Some("77@lid")),
            ("known since", "78@lid", Some("5511777777777@s.whatsapp.net")),
            ("other digits", "551199999999", Some("5511999999999@s.whatsapp.net")),
            ("group", group, None),
            ("status", "status@broadcast", None),
        ] {
            let to = to.parse().unwrap();
            let place = chat.map(|chat| Place { chat: chat.to_owned(), ..Place::of(&to) });
            let new = NewOutgoing { outgoing: Outgoing::text(to, id), ..outgoing(&number, id, NOW, true) };
            assert!(db.write(async |group| group.record_outgoing(&new).await).await);
            if place.is_some() {
                hear(db, &number, &[id], News::Sent, NOW, place).await;
            }
        }
        let of = |chat: &str, status| OutgoingFilter { status, chat: Some(chat.parse().unwrap()), limit: 2, cursor: None };
        let all = async |db: &Database, mut filter: OutgoingFilter| {
            let mut all = Vec::new();
            loop {
                let (some, cursor) = listed(db, &number, filter.clone()).await;
                all.extend(some);
                filter.cursor = cursor;
                if filter.cursor.is_none() {
                    return all;
                }
            }
        };
        for (chat, found) in [
            ("5511999999999", vec!["other digits", "by number", "untold"]),
            ("+55 11 99999-9999", vec!["other digits", "by number", "untold"]),
            ("77@lid", vec!["by hidden id", "by number"]),
            ("5511777777777@c.us", vec!["known since"]),
            ("78@lid", vec!["known since"]),
            ("551199999999", vec!["other digits"]),
            (group, vec!["group"]),
            ("status@broadcast", vec!["status"]),
            ("5511000000000", vec![]),
            ("120363000000000002@g.us", vec![]),
        ] {
            assert_eq!(all(db, of(chat, None)).await, found, "{chat}");
        }
        let sent = of("5511999999999", Some(SendStatus::Sent));
        assert_eq!(all(db, sent).await, ["other digits", "by number"], "both are met");
        let queued = of("5511999999999", Some(SendStatus::Queued));
        assert_eq!(all(db, queued).await, ["untold"]);
        let stranger = key(db.client("other").await.id, "5511888888888");
        assert_eq!(listed(db, &stranger, of("77@lid", None)).await, (vec![], None));
    }

    // A status that is rare, or a chat, would be looked for over all that the number ever sent.
    async fn a_page_of_one_status_or_chat_ends_after_ten_thousand_messages(db: &mut Database) {
        let number = key(db.client("acme").await.id, "5511888888888");
        let ids: Vec<String> = (0..10_050).map(|n| format!("M{n:05}")).collect();
        let mut news: Vec<NewOutgoing> = ids.iter().map(|id| outgoing(&number, id, NOW, false)).collect();
        news[3].outgoing.to = "77@lid".parse().unwrap();
        db.write(async |group| {
            for new in &news {
                group.record_outgoing(new).await?;
            }
            Ok(())
        })
        .await;
        note(db, &number, &["M00003"], News::Sent, NOW).await;
        let sent = OutgoingFilter { status: Some(SendStatus::Sent), limit: 2, ..Default::default() };
        let of_chat = OutgoingFilter { chat: Some("77@lid".parse().unwrap()), limit: 2, ..Default::default() };
        for filter in [sent, of_chat] {
            let page = |cursor: Option<String>| OutgoingFilter { cursor, ..filter.clone() };
            let (mut found, mut cursor) = listed(db, &number, page(None)).await;
            assert!(found.is_empty() && cursor.as_deref() >= Some("M00050"), "short, and there is more: {cursor:?}");
            while cursor.is_some() {
                (found, cursor) = listed(db, &number, page(cursor)).await;
            }
            assert_eq!(found, ["M00003"], "{filter:?}");
        }
        let status = Some(SendStatus::Queued);
        let queued = OutgoingFilter { status, limit: 1, cursor: Some("M00005".into()), chat: None };
        assert_eq!(listed(db, &number, queued).await, (vec!["M00004".into()], Some("M00004".into())));
    }

    async fn what_waits_is_found_again_and_ends_with_its_connection(db: &mut Database) {
        let number = key(db.client("acme").await.id, "5511888888888");
        for (id, started) in [("A", false), ("B", true), ("C", false)] {
            record(db, &number, id, NOW, started).await;
        }
        note(db, &number, &["C"], News::Sent, NOW).await;
        let queued = db.store.queued_messages(&number).await.unwrap();
        let found: Vec<_> = queued.iter().map(|row| (row.message_id.as_str(), row.started_at)).collect();
        assert_eq!(found, [("A", None), ("B", Some(NOW))]);
        note(db, &number, &["B"], News::NotStarted, NOW).await;
        assert_eq!(db.store.queued_messages(&number).await.unwrap()[1].started_at, None);
        record(db, &number, "D", NOW, true).await;
        let changes = db.write(async |group| group.fail_queued(&number, later(1)).await).await;
        let ends: Vec<_> = changes.iter().map(|change| (change.message_id.as_str(), change.error_code.as_deref())).collect();
        let deleted = Some(code::DELETED);
        assert_eq!(ends, [("D", Some(code::UNKNOWN)), ("A", deleted), ("B", deleted)], "one may have been sent");
        assert_eq!(db.store.queued_messages(&number).await.unwrap(), []);
    }

    async fn old_ones_go_like_events(db: &mut Database) {
        let number = key(db.client("acme").await.id, "5511888888888");
        for (id, at) in [("queued", 0), ("sent", 0), ("failed", 0), ("young", 100)] {
            record(db, &number, id, later(at), true).await;
        }
        note(db, &number, &["sent", "young"], News::Sent, NOW).await;
        note(db, &number, &["failed"], News::failed("463", "no"), NOW).await;
        let never = Timestamp(i64::MIN);
        let cutoffs = |delivered, failed| Cutoffs { delivered, failed };
        let seen = async |db: &Database, cutoffs: &Cutoffs, after| {
            let seen = db.store.visit_outgoing(after, cutoffs, 2).await.unwrap();
            seen.into_iter().map(|row| (row.seq, row.status)).collect::<Vec<_>>()
        };
        let (all, old) = (cutoffs(later(101), never), cutoffs(never, later(50)));
        use EventStatus::{Delivered, Failed, Pending};
        assert_eq!(seen(db, &all, None).await, [(1, Pending), (2, Delivered)], "as many as asked for, the oldest first");
        let place = |seq, at| Some(Visited { seq, status: Pending, created_at: later(at), weight: 1 });
        assert_eq!(seen(db, &all, place(2, 0)).await, [(3, Failed), (4, Delivered)]);
        assert_eq!(seen(db, &old, place(2, 0)).await, [(3, Failed)], "none that is too young for all");
        assert_eq!(seen(db, &cutoffs(never, never), None).await, []);

        let none = cutoffs(never, never);
        for (what, gone) in [(none, 0), (cutoffs(later(50), never), 1), (old, 1)] {
            let purged = db.write(async |group| group.purge_outgoing(&[1, 2, 3, 4, 9], &what).await).await;
            assert_eq!(purged, gone);
        }
        let left = listed(db, &number, OutgoingFilter { limit: 9, ..Default::default() }).await.0;
        assert_eq!(left, ["young", "queued"]);
    }

    async fn the_file_of_one_that_waits_is_kept_with_what_is_shown_of_it(db: &mut Database) {
        let number = key(db.client("acme").await.id, "5511888888888");
        for id in ["A", "B"] {
            record(db, &number, id, NOW, false).await;
        }
        let file = |id: &str, text: &str, file: &[u8]| OutgoingFile {
            key: number.clone(),
            message_id: id.into(),
            outgoing: Outgoing::text("5511999999999".parse().unwrap(), text),
            file: file.to_vec(),
        };
        let kept = file("A", "fetched", b"sealed");
        db.write(async |group| group.keep_outgoing_file(&kept).await).await;
        let queued = db.store.queued_messages(&number).await.unwrap();
        assert_eq!(queued[0].outgoing.as_ref(), Some(&kept.outgoing));
        assert_eq!((queued[0].file.as_deref(), queued[1].file.as_deref()), (Some(&b"sealed"[..]), None));
        assert_eq!(db.store.outgoing_file(&number, "A").await.unwrap().as_deref(), Some(&b"sealed"[..]));
        assert_eq!(db.store.outgoing_file(&number, "B").await.unwrap(), None);
        assert_eq!(db.store.outgoing_file(&number, "X").await.unwrap(), None);
        note(db, &number, &["A"], News::Sent, NOW).await;
        let late = file("A", "late", b"other");
        db.write(async |group| group.keep_outgoing_file(&late).await).await;
        assert_eq!(db.store.outgoing_file(&number, "A").await.unwrap().as_deref(), Some(&b"sealed"[..]));
    }

    async fn they_go_with_their_client(db: &mut Database) {
        let client = db.client("acme").await.id;
        let number = key(client, "5511888888888");
        record(db, &number, "A", NOW, true).await;
        db.write(async |group| group.remove_client(client, NOW).await).await;
        assert!(db.write(async |group| group.purge_client(client, 500).await).await);
        assert_eq!(db.store.outgoing_message(&number, "A").await.unwrap(), None);
    }
}
