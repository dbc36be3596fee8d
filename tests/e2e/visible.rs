//! What happened to events, tests, and retries of many.

use std::time::{Duration, Instant};

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use wharf_support::Reply;

use super::world::{Answer, CONTACT, NUMBER, WITHIN, World, id};

async fn get(world: &World, path: &str) -> Value {
    world.api().get(path).await.expect(StatusCode::OK)
}

async fn test(world: &World, webhook: &str) -> Answer {
    let path = format!("/api/webhooks/{webhook}/test");
    world.api().call(Method::POST, &path).await
}

/// The body's field of each request, in the order of arrival.
fn contents(world: &World) -> Vec<(String, String)> {
    let field = |body: &Value, name: &str| body[name].as_str().unwrap().to_owned();
    let requests = world.receiver.requests();
    let bodies = requests
        .iter()
        .map(|request| serde_json::from_slice::<Value>(&request.body).unwrap());
    bodies
        .map(|body| (field(&body, "from"), field(&body, "content")))
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_attempt_can_be_seen_and_the_list_filtered() {
    let world = World::start().await;
    let webhook = world.linked("/hook").await;
    let another = "5511777777777";
    world.network.create_account(another).await.unwrap();
    world
        .receiver
        .script("/hook", [Reply::Status(503), Reply::Ok, Reply::Status(404)]);
    let message = world.text("first").await;
    let first = world.api().wait_for_events(&webhook, "delivered", 1).await.remove(0);
    world.network.send_text(another, NUMBER, "second").await.unwrap();
    let second = world.api().wait_for_events(&webhook, "failed", 1).await.remove(0);

    let path = format!("/api/webhooks/events/{}", id(&first));
    assert_eq!(get(&world, &path).await, first);
    let attempts = get(&world, &format!("{path}/attempts")).await;
    let attempts = attempts["data"].as_array().unwrap();
    let shown: Vec<_> = attempts
        .iter()
        .map(|attempt| {
            (
                &attempt["number"],
                &attempt["http_status"],
                &attempt["error"],
                &attempt["manual"],
            )
        })
        .collect();
    let (no, null) = (json!(false), Value::Null);
    let error = json!("Server error (503)");
    assert_eq!(
        shown,
        [
            (&json!(1), &json!(503), &error, &no),
            (&json!(2), &json!(200), &null, &no)
        ]
    );
    assert_eq!(
        (&attempts[0]["response"], &attempts[1]["response"]),
        (&json!("503"), &json!("ok"))
    );
    assert!(attempts.iter().all(|attempt| attempt["duration_ms"].is_number()));
    assert!(attempts[0]["started_at"].as_str().unwrap() < attempts[1]["started_at"].as_str().unwrap());
    assert!(first["created_at"].as_str().unwrap() <= attempts[0]["started_at"].as_str().unwrap());

    let between = second["created_at"].as_str().unwrap();
    let (first_id, second_id) = (id(&first), id(&second));
    let rows: [(String, &[&String]); 9] = [
        (format!("chat={CONTACT}"), &[&first_id]),
        (format!("chat={another}@s.whatsapp.net"), &[&second_id]),
        ("chat=5511000000000".to_owned(), &[]),
        (format!("message_id={message}"), &[&first_id]),
        (format!("since={between}"), &[&second_id]),
        (format!("until={between}"), &[&first_id]),
        (format!("status=failed&chat={another}&since={between}"), &[&second_id]),
        (format!("status=delivered&chat={another}"), &[]),
        ("since=2020-01-01T00:00:00Z".to_owned(), &[&second_id, &first_id]),
    ];
    for (query, expected) in rows {
        let page = get(&world, &format!("/api/webhooks/{webhook}/events?{query}")).await;
        let ids: Vec<String> = page["data"].as_array().unwrap().iter().map(id).collect();
        assert_eq!(ids.iter().collect::<Vec<_>>(), expected, "{query}");
        assert!(page["next_cursor"].is_null(), "{query}");
    }

    let stats = get(&world, &format!("/api/webhooks/{webhook}/stats")).await;
    for period in ["last_hour", "last_day"] {
        let period = &stats[period];
        assert_eq!(
            (&period["attempts"], &period["delivered"], &period["failed"]),
            (&json!(3), &json!(1), &json!(1))
        );
        assert!(period["latency_ms"]["p50"].as_i64() <= period["latency_ms"]["max"].as_i64());
    }
    assert_eq!(
        (&stats["queue"]["pending"], &stats["queue"]["oldest_pending_at"]),
        (&json!(0), &null)
    );
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_test_goes_the_way_of_every_event_once() {
    let world = World::start().await;
    // No number needs to be linked for it.
    let webhook = world.webhook(NUMBER, "/hook").await;
    let tested = test(&world, &webhook).await.expect(StatusCode::OK);
    let (event, attempt) = (&tested["event"], &tested["attempt"]);
    assert_eq!((&event["status"], &event["sequence"]), (&json!("delivered"), &json!(1)));
    assert_eq!((&attempt["number"], &attempt["http_status"]), (&json!(1), &json!(200)));
    let request = world.receiver.requests().remove(0);
    let body: Value = serde_json::from_slice(&request.body).unwrap();
    assert_eq!(body, event["payload"]);
    assert_eq!((&body["test"], &body["type"]), (&json!(true), &json!("text")));
    assert_eq!((&body["from"], &body["to"]), (&json!(NUMBER), &json!(NUMBER)));
    assert!(body["message_id"].as_str().unwrap().starts_with("test-"));
    assert!(request.header("webhook-signature").unwrap().starts_with("v1,"));
    assert_eq!(request.header("webhook-id"), event["id"].as_str());

    world.receiver.script("/hook", [Reply::Status(503)]);
    let tested = test(&world, &webhook).await.expect(StatusCode::OK);
    assert_eq!(tested["attempt"]["error"], "Server error (503)");
    assert_eq!(tested["event"]["status"], "failed", "one attempt is all");
    assert_eq!(tested["event"]["attempt_count"], 1);

    let path = format!("/api/webhooks/{webhook}");
    world
        .api()
        .patch(&path, json!({"is_active": false}))
        .await
        .expect(StatusCode::OK);
    test(&world, &webhook).await.expect(StatusCode::CONFLICT);
    world.api().call(Method::DELETE, &path).await;
    test(&world, &webhook).await.expect(StatusCode::NOT_FOUND);
    assert_eq!(world.receiver.count(), 2);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn failed_events_go_out_together_in_order_and_at_a_bounded_rate() {
    let world = World::start().await;
    let webhook = world.linked("/hook").await;
    let others = ["5511777777777", "5511666666666"];
    for other in others {
        world.network.create_account(other).await.unwrap();
    }
    let senders = [CONTACT, others[0], others[1]];
    world.receiver.always("/hook", Reply::Status(404));
    let path = format!("/api/webhooks/{webhook}/retry");
    for n in 0..10 {
        for sender in senders {
            world.network.send_text(sender, NUMBER, &n.to_string()).await.unwrap();
        }
    }
    world.api().wait_for_events(&webhook, "failed", 30).await;
    let none = world
        .api()
        .post(&path, json!({"status": "failed", "error": "Server error"}));
    assert_eq!(none.await.expect(StatusCode::ACCEPTED)["retrying"], 0);

    world.receiver.always("/hook", Reply::Ok);
    let asked = Instant::now();
    let some = world.api().post(
        &path,
        json!({"status": "failed", "error": "Client error (404)", "limit": 25}),
    );
    let some = some.await.expect(StatusCode::ACCEPTED);
    assert_eq!(some["retrying"], 25);
    assert!(some["next_since"].is_string(), "five more match");
    let rest = world
        .api()
        .post(&path, json!({"status": "failed"}))
        .await
        .expect(StatusCode::ACCEPTED);
    assert_eq!((&rest["retrying"], &rest["next_since"]), (&json!(5), &Value::Null));
    let requests = world.receiver.wait_for(60, WITHIN).await;
    // The first of 30 is due at once, each next one 20 ms later: the second retry begins where the first ends.
    let took = requests[59].at - asked;
    assert!(took >= Duration::from_millis(29 * 20 - 10), "50 a second: {took:?}");
    let expected: Vec<String> = (0..10).map(|n| n.to_string()).collect();
    for sender in senders {
        let order: Vec<String> = contents(&world)
            .into_iter()
            .skip(30)
            .filter(|(from, _)| from == sender)
            .map(|(_, content)| content)
            .collect();
        assert_eq!(order, expected, "{sender}");
    }
    let event = world.api().wait_for_events(&webhook, "delivered", 30).await.remove(0);
    let attempts = get(&world, &format!("/api/webhooks/events/{}/attempts", id(&event))).await;
    assert_eq!(attempts["data"][1]["manual"], true);

    world
        .api()
        .patch(&format!("/api/webhooks/{webhook}"), json!({"is_active": false}))
        .await
        .expect(StatusCode::OK);
    let inactive = world.api().post(&path, json!({"status": "failed"})).await;
    inactive.expect(StatusCode::CONFLICT);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_retry_of_many_survives_a_restart() {
    let mut world = World::start().await;
    let webhook = world.linked("/hook").await;
    world.receiver.always("/hook", Reply::Status(404));
    for n in 0..40 {
        world.text(&n.to_string()).await;
    }
    world.api().wait_for_events(&webhook, "failed", 40).await;
    world.receiver.always("/hook", Reply::Ok);
    let path = format!("/api/webhooks/{webhook}/retry");
    let retried = world.api().post(&path, json!({"status": "failed"})).await;
    assert_eq!(retried.expect(StatusCode::ACCEPTED)["retrying"], 40);
    world.restart_gateway().await;
    world.api().wait_for_events(&webhook, "delivered", 40).await;
    let order: Vec<String> = contents(&world)
        .into_iter()
        .skip(40)
        .map(|(_, content)| content)
        .collect();
    let mut distinct = order.clone();
    distinct.dedup();
    assert_eq!(distinct, (0..40).map(|n| n.to_string()).collect::<Vec<_>>(), "in order");
    world.stop().await;
}
