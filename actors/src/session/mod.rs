//! The session actor: one per WhatsApp number, on its client's Arbiter.
//!
//! Owns the link's life: pairing, reconnects and their timer, silence, logout, outgoing sends; the decisions are those of
//! the machine in `wharf_domain::session`, whose effects it carries out. Supervised by its tenant. Restarts from its row
//! in the store, after whatever its predecessor left open is closed. Stops when the connection is deleted or the tree
//! stops.

mod begin;
pub(crate) mod files;
mod inbox;
mod link;
mod marks;
pub(crate) mod outbox;
mod saving;
pub(crate) mod told;

use std::{collections::VecDeque, sync::Arc, time::Duration};

use futures::{
    FutureExt as _,
    future::{BoxFuture, WeakShared},
};
use ractor::{Actor, ActorProcessingErr, ActorRef, RpcReplyPort};
use tokio::task::JoinSet;
use wharf_domain::{
    ConnectionKey, ConnectionStatus,
    action::{Action, Done},
    session::{Session, SessionEffect, SessionEvent, SessionView},
};
use wharf_whatsapp::{Link, PairCode, PairCodeError, SendError};

use self::{
    begin::{Unbegun, begin, turn_away},
    saving::Saving,
    told::Told,
};
pub(crate) use self::{link::stays_linked, saving::Wish};
#[cfg(test)]
use crate::supervision::Crash;
use crate::{clock, directory::LinkSlot, pacer::Turn, shared::Shared, supervision::DONE, task::OwnedTask};

/// A send waits this long for WhatsApp's ack (the issue of a caller that hangs is worse than an unknown outcome).
const SEND_DEADLINE: Duration = Duration::from_secs(15);
/// A code is asked for once; its key is derived slowly on purpose.
const PAIR_CODE_DEADLINE: Duration = Duration::from_secs(14);

/// What the actor is started with.
pub(crate) struct Args {
    pub(crate) key: ConnectionKey,
    pub(crate) shared: Arc<Shared>,
}

/// What the actor can be told.
pub(crate) enum Message {
    /// Read the row and begin.
    Begin,
    /// Something happened to the session.
    Happened(SessionEvent),
    /// A link is open.
    Opened { generation: u64, link: Arc<dyn Link> },
    /// Do what the owner wants, once it is kept.
    Want(Wish),
    /// Something became of a write of the state.
    Saving(Saving),
    /// Send a message.
    Send(Box<outbox::Request>, outbox::Reply),
    /// Whether such a message would be taken now.
    CheckSend {
        queue: bool,
        reply: RpcReplyPort<Result<(), outbox::Undone>>,
    },
    /// Something happened to a message.
    Outbox(outbox::Event),
    /// Do something else at WhatsApp.
    Act(Box<Action>, RpcReplyPort<Result<Done, outbox::Undone>>),
    /// Ask for a code to type into the phone.
    PairCode(RpcReplyPort<Result<PairCode, PairCodeError>>),
    /// Log out, forget the keys, answer, and stop. Not answered where the program stops first.
    Delete(RpcReplyPort<()>),
    /// Close the link, answer, and stop; the row stays as it is.
    Shutdown(RpcReplyPort<()>),
    /// It could not begin, and everything before this is answered.
    GiveUp,
    /// Die, for the tests of the tree.
    #[cfg(test)]
    Crash(Crash),
}

/// See the module.
pub(crate) struct SessionActor;

pub(crate) struct State {
    args: Args,
    /// There from `Begin` on,
    machine: Option<Session>,
    /// unless this came of it.
    unbegun: Option<Unbegun>,
    slot: LinkSlot,
    link: Option<(u64, Arc<dyn Link>)>,
    /// The link that was opened last, as long as nobody has closed it.
    opening: Option<link::Opening>,
    timer: OwnedTask,
    /// The turn that its next link waits for.
    turn: Option<Turn>,
    /// The state of saving: a write under way, and whether the state changed since it began.
    saving: bool,
    unsaved: bool,
    save_timer: OwnedTask,
    /// What the owner wants and is not kept yet.
    wishes: VecDeque<Wish>,
    /// The one of them that is being written.
    keeping: Option<Wish>,
    told: Told,
    /// The question for a code to type into the phone, while it is under way.
    pairing: Option<Pairing>,
    /// Who waits for the deletion, and who for the end.
    deleting: Vec<RpcReplyPort<()>>,
    stopping: Vec<RpcReplyPort<()>>,
    sends: outbox::Sends,
    tasks: JoinSet<()>,
}

/// Whoever asks meanwhile waits for the same answer.
type Pairing = WeakShared<BoxFuture<'static, Result<PairCode, PairCodeError>>>;

impl Actor for SessionActor {
    type Msg = Message;
    type State = State;
    type Arguments = Args;

    async fn pre_start(&self, myself: ActorRef<Message>, args: Args) -> Result<State, ActorProcessingErr> {
        myself.cast(Message::Begin)?;
        let slot = args.shared.directory.link_slot(&args.key);
        let wanted = args.shared.directory.wanted(&args.key);
        Ok(State {
            sends: outbox::Sends::new(&args.shared),
            args,
            machine: None,
            unbegun: None,
            slot,
            link: None,
            opening: None,
            timer: OwnedTask::default(),
            turn: None,
            saving: false,
            unsaved: false,
            save_timer: OwnedTask::default(),
            wishes: VecDeque::new(),
            keeping: None,
            told: Told::new(wanted),
            pairing: None,
            deleting: Vec::new(),
            stopping: Vec::new(),
            tasks: JoinSet::new(),
        })
    }

    async fn handle(
        &self,
        myself: ActorRef<Message>,
        message: Message,
        state: &mut State,
    ) -> Result<(), ActorProcessingErr> {
        while state.tasks.try_join_next().is_some() {}
        // Something may be in the mailbox before `Begin`: whatever comes first, the row is read first. A program that stops
        // does not wait for that.
        if !matches!(message, Message::Shutdown(_)) && !Box::pin(begin(&myself, state)).await? {
            return turn_away(&myself, state, message);
        }
        match message {
            Message::Begin | Message::GiveUp => {}
            Message::Happened(event) => step(&myself, state, event),
            Message::Opened { generation, link } => {
                state.link = Some((generation, link));
                outbox::pump(&myself, state);
            }
            Message::Want(wish) => saving::on_wish(&myself, state, wish),
            Message::Saving(saving) => saving::on_saving(&myself, state, saving),
            Message::Send(request, reply) => outbox::on_send(&myself, state, *request, reply),
            Message::CheckSend { queue, reply } => {
                let _caller_gone = reply.send(outbox::check(state, queue));
            }
            Message::Outbox(event) => outbox::on_event(&myself, state, event),
            Message::Act(action, reply) => on_act(state, *action, reply),
            Message::PairCode(reply) => on_pair_code(state, reply),
            Message::Delete(reply) => {
                state.deleting.push(reply);
                end(&myself, state, SessionEvent::Delete);
            }
            Message::Shutdown(reply) => {
                saving::on_stop(&myself, state);
                state.stopping.push(reply);
                end(&myself, state, SessionEvent::Shutdown);
            }
            #[cfg(test)]
            Message::Crash(how) => return how.carry_out(),
        }
        Ok(())
    }
}

fn step(myself: &ActorRef<Message>, state: &mut State, event: SessionEvent) {
    let Some(machine) = state.machine.as_mut() else { return };
    let (before, connected_before, now) = (machine.view().clone(), machine.connected_link(), clock::now());
    let leaving = event == SessionEvent::Shutdown;
    let effects = machine.step(now, clock::jitter(), event);
    let came_up = machine.connected_link() != connected_before;
    if leaving {
        // A program that stops changes no row, and tells nobody.
        state.told.have_said(machine.view().clone());
    } else {
        state.told.note(&state.args.key, &before, machine.view(), now);
    }
    carry_out(myself, state, effects);
    let waits = state
        .machine
        .as_ref()
        .is_some_and(|machine| machine.view().retry_at.is_some());
    if !waits {
        // No link comes any more, or it has come.
        state.turn = None;
    }
    publish(state);
    if came_up {
        outbox::pump(myself, state);
    }
}

fn publish(state: &State) {
    let Some(machine) = &state.machine else { return };
    let (shared, view) = (&state.args.shared, machine.view());
    let before = shared.directory.publish_view(&state.args.key, view.clone());
    let was_connected = before
        .as_ref()
        .is_some_and(|before| before.status == ConnectionStatus::Connected);
    if was_connected && view.status != ConnectionStatus::Connected {
        shared.metrics.link_lost(view.reason_code);
    }
    if before.is_some_and(|before| (before.status, before.reason_code) != (view.status, view.reason_code)) {
        log(&state.args.key, view);
    }
}

/// Says what has become of a number, where the one who runs the gateway may want to know: not again while the same is tried again.
fn log(key: &ConnectionKey, view: &SessionView) {
    let (client, number) = (key.client_id, &key.phone_number);
    let (code, reason) = (view.reason_code.as_str(), view.reason.as_deref());
    if view.reason_code.is_for_the_log(view.status) {
        tracing::warn!(%client, %number, code, reason, "WhatsApp took a number off, or has it no more");
    } else if view.status == ConnectionStatus::Connecting && view.retry_at.is_some() {
        tracing::info!(%client, %number, code, reason, "a number has no link for now");
    }
}

fn carry_out(myself: &ActorRef<Message>, state: &mut State, effects: Vec<SessionEffect>) {
    for effect in effects {
        match effect {
            SessionEffect::OpenLink { generation } => link::open(myself, state, generation),
            SessionEffect::CloseLink { generation, parting } => link::close(myself, state, generation, parting),
            SessionEffect::CheckSilence { generation } => {
                let silent_for = state.link.as_ref().filter(|(open, _)| *open == generation);
                let silent_for = silent_for.and_then(|(_, link)| link.silence());
                let _stopped = myself.cast(Message::Happened(SessionEvent::Silence { generation, silent_for }));
            }
            SessionEffect::SetTimer { at, generation } => set_timer(myself, state, clock::until(at), generation),
            SessionEffect::TakeTurn { after, generation } => {
                // First of all the one before is given back: its place may be the next that is free.
                state.turn = None;
                let turn = state.args.shared.pacer.turn(state.args.key.client_id, after);
                let wait = turn.wait();
                state.turn = Some(turn);
                if let Some(machine) = &mut state.machine {
                    machine.turn_is(generation, clock::now() + wait);
                }
                set_timer(myself, state, wait, generation);
            }
            SessionEffect::StaysLinked { why } => link::stays_linked(&state.args.key.phone_number, &why),
            SessionEffect::Save => saving::save(myself, state),
            SessionEffect::Finished { deleted } => {
                saving::save_deleted(myself, state);
                // A deletion that goes on after the next start is not answered: its row stays for that.
                let carried_out = state.deleting.drain(..).filter(|_| deleted);
                carried_out.chain(state.stopping.drain(..)).for_each(|reply| {
                    let _asker_gone = reply.send(());
                });
                myself.stop(Some(DONE.to_owned()));
            }
        }
    }
}

fn set_timer(myself: &ActorRef<Message>, state: &mut State, wait: Duration, generation: u64) {
    let fired = move || Message::Happened(SessionEvent::TimerFired { generation });
    state.timer.tell_after(wait, myself, fired);
}

fn end(myself: &ActorRef<Message>, state: &mut State, event: SessionEvent) {
    if state.machine.is_none() {
        // It has not even read its row; nothing is open.
        carry_out(myself, state, vec![SessionEffect::Finished { deleted: true }]);
        return;
    }
    step(myself, state, event);
}

/// The code that is shown already, or that is on its way, or a new one.
fn on_pair_code(state: &mut State, reply: RpcReplyPort<Result<PairCode, PairCodeError>>) {
    let view = state.machine.as_ref().map(Session::view);
    let shown = view.and_then(|view| view.pair_code.clone());
    let waits = view.is_some_and(|view| view.status == ConnectionStatus::AwaitingScan);
    if let Some((code, expires_at)) = shown.filter(|(_, expires_at)| *expires_at > clock::now()) {
        let _asker_gone = reply.send(Ok(PairCode { code, expires_at }));
        return;
    }
    let Some((_, link)) = state.link.as_ref().filter(|_| waits) else {
        let _asker_gone = reply.send(Err(PairCodeError::NotPairing));
        return;
    };
    // WhatsApp is asked for one at a time.
    let under_way = state.pairing.as_ref().and_then(Pairing::upgrade);
    let asking = under_way.unwrap_or_else(|| {
        let (link, number) = (Arc::clone(link), state.args.key.phone_number.clone());
        let asking = async move { link.pair_code(&number, PAIR_CODE_DEADLINE).await };
        asking.boxed().shared()
    });
    state.pairing = asking.downgrade();
    state.tasks.spawn(async move {
        let _asker_gone = reply.send(asking.await);
    });
}

fn on_act(state: &mut State, action: Action, reply: RpcReplyPort<Result<Done, outbox::Undone>>) {
    let Some(link) = outbox::open_link(state) else {
        let _asker_gone = reply.send(Err(outbox::Undone::Link(SendError::NotConnected)));
        return;
    };
    state.tasks.spawn(async move {
        let result = tokio::time::timeout(SEND_DEADLINE, link.act(&action, SEND_DEADLINE)).await;
        let result = result.unwrap_or(Err(SendError::TimedOut(SEND_DEADLINE)));
        let _asker_gone = reply.send(result.map_err(outbox::Undone::Link));
    });
}
