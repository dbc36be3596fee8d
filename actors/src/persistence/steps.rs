//! Work on many rows, which goes in steps.

use std::time::{Duration, Instant};

use wharf_domain::{ClientId, ConnectionKey, EventId, Timestamp, WebhookId, retention::Cutoffs};
use wharf_store::{Group, KeyRange, StoreError};

/// A work on many rows, which goes in steps.
#[derive(Debug, Clone)]
pub(crate) enum Work {
    /// The events that still wait for a deleted webhook end.
    SettleWebhook(WebhookId),
    /// The rows of a removed client go, after its sessions were logged out.
    PurgeClient(ClientId),
    /// What a device that is gone has left goes.
    LeftKeys(ConnectionKey),
    /// Keys of a device that go while it stays.
    Keys(ConnectionKey, KeyRange),
    /// The polls go that a number saw which is being deleted.
    Polls(ConnectionKey),
    /// The events at these places go, if they are as old as the cutoffs say.
    Events(Vec<i64>, Cutoffs),
    /// The sent messages at these places, likewise.
    Outgoing(Vec<i64>, Cutoffs),
    /// Webhooks go that were deleted and are empty.
    Webhooks(Vec<WebhookId>),
    /// Idempotency keys from before go.
    OldKeys(Timestamp),
    /// Polls from before go.
    OldPolls(Timestamp),
    /// The rows of media go whose files are gone.
    Media(Vec<EventId>),
    /// Files stay until then.
    NeededMedia(Vec<EventId>, Timestamp),
    /// The retention believes the clock.
    Seen(Timestamp),
    /// Free pages of the file go back to the disk.
    Space,
}

/// What a step of a work on many rows did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stepped {
    /// Nothing is left to do.
    pub(crate) over: bool,
    /// Rows that went, where they are counted.
    pub(crate) removed: u64,
    /// How long it held the writer. The sync that ends its group is not in it: that is the disk's, and due anyway.
    pub(crate) held: Duration,
}

/// One step, of `limit` rows (or pages) at the most.
pub(super) async fn step(group: &mut Group<'_>, work: &Work, limit: u32) -> Result<Stepped, StoreError> {
    let begun = Instant::now();
    let few = |removed: u64| (removed < u64::from(limit), removed);
    let (over, removed) = match work {
        Work::SettleWebhook(deleted) => (group.settle_webhook(*deleted, limit).await?, 0),
        Work::PurgeClient(client) => (group.purge_client(*client, limit).await?, 0),
        Work::LeftKeys(of) => (group.remove_left_keys(of, limit).await?, 0),
        Work::Keys(of, range) => few(group.remove_keys(of, range, limit).await?),
        Work::Polls(of) => few(group.forget_polls(of, limit).await?),
        Work::Events(seqs, cutoffs) => (true, group.purge_events(seqs, cutoffs).await?),
        Work::Outgoing(seqs, cutoffs) => (true, group.purge_outgoing(seqs, cutoffs).await?),
        Work::Webhooks(webhooks) => (true, group.purge_webhooks(webhooks).await?),
        Work::OldKeys(before) => few(group.purge_keys(*before, limit).await?),
        Work::OldPolls(before) => few(group.purge_polls(*before, limit).await?),
        Work::Media(media) => (true, group.purge_media(media).await?),
        Work::NeededMedia(media, until) => (true, group.prolong_media(media, *until).await.map(|_| 0)?),
        Work::Seen(at) => (true, group.note_retention(*at).await.map(|()| 0)?),
        Work::Space => (true, group.give_back(limit).await.map(|()| 0)?),
    };
    Ok(Stepped {
        over,
        removed,
        held: begun.elapsed(),
    })
}
