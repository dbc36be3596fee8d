//! What the phone sets, asked for once more when the client dropped the news of it.
//!
//! While the client fetches a collection of settings it takes the news of another change in it for done with: what it is
//! fetching may be older than that change, and it would hear of it with the next one only. It says which collections it
//! skipped, so they are asked for again, behind the fetch that is under way: one after another, and once for all that was
//! skipped meanwhile.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::{Arc, Weak},
};

use parking_lot::Mutex;
use whatsapp_rust::Client;
use whatsapp_rust::sync_task::MajorSyncTask;
use whatsapp_rust::wacore::{
    appstate::patch_decode::WAPatchName,
    types::events::{Event, EventHandler, EventInterest, EventKind},
};

use super::runtime::LinkRuntime;

/// See the module.
pub(crate) struct Resync {
    runtime: LinkRuntime,
    client: Weak<Client>,
    under_way: Arc<UnderWay>,
}

impl Resync {
    pub(crate) fn new(runtime: &LinkRuntime, client: &Arc<Client>) -> Self {
        Self {
            runtime: runtime.clone(),
            client: Arc::downgrade(client),
            under_way: Arc::default(),
        }
    }
}

impl EventHandler for Resync {
    fn handle_event(&self, event: Arc<Event>) {
        let Event::AppStateSyncFailed(failed) = event.as_ref() else {
            return;
        };
        for name in failed.skipped.iter().filter_map(|name| collection(name)) {
            if self.under_way.begin(name) {
                drop(
                    self.runtime
                        .start(ask(self.client.clone(), Arc::clone(&self.under_way), name)),
                );
            }
        }
    }

    fn interest(&self) -> EventInterest {
        EventInterest::of(&[EventKind::AppStateSyncFailed])
    }
}

async fn ask(client: Weak<Client>, under_way: Arc<UnderWay>, name: WAPatchName) {
    let Some(client) = client.upgrade() else { return };
    loop {
        let task = MajorSyncTask::AppStateSync { name, full_sync: false };
        client.process_sync_task(task).await;
        if !under_way.again(name) {
            return;
        }
    }
}

/// A collection by its name, which reads as `Unknown` when it is none.
fn collection(name: &str) -> Option<WAPatchName> {
    let name = name.parse().ok()?;
    (!matches!(name, WAPatchName::Unknown)).then_some(name)
}

/// Collections that are asked for, and whether each has to be once more after that.
#[derive(Default)]
struct UnderWay(Mutex<HashMap<WAPatchName, bool>>);

impl UnderWay {
    /// Whether somebody has to begin; else whoever is at it asks once more.
    fn begin(&self, name: WAPatchName) -> bool {
        match self.0.lock().entry(name) {
            Entry::Vacant(free) => {
                free.insert(false);
                true
            }
            Entry::Occupied(mut taken) => {
                taken.insert(true);
                false
            }
        }
    }

    /// It was asked for. Whether it has to be once more; if not, that is the end of it.
    fn again(&self, name: WAPatchName) -> bool {
        let mut all = self.0.lock();
        let again = all.get_mut(&name).is_some_and(std::mem::take);
        if !again {
            all.remove(&name);
        }
        again
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn however_much_is_skipped_one_asks_and_once_more() {
        let (block, low) = (
            collection("critical_block").unwrap(),
            collection("regular_low").unwrap(),
        );
        let under_way = UnderWay::default();
        assert!(under_way.begin(block));
        assert!(under_way.begin(low), "each for itself");
        for _ in 0..3 {
            assert!(!under_way.begin(block));
        }
        assert!(under_way.again(block));
        assert!(!under_way.again(block));
        assert!(!under_way.again(low));
        assert!(under_way.begin(block), "anew");
        assert!(collection("no such collection").is_none());
    }
}
