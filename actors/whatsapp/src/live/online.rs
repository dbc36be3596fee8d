//! Whether others see the account online because of this device: only where somebody wants that.
//!
//! The client says that it is there with every login and with every new name of the account, as WhatsApp Web does, which a
//! person looks at. Of a device that never sleeps that has two effects which nobody asked for: the account is online day and
//! night, and WhatsApp leaves the phone's notifications out, since the messages are being read elsewhere. The client has no
//! setting for it. So what it said is taken back behind it, unless the number's client or a webhook wants it so.
//!
//! A device that never says that it is there is unlinked after two weeks, however much it reads and writes. So it is there for a
//! moment twice a day. So it is while somebody is to see that a message is being typed.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use futures::FutureExt as _;
use tokio::time::{sleep, sleep_until};
use wharf_domain::action::Action;
use whatsapp_rust::Client;
use whatsapp_rust::wacore::{
    iq::keepalive::KeepaliveSpec,
    types::events::{Event, EventHandler, EventInterest, EventKind},
};

use super::{acts::Acting, inbound::Inbound, runtime::LinkRuntime, texts};

/// How long the server may take to answer before what was said of a new name is taken back all the same.
const ANSWER: Duration = Duration::from_secs(5);
/// How long a device is there that says so only in order not to be unlinked.
const MOMENT: Duration = Duration::from_secs(5);

/// Sees to it, of a new client. Its device is there for a moment `every` so often.
pub(crate) fn see_to(client: &Arc<Client>, inbound: &Arc<Inbound>, every: Duration) {
    // Otherwise the receipts of a device that is not online show the senders no second tick.
    client.set_force_active_delivery_receipts(true);
    let online = Online {
        inbound: Arc::clone(inbound),
        client: Arc::downgrade(client),
        every,
    };
    client.subscribe_handler(Arc::new(online)).detach();
}

struct Online {
    inbound: Arc<Inbound>,
    client: Weak<Client>,
    every: Duration,
}

impl EventHandler for Online {
    fn handle_event(&self, event: Arc<Event>) {
        let (client, inbound) = (self.client.clone(), Arc::clone(&self.inbound));
        let runtime = inbound.runtime.clone();
        match event.as_ref() {
            Event::Connected(_) => drop(runtime.start(keep_linked(client, inbound, self.every))),
            Event::SelfPushNameUpdated(_) => {
                self.show_name(&runtime);
                drop(runtime.start(take_back_named(client, inbound)));
            }
            Event::PairSuccess(_) => self.show_name(&runtime),
            _ => {}
        }
    }

    fn interest(&self) -> EventInterest {
        EventInterest::of(&[
            EventKind::Connected,
            EventKind::SelfPushNameUpdated,
            EventKind::PairSuccess,
        ])
    }
}

impl Online {
    /// The client tells a new name as soon as it has told of it here, so it is settled at once, but where the device is being
    /// written.
    fn show_name(&self, runtime: &LinkRuntime) {
        let Some(client) = self.client.upgrade() else { return };
        if texts::show_name(&client).now_or_never().is_none() {
            drop(runtime.start(async move { texts::show_name(&client).await }));
        }
    }
}

/// As long as the link lasts.
async fn keep_linked(client: Weak<Client>, inbound: Arc<Inbound>, every: Duration) {
    take_back(&client, &inbound).await;
    let over = inbound.reporter.over();
    while over.run_until_cancelled(sleep(every)).await.is_some() {
        let Some(there) = client.upgrade() else { return };
        if let Err(error) = there.presence().set_available().await {
            tracing::debug!(%error, "the device could not say that it is there");
        }
        drop(there);
        over.run_until_cancelled(sleep(MOMENT)).await;
        take_back(&client, &inbound).await;
    }
}

/// Of a new name the client says so behind its event, in a task of its own: before the answer to this comes in.
async fn take_back_named(client: Weak<Client>, inbound: Arc<Inbound>) {
    if let Some(client) = client.upgrade() {
        let _answer = client.execute(KeepaliveSpec::with_timeout(ANSWER)).await;
    }
    take_back(&client, &inbound).await;
}

/// Shows something in a chat, and the account online, until whoever acts gives up.
pub(super) async fn there_for(client: Weak<Client>, inbound: Arc<Inbound>, acting: Acting, shown: Action) {
    let (over, by) = (inbound.reporter.over(), acting.by);
    {
        let mut typing = inbound.typing.lock().await;
        *typing += 1;
        if let Err(error) = acting.client.presence().set_available().await {
            tracing::debug!(%error, "nobody sees that something is being typed");
        }
    }
    let showing = async {
        if let Err(error) = acting.act(shown).await {
            tracing::debug!(%error, "a chat is not shown that something is being typed");
        }
        sleep_until(by).await;
    };
    over.run_until_cancelled(Box::pin(showing)).await;
    *inbound.typing.lock().await -= 1;
    take_back(&client, &inbound).await;
}

/// Unless the account is to be seen online, or something is being typed: then whoever ends last does it.
pub(super) async fn take_back(client: &Weak<Client>, inbound: &Inbound) {
    let typing = inbound.typing.lock().await;
    let follows = inbound.follow.is_used() && inbound.inbox.wanted().contains(wharf_domain::EventKind::Presence);
    if *typing > 0 || stays(inbound.memory.shown_online(), follows) {
        return;
    }
    let Some(client) = client.upgrade() else { return };
    if let Err(error) = client.presence().set_unavailable().await {
        tracing::debug!(%error, "the account may be seen online");
    }
}

/// Whether the account is to be seen online: as its client said last, else where somebody's presence is wanted, which
/// WhatsApp tells nobody who is not there.
pub(super) fn stays(shown: Option<bool>, follows: bool) -> bool {
    shown.unwrap_or(follows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_client_said_counts_then_what_the_webhook_wants() {
        for (shown, follows, wanted) in [
            (None, false, false),
            (None, true, true),
            (Some(true), false, true),
            (Some(false), true, false),
        ] {
            assert_eq!(stays(shown, follows), wanted, "{shown:?} {follows}");
        }
    }
}
