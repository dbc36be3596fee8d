//! The gateway through its REST API, and the test network through its own. Whoever calls does not see restarts: a request
//! that is not answered is made again.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use reqwest::Method;
use serde_json::{Value, json};

use crate::{book::Book, process::Failure};

/// How often a state that has no wake-up is looked at.
pub(crate) const LOOK_EVERY: Duration = Duration::from_millis(200);
/// Longer than this nothing is waited for.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// A client of the gateway.
pub(crate) struct Tenant {
    pub(crate) id: i64,
    token: Mutex<String>,
}

impl Tenant {
    pub(crate) fn new(id: i64, token: String) -> Self {
        Self {
            id,
            token: Mutex::new(token),
        }
    }

    pub(crate) fn token(&self) -> String {
        self.token.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn has_token(&self, token: String) {
        *self.token.lock().unwrap_or_else(PoisonError::into_inner) = token;
    }
}

/// What the gateway said.
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) body: Value,
}

impl Reply {
    pub(crate) fn is_good(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

/// Both.
pub(crate) struct Api {
    http: reqwest::Client,
    /// Where the gateway is, in each of its lives.
    pub(crate) address: String,
    network: String,
}

impl Api {
    pub(crate) fn new(address: String, network: &str) -> Result<Self, Failure> {
        #[expect(clippy::disallowed_methods, reason = "a client of the API, not the poster")]
        let http = reqwest::Client::builder()
            .no_proxy()
            .timeout(Duration::from_secs(60))
            .build()?;
        Ok(Self {
            http,
            address,
            network: network.trim_end_matches('/').to_owned(),
        })
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// One try; `None` when there was no answer.
    pub(crate) async fn once(&self, of: &Tenant, method: &Method, path: &str, body: Option<&Value>) -> Option<Reply> {
        let mut request = self
            .http
            .request(method.clone(), self.url(path))
            .bearer_auth(of.token());
        if let Some(body) = body {
            request = request.json(body);
        }
        let response = request.send().await.ok()?;
        let (status, body) = (response.status().as_u16(), response.text().await.ok()?);
        Some(Reply {
            status,
            body: serde_json::from_str(&body).unwrap_or(Value::String(body)),
        })
    }

    /// Until there is an answer that is about the request: not while the gateway is away or its store busy, and not for
    /// a token that has just been rotated.
    ///
    /// # Errors
    /// There is none for too long.
    pub(crate) async fn ask(
        &self,
        book: &Book,
        of: &Tenant,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Reply, Failure> {
        let begun = Instant::now();
        loop {
            let reply = self.once(of, &method, path, body).await;
            match reply {
                Some(reply) if ![401, 503].contains(&reply.status) => {
                    if reply.status >= 500 && reply.status != 504 {
                        book.wrong(format!("{method} {path} was answered {}: {}", reply.status, reply.body));
                    }
                    return Ok(reply);
                }
                other if begun.elapsed() > PATIENCE => {
                    let said = other.map_or_else(
                        || "no answer".to_owned(),
                        |reply| format!("{}: {}", reply.status, reply.body),
                    );
                    return Err(format!("{method} {path} is not answered: {said}").into());
                }
                _ => tokio::time::sleep(LOOK_EVERY).await,
            }
        }
    }

    /// Whether the gateway says that it is ready.
    pub(crate) async fn is_ready(&self) -> bool {
        let asked = self.http.get(self.url("/readyz")).send().await;
        asked.is_ok_and(|answer| answer.status().is_success())
    }

    /// What the gateway has at a link to a file: its status and length.
    pub(crate) async fn file(&self, url: &str) -> Option<(u16, usize)> {
        let answer = self.http.get(url).send().await.ok()?;
        let status = answer.status().as_u16();
        Some((status, answer.bytes().await.ok()?.len()))
    }

    /// The network does something.
    ///
    /// # Errors
    /// It will not.
    pub(crate) async fn network(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Value, Failure> {
        let mut request = self.http.request(method.clone(), format!("{}{path}", self.network));
        if let Some(body) = body {
            request = request.json(body);
        }
        let response = request.send().await?;
        let (status, body) = (response.status(), response.text().await?);
        if !status.is_success() {
            return Err(format!("the network answers {method} {path} with {status}: {body}").into());
        }
        Ok(serde_json::from_str(&body).unwrap_or(Value::Null))
    }

    pub(crate) async fn account(&self, phone: &str) -> Result<(), Failure> {
        let body = json!({"phone": phone});
        self.network(Method::POST, "/accounts", Some(&body)).await.map(drop)
    }

    /// How many devices of an account WhatsApp knows.
    pub(crate) async fn devices(&self, phone: &str) -> Result<Vec<Value>, Failure> {
        let devices = self
            .network(Method::GET, &format!("/accounts/{phone}/devices"), None)
            .await?;
        Ok(devices.as_array().cloned().unwrap_or_default())
    }
}
