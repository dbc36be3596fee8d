//! Messages that are marked as read by themselves.

use wharf_domain::{
    ClientId, IncomingMessage, MessageKind, PhoneNumber, Recipient,
    action::Action,
    message::{Details, Group, Happening, MessageRef, Unknown, UnknownReason},
};
use wharf_support::wait_until;
use wharf_whatsapp::ScriptedHandle;

use super::world::{WITHIN, World, message, number};
use crate::ConnectionPatch;

const A: &str = "5511000000001";
const B: &str = "5511000000002";
const GROUP: &str = "120363000000000001@g.us";

/// The marks that were made, once there are so many: chat, sender, id.
async fn marked(link: &ScriptedHandle, count: usize) -> Vec<(String, Option<String>, String)> {
    wait_until(&format!("{count} are marked"), WITHIN, || async {
        let all = link.acts().into_iter().flat_map(|act| match act {
            Action::MarkRead {
                chat,
                from,
                message_ids,
            } => {
                let from = from.as_ref().map(Recipient::jid);
                let mark = move |id| (chat.jid(), from.clone(), id);
                message_ids.into_iter().map(mark).collect()
            }
            _ => Vec::new(),
        });
        let mut all: Vec<_> = all.collect();
        all.sort();
        (all.len() >= count).then_some(all)
    })
    .await
}

/// Of messages of one person.
fn of(from: &str, ids: &[&str]) -> Vec<(String, Option<String>, String)> {
    let mark = |id: &&str| (format!("{from}@s.whatsapp.net"), None, (*id).to_owned());
    ids.iter().map(mark).collect()
}

async fn set(world: &World, client: ClientId, number: &PhoneNumber, mark_read: bool) {
    let patch = ConnectionPatch {
        mark_read: Some(mark_read),
        ..ConnectionPatch::default()
    };
    let changed = world.gateway.update_connection(client, number, patch).await.unwrap();
    assert_eq!(changed.mark_read, mark_read);
}

fn with(message: IncomingMessage, details: Details) -> IncomingMessage {
    IncomingMessage {
        details: Some(Box::new(details)),
        ..message
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_comes_in_is_marked_where_that_is_wanted() {
    let world = World::start().await;
    let (client, _, link) = world.client_with_webhook("/ok").await;
    link.deliver(vec![message(A, "OFF", "x")]).await.unwrap();
    set(&world, client, &number(1), true).await;
    let history = Details {
        history: true,
        ..Details::default()
    };
    let own = Details {
        happening: Some(Happening::Sent {
            to: A.to_owned(),
            to_lid: None,
            is_from_me: true,
        }),
        ..Details::default()
    };
    let lost = Details {
        unknown: Some(Unknown {
            reason: UnknownReason::Undecryptable,
            name: None,
        }),
        ..Details::default()
    };
    let about_another = Details {
        target: Some(MessageRef {
            message_id: "A1".to_owned(),
            from: None,
        }),
        ..Details::default()
    };
    let reaction = IncomingMessage {
        kind: MessageKind::Reaction,
        ..message(A, "REACTION", "")
    };
    let in_group = IncomingMessage {
        chat: GROUP.to_owned(),
        ..message(B, "G1", "x")
    };
    let group = Details {
        group: Some(Group {
            id: GROUP.to_owned(),
            subject: None,
        }),
        ..Details::default()
    };
    let batch = vec![
        message(A, "A1", "x"),
        with(message(A, "HISTORY", "x"), history),
        with(message(A, "OWN", "x"), own),
        with(message(A, "LOST", "x"), lost),
        with(reaction, about_another),
        with(in_group, group),
        message(A, "A2", "x"),
    ];
    link.deliver(batch).await.unwrap();
    link.deliver(vec![message(A, "A3", "x")]).await.unwrap();
    let mut expected = of(A, &["A1", "A2", "A3"]);
    let writer = Some(format!("{B}@s.whatsapp.net"));
    expected.insert(0, (GROUP.to_owned(), writer, "G1".to_owned()));
    assert_eq!(marked(&link, expected.len()).await, expected);

    set(&world, client, &number(1), false).await;
    link.deliver(vec![message(A, "OFF AGAIN", "x")]).await.unwrap();
    set(&world, client, &number(1), true).await;
    link.deliver(vec![message(A, "A4", "x")]).await.unwrap();
    expected.extend(of(A, &["A4"]));
    assert_eq!(marked(&link, expected.len()).await, expected);
    world.gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_kept_is_not_marked() {
    let world = World::start().await;
    let (client, link) = world.client_with_number().await;
    set(&world, client, &number(1), true).await;
    link.deliver(vec![message(A, "NO WEBHOOK", "x")]).await.unwrap();
    world.webhook(client, &number(1), "/ok").await;
    let directory = &world.gateway.shared.directory;
    let persistence = directory.persistence();
    directory.publish_persistence(None);
    link.deliver(vec![message(A, "REFUSED", "x")]).await.unwrap_err();
    directory.publish_persistence(persistence);
    link.deliver(vec![message(A, "KEPT", "x")]).await.unwrap();
    assert_eq!(marked(&link, 1).await, of(A, &["KEPT"]));
    world.gateway.stop().await;
}

/// One for all that wait of one writer, and they wait until something can be sent on the link.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_comes_before_the_link_is_up_is_marked_together_then() {
    let world = World::start().await;
    let (client, _, link) = world.client_with_webhook("/ok").await;
    set(&world, client, &number(1), true).await;
    link.catches_up();
    for n in 0..600 {
        let one = vec![message(A, &format!("M{n:03}"), "x")];
        link.deliver(one).await.unwrap();
    }
    link.connect(&format!("{}:1@s.whatsapp.net", number(1)), None);
    assert_eq!(marked(&link, 600).await.len(), 600);
    assert!(link.acts().len() <= 4, "{}", link.acts().len());
    world.gateway.stop().await;
}
