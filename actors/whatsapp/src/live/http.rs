//! The HTTP that the client needs: WhatsApp Web's version, snapshots of app state, later media.
//!
//! `reqwest` lives in `actors`, so an HTTP client comes in from outside; without one the version is the pinned one and
//! everything else that needs HTTP fails.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::Mutex;
use wharf_domain::proxy::Proxy;
use whatsapp_rust::{anyhow, http as client_http};

/// The version of WhatsApp Web that is told to the server when the current one cannot be learned: the one that
/// whatsapp-rust 0.7.0 was made for.
pub(crate) const PINNED_VERSION: Version = (2, 3000, 1_042_742_319);
/// Where WhatsApp Web names its version.
const VERSION_URL: &str = "https://web.whatsapp.com/sw.js";
/// How long a link may wait for the version before it goes ahead without.
const VERSION_DEADLINE: Duration = Duration::from_secs(10);
/// How long a version that was read counts as current: WhatsApp publishes several a week and accepts old ones for weeks.
const VERSION_FRESH: Duration = Duration::from_secs(12 * 3600);
/// How long to leave WhatsApp alone after the version could not be read.
const VERSION_RETRY: Duration = Duration::from_secs(600);
/// The same after a proxy did not lead there: it is one number's, and says little about the proxies of others.
const VERSION_PROXY_RETRY: Duration = Duration::from_secs(20);
/// How long to leave WhatsApp alone after an answer, even when the version in it was refused.
const VERSION_PAUSE: Duration = Duration::from_secs(20);
/// The answer depends on these: to others it is not the service worker.
const VERSION_HEADERS: [(&str, &str); 2] = [
    ("sec-fetch-site", "none"),
    (
        "user-agent",
        "Mozilla/5.0 (X11; Linux x86_64) Chrome/131.0.0.0 Safari/537.36",
    ),
];

pub(crate) type Version = (u32, u32, u32);

/// One request.
#[derive(Debug, Clone)]
pub struct HttpRequest {
    /// `GET` or `POST`.
    pub method: String,
    /// Where to.
    pub url: String,
    /// Header names and values.
    pub headers: Vec<(String, String)>,
    /// What to send.
    pub body: Option<Bytes>,
    /// The only way that it may take; `None` is the direct one.
    pub proxy: Option<Proxy>,
}

/// A whole answer, whatever its status.
#[derive(Debug, Clone)]
pub struct HttpResponse {
    /// The status code.
    pub status: u16,
    /// The body.
    pub body: Bytes,
}

/// An HTTP client, as far as the link needs one.
#[async_trait]
pub trait Http: Send + Sync + 'static {
    /// Sends a request and reads the answer to its end. Has its own deadline and size limit.
    ///
    /// # Errors
    /// What went wrong, in words, when there was no whole answer. A 4xx or 5xx is an answer.
    async fn execute(&self, request: HttpRequest) -> Result<HttpResponse, String>;
}

/// Our HTTP client in the client's terms, for one number.
pub(crate) struct ClientHttp {
    pub(crate) http: Option<Arc<dyn Http>>,
    pub(crate) proxy: Option<Proxy>,
}

#[async_trait]
impl client_http::HttpClient for ClientHttp {
    async fn execute(&self, request: client_http::HttpRequest) -> anyhow::Result<client_http::HttpResponse> {
        let http = self
            .http
            .as_ref()
            .ok_or_else(|| anyhow::anyhow!("this server has no HTTP client for WhatsApp"))?;
        let request = HttpRequest {
            method: request.method,
            url: request.url,
            headers: request.headers.into_iter().collect(),
            body: request.body,
            proxy: self.proxy.clone(),
        };
        let answer = http.execute(request).await.map_err(|error| anyhow::anyhow!(error))?;
        Ok(client_http::HttpResponse {
            status_code: answer.status,
            body: answer.body.into(),
        })
    }
}

/// The version to log in with, shared by all links. A link with a proxy asks by that; what it learns is good for all, and
/// that it learns nothing keeps no link without one from asking. Of the links without one that open together the first
/// asks and the others wait for its answer: what is known before may be what WhatsApp refuses.
pub(crate) struct VersionSource {
    http: Option<Arc<dyn Http>>,
    url: String,
    pause: Duration,
    known: Mutex<Known>,
    /// Held by the link that asks directly.
    asking: tokio::sync::Mutex<()>,
}

struct Known {
    version: Version,
    /// When it was asked for last.
    asked_at: Option<Instant>,
    /// When to ask (again) directly.
    ask_at: Option<Instant>,
    /// When to ask (again) by a proxy.
    ask_by_proxy_at: Option<Instant>,
}

impl VersionSource {
    /// From WhatsApp Web; with `None` always the pinned version.
    pub(crate) fn new(http: Option<Arc<dyn Http>>) -> Self {
        Self::at(VERSION_URL, http)
    }

    /// From a page like WhatsApp Web's.
    pub(crate) fn at(url: &str, http: Option<Arc<dyn Http>>) -> Self {
        Self {
            http,
            url: url.to_owned(),
            pause: VERSION_PAUSE,
            known: Mutex::new(Known {
                version: PINNED_VERSION,
                asked_at: None,
                ask_at: None,
                ask_by_proxy_at: None,
            }),
            asking: tokio::sync::Mutex::default(),
        }
    }

    /// WhatsApp does not take this version any more: the next link asks for the present one, however fresh this one was.
    pub(crate) fn refused(&self, version: Version) {
        let mut known = self.known.lock();
        if known.version == version {
            known.ask_at = known.asked_at.map(|asked| asked + self.pause);
            known.ask_by_proxy_at = known.ask_at;
        }
    }

    /// The current version where it can be learned by this way, else the last one known. Never fails.
    pub(crate) async fn current(&self, proxy: Option<&Proxy>) -> Version {
        let Some(http) = &self.http else { return PINNED_VERSION };
        let _turn = match proxy {
            None => Some(self.asking.lock().await),
            // Each has its own way, and a proxy that leads nowhere holds nobody up.
            Some(_) => None,
        };
        {
            let mut known = self.known.lock();
            let now = Instant::now();
            let (ask_at, retry) = match proxy {
                None => (&mut known.ask_at, VERSION_RETRY),
                Some(_) => (&mut known.ask_by_proxy_at, VERSION_PROXY_RETRY),
            };
            if ask_at.is_some_and(|at| now < at) {
                return known.version;
            }
            // Of links with proxies those that start in the meantime go ahead with the version before instead of asking as well.
            *ask_at = Some(now + retry);
            known.asked_at = Some(now);
        }
        let asked = tokio::time::timeout(VERSION_DEADLINE, ask(http.as_ref(), &self.url, proxy)).await;
        let mut known = self.known.lock();
        match asked.unwrap_or_else(|_| Err("no answer in time".to_owned())) {
            Ok(version) => {
                (known.version, known.ask_at) = (version, Some(Instant::now() + VERSION_FRESH));
                known.ask_by_proxy_at = known.ask_at;
            }
            Err(error) => {
                tracing::warn!(error, version = ?known.version, "WhatsApp Web's version could not be read; using the last known");
            }
        }
        known.version
    }
}

async fn ask(http: &dyn Http, version_url: &str, proxy: Option<&Proxy>) -> Result<Version, String> {
    let request = HttpRequest {
        method: "GET".to_owned(),
        url: version_url.to_owned(),
        headers: VERSION_HEADERS
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into(),
        body: None,
        proxy: proxy.cloned(),
    };
    let answer = http.execute(request).await?;
    if answer.status != 200 {
        return Err(format!("{version_url} answered {}", answer.status));
    }
    whatsapp_rust::version::parse_sw_js(&String::from_utf8_lossy(&answer.body))
        // A page that names no revision parses as 0: older than anything that is accepted.
        .filter(|&(_, _, revision)| revision != 0)
        .ok_or_else(|| format!("{version_url} names no version"))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    struct Page(Result<&'static str, &'static str>, AtomicUsize);

    #[async_trait]
    impl Http for Page {
        async fn execute(&self, request: HttpRequest) -> Result<HttpResponse, String> {
            assert_eq!(request.url, VERSION_URL);
            self.1.fetch_add(1, Ordering::Relaxed);
            let page = self.0.map_err(str::to_owned)?;
            Ok(HttpResponse {
                status: 200,
                body: Bytes::from(page),
            })
        }
    }

    async fn versions(page: Result<&'static str, &'static str>) -> (Version, Version, usize) {
        let page = Arc::new(Page(page, AtomicUsize::new(0)));
        let source = VersionSource::new(Some(page.clone()));
        (
            source.current(None).await,
            source.current(None).await,
            page.1.load(Ordering::Relaxed),
        )
    }

    #[tokio::test]
    async fn the_version_is_asked_for_once() {
        let current = (2, 3000, 1_099_999_999);
        assert_eq!(
            versions(Ok(r#"{"client_revision":1099999999}"#)).await,
            (current, current, 1)
        );
    }

    #[tokio::test]
    async fn a_refused_version_is_asked_for_anew_and_not_too_often() {
        let page = Arc::new(Page(Ok(r#"{"client_revision":1099999999}"#), AtomicUsize::new(0)));
        let mut source = VersionSource::new(Some(page.clone()));
        let asked = || page.1.load(Ordering::Relaxed);
        let first = source.current(None).await;
        source.refused(PINNED_VERSION);
        source.current(None).await;
        assert_eq!(asked(), 1, "another version was refused");
        source.refused(first);
        source.current(None).await;
        assert_eq!(asked(), 1, "it was asked a moment ago");
        source.pause = Duration::ZERO;
        source.refused(first);
        assert_eq!((source.current(None).await, asked()), (first, 2));
        source.current(None).await;
        assert_eq!(asked(), 2, "and counts as fresh again");
    }

    #[tokio::test]
    async fn links_that_open_while_the_version_is_asked_for_wait_for_it() {
        /// Answers when it is told to.
        struct Slow(tokio::sync::Notify, AtomicUsize);
        #[async_trait]
        impl Http for Slow {
            async fn execute(&self, _: HttpRequest) -> Result<HttpResponse, String> {
                self.1.fetch_add(1, Ordering::Relaxed);
                self.0.notified().await;
                Ok(HttpResponse {
                    status: 200,
                    body: Bytes::from(r#"{"client_revision":1099999999}"#),
                })
            }
        }
        let page = Arc::new(Slow(tokio::sync::Notify::new(), AtomicUsize::new(0)));
        let source = VersionSource::new(Some(page.clone()));
        let answer = async {
            tokio::task::yield_now().await;
            page.0.notify_one();
        };
        let (first, second, third, ()) =
            tokio::join!(source.current(None), source.current(None), source.current(None), answer);
        assert_eq!([first, second, third], [(2, 3000, 1_099_999_999); 3]);
        assert_eq!(page.1.load(Ordering::Relaxed), 1);
    }

    #[tokio::test]
    async fn a_proxy_that_leads_nowhere_keeps_nobody_else_from_asking() {
        struct Ways(AtomicUsize);
        #[async_trait]
        impl Http for Ways {
            async fn execute(&self, request: HttpRequest) -> Result<HttpResponse, String> {
                self.0.fetch_add(1, Ordering::Relaxed);
                match request.proxy {
                    Some(_) => Err("no way".to_owned()),
                    None => Ok(HttpResponse {
                        status: 200,
                        body: Bytes::from(r#"{"client_revision":1099999999}"#),
                    }),
                }
            }
        }
        let ways = Arc::new(Ways(AtomicUsize::new(0)));
        let source = VersionSource::new(Some(ways.clone()));
        let proxy = Proxy::from_text("socks5://proxy.example.com").unwrap();
        let current = (2, 3000, 1_099_999_999);
        assert_eq!(source.current(Some(&proxy)).await, PINNED_VERSION);
        assert_eq!(source.current(Some(&proxy)).await, PINNED_VERSION, "asked a moment ago");
        assert_eq!(source.current(None).await, current);
        assert_eq!(
            source.current(Some(&proxy)).await,
            current,
            "what one learns is good for all"
        );
        assert_eq!(ways.0.load(Ordering::Relaxed), 2);
    }

    #[tokio::test]
    async fn without_an_answer_it_is_the_pinned_one() {
        for page in [Err("no route"), Ok("<html>"), Ok("assets-manifest-98765 ...")] {
            assert_eq!(versions(page).await, (PINNED_VERSION, PINNED_VERSION, 1), "{page:?}");
        }
        assert_eq!(VersionSource::new(None).current(None).await, PINNED_VERSION);
    }
}
