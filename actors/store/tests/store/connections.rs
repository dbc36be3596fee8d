use wharf_domain::{ClientId, ConnectionStatus};
use wharf_store::{ConnectionRecord, StoreError};

use crate::database::{Database, NOW, key, later, on_every_database};

on_every_database! {
    async fn a_new_connection_wants_to_run(db: &mut Database) {
        let client = db.client("acme").await;
        let number = key(client.id, "5511888888888");
        let made = db.write(async |group| group.create_connection(&number, NOW).await).await.unwrap();
        assert_eq!((made.key(), made.status, made.wanted), (number.clone(), ConnectionStatus::Connecting, true));
        assert_eq!((made.reconnect_attempts, made.jid.clone(), made.connected_since), (0, None, None));
        assert_eq!((made.created_at, made.updated_at), (NOW, NOW));
        assert_eq!(db.store.connection(&number).await.unwrap(), Some(made.clone()));

        let again = db.write(async |group| group.create_connection(&number, later(1)).await).await;
        assert_eq!(again, None, "one per client and number");
        assert_eq!(db.store.connection(&number).await.unwrap(), Some(made));
        let other = db.client("other").await;
        let others = key(other.id, "5511888888888");
        assert!(db.write(async |group| group.create_connection(&others, NOW).await).await.is_some());
        let error = db
            .try_write(async |group| group.create_connection(&key(ClientId(99), "5511888888888"), NOW).await)
            .await
            .unwrap_err();
        assert!(matches!(error, StoreError::Rejected(_)), "{error}");
    }

    async fn every_status_and_value_is_kept(db: &mut Database) {
        let client = db.client("acme").await;
        let number = key(client.id, "5511888888888");
        db.write(async |group| group.create_connection(&number, NOW).await).await;
        for (seconds, status) in (1..).zip(ConnectionStatus::ALL) {
            let full = ConnectionRecord {
                key: number.clone(),
                status,
                reason: Some("because".into()),
                jid: Some("5511888888888:12@s.whatsapp.net".into()),
                push_name: Some("Ägäis 🦀".into()),
                connected_since: Some(later(2)),
                last_event_at: Some(later(3)),
                reconnect_attempts: u32::MAX,
                wanted: false,
                updated_at: later(seconds),
            };
            let bare = ConnectionRecord {
                reason: None,
                jid: None,
                push_name: None,
                connected_since: None,
                last_event_at: None,
                reconnect_attempts: 0,
                wanted: true,
                ..full.clone()
            };
            for record in [full, bare] {
                assert!(db.write(async |group| group.record_connection(&record).await).await);
                let read = db.store.connection(&number).await.unwrap().unwrap();
                let as_record = ConnectionRecord {
                    key: read.key(),
                    status: read.status,
                    reason: read.reason,
                    jid: read.jid,
                    push_name: read.push_name,
                    connected_since: read.connected_since,
                    last_event_at: read.last_event_at,
                    reconnect_attempts: read.reconnect_attempts,
                    wanted: read.wanted,
                    updated_at: read.updated_at,
                };
                assert_eq!(as_record, record);
                assert_eq!((read.created_at, read.restarts), (NOW, 0));
            }
        }
    }

    async fn a_deleted_connection_is_gone(db: &mut Database) {
        let client = db.client("acme").await;
        let (first, second) = (key(client.id, "5511888888882"), key(client.id, "5511888888881"));
        db.write(async |group| {
            group.create_connection(&first, NOW).await?;
            group.create_connection(&second, NOW).await
        })
        .await;
        let listed = db.store.connections(client.id).await.unwrap();
        let numbers: Vec<&str> = listed.iter().map(|connection| connection.phone_number.as_str()).collect();
        assert_eq!(numbers, ["5511888888881", "5511888888882"]);

        assert!(db.write(async |group| group.delete_connection(&first).await).await);
        assert!(!db.write(async |group| group.delete_connection(&first).await).await);
        assert_eq!(db.store.connections(client.id).await.unwrap(), listed[..1]);
        let late = ConnectionRecord {
            key: first,
            status: ConnectionStatus::Connected,
            reason: None,
            jid: None,
            push_name: None,
            connected_since: None,
            last_event_at: None,
            reconnect_attempts: 0,
            wanted: true,
            updated_at: NOW,
        };
        assert!(!db.write(async |group| group.record_connection(&late).await).await, "a late report revives nothing");
    }
}
