//! What happens to every request, in this order: request id, token, route, body, handler. And to every answer: the
//! request id and a line in the log.

use std::{convert::Infallible, sync::Arc};

use hyper::body::Body as _;
use percent_encoding::percent_decode_str;
use tokio::{
    sync::watch,
    time::{Instant, timeout, timeout_at},
};
use tracing::Instrument;
use uuid::Uuid;
use warp::{
    Filter, Reply,
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header},
    path::FullPath,
    reply::Response,
};
use wharf_actors::{Slots, Tally};
use wharf_domain::{ClientId, TokenHash, link_page::LinkPage, media_link::MEDIA_PATH};

use super::{
    Desk,
    body::{Body, check_coding},
    call::{Answer, Call, Times, other_methods},
    held::Held,
    link_page, media,
    problem::Problem,
    query::Query,
    refusals::{Asker, Refusals},
    routes::{self, Route, Takes},
    seats::{Places, Seat},
    token::token_of,
    upload::{self, Brings},
    watch::is_theirs,
};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Longer ids are not used but replaced: they end up in every log line.
const REQUEST_ID_MAX: usize = 128;

/// Bytes of answers that a client may have asked for and not taken yet, besides a single one of any size.
const UNSENT_BYTES: usize = 64 << 20;
/// Answers of up to so many bytes are not counted: a client has few enough requests.
const SMALL_ANSWER: usize = 64 << 10;

/// The answers that clients have not taken yet.
pub(super) fn unsent() -> Arc<Tally> {
    Tally::new(UNSENT_BYTES)
}

/// What all requests share.
#[derive(Clone)]
pub(super) struct Dispatch {
    pub(super) desk: Arc<dyn Desk>,
    pub(super) times: Times,
    /// Requests that are carried out, for each client.
    pub(super) under_way: Arc<Tally>,
    /// And for all of them together.
    pub(super) places: Arc<Places>,
    /// Bytes of answers that are not sent yet, for each client.
    pub(super) unsent: Arc<Tally>,
    /// How fast who asks for too much is told so.
    pub(super) refusals: Arc<Refusals>,
    /// Streams and long polls among the requests.
    pub(super) watchers: Arc<Tally>,
    /// And what is asked for by links to pages.
    pub(super) visits: Arc<link_page::Visits>,
    /// Who may have a large body in memory.
    pub(super) large: Slots,
    /// Whoever has this token may read the metrics; `None`: nobody may.
    pub(super) operator: Option<TokenHash>,
    /// Ends what is being followed.
    pub(super) closing: watch::Receiver<bool>,
}

/// A request, taken apart.
struct Request {
    method: Method,
    path: String,
    /// What the log calls its path, once that is one there is: in what stands for the variable segments are numbers of people
    /// and codes of invites.
    pattern: Option<&'static str>,
    query: String,
    headers: HeaderMap,
    body: Body,
    /// The place of the connection that it came by.
    seat: Option<Arc<Seat>>,
    /// Whose it is, once that is known.
    asker: Option<Asker>,
    /// Counts it for its client.
    held: Option<Arc<Held>>,
}

/// Whose request it is, by which token, and the page by whose link it came.
type Asking = (ClientId, Option<TokenHash>, Option<Box<LinkPage>>);

/// What a request leads to.
enum Sought {
    /// An answer.
    Answer(Response),
    /// A route that is still to be run.
    Route(&'static Route, Box<Call>),
}

impl Dispatch {
    /// The one filter: takes every request, rejects none.
    pub(super) fn filter(
        self,
    ) -> impl Filter<Extract = (impl Reply,), Error = warp::Rejection> + Clone + Send + Sync + 'static {
        let query = warp::query::raw().or_else(|_| async { Ok::<_, Infallible>((String::new(),)) });
        warp::method()
            .and(warp::path::full())
            .and(query)
            .and(warp::header::headers_cloned())
            .and(warp::ext::optional())
            .and(warp::body::stream())
            .then(move |method, path: FullPath, query, headers, seat, body| {
                let path = path.as_str().to_owned();
                self.clone().answer(Request {
                    method,
                    path,
                    pattern: None,
                    query,
                    headers,
                    body: Body::new(body),
                    seat,
                    asker: None,
                    held: None,
                })
            })
    }

    async fn answer(self, mut request: Request) -> Response {
        let id = request_id(&request.headers);
        // What is logged on the way to the answer carries the id that the client sees.
        let span = tracing::info_span!("request", id = id.to_str().unwrap_or_default());
        let answer = self.carry_out(&mut request).instrument(span.clone()).await;
        let answer = answer.and_then(|answer| self.weigh(&request, answer));
        // Whoever is refused, or counts for nobody, holds no place for longer than others want it.
        if (answer.is_err() || request.held.is_none())
            && let Some(seat) = &request.seat
        {
            seat.refused();
        }
        // A client that waits for `100 Continue` has not sent its body, and shall not be invited to.
        if request.body.is_begun() || !request.headers.contains_key(header::EXPECT) {
            request.body.drain().await;
        }
        if let (Err(problem), Some(asker)) = (&answer, request.asker)
            && problem.is_busy()
        {
            self.hold_back(asker).await;
        }
        let is_expected = answer.as_ref().is_err_and(Problem::is_expected);
        let mut response = answer
            .unwrap_or_else(|problem| link_page::refusal(problem, request.pattern, &request.method, &request.headers));
        let headers = response.headers_mut();
        // Answers are about one client at one moment; no cache may give them to another.
        headers
            .entry(header::CACHE_CONTROL)
            .or_insert(HeaderValue::from_static("no-store"));
        headers.insert(REQUEST_ID, id);
        let _entered = span.enter();
        let path = request.pattern.unwrap_or(&request.path);
        let (method, status) = (&request.method, response.status().as_u16());
        if status >= 500 && !is_expected {
            tracing::warn!(%method, %path, status, "request failed");
        } else {
            tracing::debug!(%method, %path, status, "request");
        }
        response
    }

    /// Waits as long as this asker's refusals are held back, but not while the facade is being closed.
    async fn hold_back(&self, asker: Asker) {
        let wait = self.refusals.hold_back(asker);
        let mut closing = self.closing.clone();
        // Over in time, or closing: the answer goes out either way.
        let _ = timeout(wait, closing.wait_for(|closing| *closing)).await;
    }

    async fn carry_out(&self, request: &mut Request) -> Answer {
        let begun = Instant::now();
        let (route, mut call) = match self.within(begun, self.find(request)).await? {
            Sought::Answer(answer) => return Ok(answer),
            Sought::Route(route, call) => (route, call),
        };
        if !matches!(route.takes, Takes::Nothing) {
            check_coding(&request.headers)?;
        }
        let (body, time) = (&mut request.body, self.times.request / 2);
        let took_its_time = match route.takes {
            Takes::Nothing => false,
            Takes::Object => {
                call.body = self.within(begun, body.read(&request.headers, time)).await?;
                false
            }
            // Bounded by the pace at which it comes.
            Takes::Message => upload::take_in(&mut call, body, time, &self.large, Brings::Message).await?,
            Takes::Picture => upload::take_in(&mut call, body, time, &self.large, Brings::Picture).await?,
        };
        // A file may come for hours, in which the token may have been taken away.
        if took_its_time && !is_theirs(&self.desk, call.client, call.token).await {
            return Err(Problem::unauthorized());
        }
        let begun = if took_its_time { Instant::now() } else { begun };
        // In a task of its own: a client that hangs up does not stop half of what it asked for, and a panic is an
        // answer like any other. The gateway bounds how long each of its calls takes.
        let (work, held) = ((route.handler)(*call), request.held.clone());
        let counted = async move {
            let _held = held;
            work.await
        };
        let running = tokio::spawn(counted.in_current_span());
        let answer = async {
            running.await.unwrap_or_else(|error| {
                tracing::error!(%error, path = route.path, "a handler panicked");
                Err(Problem::internal())
            })
        };
        self.within(begun, answer).await
    }

    /// What is done within the deadline of a request.
    async fn within<T>(&self, begun: Instant, work: impl Future<Output = Result<T, Problem>>) -> Result<T, Problem> {
        timeout_at(begun + self.times.request, work).await.unwrap_or_else(|_| {
            Err(Problem::new(
                StatusCode::GATEWAY_TIMEOUT,
                format!("no answer within {:?}; it may still be carried out", self.times.request),
            ))
        })
    }

    /// Whose request it is, and what it wants; files by their links are answered at once.
    async fn find(&self, request: &mut Request) -> Result<Sought, Problem> {
        let segments = decode(&request.path);
        if let Some(segments) = segments.as_deref()
            && segments.first().is_some_and(|first| first == MEDIA_PATH)
            && let Some(link) = media::link_of(segments, &request.query)
        {
            request.pattern = Some(media::PATTERN);
            if !matches!(request.method, Method::GET | Method::HEAD) {
                return other_methods(&request.method, media::ALLOW).map(Sought::Answer);
            }
            let (link, signature) = link?;
            let file = media::file(&self.desk, &link, &signature).await?;
            // Only now it is known that this client has given the link to somebody.
            self.count(request, Asker::ByLink(link.client_id))?;
            let answer = media::serve(file, &request.method, &request.headers, &link).await;
            return answer.map(Sought::Answer);
        }
        let place = segments.as_deref().and_then(routes::place);
        let hidden = || link_page::hidden(&request.path);
        request.pattern = place.as_ref().map(|place| place.path).or_else(hidden);
        let needs_none = segments.as_deref().is_some_and(|path| !routes::is_below_api(path));
        let (client, token) = match needs_none {
            true => (ClientId::NOBODY, None),
            false => self
                .authenticate(&request.headers)
                .await
                .map(|(client, token)| (client, Some(token)))?,
        };
        if token.is_some() {
            self.count(request, Asker::Client(client))?;
        }
        let place = place.ok_or_else(|| Problem::new(StatusCode::NOT_FOUND, "there is no such route"))?;
        let (route, [param, second]) = match place.route(&request.method) {
            Ok(route) => (route, place.params),
            Err(allow) => return other_methods(&request.method, &allow).map(Sought::Answer),
        };
        // A filter that nobody reads would be an answer to another question. Probes may ask for health as they like.
        if token.is_some() && !route.asks {
            Query::parse(&request.query).finish()?;
        }
        let (client, token, page) = match link_page::is_of_page(route.path) {
            true => self.visit(request, &param).await?,
            false => (client, token, None),
        };
        let call = Call {
            desk: Arc::clone(&self.desk),
            client,
            token,
            page,
            param,
            second,
            query: request.query.clone(),
            headers: request.headers.clone(),
            body: bytes::Bytes::new(),
            upload: None,
            large: None,
            watchers: Arc::clone(&self.watchers),
            visits: Arc::clone(&self.visits),
            times: self.times,
            operator: self.operator,
            closing: self.closing.clone(),
        };
        Ok(Sought::Route(route, Box::new(call)))
    }

    /// The page of a link; the request counts for the client that gave it away, and for its number.
    async fn visit(&self, request: &mut Request, token: &str) -> Result<Asking, Problem> {
        let page = link_page::open(&self.desk, token).await?;
        self.count(request, Asker::ByLink(page.client_id))?;
        let visit = self.visits.enter(page.key())?;
        if let Some(held) = &request.held {
            held.came_by(visit);
        }
        Ok((page.client_id, Some(page.token), Some(Box::new(page))))
    }

    /// Counts a request for its client.
    fn count(&self, request: &mut Request, asker: Asker) -> Result<(), Problem> {
        request.asker = Some(asker);
        let (Asker::Client(client) | Asker::ByLink(client)) = asker;
        if let Some(seat) = &request.seat {
            seat.belongs_to(client);
        }
        let ticket = self.under_way.enter(client, 1).ok_or_else(|| {
            Problem::busy(format!(
                "this client has {} requests under way, and may not have more at a time (http.max_requests_per_client), \
                 streams and files among them; ask again when one is answered",
                self.under_way.most()
            ))
        })?;
        let place = self.places.take();
        let place =
            place.ok_or_else(|| Problem::unavailable("too many requests are under way; ask again in a moment"))?;
        let held = Arc::new(Held::new(ticket));
        if let Some(seat) = &request.seat {
            seat.is_of(Arc::clone(&held), place);
        }
        request.held = Some(held);
        Ok(())
    }

    /// Counts the bytes of what was asked to be shown: they lie in memory until the client takes them.
    fn weigh(&self, request: &Request, answer: Response) -> Answer {
        // A stream has no length, and little of it in memory.
        let bytes = answer.body().size_hint().exact().unwrap_or(0);
        let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
        let Some(held) = request
            .held
            .as_ref()
            .filter(|_| request.method == Method::GET && bytes > SMALL_ANSWER)
        else {
            return Ok(answer);
        };
        let ticket = self.unsent.enter(held.client(), bytes).ok_or_else(|| {
            Problem::busy(format!(
                "this client has answers of {} MiB under way already, or would have with this one; read them, or ask for less",
                self.unsent.most() >> 20
            ))
        })?;
        held.answered_with(ticket);
        Ok(answer)
    }

    /// Whose token it is.
    async fn authenticate(&self, headers: &HeaderMap) -> Result<(ClientId, TokenHash), Problem> {
        let hash = token_of(headers).ok_or_else(Problem::unauthorized)?;
        let client = self.desk.client_of_token(&hash).await?;
        client.map(|client| (client, hash)).ok_or_else(Problem::unauthorized)
    }
}

/// The segments of a path, decoded; `None` when it is not text or has no leading slash.
pub(super) fn decode(path: &str) -> Option<Vec<String>> {
    let segments = path.strip_prefix('/')?.split('/');
    segments
        .map(|segment| Some(percent_decode_str(segment).decode_utf8().ok()?.into_owned()))
        .collect()
}

/// The client's own request id if it is one that can stand in a log line, else a new one.
fn request_id(headers: &HeaderMap) -> HeaderValue {
    let sane = |id: &&HeaderValue| {
        let bytes = id.as_bytes();
        let plain = |b: &u8| b.is_ascii_alphanumeric() || b"-_.:+/=".contains(b);
        (1..=REQUEST_ID_MAX).contains(&bytes.len()) && bytes.iter().all(plain)
    };
    headers.get(REQUEST_ID).filter(sane).cloned().unwrap_or_else(|| {
        let id = Uuid::now_v7().to_string();
        // Hexadecimal digits and dashes are always a header value.
        HeaderValue::from_str(&id).unwrap_or(HeaderValue::from_static("-"))
    })
}
