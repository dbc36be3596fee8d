//! Communities as the gateway shows them: the groups, what happens to them, what is written in them.

use reqwest::StatusCode;
use serde_json::{Value, json};
use wharf_testnet::GroupChange;

use super::world::{CONTACT, NUMBER, World};

/// What is shown of a group.
async fn shown(world: &World, group: &str) -> Value {
    let path = format!("/api/whatsapp/connections/{NUMBER}/groups/{group}");
    let group = world.api().get(&path).await.expect(StatusCode::OK);
    let keys = [
        "subject",
        "announce",
        "is_community",
        "is_community_announce",
        "linked_parent",
    ];
    keys.iter().map(|key| group[key].clone()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_community_its_groups_and_what_happens_in_them() {
    let world = World::start().await;
    let webhook = world.linked("/ok").await;
    let path = format!("/api/webhooks/{webhook}");
    let wanted = json!({"events": ["message", "group"]});
    world.api().patch(&path, wanted).await.expect(StatusCode::OK);
    let network = &world.network;
    let members = [NUMBER.to_owned()];
    let boats = network.create_group(CONTACT, "Boats", &members).await.unwrap().id;
    let community = network
        .create_community(CONTACT, "Harbour street", &[])
        .await
        .unwrap()
        .id;
    let groups = network.groups().await;
    let announcement = &groups.iter().find(|group| group.is_community_announce).unwrap().id;
    let link = |link, unlink| GroupChange {
        link,
        unlink,
        ..GroupChange::default()
    };
    let change = network.change_group(&community, link(vec![boats.clone()], Vec::new()));
    change.await.unwrap();

    // The number is in the group, so it is in the community and in its announcement group.
    assert_eq!(
        shown(&world, &community).await,
        json!(["Harbour street", false, true, false, null])
    );
    assert_eq!(
        shown(&world, announcement).await,
        json!(["Harbour street", true, false, true, community])
    );
    assert_eq!(
        shown(&world, &boats).await,
        json!(["Boats", false, false, false, community])
    );
    let list = world
        .api()
        .get(&format!("/api/whatsapp/connections/{NUMBER}/groups"))
        .await;
    assert_eq!(list.expect(StatusCode::OK)["data"].as_array().map(Vec::len), Some(3));

    let mut more = 0;
    for group in [&boats, announcement] {
        more += world.until_named(group).await;
        network.send_text(CONTACT, group, "ahoy").await.unwrap();
    }
    let change = network.change_group(&community, link(Vec::new(), vec![boats.clone()]));
    change.await.unwrap();
    assert_eq!(shown(&world, &boats).await, json!(["Boats", false, false, false, null]));

    network.dissolve_community(&community).await.unwrap();

    let told = world.api().wait_for_events(&webhook, "delivered", 10 + more).await;
    let told: Vec<&Value> = told.iter().map(|event| &event["payload"]).collect();
    let of = |kind: &str, group: &str| -> Vec<&&Value> {
        let same = |body: &&&Value| body["type"] == kind && body["group"]["id"] == group;
        told.iter().filter(same).collect()
    };
    for (group, name) in [(&boats, "Boats"), (announcement, "Harbour street")] {
        let texts = of("text", group);
        let text = texts.iter().find(|body| body["content"] == "ahoy");
        let text = text.unwrap_or_else(|| panic!("{told:#?}"));
        assert_eq!(text["from"], CONTACT);
        assert_eq!(text["group"]["subject"], name);
    }
    let (street, tender) = (
        json!([{"id": community, "subject": "Harbour street"}]),
        json!([{"id": boats, "subject": "Boats"}]),
    );
    let [linked] = of("link", &boats)[..] else {
        panic!("{told:#?}")
    };
    assert_eq!(
        linked["change"],
        json!({"link_type": "parent_group", "linked_groups": street})
    );
    assert_eq!(linked["content"], "Linked to the community Harbour street");
    for (group, kind, others) in [(&boats, "parent_group", &street), (&community, "sub_group", &tender)] {
        let [unlinked] = of("unlink", group)[..] else {
            panic!("{told:#?}")
        };
        let change = json!({"reason": "unlink_group", "link_type": kind, "linked_groups": others});
        assert_eq!(unlinked["change"], change);
    }
    for group in [announcement, &community] {
        let [ended] = of("delete", group)[..] else {
            panic!("{told:#?}")
        };
        assert_eq!(ended["change"], json!({"reason": "delete_parent"}));
        assert_eq!(ended["content"], "The group is no more");
    }
    world.stop().await;
}
