//! Keeps keys as the gateway does, without a gateway: a task with the store's writer, and a cipher that shows when a value
//! is opened under another name than it was sealed under.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
};

use async_trait::async_trait;
use tempfile::TempDir;
use tokio::sync::{mpsc, oneshot};
use wharf_domain::{ConnectionKey, Timestamp, TokenHash};
use wharf_store::{ConnectionSettings, KeyChange, KeyKind, KeyRange, Store, StoreOptions, Writer};

// This crate, under the name that it has where these tests are.
use super::api::{KeyCipher, KeyKeeper, KeyStore, KeysError};

/// What is to be done.
enum Ask {
    Change(Vec<KeyChange>),
    Remove(KeyRange),
    RemoveLeft,
}

type Asked = (ConnectionKey, Ask, oneshot::Sender<Result<u64, KeysError>>);

/// A keeper that a test can have refuse.
pub(crate) struct Keeper {
    asked: mpsc::UnboundedSender<Asked>,
    refuses: Arc<AtomicBool>,
    /// How many changes were refused.
    pub(crate) refused: Arc<AtomicU64>,
    commits: Arc<AtomicU64>,
}

impl Keeper {
    pub(crate) fn refuse(&self, refuses: bool) {
        self.refuses.store(refuses, Relaxed);
    }

    /// How many changes were committed.
    pub(crate) fn commits(&self) -> u64 {
        self.commits.load(Relaxed)
    }
}

/// A database in `dir` with a connection for each of `numbers`, whose clients are made in the order of their ids.
pub(crate) async fn key_store(dir: &TempDir, numbers: &[ConnectionKey]) -> (KeyStore, Arc<Keeper>) {
    let url = format!("sqlite://{}/wharf.db", dir.path().display());
    let options = StoreOptions {
        url,
        readers: 2,
        exclusive: false,
    };
    let store = Store::open(&options).await.unwrap();
    let mut writer = store.writer().await.unwrap();
    let mut group = writer.begin().await.unwrap();
    let at = Timestamp::default();
    let last = numbers.iter().map(|number| number.client_id.0).max().unwrap();
    for client in 1..=last {
        let token = TokenHash([u8::try_from(client).unwrap(); 32]);
        assert_eq!(group.add_client("a", &token, at).await.unwrap().id.0, client);
    }
    for number in numbers {
        let connection = ConnectionSettings::none(number.clone());
        group.create_connection(&connection, at).await.unwrap().unwrap();
    }
    group.commit().await.unwrap();
    let (asked, asks) = mpsc::unbounded_channel();
    let keeper = Arc::new(Keeper {
        asked,
        refuses: Arc::default(),
        refused: Arc::default(),
        commits: Arc::default(),
    });
    tokio::spawn(commit_all(
        writer,
        asks,
        Arc::clone(&keeper.refuses),
        Arc::clone(&keeper.refused),
        Arc::clone(&keeper.commits),
    ));
    let keys = KeyStore {
        store,
        keeper: keeper.clone(),
    };
    (keys, keeper)
}

async fn commit_all(
    mut writer: Writer,
    mut asks: mpsc::UnboundedReceiver<Asked>,
    refuses: Arc<AtomicBool>,
    refused: Arc<AtomicU64>,
    commits: Arc<AtomicU64>,
) {
    while let Some((of, ask, answer)) = asks.recv().await {
        let result = match refuses.load(Relaxed) {
            true => {
                refused.fetch_add(1, Relaxed);
                Err(KeysError::Unavailable("the test says no".into()))
            }
            false => {
                let mut group = writer.begin().await.unwrap();
                let mut removed = 0;
                match &ask {
                    Ask::Change(changes) => group.change_keys(&[(&of, changes)]).await.unwrap(),
                    Ask::Remove(range) => {
                        // In steps, as the gateway does.
                        loop {
                            let step = group.remove_keys(&of, range, 3).await.unwrap();
                            removed += step;
                            if step < 3 {
                                break;
                            }
                        }
                    }
                    Ask::RemoveLeft => while !group.remove_left_keys(&of, 10).await.unwrap() {},
                }
                group.commit().await.unwrap();
                commits.fetch_add(1, Relaxed);
                Ok(removed)
            }
        };
        let _gone = answer.send(result);
    }
}

#[async_trait]
impl KeyKeeper for Keeper {
    fn cipher(&self, of: &ConnectionKey) -> Result<Arc<dyn KeyCipher>, KeysError> {
        Ok(Arc::new(Masked(of.clone())))
    }

    async fn commit(&self, of: &ConnectionKey, changes: Vec<KeyChange>) -> Result<(), KeysError> {
        self.ask(of, Ask::Change(changes)).await.map(drop)
    }

    async fn remove(&self, of: &ConnectionKey, range: KeyRange) -> Result<u64, KeysError> {
        self.ask(of, Ask::Remove(range)).await
    }

    async fn remove_left(&self, of: &ConnectionKey) -> Result<(), KeysError> {
        self.ask(of, Ask::RemoveLeft).await.map(drop)
    }
}

impl Keeper {
    /// How many keys a removal removed.
    async fn ask(&self, of: &ConnectionKey, ask: Ask) -> Result<u64, KeysError> {
        let (answer, answered) = oneshot::channel();
        let gone = |_| KeysError::Unavailable("the keeper is gone".into());
        self.asked.send((of.clone(), ask, answer)).map_err(|_| gone(()))?;
        answered.await.map_err(|_| gone(()))?
    }
}

/// Not a cipher, but as particular as one.
struct Masked(ConnectionKey);

impl Masked {
    fn mark(&self, kind: KeyKind, name: &[u8]) -> [u8; 8] {
        let mut hasher = DefaultHasher::new();
        (&self.0, kind, name).hash(&mut hasher);
        hasher.finish().to_be_bytes()
    }
}

impl KeyCipher for Masked {
    fn seal(&self, kind: KeyKind, name: &[u8], value: &[u8]) -> Result<Vec<u8>, KeysError> {
        let masked = value.iter().map(|byte| byte ^ 0xA5);
        Ok(self.mark(kind, name).into_iter().chain(masked).collect())
    }

    fn open(&self, kind: KeyKind, name: &[u8], sealed: &[u8]) -> Result<Vec<u8>, KeysError> {
        match sealed.split_first_chunk() {
            Some((mark, masked)) if *mark == self.mark(kind, name) => {
                Ok(masked.iter().map(|byte| byte ^ 0xA5).collect())
            }
            _ => Err(KeysError::Sealed(kind, self.0.clone())),
        }
    }
}
