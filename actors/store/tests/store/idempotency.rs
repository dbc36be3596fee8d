use wharf_domain::{ClientId, ConnectionKey, Timestamp};
use wharf_store::{KeyClaim, StoreError};

use crate::database::{Database, NOW, key, later, on_every_database};

const DAY: i64 = 24 * 60 * 60;

async fn claim(db: &mut Database, number: &ConnectionKey, name: &str, body: u8, now: Timestamp) -> KeyClaim {
    db.write(async |group| group.claim_key(number, name, &[body; 32], now).await)
        .await
}

on_every_database! {
    async fn the_same_request_gets_the_first_answer_again(db: &mut Database) {
        let client = db.client("acme").await;
        let number = key(client.id, "5511888888888");
        assert_eq!(db.store.key_is_answered(&number, "k", NOW).await, Ok(None));
        assert_eq!(claim(db, &number, "k", 1, NOW).await, KeyClaim::Fresh);
        assert_eq!(db.store.key_is_answered(&number, "k", NOW).await, Ok(Some(false)));
        assert_eq!(claim(db, &number, "k", 1, NOW).await, KeyClaim::Unfinished);
        assert_eq!(claim(db, &number, "k", 2, NOW).await, KeyClaim::OtherBody);
        let answer = r#"{"message_id":"3EB0"}"#;
        db.write(async |group| group.complete_key(&number, "k", answer).await).await;
        assert_eq!(claim(db, &number, "k", 1, later(5)).await, KeyClaim::Answered(answer.to_owned()));
        assert_eq!(db.store.key_is_answered(&number, "k", NOW).await, Ok(Some(true)));
        assert_eq!(claim(db, &number, "k", 2, later(5)).await, KeyClaim::OtherBody);
        db.write(async |group| group.release_key(&number, "k", NOW).await).await;
        assert_eq!(claim(db, &number, "k", 1, later(5)).await, KeyClaim::Answered(answer.to_owned()), "it stays");
    }

    async fn a_key_is_one_clients_and_one_numbers(db: &mut Database) {
        let (client, other) = (db.client("acme").await.id, db.client("other").await.id);
        for number in [key(client, "5511888888888"), key(client, "5511888888889"), key(other, "5511888888888")] {
            assert_eq!(claim(db, &number, "k", 1, NOW).await, KeyClaim::Fresh);
        }
        let nobody = key(ClientId(99), "5511888888888");
        let error = db.try_write(async |group| group.claim_key(&nobody, "k", &[1; 32], NOW).await).await.unwrap_err();
        assert!(matches!(error, StoreError::Rejected(_)), "{error}");
    }

    async fn a_released_key_is_fresh(db: &mut Database) {
        let number = key(db.client("acme").await.id, "5511888888888");
        claim(db, &number, "k", 1, NOW).await;
        db.write(async |group| group.release_key(&number, "k", NOW).await).await;
        assert_eq!(claim(db, &number, "k", 2, later(1)).await, KeyClaim::Fresh);
        db.write(async |group| group.release_key(&number, "k", NOW).await).await;
        assert_eq!(claim(db, &number, "k", 2, later(2)).await, KeyClaim::Unfinished, "it is another request's by now");
    }

    async fn a_key_counts_for_24_hours(db: &mut Database) {
        let number = key(db.client("acme").await.id, "5511888888888");
        claim(db, &number, "k", 1, NOW).await;
        db.write(async |group| group.complete_key(&number, "k", "{}").await).await;
        assert_eq!(claim(db, &number, "k", 1, later(DAY)).await, KeyClaim::Answered("{}".to_owned()));
        assert_eq!(claim(db, &number, "k", 2, later(DAY + 1)).await, KeyClaim::Fresh);
        assert_eq!(claim(db, &number, "k", 2, later(DAY + 2)).await, KeyClaim::Unfinished, "the old answer is gone");
    }

    async fn old_keys_are_purged(db: &mut Database) {
        let number = key(db.client("acme").await.id, "5511888888888");
        for (n, name) in (0..).zip(["a", "b", "c"]) {
            claim(db, &number, name, 1, later(n)).await;
        }
        assert_eq!(db.write(async |group| group.purge_keys(later(2), 1).await).await, 1, "no more than asked for");
        assert_eq!(db.write(async |group| group.purge_keys(later(2), 9).await).await, 1);
        assert_eq!(claim(db, &number, "a", 1, later(3)).await, KeyClaim::Fresh);
        assert_eq!(claim(db, &number, "c", 1, later(3)).await, KeyClaim::Unfinished);
    }
}
