//! A number with a proxy of its own, in the whole program: its files go the way of its WebSocket.

use reqwest::StatusCode;
use serde_json::json;
use wharf_support::proxy::Proxy;

use super::{
    super::world::{CONTACT, NUMBER, World},
    HERE, parts, post_parts,
    samples::png,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_number_with_a_proxy_has_its_files_go_through_it_too() {
    for scheme in ["http", "socks5"] {
        let world = World::start_with(&[("WHARF_SENDING__PER_SECOND", "0")]).await;
        let proxy = Proxy::start().await;
        world.network.create_account(CONTACT).await.unwrap();
        world.network.create_account(NUMBER).await.unwrap();
        world.webhook(NUMBER, "/ok").await;
        let api = world.api();
        let body = json!({"phone_number": NUMBER, "proxy": proxy.url(scheme)});
        let made = api.post("/api/whatsapp/connections", body).await;
        made.expect(StatusCode::CREATED);
        let qr = api.wait_for_qr(NUMBER).await;
        world.network.scan(NUMBER, &qr).await.unwrap();
        api.wait_for_status(HERE, "connected").await;

        let linked = proxy.opened();
        let theirs = json!({"to": NUMBER, "kind": "image", "mime_type": "image/png", "size": 5000});
        let theirs = world.phone_sends(CONTACT, &theirs).await;
        let body = world.bodies_of(&[theirs]).await.remove(0);
        assert!(
            body["media"]["error"].is_null() && body["media"]["url"].is_string(),
            "{body}"
        );
        let downloaded = proxy.opened();
        assert!(
            downloaded > linked,
            "{scheme}: {linked} ways before, {downloaded} after"
        );

        let picture = png(60, 40);
        let body = json!({"to": CONTACT, "type": "image"});
        let sent = post_parts(api, None, parts(&body, "image/png", "a.png", &picture)).await;
        world.arrives(sent, &picture, "image/png").await;
        assert!(
            proxy.opened() > downloaded,
            "{scheme}: {downloaded} ways before the upload"
        );
        world.stop().await;
    }
}
