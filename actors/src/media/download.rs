//! One download: from WhatsApp's host through the decryptor onto the disk, then the commit that its event waits for.

use std::{
    io::{self, ErrorKind},
    panic::AssertUnwindSafe,
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use futures::FutureExt as _;
use serde_json::Value;
use wharf_domain::{
    ClientId, EventId, Timestamp, download,
    download::WhenGone,
    media_link::file_name,
    message::{Asked, MediaEnd, MediaError, MediaReference, end_media, is_update_chat},
    outgoing::STATUS,
};
use wharf_store::{DueMedia, MediaOutcome, StoreError};
use wharf_whatsapp::{LostFile, ReuploadError, media::MediaDecryptor};

use super::{files::KeepError, inbox::link, ledger::Held, way::NoProxy};
use crate::{
    clock,
    persistence::{Postponed, Write, WriteError, insist},
    shared::Shared,
    web::{download::MediaStream, way::Way},
};

/// How long the phone may take to upload a file again. It may be off; the chat waits.
const REUPLOAD_DEADLINE: Duration = Duration::from_secs(20);

/// What follows a try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum After {
    /// Nothing: its end is committed.
    Over,
    /// Another one, after so long.
    Again(Duration),
    /// Nothing before the next start: the store will never take its end.
    LeftOut,
}

/// Makes one try and commits what became of it. Calls `asks` when the phone is asked, whose answer takes its time.
pub(super) async fn carry_out(shared: &Shared, due: &DueMedia, asks: impl FnOnce()) -> After {
    let tries = due.attempts.saturating_add(1);
    // Strangers wrote what is read here: a panic is a failure like any other, and the event must hear of it.
    let fetching = AssertUnwindSafe(Box::pin(fetch(shared, due, tries))).catch_unwind();
    let result = fetching.await.unwrap_or_else(|_| {
        tracing::error!(event = %due.id, "a download panicked");
        Err(MediaError::Corrupt)
    });
    let (result, held) = match result {
        Ok((size, held)) => (Ok(size), Some(held)),
        Err(error) => (Err(error), None),
    };
    if let Err(error) = result
        && let Some(wait) = download::wait(error, tries)
        && let Some(sealed) = sealed_anew(shared, due, error, asks).await
    {
        tracing::info!(event = %due.id, tries, error = error.as_str(), ?wait, "a download failed; it is tried again");
        let postponed = Postponed {
            id: due.id,
            attempts: tries,
            due_at: clock::now() + wait,
            sealed,
        };
        if let Err(error) = shared.persistence.commit(Write::PostponeMedia, postponed).await {
            // It is counted as the same try; the store says that it is due now.
            tracing::warn!(event = %due.id, %error, "a failed download was not committed");
            tokio::time::sleep(wait).await;
        }
        return After::Again(wait);
    }
    match result {
        Ok(bytes) => tracing::debug!(event = %due.id, bytes, "a file is here"),
        Err(error) => {
            tracing::warn!(event = %due.id, tries, error = error.as_str(), "a file is not here, and its event says so")
        }
    }
    let again = |error: &WriteError| {
        tracing::warn!(event = %due.id, %error, "the end of a download was not committed; trying again");
        true
    };
    if let Err(error) = insist(again, || end(shared, due.key.client_id, due.id, result)).await {
        tracing::error!(event = %due.id, %error, "the end of a download cannot be committed; it and its event wait for the next start");
        return After::LeftOut;
    }
    if let (Ok(size), Some(held)) = (result, held) {
        held.kept(size);
        remove_unowned(shared, due).await;
    }
    After::Over
}

/// Its client may have been removed while the file came: the client's directory went before the file was laid into it anew, and
/// without a row nobody would ever remove it.
async fn remove_unowned(shared: &Shared, due: &DueMedia) {
    let client = due.key.client_id;
    if let Ok(None) = shared.store.media(client, due.id).await {
        tracing::info!(%client, event = %due.id, "a file came for a client that is gone; it is removed");
        shared.media.files.remove(&[(client, due.id)]).await;
    }
}

/// What the next try needs, encrypted, where that is something else than what this one had. `None`: there is to be no other try,
/// since WhatsApp does not have the file any more and the phone does not give it.
async fn sealed_anew(
    shared: &Shared,
    due: &DueMedia,
    error: MediaError,
    asks: impl FnOnce(),
) -> Option<Option<Vec<u8>>> {
    if error != MediaError::Gone {
        return Some(None);
    }
    let reference = shared.vault.media().open(due.id, &due.sealed).ok()?;
    let next = match download::when_gone(reference.asked) {
        WhenGone::End => return None,
        WhenGone::OtherHost(asked) => MediaReference { asked, ..reference },
        WhenGone::Ask => match ask(shared, due, &reference, asks).await {
            Ok(direct_path) => MediaReference {
                direct_path,
                asked: Asked::Uploaded,
                ..reference
            },
            Err(error) => {
                tracing::info!(event = %due.id, %error, "a file that is gone was not uploaded again");
                match error {
                    // A phone that is off keeps its chat waiting each time that it is asked.
                    ReuploadError::Refused(_) | ReuploadError::TimedOut(_) => MediaReference {
                        asked: Asked::Refused,
                        ..reference
                    },
                    // There may be a link at the next try.
                    ReuploadError::NotConnected => return Some(None),
                }
            }
        },
    };
    Some(shared.vault.media().seal(due.id, &next).ok())
}

/// Asks the account's phone for a file that WhatsApp's hosts do not have any more. Answers its new path on them.
async fn ask(
    shared: &Shared,
    due: &DueMedia,
    reference: &MediaReference,
    asks: impl FnOnce(),
) -> Result<String, ReuploadError> {
    let message = due.message.as_ref();
    let message = message.ok_or_else(|| ReuploadError::Refused("its message is not kept any more".to_owned()))?;
    // Whoever opens or closes a link holds its place; there is none to ask by meanwhile.
    let slot = shared.directory.known_link_slot(&due.key);
    let link = slot.and_then(|slot| slot.try_lock().ok()?.clone());
    let link = link.ok_or(ReuploadError::NotConnected)?;
    let file = LostFile {
        chat: match is_update_chat(&message.chat) {
            true => STATUS.to_owned(),
            false => message.chat.clone(),
        },
        sender: message.sender.clone(),
        message_id: message.message_id.clone(),
        media_key: reference.media_key.clone(),
    };
    asks();
    link.upload_again(&file, REUPLOAD_DEADLINE).await
}

/// Answers the file's size, and what is held for it until the store counts it.
async fn fetch(shared: &Shared, due: &DueMedia, tries: u32) -> Result<(u64, Held), MediaError> {
    let reference = shared.vault.media().open(due.id, &due.sealed).map_err(|error| {
        tracing::error!(event = %due.id, %error, "a file's key cannot be decrypted");
        MediaError::Incomplete
    })?;
    let decryptor = MediaDecryptor::new(&reference).map_err(|_| MediaError::Incomplete)?;
    // A client that is full asks WhatsApp for nothing.
    let mut held = room(shared, due.key.client_id).await?;
    if held.left() == 0 {
        return Err(MediaError::Quota);
    }
    let way = way(shared, due, &reference).await?;
    let opening = shared.media.source.open(&way, &reference.direct_path, tries);
    let coming = in_time(None, opening).await?;
    let size = largest(reference.size, coming.length());
    // One of which nobody says how large it is takes room as it comes: all that there is would be none for others.
    if held.left() == 0 || !held.grow(size.unwrap_or(0)) {
        return Err(MediaError::Quota);
    }
    // What the client has room for may be more than the disk has. The next try would begin anew, and the last pages are the database's.
    if !shared.media.files.has_room(size.unwrap_or(0)).await {
        return Err(MediaError::Storage);
    }
    let streaming = stream(shared, due, coming, decryptor, (size, &mut held));
    let size = in_time(size, streaming).await?;
    Ok((size, held))
}

/// Has `work` end within the time for a file of `size`.
async fn in_time<T>(size: Option<u64>, work: impl Future<Output = Result<T, MediaError>>) -> Result<T, MediaError> {
    let done = tokio::time::timeout(download::deadline(size), work).await;
    done.unwrap_or(Err(MediaError::Unreachable))
}

/// The way that a file is fetched by: the one that its number goes by now.
async fn way(shared: &Shared, due: &DueMedia, reference: &MediaReference) -> Result<Way, MediaError> {
    match shared.way(&due.key).await {
        Ok(Some(way)) => Ok(way),
        // Its connection was deleted, and the proxy with it.
        Ok(None) if reference.by_proxy => Err(MediaError::ProxyFailed),
        Ok(None) => Ok(Way {
            key: due.key.clone(),
            proxy: None,
        }),
        Err(error) => {
            tracing::warn!(event = %due.id, %error, "nothing says by which way a file is to be fetched");
            Err(match error {
                NoProxy::Sealed(_) => MediaError::ProxyFailed,
                NoProxy::Store(_) => MediaError::Storage,
            })
        }
    }
}

/// How large a file can be at the most: as its sender says, and as its host does, which has it encrypted. A sender may say
/// anything: more than there is would take the room of others' files, and nothing would take none. `None`: nobody says it.
fn largest(said: u64, coming: Option<u64>) -> Option<u64> {
    [Some(said).filter(|size| *size > 0), coming]
        .into_iter()
        .flatten()
        .min()
}

async fn room(shared: &Shared, client: ClientId) -> Result<Held, MediaError> {
    shared.media.ledger.room(&shared.store, client).await.map_err(|error| {
        tracing::warn!(%client, %error, "cannot read how much media a client has");
        MediaError::Storage
    })
}

async fn stream(
    shared: &Shared,
    due: &DueMedia,
    mut coming: MediaStream,
    decryptor: MediaDecryptor,
    (size, held): (Option<u64>, &mut Held),
) -> Result<u64, MediaError> {
    let unreachable = |error: String| {
        tracing::debug!(event = %due.id, error, "a download broke off");
        MediaError::Unreachable
    };
    let most = size.unwrap_or(u64::MAX);
    let writing = shared.media.files.write(due.key.client_id, due.id, decryptor, most);
    while let Some(piece) = coming.next().await.map_err(unreachable)? {
        if size.is_none() && !held.grow(piece.len() as u64) {
            return Err(MediaError::Quota);
        }
        if !writing.take(piece).await {
            break;
        }
    }
    writing.finish().await.map_err(|error| {
        tracing::warn!(event = %due.id, %error, "a file could not be kept");
        match error {
            KeepError::Fault(_) | KeepError::TooLong(_) => MediaError::Corrupt,
            KeepError::Disk(_) => MediaError::Storage,
        }
    })
}

/// Commits what became of a download; its event goes out.
async fn end(
    shared: &Shared,
    client: ClientId,
    id: EventId,
    mut result: Result<u64, MediaError>,
) -> Result<(), WriteError> {
    let payload = shared.store.payload(id).await?.unwrap_or_default();
    let payload = String::from_utf8_lossy(&payload);
    let end = match result {
        Ok(size) => match inline(shared, client, id, size).await {
            Ok(inline) => MediaEnd::Kept {
                size,
                link: match inline {
                    Some(_) => None,
                    None => link_anew(shared, client, id, &payload).await?,
                },
                inline,
            },
            Err(error) => {
                result = Err(error);
                MediaEnd::Failed(error)
            }
        },
        Err(error) => MediaEnd::Failed(error),
    };
    let expires_at = match &end {
        MediaEnd::Kept { link, .. } => link.as_ref().map(|(_, expires_at)| *expires_at),
        MediaEnd::Failed(_) => None,
    };
    let outcome = MediaOutcome {
        id,
        result,
        payload: end_media(&payload, &end),
        expires_at,
    };
    shared.persistence.commit(Write::EndMedia, outcome.into()).await
}

/// Another link for a file that came late, as after days without this server: the one that was made when its message came has
/// lost half of its time or all of it. It has been in the payload since, so that it stays good as long as it was to be.
async fn link_anew(
    shared: &Shared,
    client: ClientId,
    id: EventId,
    payload: &str,
) -> Result<Option<(String, Timestamp)>, StoreError> {
    let (settings, now) = (&shared.settings.media, clock::now());
    let row = shared.store.media(client, id).await?;
    let late = row.filter(|row| row.expires_at.since(now) < settings.keep / 2);
    let (Some(row), Some(base)) = (late, &settings.public_url) else {
        return Ok(None);
    };
    let Ok(body) = serde_json::from_str::<Value>(payload) else {
        return Ok(None);
    };
    let named = file_name(body["media"]["file_name"].as_str(), &row.mime_type);
    Ok(Some(link(shared, base, (client, id), named, now)))
}

async fn inline(shared: &Shared, client: ClientId, id: EventId, size: u64) -> Result<Option<String>, MediaError> {
    if size > shared.settings.media.inline_max_bytes {
        return Ok(None);
    }
    let read = shared.media.files.read(client, id).await;
    if let Err(error) = &read {
        tracing::warn!(event = %id, %error, "a file cannot be read back");
    }
    inline_of(read)
}

/// One that cannot be read at present is here all the same, and has its link.
fn inline_of(read: io::Result<Vec<u8>>) -> Result<Option<String>, MediaError> {
    match read {
        Ok(bytes) => Ok(Some(STANDARD.encode(bytes))),
        Err(error) if error.kind() == ErrorKind::NotFound => Err(MediaError::Storage),
        Err(_) => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_cannot_be_read_back_has_its_link() {
        let error = |kind: ErrorKind| inline_of(Err(kind.into()));
        assert_eq!(inline_of(Ok(b"hi".to_vec())), Ok(Some("aGk=".to_owned())));
        assert_eq!(error(ErrorKind::NotFound), Err(MediaError::Storage));
        for passing in [ErrorKind::Other, ErrorKind::PermissionDenied, ErrorKind::TimedOut] {
            assert_eq!(error(passing), Ok(None));
        }
    }
}
