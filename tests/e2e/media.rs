//! A phone sends files; the receiver fetches them by their links.

use reqwest::StatusCode;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use wharf_domain::hex;
use wharf_support::wait_until;
use wharf_testnet::{Fault, FaultKind};

use super::{
    kinds::outside,
    world::{CONTACT, NUMBER, WITHIN, World},
};

impl World {
    /// The bodies that the receiver got of these messages, once all are here.
    pub async fn bodies_of(&self, ids: &[String]) -> Vec<Value> {
        wait_until("the events are here", WITHIN, || async {
            let requests = self.receiver.requests();
            let bodies: Vec<Value> = requests
                .iter()
                .map(|request| serde_json::from_slice(&request.body).unwrap())
                .collect();
            let find = |id: &String| bodies.iter().find(|body| body["message_id"] == **id).cloned();
            ids.iter().map(find).collect::<Option<Vec<_>>>()
        })
        .await
    }

    async fn media_fault(&self, kind: FaultKind, times: u32) {
        let fault = Fault {
            kind,
            phone: None,
            code: None,
            for_ms: None,
        };
        self.network.fault_times(fault, Some(times)).await.unwrap();
    }
}

pub async fn fetch(url: &Value, range: Option<&str>) -> (StatusCode, reqwest::header::HeaderMap, Vec<u8>) {
    let mut request = outside().get(url.as_str().expect("a link"));
    if let Some(range) = range {
        request = request.header("range", range);
    }
    let response = request.send().await.unwrap();
    let (status, headers) = (response.status(), response.headers().clone());
    (status, headers, response.bytes().await.unwrap().to_vec())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_of_every_kind_are_fetched_by_their_links() {
    let mut world = World::start().await;
    world.linked("/ok").await;
    let kinds = [
        json!({"kind": "image", "mime_type": "image/jpeg", "size": 70_000, "caption": "look"}),
        json!({"kind": "video", "mime_type": "video/mp4", "size": 3_000_000, "seconds": 7}),
        json!({"kind": "voice", "mime_type": "audio/ogg; codecs=opus", "size": 1}),
        json!({"kind": "document", "mime_type": "application/pdf", "size": 16, "file_name": "Conta de luz.pdf"}),
        json!({"kind": "sticker", "mime_type": "image/webp", "size": 65_536}),
    ];
    let mut ids = Vec::new();
    for body in &kinds {
        let mut body = body.clone();
        body["to"] = NUMBER.into();
        ids.push(world.phone_sends(CONTACT, &body).await);
    }
    let bodies = world.bodies_of(&ids).await;
    // Links outlive a restart: nothing of them is kept in memory.
    let port = world.api().address.port();
    for (sent, body) in kinds.iter().zip(&bodies) {
        let media = &body["media"];
        let (status, headers, file) = fetch(&media["url"], None).await;
        assert_eq!(status, StatusCode::OK, "{body}");
        assert_eq!(headers["content-type"], sent["mime_type"].as_str().unwrap());
        assert_eq!(Some(file.len() as u64), sent["size"].as_u64());
        assert_eq!(media["size"], sent["size"]);
        assert_eq!(media["sha256"], hex(&Sha256::digest(&file)));
        assert!(
            media["url"]
                .as_str()
                .unwrap()
                .starts_with(&format!("http://127.0.0.1:{port}/media/1/"))
        );
        if file.len() > 10 {
            let (status, headers, part) = fetch(&media["url"], Some("bytes=3-9")).await;
            assert_eq!((status, part.as_slice()), (StatusCode::PARTIAL_CONTENT, &file[3..10]));
            assert_eq!(headers["content-range"], format!("bytes 3-9/{}", file.len()));
        }
    }
    let name = fetch(&bodies[3]["media"]["url"], None).await.1["content-disposition"].clone();
    assert!(
        name.to_str().unwrap().contains("filename=\"Conta de luz.pdf\""),
        "{name:?}"
    );
    let forged = bodies[0]["media"]["url"]
        .as_str()
        .unwrap()
        .replace("expires=1", "expires=2");
    assert_eq!(fetch(&json!(forged), None).await.0, StatusCode::FORBIDDEN);
    world.restart_gateway().await;
    let moved = bodies[1]["media"]["url"].as_str().unwrap();
    let moved = moved.replace(&format!(":{port}/"), &format!(":{}/", world.api().address.port()));
    assert_eq!(fetch(&json!(moved), None).await.2.len(), 3_000_000);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_download_is_tried_again_and_a_missing_one_told() {
    let world = World::start().await;
    world.linked("/ok").await;
    world.media_fault(FaultKind::MediaCorrupt, 1).await;
    let picture = json!({"to": NUMBER, "kind": "image", "mime_type": "image/png", "size": 5000});
    let damaged = world.phone_sends(CONTACT, &picture).await;
    let body = world.bodies_of(&[damaged]).await.remove(0);
    assert_eq!(fetch(&body["media"]["url"], None).await.2.len(), 5000, "{body}");
    // Once of what was sent, and twice of what its phone uploads again.
    world.media_fault(FaultKind::MediaMissing, 3).await;
    let missing = world.phone_sends(CONTACT, &picture).await;
    let after = world.text("after it").await;
    let bodies = world.bodies_of(&[missing.clone(), after.clone()]).await;
    assert_eq!(bodies[0]["media"]["error"], "gone", "{}", bodies[0]);
    assert!(bodies[0]["media"].get("url").is_none());
    let requests = world.receiver.requests();
    let order = |id: &str| {
        let of = |body: &[u8]| serde_json::from_slice::<Value>(body).unwrap()["message_id"].clone();
        requests.iter().position(|request| of(&request.body) == id).unwrap()
    };
    assert!(order(&missing) < order(&after), "one chat's order holds");
    world.stop().await;
}

/// Files that come would lie below its mount point, and those that are there would be gone, without a word.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_directory_of_media_whose_disk_is_not_mounted_ends_the_start() {
    let mut world = World::start().await;
    world.linked("/ok").await;
    let picture = json!({"to": NUMBER, "kind": "image", "mime_type": "image/png", "size": 5000});
    let sent = world.phone_sends(CONTACT, &picture).await;
    world.bodies_of(&[sent]).await;
    world.stop_gateway().await;
    let at = |name: &str| world.dir.path().join(name);
    std::fs::rename(at("media"), at("elsewhere")).unwrap();
    std::fs::create_dir(at("media")).unwrap();
    let refused = world.refusal().await;
    assert!(refused.contains("mount its disk"), "{refused}");
    std::fs::remove_dir_all(at("media")).unwrap();
    std::fs::rename(at("elsewhere"), at("media")).unwrap();
    world.start_gateway().await;
    world.stop().await;
}
