use wharf_domain::{
    ClientId, ConnectionStatus,
    outgoing::Pace,
    session::{ReasonCode, SessionView},
};
use wharf_store::{ByNumber, ConnectionRecord, ConnectionSettings, SealedProxy, StoreError};

use crate::database::{Database, NOW, key, later, on_every_database, plain};

on_every_database! {
    async fn a_new_connection_wants_to_run(db: &mut Database) {
        let client = db.client("acme").await;
        let number = key(client.id, "5511888888888");
        let made = db.write(async |group| group.create_connection(&plain(&number), NOW).await).await.unwrap();
        assert_eq!((made.key(), made.session.status, made.session.wanted), (number.clone(), ConnectionStatus::Connecting, true));
        assert_eq!((made.session.reconnect_attempts, made.session.jid.clone(), made.session.connected_since), (0, None, None));
        assert_eq!((made.created_at, made.updated_at), (NOW, NOW));
        assert_eq!(db.store.connection(&number).await.unwrap(), Some(made.clone()));

        let again = db.write(async |group| group.create_connection(&plain(&number), later(1)).await).await;
        assert_eq!(again, None, "one per client and number");
        assert_eq!(db.store.connection(&number).await.unwrap(), Some(made));
        let other = db.client("other").await;
        let others = key(other.id, "5511888888888");
        assert!(db.write(async |group| group.create_connection(&plain(&others), NOW).await).await.is_some());
        let error = db
            .try_write(async |group| group.create_connection(&plain(&key(ClientId(99), "5511888888888")), NOW).await)
            .await
            .unwrap_err();
        assert!(matches!(error, StoreError::Rejected(_)), "{error}");
    }

    async fn every_status_and_value_is_kept(db: &mut Database) {
        let client = db.client("acme").await;
        let number = key(client.id, "5511888888888");
        db.write(async |group| group.create_connection(&plain(&number), NOW).await).await;
        let states = ReasonCode::ALL.into_iter().flat_map(|code| ConnectionStatus::ALL.map(|status| (code, status)));
        for (seconds, (reason_code, status)) in (1..).zip(states) {
            let full = SessionView {
                status,
                reason: Some("because".into()),
                reason_code,
                jid: Some("5511888888888:12@s.whatsapp.net".into()),
                push_name: Some("Ägäis 🦀".into()),
                connected_since: Some(later(2)),
                last_event_at: Some(later(3)),
                reconnect_attempts: u32::MAX,
                wanted: false,
                banned_until: Some(later(4)),
                retry_at: None,
                qr: None,
                pair_code: None,
            };
            let bare = SessionView {
                reason: None,
                jid: None,
                push_name: None,
                connected_since: None,
                last_event_at: None,
                reconnect_attempts: 0,
                wanted: true,
                banned_until: None,
                ..full.clone()
            };
            for view in [full, bare] {
                let record = ConnectionRecord { key: number.clone(), view, updated_at: later(seconds) };
                assert!(db.write(async |group| group.record_connection(&record).await).await);
                let read = db.store.connection(&number).await.unwrap().unwrap();
                assert_eq!((read.session, read.updated_at), (record.view, record.updated_at));
                assert_eq!((read.created_at, read.restarts), (NOW, 0));
            }
        }
    }

    async fn name_and_proxy_are_the_clients_to_change(db: &mut Database) {
        let client = db.client("acme").await;
        let number = key(client.id, "5511888888888");
        let proxy = |n: u8| SealedProxy { shown: format!("socks5://127.0.0.{n}:1080"), sealed: vec![n; 40] };
        let new = ConnectionSettings { device_name: Some(Some("Shop".into())), proxy: Some(Some(proxy(1))), ..plain(&number) };
        let made = db.write(async |group| group.create_connection(&new, NOW).await).await.unwrap();
        assert_eq!((made.device_name.as_deref(), made.proxy), (Some("Shop"), Some(proxy(1).shown)));
        assert_eq!(db.store.sealed_proxy(&number).await.unwrap(), Some(proxy(1).sealed));
        assert_eq!(db.store.any_proxy().await.unwrap(), Some((number.clone(), proxy(1).sealed)));
        for (change, name, shown) in [
            (plain(&number), Some("Shop"), Some(1)),
            (ConnectionSettings { proxy: Some(Some(proxy(2))), ..plain(&number) }, Some("Shop"), Some(2)),
            (ConnectionSettings { device_name: Some(Some("Desk".into())), ..plain(&number) }, Some("Desk"), Some(2)),
            (ConnectionSettings { device_name: Some(None), proxy: Some(None), ..plain(&number) }, None, None),
        ] {
            let changed = db.write(async |group| group.update_connection(&change, later(5)).await).await.unwrap();
            assert_eq!(db.store.connection(&number).await.unwrap().as_ref(), Some(&changed));
            assert_eq!((changed.device_name.as_deref(), changed.updated_at), (name, later(5)));
            assert_eq!(changed.proxy, shown.map(|n| proxy(n).shown));
            assert_eq!(db.store.sealed_proxy(&number).await.unwrap(), shown.map(|n| proxy(n).sealed));
        }
        assert_eq!(db.store.any_proxy().await.unwrap(), None);
        let other = plain(&key(client.id, "5511000000000"));
        assert_eq!(db.write(async |group| group.update_connection(&other, NOW).await).await, None);
        assert_eq!(db.store.sealed_proxy(&other.key).await.unwrap(), None);
    }

    async fn a_pace_is_the_clients_to_set_and_to_take_back(db: &mut Database) {
        let client = db.client("acme").await;
        let number = key(client.id, "5511888888888");
        let pace = |per_second| Pace { per_second, burst: 7 };
        let new = ConnectionSettings { sending: Some(Some(pace(2))), ..plain(&number) };
        let made = db.write(async |group| group.create_connection(&new, NOW).await).await.unwrap();
        assert_eq!(made.sending, Some(pace(2)));
        for (sending, shown) in [(Some(Some(pace(0))), Some(pace(0))), (None, Some(pace(0))), (Some(None), None), (None, None)] {
            let change = ConnectionSettings { sending, ..plain(&number) };
            let changed = db.write(async |group| group.update_connection(&change, later(5)).await).await.unwrap();
            assert_eq!(changed.sending, shown);
            assert_eq!(db.store.connection(&number).await.unwrap(), Some(changed));
        }
    }

    async fn calls_ring_unless_the_client_says_otherwise(db: &mut Database) {
        let client = db.client("acme").await;
        let (plain_one, number) = (key(client.id, "5511888888887"), key(client.id, "5511888888888"));
        let made = db.write(async |group| group.create_connection(&plain(&plain_one), NOW).await).await.unwrap();
        assert!(!made.reject_calls);
        let new = ConnectionSettings { reject_calls: Some(true), ..plain(&number) };
        let made = db.write(async |group| group.create_connection(&new, NOW).await).await.unwrap();
        assert!(made.reject_calls);
        for (reject_calls, shown) in [(None, true), (Some(false), false), (None, false), (Some(true), true)] {
            let change = ConnectionSettings { reject_calls, ..plain(&number) };
            let changed = db.write(async |group| group.update_connection(&change, later(5)).await).await.unwrap();
            assert_eq!(changed.reject_calls, shown);
            assert_eq!(db.store.connection(&number).await.unwrap(), Some(changed));
        }
    }

    async fn messages_stay_unread_unless_the_client_says_otherwise(db: &mut Database) {
        let client = db.client("acme").await;
        let (plain_one, number) = (key(client.id, "5511888888887"), key(client.id, "5511888888888"));
        let made = db.write(async |group| group.create_connection(&plain(&plain_one), NOW).await).await.unwrap();
        assert!(!made.mark_read);
        let new = ConnectionSettings { mark_read: Some(true), ..plain(&number) };
        let made = db.write(async |group| group.create_connection(&new, NOW).await).await.unwrap();
        assert_eq!((made.mark_read, made.reject_calls), (true, false));
        for (mark_read, shown) in [(None, true), (Some(false), false), (None, false), (Some(true), true)] {
            let change = ConnectionSettings { mark_read, ..plain(&number) };
            let changed = db.write(async |group| group.update_connection(&change, later(5)).await).await.unwrap();
            assert_eq!((changed.mark_read, changed.reject_calls), (shown, false));
            assert_eq!(db.store.connection(&number).await.unwrap(), Some(changed));
        }
    }

    async fn a_deleted_connection_is_gone(db: &mut Database) {
        let client = db.client("acme").await;
        let (first, second) = (key(client.id, "5511888888882"), key(client.id, "5511888888881"));
        db.write(async |group| {
            group.create_connection(&plain(&first), NOW).await?;
            group.create_connection(&plain(&second), NOW).await
        })
        .await;
        let listed = db.store.connections(client.id, &ByNumber::ALL).await.unwrap();
        let rest = ByNumber { after: Some(listed[0].phone_number.clone()), limit: 1 };
        assert_eq!(db.store.connections(client.id, &rest).await.unwrap(), listed[1..2]);
        let numbers: Vec<&str> = listed.iter().map(|connection| connection.phone_number.as_str()).collect();
        assert_eq!(numbers, ["5511888888881", "5511888888882"]);

        assert!(db.write(async |group| group.delete_connection(&first).await).await);
        assert!(!db.write(async |group| group.delete_connection(&first).await).await);
        assert_eq!(db.store.connections(client.id, &ByNumber::ALL).await.unwrap(), listed[..1]);
        let view = SessionView { status: ConnectionStatus::Connected, ..listed[0].session.clone() };
        let late = ConnectionRecord { key: first, view, updated_at: NOW };
        assert!(!db.write(async |group| group.record_connection(&late).await).await, "a late report revives nothing");
    }
}
