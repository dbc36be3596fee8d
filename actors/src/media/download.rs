//! One download: from WhatsApp's host through the decryptor onto the disk, then the commit that its event waits for.

use std::{panic::AssertUnwindSafe, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use futures::FutureExt as _;
use wharf_domain::{
    ClientId, EventId, download,
    message::{MediaEnd, MediaError, MediaReference, end_media},
};
use wharf_store::{DueMedia, MediaOutcome};
use wharf_whatsapp::{LostFile, media::MediaDecryptor};

use super::{files::KeepError, ledger::Held};
use crate::{
    clock,
    persistence::{Postponed, Write, WriteError},
    shared::Shared,
};

/// The pause before the store is asked again to take what became of a download.
const COMMIT_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// How long the phone may take to upload a file again. It may be off; the chat waits.
const REUPLOAD_DEADLINE: Duration = Duration::from_secs(20);

/// Makes one try and commits what became of it. Answers how long to wait for the next one, if there is to be one.
pub(super) async fn carry_out(shared: &Shared, due: &DueMedia) -> Option<Duration> {
    let tries = due.attempts.saturating_add(1);
    // Strangers wrote what is read here: a panic is a failure like any other, and the event must hear of it.
    let fetching = AssertUnwindSafe(Box::pin(fetch(shared, due, tries))).catch_unwind();
    let result = fetching.await.unwrap_or_else(|_| {
        tracing::error!(event = %due.id, "a download panicked");
        Err(MediaError::Storage)
    });
    if let Err(error) = result
        && let Some(wait) = download::wait(error, tries)
    {
        tracing::info!(event = %due.id, tries, error = error.as_str(), ?wait, "a download failed; it is tried again");
        let sealed = match error {
            MediaError::Gone => uploaded_again(shared, due).await,
            _ => None,
        };
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
        return Some(wait);
    }
    match result {
        Ok(bytes) => tracing::debug!(event = %due.id, bytes, "a file is here"),
        Err(error) => {
            tracing::warn!(event = %due.id, tries, error = error.as_str(), "a file is not here, and its event says so")
        }
    }
    while let Err(error) = end(shared, due.key.client_id, due.id, result).await {
        tracing::warn!(event = %due.id, %error, "the end of a download was not committed; trying again");
        tokio::time::sleep(COMMIT_AGAIN_AFTER).await;
    }
    None
}

/// Asks the account's phone for a file that WhatsApp's hosts do not have any more. Answers what its download needs now,
/// encrypted; `None` when the phone does not give it, or there is no link to ask it by.
async fn uploaded_again(shared: &Shared, due: &DueMedia) -> Option<Vec<u8>> {
    let message = due.message.as_ref()?;
    // Whoever opens or closes a link holds its place; there is none to ask by meanwhile.
    let link = shared.directory.link_slot(&due.key).try_lock().ok()?.clone()?;
    let reference = shared.vault.media().open(due.id, &due.sealed).ok()?;
    let file = LostFile {
        chat: message.chat.clone(),
        sender: message.sender.clone(),
        message_id: message.message_id.clone(),
        media_key: reference.media_key.clone(),
    };
    match link.upload_again(&file, REUPLOAD_DEADLINE).await {
        Ok(direct_path) => {
            let reference = MediaReference {
                direct_path,
                ..reference
            };
            shared.vault.media().seal(due.id, &reference).ok()
        }
        Err(error) => {
            tracing::info!(event = %due.id, %error, "a file that is gone was not uploaded again");
            None
        }
    }
}

async fn fetch(shared: &Shared, due: &DueMedia, tries: u32) -> Result<u64, MediaError> {
    let reference = shared.vault.media().open(due.id, &due.sealed).map_err(|error| {
        tracing::error!(event = %due.id, %error, "a file's key cannot be decrypted");
        MediaError::Storage
    })?;
    let decryptor = MediaDecryptor::new(&reference).map_err(|_| MediaError::Incomplete)?;
    let (reserved, room) = reserve(shared, due.key.client_id, reference.size).await?;
    let fetching = stream(shared, due, &reference, decryptor, room, tries);
    let fetched = tokio::time::timeout(download::deadline(reference.size), fetching).await;
    drop(reserved);
    fetched.unwrap_or(Err(MediaError::Unreachable))
}

/// Takes room for a file; answers how large it may be. A sender who says no size gets what is left.
async fn reserve(shared: &Shared, client: ClientId, size: u64) -> Result<(Held, u64), MediaError> {
    let most = match shared.settings.media.max_bytes {
        0 => u64::MAX,
        most => most,
    };
    let kept = shared.store.media_bytes(client).await.map_err(|error| {
        tracing::warn!(%client, %error, "cannot read how much media a client has");
        MediaError::Storage
    })?;
    let most = most.saturating_sub(kept);
    let left = most.saturating_sub(shared.media.ledger.held(client));
    let mut held = shared.media.ledger.hold(client);
    if left == 0 || !held.grow(size, most) {
        return Err(MediaError::Quota);
    }
    Ok((held, if size > 0 { size } else { left }))
}

async fn stream(
    shared: &Shared,
    due: &DueMedia,
    reference: &MediaReference,
    decryptor: MediaDecryptor,
    most: u64,
    tries: u32,
) -> Result<u64, MediaError> {
    let unreachable = |error: String| {
        tracing::debug!(event = %due.id, error, "a download broke off");
        MediaError::Unreachable
    };
    let mut coming = shared.media.source.open(&reference.direct_path, tries).await?;
    let writing = shared.media.files.write(due.key.client_id, due.id, decryptor, most);
    while let Some(piece) = coming.next().await.map_err(unreachable)? {
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
    let end = match result {
        Ok(size) => match inline(shared, client, id, size).await {
            Ok(inline) => MediaEnd::Kept { size, inline },
            Err(error) => {
                tracing::warn!(event = %id, %error, "a file cannot be read any more");
                result = Err(MediaError::Storage);
                MediaEnd::Failed(MediaError::Storage)
            }
        },
        Err(error) => MediaEnd::Failed(error),
    };
    let payload = shared.store.payload(id).await;
    let payload = payload.map_err(|error| WriteError::from_store(&error))?;
    let payload = payload.and_then(|payload| end_media(std::str::from_utf8(&payload).ok()?, &end));
    let outcome = MediaOutcome { id, result, payload };
    shared.persistence.commit(Write::EndMedia, outcome.into()).await
}

async fn inline(shared: &Shared, client: ClientId, id: EventId, size: u64) -> std::io::Result<Option<String>> {
    if size > shared.settings.media.inline_max_bytes {
        return Ok(None);
    }
    let bytes = shared.media.files.read(client, id).await?;
    Ok(Some(STANDARD.encode(bytes)))
}
