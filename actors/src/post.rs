//! One POST to a receiver (CONTRACT.md sections 3 and 4).
//!
//! **One deadline for everything.** Name look-up, connect, TLS, request and the whole answer share it (CONTRACT.md section 4);
//! dropping the future of [`Poster::post`] aborts the request wherever it is.
//!
//! **The head is the answer.** Who has sent a status has acted on the request, whatever becomes of the body, of which
//! people see the beginning: one that breaks off, or goes on beyond the cap, is only shorter there.
//!
//! **Where it connects.** The URL is checked when a delivery takes it over, every address of a name when it is resolved for a
//! connection, and the connection goes to an address that passed: there is no second look-up in between that could
//! answer differently (DNS rebinding). A pooled connection was opened the same way under the same policy, and is only
//! used again for the same scheme, host and port. Redirects are not followed and no proxy is used, so nothing leads
//! round the check.
//!
//! **Reused connections.** A receiver may close a kept connection just as it is used again. hyper sends the request
//! once more on a fresh one by itself while no byte of it was written, or when an HTTP/2 receiver says that it did not
//! process it. After that nobody can tell whether the receiver acted on it, and an attempt is one POST: it ends
//! `ECONNRESET`, and the next attempt carries the same `webhook-id`. [`POOL_IDLE`] keeps that rare.
//!
//! Beyond the contract's headers and the owner's only what HTTP itself needs is sent: `host`, `content-length`,
//! `accept: */*`.

mod failure;
pub(crate) mod fetch;
mod lookup;
mod renewed;
#[cfg(test)]
mod tests;
pub(crate) mod tls;

use std::{fmt, sync::Arc, time::Duration};

use bytes::Bytes;
use reqwest::{
    Client, Response,
    header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER},
    redirect,
};
use thiserror::Error;
use tokio::time::Instant;
use wharf_domain::{
    AttemptResult, EventId, InvalidField, OwnHeaders, Timestamp,
    address::{TargetPolicy, Url, check_url, not_public},
    attempt::{RESPONSE_EXCERPT_BYTES, RESPONSE_READ_BYTES},
    retry::retry_after_at,
    signing::Signatures,
};

use crate::clock;
pub(crate) use lookup::{Checked, for_client};
use lookup::{LookupError, Lookups};
use renewed::Renewed;

/// What receivers, and servers that files are fetched from, are told of the sender.
const USER_AGENT: &str = concat!("wharf/", env!("CARGO_PKG_VERSION"));
/// The time for a connection, TLS included, and for data that is never acknowledged, within an attempt's own deadline:
/// a receiver that may take 30 s for its answer does not need them to be reached.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// The wait for a name at registration: a person is waiting, and an unresolvable name is accepted anyway.
const REGISTRATION_LOOKUP: Duration = Duration::from_secs(3);
/// The pause before an attempt for which this machine had no descriptor left is begun again, within its own deadline. One
/// that finds none until then is [`AttemptResult::NotMade`]: what is lacking here uses up no attempt of the event.
const SHORTAGE_PAUSE: Duration = Duration::from_millis(100);
/// How long a connection is kept for the next attempt: less than the 5 s after which the common servers with the
/// shortest patience (Node, Apache, uvicorn) close theirs, so that the two rarely meet.
const POOL_IDLE: Duration = Duration::from_secs(4);
/// How long connections are used that are never idle. They lead where the receiver's name led when they were opened: one that
/// moved would be posted to at its old place for as long as something answers there.
const CLIENT_LIFE: Duration = Duration::from_secs(600);
/// Idle connections kept per receiver: a burst beyond it connects anew rather than holding the receiver's slots.
const POOL_IDLE_PER_HOST: usize = 64;
/// HTTP/2 shares one connection among attempts, and a dead one would cost every attempt its deadline: it is asked for
/// a sign of life this often while it is in use, and given up after as long again.
const HTTP2_PING: Duration = Duration::from_secs(5);
/// What an HTTP/2 receiver may send beyond what was read of its connection; per answer it is [`RESPONSE_READ_BYTES`].
const HTTP2_CONNECTION_WINDOW: u32 = 1024 * 1024;
/// The largest header of an HTTP/2 answer. HTTP/1.1 answers end at 100 headers and hyper's 408 KiB buffer, which
/// reqwest has no setting for.
const HTTP2_HEADER_BYTES: u32 = 16 * 1024;

// The headers of CONTRACT.md section 3 and of Standard Webhooks; as constants they are not parsed for each attempt.
const WEBHOOK_ID: HeaderName = HeaderName::from_static("webhook-id");
const WEBHOOK_TIMESTAMP: HeaderName = HeaderName::from_static("webhook-timestamp");
const WEBHOOK_ATTEMPT: HeaderName = HeaderName::from_static("webhook-attempt");
const WEBHOOK_SEQUENCE: HeaderName = HeaderName::from_static("webhook-sequence");
const WEBHOOK_SIGNATURE: HeaderName = HeaderName::from_static("webhook-signature");
const HUB_SIGNATURE: HeaderName = HeaderName::from_static("x-hub-signature-256");

/// How a [`Poster`] behaves.
#[derive(Clone)]
pub(crate) struct PosterOptions {
    /// Where it may post to.
    pub(crate) policy: TargetPolicy,
    /// The time to reach a receiver.
    pub(crate) connect_timeout: Duration,
    /// Certificates trusted next to the usual roots, as PEM; empty for none.
    pub(crate) extra_roots_pem: String,
    /// After which its connections are given up for new ones.
    pub(crate) client_life: Duration,
}

impl PosterOptions {
    /// The usual values: 10 s to reach a receiver, the usual roots, new connections every ten minutes.
    pub(crate) fn new(policy: TargetPolicy) -> Self {
        Self {
            policy,
            connect_timeout: CONNECT_TIMEOUT,
            extra_roots_pem: String::new(),
            client_life: CLIENT_LIFE,
        }
    }
}

/// Why there is no [`Poster`]: a fault of the configuration or of the machine, at start.
#[derive(Debug, Error)]
pub enum PosterError {
    /// The extra roots are not PEM certificates.
    #[error("the extra root certificates cannot be used: {0}")]
    Roots(String),
    /// The TLS library refused its configuration.
    #[error("TLS cannot be set up: {0}")]
    Tls(#[from] rustls::Error),
    /// The HTTP client refused its configuration.
    #[error("the HTTP client cannot be set up: {0}")]
    Client(#[from] reqwest::Error),
}

/// A webhook's URL, read and checked once for all its attempts.
#[derive(Clone)]
pub(crate) struct Target {
    url: Url,
    /// Host and port, for details that people read. Never the path or the query: they may hold a receiver's secret.
    name: String,
}

/// A webhook's own headers, made into what the HTTP client takes once for all its attempts.
#[derive(Debug, Clone, Default)]
pub(crate) struct HeaderLines(HeaderMap);

impl HeaderLines {
    pub(crate) fn new(headers: &OwnHeaders) -> Self {
        let line = |(name, value): (&str, &str)| {
            let (name, mut value) = (name.parse::<HeaderName>().ok()?, HeaderValue::from_str(value).ok()?);
            // Not in any debug output, and not in the table that HTTP/2 compresses with.
            value.set_sensitive(true);
            Some((name, value))
        };
        // They were checked when they were given; what HTTP would not take all the same is left out.
        Self(headers.iter().filter_map(line).collect())
    }
}

/// One attempt.
#[derive(Debug, Clone)]
pub(crate) struct Post<'a> {
    /// The event, the same on every attempt.
    pub(crate) event_id: EventId,
    /// The event's number among those of its phone number.
    pub(crate) sequence: i64,
    /// The number of this attempt, from 1.
    pub(crate) attempt: u32,
    /// When this attempt starts.
    pub(crate) timestamp: Timestamp,
    /// Its time for everything.
    pub(crate) timeout: Duration,
    /// The webhook's own headers.
    pub(crate) headers: &'a HeaderLines,
    /// What signs this attempt; none of a webhook without a secret.
    pub(crate) signatures: Signatures,
    /// The payload, the same bytes on every attempt.
    pub(crate) body: Bytes,
}

/// How an attempt ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Posted {
    pub(crate) result: AttemptResult,
    /// The answer's `Retry-After`.
    pub(crate) retry_after: Option<Timestamp>,
}

impl From<AttemptResult> for Posted {
    fn from(result: AttemptResult) -> Self {
        Self {
            result,
            retry_after: None,
        }
    }
}

/// Posts to receivers. Clones share one client at a time, its pool and its look-ups: make one per process.
#[derive(Clone)]
pub(crate) struct Poster {
    clients: Arc<Renewed>,
    lookups: Arc<Lookups>,
}

impl fmt::Debug for Poster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Poster")
            .field("policy", self.policy())
            .finish_non_exhaustive()
    }
}

impl Poster {
    /// Reads the root certificates and makes the client. Blocks on a few files; call it at start.
    ///
    /// # Errors
    /// [`PosterError`] when the options or the machine's TLS set-up cannot be used.
    pub(crate) fn new(options: PosterOptions) -> Result<Self, PosterError> {
        let lookups = Lookups::of_the_system(options.policy.clone());
        Self::with_lookups(options, lookups)
    }

    #[expect(clippy::disallowed_methods, reason = "this is the place that the ban points to")]
    fn with_lookups(options: PosterOptions, lookups: Lookups) -> Result<Self, PosterError> {
        let lookups = Arc::new(lookups);
        let (https_only, life) = (!options.policy.allow_http, options.client_life);
        // Clones share what TLS remembers of receivers.
        let tls = tls::client_config(&options.extra_roots_pem)?;
        let checked = Checked::of(Arc::clone(&lookups));
        let make = move || {
            Client::builder()
                .tls_backend_preconfigured(tls.clone())
                .dns_resolver(checked.clone())
                .https_only(https_only)
                .user_agent(USER_AGENT)
                .redirect(redirect::Policy::none())
                .referer(false)
                .no_proxy()
                // Shared out over the addresses of a name, so that a dead first one leaves time for the second.
                .connect_timeout(options.connect_timeout)
                .pool_idle_timeout(POOL_IDLE)
                .pool_max_idle_per_host(POOL_IDLE_PER_HOST)
                // Nothing lives long enough to need probes; data that is never acknowledged ends its connection.
                .tcp_keepalive(None)
                .tcp_user_timeout(options.connect_timeout)
                .http2_keep_alive_interval(HTTP2_PING)
                .http2_keep_alive_timeout(HTTP2_PING)
                .http2_initial_stream_window_size(u32::try_from(RESPONSE_READ_BYTES).ok())
                .http2_initial_connection_window_size(HTTP2_CONNECTION_WINDOW)
                .http2_max_header_list_size(HTTP2_HEADER_BYTES)
                .build()
        };
        Ok(Self {
            clients: Arc::new(Renewed::new(life, make)?),
            lookups,
        })
    }

    /// What it admits.
    fn policy(&self) -> &TargetPolicy {
        self.lookups.policy()
    }

    /// What looks names up for it, for others who do under the same rules.
    pub(crate) fn checked(&self) -> Checked {
        Checked::of(Arc::clone(&self.lookups))
    }

    /// Reads a webhook's URL, again although it was checked at registration: the operator may have changed the policy
    /// since.
    ///
    /// # Errors
    /// What every attempt at it ends with.
    pub(crate) fn target(&self, url: &str) -> Result<Target, AttemptResult> {
        let url = check_url(self.policy(), url).map_err(|refused| AttemptResult::Blocked {
            detail: refused.message,
        })?;
        let name = target_of(&url);
        Ok(Target { url, name })
    }

    /// Makes one attempt and says how it ended. Never fails otherwise, and never outlives the deadline.
    pub(crate) async fn post(&self, target: &Target, post: Post<'_>) -> Posted {
        let deadline = Instant::now() + post.timeout;
        let attempt = async {
            loop {
                match self.send(target.url.clone(), &post).await {
                    Err(error) if failure::is_shortage(&error) && Instant::now() + SHORTAGE_PAUSE < deadline => {
                        tokio::time::sleep(SHORTAGE_PAUSE).await;
                    }
                    ended => return ended,
                }
            }
        };
        match tokio::time::timeout_at(deadline, attempt).await {
            Ok(Ok(answer)) => read_answer(answer, deadline).await,
            // Before its time it is the connection that gave no sign of life.
            Ok(Err(error)) if error.is_timeout() && (error.is_connect() || Instant::now() >= deadline) => {
                AttemptResult::TimedOut.into()
            }
            Ok(Err(error)) => {
                let greeting = target.url.scheme() == "https" && error.is_connect();
                match failure::classify(&target.name, greeting, &error) {
                    AttemptResult::Failed { detail, .. } if failure::is_shortage(&error) => {
                        AttemptResult::NotMade { detail }.into()
                    }
                    failed => failed.into(),
                }
            }
            Err(_) => AttemptResult::TimedOut.into(),
        }
    }

    /// Until the head of an answer is there.
    async fn send(&self, url: Url, post: &Post<'_>) -> Result<Response, reqwest::Error> {
        let mut request = self
            .clients
            .present()
            .post(url)
            .header(CONTENT_TYPE, HeaderValue::from_static("application/json"))
            .header(WEBHOOK_ID, post.event_id.to_string())
            .header(WEBHOOK_TIMESTAMP, post.timestamp.seconds())
            .header(WEBHOOK_ATTEMPT, post.attempt)
            .header(WEBHOOK_SEQUENCE, post.sequence);
        for (name, value) in &post.headers.0 {
            request = request.header(name, value);
        }
        let Signatures {
            webhook_signature,
            hub_signature,
        } = &post.signatures;
        for (name, signature) in [(WEBHOOK_SIGNATURE, webhook_signature), (HUB_SIGNATURE, hub_signature)] {
            if let Some(signature) = signature {
                request = request.header(name, signature);
            }
        }
        request.body(post.body.clone()).send().await
    }

    /// Checks the target of a registration: its form, and within 3 s the addresses of its name. A name that does not
    /// resolve, or not in time, is accepted: the attempt says `ENOTFOUND` (CONTRACT.md section 7).
    ///
    /// # Errors
    /// [`InvalidField`] for `webhook_url` when an attempt would be blocked now.
    pub(crate) async fn check_target(&self, url: &Url) -> Result<(), InvalidField> {
        check_url(self.policy(), url.as_str())?;
        let Some(name) = url.domain() else { return Ok(()) };
        match tokio::time::timeout(REGISTRATION_LOOKUP, self.lookups.admitted(name)).await {
            Ok(Err(LookupError::Blocked(reason))) => Err(InvalidField::new("webhook_url", not_public(reason))),
            Ok(Ok(_) | Err(LookupError::NotFound(_) | LookupError::Shortage(_))) | Err(_) => Ok(()),
        }
    }
}

/// Host and port, for details that people read. Never the path or the query: they may hold a receiver's secret.
fn target_of(url: &Url) -> String {
    format!(
        "{}:{}",
        url.host_str().unwrap_or_default(),
        url.port_or_known_default().unwrap_or_default()
    )
}

/// Takes an answer whose head is there, and reads its body to the end, the cap or an error: then the connection is dropped if it
/// has not ended, and the answer counts all the same.
async fn read_answer(mut answer: Response, deadline: Instant) -> Posted {
    let http_status = answer.status().as_u16();
    let retry_after = answer.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
    // From here, not from the end of a body that may take its time.
    let retry_after = retry_after.and_then(|text| retry_after_at(text, clock::now()));
    let (mut read, mut start) = (0, Vec::new());
    let body = async {
        while read < RESPONSE_READ_BYTES
            && let Ok(Some(chunk)) = answer.chunk().await
        {
            read += chunk.len();
            let wanted = (RESPONSE_EXCERPT_BYTES + LOOK_AHEAD).saturating_sub(start.len());
            start.extend(chunk.iter().take(wanted));
        }
    };
    if tokio::time::timeout_at(deadline, body).await.is_err() {
        return AttemptResult::TimedOut.into();
    }
    let result = AttemptResult::Answered {
        http_status,
        response: excerpt(&start),
    };
    Posted { result, retry_after }
}

/// Bytes kept beyond the excerpt, so that its last character is not torn: one of UTF-8 has at most four.
const LOOK_AHEAD: usize = 3;

/// The first KiB as text: invalid UTF-8 and NUL (which PostgreSQL's text cannot hold) replaced, cut between
/// characters. `None` for an empty body.
fn excerpt(start: &[u8]) -> Option<String> {
    let mut text = String::from_utf8_lossy(start).replace('\0', "\u{fffd}");
    text.truncate(text.floor_char_boundary(RESPONSE_EXCERPT_BYTES));
    (!text.is_empty()).then_some(text)
}
