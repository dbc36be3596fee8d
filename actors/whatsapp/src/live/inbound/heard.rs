//! Carries what was heard beside messages to the inbox, in the order of the lane.

use std::{borrow::Cow, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures::FutureExt as _;
use parking_lot::MutexGuard;
use tokio::time::Instant;
use wharf_domain::{
    IncomingMessage, Timestamp,
    message::{Call, CallState, GroupChange, Presence, PresenceState},
};
use whatsapp_rust::Client;
use whatsapp_rust::chrono::{DateTime, Utc};
use whatsapp_rust::wacore::types::{
    call::{CallAction, IncomingCall, MissedCall},
    events::{ChatPresenceUpdate, Event, GroupUpdate, InboundMessage, PictureUpdate, PresenceUpdate},
};
use whatsapp_rust::wacore_binary::Jid;

use super::{Inbound, groups_of};
use crate::live::{
    convert::{Party, Scene, call_of, change_of, concerned, doing},
    lane::Lane,
    reporter::now,
};

/// Sees to it that what waits in the lane is carried on. At most one task does; it ends when nothing waits.
pub(super) fn attend(inbound: &Arc<Inbound>) {
    {
        let mut lane = inbound.lane();
        if lane.attended {
            inbound.moved.notify_one();
            return;
        }
        if lane.is_empty() {
            return;
        }
        lane.attended = true;
    }
    drop(inbound.runtime.start(carry_on(Arc::clone(inbound))));
}

async fn carry_on(inbound: Arc<Inbound>) {
    loop {
        let over = inbound.reporter.over();
        let moved = inbound.moved.notified();
        let (ready, next_look) = {
            let mut lane = inbound.lane();
            let ready = if over.is_cancelled() {
                lane.rest()
            } else {
                lane.ready(Instant::now())
            };
            if ready.is_empty() && lane.is_empty() {
                lane.attended = false;
                return;
            }
            (ready, lane.next_look())
        };
        if !ready.is_empty() {
            inbound.tell(&ready).await;
            continue;
        }
        let look_again = async {
            match next_look {
                Some(at) => tokio::time::sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = moved => {}
            () = look_again => {}
            () = over.cancelled() => {}
        }
    }
}

/// How long the word that a call was turned down is waited for.
const REJECTED_WITHIN: Duration = Duration::from_secs(5);

impl Inbound {
    /// See `live/lane.rs`.
    pub(super) fn lane(&self) -> MutexGuard<'_, Lane<Arc<Event>>> {
        self.lane.lock()
    }

    /// Messages in the order in which their stanzas came, as far as that is known. The client decrypts what it has of one
    /// sender beside what it has of another, so that in a backlog the two sides of a chat lie about as they happened to be done.
    pub(super) fn in_order<'b>(&self, batch: &'b [InboundMessage]) -> Cow<'b, [InboundMessage]> {
        if batch.len() < 2 {
            return Cow::Borrowed(batch);
        }
        let lane = self.lane();
        let places = lane.places();
        let place = |message: &InboundMessage| places.get(message.info.id.as_str()).copied();
        if batch.is_sorted_by_key(place) || !batch.iter().all(|message| place(message).is_some()) {
            return Cow::Borrowed(batch);
        }
        let mut batch = batch.to_vec();
        batch.sort_by_key(place);
        Cow::Owned(batch)
    }

    /// The inbox is asked to take messages.
    pub(super) fn entered<'a>(&self, ids: impl Iterator<Item = &'a str>) {
        self.lane().at_inbox(ids, Instant::now());
    }

    /// It has them, or will not get them.
    pub(super) fn left<'a>(&self, ids: impl Iterator<Item = &'a str>) {
        self.lane().done(ids, Instant::now());
        self.moved.notify_one();
    }

    /// Has what happened committed, in its order. The inbox is asked for as long as for messages; but nothing here comes a
    /// second time.
    async fn tell(&self, happened: &[Arc<Event>]) {
        let Some(client) = self.reporter.client() else { return };
        for run in happened.chunk_by(|one, next| is_of_sent(one) == is_of_sent(next)) {
            let telling = async {
                match run.first() {
                    Some(first) if is_of_sent(first) => self.tell_of_sent(&client, run).await,
                    _ => self.tell_of_others(&client, run).await,
                }
            };
            // What makes us panic, which is our bug, shall cost itself, and not all that the link hears after it.
            let told = AssertUnwindSafe(telling).catch_unwind().await;
            if let Err(refused) = told.unwrap_or_else(|_| Err("telling it panicked".to_owned())) {
                if self.reporter.is_leaving() {
                    // For nobody any more: its rows go with the device.
                    tracing::debug!(refused, "what happened beside messages is not taken");
                    continue;
                }
                let (key, count) = (self.reporter.key(), run.len());
                tracing::error!(client_id = %key.client_id, phone_number = %key.phone_number, refused, count, "what happened beside messages could not be stored and is lost");
            }
        }
    }

    async fn tell_of_others(&self, client: &Arc<Client>, happened: &[Arc<Event>]) -> Result<(), String> {
        let mut messages = Vec::new();
        for event in happened {
            match event.as_ref() {
                Event::GroupUpdate(update) => messages.push(self.group(client, update).await),
                Event::PictureUpdate(update) => messages.push(self.picture(client, update).await),
                Event::IncomingCall(call) => messages.extend(self.call(client, call).await),
                Event::MissedCall(call) => messages.extend(self.missed(client, call).await),
                Event::ChatPresence(update) => messages.extend(self.doing(client, update).await),
                Event::Presence(update) => messages.extend(self.presence(client, update).await),
                _ => {}
            }
        }
        self.name_groups(client, groups_of(&mut messages)).await;
        self.commit(messages).await
    }

    async fn group(&self, client: &Arc<Client>, update: &GroupUpdate) -> IncomingMessage {
        let group = self.party(client, &update.group_jid, None).await;
        let who = match &update.participant {
            Some(participant) => self.party(client, participant, update.participant_pn.as_ref()).await,
            None => group.clone(),
        };
        let mut whom = Vec::new();
        for (jid, number) in concerned(&update.action) {
            whom.push(self.party(client, jid, number).await.shown);
        }
        let id = update.notification_id.clone().unwrap_or_default();
        let id = match update.action_index {
            0 => id,
            index => format!("{id}/{index}"),
        };
        let change = change_of(&update.action, whom);
        scene(&group, &id, at(update.timestamp)).group(&who, change)
    }

    /// WhatsApp's id of the change is not handed over: the picture's own stands for it, or when it was taken away.
    async fn picture(&self, client: &Arc<Client>, update: &PictureUpdate) -> IncomingMessage {
        let group = self.party(client, &update.jid, None).await;
        let who = match &update.author {
            Some(author) => self.party(client, author, None).await,
            None => group.clone(),
        };
        let at = at(update.timestamp);
        let id = match &update.picture_id {
            Some(id) => id.clone(),
            None => format!("no-picture/{}", at.seconds()),
        };
        let change = GroupChange {
            what: "picture".to_owned(),
            picture_id: Some(update.picture_id.clone().unwrap_or_default()),
            ..GroupChange::default()
        };
        scene(&group, &id, at).group(&who, change)
    }

    async fn call(&self, client: &Arc<Client>, incoming: &IncomingCall) -> Option<IncomingMessage> {
        let (call, caller) = call_of(&incoming.action)?;
        if is_own(client, caller) {
            return None;
        }
        let (number, group) = match &incoming.action {
            CallAction::Offer {
                caller_pn, group_jid, ..
            } => (caller_pn.as_ref(), group_jid.as_ref()),
            _ => (None, None),
        };
        let who = self.party(client, caller, number).await;
        let id = call.id.clone();
        let call = Call {
            rejected: call.state == CallState::Offer && self.was_rejected(&id).await,
            ..call
        };
        let mut told = scene(&who, &id, at(incoming.timestamp)).call(&who, call);
        if let (Some(group), Some(details)) = (group, &mut told.details) {
            details.group = Some(wharf_domain::message::Group {
                id: group.to_string(),
                subject: None,
            });
        }
        Some(told)
    }

    /// Whether a call was turned down as it rang. That is a matter of writing to the socket, and no longer waited for than
    /// what is behind it here can do without.
    async fn was_rejected(&self, id: &str) -> bool {
        match self.memory.calls().take_rejected(id) {
            Some(rejected) => matches!(tokio::time::timeout(REJECTED_WITHIN, rejected).await, Ok(Ok(true))),
            None => false,
        }
    }

    async fn missed(&self, client: &Arc<Client>, missed: &MissedCall) -> Option<IncomingMessage> {
        if is_own(client, &missed.from) {
            return None;
        }
        let who = self.party(client, &missed.from, None).await;
        let call = Call::new(&missed.call_id, CallState::Missed);
        Some(scene(&who, &missed.call_id, at(missed.timestamp)).call(&who, call))
    }

    async fn doing(&self, client: &Arc<Client>, update: &ChatPresenceUpdate) -> Option<IncomingMessage> {
        let source = &update.source;
        if is_own(client, &source.sender) {
            return None;
        }
        let chat = self.party(client, &source.chat, None).await;
        let who = self.party(client, &source.sender, None).await;
        let presence = Presence {
            state: doing(update.state, update.media),
            last_seen: None,
        };
        Some(scene(&chat, "", now()).presence(&who, presence))
    }

    async fn presence(&self, client: &Arc<Client>, update: &PresenceUpdate) -> Option<IncomingMessage> {
        if is_own(client, &update.from) {
            return None;
        }
        let who = self.party(client, &update.from, None).await;
        let presence = Presence {
            state: match update.unavailable {
                true => PresenceState::Unavailable,
                false => PresenceState::Available,
            },
            last_seen: update.last_seen.map(at),
        };
        Some(scene(&who, "", now()).presence(&who, presence))
    }
}

fn scene<'a>(chat: &'a Party, id: &'a str, at: Timestamp) -> Scene<'a> {
    Scene { chat, id, at }
}

/// Whether it is about a message that went out.
fn is_of_sent(event: &Event) -> bool {
    matches!(event, Event::Receipt(_) | Event::ServerAck(_))
}

pub(super) fn at(time: DateTime<Utc>) -> Timestamp {
    Timestamp(time.timestamp_millis())
}

/// Whether this is the account of the link itself.
pub(crate) fn is_own(client: &Client, jid: &Jid) -> bool {
    let own = [client.pn(), client.lid()];
    own.iter()
        .flatten()
        .any(|own| own.user_base() == jid.user_base() && own.server == jid.server)
}
