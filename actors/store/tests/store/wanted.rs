//! Which events become rows: those that the webhook wants.

use wharf_domain::{
    ChatKind, ChatKinds, EventKind, EventKinds, SendStatus, SenderShown, Webhook, Wishes,
    message::{Details, Happening},
    webhook::WebhookPatch,
};
use wharf_store::{EventFilter, NewEvent};

use crate::database::{Database, NOW, on_every_database};

const CHAT: &str = "5511999999999@s.whatsapp.net";
const GROUP: &str = "120363000000000001@g.us";

/// How far a message has come.
fn status(db: &mut Database, webhook: &Webhook, id: &str, status: SendStatus) -> NewEvent {
    let mut new = db.message(&webhook.key(), CHAT, id);
    new.message.details = Some(Box::new(Details {
        happening: Some(Happening::Status {
            to: "5511999999999".into(),
            to_lid: None,
            status,
            code: None,
            participant: None,
        }),
        ..Details::default()
    }));
    new.payload = new.message.payload(webhook.client_id, &webhook.phone_number);
    new
}

async fn want(db: &mut Database, webhook: &Webhook, kinds: &[EventKind]) -> Webhook {
    let patch = WebhookPatch {
        events: Some(EventKinds::of(kinds.iter().copied())),
        ..Default::default()
    };
    let (client, id) = (webhook.client_id, webhook.id);
    let changed = db
        .write(async |group| group.update_webhook(client, id, &patch, NOW).await)
        .await;
    changed.unwrap()
}

on_every_database! {
    async fn what_a_webhook_wants_is_kept_and_decides_from_then_on(db: &mut Database) {
        let (client, webhook) = db.tenant("acme").await;
        assert_eq!(webhook.events, EventKinds::default());
        let unwanted = status(db, &webhook, "1", SendStatus::Delivered);
        let message = db.message(&webhook.key(), CHAT, "1");
        let recorded = db.record(&[unwanted.clone(), message.clone()]).await;
        assert_eq!(recorded.iter().map(|made| (made.event.id, made.event.sequence)).collect::<Vec<_>>(), [(message.id, 1)]);

        // The writer remembers what is wanted, and hears of a change.
        let changed = want(db, &webhook, &[EventKind::Status]).await;
        assert_eq!(changed.events, EventKinds::of([EventKind::Status]));
        assert_eq!(db.reread(&webhook).await.events, changed.events);
        assert_eq!(db.store.wanted(&webhook.key()).await.unwrap(), changed.wishes());
        let full = WebhookPatch { sender: Some(SenderShown::Full), ..Default::default() };
        let (owner, id) = (client.id, webhook.id);
        let changed = db.write(async |group| group.update_webhook(owner, id, &full, NOW).await).await.unwrap();
        assert_eq!((changed.sender, &changed.events), (SenderShown::Full, &EventKinds::of([EventKind::Status])));
        assert_eq!(db.store.wanted(&webhook.key()).await.unwrap(), changed.wishes());
        let another = db.message(&webhook.key(), CHAT, "2");
        let recorded = db.record(&[another, unwanted.clone()]).await;
        assert_eq!(recorded.iter().map(|made| (made.event.id, made.event.sequence)).collect::<Vec<_>>(), [(unwanted.id, 2)]);
        assert_eq!(&*recorded[0].event.chat, CHAT, "the messages' chat");
        // A test is wanted whatever is asked for.
        let mut test = db.message(&webhook.key(), "test-1", "test-1");
        test.message.sender = "test-1".into();
        assert_eq!(db.record(&[test]).await.len(), 1);

        // Another field leaves it as it is, and so does nothing at all.
        let patch = WebhookPatch { max_retries: Some(5), ..Default::default() };
        let (id, owner) = (webhook.id, client.id);
        let changed = db.write(async |group| group.update_webhook(owner, id, &patch, NOW).await).await.unwrap();
        assert_eq!(changed.events, EventKinds::of([EventKind::Status]));
        let deleted = db.write(async |group| group.delete_webhook(owner, id, NOW).await).await.unwrap();
        assert_eq!((deleted.phone_number, deleted.all_ended), (webhook.phone_number.clone(), true));
        assert_eq!(db.store.wanted(&webhook.key()).await.unwrap(), Wishes::NONE);
    }

    async fn what_is_of_a_chat_that_nobody_wants_makes_no_event(db: &mut Database) {
        let (client, webhook) = db.tenant("acme").await;
        assert_eq!(webhook.chats, ChatKinds::ALL);
        let (owner, id) = (client.id, webhook.id);
        for (only, taken) in [(ChatKind::Person, [CHAT, "test-1"]), (ChatKind::Group, [GROUP, "test-2"])] {
            let chats = ChatKinds::of([only]);
            let patch = WebhookPatch { chats: Some(chats), ..Default::default() };
            let changed = db.write(async |group| group.update_webhook(owner, id, &patch, NOW).await).await.unwrap();
            assert_eq!((changed.chats, changed.events), (chats, webhook.events));
            assert_eq!(db.reread(&webhook).await.chats, chats);
            assert_eq!(db.store.wanted(&webhook.key()).await.unwrap(), Wishes { chats, ..webhook.wishes() });
            let id = format!("{only:?}");
            // Together, and each alone.
            let all: Vec<NewEvent> = [CHAT, GROUP, taken[1]].map(|chat| db.message(&webhook.key(), chat, &id)).into();
            let made: Vec<String> = db.record(&all).await.iter().map(|made| made.event.chat.to_string()).collect();
            assert_eq!(made, taken);
            for chat in [CHAT, GROUP] {
                let alone = db.message(&webhook.key(), chat, &format!("{id} alone"));
                assert_eq!(db.record(&[alone]).await.len(), usize::from(taken.contains(&chat)), "{chat}");
            }
        }
    }

    async fn a_status_that_is_told_again_makes_no_second_event(db: &mut Database) {
        let (_, webhook) = db.tenant("acme").await;
        want(db, &webhook, &EventKind::ALL).await;
        let first = status(db, &webhook, "1", SendStatus::Delivered);
        let mut again = status(db, &webhook, "1", SendStatus::Delivered);
        again.message.timestamp = wharf_domain::Timestamp(NOW.0 + 60_000);
        let read = status(db, &webhook, "1", SendStatus::Read);
        let other = status(db, &webhook, "2", SendStatus::Delivered);
        assert_eq!(db.record(&[first, again.clone(), read, other]).await.len(), 3);
        again.id = wharf_domain::EventId(db.uuid());
        assert_eq!(db.record(&[again]).await, []);
    }

    async fn a_status_that_says_less_than_was_told_makes_no_event(db: &mut Database) {
        let (_, webhook) = db.tenant("acme").await;
        want(db, &webhook, &EventKind::ALL).await;
        use SendStatus::{Delivered, Failed, Played, Read, Sent};
        let mut told = async |all: &[SendStatus]| {
            let all: Vec<NewEvent> = all.iter().map(|of| status(db, &webhook, "1", *of)).collect();
            let made = db.record(&all).await;
            let told = all.iter().zip(1..).filter(|(new, _)| made.iter().any(|made| made.event.id == new.id));
            told.map(|(_, place)| place).collect::<Vec<_>>()
        };
        assert_eq!(told(&[Failed, Sent, Read, Delivered, Sent]).await, [1, 2, 3], "among each other");
        assert_eq!(told(&[Delivered, Read, Failed, Played]).await, [4], "after what was told before");
        let other = status(db, &webhook, "2", Delivered);
        assert_eq!(db.record(&[other]).await.len(), 1);
    }

    async fn events_are_found_by_their_kind(db: &mut Database) {
        let (_, webhook) = db.tenant("acme").await;
        want(db, &webhook, &EventKind::ALL).await;
        let message = db.message(&webhook.key(), CHAT, "1");
        let delivered = status(db, &webhook, "1", SendStatus::Delivered);
        db.record(&[message.clone(), delivered.clone()]).await;
        let found = async |event, status| {
            let filter = EventFilter { event, status, limit: 10, ..Default::default() };
            let page = db.store.events(webhook.client_id, webhook.id, &filter).await.unwrap().unwrap();
            page.events.into_iter().map(|event| (event.id, event.event)).collect::<Vec<_>>()
        };
        let (message, delivered) = ((message.id, "message".to_owned()), (delivered.id, "message.status".to_owned()));
        assert_eq!(found(None, None).await, [delivered.clone(), message.clone()]);
        assert_eq!(found(Some(EventKind::Message), None).await, [message]);
        let pending = Some(wharf_domain::EventStatus::Pending);
        assert_eq!(found(Some(EventKind::Status), pending).await, [delivered]);
        assert_eq!(found(Some(EventKind::Call), None).await, []);
    }
}
