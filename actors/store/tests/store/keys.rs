use wharf_domain::ConnectionKey;
use wharf_store::{KeyChange, KeyKind, KeyRange, StoreError, StoredKey};

use crate::database::{Database, NOW, key, on_every_database, plain};

use KeyKind::{Device, LidOfNumber, MessageSecret, PendingMessage, PreKey, SentMessage, Session, TrustToken};

/// A client with a connection.
async fn number(db: &mut Database, name: &str, phone: &str) -> ConnectionKey {
    let client = db.client(name).await;
    let of = key(client.id, phone);
    db.write(async |group| group.create_connection(&plain(&of), NOW).await)
        .await
        .unwrap();
    of
}

async fn change(db: &mut Database, of: &ConnectionKey, changes: &[KeyChange]) {
    db.write(async |group| group.change_keys(&[(of, changes)]).await).await;
}

fn put(kind: KeyKind, name: &str, value: &str) -> KeyChange {
    KeyChange::Put(StoredKey::new(kind, name, value.into()))
}

fn timed(kind: KeyKind, name: &str, value: &str, at: i64, also: Option<i64>) -> StoredKey {
    StoredKey {
        at,
        also,
        ..StoredKey::new(kind, name, value.into())
    }
}

fn remove(kind: KeyKind, name: &str) -> KeyChange {
    KeyChange::Remove(kind, name.into())
}

/// Name and value of everything of a kind, as text.
async fn all(db: &Database, of: &ConnectionKey, kind: KeyKind) -> Vec<(String, String)> {
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    let rows = db.store.keys_of(of, kind, b"").await.unwrap();
    rows.into_iter().map(|row| (text(row.name), text(row.value))).collect()
}

/// How many steps it took.
async fn remove_left(db: &mut Database, of: &ConnectionKey, limit: u32) -> usize {
    let mut steps = 1;
    while !db.write(async |group| group.remove_left_keys(of, limit).await).await {
        steps += 1;
    }
    steps
}

fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    expected
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

/// Removes keys in steps of `limit`; answers how many went with each.
async fn forget(db: &mut Database, of: &ConnectionKey, range: KeyRange, limit: u32) -> Vec<u64> {
    let mut steps = Vec::new();
    while steps.last().is_none_or(|removed| *removed == u64::from(limit)) {
        steps.push(db.write(async |group| group.remove_keys(of, &range, limit).await).await);
    }
    steps
}

on_every_database! {
    async fn what_is_put_is_there_until_it_is_removed(db: &mut Database) {
        let of = number(db, "acme", "5511888888888").await;
        assert_eq!(db.store.key(&of, Session, b"a").await.unwrap(), None);
        change(db, &of, &[put(Session, "a", "1"), put(Session, "b", "1"), put(PreKey, "a", "other")]).await;
        change(db, &of, &[put(Session, "a", "2")]).await;
        assert_eq!(all(db, &of, Session).await, pairs(&[("a", "2"), ("b", "1")]));
        let found = db.store.key(&of, Session, b"a").await.unwrap().unwrap();
        assert_eq!(found, StoredKey::new(Session, "a", b"2".to_vec()));
        let named = db.store.keys_named(&of, Session, ["b", "c", "a"].iter()).await.unwrap();
        assert_eq!(named.len(), 2);
        let mut names = db.store.key_names_among(&of, Session, ["b", "c", "a"].iter()).await.unwrap();
        names.sort();
        assert_eq!(names, [b"a".to_vec(), b"b".to_vec()]);
        change(db, &of, &[remove(Session, "a"), remove(Session, "nothing")]).await;
        assert_eq!(all(db, &of, Session).await, pairs(&[("b", "1")]));
        assert_eq!(all(db, &of, PreKey).await, pairs(&[("a", "other")]));
    }

    async fn changes_of_one_group_keep_their_order(db: &mut Database) {
        let of = number(db, "acme", "5511888888888").await;
        change(db, &of, &[put(Session, "there", "1")]).await;
        let first = [put(Session, "a", "1"), put(Session, "there", "2"), remove(Session, "there"), remove(Session, "b")];
        let second = [put(Session, "b", "1"), remove(Session, "a"), put(Session, "c", "1"), put(Session, "c", "2")];
        db.write(async |group| group.change_keys(&[(&of, &first), (&of, &second)]).await).await;
        assert_eq!(all(db, &of, Session).await, pairs(&[("b", "1"), ("c", "2")]));
        // One that looks at rows sees those that were put before it, and not those that come after.
        let sent = |at| KeyChange::TokenSent(b"t".to_vec(), at);
        let third = [
            KeyChange::Put(timed(TrustToken, "t", "1", 1, Some(1))),
            sent(7),
            remove(Session, "b"),
            remove(Session, "c"),
            KeyChange::Put(timed(TrustToken, "t", "2", 2, Some(2))),
            sent(3),
            put(Session, "f", "1"),
        ];
        change(db, &of, &third).await;
        assert_eq!(all(db, &of, Session).await, pairs(&[("f", "1")]));
        let token = db.store.key(&of, TrustToken, b"t").await.unwrap().unwrap();
        assert_eq!(token, timed(TrustToken, "t", "2", 2, Some(3)));
    }

    async fn many_rows_go_in_one_change(db: &mut Database) {
        let of = number(db, "acme", "5511888888888").await;
        let names: Vec<String> = (0..300).map(|n| format!("{n:03}")).collect();
        let puts: Vec<_> = names.iter().map(|name| put(PreKey, name, name)).collect();
        change(db, &of, &puts).await;
        assert_eq!(all(db, &of, PreKey).await.len(), 300);
        assert_eq!(db.store.last_key_name(&of, PreKey).await.unwrap(), Some(b"299".to_vec()));
        let removals: Vec<_> = names[..290].iter().map(|name| remove(PreKey, name)).collect();
        change(db, &of, &removals).await;
        assert_eq!(all(db, &of, PreKey).await.len(), 10);
        assert_eq!(db.store.last_key_name(&of, Session).await.unwrap(), None);
    }

    async fn a_prefix_takes_what_begins_with_it_and_nothing_else(db: &mut Database) {
        let of = number(db, "acme", "5511888888888").await;
        let puts = ["55@s", "55:1@s", "551@s", "5", "6"].map(|name| put(Session, name, ""));
        change(db, &of, &puts).await;
        assert!(db.store.has_keys(&of, Session, b"55@").await.unwrap());
        assert!(db.store.has_keys(&of, Session, b"55:").await.unwrap());
        assert!(!db.store.has_keys(&of, Session, b"550").await.unwrap());
        assert_eq!(forget(db, &of, KeyRange::Beginning(Session, b"55".to_vec()), 2).await, [2, 1]);
        assert_eq!(all(db, &of, Session).await, pairs(&[("5", ""), ("6", "")]));
        change(db, &of, &[put(LidOfNumber, "%", ""), put(LidOfNumber, "x", "")]).await;
        assert_eq!(forget(db, &of, KeyRange::Beginning(LidOfNumber, b"%".to_vec()), 9).await, [1]);
        assert_eq!(all(db, &of, LidOfNumber).await, pairs(&[("x", "")]), "a prefix is no pattern");
    }

    async fn what_is_too_old_goes(db: &mut Database) {
        let of = number(db, "acme", "5511888888888").await;
        let rows = [
            timed(SentMessage, "old", "", 10, None),
            timed(SentMessage, "new", "", 20, None),
            timed(MessageSecret, "ended", "", 10, Some(1)),
            timed(MessageSecret, "for ever", "", 0, Some(1)),
            timed(PendingMessage, "old", "", 0, Some(10)),
            timed(PendingMessage, "new", "", 0, Some(20)),
        ];
        change(db, &of, &rows.map(KeyChange::Put)).await;
        for (kind, left) in [(SentMessage, "new"), (MessageSecret, "for ever"), (PendingMessage, "new")] {
            assert!(db.store.has_keys_before(&of, kind, 20).await.unwrap(), "{kind:?}");
            assert_eq!(forget(db, &of, KeyRange::Before(kind, 20), 1).await, [1, 0], "{kind:?}");
            assert!(!db.store.has_keys_before(&of, kind, 20).await.unwrap(), "{kind:?}");
            assert_eq!(all(db, &of, kind).await, pairs(&[(left, "")]));
        }
    }

    async fn a_secret_keeps_the_later_times(db: &mut Database) {
        let of = number(db, "acme", "5511888888888").await;
        for (put, kept) in [((10, Some(5)), (10, Some(5))), ((5, Some(9)), (10, Some(9))), ((0, Some(0)), (0, Some(9))), ((7, None), (0, Some(9)))] {
            let ((at, also), (kept_at, kept_also)) = (put, kept);
            change(db, &of, &[KeyChange::Put(timed(MessageSecret, "m", "s", at, also))]).await;
            let row = db.store.key(&of, MessageSecret, b"m").await.unwrap().unwrap();
            assert_eq!((row.at, row.also), (kept_at, kept_also));
        }
        let twice = [timed(MessageSecret, "n", "1", 9, None), timed(MessageSecret, "n", "2", 4, None)].map(KeyChange::Put);
        change(db, &of, &twice).await;
        let row = db.store.key(&of, MessageSecret, b"n").await.unwrap().unwrap();
        assert_eq!((row.at, row.value), (9, b"2".to_vec()), "also when both are of one group");
    }

    async fn tokens_are_written_by_two_who_do_not_know_of_each_other(db: &mut Database) {
        let of = number(db, "acme", "5511888888888").await;
        let sent = |at| KeyChange::TokenSent(b"c".to_vec(), at);
        let received = |value: &str, at| KeyChange::ReceiveToken(timed(TrustToken, "c", value, at, None));
        for (change_to, value, at, also) in [
            (sent(5), "", 5, Some(5)),
            (received("old", 3), "old", 3, Some(5)),
            (received("new", 9), "new", 9, Some(5)),
            (received("stale", 8), "new", 9, Some(5)),
            (sent(4), "new", 9, Some(5)),
            (sent(7), "new", 9, Some(7)),
        ] {
            change(db, &of, std::slice::from_ref(&change_to)).await;
            let row = db.store.key(&of, TrustToken, b"c").await.unwrap().unwrap();
            assert_eq!(row, timed(TrustToken, "c", value, at, also), "{change_to:?}");
        }
        let others = ["d", "e"].map(|name| KeyChange::TokenSent(name.into(), 7));
        change(db, &of, &others).await;
        let tokens = |received, sent| KeyRange::Tokens { received, sent };
        assert_eq!(forget(db, &of, tokens(10, 7), 2).await, [0], "ours was sent lately");
        assert_eq!(forget(db, &of, tokens(0, 8), 2).await, [2, 0], "none was received");
        assert_eq!(forget(db, &of, tokens(9, 8), 2).await, [0], "theirs is good");
        assert_eq!(forget(db, &of, tokens(10, 8), 2).await, [1]);
    }

    async fn a_number_forgets_only_itself(db: &mut Database) {
        let (one, other) = (number(db, "acme", "5511888888888").await, number(db, "b", "5511888888888").await);
        let third = key(one.client_id, "5511777777777");
        db.write(async |group| group.create_connection(&plain(&third), NOW).await).await;
        for of in [&one, &other, &third] {
            change(db, of, &[put(Session, "a", "1"), put(PreKey, "1", "1")]).await;
        }
        // None of them has a device.
        assert_eq!(db.store.numbers_with_left_keys().await.unwrap().len(), 3);
        assert!(db.store.has_left_keys(&one).await.unwrap());
        remove_left(db, &one, 10).await;
        assert_eq!((all(db, &one, Session).await, all(db, &one, PreKey).await), (vec![], vec![]));
        assert!(!db.store.has_left_keys(&one).await.unwrap());
        assert_eq!(db.store.numbers_with_left_keys().await.unwrap().len(), 2);
        for of in [&other, &third] {
            assert_eq!(all(db, of, Session).await, pairs(&[("a", "1")]));
        }
    }

    async fn what_a_device_left_goes_in_steps_and_never_once_there_is_another_one(db: &mut Database) {
        let of = number(db, "acme", "5511888888888").await;
        let mut many: Vec<_> = (0..25).map(|n| put(PreKey, &n.to_string(), "old")).collect();
        many.push(put(Device, "", "old"));
        change(db, &of, &many).await;
        assert!(!db.store.has_left_keys(&of).await.unwrap() && db.store.numbers_with_left_keys().await.unwrap().is_empty());
        assert!(db.write(async |group| group.remove_left_keys(&of, 10).await).await, "they are not left");
        assert_eq!(all(db, &of, PreKey).await.len(), 25);

        change(db, &of, &[remove(Device, "")]).await;
        assert!(!db.write(async |group| group.remove_left_keys(&of, 10).await).await);
        assert_eq!(all(db, &of, PreKey).await.len(), 15);
        // Whoever removes them may meet a new device: its keys are not theirs.
        change(db, &of, &[put(Device, "", "new"), put(Session, "a", "new")]).await;
        assert!(db.write(async |group| group.remove_left_keys(&of, 10).await).await);
        assert_eq!((all(db, &of, PreKey).await.len(), all(db, &of, Session).await.len()), (15, 1));

        change(db, &of, &[remove(Device, "")]).await;
        assert_eq!(remove_left(db, &of, 10).await, 2, "10, then 6");
    }

    async fn keys_go_with_their_connection_and_its_client(db: &mut Database) {
        let (one, other) = (number(db, "acme", "5511888888888").await, number(db, "b", "5511888888888").await);
        for of in [&one, &other] {
            let many: Vec<_> = (0..700).map(|n| put(PreKey, &n.to_string(), "")).collect();
            change(db, of, &many).await;
        }
        db.write(async |group| group.delete_connection(&one).await).await;
        assert_eq!(all(db, &one, PreKey).await, []);
        let refused = db.try_write(async |group| group.change_keys(&[(&one, &[put(Session, "late", "")])]).await).await;
        assert!(matches!(refused, Err(StoreError::Rejected(_))), "{refused:?}");

        assert_eq!(db.store.any_key().await.unwrap(), None, "empty values are not encrypted");
        change(db, &other, &[put(Session, "s", "v")]).await;
        let (of, found) = db.store.any_key().await.unwrap().unwrap();
        assert_eq!((of, found.name, found.value), (other.clone(), b"s".to_vec(), b"v".to_vec()));

        db.write(async |group| group.remove_client(other.client_id, NOW).await).await;
        let mut steps = 1;
        while !db.write(async |group| group.purge_client(other.client_id, 500).await).await {
            steps += 1;
        }
        assert_eq!(steps, 2, "a step removes 500");
        assert_eq!(db.store.any_key().await.unwrap(), None);
    }

    async fn every_kind_is_a_word_of_the_table(db: &mut Database) {
        let of = number(db, "acme", "5511888888888").await;
        let puts = KeyKind::ALL.map(|kind| put(kind, "", "v"));
        change(db, &of, &puts).await;
        for kind in KeyKind::ALL {
            assert_eq!(all(db, &of, kind).await, pairs(&[("", "v")]), "{kind:?}");
        }
    }
}
