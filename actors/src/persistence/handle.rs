//! The way to the persistence actor, whichever actor that is at the moment.

use std::{sync::Arc, time::Duration};

use ractor::concurrency::oneshot;
use thiserror::Error;
use tokio::{sync::Mutex, time::timeout};
use wharf_domain::{ClientId, ConnectionKey, WebhookId, fair::Caps, retention::StepPace};
use wharf_store::{KeyRange, StoreError};

use super::{Job, Message, Work, Write};
use crate::{directory::Directory, slots::Slots};

/// A caller waits this long: a commit takes milliseconds, a locked database up to its busy timeout of 5 s.
const DEADLINE: Duration = Duration::from_secs(15);
/// The pause before the store is asked again to take what it did not.
pub(crate) const AGAIN_AFTER: Duration = Duration::from_secs(1);

/// Rows of the first step of a work on many, before it is known what a step takes here,
const FIRST_STEP: usize = 64;
/// and of one step at the most.
const LARGEST_STEP: usize = 1000;

/// A write was not committed, as far as is known.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) enum WriteError {
    /// The store takes no writes at present; worth trying again.
    #[error("{0}")]
    Unavailable(String),
    /// Nothing was heard in time: it may be committed. Worth trying again.
    #[error("{0}")]
    Unknown(String),
    /// The store refused this write for what it is.
    #[error("{0}")]
    Rejected(String),
    /// The store cannot read what is there. Trying again does not help: a person has to.
    #[error("{0}")]
    Damaged(String),
}

impl WriteError {
    /// Whether it may go another time.
    pub(crate) fn is_passing(&self) -> bool {
        matches!(self, Self::Unavailable(_) | Self::Unknown(_))
    }
}

impl From<&StoreError> for WriteError {
    fn from(error: &StoreError) -> Self {
        match error {
            StoreError::Rejected(_) => Self::Rejected(error.to_string()),
            StoreError::Corrupt(_) | StoreError::Unreadable(_) => Self::Damaged(error.to_string()),
            StoreError::Unavailable(_)
            | StoreError::NewerSchema { .. }
            | StoreError::Locked(_)
            | StoreError::Copied(_)
            | StoreError::Url(_) => Self::Unavailable(error.to_string()),
        }
    }
}

impl From<StoreError> for WriteError {
    fn from(error: StoreError) -> Self {
        Self::from(&error)
    }
}

/// Writes again until the store has taken it, or refuses it for what it is. `again` hears of each write that the store did not
/// take, and says whether there is to be another.
///
/// # Errors
/// What the last write came to.
pub(crate) async fn insist<T, F: Future<Output = Result<T, WriteError>>>(
    again: impl Fn(&WriteError) -> bool,
    write: impl Fn() -> F,
) -> Result<T, WriteError> {
    loop {
        match write().await {
            Err(error) if error.is_passing() && again(&error) => tokio::time::sleep(AGAIN_AFTER).await,
            done => return done,
        }
    }
}

/// Cheap to clone; survives restarts of the actor.
#[derive(Clone)]
pub(crate) struct Persistence {
    directory: Arc<Directory>,
    turns: Arc<Turns>,
}

/// Works on many rows take turns: a client that deletes a hundred webhooks, or an operator who removes a hundred clients, must
/// not have a hundred of them side by side.
struct Turns {
    settling: Mutex<()>,
    purging: Mutex<()>,
    /// What goes of numbers: a client that unlinks a thousand devices does not have another one's wait for all of them.
    clearing: Slots,
}

impl Default for Turns {
    fn default() -> Self {
        let caps = Caps {
            total: 1,
            per_client: 1,
        };
        Self {
            settling: Mutex::default(),
            purging: Mutex::default(),
            clearing: Slots::new(caps),
        }
    }
}

impl Persistence {
    pub(crate) fn new(directory: Arc<Directory>) -> Self {
        Self {
            directory,
            turns: Arc::default(),
        }
    }

    /// Has `input` committed as the write that `verb` makes of it. It is on its way when this returns, so that two writes
    /// of one caller are committed in the order of the calls; the future waits for the answer.
    ///
    /// # Errors
    /// `WriteError` when it is not committed, or when nothing is known within 15 s.
    pub(crate) fn commit<I, O: Send + 'static>(
        &self,
        verb: fn(Job<I, O>) -> Write,
        input: I,
    ) -> impl Future<Output = Result<O, WriteError>> + Send + use<I, O> {
        let (reply, answer) = oneshot();
        let sent = self.directory.persistence().is_some_and(|actor| {
            let write = Box::new(verb(Job::new(input, reply.into())));
            actor.cast(Message::Commit(write)).is_ok()
        });
        async move {
            let restarted = "the store is being restarted".to_owned();
            if !sent {
                return Err(WriteError::Unavailable(restarted));
            }
            match timeout(DEADLINE, answer).await {
                Ok(Ok(answer)) => answer,
                Ok(Err(_)) => Err(WriteError::Unknown(restarted)),
                Err(_) => Err(WriteError::Unknown("the store did not answer in time".to_owned())),
            }
        }
    }

    /// Has a work on many rows committed in steps until nothing is left of it: of a size that holds the writer for some
    /// milliseconds, with pauses, so that messages go first. Answers how many rows went, where that is counted.
    ///
    /// # Errors
    /// As [`Persistence::commit`]; what was done stays done.
    async fn commit_all(&self, work: Work) -> Result<u64, WriteError> {
        let mut pace = StepPace::new(FIRST_STEP, LARGEST_STEP);
        let mut removed = 0;
        loop {
            let size = u32::try_from(pace.size()).unwrap_or(u32::MAX);
            let step = self.commit(Write::Step, (work.clone(), size)).await?;
            removed += step.removed;
            if step.over {
                return Ok(removed);
            }
            tokio::time::sleep(pace.took(step.held)).await;
        }
    }

    /// Ends what still waits for a deleted webhook.
    ///
    /// # Errors
    /// As [`Persistence::commit`]; what was done stays done.
    pub(crate) async fn settle_deleted(&self, webhook: WebhookId) -> Result<(), WriteError> {
        let _turn = self.turns.settling.lock().await;
        self.commit_all(Work::SettleWebhook(webhook)).await.map(drop)
    }

    /// Removes the rows of a client.
    ///
    /// # Errors
    /// As [`Persistence::commit`]; what was done stays done.
    pub(crate) async fn purge_client(&self, client: ClientId) -> Result<(), WriteError> {
        let _turn = self.turns.purging.lock().await;
        self.commit_all(Work::PurgeClient(client)).await.map(drop)
    }

    /// Removes the keys that a device left which is gone; none if the number has a device.
    ///
    /// # Errors
    /// As [`Persistence::commit`]; what was done stays done.
    pub(crate) async fn remove_left_keys(&self, of: &ConnectionKey) -> Result<(), WriteError> {
        let _turn = self.turns.clearing.turn(of.client_id).await;
        self.commit_all(Work::LeftKeys(of.clone())).await.map(drop)
    }

    /// Removes keys of a number's device; answers how many.
    ///
    /// # Errors
    /// As [`Persistence::commit`]; what was done stays done.
    pub(crate) async fn remove_keys(&self, of: &ConnectionKey, range: KeyRange) -> Result<u64, WriteError> {
        self.clear(of.client_id, Work::Keys(of.clone(), range)).await
    }

    /// Removes the polls that a number saw.
    ///
    /// # Errors
    /// As [`Persistence::commit`]; what was done stays done.
    pub(crate) async fn forget_polls(&self, of: &ConnectionKey) -> Result<(), WriteError> {
        self.clear(of.client_id, Work::Polls(of.clone())).await.map(drop)
    }

    /// A work that is mostly small: only one that takes more than a first step waits for its turn.
    async fn clear(&self, client: ClientId, work: Work) -> Result<u64, WriteError> {
        let first = u32::try_from(FIRST_STEP).unwrap_or(u32::MAX);
        let step = self.commit(Write::Step, (work.clone(), first)).await?;
        if step.over {
            return Ok(step.removed);
        }
        let _turn = self.turns.clearing.turn(client).await;
        Ok(step.removed + self.commit_all(work).await?)
    }

    /// Takes the turn of what goes of numbers: until it is given back, none of that does.
    #[cfg(test)]
    pub(crate) async fn hold_clearing(&self) -> Option<crate::slots::Permit> {
        self.turns.clearing.turn(ClientId(0)).await
    }

    /// Somebody waits for what may wait: it is committed now.
    pub(crate) fn hurry(&self) {
        if let Some(actor) = self.directory.persistence() {
            let _restarting = actor.cast(Message::Hurry);
        }
    }

    /// Waits until everything told so far is committed or refused: who reads then reads all of it.
    ///
    /// # Errors
    /// `Unknown` when that cannot be said within 15 s.
    pub(crate) async fn settled(&self) -> Result<(), WriteError> {
        match self.commit(Write::Settle, ()).await {
            Ok(()) => Ok(()),
            Err(error @ WriteError::Unknown(_)) => Err(error),
            // Writes are carried out in their order: those before this one were refused with it, or before, or went with
            // their actor. Only a group that this had begun goes on without it.
            Err(_) => match timeout(DEADLINE, self.directory.writing().lock()).await {
                Ok(_turn) => Ok(()),
                Err(_) => Err(WriteError::Unknown("a commit did not end in time".to_owned())),
            },
        }
    }

    /// Waits until nothing is left to be committed, at most `deadline`.
    pub(crate) async fn flush(&self, deadline: Duration) {
        if let Some(actor) = self.directory.persistence() {
            let _gone_or_late = actor.call(Message::Flush, Some(deadline)).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{cell::Cell, future::ready};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_write_is_insisted_on_until_it_is_taken_or_refused_for_good() {
        for end in [
            Ok(()),
            Err(WriteError::Rejected("why".to_owned())),
            Err(WriteError::Damaged("why".to_owned())),
        ] {
            let (writes, told) = (Cell::new(0), Cell::new(0));
            let ended = insist(
                |_| told.replace(told.get() + 1) < 3,
                || match writes.replace(writes.get() + 1) {
                    0 => ready(Err(WriteError::Unavailable("full".to_owned()))),
                    1 => ready(Err(WriteError::Unknown("late".to_owned()))),
                    _ => ready(end.clone()),
                },
            );
            assert_eq!(ended.await, end);
            assert_eq!((writes.get(), told.get()), (3, 2));
        }
        let given_up = insist(
            |_| false,
            || ready(Err::<(), _>(WriteError::Unavailable("full".to_owned()))),
        );
        assert!(given_up.await.is_err_and(|error| error.is_passing()));
    }

    #[test]
    fn what_cannot_be_read_is_not_tried_again() {
        let of = |error: fn(String) -> StoreError| WriteError::from(error("why".to_owned()));
        let damaged = of(StoreError::Corrupt);
        assert_eq!(damaged, WriteError::Damaged("why".to_owned()));
        assert!(!damaged.is_passing() && !of(StoreError::Rejected).is_passing());
        assert!(of(StoreError::Unavailable).is_passing() && of(StoreError::Locked).is_passing());
    }
}
