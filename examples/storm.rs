//! The network drops every session at once and comes back: `cargo run --release --example storm -- --count 1000`.
//!
//! Real links against the test network, in one process with it; everything else is what `wharf serve` runs. Prints one line
//! of JSON: how long until all were connected again, how the attempts were spread, and what the gateway's process cost.

use std::{
    error::Error,
    time::{Duration, Instant},
};

use clap::Parser;
use serde_json::{Value, json};
use wharf::{
    config::{Config, Loaded, Sources},
    serve,
};
use wharf_testnet::{Fault, FaultKind, Network, NetworkConfig};

type Failure = Box<dyn Error + Send + Sync>;

/// How often is looked.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// Numbers that are paired at the same time.
const PAIRED_AT_ONCE: usize = 16;
/// Longer than this nothing is waited for.
const PATIENCE: Duration = Duration::from_secs(600);

/// A storm of reconnects.
#[derive(Parser)]
struct Options {
    /// Numbers.
    #[arg(long, default_value_t = 1000)]
    count: usize,
    /// Seconds for which the network refuses everybody after it dropped them.
    #[arg(long, default_value_t = 10)]
    away_s: u64,
    /// Links that are opened per second at the most; the configuration's default if left out.
    #[arg(long)]
    per_second: Option<u32>,
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let options = Options::parse();
    let report = run(&options).await?;
    #[expect(clippy::print_stdout, reason = "this is the result")]
    {
        println!("{report}");
    }
    Ok(())
}

fn config(directory: &std::path::Path, network: &Network, options: &Options) -> Result<Config, Failure> {
    let mut variables = vec![
        ("WHARF_HTTP__LISTEN", "127.0.0.1:0".to_owned()),
        (
            "WHARF_STORE__URL",
            format!("sqlite://{}", directory.join("wharf.db").display()),
        ),
        ("WHARF_WHATSAPP__SERVER_URL", network.ws_url()),
        // Numbers are made as fast as the machine can.
        ("WHARF_LIMITS__CHANGES_PER_SECOND", "0".to_owned()),
    ];
    if let Some(per_second) = options.per_second {
        variables.push(("WHARF_SESSIONS__START_PER_SECOND", per_second.to_string()));
    }
    let variables = variables
        .into_iter()
        .map(|(name, value)| (name.into(), value.into()))
        .collect();
    Ok(Loaded::load(&Sources { file: None, variables })?.config)
}

/// The gateway through its REST API.
#[derive(Clone)]
struct Api {
    http: reqwest::Client,
    base: String,
    token: String,
}

impl Api {
    async fn ask(&self, request: reqwest::RequestBuilder) -> Result<Value, Failure> {
        Ok(request.bearer_auth(&self.token).send().await?.json().await?)
    }

    async fn get(&self, path: &str) -> Result<Value, Failure> {
        self.ask(self.http.get(format!("{}{path}", self.base))).await
    }

    async fn link(&self, network: &Network, number: &str) -> Result<(), Failure> {
        network.create_account(number).await?;
        let request = self.http.post(&self.base).json(&json!({"phone_number": number}));
        self.ask(request).await?;
        let begun = Instant::now();
        loop {
            let shown = self.get(&format!("/{number}/qr")).await?;
            if let Some(qr) = shown["qr"].as_str()
                && network.scan(number, qr).await.is_ok()
            {
                return Ok(());
            }
            if begun.elapsed() > PATIENCE {
                return Err(format!("{number} was not linked: {shown}").into());
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// How many are connected, and how many attempts have failed since.
    async fn look(&self) -> Result<(usize, u64), Failure> {
        let (mut connected, mut attempts, mut page) = (0, 0, String::new());
        loop {
            let all = self.get(&page).await?;
            let some = all["data"].as_array().ok_or("no list of connections")?;
            connected += some.iter().filter(|shown| shown["status"] == "connected").count();
            attempts += some
                .iter()
                .filter_map(|shown| shown["reconnect_attempts"].as_u64())
                .sum::<u64>();
            match all["next_cursor"].as_str() {
                Some(cursor) => page = format!("?cursor={cursor}"),
                None => return Ok((connected, attempts)),
            }
        }
    }

    async fn all_connected(&self, count: usize) -> Result<Duration, Failure> {
        let begun = Instant::now();
        while self.look().await?.0 < count {
            if begun.elapsed() > PATIENCE {
                return Err("not all were connected in time".into());
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Ok(begun.elapsed())
    }
}

async fn run(options: &Options) -> Result<Value, Failure> {
    let _installed_before = rustls::crypto::ring::default_provider().install_default();
    let directory = tempfile::tempdir()?;
    let network = Network::start(NetworkConfig::default()).await?;
    let ready = serve::prepare(&config(directory.path(), &network, options)?).await?;
    let token = ready.first_client.as_ref().map(|client| client.token.clone());
    #[expect(clippy::disallowed_methods, reason = "a client of the API, not the poster")]
    let http = reqwest::Client::builder().no_proxy().build()?;
    let api = Api {
        http,
        base: format!("http://{}/api/whatsapp/connections", ready.address),
        token: token.ok_or("the database is not new")?,
    };
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let serving = tokio::spawn(ready.serve(async {
        let _ = stopped.await;
    }));

    let pairing = Instant::now();
    let numbers: Vec<String> = (0..options.count).map(|n| format!("55118{n:08}")).collect();
    for some in numbers.chunks(PAIRED_AT_ONCE) {
        futures::future::try_join_all(some.iter().map(|number| api.link(&network, number))).await?;
    }
    api.all_connected(options.count).await?;
    let paired_in = pairing.elapsed();

    let report = storm(options, &network, &api).await?;
    let _ = stop.send(());
    serving.await?;
    network.stop().await;
    let mut report = report;
    report["count"] = json!(options.count);
    report["paired_s"] = json!(paired_in.as_secs_f64());
    Ok(report)
}

async fn storm(options: &Options, network: &Network, api: &Api) -> Result<Value, Failure> {
    let fault = |kind, for_ms| Fault {
        kind,
        phone: None,
        code: None,
        for_ms,
    };
    network
        .fault(fault(FaultKind::Refuse, Some(options.away_s * 1000)))
        .await?;
    network.fault(fault(FaultKind::Drop, None)).await?;
    let away = Instant::now();
    while away.elapsed() < Duration::from_secs(options.away_s) {
        tokio::time::sleep(LOOK_EVERY).await;
    }
    let (connected, failed_attempts) = api.look().await?;
    let back = Instant::now();
    let mut per_second = Vec::new();
    let mut before = network.stats().await.handshakes;
    let first = before;
    let mut looked = Instant::now();
    let all_after = loop {
        tokio::time::sleep(LOOK_EVERY).await;
        if looked.elapsed() >= Duration::from_secs(1) {
            let now = network.stats().await.handshakes;
            per_second.push(now - before);
            (before, looked) = (now, Instant::now());
        }
        if api.look().await?.0 == options.count {
            break back.elapsed();
        }
        if back.elapsed() > PATIENCE {
            return Err("not all were connected again in time".into());
        }
    };
    Ok(json!({
        "away_s": options.away_s,
        "connected_while_away": connected,
        "failed_attempts_while_away": failed_attempts,
        "all_connected_again_s": all_after.as_secs_f64(),
        "handshakes_per_session": (network.stats().await.handshakes - first) as f64 / options.count as f64,
        "handshakes_each_second": per_second,
    }))
}
