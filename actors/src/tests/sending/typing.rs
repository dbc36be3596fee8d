//! Messages that are seen being typed before they go.

use super::*;

fn typed(words: &str, seconds: u8) -> NewMessage {
    NewMessage {
        typing_seconds: Some(seconds),
        queue: true,
        wait: false,
        ..text(words)
    }
}

/// As fast as can be, for so long.
fn lasting(deadline: Duration) -> Settings {
    with(Pacing { deadline, ..unpaced() })
}

fn typing() -> Action {
    Action::Presence {
        to: Some(TO.parse().unwrap()),
        state: PresenceState::Typing,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_is_typed_before_it_goes_and_other_chats_do_not_wait() {
    let world = World::start_with(lasting(Duration::from_secs(300))).await;
    let (client, link) = world.client_with_number().await;
    let first = send(&world, client, typed("first", 6)).await.unwrap();
    let next = NewMessage {
        wait: false,
        ..text("next")
    };
    let next = send(&world, client, next).await.unwrap();
    wait_until("it is typed", WITHIN, || async { link.acts() == [typing()] }).await;
    let other = NewMessage::text("5511777777777".parse().unwrap(), "other");
    let other = send(&world, client, other).await.unwrap();
    assert_eq!(other.status, SendStatus::Sent);
    let row = shown(&world.gateway, client, &number(1), &first.message_id).await;
    assert_eq!(row.status, SendStatus::Queued);
    let row = until(&world, client, &first.message_id, SendStatus::Sent).await;
    assert!(row.sent_at.unwrap().since(row.created_at) >= Duration::from_secs(6));
    until(&world, client, &next.message_id, SendStatus::Sent).await;
    let sent: Vec<String> = link.sent().into_iter().map(|sent| sent.id).collect();
    assert_eq!(sent, [other.message_id, first.message_id, next.message_id]);
    assert_eq!(link.acts(), [typing()], "once");
    world.gateway.stop().await;
}

/// Its caller is told what became of it, if that does not take long.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn typing_is_no_part_of_a_messages_deadline() {
    let world = World::start_with(lasting(Duration::from_secs(3))).await;
    let (client, _) = world.client_with_number().await;
    let message = NewMessage {
        wait: true,
        ..typed("slow", 4)
    };
    assert_eq!(send(&world, client, message).await.unwrap().status, SendStatus::Sent);
    world.gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_link_that_is_lost_or_a_crash_while_it_is_typed_sends_it_once() {
    let world = World::start_with(lasting(Duration::from_secs(300))).await;
    let (client, link) = world.client_with_number().await;
    let lost = send(&world, client, typed("lost", 5)).await.unwrap();
    wait_until("it is typed", WITHIN, || async { link.acts() == [typing()] }).await;
    link.close(CloseReason::Lost("gone".into()));
    let link = world.relinked(client, &number(1)).await;
    until(&world, client, &lost.message_id, SendStatus::Sent).await;
    assert_eq!(
        (link.acts(), link.sent().len()),
        (Vec::new(), 1),
        "what is left of its time is waited for"
    );

    let crashed = send(&world, client, typed("crashed", 20)).await.unwrap();
    wait_until("it is typed", WITHIN, || async { link.acts() == [typing()] }).await;
    let key = wharf_domain::ConnectionKey::new(client, number(1));
    let session = world.gateway.shared.directory.session(&key).unwrap().actor.unwrap();
    session.cast(session::Message::Crash(Crash::Fail)).unwrap();
    wait_until("its link is closed", WITHIN, || async { link.is_closed() }).await;
    let link = world.relinked(client, &number(1)).await;
    wait_until("it is typed again", WITHIN, || async { link.acts() == [typing()] }).await;
    let row = shown(&world.gateway, client, &number(1), &crashed.message_id).await;
    assert_eq!(
        (row.status, link.sent().len()),
        (SendStatus::Queued, 0),
        "nobody takes it for sent"
    );
    world.gateway.stop().await;
}
