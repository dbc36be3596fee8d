//! What phones do for their devices: copies of messages, files that are gone, status updates.

use serde_json::{Value, json};
use wacore::media_retry::MediaRetryResult;
use wacore::types::events::{Event, UnavailableType};
use wharf_support::wait_until;
use whatsapp_rust::Jid;
use whatsapp_rust::features::MediaReuploadRequest;
use whatsapp_rust::waproto::whatsapp::message::extended_text_message::FontType;

use crate::admin::request;
use crate::companion::{ANA, BOB, Companion, DEADLINE, network, until};

async fn send(network: &wharf_testnet::Network, body: Value) -> String {
    let (status, _, sent) = request(network, "POST", &format!("/accounts/{BOB}/messages"), Some(body)).await;
    assert_eq!(status, 200, "{sent}");
    sent["ids"][0].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_gets_the_phones_copy_of_what_it_did_not_get() {
    let network = network().await;
    let companion = Companion::linked(&network, ANA).await;
    let id = send(
        &network,
        json!({ "to": ANA, "text": "only there", "unavailable": "unknown" }),
    )
    .await;
    let copy = companion.message(&id).await;
    assert_eq!(copy.message.conversation.as_deref(), Some("only there"));
    assert!(copy.info.unavailable_request_id.is_some(), "it was asked for");
    let group = network.create_group(BOB, "Tea", &[ANA.to_owned()]).await.unwrap();
    let id = send(
        &network,
        json!({ "to": group.id, "text": "there too", "unavailable": "unknown" }),
    )
    .await;
    let copy = companion.message(&id).await;
    assert_eq!(copy.info.source.chat.to_string(), group.id);

    for (why, kind) in [
        ("view_once", UnavailableType::ViewOnce),
        ("hosted", UnavailableType::Hosted),
        ("bot", UnavailableType::Bot),
    ] {
        let id = send(&network, json!({ "to": ANA, "text": "never", "unavailable": why })).await;
        let heard = companion.saw("that it is not there", |event| match event {
            Event::UndecryptableMessage(lost) if lost.info.id == id => Some(lost.unavailable_type),
            _ => None,
        });
        assert_eq!(heard.await, kind);
    }
    // A phone that is off answers nothing; the device takes the message off the queue all the same.
    let account = format!("/accounts/{ANA}");
    let (status, _, refusal) = request(&network, "PATCH", &account, Some(json!({}))).await;
    assert_eq!(
        (status, refusal["detail"].as_str().unwrap().contains("answers_devices")),
        (400, true)
    );
    request(&network, "PATCH", &account, Some(json!({ "answers_devices": false }))).await;
    let lost = send(
        &network,
        json!({ "to": ANA, "text": "never", "unavailable": "unknown" }),
    )
    .await;
    network.send_text(BOB, ANA, "after it").await.unwrap();
    companion.text("after it").await;
    until("an empty queue", || async {
        (network.stats().await.unacked == 0).then_some(())
    })
    .await;
    let came = companion.all(|event| match event {
        Event::Messages(batch) => batch.messages.iter().any(|one| one.info.id == lost).then_some(()),
        _ => None,
    });
    assert!(came.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_expired_is_laid_down_again() {
    let network = network().await;
    let companion = Companion::linked(&network, ANA).await;
    let id = send(&network, json!({ "to": ANA, "kind": "image", "size": 3000 })).await;
    let message = companion.message(&id).await.message;
    let image = message.image_message.as_option().unwrap().clone();
    assert_eq!(companion.client.download(&image).await.unwrap().len(), 3000);
    let file = format!("/accounts/{BOB}/messages/{id}/media");
    assert_eq!(request(&network, "DELETE", &file, None).await.0, 204);
    assert_eq!(request(&network, "DELETE", &file, None).await.0, 404);
    assert!(companion.client.download(&image).await.is_err());
    let ask_in = |chat: Jid, key: Vec<u8>| {
        let (client, id) = (companion.client.clone(), id.clone());
        async move {
            let request = MediaReuploadRequest {
                msg_id: &id,
                chat_jid: &chat,
                media_key: &key,
                is_from_me: false,
                participant: None,
            };
            client.media_reupload().request(&request).await.unwrap()
        }
    };
    let chat = companion.message(&id).await.info.source.chat.clone();
    let ask = |key| ask_in(chat.clone(), key);
    let key = image.media_key.clone().unwrap();
    // A phone knows the message by the names that its stanza had.
    let by_number = ask_in(Jid::pn(BOB), key.clone()).await;
    assert!(matches!(by_number, MediaRetryResult::NotFound), "{by_number:?}");
    let MediaRetryResult::Success { direct_path } = ask(key).await else {
        panic!("no file")
    };
    assert_ne!(Some(&direct_path), image.direct_path.as_ref());
    let mut again = image.clone();
    again.direct_path = Some(direct_path);
    assert_eq!(companion.client.download(&again).await.unwrap().len(), 3000);
    // With another key the phone cannot read what is asked.
    assert!(matches!(ask(vec![7; 32]).await, MediaRetryResult::DecryptionError));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_status_reaches_everybodys_devices_and_phones() {
    let network = network().await;
    let companion = Companion::linked(&network, ANA).await;
    let own = Companion::linked(&network, BOB).await;
    for text in ["good morning", "good night"] {
        let id = send(&network, json!({ "to": "status@broadcast", "text": text })).await;
        let seen = companion.message(&id).await;
        assert!(seen.info.source.chat.to_string() == "status@broadcast");
        assert_eq!(seen.info.source.sender_alt.as_ref().unwrap().user, BOB);
        assert_eq!(own.message(&id).await.message.conversation.as_deref(), Some(text));
    }
    let received = network.messages(ANA).await.unwrap();
    assert_eq!(
        received[0].details.as_ref().unwrap().group.as_deref(),
        Some("status@broadcast")
    );
    let call = json!({ "to": "status@broadcast" });
    let (status, _, refusal) = request(&network, "POST", &format!("/accounts/{BOB}/calls"), Some(call)).await;
    assert_eq!(status, 400, "{refusal}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_devices_status_reaches_those_whom_it_names() {
    let network = network().await;
    let companion = Companion::linked(&network, ANA).await;
    let reader = Companion::linked(&network, BOB).await;
    network.create_account("5511777777777").await.unwrap();
    let number = Jid::pn(BOB);
    companion
        .client
        .contacts()
        .is_on_whatsapp(std::slice::from_ref(&number))
        .await
        .unwrap();
    for text in ["good morning", "good night"] {
        let sent = companion
            .client
            .status()
            .send_text(
                text,
                0xFF1E_6E4F,
                FontType::SYSTEM,
                std::slice::from_ref(&number),
                Default::default(),
            )
            .await
            .unwrap();
        let seen = reader.message(&sent.message_id).await;
        assert!(seen.info.source.chat.to_string() == "status@broadcast");
        wait_until("the phone has it", DEADLINE, || async {
            let all = network.messages(BOB).await.unwrap();
            all.into_iter()
                .find(|message| message.id == sent.message_id && message.text == text)
        })
        .await;
    }
    assert_eq!(network.messages("5511777777777").await.unwrap(), []);
}
