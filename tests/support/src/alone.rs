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
    eprint!("{complaint}");
    assert!(
        output.status.success() && text.contains("1 passed"),
        "{text}{complaint}"
    );
}

/// What this process has of memory, in KiB; from now on `VmHWM` is the most that it has had since. `None` where that cannot be
/// measured (not every kernel, nor every container, lets it begin anew), which is said.
pub fn begin_measuring() -> Option<usize> {
    match std::fs::write("/proc/self/clear_refs", "5") {
        Ok(()) => Some(process_kib("VmRSS")),
        Err(error) => {
            eprintln!("nothing is measured: /proc/self/clear_refs cannot be written: {error}");
            None
        }
    }
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
