//! Files that are not sent, and what the client is told.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use reqwest::StatusCode;
use serde_json::{Value, json};
use wharf_support::{Receiver, wait_until};

use super::{
    super::world::{CONTACT, NUMBER, WITHIN, World},
    MESSAGES, parts, post_parts,
    samples::noise,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_inside_is_refused_as_a_webhooks_is() {
    let world = World::start_with(&[("WHARF_DELIVERY__ALLOW_PRIVATE_NETWORKS", "false")]).await;
    world.network.create_account(CONTACT).await.unwrap();
    world.link(NUMBER).await;
    let origin = Receiver::start().await;
    for address in [
        origin.url("/secret"),
        "http://169.254.169.254/latest/meta-data/".to_owned(),
        "http://[::1]/".to_owned(),
        "http://localhost:1/x".to_owned(),
        "ftp://example.com/x".to_owned(),
    ] {
        let body = json!({"to": CONTACT, "type": "image", "media": {"url": address}});
        let refused = world.api().post(MESSAGES, body).await.expect(StatusCode::BAD_REQUEST);
        assert_eq!(refused["errors"][0]["field"], "media.url", "{address}: {refused}");
    }
    assert_eq!(origin.count(), 0);
    let all = world.api().get(MESSAGES).await.expect(StatusCode::OK);
    assert_eq!(all["data"], json!([]), "what is refused is no message");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_sent_is_refused_and_says_why() {
    let world = World::start_with(&[("WHARF_MEDIA__SEND_MAX_BYTES", "200000")]).await;
    world.linked("/ok").await;
    let api = world.api();
    let post = async |body: Value| api.post(MESSAGES, body).await;
    let image = |media: Value| json!({"to": CONTACT, "type": "image", "media": media});
    let text = BASE64_STANDARD.encode("no picture");
    for (body, field, says) in [
        (image(json!({"base64": "AA!A"})), "media.base64", "not base64"),
        (
            image(json!({"base64": "data:image/png;base64,AAAA"})),
            "media.base64",
            "data: prefix",
        ),
        (image(json!({"base64": text})), "media.base64", "image/jpeg, image/png"),
        (
            image(json!({"base64": text, "url": "https://a.b/c"})),
            "media.url",
            "not both",
        ),
        (image(json!({})), "media.url", "url or base64"),
        (
            image(json!({"base64": text, "mime_type": "png"})),
            "media.mime_type",
            "MIME type",
        ),
        (json!({"to": CONTACT, "type": "image"}), "media", "is missing"),
        (
            json!({"to": CONTACT, "type": "sticker", "caption": "x", "media": {"base64": text}}),
            "caption",
            "not a known field",
        ),
        (
            json!({"to": CONTACT, "type": "audio", "view_once": true, "media": {"base64": text}}),
            "view_once",
            "not a known",
        ),
        (
            json!({"to": CONTACT, "type": "voice", "media": {"base64": BASE64_STANDARD.encode(b"ID3 an mp3")}}),
            "media.base64",
            "opus",
        ),
    ] {
        let refused = post(body.clone()).await.expect(StatusCode::BAD_REQUEST);
        let error = &refused["errors"][0];
        assert_eq!(error["field"], field, "{body}: {refused}");
        assert!(error["message"].as_str().unwrap().contains(says), "{body}: {refused}");
    }
    let document = json!({"to": CONTACT, "type": "document"});
    let large = post_parts(api, None, parts(&document, "text/plain", "a.txt", &noise(200_001))).await;
    assert_eq!(large.status, StatusCode::PAYLOAD_TOO_LARGE, "{}", large.body);
    let text_with_file = parts(
        &json!({"to": CONTACT, "type": "text", "text": "x"}),
        "text/plain",
        "a",
        b"x",
    );
    let refused = post_parts(api, None, text_with_file)
        .await
        .expect(StatusCode::BAD_REQUEST);
    assert_eq!(refused["errors"][0]["field"], "type", "{refused}");
    assert_eq!(world.waiting_files(), 0);
    let receiving = world.dir.path().join("media/receiving");
    wait_until("nothing is left behind", WITHIN, || async {
        std::fs::read_dir(&receiving).unwrap().count() == 0
    })
    .await;
    world.stop().await;
}
