//! Turns for what clients read in bulk: lists, pulls, statistics, and the backlogs of their deliveries.
//!
//! The connections that read are few, and everybody's: a request's token is looked up on them, sessions read their keys. A
//! page of events may take a tenth of a second on a large table, and a client may ask for as many at a time as it likes. So
//! all but one of the connections are for such reads, clients get them by turns, and what waits of one client is bounded.
//! Backlogs have turns of their own, as many, so that no list holds a delivery up; each delivery reads its own once at a time.

use std::{sync::Arc, time::Duration};

use wharf_domain::{ClientId, fair::Caps};

use crate::{
    gateway::GatewayError,
    slots::{Permit, Slots},
    tally::{Tally, Ticket},
};

/// Reads of one client that are carried out or wait: more than a client needs that reads side by side, few enough that
/// the last of them is answered within its request's time.
const PER_CLIENT: usize = 32;
/// How long one waits for its turn: less than the time of a request, so that its client is told.
const PATIENCE: Duration = Duration::from_millis(if cfg!(test) { 200 } else { 20_000 });

/// See the module.
pub(crate) struct Reads {
    turns: Slots,
    /// Of deliveries, for their backlogs.
    backlogs: Slots,
    /// Of each client that reads, how many it has asked for.
    asked: Arc<Tally>,
}

/// A turn, held while it is read.
pub(crate) struct Turn {
    _turn: Permit,
    _asked: Ticket,
}

impl Reads {
    /// With so many connections that read.
    pub(crate) fn new(connections: u32) -> Self {
        let total = usize::try_from(connections).unwrap_or(1).saturating_sub(1).max(1);
        let caps = Caps {
            total,
            per_client: total,
        };
        Self {
            turns: Slots::new(caps),
            backlogs: Slots::new(caps),
            asked: Tally::new(PER_CLIENT),
        }
    }

    /// Waits for this client's turn to read in bulk.
    ///
    /// # Errors
    /// `Busy` when the client reads as much at a time as it may, `Unavailable` when its turn does not come.
    pub(crate) async fn turn(&self, client: ClientId) -> Result<Turn, GatewayError> {
        let asked = self.asked.enter(client, 1).ok_or_else(|| {
            GatewayError::Busy(format!(
                "{PER_CLIENT} lists, pulls and statistics of this client are being read or wait; ask again when one is answered"
            ))
        })?;
        let turn = tokio::time::timeout(PATIENCE, self.turns.turn(client)).await;
        let turn = turn.ok().flatten().ok_or_else(|| {
            GatewayError::Unavailable("the store's readers are busy; try again in a moment".to_owned())
        })?;
        Ok(Turn {
            _turn: turn,
            _asked: asked,
        })
    }

    /// Waits for the turn of one of this client's deliveries to read its backlog, for as long as it takes.
    pub(crate) async fn backlog_turn(&self, client: ClientId) -> Option<Permit> {
        self.backlogs.turn(client).await
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    const GREEDY: ClientId = ClientId(1);
    const OTHER: ClientId = ClientId(2);

    #[tokio::test]
    async fn a_client_that_reads_without_end_delays_another_by_one_read() {
        let reads = Arc::new(Reads::new(2));
        let first = reads.turn(GREEDY).await.unwrap();
        let order = Arc::new(Mutex::new(Vec::new()));
        let read = |client| {
            let (reads, order) = (Arc::clone(&reads), Arc::clone(&order));
            tokio::spawn(async move {
                let _turn = reads.turn(client).await.unwrap();
                order.lock().unwrap().push(client);
                tokio::task::yield_now().await;
            })
        };
        let mut all: Vec<_> = (1..PER_CLIENT).map(|_| read(GREEDY)).collect();
        // All of them are in the queue.
        while reads.asked.of(GREEDY) < PER_CLIENT {
            tokio::task::yield_now().await;
        }
        assert!(
            matches!(reads.turn(GREEDY).await, Err(GatewayError::Busy(_))),
            "one too many"
        );
        all.push(read(OTHER));
        while reads.asked.of(OTHER) == 0 {
            tokio::task::yield_now().await;
        }
        drop(first);
        for read in all {
            read.await.unwrap();
        }
        assert_eq!(
            order.lock().unwrap().iter().position(|client| *client == OTHER),
            Some(0)
        );
        assert_eq!(
            reads.asked.of(GREEDY) + reads.asked.of(OTHER),
            0,
            "nothing is left of them"
        );
        assert!(reads.turn(GREEDY).await.is_ok());
    }

    #[tokio::test]
    async fn backlogs_wait_for_each_other_and_for_no_list() {
        let reads = Reads::new(2);
        let _list = reads.turn(GREEDY).await.unwrap();
        let first = reads.backlog_turn(GREEDY).await.unwrap();
        let mut next = Box::pin(reads.backlog_turn(OTHER));
        assert!(futures::poll!(&mut next).is_pending(), "one connection is kept free");
        drop(first);
        assert!(next.await.is_some());
    }

    #[tokio::test]
    async fn a_turn_that_does_not_come_is_told_in_time() {
        let reads = Reads::new(1);
        let _held = reads.turn(OTHER).await.unwrap();
        assert!(matches!(reads.turn(GREEDY).await, Err(GatewayError::Unavailable(_))));
        assert_eq!(reads.asked.of(GREEDY), 0);
    }
}
