//! What was asked for under a key is done once, and what a caller was told is written.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use ractor::{Actor, ActorProcessingErr, ActorRef};

use super::*;
use crate::persistence::{self, Learned};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_sends_once_and_acts_once() {
    let world = World::start().await;
    let (client, link) = world.client_with_number().await;
    let key = |body: u8| {
        Some(IdempotencyKey {
            key: "k".into(),
            body_hash: [body; 32],
        })
    };
    let first = world
        .gateway
        .send(client, &number(1), text("once"), key(1))
        .await
        .unwrap();
    let again = world
        .gateway
        .send(client, &number(1), text("once"), key(1))
        .await
        .unwrap();
    assert_eq!(first, again);
    assert_eq!(link.sent().len(), 1);
    let shown = || Action::Presence {
        to: Some(TO.parse().unwrap()),
        state: PresenceState::Typing,
    };
    let other = world.gateway.act(client, &number(1), shown(), key(2)).await;
    assert!(matches!(other, Err(GatewayError::Conflict(_))));
    let act = || async {
        let key = IdempotencyKey {
            key: "p".into(),
            body_hash: [3; 32],
        };
        world.gateway.act(client, &number(1), shown(), Some(key)).await.unwrap()
    };
    assert_eq!((act().await, act().await), (Done::Done, Done::Done));
    assert_eq!(link.acts(), [shown()]);
    world.gateway.stop().await;
}

/// Each leaves a row for a day: whoever takes another key for each has as many as come in a day.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_done_under_keys_beside_messages_is_bounded() {
    let world = World::start().await;
    let (client, _) = world.client_with_number().await;
    let act = async |key: Option<usize>| {
        let key = key.map(|n| IdempotencyKey {
            key: n.to_string(),
            body_hash: [1; 32],
        });
        let seen = Action::Presence {
            to: Some(TO.parse().unwrap()),
            state: PresenceState::Typing,
        };
        world.gateway.act(client, &number(1), seen, key).await
    };
    let done = futures::future::join_all((0..2000).map(|n| act(Some(n)))).await;
    let refused: Vec<_> = done.into_iter().filter_map(Result::err).collect();
    // Ten more come in each second that this takes.
    assert!(refused.len() > 1000, "{}", refused.len());
    assert!(
        matches!(&refused[0], GatewayError::Busy(text) if text.contains("10 a second, 100 at once")),
        "{}",
        refused[0]
    );
    assert_eq!(act(None).await, Ok(Done::Done));
    world.gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_chat_is_muted_until_a_time_that_lies_ahead() {
    let world = World::start().await;
    let (client, link) = world.client_with_number().await;
    let mute = |until| Action::ArrangeChat {
        chat: TO.parse().unwrap(),
        how: Arrangement::MutedUntil(until),
    };
    let key = || IdempotencyKey {
        key: "k".into(),
        body_hash: [1; 32],
    };
    let over = clock::now();
    let refused = world.gateway.act(client, &number(1), mute(over), Some(key())).await;
    assert!(
        matches!(&refused, Err(GatewayError::Invalid(refused)) if refused.to_string() == "until must lie ahead"),
        "{refused:?}"
    );
    // Nothing was done under the key; and who repeats what was done gets its answer, also when that time is over.
    let ahead = clock::now() + Duration::from_secs(3);
    let done = world.gateway.act(client, &number(1), mute(ahead), Some(key())).await;
    assert_eq!(done, Ok(Done::Done));
    wait_until("it is over", WITHIN, || async { clock::now() > ahead }).await;
    let again = world.gateway.act(client, &number(1), mute(ahead), Some(key())).await;
    assert_eq!((again, link.acts()), (Ok(Done::Done), vec![mute(ahead)]));
    world.gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_repeat_of_what_was_done_under_a_key_is_not_counted() {
    let world = World::start().await;
    let (client, link) = world.client_with_number().await;
    let seen = || Action::Presence {
        to: Some(TO.parse().unwrap()),
        state: PresenceState::Typing,
    };
    // Far more than come in while this goes on.
    for _ in 0..1000 {
        let key = IdempotencyKey {
            key: "k".into(),
            body_hash: [1; 32],
        };
        let done = world.gateway.act(client, &number(1), seen(), Some(key)).await;
        assert_eq!(done, Ok(Done::Done));
    }
    assert_eq!(link.acts(), [seen()]);
    world.gateway.stop().await;
}

/// Whoever did not hear an answer asks again, however much was done under keys meanwhile.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_repeat_has_its_answer_although_no_more_may_be_done_under_keys() {
    let world = World::start().await;
    let (client, link) = world.client_with_number().await;
    let act = async |key: &str, body: u8| {
        let key = IdempotencyKey {
            key: key.to_owned(),
            body_hash: [body; 32],
        };
        let seen = Action::Presence {
            to: Some(TO.parse().unwrap()),
            state: PresenceState::Typing,
        };
        world.gateway.act(client, &number(1), seen, Some(key)).await
    };
    assert_eq!(act("k", 1).await, Ok(Done::Done));
    // What is refused leaves no row, and is not counted: far more than come in while this goes on.
    for _ in 0..500 {
        assert!(matches!(act("k", 2).await, Err(GatewayError::Conflict(_))));
    }
    let take_all = || while world.gateway.shared.keyed_acts.take(client).is_ok() {};
    for _ in 0..20 {
        take_all();
        assert_eq!(act("k", 1).await, Ok(Done::Done));
    }
    assert_eq!(link.acts().len(), 1);
    // One may come in between.
    let (act, mut n) = (&act, 0);
    wait_until("a new key is refused", WITHIN, || {
        take_all();
        n += 1;
        let key = format!("new {n}");
        async move { matches!(act(&key, 1).await, Err(GatewayError::Busy(_))) }
    })
    .await;
    world.gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_became_of_a_keys_request_is_kept_also_when_the_store_is_away_just_then() {
    let world = World::start().await;
    let (client, link) = world.client_with_number().await;
    let under = |key: &str| {
        let (gateway, key) = (world.gateway.clone(), key.to_owned());
        let key = IdempotencyKey {
            key,
            body_hash: [1; 32],
        };
        async move { gateway.send(client, &number(1), text("once"), Some(key)).await }
    };
    let directory = &world.gateway.shared.directory;
    // The one is sent, and nobody sends it again; the other is not, and somebody may.
    for (key, outcome) in [
        ("sent", SendScript::Accept),
        ("refused", SendScript::Refuse("463".into())),
    ] {
        let before = link.sent().len();
        link.on_send(SendScript::Slow(Duration::from_secs(2)));
        let asking = tokio::spawn(under(key));
        wait_until("it is handed over", WITHIN, || async { link.sent().len() > before }).await;
        let writer = directory.persistence();
        directory.publish_persistence(None);
        link.on_send(outcome.clone());
        let first = asking.await.unwrap();
        assert_eq!(first.is_ok(), matches!(outcome, SendScript::Accept), "{first:?}");
        directory.publish_persistence(writer);
        link.on_send(SendScript::Accept);
        let again = wait_until("it is said what became of it", WITHIN, || async {
            let again = under(key).await;
            (!matches!(again, Err(GatewayError::Conflict(_)))).then_some(again)
        })
        .await;
        match first {
            Ok(first) => assert_eq!(again, Ok(first)),
            Err(_) => assert!(again.is_ok(), "{again:?}"),
        }
    }
    assert_eq!(link.sent().len(), 3);
    world.gateway.stop().await;
}

/// Stands before the writer; who claims a key, or begins to hand a message over, hears nothing of it.
struct Deaf {
    writer: ActorRef<persistence::Message>,
    /// Messages of which it was said that they were not begun after all.
    put_back: Arc<AtomicUsize>,
}

impl Deaf {
    fn before(writer: &ActorRef<persistence::Message>) -> (Self, Arc<AtomicUsize>) {
        let put_back = Arc::default();
        let deaf = Self {
            writer: writer.clone(),
            put_back: Arc::clone(&put_back),
        };
        (deaf, put_back)
    }
}

impl Actor for Deaf {
    type Msg = persistence::Message;
    type State = ();
    type Arguments = ();

    async fn pre_start(&self, _myself: ActorRef<Self::Msg>, (): ()) -> Result<(), ActorProcessingErr> {
        Ok(())
    }

    async fn handle(
        &self,
        _myself: ActorRef<Self::Msg>,
        message: Self::Msg,
        (): &mut (),
    ) -> Result<(), ActorProcessingErr> {
        let message = match message {
            persistence::Message::Commit(write) => persistence::Message::Commit(Box::new(match *write {
                persistence::Write::ClaimKey(job) => persistence::Write::ClaimKey(job.unheard()),
                persistence::Write::NoteOutgoing(job) if says(job.input(), &News::Started) => {
                    persistence::Write::NoteOutgoing(job.unheard())
                }
                persistence::Write::NoteOutgoing(job) if says(job.input(), &News::NotStarted) => {
                    self.put_back.fetch_add(1, Ordering::SeqCst);
                    persistence::Write::NoteOutgoing(job)
                }
                other => other,
            })),
            other => other,
        };
        Ok(self.writer.cast(message)?)
    }
}

fn says(learned: &Learned, news: &News) -> bool {
    learned.notes.iter().any(|note| note.told.news == *news)
}

/// It waits, and no restart takes it for one that was under way.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_whose_beginning_was_not_heard_of_waits_on() {
    let world = World::start().await;
    let client = world.add_client("a").await.id;
    let waiting = queued_while_the_link_is_gone(&world, client).await;
    let directory = &world.gateway.shared.directory;
    let writer = directory.persistence();
    let (deaf, put_back) = Deaf::before(writer.as_ref().unwrap());
    let (deaf, _running) = Actor::spawn(None, deaf, ()).await.unwrap();
    directory.publish_persistence(Some(deaf.clone()));
    let key = wharf_domain::ConnectionKey::new(client, number(1));
    let started_at = || async { world.store.queued_messages(&key).await.unwrap()[0].started_at };
    let link = world.relinked(client, &number(1)).await;
    wait_until("it begins, and is put back", WITHIN, || async {
        put_back.load(Ordering::SeqCst) > 0
    })
    .await;
    link.close(CloseReason::Lost("gone".into()));
    wait_until("its row says that it did not", WITHIN, || async {
        started_at().await.is_none()
    })
    .await;
    // The last one of the session that dies.
    let left = wait_until("its next link is open", WITHIN, || async {
        world.links.link(&key).filter(|link| !link.is_closed())
    })
    .await;
    let session = directory.session(&key).unwrap().actor.unwrap();
    session.cast(session::Message::Crash(Crash::Fail)).unwrap();
    directory.publish_persistence(writer);
    wait_until("the link that was left is closed", WITHIN, || async {
        left.is_closed()
    })
    .await;
    let link = world.relinked(client, &number(1)).await;
    until(&world, client, &waiting.message_id, SendStatus::Sent).await;
    assert_eq!(link.sent().len(), 1);
    deaf.stop(None);
    world.gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_whose_claim_was_not_heard_of_is_given_back() {
    let world = World::start().await;
    let (client, link) = world.client_with_number().await;
    let send = async || {
        let key = IdempotencyKey {
            key: "k".into(),
            body_hash: [1; 32],
        };
        world.gateway.send(client, &number(1), text("once"), Some(key)).await
    };
    let directory = &world.gateway.shared.directory;
    let writer = directory.persistence();
    let (deaf, _) = Deaf::before(writer.as_ref().unwrap());
    let (deaf, _running) = Actor::spawn(None, deaf, ()).await.unwrap();
    directory.publish_persistence(Some(deaf.clone()));
    let first = send().await;
    assert!(matches!(first, Err(GatewayError::Unavailable(_))), "{first:?}");
    // Nothing that is done about it may come to the writer before it.
    world.gateway.shared.persistence.settled().await.unwrap();
    directory.publish_persistence(writer);
    let again = wait_until("it may be sent", WITHIN, || async {
        let again = send().await;
        (!matches!(again, Err(GatewayError::Conflict(_)))).then_some(again)
    })
    .await;
    assert_eq!(send().await, again, "under one key");
    assert!(again.is_ok() && link.sent().len() == 1, "{again:?}");
    deaf.stop(None);
    world.gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_caller_was_told_is_written_also_when_the_session_dies_while_the_store_is_away() {
    let world = World::start().await;
    let (client, link) = world.client_with_number().await;
    link.on_send(SendScript::Slow(Duration::from_secs(2)));
    let gateway = world.gateway.clone();
    let asking = tokio::spawn(async move { gateway.send(client, &number(1), text("once"), None).await });
    wait_until("it is handed over", WITHIN, || async { !link.sent().is_empty() }).await;
    let directory = &world.gateway.shared.directory;
    let writer = directory.persistence();
    directory.publish_persistence(None);
    link.on_send(SendScript::Accept);
    let sent = asking.await.unwrap().unwrap();
    assert!(!sent.is_queued());
    directory.publish_persistence(writer);
    let key = wharf_domain::ConnectionKey::new(client, number(1));
    let session = directory.session(&key).unwrap().actor.unwrap();
    session.cast(session::Message::Crash(Crash::Fail)).unwrap();
    until(&world, client, &sent.message_id, SendStatus::Sent).await;
    world.gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_refused_whatever_it_holds_is_known_before() {
    let one = Pacing {
        queue_max: 1,
        ..unpaced()
    };
    let world = World::start_with(with(one)).await;
    let client = world.add_client("a").await.id;
    let gateway = &world.gateway;
    let check = async |queue, key| gateway.check_send(client, &number(1), queue, key).await;
    assert!(matches!(check(None, None).await, Err(GatewayError::NotFound(_))));
    let link = world.connected(client, &number(1)).await;
    for queue in [None, Some(true), Some(false)] {
        assert_eq!(check(queue, Some("k")).await, Ok(()));
    }
    // While the first one under a key runs, and when it has its answer.
    link.on_send(SendScript::Slow(Duration::from_secs(2)));
    let key = IdempotencyKey {
        key: "k".into(),
        body_hash: [1; 32],
    };
    let (running, n) = (gateway.clone(), number(1));
    let running = tokio::spawn(async move { running.send(client, &n, text("once"), Some(key)).await });
    wait_until("it is handed over", WITHIN, || async { !link.sent().is_empty() }).await;
    assert!(matches!(check(None, Some("k")).await, Err(GatewayError::Conflict(_))));
    link.on_send(SendScript::Accept);
    running.await.unwrap().unwrap();
    wait_until("it has its answer", WITHIN, || async {
        check(None, Some("k")).await.is_ok()
    })
    .await;
    gateway.disconnect(client, &number(1)).await.unwrap();
    wait_until("it is not connected", WITHIN, || async {
        check(Some(false), None).await.is_err()
    })
    .await;
    assert!(matches!(check(Some(false), None).await, Err(GatewayError::Conflict(_))));
    assert_eq!(
        check(Some(false), Some("k")).await,
        Ok(()),
        "who repeats it gets its answer"
    );
    assert_eq!(check(Some(true), None).await, Ok(()));
    let waits = NewMessage {
        queue: true,
        wait: false,
        ..text("waits")
    };
    gateway.send(client, &number(1), waits, None).await.unwrap();
    for queue in [None, Some(true)] {
        assert!(matches!(check(queue, None).await, Err(GatewayError::Busy(_))));
    }
    world.gateway.stop().await;
}
