//! The program as it is called: the command line beside a server that runs, and what is wrong with a configuration.

use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Command, Stdio},
};

use reqwest::StatusCode;
use serde_json::{Value, json};
use wharf_support::wait_until;

use super::world::{Api, NUMBER, WITHIN, World, variables};

/// How the program ends that is called in this directory: its code, what it prints and what it complains of.
fn run_in(directory: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> (Option<i32>, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wharf"));
    command.current_dir(directory).env_remove("WHARF_STORE__URL");
    let output = command
        .args(arguments)
        .envs(variables.iter().copied())
        .output()
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

#[test]
fn a_wrong_configuration_ends_with_2_and_is_named() {
    let directory = tempfile::tempdir().unwrap();
    for (variable, key) in [
        (("WHARF_HTTP__LISTEN", "x"), "http.listen = \"x\""),
        (("WHARF_HTTP__PORT", "1"), "http.port is not a key"),
        (
            ("WHARF_STORE__URL", "sqlite:///proc/wharf.db"),
            "nothing is kept in /proc",
        ),
        (("WHARF_STORE__URL", "sqlite:///tmp"), "/tmp is a directory"),
        (("WHARF_MEDIA__DIRECTORY", "/etc/passwd"), "/etc/passwd is no directory"),
    ] {
        for arguments in [
            ["config", "check"].as_slice(),
            &["config", "show"],
            &["client", "list"],
            &["serve"],
        ] {
            let (code, out, told) = run_in(directory.path(), arguments, &[variable]);
            assert_eq!((code, out.as_str()), (Some(2), ""), "{arguments:?}: {told}");
            assert!(told.contains(key) && told.contains(variable.0), "{arguments:?}: {told}");
        }
    }
    let (code, out, told) = run_in(directory.path(), &["config", "check"], &[]);
    assert_eq!((code, out.as_str()), (Some(0), "ok\n"), "{told}");
    assert_eq!(
        std::fs::read_dir(directory.path()).unwrap().count(),
        0,
        "nothing was made"
    );
}

/// The check asks only: commands that read may have such a URL.
#[test]
fn a_server_does_not_start_with_a_database_that_it_may_only_read() {
    let directory = tempfile::tempdir().unwrap();
    let read_only = [
        ("WHARF_STORE__URL", "sqlite://wharf.db?mode=ro"),
        ("WHARF_HTTP__LISTEN", "127.0.0.1:0"),
    ];
    let (code, out, told) = run_in(directory.path(), &["serve"], &read_only);
    assert_eq!((code, out.as_str()), (Some(2), ""), "{told}");
    assert!(told.contains("mode=ro") && told.contains("leave it out"), "{told}");
    let (code, out, told) = run_in(directory.path(), &["config", "check"], &read_only);
    assert_eq!((code, out.as_str()), (Some(0), "ok\n"), "{told}");
    assert!(told.contains("does not start with it"), "{told}");

    // Who collects lines of JSON gets the one that counts most as such, too.
    let as_json = [&read_only[..], &[("WHARF_LOG__FORMAT", "json")]].concat();
    let (code, _, told) = run_in(directory.path(), &["serve"], &as_json);
    let lines: Vec<Value> = told.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let last = lines.last().unwrap();
    assert_eq!((code, &last["level"]), (Some(2), &json!("ERROR")), "{told}");
    assert!(last["message"].as_str().unwrap().contains("mode=ro"), "{told}");
}

/// A command in another directory would look into a database of its own, and say that there are no clients.
#[test]
fn only_adding_a_client_makes_a_database() {
    let directory = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| run_in(directory.path(), arguments, &[]);
    let file = directory.path().join("data/wharf.db");
    for arguments in [["list", "--json"].as_slice(), &["rotate", "1"], &["remove", "1"]] {
        let (code, out, told) = run(&[&["client"], arguments].concat());
        assert_eq!((code, out.as_str()), (Some(1), ""), "{told}");
        assert!(told.contains("data/wharf.db") && told.contains("--config"), "{told}");
        assert!(!file.exists());
    }
    let (code, out, told) = run(&["client", "add", "a", "--json"]);
    let added: Value = serde_json::from_str(&out).expect("one JSON value and nothing else");
    assert_eq!((code, &added["id"]), (Some(0), &json!(1)));
    assert!(told.contains("there was no database") && file.exists(), "{told}");
    let (code, out, told) = run(&["client", "list", "--json"]);
    assert_eq!((code, told.as_str()), (Some(0), ""), "{out}");
}

/// Shells begin a program with few, and let it have more. The API never gets them all.
#[test]
#[cfg(target_os = "linux")]
fn the_server_has_as_many_files_open_as_it_is_let() {
    let directory = tempfile::tempdir().unwrap();
    let start = |limit: &str| {
        let mut server = Command::new("sh")
            .args([
                "-c",
                &format!("ulimit {limit} && exec \"$0\""),
                env!("CARGO_BIN_EXE_wharf"),
            ])
            .current_dir(directory.path())
            .env_remove("WHARF_STORE__URL")
            .env("WHARF_HTTP__LISTEN", "127.0.0.1:0")
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut log = String::new();
        let mut lines = BufReader::new(server.stderr.take().unwrap());
        while !log.contains("listening") {
            assert_ne!(lines.read_line(&mut log).unwrap(), 0, "it ended: {log}");
        }
        let limits = std::fs::read_to_string(format!("/proc/{}/limits", server.id())).unwrap();
        server.kill().unwrap();
        server.wait().unwrap();
        let line = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        (words[3].clone(), words[4].clone(), log)
    };
    let (soft, hard, log) = start("-Sn 128");
    assert_eq!(soft, hard);
    let few = hard.parse::<u64>().is_ok_and(|hard| hard < 2048);
    assert_eq!(log.contains("max_connections"), few, "{log}");
    let (soft, hard, log) = start("-n 128");
    assert_eq!((soft.as_str(), hard.as_str()), ("128", "128"));
    assert!(log.contains("http.max_connections is 64"), "{log}");
}

/// The system would end it by a signal, without a word.
#[test]
#[cfg(target_os = "linux")]
fn a_limit_of_file_sizes_is_met_as_a_full_disk_is() {
    let directory = tempfile::tempdir().unwrap();
    for arguments in [["client", "add", "a"].as_slice(), &["serve"]] {
        // 4 KiB, or 8 in some shells.
        let output = Command::new("sh")
            .args(["-c", "ulimit -f 8 && exec \"$0\" \"$@\"", env!("CARGO_BIN_EXE_wharf")])
            .args(arguments)
            .current_dir(directory.path())
            .env_remove("WHARF_STORE__URL")
            .env("WHARF_HTTP__LISTEN", "127.0.0.1:0")
            .output()
            .unwrap();
        let told = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {told}");
        assert!(told.contains("ulimit -f"), "{arguments:?}: {told}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_command_line_manages_clients_while_the_server_runs() {
    let world = World::start().await;
    let run = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_wharf"));
        let output = command
            .args(arguments)
            .envs(variables(&world.dir, &world.network))
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice::<Value>(&output.stdout).expect("one JSON value and nothing else")
    };
    let added = run(&["client", "add", "Pier 2", "--json"]);
    assert_eq!((&added["id"], &added["name"]), (&json!(2), &json!("Pier 2")));
    let address = world.api().address;
    let api = Api::new(address, added["token"].as_str().unwrap());
    api.get("/api/webhooks/list").await.expect(StatusCode::OK);
    let url = world.receiver.url("/ok");
    api.post(
        "/api/webhooks/register",
        json!({"phone_number": NUMBER, "webhook_url": url}),
    )
    .await
    .expect(StatusCode::CREATED);
    let rotated = run(&["client", "rotate", "2", "--json"]);
    api.get("/api/webhooks/list").await.expect(StatusCode::UNAUTHORIZED);
    let api = Api::new(address, rotated["token"].as_str().unwrap());
    api.get("/api/webhooks/list").await.expect(StatusCode::OK);
    let listed = run(&["client", "list", "--json"]);
    assert_eq!(listed.as_array().unwrap().len(), 2);
    assert!(!listed.to_string().contains("token"));

    world.network.create_account(NUMBER).await.unwrap();
    api.post("/api/whatsapp/connections", json!({"phone_number": NUMBER}))
        .await
        .expect(StatusCode::CREATED);
    let qr = api.wait_for_qr(NUMBER).await;
    world.network.scan(NUMBER, &qr).await.unwrap();
    api.wait_for_status(&format!("/api/whatsapp/connections/{NUMBER}"), "connected")
        .await;
    run(&["client", "remove", "2", "--json"]);
    api.get("/api/webhooks/list").await.expect(StatusCode::UNAUTHORIZED);
    wharf_support::wait_until("its device is unlinked", WITHIN, || async {
        world.network.devices(NUMBER).await.unwrap().is_empty()
    })
    .await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_that_is_made_while_the_server_runs_can_be_used() {
    let mut world = World::start().await;
    let webhook = world.linked("/ok").await;
    world.text("before").await;
    let elsewhere = tempfile::tempdir().unwrap();
    let copy = elsewhere.path().join("copy.db");
    world.api().wait_for_events(&webhook, "delivered", 1).await;
    let mut wharf = Command::new(env!("CARGO_BIN_EXE_wharf"));
    let made = wharf
        .envs(variables(&world.dir, &world.network))
        .arg("backup")
        .arg(&copy);
    let made = made.output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    world.text("after").await;
    world.api().wait_for_events(&webhook, "delivered", 2).await;

    // Brought back as its owner would: the copy in the place of the database, beside the key.
    world.stop_gateway().await;
    let database = world.dir.path().join("wharf.db");
    for beside in ["-wal", "-shm"] {
        let _not_there = std::fs::remove_file(format!("{}{beside}", database.display()));
    }
    std::fs::rename(&copy, &database).unwrap();
    let restored = || {
        let mut wharf = Command::new(env!("CARGO_BIN_EXE_wharf"));
        wharf
            .envs(variables(&world.dir, &world.network))
            .arg("restored")
            .output()
    };
    wait_until("the database is free", WITHIN, || async {
        restored().unwrap().status.success()
    })
    .await;
    world.start_gateway().await;
    let events = world.api().events(&webhook).await;
    assert_eq!(events.len(), 1, "{events:?}");
    world.stop().await;
}
