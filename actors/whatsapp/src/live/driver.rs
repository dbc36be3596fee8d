//! Runs one client from its start to the end of its last task.

use std::{sync::Arc, time::Duration};

use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use wharf_domain::proxy::Proxy;
use whatsapp_rust::{Client, store::commands::DeviceCommand, wacore::iq::keepalive::KeepaliveSpec};

use super::{
    http::VersionSource,
    keys::DeviceKeys,
    reporter::{Reporter, Stage},
    runtime::LinkRuntime,
    texts,
};
use crate::CloseReason;

/// How often the link is looked at for standing still.
const WATCH: Duration = Duration::from_secs(5);
/// How long after its login the client may take to fetch contacts and push name before the link counts as connected
/// without them. The client itself would wait for ever and reconnect every 180 s.
const APP_STATE: Duration = Duration::from_secs(30);
/// How long the client may take to flush and say goodbye. Its own limits inside add up to less.
const GOODBYE: Duration = Duration::from_secs(15);
/// How long tasks may take to end by themselves, and again after they were told to stop. What has to be kept is written
/// by then; what lingers are timers, like that of a QR code on show.
const WIND_DOWN: Duration = Duration::from_secs(1);
/// How long the client's run may take to notice that the client was closed, with all that it still wants to write.
const RUN_ENDS: Duration = Duration::from_secs(8);

/// Marks the link's end when dropped, so that it is marked even if the driver panics or its runtime goes away.
pub(crate) struct Finish {
    pub(crate) reporter: Arc<Reporter>,
    pub(crate) done: CancellationToken,
}

impl Drop for Finish {
    fn drop(&mut self) {
        self.reporter.close();
        self.done.cancel();
    }
}

pub(crate) struct Driver {
    pub(crate) client: Arc<Client>,
    pub(crate) keys: Arc<DeviceKeys>,
    pub(crate) runtime: LinkRuntime,
    pub(crate) versions: Arc<VersionSource>,
    /// By which the version is asked for.
    pub(crate) proxy: Option<Proxy>,
    /// How long the server may say nothing while a link is opened. A login takes seconds; with a big backlog minutes, but
    /// then messages flow.
    pub(crate) opening_silence: Duration,
    pub(crate) finish: Finish,
}

impl Driver {
    /// Runs the client until its connection ends or the link shall end, tells so, and clears up.
    pub(crate) async fn drive(self) {
        let Self {
            client,
            keys,
            runtime,
            versions,
            proxy,
            opening_silence,
            finish,
        } = self;
        let reporter = Arc::clone(&finish.reporter);
        let mut run = runtime.start(run(Arc::clone(&client), Arc::clone(&versions), proxy));
        let mut running = true;
        tokio::select! {
            ended = &mut run => {
                running = false;
                if let Err(error) = ended && error.is_panic() {
                    reporter.hint("the WhatsApp client failed".to_owned());
                }
            }
            () = reporter.over().cancelled() => {}
            () = runtime.failed() => {
                let key = reporter.key();
                tracing::error!(client_id = %key.client_id, phone_number = %key.phone_number, "a task of the WhatsApp client panicked");
                reporter.end(CloseReason::Incomplete("a task of the WhatsApp client failed".to_owned()));
            }
            reason = stands_still(&client, &reporter, opening_silence) => reporter.end(reason),
        }
        if reporter.is_outdated() {
            let told = client.persistence_manager().get_device_snapshot();
            versions.refused((
                told.app_version_primary,
                told.app_version_secondary,
                told.app_version_tertiary,
            ));
        }
        reporter.close();

        // Also after the run has ended: this is what flushes and stops the client's other tasks.
        if timeout(GOODBYE, client.disconnect()).await.is_err() {
            tracing::warn!("the WhatsApp client did not close in time");
        }
        if running {
            let _ = timeout(RUN_ENDS, run).await;
        }
        // Some tasks end when the last owner of the client is gone.
        drop(client);
        if !runtime.wind_down(WIND_DOWN).await {
            tracing::error!("tasks of a closed link could not be ended");
        }
        // The last change of the link's keys: whoever opens the next one waits for this.
        if !matches!(timeout(WIND_DOWN, keys.settle()).await, Ok(Ok(()))) {
            tracing::debug!("consumed prekeys of a closed link were not removed");
        }
        drop(finish);
    }
}

async fn run(client: Arc<Client>, versions: Arc<VersionSource>, proxy: Option<Proxy>) {
    let version = versions.current(proxy.as_ref()).await;
    // Instead of the builder's fixed version, which would have to be known before the link is opened.
    client
        .persistence_manager()
        .process_command(DeviceCommand::SetAppVersion(version))
        .await;
    texts::show_name(&client).await;
    client.run().await;
}

/// Resolves when the link stands still in a way that the client leaves as it is.
async fn stands_still(client: &Client, reporter: &Reporter, opening_silence: Duration) -> CloseReason {
    let mut logged_in_for = Duration::ZERO;
    loop {
        tokio::time::sleep(WATCH).await;
        match reporter.stage() {
            (Stage::Opening | Stage::Paired, _) if client.is_logged_in() => {
                logged_in_for += WATCH;
                if logged_in_for >= APP_STATE {
                    reporter.connected(false);
                }
            }
            (Stage::Opening | Stage::Paired, since) => {
                logged_in_for = Duration::ZERO;
                let heard = reporter.silence().map_or(Duration::MAX, |look| look.silent_for);
                if since.min(heard) > opening_silence {
                    return CloseReason::Lost(format!("WhatsApp said nothing for {} s", opening_silence.as_secs()));
                }
            }
            (Stage::Connected, _) if reporter.silence().is_some_and(|look| look.ahead) => {
                // What comes back is noted by the clock as it is now; what does not is silence like any other.
                let _answer = timeout(WATCH, client.execute(KeepaliveSpec::with_timeout(WATCH))).await;
            }
            (Stage::Connected | Stage::AwaitingScan, _) => {}
        }
    }
}
