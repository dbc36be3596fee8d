//! Whatever the environment says of proxies, nothing heeds it: the rules for addresses would be the proxy's, and a number
//! would come from two places.

use std::env;

use tokio::process::Command;
use wharf_domain::{ClientId, ConnectionKey};
use wharf_support::proxy::Proxy as Loopback;
use wharf_whatsapp::{Http as _, HttpRequest};

use super::*;
use crate::{
    post::fetch::Fetcher,
    web::{Web, download::MediaSource, way::Maker, way::Way},
};

const HOST: &str = "WHARF_TEST_HOST";
/// Names that programs read their proxy from, in both spellings.
const NAMES: [&str; 5] = ["http_proxy", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"];

#[tokio::test]
async fn nothing_goes_through_a_proxy_of_the_environment() {
    if let Ok(host) = env::var(HOST) {
        return ask_everything_of(&host).await;
    }
    let (receiver, proxy) = (Receiver::start().await, Loopback::start().await);
    // The environment of this process cannot be changed without `unsafe`, so the test is run once more in another one.
    let mut again = Command::new(env::current_exe().unwrap());
    again.args([
        "--exact",
        "post::tests::direct::nothing_goes_through_a_proxy_of_the_environment",
    ]);
    again
        .env(HOST, receiver.url("/ok"))
        .env_remove("no_proxy")
        .env_remove("NO_PROXY");
    again.envs(NAMES.map(|name| (name, proxy.url("http"))));
    let ended = again.output().await.unwrap();
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stdout));
    assert_eq!((proxy.asked(), receiver.count()), (0, 4));
}

/// A webhook, a file or page that somebody named, what the link asks for, a file of WhatsApp's.
async fn ask_everything_of(url: &str) {
    let poster = poster();
    assert_eq!(post(&poster, url).await.http_status(), Some(200));
    let fetcher = Fetcher::beside(&poster, "").unwrap();
    fetcher.open(url).await.unwrap();
    let host: Option<Url> = url.parse().ok();
    let request = HttpRequest {
        method: "GET".to_owned(),
        url: "https://web.whatsapp.com/ok".to_owned(),
        headers: Vec::new(),
        body: None,
        proxy: None,
    };
    let answer = Web::new(OPEN, host.clone()).unwrap().execute(request).await.unwrap();
    assert_eq!(answer.status, 200);
    let way = Way {
        key: ConnectionKey::new(ClientId(1), "5511888888888".parse().unwrap()),
        proxy: None,
    };
    let maker = Maker::new(poster.checked(), "", host).unwrap();
    MediaSource::new(maker).unwrap().open(&way, "/ok", 1).await.unwrap();
}
