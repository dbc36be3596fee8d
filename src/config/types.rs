//! A configuration that was read and judged, section by section.

use std::{collections::HashMap, net::SocketAddr, time::Duration};

use wharf_actors::{Limits, MediaSettings, SecretsKey};
use wharf_domain::{
    ClientId, TokenHash, address::IpNet, media_link::PublicUrl, outgoing::Pacing, retention::Keep, session::Patience,
};

/// A configuration that was read and judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// The REST facade.
    pub http: Http,
    /// The database.
    pub store: Store,
    /// The link to WhatsApp.
    pub whatsapp: Whatsapp,
    /// Webhook deliveries.
    pub delivery: Delivery,
    /// Files that messages come with and go out with, without what stands in other sections: the public URL and the
    /// server of a test network.
    pub media: MediaSettings,
    /// How long finished events are kept.
    pub retention: Keep,
    /// What a client may have.
    pub limits: Limits,
    /// How one number sends.
    pub sending: Pacing,
    /// WhatsApp sessions.
    pub sessions: Sessions,
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

/// `[store]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Store {
    /// Which database.
    pub url: String,
    /// Connections that read; 0 is as many as the cores want.
    pub readers: u32,
    /// What webhooks' secrets and the keys of linked devices are encrypted with; `None` is the key in the file beside the database.
    pub secrets_key: Option<SecretsKey>,
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

/// `[delivery]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// Whether webhooks may be `http`.
    pub allow_http: bool,
    /// Whether webhooks may be inside the gateway's own network.
    pub allow_private_networks: bool,
    /// Networks of the operator's own that they may be in.
    pub allowed_networks: Vec<IpNet>,
    /// Certificates (PEM) trusted besides the public ones; empty when there are none.
    pub extra_roots_pem: String,
    /// Attempts under way in the whole process.
    pub max_in_flight: usize,
    /// Attempts under way of one client.
    pub max_in_flight_per_client: usize,
    /// Attempts under way of one webhook.
    pub max_in_flight_per_webhook: usize,
    /// Clients that get more than others when slots are short.
    pub client_weights: HashMap<ClientId, u32>,
    /// Events of one webhook that a retry of many lets out per second.
    pub bulk_retry_per_second: u32,
    /// Test events and retries of one client per second; 0 is no limit.
    pub manual_per_second: u32,
}

/// `[sessions]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sessions {
    /// Threads at the most that sessions run on; never 0 any more, "one for each core" is settled here. (A program that sets 0
    /// afterwards has its sessions run with everything else.)
    pub bulkheads: usize,
    /// Sessions started per second after a restart.
    pub start_per_second: u32,
    /// How long they wait for WhatsApp.
    pub patience: Patience,
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
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// A line for people.
    Text,
    /// A JSON object a line.
    Json,
}
