//! Groups: messages in both directions, who is in them, what devices are told.

use serde_json::json;
use wacore::iq::groups::{
    GroupCreateOptions, GroupDescription, GroupParticipantOptions, JoinGroupResult, MemberAddMode,
    MembershipApprovalMode,
};
use wacore::stanza::groups::GroupNotificationAction;
use wacore::types::events::Event;
use wharf_testnet::{GroupChange, NetworkError};
use whatsapp_rust::features::{GroupError, PreviousDescription};
use whatsapp_rust::{IqError, Jid};

use crate::admin::request;
use crate::companion::{ANA, BOB, Companion, network, until};

const EVE: &str = "5511777777777";

#[tokio::test(flavor = "multi_thread")]
async fn a_group_is_read_by_all_and_written_by_all() {
    let network = network().await;
    network.create_account(EVE).await.unwrap();
    let ana = Companion::linked(&network, ANA).await;
    let bob = Companion::linked(&network, BOB).await;
    let new = json!({ "subject": "Tea", "owner": BOB, "participants": [ANA, EVE] });
    let (_, _, group) = request(&network, "POST", "/groups", Some(new)).await;
    let id = group["id"].as_str().unwrap();
    // The first message brings the key, the second needs none.
    for text in ["first", "second"] {
        let sent = network.send_text(BOB, id, text).await.unwrap();
        let arrived = ana.message(&sent).await;
        let source = &arrived.info.source;
        assert_eq!((source.chat.to_string(), source.is_group), (id.to_owned(), true));
        assert_eq!(source.sender_alt.as_ref().unwrap().user, BOB);
        assert_eq!(arrived.message.conversation.as_deref(), Some(text));
        // Bob's own device sees what his phone wrote.
        assert!(bob.message(&sent).await.info.source.is_from_me);
    }
    let jid: Jid = id.parse().unwrap();
    for text in ["from Ana's device", "and again"] {
        let sent = ana.client.send_text(jid.clone(), text).await.unwrap().message_id;
        assert_eq!(ana.server_ack(&sent).await, None);
        assert_eq!(bob.text(text).await, ANA);
        for phone in [BOB, EVE] {
            let seen = until("the text", || async {
                network
                    .messages(phone)
                    .await
                    .unwrap()
                    .into_iter()
                    .find(|one| one.id == sent)
            })
            .await;
            assert_eq!((seen.from.as_str(), seen.text.as_str()), (ANA, text));
            assert_eq!(seen.details.unwrap().group.as_deref(), Some(id));
        }
    }
    // A phone that cannot read the group asks, and gets what it missed.
    let fault = json!({ "kind": "deaf", "phone": EVE, "times": 1, "for_ms": 600_000 });
    request(&network, "POST", "/faults", Some(fault)).await;
    ana.client.send_text(jid.clone(), "once more for Eve").await.unwrap();
    until("the text", || async {
        network
            .messages(EVE)
            .await
            .unwrap()
            .into_iter()
            .find(|one| one.text == "once more for Eve")
    })
    .await;
    until("an empty queue", || async {
        (network.stats().await.unacked == 0).then_some(())
    })
    .await;
    // Somebody who is not in it may not write.
    let change = GroupChange {
        remove: vec![ANA.to_owned()],
        ..Default::default()
    };
    network.change_group(id, change).await.unwrap();
    assert!(matches!(
        network.send_text(ANA, id, "x").await,
        Err(NetworkError::Conflict(_))
    ));
    network.send_text(BOB, id, "without Ana").await.unwrap();
    assert!(
        network
            .messages(ANA)
            .await
            .unwrap()
            .iter()
            .all(|one| one.text != "without Ana")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_founds_changes_and_leaves_a_group() {
    let network = network().await;
    network.create_account(EVE).await.unwrap();
    let ana = Companion::linked(&network, ANA).await;
    let bob = Companion::linked(&network, BOB).await;
    let groups = ana.client.groups();
    let options: GroupCreateOptions = GroupCreateOptions::builder()
        .subject("Cake")
        .participants(vec![GroupParticipantOptions::new(Jid::pn(BOB))])
        .build();
    let id = groups.create_group(options).await.unwrap().metadata.id;
    let told = |event: &Event| match event {
        Event::GroupUpdate(update) => Some(update.group_jid.to_string()),
        _ => None,
    };
    assert_eq!(bob.saw("the new group", told).await, id.to_string());
    groups.add_participants(id.clone(), &[Jid::pn(EVE)]).await.unwrap();
    groups.promote_participants(id.clone(), &[Jid::pn(BOB)]).await.unwrap();
    groups
        .set_subject(id.clone(), wacore::iq::groups::GroupSubject::new("More cake").unwrap())
        .await
        .unwrap();
    let view = network.group(&id.to_string()).await.unwrap();
    assert_eq!(view.subject, "More cake");
    let roles: Vec<_> = view
        .participants
        .iter()
        .map(|one| (one.phone.as_str(), one.role.as_str()))
        .collect();
    assert_eq!(roles, [(EVE, "member"), (ANA, "superadmin"), (BOB, "admin")]);
    until("what Bob's device was told", || async {
        (bob.all(told).len() >= 4).then_some(())
    })
    .await;
    let metadata = bob.client.groups().get_metadata(&id).await.unwrap();
    assert_eq!(
        (metadata.subject.as_str(), metadata.participants.len()),
        ("More cake", 3)
    );
    assert_eq!(bob.client.groups().get_participating().await.unwrap().len(), 1);
    bob.client.groups().leave(id.clone()).await.unwrap();
    until("Bob to be gone", || async {
        (network.group(&id.to_string()).await.unwrap().participants.len() == 2).then_some(())
    })
    .await;
    assert!(bob.client.groups().get_participating().await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_has_the_link_joins_by_themselves_also_when_the_founder_is_gone() {
    let network = network().await;
    let ana = Companion::linked(&network, ANA).await;
    let bob = Companion::linked(&network, BOB).await;
    let id = network.create_group(ANA, "Tea", &[BOB.to_owned()]).await.unwrap().id;
    let jid: Jid = id.parse().unwrap();
    let link = ana.client.groups().get_invite_link(jid.clone(), false).await.unwrap();
    ana.client.groups().leave(jid).await.unwrap();
    ana.client.groups().join_with_invite_code(&link).await.unwrap();
    let members = network.group(&id).await.unwrap().participants;
    assert!(members.iter().any(|member| member.phone == ANA), "{members:?}");
    let lid = network.create_account(ANA).await.unwrap().lid;
    let (by, reason) = bob
        .saw("that Ana came by the link", |event| match event {
            Event::GroupUpdate(update) => match &update.action {
                GroupNotificationAction::Add { reason, .. } => Some((update.participant.clone(), reason.clone())),
                _ => None,
            },
            _ => None,
        })
        .await;
    assert_eq!(by.map(|by| by.to_string()), Some(lid));
    assert_eq!(reason.as_deref(), Some("invite"));
}

#[tokio::test(flavor = "multi_thread")]
async fn admins_let_in_who_asks_with_the_link() {
    let network = network().await;
    network.create_account(EVE).await.unwrap();
    let ana = Companion::linked(&network, ANA).await;
    let bob = Companion::linked(&network, BOB).await;
    let id = network.create_group(ANA, "Club", &[]).await.unwrap().id;
    let jid: Jid = id.parse().unwrap();
    let admin = ana.client.groups();
    admin
        .set_membership_approval(jid.clone(), MembershipApprovalMode::On)
        .await
        .unwrap();
    assert!(admin.get_metadata(&jid).await.unwrap().membership_approval);
    let link = admin.get_invite_link(jid.clone(), false).await.unwrap();
    let (bob_lid, eve_lid) = (
        network.create_account(BOB).await.unwrap().lid,
        network.create_account(EVE).await.unwrap().lid,
    );
    let created = |event: &Event| match event {
        Event::GroupUpdate(update) => match &update.action {
            GroupNotificationAction::CreatedMembershipRequests { requests, .. } => Some(requests[0].jid.to_string()),
            _ => None,
        },
        _ => None,
    };
    let revoked = |event: &Event| match event {
        Event::GroupUpdate(update) => match &update.action {
            GroupNotificationAction::RevokedMembershipRequests { participants } => Some(participants[0].to_string()),
            _ => None,
        },
        _ => None,
    };

    // Bob asks, takes it back, and asks again; a question that stands is told once.
    let asks = bob.client.groups();
    for _ in 0..2 {
        let asked = asks.join_with_invite_code(&link).await.unwrap();
        assert!(matches!(asked, JoinGroupResult::PendingApproval(group) if group == jid));
    }
    asks.cancel_membership_requests(jid.clone(), &[Jid::pn(BOB)])
        .await
        .unwrap();
    assert_eq!(ana.saw("that he took it back", revoked).await, bob_lid);
    asks.join_with_invite_code(&link).await.unwrap();
    let ask = |phone: &str| GroupChange {
        ask: vec![phone.to_owned()],
        ..GroupChange::default()
    };
    let view = network.change_group(&id, ask(EVE)).await.unwrap();
    assert_eq!(view.requests, [EVE, BOB]);
    // The client reads notifications side by side: they may be told in another order.
    let mut asked = [bob_lid.clone(), bob_lid.clone(), eve_lid.clone()];
    asked.sort();
    until("that they ask", || async {
        let mut told = ana.all(created);
        told.sort();
        (told == asked).then_some(())
    })
    .await;
    assert_eq!(admin.get_membership_requests(jid.clone()).await.unwrap().len(), 2);
    assert!(asks.get_membership_requests(jid.clone()).await.is_err());

    let [bob_jid, eve_jid]: [Jid; 2] = [&bob_lid, &eve_lid].map(|lid| lid.parse().unwrap());
    let fates = admin
        .reject_membership_requests(jid.clone(), std::slice::from_ref(&eve_jid))
        .await
        .unwrap();
    assert_eq!(fates[0].error, None);
    let fates = admin
        .approve_membership_requests(jid.clone(), &[bob_jid, eve_jid])
        .await
        .unwrap();
    assert_eq!((&fates[0].error, fates[1].error.as_deref()), (&None, Some("404")));
    let view = network.group(&id).await.unwrap();
    let members: Vec<_> = view.participants.iter().map(|member| member.phone.as_str()).collect();
    assert_eq!((members, view.requests.len()), (vec![ANA, BOB], 0));
    let refused = network.change_group(&id, ask(BOB)).await;
    assert!(matches!(refused, Err(NetworkError::Conflict(_))), "{refused:?}");
    network.send_text(ANA, &id, "welcome").await.unwrap();
    assert_eq!(bob.text("welcome").await, ANA);
}

#[tokio::test(flavor = "multi_thread")]
async fn admins_say_who_adds_others_and_members_are_told() {
    let network = network().await;
    network.create_account(EVE).await.unwrap();
    let ana = Companion::linked(&network, ANA).await;
    let bob = Companion::linked(&network, BOB).await;
    let id = network.create_group(ANA, "Club", &[BOB.to_owned()]).await.unwrap().id;
    let jid: Jid = id.parse().unwrap();
    let all = async || network.group(&id).await.unwrap().members_add;
    assert!(all().await);
    let admin = ana.client.groups();
    admin
        .set_member_add_mode(jid.clone(), MemberAddMode::AdminAdd)
        .await
        .unwrap();
    assert!(!all().await);
    let told = bob.saw("who adds", |event| match event {
        Event::GroupUpdate(update) => match &update.action {
            GroupNotificationAction::MemberAddMode { mode } => Some(mode.clone()),
            _ => None,
        },
        _ => None,
    });
    assert_eq!(told.await, "admin_add");
    let member = bob.client.groups();
    assert_eq!(code(member.add_participants(jid.clone(), &[Jid::pn(EVE)]).await), 403);
    let refused = member.set_member_add_mode(jid.clone(), MemberAddMode::AllMemberAdd);
    assert_eq!(code(refused.await), 403);
    assert_eq!(code(member.get_invite_link(jid.clone(), false).await), 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_description_names_the_one_before_it() {
    let network = network().await;
    let ana = Companion::linked(&network, ANA).await;
    let id = network.create_group(ANA, "Tea", &[]).await.unwrap().id;
    let jid: Jid = id.parse().unwrap();
    let groups = ana.client.groups();
    let text = |text: &str| Some(GroupDescription::new(text).unwrap());
    let set = |description, before| groups.set_description(jid.clone(), description, before);
    set(text("green"), PreviousDescription::Absent).await.unwrap();
    for stale in [PreviousDescription::Absent, PreviousDescription::Id("00000000")] {
        let lost = set(text("black"), stale).await;
        assert!(matches!(lost, Err(GroupError::DescriptionConflict)), "{lost:?}");
    }
    set(text("white"), PreviousDescription::Resolve).await.unwrap();
    assert_eq!(network.group(&id).await.unwrap().description.as_deref(), Some("white"));
    set(None, PreviousDescription::Resolve).await.unwrap();
    assert_eq!(network.group(&id).await.unwrap().description, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_that_was_renewed_is_gone_and_one_that_never_was_is_not_found() {
    let network = network().await;
    let ana = Companion::linked(&network, ANA).await;
    let bob = Companion::linked(&network, BOB).await;
    let id = network.create_group(ANA, "Tea", &[]).await.unwrap().id;
    let old = ana
        .client
        .groups()
        .get_invite_link(id.parse::<Jid>().unwrap(), false)
        .await
        .unwrap();
    ana.client
        .groups()
        .get_invite_link(id.parse::<Jid>().unwrap(), true)
        .await
        .unwrap();
    let strangers = bob.client.groups();
    assert_eq!(code(strangers.get_invite_info(&old).await), 410);
    assert_eq!(code(strangers.join_with_invite_code(&old).await), 410);
    assert_eq!(code(strangers.get_invite_info("neverMade").await), 404);
    let now = network.group(&id).await.unwrap().invite;
    assert_eq!(strangers.get_invite_info(&now).await.unwrap().id.to_string(), id);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_has_a_picture() {
    // The header of a frame of so many pixels across and down.
    let jpeg = |width: u8, height: u8| {
        vec![
            0xff, 0xd8, 0xff, 0xc0, 0, 11, 8, 0, height, 0, width, 1, 1, 0x11, 0, 0xff, 0xd9,
        ]
    };
    let network = network().await;
    let ana = Companion::linked(&network, ANA).await;
    let bob = Companion::linked(&network, BOB).await;
    let id = network.create_group(ANA, "Tea", &[BOB.to_owned()]).await.unwrap().id;
    let jid: Jid = id.parse().unwrap();
    let shown = async || bob.client.contacts().get_profile_picture(&jid, false).await.unwrap();
    assert!(shown().await.is_none());
    let groups = ana.client.groups();
    for wrong in [jpeg(9, 8), b"\x89PNG".to_vec()] {
        let refused = groups.set_profile_picture(jid.clone(), wrong);
        assert_eq!(code(refused.await), 406);
    }
    let made = groups.set_profile_picture(jid.clone(), jpeg(9, 9)).await.unwrap().id;
    let picture = shown().await.unwrap();
    assert_eq!(picture.id, made);
    assert!(picture.url.ends_with(&picture.direct_path.unwrap()), "{}", picture.url);
    assert_eq!(network.group_picture(&id).await.unwrap(), jpeg(9, 9));
    let told = |event: &Event| match event {
        Event::PictureUpdate(update) => Some((update.jid.to_string(), update.removed, update.picture_id.clone())),
        _ => None,
    };
    assert_eq!(bob.saw("the picture", told).await, (id.clone(), false, Some(made)));

    let locked = GroupChange {
        locked: Some(true),
        ..GroupChange::default()
    };
    network.change_group(&id, locked).await.unwrap();
    let member = bob.client.groups();
    assert_eq!(code(member.remove_profile_picture(jid.clone()).await), 403);
    groups.remove_profile_picture(jid.clone()).await.unwrap();
    assert!(shown().await.is_none());
    until("that it is gone", || async {
        bob.all(told).into_iter().find(|(_, removed, _)| *removed)
    })
    .await;
    let (status, _, _) = request(&network, "GET", &format!("/groups/{id}/picture"), None).await;
    assert_eq!(status, 404);
}

/// The server's code of a refusal.
fn code<T: std::fmt::Debug>(answer: Result<T, GroupError>) -> u16 {
    match answer {
        Err(GroupError::Iq(IqError::ServerError { code, .. })) => code,
        other => panic!("{other:?}"),
    }
}
