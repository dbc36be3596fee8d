//! The gateway as a process of its own: what `wharf serve` runs, and answers about its tasks. SIGTERM stops it, as that.

use std::{io, path::PathBuf, thread, time::Duration};

use clap::Args;
use serde_json::{Value, json};
use tokio::{
    runtime::RuntimeMetrics,
    signal::unix::{SignalKind, signal},
    sync::{mpsc, oneshot},
};
use wharf::{
    config::{Config, Loaded, Sources},
    serve, telemetry,
};
use wharf_store::{Store, StoreOptions};

use crate::{print_line, process::Failure};

/// How long the ends of idle connections may take to be noticed when everything has stopped.
const LAST_ENDS: Duration = Duration::from_secs(2);
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// What the parent says.
#[derive(Args)]
pub(crate) struct Options {
    /// Where the database is.
    #[arg(long)]
    directory: PathBuf,
    /// The test network.
    #[arg(long)]
    server: String,
    /// Clients there shall be.
    #[arg(long)]
    clients: usize,
    #[arg(long)]
    per_second: Option<u32>,
    /// Run sessions with everything else.
    #[arg(long)]
    no_bulkheads: bool,
    /// More of the configuration: `WHARF_SECTION__KEY=VALUE`.
    #[arg(long)]
    set: Vec<String>,
    /// Keep delivered events and files for so many seconds, and look for old ones all the time.
    #[arg(long)]
    keep_s: Option<u64>,
    /// Write the log.
    #[arg(long)]
    log: bool,
}

impl Options {
    fn url(&self) -> String {
        format!("sqlite://{}", self.directory.join("wharf.db").display())
    }

    fn config(&self) -> Result<Config, Failure> {
        let mut variables = vec![
            ("WHARF_HTTP__LISTEN", "127.0.0.1:0".to_owned()),
            ("WHARF_STORE__URL", self.url()),
            ("WHARF_WHATSAPP__SERVER_URL", self.server.clone()),
            ("WHARF_DELIVERY__ALLOW_HTTP", "true".to_owned()),
            ("WHARF_DELIVERY__ALLOW_PRIVATE_NETWORKS", "true".to_owned()),
            // What the machine can do is measured here, not what WhatsApp likes.
            ("WHARF_SENDING__PER_SECOND", "0".to_owned()),
            ("WHARF_LIMITS__CHANGES_PER_SECOND", "0".to_owned()),
        ];
        if let Some(per_second) = self.per_second {
            variables.push(("WHARF_SESSIONS__START_PER_SECOND", per_second.to_string()));
        }
        let set = self.set.iter().filter_map(|set| set.split_once('='));
        let set = set.map(|(name, value)| (name.into(), value.into()));
        let variables = variables
            .into_iter()
            .map(|(name, value)| (name.into(), value.into()))
            .chain(set)
            .collect();
        let mut config = Loaded::load(&Sources { file: None, variables })?.config;
        if self.no_bulkheads {
            config.gateway.bulkheads = 0;
        }
        if let Some(keep) = self.keep_s.map(Duration::from_secs) {
            config.gateway.keep.delivered = Some(keep);
            config.gateway.keep.failed = None;
            config.gateway.keep.look_every = keep / 6;
            config.gateway.keep.anew_every = keep / 3;
            config.gateway.media.keep = keep;
            config.gateway.media.time_to_fetch = keep;
        }
        Ok(config)
    }
}

/// Runs until it is told to stop, or its standard input ends. Each line that comes in is answered by one line of JSON.
pub(crate) async fn run(options: Options) -> Result<(), Failure> {
    let config = options.config()?;
    if options.log {
        telemetry::init(&config.log)?;
    }
    let mut terminate = signal(SignalKind::terminate())?;
    let ready = serve::prepare(&config).await?;
    let gateway = ready.gateway().clone();
    let tokens = tokens(&options, ready.first_client.as_ref()).await?;
    print_line(&json!({"address": ready.address.to_string(), "tokens": tokens}));
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = tokio::spawn(ready.serve(async {
        let _ = stopped.await;
    }));
    let mut lines = lines();
    loop {
        let line = tokio::select! {
            line = lines.recv() => line,
            _ = terminate.recv() => None,
        };
        match line.as_deref() {
            Some("tasks") => print_line(&tasks(&gateway.runtimes().await)),
            _ => break,
        }
    }
    let runtimes = gateway.runtimes().await;
    drop(gateway);
    let _ = stop.send(());
    serving.await?;
    let at_once = alive(&runtimes);
    let waited = async {
        while alive(&runtimes) > 0 {
            tokio::time::sleep(LOOK_EVERY).await;
        }
    };
    let _some_stay = tokio::time::timeout(LAST_ENDS, waited).await;
    print_line(&json!({"tasks_at_once": at_once, "tasks_left": alive(&runtimes)}));
    Ok(())
}

/// What is said on standard input.
fn lines() -> mpsc::UnboundedReceiver<String> {
    let (tell, lines) = mpsc::unbounded_channel();
    thread::spawn(move || {
        for line in io::stdin().lines().map_while(Result::ok) {
            let _ended = tell.send(line);
        }
    });
    lines
}

/// The tokens of a new database's clients.
async fn tokens(options: &Options, first: Option<&wharf::clients::WithToken>) -> Result<Vec<String>, Failure> {
    let Some(first) = first else { return Ok(Vec::new()) };
    let mut tokens = vec![first.token.clone()];
    // As `wharf client add` does it beside a server that runs.
    let store = Store::open(&StoreOptions {
        url: options.url(),
        readers: 1,
        exclusive: false,
    })
    .await?;
    for n in 1..options.clients {
        tokens.push(wharf::clients::add(&store, &format!("client {n}")).await?.token);
    }
    Ok(tokens)
}

fn alive(runtimes: &[RuntimeMetrics]) -> usize {
    runtimes.iter().map(RuntimeMetrics::num_alive_tasks).sum()
}

fn tasks(runtimes: &[RuntimeMetrics]) -> Value {
    let each: Vec<usize> = runtimes.iter().map(RuntimeMetrics::num_alive_tasks).collect();
    json!({"tasks": alive(runtimes), "of_runtimes": each})
}
