//! A database that was put back from a copy.

use wharf_domain::{ClientId, ConnectionKey, ConnectionStatus, PendingEvent, retention::Cutoffs, session::ReasonCode};
use wharf_store::{ByNumber, ConnectionRecord, PullCursor, PullPage, PullQuery, Pulled, Restored, back_up};

use crate::{
    database::{Database, NOW, delivered, key, later, on_every_database, options, plain, token},
    outgoing,
};

/// A copy of a database that goes on, in the place where it is opened.
async fn copy_of(db: &Database) -> Database {
    let elsewhere = tempfile::tempdir().unwrap();
    let url = options(&db.dir, "").url;
    back_up(&url, &elsewhere.path().join("wharf.db")).await.unwrap();
    Database::at(elsewhere).await
}

async fn restored(db: &mut Database, seconds: i64, webhooks_stay: bool) -> Restored {
    db.write(async |group| group.restored(later(seconds), webhooks_stay).await)
        .await
}

/// How many events come after a place, and the place behind each of them; `None`: it is gone.
async fn pull(db: &Database, client: ClientId, after: Option<PullCursor>) -> Option<Vec<PullCursor>> {
    let (mut places, mut at) = (Vec::new(), after);
    loop {
        let query = PullQuery {
            after: at,
            phone_number: None,
            limit: 1,
        };
        match db.store.pull(client, &query).await.unwrap() {
            Pulled::Gone => return None,
            Pulled::Page(PullPage { events, .. }) if events.is_empty() => return Some(places),
            Pulled::Page(PullPage { next_cursor, .. }) => {
                at = Some(next_cursor.to_string().parse().unwrap());
                places.extend(at);
            }
        }
    }
}

/// Has an event delivered and removed.
async fn purge(db: &mut Database, webhook: &wharf_domain::Webhook, event: &PendingEvent) {
    db.outcomes(&[delivered(webhook, event)]).await;
    let all = Cutoffs {
        delivered: later(1000),
        failed: later(1000),
    };
    assert_eq!(
        db.write(async |group| group.purge_events(&[event.seq], &all).await)
            .await,
        1
    );
}

#[tokio::test]
async fn each_place_of_before_is_gone_and_no_sequence_comes_twice() {
    let mut db = Database::sqlite().await;
    let (client, webhook) = db.tenant("acme").await;
    let quiet = db.webhook(&key(client.id, "5511777777777")).await;
    let linked = key(client.id, "5511666666666");
    db.write(async |group| {
        group.create_connection(&plain(&linked), NOW).await?;
        group.note_retention(NOW).await
    })
    .await;
    let kept = db.events(&webhook, &["a", "b", "c"]).await;
    let of_the_copy = pull(&db, client.id, None).await.unwrap();
    assert_eq!(of_the_copy.len(), 3);
    let (mut first, mut second) = (copy_of(&db).await, copy_of(&db).await);

    // What the copies do not have: also a number's first events, and some are gone already.
    let lost = db.events(&webhook, &["d"; 10]).await;
    let last_lost = lost.last().unwrap().sequence;
    db.events(&quiet, &["a"; 5]).await;
    let later_webhook = db.webhook(&linked).await;
    db.events(&later_webhook, &["a"; 5]).await;
    purge(&mut db, &webhook, &kept[0]).await;
    let since = pull(&db, client.id, None).await.unwrap();

    restored(&mut first, 3600, true).await;
    for place in of_the_copy.iter().chain(&since) {
        assert_eq!(pull(&first, client.id, Some(*place)).await, None, "{place}");
    }
    let again = pull(&first, client.id, None).await.unwrap();
    assert_eq!(again.len(), 3, "from the beginning it has all of the copy");
    let new = first.events(&webhook, &["e"]).await.remove(0);
    assert!(
        new.sequence > last_lost + 1_000_000 && new.sequence < 10_000_000,
        "{new:?}"
    );
    let registered = first.webhook(&linked).await;
    for webhook in [&quiet, &registered] {
        let new = first.events(webhook, &["e"]).await.remove(0);
        assert!(new.sequence > 1_000_000, "{new:?}");
    }
    // A place of after is one as ever: what is removed before it is no gap.
    purge(&mut first, &webhook, &kept[0]).await;
    assert_eq!(pull(&first, client.id, Some(again[1])).await.unwrap().len(), 4);
    assert_eq!(pull(&first, client.id, Some(again[2])).await.unwrap().len(), 3);

    // Whoever has the same copy put back once more loses what came in between.
    restored(&mut second, 3602, true).await;
    for place in again.iter().chain(&of_the_copy) {
        assert_eq!(pull(&second, client.id, Some(*place)).await, None, "{place}");
    }
    let newer = second.events(&webhook, &["f"]).await.remove(0);
    assert!(newer.sequence > new.sequence, "{newer:?} {new:?}");
}

on_every_database! {
    async fn no_number_connects_and_nothing_waits_to_be_sent(db: &mut Database) {
        let client = db.client("acme").await;
        let numbers: Vec<ConnectionKey> =
            (1..=3).map(|n| key(client.id, &format!("551188888888{n}"))).collect();
        for number in &numbers {
            db.write(async |group| group.create_connection(&plain(number), NOW).await).await.unwrap();
        }
        for (number, status, code) in [
            (&numbers[1], ConnectionStatus::Disconnected, ReasonCode::BeingDeleted),
            (&numbers[2], ConnectionStatus::LoggedOut, ReasonCode::Unlinked),
        ] {
            let mut view = db.store.connection(number).await.unwrap().unwrap().session;
            (view.status, view.reason_code, view.wanted) = (status, code, false);
            let record = ConnectionRecord { key: number.clone(), view, updated_at: NOW };
            assert!(db.write(async |group| group.record_connection(&record).await).await);
        }
        outgoing::record(db, &numbers[0], "WAITS", NOW, false).await;
        outgoing::record(db, &numbers[0], "BEGUN", NOW, true).await;

        let done = restored(db, 60, false).await;
        assert_eq!((done.disconnected.as_slice(), done.messages), (&numbers[..1], 2));
        let rows = db.store.connections(client.id, &ByNumber::ALL).await.unwrap();
        let stand = |row: &wharf_domain::Connection| (row.session.reason_code, row.session.wanted);
        let expected = [ReasonCode::Requested, ReasonCode::BeingDeleted, ReasonCode::Unlinked];
        assert_eq!(rows.iter().map(stand).collect::<Vec<_>>(), expected.map(|code| (code, false)));
        assert_eq!(rows[0].session.status, ConnectionStatus::Disconnected);
        let queued = db.store.queued_messages(&numbers[0]).await.unwrap();
        assert!(queued.len() == 2 && queued.iter().all(|row| row.started_at.is_some()), "{queued:?}");
        let again = restored(db, 61, false).await;
        assert!(again.disconnected.is_empty() && again.switched_off.is_empty());
    }

    async fn webhooks_are_switched_off_unless_they_shall_stay(db: &mut Database) {
        let (client, webhook) = db.tenant("acme").await;
        let gone = db.webhook(&key(client.id, "5511777777777")).await;
        db.events(&gone, &["a"]).await;
        db.write(async |group| group.delete_webhook(client.id, gone.id, later(1)).await).await.unwrap();
        db.events(&webhook, &["a"]).await;
        assert!(restored(db, 60, true).await.switched_off.is_empty());
        assert!(db.reread(&webhook).await.is_active);

        let done = restored(db, 61, false).await;
        assert_eq!(done.switched_off.iter().map(|webhook| webhook.id).collect::<Vec<_>>(), [webhook.id]);
        let shown = db.reread(&webhook).await;
        assert!(!shown.is_active && shown.last_error.unwrap().contains("restored from a copy"));
        assert_eq!(db.statuses(&webhook).await["pending"], 1);
        assert!(db.store.webhooks_with_work(client.id).await.unwrap().is_empty());
    }

    async fn a_client_that_was_added_since_shares_its_id_with_nobody(db: &mut Database) {
        let client = db.client("acme").await;
        let done = restored(db, 60, false).await;
        assert_eq!(done.last_used_at, None);
        let next = db.write(async |group| group.add_client("next", &token(9), NOW).await).await;
        assert!(next.id.0 > client.id.0 + 1000, "{next:?}");
    }
}
