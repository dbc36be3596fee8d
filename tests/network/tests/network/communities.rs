//! Communities: what they are made of, who is in them, what devices are told.

use serde_json::{Value, json};
use wacore::stanza::groups::GroupNotificationAction;
use wacore::types::events::Event;
use wharf_testnet::{GroupChange, Network, NetworkError};
use whatsapp_rust::Jid;
use whatsapp_rust::features::{CommunityError, CreateCommunityOptions, GroupType, group_type};

use crate::admin::request;
use crate::companion::{ANA, BOB, Companion, network, until};

const EVE: &str = "5511777777777";

/// The numbers in a group.
async fn members(network: &Network, group: &str) -> Vec<String> {
    let view = network.group(group).await.unwrap();
    view.participants.into_iter().map(|member| member.phone).collect()
}

/// What a device was told of groups that came or went: the group told of, the word, the kind and the other group.
fn links(event: &Event) -> Option<(String, &'static str, String, String)> {
    let Event::GroupUpdate(update) = event else { return None };
    let (word, kind, raw) = match &update.action {
        GroupNotificationAction::Link { link_type, raw } => ("link", link_type, raw),
        GroupNotificationAction::Unlink { unlink_type, raw, .. } => ("unlink", unlink_type, raw),
        _ => return None,
    };
    let other = raw.get_optional_child("group")?.attrs().optional_jid("jid")?;
    Some((update.group_jid.to_string(), word, kind.clone(), other.to_string()))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_founds_a_community_and_its_groups() {
    let network = network().await;
    network.create_account(EVE).await.unwrap();
    let ana = Companion::linked(&network, ANA).await;
    let api = ana.client.community();
    let made = api.create(CreateCommunityOptions::new("Harbour street")).await.unwrap();
    let community = made.metadata.id.clone();
    assert_eq!(group_type(&made.metadata), GroupType::Community);
    let inside = api
        .create_subgroup("Boats", &[Jid::pn(BOB)], community.clone())
        .await
        .unwrap();
    let boats = inside.metadata.id.clone();
    assert_eq!(
        (group_type(&inside.metadata), inside.metadata.parent_group_jid.as_ref()),
        (GroupType::LinkedSubgroup, Some(&community))
    );

    let mut groups = api.get_subgroups(&community).await.unwrap();
    groups.sort_by_key(|group| (!group.is_default_sub_group, !group.is_general_chat));
    let told: Vec<_> = groups
        .iter()
        .map(|group| (group.subject.as_str(), group.participant_count))
        .collect();
    assert_eq!(
        told,
        [("Harbour street", Some(2)), ("General", Some(2)), ("Boats", Some(2))]
    );
    assert!(groups[0].is_default_sub_group && groups[1].is_general_chat);
    let counts = api.get_subgroup_participant_counts(&community).await.unwrap();
    assert!(counts.contains(&(boats.clone(), 2)), "{counts:?}");
    let queried = api.query_linked_group(community.clone(), boats.clone()).await.unwrap();
    assert_eq!(queried.subject, "Boats");

    // All of them are groups that one is in, each told apart.
    let participating = ana.client.groups().get_participating().await.unwrap();
    let mut kinds: Vec<_> = participating
        .values()
        .map(|group| format!("{:?}", group_type(group)))
        .collect();
    kinds.sort();
    assert_eq!(
        kinds,
        [
            "Community",
            "LinkedAnnouncementGroup",
            "LinkedGeneralGroup",
            "LinkedSubgroup"
        ]
    );
    assert_eq!(api.get_participating().await.unwrap().len(), 1);

    // Who joins one of its groups is in the community; who goes from the community goes from all.
    let announcement = groups[0].id.to_string();
    ana.client
        .groups()
        .add_participants(boats.clone(), &[Jid::pn(EVE)])
        .await
        .unwrap();
    for group in [&community.to_string(), &announcement, &boats.to_string()] {
        assert_eq!(members(&network, group).await, [EVE, ANA, BOB], "{group}");
    }
    let all = api.get_linked_groups_participants(community.clone()).await.unwrap();
    assert_eq!(all.len(), 3);
    api.remove_participants(community.clone(), &[Jid::pn(EVE)])
        .await
        .unwrap();
    for group in [&community.to_string(), &announcement, &boats.to_string()] {
        assert_eq!(members(&network, group).await, [ANA, BOB], "{group}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn groups_come_into_a_community_and_leave_it() {
    let network = network().await;
    network.create_account(EVE).await.unwrap();
    let ana = Companion::linked(&network, ANA).await;
    let bob = Companion::linked(&network, BOB).await;
    let new = json!({ "subject": "Street", "owner": ANA, "participants": [EVE], "community": true });
    let (_, _, made) = request(&network, "POST", "/groups", Some(new)).await;
    let community: Jid = made["id"].as_str().unwrap().parse().unwrap();
    assert_eq!(made["is_community"], true);
    let boats = network.create_group(ANA, "Boats", &[BOB.to_owned()]).await.unwrap().id;
    let theirs = network
        .create_group(BOB, "Not Ana's", &[ANA.to_owned()])
        .await
        .unwrap()
        .id;
    let [boats_jid, theirs_jid]: [Jid; 2] = [&boats, &theirs].map(|id| id.parse().unwrap());

    let api = ana.client.community();
    let result = api
        .link_subgroups(community.clone(), &[boats_jid.clone(), theirs_jid.clone()])
        .await
        .unwrap();
    assert_eq!(
        (result.linked_jids, result.failed_groups),
        (vec![boats_jid.clone()], vec![(theirs_jid, 403)])
    );
    let parent = (boats.clone(), "link", "parent_group".to_owned(), community.to_string());
    until("Bob to be told", || async {
        bob.all(links).contains(&parent).then_some(())
    })
    .await;
    let view = network.group(&boats).await.unwrap();
    assert_eq!(view.linked_parent, Some(community.to_string()));
    let announcement = network
        .groups()
        .await
        .into_iter()
        .find(|group| group.is_community_announce)
        .unwrap();
    assert_eq!(members(&network, &announcement.id).await, [EVE, ANA, BOB]);
    let again = api
        .link_subgroups(community.clone(), std::slice::from_ref(&boats_jid))
        .await
        .unwrap();
    assert_eq!(again.failed_groups, [(boats_jid.clone(), 409)]);

    // Only admins write announcements, nobody writes to the community itself.
    for (from, to) in [(BOB, announcement.id.as_str()), (ANA, made["id"].as_str().unwrap())] {
        let refused = network.send_text(from, to, "x").await;
        assert!(matches!(refused, Err(NetworkError::Conflict(_))), "{refused:?}");
    }
    let sent = bob.client.send_text(community.clone(), "x").await.unwrap().message_id;
    assert_eq!(bob.server_ack(&sent).await.as_deref(), Some("403"));
    for (group, text) in [(&announcement.id, "to all"), (&boats, "to the boats")] {
        network.send_text(ANA, group, text).await.unwrap();
        assert_eq!(bob.text(text).await, ANA);
    }

    // Who was there for this group only goes with it.
    let result = api
        .unlink_subgroups(community.clone(), std::slice::from_ref(&boats_jid), true)
        .await
        .unwrap();
    assert_eq!(result.unlinked_jids, [boats_jid]);
    assert_eq!(members(&network, made["id"].as_str().unwrap()).await, [EVE, ANA]);
    assert_eq!(network.group(&boats).await.unwrap().linked_parent, None);
    let child = (community.to_string(), "unlink", "sub_group".to_owned(), boats.clone());
    until("Bob to be told", || async {
        bob.all(links).contains(&child).then_some(())
    })
    .await;
    let refused = bob
        .client
        .community()
        .link_subgroups(community.clone(), &[boats.parse().unwrap()])
        .await;
    assert!(
        matches!(refused, Err(CommunityError::Iq(_))),
        "Bob is not in it any more: {refused:?}"
    );
    // By the admin route it is said what does not fit.
    for (wanted, why) in [
        (json!({"link": ["120363000000000009@g.us"]}), "no group"),
        (json!({"unlink": [announcement.id]}), "announcement"),
    ] {
        let (status, _, problem) = request(&network, "PATCH", &format!("/groups/{community}"), Some(wanted)).await;
        assert_eq!(status, 409);
        assert!(problem["detail"].as_str().unwrap().contains(why), "{problem}");
    }
    let on_a_group = GroupChange {
        link: vec![theirs],
        ..GroupChange::default()
    };
    assert!(matches!(
        network.change_group(&boats, on_a_group).await,
        Err(NetworkError::Conflict(_))
    ));
    let both = json!({ "subject": "x", "owner": ANA, "community": true, "linked_parent": community.to_string() });
    let (status, _, problem): (_, _, Value) = request(&network, "POST", "/groups", Some(both)).await;
    assert_eq!(status, 400, "{problem}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_joins_a_group_of_the_community() {
    let network = network().await;
    let ana = Companion::linked(&network, ANA).await;
    let community = network
        .create_community(BOB, "Street", &[ANA.to_owned()])
        .await
        .unwrap()
        .id;
    let boats = network
        .create_group_inside(&community, BOB, "Boats", &[])
        .await
        .unwrap()
        .id;
    let [community, boats_jid]: [Jid; 2] = [&community, &boats].map(|id| id.parse().unwrap());
    let joined = ana
        .client
        .community()
        .join_subgroup(community, boats_jid)
        .await
        .unwrap();
    assert_eq!(joined.subject, "Boats");
    assert_eq!(members(&network, &boats).await, [ANA, BOB]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_community_ends_and_its_groups_stay() {
    let network = network().await;
    let ana = Companion::linked(&network, ANA).await;
    let bob = Companion::linked(&network, BOB).await;
    let made = ana.client.community();
    let made = made.create(CreateCommunityOptions::new("Street")).await.unwrap();
    let community = made.metadata.id.clone();
    let inside = ana.client.community();
    let inside = inside
        .create_subgroup("Boats", &[Jid::pn(BOB)], community.clone())
        .await
        .unwrap();
    let boats = inside.metadata.id.to_string();
    let refused = bob.client.community().deactivate(community.clone()).await;
    assert!(matches!(refused, Err(CommunityError::Iq(_))), "{refused:?}");

    ana.client.community().deactivate(community.clone()).await.unwrap();
    let parent = (
        boats.clone(),
        "unlink",
        "parent_group".to_owned(),
        community.to_string(),
    );
    let gone = |event: &Event| {
        let Event::GroupUpdate(update) = event else { return None };
        let GroupNotificationAction::Delete { reason } = &update.action else {
            return None;
        };
        Some((update.group_jid.to_string(), reason.clone()))
    };
    // The community, its announcement group, and the chat of all.
    until("Bob to be told", || async {
        let (links, gone) = (bob.all(links), bob.all(gone));
        (links.contains(&parent) && gone.len() == 3).then_some(())
    })
    .await;
    let told = bob.all(gone);
    assert!(
        told.iter()
            .all(|(_, reason)| reason.as_deref() == Some("delete_parent")),
        "{told:?}"
    );
    assert!(told.iter().any(|(id, _)| *id == community.to_string()), "{told:?}");
    let groups = network.groups().await;
    let left: Vec<_> = groups.iter().map(|group| group.id.as_str()).collect();
    assert_eq!(left, [boats.as_str()]);
    assert_eq!(groups[0].linked_parent, None);
    network.send_text(ANA, &boats, "still here").await.unwrap();
    assert_eq!(bob.text("still here").await, ANA);

    // By the admin route a phone does it; a plain group cannot be ended.
    let (status, _, problem) = request(&network, "DELETE", &format!("/groups/{boats}"), None).await;
    assert_eq!(status, 409, "{problem}");
    let other = network.create_community(BOB, "Square", &[]).await.unwrap();
    let (status, ..) = request(&network, "DELETE", &format!("/groups/{}", other.id), None).await;
    assert_eq!(status, 204);
    assert_eq!(network.groups().await.len(), 1);
}
