//! What people show of themselves, blocks, the own profile, and calls that are turned down.

use std::time::Duration;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use wharf_domain::{
    EventKind, EventKinds, Recipient,
    action::{Action, Blocked, Business, ContactInfo, Done, Jpeg, Picture, PresenceState, ProfileInfo},
    message::{CallState, Happening},
};
use wharf_testnet::{FaultKind, ProfileChange};
use wharf_whatsapp::{LinkEvent, SendError};

use crate::support::{Line, NOBODYS, OURS, THEIRS, World, eventually, send};

const DEADLINE: Duration = Duration::from_secs(20);
/// What a JPEG begins with, and then nothing of one.
const JPEG: &[u8] = &[0xff, 0xd8, 0xff, 0xe0, 1, 2, 3];

async fn act(line: &Line, action: Action) -> Result<Done, SendError> {
    line.link.act(&action, DEADLINE).await
}

fn number(number: &str) -> Recipient {
    number.parse().unwrap()
}

async fn hidden_id(world: &World, phone: &str) -> String {
    world.network.create_account(phone).await.unwrap().lid
}

async fn contact(line: &Line, who: &str) -> ContactInfo {
    match act(line, Action::Contact(number(who))).await.unwrap() {
        Done::Contact(contact) => *contact,
        other => panic!("{other:?}"),
    }
}

async fn picture(line: &Line, of: &str) -> Result<Option<Picture>, SendError> {
    let (of, preview) = (number(of), true);
    match act(line, Action::Picture { of, preview }).await? {
        Done::Picture(picture) => Ok(picture),
        other => panic!("{other:?}"),
    }
}

/// Whom it is about is asked for first, and that is all that WhatsApp was asked.
#[tokio::test]
async fn what_was_only_looked_up_when_the_link_broke_is_not_done() {
    let world = World::start().await;
    let line = world.pair().await;
    let block = Action::Block(number(NOBODYS));
    let typing = Action::Presence {
        to: Some(number(NOBODYS)),
        state: PresenceState::Typing,
    };
    let make = Action::CreateGroup {
        subject: "Harbour".to_owned(),
        participants: vec![NOBODYS.parse().unwrap()],
    };
    let mark = Action::MarkRead {
        chat: number(NOBODYS),
        from: None,
        message_ids: vec!["3EB0".to_owned()],
    };
    world.trouble(FaultKind::Stall, None, Duration::from_secs(600)).await;
    let asking = [block, typing, make, mark].map(|action| {
        let link = line.link.clone();
        tokio::spawn(async move { link.act(&action, DEADLINE).await })
    });
    eventually("silence", async || line.link.silence() > Some(Duration::from_secs(1))).await;
    line.link.close().await;
    for asked in asking {
        assert_eq!(asked.await.unwrap(), Err(SendError::NotConnected));
    }
}

#[tokio::test]
async fn what_somebody_shows_is_told_by_number_and_by_hidden_id() {
    let (world, line) = World::paired().await;
    let lid = hidden_id(&world, THEIRS).await;
    let plain = ContactInfo {
        number: Some(THEIRS.to_owned()),
        jid: Some(format!("{THEIRS}@s.whatsapp.net")),
        lid: Some(lid.clone()),
        exists: true,
        devices: vec![0],
        ..ContactInfo::default()
    };
    // Hidden ids first: nothing of the number was heard before.
    assert_eq!(contact(&line, &lid).await, plain);
    assert_eq!(contact(&line, THEIRS).await, plain);
    assert_eq!(picture(&line, THEIRS).await, Ok(None));

    let change = ProfileChange {
        about: Some("At sea".to_owned()),
        picture: Some(BASE64_STANDARD.encode(JPEG)),
        verified_name: Some("Harbour Ltd".to_owned()),
        ..ProfileChange::default()
    };
    let shown = world.network.change_profile(THEIRS, &change).await.unwrap();
    let id = shown.picture_id.map(|id| id.to_string());
    let business = Business {
        verified_name: Some("Harbour Ltd".to_owned()),
    };
    let shown = ContactInfo {
        about: Some("At sea".to_owned()),
        picture_id: id.clone(),
        business: Some(business.clone()),
        ..plain.clone()
    };
    assert_eq!(contact(&line, THEIRS).await, shown);
    assert_eq!(contact(&line, &lid).await, shown);
    for of in [THEIRS, &lid] {
        let found = picture(&line, of).await.unwrap().unwrap();
        assert_eq!(Some(&found.id), id.as_ref());
        assert!(found.url.starts_with("https://"), "{}", found.url);
    }

    // What is hidden is as if it were not there.
    let hide = ProfileChange {
        hidden: Some(true),
        ..ProfileChange::default()
    };
    world.network.change_profile(THEIRS, &hide).await.unwrap();
    let hiding = ContactInfo {
        business: Some(business),
        ..plain
    };
    assert_eq!(contact(&line, THEIRS).await, hiding);
    assert_eq!(picture(&line, THEIRS).await, Ok(None));
    line.link.close().await;
}

#[tokio::test]
async fn nobody_is_told_as_nobody() {
    let (_world, line) = World::paired().await;
    let nobody = contact(&line, NOBODYS).await;
    let expected = ContactInfo {
        number: Some(NOBODYS.to_owned()),
        ..ContactInfo::default()
    };
    assert_eq!(nobody, expected);
    assert_eq!(contact(&line, "999@lid").await, ContactInfo::default());
    let refused = picture(&line, NOBODYS).await;
    assert!(matches!(refused, Err(SendError::NotOnWhatsApp(_))), "{refused:?}");
    for action in [Action::Block(number(NOBODYS)), Action::Unblock(number(NOBODYS))] {
        let refused = act(&line, action).await;
        assert!(matches!(refused, Err(SendError::NotOnWhatsApp(_))), "{refused:?}");
    }
    let refused = act(&line, Action::Block(number("999@lid"))).await;
    assert!(
        matches!(&refused, Err(SendError::Impossible(why)) if why.contains("by both")),
        "{refused:?}"
    );
    line.link.close().await;
}

#[tokio::test]
async fn who_is_blocked_reaches_nobody_until_they_are_not() {
    let (world, line) = World::paired().await;
    let lid = hidden_id(&world, THEIRS).await;
    let blocks = async || match act(&line, Action::Blocks).await.unwrap() {
        Done::Blocks(blocks) => blocks,
        other => panic!("{other:?}"),
    };
    assert_eq!(blocks().await, []);
    // Twice is no trouble.
    for who in [THEIRS, &lid] {
        assert_eq!(act(&line, Action::Block(number(who))).await, Ok(Done::Done), "{who}");
    }
    assert_eq!(world.network.profile(OURS).await.unwrap().blocked, [THEIRS]);
    let blocked = Blocked {
        jid: lid.clone(),
        phone_number: Some(THEIRS.to_owned()),
    };
    assert_eq!(blocks().await, [blocked]);
    world.write("unheard").await;
    for who in [&*lid, THEIRS] {
        assert_eq!(act(&line, Action::Unblock(number(who))).await, Ok(Done::Done), "{who}");
    }
    assert_eq!(blocks().await, []);
    world.write("heard").await;
    eventually("the text", async || !line.inbox.texts().is_empty()).await;
    assert_eq!(line.inbox.texts(), ["heard"]);
    let own = act(&line, Action::Block(number(OURS))).await;
    assert!(
        matches!(&own, Err(SendError::Refused { code, .. }) if code == "406"),
        "{own:?}"
    );
    line.link.close().await;
    assert_eq!(act(&line, Action::Blocks).await, Err(SendError::NotConnected));
}

#[tokio::test]
async fn the_own_profile_is_changed_where_everybody_sees_it() {
    let (world, mut line) = World::paired().await;
    let profile = async |line: &Line| match act(line, Action::Profile).await.unwrap() {
        Done::Profile(profile) => profile,
        other => panic!("{other:?}"),
    };
    let before = profile(&line).await;
    assert_eq!(before.jid, format!("{OURS}@s.whatsapp.net"));
    assert_eq!(before.lid, Some(hidden_id(&world, OURS).await));
    assert_eq!((before.about.as_ref(), before.picture_id.as_ref()), (None, None));
    let change = |name: Option<&str>, about: Option<&str>| Action::ChangeProfile {
        name: name.map(str::to_owned),
        about: about.map(str::to_owned),
    };
    assert_eq!(act(&line, change(None, None)).await, Ok(Done::Done));
    let set = |picture: Option<&[u8]>| Action::SetPicture {
        group: None,
        picture: picture.map(|bytes| Jpeg(bytes.to_vec())),
    };
    let picture = set(Some(JPEG));
    for action in [change(Some("Shop"), Some("Open ✓")), picture] {
        assert_eq!(act(&line, action).await, Ok(Done::Done));
    }
    eventually("the name", async || {
        world.network.profile(OURS).await.unwrap().name == "Shop"
    })
    .await;
    let seen = world.network.profile(OURS).await.unwrap();
    assert_eq!(seen.about.as_deref(), Some("Open ✓"));
    assert_eq!(world.network.picture(OURS).await.unwrap(), JPEG);
    let shown = ProfileInfo {
        name: Some("Shop".to_owned()),
        about: Some("Open ✓".to_owned()),
        picture_id: seen.picture_id.map(|id| id.to_string()),
        ..before
    };
    assert_eq!(profile(&line).await, shown);
    // Whoever shows the connection learns of the name.
    let named = loop {
        match line.next().await {
            LinkEvent::Named { push_name } if push_name == "Shop" => break push_name,
            LinkEvent::Named { .. } => {}
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(named, "Shop");

    for action in [change(None, Some("")), set(None)] {
        assert_eq!(act(&line, action).await, Ok(Done::Done));
    }
    let taken = ProfileInfo {
        about: None,
        picture_id: None,
        ..shown
    };
    assert_eq!(profile(&line).await, taken);
    let refused = act(&line, set(Some(b"GIF89a"))).await;
    assert!(
        matches!(&refused, Err(SendError::Refused { code, .. }) if code == "406"),
        "{refused:?}"
    );
    line.link.close().await;
}

#[tokio::test]
async fn a_change_that_is_not_answered_may_have_been_made() {
    let (world, line) = World::paired().await;
    world.trouble(FaultKind::Stall, None, Duration::from_secs(60)).await;
    let short = Duration::from_secs(2);
    let about = Action::ChangeProfile {
        name: None,
        about: Some("x".to_owned()),
    };
    assert_eq!(line.link.act(&about, short).await, Err(SendError::TimedOut(short)));
    line.link.close().await;
}

/// The calls that were told, by what became of them and whether they were turned down.
fn calls(line: &Line) -> Vec<(CallState, bool)> {
    let call = |message: &wharf_domain::IncomingMessage| match message.happening() {
        Some(Happening::Call { call }) => Some((call.state, call.rejected)),
        _ => None,
    };
    line.inbox.messages().iter().filter_map(call).collect()
}

async fn state_of(world: &World, id: &str) -> (String, bool) {
    let calls = world.network.calls(THEIRS).await.unwrap();
    let call = calls.into_iter().find(|call| call.id == id).unwrap();
    (call.state, call.by.is_some_and(|by| by.starts_with(OURS)))
}

#[tokio::test]
async fn a_call_is_turned_down_by_hand() {
    let (world, line) = World::paired().await;
    line.inbox.want(EventKinds::of([EventKind::Call]));
    let call = world.network.call(THEIRS, OURS, false).await.unwrap();
    eventually("the ringing", async || !calls(&line).is_empty()).await;
    assert_eq!(state_of(&world, &call.id).await.0, "ringing");
    let reject = Action::RejectCall {
        call_id: call.id.clone(),
        from: number(THEIRS),
    };
    assert_eq!(act(&line, reject).await, Ok(Done::Done));
    let rejected = ("rejected".to_owned(), true);
    eventually("the end", async || state_of(&world, &call.id).await == rejected).await;
    assert_eq!(calls(&line), [(CallState::Offer, false)]);
    line.link.close().await;
}

/// Also one that nobody here has heard of, by whoever made it.
#[tokio::test]
async fn a_call_that_rang_before_is_turned_down_by_its_caller() {
    let (mut world, line) = World::paired().await;
    send(&line.link, THEIRS, "hello", DEADLINE).await.unwrap();
    let call = world.network.call(THEIRS, OURS, false).await.unwrap();
    line.link.close().await;
    world.restart();
    let mut line = world.open().await;
    line.connected().await;
    let reject = Action::RejectCall {
        call_id: call.id.clone(),
        from: number(THEIRS),
    };
    assert_eq!(act(&line, reject).await, Ok(Done::Done));
    eventually("the end", async || state_of(&world, &call.id).await.0 == "rejected").await;
    line.link.close().await;
}

#[tokio::test]
async fn calls_are_turned_down_as_they_ring_whoever_wants_to_hear_of_them() {
    let (world, line) = World::paired().await;
    line.inbox.reject_calls(true);
    // Nobody wants to hear of this one.
    let unheard = world.network.call(THEIRS, OURS, false).await.unwrap();
    let rejected = ("rejected".to_owned(), true);
    eventually("the end", async || state_of(&world, &unheard.id).await == rejected).await;
    assert_eq!(calls(&line), []);

    line.inbox.want(EventKinds::of([EventKind::Call]));
    let heard = world.network.call(THEIRS, OURS, true).await.unwrap();
    eventually("the end", async || state_of(&world, &heard.id).await == rejected).await;
    eventually("the word of it", async || !calls(&line).is_empty()).await;
    assert_eq!(calls(&line), [(CallState::Offer, true)]);

    line.inbox.reject_calls(false);
    world.network.call(THEIRS, OURS, true).await.unwrap();
    eventually("the next one", async || calls(&line).len() == 2).await;
    assert_eq!(calls(&line)[1], (CallState::Offer, false));
    line.link.close().await;
}
