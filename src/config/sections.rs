//! What each key may be. All sections are read before the first refusal is returned, so that all of them are reported.

use std::{collections::HashMap, path::PathBuf, time::Duration};

use wharf_actors::{Limits, MediaSettings};
use wharf_domain::{
    ClientId, TokenHash,
    address::read_networks,
    connection::{DEVICE_NAME_WANTED, is_device_name},
    outgoing::{Pace, Pacing},
    retention::Keep,
    session::Patience,
};

use super::{
    reader::{Reader, Refused},
    types::{Config, Delivery, Http, Log, LogFormat, Sessions, Store, Whatsapp},
};

/// Whether this build may talk to another server than WhatsApp.
pub(super) const TESTNET: bool = cfg!(feature = "testnet");

/// The whole of it.
pub(super) fn read(reader: &mut Reader) -> Result<Config, Refused> {
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

/// What may be so, and is hardly meant so.
pub(super) fn doubts(config: &Config) -> Vec<String> {
    let sending = config.sending;
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
    let only_here = config.media.download && config.http.public_url.is_none() && listen.ip().is_unspecified();
    let unreached = only_here.then(|| {
        format!(
            "http.public_url is not set: links to media begin with http://{}:{}, which only this machine reaches; give the \
             address that receivers reach",
            if listen.is_ipv4() { "127.0.0.1" } else { "[::1]" },
            listen.port(),
        )
    });
    too_long.into_iter().chain(unreached).collect()
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
    let metrics_token = reader.secret(
        "http.metrics_token",
        "16 to 512 printable characters of ASCII without spaces, or \"\" for no metrics",
        |text| match text {
            "" => Some(None),
            _ => metrics_token(text).map(Some),
        },
    );
    let max_requests_per_client = reader.number("http.max_requests_per_client", 0, 1_000_000);
    let ms = |number: u32| Duration::from_millis(u64::from(number));
    Ok(Http {
        listen: listen?,
        public_url: public_url?,
        request_timeout: ms(request_timeout?),
        header_timeout: ms(header_timeout?),
        idle_timeout: ms(idle_timeout?),
        max_header_bytes: max_header_bytes? as usize,
        max_connections: max_connections? as usize,
        metrics_token: metrics_token?,
        max_requests_per_client: max_requests_per_client? as usize,
    })
}

/// One that nobody guesses, and that a header can carry.
fn metrics_token(text: &str) -> Option<TokenHash> {
    let sane = (16..=512).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
    sane.then(|| TokenHash::of(text))
}

fn store(reader: &mut Reader) -> Result<Store, Refused> {
    let url = reader.text(
        "store.url",
        "\"sqlite://PATH\" of a file, such as \"sqlite://data/wharf.db\"",
        |text| {
            // The store knows what a URL may be, and would say so only when it is opened.
            let good = text.starts_with("sqlite://") && wharf_store::database_file(text).is_ok();
            good.then(|| text.to_owned())
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
    let device_name = reader.text("whatsapp.device_name", DEVICE_NAME_WANTED, |text| {
        is_device_name(text).then(|| text.to_owned())
    });
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
    let allowed_networks = reader.text(
        "delivery.allowed_networks",
        "\"\", or addresses and networks with commas, no bits set beyond a prefix, such as \"10.1.2.0/24, fd00::7\"",
        read_networks,
    );
    let roots = "\"\", or a readable file of certificates (PEM)";
    let extra_roots_pem = reader.text("delivery.extra_roots", roots, |path| match path {
        "" => Some(String::new()),
        _ => std::fs::read_to_string(path)
            .ok()
            .filter(|text| text.contains("-----BEGIN CERTIFICATE-----") && wharf_actors::check_roots(text).is_ok()),
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
    let manual_per_second = reader.number("delivery.manual_per_second", 0, 100_000);
    Ok(Delivery {
        allow_http: allow_http?,
        allow_private_networks: allow_private_networks?,
        allowed_networks: allowed_networks?,
        extra_roots_pem: extra_roots_pem?,
        max_in_flight: max_in_flight? as usize,
        max_in_flight_per_client: max_in_flight_per_client? as usize,
        max_in_flight_per_webhook: max_in_flight_per_webhook? as usize,
        client_weights: client_weights?,
        bulk_retry_per_second: bulk_retry_per_second?,
        manual_per_second: manual_per_second?,
    })
}

fn media(reader: &mut Reader) -> Result<MediaSettings, Refused> {
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
    Ok(MediaSettings {
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
        public_url: None,
        test_network: None,
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
    let levels = "a tracing filter, such as \"info\" or \"warn,wharf=debug\"";
    let filter = reader.text("log.filter", levels, |text| {
        let parsed = tracing_subscriber::EnvFilter::builder().parse(text);
        (!text.trim().is_empty() && parsed.is_ok()).then(|| text.to_owned())
    });
    Ok(Log {
        format: format?,
        filter: filter?,
    })
}
