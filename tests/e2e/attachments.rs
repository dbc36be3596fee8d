//! Files that are sent, seen from the phones that they reach.

mod captions;
mod films;
mod forwarding;
mod proxied;
mod refusals;
pub mod samples;
mod waiting;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use wharf_domain::hex;
use wharf_support::{Receiver, Reply, wait_until};
use wharf_testnet::{Fault, FaultCode, FaultKind, ReceivedMessage};

use self::samples::{film, noise, png, sticker, voice};
use super::world::{Answer, Api, CONTACT, NUMBER, WITHIN, World};

const MESSAGES: &str = "/api/whatsapp/connections/5511888888888/messages";
const HERE: &str = "/api/whatsapp/connections/5511888888888";
const BOUNDARY: &str = "----parts-of-a-message";

/// A body in parts.
pub fn parts(message: &Value, mime_type: &str, name: &str, file: &[u8]) -> Vec<u8> {
    let mut body = format!(
        "--{BOUNDARY}\r\ncontent-disposition: form-data; name=\"message\"\r\ncontent-type: application/json\r\n\r\n{message}\r\n\
         --{BOUNDARY}\r\ncontent-disposition: form-data; name=\"file\"; filename=\"{name}\"\r\ncontent-type: {mime_type}\r\n\r\n"
    )
    .into_bytes();
    body.extend_from_slice(file);
    body.extend_from_slice(format!("\r\n--{BOUNDARY}--\r\n").as_bytes());
    body
}

pub async fn post_parts(api: &Api, key: Option<&str>, body: Vec<u8>) -> Answer {
    let mut request = api
        .request(Method::POST, MESSAGES)
        .header("content-type", format!("multipart/form-data; boundary={BOUNDARY}"));
    if let Some(key) = key {
        request = request.header("idempotency-key", key);
    }
    api.send(request.body(body)).await
}

fn id_of(sent: &Value) -> String {
    sent["message_id"].as_str().unwrap().to_owned()
}

impl World {
    /// What the contact's phone received under this id, once it is here.
    async fn reached(&self, id: &str) -> Value {
        let message: ReceivedMessage = wait_until("it arrives", WITHIN, || async {
            let messages = self.network.messages(CONTACT).await.unwrap();
            messages.into_iter().find(|message| message.id == id)
        })
        .await;
        serde_json::to_value(message).unwrap()
    }

    /// Sends, and holds what arrives against what was sent.
    async fn arrives(&self, sent: Answer, file: &[u8], mime_type: &str) -> Value {
        assert!(matches!(sent.status.as_u16(), 201 | 202), "{}", sent.body);
        let id = id_of(&sent.body);
        let seen = self.reached(&id).await;
        assert_eq!(seen["media"]["intact"], true, "{seen}");
        assert_eq!(seen["media"]["mime_type"], mime_type, "{seen}");
        assert_eq!(self.network.media(CONTACT, &id).await.unwrap(), file);
        let shown = self.api().get(&format!("{MESSAGES}/{id}")).await.expect(StatusCode::OK);
        let media = &shown["message"]["media"];
        assert_eq!(
            (&media["mime_type"], &media["size"], &media["sha256"]),
            (
                &json!(mime_type),
                &json!(file.len()),
                &json!(hex(&Sha256::digest(file)))
            ),
            "{shown}"
        );
        let text = shown.to_string();
        assert!(!text.contains("direct_path") && !text.contains("media_key"), "{text}");
        seen
    }

    /// Files that wait on the disk.
    fn waiting_files(&self) -> usize {
        let directory = self.dir.path().join("media/1/outgoing").join(NUMBER);
        std::fs::read_dir(directory).map_or(0, Iterator::count)
    }

    async fn upload_fault(&self, code: u32, times: u32) {
        let fault = Fault {
            kind: FaultKind::MediaError,
            phone: Some(NUMBER.to_owned()),
            code: Some(FaultCode::Number(code)),
            for_ms: None,
        };
        self.network.fault_times(fault, Some(times)).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_kind_arrives_as_it_was_sent() {
    let world = World::start_with(&[("WHARF_SENDING__PER_SECOND", "0")]).await;
    world.linked("/ok").await;
    let theirs = world.text("show me").await;
    let api = world.api();
    let base64 = |file: &[u8]| BASE64_STANDARD.encode(file);

    let picture = png(300, 200);
    let body = json!({"to": CONTACT, "type": "image", "caption": format!("for @{CONTACT}"), "mentions": [CONTACT],
        "reply_to": {"message_id": theirs, "text": "show me"}, "media": {"base64": base64(&picture)}});
    let image = world
        .arrives(api.post(MESSAGES, body).await, &picture, "image/png")
        .await;
    assert_eq!(
        (&image["kind"], &image["text"]),
        (&json!("image"), &json!(format!("for @{CONTACT}")))
    );
    assert_eq!(
        (&image["reply_to"]["id"], &image["mentions"]),
        (&json!(theirs), &json!([CONTACT])),
        "{image}"
    );
    assert_eq!(
        image["content"],
        json!({"width": 300, "height": 200, "thumbnail": true})
    );
    let small = world
        .network
        .thumbnail(CONTACT, image["id"].as_str().unwrap())
        .await
        .unwrap();
    assert!(
        small.starts_with(b"\xff\xd8\xff") && small.len() < 5000,
        "{} bytes",
        small.len()
    );

    let body = json!({"to": CONTACT, "type": "video", "view_once": true});
    let sent = post_parts(api, None, parts(&body, "video/mp4", "a.mp4", &film())).await;
    let video = world.arrives(sent, &film(), "video/mp4").await;
    assert_eq!(
        (&video["kind"], &video["view_once"]),
        (&json!("video"), &json!(true)),
        "{video}"
    );
    assert_eq!(
        (&video["content"]["seconds"], &video["content"]["width"]),
        (&json!(13), &json!(640)),
        "{video}"
    );

    let body = json!({"to": CONTACT, "type": "voice"});
    let sent = post_parts(
        api,
        None,
        parts(&body, "application/octet-stream", "note.ogg", &voice()),
    )
    .await;
    let note = world.arrives(sent, &voice(), "audio/ogg; codecs=opus").await;
    assert_eq!(note["kind"], "voice");
    assert_eq!(note["content"], json!({"seconds": 2, "waveform": 64}), "{note}");

    let sound = [&b"\xff\xfb\x90\x00"[..], &[0; 31_996]].concat();
    let body = json!({"to": CONTACT, "type": "audio", "media": {"base64": base64(&sound)}});
    let audio = world
        .arrives(api.post(MESSAGES, body).await, &sound, "audio/mpeg")
        .await;
    assert_eq!(
        (&audio["kind"], &audio["content"]["seconds"]),
        (&json!("audio"), &json!(2)),
        "{audio}"
    );

    let body = json!({"to": CONTACT, "type": "document", "caption": "the numbers", "file_name": "Números.csv"});
    let sent = post_parts(api, None, parts(&body, "text/csv", "other.csv", b"a,b\r\n1,2\r\n")).await;
    let document = world.arrives(sent, b"a,b\r\n1,2\r\n", "text/csv").await;
    assert_eq!(
        (&document["kind"], &document["text"]),
        (&json!("document"), &json!("the numbers")),
        "{document}"
    );
    assert_eq!(document["media"]["file_name"], "Números.csv", "{document}");

    let body = json!({"to": CONTACT, "type": "sticker", "media": {"base64": base64(&sticker())}});
    let sticker_seen = world
        .arrives(api.post(MESSAGES, body).await, &sticker(), "image/webp")
        .await;
    assert_eq!(
        sticker_seen["content"],
        json!({"width": 512, "height": 512, "animated": true}),
        "{sticker_seen}"
    );
    assert_eq!(world.waiting_files(), 0);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_is_fetched_from_its_address() {
    let world = World::start().await;
    world.linked("/ok").await;
    let (origin, picture) = (Receiver::start().await, png(20, 10));
    let headers = vec![("content-type", "image/png".to_owned())];
    origin.always(
        "/pictures/a%20b.png",
        Reply::Answer(200, headers, picture.clone().into()),
    );
    origin.always("/moved", Reply::Redirect("/pictures/a%20b.png".into()));
    let send = async |kind: &str, path: &str| {
        let body = json!({"to": CONTACT, "type": kind, "media": {"url": origin.url(path)}});
        world.api().post(MESSAGES, body).await
    };
    let image = world
        .arrives(send("image", "/moved").await, &picture, "image/png")
        .await;
    assert_eq!(image["content"]["thumbnail"], true);
    let document = world
        .arrives(send("document", "/pictures/a%20b.png").await, &picture, "image/png")
        .await;
    assert_eq!(document["media"]["file_name"], "a b.png", "{document}");
    assert_eq!(document["content"]["thumbnail"], true, "{document}");

    let missing = send("image", "/status/404")
        .await
        .expect(StatusCode::UNPROCESSABLE_ENTITY);
    assert!(
        missing["detail"].as_str().unwrap().contains("answered 404"),
        "{missing}"
    );
    let no_picture = send("image", "/ok").await.expect(StatusCode::UNPROCESSABLE_ENTITY);
    assert!(
        no_picture["detail"].as_str().unwrap().contains("image/jpeg, image/png"),
        "{no_picture}"
    );
    let failed = world
        .api()
        .get(&format!("{MESSAGES}?status=failed"))
        .await
        .expect(StatusCode::OK);
    let codes: Vec<&Value> = failed["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| &row["error_code"])
        .collect();
    assert_eq!(codes, ["media_fetch", "media_fetch"]);
    assert_eq!(world.waiting_files(), 0);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_file_under_the_same_key_is_sent_once() {
    let world = World::start().await;
    world.linked("/ok").await;
    let api = world.api();
    let message = json!({"to": CONTACT, "type": "document", "file_name": "a.txt"});
    let body = |file: &[u8]| parts(&message, "text/plain", "a.txt", file);
    let first = post_parts(api, Some("once"), body(b"one")).await;
    assert_eq!(first.status, StatusCode::CREATED, "{}", first.body);
    let again = post_parts(api, Some("once"), body(b"one")).await;
    assert_eq!((again.status, &again.body), (StatusCode::CREATED, &first.body));
    let other = post_parts(api, Some("once"), body(b"two")).await;
    assert_eq!(other.status, StatusCode::CONFLICT, "{}", other.body);
    // What is sent after it arrives after it.
    let after = json!({"to": CONTACT, "type": "text", "text": "after it"});
    let after = id_of(&api.post(MESSAGES, after).await.expect(StatusCode::CREATED));
    world.reached(&after).await;
    let arrived = world.network.messages(CONTACT).await.unwrap();
    let arrived: Vec<String> = arrived.into_iter().map(|message| message.id).collect();
    assert_eq!(arrived, [id_of(&first.body), after]);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_file_arrives_whole() {
    let world = World::start().await;
    world.linked("/ok").await;
    let large = noise(32 << 20);
    let body = json!({"to": CONTACT, "type": "document", "file_name": "large.bin"});
    let sent = post_parts(
        world.api(),
        None,
        parts(&body, "application/x-noise", "large.bin", &large),
    )
    .await;
    world.arrives(sent, &large, "application/x-noise").await;
    assert_eq!(world.waiting_files(), 0);
    world.stop().await;
}
