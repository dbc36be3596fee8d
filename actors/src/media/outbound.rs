//! Files that go out: received or fetched into `receiving`, then kept encrypted at `CLIENT/outgoing/NUMBER/MESSAGE` below the
//! media directory, until their message is sent or fails.
//!
//! What lies at such a place is whole and belongs to a row that waits, or is an orphan of a crash: those go at the next
//! start. In `receiving` nothing outlives the process.

use std::{
    fs, io,
    io::ErrorKind,
    path::{Path, PathBuf},
    sync::Arc,
};

use sha2::{Digest as _, Sha256};
use tokio::io::AsyncWriteExt as _;
use uuid::Uuid;
use wharf_domain::{ClientId, ConnectionKey, PhoneNumber};
use wharf_store::{Store, StoreError, private};

use super::ledger::{Held, Ledger};
use crate::GatewayError;

/// Where files are received.
const RECEIVING: &str = "receiving";
/// The directory of a client's files that go out.
const OUTGOING: &str = "outgoing";
/// What a file's pieces are gathered in before they are written.
const BUFFER: usize = 128 * 1024;

/// Where files that go out lie. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Outbound {
    root: Arc<Path>,
    ledger: Ledger,
}

/// A file that lies here until this is dropped.
#[derive(Debug)]
struct Lying(PathBuf);

impl Drop for Lying {
    fn drop(&mut self) {
        let _gone_already = fs::remove_file(&self.0);
    }
}

/// A file that is being received. What came is removed when this is dropped.
#[derive(Debug)]
pub struct Receiving {
    file: tokio::fs::File,
    lying: Lying,
    hash: Sha256,
    size: u64,
    most: u64,
    /// What it has of the client's quota.
    held: Option<Held>,
}

/// A file that was received; removed when this is dropped.
#[derive(Debug)]
pub struct ReceivedFile {
    lying: Lying,
    /// Bytes.
    pub size: u64,
    /// SHA-256.
    pub sha256: [u8; 32],
    /// Its bytes, held against the client's quota.
    held: Option<Held>,
}

impl Receiving {
    /// Begins a file of at most `most` bytes in a directory, for nobody in particular.
    ///
    /// # Errors
    /// What the system says.
    pub async fn begin(directory: &Path, most: u64) -> io::Result<Self> {
        private::make_directory(directory)?;
        let path = directory.join(Uuid::now_v7().simple().to_string());
        let mut file = tokio::fs::OpenOptions::from(private::options())
            .create_new(true)
            .open(&path)
            .await?;
        file.set_max_buf_size(BUFFER);
        Ok(Self {
            file,
            lying: Lying(path),
            hash: Sha256::new(),
            size: 0,
            most,
            held: None,
        })
    }

    /// Takes the next piece.
    ///
    /// # Errors
    /// `TooLarge`; `Conflict` when the client's files would come to more than they may; `Unavailable` for the disk.
    pub async fn take(&mut self, piece: &[u8]) -> Result<(), GatewayError> {
        let more = piece.len() as u64;
        if self.size.saturating_add(more) > self.most {
            let detail = format!("the file may have {} bytes at most", self.most);
            return Err(GatewayError::TooLarge(detail));
        }
        if let Some(held) = &mut self.held
            && !held.grow(more)
        {
            let detail =
                "this client has as many bytes of files as it may (media.max_bytes); it is to wait until some go";
            return Err(GatewayError::Conflict(detail.to_owned()));
        }
        self.hash.update(piece);
        self.size += more;
        self.file.write_all(piece).await.map_err(|error| disk(&error))
    }

    /// The file has ended.
    ///
    /// # Errors
    /// `Unavailable` for the disk.
    pub async fn finish(self) -> Result<ReceivedFile, GatewayError> {
        let Self {
            mut file,
            lying,
            hash,
            size,
            held,
            ..
        } = self;
        file.flush().await.map_err(|error| disk(&error))?;
        Ok(ReceivedFile {
            lying,
            size,
            sha256: hash.finalize().into(),
            held,
        })
    }
}

impl ReceivedFile {
    /// Where it lies.
    pub fn path(&self) -> &Path {
        &self.lying.0
    }

    /// What is held against the quota for it, for whoever keeps it on.
    pub(crate) fn take_held(&mut self) -> Option<Held> {
        self.held.take()
    }
}

/// A file that is to be sent cannot be written.
pub(crate) fn disk(error: &io::Error) -> GatewayError {
    tracing::error!(%error, "a file that is to be sent cannot be kept");
    GatewayError::Unavailable("the file cannot be kept here at present".to_owned())
}

/// The file of a message on its way out. Removed when this is dropped, unless it belongs to a row.
#[derive(Debug)]
pub(crate) struct KeptFile {
    path: PathBuf,
    /// The row that has it outlives this process.
    has_row: bool,
    held: Option<Held>,
}

impl KeptFile {
    /// Its bytes are held against the client's quota as long as it is here.
    pub(crate) fn hold(&mut self, held: Option<Held>) {
        self.held = held;
    }

    /// Where it lies.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Its row is committed, or on its way there: it stays for the next session, should this one end.
    pub(crate) fn belongs_to_row(&mut self) {
        self.has_row = true;
    }

    /// It is of no use any more.
    pub(crate) fn remove(mut self) {
        self.has_row = false;
    }
}

impl Drop for KeptFile {
    fn drop(&mut self) {
        if !self.has_row {
            let _gone_already = fs::remove_file(&self.path);
        }
    }
}

impl Outbound {
    pub(crate) fn new(root: PathBuf, ledger: Ledger) -> Self {
        Self {
            root: root.into(),
            ledger,
        }
    }

    /// Begins to receive a client's file of at most `most` bytes.
    ///
    /// # Errors
    /// `Unavailable` for the store or the disk.
    pub(crate) async fn receive(&self, store: &Store, client: ClientId, most: u64) -> Result<Receiving, GatewayError> {
        let held = self.ledger.room(store, client).await?;
        let directory = self.root.join(RECEIVING);
        let mut receiving = Receiving::begin(&directory, most).await.map_err(|error| disk(&error))?;
        receiving.held = Some(held);
        Ok(receiving)
    }

    /// Where a file is written before it is known to be whole.
    pub(crate) fn unfinished(&self) -> io::Result<PathBuf> {
        let directory = self.root.join(RECEIVING);
        private::make_directory(&directory)?;
        Ok(directory.join(Uuid::now_v7().simple().to_string()))
    }

    /// Where the file of a message lies, or would.
    pub(crate) fn path(&self, key: &ConnectionKey, message_id: &str) -> PathBuf {
        self.of_number(key).join(message_id)
    }

    fn of_number(&self, key: &ConnectionKey) -> PathBuf {
        let mut path = self.root.join(key.client_id.to_string());
        path.push(OUTGOING);
        path.push(key.phone_number.as_str());
        path
    }

    /// The file of a message, now that it lies at its place.
    pub(crate) fn kept(&self, key: &ConnectionKey, message_id: &str, held: Option<Held>) -> KeptFile {
        KeptFile {
            path: self.path(key, message_id),
            has_row: false,
            held,
        }
    }

    /// The file of a row that waited for this process, if there is one.
    pub(crate) fn found(&self, key: &ConnectionKey, message_id: &str) -> Option<KeptFile> {
        let size = fs::metadata(self.path(key, message_id)).ok()?.len();
        let held = self.ledger.take(key.client_id, size);
        let mut kept = self.kept(key, message_id, Some(held));
        kept.belongs_to_row();
        Some(kept)
    }

    /// Removes the files of a number whose connection is deleted.
    pub(crate) async fn forget(&self, key: &ConnectionKey) {
        let directory = self.of_number(key);
        let removed = tokio::fs::remove_dir_all(&directory).await;
        if let Err(error) = removed
            && error.kind() != ErrorKind::NotFound
        {
            tracing::warn!(number = %key.phone_number, %error, "files of a deleted connection could not be removed");
        }
    }

    /// Removes what a process before left: what it was receiving, and files whose messages do not wait.
    ///
    /// # Errors
    /// Of the store; files that cannot be removed are logged.
    pub(crate) async fn sweep(&self, store: &Store) -> Result<(), StoreError> {
        let _never_made = tokio::fs::remove_dir_all(self.root.join(RECEIVING)).await;
        for client in names(&self.root) {
            let Ok(client_id) = client.parse() else { continue };
            let client_id = ClientId(client_id);
            for number in names(&self.root.join(&client).join(OUTGOING)) {
                let Ok(phone_number) = number.parse::<PhoneNumber>() else {
                    continue;
                };
                let key = ConnectionKey {
                    client_id,
                    phone_number,
                };
                let waiting = store.queued_messages(&key).await?;
                for message_id in names(&self.of_number(&key)) {
                    if !waiting.iter().any(|row| row.message_id == message_id) {
                        let path = self.path(&key, &message_id);
                        tracing::info!(path = %path.display(), "a file whose message does not wait is removed");
                        let _logged = fs::remove_file(&path).inspect_err(|error| tracing::warn!(%error, "it stays"));
                    }
                }
            }
        }
        Ok(())
    }
}

/// What lies in a directory; nothing, if it cannot be read.
fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect()
}
