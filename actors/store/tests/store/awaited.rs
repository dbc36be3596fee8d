use uuid::Uuid;
use wharf_domain::{
    AWAITS_MEDIA, ConnectionKey, EventId, EventKind, EventKinds, MessageKind, SendStatus, Timestamp, Webhook,
    message::{Details, Happening, Unknown, UnknownReason, update_chat},
    outgoing::{Place, StatusChange},
    webhook::WebhookPatch,
};
use wharf_store::{AwaitedId, AwaitedMessage, Behind, MediaState, NewEvent, RecordedEvent};

use crate::{
    database::{Database, NOW, key, later, on_every_database, plain},
    media::picture,
};

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

/// A number with a webhook that waits for A and B.
async fn waiting(db: &mut Database) -> Webhook {
    let (_, webhook) = db.tenant("acme").await;
    let number = webhook.key();
    db.write(async |group| {
        group.create_connection(&plain(&number), NOW).await?;
        let both = [awaited("A", later(60)), awaited("B", later(70))];
        group.keep_awaited(&number, &both).await
    })
    .await;
    webhook
}

fn about(db: &mut Database, number: &ConnectionKey, id: &str, kind: MessageKind) -> NewEvent {
    let mut new = db.message(number, "1@s.whatsapp.net", id);
    new.message.kind = kind;
    new
}

async fn wants(db: &mut Database, webhook: &Webhook, events: EventKinds) {
    let patch = WebhookPatch {
        events: Some(events),
        ..WebhookPatch::default()
    };
    let (client, id) = (webhook.client_id, webhook.id);
    db.write(async |group| group.update_webhook(client, id, &patch, NOW).await)
        .await
        .unwrap();
}

/// What a receiver's device tells of a message that the number's phone sent.
fn receipt(number: &ConnectionKey, status: SendStatus, participant: Option<&str>, at: Timestamp) -> NewEvent {
    let told = StatusChange {
        key: number.clone(),
        message_id: "A".into(),
        status,
        error_code: None,
        error: None,
        at,
        place: Place {
            participant: participant.map(str::to_owned),
            ..Place::of(&"5511999999999".parse().unwrap())
        },
    };
    let message = told.event();
    NewEvent {
        id: EventId(Uuid::now_v7()),
        payload: message.payload(number.client_id, &number.phone_number),
        key: number.clone(),
        message,
        created_at: NOW,
    }
}

async fn hold(db: &mut Database, id: &str, new: &NewEvent) -> bool {
    let behind = awaited(id, NOW).id.into();
    db.write(async |group| group.hold(&behind, new).await).await
}

async fn release(db: &mut Database, number: &ConnectionKey, id: &str) -> Vec<RecordedEvent> {
    let id = awaited(id, NOW).id;
    db.write(async |group| group.release(number, &id, later(9)).await).await
}

/// Who waits for a message that is called A: another client, another number, another chat and another sender each wait for one of
/// their own.
async fn five_that_wait(db: &mut Database) -> [(ConnectionKey, AwaitedId); 5] {
    let (one, other) = (db.tenant("acme").await.1.key(), db.tenant("other").await.1.key());
    let second = db.webhook(&key(one.client_id, "5511777777777")).await.key();
    let of = |key: &ConnectionKey, chat: &str, sender: &str| {
        let (chat, sender) = (chat.to_owned(), sender.to_owned());
        (
            key.clone(),
            AwaitedId {
                chat,
                sender,
                ..awaited("A", NOW).id
            },
        )
    };
    let all = [
        of(&one, "1@lid", "1@lid"),
        of(&other, "1@lid", "1@lid"),
        of(&second, "1@lid", "1@lid"),
        of(&one, "2@lid", "1@lid"),
        of(&one, "1@lid", "2@lid"),
    ];
    for key in [&one, &other, &second] {
        db.write(async |group| group.create_connection(&plain(key), NOW).await)
            .await
            .unwrap();
    }
    for (key, id) in &all {
        let message = [AwaitedMessage {
            id: id.clone(),
            ..awaited("A", later(60))
        }];
        db.write(async |group| group.keep_awaited(key, &message).await).await;
    }
    all
}

/// Has as many messages wait as may, of `most`; answers how many that are.
async fn hold_many(db: &mut Database, (key, id): &(ConnectionKey, AwaitedId), name: &str, most: usize) -> usize {
    let edit = |n: usize| about(db, key, &format!("{name}{n}"), MessageKind::Edit);
    let edits: Vec<NewEvent> = (0..most).map(edit).collect();
    let behind = id.clone().into();
    db.write(async |group| {
        for (n, edit) in edits.iter().enumerate() {
            if !group.hold(&behind, edit).await? {
                return Ok(n);
            }
        }
        Ok(most)
    })
    .await
}

fn bodies(recorded: &[RecordedEvent]) -> Vec<&[u8]> {
    recorded
        .iter()
        .map(|recorded| recorded.event.payload.as_deref().unwrap())
        .collect()
}

on_every_database! {
    async fn what_is_about_a_message_that_is_waited_for_waits_behind_it_and_is_told_once(db: &mut Database) {
        let webhook = waiting(db).await;
        let number = webhook.key();
        let edit = about(db, &number, "E", MessageKind::Edit);
        let reaction = about(db, &number, "R", MessageKind::Reaction);
        let mut own = about(db, &number, "O", MessageKind::Reaction);
        let happening = Happening::Sent { to: "1".into(), to_lid: None, is_from_me: true };
        own.message.details = Some(Box::new(Details { happening: Some(happening), ..Details::default() }));
        for new in [&reaction, &edit, &edit] {
            assert!(hold(db, "A", new).await);
        }
        assert!(!hold(db, "A", &own).await, "the webhook does not want what the account sends itself");
        assert!(!hold(db, "C", &edit).await, "nobody waits for it");
        let of_b = about(db, &number, "V", MessageKind::PollVote);
        assert!(hold(db, "B", &of_b).await);
        let told = release(db, &number, "A").await;
        assert_eq!(bodies(&told), [reaction.payload.as_bytes(), edit.payload.as_bytes()]);
        assert_eq!(release(db, &number, "A").await, []);
        assert_eq!(db.record(std::slice::from_ref(&edit)).await, [], "as WhatsApp brought it before");
        let rest = db.write(async |group| group.release_all(&number, later(9)).await).await;
        assert_eq!(bodies(&rest), [of_b.payload.as_bytes()]);
    }

    async fn what_waits_for_several_messages_of_a_number_is_told_in_the_order_in_which_it_came(db: &mut Database) {
        let number = waiting(db).await.key();
        let (first, second) = (about(db, &number, "E1", MessageKind::Edit), about(db, &number, "E2", MessageKind::Edit));
        assert!(hold(db, "B", &first).await && hold(db, "A", &second).await);
        let told = db.write(async |group| group.release_all(&number, later(9)).await).await;
        assert_eq!(bodies(&told), [first.payload.as_bytes(), second.payload.as_bytes()]);
        assert_eq!(db.write(async |group| group.release_all(&number, later(9)).await).await, []);
    }

    async fn what_is_about_a_status_update_is_told_as_one_after_waiting(db: &mut Database) {
        let webhook = waiting(db).await;
        let number = webhook.key();
        let mut taken_back = about(db, &number, "R", MessageKind::Revoke);
        taken_back.message.chat = update_chat(&taken_back.message.sender);
        let as_status = |new: &mut NewEvent| {
            let happening = Some(Happening::Update {});
            new.message.details = Some(Box::new(Details { happening, ..Details::default() }));
        };
        as_status(&mut taken_back);
        assert!(!hold(db, "A", &taken_back).await, "the webhook does not want it");
        let events = EventKinds::of([EventKind::Update]);
        let patch = WebhookPatch { events: Some(events), ..WebhookPatch::default() };
        db.write(async |group| group.update_webhook(webhook.client_id, webhook.id, &patch, NOW).await).await;
        assert!(hold(db, "A", &taken_back).await);
        assert_eq!(bodies(&release(db, &number, "A").await), [taken_back.payload.as_bytes()]);
    }

    async fn what_has_a_file_waits_with_it_and_then_for_it(db: &mut Database) {
        let webhook = waiting(db).await;
        let number = webhook.key();
        let mut edit = picture(db, &webhook, "F");
        edit.message.kind = MessageKind::Edit;
        assert!(hold(db, "A", &edit).await);
        assert_eq!(db.store.media(number.client_id, edit.id).await.unwrap(), None);
        let told = release(db, &number, "A").await;
        assert_eq!(bodies(&told), [edit.payload.as_bytes()]);
        assert_eq!((told[0].event.id, told[0].event.next_retry_at), (edit.id, Some(AWAITS_MEDIA)), "its link names it");
        let media = edit.message.media().unwrap();
        let kept = db.store.media(number.client_id, edit.id).await.unwrap().unwrap();
        assert_eq!((kept.state, kept.size, &kept.mime_type, &kept.sha256), (MediaState::Pending, media.size, &media.mime_type, &media.sha256));
        assert_eq!(kept.expires_at, media.awaited.as_ref().unwrap().expires_at);
    }

    async fn what_could_not_be_opened_is_told_as_it_was_read_at_last(db: &mut Database) {
        let webhook = waiting(db).await;
        let number = webhook.key();
        let id = awaited("A", NOW).id;
        let mut sealed = Vec::new();
        for name in ["E1", "E2"] {
            let mut new = about(db, &number, name, MessageKind::Unknown);
            let unknown = Unknown { reason: UnknownReason::Undecryptable, name: None };
            new.message.details = Some(Box::new(Details { unknown: Some(unknown), ..Details::default() }));
            let behind = Behind { id: id.clone(), sealed: Some(name.into()) };
            assert!(db.write(async |group| group.hold(&behind, &new).await).await);
            sealed.push(new);
        }
        let reaction = about(db, &number, "R", MessageKind::Reaction);
        assert!(hold(db, "A", &reaction).await);
        assert_eq!(db.store.sealed_behind(&number, &id).await.unwrap(), [b"E1", b"E2"]);
        let mut opened = sealed[0].clone();
        opened.message.kind = MessageKind::Edit;
        opened.payload = "opened".into();
        // By its chat's other id, which is what is known by now.
        opened.message.chat = "1@lid".into();
        assert!(hold(db, "A", &opened).await);
        assert_eq!(db.store.sealed_behind(&number, &id).await.unwrap(), [b"E2"]);
        let told = release(db, &number, "A").await;
        assert_eq!(bodies(&told), [b"opened", sealed[1].payload.as_bytes(), reaction.payload.as_bytes()]);
        // As they were told.
        for again in [&opened, &sealed[1]] {
            assert_eq!(db.record(std::slice::from_ref(again)).await, []);
        }
    }

    async fn receipts_wait_too_each_once(db: &mut Database) {
        let webhook = waiting(db).await;
        let number = webhook.key();
        wants(db, &webhook, EventKinds::of([EventKind::Status, EventKind::Sent])).await;
        let [delivered, later_device] = [1, 2].map(|second| receipt(&number, SendStatus::Delivered, None, later(second)));
        let [one, other] = ["1", "2"].map(|member| receipt(&number, SendStatus::Read, Some(member), later(3)));
        for new in [&delivered, &later_device, &other, &one] {
            assert!(hold(db, "A", new).await);
        }
        let told = release(db, &number, "A").await;
        let expected = [&delivered, &other, &one].map(|new| new.payload.as_bytes());
        assert_eq!(bodies(&told), expected);
        // As they were when they came.
        for new in [&later_device, &one] {
            assert_eq!(db.record(std::slice::from_ref(new)).await, []);
        }
        let another = receipt(&number, SendStatus::Read, Some("3"), later(4));
        assert_eq!(db.record(std::slice::from_ref(&another)).await.len(), 1);
    }

    async fn a_groups_receipts_take_no_message_its_place(db: &mut Database) {
        let webhook = waiting(db).await;
        let number = webhook.key();
        wants(db, &webhook, EventKinds::of([EventKind::Status, EventKind::Message])).await;
        for n in 0..=256 {
            let new = receipt(&number, SendStatus::Read, Some(&n.to_string()), NOW);
            assert_eq!(hold(db, "A", &new).await, n < 256, "{n}");
        }
        let edit = about(db, &number, "E", MessageKind::Edit);
        assert!(hold(db, "A", &edit).await);
    }

    async fn so_many_wait_behind_one_message_and_none_in_vain(db: &mut Database) {
        let number = waiting(db).await.key();
        for n in 0..=64 {
            let new = about(db, &number, &format!("E{n}"), MessageKind::Edit);
            assert_eq!(hold(db, "A", &new).await, n < 64, "{n}");
        }
        let again = about(db, &number, "E0", MessageKind::Edit);
        assert!(hold(db, "A", &again).await, "it has its place");
        let new = about(db, &number, "V", MessageKind::PollVote);
        assert!(hold(db, "B", &new).await, "another's place");
        let (one, two) = (awaited("A", NOW).id, awaited("B", NOW).id);
        assert_eq!(db.store.held_in_vain(later(60), None, 9).await.unwrap(), []);
        assert_eq!(db.store.held_in_vain(later(61), None, 9).await.unwrap(), [(number.clone(), one, Some(later(60)))]);
        assert!(db.write(async |group| group.end_awaited(&number, &two).await).await);
        assert_eq!(db.store.held_in_vain(NOW, None, 9).await.unwrap(), [(number.clone(), two, None)]);
        db.write(async |group| group.delete_connection(&number).await).await;
        assert_eq!(db.store.held_in_vain(later(99), None, 9).await.unwrap(), []);
    }

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

    async fn a_message_that_is_waited_for_is_one_of_its_client_number_chat_and_sender(db: &mut Database) {
        let all = five_that_wait(db).await;
        assert_eq!(hold_many(db, &all[0], "first", 99).await, 64);
        for (n, of) in all.iter().enumerate().skip(1) {
            assert_eq!(hold_many(db, of, &format!("{n}-"), 1).await, 1, "{n} has its own places");
        }
        for (n, (key, id)) in all.iter().enumerate() {
            let kept = db.store.awaited_messages(key).await.unwrap();
            assert!(kept.iter().any(|message| message.id == *id), "{n}");
            assert!(db.write(async |group| group.end_awaited(key, id).await).await);
            let left: usize = {
                let mut left = 0;
                for (key, id) in &all {
                    let kept = db.store.awaited_messages(key).await.unwrap();
                    left += kept.iter().filter(|message| message.id == *id).count();
                }
                left
            };
            assert_eq!(left, 4 - n, "the others are waited for still");
            assert_eq!(hold_many(db, &all[n], "late", 1).await, 0, "{n} is not waited for any more");
            let in_vain = db.store.held_in_vain(NOW, None, 9).await.unwrap();
            assert_eq!(in_vain, [(key.clone(), id.clone(), None)]);
            let told = db.write(async |group| group.release(key, id, NOW).await).await;
            assert_eq!(told.len(), if n == 0 { 64 } else { 1 }, "{n}");
            assert!(told.iter().all(|told| told.client_id == key.client_id));
            assert_eq!(db.store.held_in_vain(NOW, None, 9).await.unwrap(), [], "nothing waits any more");
        }
    }

    async fn all_that_waits_of_a_number_is_released_and_nothing_of_another(db: &mut Database) {
        let all = five_that_wait(db).await;
        for of in &all {
            assert_eq!(hold_many(db, of, &format!("{}{}", of.1.chat, of.1.sender), 1).await, 1);
        }
        let (mut pages, mut last) = (Vec::new(), None);
        loop {
            let page = db.store.held_in_vain(later(61), last.as_ref(), 2).await.unwrap();
            let Some((key, id, _)) = page.last() else { break };
            last = Some((key.clone(), id.clone()));
            pages.push(page);
        }
        assert_eq!(pages.iter().map(Vec::len).collect::<Vec<_>>(), [2, 2, 1], "as many as were asked for");
        let found: Vec<_> = pages.into_iter().flatten().map(|(key, id, _)| (key, id)).collect();
        assert!(all.iter().all(|of| found.contains(of)));
        for (key, released) in [(&all[0].0, 3), (&all[1].0, 1), (&all[2].0, 1)] {
            let told = db.write(async |group| group.release_all(key, NOW).await).await;
            assert_eq!(told.len(), released);
        }
    }

    async fn a_number_has_a_thousand_that_wait_at_the_most(db: &mut Database) {
        let all = five_that_wait(db).await;
        let (number, id) = &all[0];
        let of = |n: usize| AwaitedId { message_id: format!("M{n}"), ..id.clone() };
        let messages: Vec<_> = (0..17).map(|n| AwaitedMessage { id: of(n), ..awaited("", later(60)) }).collect();
        db.write(async |group| group.keep_awaited(number, &messages).await).await;
        let mut held = 0;
        for n in 0..17 {
            held += hold_many(db, &(number.clone(), of(n)), &format!("{n}-"), 99).await;
        }
        assert_eq!(held, 1024);
        for other in &all[1..3] {
            assert_eq!(hold_many(db, other, "other", 1).await, 1, "another client's, and another number's");
        }
    }
}
