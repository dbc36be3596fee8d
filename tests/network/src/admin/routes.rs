//! The admin routes of section 6 of the contract.

use std::time::Duration;

use bytes::Buf;
use futures::Stream;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use warp::http::{Method, Response as HttpResponse, StatusCode, header};
use warp::reply::Response;

use super::problem::Problem;
use super::request::{MAX_BODY, MAX_MESSAGE, body, json as read};
use crate::compose::{self, Content, Dispatch, NewMessage};
use crate::{Fault, GroupChange, GroupView, Network, NetworkError, PhoneSettings, ProfileChange, Setting};

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
struct NewGroup {
    subject: String,
    owner: String,
    #[serde(default)]
    participants: Vec<String>,
    /// It is a community.
    #[serde(default)]
    community: bool,
    /// The community that it is founded in.
    linked_parent: Option<String>,
}

impl NewGroup {
    async fn found(&self, network: &Network) -> Result<GroupView, NetworkError> {
        let Self {
            subject,
            owner,
            participants,
            community,
            linked_parent,
        } = self;
        match (community, linked_parent) {
            (false, None) => network.create_group(owner, subject, participants).await,
            (true, None) => network.create_community(owner, subject, participants).await,
            (false, Some(parent)) => network.create_group_inside(parent, owner, subject, participants).await,
            (true, Some(_)) => Err(NetworkError::Invalid(
                "a community is in no other one: either community or linked_parent is expected".to_owned(),
            )),
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PairCode {
    code: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewReceipts {
    ids: Vec<String>,
    #[serde(rename = "type")]
    kind: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewPresence {
    state: String,
    to: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewCall {
    to: String,
    #[serde(default)]
    video: bool,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct HangUp {
    reason: Option<String>,
}

/// Answers one request.
///
/// # Errors
/// A [`Problem`] with the status that the contract gives it.
pub(super) async fn answer<S, B>(
    network: &Network,
    method: Method,
    path: &str,
    headers: &header::HeaderMap,
    stream: S,
) -> Result<Response, Problem>
where
    S: Stream<Item = Result<B, warp::Error>>,
    B: Buf,
{
    let segments: Vec<&str> = path.trim_matches('/').split('/').collect();
    let most = match segments.as_slice() {
        ["accounts", _, "messages"] => MAX_MESSAGE,
        _ => MAX_BODY,
    };
    let body = body(stream, most).await?;
    let request = Request {
        network,
        headers,
        body: &body,
    };
    match (segments.as_slice(), method.as_str()) {
        (["accounts"], "POST") => {
            let account = read::<NewAccount>(headers, &body)?;
            ok(&network.create_account(&account.phone).await?)
        }
        (["accounts", phone, rest @ ..], method) => match request.account(phone, rest, method).await? {
            Some(response) => Ok(response),
            None => Err(no_route(&segments, path)),
        },
        (["groups"], "POST") => {
            let new = read::<NewGroup>(headers, &body)?;
            ok(&new.found(network).await?)
        }
        (["groups"], "GET") => ok(&network.groups().await),
        (["groups", id], "GET") => ok(&network.group(id).await?),
        (["groups", id], "PATCH") => ok(&network.change_group(id, read::<GroupChange>(headers, &body)?).await?),
        (["groups", id, "picture"], "GET") => Ok(bytes(network.group_picture(id).await?, "image/jpeg")),
        (["groups", id], "DELETE") => {
            network.dissolve_community(id).await?;
            Ok(empty())
        }
        (["faults"], "POST") => {
            let mut fault = read::<Map<String, Value>>(headers, &body)?;
            let times = fault.remove("times").unwrap_or_default();
            let fault: Fault = fitting(Value::Object(fault))?;
            network.fault_times(fault, fitting(times)?).await?;
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

struct Request<'a> {
    network: &'a Network,
    headers: &'a header::HeaderMap,
    body: &'a [u8],
}

impl Request<'_> {
    fn read<T: serde::de::DeserializeOwned>(&self) -> Result<T, Problem> {
        read(self.headers, self.body)
    }

    /// The routes of one account; `None` if there is none such.
    async fn account(&self, phone: &str, rest: &[&str], method: &str) -> Result<Option<Response>, Problem> {
        let network = self.network;
        let response = match (rest, method) {
            ([], "PATCH") => {
                network.set_phone(phone, &self.read::<PhoneSettings>()?).await?;
                empty()
            }
            (["scan"], "POST") => {
                let scan = self.read::<Scan>()?;
                ok(&json!({ "jid": network.scan(phone, &scan.qr).await? }))?
            }
            (["pair-code"], "POST") => {
                let entered = self.read::<PairCode>()?;
                ok(&json!({ "jid": network.enter_pair_code(phone, &entered.code).await? }))?
            }
            (["messages"], "POST") => {
                let (dispatch, message) = compose::read(self.read()?)?;
                send(network, phone, dispatch, message).await?
            }
            (["messages"], "GET") => ok(&network.messages(phone).await?)?,
            (["messages", id, "media"], "GET") => bytes(network.media(phone, id).await?, "application/octet-stream"),
            (["messages", id, "thumbnail"], "GET") => bytes(network.thumbnail(phone, id).await?, "image/jpeg"),
            (["messages", id, "media"], "DELETE") => {
                network.expire_media(phone, id).await?;
                empty()
            }
            (["settings"], "GET") => ok(&network.settings(phone).await?)?,
            (["settings"], "POST") => {
                let setting = self.read::<Setting>()?;
                ok(&json!({ "version": network.change_setting(phone, &setting).await? }))?
            }
            (["profile"], "GET") => ok(&network.profile(phone).await?)?,
            (["profile"], "PATCH") => ok(&network.change_profile(phone, &self.read::<ProfileChange>()?).await?)?,
            (["profile", "picture"], "GET") => bytes(network.picture(phone).await?, "image/jpeg"),
            (["receipts"], "GET") => ok(&network.receipts(phone).await?)?,
            (["receipts"], "POST") => {
                let new = self.read::<NewReceipts>()?;
                network.send_receipts(phone, &new.kind, &new.ids).await?;
                empty()
            }
            (["presence"], "GET") => ok(&network.presence(phone).await?)?,
            (["presence"], "POST") => {
                let new = self.read::<NewPresence>()?;
                network.show_presence(phone, &new.state, new.to.as_deref()).await?;
                empty()
            }
            (["history"], "POST") => ok(&json!({ "messages": network.share_history(phone).await? }))?,
            (["calls"], "GET") => ok(&network.calls(phone).await?)?,
            (["calls"], "POST") => {
                let new = self.read::<NewCall>()?;
                ok(&network.call(phone, &new.to, new.video).await?)?
            }
            (["calls", id, "terminate"], "POST") => {
                let end: HangUp = if self.body.is_empty() {
                    HangUp::default()
                } else {
                    self.read()?
                };
                ok(&network.hang_up(phone, id, end.reason.as_deref()).await?)?
            }
            (["devices"], "GET") => ok(&network.devices(phone).await?)?,
            (["devices", device], "DELETE") => {
                let device = device
                    .parse()
                    .map_err(|_| Problem::new(StatusCode::BAD_REQUEST, format!("{device:?} is no device number")))?;
                network.unlink(phone, device).await?;
                empty()
            }
            _ => return Ok(None),
        };
        Ok(Some(response))
    }
}

fn fitting<T: serde::de::DeserializeOwned>(value: Value) -> Result<T, Problem> {
    serde_json::from_value(value)
        .map_err(|error| Problem::new(StatusCode::BAD_REQUEST, format!("the body does not fit: {error}")))
}

/// 405 where another method would do, else 404.
fn no_route(segments: &[&str], path: &str) -> Problem {
    match segments {
        ["accounts"] | ["accounts", _, "scan" | "pair-code"] | ["faults"] | ["admin", "mock-phone", "scan-qr"] => {
            Problem::method("POST")
        }
        ["accounts", _, "history"] | ["accounts", _, "calls", _, "terminate"] => Problem::method("POST"),
        ["groups"]
        | [
            "accounts",
            _,
            "messages" | "receipts" | "presence" | "calls" | "settings",
        ] => Problem::method("GET, POST"),
        ["accounts", _, "profile"] => Problem::method("GET, PATCH"),
        ["accounts", _, "profile", "picture"]
        | ["accounts", _, "devices"]
        | ["accounts", _, "messages", _, "thumbnail"]
        | ["groups", _, "picture"]
        | ["stats"] => Problem::method("GET"),
        ["accounts", _, "messages", _, "media"] => Problem::method("DELETE, GET"),
        ["accounts", _, "devices", _] => Problem::method("DELETE"),
        ["groups", _] => Problem::method("DELETE, GET, PATCH"),
        ["accounts", _] => Problem::method("PATCH"),
        ["ws", "chat"] => Problem::new(
            StatusCode::BAD_REQUEST,
            "this is the WebSocket of the clients; it wants an upgrade",
        ),
        _ => Problem::new(StatusCode::NOT_FOUND, format!("there is no route {path}")),
    }
}

/// Sends one message as it is, or a count of them with a number after each text, at the rate asked for.
fn bytes(bytes: Vec<u8>, kind: &'static str) -> Response {
    let mut response = HttpResponse::new(bytes.into());
    let kind = header::HeaderValue::from_static(kind);
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

async fn send(network: &Network, from: &str, dispatch: Dispatch, message: NewMessage) -> Result<Response, Problem> {
    let invalid = |detail: String| Problem::new(StatusCode::BAD_REQUEST, detail);
    let count = dispatch.count.unwrap_or(1);
    if !(1..=MAX_COUNT).contains(&count) {
        return Err(invalid(format!("count is to be from 1 to {MAX_COUNT}")));
    }
    if count > 1 && message.options.id.is_some() {
        return Err(invalid("only one message can have that id".to_owned()));
    }
    let pause = match dispatch.rate_per_s {
        None => None,
        Some(rate) if rate > 0.0 && rate <= MAX_RATE => Some(Duration::from_secs_f64(1.0 / rate)),
        Some(_) => return Err(invalid(format!("rate_per_s is to be above 0 and at most {MAX_RATE}"))),
    };
    let mut ticks = pause.map(tokio::time::interval);
    let (mut ids, mut media) = (Vec::new(), None);
    for number in 1..=count {
        if let Some(ticks) = &mut ticks {
            ticks.tick().await;
        }
        let mut message = message.clone();
        if let (Content::Text(content), true) = (&mut message.content, count > 1) {
            content.text = format!("{} {number}", content.text);
        }
        let sent = network.send(from, &dispatch.to, &message).await?;
        ids.push(sent.id);
        media = sent.media.or(media);
    }
    match media {
        None => ok(&json!({ "ids": ids })),
        Some(media) => ok(&json!({ "ids": ids, "media": media })),
    }
}

/// 200 with JSON.
///
/// # Errors
/// 500 if it cannot be written as JSON.
pub(super) fn ok<T: Serialize>(value: &T) -> Result<Response, Problem> {
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
