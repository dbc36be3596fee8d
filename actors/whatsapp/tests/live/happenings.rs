//! More than messages: what the own phone sends, how far messages come, groups, calls, presence; and their order.

use std::time::Duration;

use wharf_domain::{
    EventKind, EventKinds, IncomingMessage, SendStatus,
    message::{CallState, Happening, PresenceState},
    outgoing::News,
};
use wharf_testnet::GroupChange;

use crate::support::{Line, NOBODYS, OURS, THEIRS, World, eventually, send};

/// The id of a message and how far it has come.
fn status(message: &IncomingMessage) -> Option<(&str, SendStatus)> {
    match message.happening() {
        Some(Happening::Status { status, .. }) => Some((message.message_id.as_str(), *status)),
        _ => None,
    }
}

fn of(messages: &[IncomingMessage], kind: EventKind) -> Vec<&IncomingMessage> {
    messages.iter().filter(|message| message.event() == kind).collect()
}

async fn listening(world: &World) -> Line {
    let line = world.pair().await;
    line.inbox.want(EventKinds::ALL);
    line
}

/// What was told of this kind, once there are so many.
async fn wait_for(line: &Line, kind: EventKind, count: usize) -> Vec<IncomingMessage> {
    eventually("events of a kind", async || {
        of(&line.inbox.messages(), kind).len() >= count
    })
    .await;
    let messages = line.inbox.messages();
    of(&messages, kind).into_iter().cloned().collect()
}

#[tokio::test]
async fn a_status_never_overtakes_the_message_of_the_own_phone() {
    let world = World::start().await;
    let line = listening(&world).await;
    let mut ids = Vec::new();
    for round in 0..20 {
        // The inbox takes its time for some, while the receipts are there already.
        if round % 5 == 0 {
            line.inbox.refuse(2);
        }
        ids.push(world.network.send_text(OURS, THEIRS, &round.to_string()).await.unwrap());
    }
    world.network.send_receipts(THEIRS, "delivery", &ids).await.unwrap();
    world.network.send_receipts(THEIRS, "read", &ids).await.unwrap();
    let is_read = |message: &IncomingMessage| status(message).is_some_and(|(_, status)| status == SendStatus::Read);
    eventually("all are read", async || {
        line.inbox.messages().into_iter().filter(is_read).count() == ids.len()
    })
    .await;
    let messages = line.inbox.messages();
    let sent = of(&messages, EventKind::Sent);
    assert_eq!(sent.len(), ids.len());
    for id in &ids {
        let about: Vec<&IncomingMessage> = messages.iter().filter(|message| message.message_id == *id).collect();
        assert_eq!(about[0].event(), EventKind::Sent, "{id}: {about:?}");
        let statuses: Vec<SendStatus> = about
            .iter()
            .filter_map(|message| status(message))
            .map(|(_, s)| s)
            .collect();
        assert_eq!(statuses, [SendStatus::Delivered, SendStatus::Read], "{id}");
    }
    let first = sent[0];
    assert_eq!((first.from.as_str(), first.content.as_str()), (OURS, "0"));
    assert_eq!(first.happening().and_then(Happening::to), Some(THEIRS));

    // One chat, whoever writes and whatever happens in it.
    world.write("an answer").await;
    let answer = wait_for(&line, EventKind::Message, 1).await.remove(0);
    assert!(
        messages.iter().all(|message| message.chat == answer.chat),
        "{}",
        answer.chat
    );
    line.link.close().await;
}

#[tokio::test]
async fn after_a_panic_the_next_word_is_told() {
    let (world, line) = World::paired().await;
    line.inbox.panic_when_told();
    let mut sent = Vec::new();
    for text in ["lost", "told"] {
        let id = send(&line.link, THEIRS, text, Duration::from_secs(20)).await.unwrap();
        // Their phone says by itself that it has it.
        eventually("its word", async || {
            world
                .network
                .messages(THEIRS)
                .await
                .unwrap()
                .iter()
                .any(|got| got.id == id)
        })
        .await;
        sent.push(id);
    }
    world.network.send_receipts(THEIRS, "read", &sent).await.unwrap();
    let is_read = |id: &String| {
        let told = line.inbox.told();
        told.iter()
            .any(|told| told.news == News::Read && told.message_ids.contains(id))
    };
    eventually("what came later", async || sent.iter().all(is_read)).await;
    line.link.close().await;
}

#[tokio::test]
async fn what_receivers_say_is_told_with_its_place_where_somebody_wants_to_know() {
    let (world, line) = World::paired().await;
    let deadline = Duration::from_secs(20);
    let unwatched = send(&line.link, THEIRS, "hello", deadline).await.unwrap();
    // By itself their phone says that it has it.
    eventually("the word of delivery", async || !line.inbox.told().is_empty()).await;
    line.inbox.want(EventKinds::of([EventKind::Status]));
    let watched = send(&line.link, THEIRS, "hello again", deadline).await.unwrap();
    eventually("the next one", async || line.inbox.told().len() == 2).await;
    // A store that is away for a moment loses none of them.
    line.inbox.refuse(2);
    for kind in ["read", "read", "delivery", "played"] {
        let ids = std::slice::from_ref(&watched);
        world.network.send_receipts(THEIRS, kind, ids).await.unwrap();
    }
    eventually("all of it", async || line.inbox.told().len() == 6).await;
    assert_eq!(line.inbox.refused(), 2);
    let told = line.inbox.told();
    let news: Vec<_> = told
        .iter()
        .map(|told| (told.message_ids.join(","), told.news.clone()))
        .collect();
    use News::{Delivered, Played, Read};
    let of_watched = [Delivered, Read, Read, Delivered, Played].map(|news| (watched.clone(), news));
    assert_eq!((&news[0], &news[1..]), (&(unwatched, Delivered), of_watched.as_slice()));
    assert_eq!(told[0].place, None, "rows do without");
    let place = told[1].place.as_ref().unwrap();
    assert_eq!((place.to.as_str(), place.participant.as_deref()), (THEIRS, None));

    // One chat, whether the server tells, the receiver, or they write themselves.
    let last = wharf_domain::Outgoing::text(THEIRS.parse().unwrap(), "the last");
    line.link.send("3EB0A1B2C3D4", &last, deadline).await.unwrap();
    let sent = line.link.place(&last.to).await.unwrap();
    world.write("an answer").await;
    let answer = wait_for(&line, EventKind::Message, 1).await.remove(0);
    assert_eq!((&sent.chat, &place.chat), (&answer.chat, &answer.chat));
    assert!(
        of(&line.inbox.messages(), EventKind::Sent).is_empty(),
        "not from the phone"
    );
    line.link.close().await;
}

#[tokio::test]
async fn nothing_is_told_that_nobody_wants() {
    let (world, line) = World::paired().await;
    let deadline = Duration::from_secs(20);
    send(&line.link, THEIRS, "hello", deadline).await.unwrap();
    world.network.send_text(OURS, THEIRS, "from the phone").await.unwrap();
    world.network.call(THEIRS, OURS, false).await.unwrap();
    world.write("the end").await;
    eventually("the text", async || line.inbox.texts().contains(&"the end".to_owned())).await;
    assert_eq!(line.inbox.texts(), ["the end"]);
    line.link.close().await;
}

#[tokio::test]
async fn changes_of_a_group_are_told_with_who_did_what_to_whom() {
    let world = World::start().await;
    world.network.create_account(NOBODYS).await.unwrap();
    let line = listening(&world).await;
    let group = world
        .network
        .create_group(THEIRS, "Harbour", &[OURS.to_owned()])
        .await
        .unwrap();
    let change = |change: GroupChange| world.network.change_group(&group.id, change);
    change(GroupChange {
        add: vec![NOBODYS.to_owned()],
        promote: vec![NOBODYS.to_owned()],
        subject: Some("Old harbour".to_owned()),
        ephemeral: Some(86_400),
        approval: Some(true),
        ..GroupChange::default()
    })
    .await
    .unwrap();
    // Who asks to be let in is told to admins.
    change(GroupChange {
        remove: vec![NOBODYS.to_owned()],
        promote: vec![OURS.to_owned()],
        ask: vec![NOBODYS.to_owned()],
        ..GroupChange::default()
    })
    .await
    .unwrap();
    let asks = "created_membership_requests";
    // Each comes by itself, the last one not always last.
    let words = [
        "add",
        "promote",
        "subject",
        "ephemeral",
        "membership_approval_mode",
        "remove",
        asks,
    ];
    eventually("all changes", async || {
        let messages = line.inbox.messages();
        let told: Vec<_> = messages
            .iter()
            .filter_map(|message| message.happening()?.word())
            .collect();
        words.iter().all(|word| told.contains(word))
    })
    .await;
    let messages = line.inbox.messages();
    let changes = of(&messages, EventKind::Group);
    let find = |word: &str| {
        let found = changes
            .iter()
            .find(|message| message.happening().and_then(Happening::word) == Some(word));
        let message = found.unwrap_or_else(|| panic!("no {word} in {changes:#?}"));
        let Some(Happening::Group { change }) = message.happening() else {
            panic!("no change")
        };
        (*message, change.clone())
    };
    let (added, change) = find("add");
    assert_eq!(
        (added.from.as_str(), added.content.as_str()),
        (THEIRS, format!("Added {NOBODYS}").as_str())
    );
    assert_eq!(
        (change.participants.as_slice(), added.chat.as_str()),
        ([NOBODYS.to_owned()].as_slice(), group.id.as_str())
    );
    assert!(!added.message_id.is_empty());
    assert_eq!(find("promote").1.participants, [NOBODYS]);
    let (subject, change) = find("subject");
    assert_eq!(change.subject.as_deref(), Some("Old harbour"));
    let named = subject
        .details
        .as_ref()
        .and_then(|details| details.group.as_ref())
        .unwrap();
    assert_eq!(
        (named.id.as_str(), named.subject.as_deref()),
        (group.id.as_str(), Some("Old harbour"))
    );
    assert_eq!(find("ephemeral").1.ephemeral_seconds, Some(86_400));
    assert_eq!(find("remove").1.participants, [NOBODYS]);
    let (approval, change) = find("membership_approval_mode");
    assert_eq!(
        (approval.content.as_str(), change.mode.as_deref()),
        ("Admins let new members in", Some("on"))
    );
    let (asked, change) = find(asks);
    assert_eq!(
        (asked.from.as_str(), change.participants.as_slice()),
        (NOBODYS, [NOBODYS.to_owned()].as_slice())
    );
    assert_eq!(asked.content, format!("{NOBODYS} asks to join"));

    // Who got and read what was sent to a group is told by member.
    let id = world.network.send_text(OURS, &group.id, "to all").await.unwrap();
    world
        .network
        .send_receipts(THEIRS, "read", std::slice::from_ref(&id))
        .await
        .unwrap();
    let is_read = |message: &IncomingMessage| status(message) == Some((id.as_str(), SendStatus::Read));
    eventually("it is read", async || line.inbox.messages().iter().any(is_read)).await;
    let messages = line.inbox.messages();
    let about: Vec<_> = messages.iter().filter(|message| message.message_id == id).collect();
    assert_eq!(
        (about[0].event(), about[0].chat.as_str()),
        (EventKind::Sent, group.id.as_str())
    );
    let read = about.iter().find(|message| is_read(message)).unwrap();
    let Some(Happening::Status { to, participant, .. }) = read.happening() else {
        panic!("no status")
    };
    assert_eq!((to.as_str(), participant.as_deref()), (group.id.as_str(), Some(THEIRS)));
    line.link.close().await;
}

#[tokio::test]
async fn a_call_is_told_once_and_how_it_ended() {
    let mut world = World::start().await;
    let line = listening(&world).await;
    let call = world.network.call(THEIRS, OURS, true).await.unwrap();
    wait_for(&line, EventKind::Call, 1).await;
    world
        .network
        .hang_up(THEIRS, &call.id, Some("accepted_elsewhere"))
        .await
        .unwrap();
    let calls = wait_for(&line, EventKind::Call, 2).await;
    let states: Vec<_> = calls
        .iter()
        .map(|message| match message.happening() {
            Some(Happening::Call { call }) => (call.state, call.video),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(states, [(CallState::Offer, Some(true)), (CallState::Accept, None)]);
    assert!(
        calls
            .iter()
            .all(|message| message.message_id == call.id && message.from == THEIRS)
    );
    line.link.close().await;

    // One that rang while the link was down.
    let missed = world.network.call(THEIRS, OURS, false).await.unwrap();
    world.restart();
    line.inbox.want(EventKinds::of([EventKind::Call]));
    let mut line = world.open_into(line.inbox).await;
    line.connected().await;
    let calls = wait_for(&line, EventKind::Call, 3).await;
    let last = calls.last().unwrap();
    assert_eq!(
        (last.message_id.as_str(), last.content.as_str()),
        (missed.id.as_str(), "Missed call")
    );
    line.link.close().await;
}

#[tokio::test]
async fn presence_is_told_of_those_who_wrote() {
    let world = World::start().await;
    let line = listening(&world).await;
    world.write("I am here").await;
    let doing = |message: &IncomingMessage| match message.happening() {
        Some(Happening::Presence { presence }) => Some(presence.state),
        _ => None,
    };
    // Subscribing is answered with what is so at the moment.
    wait_for(&line, EventKind::Presence, 1).await;
    for state in ["available", "unavailable"] {
        world.network.show_presence(THEIRS, state, None).await.unwrap();
    }
    for state in ["composing", "recording", "paused"] {
        world.network.show_presence(THEIRS, state, Some(OURS)).await.unwrap();
    }
    let presences = wait_for(&line, EventKind::Presence, 6).await;
    use PresenceState::{Available, Composing, Paused, Recording, Unavailable};
    let states: Vec<_> = presences[1..].iter().filter_map(doing).collect();
    assert_eq!(states, [Available, Unavailable, Composing, Recording, Paused]);
    let message = wait_for(&line, EventKind::Message, 1).await.remove(0);
    for presence in &presences {
        assert_eq!(
            (presence.chat.as_str(), presence.from.as_str()),
            (message.chat.as_str(), THEIRS)
        );
    }
    let Some(Happening::Presence { presence }) = presences[2].happening() else {
        panic!("no presence")
    };
    assert!(presence.last_seen.is_some());
    line.link.close().await;
}
