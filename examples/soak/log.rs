//! The gateway's log, read by kind of line.

use std::{collections::BTreeMap, fs, path::Path};

/// Warnings and errors, each kind once (numbers, ids and times left out) with how many there were.
pub(crate) fn kinds(log: &Path) -> BTreeMap<String, u64> {
    let mut kinds = BTreeMap::new();
    for line in fs::read_to_string(log).unwrap_or_default().lines() {
        let level = ["WARN", "ERROR"]
            .into_iter()
            .find(|level| line.contains(&format!(" {level} ")));
        let kind = match level {
            Some(_) => line.split_once(' ').map_or(line, |(_, rest)| rest),
            // What is no line of the log is a panic's.
            None if line.contains("panicked") || line.contains("RUST_BACKTRACE") => line,
            None => continue,
        };
        *kinds.entry(plain(kind)).or_default() += 1;
    }
    kinds
}

/// Without what differs from line to line.
fn plain(line: &str) -> String {
    let words = line.split_whitespace().map(|word| {
        let digits = word.chars().filter(char::is_ascii_digit).count();
        if word.starts_with("status=") {
            word.to_owned()
        } else if digits > 3 || (digits > 0 && word.len() > 16) {
            "…".to_owned()
        } else {
            word.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect()
        }
    });
    words.collect::<Vec<_>>().join(" ")
}

/// Whether a kind is wrong by itself. The library's own errors are about messages that cannot be decrypted, which the
/// network is told to send.
pub(crate) fn is_wrong(kind: &str) -> bool {
    kind.contains("panicked") || (kind.contains("ERROR") && kind.contains(" wharf"))
}
