use wharf_store::{ByNumber, StoreError};

use crate::database::{Database, NOW, key, on_every_database, plain, token};

on_every_database! {
    async fn what_is_not_committed_did_not_happen(db: &mut Database) {
        {
            let mut group = db.writer.begin().await.unwrap();
            group.add_client("dropped", &token(1), NOW).await.unwrap();
            assert_eq!(db.store.clients().await.unwrap(), [], "nobody sees it");
        }
        let client = db.write(async |group| group.add_client("kept", &token(1), NOW).await).await;
        assert_eq!(db.store.clients().await.unwrap(), [client]);
    }

    async fn a_group_with_a_failed_write_is_spoilt(db: &mut Database) {
        let mut group = db.writer.begin().await.unwrap();
        group.add_client("first", &token(1), NOW).await.unwrap();
        group.add_client("second", &token(1), NOW).await.unwrap_err();
        let error = group.add_client("third", &token(3), NOW).await.unwrap_err();
        assert!(matches!(&error, StoreError::Rejected(text) if text.contains("earlier write")), "{error}");
        let error = group.commit().await.unwrap_err();
        assert!(matches!(&error, StoreError::Rejected(text) if text.contains("earlier write")), "{error}");
        assert_eq!(db.store.clients().await.unwrap(), []);
        db.client("fourth").await;
        assert_eq!(db.store.clients().await.unwrap().len(), 1);
    }

    async fn a_cancelled_call_spoils_its_group_and_nothing_else(db: &mut Database) {
        let number = key(db.client("owner").await.id, "5511888888888");
        for polls in 0..20 {
            let (name, token) = (format!("{polls}"), token(200 + polls));
            let mut group = db.writer.begin().await.unwrap();
            let finished = {
                let mut call = Box::pin(group.add_client(&name, &token, NOW));
                poll_times(call.as_mut(), polls).await.is_some()
            };
            let committed = group.commit().await.is_ok();
            assert_eq!(finished || polls == 0, committed, "never polled, or ended: {polls}");
        }
        // Dropping a begin or a commit half-way leaves a writer that works, too.
        for polls in 0..20 {
            {
                let mut begin = Box::pin(db.writer.begin());
                let _ = poll_times(begin.as_mut(), polls).await;
            }
            let before = db.store.clients().await.unwrap().len();
            let mut group = db.writer.begin().await.unwrap();
            let name = format!("again {polls}");
            let client = group.add_client(&name, &token(100 + polls), NOW).await.unwrap();
            {
                let mut commit = Box::pin(group.commit());
                let _ = poll_times(commit.as_mut(), polls).await;
            }
            db.write(async |group| group.create_connection(&plain(&number), NOW).await.map(drop))
                .await;
            let after = db.store.clients().await.unwrap();
            assert!(after.len() <= before + 1, "committed or not, nothing in between: {client:?}");
        }
    }

    async fn readers_do_not_wait_for_the_writer(db: &mut Database) {
        let (client, webhook) = db.tenant("acme").await;
        let mut group = db.writer.begin().await.unwrap();
        assert!(group.delete_webhook(client.id, webhook.id, NOW).await.unwrap().is_some());
        assert_eq!(db.store.webhooks(client.id, &ByNumber::ALL).await.unwrap(), [webhook], "as committed before");
        group.commit().await.unwrap();
        assert_eq!(db.store.webhooks(client.id, &ByNumber::ALL).await.unwrap(), []);
    }
}

/// Polls `future` up to `times` times and gives others a turn in between; `None` when it has not ended by then.
pub(crate) async fn poll_times<F: Future>(mut future: std::pin::Pin<&mut F>, times: u8) -> Option<F::Output> {
    for _ in 0..times {
        let polled = std::future::poll_fn(|context| {
            std::task::Poll::Ready(match future.as_mut().poll(context) {
                std::task::Poll::Ready(output) => Some(output),
                std::task::Poll::Pending => None,
            })
        });
        if let Some(output) = polled.await {
            return Some(output);
        }
        tokio::task::yield_now().await;
    }
    None
}
