//! What there is of everything, again and again, and whether it grows.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::{line::Stage, process::Failure, rounded, say};

/// What may grow: by how much of itself, and how much besides.
const BOUNDS: [(&str, f64, f64); 9] = [
    ("rss_kib", 0.10, 6144.0),
    ("files", 0.20, 16.0),
    ("threads", 0.10, 4.0),
    ("tasks", 0.10, 60.0),
    ("database_kib", 0.25, 2048.0),
    // It grows up to what one checkpoint leaves, and is then written from its beginning.
    ("log_kib", 0.50, 16_384.0),
    ("media_files", 0.30, 30.0),
    ("media_kib", 0.30, 2048.0),
    ("rows ", 0.30, 250.0),
];

/// What is kept for longer than a run lasts: it grows with what is done, and is no leak.
const KEPT_FOR_LONG: [(&str, &str); 8] = [
    ("rows idempotency_keys", "a day"),
    ("rows whatsapp_polls", "90 days"),
    ("rows whatsapp_webhooks", "a deleted one for a day"),
    ("rows whatsapp_webhook_secrets", "with its webhook"),
    (
        "rows whatsapp_outgoing_messages.failed",
        "as failed events: here for ever",
    ),
    ("rows webhook_events.failed", "here for ever"),
    ("rows whatsapp_keys.sent_message", "by age"),
    ("rows whatsapp_keys.message_secret", "by age"),
];

/// What is the process's, and begins anew with each.
const OF_PROCESS: [&str; 4] = ["rss_kib", "files", "threads", "tasks"];

/// A mean of fewer looks says nothing.
const LOOKS_AT_LEAST: usize = 3;

/// One look.
struct Sample {
    at: Duration,
    values: BTreeMap<String, f64>,
}

/// All looks.
pub(crate) struct Samples {
    begun: Instant,
    all: Vec<Sample>,
}

impl Samples {
    pub(crate) fn new() -> Self {
        Self {
            begun: Instant::now(),
            all: Vec::new(),
        }
    }

    async fn look(&mut self, stage: &Stage, directory: &Path) -> Result<(), Failure> {
        let mut values = BTreeMap::new();
        if let Some(cost) = stage.lives.cost() {
            for (name, value) in [
                ("rss_kib", cost.rss_kib as f64),
                ("files", cost.files as f64),
                ("threads", cost.threads as f64),
                ("tasks", cost.tasks as f64),
            ] {
                values.insert(name.to_owned(), value);
            }
        }
        let size = |name: &str| {
            directory
                .join(name)
                .metadata()
                .map_or(0.0, |file| file.len() as f64 / 1024.0)
        };
        values.insert("database_kib".to_owned(), size("wharf.db"));
        values.insert("log_kib".to_owned(), size("wharf.db-wal"));
        let files = files_below(&directory.join("media"));
        values.insert("media_files".to_owned(), files.len() as f64);
        let bytes: u64 = files.iter().map(|(_, bytes)| bytes).sum();
        values.insert("media_kib".to_owned(), bytes as f64 / 1024.0);
        for (table, rows) in stage.lives.store().await?.census().await? {
            values.insert(format!("rows {table}"), rows as f64);
        }
        self.all.push(Sample {
            at: self.begun.elapsed(),
            values,
        });
        Ok(())
    }

    fn line(&self) -> String {
        let Some(last) = self.all.last() else {
            return String::new();
        };
        let value = |name: &str| last.values.get(name).copied().unwrap_or(f64::NAN);
        format!(
            "{:>4.0} s: {:.1} MiB, {} tasks, {} files, {} threads, database {:.1} MiB, {} files of media",
            last.at.as_secs_f64(),
            value("rss_kib") / 1024.0,
            value("tasks"),
            value("files"),
            value("threads"),
            value("database_kib") / 1024.0,
            value("media_files"),
        )
    }

    /// The mean of each figure in the middle third and in the last one, of the run or of the last life, and which grew
    /// beyond its bound.
    pub(crate) fn judge(&self, last_life: Duration, end: Duration) -> (Value, Vec<String>) {
        // What was never seen of the process is not there to be judged otherwise.
        let mut names: BTreeSet<&str> = OF_PROCESS.into();
        names.extend(
            self.all
                .iter()
                .flat_map(|sample| sample.values.keys().map(String::as_str)),
        );
        let (mut shown, mut wrong) = (serde_json::Map::new(), Vec::new());
        for name in names {
            let from = if OF_PROCESS.contains(&name) {
                last_life
            } else {
                Duration::ZERO
            };
            let third = end.saturating_sub(from) / 3;
            let middle = self.mean(name, from + third, from + third * 2);
            let (Some(middle), Some(last)) = (middle, self.mean(name, from + third * 2, end)) else {
                wrong.push(format!(
                    "{name} was looked at fewer than {LOOKS_AT_LEAST} times in a third"
                ));
                continue;
            };
            let kept = KEPT_FOR_LONG.iter().find(|(of, _)| *of == name);
            let bound = BOUNDS.iter().find(|(of, ..)| name.starts_with(of));
            let most = bound.map_or(f64::INFINITY, |(_, share, more)| middle * (1.0 + share) + more);
            let mut figure = json!({"middle": rounded(middle), "last": rounded(last)});
            if let Some((_, why)) = kept {
                figure["kept"] = json!(why);
            } else if last > most {
                wrong.push(format!(
                    "{name} grew from {middle:.1} to {last:.1}, more than to {most:.1}"
                ));
            }
            shown.insert(name.to_owned(), figure);
        }
        (Value::Object(shown), wrong)
    }

    /// `None` when it was looked at too seldom.
    fn mean(&self, name: &str, from: Duration, to: Duration) -> Option<f64> {
        let within = self.all.iter().filter(|sample| sample.at >= from && sample.at < to);
        // A table that had no row of a kind was not told of it.
        let values: Vec<f64> = if OF_PROCESS.contains(&name) {
            within.filter_map(|sample| sample.values.get(name).copied()).collect()
        } else {
            within
                .map(|sample| sample.values.get(name).copied().unwrap_or(0.0))
                .collect()
        };
        (values.len() >= LOOKS_AT_LEAST).then(|| values.iter().sum::<f64>() / values.len() as f64)
    }
}

/// Looks until the end.
pub(crate) async fn watch(
    stage: Arc<Stage>,
    directory: std::path::PathBuf,
    every: Duration,
) -> Result<Samples, Failure> {
    let mut samples = Samples::new();
    let mut said = Instant::now();
    while !stage.is_over() {
        // The gateway may be on its way up, and migrate.
        if let Err(error) = samples.look(&stage, &directory).await {
            say(format!("no look: {error}"));
        }
        if said.elapsed() > Duration::from_secs(10) {
            say(format!("{}; {}", samples.line(), stage.book.progress()));
            said = Instant::now();
        }
        stage.pause(u64::try_from(every.as_millis()).unwrap_or(1000)).await;
    }
    Ok(samples)
}

/// All files below a directory, with their sizes.
pub(crate) fn files_below(directory: &Path) -> Vec<(std::path::PathBuf, u64)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let Ok(about) = entry.metadata() else { continue };
        if about.is_dir() {
            found.extend(files_below(&entry.path()));
        } else {
            found.push((entry.path(), about.len()));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Looks once a second, with so many rows of a table each time, and a process that is always there or never.
    fn samples(rows: impl IntoIterator<Item = u32>, process: bool) -> Samples {
        let look = |(second, rows)| {
            let of_process = OF_PROCESS.iter().filter(|_| process).map(|name| (*name).to_owned());
            let mut values: BTreeMap<String, f64> = of_process.map(|name| (name, 10.0)).collect();
            values.insert("rows webhook_events.pending".to_owned(), f64::from(rows));
            Sample {
                at: Duration::from_secs(second),
                values,
            }
        };
        Samples {
            begun: Instant::now(),
            all: (0..).zip(rows).map(look).collect(),
        }
    }

    fn wrong(samples: &Samples) -> Vec<String> {
        samples.judge(Duration::ZERO, Duration::from_secs(9)).1
    }

    #[test]
    fn what_grows_beyond_its_bound_is_wrong() {
        assert_eq!(wrong(&samples([100; 9], true)), Vec::<String>::new());
        let grown = wrong(&samples([100, 100, 100, 100, 100, 100, 900, 900, 900], true));
        assert!(
            matches!(&grown[..], [one] if one.starts_with("rows webhook_events.pending grew")),
            "{grown:?}"
        );
    }

    #[test]
    fn what_was_not_looked_at_is_wrong() {
        assert_eq!(wrong(&samples([100; 9], false)).len(), OF_PROCESS.len());
        assert_eq!(
            wrong(&samples([100; 8], true)).len(),
            OF_PROCESS.len() + 1,
            "the last third is short"
        );
        assert_eq!(wrong(&samples([], true)).len(), OF_PROCESS.len());
    }
}
