//! Files of numbers that have a proxy of their own.

use wharf_support::proxy::Proxy;

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_comes_through_its_number_s_proxy_or_not_at_all() {
    let (host, proxy) = (Host::start().await, Proxy::start().await);
    let world = World::start_with(with_media(&host, MediaSettings::default())).await;
    let client = world.add_client("a").await.id;
    let webhook = world.webhook(client, &number(1), "/ok").await;
    let link = world.connected_through(client, &number(1), &proxy.url("socks5")).await;
    let file = picture(&host, "5511999999999", "M1", 1000);
    link.deliver(vec![file]).await.unwrap();
    world.wait_for_events(&webhook, EventStatus::Delivered, 1).await;
    assert_eq!((proxy.opened(), host.requests()), (1, 1));

    // It refuses: nothing goes past it, and the file comes once it lets us through.
    let wrong = proxy.wrong_url("socks5");
    let link = world.goes_through(&link, client, &number(1), &wrong).await;
    let asked = proxy.asked();
    link.deliver(vec![picture(&host, "5511999999999", "M2", 1000)])
        .await
        .unwrap();
    wait_until("the proxy has refused twice", WITHIN, || async {
        proxy.asked() >= asked + 2
    })
    .await;
    assert_eq!((proxy.opened(), host.requests()), (1, 1));
    let link = world.goes_through(&link, client, &number(1), &proxy.url("http")).await;
    world.wait_for_events(&webhook, EventStatus::Delivered, 2).await;
    assert_eq!((proxy.opened(), host.requests()), (2, 2));
    assert!(bodies(&world).iter().all(|body| body["media"].get("error").is_none()));

    // With the connection goes what says by which way; then it is not fetched.
    let late = picture(&host, "5511999999999", "M3", 1000);
    host.script(&path_of(&late), [Act::Status(500), Act::Status(500), Act::Status(500)]);
    link.deliver(vec![late]).await.unwrap();
    let tries = || async {
        let later = clock::now() + WITHIN;
        let due = world.store.due_media(later, ClientId(0), 10, 10).await.unwrap();
        due.first().map_or(0, |due| due.attempts)
    };
    wait_until("it was tried", WITHIN, || async { tries().await >= 1 }).await;
    world.gateway.delete_connection(client, &number(1)).await.unwrap();
    // One may have been under way, by the way that there was.
    let tried = tries().await;
    wait_until("that one is over", WITHIN, || async { tries().await > tried }).await;
    let (tried, asked) = (tries().await, host.requests());
    wait_until("it was tried again", WITHIN, || async { tries().await > tried }).await;
    assert_eq!(host.requests(), asked, "nothing went past the proxy");
    world.gateway.stop().await;
}
