//! One value written in several ways, and what is said of one that is none.

use serde_json::json;

use super::{
    Facade, NUMBER,
    client::Reply,
    fake::{GROUP, ID},
    sending::{path, post},
};

/// What is said of the first field that is refused.
fn said(reply: &Reply) -> String {
    assert_eq!(reply.status, 400, "{reply:?}");
    reply.json()["errors"][0]["message"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_whole_number_may_be_written_as_a_double() {
    let facade = Facade::start().await;
    let patch = json!({"max_retries": 5.0, "timeout_ms": 2e4, "max_in_flight": 3.0, "retry_client_errors": [429.0]});
    let reply = facade
        .ask("PATCH", &format!("/api/webhooks/{ID}"))
        .json(&patch)
        .send()
        .await;
    assert_eq!(reply.status, 200, "{reply:?}");
    let pace = json!({"sending": {"per_second": 2.0, "burst": 1e1}});
    let connection = format!("/api/whatsapp/connections/{NUMBER}");
    assert_eq!(facade.ask("PATCH", &connection).json(&pace).send().await.status, 200);
    let poll = json!({"to": NUMBER, "type": "poll", "poll": {"question": "?", "options": ["a", "b"], "selectable_count": 2.0}});
    assert_eq!(post(&facade, "messages", poll).await.status, 201);
    assert!(
        facade.desk.asked().contains("selectable_count: 2"),
        "{}",
        facade.desk.asked()
    );
    for wrong in [json!(5.5), json!(1e300), json!(-3.0), json!("5.0")] {
        let reply = facade.ask("PATCH", &format!("/api/webhooks/{ID}"));
        let reply = reply.json(&json!({"max_retries": wrong})).send().await;
        reply.is_refused_for(&["max_retries"], &wrong);
    }
}

#[tokio::test]
async fn a_byte_order_mark_is_looked_over() {
    let facade = Facade::start().await;
    let text = format!(r#"{{"to": "{NUMBER}", "type": "text", "text": "x"}}"#);
    for (before, status) in [("\u{feff}", 201), ("\u{feff}\u{feff}", 400)] {
        let ask = facade
            .ask("POST", &path("messages"))
            .header("content-type", "application/json");
        let reply = ask.bytes(format!("{before}{text}")).send().await;
        assert_eq!(reply.status, status, "{reply:?}");
    }
}

#[tokio::test]
async fn a_compressed_body_is_415_and_says_so() {
    let facade = Facade::start().await;
    let body = json!({"to": NUMBER, "type": "text", "text": "x"});
    for (path, coding, status) in [
        (path("messages"), "gzip", 415),
        (path("messages"), "identity, BR", 415),
        (path("messages"), "Identity", 201),
        (path("presence"), "deflate", 415),
    ] {
        let ask = facade.ask("POST", &path).header("content-encoding", coding);
        let reply = ask.json(&body).send().await;
        assert_eq!(reply.status, status, "{reply:?}");
        if status == 415 {
            assert!(
                reply.json()["detail"].as_str().unwrap().contains("content-encoding"),
                "{reply:?}"
            );
            assert_eq!(reply.header("accept-encoding"), Some("identity"));
        }
    }
    let parts = facade
        .ask("POST", &path("messages"))
        .header("content-type", "multipart/form-data; boundary=b")
        .header("content-encoding", "gzip");
    assert_eq!(parts.bytes("x").send().await.status, 415);
    // What takes no body looks at none.
    let asked = facade
        .ask("GET", "/api/webhooks/list")
        .header("content-encoding", "gzip");
    assert_eq!(asked.send().await.status, 200);
}

#[tokio::test]
async fn the_entry_of_a_list_that_is_refused_is_quoted() {
    let facade = Facade::start().await;
    let mention = json!({"to": GROUP, "type": "text", "text": "x", "mentions": [NUMBER, "12 34"]});
    let reply = post(&facade, "messages", mention).await;
    assert!(said(&reply).ends_with("; \"12 34\" is not"), "{reply:?}");
    let long = format!("+{}", "9".repeat(100));
    let add = json!({"add": [NUMBER, long]});
    let reply = post(&facade, &format!("groups/{GROUP}/participants"), add).await;
    assert!(
        said(&reply).ends_with(&format!("; \"+{}…\" is not", "9".repeat(39))),
        "{reply:?}"
    );
    let made = json!({"subject": "S", "participants": ["7@lid"]});
    let reply = post(&facade, "groups", made).await;
    assert_eq!(said(&reply), "must be numbers, not hidden ids (@lid); \"7@lid\" is not");
    let checked = facade.ask("GET", &path("contacts/check?numbers=5511777777777,abc"));
    let reply = checked.send().await;
    assert!(said(&reply).ends_with("; \"abc\" is not"), "{reply:?}");
}

#[tokio::test]
async fn a_link_preview_says_all_that_it_may_be() {
    let facade = Facade::start().await;
    for wrong in [json!(1), json!("yes"), json!([]), json!(null)] {
        let body = json!({"to": NUMBER, "type": "text", "text": "x", "link_preview": wrong});
        let reply = post(&facade, "messages", body).await;
        assert_eq!(
            said(&reply),
            "must be true, false, \"auto\" or an object {url, title, description?}"
        );
    }
}
