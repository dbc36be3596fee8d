//! Whom our sender key of a group was given.

use whatsapp_rust::store::traits::{ProtocolStore as _, SignalStore as _};

use super::{World, mapping, numbers};

const GROUP: &str = "1@g.us";

/// WhatsApp refused their prekeys when the first message went, say.
#[tokio::test]
async fn only_who_has_been_met_has_the_key() {
    let world = World::start().await;
    let keys = world.device(&numbers()[0]);
    let given = async |devices: &[(&str, bool)]| {
        keys.set_sender_key_status(GROUP, devices).await.unwrap();
        let mut given = keys.get_sender_key_devices(GROUP).await.unwrap();
        given.sort();
        given
    };
    let all = [
        "11@lid",
        "11:3@lid",
        "12@lid",
        "551@s.whatsapp.net",
        "552:4@s.whatsapp.net",
        "553@s.whatsapp.net",
    ];
    let all = all.map(|device| (device, true));
    assert_eq!(given(&all).await, []);

    let hidden = [mapping("22", "552", 1), mapping("23", "553", 1)];
    keys.put_lid_mappings(&hidden).await.unwrap();
    for address in [
        "11@lid.0",
        "11:3@lid.0",
        "551@c.us.0",
        "22:4@lid.0",
        "12:1@lid.0",
        "23:9@lid.0",
    ] {
        keys.put_session(address, b"session").await.unwrap();
    }
    // Another number's.
    world
        .device(&numbers()[1])
        .put_session("12@lid.0", b"session")
        .await
        .unwrap();
    let had = |device: &str| (device.to_owned(), true);
    let met = ["11:3@lid", "11@lid", "551@s.whatsapp.net", "552:4@s.whatsapp.net"];
    assert_eq!(given(&all).await, met.map(had));

    // One that asks for it has none, met or not; what is said of others stays.
    let asked = given(&[("11@lid", false), ("12@lid", false)]).await;
    let has_none = asked
        .iter()
        .filter(|(_, has_key)| !has_key)
        .map(|(device, _)| device.as_str());
    assert_eq!(has_none.collect::<Vec<_>>(), ["11@lid", "12@lid"]);
    assert_eq!(asked.len(), met.len() + 1);

    keys.put_session("12@lid.0", b"session").await.unwrap();
    assert!(given(&[("12@lid", true)]).await.contains(&had("12@lid")));
}
