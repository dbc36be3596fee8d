//! Groups: what they are called and allow, their pictures, who comes into them by a link.

use std::{sync::Arc, time::Duration};

use wharf_domain::{
    EventKind, EventKinds, GroupId, PhoneNumber, Recipient,
    action::{
        Action, Done, GroupInfo, GroupPatch, InviteCode, InviteLink, Joined, Jpeg, MemberAddMode, ParticipantChange,
    },
};
use wharf_testnet::GroupChange;
use wharf_whatsapp::{Link, SendError};

use crate::support::{NOBODYS, OURS, THEIRS, World, eventually};

/// The header of a JPEG's frame: 640 by 640 pixels.
const SQUARE: &[u8] = &[
    0xff, 0xd8, 0xff, 0xc0, 0, 11, 8, 2, 128, 2, 128, 1, 1, 0x11, 0, 0xff, 0xd9,
];

async fn act(link: &Arc<dyn Link>, action: Action) -> Result<Done, SendError> {
    link.act(&action, Duration::from_secs(30)).await
}

fn refused(done: Result<Done, SendError>) -> (String, String) {
    match done {
        Err(SendError::Refused { code, words }) => (code, words),
        other => panic!("{other:?}"),
    }
}

async fn patch(link: &Arc<dyn Link>, group: &GroupId, patch: GroupPatch) -> Result<GroupInfo, SendError> {
    let action = Action::ChangeGroup {
        group: group.clone(),
        patch,
    };
    match act(link, action).await? {
        Done::Group(group) => Ok(group),
        other => panic!("{other:?}"),
    }
}

async fn invite(link: &Arc<dyn Link>, group: &GroupId, reset: bool) -> Result<InviteLink, SendError> {
    let group = group.clone();
    match act(link, Action::Invite { group, reset }).await? {
        Done::Invite(link) => Ok(link),
        other => panic!("{other:?}"),
    }
}

async fn group_of(world: &World, owner: &str, other: &str) -> GroupId {
    let made = world.network.create_group(owner, "Harbour", &[other.to_owned()]).await;
    made.unwrap().id.parse().unwrap()
}

#[tokio::test]
async fn every_setting_is_changed_and_shown() {
    let (world, line) = World::paired().await;
    let group = group_of(&world, OURS, THEIRS).await;
    let all = GroupPatch {
        subject: Some("Old harbour".to_owned()),
        description: Some(Some("Boats".to_owned())),
        announce: Some(true),
        locked: Some(true),
        ephemeral_seconds: Some(86_400),
        join_approval: Some(true),
        member_add_mode: Some(MemberAddMode::Admins),
    };
    let shown = patch(&line.link, &group, all).await.unwrap();
    assert_eq!(
        (shown.subject.as_str(), shown.description.as_deref()),
        ("Old harbour", Some("Boats"))
    );
    assert!(shown.announce && shown.locked && shown.join_approval);
    assert_eq!(
        (shown.ephemeral_seconds, shown.member_add_mode),
        (86_400, Some(MemberAddMode::Admins))
    );
    let there = world.network.group(group.as_str()).await.unwrap();
    assert_eq!(
        (there.ephemeral, there.members_add, there.approval),
        (Some(86_400), false, true)
    );

    // A description that somebody else wrote meanwhile is replaced, and taken away; one that is not there is gone already.
    let theirs = GroupChange {
        description: Some("Ships".to_owned()),
        ..GroupChange::default()
    };
    world.network.change_group(group.as_str(), theirs).await.unwrap();
    for (text, wanted) in [(Some("Boats again"), Some("Boats again")), (None, None), (None, None)] {
        let change = GroupPatch {
            description: Some(text.map(str::to_owned)),
            ..GroupPatch::default()
        };
        let shown = patch(&line.link, &group, change).await.unwrap();
        assert_eq!(shown.description.as_deref(), wanted);
    }
    let back = GroupPatch {
        announce: Some(false),
        locked: Some(false),
        ephemeral_seconds: Some(0),
        join_approval: Some(false),
        member_add_mode: Some(MemberAddMode::All),
        ..GroupPatch::default()
    };
    let shown = patch(&line.link, &group, back).await.unwrap();
    assert!(!shown.announce && !shown.locked && !shown.join_approval);
    assert_eq!(
        (shown.ephemeral_seconds, shown.member_add_mode),
        (0, Some(MemberAddMode::All))
    );
    line.link.close().await;
}

#[tokio::test]
async fn many_numbers_are_looked_up_together_and_before_anything_is_changed() {
    let (world, line) = World::paired().await;
    let many: Vec<PhoneNumber> = (0..61).map(|n| format!("55116{n:08}").parse().unwrap()).collect();
    for number in &many {
        world.network.create_account(number.as_str()).await.unwrap();
    }
    let (one, many) = many.split_last().unwrap();
    let make = |participants: &[PhoneNumber]| Action::CreateGroup {
        subject: "Harbour".to_owned(),
        participants: participants.to_vec(),
    };
    let look_ups = async || world.network.stats().await.look_ups;
    let before = look_ups().await;
    let Ok(Done::Group(made)) = act(&line.link, make(many)).await else {
        panic!("no group")
    };
    assert_eq!((made.participants.len(), look_ups().await - before), (61, 2));

    let nobody: PhoneNumber = NOBODYS.parse().unwrap();
    let change = Action::ChangeParticipants {
        group: made.id.parse().unwrap(),
        add: Vec::new(),
        remove: vec![many[0].clone().into()],
        promote: vec![nobody.clone().into()],
        demote: Vec::new(),
    };
    assert_eq!(act(&line.link, change).await, Err(SendError::NotOnWhatsApp(nobody)));
    assert_eq!(world.network.group(&made.id).await.unwrap().participants.len(), 61);

    // Nobody waits any more when it would be made.
    let soon = Duration::from_millis(1);
    let given_up = line.link.act(&make(std::slice::from_ref(one)), soon).await;
    assert_eq!(given_up, Err(SendError::TimedOut(soon)));
    for _ in 0..3 {
        let Ok(Done::Groups(groups)) = act(&line.link, Action::Groups).await else {
            panic!("no groups")
        };
        assert_eq!(groups.len(), 1);
    }
    line.link.close().await;
}

#[tokio::test]
async fn a_change_that_only_admins_make_says_what_was_changed_before_it() {
    let (world, line) = World::paired().await;
    let group = group_of(&world, THEIRS, OURS).await;
    let change = GroupPatch {
        subject: Some("By a member".to_owned()),
        announce: Some(true),
        ..GroupPatch::default()
    };
    let action = Action::ChangeGroup {
        group: group.clone(),
        patch: change,
    };
    let (code, words) = refused(act(&line.link, action).await);
    assert_eq!(code, "403");
    assert!(words.ends_with("(at announce; changed before it: subject)"), "{words}");
    assert_eq!(
        world.network.group(group.as_str()).await.unwrap().subject,
        "By a member"
    );
    let (code, words) = refused(invite(&line.link, &group, false).await.map(Done::Invite));
    assert_eq!(code, "401");
    assert!(words.contains("no admin"), "{words}");

    let nowhere = "120363999999999999@g.us".parse().unwrap();
    assert_eq!(refused(act(&line.link, Action::Group(nowhere)).await).0, "404");
    line.link.close().await;
}

#[tokio::test]
async fn a_picture_is_set_shown_and_taken_away() {
    let (world, line) = World::paired().await;
    let group = group_of(&world, OURS, THEIRS).await;
    let set = |picture: Option<&[u8]>| Action::SetPicture {
        group: Some(group.clone()),
        picture: picture.map(|bytes| Jpeg(bytes.to_vec())),
    };
    let show = |preview| Action::Picture {
        of: Recipient::Group(group.clone()),
        preview,
    };
    assert_eq!(act(&line.link, show(false)).await, Ok(Done::Picture(None)));
    assert_eq!(act(&line.link, set(Some(SQUARE))).await, Ok(Done::Done));
    let there = world.network.group(group.as_str()).await.unwrap().picture;
    for preview in [false, true] {
        let Ok(Done::Picture(Some(shown))) = act(&line.link, show(preview)).await else {
            panic!("no picture")
        };
        assert_eq!(Some(&shown.id), there.as_ref());
        assert!(shown.url.starts_with("https://pps.whatsapp.net/"));
    }
    assert_eq!(refused(act(&line.link, set(Some(b"no JPEG"))).await).0, "406");
    assert_eq!(act(&line.link, set(None)).await, Ok(Done::Done));
    assert_eq!(act(&line.link, show(false)).await, Ok(Done::Picture(None)));
    line.link.close().await;
}

#[tokio::test]
async fn a_link_is_followed_until_it_is_reset() {
    let (world, line) = World::paired().await;
    line.inbox.want(EventKinds::of([EventKind::Group]));
    // The link of a group of ours is reset.
    let ours = group_of(&world, OURS, THEIRS).await;
    let first = invite(&line.link, &ours, false).await.unwrap();
    assert_eq!(first.url, format!("https://chat.whatsapp.com/{}", first.code));
    let second = invite(&line.link, &ours, true).await.unwrap();
    assert_ne!(first.code, second.code);
    assert_eq!(invite(&line.link, &ours, false).await, Ok(second.clone()));
    let look = |code: &str| Action::InvitedTo(InviteCode::parse("code", code).unwrap());
    let join = |code: &str| Action::JoinByInvite(InviteCode::parse("code", code).unwrap());
    assert_eq!(refused(act(&line.link, look(&first.code)).await).0, "410");
    assert_eq!(refused(act(&line.link, join(&first.code)).await).0, "410");
    assert_eq!(refused(act(&line.link, look("neverMade")).await).0, "404");
    // Who is in it already is told which group it is.
    let joined = act(&line.link, join(&second.url)).await;
    assert_eq!(joined, Ok(Done::Joined(Joined::at_once(ours.as_str()))));

    // A group of theirs, seen before it is joined.
    world.network.create_account(NOBODYS).await.unwrap();
    let theirs = group_of(&world, THEIRS, NOBODYS).await;
    let code = world.network.group(theirs.as_str()).await.unwrap().invite;
    let Ok(Done::InvitedTo(seen)) = act(&line.link, look(&code)).await else {
        panic!("nothing to see")
    };
    assert_eq!(
        (seen.id.as_str(), seen.subject.as_str(), seen.size),
        (theirs.as_str(), "Harbour", Some(2))
    );
    assert_eq!((seen.owner.as_deref(), seen.join_approval), (Some(THEIRS), false));
    let joined = act(&line.link, join(&code)).await;
    assert_eq!(joined, Ok(Done::Joined(Joined::at_once(theirs.as_str()))));
    let members = world.network.group(theirs.as_str()).await.unwrap().participants;
    assert!(members.iter().any(|member| member.phone == OURS));

    // Where admins let people in, one asks them first.
    let guarded = group_of(&world, THEIRS, NOBODYS).await;
    let approval = GroupChange {
        approval: Some(true),
        ..GroupChange::default()
    };
    world.network.change_group(guarded.as_str(), approval).await.unwrap();
    let code = world.network.group(guarded.as_str()).await.unwrap().invite;
    let asked = act(&line.link, join(&code)).await;
    assert_eq!(asked, Ok(Done::Joined(Joined::requested(guarded.as_str()))));
    assert_eq!(world.network.group(guarded.as_str()).await.unwrap().requests, [OURS]);
    line.link.close().await;
}

#[tokio::test]
async fn who_asks_is_let_in_or_turned_away_by_number_or_hidden_id() {
    let world = World::start().await;
    let eve = "5511666666666";
    let mut hidden = Vec::new();
    for phone in [NOBODYS, eve] {
        hidden.push(world.network.create_account(phone).await.unwrap().lid);
    }
    let line = world.pair().await;
    let group = group_of(&world, OURS, THEIRS).await;
    let ask = GroupChange {
        approval: Some(true),
        ask: vec![NOBODYS.to_owned(), eve.to_owned()],
        ..GroupChange::default()
    };
    world.network.change_group(group.as_str(), ask).await.unwrap();
    let Ok(Done::JoinRequests(asking)) = act(&line.link, Action::JoinRequests(group.clone())).await else {
        panic!("nobody asks")
    };
    let mut ids: Vec<&String> = asking.iter().map(|request| &request.jid).collect();
    ids.sort();
    hidden.sort();
    assert_eq!(ids, hidden.iter().collect::<Vec<_>>());
    assert!(asking.iter().all(|request| request.requested_at.is_some()));
    let numbers: Vec<_> = asking
        .iter()
        .filter_map(|request| request.phone_number.as_deref())
        .collect();
    assert!(numbers.contains(&NOBODYS) && numbers.contains(&eve), "{numbers:?}");

    let person = |text: &str| Recipient::parse_person("x", text).unwrap();
    let eves = world.network.create_account(eve).await.unwrap().lid;
    let decide = Action::DecideJoinRequests {
        group: group.clone(),
        approve: vec![person(NOBODYS), person(THEIRS)],
        reject: vec![person(&eves)],
    };
    let Ok(Done::Participants(fates)) = act(&line.link, decide).await else {
        panic!("no fates")
    };
    let fate = |change: &ParticipantChange| (change.action.clone(), change.ok, change.error.clone());
    let wanted = [
        ("approve".to_owned(), true, None),
        ("approve".to_owned(), false, Some("404".to_owned())),
        ("reject".to_owned(), true, None),
    ];
    assert_eq!(fates.iter().map(fate).collect::<Vec<_>>(), wanted);
    let there = world.network.group(group.as_str()).await.unwrap();
    assert!(there.requests.is_empty());
    assert!(there.participants.iter().any(|member| member.phone == NOBODYS));
    assert!(there.participants.iter().all(|member| member.phone != eve));
    line.link.close().await;
}

#[tokio::test]
async fn what_others_change_is_told() {
    let (world, line) = World::paired().await;
    line.inbox.want(EventKinds::of([EventKind::Group]));
    let group = group_of(&world, THEIRS, OURS).await;
    let change = GroupChange {
        members_add: Some(false),
        new_invite: true,
        ..GroupChange::default()
    };
    world.network.change_group(group.as_str(), change).await.unwrap();
    let told = |word: &str| {
        let messages = line.inbox.messages();
        messages.into_iter().find(|message| {
            let happening = message.happening();
            happening.and_then(wharf_domain::message::Happening::word) == Some(word)
        })
    };
    // Of a device of theirs.
    let theirs = world.network.set_group_picture(group.as_str(), THEIRS, Some(SQUARE));
    theirs.await.unwrap();
    eventually("the changes", async || {
        ["member_add_mode", "revoke", "picture"]
            .into_iter()
            .all(|word| told(word).is_some())
    })
    .await;
    let picture = told("picture").unwrap();
    let id = world.network.group(group.as_str()).await.unwrap().picture.unwrap();
    assert_eq!((picture.from.as_str(), &picture.message_id), (THEIRS, &id));
    assert_eq!(picture.content, "The picture was changed");
    assert_eq!(picture.chat, group.as_str());
    let Some(wharf_domain::message::Happening::Group { change }) =
        told("member_add_mode").unwrap().happening().cloned()
    else {
        panic!("no change")
    };
    assert_eq!(change.mode.as_deref(), Some("admin_add"));
    line.link.close().await;
}
