//! Fetching what a client names by its address, under the rules that webhooks are posted under: every address is checked
//! when it is connected to, and so is each that a redirect leads to.

use std::time::{Duration, Instant};

use bytes::Bytes;
use percent_encoding::percent_decode_str;
use reqwest::{
    Client, Response,
    header::{CONTENT_DISPOSITION, CONTENT_TYPE, HeaderMap, HeaderName, LOCATION},
    redirect,
};
use thiserror::Error;
use wharf_domain::{
    AttemptResult, InvalidField,
    address::{TargetPolicy, Url, check_url},
};

use super::{CONNECT_TIMEOUT, HTTP2_HEADER_BYTES, Poster, PosterError, USER_AGENT, failure, target_of, tls};
use crate::pace::{Coming, LEAST_PACE, LeastPace};

/// Without a byte, also before the first.
const SILENCE: Duration = Duration::from_secs(20);
/// Redirects that are followed: a file's address mostly leads to where it is stored.
const REDIRECTS: usize = 3;
/// Files are large and come one at a time: what HTTP/2 may send ahead of what was written down.
const HTTP2_WINDOW: u32 = 1024 * 1024;

/// Why there is nothing.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{detail}")]
pub(crate) struct NotFetched {
    /// For people: host and port, and what went wrong.
    pub(crate) detail: String,
    /// Whether another try might help.
    pub(crate) passing: bool,
}

/// See the module. Clones share one client.
#[derive(Debug, Clone)]
pub(crate) struct Fetcher {
    client: Client,
    policy: TargetPolicy,
    pace: LeastPace,
}

/// What is coming.
#[derive(Debug)]
pub(crate) struct Fetched {
    response: Response,
    target: String,
    coming: Coming,
    /// Where it lies: behind the last redirect.
    pub(crate) address: Url,
    /// Its MIME type, as the server says.
    pub(crate) mime_type: Option<String>,
    /// What it is called, by the server or by the end of its address.
    pub(crate) file_name: Option<String>,
    /// Its bytes, as the server says.
    pub(crate) length: Option<u64>,
}

impl Fetcher {
    /// One that looks names up together with `poster`.
    ///
    /// # Errors
    /// [`PosterError`] when the machine's TLS set-up cannot be used.
    #[expect(clippy::disallowed_methods, reason = "this is the place that the ban points to")]
    pub(crate) fn beside(poster: &Poster, extra_roots_pem: &str) -> Result<Self, PosterError> {
        let client = Client::builder()
            .tls_backend_preconfigured(tls::client_config(extra_roots_pem)?)
            .dns_resolver(poster.checked())
            .https_only(!poster.policy().allow_http)
            .user_agent(USER_AGENT)
            .redirect(redirect::Policy::none())
            .referer(false)
            .no_proxy()
            .connect_timeout(CONNECT_TIMEOUT)
            .read_timeout(SILENCE)
            // Addresses as their owner likes, each of its own host: connections that are kept for the next request would gather.
            .pool_max_idle_per_host(0)
            .http2_initial_stream_window_size(HTTP2_WINDOW)
            .http2_initial_connection_window_size(HTTP2_WINDOW)
            .http2_max_header_list_size(HTTP2_HEADER_BYTES)
            .build()?;
        Ok(Self {
            client,
            policy: poster.policy().clone(),
            pace: LEAST_PACE,
        })
    }

    /// Begins to fetch what lies at an address.
    ///
    /// # Errors
    /// See [`NotFetched`].
    pub(crate) async fn open(&self, address: &str) -> Result<Fetched, NotFetched> {
        let mut address = address.to_owned();
        for _ in 0..=REDIRECTS {
            let url = check_url(&self.policy, &address).map_err(|refused| NotFetched {
                detail: format!("the address {}", refused.message),
                passing: false,
            })?;
            let target = target_of(&url);
            let answer = self.client.get(url.clone()).send().await;
            let response = answer.map_err(|error| broken(&target, url.scheme() == "https", &error))?;
            let status = response.status();
            if status.is_redirection()
                && let Some(location) = text(response.headers(), &LOCATION)
            {
                let mut next = url.join(location).map_err(|error| NotFetched {
                    detail: format!("{target} redirects to what is no address: {error}"),
                    passing: false,
                })?;
                // It says where in the answer to look.
                next.set_fragment(None);
                address = next.into();
                continue;
            }
            if status.as_u16() != 200 {
                return Err(NotFetched {
                    detail: format!("{target} answered {}", status.as_u16()),
                    passing: status.is_server_error() || matches!(status.as_u16(), 408 | 429),
                });
            }
            return Ok(Fetched {
                mime_type: text(response.headers(), &CONTENT_TYPE).map(str::to_owned),
                file_name: named(response.headers(), &url),
                length: response.content_length(),
                response,
                target,
                coming: Coming::at(self.pace),
                address: url,
            });
        }
        Err(NotFetched {
            detail: format!("the address redirects more than {REDIRECTS} times"),
            passing: false,
        })
    }
}

impl Fetched {
    /// The next piece; `None` at the end.
    ///
    /// # Errors
    /// What broke off, or comes too slowly.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, NotFetched> {
        let begun = Instant::now();
        let piece = self.response.chunk().await;
        let piece = piece.map_err(|error| broken(&self.target, false, &error))?;
        if let Some(piece) = &piece
            && !self.coming.is_in_time(begun.elapsed(), piece.len())
        {
            return Err(NotFetched {
                detail: format!(
                    "{} sends too slowly: fewer than {} bytes a second for {:?}",
                    self.target, self.coming.pace.bytes_per_second, self.coming.pace.window
                ),
                passing: true,
            });
        }
        Ok(piece)
    }
}

fn broken(target: &str, secure: bool, error: &reqwest::Error) -> NotFetched {
    let classified = match error.is_timeout() {
        true => AttemptResult::TimedOut,
        false => failure::classify(target, secure && error.is_connect(), error),
    };
    match classified {
        AttemptResult::Blocked { detail } => NotFetched {
            detail: format!("the address must be a public one: {detail}"),
            passing: false,
        },
        AttemptResult::Failed { code, detail } => NotFetched {
            detail: format!("{code}: {detail}"),
            passing: true,
        },
        AttemptResult::NotMade { detail } => NotFetched { detail, passing: true },
        AttemptResult::TimedOut | AttemptResult::Interrupted | AttemptResult::Answered { .. } => NotFetched {
            detail: format!("{target} did not answer in time"),
            passing: true,
        },
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// The name in `Content-Disposition`, or the last part of the address's path: the first that a file may have.
fn named(headers: &HeaderMap, url: &Url) -> Option<String> {
    let said = headers.get(CONTENT_DISPOSITION);
    // Servers send names as they have them, mostly in UTF-8.
    let said = said.map(|said| String::from_utf8_lossy(said.as_bytes()));
    let said = said.as_deref().unwrap_or_default();
    let last = || {
        Some(
            percent_decode_str(url.path_segments()?.next_back()?)
                .decode_utf8()
                .ok()?
                .into_owned(),
        )
    };
    let names = [encoded_name(said), plain_name(said), last()];
    names
        .into_iter()
        .flatten()
        .find(|name| wharf_domain::outgoing::check_file_name("file_name", name).is_ok())
}

/// `filename*` (RFC 6266 and 8187), which counts before `filename`: that one is for whoever does not understand this.
fn encoded_name(disposition: &str) -> Option<String> {
    let mut parts = parameter(disposition, "filename*")?.splitn(3, '\'');
    let (encoding, _language, name) = (parts.next()?, parts.next()?, parts.next()?);
    let name = percent_decode_str(name).decode_utf8().ok()?;
    encoding.eq_ignore_ascii_case("UTF-8").then(|| name.into_owned())
}

fn plain_name(disposition: &str) -> Option<String> {
    let value = parameter(disposition, "filename")?;
    let Some(quoted) = value.strip_prefix('"') else {
        return Some(value.to_owned());
    };
    let mut name = String::new();
    let mut rest = quoted.chars();
    while let Some(c) = rest.next() {
        match c {
            '"' => break,
            '\\' => name.extend(rest.next()),
            c => name.push(c),
        }
    }
    Some(name)
}

/// A parameter of a header's value. A `;` in quotes does not end it.
fn parameter<'a>(value: &'a str, name: &str) -> Option<&'a str> {
    let (mut is_quoted, mut is_escaped) = (false, false);
    let mut parameters = value.split(|c| {
        let ends = c == ';' && !is_quoted;
        match c {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = is_quoted,
            '"' => is_quoted = !is_quoted,
            _ => {}
        }
        ends
    });
    parameters.find_map(|parameter| {
        let (found, value) = parameter.split_once('=')?;
        found.trim().eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

/// The refusal of an address, as one of the field that it was given in.
pub(crate) fn in_field(field: &'static str, refused: InvalidField) -> InvalidField {
    InvalidField { field, ..refused }
}

#[cfg(test)]
#[path = "tests/fetch.rs"]
mod tests;
