//! A message is handed to WhatsApp, and what came of it.

use std::{panic::AssertUnwindSafe, sync::Arc};

use futures::FutureExt as _;
use ractor::ActorRef;
use wharf_domain::{
    Outgoing,
    outgoing::{News, Place, Ticket, Told},
};
use wharf_whatsapp::{Link, SendError, Sent};

use super::{
    Event, Undone,
    rows::{failure, fresh, new_row, note, noted, told},
};
use crate::{
    clock,
    persistence::Write,
    session::{Message, SEND_DEADLINE, State},
};

/// Hands a message to WhatsApp, after its row says so.
pub(super) fn start(myself: &ActorRef<Message>, state: &mut State, ticket: Ticket, link: Arc<dyn Link>) {
    let Some(pending) = state.sends.pending.get(&ticket) else {
        return state.sends.outbox.finished(ticket);
    };
    let now = clock::now();
    let persistence = &state.args.shared.persistence;
    let (id, outgoing) = (pending.message_id.clone(), Arc::clone(&pending.outgoing));
    let first = !pending.recorded;
    let recording = match first {
        true => futures::future::Either::Left({
            let made = persistence.commit(Write::RecordOutgoing, new_row(state, pending, Some(now)));
            async move { made.await.and_then(fresh) }
        }),
        false => futures::future::Either::Right({
            let started = told(&id, News::Started, now);
            persistence.commit(Write::NoteOutgoing, noted(state, started).into())
        }),
    };
    let myself = myself.clone();
    state.tasks.spawn(async move {
        let recorded = recording.await;
        let there = recorded.is_ok();
        if first || !there {
            let _stopped = myself.cast(Message::Outbox(Event::Recorded(ticket, recorded)));
        }
        if there {
            let (result, place) = send(link.as_ref(), &id, &outgoing).await;
            let _stopped = myself.cast(Message::Outbox(Event::Ended(ticket, result, place)));
        }
    });
}

/// What WhatsApp says to a message, and where it went. A panic is an answer, too: a chat that hears nothing of its message waits
/// for ever.
async fn send(link: &dyn Link, id: &str, outgoing: &Outgoing) -> (Result<Sent, SendError>, Option<Place>) {
    let sending = tokio::time::timeout(SEND_DEADLINE, link.send(id, outgoing, SEND_DEADLINE));
    let panicked = |_| Ok(Err(SendError::Failed("sending it panicked".to_owned())));
    let sent = AssertUnwindSafe(sending).catch_unwind().await.unwrap_or_else(panicked);
    let result = sent.unwrap_or(Err(SendError::TimedOut(SEND_DEADLINE)));
    let place = AssertUnwindSafe(link.place(&outgoing.to)).catch_unwind().await;
    (result, place.ok().flatten())
}

/// WhatsApp has answered, or has not; or the link was gone, and the message waits on.
pub(super) fn on_ended(state: &mut State, ticket: Ticket, result: Result<Sent, SendError>, place: Option<Place>) {
    let Some(pending) = state.sends.pending.get_mut(&ticket) else {
        return;
    };
    let message_id = pending.message_id.clone();
    if result == Err(SendError::NotConnected) && pending.queue {
        // It waits on, for nobody knows how long: its caller does not.
        pending.answer(Ok(None));
        state.sends.outbox.returned(ticket, clock::steady());
        return note(state, told(&message_id, News::NotStarted, clock::now()), || {});
    }
    state.sends.outbox.finished(ticket);
    let Some(mut pending) = state.sends.pending.remove(&ticket) else {
        return;
    };
    let learned = match &result {
        Ok(sent) => told(&message_id, News::Sent, sent.timestamp),
        Err(error) => told(&message_id, failure(error), clock::now()),
    };
    note(state, Told { place, ..learned }, move || {
        pending.answer(result.map(Some).map_err(Undone::Link));
    });
}
