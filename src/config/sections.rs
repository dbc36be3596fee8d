//! What each key may be, in the order of config.toml.

use std::{
    collections::HashMap,
    net::Ipv4Addr,
    path::{Path, PathBuf},
    time::Duration,
};

use wharf_actors::{Limits, MediaSettings, SecretsKey, Settings};
use wharf_domain::{
    ClientId, TokenHash,
    address::{TargetPolicy, read_networks},
    connection::{DEVICE_NAME_WANTED, is_device_name},
    outgoing::{Pace, Pacing},
    retention::Keep,
    session::Patience,
};

use super::{
    paths,
    reader::Reader,
    types::{Config, Http, Log, LogFormat, Store, Whatsapp},
};

/// Whether this build may talk to another server than WhatsApp.
pub(super) const TESTNET: bool = cfg!(feature = "testnet");

/// The whole of it.
pub(super) fn read(reader: &mut Reader) -> Config {
    let http = http(reader);
    let (store, secrets_key) = store(reader);
    Config {
        http,
        store,
        whatsapp: whatsapp(reader),
        gateway: gateway(reader, secrets_key),
        log: log(reader),
    }
}

/// What may be so, and is hardly meant so.
pub(super) fn doubts(config: &Config) -> Vec<String> {
    let sending = config.gateway.sending;
    let too_long = sending.too_long().map(|wait| {
        format!(
            "sending.deadline_seconds = {}: the last of sending.queue_max = {} messages wait for {} s at sending.per_second = {} \
             and fail (expired); give at least {2}, or a shorter queue",
            sending.deadline.as_secs(),
            sending.queue_max,
            wait.as_secs(),
            sending.per_second,
        )
    });
    let listen = config.http.listen;
    // One that is named is reached by whoever is near enough.
    let only_here = config.gateway.media.download && config.http.public_url.is_none() && listen.ip().is_unspecified();
    let unreached = only_here.then(|| {
        format!(
            "http.public_url is not set: links to media begin with http://{}:{}, which only this machine reaches; give the \
             address that receivers reach",
            if listen.is_ipv4() { "127.0.0.1" } else { "[::1]" },
            listen.port(),
        )
    });
    [too_long, unreached, misread(&config.store.url)]
        .into_iter()
        .flatten()
        .collect()
}

/// What is otherwise in the URLs of others.
fn misread(url: &str) -> Option<String> {
    let is_encoded = |part: &[u8]| part[0] == b'%' && part[1..].iter().all(u8::is_ascii_hexdigit);
    if wharf_store::is_read_only(url) {
        Some(format!(
            "store.url = {url:?} has mode=ro, which is for commands that only read: `wharf serve` does not start with it"
        ))
    } else if url.as_bytes().windows(3).any(is_encoded) {
        Some(format!(
            "store.url = {url:?}: the path is taken as it is written, with its %; a space is written as a space"
        ))
    } else {
        None
    }
}

/// Reads a text that may be empty, which stands for nothing.
fn unless_empty<T>(read: impl FnOnce(&str) -> Option<T>) -> impl FnOnce(&str) -> Option<Option<T>> {
    |text| match text {
        "" => Some(None),
        _ => read(text).map(Some),
    }
}

fn http(reader: &mut Reader) -> Http {
    let address = "an IP address and a port, such as \"127.0.0.1:8080\" or \"[::]:8080\"";
    let public_url = "\"\", or an http or https URL without credentials and query, such as \"https://wharf.example\"";
    let token = "16 to 512 printable characters of ASCII without spaces, or \"\" for no metrics";
    let listen = reader.text("http.listen", address, |text| text.parse().ok().map(Some));
    Http {
        listen: listen.unwrap_or((Ipv4Addr::LOCALHOST, 0).into()),
        public_url: reader.text("http.public_url", public_url, unless_empty(|text| text.parse().ok())),
        request_timeout: Duration::from_millis(reader.number("http.request_timeout_ms", 100, 600_000)),
        header_timeout: Duration::from_millis(reader.number("http.header_timeout_ms", 100, 600_000)),
        idle_timeout: Duration::from_millis(reader.number("http.idle_timeout_ms", 100, 3_600_000)),
        max_header_bytes: reader.number("http.max_header_bytes", 1024, 1_048_576),
        max_connections: reader.number("http.max_connections", 1, 1_000_000),
        metrics_token: reader.secret("http.metrics_token", token, unless_empty(metrics_token)),
        max_requests_per_client: reader.number("http.max_requests_per_client", 0, 1_000_000),
    }
}

/// One that nobody guesses, and that a header can carry.
fn metrics_token(text: &str) -> Option<TokenHash> {
    let sane = (16..=512).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
    sane.then(|| TokenHash::of(text))
}

fn store(reader: &mut Reader) -> (Store, Option<SecretsKey>) {
    let file = "\"sqlite://PATH\" of a file, such as \"sqlite://data/wharf.db\"";
    let key = "32 bytes in base64, such as `openssl rand -base64 32` prints, or \"\" for the file beside the database";
    let store = Store {
        url: reader.judged("store.url", file, |text| {
            if !text.starts_with("sqlite://") {
                return Err("it does not begin with sqlite://".to_owned());
            }
            // The store knows what a URL may be, and would say so only when it is opened.
            let file = wharf_store::read_url(text).map_err(|why| format!("it {why}"))?;
            paths::check_file(&file).map(|()| text.to_owned())
        }),
        readers: reader.number("store.readers", 0, 64),
    };
    let secrets_key = reader.secret("store.secrets_key", key, unless_empty(|text| text.parse().ok()));
    (store, secrets_key)
}

fn whatsapp(reader: &mut Reader) -> Whatsapp {
    let server = match TESTNET {
        true => "\"\" for WhatsApp itself, or the ws:// or wss:// address of a test network",
        false => {
            "\"\" only: this build talks to WhatsApp itself and verifies it; a test network needs a build with \
             `--features testnet`"
        }
    };
    let is_server = |text: &str| {
        let url = url::Url::parse(text);
        TESTNET && url.is_ok_and(|url| matches!(url.scheme(), "ws" | "wss") && url.has_host())
    };
    let read_server = unless_empty(|text| is_server(text).then(|| text.to_owned()));
    Whatsapp {
        server_url: reader.text("whatsapp.server_url", server, read_server),
        device_name: reader.text("whatsapp.device_name", DEVICE_NAME_WANTED, |text| {
            is_device_name(text).then(|| text.to_owned())
        }),
        history_sync: reader.flag("whatsapp.history_sync"),
        undecryptable_wait: Duration::from_secs(reader.number("whatsapp.undecryptable_wait_seconds", 1, 86_400)),
    }
}

/// The sections from `[delivery]` to `[sessions]`.
fn gateway(reader: &mut Reader, secrets_key: Option<SecretsKey>) -> Settings {
    let roots = "\"\", or a readable file of certificates (PEM)";
    let weights = "\"\", or ID=WEIGHT pairs with commas, weights from 1 to 100, such as \"2=3,7=2\"";
    Settings {
        secrets_key,
        targets: targets(reader),
        extra_roots_pem: reader.text("delivery.extra_roots", roots, read_roots),
        max_in_flight: reader.number("delivery.max_in_flight", 1, 100_000),
        max_in_flight_per_client: reader.number("delivery.max_in_flight_per_client", 1, 100_000),
        max_in_flight_per_webhook: reader.number("delivery.max_in_flight_per_webhook", 1, 100_000),
        bulk_retry_per_second: reader.number("delivery.bulk_retry_per_second", 1, 100_000),
        manual_per_second: reader.number("delivery.manual_per_second", 0, 100_000),
        client_weights: reader.text("delivery.client_weights", weights, read_weights),
        media: media(reader),
        // A century: far enough from where the arithmetic of times would end.
        keep: Keep::days(
            reader.number("retention.delivered_days", 0, 36_500),
            reader.number("retention.failed_days", 0, 36_500),
        ),
        limits: Limits {
            pending_per_client: reader.number("limits.pending_per_client", 0, 1_000_000_000),
            webhooks_per_client: reader.number("limits.webhooks_per_client", 0, 10_000_000),
            connections_per_client: reader.number("limits.connections_per_client", 0, 10_000_000),
            changes_per_second: reader.number("limits.changes_per_second", 0, 100_000),
        },
        sending: sending(reader),
        bulkheads: match reader.number("sessions.bulkheads", 0, 256) {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            some => some,
        },
        session_starts_per_second: reader.number("sessions.start_per_second", 1, 10_000),
        patience: Patience {
            opening: Duration::from_secs(reader.number("sessions.opening_timeout_seconds", 1, 600)),
            // A healthy link can be silent for 44 s; only a test wants to take it for dead before.
            silence: Duration::from_secs(reader.number(
                "sessions.silence_timeout_seconds",
                if TESTNET { 1 } else { 45 },
                600,
            )),
        },
    }
}

fn targets(reader: &mut Reader) -> TargetPolicy {
    let networks =
        "\"\", or addresses and networks with commas, no bits set beyond a prefix, such as \"10.1.2.0/24, fd00::7\"";
    TargetPolicy {
        allow_http: reader.flag("delivery.allow_http"),
        allowed_networks: reader.text("delivery.allowed_networks", networks, read_networks),
        allow_private_networks: reader.flag("delivery.allow_private_networks"),
    }
}

/// What a file of certificates holds; empty without one.
fn read_roots(path: &str) -> Option<String> {
    match path {
        "" => Some(String::new()),
        _ => std::fs::read_to_string(path)
            .ok()
            .filter(|text| text.contains("-----BEGIN CERTIFICATE-----") && wharf_actors::check_roots(text).is_ok()),
    }
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

fn media(reader: &mut Reader) -> MediaSettings {
    MediaSettings {
        download: reader.flag("media.download"),
        directory: reader.judged(
            "media.directory",
            "a directory, which is made if it is not there, or \"\"",
            |text| match text {
                "" => Ok(None),
                _ => paths::check_directory(Path::new(text)).map(|()| Some(PathBuf::from(text))),
            },
        ),
        // A link that never expired would be one that nobody can take back.
        keep: Duration::from_hours(24 * reader.number("media.retention_days", 1, 3650)),
        max_bytes: reader.number("media.max_bytes", 0, 1 << 60),
        // Payloads are held in memory while they are posted.
        inline_max_bytes: reader.number("media.inline_max_bytes", 0, 1 << 20),
        max_downloads: reader.number("media.max_downloads", 1, 1000),
        max_downloads_per_client: reader.number("media.max_downloads_per_client", 1, 1000),
        // WhatsApp takes documents of up to 2 GiB.
        send_max_bytes: reader.number("media.send_max_bytes", 1, 2 << 30),
        max_uploads: reader.number("media.max_uploads", 1, 1000),
        max_uploads_per_client: reader.number("media.max_uploads_per_client", 1, 1000),
        ..MediaSettings::default()
    }
}

fn sending(reader: &mut Reader) -> Pacing {
    Pacing {
        per_second: reader.number("sending.per_second", 0, 1000),
        burst: reader.number("sending.burst", 1, 10_000),
        fastest: Pace {
            per_second: reader.number("sending.max_per_second", 0, 1000),
            burst: reader.number("sending.max_burst", 1, 10_000),
        },
        queue_max: reader.number("sending.queue_max", 1, 100_000),
        deadline: Duration::from_secs(reader.number("sending.deadline_seconds", 1, 86_400)),
    }
}

fn log(reader: &mut Reader) -> Log {
    let levels = "a tracing filter, such as \"info\" or \"warn,wharf=debug\"";
    Log {
        format: reader.text("log.format", "\"text\" or \"json\"", |text| match text {
            "text" => Some(LogFormat::Text),
            "json" => Some(LogFormat::Json),
            _ => None,
        }),
        filter: reader.text("log.filter", levels, |text| {
            let parsed = tracing_subscriber::EnvFilter::builder().parse(text);
            (!text.trim().is_empty() && parsed.is_ok()).then(|| text.to_owned())
        }),
    }
}
