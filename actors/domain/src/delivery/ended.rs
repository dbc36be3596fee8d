//! What the end of an attempt means: for its event, for the webhook's counter, and for what is known of the receiver.

use std::time::Duration;

use super::{Delivery, Effect, EndedAttempt};
use crate::{AttemptOutcome, AttemptResult, EventId, EventStatus, Timestamp, fair::Standing, retry::wait_after};

/// The pause before an attempt that could not be made is tried again.
const AFTER_SHORTAGE: Duration = Duration::from_secs(5);
/// The status by which a receiver says that it is gone for good, and what its webhook's `last_error` says then.
const GONE: u16 = 410;
const GONE_REASON: &str = "Client error (410): the receiver is gone, so the webhook was switched off";

impl Delivery {
    /// An attempt ended. One that is not under way is a stale report.
    pub(super) fn on_ended(&mut self, now: Timestamp, ended: EndedAttempt, effects: &mut Vec<Effect>) {
        let Some(place) = self.window.running(ended.event_id, ended.attempt) else {
            return;
        };
        let at_the_present_receiver = ended.target == self.config.target;
        let was_made = !matches!(ended.result, AttemptResult::NotMade { .. });
        if at_the_present_receiver && !was_made {
            self.doubt.not_started();
        }
        // A test is one question, whose asker has the answer.
        if !was_made && !self.window.is_test(ended.event_id) {
            return self.put_off(now, ended.event_id);
        }
        let http_status = ended.result.http_status();
        if at_the_present_receiver && was_made {
            self.doubt.ended(now, http_status.is_some(), ended.timing.took);
            if http_status.is_some() {
                self.reconsider(Standing::Sound, effects);
            }
            self.heed(now, http_status, ended.retry_after);
        }
        let outcome = self.outcome(now, ended, place);
        self.record(outcome, effects);
    }

    /// What waits for a slot asked for it when less was known of the receiver.
    pub(super) fn reconsider(&mut self, standing: Standing, effects: &mut Vec<Effect>) {
        if self.asked_as > standing {
            // All of them, or one of them to find out.
            if standing == Standing::Sound {
                self.asked_as = standing;
            }
            effects.push(Effect::Reconsider(standing));
        }
    }

    /// Nothing was sent: that says nothing of the receiver and uses up no attempt, and the store has the event as it was.
    fn put_off(&mut self, now: Timestamp, event_id: EventId) {
        self.window.put_back(event_id, Some(now + AFTER_SHORTAGE));
        if self.closing {
            self.window.drop_idle();
        }
    }

    /// What an answer of the present receiver asks for, beyond its event.
    fn heed(&mut self, now: Timestamp, http_status: Option<u16>, retry_after: Option<Timestamp>) {
        if let (Some(429 | 503), Some(at)) = (http_status, retry_after) {
            self.pace.pause_until(now, at);
        }
        // Until the store has it too, see `on_committed`.
        self.gone |= http_status == Some(GONE);
    }

    /// What an attempt's end means for its event and for the webhook's counter. `place` is the event's, and the start of
    /// its budget.
    fn outcome(&mut self, now: Timestamp, ended: EndedAttempt, place: (i64, u32)) -> AttemptOutcome {
        let EndedAttempt {
            event_id,
            attempt,
            result,
            timing,
            jitter,
            body_bytes,
            ..
        } = ended;
        let (seq, budget_start) = place;
        let in_budget = attempt.saturating_sub(budget_start);
        let http_status = result.http_status();
        let retried = http_status.is_some_and(|status| self.config.courtesy.retry_client_errors.contains(status));
        let failure = result.failure();
        let (status, next_retry_at) = match &failure {
            None => (EventStatus::Delivered, None),
            Some(failure) if !failure.retry && !retried => (EventStatus::Failed, None),
            Some(_) => {
                // A pause that the receiver asked for is the pace's: it may end before its time.
                let next = Some(now + wait_after(in_budget, jitter));
                if self.window.is_test(event_id) {
                    // One question, and its answer is the first attempt's, be it that a stop cut it off: nothing that recovery or
                    // the next start goes on with, when nobody waits for it any more.
                    (EventStatus::Failed, None)
                } else if result == AttemptResult::Interrupted {
                    // Not the receiver's fault: it is not waited for, and does not end the event.
                    (EventStatus::Pending, Some(now))
                } else if in_budget >= self.config.max_retries {
                    (EventStatus::Failed, next)
                } else {
                    (EventStatus::Pending, next)
                }
            }
        };
        let revived = self.recoveries.attempted(event_id, status == EventStatus::Delivered);
        if status == EventStatus::Delivered && self.failure_count > 0 {
            self.recoveries.receiver_is_well();
        }
        self.failure_count = match status {
            _ if result == AttemptResult::Interrupted => self.failure_count,
            EventStatus::Delivered => 0,
            // One that was counted when it failed first.
            EventStatus::Failed if revived => self.failure_count.max(1),
            EventStatus::Failed => self.failure_count.saturating_add(1),
            EventStatus::Pending => self.failure_count,
        };
        AttemptOutcome {
            event_id,
            seq,
            webhook_id: self.webhook_id,
            status,
            attempt,
            // Only a manual retry begins a budget after attempts were made.
            manual: budget_start > 0 && in_budget == 1,
            timing,
            http_status,
            response: result.response().map(str::to_owned),
            error: failure.map(|failure| failure.error),
            next_retry_at,
            finished_at: now,
            webhook_failure_count: self.failure_count,
            body_bytes,
        }
    }

    /// Whether this outcome may be committed later, with others: nothing waits for it. An [`Effect::Hurry`] ends that.
    pub fn may_wait(&self, event_id: EventId) -> bool {
        self.unhurried.contains(&event_id)
    }

    fn record(&mut self, outcome: AttemptOutcome, effects: &mut Vec<Effect>) {
        let asked_for = self.window.is_test(outcome.event_id);
        if outcome.status == EventStatus::Delivered && !asked_for && !self.is_pressed() {
            self.unhurried.push(outcome.event_id);
        }
        self.window.recording(outcome.clone());
        effects.push(Effect::Record(outcome));
    }

    pub(super) fn hurry(&mut self, effects: &mut Vec<Effect>) {
        if !self.unhurried.is_empty() && self.is_pressed() {
            self.unhurried.clear();
            effects.push(Effect::Hurry);
        }
    }

    /// Whether something waits for the commit of an outcome, or may do so.
    fn is_pressed(&self) -> bool {
        let more = self.window.has_more() || !self.catch_up.following() || self.recoveries.is_under_way();
        more || self.closing || self.ordering != self.config.courtesy.ordering
    }

    pub(super) fn on_committed(&mut self, now: Timestamp, event_id: EventId, attempt: u32, effects: &mut Vec<Effect>) {
        if let Some(committed) = self.window.committed(event_id, attempt) {
            self.unhurried.retain(|id| *id != event_id);
            // Unless it was switched off or got another target meanwhile.
            if committed.http_status == Some(GONE) && self.gone && !self.closing {
                effects.push(Effect::Deactivate(GONE_REASON));
            }
            self.recoveries.settled(now, event_id, committed.exhausted);
            if let Some(drained) = committed.drained {
                self.catch_up.drained(&drained, self.ordering);
            }
        }
        if self.closing {
            self.window.drop_idle();
        }
    }
}
