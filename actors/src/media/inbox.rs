//! What the inbox does with a message that has a file, before it is committed: the link is written into it, and what the
//! download needs goes into the row, encrypted.

use wharf_domain::{
    ClientId, ConnectionKey, EventId, IncomingMessage, Timestamp,
    media_link::{MediaLink, PublicUrl, file_name},
    message::{AwaitedMedia, MediaError},
};

use crate::shared::Shared;

/// Readies a message for its commit.
pub(crate) fn prepare(
    shared: &Shared,
    key: &ConnectionKey,
    event_id: EventId,
    message: &mut IncomingMessage,
    now: Timestamp,
) {
    let settings = &shared.settings.media;
    let Some(base) = settings.public_url.as_ref().filter(|_| settings.download) else {
        return;
    };
    let Some(media) = message.media_mut() else { return };
    let Some(reference) = media.reference.take() else {
        media.error = Some(MediaError::Incomplete);
        return;
    };
    let sealed = match shared.vault.media().seal(event_id, &reference) {
        Ok(sealed) => sealed,
        Err(error) => {
            tracing::error!(event = %event_id, %error, "a file's key could not be encrypted");
            media.error = Some(MediaError::Storage);
            return;
        }
    };
    let named = file_name(media.file_name.as_deref(), &media.mime_type);
    let (url, expires_at) = link(shared, base, (key.client_id, event_id), named, now);
    media.url = Some(url);
    media.expires_at = Some(expires_at);
    media.awaited = Some(Box::new(AwaitedMedia { sealed, expires_at }));
}

/// A link to a file that is good for the whole time from `now` on, and its end.
pub(super) fn link(
    shared: &Shared,
    base: &PublicUrl,
    (client_id, event_id): (ClientId, EventId),
    file_name: String,
    now: Timestamp,
) -> (String, Timestamp) {
    // A link says whole seconds.
    let expires_at = Timestamp::from_seconds((now + shared.settings.media.keep).seconds());
    let link = MediaLink {
        client_id,
        event_id,
        file_name,
        expires: expires_at.seconds(),
    };
    (link.url(base, shared.vault.media().link_key()), expires_at)
}
