//! Files that go out from numbers that have a proxy of their own.

use wharf_domain::outgoing::code;
use wharf_support::proxy::Proxy;

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_goes_out_through_its_number_s_proxy_or_not_at_all() {
    let (host, proxy) = (Host::start().await, Proxy::start().await);
    let world = World::start_with(sending_to(&host)).await;
    let client = world.add_client("a").await.id;
    let link = world.connected_through(client, &number(1), &proxy.url("http")).await;
    let sent_one = world.sends_file(client, &[1; 5000], true).await.unwrap();
    world.becomes(client, &sent_one.message_id, SendStatus::Sent).await;
    assert!(sent(&link).is_uploaded());
    assert_eq!((proxy.opened(), host.uploads().len()), (1, 1));

    let wrong = proxy.wrong_url("socks5");
    world.goes_through(&link, client, &number(1), &wrong).await;
    let queued = world.sends_file(client, &[1; 5000], false).await.unwrap();
    let failed = world.becomes(client, &queued.message_id, SendStatus::Failed).await;
    assert_eq!(failed.error_code.as_deref(), Some(code::MEDIA_UPLOAD));
    let why = failed.error.unwrap();
    let says = format!("the proxy {} does not lead there", proxy.address);
    assert!(why.contains(&says) && !why.contains("wrong"), "{why}");
    assert_eq!((proxy.opened(), host.uploads().len()), (1, 1), "nothing went past it");
    world.gateway.stop().await;
}
