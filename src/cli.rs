//! The command line. Exit codes: 0 done, 1 it did not work, 2 the command line or the configuration is wrong; 130 a second signal
//! came while the gateway was stopping (`serve`).

use std::{
    fmt::Display,
    io::{Write, stderr, stdout},
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::{Args, Parser, Subcommand};
use thiserror::Error;
use wharf_actors::file_size;
use wharf_domain::ClientId;
use wharf_store::StoreError;

#[cfg(feature = "testnet")]
use {
    crate::demo::{self, DemoError, Interrupts, Screen, Terminal},
    std::time::Duration,
};

use crate::{
    clients::{self, ClientsError},
    config::{ConfigError, Loaded, Sources},
    restored,
    serve::{self, ServeError},
    telemetry::{self, TelemetryError},
};

/// What `wharf --help` ends with.
const VARIABLES: &str = "Every key of config.toml is a variable, too, which counts before the file: \
                         WHARF_HTTP__LISTEN=0.0.0.0:8080 is `listen` of `[http]`. `wharf config show` prints all of them.";

/// A WhatsApp-to-webhook gateway.
#[derive(Debug, Parser)]
#[command(name = "wharf", version, max_term_width = 100, after_help = VARIABLES)]
pub struct Cli {
    /// Reads this file over the built-in defaults (without it: config.toml in the working directory, if there is one).
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs the gateway (the same as no command at all).
    Serve,
    /// Manages clients and their tokens; works while the gateway runs.
    #[command(subcommand)]
    Client(ClientCommand),
    /// Copies the database, whole and as of one moment; works while the gateway runs.
    Backup {
        /// The copy to write: its directory must exist, the file must not.
        file: PathBuf,
    },
    /// Makes a database that was put back from a copy harmless: run it before the first start on it.
    ///
    /// It is as old as its copy: with the start its numbers would log in with keys that were used further since, and what was
    /// delivered, sent or deleted since would be delivered or sent again. Refuses while the gateway runs.
    Restored {
        /// Leaves webhooks switched on: they deliver what the copy has waiting, also those that were changed or deleted since.
        #[arg(long)]
        keep_webhooks: bool,
        /// Changes nothing, and has the copy served as it is: no server has run on the database since it was copied.
        #[arg(long, conflicts_with = "keep_webhooks")]
        unused: bool,
        #[command(flatten)]
        output: Output,
    },
    /// Checks or shows the configuration.
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Shows a gateway at work, without a phone: test network, gateway and receiver in one process.
    #[cfg(feature = "testnet")]
    Demo(DemoArgs),
}

#[cfg(feature = "testnet")]
#[derive(Debug, Args)]
struct DemoArgs {
    /// Contacts write for so long; without it, until Ctrl-C.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    seconds: Option<u32>,
    /// Messages per second, at most.
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=50))]
    rate: u32,
}

#[derive(Debug, Subcommand)]
enum ClientCommand {
    /// Adds a client and prints its token, this once.
    Add {
        /// What a person calls it.
        #[arg(value_parser = clients::parse_name)]
        name: String,
        #[command(flatten)]
        output: Output,
    },
    /// Lists the clients.
    List {
        #[command(flatten)]
        output: Output,
    },
    /// Gives a client a new token and prints it, this once; the old one stops working.
    Rotate {
        /// The client's id.
        id: i64,
        #[command(flatten)]
        output: Output,
    },
    /// Removes a client with its webhooks, events and WhatsApp connections.
    Remove {
        /// The client's id.
        id: i64,
        #[command(flatten)]
        output: Output,
    },
}

#[derive(Debug, Args)]
struct Output {
    /// Prints one JSON object or array and nothing else.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, Subcommand)]
enum ConfigCommand {
    /// Says ok, or everything that is wrong; warnings go to standard error.
    Check,
    /// Prints the configuration in effect as TOML, with where each value comes from.
    Show,
}

/// Why the program ended without having done what it was asked.
#[derive(Debug, Error)]
pub enum CliError {
    /// The configuration is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The log could not be set up.
    #[error(transparent)]
    Telemetry(#[from] TelemetryError),
    /// A command beside the server failed.
    #[error(transparent)]
    Clients(#[from] ClientsError),
    /// The gateway could not start.
    #[error(transparent)]
    Serve(#[from] ServeError),
    /// The demo could not be shown to its end.
    #[cfg(feature = "testnet")]
    #[error("demo: {0}")]
    Demo(#[from] DemoError),
    /// The async runtime could not start.
    #[error("the async runtime could not start: {0}")]
    Runtime(std::io::Error),
    /// A limit of file sizes would end the process.
    #[error("signals cannot be received: {0}")]
    Signals(std::io::Error),
    /// Standard output is closed or full.
    #[error("standard output cannot be written: {0}")]
    Output(std::io::Error),
}

impl CliError {
    fn exit_code(&self) -> ExitCode {
        // The store knows more about its URL than the configuration does; it is the configuration all the same.
        let wrong_url = |error: &StoreError| matches!(error, StoreError::Url(_));
        match self {
            Self::Config(_) => ExitCode::from(2),
            Self::Serve(ServeError::Store(error)) | Self::Clients(ClientsError::Store(error)) if wrong_url(error) => {
                ExitCode::from(2)
            }
            _ => ExitCode::FAILURE,
        }
    }
}

/// The whole program. Each error is told in one place, here, on standard error.
pub fn main() -> ExitCode {
    match run(Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            if telemetry::speaks_json() {
                tracing::error!("{error}");
            } else {
                error.to_string().lines().for_each(complain);
            }
            error.exit_code()
        }
    }
}

/// Tells the person at the terminal, if there is one: `eprintln!` panics where standard error takes nothing.
fn complain(what: impl Display) {
    let _nobody_reads = writeln!(stderr(), "wharf: {what}");
}

fn run(cli: Cli) -> Result<(), CliError> {
    let loaded = Loaded::load(&Sources::of_process(cli.config))?;
    match cli.command.unwrap_or(Command::Serve) {
        Command::Serve => {
            telemetry::init(&loaded.config.log)?;
            let Loaded { config, doubts, .. } = loaded;
            Ok(block_on(async {
                for doubt in &doubts {
                    tracing::warn!("{doubt}");
                }
                serve::run(config).await
            })??)
        }
        Command::Client(command) => print(&block_on(client(&loaded, command))??),
        Command::Backup { file } => print(&block_on(backup(&loaded, &file))??),
        Command::Restored {
            unused: true, output, ..
        } => {
            let was_copy = block_on(restored::take_for_unused(&loaded.config.store))??;
            print(match (output.json, was_copy) {
                (true, true) => r#"{"was_copy":true}"#,
                (true, false) => r#"{"was_copy":false}"#,
                (false, true) => "the copy is the database now, and nothing in it was changed",
                (false, false) => "this is no copy that wharf backup made; nothing was changed",
            })
        }
        Command::Restored {
            keep_webhooks, output, ..
        } => {
            let report = block_on(restored::run(&loaded.config.store, keep_webhooks))??;
            print(&report.show(output.json)?)
        }
        Command::Config(ConfigCommand::Check) => {
            for doubt in &loaded.doubts {
                complain(doubt);
            }
            print("ok")
        }
        Command::Config(ConfigCommand::Show) => print(loaded.to_string().trim_end()),
        #[cfg(feature = "testnet")]
        Command::Demo(args) => block_on(demo(loaded, &args))?,
    }
}

/// Shows the demo. What nobody has configured is chosen for the one who watches: warnings only, and a free port.
#[cfg(feature = "testnet")]
async fn demo(loaded: Loaded, args: &DemoArgs) -> Result<(), CliError> {
    let defaults = Loaded::load(&Sources::default())?;
    // A config.toml that repeats a default, as the one of the repository does, is nobody's wish.
    let untouched = |key| {
        let of = |all: &Loaded| all.settings.iter().find(|it| it.key == key).cloned();
        let (now, default) = (of(&loaded), of(&defaults));
        now.is_some_and(|now| !now.origin.starts_with("WHARF_") && default.is_some_and(|it| it.value == now.value))
    };
    let mut log = loaded.config.log.clone();
    if untouched("log.filter") {
        log.filter = "warn".to_owned();
    }
    telemetry::init(&log)?;
    let options = demo::Options {
        run_for: args.seconds.map(|seconds| Duration::from_secs(seconds.into())),
        per_second: args.rate,
        any_port: untouched("http.listen"),
    };
    let mut screen = Screen::new(stdout(), Terminal::of_stdout());
    let mut interrupts = Interrupts::of_process()?;
    let summary = Box::pin(demo::run(loaded.config, &options, &mut screen, &mut interrupts)).await?;
    match summary.lost {
        0 => Ok(()),
        lost => Err(DemoError::Lost(lost).into()),
    }
}

async fn client(loaded: &Loaded, command: ClientCommand) -> Result<String, ClientsError> {
    // One that is made by mistake, in another directory say, would take changes that no server sees.
    let (file, exists) = clients::database(&loaded.config.store)?;
    if !exists && !matches!(command, ClientCommand::Add { .. }) {
        return Err(ClientsError::NoDatabase(file));
    }
    wharf_store::refuse_foreign_log(&loaded.config.store.url)?;
    let store = clients::open(&loaded.config.store).await?;
    if !exists {
        complain(format_args!("there was no database {}; it is made", file.display()));
    }
    match command {
        ClientCommand::Add { name, output } => Ok(clients::add(&store, &name).await?.show(output.json)),
        ClientCommand::List { output } => clients::list(&store, output.json).await,
        ClientCommand::Rotate { id, output } => Ok(clients::rotate(&store, ClientId(id)).await?.show(output.json)),
        ClientCommand::Remove { id, output } => clients::remove(&store, ClientId(id), output.json).await,
    }
}

async fn backup(loaded: &Loaded, file: &Path) -> Result<String, ClientsError> {
    clients::must_be_there(&loaded.config.store)?;
    wharf_store::refuse_foreign_log(&loaded.config.store.url)?;
    let bytes = wharf_store::back_up(&loaded.config.store.url, file).await?;
    let key = match loaded.config.gateway.secrets_key {
        Some(_) => "store.secrets_key",
        None => "the file secrets.key",
    };
    let file = file.display();
    Ok(format!(
        "copied {bytes} bytes to {file}; {key}, without which its secrets cannot be read, is not in it"
    ))
}

fn block_on<F: Future>(future: F) -> Result<F::Output, CliError> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(CliError::Runtime)?;
    let done = runtime.block_on(async {
        // Before anything is written, a line of the log included, which may be a file.
        file_size::outlive_limit().map_err(CliError::Signals)?;
        Ok(future.await)
    });
    // What still runs are look-ups of names and files that nobody waits for any more, some of which cannot be stopped.
    runtime.shutdown_background();
    done
}

fn print(text: &str) -> Result<(), CliError> {
    let mut out = stdout().lock();
    writeln!(out, "{text}")
        .and_then(|()| out.flush())
        .map_err(CliError::Output)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn what_is_understood_and_what_is_not() {
        let lines = [
            ("wharf", true),
            ("wharf serve", true),
            ("wharf --config x.toml serve", true),
            ("wharf serve --config x.toml", true),
            ("wharf client add acme --json", true),
            ("wharf client list --json", true),
            ("wharf client rotate 1", true),
            ("wharf client remove 1 --json", true),
            ("wharf backup /tmp/wharf.db", true),
            ("wharf backup", false),
            ("wharf restored", true),
            ("wharf restored --keep-webhooks --json", true),
            ("wharf restored --unused --json", true),
            ("wharf restored --unused --keep-webhooks", false),
            ("wharf restored /tmp/wharf.db", false),
            ("wharf config check", true),
            ("wharf config show", true),
            ("wharf client", false),
            ("wharf client add", false),
            ("wharf client add \u{7}", false),
            ("wharf client add \u{2003}", false),
            ("wharf client rotate one", false),
            ("wharf dance", false),
            ("wharf demo", cfg!(feature = "testnet")),
            ("wharf demo --seconds 10 --rate 5", cfg!(feature = "testnet")),
            ("wharf demo --seconds 0", false),
        ];
        for (line, good) in lines {
            assert_eq!(Cli::try_parse_from(line.split(' ')).is_ok(), good, "{line}");
        }
        let long = "x".repeat(101);
        assert!(Cli::try_parse_from(["wharf", "client", "add", &long]).is_err());
        assert!(Cli::try_parse_from(["wharf", "client", "add", ""]).is_err());
        assert_eq!(Cli::try_parse_from(["wharf", "dance"]).unwrap_err().exit_code(), 2);
    }
}
