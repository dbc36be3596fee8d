//! HTTP for the link to WhatsApp: the version of WhatsApp Web, snapshots of app state. It talks to WhatsApp's own hosts,
//! never to an address that a client gave; those are the poster's.

use std::time::Duration;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use reqwest::{Client, Method, redirect};
use wharf_whatsapp::{Http, HttpRequest, HttpResponse};

use crate::post::{PosterError, tls};

/// For the whole exchange.
const TIMEOUT: Duration = Duration::from_secs(20);
/// The largest answer that is read: a full snapshot of app state is a few MiB.
const LARGEST: usize = 32 * 1024 * 1024;

/// See the module. Clones share one client.
#[derive(Debug, Clone)]
pub struct Web(Client);

impl Web {
    /// Reads the root certificates and makes the client.
    ///
    /// # Errors
    /// [`PosterError`] when the machine's TLS set-up cannot be used.
    #[expect(
        clippy::disallowed_methods,
        reason = "the one client besides the poster's, for WhatsApp's hosts"
    )]
    pub fn new() -> Result<Self, PosterError> {
        let client = Client::builder()
            .tls_backend_preconfigured(tls::client_config("")?)
            .https_only(true)
            .redirect(redirect::Policy::none())
            .timeout(TIMEOUT)
            .build()?;
        Ok(Self(client))
    }
}

#[async_trait]
impl Http for Web {
    async fn execute(&self, request: HttpRequest) -> Result<HttpResponse, String> {
        let method = Method::from_bytes(request.method.as_bytes()).map_err(|error| error.to_string())?;
        let mut builder = self.0.request(method, &request.url);
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
