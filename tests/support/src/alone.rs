//! Tests that need a process of their own, because what they measure is the process.

use std::process::Command;

/// Runs an ignored test of the calling binary in a process in which nothing else runs, and shows what it says.
///
/// # Panics
/// When it fails, or there is no test of that name.
#[expect(clippy::print_stdout, reason = "the figures that it found")]
pub fn run_alone(test: &str) {
    let output = Command::new(std::env::current_exe().expect("this program's path"))
        .args(["--ignored", "--exact", "--nocapture", test])
        .output()
        .expect("another process");
    let text = String::from_utf8_lossy(&output.stdout);
    let complaint = String::from_utf8_lossy(&output.stderr);
    println!("{text}");
    assert!(
        output.status.success() && text.contains("1 passed"),
        "{text}{complaint}"
    );
}

/// A figure of this process in KiB, as `/proc/self/status` names it: `VmRSS`, `VmHWM`.
///
/// # Panics
/// Where there is no such figure.
pub fn process_kib(name: &str) -> usize {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find_map(|line| line.strip_prefix(name)).expect(name);
    let number = line.trim_start_matches(':').trim().trim_end_matches(" kB");
    number.parse().expect("a number")
}
