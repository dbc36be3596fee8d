//! An HTTP client that sends exactly what a test says: no header of its own but `host` and `connection: close`.

use std::{fmt::Display, net::SocketAddr, time::Duration};

use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use super::openapi;

/// No answer in this suite takes longer.
const PATIENCE: Duration = Duration::from_secs(180);

pub(super) struct Ask {
    address: SocketAddr,
    head: String,
    method: String,
    body: Option<Vec<u8>>,
}

#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: u16,
    headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
}

impl Ask {
    pub(super) fn new(address: SocketAddr, method: &str, path: &str) -> Self {
        let head = format!("{method} {path} HTTP/1.1\r\nhost: wharf\r\nconnection: close\r\n");
        Self {
            address,
            head,
            method: method.into(),
            body: None,
        }
    }

    pub(super) fn header(mut self, name: &str, value: &str) -> Self {
        self.head += &format!("{name}: {value}\r\n");
        self
    }

    pub(super) fn token(self, token: &str) -> Self {
        self.header("authorization", &format!("Bearer {token}"))
    }

    pub(super) fn bytes(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = Some(body.into());
        self
    }

    pub(super) fn json(self, body: &Value) -> Self {
        self.header("content-type", "application/json").bytes(body.to_string())
    }

    /// Sends and waits for the whole answer. Checks on the way what holds for every answer.
    pub(super) async fn send(self) -> Reply {
        let what = self.head.lines().next().unwrap_or_default().to_owned();
        let (method, sent) = (self.method.clone(), self.sent_json());
        let reply = timeout(PATIENCE, self.exchange())
            .await
            .unwrap_or_else(|_| panic!("{what}: hangs"));
        reply.check(&what, &method);
        openapi::check(&what, sent.as_ref(), &reply);
        reply
    }

    /// The body, if it is sent as JSON and is.
    fn sent_json(&self) -> Option<Value> {
        let is_json = self.head.contains("\r\ncontent-type: application/json");
        serde_json::from_slice(self.body.as_deref().filter(|_| is_json)?).ok()
    }

    async fn exchange(self) -> Reply {
        let mut socket = TcpStream::connect(self.address).await.unwrap();
        let mut request = self.head;
        if let Some(body) = &self.body {
            request += &format!("content-length: {}\r\n", body.len());
        }
        request += "\r\n";
        socket.write_all(request.as_bytes()).await.unwrap();
        if let Some(body) = &self.body {
            // The rest of one that is refused may be cut off.
            let _cut_off = socket.write_all(body).await;
        }
        let mut answer = Vec::new();
        let _cut_off = socket.read_to_end(&mut answer).await;
        Reply::parse(&answer)
    }
}

impl Reply {
    /// Takes the bytes of one whole answer apart.
    pub(super) fn parse(answer: &[u8]) -> Self {
        let end = answer
            .windows(4)
            .position(|window| window == b"\r\n\r\n")
            .expect("an answer has a head");
        let head = std::str::from_utf8(&answer[..end]).unwrap();
        let mut lines = head.split("\r\n");
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let headers = lines
            .map(|line| line.split_once(": ").unwrap())
            .map(|(n, v)| (n.into(), v.into()))
            .collect();
        Self {
            status,
            headers,
            body: answer[end + 4..].to_vec(),
        }
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    pub(super) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("not JSON: {self:?}"))
    }

    /// The names in `errors`.
    pub(super) fn bad_fields(&self) -> Vec<String> {
        let errors = self.json()["errors"].as_array().cloned().unwrap_or_default();
        errors
            .iter()
            .map(|error| error["field"].as_str().unwrap().to_owned())
            .collect()
    }

    /// Fails unless it is a 400 that names these fields, in their order. `what` is what was asked.
    #[track_caller]
    pub(super) fn is_refused_for<T: AsRef<str>>(&self, fields: &[T], what: impl Display) {
        let fields = fields.iter().map(|field| field.as_ref().to_owned()).collect();
        assert_eq!((self.status, self.bad_fields()), (400, fields), "{what}: {self:?}");
    }

    pub(super) fn check(&self, what: &str, method: &str) {
        assert!(
            self.header("x-request-id").is_some_and(|id| !id.is_empty()),
            "{what}: no request id: {self:?}"
        );
        // A page is refused as a page, to whoever opens it.
        let is_page = what.contains(" /link/") && self.header("content-type") == Some("text/html; charset=utf-8");
        if self.status >= 400 && method != "HEAD" && !is_page {
            assert_eq!(
                self.header("content-type"),
                Some("application/problem+json"),
                "{what}: {self:?}"
            );
            let problem = self.json();
            assert_eq!(problem["status"], self.status, "{what}");
            for member in ["type", "title", "detail"] {
                assert!(
                    problem[member].as_str().is_some_and(|text| !text.is_empty()),
                    "{what}: {member}: {problem}"
                );
            }
        }
    }
}
