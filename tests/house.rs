//! The rules of the house, held by a test: who may use whom, licences, one TLS provider, and no build for users that
//! skips a check of WhatsApp's certificates.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "what fails in a helper fails the test"
)]

use std::{collections::BTreeSet, process::Command};

use serde_json::Value;

/// What cargo prints, or why it does not.
fn cargo(arguments: &[&str]) -> Result<String, String> {
    let output = Command::new(env!("CARGO"))
        .args(arguments)
        .arg("--locked")
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo runs");
    match output.status.success() {
        true => Ok(String::from_utf8(output.stdout).expect("UTF-8")),
        false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
    }
}

fn metadata(more: &[&str]) -> Result<Value, String> {
    let all = ["metadata", "--format-version", "1", "--all-features"];
    Ok(serde_json::from_str(&cargo(&[&all[..], more].concat())?).expect("JSON"))
}

/// Our own packages. Nothing is fetched for this.
fn ours() -> Value {
    metadata(&["--no-deps"]).unwrap()
}

/// The names of all packages of all platforms, once for each version.
fn locked() -> Vec<String> {
    let lock = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.lock")).unwrap();
    let names = lock.lines().filter_map(|line| line.strip_prefix("name = "));
    names.map(|name| name.trim_matches('"').to_owned()).collect()
}

fn packages(metadata: &Value) -> &Vec<Value> {
    metadata["packages"].as_array().expect("packages")
}

/// What a package of ours depends on, without what is for its tests.
fn normal<'m>(metadata: &'m Value, name: &str) -> impl Iterator<Item = &'m Value> {
    let package = packages(metadata)
        .iter()
        .find(|package| package["name"] == name)
        .unwrap_or_else(|| panic!("{name}"));
    let all = package["dependencies"].as_array().unwrap().iter();
    all.filter(|dependency| dependency["kind"].is_null())
}

/// The names of that.
fn dependencies(metadata: &Value, name: &str) -> BTreeSet<String> {
    normal(metadata, name)
        .map(|dependency| dependency["name"].as_str().unwrap().to_owned())
        .collect()
}

/// The features that a package of ours asks a library for, by default or by name.
fn features(metadata: &Value, name: &str, library: &str) -> BTreeSet<String> {
    let asked = normal(metadata, name)
        .find(|dependency| dependency["name"] == library)
        .unwrap_or_else(|| panic!("{name} does without {library}"));
    assert_eq!(asked["uses_default_features"], false, "{name} takes all of {library}");
    let named = asked["features"].as_array().unwrap().iter();
    named.map(|feature| feature.as_str().unwrap().to_owned()).collect()
}

#[test]
fn imports_run_one_way() {
    let metadata = ours();
    // From the bottom up: each may use those before it.
    let rooms = ["wharf-domain", "wharf-store", "wharf-whatsapp", "wharf-actors", "wharf"];
    for (height, room) in rooms.iter().enumerate() {
        let uses = dependencies(&metadata, room);
        for above in &rooms[height..] {
            assert!(!uses.contains(*above), "{room} uses {above}");
        }
    }
    for room in ["wharf-domain", "wharf-store", "wharf-whatsapp", "wharf-actors"] {
        assert!(
            !dependencies(&metadata, room).contains("wharf-testnet"),
            "{room} uses the test network"
        );
    }
    assert!(
        dependencies(&metadata, "wharf-testnet")
            .iter()
            .all(|name| !name.starts_with("wharf"))
    );
}

#[test]
fn each_big_library_is_known_in_one_room() {
    let metadata = ours();
    let rooms = ["wharf-domain", "wharf-store", "wharf-whatsapp", "wharf-actors", "wharf"];
    for (library, home) in [
        ("sqlx", "wharf-store"),
        ("whatsapp-rust", "wharf-whatsapp"),
        ("ractor", "wharf-actors"),
        ("warp", "wharf"),
    ] {
        for room in rooms.iter().filter(|room| **room != home) {
            assert!(
                !dependencies(&metadata, room).contains(library),
                "{room} uses {library}"
            );
        }
    }
    for library in ["tokio", "sqlx", "rand", "fastrand", "getrandom", "reqwest"] {
        assert!(
            !dependencies(&metadata, "wharf-domain").contains(library),
            "the domain is pure: {library}"
        );
    }
    for feature in ["clock", "now"] {
        assert!(
            !features(&metadata, "wharf-domain", "chrono").contains(feature),
            "the domain has no clock: {feature}"
        );
    }
}

/// One database library: two would bring two copies of SQLite's state, or one copy that each sets up in its own way.
#[test]
fn there_is_one_database_library() {
    for name in locked() {
        assert!(
            !["diesel", "rusqlite", "whatsapp-rust-sqlite-storage"].contains(&name.as_str()),
            "{name}"
        );
    }
}

/// All packages; where those of other platforms are not here and cannot be fetched, those of this one.
fn with_licences() -> Value {
    metadata(&[]).unwrap_or_else(|why| {
        let about = cargo(&["-vV"]).unwrap();
        let host = about.lines().find_map(|line| line.strip_prefix("host: ")).unwrap();
        let here = metadata(&["--filter-platform", host]);
        eprintln!("licences of {host} alone: {why}");
        here.unwrap()
    })
}

#[test]
fn licences_are_known() {
    const KNOWN: [&str; 17] = [
        "Apache-2.0",
        "Apache-2.0 WITH LLVM-exception",
        "MIT",
        "MIT-0",
        "BSD-2-Clause",
        "BSD-3-Clause",
        "ISC",
        "0BSD",
        "Zlib",
        "Unlicense",
        "CC0-1.0",
        "CDLA-Permissive-2.0",
        "Unicode-3.0",
        "BSL-1.0",
        "blessing",
        "IJG",
        "MPL-2.0",
    ];
    for package in packages(&with_licences()) {
        let licence = package["license"].as_str().unwrap_or_default().replace('/', " OR ");
        // A choice is fine when one of its alternatives is made of known licences.
        let fine = licence.split(" OR ").any(|alternative| {
            alternative
                .split(" AND ")
                .all(|part| KNOWN.contains(&part.trim_matches(['(', ')', ' '])))
        });
        assert!(fine, "{}: {licence:?}", package["name"]);
    }
}

#[test]
fn there_is_one_tls_provider() {
    let names = locked();
    for name in &names {
        assert!(
            !["aws-lc-rs", "aws-lc-sys", "openssl", "openssl-sys", "native-tls"].contains(&name.as_str()),
            "{name}"
        );
    }
    assert_eq!(names.iter().filter(|name| *name == "ring").count(), 1);
}

/// `cargo metadata` cannot leave out the features that tests switch on; `cargo tree` can, and prints what is on.
#[test]
fn the_default_build_checks_certificates() {
    let features_of = |more: &[&str]| {
        let tree = [
            "tree",
            "--package",
            "wharf",
            "--edges",
            "normal",
            "--prefix",
            "none",
            "--format",
            "{p} [{f}]",
        ];
        cargo(&[&tree[..], more].concat()).unwrap()
    };
    let default = features_of(&[]);
    assert!(default.contains("whatsapp-rust v"), "or this test looks at nothing");
    assert!(
        !default.contains("danger-skip"),
        "the default build must not be able to skip a check"
    );
    assert!(!default.contains("wharf-testnet"));
    let testnet = features_of(&["--features", "testnet"]);
    assert!(
        testnet.contains("danger-skip-cert-chain-verify"),
        "or this test looks for the wrong words"
    );
    assert!(!testnet.contains("danger-skip-tls-verify"));
}
