//! A client of the gateway's REST API, as a user would write one.

use std::{net::SocketAddr, time::Duration};

use reqwest::{Client, Method, StatusCode};
use serde_json::Value;

use super::DemoError;

/// For one request; the gateway's own limit is longer than any that the demo makes should take.
const WITHIN: Duration = Duration::from_secs(15);

/// The API with a token.
#[derive(Debug)]
pub(super) struct Api {
    pub(super) base: String,
    pub(super) token: String,
    http: Client,
}

impl Api {
    pub(super) fn new(address: SocketAddr, token: String) -> Result<Self, DemoError> {
        let base = format!("http://{address}");
        #[expect(clippy::disallowed_methods, reason = "a client of the API, not a poster of webhooks")]
        let http = Client::builder().no_proxy().timeout(WITHIN).build();
        let http = http.map_err(|error| DemoError::Http("the demo's HTTP client".to_owned(), error))?;
        Ok(Self { base, token, http })
    }

    /// The body, if the status is 200.
    pub(super) async fn get(&self, path: &str) -> Result<Value, DemoError> {
        self.call(Method::GET, path, None, StatusCode::OK).await
    }

    /// The body, if the status is 201.
    pub(super) async fn create(&self, path: &str, body: Value) -> Result<Value, DemoError> {
        self.call(Method::POST, path, Some(body), StatusCode::CREATED).await
    }

    async fn call(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
        wanted: StatusCode,
    ) -> Result<Value, DemoError> {
        let named = format!("{method} {path}");
        let failed = |error| DemoError::Http(named.clone(), error);
        let mut request = self
            .http
            .request(method, format!("{}{path}", self.base))
            .bearer_auth(&self.token);
        if let Some(body) = body {
            request = request.json(&body);
        }
        let response = request.send().await.map_err(failed)?;
        let status = response.status();
        if status == wanted {
            return response.json().await.map_err(failed);
        }
        let body = response.text().await.map_err(failed)?;
        Err(DemoError::Answer {
            request: named,
            status: status.as_u16(),
            body,
        })
    }
}
