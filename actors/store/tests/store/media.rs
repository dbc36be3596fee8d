use wharf_domain::{
    AWAITS_MEDIA, ClientId, EventStatus, IncomingMessage, MessageKind, PendingEvent, Webhook,
    message::{AwaitedMedia, Details, Media, MediaError},
};
use wharf_store::{DueQuery, MediaOutcome, MediaState, NewEvent, Renewal};

use crate::{
    database::{Database, NOW, delivered, later, on_every_database},
    due::everything,
};

/// A picture in `chat`, whose event waits for it.
pub(crate) fn picture(db: &mut Database, webhook: &Webhook, chat: &str) -> NewEvent {
    let id = db.uuid().to_string();
    let mut new = db.message(&webhook.key(), chat, &id);
    let media = Media {
        mime_type: "image/png".into(),
        size: 100,
        sha256: "8f43".into(),
        awaited: Some(Box::new(AwaitedMedia {
            sealed: vec![1, 2, 3],
            expires_at: later(3600),
        })),
        ..Media::default()
    };
    new.message = IncomingMessage {
        kind: MessageKind::Image,
        details: Some(Box::new(Details {
            media: Some(Box::new(media)),
            ..Details::default()
        })),
        ..new.message
    };
    new
}

async fn record(db: &mut Database, new: &[NewEvent]) -> Vec<PendingEvent> {
    db.record(new)
        .await
        .into_iter()
        .map(|recorded| recorded.event)
        .collect()
}

async fn end(db: &mut Database, outcome: MediaOutcome) -> Option<PendingEvent> {
    let ended = db.write(async |group| group.end_media(&outcome, later(30)).await).await;
    ended.map(|recorded| recorded.event)
}

fn kept(event: &PendingEvent, payload: Option<&str>) -> MediaOutcome {
    MediaOutcome {
        id: event.id,
        result: Ok(120),
        payload: payload.map(str::to_owned),
        expires_at: None,
    }
}

on_every_database! {
    async fn an_event_waits_until_its_download_has_ended(db: &mut Database) {
        let (client, webhook) = db.tenant("acme").await;
        let new = [picture(db, &webhook, "a"), db.message(&webhook.key(), "b", "text"), picture(db, &webhook, "c")];
        let events = record(db, &new).await;
        let held: Vec<_> = events.iter().map(|event| event.next_retry_at).collect();
        assert_eq!(held, [Some(AWAITS_MEDIA), None, Some(AWAITS_MEDIA)]);
        let query = DueQuery { only_due: true, now: later(1_000_000), ..everything() };
        let page = db.store.due_chats(webhook.id, &query).await.unwrap();
        assert_eq!(page.chats.len(), 1);
        assert_eq!((page.skipped, page.next_due_at), (2, None), "there is no time at which they are due");
        assert_eq!(db.event(&webhook, events[0].id).await.next_retry_at, None, "nor is one shown");
        let row = db.store.media(client.id, events[0].id).await.unwrap().unwrap();
        assert_eq!((row.state, row.size, row.expires_at), (MediaState::Pending, 100, later(3600)));
        // The same message again makes neither an event nor a download.
        assert_eq!(record(db, &new).await, []);

        let outcome = MediaOutcome { expires_at: Some(later(7200)), ..kept(&events[0], Some("{\"from\":\"1\"}")) };
        let ended = end(db, outcome).await.unwrap();
        assert_eq!((ended.next_retry_at, ended.payload.as_deref()), (None, Some(&b"{\"from\":\"1\"}"[..])));
        assert_eq!(end(db, kept(&events[0], Some("again"))).await, None);
        let failed = MediaOutcome { id: events[2].id, result: Err(MediaError::Gone), payload: None, expires_at: None };
        assert_eq!(end(db, failed).await.unwrap().payload, events[2].payload, "it stays as it was");
        let page = db.store.due_chats(webhook.id, &query).await.unwrap();
        assert_eq!((page.chats.len(), page.skipped), (3, 0));
        let state = async |event: &PendingEvent| db.store.media(client.id, event.id).await.unwrap().unwrap();
        assert_eq!((state(&events[0]).await.state, state(&events[0]).await.size), (MediaState::Kept, 120));
        assert_eq!((state(&events[0]).await.expires_at, state(&events[2]).await.expires_at), (later(7200), later(3600)));
        assert_eq!(state(&events[2]).await.state, MediaState::Failed(MediaError::Gone));
        assert_eq!(db.store.media(ClientId(client.id.0 + 1), events[0].id).await.unwrap(), None);
        assert_eq!(db.store.media_bytes(client.id).await.unwrap(), 120);
        assert_eq!(db.store.media_bytes(ClientId(99)).await.unwrap(), 0);
    }

    async fn downloads_are_found_by_client_when_they_are_due(db: &mut Database) {
        let (first, webhook) = db.tenant("first").await;
        let (second, others) = db.tenant("second").await;
        let mut new: Vec<NewEvent> = (0..3).map(|n| picture(db, &webhook, &format!("a{n}"))).collect();
        new.push(picture(db, &others, "b"));
        let events = record(db, &new).await;
        let due = async |db: &Database, now, after: ClientId, per_client, limit| {
            let found = db.store.due_media(now, after, per_client, limit).await.unwrap();
            found.into_iter().map(|due| (due.key.client_id, due.id)).collect::<Vec<_>>()
        };
        let of = |event: usize| (if event < 3 { first.id } else { second.id }, events[event].id);
        assert_eq!(due(db, NOW, ClientId(0), 2, 9).await, [of(0), of(1), of(3)]);
        assert_eq!(due(db, NOW, ClientId(0), 9, 2).await, [of(0), of(1)]);
        assert_eq!(due(db, NOW, first.id, 2, 9).await, [of(3)]);
        assert_eq!(due(db, later(-1), ClientId(0), 2, 9).await, []);
        assert_eq!(due(db, later(-61), ClientId(0), 2, 9).await, [of(0), of(1), of(3)], "the clock was put back");
        db.write(async |group| group.postpone_media(events[0].id, 2, later(60), Some(&[4])).await).await;
        assert_eq!(due(db, later(59), ClientId(0), 2, 9).await, [of(1), of(2), of(3)]);
        let found = db.store.due_media(later(60), ClientId(0), 9, 9).await.unwrap();
        let postponed = found.iter().find(|due| due.id == events[0].id).unwrap();
        assert_eq!((postponed.attempts, postponed.sealed.as_slice()), (2, &[4][..]));
        assert_eq!(postponed.message.as_ref().unwrap().chat, "a0");
        end(db, kept(&events[3], None)).await.unwrap();
        assert_eq!(due(db, later(59), first.id, 2, 9).await, []);
    }

    async fn what_waits_for_its_media_is_not_hurried_by_hand(db: &mut Database) {
        let (client, webhook) = db.tenant("acme").await;
        let new = picture(db, &webhook, "a");
        let event = record(db, &[new]).await.remove(0);
        let renewal = db.write(async |group| group.renew_event(client.id, event.id, false).await).await;
        assert_eq!(renewal, Renewal::AwaitsMedia);
        let ended = end(db, kept(&event, None)).await.unwrap();
        db.outcomes(&[delivered(&webhook, &ended)]).await;
        let renewal = db.write(async |group| group.renew_event(client.id, event.id, true).await).await;
        assert!(matches!(renewal, Renewal::Renewed { .. }));
    }

    async fn a_deleted_webhooks_event_stays_failed_when_its_file_comes(db: &mut Database) {
        let (client, webhook) = db.tenant("acme").await;
        let new = picture(db, &webhook, "a");
        let event = record(db, &[new]).await.remove(0);
        db.write(async |group| group.delete_webhook(client.id, webhook.id, NOW).await).await;
        while !db.write(async |group| group.settle_webhook(webhook.id, 500).await).await {}
        assert_eq!(end(db, kept(&event, None)).await, None);
        assert_eq!(db.event(&webhook, event.id).await.status, EventStatus::Failed);
        assert_eq!(db.store.media(client.id, event.id).await.unwrap().unwrap().state, MediaState::Kept);
    }

    async fn files_are_found_and_forgotten_when_their_time_has_passed(db: &mut Database) {
        let (client, webhook) = db.tenant("acme").await;
        let new = [picture(db, &webhook, "a"), picture(db, &webhook, "b")];
        let events = record(db, &new).await;
        end(db, kept(&events[0], None)).await;
        let expired = async |db: &Database, now, after| db.store.expired_media(now, now, 10, after).await.unwrap();
        assert_eq!(expired(db, later(3600), None).await, []);
        let found = expired(db, later(3601), None).await;
        assert_eq!(found.iter().map(|file| (file.client_id, file.id)).collect::<Vec<_>>(), [(client.id, events[0].id)], "what is pending stays");
        assert_eq!(expired(db, later(3601), Some(found[0])).await, [], "nothing behind it");
        let ids = [events[0].id, events[1].id];
        // Its event waits, and then was delivered lately, or long ago.
        let is_needed = async |db: &Database, fetched_by| {
            let found = db.store.expired_media(later(3601), fetched_by, 10, None).await.unwrap();
            found[0].is_needed
        };
        assert!(is_needed(db, later(3601)).await);
        db.outcomes(&[delivered(&webhook, &events[0])]).await;
        assert!(is_needed(db, later(1)).await && !is_needed(db, later(2)).await);
        assert_eq!(db.write(async |group| group.prolong_media(&ids, later(3700)).await).await, 1);
        assert_eq!(expired(db, later(3700), None).await, []);
        assert_eq!(db.write(async |group| group.purge_media(&ids).await).await, 1);
        assert_eq!(db.store.media(client.id, events[0].id).await.unwrap(), None);
        db.write(async |group| group.remove_client(client.id, NOW).await).await;
        while !db.write(async |group| group.purge_client(client.id, 500).await).await {}
        assert_eq!(db.store.media(client.id, events[1].id).await.unwrap(), None);
    }
}
