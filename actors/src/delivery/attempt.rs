//! One attempt: its slot, its secrets, its POST.
//!
//! An attempt for which no slot is free waits for one outside of the machine, which then decides again whether it is to
//! be made: its webhook may have been switched off, or asked to pause, in the meantime.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use ractor::ActorRef;
use wharf_domain::{
    AttemptResult, AttemptTiming, KEPT_PAYLOAD_BYTES,
    delivery::{DeliveryEvent, EndedAttempt, NextAttempt},
    fair::Standing,
};

use super::{
    Message, State,
    effects::{carry_out, spawn},
};
use crate::{
    clock,
    keyring::Keyring,
    post::{Post, Posted, Target, for_client},
    shared::{Shared, until_read},
    slots::Permit,
};

/// What attempts are made at; changes with a PATCH.
pub(super) struct Aim {
    /// Counts the webhook's URLs in this actor's life.
    pub(super) number: u64,
    pub(super) url: String,
    /// An error is what every attempt ends with.
    pub(super) target: Result<Target, AttemptResult>,
    pub(super) timeout: Duration,
}

/// Makes an attempt if there is a slot for it, else waits for one. `standing` is what was known of its receiver when the machine
/// wanted it made.
pub(super) fn make(myself: &ActorRef<Message>, state: &mut State, attempt: NextAttempt, standing: Standing) {
    let Some(machine) = state.machine.as_mut() else { return };
    let (slots, client) = (&state.args.shared.slots, state.args.client_id);
    if let Some(permit) = slots.take(client, standing) {
        return begin(myself, state, attempt, permit);
    }
    machine.awaits_slot(standing);
    // It may be long until then, and the store has what is large.
    let payload = attempt.payload.filter(|payload| payload.len() <= KEPT_PAYLOAD_BYTES);
    let attempt = NextAttempt { payload, ..attempt };
    let slot = slots.wait(client, Some(state.args.webhook_id), standing);
    let teller = myself.clone();
    let task = async move {
        if let Some(permit) = slot.await {
            let _stopped = teller.cast(Message::SlotGranted(attempt, permit));
        }
    };
    spawn(myself, state, task);
}

/// An attempt that waited has its slot.
pub(super) fn on_granted(myself: &ActorRef<Message>, state: &mut State, attempt: NextAttempt, permit: Permit) {
    let Some(machine) = state.machine.as_mut() else { return };
    let now = clock::now();
    machine.keep_time(now, clock::steady());
    let (begins, effects) = machine.granted(now, attempt.event_id, attempt.attempt);
    if begins {
        begin(myself, state, attempt, permit);
    } else {
        drop(permit);
    }
    carry_out(myself, state, effects);
}

fn begin(myself: &ActorRef<Message>, state: &mut State, attempt: NextAttempt, permit: Permit) {
    let (teller, shared) = (myself.clone(), Arc::clone(&state.args.shared));
    let (aim, keyring, client) = (Arc::clone(&state.aim), Arc::clone(&state.keyring), state.args.client_id);
    let grace = state.grace.clone();
    let task = async move {
        let (event_id, number) = (attempt.event_id, attempt.attempt);
        let (started_at, began) = (clock::now(), Instant::now());
        // Boxed: it is large, and a task is moved several times before it runs.
        let mut body_bytes = 0;
        let posted = carry_through(&shared, &aim, &keyring, attempt, &mut body_bytes);
        let posted = Box::pin(for_client(client, posted));
        let posted = grace.run_until_cancelled(posted).await;
        let Posted { result, retry_after } = posted.unwrap_or(AttemptResult::Interrupted.into());
        let took = began.elapsed();
        tracing::debug!(event = %event_id, attempt = number, ?result, "attempt ended");
        if let AttemptResult::NotMade { detail } = &result {
            tracing::warn!(event = %event_id, attempt = number, detail, "an attempt could not be made; it is put off");
        }
        shared.metrics.attempted(event_id, &result, took);
        let ended = DeliveryEvent::AttemptFinished(EndedAttempt {
            event_id,
            attempt: number,
            result,
            timing: AttemptTiming { started_at, took },
            jitter: clock::jitter(),
            retry_after,
            target: aim.number,
            body_bytes,
        });
        drop(permit);
        let _stopped = teller.cast(Message::Happened(ended));
    };
    spawn(myself, state, task);
}

/// `body_bytes` gets the length of the body as soon as that is known.
async fn carry_through(
    shared: &Shared,
    aim: &Aim,
    keyring: &Keyring,
    attempt: NextAttempt,
    body_bytes: &mut usize,
) -> Posted {
    let target = match &aim.target {
        Ok(target) => target,
        Err(refused) => return refused.clone().into(),
    };
    let blocked = |detail: String| Posted::from(AttemptResult::Blocked { detail });
    let body = match attempt.payload {
        Some(payload) => Ok(Some(payload)),
        None => until_read(keyring.webhook_id(), || shared.store.payload(attempt.event_id)).await,
    };
    let body = match body {
        Ok(Some(body)) => body,
        // Retention cannot have taken it: it is pending. Somebody deleted the row by hand.
        Ok(None) => return blocked("the event's row is gone".to_owned()),
        Err(error) => return blocked(error.to_string()),
    };
    *body_bytes = body.len();
    let opened = match keyring.opened(shared).await {
        Ok(opened) => opened,
        Err(error) => return blocked(error.to_string()),
    };
    // Both were changed since this attempt began: what the new receiver is to be shown is not for the old one.
    let moved = opened.url.as_deref().filter(|url| *url != aim.url);
    let moved = match moved.map(|url| shared.poster.target(url)).transpose() {
        Ok(moved) => moved,
        Err(refused) => return refused.into(),
    };
    let target = moved.as_ref().unwrap_or(target);
    let timestamp = clock::now();
    let post = Post {
        event_id: attempt.event_id,
        sequence: attempt.sequence,
        attempt: attempt.attempt,
        timestamp,
        timeout: aim.timeout,
        headers: &opened.headers,
        signatures: opened.signer.sign(attempt.event_id, timestamp, &body),
        body,
    };
    shared.poster.post(target, post).await
}
