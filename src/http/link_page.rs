//! Pages on which whoever holds the phone links a number: made with the client's token, seen by whoever has the link.
//!
//! The page itself is one and the same text for all; what it shows it asks for. It begins nothing by being fetched: programs
//! that show what is behind a link fetch it, too. Its script asks for that, once for each time that the page is opened.
//!
//! Nothing is told there that is not for the eyes of whoever holds the phone, also where something fails: the gateway's own
//! words are for its clients. How much may be asked for: [`visits`].

mod visits;

use std::{
    sync::{Arc, LazyLock},
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use percent_encoding::percent_decode_str;
use serde::Serialize;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use warp::{
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    reply::Response,
};
use wharf_actors::{GatewayError, NewLinkPage, Qr};
use wharf_domain::{
    InvalidField, Timestamp,
    link_page::{
        DEFAULT_LIFETIME_SECONDS, GONE, LIFETIME_SECONDS, LINK_PATH, LinkPage, PageStatus, TITLE_WANTED, is_title,
    },
};

use super::{
    Desk,
    call::{Answer, Call, json},
    connections,
    fields::{self, Fields},
    problem::Problem,
    qr,
    query::Query,
    watch::{self, Waiting},
};

pub(super) use visits::{Visit, Visits};

/// Where a page lies.
pub(super) const PATTERN: &str = "/link/:token";
/// What the log calls a path in which the token of a page may stand although it is none of ours.
const HIDDEN: &str = "/link/…";

/// The page.
const PAGE: &str = include_str!("link_page/page.html");

/// What the page may do: run its own script, show codes that come with what it asks for, and ask this server. It may stand in
/// a frame, of anybody's page: there is no login here that such a page could abuse, and whoever has the link needs no frame for
/// what it opens. Clients want it within their own pages.
static POLICY: LazyLock<HeaderValue> = LazyLock::new(|| {
    let hash = |tag: &str| {
        let (_, rest) = PAGE.split_once(&format!("<{tag}>")).unwrap_or_default();
        let (text, _) = rest.split_once(&format!("</{tag}>")).unwrap_or_default();
        STANDARD.encode(Sha256::digest(text))
    };
    let policy = format!(
        "default-src 'none'; script-src 'sha256-{}'; style-src 'sha256-{}'; img-src data:; connect-src 'self'; base-uri 'none'; \
         form-action 'none'; frame-ancestors *",
        hash("script"),
        hash("style")
    );
    // Base64 is always a header value.
    HeaderValue::from_str(&policy).unwrap_or(HeaderValue::from_static("default-src 'none'"))
});

/// Whether a route of the table is a page's.
pub(super) fn is_of_page(path: &str) -> bool {
    path.starts_with(PATTERN)
}

/// What the log calls a path that there is not, if the token of a page may stand in it: one that was copied with something
/// behind it, say, or came by a proxy that leaves its own prefix in front.
pub(super) fn hidden(path: &str) -> Option<&'static str> {
    let mut segments = path
        .split('/')
        .map(|segment| percent_decode_str(segment).decode_utf8_lossy());
    segments.any(|segment| segment == LINK_PATH).then_some(HIDDEN)
}

/// The page of a link.
pub(super) async fn open(desk: &Arc<dyn Desk>, token: &str) -> Result<LinkPage, Problem> {
    desk.open_link_page(token).await.map_err(|error| match error {
        GatewayError::NotFound(_) => error.into(),
        error => plain(error),
    })
}

/// `POST /api/whatsapp/connections/:phone_number/link-page`
pub(super) async fn make(call: Call) -> Answer {
    let phone = call.phone()?;
    let mut body = Fields::parse(&call.body)?;
    let seconds = body.optional("expires_in_seconds", seconds);
    let title = body.optional("title", title);
    body.finish()?;
    let seconds = seconds?.unwrap_or(DEFAULT_LIFETIME_SECONDS);
    let new = NewLinkPage {
        lifetime: Duration::from_secs(seconds.into()),
        title: title?.unwrap_or_default(),
    };
    let token = call.token.ok_or_else(Problem::unauthorized)?;
    json(
        StatusCode::CREATED,
        &call.desk.make_link_page(call.client, &phone, token, new).await?,
    )
}

fn seconds(name: &'static str, value: Value) -> Result<u32, InvalidField> {
    let number = fields::integer(&value).and_then(|number| u32::try_from(number).ok());
    number
        .filter(|number| LIFETIME_SECONDS.contains(number))
        .ok_or_else(|| {
            let (least, most) = (LIFETIME_SECONDS.start(), LIFETIME_SECONDS.end());
            InvalidField::new(name, format!("must be a whole number from {least} to {most}"))
        })
}

fn title(name: &'static str, value: Value) -> Result<String, InvalidField> {
    let title = fields::string(name, value)?;
    match is_title(&title) {
        true => Ok(title),
        false => Err(InvalidField::new(name, format!("must be {TITLE_WANTED}"))),
    }
}

/// `GET /link/:token`
pub(super) async fn page(call: Call) -> Answer {
    look(&call, call.page()?).await?;
    Ok(dressed(Response::default()))
}

/// A refusal as it is answered. Whoever opens a page reads it, and is better served with the page, which says the same.
pub(super) fn refusal(problem: Problem, pattern: Option<&str>, method: &Method, headers: &HeaderMap) -> Response {
    let accepts = headers.get_all(header::ACCEPT).iter();
    let mut accepts = accepts.filter_map(|value| value.to_str().ok());
    let is_opened = pattern == Some(PATTERN) && matches!(*method, Method::GET | Method::HEAD);
    match is_opened && accepts.any(|text| text.contains("text/html")) {
        true => dressed(problem.into_response()),
        false => problem.into_response(),
    }
}

/// The page in the place of an answer's body.
fn dressed(mut response: Response) -> Response {
    *response.body_mut() = PAGE.into();
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CACHE_CONTROL, "no-store"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::HeaderName::from_static("x-robots-tag"), "noindex"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.insert(header::CONTENT_SECURITY_POLICY, POLICY.clone());
    response
}

/// What a page shows.
#[derive(Serialize)]
struct State<'a> {
    status: PageStatus,
    #[serde(skip_serializing_if = "Option::is_none")]
    qr: Option<String>,
    /// The same as a picture, in a `data:` address.
    #[serde(skip_serializing_if = "Option::is_none")]
    image: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "str::is_empty")]
    title: &'a str,
}

/// Where linking stands, and the code to scan.
type Seen = (PageStatus, Option<Qr>);

fn told(status: StatusCode, page: &LinkPage, (is, code): Seen) -> Answer {
    let picture = code.as_ref().map(|code| qr::png(&code.qr)).transpose()?;
    let (qr, expires_at) = code.map(|code| (code.qr, code.expires_at)).unzip();
    let state = State {
        status: is,
        qr,
        image: picture.map(|png| format!("data:image/png;base64,{}", STANDARD.encode(png))),
        expires_at,
        title: &page.title,
    };
    json(status, &state)
}

async fn look(call: &Call, page: &LinkPage) -> Result<Seen, Problem> {
    call.desk.on_link_page(page).await.map_err(plain)
}

/// `GET /link/:token/state`
pub(super) async fn state(call: Call) -> Answer {
    let mut query = Query::parse(&call.query);
    let wait = query.optional("wait", connections::wait);
    let after = query.optional("after", |text| Ok(text.to_owned()));
    query.finish()?;
    let page = call.page()?;
    let seen = match wait {
        Some(wait) => waited(&call, page, wait, after.as_deref()).await?,
        None => look(&call, page).await?,
    };
    told(StatusCode::OK, page, seen)
}

/// What is to be seen once it is something else than `after`: the code that is shown, or the status where there is none.
async fn waited(call: &Call, page: &LinkPage, wait: Duration, after: Option<&str>) -> Result<Seen, Problem> {
    let _ticket = call.visits.wait(page.client_id)?;
    let counted = watch::enter(call).map_err(|_| visits::later(Duration::ZERO))?;
    let changes = call.desk.changes(page.client_id, &page.phone_number).await;
    let mut waiting = Waiting::begin(call, counted, changes.map_err(plain)?, wait);
    loop {
        waiting.looks();
        let (is, code) = look(call, page).await?;
        let shown = code.as_ref().map_or(is.as_str(), |code| &code.qr);
        let over = after != Some(shown) || waiting.is_over();
        if !watch::is_theirs(&call.desk, call.client, call.token).await {
            return Err(plain(GatewayError::Gone(GONE)));
        }
        if over {
            return Ok((is, code));
        }
        waiting.changed().await;
    }
}

/// `POST /link/:token/start`: once for each time that the page is opened, and when whoever sees it asks for it.
pub(super) async fn start(call: Call) -> Answer {
    let page = call.page()?;
    let (is, _) = look(&call, page).await?;
    if is.may_begin() {
        call.visits.act(&page.key())?;
        call.desk.begin_on_link_page(page).await.map_err(plain)?;
    }
    told(StatusCode::ACCEPTED, page, look(&call, page).await?)
}

/// `POST /link/:token/pair-code`
pub(super) async fn pair_code(call: Call) -> Answer {
    let page = call.page()?;
    call.visits.act(&page.key())?;
    json(StatusCode::OK, &call.desk.pair_on_link_page(page).await.map_err(plain)?)
}

/// What went wrong, in words for whoever holds the phone.
fn plain(error: GatewayError) -> Problem {
    tracing::debug!(%error, "a page to link on gets no answer");
    match error {
        GatewayError::NotFound(_) | GatewayError::Gone(_) => Problem::new(StatusCode::GONE, GONE),
        GatewayError::Conflict(_) => Problem::new(StatusCode::CONFLICT, "there is no code at present"),
        GatewayError::Refused(_) => {
            let detail = "WhatsApp gives no code to type for this number at present; scan the other one";
            Problem::new(StatusCode::UNPROCESSABLE_ENTITY, detail)
        }
        GatewayError::Busy(_) => visits::later(Duration::ZERO),
        _ => Problem::unavailable("that is not possible at present; try again in a moment"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_hidden_wherever_it_may_stand() {
        for path in [
            "/link/TOKEN/",
            "/link/TOKEN/nothing",
            "//link/TOKEN",
            "/gate/link/TOKEN",
            "/%6cink/TOKEN/x",
            "/link/TOKEN/%ff",
        ] {
            assert_eq!(hidden(path), Some(HIDDEN), "{path}");
        }
        for path in ["/", "/links/x", "/api/link-page"] {
            assert_eq!(hidden(path), None, "{path}");
        }
    }

    #[test]
    fn the_page_is_small_and_needs_nothing_from_elsewhere() {
        assert!(PAGE.len() < 10_000, "{}", PAGE.len());
        for tag in ["<script>", "</script>", "<style>", "</style>"] {
            assert_eq!(
                PAGE.matches(tag).count(),
                1,
                "{tag}: what the policy lets through is that one"
            );
        }
        for elsewhere in [
            "http:",
            "https:",
            "src=",
            "@import",
            "url(",
            "style=",
            "onclick",
            "innerHTML",
        ] {
            assert!(!PAGE.contains(elsewhere), "{elsewhere}");
        }
        for status in PageStatus::ALL {
            assert!(
                PAGE.contains(&format!("{}:", status.as_str())),
                "{status:?} has no words"
            );
        }
    }
}
