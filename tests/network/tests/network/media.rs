//! Files in both directions, and what can be wrong with them.

use std::time::{Duration, Instant};

use serde_json::json;
use sha2::{Digest as _, Sha256};
use wacore::download::MediaType;
use waproto::buffa::MessageField;
use waproto::whatsapp::Message;
use waproto::whatsapp::message::ImageMessage;
use whatsapp_rust::Jid;

use crate::admin::request;
use crate::companion::{ANA, BOB, Companion, network, until};

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_downloads_what_a_phone_sends_unless_something_is_wrong_with_it() {
    let network = network().await;
    let companion = Companion::linked(&network, ANA).await;
    let body = json!({ "to": ANA, "kind": "image", "size": 200_000, "mime_type": "image/png" });
    let (_, _, sent) = request(&network, "POST", &format!("/accounts/{BOB}/messages"), Some(body)).await;
    let arrived = companion.message(sent["ids"][0].as_str().unwrap()).await;
    let image = arrived.message.image_message.as_option().unwrap();
    assert_eq!(image.mimetype.as_deref(), Some("image/png"));
    let plain = companion.client.download(image).await.unwrap();
    assert_eq!(plain.len(), 200_000);
    assert_eq!(sent["media"]["sha256"], hex(&Sha256::digest(&plain)));
    for kind in ["media_missing", "media_truncated", "media_corrupt", "media_error"] {
        // The client asks twice by itself, so a fault that strikes once would not show.
        for (for_ms, fails) in [(600_000, true), (0, false)] {
            let fault = json!({ "kind": kind, "phone": ANA, "for_ms": for_ms });
            assert_eq!(request(&network, "POST", "/faults", Some(fault)).await.0, 204);
            assert_eq!(companion.client.download(image).await.is_err(), fails, "{kind}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_stalls_answers_when_the_fault_ends() {
    let network = network().await;
    let companion = Companion::linked(&network, ANA).await;
    let body = json!({ "to": ANA, "kind": "image", "size": 1_000 });
    let (_, _, sent) = request(&network, "POST", &format!("/accounts/{BOB}/messages"), Some(body)).await;
    let arrived = companion.message(sent["ids"][0].as_str().unwrap()).await;
    let image = arrived.message.image_message.as_option().unwrap();
    let (lasts, began) = (Duration::from_secs(2), Instant::now());
    let stall = json!({ "kind": "media_stall", "phone": ANA, "for_ms": 2_000 });
    assert_eq!(request(&network, "POST", "/faults", Some(stall)).await.0, 204);
    let upload = companion
        .client
        .upload(vec![1; 1_000], MediaType::Image, Default::default());
    let (down, up) = tokio::join!(companion.client.download(image), upload);
    assert_eq!((down.unwrap().len(), up.unwrap().file_length), (1_000, 1_000));
    assert!(began.elapsed() >= lasts, "it was answered while all was silent");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_phone_reads_the_file_that_a_device_sends() {
    let network = network().await;
    let companion = Companion::linked(&network, ANA).await;
    let plain: Vec<u8> = (0..100_000_u32).map(|n| (n % 251) as u8).collect();
    let uploaded = companion
        .client
        .upload(plain.clone(), MediaType::Image, Default::default())
        .await
        .unwrap();
    let image = ImageMessage {
        url: Some(uploaded.url),
        direct_path: Some(uploaded.direct_path),
        media_key: Some(uploaded.media_key.to_vec()),
        file_sha256: Some(uploaded.file_sha256.to_vec()),
        file_enc_sha256: Some(uploaded.file_enc_sha256.to_vec()),
        file_length: Some(uploaded.file_length),
        mimetype: Some("image/jpeg".to_owned()),
        caption: Some("look".to_owned()),
        ..Default::default()
    };
    let message = Message {
        image_message: MessageField::some(image),
        ..Default::default()
    };
    let sent = companion.client.send_message(Jid::pn(BOB), message).await.unwrap();
    let seen = until("the image", || async { network.messages(BOB).await.unwrap().pop() }).await;
    assert_eq!(
        (seen.id.as_str(), seen.text.as_str(), &*seen.kind),
        (sent.message_id.as_str(), "look", "image")
    );
    let media = seen.details.unwrap().media.unwrap();
    assert_eq!(
        (media.size, media.intact, media.sha256),
        (100_000, Some(true), hex(&Sha256::digest(&plain)))
    );
    assert_eq!(network.media(BOB, &sent.message_id).await.unwrap(), plain);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_store_gives_ranges_and_takes_only_what_fits_its_token() {
    let network = network().await;
    let url = network.media_url();
    let http = crate::admin::http();
    for auth in ["", "auth=5500000000000&", "auth=x&"] {
        let unknown = http.post(format!("{url}/mms/image/abc?{auth}token=abc"));
        assert_eq!(unknown.body("x").send().await.unwrap().status(), 401, "{auth}");
    }
    let wrong = http
        .post(format!("{url}/mms/image/abc?auth={ANA}"))
        .body("x")
        .send()
        .await
        .unwrap();
    assert_eq!(wrong.status(), 400);
    use base64::Engine as _;
    let token = base64::prelude::BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(b"0123456789"));
    let asked = format!("{url}/mms/image/{token}?auth={ANA}&token={token}");
    let before = http
        .post(format!("{asked}&resume=1"))
        .send()
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    assert_eq!(before, r#"{"resume":"0"}"#);
    let taken: serde_json::Value = serde_json::from_str(
        &http
            .post(&asked)
            .body("0123456789")
            .send()
            .await
            .unwrap()
            .text()
            .await
            .unwrap(),
    )
    .unwrap();
    let path = taken["direct_path"].as_str().unwrap();
    let part = http
        .get(format!("{url}{path}?token={token}"))
        .header("range", "bytes=2-4")
        .send()
        .await
        .unwrap();
    assert_eq!(part.status(), 206);
    assert_eq!(part.headers()["content-range"], "bytes 2-4/10");
    assert_eq!(part.text().await.unwrap(), "234");
    assert_eq!(http.get(format!("{url}/v/none")).send().await.unwrap().status(), 404);
}
