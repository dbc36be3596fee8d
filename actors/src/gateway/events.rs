//! Events: what is seen of them, and what is done again.

use std::time::{Duration, Instant};

use ractor::rpc::CallResult;
use uuid::Uuid;
use wharf_domain::{
    Attempt, ClientId, Event, EventId, EventStatus, IncomingMessage, InvalidField, WebhookId, retention::fitting,
    stats::WebhookStats,
};
use wharf_store::{
    BulkRenewal, EventFilter, EventPage, FailedEvents, FailedFilter, NewEvent, PullPage, PullQuery, Pulled, Renewal,
};

use super::{BulkRetry, Gateway, GatewayError, RETRY_DEADLINE, Tested, conflict, pulled, restarting};
use crate::{
    clock, delivery,
    persistence::{Retry, Write, WriteError},
};

/// The pause before a delivery is asked again that has not yet heard of an event's end.
const UNDER_WAY_PAUSE: Duration = Duration::from_millis(5);
/// How long a test waits besides the attempt's deadline: for a slot, and for two commits.
const TEST_SLACK: Duration = Duration::from_secs(2);
/// Test events of one client that are waited for at a time: each asks the store over and over, and a receiver that says nothing has
/// it ask for as long as an attempt may take.
pub(super) const TESTS_PER_CLIENT: usize = 8;
/// The pause between two looks for the test's attempt.
const TEST_LOOK_EVERY: Duration = Duration::from_millis(20);
/// Events renewed in one commit, by their weight: few enough that no message waits long for its own.
const BULK_STEP: usize = 200;

impl Gateway {
    /// A page of a webhook's events, newest first; also of a deleted webhook.
    ///
    /// # Errors
    /// `NotFound` when the client has no such webhook, or not any more; `Invalid` for a cursor that is none; `Busy` when it
    /// reads as much at a time as it may.
    pub async fn events(
        &self,
        client: ClientId,
        id: WebhookId,
        filter: EventFilter,
    ) -> Result<EventPage, GatewayError> {
        let _turn = self.shared.reads.turn(client).await?;
        if self.shared.store.webhook(client, id).await?.is_none() {
            return Err(GatewayError::NotFound("webhook"));
        }
        let page = self.shared.store.events(client, id, &filter).await?;
        page.ok_or_else(|| {
            let text = "is not one that this route gave out, or its event is gone; begin anew without it";
            InvalidField::new("cursor", text).into()
        })
    }

    /// Retries an event by hand (CONTRACT.md sections 4 and 7).
    ///
    /// # Errors
    /// `NotFound`; `Conflict` when it is delivered and not forced, or its webhook is pulled, inactive or deleted; `Busy` when this
    /// client has had as many as it may of late.
    pub async fn retry_event(&self, client: ClientId, id: EventId, force: bool) -> Result<Event, GatewayError> {
        let Some(renewal) = self.renew(client, id, force).await? else {
            return self.event(client, id).await;
        };
        match renewal {
            // One that waits for its media goes out as soon as that is here: there is nothing to hurry.
            Renewal::Renewed { .. } | Renewal::AwaitsMedia => self.event(client, id).await,
            Renewal::NotFound => Err(GatewayError::NotFound("event")),
            Renewal::Delivered => conflict(r#"the event is delivered; to send it again, say {"force": true}"#),
            Renewal::Pulled => pulled("retried"),
            Renewal::Inactive => conflict("the event's webhook is inactive; set is_active first"),
            Renewal::WebhookDeleted => conflict("the event's webhook is deleted"),
        }
    }

    /// The store's answer to a manual retry; `None` when an attempt is under way already.
    async fn renew(&self, client: ClientId, id: EventId, force: bool) -> Result<Option<Renewal>, GatewayError> {
        let begun = Instant::now();
        self.shared.by_hand.take(client)?;
        loop {
            let event = self.event(client, id).await?;
            // A delivery that closes says of every event that it is under way.
            let webhook = self.shared.store.webhook(client, event.webhook_id).await?;
            let Some(webhook) = webhook.filter(|webhook| webhook.deleted_at.is_none()) else {
                return Ok(Some(Renewal::WebhookDeleted));
            };
            if webhook.is_pulled() {
                return Ok(Some(Renewal::Pulled));
            }
            // So it does of one that waits for its slot, and will not be attempted any more when it has it.
            if !webhook.is_active {
                return Ok(Some(Renewal::Inactive));
            }
            let retry = Retry {
                client_id: client,
                event_id: id,
                force,
                body_bytes: event.payload.get().len(),
            };
            let Some(delivery) = self.shared.directory.delivery(event.webhook_id) else {
                // Deleted, resting, or being restarted. The store knows which, and a delivery that starts reads the store.
                let renewal = self.shared.persistence.commit(Write::RenewEvent, retry).await;
                // Without an answer it may be committed all the same.
                self.shared.directory.wake_resting(client, event.webhook_id);
                return Ok(Some(renewal?));
            };
            let ask = |reply| delivery::Message::RetryEvent { retry, reply };
            match delivery.call(ask, Some(RETRY_DEADLINE)).await {
                Ok(CallResult::Success(Ok(None))) if event.status == EventStatus::Pending => return Ok(None),
                Ok(CallResult::Success(Ok(Some(renewal)))) => return Ok(Some(*renewal)),
                Ok(CallResult::Success(Err(error))) => return Err(error.into()),
                // The end of the attempt is in the store and on its way to the actor; or the actor ended with the question in
                // its mailbox: its webhook was deleted, it rests, or it starts anew. The next look finds out which.
                Ok(CallResult::Success(Ok(None)) | CallResult::SenderError) | Err(_)
                    if begun.elapsed() < RETRY_DEADLINE =>
                {
                    tokio::time::sleep(UNDER_WAY_PAUSE).await;
                }
                _ => return Err(restarting()),
            }
        }
    }

    /// One event of the client.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn event(&self, client: ClientId, id: EventId) -> Result<Event, GatewayError> {
        self.shared
            .store
            .event(client, id)
            .await?
            .ok_or(GatewayError::NotFound("event"))
    }

    /// The attempts of one event, oldest first.
    ///
    /// # Errors
    /// `NotFound`; `Busy` when the client reads as much at a time as it may.
    pub async fn attempts(&self, client: ClientId, id: EventId) -> Result<Vec<Attempt>, GatewayError> {
        let _turn = self.shared.reads.turn(client).await?;
        let attempts = self.shared.store.attempts(client, id).await?;
        attempts.ok_or(GatewayError::NotFound("event"))
    }

    /// What a webhook's attempts of late come to, and what waits; also of a deleted webhook.
    ///
    /// # Errors
    /// `NotFound` when the client never had such a webhook.
    pub async fn webhook_stats(&self, client: ClientId, id: WebhookId) -> Result<WebhookStats, GatewayError> {
        let _turn = self.shared.reads.turn(client).await?;
        let stats = self.shared.store.webhook_stats(client, id, clock::now()).await?;
        stats.ok_or(GatewayError::NotFound("webhook"))
    }

    /// The client's events of all webhooks after a place, in the order of arrival.
    ///
    /// # Errors
    /// `Gone` when what comes next would have a gap.
    pub async fn pull(&self, client: ClientId, pull: PullQuery) -> Result<PullPage, GatewayError> {
        let _turn = self.shared.reads.turn(client).await?;
        match self.shared.store.pull(client, &pull).await? {
            Pulled::Page(page) => Ok(page),
            Pulled::Gone => Err(GatewayError::Gone(
                "events after this cursor, or the one it stands for, are not kept any more; pull again without `after` \
                 to go on with the oldest that is kept",
            )),
        }
    }

    /// Sends a test event to a webhook, the way of every event, and waits for its one attempt.
    ///
    /// # Errors
    /// `NotFound`; `Conflict` when the webhook is inactive or pulled; `Busy` when as many are waited for as may be, or were asked for of late.
    pub async fn test_webhook(&self, client: ClientId, id: WebhookId) -> Result<Tested, GatewayError> {
        let webhook = self.webhook(client, id).await?;
        if webhook.is_pulled() {
            return pulled("tried");
        }
        if !webhook.is_active {
            return conflict("the webhook is inactive; set is_active first");
        }
        let _asked = self.shared.tests.enter(client, 1).ok_or_else(|| {
            GatewayError::Busy(format!(
                "{TESTS_PER_CLIENT} test events of this client are waited for; ask again when one is answered"
            ))
        })?;
        self.shared.by_hand.take(client)?;
        let timeout = Duration::from_millis(webhook.courtesy.timeout_ms.into());
        let key = webhook.key();
        let (event_id, now) = (EventId(Uuid::now_v7()), clock::now());
        let message = IncomingMessage::test(event_id.0, &key.phone_number, now);
        let new = NewEvent {
            id: event_id,
            payload: message.payload(client, &key.phone_number),
            key,
            message,
            created_at: now,
        };
        self.shared.persistence.commit(Write::RecordInbound, vec![new]).await?;
        let wait = timeout + TEST_SLACK;
        let attempt = tokio::time::timeout(wait, self.first_attempt(client, event_id)).await;
        let attempt = attempt.ok().transpose()?;
        // Without a row it was not kept: the webhook was deleted in between.
        let event = self.shared.store.event(client, event_id).await?;
        let event = event.ok_or(GatewayError::NotFound("webhook"))?;
        Ok(Tested { event, attempt })
    }

    async fn first_attempt(&self, client: ClientId, id: EventId) -> Result<Attempt, GatewayError> {
        loop {
            let attempts = self.shared.store.attempts(client, id).await?;
            let attempts = attempts.ok_or(GatewayError::NotFound("webhook"))?;
            if let Some(first) = attempts.into_iter().next() {
                return Ok(first);
            }
            tokio::time::sleep(TEST_LOOK_EVERY).await;
        }
    }

    /// Retries a webhook's failed events together, the oldest first; `delivery.bulk_retry_per_second` of them are due in a
    /// second. When this returns they are pending, each with its own due time, which a restart does not lose. What is overdue goes out as
    /// fast as the webhook's own limits let it.
    ///
    /// # Errors
    /// `NotFound`; `Conflict` when the webhook is inactive or pulled; `Busy` when this client has had as many retries as it may of late.
    /// After a refusal of the store some may be pending already.
    pub async fn retry_failed(
        &self,
        client_id: ClientId,
        webhook_id: WebhookId,
        filter: FailedFilter,
    ) -> Result<BulkRetry, GatewayError> {
        let webhook = self.webhook(client_id, webhook_id).await?;
        if webhook.is_pulled() {
            return pulled("retried");
        }
        if !webhook.is_active {
            return conflict("the webhook is inactive; set is_active first");
        }
        self.shared.by_hand.take(client_id)?;
        let turn = self.shared.reads.turn(client_id).await?;
        let found = self.shared.store.failed_events(client_id, webhook_id, &filter).await?;
        drop(turn);
        let retried = self.renew_failed(client_id, webhook_id, &found).await;
        // It may just be hearing of the end of one of them: then it finds it in the store. So it does where some are committed
        // before a refusal, or without an answer.
        if !matches!(retried, Ok(0)) {
            let look = [delivery::Message::LOOK_AGAIN];
            self.shared.directory.tell_delivery(client_id, webhook_id, look);
        }
        Ok(BulkRetry {
            retrying: retried?,
            next_since: found.looked_until,
        })
    }

    /// Makes these failed events pending, in steps; answers how many of them were failed still.
    async fn renew_failed(
        &self,
        client_id: ClientId,
        webhook_id: WebhookId,
        found: &FailedEvents,
    ) -> Result<usize, WriteError> {
        let per_second = self.shared.settings.bulk_retry_per_second;
        let (mut seqs, mut weights) = (found.seqs.as_slice(), found.weights.as_slice());
        let mut retrying = 0;
        while !seqs.is_empty() {
            let (some, weight) = fitting(weights.iter().copied(), BULK_STEP);
            let (step, later) = seqs.split_at(some);
            (seqs, weights) = (later, weights.split_at(some).1);
            let taken = self.shared.bulk_retries.take(webhook_id, step.len(), per_second);
            let renewal = BulkRenewal {
                client_id,
                webhook_id,
                seqs: step.to_vec(),
                first_due: clock::now() + taken.after,
                per_second,
            };
            let committed = self
                .shared
                .persistence
                .commit(Write::RenewFailed, (renewal, weight).into());
            retrying += committed.await.inspect_err(|error| {
                // Without an answer they may go out all the same.
                if !matches!(error, WriteError::Unknown(_)) {
                    self.shared.bulk_retries.give_back(webhook_id, &taken);
                }
            })?;
        }
        Ok(retrying)
    }
}
