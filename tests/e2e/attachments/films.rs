//! Films that are shown otherwise: as a GIF, or round as a video note.

use reqwest::StatusCode;
use serde_json::json;

use super::{
    super::world::{CONTACT, World},
    parts, post_parts,
    samples::film,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_film_is_sent_as_a_gif_or_a_note() {
    let world = World::start_with(&[("WHARF_SENDING__PER_SECOND", "0")]).await;
    world.linked("/ok").await;
    let send = async |more: serde_json::Value| {
        let mut body = json!({"to": CONTACT, "type": "video"});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        post_parts(world.api(), None, parts(&body, "video/mp4", "a.mp4", &film())).await
    };
    let sent = send(json!({"gif": true, "caption": "again"})).await;
    let gif = world.arrives(sent, &film(), "video/mp4").await;
    assert_eq!(
        (&gif["kind"], &gif["content"]["gif"], &gif["text"]),
        (&json!("video"), &json!(true), &json!("again")),
        "{gif}"
    );
    let sent = send(json!({"note": true})).await;
    let note = world.arrives(sent, &film(), "video/mp4").await;
    assert_eq!(
        (&note["kind"], &note["content"]["gif"], &note["content"]["seconds"]),
        (&json!("video_note"), &json!(false), &json!(13)),
        "{note}"
    );
    for (more, other) in [(json!({"caption": "x"}), "caption"), (json!({"gif": true}), "gif")] {
        let mut body = json!({"note": true});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let refused = send(body).await.expect(StatusCode::BAD_REQUEST);
        assert_eq!(refused["errors"][0]["field"], "note", "{refused}");
        assert!(
            refused["errors"][0]["message"].as_str().unwrap().contains(other),
            "{refused}"
        );
    }
    world.stop().await;
}
