//! One request on its way to a handler, and the answers that handlers give.

use std::{str::FromStr, sync::Arc, time::Duration};

use bytes::Bytes;
use serde::Serialize;
use tokio::sync::watch;
use warp::{
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    reply::Response,
};
use wharf_actors::{GatewayError, Permit, ReceivedFile, Tally};
use wharf_domain::{ClientId, InvalidField, PhoneNumber, TokenHash, link_page::LinkPage};

use super::{Desk, link_page::Visits, problem::Problem};

/// What a handler gives back.
pub(super) type Answer = Result<Response, Problem>;

/// A request whose token, path and size are settled. All it can reach is the desk.
pub(super) struct Call {
    pub(super) desk: Arc<dyn Desk>,
    /// Who asks. On a route without token nobody: an id that no client has; by the link of a page the client that gave it away.
    pub(super) client: ClientId,
    /// The hash of the token that said so.
    pub(super) token: Option<TokenHash>,
    /// The page, of a request by its link. Then nothing else of that client is to be seen.
    pub(super) page: Option<Box<LinkPage>>,
    /// The first variable segment of the path, decoded; empty where the path has none.
    pub(super) param: String,
    /// The second one.
    pub(super) second: String,
    pub(super) query: String,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    /// The file that came along with a message.
    pub(super) upload: Option<Upload>,
    /// Held while `body` is a large one.
    pub(super) large: Option<Permit>,
    /// Who follows what for how long.
    pub(super) watchers: Arc<Tally>,
    /// And what is asked for by links to pages.
    pub(super) visits: Arc<Visits>,
    pub(super) times: Times,
    /// The token with which the metrics may be read.
    pub(super) operator: Option<TokenHash>,
    /// Whether the facade is being closed.
    pub(super) closing: watch::Receiver<bool>,
}

/// How long things may take that hold a connection.
#[derive(Debug, Clone, Copy)]
pub(super) struct Times {
    /// Everything between the last header byte of a request and its answer (`http.request_timeout_ms`).
    pub(super) request: Duration,
    /// A connection on which nothing is sent (`http.idle_timeout_ms`).
    pub(super) idle: Duration,
}

/// A file that came along.
pub(super) struct Upload {
    pub(super) file: ReceivedFile,
    /// What the part says that it is.
    pub(super) mime_type: Option<String>,
    /// What the part says that it is called.
    pub(super) file_name: Option<String>,
}

impl Call {
    /// The id in the path. Text that is no id names nothing, like an id that does not exist: 404.
    pub(super) fn id<T: FromStr>(&self, what: &'static str) -> Result<T, Problem> {
        self.param.parse().map_err(|_| GatewayError::NotFound(what).into())
    }

    /// The phone number in the path, written as freely as in a body. Text that cannot be a number is 400 and not 404:
    /// the client most likely forgot a digit or the country code, and "there is no such connection" would hide that. A 0 at its
    /// beginning is no such thing: there may be a connection from before that was refused, which has to be deleted.
    pub(super) fn phone(&self) -> Result<PhoneNumber, InvalidField> {
        self.param.parse()
    }

    /// The page of a request by its link, which `dispatch` has opened.
    pub(super) fn page(&self) -> Result<&LinkPage, Problem> {
        self.page.as_deref().ok_or_else(Problem::internal)
    }
}

/// An answer in JSON.
pub(super) fn json<T: Serialize>(status: StatusCode, value: &T) -> Answer {
    let body = serde_json::to_vec(value).map_err(|error| {
        tracing::error!(%error, "an answer could not be written as JSON");
        Problem::internal()
    })?;
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(response)
}

/// `{data: […]}`
pub(super) fn list<T: Serialize>(data: &[T]) -> Answer {
    #[derive(Serialize)]
    struct List<'a, T> {
        data: &'a [T],
    }
    json(StatusCode::OK, &List { data })
}

/// `{data: […], next_cursor}`
pub(super) fn page<T: Serialize>(data: &[T], next_cursor: Option<impl ToString>) -> Answer {
    #[derive(Serialize)]
    struct Page<'a, T> {
        data: &'a [T],
        next_cursor: Option<String>,
    }
    let next_cursor = next_cursor.map(|cursor| cursor.to_string());
    json(StatusCode::OK, &Page { data, next_cursor })
}

/// 204
pub(super) fn no_content() -> Response {
    let mut response = Response::default();
    *response.status_mut() = StatusCode::NO_CONTENT;
    response
}

/// The path exists, the method does not; OPTIONS only asks which do.
pub(super) fn other_methods(method: &Method, allow: &str) -> Answer {
    // Made of method names only, so it is always a header value.
    let value = HeaderValue::from_str(allow).map_err(|_| Problem::internal())?;
    if method == Method::OPTIONS {
        let mut response = no_content();
        response.headers_mut().insert(header::ALLOW, value);
        return Ok(response);
    }
    let detail = format!("{method} is not possible here; possible: {allow}");
    Err(Problem::new(StatusCode::METHOD_NOT_ALLOWED, detail).with(header::ALLOW, value))
}
