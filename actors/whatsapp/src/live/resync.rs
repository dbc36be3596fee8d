//! What the phone sets, asked for once more when the client dropped the news of it.
//!
//! While the client fetches a collection of settings it takes the news of another change in it for done with: what it is
//! fetching may be older than that change, and it would hear of it with the next one only. It says which collections it
//! skipped, so they are asked for again, behind the fetch that is under way.

use std::sync::{Arc, Weak};

use whatsapp_rust::Client;
use whatsapp_rust::sync_task::MajorSyncTask;
use whatsapp_rust::wacore::{
    appstate::patch_decode::WAPatchName,
    types::events::{Event, EventHandler, EventInterest, EventKind},
};

use super::runtime::LinkRuntime;

/// See the module.
pub(crate) struct Resync {
    pub(crate) runtime: LinkRuntime,
    pub(crate) client: Weak<Client>,
}

impl EventHandler for Resync {
    fn handle_event(&self, event: Arc<Event>) {
        let Event::AppStateSyncFailed(failed) = event.as_ref() else {
            return;
        };
        for name in failed.skipped.iter().filter_map(|name| collection(name)) {
            let Some(client) = self.client.upgrade() else { return };
            let task = MajorSyncTask::AppStateSync { name, full_sync: false };
            drop(self.runtime.start(async move { client.process_sync_task(task).await }));
        }
    }

    fn interest(&self) -> EventInterest {
        EventInterest::of(&[EventKind::AppStateSyncFailed])
    }
}

/// A collection by its name, which reads as `Unknown` when it is none.
fn collection(name: &str) -> Option<WAPatchName> {
    let name = name.parse().ok()?;
    (!matches!(name, WAPatchName::Unknown)).then_some(name)
}
