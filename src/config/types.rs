//! A configuration that was read and judged, section by section.

use std::{net::SocketAddr, time::Duration};

use wharf_actors::Settings;
use wharf_domain::{TokenHash, media_link::PublicUrl};

/// A configuration that was read and judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// The REST facade.
    pub http: Http,
    /// The database.
    pub store: Store,
    /// The link to WhatsApp.
    pub whatsapp: Whatsapp,
    /// What the gateway itself takes: all sections that are not here, and `store.secrets_key`. Two settings of its files stand
    /// elsewhere and are put in at the start: the public URL, and the server of a test network.
    pub gateway: Settings,
    /// The log.
    pub log: Log,
}

/// `[http]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Http {
    /// Where the REST API listens.
    pub listen: SocketAddr,
    /// Where it is reached from outside; `None` is where it listens.
    pub public_url: Option<PublicUrl>,
    /// For one request, from its headers to the answer.
    pub request_timeout: Duration,
    /// For the head of one request.
    pub header_timeout: Duration,
    /// For a connection without a request.
    pub idle_timeout: Duration,
    /// The largest head of a request, in bytes.
    pub max_header_bytes: usize,
    /// Connections at a time.
    pub max_connections: usize,
    /// The token with which the metrics may be read; `None`: nobody may.
    pub metrics_token: Option<TokenHash>,
    /// Requests of one client at a time; 0 is half of the connections.
    pub max_requests_per_client: usize,
}

/// `[store]`, without the key of its secrets
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Store {
    /// Which database.
    pub url: String,
    /// Connections that read; 0 is as many as the cores want.
    pub readers: u32,
}

/// `[whatsapp]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Whatsapp {
    /// A test network's WebSocket; `None` is WhatsApp itself, and all that a build without `testnet` takes.
    pub server_url: Option<String>,
    /// The linked device's name on the phone.
    pub device_name: String,
    /// Whether the history that a phone sends after linking becomes events.
    pub history_sync: bool,
    /// How long a message that cannot be decrypted is waited for before it is told as `unknown`.
    pub undecryptable_wait: Duration,
}

/// `[log]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    /// For people or for machines.
    pub format: LogFormat,
    /// A tracing filter.
    pub filter: String,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogFormat {
    /// A line for people.
    #[default]
    Text,
    /// A JSON object a line.
    Json,
}
