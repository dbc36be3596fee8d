//! The handle of an open link.

use std::{
    sync::{Arc, Weak, atomic::Ordering::Relaxed},
    time::Duration,
};

use async_trait::async_trait;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use wharf_domain::{
    Outgoing, PhoneNumber, Recipient,
    action::{Action, Done, PresenceState},
    outgoing::Place,
};
use whatsapp_rust::Client;
use whatsapp_rust::pair_code::PairCodeOptions;
use whatsapp_rust::wacore::companion_reg::CompanionOs;
use whatsapp_rust::wacore::iq::devices::RemoveCompanionDeviceSpec;
use whatsapp_rust::wacore::pair_code::PairCodeUtils;

use super::{
    acts::{Acting, UNANSWERED},
    inbound::Inbound,
    memory::Memory,
    online,
    reporter::{Reporter, Stage, now},
    reupload,
    runtime::LinkRuntime,
    send::{Sending, of_iq, place},
    timers::Timers,
};
use crate::{CloseReason, Link, LostFile, MediaHosts, PairCode, PairCodeError, ReuploadError, SendError, Sent};

/// How long unlinking may take altogether.
const LOG_OUT: Duration = Duration::from_secs(10);
/// Why a device is not unlinked whose link is gone.
const ENDED: &str = "the connection ended before WhatsApp was told";
/// How often to look whether a device that was just paired is logged in.
const LOG_IN_POLL: Duration = Duration::from_millis(50);

/// What can be done to a link from outside of its runtime.
#[derive(Clone)]
pub(crate) struct Control {
    pub(crate) reporter: Arc<Reporter>,
    pub(crate) done: CancellationToken,
}

impl Control {
    /// Ends the link and waits until nothing of it is left.
    pub(crate) async fn close(&self) {
        self.reporter.end(CloseReason::Requested);
        self.done.cancelled().await;
    }
}

/// A link over whatsapp-rust. The client belongs to its driver: when that is done, keys and sockets are let go of.
pub(crate) struct LiveLink {
    pub(crate) client: Weak<Client>,
    pub(crate) runtime: LinkRuntime,
    pub(crate) control: Control,
    pub(crate) memory: Arc<Memory>,
    pub(crate) timers: Arc<Timers>,
    pub(crate) inbound: Weak<Inbound>,
}

impl LiveLink {
    /// The client, if messages can be sent.
    fn connected(&self) -> Result<Arc<Client>, SendError> {
        let client = self.client.upgrade();
        let up = client.filter(|client| self.control.reporter.can_send() && client.is_connected());
        up.ok_or(SendError::NotConnected)
    }

    fn acting(&self, deadline: Duration) -> Result<Acting, SendError> {
        Ok(Acting {
            client: self.connected()?,
            memory: Arc::clone(&self.memory),
            timers: Arc::clone(&self.timers),
            reporter: Arc::clone(&self.control.reporter),
            by: Instant::now() + deadline,
            deadline,
            looks_up: Arc::default(),
        })
    }

    /// Runs in a task of its own: a caller that goes away must not leave an encryption half done.
    async fn run<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, SendError>> + Send + 'static,
        deadline: Duration,
    ) -> Result<T, SendError> {
        match tokio::time::timeout(deadline, self.runtime.start(work)).await {
            Ok(Ok(Some(result))) => result,
            Ok(_) => Err(SendError::Failed(
                "the link was closed; it may have been sent".to_owned(),
            )),
            Err(_) => Err(SendError::TimedOut(deadline)),
        }
    }
}

#[async_trait]
impl Link for LiveLink {
    async fn send(&self, id: &str, message: &Outgoing, deadline: Duration) -> Result<Sent, SendError> {
        let sending = Sending {
            client: self.connected()?,
            runtime: self.runtime.clone(),
            reporter: Arc::clone(&self.control.reporter),
            memory: Arc::clone(&self.memory),
            timers: Arc::clone(&self.timers),
            id: id.to_owned(),
            outgoing: message.clone(),
            by: Instant::now() + deadline,
            deadline,
        };
        self.run(sending.send(), deadline).await
    }

    async fn place(&self, to: &Recipient) -> Option<Place> {
        let client = self.client.upgrade()?;
        let own = &self.control.reporter.key().phone_number;
        place(&client, &self.memory, own, to).await
    }

    async fn types(&self, to: &Recipient, shown: PresenceState, long: Duration) {
        let (Ok(acting), Some(inbound)) = (self.acting(long), self.inbound.upgrade()) else {
            return;
        };
        let shown = Action::Presence {
            to: Some(to.clone()),
            state: shown,
        };
        // In a task of its own: whoever ends this leaves nobody online.
        let typing = online::there_for(self.client.clone(), inbound, acting, shown);
        let _ended = self.runtime.start(typing).await;
    }

    async fn act(&self, action: &Action, deadline: Duration) -> Result<Done, SendError> {
        let acting = self.acting(deadline)?;
        let (over, action) = (self.control.reporter.over().clone(), action.clone());
        let work = async move {
            let (may_be_repeated, looks_up) = (action.may_be_repeated(), Arc::clone(&acting.looks_up));
            let acting = over.run_until_cancelled(Box::pin(acting.act(action))).await;
            acting.unwrap_or_else(|| match may_be_repeated || looks_up.load(Relaxed) {
                true => Err(SendError::NotConnected),
                false => Err(SendError::Failed(UNANSWERED.to_owned())),
            })
        };
        self.run(work, deadline).await
    }

    async fn pair_code(&self, number: &PhoneNumber, deadline: Duration) -> Result<PairCode, PairCodeError> {
        let waits = self.control.reporter.stage().0 == Stage::AwaitingScan;
        let client = self
            .client
            .upgrade()
            .filter(|_| waits)
            .ok_or(PairCodeError::NotPairing)?;
        let device = client.persistence_manager().get_device_snapshot();
        let name = device.device_props.os.as_deref().unwrap_or_default();
        let options = PairCodeOptions {
            phone_number: number.as_str().to_owned(),
            // WhatsApp takes the name of a system only. The device's own name is told with the pairing, as for a QR code.
            display_os: Some(CompanionOs::from_hint(name).wire_str().to_owned()),
            ..PairCodeOptions::default()
        };
        let begun = now();
        // A task of its own: a caller that goes away shall not leave a code half asked for.
        let asking = self.runtime.start(async move { client.pair_with_code(options).await });
        match tokio::time::timeout(deadline, asking).await {
            Ok(Ok(Some(Ok(code)))) => Ok(PairCode {
                code,
                expires_at: begun + PairCodeUtils::code_validity(),
            }),
            Ok(Ok(Some(Err(error)))) if error.rejection().is_some() => Err(PairCodeError::Refused(error.to_string())),
            Ok(Ok(Some(Err(error)))) => Err(PairCodeError::Failed(error.to_string())),
            Ok(_) => Err(PairCodeError::Failed("the link was closed".to_owned())),
            Err(_) => Err(PairCodeError::Failed(format!("no answer within {deadline:?}"))),
        }
    }

    async fn upload_again(&self, file: &LostFile, deadline: Duration) -> Result<String, ReuploadError> {
        // Logged in is enough: files of a backlog are wanted while it still comes in, before the link counts as connected.
        let client = self.client.upgrade().filter(|client| client.is_logged_in());
        let client = client.ok_or(ReuploadError::NotConnected)?;
        let asking = self.runtime.start(reupload::ask(client, file.clone()));
        match tokio::time::timeout(deadline, asking).await {
            Ok(Ok(Some(answer))) => answer,
            Ok(_) => Err(ReuploadError::NotConnected),
            Err(_) => Err(ReuploadError::TimedOut(deadline)),
        }
    }

    async fn media_hosts(&self, fresh: bool, deadline: Duration) -> Result<MediaHosts, SendError> {
        let (client, over) = (self.connected()?, self.control.reporter.over().clone());
        let asking = async move {
            let asked = over.run_until_cancelled(client.refresh_media_conn(fresh)).await;
            let answer = asked.ok_or(SendError::NotConnected)?;
            let answer = answer.map_err(|error| of_iq(&error))?;
            Ok(MediaHosts {
                hosts: answer.hosts.into_iter().map(|host| host.hostname).collect(),
                auth: answer.auth,
            })
        };
        self.run(asking, deadline).await
    }

    fn silence(&self) -> Option<Duration> {
        if !self.control.reporter.is_connected() {
            return None;
        }
        let (_, connected_for) = self.control.reporter.stage();
        self.client.upgrade()?;
        let look = self.control.reporter.silence();
        Some(look.map_or(connected_for, |look| look.silent_for))
    }

    async fn close(&self) {
        self.control.close().await;
    }

    async fn log_out(&self) -> Result<(), String> {
        let reporter = &self.control.reporter;
        reporter.leave();
        let unlinked = match self.client.upgrade() {
            Some(client) => {
                let unlinking = self.runtime.start(unlink(client, Arc::clone(reporter)));
                match tokio::time::timeout(LOG_OUT, unlinking).await {
                    Ok(unlinked) => unlinked.unwrap_or(None).unwrap_or_else(|| Err(ENDED.to_owned())),
                    Err(_) => Err("WhatsApp did not answer in time".to_owned()),
                }
            }
            None => Err(ENDED.to_owned()),
        };
        self.control.close().await;
        unlinked.or_else(|why| match reporter.fate() {
            Some(CloseReason::LoggedOut(_) | CloseReason::AccountLocked(_)) => Ok(()),
            Some(fate) => Err(format!("{why}: {fate:?}")),
            None => Err(why),
        })
    }
}

/// Tells WhatsApp to forget this device. One that was paired a moment ago has to be logged in first; one that is none has nothing to
/// be forgotten.
async fn unlink(client: Arc<Client>, reporter: Arc<Reporter>) -> Result<(), String> {
    let over = reporter.over().clone();
    let logged_in = async {
        while !client.is_logged_in() && client.pn().is_some() {
            if reporter.stage().0 == Stage::Connected {
                return false;
            }
            tokio::time::sleep(LOG_IN_POLL).await;
        }
        true
    };
    let Some(true) = over.run_until_cancelled(logged_in).await else {
        return Err(ENDED.to_owned());
    };
    let Some(jid) = client.pn() else { return Ok(()) };
    let unlinked = client.execute(RemoveCompanionDeviceSpec::new(&jid)).await;
    unlinked.map(drop).map_err(|error| error.to_string())
}
