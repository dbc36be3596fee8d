//! The files themselves: `CLIENT/HOURS/EVENT` below the media directory, where HOURS is the beginning of the event's id,
//! which begins with its time, so that no directory grows without end.
//!
//! A file that is being written lies in `incoming` and is renamed when its hashes hold, so that whatever lies at its
//! place is whole.

use std::{
    fs, io,
    io::{ErrorKind, Write as _},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use thiserror::Error;
use tokio::{sync::mpsc, task::JoinHandle};
use uuid::Uuid;
use wharf_domain::{ClientId, EventId, Timestamp};
use wharf_store::{Store, private};
use wharf_whatsapp::media::{MediaDecryptor, MediaFault};

use crate::clock;

/// Where files are written.
const INCOMING: &str = "incoming";
/// Digits of an event's id that its directory is called by: the upper 24 bits of a time in milliseconds, some four and a half
/// hours.
const HOURS: usize = 6;
/// Pieces on their way to the disk: when it is slower than the network, the network waits.
const QUEUE: usize = 4;
/// What is decrypted in one go.
const PIECE: usize = 64 * 1024;

/// What files leave free of the disk: so much of it, or so many bytes where that is less.
const REST_SHARE: u64 = 50;
const REST_MOST: u64 = 256 << 20;

/// Why a file was not kept.
#[derive(Debug, Error)]
pub(crate) enum KeepError {
    /// It is not what the sender sent.
    #[error(transparent)]
    Fault(#[from] MediaFault),
    /// It is larger than the sender said, or than there is room for.
    #[error("the file is longer than {0} bytes")]
    TooLong(u64),
    /// The disk.
    #[error("{0}")]
    Disk(#[from] io::Error),
}

/// See the module. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct MediaFiles(Arc<Path>);

/// A file that is being written, decrypted on the way, in a thread of its own.
pub(crate) struct Writing {
    pieces: mpsc::Sender<Bytes>,
    ended: JoinHandle<Result<u64, KeepError>>,
}

impl Writing {
    /// Takes the next piece of the encrypted file; `false` when it is of no use any more.
    pub(crate) async fn take(&self, piece: Bytes) -> bool {
        self.pieces.send(piece).await.is_ok()
    }

    /// The encrypted file has ended: keeps it if it is whole. Answers its size.
    ///
    /// # Errors
    /// `KeepError`; nothing is left of it then. Neither is when this is dropped instead: what came is not whole.
    pub(crate) async fn finish(self) -> Result<u64, KeepError> {
        drop(self.pieces);
        let ended = self.ended.await;
        ended.unwrap_or_else(|panicked| Err(io::Error::other(panicked.to_string()).into()))
    }
}

impl MediaFiles {
    pub(crate) fn new(root: PathBuf) -> Self {
        Self(root.into())
    }

    /// Where a file lies, or would.
    pub(crate) fn path(&self, client: ClientId, id: EventId) -> PathBuf {
        let name = id.0.simple().to_string();
        let mut path = self.0.join(client.to_string());
        path.push(&name[..HOURS]);
        path.push(name);
        path
    }

    /// Whether the disk has room for so many bytes more, with a rest for the database, which may lie there, too. What cannot be
    /// found out shows when the file is written.
    pub(crate) async fn has_room(&self, bytes: u64) -> bool {
        let root = Arc::clone(&self.0);
        let disk = blocking(move || rustix::fs::statvfs(&*root).ok()).await.flatten();
        disk.is_none_or(|disk| {
            let rest = (disk.f_blocks / REST_SHARE)
                .saturating_mul(disk.f_frsize)
                .min(REST_MOST);
            let free = disk.f_bavail.saturating_mul(disk.f_frsize);
            let has_room = bytes.saturating_add(rest) <= free;
            if !has_room {
                tracing::warn!(
                    bytes,
                    free,
                    "the disk has no room for a file that came; it is fetched when there is some"
                );
            }
            has_room
        })
    }

    /// Begins to write a file of at most `most` bytes.
    pub(crate) fn write(&self, client: ClientId, id: EventId, decryptor: MediaDecryptor, most: u64) -> Writing {
        let (pieces, coming) = mpsc::channel(QUEUE);
        // Each try for itself: the thread of one that broke off may still be at it.
        let unfinished = format!("{}-{}", id.0.simple(), Uuid::now_v7().simple());
        let unfinished = self.0.join(INCOMING).join(unfinished);
        let place = self.path(client, id);
        let ended = tokio::task::spawn_blocking(move || {
            let kept = write(coming, &unfinished, &place, decryptor, most);
            if kept.is_err() {
                let _never_made = fs::remove_file(&unfinished);
            }
            kept
        });
        Writing { pieces, ended }
    }

    /// Removes what earlier downloads left behind.
    pub(crate) async fn clear_unfinished(&self) {
        let incoming = self.0.join(INCOMING);
        blocking(move || match fs::remove_dir_all(&incoming) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                tracing::warn!(directory = %incoming.display(), %error, "unfinished downloads could not be removed");
            }
            _ => {}
        })
        .await;
    }

    /// Removes what is left of clients that are not there any more: a process may end between the commit that removes the
    /// last row of a client and the removal of its files. Asked for who is there after the directories were read: ids are
    /// never given out again, and one who came since has none yet.
    pub(crate) async fn clear_departed(&self, store: &Store) {
        let root = Arc::clone(&self.0);
        let named = blocking(move || {
            let entries = fs::read_dir(&root).into_iter().flatten().flatten();
            let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
            names
                .filter_map(|name| name.parse().ok().map(ClientId))
                .collect::<Vec<_>>()
        });
        let named = named.await.unwrap_or_default();
        let (there, leaving) = match (store.clients().await, store.removed_clients().await) {
            (Ok(there), Ok(leaving)) => (there, leaving),
            (Err(error), _) | (_, Err(error)) => {
                tracing::warn!(%error, "cannot read whose files are kept; the next start looks again");
                return;
            }
        };
        for client in named {
            if !leaving.contains(&client) && !there.iter().any(|known| known.id == client) {
                tracing::info!(%client, "files of a client that is gone are removed");
                self.forget(client).await;
            }
        }
    }

    /// Removes the files of messages that came longer than `keep` ago and of which no row knows, as after an older database was put
    /// back. There are few so old else: rows go with their files when their time has passed.
    pub(crate) async fn clear_unknown(&self, store: &Store, keep: Duration) {
        let root = Arc::clone(&self.0);
        let now = clock::now();
        let old = blocking(move || old_files(&root, |hours| hours + keep < now))
            .await
            .unwrap_or_default();
        for (client, id) in old {
            match store.media(client, id).await {
                Ok(Some(_)) => {}
                Ok(None) => {
                    tracing::info!(%client, event = %id, "a file that no row knows of is removed");
                    self.remove(&[(client, id)]).await;
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot read which files are known; the next start looks again");
                    return;
                }
            }
        }
    }

    /// Removes files; answers those that are gone. One that was not there is, and one that stays is in the log.
    pub(crate) async fn remove(&self, files: &[(ClientId, EventId)]) -> Vec<EventId> {
        let files: Vec<_> = files
            .iter()
            .map(|(client, id)| (*id, self.path(*client, *id)))
            .collect();
        let removed = blocking(move || {
            let gone = files.into_iter().filter(|(_, path)| remove(path));
            gone.map(|(id, _)| id).collect()
        });
        removed.await.unwrap_or_default()
    }

    /// Removes all files of a client.
    pub(crate) async fn forget(&self, client: ClientId) {
        let directory = self.0.join(client.to_string());
        blocking(move || match fs::remove_dir_all(&directory) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                tracing::warn!(%client, %error, "a removed client's files could not be removed");
            }
            _ => {}
        })
        .await;
    }

    /// The whole of a small file.
    ///
    /// # Errors
    /// What the system says.
    pub(crate) async fn read(&self, client: ClientId, id: EventId) -> io::Result<Vec<u8>> {
        tokio::fs::read(self.path(client, id)).await
    }
}

/// Files in directories of hours with such an end.
fn old_files(root: &Path, is_old: impl Fn(Timestamp) -> bool) -> Vec<(ClientId, EventId)> {
    let named = |directory: &Path| {
        let entries = fs::read_dir(directory).into_iter().flatten().flatten();
        entries.filter_map(|entry| Some((entry.path(), entry.file_name().into_string().ok()?)))
    };
    let mut old = Vec::new();
    for (directory, client) in named(root) {
        let Ok(client) = client.parse().map(ClientId) else {
            continue;
        };
        for (directory, hours) in named(&directory) {
            let end = i64::from_str_radix(&hours, 16).map(|hours| Timestamp((hours + 1) << 24));
            if hours.len() != HOURS || !end.is_ok_and(&is_old) {
                continue;
            }
            let files = named(&directory).filter_map(|(_, name)| name.parse().ok());
            old.extend(files.map(|id| (client, EventId(id))));
        }
    }
    old
}

/// Whether a file is gone, and with the last one in it its directory.
fn remove(path: &Path) -> bool {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            tracing::warn!(file = %path.display(), %error, "a file of media could not be removed");
            return false;
        }
        _ => {}
    }
    if let Some(parent) = path.parent() {
        let _has_others = fs::remove_dir(parent);
    }
    true
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    tokio::task::spawn_blocking(work).await.ok()
}

fn write(
    mut coming: mpsc::Receiver<Bytes>,
    unfinished: &Path,
    place: &Path,
    mut decryptor: MediaDecryptor,
    most: u64,
) -> Result<u64, KeepError> {
    make_directory_of(unfinished)?;
    let mut file = private::options().create(true).truncate(true).open(unfinished)?;
    let (mut plain, mut written) = (Vec::with_capacity(PIECE), 0_u64);
    while let Some(bytes) = coming.blocking_recv() {
        for piece in bytes.chunks(PIECE) {
            plain.clear();
            decryptor.update(piece, &mut plain);
            written += plain.len() as u64;
            if written > most {
                return Err(KeepError::TooLong(most));
            }
            file.write_all(&plain)?;
        }
    }
    plain.clear();
    let size = decryptor.finish(&mut plain)?;
    if size > most {
        return Err(KeepError::TooLong(most));
    }
    file.write_all(&plain)?;
    // On the disk before the commit that says so.
    file.sync_all()?;
    make_directory_of(place)?;
    fs::rename(unfinished, place)?;
    if let Some(parent) = place.parent() {
        fs::File::open(parent)?.sync_all()?;
    }
    Ok(size)
}

/// Makes the directory that a file is to lie in.
pub(super) fn make_directory_of(file: &Path) -> io::Result<()> {
    file.parent().map_or(Ok(()), private::make_directory)
}

#[cfg(test)]
mod tests {
    use wharf_domain::message::{MediaKind, MediaReference};
    use wharf_whatsapp::media::encrypt;

    use super::*;

    const CLIENT: ClientId = ClientId(1);

    /// A file as its host has it, and what decrypts it.
    fn encrypted(plain: &[u8]) -> (Vec<u8>, MediaReference) {
        let mut file = Vec::new();
        let made = encrypt(MediaKind::Image, plain, &mut file).unwrap();
        let reference = made.reference(MediaKind::Image, String::new());
        (file, reference)
    }

    #[tokio::test]
    async fn a_disk_has_room_for_what_fits() {
        let root = tempfile::tempdir().unwrap();
        let files = MediaFiles::new(root.path().to_owned());
        assert!(files.has_room(1).await);
        assert!(!files.has_room(u64::MAX).await && !files.has_room(u64::MAX / 2).await);
        let nowhere = MediaFiles::new(root.path().join("nothing"));
        assert!(nowhere.has_room(u64::MAX).await, "shows when it is written");
    }

    #[tokio::test]
    async fn a_try_that_broke_off_takes_nothing_from_the_next() {
        let root = tempfile::tempdir().unwrap();
        let files = MediaFiles::new(root.path().join("media"));
        let (bytes, reference) = encrypted(&[7; 5000]);
        let id = EventId(Uuid::now_v7());
        let begin = || files.write(CLIENT, id, MediaDecryptor::new(&reference).unwrap(), 5000);
        let (half, rest) = bytes.split_at(2500);
        let broken_off = begin();
        assert!(broken_off.take(Bytes::copy_from_slice(half)).await);
        let next = begin();
        assert!(next.take(Bytes::copy_from_slice(half)).await);
        assert!(broken_off.finish().await.is_err());
        assert!(next.take(Bytes::copy_from_slice(rest)).await);
        assert_eq!(next.finish().await.unwrap(), 5000);
        assert_eq!(files.read(CLIENT, id).await.unwrap(), [7; 5000]);
        assert_eq!(
            fs::read_dir(root.path().join("media").join(INCOMING)).unwrap().count(),
            0
        );
    }
}
