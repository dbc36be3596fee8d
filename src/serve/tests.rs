//! The whole program, started and stopped in one process.

use std::{os::unix::fs::PermissionsExt as _, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use super::*;
use crate::config::{Loaded, Sources};

/// Long enough for a loaded machine; a passing test waits for a fraction of it.
const WITHIN: Duration = Duration::from_secs(60);

fn config(directory: &std::path::Path) -> Config {
    let variables = [
        ("WHARF_HTTP__LISTEN", "127.0.0.1:0".to_owned()),
        ("WHARF_STORE__URL", format!("sqlite://{}/wharf.db", directory.display())),
    ];
    let variables = variables
        .into_iter()
        .map(|(name, value)| (name.into(), value.into()))
        .collect();
    Loaded::load(&Sources { file: None, variables }).unwrap().config
}

/// The status of a GET.
async fn status(address: SocketAddr, path: &str, token: &str) -> String {
    let mut socket = TcpStream::connect(address).await.unwrap();
    let request =
        format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\nauthorization: Bearer {token}\r\n\r\n");
    socket.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await.unwrap();
    answer.split(' ').nth(1).unwrap().to_owned()
}

/// The lock is let go with the last handle of the store, a moment after the tree has stopped.
async fn unlocked(config: &Config) -> Ready {
    loop {
        match prepare(config).await {
            Err(ServeError::Store(StoreError::Locked(_))) => tokio::time::sleep(Duration::from_millis(50)).await,
            other => return other.unwrap(),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_parts_fit_together_and_come_apart() {
    let directory = tempfile::tempdir().unwrap();
    let config = config(directory.path());
    for first in [true, false] {
        let ready = timeout(WITHIN, unlocked(&config))
            .await
            .expect("the lock goes with the gateway");
        let (address, client) = (ready.address, ready.first_client.as_ref());
        assert_eq!(client.is_some(), first, "only a new database gets a client");
        let token = client.map_or_else(String::new, |client| client.token.clone());
        let (stop, stopped) = oneshot::channel::<()>();
        let serving = tokio::spawn(ready.serve(async {
            let _ = stopped.await;
        }));
        assert_eq!(status(address, "/readyz", "").await, "200");
        assert_eq!(
            status(address, "/api/webhooks/list", &token).await,
            if first { "200" } else { "401" }
        );
        let second = prepare(&config).await.err().expect("the database is locked");
        assert!(matches!(second, ServeError::Store(StoreError::Locked(_))), "{second}");
        stop.send(()).unwrap();
        timeout(WITHIN, serving).await.expect("stops").unwrap();
        let log = std::fs::metadata(directory.path().join("wharf.db-wal"));
        assert_eq!(log.map_or(0, |log| log.len()), 0, "all is in the one file");
    }
}

/// Who removed everybody does not want somebody new to have a token.
#[tokio::test]
async fn a_first_client_is_made_once_in_a_databases_life() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(&config(directory.path())).await.unwrap();
    let first = first_client(&store).await.unwrap().expect("a new database gets one");
    assert!(first_client(&store).await.unwrap().is_none());
    clients::remove(&store, first.id, true).await.unwrap();
    assert!(first_client(&store).await.unwrap().is_none());
    let mut writer = store.writer().await.unwrap();
    let mut group = writer.begin().await.unwrap();
    assert!(group.purge_client(first.id, 100).await.unwrap());
    group.commit().await.unwrap();
    assert!(store.removed_clients().await.unwrap().is_empty());
    assert!(first_client(&store).await.unwrap().is_none());
}

#[tokio::test]
async fn a_taken_address_is_one_clear_error() {
    let directory = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut config = config(directory.path());
    config.http.listen = taken.local_addr().unwrap();
    let error = prepare(&config).await.err().expect("taken").to_string();
    assert!(
        error.contains(&config.http.listen.to_string()) && error.lines().count() == 1,
        "{error}"
    );
    assert!(error.contains("another program listens there"), "{error}");
}

#[tokio::test]
async fn a_media_directory_that_cannot_be_is_told_at_the_start() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    std::fs::write(&file, "x").unwrap();
    let mut config = config(directory.path());
    config.gateway.media.directory = Some(file.clone());
    let error = prepare(&config).await.err().expect("it is a file").to_string();
    assert!(
        error.contains("media.directory") && error.contains(file.to_str().unwrap()),
        "{error}"
    );
    config.gateway.media.directory = Some(directory.path().join("a/b"));
    let ready = unlocked(&config).await;
    let left = std::fs::read_dir(directory.path().join("a/b")).unwrap();
    let left: Vec<_> = left.map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["database"], "it is made, and says whose it is");
    for made in ["a", "a/b"] {
        let mode = std::fs::metadata(directory.path().join(made))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o700, "{made}");
    }
    ready.gateway().stop().await;
    drop(ready);
    config.store.url = format!("sqlite://{}", directory.path().join("other.db").display());
    let error = prepare(&config).await.err().expect("it is another's").to_string();
    assert!(error.contains("another database") && error.contains("a/b"), "{error}");
}
