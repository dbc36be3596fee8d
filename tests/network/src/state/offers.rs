//! Devices that show a QR: each has refs that a phone can scan until they expire.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::{Link, Registration, lock};

/// Clients show the first ref for 60 s and each further one for 20 s; a little more covers a slow hand.
const FIRST_REF: Duration = Duration::from_secs(60);
const NEXT_REF: Duration = Duration::from_secs(20);
const SLOW_HAND: Duration = Duration::from_secs(10);

/// A device that wants to be linked.
#[derive(Debug)]
pub(crate) struct Offer {
    /// Its connection.
    pub(crate) link: Link,
    /// The keys it brought.
    pub(crate) registration: Registration,
    /// The name it gave itself, if any.
    pub(crate) name: Option<String>,
    busy: AtomicBool,
}

impl Offer {
    /// An offer that nobody has scanned.
    pub(crate) fn new(link: Link, registration: Registration, name: Option<String>) -> Self {
        Self {
            link,
            registration,
            name,
            busy: AtomicBool::new(false),
        }
    }

    /// Claims the offer for one scan; `false` if another scan is under way.
    pub(crate) fn claim(&self) -> bool {
        !self.busy.swap(true, Ordering::AcqRel)
    }

    /// Gives the offer back after a scan that failed.
    pub(crate) fn release(&self) {
        self.busy.store(false, Ordering::Release);
    }
}

/// All refs that are shown now.
#[derive(Debug, Default)]
pub(crate) struct Offers {
    refs: Mutex<HashMap<String, (Arc<Offer>, Instant)>>,
}

impl Offers {
    /// Makes the refs of an offer scannable, each as long as a client shows it.
    pub(crate) fn add(&self, offer: &Arc<Offer>, refs: &[String]) {
        let mut expires = Instant::now() + FIRST_REF + SLOW_HAND;
        let mut known = lock(&self.refs);
        for name in refs {
            known.insert(name.clone(), (Arc::clone(offer), expires));
            expires += NEXT_REF;
        }
    }

    /// The offer behind a ref that has not expired.
    pub(crate) fn find(&self, name: &str) -> Option<Arc<Offer>> {
        let known = lock(&self.refs);
        let (offer, expires) = known.get(name)?;
        (*expires > Instant::now()).then(|| Arc::clone(offer))
    }

    /// Takes all refs back; whose they were.
    pub(crate) fn expire(&self) -> Vec<Arc<Offer>> {
        let mut offers: Vec<_> = lock(&self.refs).drain().map(|(_, (offer, _))| offer).collect();
        offers.sort_by_key(|offer| offer.link.id);
        offers.dedup_by_key(|offer| offer.link.id);
        offers
    }

    /// Takes back the refs of a connection that ended or was linked.
    pub(crate) fn withdraw(&self, link: u64) {
        lock(&self.refs).retain(|_, (offer, _)| offer.link.id != link);
    }
}
