//! HTTP for the link to WhatsApp: the version of WhatsApp Web, snapshots of app state, files. It talks to WhatsApp's own hosts,
//! never to an address that a client gave; those are the poster's. By which way it gets there is the number's to say
//! ([`way`]).

pub(crate) mod download;
mod file_body;
pub(crate) mod upload;
pub(crate) mod way;

use std::{
    convert::identity,
    error::Error as _,
    iter::successors,
    sync::Arc,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use reqwest::{Client, Method, Url};
use tokio::time::timeout;
use wharf_domain::address::TargetPolicy;
use wharf_whatsapp::{Http, HttpRequest, HttpResponse, Resolver};

use crate::{
    pace::{Coming, LEAST_PACE, LeastPace},
    post::{Checked, PosterError},
};
use way::{Maker, blocked_way};

/// The largest answer that is read: a full snapshot of app state is a few MiB. At the least pace it takes half an hour.
const LARGEST: usize = 32 * 1024 * 1024;

/// What the names of WhatsApp's hosts end with.
const DOMAINS: [&str; 2] = [".whatsapp.net", ".whatsapp.com"];

/// How long is waited for an answer.
#[derive(Debug, Clone, Copy)]
struct Patience {
    /// For its head, and then for a byte of it.
    silence: Duration,
    /// How fast it comes. A piece of a history has many MiB, which a slow proxy takes a while for.
    pace: LeastPace,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            silence: Duration::from_secs(20),
            pace: LEAST_PACE,
        }
    }
}

/// See the module. Clones share one client for all requests that go directly; one that goes through a proxy gets a client of
/// its own, because they are few: some when a number is linked, then one in hours.
#[derive(Debug, Clone)]
pub struct Web {
    maker: Maker,
    client: Client,
    patience: Patience,
}

impl Web {
    /// Reads the root certificates and makes the client. Proxies may lie where `policy` says. With a test network everything
    /// is asked of that, under the same paths.
    ///
    /// # Errors
    /// [`PosterError`] when the machine's TLS set-up cannot be used.
    pub fn new(policy: TargetPolicy, test_network: Option<Url>) -> Result<Self, PosterError> {
        let maker = Maker::new(Checked::new(policy), "", test_network)?;
        Ok(Self {
            client: maker.direct(identity)?,
            maker,
            patience: Patience::default(),
        })
    }

    /// What looks up the names of its proxies, for the links themselves: on the threads of the runtime that this was made in.
    pub fn resolver(&self) -> Arc<dyn Resolver> {
        self.maker.resolver()
    }

    fn url(&self, asked: &str) -> Result<Url, String> {
        let mut url = Url::parse(asked).map_err(|error| format!("{asked}: {error}"))?;
        let Some(base) = self.maker.test_network() else {
            return match is_of_whatsapp(&url) {
                true => Ok(url),
                false => Err("this is not WhatsApp's".to_owned()),
            };
        };
        let moved = url.set_scheme(base.scheme()).is_ok()
            && url.set_host(base.host_str()).is_ok()
            && url.set_port(base.port()).is_ok();
        moved
            .then_some(url)
            .ok_or_else(|| format!("{asked} has no place on a test network"))
    }
}

/// Whether an address is on one of WhatsApp's own hosts. The client library puts paths behind a host that a message brought: what
/// stands there may make another host of it, or another port.
fn is_of_whatsapp(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let is_theirs = DOMAINS.iter().any(|domain| host.ends_with(domain));
    is_theirs
        && url.scheme() == "https"
        && url.port().is_none()
        && url.username().is_empty()
        && url.password().is_none()
}

/// In words, with what is behind it. Without the address, which goes into the log with it: that of a file holds what lets the
/// account upload and download.
fn failed(error: reqwest::Error) -> String {
    let error = error.without_url();
    let causes = successors(error.source(), |&cause| cause.source());
    causes.fold(error.to_string(), |words, cause| format!("{words}: {cause}"))
}

#[async_trait]
impl Http for Web {
    async fn execute(&self, request: HttpRequest) -> Result<HttpResponse, String> {
        let method = Method::from_bytes(request.method.as_bytes()).map_err(|error| error.to_string())?;
        let client = match &request.proxy {
            None => self.client.clone(),
            Some(proxy) => self
                .maker
                .through(None, proxy, identity)
                .map_err(|error| error.to_string())?,
        };
        let mut builder = client.request(method, self.url(&request.url)?);
        for (name, value) in &request.headers {
            builder = builder.header(name, value);
        }
        if let Some(body) = request.body {
            builder = builder.body(body);
        }
        let Patience { silence, pace } = self.patience;
        let silent = |_| format!("no answer for {silence:?}");
        let answer = timeout(silence, builder.send()).await.map_err(silent)?;
        let mut response = answer.map_err(|error| {
            let blocked = blocked_way(request.proxy.as_ref(), &error);
            blocked.unwrap_or_else(|| failed(error))
        })?;
        let (mut body, mut coming) = (BytesMut::new(), Coming::at(pace));
        loop {
            let begun = Instant::now();
            let chunk = timeout(silence, response.chunk()).await.map_err(silent)?;
            let Some(chunk) = chunk.map_err(failed)? else { break };
            if !coming.is_in_time(begun.elapsed(), chunk.len()) {
                return Err("the answer comes too slowly".to_owned());
            }
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

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    /// Anything may be a proxy.
    pub(super) const OPEN: TargetPolicy = TargetPolicy {
        allow_http: true,
        allow_private_networks: true,
        allowed_networks: Vec::new(),
    };

    pub(super) fn maker(test_network: Option<&str>) -> Maker {
        let test_network = test_network.map(|url| url.parse().unwrap());
        Maker::new(Checked::new(OPEN), "", test_network).unwrap()
    }

    #[tokio::test]
    async fn what_failed_is_said_without_the_address_and_its_secrets() {
        let nobody = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let place = nobody.local_addr().unwrap();
        let network = Url::parse(&format!("http://{place}/")).unwrap();
        let web = Web::new(OPEN, Some(network)).unwrap();
        let ask = || {
            web.execute(HttpRequest {
                method: "GET".into(),
                url: "https://mmg.whatsapp.net/v/a?auth=s3cret&token=t0ken".into(),
                headers: Vec::new(),
                body: None,
                proxy: None,
            })
        };
        // One that breaks off in the middle of its answer, and one that is not there.
        let (broken_off, ()) = tokio::join!(ask(), async {
            let (mut socket, _) = nobody.accept().await.unwrap();
            let _request = socket.read(&mut [0; 1024]).await.unwrap();
            let head = b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nx";
            socket.write_all(head).await.unwrap();
        });
        drop(nobody);
        let refused = ask().await;
        for failed in [broken_off, refused] {
            let words = failed.unwrap_err();
            assert!(!words.contains("s3cret") && !words.contains("mmg"), "{words}");
            assert!(words.contains(": "), "says what is behind it: {words}");
        }
    }

    /// A piece of a history has many MiB, and a proxy may be slow.
    #[tokio::test]
    async fn a_large_answer_may_take_longer_than_its_head_but_not_drip() {
        const PIECE: usize = 64 * 1024;
        let host = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let network = Url::parse(&format!("http://{}/", host.local_addr().unwrap())).unwrap();
        let mut web = Web::new(OPEN, Some(network)).unwrap();
        web.patience = Patience {
            silence: Duration::from_secs(3),
            pace: LeastPace {
                bytes_per_second: 16 * 1024,
                window: Duration::from_secs(1),
            },
        };
        // A MiB in somewhat more than three seconds, in which a machine may stand still for two.
        for (piece, comes) in [(PIECE, true), (1024, false)] {
            let asked = web.execute(HttpRequest {
                method: "GET".into(),
                url: "https://mmg.whatsapp.net/v/a".into(),
                headers: Vec::new(),
                body: None,
                proxy: None,
            });
            let (answer, ()) = tokio::join!(asked, async {
                let (mut socket, _) = host.accept().await.unwrap();
                let _request = socket.read(&mut [0; 1024]).await.unwrap();
                let head = format!(
                    "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
                    16 * piece
                );
                socket.write_all(head.as_bytes()).await.unwrap();
                for _ in 0..16 {
                    tokio::time::sleep(Duration::from_millis(200)).await;
                    if socket.write_all(&vec![7; piece]).await.is_err() {
                        break;
                    }
                }
            });
            match answer {
                Ok(answer) => assert!(comes && answer.body.len() == 16 * piece, "{}", answer.body.len()),
                Err(words) => assert!(!comes && words.contains("too slowly"), "{words}"),
            }
        }
    }

    #[test]
    fn a_test_network_is_asked_for_everything() {
        let network = Url::parse("http://127.0.0.1:7000/ws/chat").unwrap();
        let (web, test) = (Web::new(OPEN, None).unwrap(), Web::new(OPEN, Some(network)).unwrap());
        let asked = "https://mmg.whatsapp.net/v/t62.7118-24/a?auth=1";
        assert_eq!(web.url(asked).unwrap().as_str(), asked);
        let there = "http://127.0.0.1:7000/v/t62.7118-24/a?auth=1";
        assert_eq!(test.url(asked).unwrap().as_str(), there);
        assert!(test.url("no url").is_err());
        assert!(web.url("https://web.whatsapp.com/sw.js").is_ok());
        // What a message brings as a path, behind a host.
        for path in [
            "@10.0.0.5:8443/a?x=",
            ".evil.example/a",
            ":8443/a",
            "evil.example/",
            "@localhost/?",
        ] {
            assert!(web.url(&format!("https://mmg.whatsapp.net{path}")).is_err(), "{path}");
        }
        assert!(web.url("http://mmg.whatsapp.net/a").is_err());
    }
}
