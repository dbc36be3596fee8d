//! The janitor: what has to be done now and then.
//!
//! Owns the place up to which the retention has come. Supervised by the gateway. Restarts from nothing: the retention
//! begins at the oldest event. Stops with the tree, in the middle of a round if need be. It removes what is old enough
//! (`retention.rs`), ends what still waits for deleted webhooks, reports messages that no link will bring, tells what waits for
//! messages that nobody waits for, removes keys of devices that are gone, goes on with deletions of connections that were cut
//! short, and has every delivery look at the store once more, which heals a wake-up that was lost on the way.

pub(crate) mod retention;

use std::{sync::Arc, time::Duration};

use ractor::{Actor, ActorProcessingErr, ActorRef};
use tokio::sync::{Mutex, OwnedMutexGuard};
use wharf_domain::{ConnectionKey, ConnectionStatus};
use wharf_store::AwaitedMessage;
use wharf_whatsapp::report_of;

use crate::{
    clock, deletions, delivery,
    persistence::{Arrival, Arrived, Missed, Write, WriteError, new_event},
    shared::Shared,
    task::{OwnedTask, tick},
};
use retention::Retention;

/// Deliveries that look at the store at a time, and the pause to the next ones: ten thousand together would keep all that read for
/// seconds.
const LOOKS_AT_ONCE: usize = 30;
const LOOK_PAUSE: Duration = Duration::from_millis(100);

/// How long after a message should have been reported others wait for it: a link that opens reports it.
const HELD_AT_MOST: Duration = Duration::from_mins(10);
/// The same where the number's link is opening all the while, and may never be open for as long as a report needs.
const HELD_WHILE_OPENING: Duration = Duration::from_hours(1);
/// How long after its time a message is reported without a link: until then the next one may still bring it, sent anew.
const MISSED_AT_MOST: Duration = Duration::from_hours(24);
/// Messages that are reported, or of which what waits for them is told, at a time.
const AT_ONCE: u32 = 1000;

/// What the actor can be told.
pub(crate) enum Message {
    /// A round is due.
    Round,
}

/// See the module.
pub(crate) struct JanitorActor;

pub(crate) struct State {
    shared: Arc<Shared>,
    _rounds: OwnedTask,
    /// Locked while a round of it runs.
    retention: Arc<Mutex<Retention>>,
    /// That round.
    removing: OwnedTask,
    /// What else there is to do.
    cleaning: OwnedTask,
    /// Has deliveries look at the store.
    looking: OwnedTask,
}

impl Actor for JanitorActor {
    type Msg = Message;
    type State = State;
    type Arguments = Arc<Shared>;

    async fn pre_start(&self, myself: ActorRef<Message>, shared: Arc<Shared>) -> Result<State, ActorProcessingErr> {
        let mut rounds = OwnedTask::default();
        rounds.set(tick(myself, shared.settings.keep.look_every, || Message::Round));
        Ok(State {
            shared,
            _rounds: rounds,
            retention: Arc::default(),
            removing: OwnedTask::default(),
            cleaning: OwnedTask::default(),
            looking: OwnedTask::default(),
        })
    }

    async fn handle(
        &self,
        _myself: ActorRef<Message>,
        message: Message,
        state: &mut State,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            Message::Round => {
                // Each may last longer than it takes to the next round: there may be years of history to remove.
                if state.looking.is_over() {
                    state.looking.set(look_again(state.shared.directory.deliveries()));
                }
                if state.cleaning.is_over() {
                    state.cleaning.set(clean_up(Arc::clone(&state.shared)));
                }
                if let Ok(retention) = Arc::clone(&state.retention).try_lock_owned() {
                    state.removing.set(remove_old(Arc::clone(&state.shared), retention));
                }
            }
        }
        Ok(())
    }
}

async fn look_again(deliveries: Vec<ActorRef<delivery::Message>>) {
    for some in deliveries.chunks(LOOKS_AT_ONCE) {
        for delivery in some {
            let _restarting = delivery.cast(delivery::Message::LOOK_AGAIN);
        }
        tokio::time::sleep(LOOK_PAUSE).await;
    }
}

/// What a process that ended meanwhile left of devices that are gone.
async fn remove_left_keys(shared: &Shared) -> Result<(), WriteError> {
    for number in shared.store.numbers_with_left_keys().await? {
        shared.persistence.remove_left_keys(&number).await?;
    }
    Ok(())
}

/// What a process that ended meanwhile left waiting for webhooks that were deleted.
async fn settle_deleted(shared: &Shared) -> Result<(), WriteError> {
    for webhook in shared.store.unsettled_webhooks().await? {
        shared.persistence.settle_deleted(webhook).await?;
    }
    Ok(())
}

/// Reports messages that could not be decrypted where no link is about to bring or report them: those of numbers that have rested for a
/// day, and of devices that were unlinked, which are sent nothing any more.
async fn report_missed(shared: &Shared) -> Result<(), WriteError> {
    let now = clock::now();
    let [before, long_before] = [HELD_AT_MOST, MISSED_AT_MOST].map(|ago| now - ago);
    let mut last = None;
    loop {
        let mut overdue = shared.store.overdue_messages(before, last.as_ref(), AT_ONCE).await?;
        last = overdue.last().map(|(key, awaited)| (key.clone(), awaited.id.clone()));
        if last.is_none() {
            return Ok(());
        }
        overdue.sort_by_key(|(_, awaited)| awaited.due_at);
        for (key, awaited) in overdue {
            let status = shared.directory.session(&key).map(|session| session.status());
            let is_missed = match status {
                Some(ConnectionStatus::LoggedOut) => true,
                Some(ConnectionStatus::Disconnected | ConnectionStatus::Failed) => awaited.due_at < long_before,
                // It has a link, which reports it, or is about to have one: after a start there was no time for that.
                _ => false,
            };
            if is_missed {
                report(shared, key, awaited).await?;
            }
        }
    }
}

/// What is about it is told with it.
async fn report(shared: &Shared, key: ConnectionKey, awaited: AwaitedMessage) -> Result<(), WriteError> {
    if let Some(report) = report_of(&key.phone_number, &awaited) {
        let report = new_event(&key, report, clock::now());
        let id = awaited.id;
        return shared
            .persistence
            .commit(Write::ReportMissed, Missed { id, report })
            .await;
    }
    let ended = Arrival {
        event: None,
        behind: None,
        came: Some(awaited.id),
    };
    let all = vec![ended];
    shared
        .persistence
        .commit(Write::RecordArrived, Arrived { key, all })
        .await
}

/// Tells what waits for a message that is not waited for any more, or that should have been reported long ago, unless its number
/// is connected, or about to be for not much longer: its link gets the message, or reports it, by itself.
async fn release_held(shared: &Shared) -> Result<(), WriteError> {
    let now = clock::now();
    let [before, long_before] = [HELD_AT_MOST, HELD_WHILE_OPENING].map(|ago| now - ago);
    let mut last = None;
    loop {
        let in_vain = shared.store.held_in_vain(before, last.as_ref(), AT_ONCE).await?;
        last = in_vain.last().map(|(key, id, _)| (key.clone(), id.clone()));
        if last.is_none() {
            return Ok(());
        }
        for (key, id, due_at) in in_vain {
            let status = shared.directory.session(&key).map(|session| session.status());
            let is_looked_after = due_at.is_some_and(|due_at| match status {
                Some(ConnectionStatus::Connected) => true,
                None | Some(ConnectionStatus::Connecting) => due_at > long_before,
                Some(_) => false,
            });
            if !is_looked_after {
                shared.persistence.commit(Write::Release, (key, id)).await?;
            }
        }
    }
}

async fn remove_old(shared: Arc<Shared>, mut retention: OwnedMutexGuard<Retention>) {
    say(retention.round(&shared, clock::now()).await.map(drop));
    #[cfg(test)]
    shared.cleaned.send_modify(|rounds| rounds.removed += 1);
}

async fn clean_up(shared: Arc<Shared>) {
    // None keeps the others from their work by failing.
    let (settled, unlinked, deleted, released) = tokio::join!(
        settle_deleted(&shared),
        remove_left_keys(&shared),
        deletions::go_on(&shared),
        async {
            let reported = report_missed(&shared).await;
            release_held(&shared).await.and(reported)
        },
    );
    let deleted = deleted.map_err(WriteError::from);
    say(settled.and(unlinked).and(deleted).and(released));
    #[cfg(test)]
    shared.cleaned.send_modify(|rounds| rounds.cleaned += 1);
}

fn say(done: Result<(), WriteError>) {
    if let Err(error) = done {
        tracing::warn!(%error, "cleaning up was not committed; the next round tries again");
    }
}

/// How many rounds of the two kinds were made.
#[cfg(test)]
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Rounds {
    pub(crate) removed: u32,
    pub(crate) cleaned: u32,
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures::poll;
    use ractor::ActorRuntime;

    use super::*;

    /// A delivery that counts how often it is to look.
    struct Looks;

    impl Actor for Looks {
        type Msg = delivery::Message;
        type State = Arc<AtomicUsize>;
        type Arguments = Arc<AtomicUsize>;

        async fn pre_start(
            &self,
            _myself: ActorRef<Self::Msg>,
            looks: Arc<AtomicUsize>,
        ) -> Result<Arc<AtomicUsize>, ActorProcessingErr> {
            Ok(looks)
        }

        async fn handle(
            &self,
            _myself: ActorRef<Self::Msg>,
            message: Self::Msg,
            looks: &mut Arc<AtomicUsize>,
        ) -> Result<(), ActorProcessingErr> {
            match message {
                delivery::Message::Snapshot(reply) => drop(reply.send(None)),
                _ => drop(looks.fetch_add(1, Ordering::Relaxed)),
            }
            Ok(())
        }
    }

    #[tokio::test]
    async fn deliveries_do_not_all_look_in_one_moment() {
        let looks = Arc::new(AtomicUsize::new(0));
        let (delivery, _) = ActorRuntime::spawn(None, Looks, Arc::clone(&looks)).await.unwrap();
        let seen = async || {
            ractor::call_t!(delivery, delivery::Message::Snapshot, 30_000).unwrap();
            looks.load(Ordering::Relaxed)
        };
        let mut looking = Box::pin(look_again(vec![delivery.clone(); 2 * LOOKS_AT_ONCE + 1]));
        assert!(poll!(&mut looking).is_pending());
        assert_eq!(seen().await, LOOKS_AT_ONCE);
        looking.await;
        assert_eq!(seen().await, 2 * LOOKS_AT_ONCE + 1);
        delivery.stop(None);
    }
}
