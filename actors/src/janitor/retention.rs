//! The retention: what is old enough goes, in steps with pauses, so that live traffic has the writer.

use std::time::{Duration, Instant};

use wharf_domain::{
    Timestamp,
    retention::{ClockWatch, Cutoffs, StepPace, Visited, Walk, fitting},
};

use crate::{
    persistence::{Stepped, Work, Write, WriteError},
    shared::Shared,
};

/// Events and messages looked at in one go, by a reader. Also what one step removes at the most, by its weight.
const VISIT: usize = 1000;
/// Pages given back in one step, at the most.
const PAGES: usize = 1000;
/// Sizes to begin with, before it is known what a step takes here.
const FIRST_STEP: usize = 64;
/// Keys and webhooks removed in one step.
const SMALL_STEP: u32 = 100;
/// An `Idempotency-Key` is honoured for this long (CONTRACT.md section 2).
const DAY: Duration = wharf_store::KEY_LIFETIME;
/// A file of which less than this share is free keeps that for the events to come.
const FREE_SHARE: u64 = 10;

/// The pause after rows of which none goes: a day's walk may pass millions.
const LOOK_PAUSE: Duration = Duration::from_millis(10);

/// A step that removes has pauses of its own.
async fn rest_after(condemned: &[Visited]) {
    if condemned.is_empty() {
        tokio::time::sleep(LOOK_PAUSE).await;
    }
}

/// What a round did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Report {
    /// Events that went.
    pub(crate) events: u64,
    /// Deleted webhooks that went.
    pub(crate) webhooks: u64,
    /// Idempotency keys that went.
    pub(crate) keys: u64,
    /// Polls that went.
    pub(crate) polls: u64,
    /// Sent messages that went.
    pub(crate) outgoing: u64,
    /// Files of media that went.
    pub(crate) media: u64,
    /// Steps taken.
    pub(crate) steps: u64,
    /// How long the longest of them held the writer.
    pub(crate) longest: Duration,
}

/// What the janitor remembers between rounds; a new one begins at the oldest event and the oldest message.
pub(crate) struct Retention {
    walk: Walk,
    walk_began: Option<Instant>,
    /// The last sent message that was looked at; none: from the oldest on.
    sent: Option<Visited>,
    removing: StepPace,
    giving_back: StepPace,
    watch: ClockWatch,
    started: Instant,
}

impl Default for Retention {
    fn default() -> Self {
        Self {
            walk: Walk::default(),
            walk_began: None,
            sent: None,
            removing: StepPace::new(FIRST_STEP, VISIT),
            giving_back: StepPace::new(FIRST_STEP, PAGES),
            watch: ClockWatch::default(),
            started: Instant::now(),
        }
    }
}

impl Retention {
    /// One round.
    ///
    /// # Errors
    /// `WriteError` when the store cannot be read or written; the next round goes on where this one was.
    pub(crate) async fn round(&mut self, shared: &Shared, now: Timestamp) -> Result<Report, WriteError> {
        let mut report = Report::default();
        let seen_at = shared.store.retention_seen_at().await?;
        if !self.watch.believes(seen_at, now, self.started.elapsed()) {
            tracing::warn!(
                ?seen_at,
                ?now,
                "the clock has leapt ahead; nothing is removed for a day of it"
            );
            return Ok(report);
        }
        step(shared, Work::Seen(now), 1, &mut report).await?;
        report.keys = all_of(shared, Work::OldKeys(now - DAY), &mut report).await?;
        let old_polls = Work::OldPolls(now - wharf_store::POLL_LIFETIME);
        report.polls = all_of(shared, old_polls, &mut report).await?;
        report.media = media(shared, now, &mut report).await?;
        let keep = shared.settings.keep;
        if keep.delivered.is_some() || keep.failed.is_some() {
            if self.walk_began.is_none_or(|began| began.elapsed() >= keep.anew_every) {
                self.walk.begin_anew();
                (self.sent, self.walk_began) = (None, Some(Instant::now()));
            }
            report.outgoing = self.outgoing(shared, &keep.cutoffs(now), &mut report).await?;
            report.events = self.events(shared, now, &keep.cutoffs(now), &mut report).await?;
        }
        report.webhooks = webhooks(shared, now, &mut report).await?;
        self.space(shared, &mut report).await?;
        if report.events + report.webhooks + report.outgoing + report.media > 0 {
            tracing::info!(?report, "what was old enough is removed");
        }
        Ok(report)
    }

    async fn events(
        &mut self,
        shared: &Shared,
        now: Timestamp,
        cutoffs: &Cutoffs,
        report: &mut Report,
    ) -> Result<u64, WriteError> {
        let mut removed = 0;
        loop {
            let before = self.walk.clone();
            let rows = shared.store.visit_events(self.walk.place(), VISIT).await?;
            let (condemned, over) = self.walk.step(&rows, VISIT, cutoffs, now);
            match self.remove(shared, Work::Events, &condemned, cutoffs, report).await {
                Ok(events) => removed += events,
                Err(error) => {
                    self.walk = before;
                    return Err(error);
                }
            }
            if over {
                return Ok(removed);
            }
            rest_after(&condemned).await;
        }
    }

    /// Messages that were sent, in the order of their age: all that is old enough is looked at once, and what stays of it (failed
    /// ones, those that wait) is met again when the walk begins anew.
    async fn outgoing(&mut self, shared: &Shared, cutoffs: &Cutoffs, report: &mut Report) -> Result<u64, WriteError> {
        let mut removed = 0;
        loop {
            let rows = shared.store.visit_outgoing(self.sent, cutoffs, VISIT).await?;
            let condemned = rows.iter().filter(|row| cutoffs.condemn(row.status, row.created_at));
            let condemned: Vec<Visited> = condemned.copied().collect();
            removed += self.remove(shared, Work::Outgoing, &condemned, cutoffs, report).await?;
            self.sent = rows.last().copied().or(self.sent);
            if rows.len() < VISIT {
                return Ok(removed);
            }
            rest_after(&condemned).await;
        }
    }

    /// Removes these, of what `verb` says.
    async fn remove(
        &mut self,
        shared: &Shared,
        verb: fn(Vec<i64>, Cutoffs) -> Work,
        mut rows: &[Visited],
        cutoffs: &Cutoffs,
        report: &mut Report,
    ) -> Result<u64, WriteError> {
        let mut removed = 0;
        while !rows.is_empty() {
            let (taken, weight) = fitting(rows.iter().map(|row| row.weight), self.removing.size());
            let (now, later) = rows.split_at(taken);
            let seqs = now.iter().map(|row| row.seq).collect();
            let stepped = commit(shared, verb(seqs, *cutoffs), most(weight), report).await?;
            // A step that had much less to do than it might is no reason to take more on.
            let full = weight > self.removing.size() / 2;
            let mut pace = self.removing;
            let pause = pace.took(stepped.held);
            if full || pace.size() < self.removing.size() {
                self.removing = pace;
            }
            removed += stepped.removed;
            rows = later;
            tokio::time::sleep(pause).await;
        }
        Ok(removed)
    }

    /// Gives free pages back to the disk, but for a share of the file that the next events will need.
    async fn space(&mut self, shared: &Shared, report: &mut Report) -> Result<(), WriteError> {
        let mut free_before = u64::MAX;
        loop {
            let space = shared.store.space().await?;
            let kept = space.pages / FREE_SHARE;
            // Also ends when nothing moves: another program may read an old state of the file.
            if !space.shrinks || space.free <= kept || space.free >= free_before {
                return Ok(());
            }
            free_before = space.free;
            let pages = u32::try_from(space.free - kept).unwrap_or(u32::MAX);
            let pages = pages.min(most(self.giving_back.size()));
            let stepped = commit(shared, Work::Space, pages, report).await?;
            tokio::time::sleep(self.giving_back.took(stepped.held)).await;
        }
    }
}

/// Repeats one of the small steps until it finds less than it may take.
async fn all_of(shared: &Shared, what: Work, report: &mut Report) -> Result<u64, WriteError> {
    let mut removed = 0;
    loop {
        let gone = step(shared, what.clone(), SMALL_STEP, report).await?;
        removed += gone;
        if gone < u64::from(SMALL_STEP) {
            return Ok(removed);
        }
    }
}

/// Files whose time has passed: the files first, so that none is left that no row knows of. One that cannot be removed keeps its
/// row, for the next round. One whose event still waits stays, and for a day behind it.
async fn media(shared: &Shared, now: Timestamp, report: &mut Report) -> Result<u64, WriteError> {
    let (mut removed, mut after) = (0, None);
    let time_to_fetch = shared.settings.media.time_to_fetch;
    loop {
        let fetched_by = now - time_to_fetch;
        let expired = shared.store.expired_media(now, fetched_by, SMALL_STEP, after).await?;
        after = expired.last().copied();
        if after.is_none() {
            return Ok(removed);
        }
        let (needed, expired): (Vec<_>, Vec<_>) = expired.into_iter().partition(|file| file.is_needed);
        if !needed.is_empty() {
            let (rows, needed) = (most(needed.len()), needed.iter().map(|file| file.id).collect());
            step(shared, Work::NeededMedia(needed, now + time_to_fetch), rows, report).await?;
        }
        let files: Vec<_> = expired.iter().map(|file| (file.client_id, file.id)).collect();
        let gone = shared.media.files.remove(&files).await;
        let rows = most(gone.len());
        removed += step(shared, Work::Media(gone), rows, report).await?;
    }
}

/// Deleted webhooks whose events are all gone, a day after their deletion at the earliest.
async fn webhooks(shared: &Shared, now: Timestamp, report: &mut Report) -> Result<u64, WriteError> {
    let mut removed = 0;
    loop {
        let empty = shared.store.empty_webhooks(now - DAY, SMALL_STEP).await?;
        if empty.is_empty() {
            return Ok(removed);
        }
        let rows = most(empty.len());
        let gone = step(shared, Work::Webhooks(empty), rows, report).await?;
        if gone == 0 {
            return Ok(removed);
        }
        removed += gone;
    }
}

/// One of the steps whose size does not change.
async fn step(shared: &Shared, what: Work, rows: u32, report: &mut Report) -> Result<u64, WriteError> {
    let stepped = commit(shared, what, rows, report).await?;
    if stepped.removed > 0 {
        tokio::time::sleep(StepPace::new(FIRST_STEP, VISIT).took(stepped.held)).await;
    }
    Ok(stepped.removed)
}

async fn commit(shared: &Shared, what: Work, rows: u32, report: &mut Report) -> Result<Stepped, WriteError> {
    let stepped = shared.persistence.commit(Write::Step, (what, rows)).await?;
    report.steps += 1;
    report.longest = report.longest.max(stepped.held);
    Ok(stepped)
}

/// A number of rows or pages as a step takes it.
fn most(rows: usize) -> u32 {
    u32::try_from(rows).unwrap_or(u32::MAX)
}
