use wharf_domain::Timestamp;
use wharf_store::{AwaitedId, AwaitedMessage};

use crate::database::{Database, key, later, on_every_database, plain};

pub(crate) fn awaited(message_id: &str, due_at: Timestamp) -> AwaitedMessage {
    AwaitedMessage {
        id: AwaitedId {
            message_id: message_id.into(),
            chat: "1@lid".into(),
            sender: "1@lid".into(),
        },
        head: "{}".into(),
        due_at,
    }
}

on_every_database! {
    async fn what_is_waited_for_is_found_again_until_it_ends_once(db: &mut Database) {
        let number = key(db.client("acme").await.id, "5511888888888");
        let stranger = key(db.client("other").await.id, "5511888888888");
        let (one, two) = (awaited("A", later(60)), awaited("B", later(70)));
        let both = [one.clone(), two.clone()];
        assert!(db.try_write(async |group| group.keep_awaited(&number, &both).await).await.is_err(), "no connection");
        for of in [&number, &stranger] {
            db.write(async |group| group.create_connection(&plain(of), later(0)).await).await.unwrap();
        }
        db.write(async |group| group.keep_awaited(&number, &both).await).await;
        let again = [awaited("A", later(900))];
        db.write(async |group| group.keep_awaited(&number, &again).await).await;
        assert_eq!(db.store.awaited_messages(&number).await.unwrap(), both, "its deadline stays");
        assert_eq!(db.store.awaited_messages(&stranger).await.unwrap(), []);
        assert!(!db.write(async |group| group.end_awaited(&stranger, &one.id).await).await);
        assert!(db.write(async |group| group.end_awaited(&number, &one.id).await).await);
        assert!(!db.write(async |group| group.end_awaited(&number, &one.id).await).await);
        assert_eq!(db.store.awaited_messages(&number).await.unwrap(), [two]);
        db.write(async |group| group.delete_connection(&number).await).await;
        assert_eq!(db.store.awaited_messages(&number).await.unwrap(), []);
    }
}
