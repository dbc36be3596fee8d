//! Linking numbers: QR, restore, unlink, wrong number, delete.

use reqwest::{Method, StatusCode};
use serde_json::json;
use wharf_support::wait_until;

use super::world::{CONTACT, NUMBER, WITHIN, World};

const PATH: &str = "/api/whatsapp/connections/5511888888888";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_qr_code_is_shown_in_three_forms_and_links_the_number() {
    let world = World::start().await;
    world.network.create_account(NUMBER).await.unwrap();
    let api = world.api();
    let made = api
        .post(
            "/api/whatsapp/connections",
            json!({"phone_number": "+55 11 88888-8888"}),
        )
        .await;
    let made = made.expect(StatusCode::CREATED);
    assert_eq!(
        (made["phone_number"].as_str(), made["jid"].is_null()),
        (Some(NUMBER), true)
    );
    api.post("/api/whatsapp/connections", json!({"phone_number": NUMBER}))
        .await
        .expect(StatusCode::CONFLICT);
    let qr = api.wait_for_qr(NUMBER).await;
    let png = api.get(&format!("{PATH}/qr?format=png")).await;
    assert_eq!(
        (png.headers["content-type"].to_str().unwrap(), &png.bytes[..4]),
        ("image/png", &b"\x89PNG"[..])
    );
    let svg = api
        .send(
            api.request(Method::GET, &format!("{PATH}/qr"))
                .header("accept", "image/svg+xml"),
        )
        .await;
    assert!(String::from_utf8(svg.bytes).unwrap().contains("<svg"));

    world.network.scan(NUMBER, &qr).await.unwrap();
    let connected = api.wait_for_status(PATH, "connected").await;
    assert!(connected["jid"].as_str().unwrap().starts_with(&format!("{NUMBER}:")));
    assert!(connected["connected_since"].is_string());
    api.get(&format!("{PATH}/qr")).await.expect(StatusCode::CONFLICT);
    let devices = world.network.devices(NUMBER).await.unwrap();
    assert_eq!((devices.len(), devices[0].connected), (1, true));
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_restores_the_session_and_fetches_what_was_missed_once() {
    let mut world = World::start().await;
    let webhook = world.linked("/ok").await;
    world.text("before").await;
    world.api().wait_for_events(&webhook, "delivered", 1).await;
    world.stop_gateway().await;
    let missed = [world.text("missed 1").await, world.text("missed 2").await];
    world.start_gateway().await;
    world.api().wait_for_status(PATH, "connected").await;
    let events = world.api().wait_for_events(&webhook, "delivered", 3).await;
    let ids: Vec<_> = events
        .iter()
        .rev()
        .map(|event| event["message_id"].as_str().unwrap())
        .collect();
    assert_eq!(ids[1..], missed);
    assert_eq!(world.receiver.count(), 3);
    assert_eq!(world.network.devices(NUMBER).await.unwrap().len(), 1, "no new device");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_phone_unlinks_and_the_number_can_be_linked_again() {
    let world = World::start().await;
    let webhook = world.linked("/ok").await;
    world.network.unlink(NUMBER, 1).await.unwrap();
    let shown = world.api().wait_for_status(PATH, "logged_out").await;
    assert!(shown["reason"].is_string() && shown["jid"].is_null(), "{shown}");
    world
        .api()
        .call(Method::POST, &format!("{PATH}/connect"))
        .await
        .expect(StatusCode::ACCEPTED);
    let qr = world.api().wait_for_qr(NUMBER).await;
    world.network.scan(NUMBER, &qr).await.unwrap();
    world.api().wait_for_status(PATH, "connected").await;
    world.text("after").await;
    world.api().wait_for_events(&webhook, "delivered", 1).await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_wrong_phone_is_unlinked_and_said() {
    let world = World::start().await;
    world.network.create_account(CONTACT).await.unwrap();
    world
        .api()
        .post("/api/whatsapp/connections", json!({"phone_number": NUMBER}))
        .await
        .expect(StatusCode::CREATED);
    let qr = world.api().wait_for_qr(NUMBER).await;
    // The scan may be answered before or after the device is thrown out again.
    let _ = world.network.scan(CONTACT, &qr).await;
    let shown = world.api().wait_for_status(PATH, "failed").await;
    assert_eq!(shown["reason"], "wrong number");
    wait_until("the device is unlinked", WITHIN, || async {
        world.network.devices(CONTACT).await.unwrap().is_empty()
    })
    .await;
    world
        .api()
        .call(Method::POST, &format!("{PATH}/connect"))
        .await
        .expect(StatusCode::ACCEPTED);
    let again = world.api().wait_for_qr(NUMBER).await;
    assert_ne!(again, qr);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn disconnect_keeps_the_pairing_and_delete_ends_it() {
    let world = World::start().await;
    let webhook = world.linked("/ok").await;
    let api = world.api();
    api.call(Method::POST, &format!("{PATH}/disconnect"))
        .await
        .expect(StatusCode::ACCEPTED);
    api.wait_for_status(PATH, "disconnected").await;
    world.text("kept at WhatsApp").await;
    api.call(Method::POST, &format!("{PATH}/connect"))
        .await
        .expect(StatusCode::ACCEPTED);
    api.wait_for_status(PATH, "connected").await;
    api.wait_for_events(&webhook, "delivered", 1).await;

    // Also while it is disconnected: it logs in once more in order to log out.
    api.call(Method::POST, &format!("{PATH}/disconnect"))
        .await
        .expect(StatusCode::ACCEPTED);
    api.wait_for_status(PATH, "disconnected").await;
    api.call(Method::DELETE, PATH).await.expect(StatusCode::NO_CONTENT);
    assert!(
        world.network.devices(NUMBER).await.unwrap().is_empty(),
        "unlinked at WhatsApp"
    );
    api.get(PATH).await.expect(StatusCode::NOT_FOUND);
    world.link(NUMBER).await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pair_code_links_the_number_through_a_proxy_while_a_page_follows() {
    let world = World::start().await;
    world.network.create_account(NUMBER).await.unwrap();
    let proxy = wharf_support::proxy::Proxy::start().await;
    let api = world.api();
    let body = json!({"phone_number": NUMBER, "device_name": "Shop", "proxy": proxy.url("socks5")});
    let made = api
        .post("/api/whatsapp/connections", body)
        .await
        .expect(StatusCode::CREATED);
    assert_eq!(made["device_name"], "Shop");
    assert_eq!(
        made["proxy"],
        format!("socks5://{}", proxy.address),
        "without credentials"
    );
    // At once: the request waits until there is something to link. Without optimizations a busy machine may need longer for a code
    // than a request waits; it is shown when it is there.
    let code = wait_until("a pair code is shown", WITHIN, || async {
        let asked = api.call(Method::POST, &format!("{PATH}/pair-code")).await;
        match asked.status {
            StatusCode::OK => Ok(asked.body),
            _ => Err(asked.body),
        }
    })
    .await;
    let again = api
        .call(Method::POST, &format!("{PATH}/pair-code"))
        .await
        .expect(StatusCode::OK);
    assert_eq!(code["code"], again["code"], "one that is good is not replaced");
    let shown = api.wait_for_status(PATH, "awaiting_scan").await;
    assert_eq!(shown["reason_code"], "waiting_for_phone");
    let polled = api.get(&format!("{PATH}/qr?wait=20")).await.expect(StatusCode::OK);
    assert!(polled["qr"].is_string());

    let stream = api
        .request(Method::GET, &format!("{PATH}/events"))
        .send()
        .await
        .unwrap();
    assert_eq!(stream.headers()["content-type"], "text/event-stream");
    let following = tokio::spawn(heard(stream, "\"reason_code\":\"online\""));
    let entered = world
        .network
        .enter_pair_code(NUMBER, code["code"].as_str().unwrap())
        .await;
    entered.unwrap();
    api.wait_for_status(PATH, "connected").await;
    let heard = tokio::time::timeout(WITHIN, following).await.unwrap().unwrap();
    // Not `paired`: the stream shows what is true, and who reads slowly misses what was true for a moment.
    for what in ["event:status", "event:qr", "event:pair_code"] {
        assert!(heard.contains(what), "{what} in {heard}");
    }
    assert!(proxy.opened() >= 1);
    let late = api.call(Method::POST, &format!("{PATH}/pair-code")).await;
    late.expect(StatusCode::CONFLICT);

    // Another way, at once; and a wrong one is said.
    let through = proxy.opened();
    let patched = api
        .patch(PATH, json!({"proxy": proxy.url("http")}))
        .await
        .expect(StatusCode::OK);
    assert_eq!(patched["proxy"], format!("http://{}", proxy.address));
    wait_until("it is connected through the other proxy", WITHIN, || async {
        proxy.opened() > through && api.get(PATH).await.body["status"] == "connected"
    })
    .await;
    api.patch(PATH, json!({"proxy": format!("http://ana:wrong@{}", proxy.address)}))
        .await
        .expect(StatusCode::OK);
    let shown = api
        .wait_for(PATH, "the proxy is to blame", |shown| {
            shown["reason_code"] == "proxy_failed"
        })
        .await;
    assert!(!shown.to_string().contains("wrong"), "{shown}");
    api.patch(PATH, json!({"proxy": null})).await.expect(StatusCode::OK);
    let shown = api.wait_for_status(PATH, "connected").await;
    assert!(shown["proxy"].is_null(), "{shown}");
    world.stop().await;
}

async fn heard(mut stream: reqwest::Response, until: &str) -> String {
    let mut heard = String::new();
    while let Some(chunk) = stream.chunk().await.unwrap() {
        heard.push_str(&String::from_utf8_lossy(&chunk));
        if heard.contains(until) {
            break;
        }
    }
    heard
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_with_a_passkey_says_what_to_do() {
    let world = World::start().await;
    world.network.create_account(NUMBER).await.unwrap();
    let fault = json!({"kind": "passkey", "phone": NUMBER, "for_ms": 600_000});
    world
        .network
        .fault(serde_json::from_value(fault).unwrap())
        .await
        .unwrap();
    let api = world.api();
    api.post("/api/whatsapp/connections", json!({"phone_number": NUMBER}))
        .await
        .expect(StatusCode::CREATED);
    let qr = api.wait_for_qr(NUMBER).await;
    let _refused = world.network.scan(NUMBER, &qr).await;
    let shown = api.wait_for_status(PATH, "awaiting_passkey").await;
    assert_eq!(shown["reason_code"], "passkey_required");
    assert!(
        shown["reason"].as_str().unwrap().contains("remove the passkey"),
        "{shown}"
    );
    api.call(Method::DELETE, PATH).await.expect(StatusCode::NO_CONTENT);
    world.stop().await;
}
