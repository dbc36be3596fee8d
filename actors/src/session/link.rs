//! Opening and closing the link, in tasks that report back. Whoever opens or closes holds the number's place in the
//! directory, so that there is never more than one link, also across a restart of the actor.

use std::sync::Arc;

use futures::TryFutureExt as _;
use ractor::ActorRef;
use tokio::sync::oneshot;
use wharf_domain::{
    ConnectionKey, PhoneNumber,
    session::{CloseReason, LinkEvent, Parting, SessionEvent},
};
use wharf_whatsapp::{KeysError, LinkError, LinkEvents, LinkOptions};

use super::{Message, State, inbox::SessionInbox};
use crate::{
    backlog::NotAdmitted,
    persistence::{WriteError, insist},
    shared::Shared,
    supervision::guarded,
};

/// Tells an opening that its link is to end, and how: one that waits until it may open does not have its session wait for that.
pub(super) type Opening = oneshot::Sender<Parting>;

/// Opens a link after whatever a predecessor left is closed.
///
/// The task is detached on purpose: a link that opens while its actor dies must reach its place in the directory, where
/// the next actor finds and closes it.
pub(super) fn open(myself: &ActorRef<Message>, state: &mut State, generation: u64) {
    let (opening, parting) = oneshot::channel();
    state.opening = Some(opening);
    let (key, shared, slot) = (
        state.args.key.clone(),
        Arc::clone(&state.args.shared),
        Arc::clone(&state.slot),
    );
    let events = {
        let myself = myself.clone();
        LinkEvents::new(move |event| {
            let _stopped = myself.cast(Message::Happened(SessionEvent::Link { generation, event }));
        })
    };
    let inbox = Arc::new(SessionInbox::new(key.clone(), Arc::clone(&shared), events.clone()));
    // One that is opened only to log out takes nothing in.
    let takes_messages = state.machine.as_ref().is_some_and(|machine| machine.view().wanted);
    let myself = myself.clone();
    // A bug in the client library costs one attempt, like any other failure to open.
    let lost = {
        let (myself, detail) = (myself.clone(), "opening the link panicked".to_owned());
        move || drop(myself.cast(Message::Happened(SessionEvent::OpenFailed { generation, detail })))
    };
    let opening = async move {
        let mut slot = slot.lock().await;
        if let Some(left_over) = slot.take() {
            left_over.close().await;
        }
        // While the client's queue is full WhatsApp is not even asked: it would send what it cannot get rid of.
        let room = match takes_messages {
            true => tokio::select! {
                biased;
                parting = parting => match parting {
                    // WhatsApp is told by this link, whatever room there is: it takes nothing in any more.
                    Ok(Parting::LogOut) => Ok(()),
                    // Nobody wants it now.
                    _ => return,
                },
                room = shared.backlog.may_open(key.client_id) => room,
            },
            false => Ok(()),
        };
        let opened = match room {
            Ok(()) => match options(&shared, &key).await {
                Ok(options) => {
                    inbox.goes_by_proxy(options.proxy.is_some());
                    shared.links.open(&key, options, events, inbox).await
                }
                Err(error) => Err(error),
            },
            Err(why) => {
                let detail = why.to_string();
                // That the store cannot be read says nothing of the queue.
                if let NotAdmitted::Full(_) = why {
                    events.send(LinkEvent::Closed(CloseReason::QueueFull(detail.clone())));
                }
                // Heard by a session that was told to log out by this link in the moment in which it was refused, and by no other.
                let _stopped = myself.cast(Message::Happened(SessionEvent::OpenFailed { generation, detail }));
                return;
            }
        };
        match opened {
            Ok(link) => {
                *slot = Some(Arc::clone(&link));
                if myself
                    .cast(Message::Opened {
                        generation,
                        link: Arc::clone(&link),
                    })
                    .is_err()
                {
                    *slot = None;
                    link.close().await;
                }
            }
            Err(error) => {
                let event = SessionEvent::OpenFailed {
                    generation,
                    detail: error.to_string(),
                };
                let _stopped = myself.cast(Message::Happened(event));
            }
        }
    };
    tokio::spawn(guarded(opening, lost));
}

/// What the client set for this number. A proxy that cannot be read is no reason to go without.
async fn options(shared: &Shared, key: &ConnectionKey) -> Result<LinkOptions, LinkError> {
    let failed = |error: &dyn std::fmt::Display| LinkError(error.to_string());
    let row = shared.store.connection(key).await.map_err(|error| failed(&error))?;
    let row = row.ok_or_else(|| LinkError("the connection was deleted".to_owned()))?;
    let proxy = shared.proxy_of(&row).await.map_err(|error| failed(&error))?;
    Ok(LinkOptions {
        device_name: row.device_name,
        proxy,
    })
}

/// Says that WhatsApp may know a device still whose keys go.
pub(crate) fn stays_linked(number: &PhoneNumber, why: &str) {
    tracing::warn!(%number, why, "a device is not unlinked: the phone lists it until its owner removes it");
}

/// Forgets the keys of a device that is gone, however long the store refuses that: the next link would log in with them, and be told
/// that they are of no use, where it is to be paired anew.
async fn forget_device(shared: &Shared, key: &ConnectionKey) {
    let number = &key.phone_number;
    let again = |error: &WriteError| {
        tracing::warn!(%number, %error, "the device of a number is not forgotten yet; trying again");
        !shared.notes.is_closed()
    };
    let forget = || {
        shared.links.forget(key).map_err(|error| match error {
            KeysError::Unavailable(why) => WriteError::Unavailable(why),
            error => WriteError::Rejected(error.to_string()),
        })
    };
    if let Err(error) = insist(again, forget).await {
        tracing::error!(%number, %error, "cannot forget the device of a number");
    }
}

/// Ends the link. Detached like [`open`]: a logout that was begun is carried through.
pub(super) fn close(myself: &ActorRef<Message>, state: &mut State, generation: u64, parting: Parting) {
    state.link = None;
    if let Some(opening) = state.opening.take() {
        let _is_open_or_failed = opening.send(parting);
    }
    let forget = parting != Parting::Keep;
    let (key, shared, slot) = (
        state.args.key.clone(),
        Arc::clone(&state.args.shared),
        Arc::clone(&state.slot),
    );
    let myself = myself.clone();
    tokio::spawn(async move {
        let mut slot = slot.lock().await;
        // Nobody else will report the end: a session that waits for it would wait for ever.
        let number = &key.phone_number;
        if let Some(link) = slot.take() {
            let ending = async {
                match parting {
                    Parting::LogOut => {
                        if let Err(why) = link.log_out().await {
                            stays_linked(number, &why);
                        }
                    }
                    Parting::Keep | Parting::Forget => link.close().await,
                }
            };
            guarded(ending, || tracing::error!(%number, "closing a link panicked")).await;
        }
        if forget {
            guarded(
                forget_device(&shared, &key),
                || tracing::error!(%number, "forgetting the device of a number panicked"),
            )
            .await;
        }
        let _stopped = myself.cast(Message::Happened(SessionEvent::LinkGone { generation }));
        // The next link waits for that: it holds the number's place.
        if forget && let Err(error) = shared.remove_left_keys(&key).await {
            tracing::warn!(number = %key.phone_number, %error, "keys of a device that is gone stay for now");
        }
        drop(slot);
    });
}
