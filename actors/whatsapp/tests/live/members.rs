//! Members of groups: whom WhatsApp puts into one, and whom it does not.

use std::time::Duration;

use wharf_domain::{
    GroupId,
    action::{Action, Done, GroupInfo, NotAdded},
};
use wharf_testnet::{FaultKind, ProfileChange};
use wharf_whatsapp::SendError;

use crate::support::{Line, OURS, THEIRS, World, eventually};

async fn act(line: &Line, action: Action) -> Result<Done, SendError> {
    line.link.act(&action, Duration::from_secs(30)).await
}

/// WhatsApp makes the group without those whose settings let nobody add them, and says so.
#[tokio::test]
async fn who_wants_to_be_invited_is_no_member_of_a_new_group() {
    let (world, line) = World::paired().await;
    let (willing, wary) = ("5511966665555", THEIRS);
    world.network.create_account(willing).await.unwrap();
    let lid = world.network.create_account(wary).await.unwrap().lid;
    let change = ProfileChange {
        invite_only: Some(true),
        ..ProfileChange::default()
    };
    world.network.change_profile(wary, &change).await.unwrap();
    let make = Action::CreateGroup {
        subject: "Harbour".to_owned(),
        participants: vec![willing.parse().unwrap(), wary.parse().unwrap()],
    };
    let Ok(Done::Group(made)) = act(&line, make).await else {
        panic!("no group")
    };
    let numbers = |group: &GroupInfo| {
        let people = group.participants.iter();
        let mut numbers: Vec<_> = people.filter_map(|person| person.phone_number.clone()).collect();
        numbers.sort();
        numbers
    };
    assert_eq!(numbers(&made), [willing, OURS]);
    let not_added = NotAdded {
        jid: lid.clone(),
        phone_number: Some(wary.to_owned()),
        error: "403".to_owned(),
    };
    assert_eq!(made.refused, [not_added]);
    let group: GroupId = made.id.parse().unwrap();
    let Ok(Done::Group(shown)) = act(&line, Action::Group(group.clone())).await else {
        panic!("no group")
    };
    assert_eq!((numbers(&shown), shown.refused), (numbers(&made), Vec::new()));
    let add = Action::ChangeParticipants {
        group,
        add: vec![wary.parse().unwrap()],
        remove: Vec::new(),
        promote: Vec::new(),
        demote: Vec::new(),
    };
    let Ok(Done::Participants(changes)) = act(&line, add).await else {
        panic!("no answer")
    };
    assert_eq!((changes[0].ok, changes[0].error.as_deref()), (false, Some("403")));
    line.link.close().await;
}

/// What was asked for is out when the socket breaks, and its answer is not heard.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_group_whose_making_was_not_answered_may_be_there() {
    let (world, line) = World::paired().await;
    // The socket closes at its end.
    world.trouble(FaultKind::Stall, None, Duration::from_secs(6)).await;
    let make = Action::CreateGroup {
        subject: "Harbour".to_owned(),
        participants: Vec::new(),
    };
    let made = act(&line, make).await;
    assert!(
        matches!(&made, Err(SendError::Failed(why)) if why.contains("may have been done")),
        "{made:?}"
    );
    // The client may not know yet that its socket is gone.
    eventually("it is not connected", async || {
        act(&line, Action::Groups).await == Err(SendError::NotConnected)
    })
    .await;
    line.link.close().await;
}
