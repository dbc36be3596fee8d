//! The janitor: what has to be done now and then.
//!
//! Owns nothing. Supervised by the gateway. Restarts from nothing. Stops with the tree. It deletes idempotency keys whose
//! day is over (CONTRACT.md section 2), ends what still waits for deleted webhooks, and has every delivery look at the
//! store once more, which heals a wake-up that was lost on the way.

use std::{sync::Arc, time::Duration};

use ractor::{Actor, ActorProcessingErr, ActorRef};
use wharf_domain::{Timestamp, delivery::DeliveryEvent};

use crate::{clock, delivery, persistence::Write, shared::Shared, timer::Timer};

/// Often enough that a batch stays small and a lost wake-up is no long wait.
const ROUND_EVERY: Duration = Duration::from_secs(600);
/// An `Idempotency-Key` is honoured for this long (CONTRACT.md section 2).
const KEYS_KEPT: Duration = Duration::from_secs(24 * 3600);

/// What the actor can be told.
pub(crate) enum Message {
    /// A round is due.
    Round,
}

/// See the module.
pub(crate) struct JanitorActor;

pub(crate) struct State {
    shared: Arc<Shared>,
    _rounds: Timer,
}

impl Actor for JanitorActor {
    type Msg = Message;
    type State = State;
    type Arguments = Arc<Shared>;

    async fn pre_start(&self, myself: ActorRef<Message>, shared: Arc<Shared>) -> Result<State, ActorProcessingErr> {
        let mut rounds = Timer::default();
        rounds.set(async move {
            let mut ticks = tokio::time::interval(ROUND_EVERY);
            loop {
                ticks.tick().await;
                if myself.cast(Message::Round).is_err() {
                    return;
                }
            }
        });
        Ok(State {
            shared,
            _rounds: rounds,
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
                for delivery in state.shared.directory.deliveries() {
                    let _restarting = delivery.cast(delivery::Message::Happened(DeliveryEvent::LookAgain));
                }
                tokio::spawn(clean_up(Arc::clone(&state.shared)));
            }
        }
        Ok(())
    }
}

async fn clean_up(shared: Arc<Shared>) {
    let day_ago = Timestamp(clock::now().0 - i64::try_from(KEYS_KEPT.as_millis()).unwrap_or(i64::MAX));
    let keys = shared.persistence.commit(Write::PurgeKeys, day_ago).await.map(drop);
    let settled = shared.persistence.commit_all(Write::SettleDeleted, ()).await;
    if let Err(error) = keys.and(settled) {
        tracing::warn!(%error, "cleaning up was not committed; the next round tries again");
    }
}
