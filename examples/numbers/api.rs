//! The gateway through its REST API, and the test network through its own.

use std::time::{Duration, Instant};

use futures::{StreamExt, TryStreamExt, stream};
use reqwest::RequestBuilder;
use serde_json::{Value, json};

use crate::process::Failure;

/// How often a state that has no wake-up is looked at.
pub(crate) const LOOK_EVERY: Duration = Duration::from_millis(200);
/// Longer than this nothing is waited for.
pub(crate) const PATIENCE: Duration = Duration::from_secs(600);
/// Numbers that are linked at the same time.
const LINKED_AT_ONCE: usize = 32;
/// Requests that are under way at the same time.
const REQUESTS_AT_ONCE: usize = 64;

/// Both ends of a measurement.
#[derive(Clone)]
pub(crate) struct Api {
    http: reqwest::Client,
    gateway: String,
    tokens: Vec<String>,
    network: String,
    count: usize,
}

/// The number itself.
fn number(n: usize) -> String {
    format!("55118{n:08}")
}

/// Who writes to it.
fn contact(n: usize) -> String {
    format!("55119{n:08}")
}

impl Api {
    pub(crate) fn new(network: &str, count: usize) -> Result<Self, Failure> {
        #[expect(clippy::disallowed_methods, reason = "a client of the API, not the poster")]
        let http = reqwest::Client::builder().no_proxy().build()?;
        Ok(Self {
            http,
            gateway: String::new(),
            tokens: Vec::new(),
            network: network.trim_end_matches('/').to_owned(),
            count,
        })
    }

    /// The gateway is here, from now on; a new database's tokens come with it.
    pub(crate) fn gateway_is(&mut self, first_line: &Value) -> Result<(), Failure> {
        let address = first_line["address"].as_str().ok_or("the gateway did not start")?;
        self.gateway = format!("http://{address}/api");
        let tokens = first_line["tokens"].as_array().into_iter().flatten();
        let tokens: Vec<String> = tokens.filter_map(|token| token.as_str().map(str::to_owned)).collect();
        if !tokens.is_empty() {
            self.tokens = tokens;
        }
        Ok(())
    }

    /// A request about a number, by its client.
    fn of(&self, n: usize, request: RequestBuilder) -> RequestBuilder {
        request.bearer_auth(&self.tokens[n % self.tokens.len()])
    }

    async fn answer(request: RequestBuilder) -> Result<Value, Failure> {
        let response = request.send().await?;
        let (status, body) = (response.status(), response.text().await?);
        if !status.is_success() {
            return Err(format!("{status}: {body}").into());
        }
        Ok(serde_json::from_str(&body).unwrap_or(Value::Null))
    }

    async fn network(&self, path: &str, body: &Value) -> Result<Value, Failure> {
        Self::answer(self.http.post(format!("{}{path}", self.network)).json(body)).await
    }

    /// Registers webhooks and links all numbers.
    pub(crate) async fn link_all(&self, webhook_url: &str) -> Result<(), Failure> {
        stream::iter(0..self.count)
            .map(|n| self.link(n, webhook_url))
            .buffer_unordered(LINKED_AT_ONCE)
            .try_for_each(|()| async { Ok(()) })
            .await?;
        self.all_connected().await
    }

    async fn link(&self, n: usize, webhook_url: &str) -> Result<(), Failure> {
        let number = number(n);
        self.network("/accounts", &json!({"phone": number})).await?;
        self.network("/accounts", &json!({"phone": contact(n)})).await?;
        let new = json!({"phone_number": number, "webhook_url": webhook_url});
        let path = format!("{}/webhooks/register", self.gateway);
        Self::answer(self.of(n, self.http.post(path).json(&new))).await?;
        let path = format!("{}/whatsapp/connections", self.gateway);
        Self::answer(self.of(n, self.http.post(&path).json(&json!({"phone_number": number})))).await?;
        let begun = Instant::now();
        loop {
            let shown = self.of(n, self.http.get(format!("{path}/{number}/qr"))).send().await?;
            let shown: Value = shown.json().await?;
            if shown["qr"].is_string()
                && self
                    .network(&format!("/accounts/{number}/scan"), &json!({"qr": shown["qr"]}))
                    .await
                    .is_ok()
            {
                return Ok(());
            }
            if begun.elapsed() > PATIENCE {
                return Err(format!("{number} was not linked: {shown}").into());
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    async fn connected(&self) -> Result<usize, Failure> {
        let mut connected = 0;
        for client in 0..self.tokens.len() {
            let mut page = Some(String::new());
            while let Some(cursor) = page {
                let path = format!("{}/whatsapp/connections?cursor={cursor}", self.gateway);
                let all = Self::answer(self.of(client, self.http.get(path))).await?;
                let some = all["data"].as_array().ok_or("no list of connections")?;
                connected += some.iter().filter(|shown| shown["status"] == "connected").count();
                page = all["next_cursor"].as_str().map(str::to_owned);
            }
        }
        Ok(connected)
    }

    pub(crate) async fn all_connected(&self) -> Result<(), Failure> {
        let begun = Instant::now();
        while self.connected().await? < self.count {
            if begun.elapsed() > PATIENCE {
                return Err("not all were connected in time".into());
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Ok(())
    }

    /// Each number's contact writes so many texts. Returns when the network has sent them.
    pub(crate) async fn texts_in(&self, each: usize) -> Result<(), Failure> {
        if each == 0 {
            return Ok(());
        }
        stream::iter(0..self.count)
            .map(|n| async move {
                let text = json!({"to": number(n), "text": "in", "count": each});
                let path = format!("/accounts/{}/messages", contact(n));
                self.network(&path, &text).await.map(drop)
            })
            .buffer_unordered(REQUESTS_AT_ONCE)
            .try_for_each(|()| async { Ok(()) })
            .await
    }

    /// Each number sends its contact so many texts, the next when WhatsApp has taken the one before.
    pub(crate) async fn texts_out(&self, each: usize) -> Result<(), Failure> {
        stream::iter(0..self.count)
            .map(|n| async move {
                let path = format!("{}/whatsapp/connections/{}/messages", self.gateway, number(n));
                for text in 0..each {
                    let text = json!({"to": contact(n), "type": "text", "text": format!("out {text}")});
                    Self::answer(self.of(n, self.http.post(&path).json(&text))).await?;
                }
                Ok::<_, Failure>(())
            })
            .buffer_unordered(REQUESTS_AT_ONCE)
            .try_for_each(|()| async { Ok(()) })
            .await
    }

    /// Keys that were used twice, of all that the network saw.
    pub(crate) async fn reused_keys(&self) -> Result<Value, Failure> {
        let stats = Self::answer(self.http.get(format!("{}/stats", self.network))).await?;
        Ok(stats["reused_keys"].clone())
    }
}
