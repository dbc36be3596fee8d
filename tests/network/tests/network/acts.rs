//! Receipts, presence and calls, between phones and devices.

use serde_json::json;
use wacore::types::call::CallAction;
use wacore::types::events::Event;
use wacore::types::presence::{ChatPresence, ChatPresenceMedia, ReceiptType};
use whatsapp_rust::Jid;

use crate::admin::request;
use crate::companion::{ANA, BOB, Companion, network, until};

#[tokio::test(flavor = "multi_thread")]
async fn a_phone_says_what_it_read_and_played_and_can_keep_silent() {
    let network = network().await;
    let companion = Companion::linked(&network, ANA).await;
    let silent = json!({ "delivery_receipts": false });
    assert_eq!(
        request(&network, "PATCH", &format!("/accounts/{BOB}"), Some(silent))
            .await
            .0,
        204
    );
    let id = companion.send(BOB, "hello").await;
    until("the text", || async { network.messages(BOB).await.unwrap().pop() }).await;
    let of = |wanted: ReceiptType| {
        let id = id.clone();
        move |event: &Event| match event {
            Event::Receipt(receipt) if receipt.message_ids.contains(&id) && receipt.r#type == wanted => Some(()),
            _ => None,
        }
    };
    for (kind, wanted) in [
        ("delivery", ReceiptType::Delivered),
        ("read", ReceiptType::Read),
        ("played", ReceiptType::Played),
    ] {
        assert!(companion.all(of(wanted.clone())).is_empty(), "{kind} came by itself");
        let body = json!({ "ids": [id], "type": kind });
        assert_eq!(
            request(&network, "POST", &format!("/accounts/{BOB}/receipts"), Some(body))
                .await
                .0,
            204
        );
        companion.saw(kind, of(wanted)).await;
    }
    let unknown = json!({ "ids": ["x"], "type": "read" });
    assert_eq!(
        request(&network, "POST", &format!("/accounts/{BOB}/receipts"), Some(unknown))
            .await
            .0,
        404
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn presence_and_typing_are_seen_on_both_sides() {
    let network = network().await;
    let companion = Companion::linked(&network, ANA).await;
    companion.client.presence().subscribe(Jid::pn(BOB)).await.unwrap();
    let there = |wanted: bool| {
        move |event: &Event| match event {
            Event::Presence(presence) if presence.unavailable != wanted => Some(presence.from.to_string()),
            _ => None,
        }
    };
    // The answer to the question: nobody is there.
    companion.saw("that Bob is away", there(false)).await;
    network.show_presence(BOB, "available", None).await.unwrap();
    let bob = companion.saw("that Bob is there", there(true)).await;
    assert_eq!(bob, network.create_account(BOB).await.unwrap().lid);
    let body = json!({ "state": "recording", "to": ANA });
    assert_eq!(
        request(&network, "POST", &format!("/accounts/{BOB}/presence"), Some(body))
            .await
            .0,
        204
    );
    companion
        .saw("that Bob records", |event| match event {
            Event::ChatPresence(chat) if chat.state == ChatPresence::Composing => {
                (chat.media == ChatPresenceMedia::Audio).then_some(())
            }
            _ => None,
        })
        .await;
    companion
        .client
        .chatstate()
        .send_composing(&Jid::pn(BOB))
        .await
        .unwrap();
    let seen = until("that Ana writes", || async {
        network.presence(BOB).await.unwrap().pop()
    })
    .await;
    assert_eq!(
        (seen.from.as_str(), seen.state.as_str()),
        (format!("{ANA}:1@s.whatsapp.net").as_str(), "composing")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asks_later_is_told_what_a_phone_showed_before() {
    let network = network().await;
    let companion = Companion::linked(&network, ANA).await;
    network.show_presence(BOB, "available", None).await.unwrap();
    companion.client.presence().subscribe(Jid::pn(BOB)).await.unwrap();
    let shown = |there: bool, event: &Event| match event {
        Event::Presence(presence) if presence.unavailable != there => Some(presence.last_seen.is_some()),
        _ => None,
    };
    companion.saw("that Bob is there", |event| shown(true, event)).await;
    network.show_presence(BOB, "unavailable", None).await.unwrap();
    companion.saw("that Bob went", |event| shown(false, event)).await;
    companion.client.presence().subscribe(Jid::pn(BOB)).await.unwrap();
    until("the time again", || async {
        let told = companion.all(|event| shown(false, event));
        (told.len() == 2 && told.iter().all(|time| *time)).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_rings_and_ends() {
    let network = network().await;
    let companion = Companion::linked(&network, ANA).await;
    let (_, _, call) = request(
        &network,
        "POST",
        &format!("/accounts/{BOB}/calls"),
        Some(json!({ "to": ANA })),
    )
    .await;
    let id = call["id"].as_str().unwrap().to_owned();
    companion
        .saw("the ringing", |event| match event {
            Event::IncomingCall(call) => match &call.action {
                CallAction::Offer { call_id, .. } => (*call_id == id).then_some(()),
                _ => None,
            },
            _ => None,
        })
        .await;
    let path = format!("/accounts/{BOB}/calls/{id}/terminate");
    assert_eq!(request(&network, "POST", &path, None).await.2["state"], "terminated");
    companion
        .saw("the end", |event| match event {
            Event::IncomingCall(call) => matches!(&call.action, CallAction::Terminate { .. }).then_some(()),
            Event::MissedCall(_) => Some(()),
            _ => None,
        })
        .await;
    assert_eq!(network.calls(BOB).await.unwrap()[0].state, "terminated");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_phone_hands_its_history_to_a_device() {
    let network = network().await;
    for text in ["old", "older"] {
        network.send_text(BOB, ANA, text).await.unwrap();
    }
    let companion = Companion::linked(&network, ANA).await;
    let (status, _, shared) = request(&network, "POST", &format!("/accounts/{ANA}/history"), None).await;
    assert_eq!((status, &shared["messages"]), (200, &json!(2)));
    companion
        .saw("the history", |event| match event {
            Event::HistorySync(history) => history.decompress().ok().filter(|bytes| !bytes.is_empty()).map(drop),
            _ => None,
        })
        .await;
}
