//! Sending: what waits, what is under way, and what callers are told (`wharf_domain::outgoing::Outbox` decides).
//!
//! A message is a committed row before WhatsApp hears of it, and the row says that it is being handed over before it is.
//! So after a crash a row either waits on, or what became of it is not known and is told so; nothing is sent twice.

mod handover;
mod rows;
mod types;

use std::{collections::HashMap, sync::Arc, time::Duration};

use futures::FutureExt as _;
use ractor::ActorRef;
use wharf_domain::{
    Outgoing, Recipient, Timestamp,
    action::PresenceState,
    outgoing::{FileType, MediaMessage, News, Outbox, Ticket, code},
    session::Session,
};
use wharf_whatsapp::{SendError, Sent};

pub(super) use self::rows::{queued, take_up};
use self::{
    handover::{on_ended, start},
    rows::{fresh, new_row, note, note_unsent, told},
};
pub(crate) use self::{
    rows::new_message_id,
    types::{Answer, Event, Reply, Request, Undone},
};
use super::{
    Message, State,
    files::{self, File},
};
use crate::{
    clock,
    persistence::{Write, WriteError},
    shared::Shared,
    task::OwnedTask,
};

/// A caller waits this long for a message that has not even started; then it is told that it is queued.
const PATIENCE: Duration = Duration::from_secs(5);

pub(super) struct Pending {
    pub(super) message_id: String,
    pub(super) outgoing: Arc<Outgoing>,
    /// There as long as its file is not at WhatsApp.
    pub(super) file: Option<File>,
    pub(super) queue: bool,
    wait: bool,
    /// Whether its row is there.
    recorded: bool,
    created_at: Timestamp,
    deadline_at: Timestamp,
    reply: Option<Reply>,
}

impl Pending {
    fn answer(&mut self, answer: Result<Option<Sent>, Undone>) {
        let Some(reply) = self.reply.take() else { return };
        let _caller_gone = reply.send(answer.map(|sent| Answer {
            message_id: self.message_id.clone(),
            at: sent.as_ref().map_or(self.created_at, |sent| sent.timestamp),
            sent,
        }));
    }
}

/// The session's part of it.
pub(super) struct Sends {
    outbox: Outbox,
    pending: HashMap<Ticket, Pending>,
    timer: OwnedTask,
}

impl Sends {
    pub(super) fn new(shared: &Shared) -> Self {
        Self {
            outbox: Outbox::new(shared.settings.sending, clock::steady()),
            pending: HashMap::new(),
            timer: OwnedTask::default(),
        }
    }

    /// The messages that wait for their files, and have a row.
    pub(super) fn with_files(&mut self) -> impl Iterator<Item = (&Ticket, &mut Pending)> {
        let waits = |pending: &Pending| pending.recorded && pending.file.is_some();
        self.pending.iter_mut().filter(move |(_, pending)| waits(pending))
    }

    pub(super) fn pending(&mut self, ticket: Ticket) -> Option<&mut Pending> {
        self.pending.get_mut(&ticket)
    }

    /// The file of a message is at WhatsApp.
    pub(super) fn have_file(&mut self, ticket: Ticket) {
        self.outbox.have_file(ticket);
    }

    /// Takes a message up under its ticket.
    fn insert(&mut self, ticket: Ticket, pending: Pending) {
        if pending.file.is_some() {
            self.outbox.lack_file(ticket);
        }
        if !pending.outgoing.typing().is_zero() {
            self.outbox.types(ticket, pending.outgoing.typing());
        }
        self.pending.insert(ticket, pending);
    }
}

pub(super) fn on_send(myself: &ActorRef<Message>, state: &mut State, request: Request, reply: Reply) {
    let Request {
        message_id,
        outgoing,
        file,
        queue,
        wait,
        place,
    } = request;
    let settings = &state.args.shared.settings;
    let (sending, most_bytes) = (settings.sending, settings.media.send_max_bytes);
    let media = outgoing.content.media();
    let allowance = media.map(|media: &MediaMessage| media.allowance(most_bytes));
    let deadline = sending.deadline + allowance.unwrap_or_default() + outgoing.typing();
    let names = [outgoing.to.jid(), named(state, &outgoing.to)];
    let names = names.each_ref().map(String::as_str);
    if let Err(refused) = check(state, queue) {
        // The file first: whoever hears of the refusal finds nothing left of it.
        drop(file);
        let _caller_gone = reply.send(Err(refused));
        return;
    }
    let ticket = state.sends.outbox.take_in(&names, clock::steady() + deadline);
    // It has its place here now.
    drop(place);
    let created_at = clock::now();
    let place = state.args.shared.media.outbound.path(&state.args.key, &message_id);
    let pending = Pending {
        message_id,
        file: files::of(&outgoing, file, place),
        outgoing: Arc::new(outgoing),
        queue,
        wait,
        recorded: false,
        created_at,
        deadline_at: created_at + deadline,
        reply: Some(reply),
    };
    state.sends.insert(ticket, pending);
    pump(myself, state);
    if state.sends.outbox.waits(ticket) {
        enqueue(myself, state, ticket);
    }
}

/// What WhatsApp calls the chat with somebody, if the link says so at once: who waits for an answer would be overtaken.
fn named(state: &State, to: &Recipient) -> String {
    let link = state.link.as_ref().map(|(_, link)| link);
    let place = link.and_then(|link| link.place(to).now_or_never().flatten());
    place.map_or_else(|| to.jid(), |place| place.chat)
}

pub(super) fn on_event(myself: &ActorRef<Message>, state: &mut State, event: Event) {
    match event {
        Event::Recorded(ticket, result) => on_recorded(state, ticket, result),
        Event::Ended(ticket, result, place) => on_ended(state, ticket, result, place),
        Event::Impatient(ticket) => {
            if state.sends.outbox.waits(ticket)
                && let Some(pending) = state.sends.pending.get_mut(&ticket)
                && pending.recorded
            {
                pending.queue = true;
                pending.answer(Ok(None));
            }
        }
        Event::File(ticket, step) => files::on_step(state, ticket, *step),
        Event::Wake => {}
    }
    pump(myself, state);
}

/// Starts what may start and ends what has waited for too long.
pub(super) fn pump(myself: &ActorRef<Message>, state: &mut State) {
    let link = open_link(state);
    let now = clock::steady();
    let own = state.told.wanted().settings().pace;
    state.sends.outbox.pace(state.args.shared.settings.sending.at(own), now);
    let pumped = state.sends.outbox.pump(now, link.is_some());
    for ticket in pumped.expired {
        if let Some(pending) = state.sends.pending(ticket) {
            let after = pending.deadline_at.since(pending.created_at).as_secs();
            let detail = format!("it was not sent within {after} s");
            fail(state, ticket, code::EXPIRED, detail, Undone::Expired);
        }
    }
    files::go_on(myself, state, link.as_ref());
    if let Some(link) = link {
        for ticket in pumped.type_first {
            show_typing(state, ticket, Arc::clone(&link));
        }
        for ticket in pumped.start {
            start(myself, state, ticket, Arc::clone(&link));
        }
    }
    match pumped.wake_at {
        None => state.sends.timer.clear(),
        Some(at) => {
            let wake = || Message::Outbox(Event::Wake);
            state.sends.timer.tell_after(at.since(now), myself, wake);
        }
    }
}

/// Shows that a message is being typed or recorded. Nothing waits for that: the message goes when its time has passed.
fn show_typing(state: &mut State, ticket: Ticket, link: Arc<dyn wharf_whatsapp::Link>) {
    let Some(outgoing) = state.sends.pending(ticket).map(|pending| Arc::clone(&pending.outgoing)) else {
        return;
    };
    let media = outgoing.content.media();
    let shown = match media.is_some_and(|media| media.kind == FileType::Voice) {
        true => PresenceState::Recording,
        false => PresenceState::Typing,
    };
    state
        .tasks
        .spawn(async move { link.types(&outgoing.to, shown, outgoing.typing()).await });
}

/// The link, if messages can be sent on it.
pub(super) fn open_link(state: &State) -> Option<Arc<dyn wharf_whatsapp::Link>> {
    let connected = state.machine.as_ref().and_then(Session::connected_link);
    let (_, link) = state
        .link
        .as_ref()
        .filter(|(generation, _)| Some(*generation) == connected)?;
    Some(Arc::clone(link))
}

/// Whether a message would be taken now that may wait for its connection, or may not.
pub(super) fn check(state: &State, queue: bool) -> Result<(), Undone> {
    if !queue && open_link(state).is_none() {
        return Err(Undone::Link(SendError::NotConnected));
    }
    match state.sends.outbox.is_full() {
        true => Err(Undone::Full(state.args.shared.settings.sending.queue_max)),
        false => Ok(()),
    }
}

/// Ends a message that was not sent.
pub(super) fn fail(state: &mut State, ticket: Ticket, code: &str, detail: String, undone: Undone) {
    state.sends.outbox.finished(ticket);
    let Some(mut pending) = state.sends.pending.remove(&ticket) else {
        return;
    };
    pending.discard_file();
    let failed = told(&pending.message_id, News::failed(code, detail), clock::now());
    let outgoing = Arc::clone(&pending.outgoing);
    note_unsent(state, failed, outgoing, move || pending.answer(Err(undone)));
}

/// Makes the row of a message that waits.
fn enqueue(myself: &ActorRef<Message>, state: &mut State, ticket: Ticket) {
    // Before the commit, which may be made when this session has ended. A file without a row goes at the next start.
    if let Some(file) = state.sends.pending(ticket).and_then(|pending| pending.file.as_mut()) {
        file.belongs_to_row();
    }
    let Some(pending) = state.sends.pending.get(&ticket) else {
        return;
    };
    let row = new_row(state, pending, None);
    state.sends.outbox.hold(ticket);
    let recording = state.args.shared.persistence.commit(Write::RecordOutgoing, row);
    let (myself, wait) = (myself.clone(), pending.wait);
    state.tasks.spawn(async move {
        let recorded = recording.await.and_then(fresh);
        let _stopped = myself.cast(Message::Outbox(Event::Recorded(ticket, recorded)));
        if wait {
            tokio::time::sleep(PATIENCE).await;
            let _stopped = myself.cast(Message::Outbox(Event::Impatient(ticket)));
        }
    });
}

fn on_recorded(state: &mut State, ticket: Ticket, result: Result<(), WriteError>) {
    let Some(pending) = state.sends.pending.get_mut(&ticket) else {
        return;
    };
    match result {
        Ok(()) => {
            pending.recorded = true;
            state.sends.outbox.release(ticket);
            if !pending.wait {
                pending.queue = true;
                pending.answer(Ok(None));
            }
        }
        // It was never handed over, and waits on: only its row does not say so.
        Err(error) if pending.recorded => {
            tracing::warn!(number = %state.args.key.phone_number, ?error, "a message cannot be sent before the store takes writes");
            // A commit that is only late has the row say that it is under way, and a restart would take it for that.
            let may_say_so = matches!(error, WriteError::Unknown(_)).then(|| pending.message_id.clone());
            pending.queue = true;
            pending.answer(Ok(None));
            state.sends.outbox.returned(ticket, clock::steady());
            if let Some(message_id) = may_say_so {
                note(state, told(&message_id, News::NotStarted, clock::now()), || {});
            }
        }
        Err(error) => {
            // A commit that is only late has a row made, and the next session would send it.
            let may_be_there = matches!(error, WriteError::Unknown(_));
            pending.answer(Err(Undone::NotRecorded(error)));
            pending.discard_file();
            let (message_id, outgoing) = (pending.message_id.clone(), Arc::clone(&pending.outgoing));
            state.sends.pending.remove(&ticket);
            state.sends.outbox.finished(ticket);
            if may_be_there {
                let news = News::failed(code::NOT_RECORDED, "the store did not take it in time; it was not sent");
                note_unsent(state, told(&message_id, news, clock::now()), outgoing, || {});
            }
        }
    }
}
