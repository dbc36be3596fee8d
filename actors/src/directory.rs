//! Who is where: the references that actors need of each other, published by those who start them.
//!
//! Tenant actors have no registered names (ractor's registry is global to the process); this is the only place to look
//! one up, and it lives and ends with its gateway. Locks are held for a look-up only, never across an await.

use std::{collections::HashMap, sync::Arc, time::Duration};

use parking_lot::{Mutex, RwLock};
use ractor::{ActorId, ActorRef, ActorStatus};
use tokio::sync::watch;
use wharf_domain::{
    ClientId, Connection, ConnectionKey, ConnectionStatus, Timestamp, WebhookId, Wishes,
    session::{ReasonCode, SessionView},
};
use wharf_whatsapp::Link;

use crate::{clock, delivery, media, persistence, session, tenant, wanted::Wanted};

/// The open link of a number. It outlives its session actor, so that a restarted one can close what its predecessor
/// left: two clients on one set of keys destroy each other's. Whoever opens or closes holds the lock.
pub(crate) type LinkSlot = Arc<tokio::sync::Mutex<Option<Arc<dyn Link>>>>;

/// Held while a group is committed. A group outlives its persistence actor, and the next one's come behind it.
pub(crate) type WritingTurn = Arc<tokio::sync::Mutex<()>>;

/// A session that is connected looks at its link every five seconds, and says anew what it knows. One that has not for as long as
/// this stands still, and its thread with it.
const STANDS_STILL: Duration = Duration::from_secs(60);

/// A session as it is seen from outside.
#[derive(Debug, Clone)]
pub(crate) struct SessionEntry {
    /// The actor, while it runs.
    pub(crate) actor: Option<ActorRef<session::Message>>,
    /// Its state, as it published it last,
    pub(crate) view: SessionView,
    /// and when that was, by the steady clock.
    pub(crate) said_at: Timestamp,
    /// Restarts of the actor.
    pub(crate) restarts: u32,
    /// Told when any of this may have changed.
    pub(crate) changes: watch::Sender<()>,
}

impl SessionEntry {
    /// Whether it says of itself what only an actor could keep true, and has none, since its tenant died with it; or one that
    /// does nothing any more.
    fn is_stale(&self) -> bool {
        use ConnectionStatus::{AwaitingPasskey, AwaitingScan, Connected};
        let is_kept_true = || self.actor.as_ref().is_some_and(is_alive);
        match self.view.status {
            Connected => !is_kept_true() || clock::steady().since(self.said_at) > STANDS_STILL,
            AwaitingScan | AwaitingPasskey => !is_kept_true(),
            _ => false,
        }
    }

    /// Where it stands.
    pub(crate) fn status(&self) -> ConnectionStatus {
        if self.is_stale() {
            ConnectionStatus::Connecting
        } else {
            self.view.status
        }
    }

    /// The view, as far as there is an actor that keeps it true.
    pub(crate) fn truth(self) -> SessionView {
        let (stale, status) = (self.is_stale(), self.status());
        let mut view = self.view;
        if stale {
            (view.status, view.reason_code) = (status, ReasonCode::Restarting);
            view.reason = Some("restarting".to_owned());
            (view.connected_since, view.qr, view.pair_code) = (None, None, None);
        }
        view
    }
}

/// See the module.
#[derive(Default)]
pub(crate) struct Directory {
    persistence: RwLock<Option<ActorRef<persistence::Message>>>,
    writing: WritingTurn,
    media: RwLock<Option<ActorRef<media::Message>>>,
    tenants: RwLock<HashMap<ClientId, ActorRef<tenant::Message>>>,
    /// With the client that each belongs to.
    deliveries: RwLock<HashMap<WebhookId, (ClientId, ActorRef<delivery::Message>)>>,
    sessions: RwLock<HashMap<ConnectionKey, SessionEntry>>,
    links: Mutex<HashMap<ConnectionKey, LinkSlot>>,
    wanted: Mutex<HashMap<ConnectionKey, Arc<Wanted>>>,
}

/// Whether an actor may still handle what it is told.
fn is_alive<M>(actor: &ActorRef<M>) -> bool {
    !matches!(actor.get_status(), ActorStatus::Stopping | ActorStatus::Stopped)
}

impl Directory {
    pub(crate) fn persistence(&self) -> Option<ActorRef<persistence::Message>> {
        self.persistence.read().clone()
    }

    pub(crate) fn publish_persistence(&self, actor: Option<ActorRef<persistence::Message>>) {
        *self.persistence.write() = actor;
    }

    pub(crate) fn writing(&self) -> &WritingTurn {
        &self.writing
    }

    pub(crate) fn publish_media(&self, actor: ActorRef<media::Message>) {
        *self.media.write() = Some(actor);
    }

    /// Says that there is something to download. It may be lost: the store is looked at now and then.
    pub(crate) fn wake_media(&self) {
        if let Some(actor) = self.media.read().as_ref() {
            let _restarting = actor.cast(media::Message::Look);
        }
    }

    pub(crate) fn tenant(&self, client: ClientId) -> Option<ActorRef<tenant::Message>> {
        self.tenants.read().get(&client).cloned()
    }

    /// Publishes a client's tenant, or that there is none at present: its deliveries died with it.
    pub(crate) fn publish_tenant(&self, client: ClientId, actor: Option<ActorRef<tenant::Message>>) {
        match actor {
            Some(actor) => drop(self.tenants.write().insert(client, actor)),
            None => {
                self.tenants.write().remove(&client);
                self.deliveries.write().retain(|_, (of, _)| *of != client);
            }
        }
    }

    /// The delivery of a webhook, while it lives: one that its tenant took along may be here for a moment longer.
    pub(crate) fn delivery(&self, webhook: WebhookId) -> Option<ActorRef<delivery::Message>> {
        let deliveries = self.deliveries.read();
        let (_, actor) = deliveries.get(&webhook)?;
        is_alive(actor).then(|| actor.clone())
    }

    pub(crate) fn publish_delivery(
        &self,
        client: ClientId,
        webhook: WebhookId,
        actor: Option<ActorRef<delivery::Message>>,
    ) {
        match actor {
            Some(actor) => self.deliveries.write().insert(webhook, (client, actor)),
            None => self.deliveries.write().remove(&webhook),
        };
    }

    /// The deliveries that run.
    pub(crate) fn deliveries(&self) -> Vec<ActorRef<delivery::Message>> {
        let deliveries = self.deliveries.read();
        deliveries.values().map(|(_, actor)| actor.clone()).collect()
    }

    /// How many deliveries run, with those that have died and that their tenant has not heard of yet.
    pub(crate) fn count_deliveries(&self) -> usize {
        self.deliveries.read().len()
    }

    /// Tells a delivery what the store has for it. One that is not there, because it rests or died with its tenant, is woken
    /// up and reads the store. It may be lost: a delivery that starts reads the store, too.
    pub(crate) fn tell_delivery(
        &self,
        client: ClientId,
        webhook: WebhookId,
        news: impl IntoIterator<Item = delivery::Message>,
    ) {
        // Told while the map is held: what comes after a delivery was taken out of it, and asked to stop, is not heard.
        let told = self
            .deliveries
            .read()
            .get(&webhook)
            .is_some_and(|(_, actor)| news.into_iter().all(|message| actor.cast(message).is_ok()));
        if !told {
            self.wake_resting(client, webhook);
        }
    }

    /// Tells a tenant of a change. It may be lost: one that is not there reads the store when it starts.
    pub(crate) fn tell_tenant(&self, client: ClientId, news: tenant::Message) {
        if let Some(tenant) = self.tenants.read().get(&client) {
            let _restarting = tenant.cast(news);
        }
    }

    /// Has a delivery started that may be resting.
    pub(crate) fn wake_resting(&self, client: ClientId, webhook: WebhookId) {
        if let Some(tenant) = self.tenants.read().get(&client) {
            let _restarting = tenant.cast(tenant::Message::Wake(webhook));
        }
    }

    pub(crate) fn session(&self, key: &ConnectionKey) -> Option<SessionEntry> {
        self.sessions.read().get(key).cloned()
    }

    /// The actor of a number's session, while it lives: one that its tenant took along may be here for longer.
    pub(crate) fn session_actor(&self, key: &ConnectionKey) -> Option<ActorRef<session::Message>> {
        let actor = self.sessions.read().get(key)?.actor.clone()?;
        is_alive(&actor).then_some(actor)
    }

    /// Publishes a session's actor, or that there is none at present. The view stays.
    pub(crate) fn publish_session(
        &self,
        key: &ConnectionKey,
        actor: Option<ActorRef<session::Message>>,
        restarts: u32,
    ) {
        if let Some(entry) = self.sessions.write().get_mut(key) {
            entry.actor = actor;
            entry.restarts = restarts;
            entry.changes.send_replace(());
        }
    }

    /// Takes back a session's actor that does nothing more, if it is still this one.
    pub(crate) fn retract_session(&self, key: &ConnectionKey, actor: ActorId) {
        if let Some(entry) = self.sessions.write().get_mut(key)
            && entry.actor.as_ref().is_some_and(|known| known.get_id() == actor)
        {
            entry.actor = None;
            entry.changes.send_replace(());
        }
    }

    /// Publishes a session that is new here.
    pub(crate) fn announce_session(&self, key: &ConnectionKey, view: SessionView) {
        self.sessions.write().entry(key.clone()).or_insert(SessionEntry {
            actor: None,
            view,
            said_at: clock::steady(),
            restarts: 0,
            changes: watch::Sender::new(()),
        });
    }

    /// Publishes a session's state; answers the one before.
    pub(crate) fn publish_view(&self, key: &ConnectionKey, view: SessionView) -> Option<SessionView> {
        let mut sessions = self.sessions.write();
        let entry = sessions.get_mut(key)?;
        let before = std::mem::replace(&mut entry.view, view);
        entry.said_at = clock::steady();
        entry.changes.send_replace(());
        Some(before)
    }

    /// The status of each connection.
    pub(crate) fn statuses(&self) -> Vec<ConnectionStatus> {
        let sessions = self.sessions.read();
        sessions.values().map(SessionEntry::status).collect()
    }

    /// Forgets a session that was deleted, and its link's place.
    pub(crate) fn remove_session(&self, key: &ConnectionKey) {
        self.sessions.write().remove(key);
        self.links.lock().remove(key);
        self.wanted.lock().remove(key);
    }

    /// Forgets all that there is of a client that was removed, with what nobody else would: a number whose connection was being
    /// deleted, and whose rows went with the client.
    pub(crate) fn forget_client(&self, client: ClientId) {
        self.sessions.write().retain(|key, _| key.client_id != client);
        self.links.lock().retain(|key, _| key.client_id != client);
        self.wanted.lock().retain(|key, _| key.client_id != client);
        self.deliveries.write().retain(|_, (of, _)| *of != client);
    }

    /// The place of a number's link.
    pub(crate) fn link_slot(&self, key: &ConnectionKey) -> LinkSlot {
        Arc::clone(self.links.lock().entry(key.clone()).or_default())
    }

    /// The same of a number that has a session, or had one: one that was deleted gets none again.
    pub(crate) fn known_link_slot(&self, key: &ConnectionKey) -> Option<LinkSlot> {
        self.links.lock().get(key).cloned()
    }

    /// What is wanted of a number, for its session to keep.
    pub(crate) fn wanted(&self, key: &ConnectionKey) -> Arc<Wanted> {
        Arc::clone(self.wanted.lock().entry(key.clone()).or_default())
    }

    /// A webhook was made, changed or deleted. Numbers without a session are of no interest.
    pub(crate) fn note_wanted(&self, key: &ConnectionKey, wishes: Wishes) {
        if let Some(wanted) = self.wanted.lock().get(key) {
            wanted.events.set(wishes);
        }
    }

    /// A connection was changed. Its session goes on at its pace, with what waits already, and its link takes
    /// calls and messages as it says.
    pub(crate) fn note_settings(&self, connection: &Connection) {
        let key = connection.key();
        if let Some(wanted) = self.wanted.lock().get(&key) {
            wanted.settings.set(connection.into());
        }
        if let Some(actor) = self.session_actor(&key) {
            let _restarting = actor.cast(session::Message::Outbox(session::outbox::Event::Wake));
        }
    }
}
