//! Files that wait: for a connection, for an upload that is tried again, for their turn.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use reqwest::{Method, StatusCode};
use serde_json::json;
use wharf_support::{Receiver, Reply, wait_until};

use super::{
    super::world::{CONTACT, NUMBER, WITHIN, World},
    BOUNDARY, HERE, MESSAGES, id_of, parts, post_parts,
    samples::{noise, png},
};

impl World {
    /// The ids of what the contact's phone received, in its order.
    async fn order(&self) -> Vec<String> {
        let seen = self.network.messages(CONTACT).await.unwrap();
        seen.into_iter().map(|message| message.id).collect()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upload_that_fails_is_tried_again_and_one_that_never_works_is_told() {
    let world = World::start().await;
    world.linked("/ok").await;
    let send = async |file: &[u8]| {
        let body = json!({"to": CONTACT, "type": "document", "media": {"base64": BASE64_STANDARD.encode(file)}});
        world.api().post(MESSAGES, body).await
    };
    let arrives = async |file: &[u8]| world.arrives(send(file).await, file, "application/octet-stream").await;
    world.upload_fault(503, 1).await;
    arrives(b"after a pause").await;
    // What lets us upload has run out: it is asked for anew.
    world.upload_fault(401, 1).await;
    arrives(b"with new leave").await;
    world.upload_fault(500, 1000).await;
    let lost = send(b"never").await;
    let id = match lost.status {
        StatusCode::ACCEPTED => id_of(&lost.body),
        _ => panic!("the tries take longer than a caller waits: {}", lost.body),
    };
    let path = format!("{MESSAGES}/{id}");
    let failed = world.api().wait_for_status(&path, "failed").await;
    assert_eq!(failed["error_code"], "media_upload", "{failed}");
    assert!(failed["error"].as_str().unwrap().contains("answered 500"), "{failed}");
    assert_eq!(world.waiting_files(), 0);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_waits_outlives_a_restart() {
    let mut world = World::start_with(&[("WHARF_SENDING__DEADLINE_SECONDS", "600")]).await;
    world.linked("/ok").await;
    let disconnect = format!("{HERE}/disconnect");
    world
        .api()
        .post(&disconnect, json!({}))
        .await
        .expect(StatusCode::ACCEPTED);
    world.api().wait_for_status(HERE, "disconnected").await;
    let (origin, picture) = (Receiver::start().await, png(40, 40));
    origin.always("/p.png", Reply::Answer(200, vec![], picture.clone().into()));
    let refused = json!({"to": CONTACT, "type": "image", "media": {"base64": BASE64_STANDARD.encode(&picture)}});
    let refused = world.api().post(MESSAGES, refused).await;
    assert_eq!(refused.status, StatusCode::CONFLICT, "{}", refused.body);
    assert_eq!(world.waiting_files(), 0);

    let mut ids = Vec::new();
    let large = noise(300_000);
    let body = json!({"to": CONTACT, "type": "document", "queue": true, "file_name": "large.bin"});
    let sent = post_parts(world.api(), None, parts(&body, "application/x-noise", "x", &large)).await;
    ids.push(id_of(&sent.expect(StatusCode::ACCEPTED)));
    let body = json!({"to": CONTACT, "type": "image", "queue": true, "media": {"url": origin.url("/p.png")}});
    ids.push(id_of(
        &world.api().post(MESSAGES, body).await.expect(StatusCode::ACCEPTED),
    ));
    wait_until("both lie here", WITHIN, || async { world.waiting_files() == 2 }).await;
    // One of a message that is not known to anybody.
    let orphan = world
        .dir
        .path()
        .join("media/1/outgoing")
        .join(NUMBER)
        .join("3EB0ORPHAN");
    std::fs::write(&orphan, "x").unwrap();

    world.restart_gateway().await;
    assert!(!orphan.exists(), "a file without a message goes at the start");
    assert_eq!(world.waiting_files(), 2);
    let shown = world
        .api()
        .get(&format!("{MESSAGES}/{}", ids[1]))
        .await
        .expect(StatusCode::OK);
    assert_eq!(shown["status"], "queued");
    world
        .api()
        .post(&format!("{HERE}/connect"), json!({}))
        .await
        .expect(StatusCode::ACCEPTED);
    for (id, file) in ids.iter().zip([&large, &picture]) {
        world.reached(id).await;
        assert_eq!(world.network.media(CONTACT, id).await.unwrap(), *file);
    }
    let order = world.order().await;
    assert_eq!(order, ids, "one chat's messages keep their order");
    assert_eq!(origin.count(), 1, "what was fetched is not fetched again");
    wait_until("the files are gone", WITHIN, || async { world.waiting_files() == 0 }).await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn other_chats_do_not_wait_for_an_upload() {
    let other = "5511977776666";
    let world = World::start().await;
    world.linked("/ok").await;
    world.network.create_account(other).await.unwrap();
    let stall = |for_ms: u32| json!({"kind": "media_stall", "phone": NUMBER, "for_ms": for_ms});
    world.fault(stall(600_000)).await;
    let document = json!({"to": CONTACT, "type": "document"});
    let query = format!("{MESSAGES}?wait=false");
    let request = world
        .api()
        .request(Method::POST, &query)
        .header("content-type", format!("multipart/form-data; boundary={BOUNDARY}"))
        .body(parts(&document, "text/plain", "a.txt", b"slow"));
    let slow = id_of(&world.api().send(request).await.expect(StatusCode::ACCEPTED));
    let text = |to: &str| json!({"to": to, "type": "text", "text": "quick"});
    let behind = world
        .api()
        .post(&query, text(CONTACT))
        .await
        .expect(StatusCode::ACCEPTED);
    let quick = world.api().post(MESSAGES, text(other)).await;
    assert_eq!(quick.status, StatusCode::CREATED, "{}", quick.body);
    assert_eq!(
        world.network.messages(CONTACT).await.unwrap().len(),
        0,
        "its own chat waits"
    );
    world.fault(stall(0)).await;
    world.reached(&id_of(&behind)).await;
    let order = world.order().await;
    assert_eq!(order, [slow, id_of(&behind)]);
    world.stop().await;
}
