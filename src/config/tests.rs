use std::io::Write;

use wharf_actors::Limits;
use wharf_domain::{TokenHash, retention::Keep};

use super::{sections::TESTNET, *};

fn sources(file: Option<&str>, variables: &[(&str, &str)]) -> (Sources, Option<tempfile::NamedTempFile>) {
    let file = file.map(|text| {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        file
    });
    let variables = variables
        .iter()
        .map(|(name, value)| ((*name).into(), (*value).into()))
        .collect();
    (
        Sources {
            file: file.as_ref().map(|file| file.path().to_owned()),
            variables,
        },
        file,
    )
}

fn load(file: Option<&str>, variables: &[(&str, &str)]) -> Result<Loaded, ConfigError> {
    let (sources, _file) = sources(file, variables);
    Loaded::load(&sources)
}

#[test]
fn the_defaults_of_the_contract() {
    let loaded = load(None, &[]).unwrap();
    let config = &loaded.config;
    assert_eq!(config.http.listen.to_string(), "127.0.0.1:8080");
    assert_eq!(config.store.url, "sqlite://data/wharf.db");
    assert_eq!(config.whatsapp.server_url, None);
    assert!(!config.gateway.targets.allow_http && !config.gateway.targets.allow_private_networks);
    assert_eq!(config.gateway.targets.allowed_networks, []);
    assert!(!config.whatsapp.history_sync);
    assert_eq!(
        (config.log.format, config.log.filter.as_str()),
        (LogFormat::Text, "warn,wharf=info,whatsapp_rust::client::lifecycle=off")
    );
    assert_eq!(config.gateway.keep, Keep::days(7, 30));
    assert_eq!(config.gateway.limits, Limits::default());
    assert_eq!(config.gateway.sending, wharf_domain::outgoing::Pacing::default());
    assert!(loaded.settings.iter().all(|setting| setting.origin == "default"));
}

#[test]
fn a_queue_that_is_longer_than_its_deadline_is_doubted() {
    assert_eq!(load(None, &[]).unwrap().doubts, [""; 0]);
    let doubts = load(Some("[sending]\ndeadline_seconds = 60\n"), &[]).unwrap().doubts;
    assert_eq!(
        doubts,
        [
            "sending.deadline_seconds = 60: the last of sending.queue_max = 100 messages wait for 100 s at \
          sending.per_second = 1 and fail (expired); give at least 100, or a shorter queue"
        ]
    );
}

#[test]
fn links_to_media_that_only_this_machine_reaches_are_doubted() {
    let doubts = |text: &str| load(Some(text), &[]).unwrap().doubts;
    let listening = "[http]\nlisten = \"0.0.0.0:80\"\n";
    assert_eq!(
        doubts(listening),
        [
            "http.public_url is not set: links to media begin with http://127.0.0.1:80, which only this machine reaches; \
             give the address that receivers reach"
        ]
    );
    let with_url = format!("{listening}public_url = \"https://wharf.example\"\n");
    let without_files = format!("{listening}[media]\ndownload = false\n");
    for meant in [
        with_url.as_str(),
        &without_files,
        "[http]\nlisten = \"[::1]:80\"\n",
        "[http]\nlisten = \"192.168.1.5:80\"\n",
    ] {
        assert_eq!(doubts(meant), [""; 0], "{meant}");
    }
    assert!(doubts("[http]\nlisten = \"[::]:80\"\n")[0].contains("http://[::1]:80,"));
}

#[test]
fn a_database_that_is_hardly_meant_so_is_doubted() {
    for (url, doubt) in [
        ("sqlite://data/wharf.db", ""),
        ("sqlite://my data/100% wharf.db?busy_timeout_ms=1", ""),
        ("sqlite://my%20data/wharf.db", "taken as it is written"),
        ("sqlite://data/wharf.db?mode=ro", "`wharf serve` does not start with it"),
    ] {
        let doubts = load(None, &[("WHARF_STORE__URL", url)]).unwrap().doubts;
        let expected = usize::from(!doubt.is_empty());
        assert!(
            doubts.len() == expected && doubts.iter().all(|told| told.contains(doubt)),
            "{url}: {doubts:?}"
        );
    }
}

#[test]
fn config_toml_and_the_types_have_the_same_keys() {
    let text = include_str!("../../config.toml");
    let (mut section, mut in_file) = ("", Vec::new());
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        if let Some(name) = line.strip_prefix('[') {
            section = name.trim_end_matches(']');
        } else if let Some((key, _)) = line.split_once(" = ") {
            in_file.push(format!("{section}.{key}"));
        }
    }
    let settings = load(None, &[]).unwrap().settings;
    let read: Vec<_> = settings.iter().map(|setting| setting.key).collect();
    assert_eq!(read, in_file, "in the same order");
    let lines: Vec<&str> = text.lines().collect();
    for pair in lines
        .windows(2)
        .filter(|pair| pair[1].contains(" = ") && !pair[1].starts_with('#'))
    {
        assert!(pair[0].starts_with("# "), "{} has no comment", pair[1]);
    }
}

#[test]
fn variables_beat_the_file_beats_the_defaults() {
    let file = "[http]\nlisten = \"0.0.0.0:1\"\nmax_connections = 7\n";
    let loaded = load(
        Some(file),
        &[
            ("WHARF_HTTP__LISTEN", "[::1]:2"),
            ("PATH", "/bin"),
            ("WHARF_OTHER", "x"),
        ],
    )
    .unwrap();
    assert_eq!(loaded.config.http.listen.to_string(), "[::1]:2");
    assert_eq!(loaded.config.http.max_connections, 7);
    let origin = |key: &str| {
        loaded
            .settings
            .iter()
            .find(|setting| setting.key == key)
            .unwrap()
            .origin
            .clone()
    };
    assert_eq!(origin("http.listen"), "WHARF_HTTP__LISTEN");
    assert_eq!(origin("store.url"), "default");
    assert!(std::path::Path::new(&origin("http.max_connections")).is_absolute());
}

#[test]
fn variables_are_text_of_whatever_the_key_wants() {
    let loaded = load(
        None,
        &[
            ("WHARF_WHATSAPP__DEVICE_NAME", "007"),
            ("WHARF_DELIVERY__ALLOW_HTTP", "true"),
            ("WHARF_SESSIONS__BULKHEADS", "0"),
            ("WHARF_STORE__READERS", "2"),
            ("WHARF_WHATSAPP__SERVER_URL", ""),
        ],
    );
    let config = loaded.unwrap().config;
    assert_eq!((config.whatsapp.device_name.as_str(), config.store.readers), ("007", 2));
    assert!(config.gateway.targets.allow_http && config.gateway.bulkheads >= 1);
}

#[test]
fn every_error_names_the_key_the_value_and_what_would_be_accepted() {
    let table: &[(&str, &[&str])] = &[
        (
            "[http]\nlisten = \"8080\"",
            &["http.listen", "\"8080\"", "127.0.0.1:8080"],
        ),
        (
            "[delivery]\nallowed_networks = \"10.1.2.3/8\"",
            &["delivery.allowed_networks", "10.1.2.3/8", "no bits set beyond a prefix"],
        ),
        (
            "[retention]\ndelivered_days = -1",
            &["retention.delivered_days", "-1", "a whole number from 0 to 36500"],
        ),
        (
            "[retention]\nfailed_days = 1.5",
            &["retention.failed_days", "1.5", "a whole number"],
        ),
        (
            "[limits]\npending_per_client = \"all\"",
            &["limits.pending_per_client", "\"all\"", "a whole number from 0"],
        ),
        ("[http]\nlisten = 8080", &["http.listen", "8080", "127.0.0.1:8080"]),
        (
            "[http]\nlisten = \"localhost:1\"",
            &["http.listen", "localhost:1", "an IP address and a port"],
        ),
        (
            "[http]\nrequest_timeout_ms = 1",
            &["http.request_timeout_ms = 1 ", "100 to 600000"],
        ),
        (
            "[http]\nmax_connections = -1",
            &["http.max_connections = -1 ", "1 to 1000000"],
        ),
        (
            "[http]\nmax_connections = 1.5",
            &["http.max_connections = 1.5 ", "1 to 1000000"],
        ),
        (
            "[store]\nurl = \"mysql://x\"",
            &["store.url", "\"mysql://x\"", "sqlite://PATH"],
        ),
        (
            "[store]\nurl = \"sqlite://\"",
            &["store.url", "\"sqlite://\"", "sqlite://PATH"],
        ),
        (
            "[store]\nurl = \"sqlite://:memory:\"",
            &["store.url", "\"sqlite://:memory:\"", "of a file"],
        ),
        (
            "[store]\nurl = \"sqlite://wharf.db?immutable=1\"",
            &["store.url", "unknown parameter \"immutable=1\"", "sqlite://PATH"],
        ),
        (
            "[store]\nurl = \"sqlite:///proc/wharf.db\"",
            &["store.url", "nothing is kept in /proc", "sqlite://PATH"],
        ),
        (
            "[store]\nurl = \"sqlite:///tmp\"",
            &["store.url", "/tmp is a directory", "sqlite://PATH"],
        ),
        (
            "[media]\ndirectory = \"/etc/passwd\"",
            &["media.directory", "/etc/passwd is no directory", "which is made"],
        ),
        ("[store]\nreaders = 65", &["store.readers = 65 ", "0 to 64"]),
        (
            "[whatsapp]\nserver_url = \"http://x\"",
            &["whatsapp.server_url", "\"http://x\"", "test network"],
        ),
        (
            "[whatsapp]\ndevice_name = \"a\\nb\"",
            &["whatsapp.device_name", "\"a\\u000Ab\"", "1 to 50 characters"],
        ),
        (
            "[whatsapp]\nkeys = \"data/keys\"",
            &[
                "whatsapp.keys is not a key any more",
                "store.url",
                "link the numbers once more",
            ],
        ),
        (
            "[delivery]\nallow_http = 1",
            &["delivery.allow_http = 1 ", "true or false"],
        ),
        (
            "[delivery]\nallow_http = \"yes\"",
            &["delivery.allow_http = \"yes\"", "true or false"],
        ),
        (
            "[delivery]\nextra_roots = \"/nonexistent.pem\"",
            &["delivery.extra_roots", "/nonexistent.pem", "PEM"],
        ),
        (
            "[delivery]\nmax_in_flight = {}",
            &["delivery.max_in_flight = a table", "a whole number"],
        ),
        (
            "[sessions]\nbulkheads = 257",
            &["sessions.bulkheads = 257 ", "0 to 256"],
        ),
        (
            "[log]\nformat = \"xml\"",
            &["log.format", "\"xml\"", "\"text\" or \"json\""],
        ),
        ("[log]\nfilter = \"a=b=c\"", &["log.filter", "\"a=b=c\"", "info"]),
        ("[log]\nfilter = []", &["log.filter = an array", "info"]),
        ("[http]\nlisen = 1", &["http.lisen", "listen, max_connections"]),
        ("http = 1", &["http is not a key", "listen"]),
        ("[http.listen]\nx = 1", &["http.listen.x", "listen"]),
        ("[web]\nport = 1", &["web.port", "delivery, http"]),
        ("[web]", &["web is not a key", "delivery, http"]),
        ("[http\n", &["line 1"]),
        ("[store]\nsecrets_key = \"s3cr3t\n", &["line 2"]),
    ];
    for (file, expected) in table {
        let (sources, _file) = sources(Some(file), &[]);
        let error = Loaded::load(&sources).expect_err(file).to_string();
        let name = sources.file.as_ref().unwrap().display().to_string();
        assert!(!error.contains("s3cr3t"), "{error:?}");
        for part in expected.iter().chain([&name.as_str()]) {
            assert!(error.contains(part), "{file:?}: {part:?} is missing in {error:?}");
        }
    }
}

#[test]
fn roots_that_cannot_be_read_are_refused_before_a_start() {
    let directory = tempfile::TempDir::new().unwrap();
    let path = directory.path().join("roots.pem");
    let pem = "-----BEGIN CERTIFICATE-----\nbm90IGEgY2VydA==\n-----END CERTIFICATE-----\n";
    std::fs::write(&path, pem).unwrap();
    let file = format!("[delivery]\nextra_roots = {path:?}");
    let error = load(Some(&file), &[]).unwrap_err().to_string();
    assert!(
        error.contains("delivery.extra_roots") && error.contains("PEM"),
        "{error}"
    );
}

#[test]
fn wrong_variables_are_named() {
    for (name, value, expected) in [
        ("WHARF_HTTP__LISTEN", "", "http.listen = \"\""),
        ("WHARF_HTTP__PORT", "1", "http.port is not a key"),
        ("WHARF_NOTHING__X", "1", "nothing.x is not a key"),
        ("WHARF_HTTP__LISTEN__X", "1", "http.listen.x is not a key"),
        ("WHARF_HTTP__", "1", "is not a key"),
        ("WHARF_HTTP_LISTEN", "127.0.0.1:1", "WHARF_HTTP__LISTEN"),
        ("WHARF_STORE__READERS", "many", "store.readers = \"many\""),
    ] {
        let error = load(None, &[(name, value)]).expect_err(name).to_string();
        assert!(error.contains(name) && error.contains(expected), "{name}: {error}");
    }
}

#[test]
fn all_errors_come_at_once() {
    let error = load(
        Some("[http]\nlisten = 1\n[log]\nformat = 2\n"),
        &[("WHARF_STORE__URL", "x")],
    )
    .unwrap_err();
    assert_eq!(error.0.len(), 3, "{error}");
}

#[test]
fn a_missing_file_is_an_error_and_an_empty_one_is_not() {
    let sources = Sources {
        file: Some("/nonexistent/wharf.toml".into()),
        variables: Vec::new(),
    };
    assert!(
        Loaded::load(&sources)
            .unwrap_err()
            .to_string()
            .contains("/nonexistent/wharf.toml")
    );
    assert_eq!(load(Some(""), &[]).unwrap().config, load(None, &[]).unwrap().config);
    assert_eq!(
        load(Some("[http]\n"), &[]).unwrap().config,
        load(None, &[]).unwrap().config
    );
}

#[test]
fn another_server_than_whatsapp_needs_the_feature() {
    let loaded = load(None, &[("WHARF_WHATSAPP__SERVER_URL", "ws://127.0.0.1:9000/ws/chat")]);
    if TESTNET {
        assert!(loaded.unwrap().config.whatsapp.server_url.is_some());
    } else {
        assert!(loaded.unwrap_err().to_string().contains("--features testnet"));
    }
}

#[test]
fn what_is_shown_can_be_read_back() {
    let shown = load(None, &[("WHARF_WHATSAPP__DEVICE_NAME", "a \"quoted\" \\ name")]).unwrap();
    let again = load(Some(&shown.to_string()), &[]).unwrap();
    assert_eq!(shown.config, again.config);
}

#[test]
fn the_token_for_the_metrics_is_long_enough_and_shown_to_nobody() {
    let token = "metrics-for-prometheus";
    let loaded = load(None, &[("WHARF_HTTP__METRICS_TOKEN", token)]).unwrap();
    assert_eq!(loaded.config.http.metrics_token, Some(TokenHash::of(token)));
    let shown = loaded.to_string();
    assert!(
        !shown.contains(token) && shown.contains("metrics_token = \"(hidden)\""),
        "{shown}"
    );
    assert_eq!(load(None, &[]).unwrap().config.http.metrics_token, None);
    for refused in ["short", "with a space in the middle", "nicht-in-Ascii-äöü"] {
        let error = load(None, &[("WHARF_HTTP__METRICS_TOKEN", refused)])
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("http.metrics_token") && error.contains("16 to 512"),
            "{error}"
        );
        assert!(!error.contains(refused), "{error}");
    }
}

#[test]
fn the_key_of_the_secrets_is_shown_to_nobody() {
    let key = "QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUE=";
    let loaded = load(None, &[("WHARF_STORE__SECRETS_KEY", key)]).unwrap();
    assert_eq!(loaded.config.gateway.secrets_key, key.parse().ok());
    let shown = format!("{loaded} {loaded:?}");
    assert!(
        !shown.contains("QUFB") && shown.contains("secrets_key = \"(hidden)\""),
        "{shown}"
    );
    let error = load(None, &[("WHARF_STORE__SECRETS_KEY", "QUFB")])
        .unwrap_err()
        .to_string();
    assert!(
        !error.contains("QUFB") && error.contains("32 bytes in base64"),
        "{error}"
    );
}
