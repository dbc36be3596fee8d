//! HTTP for the link to WhatsApp: the version of WhatsApp Web, snapshots of app state, files. It talks to WhatsApp's own hosts,
//! never to an address that a client gave; those are the poster's.

pub(crate) mod upload;

use std::time::Duration;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use reqwest::{Client, ClientBuilder, Method, Response, Url, redirect};
use wharf_domain::message::MediaError;
use wharf_whatsapp::{Http, HttpRequest, HttpResponse};

use crate::post::{PosterError, tls};

/// For the whole exchange.
const TIMEOUT: Duration = Duration::from_secs(20);
/// The largest answer that is read: a full snapshot of app state is a few MiB.
const LARGEST: usize = 32 * 1024 * 1024;

/// See the module. Clones share one client.
#[derive(Debug, Clone)]
pub struct Web {
    client: Client,
    test_network: Option<Url>,
}

impl Web {
    /// Reads the root certificates and makes the client. With a test network everything is asked of that, under the same
    /// paths.
    ///
    /// # Errors
    /// [`PosterError`] when the machine's TLS set-up cannot be used.
    #[expect(
        clippy::disallowed_methods,
        reason = "the one client besides the poster's, for WhatsApp's hosts"
    )]
    pub fn new(test_network: Option<Url>) -> Result<Self, PosterError> {
        let client = Client::builder()
            .tls_backend_preconfigured(tls::client_config("")?)
            .https_only(test_network.is_none())
            .redirect(redirect::Policy::none())
            .timeout(TIMEOUT)
            .build()?;
        Ok(Self { client, test_network })
    }

    fn url(&self, asked: &str) -> Result<Url, String> {
        let mut url = Url::parse(asked).map_err(|error| format!("{asked}: {error}"))?;
        let Some(base) = &self.test_network else {
            return Ok(url);
        };
        let moved = url.set_scheme(base.scheme()).is_ok()
            && url.set_host(base.host_str()).is_ok()
            && url.set_port(base.port()).is_ok();
        moved
            .then_some(url)
            .ok_or_else(|| format!("{asked} has no place on a test network"))
    }
}

#[async_trait]
impl Http for Web {
    async fn execute(&self, request: HttpRequest) -> Result<HttpResponse, String> {
        let method = Method::from_bytes(request.method.as_bytes()).map_err(|error| error.to_string())?;
        let mut builder = self.client.request(method, self.url(&request.url)?);
        for (name, value) in &request.headers {
            builder = builder.header(name, value);
        }
        if let Some(body) = request.body {
            builder = builder.body(body);
        }
        let mut response = builder.send().await.map_err(|error| error.to_string())?;
        let mut body = BytesMut::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| error.to_string())? {
            if body.len() + chunk.len() > LARGEST {
                return Err(format!("the answer is longer than {LARGEST} bytes"));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(HttpResponse {
            status: response.status().as_u16(),
            body: Bytes::from(body),
        })
    }
}

/// For a connection to a media host.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Without a byte from a media host.
const SILENCE: Duration = Duration::from_secs(30);
/// WhatsApp's media hosts, by turns: `direct_path` is the same on all of them.
const MEDIA_HOSTS: [&str; 2] = ["https://mmg.whatsapp.net", "https://mmg-fallback.whatsapp.net"];

/// For both ways of files: neither has a deadline for the whole, because they take longer than everything else that
/// WhatsApp's hosts are asked for.
#[expect(clippy::disallowed_methods, reason = "for WhatsApp's media hosts, not for receivers")]
fn media_client(test_network: Option<&Url>) -> Result<ClientBuilder, PosterError> {
    Ok(Client::builder()
        .tls_backend_preconfigured(tls::client_config("")?)
        .https_only(test_network.is_none())
        .redirect(redirect::Policy::none())
        .connect_timeout(CONNECT_TIMEOUT))
}

/// WhatsApp's media hosts, or a test network's media store.
#[derive(Debug, Clone)]
pub(crate) struct MediaSource {
    client: Client,
    test_network: Option<Url>,
}

/// A file on its way.
#[derive(Debug)]
pub(crate) struct MediaStream(Response);

impl MediaSource {
    /// # Errors
    /// [`PosterError`] when the machine's TLS set-up cannot be used.
    pub(crate) fn new(test_network: Option<Url>) -> Result<Self, PosterError> {
        let client = media_client(test_network.as_ref())?.read_timeout(SILENCE).build()?;
        Ok(Self { client, test_network })
    }

    /// Begins to fetch the file at a direct path, which a stranger wrote; the first try asks the first host.
    ///
    /// # Errors
    /// `Gone` or `Unreachable`; `Incomplete` when the path leads away from the host.
    pub(crate) async fn open(&self, direct_path: &str, tries: u32) -> Result<MediaStream, MediaError> {
        let url = self.url(direct_path, tries).ok_or(MediaError::Incomplete)?;
        let response = self.client.get(url).send().await.map_err(|error| {
            tracing::debug!(%error, "a media host cannot be reached");
            MediaError::Unreachable
        })?;
        match response.status().as_u16() {
            200 => Ok(MediaStream(response)),
            // What it signed into the path has expired, or the file has.
            403 | 404 | 410 => Err(MediaError::Gone),
            status => {
                tracing::debug!(status, "a media host gives no file");
                Err(MediaError::Unreachable)
            }
        }
    }

    fn url(&self, direct_path: &str, tries: u32) -> Option<Url> {
        let place = usize::try_from(tries.saturating_sub(1)).unwrap_or_default() % MEDIA_HOSTS.len();
        let base = match &self.test_network {
            Some(base) => base.clone(),
            None => Url::parse(MEDIA_HOSTS[place]).ok()?,
        };
        if !direct_path.starts_with('/') {
            return None;
        }
        let url = Url::parse(&format!("{}{direct_path}", base.origin().ascii_serialization())).ok()?;
        (url.origin() == base.origin() && url.username().is_empty()).then_some(url)
    }
}

impl MediaStream {
    /// The next piece; `None` at the end.
    ///
    /// # Errors
    /// What broke off, in words.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, String> {
        self.0.chunk().await.map_err(|error| error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_network_is_asked_for_everything() {
        let network = Url::parse("http://127.0.0.1:7000/ws/chat").unwrap();
        let (web, test) = (Web::new(None).unwrap(), Web::new(Some(network)).unwrap());
        let asked = "https://mmg.whatsapp.net/v/t62.7118-24/a?auth=1";
        assert_eq!(web.url(asked).unwrap().as_str(), asked);
        let there = "http://127.0.0.1:7000/v/t62.7118-24/a?auth=1";
        assert_eq!(test.url(asked).unwrap().as_str(), there);
        assert!(test.url("no url").is_err());
    }

    #[test]
    fn a_path_never_leads_to_another_host() {
        let source = MediaSource::new(None).unwrap();
        let url = |path, tries| source.url(path, tries).map(String::from);
        let path = "/v/t62.7118-24/1_n.enc?ccb=11-4&oh=01&oe=66&_nc_sid=5e03e0";
        assert_eq!(url(path, 1), Some(format!("https://mmg.whatsapp.net{path}")));
        assert_eq!(url(path, 2), Some(format!("https://mmg-fallback.whatsapp.net{path}")));
        for astray in [
            "",
            "v/t",
            "@evil.example/",
            ".evil.example/",
            ":80/",
            "https://evil.example/",
        ] {
            assert_eq!(url(astray, 1), None, "{astray}");
        }
        for strange in ["//evil.example/a", "/\\evil.example", "/../..//evil.example/"] {
            let url = url(strange, 1).unwrap();
            assert!(url.starts_with("https://mmg.whatsapp.net/"), "{strange}: {url}");
        }
    }
}
