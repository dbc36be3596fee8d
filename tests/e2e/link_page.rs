//! A page on which whoever holds the phone links the number, from its making to the scan, and its end.

use reqwest::{Method, StatusCode, Url};
use serde_json::{Value, json};
use wharf_support::wait_until;

use super::world::{Api, NUMBER, WITHIN, World};

const PATH: &str = "/api/whatsapp/connections/5511888888888";

/// Somebody who has no token, and the path of a new page of the number.
async fn page(world: &World, body: Value) -> (Api, String) {
    let made = world.api().post(&format!("{PATH}/link-page"), body).await;
    let made = made.expect(StatusCode::CREATED);
    let url: Url = made["url"].as_str().unwrap().parse().unwrap();
    assert_eq!(url.authority(), world.api().address.to_string());
    assert!(!url.path().contains(NUMBER), "{url}");
    (Api::new(world.api().address, "nobody's"), url.path().to_owned())
}

/// What the page shows, once it does, as its script follows it.
async fn follow(stranger: &Api, page: &str, what: &str, is: impl Fn(&Value) -> bool) -> Value {
    let is = &is;
    let has = std::cell::RefCell::new(String::new());
    wait_until(what, WITHIN, || async {
        let after: String = url::form_urlencoded::byte_serialize(has.borrow().as_bytes()).collect();
        let state = stranger.get(&format!("{page}/state?wait=5&after={after}")).await;
        let state = state.expect(StatusCode::OK);
        let shown = state["qr"].as_str().or(state["status"].as_str()).unwrap();
        has.replace(shown.to_owned());
        is(&state).then_some(state)
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_holds_the_phone_links_it_by_a_page_without_a_token() {
    let world = World::start().await;
    world.network.create_account(NUMBER).await.unwrap();
    let api = world.api();
    api.post("/api/whatsapp/connections", json!({"phone_number": NUMBER}))
        .await
        .expect(StatusCode::CREATED);
    let (stranger, page) = page(&world, json!({"title": "Porto <b>", "expires_in_seconds": 60})).await;
    let opened = stranger.get(&page).await;
    assert_eq!(
        (opened.status, &opened.headers["content-type"]),
        (StatusCode::OK, &"text/html; charset=utf-8".parse().unwrap())
    );
    // As its script does when it is opened: nothing, since linking has begun.
    let begun = stranger.call(Method::POST, &format!("{page}/start")).await;
    begun.expect(StatusCode::ACCEPTED);

    let shown = follow(&stranger, &page, "the page shows a code", |state| {
        state["qr"].is_string()
    })
    .await;
    assert_eq!(
        (&shown["status"], &shown["title"]),
        (&json!("awaiting_scan"), &json!("Porto <b>"))
    );
    assert!(shown["image"].as_str().unwrap().starts_with("data:image/png;base64,"));
    world.network.scan(NUMBER, shown["qr"].as_str().unwrap()).await.unwrap();
    let linked = follow(&stranger, &page, "the page says it is done", |state| {
        state["status"] == "linked"
    })
    .await;
    assert_eq!(linked, json!({"status": "linked", "title": "Porto <b>"}), "and no more");
    let code = stranger.call(Method::POST, &format!("{page}/pair-code")).await;
    code.expect(StatusCode::CONFLICT);

    // The page of a connection that is gone is gone, also where the number has another one.
    api.call(Method::DELETE, PATH).await.expect(StatusCode::NO_CONTENT);
    for again in [false, true] {
        if again {
            api.post("/api/whatsapp/connections", json!({"phone_number": NUMBER}))
                .await
                .expect(StatusCode::CREATED);
        }
        for (method, rest) in [
            (Method::GET, ""),
            (Method::GET, "/state"),
            (Method::POST, "/start"),
            (Method::POST, "/pair-code"),
        ] {
            let gone = stranger.call(method, &format!("{page}{rest}")).await;
            gone.expect(StatusCode::GONE);
        }
    }
    api.get(&page.replace("/link/", "/link/A"))
        .await
        .expect(StatusCode::NOT_FOUND);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_number_that_was_unlinked_is_linked_again_by_opening_its_page_and_typing() {
    let world = World::start().await;
    world.link(NUMBER).await;
    world.network.unlink(NUMBER, 1).await.unwrap();
    world.api().wait_for_status(PATH, "logged_out").await;
    let (stranger, page) = page(&world, json!({})).await;
    stranger.get(&page).await;
    let state = stranger.get(&format!("{page}/state")).await.expect(StatusCode::OK);
    assert_eq!(
        state,
        json!({"status": "not_linked"}),
        "who only fetches the page begins nothing"
    );
    let begun = stranger.call(Method::POST, &format!("{page}/start")).await;
    assert_ne!(begun.expect(StatusCode::ACCEPTED)["status"], "not_linked");
    follow(&stranger, &page, "the page shows a code", |state| {
        state["qr"].is_string()
    })
    .await;
    // Without optimizations a busy machine may need longer for a code than a request waits.
    let code = wait_until("a pair code is given", WITHIN, || async {
        let asked = stranger.call(Method::POST, &format!("{page}/pair-code")).await;
        (asked.status == StatusCode::OK).then_some(asked.body)
    })
    .await;
    let entered = world
        .network
        .enter_pair_code(NUMBER, code["code"].as_str().unwrap())
        .await;
    entered.unwrap();
    follow(&stranger, &page, "the page says it is done", |state| {
        state["status"] == "linked"
    })
    .await;
    world.stop().await;
}
