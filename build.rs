//! Has the program's own relocations written down in a short form where the system that it is built on reads that (glibc 2.36):
//! some 0.6 MB less to read at each start, and to keep resident. docs/BENCHMARKS.md has the figures.

use std::{env, process::Command};

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if builds_for_itself() && glibc().is_some_and(|version| version >= (2, 36)) {
        for kind in ["bins", "examples"] {
            println!("cargo::rustc-link-arg-{kind}=-Wl,-z,pack-relative-relocs");
        }
    }
}

/// Whether what is built runs on a system like this one, as far as can be told.
fn builds_for_itself() -> bool {
    let is_gnu_linux = |name, wanted| env::var(name).is_ok_and(|found| found == wanted);
    env::var("HOST") == env::var("TARGET")
        && is_gnu_linux("CARGO_CFG_TARGET_OS", "linux")
        && is_gnu_linux("CARGO_CFG_TARGET_ENV", "gnu")
}

/// The version of the C library; `None` where it does not say.
fn glibc() -> Option<(u32, u32)> {
    let answer = Command::new("getconf").arg("GNU_LIBC_VERSION").output().ok()?;
    let text = String::from_utf8(answer.stdout).ok()?;
    let (major, minor) = text.trim().strip_prefix("glibc ")?.split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}
