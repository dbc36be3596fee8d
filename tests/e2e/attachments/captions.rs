//! Captions that are changed, and quoted.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use reqwest::StatusCode;
use serde_json::{Value, json};
use wharf_support::wait_until;

use super::{
    super::world::{CONTACT, WITHIN, World},
    MESSAGES, id_of,
    samples::{png, sticker},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_caption_of_what_was_sent_is_changed_and_quoted() {
    let world = World::start_with(&[("WHARF_SENDING__PER_SECOND", "0")]).await;
    world.linked("/ok").await;
    let send = async |mut body: Value| {
        body["to"] = CONTACT.into();
        world.api().post(MESSAGES, body).await
    };
    let sent = async |body: Value| id_of(&send(body).await.expect(StatusCode::CREATED));
    let edit = |id: &str| json!({"type": "edit", "target": {"message_id": id}, "text": "changed"});
    let file = |bytes: &[u8]| json!({"base64": BASE64_STANDARD.encode(bytes)});
    for body in [
        json!({"type": "image", "caption": "before", "media": file(&png(20, 10))}),
        json!({"type": "document", "caption": "before", "media": file(b"a,b")}),
    ] {
        let id = sent(body).await;
        assert_eq!(world.reached(&id).await["text"], "before");
        sent(edit(&id)).await;
        wait_until("it is changed", WITHIN, || async {
            world.reached(&id).await["edits"] == json!(["changed"])
        })
        .await;
        let answer = sent(json!({"type": "text", "text": "see above", "reply_to": {"message_id": id}})).await;
        let quoted = &world.reached(&answer).await["reply_to"];
        assert_eq!(
            (&quoted["text"], &quoted["id"]),
            (&json!("before"), &json!(id)),
            "{quoted}"
        );
    }
    let sticker = sent(json!({"type": "sticker", "media": file(&sticker())})).await;
    let refused = send(edit(&sticker)).await.expect(StatusCode::UNPROCESSABLE_ENTITY);
    assert!(
        refused["detail"].as_str().unwrap().contains("type sticker"),
        "{refused}"
    );
    world.stop().await;
}
