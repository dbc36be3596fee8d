//! The rows of messages that go out: made, followed, and taken up again when a session starts.

use std::sync::{Arc, Weak};

use ractor::{ActorProcessingErr, ActorRef};
use uuid::Uuid;
use wharf_domain::{
    ConnectionKey, Outgoing, Timestamp,
    outgoing::{News, Told, code},
};
use wharf_store::{NewOutgoing, Note, QueuedMessage};
use wharf_whatsapp::SendError;

use super::{Pending, pump};
use crate::{
    clock,
    persistence::{AGAIN_AFTER, Write, WriteError},
    session::{Message, State, files},
    shared::Shared,
};

/// What waited when the session ended.
pub(in crate::session) async fn queued(
    shared: &Shared,
    key: &ConnectionKey,
) -> Result<Vec<QueuedMessage>, ActorProcessingErr> {
    // What this session's predecessor had written may still be on its way. A row that is committed after it was looked for
    // would wait for the next start.
    shared.persistence.settled().await?;
    Ok(shared.store.queued_messages(key).await?)
}

/// Takes that up. What was being handed over then is told as unknown.
pub(in crate::session) fn take_up(myself: &ActorRef<Message>, state: &mut State, rows: Vec<QueuedMessage>) {
    let (wall, steady) = (clock::now(), clock::steady());
    for row in rows {
        if row.started_at.is_some() {
            let news = News::failed(
                code::UNKNOWN,
                "Wharf ended while it was being sent; it may have been sent",
            );
            note(state, told(&row.message_id, news, wall), || {});
            continue;
        }
        let Some(outgoing) = row.outgoing else {
            let news = News::failed(
                code::REFUSED,
                "Wharf cannot read it; was it written by another version?",
            );
            note(state, told(&row.message_id, news, wall), || {});
            continue;
        };
        let chat = outgoing.to.jid();
        // A clock that was put back meanwhile makes nothing wait for longer than it may.
        let left = row.deadline_at.since(wall.max(row.created_at));
        let ticket = state.sends.outbox.take_in(&[&chat], steady + left);
        let (key, shared) = (&state.args.key, &state.args.shared);
        let mut outgoing = files::unsealed(shared, key, &row.message_id, outgoing, row.file.as_deref());
        let kept = shared.media.outbound.found(key, &row.message_id);
        if kept.is_none() {
            files::fetch_again(&mut outgoing);
        }
        let place = shared.media.outbound.path(key, &row.message_id);
        let pending = Pending {
            message_id: row.message_id,
            file: files::of(&outgoing, kept, place),
            outgoing: Arc::new(outgoing),
            queue: true,
            wait: false,
            recorded: true,
            created_at: row.created_at,
            deadline_at: row.deadline_at,
            reply: None,
        };
        state.sends.insert(ticket, pending);
    }
    pump(myself, state);
}

pub(super) fn new_row(state: &State, pending: &Pending, started_at: Option<Timestamp>) -> NewOutgoing {
    let (key, media) = (&state.args.key, pending.outgoing.content.media());
    let sealed = media.map(|media| files::sealed(&state.args.shared, key, &pending.message_id, media));
    NewOutgoing {
        // Without its key the file would be lost after a restart, and only then.
        file: sealed.and_then(|sealed| {
            let logged = sealed.inspect_err(|error| tracing::error!(%error, "a file's key cannot be encrypted"));
            logged.ok().flatten()
        }),
        key: state.args.key.clone(),
        message_id: pending.message_id.clone(),
        outgoing: pending.outgoing.as_ref().clone(),
        created_at: pending.created_at,
        deadline_at: pending.deadline_at,
        started_at,
    }
}

/// Two messages under one id would be one to WhatsApp.
pub(super) fn fresh(made: bool) -> Result<(), WriteError> {
    match made {
        true => Ok(()),
        false => Err(WriteError::Unavailable(
            "a message with this id exists; try again".to_owned(),
        )),
    }
}

/// What a failed send is in its row.
pub(super) fn failure(error: &SendError) -> News {
    let code = match error {
        SendError::NotConnected => code::NOT_CONNECTED,
        SendError::NotOnWhatsApp(_) => code::NOT_ON_WHATSAPP,
        SendError::NoKeys => code::NO_KEYS,
        SendError::Refused { code, .. } => code.as_str(),
        SendError::Impossible(_) => code::REFUSED,
        SendError::TimedOut(_) | SendError::Failed(_) => code::UNKNOWN,
    };
    News::failed(code, error.to_string())
}

/// Something that was learned of one message.
pub(super) fn told(message_id: &str, news: News, at: Timestamp) -> Told {
    Told {
        message_ids: vec![message_id.to_owned()],
        news,
        at,
        place: None,
    }
}

/// The same as it is written.
pub(super) fn noted(state: &State, told: Told) -> Vec<Note> {
    let key = state.args.key.clone();
    vec![Note { key, told }]
}

/// Writes what was learned of a message, then tells its caller. A store that refuses is asked again until it takes it, but
/// the caller does not wait for that: WhatsApp has decided. Nor does this end with the session, whose successor would
/// take the outcome for unknown.
pub(super) fn note(state: &mut State, told: Told, tell: impl FnOnce() + Send + 'static) {
    state.args.shared.metrics.learned(&told.news);
    let notes = noted(state, told);
    let first = state
        .args
        .shared
        .persistence
        .commit(Write::NoteOutgoing, notes.clone().into());
    let shared = Arc::downgrade(&state.args.shared);
    state.args.shared.notes.spawn(write(shared, notes, first, tell));
}

/// The same of a message that was never handed over. Nobody has looked where it would have gone: if there is a link, it is
/// asked.
pub(super) fn note_unsent(
    state: &mut State,
    told: Told,
    outgoing: Arc<Outgoing>,
    tell: impl FnOnce() + Send + 'static,
) {
    state.args.shared.metrics.learned(&told.news);
    let link = state.link.as_ref().map(|(_, link)| Arc::clone(link));
    let mut notes = noted(state, told);
    let (persistence, shared) = (
        state.args.shared.persistence.clone(),
        Arc::downgrade(&state.args.shared),
    );
    state.args.shared.notes.spawn(async move {
        if let (Some(link), Some(note)) = (link, notes.first_mut()) {
            note.told.place = link.place(&outgoing.to).await;
        }
        let first = persistence.commit(Write::NoteOutgoing, notes.clone().into());
        write(shared, notes, first, tell).await;
    });
}

async fn write(
    shared: Weak<Shared>,
    notes: Vec<Note>,
    first: impl Future<Output = Result<(), WriteError>>,
    tell: impl FnOnce(),
) {
    let number = notes.first().map(|note| note.key.phone_number.as_str());
    let mut noted = first.await;
    tell();
    while let Err(error) = &noted
        && error.is_passing()
    {
        tracing::warn!(number, %error, "what became of a message was not written; trying again");
        tokio::time::sleep(AGAIN_AFTER).await;
        // A gateway that is gone writes nothing.
        let Some(shared) = shared.upgrade() else { return };
        noted = shared
            .persistence
            .commit(Write::NoteOutgoing, notes.clone().into())
            .await;
    }
    if let Err(error) = noted {
        tracing::error!(number, %error, "what became of a message is not written");
    }
}

/// An id in the form that WhatsApp Web gives: 3EB0 and nine random bytes.
pub(crate) fn new_message_id() -> String {
    let random = Uuid::new_v4().into_bytes();
    // The two bytes with the version and the variant are not random.
    let bytes = random[..6].iter().chain(&random[13..]);
    bytes.fold("3EB0".to_owned(), |id, byte| format!("{id}{byte:02X}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_look_like_whatsapps_and_differ() {
        let (one, other) = (new_message_id(), new_message_id());
        assert_ne!(one, other);
        assert!(one.len() == 22 && one.starts_with("3EB0"), "{one}");
        assert!(one.bytes().all(|b| b.is_ascii_digit() || (b'A'..=b'F').contains(&b)));
    }
}
