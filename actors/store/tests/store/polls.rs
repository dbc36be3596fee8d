use wharf_domain::ConnectionKey;

use crate::database::{Database, NOW, key, later, on_every_database, plain};

async fn keep(db: &mut Database, number: &ConnectionKey, id: &str, options: &[&str]) {
    let options: Vec<String> = options.iter().map(|option| (*option).to_owned()).collect();
    db.write(async |group| group.keep_poll(number, id, &options, NOW).await)
        .await;
}

on_every_database! {
    async fn what_is_added_to_a_poll_is_kept_once_for_its_number(db: &mut Database) {
        let (client, other) = (db.client("acme").await.id, db.client("other").await.id);
        let number = key(client, "5511888888888");
        keep(db, &number, "A", &["\"yes\"", "no 🦀"]).await;
        keep(db, &number, "A", &["perhaps"]).await;
        keep(db, &number, "A", &["no 🦀", "perhaps", "a"]).await;
        let options = db.store.poll_options(&number, "A").await.unwrap().unwrap();
        assert_eq!(options, ["\"yes\"", "no 🦀", "perhaps", "a"]);
        let many: Vec<String> = (0..300).map(|n| n.to_string()).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        keep(db, &number, "A", &many).await;
        let bounded = db.store.poll_options(&number, "A").await.unwrap().unwrap();
        assert_eq!((&bounded[..4], bounded.len()), (options.as_slice(), 256));
        keep(db, &number, "A", &["one more"]).await;
        assert_eq!(db.store.poll_options(&number, "A").await.unwrap().unwrap(), bounded);
        assert_eq!(db.store.poll_options(&number, "B").await.unwrap(), None);
        for stranger in [key(client, "5511888888889"), key(other, "5511888888888")] {
            assert_eq!(db.store.poll_options(&stranger, "A").await.unwrap(), None);
        }
    }

    async fn polls_go_when_they_are_old_and_with_their_connection(db: &mut Database) {
        let number = key(db.client("acme").await.id, "5511888888888");
        for id in ["A", "B", "C"] {
            keep(db, &number, id, &["yes"]).await;
        }
        let gone = db.write(async |group| group.purge_polls(NOW, 10).await).await;
        assert_eq!(gone, 0);
        let gone = db.write(async |group| group.purge_polls(later(1), 2).await).await;
        assert_eq!(gone, 2);
        for id in ["D", "E", "F"] {
            keep(db, &number, id, &["yes"]).await;
        }
        let neighbour = key(number.client_id, "5511888888889");
        keep(db, &neighbour, "A", &["yes"]).await;
        for left in [4, 2] {
            let forgotten = db.write(async |group| group.forget_polls(&number, 2).await).await;
            assert_eq!(forgotten, 2, "of {left}");
        }
        keep(db, &number, "G", &["yes"]).await;
        db.write(async |group| group.create_connection(&plain(&number), NOW).await).await;
        db.write(async |group| group.delete_connection(&number).await).await;
        for id in ["A", "B", "C", "D", "E", "F", "G"] {
            assert_eq!(db.store.poll_options(&number, id).await.unwrap(), None);
        }
        assert!(db.store.poll_options(&neighbour, "A").await.unwrap().is_some());
    }
}
