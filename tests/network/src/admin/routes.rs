//! The admin routes of section 6 of the contract.

use std::time::Duration;

use bytes::Buf;
use futures::Stream;
use serde::{Deserialize, Serialize};
use serde_json::json;
use warp::http::{Method, Response as HttpResponse, StatusCode, header};
use warp::reply::Response;

use super::problem::Problem;
use super::request::{body, json as read};
use crate::network::WeakNetwork;
use crate::{Fault, Network};

/// More at once would hold one request for too long.
const MAX_COUNT: u32 = 100_000;
const MAX_RATE: f64 = 100_000.0;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewAccount {
    phone: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Scan {
    qr: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PairCode {
    code: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewMessages {
    to: String,
    text: String,
    count: Option<u32>,
    rate_per_s: Option<f64>,
}

/// Answers one request.
///
/// # Errors
/// A [`Problem`] with the status that the contract gives it.
pub(super) async fn answer<S, B>(
    network: &WeakNetwork,
    method: Method,
    path: &str,
    headers: &header::HeaderMap,
    stream: S,
) -> Result<Response, Problem>
where
    S: Stream<Item = Result<B, warp::Error>>,
    B: Buf,
{
    let network = network.get()?;
    let segments: Vec<&str> = path.trim_matches('/').split('/').collect();
    let body = body(stream).await?;
    match (segments.as_slice(), method.as_str()) {
        (["accounts"], "POST") => {
            let account = read::<NewAccount>(headers, &body)?;
            ok(&network.create_account(&account.phone).await?)
        }
        (["accounts", phone, "scan"], "POST") => {
            let scan = read::<Scan>(headers, &body)?;
            ok(&json!({ "jid": network.scan(phone, &scan.qr).await? }))
        }
        (["accounts", phone, "pair-code"], "POST") => {
            let entered = read::<PairCode>(headers, &body)?;
            ok(&json!({ "jid": network.enter_pair_code(phone, &entered.code).await? }))
        }
        (["accounts", phone, "messages"], "POST") => send(&network, phone, read(headers, &body)?).await,
        (["accounts", phone, "messages"], "GET") => ok(&network.messages(phone).await?),
        (["accounts", phone, "receipts"], "GET") => ok(&network.receipts(phone).await?),
        (["accounts", phone, "devices"], "GET") => ok(&network.devices(phone).await?),
        (["accounts", phone, "devices", device], "DELETE") => {
            let device = device
                .parse()
                .map_err(|_| Problem::new(StatusCode::BAD_REQUEST, format!("{device:?} is no device number")))?;
            network.unlink(phone, device).await?;
            Ok(empty())
        }
        (["faults"], "POST") => {
            network.fault(read::<Fault>(headers, &body)?).await?;
            Ok(empty())
        }
        (["stats"], "GET") => ok(&network.stats().await),
        (["admin", "mock-phone", "scan-qr"], "POST") => {
            let qr = String::from_utf8_lossy(&body);
            let (account, jid) = network.scan_by_name(&qr).await?;
            ok(&json!({ "phone": account.phone, "lid": account.lid, "jid": jid }))
        }
        (segments, _) => Err(no_route(segments, path)),
    }
}

/// 405 where another method would do, else 404.
fn no_route(segments: &[&str], path: &str) -> Problem {
    match segments {
        ["accounts"] | ["accounts", _, "scan" | "pair-code"] | ["faults"] | ["admin", "mock-phone", "scan-qr"] => {
            Problem::method("POST")
        }
        ["accounts", _, "messages"] => Problem::method("GET, POST"),
        ["accounts", _, "receipts" | "devices"] | ["stats"] => Problem::method("GET"),
        ["accounts", _, "devices", _] => Problem::method("DELETE"),
        ["ws", "chat"] => Problem::new(
            StatusCode::BAD_REQUEST,
            "this is the WebSocket of the clients; it wants an upgrade",
        ),
        _ => Problem::new(StatusCode::NOT_FOUND, format!("there is no route {path}")),
    }
}

/// Sends one text as it is, or a count of texts with a number after each, at the rate asked for.
async fn send(network: &Network, from: &str, new: NewMessages) -> Result<Response, Problem> {
    let invalid = |detail: String| Problem::new(StatusCode::BAD_REQUEST, detail);
    if new.text.is_empty() {
        return Err(invalid("text is empty".to_owned()));
    }
    let count = new.count.unwrap_or(1);
    if !(1..=MAX_COUNT).contains(&count) {
        return Err(invalid(format!("count is to be from 1 to {MAX_COUNT}")));
    }
    let pause = match new.rate_per_s {
        None => None,
        Some(rate) if rate > 0.0 && rate <= MAX_RATE => Some(Duration::from_secs_f64(1.0 / rate)),
        Some(_) => return Err(invalid(format!("rate_per_s is to be above 0 and at most {MAX_RATE}"))),
    };
    let mut ticks = pause.map(tokio::time::interval);
    let mut ids = Vec::new();
    for number in 1..=count {
        if let Some(ticks) = &mut ticks {
            ticks.tick().await;
        }
        let text = if count == 1 {
            new.text.clone()
        } else {
            format!("{} {number}", new.text)
        };
        ids.push(network.send_text(from, &new.to, &text).await?);
    }
    ok(&json!({ "ids": ids }))
}

fn ok<T: Serialize>(value: &T) -> Result<Response, Problem> {
    let body = serde_json::to_vec(value)
        .map_err(|error| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))?;
    let mut response = HttpResponse::new(body.into());
    let json = header::HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    Ok(response)
}

fn empty() -> Response {
    let mut response = HttpResponse::new(Vec::new().into());
    *response.status_mut() = StatusCode::NO_CONTENT;
    response
}
