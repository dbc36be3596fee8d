//! The configuration: `config.toml` as built in, under a file, under `WHARF_SECTION__KEY` variables.
//!
//! This file has the types and the one place where values are judged; `layers` merges, `reader` turns one value at a
//! time into its type and words the refusals.

mod layers;
mod reader;
#[cfg(test)]
mod tests;

use std::{collections::HashMap, fmt, fmt::Write as _, net::SocketAddr, path::PathBuf, time::Duration};

use thiserror::Error;
use wharf_actors::{Limits, SecretsKey};
use wharf_domain::{
    ClientId,
    media_link::PublicUrl,
    outgoing::{Pace, Pacing},
    retention::Keep,
    session::Patience,
};

pub use layers::Sources;
use reader::{Reader, Refused};

/// Whether this build may talk to another server than WhatsApp.
const TESTNET: bool = cfg!(feature = "testnet");

/// Everything that is wrong with a configuration, one line each.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{}", .0.join("\n"))]
pub struct ConfigError(pub Vec<String>);

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
    /// Files that messages come with.
    pub media: Media,
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
}

/// `[media]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Media {
    /// Whether files are downloaded.
    pub download: bool,
    /// Where they are kept; `None` is beside the database.
    pub directory: Option<PathBuf>,
    /// How long.
    pub keep: Duration,
    /// Bytes of one client's files; 0 is no limit.
    pub max_bytes: u64,
    /// Up to how many bytes a file is in the event itself.
    pub inline_max_bytes: u64,
    /// Downloads at a time in the whole process.
    pub max_downloads: usize,
    /// Downloads at a time of one client.
    pub max_downloads_per_client: usize,
    /// Bytes of a file that is sent.
    pub send_max_bytes: u64,
    /// Files that are fetched or uploaded at a time to be sent, in the whole process.
    pub max_uploads: usize,
    /// The same of one client.
    pub max_uploads_per_client: usize,
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

/// One key in effect, for `config show`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// `section.key`
    pub key: &'static str,
    /// The value as TOML.
    pub value: String,
    /// A file, a variable, or `default`.
    pub origin: String,
}

/// A configuration and where it came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// Every key in the order of config.toml.
    pub settings: Vec<Setting>,
}

impl Loaded {
    /// Reads and judges a configuration.
    ///
    /// # Errors
    /// Everything that is wrong, each with the key, the value and what would be accepted.
    pub fn load(sources: &Sources) -> Result<Self, ConfigError> {
        let mut reader = Reader::new(layers::merge(sources)?);
        let config = read(&mut reader);
        let settings = reader.finish()?;
        // Unreachable refusal: `finish` has returned every one of them.
        config
            .map(|config| Self { config, settings })
            .map_err(|Refused| ConfigError(Vec::new()))
    }
}

/// The configuration in effect as TOML, with where each value came from.
impl fmt::Display for Loaded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut section = "";
        for setting in &self.settings {
            let (head, key) = setting.key.split_once('.').unwrap_or(("", setting.key));
            if head != section {
                let gap = if section.is_empty() { "" } else { "\n" };
                writeln!(f, "{gap}[{head}]")?;
                section = head;
            }
            let mut line = String::new();
            write!(line, "{key} = {}", setting.value)?;
            writeln!(f, "{line:<44} # {}", setting.origin)?;
        }
        Ok(())
    }
}

fn read(reader: &mut Reader) -> Result<Config, Refused> {
    // All sections are read before the first refusal returns, so that all of them are reported.
    let (http, store, whatsapp) = (http(reader), store(reader), whatsapp(reader));
    let (delivery, retention, limits) = (delivery(reader), retention(reader), limits(reader));
    let (media, sending, sessions, log) = (media(reader), sending(reader), sessions(reader), log(reader));
    Ok(Config {
        http: http?,
        store: store?,
        whatsapp: whatsapp?,
        delivery: delivery?,
        media: media?,
        retention: retention?,
        limits: limits?,
        sending: sending?,
        sessions: sessions?,
        log: log?,
    })
}

fn http(reader: &mut Reader) -> Result<Http, Refused> {
    let address = "an IP address and a port, such as \"127.0.0.1:8080\" or \"[::]:8080\"";
    let listen = reader.text("http.listen", address, |text| text.parse().ok());
    let public_url = "\"\", or an http or https URL without credentials and query, such as \"https://wharf.example\"";
    let public_url = reader.text("http.public_url", public_url, |text| match text {
        "" => Some(None),
        _ => text.parse().ok().map(Some),
    });
    let request_timeout = reader.number("http.request_timeout_ms", 100, 600_000);
    let header_timeout = reader.number("http.header_timeout_ms", 100, 600_000);
    let idle_timeout = reader.number("http.idle_timeout_ms", 100, 3_600_000);
    let max_header_bytes = reader.number("http.max_header_bytes", 1024, 1_048_576);
    let max_connections = reader.number("http.max_connections", 1, 1_000_000);
    let ms = |number: u32| Duration::from_millis(u64::from(number));
    Ok(Http {
        listen: listen?,
        public_url: public_url?,
        request_timeout: ms(request_timeout?),
        header_timeout: ms(header_timeout?),
        idle_timeout: ms(idle_timeout?),
        max_header_bytes: max_header_bytes? as usize,
        max_connections: max_connections? as usize,
    })
}

fn store(reader: &mut Reader) -> Result<Store, Refused> {
    let url = reader.text(
        "store.url",
        "\"sqlite://PATH\", such as \"sqlite://data/wharf.db\"",
        |text| {
            text.strip_prefix("sqlite://")
                .is_some_and(|path| !path.is_empty())
                .then(|| text.to_owned())
        },
    );
    let readers = reader.number("store.readers", 0, 64);
    let secrets_key = reader.secret(
        "store.secrets_key",
        "32 bytes in base64, such as `openssl rand -base64 32` prints, or \"\" for the file beside the database",
        |text| match text {
            "" => Some(None),
            _ => text.parse().ok().map(Some),
        },
    );
    Ok(Store {
        url: url?,
        readers: readers?,
        secrets_key: secrets_key?,
    })
}

fn whatsapp(reader: &mut Reader) -> Result<Whatsapp, Refused> {
    let accepted = match TESTNET {
        true => "\"\" for WhatsApp itself, or the ws:// or wss:// address of a test network",
        false => {
            "\"\" only: this build talks to WhatsApp itself and verifies it; a test network needs a build with \
             `--features testnet`"
        }
    };
    let server_url = reader.text("whatsapp.server_url", accepted, |text| match text {
        "" => Some(None),
        _ if !TESTNET => None,
        _ => {
            let url = url::Url::parse(text).ok()?;
            (matches!(url.scheme(), "ws" | "wss") && url.has_host()).then(|| Some(text.to_owned()))
        }
    });
    let device_name = reader.text(
        "whatsapp.device_name",
        "1 to 50 characters without control characters",
        |text| {
            let sane = (1..=50).contains(&text.chars().count()) && !text.chars().any(char::is_control);
            sane.then(|| text.to_owned())
        },
    );
    let history_sync = reader.flag("whatsapp.history_sync");
    let undecryptable_wait = reader.number("whatsapp.undecryptable_wait_seconds", 1, 86_400);
    Ok(Whatsapp {
        server_url: server_url?,
        device_name: device_name?,
        history_sync: history_sync?,
        undecryptable_wait: Duration::from_secs(u64::from(undecryptable_wait?)),
    })
}

fn delivery(reader: &mut Reader) -> Result<Delivery, Refused> {
    let allow_http = reader.flag("delivery.allow_http");
    let allow_private_networks = reader.flag("delivery.allow_private_networks");
    let roots = "\"\", or a readable file of certificates (PEM)";
    let extra_roots_pem = reader.text("delivery.extra_roots", roots, |path| match path {
        "" => Some(String::new()),
        _ => std::fs::read_to_string(path)
            .ok()
            .filter(|text| text.contains("-----BEGIN CERTIFICATE-----")),
    });
    let max_in_flight = reader.number("delivery.max_in_flight", 1, 100_000);
    let max_in_flight_per_client = reader.number("delivery.max_in_flight_per_client", 1, 100_000);
    let max_in_flight_per_webhook = reader.number("delivery.max_in_flight_per_webhook", 1, 100_000);
    let client_weights = reader.text(
        "delivery.client_weights",
        "\"\", or ID=WEIGHT pairs with commas, weights from 1 to 100, such as \"2=3,7=2\"",
        read_weights,
    );
    let bulk_retry_per_second = reader.number("delivery.bulk_retry_per_second", 1, 100_000);
    Ok(Delivery {
        allow_http: allow_http?,
        allow_private_networks: allow_private_networks?,
        extra_roots_pem: extra_roots_pem?,
        max_in_flight: max_in_flight? as usize,
        max_in_flight_per_client: max_in_flight_per_client? as usize,
        max_in_flight_per_webhook: max_in_flight_per_webhook? as usize,
        client_weights: client_weights?,
        bulk_retry_per_second: bulk_retry_per_second?,
    })
}

fn media(reader: &mut Reader) -> Result<Media, Refused> {
    let download = reader.flag("media.download");
    let directory = reader.text("media.directory", "a directory, or \"\"", |text| {
        Some(Some(text).filter(|text| !text.is_empty()).map(PathBuf::from))
    });
    // A link that never expired would be one that nobody can take back.
    let retention_days = reader.number("media.retention_days", 1, 3650);
    let max_bytes = reader.large("media.max_bytes", 0, 1 << 60);
    // Payloads are held in memory while they are posted.
    let inline_max_bytes = reader.large("media.inline_max_bytes", 0, 1 << 20);
    let max_downloads = reader.number("media.max_downloads", 1, 1000);
    let max_downloads_per_client = reader.number("media.max_downloads_per_client", 1, 1000);
    // WhatsApp takes documents of up to 2 GiB.
    let send_max_bytes = reader.large("media.send_max_bytes", 1, 2 << 30);
    let max_uploads = reader.number("media.max_uploads", 1, 1000);
    let max_uploads_per_client = reader.number("media.max_uploads_per_client", 1, 1000);
    Ok(Media {
        download: download?,
        directory: directory?,
        keep: Duration::from_hours(u64::from(retention_days?) * 24),
        max_bytes: max_bytes?,
        inline_max_bytes: inline_max_bytes?,
        max_downloads: max_downloads? as usize,
        max_downloads_per_client: max_downloads_per_client? as usize,
        send_max_bytes: send_max_bytes?,
        max_uploads: max_uploads? as usize,
        max_uploads_per_client: max_uploads_per_client? as usize,
    })
}

fn retention(reader: &mut Reader) -> Result<Keep, Refused> {
    // A century: far enough from where the arithmetic of times would end.
    let delivered = reader.number("retention.delivered_days", 0, 36_500);
    let failed = reader.number("retention.failed_days", 0, 36_500);
    Ok(Keep::days(delivered?, failed?))
}

fn limits(reader: &mut Reader) -> Result<Limits, Refused> {
    let pending_per_client = reader.number("limits.pending_per_client", 0, 1_000_000_000);
    let webhooks_per_client = reader.number("limits.webhooks_per_client", 0, 10_000_000);
    let connections_per_client = reader.number("limits.connections_per_client", 0, 10_000_000);
    Ok(Limits {
        pending_per_client: pending_per_client?,
        webhooks_per_client: webhooks_per_client?,
        connections_per_client: connections_per_client?,
    })
}

fn sending(reader: &mut Reader) -> Result<Pacing, Refused> {
    let per_second = reader.number("sending.per_second", 0, 1000);
    let burst = reader.number("sending.burst", 1, 10_000);
    let fastest = reader.number("sending.max_per_second", 0, 1000);
    let longest = reader.number("sending.max_burst", 1, 10_000);
    let queue_max = reader.number("sending.queue_max", 1, 100_000);
    let deadline = reader.number("sending.deadline_seconds", 1, 86_400);
    Ok(Pacing {
        per_second: per_second?,
        burst: burst?,
        fastest: Pace {
            per_second: fastest?,
            burst: longest?,
        },
        queue_max: queue_max?,
        deadline: Duration::from_secs(deadline?.into()),
    })
}

fn read_weights(text: &str) -> Option<HashMap<ClientId, u32>> {
    let pairs = text.split(',').map(str::trim).filter(|pair| !pair.is_empty());
    let mut weights = HashMap::new();
    for pair in pairs {
        let (id, weight) = pair.split_once('=')?;
        let (id, weight) = (id.trim().parse().ok()?, weight.trim().parse().ok()?);
        let sane = (1..=100).contains(&weight) && id > 0;
        if !sane || weights.insert(ClientId(id), weight).is_some() {
            return None;
        }
    }
    Some(weights)
}

fn sessions(reader: &mut Reader) -> Result<Sessions, Refused> {
    let bulkheads = reader.number("sessions.bulkheads", 0, 256);
    let start_per_second = reader.number("sessions.start_per_second", 1, 10_000);
    let opening = reader.number("sessions.opening_timeout_seconds", 1, 600);
    // A healthy link can be silent for 44 s; only a test wants to take it for dead before.
    let silence = reader.number("sessions.silence_timeout_seconds", if TESTNET { 1 } else { 45 }, 600);
    let bulkheads = match bulkheads? {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        some => some as usize,
    };
    Ok(Sessions {
        bulkheads,
        start_per_second: start_per_second?,
        patience: Patience {
            opening: Duration::from_secs(opening?.into()),
            silence: Duration::from_secs(silence?.into()),
        },
    })
}

fn log(reader: &mut Reader) -> Result<Log, Refused> {
    let format = reader.text("log.format", "\"text\" or \"json\"", |text| match text {
        "text" => Some(LogFormat::Text),
        "json" => Some(LogFormat::Json),
        _ => None,
    });
    let levels = "a tracing filter, such as \"info\" or \"warn,wharf_actors=debug\"";
    let filter = reader.text("log.filter", levels, |text| {
        let parsed = tracing_subscriber::EnvFilter::builder().parse(text);
        (!text.trim().is_empty() && parsed.is_ok()).then(|| text.to_owned())
    });
    Ok(Log {
        format: format?,
        filter: filter?,
    })
}
