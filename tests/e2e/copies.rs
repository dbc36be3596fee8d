//! Copies of the database.

use std::{fs, process::Command};

/// Whoever restores a copy and looks first whether its clients are there would have SQLite lay the old log's pages over it.
#[test]
fn no_command_opens_a_copy_with_the_log_of_the_database_whose_place_it_took() {
    let directory = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_wharf"));
        command.current_dir(directory.path()).env_remove("WHARF_STORE__URL");
        let output = command.args(arguments).output().unwrap();
        (
            output.status.code(),
            String::from_utf8_lossy(&output.stderr).into_owned(),
        )
    };
    let (file, log) = ("data/wharf.db", "data/wharf.db-wal");
    let at = |name: &str| directory.path().join(name);
    assert_eq!(run(&["client", "add", "a"]).0, Some(0));
    assert_eq!(run(&["backup", "copy.db"]).0, Some(0));
    fs::rename(at("copy.db"), at(file)).unwrap();
    fs::write(at(log), "what is left of the old one").unwrap();
    let copied = fs::read(at(file)).unwrap();
    for arguments in [
        ["client", "list"].as_slice(),
        &["client", "add", "b"],
        &["client", "rotate", "1"],
        &["backup", "second.db"],
    ] {
        let (code, told) = run(arguments);
        assert_eq!(code, Some(1), "{told}");
        assert!(told.contains("wharf.db-wal and its -shm away"), "{told}");
    }
    assert_eq!(fs::read(at(file)).unwrap(), copied);
    assert!(!at("second.db").exists());
    fs::remove_file(at(log)).unwrap();
    assert_eq!(run(&["client", "list"]), (Some(0), String::new()));
    for arguments in [
        ["serve"].as_slice(),
        &["client", "add", "b"],
        &["client", "rotate", "1"],
        &["client", "remove", "1"],
    ] {
        let (code, told) = run(arguments);
        assert!(code == Some(1) && told.contains("run wharf restored"), "{told}");
    }
    assert_eq!(fs::read(at(file)).unwrap(), copied);
    assert_eq!(run(&["restored", "--unused"]), (Some(0), String::new()));
    assert_eq!(run(&["client", "rotate", "1"]), (Some(0), String::new()));

    fs::write(at(file), "").unwrap();
    let (code, told) = run(&["restored"]);
    assert!(code == Some(1) && told.contains("is empty"), "{told}");
}
