//! Lists in the order of numbers, page by page.

use serde_json::{Value, json};

use super::Facade;

#[tokio::test]
async fn webhooks_and_connections_are_listed_page_by_page() {
    let facade = Facade::start().await;
    for path in ["/api/webhooks/list", "/api/whatsapp/connections"] {
        let list = async |query: &str| facade.ask("GET", &format!("{path}{query}")).send().await;
        let all = list("").await.json();
        let number = all["data"][0]["phone_number"].as_str().unwrap().to_owned();
        assert_eq!(
            (all["data"].as_array().unwrap().len(), &all["next_cursor"]),
            (1, &Value::Null)
        );
        assert_eq!(list("?limit=1").await.json(), all, "nothing comes after it");
        assert_eq!(list("?cursor=10000000").await.json(), all);
        let rest = list(&format!("?cursor={number}")).await.json();
        assert_eq!(rest, json!({"data": [], "next_cursor": null}));
        for (wrong, field) in [
            ("?limit=0", "limit"),
            ("?limit=1001", "limit"),
            ("?cursor=x", "cursor"),
            ("?limt=", "limt"),
            ("?limit=&limit=", "limit"),
        ] {
            let reply = list(wrong).await;
            reply.is_refused_for(&[field], wrong);
        }
        assert_eq!(list("?limit=&cursor=").await.json(), all, "left out");
    }
}
