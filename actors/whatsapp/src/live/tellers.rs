//! How much one person may tell of messages that have no row.
//!
//! What the account's phone sent has none here, so that a receipt for it cannot be told from one for ids that somebody made up: a few
//! stanzas of those would fill a client's queue with events.

use std::collections::HashMap;

use parking_lot::Mutex;
use wharf_domain::{
    Timestamp,
    outgoing::{Bucket, Pace},
};
use whatsapp_rust::wacore_binary::Jid;

/// Messages that one person tells of: somebody who was away reads hundreds at once.
const PACE: Pace = Pace {
    per_second: 2,
    burst: 2048,
};
/// People whose buckets are kept; with more of them all begin anew.
const MOST: usize = 4096;

/// See the module.
#[derive(Default)]
pub(crate) struct Tellers(Mutex<HashMap<String, Bucket>>);

impl Tellers {
    /// Whether a receipt of so many messages is told as events, whichever of them have rows.
    pub(crate) fn admit(&self, teller: &Jid, messages: usize, now: Timestamp) -> bool {
        let mut buckets = self.0.lock();
        let name = teller.user_base();
        if buckets.len() >= MOST && !buckets.contains_key(name) {
            buckets.retain(|_, bucket| !bucket.is_full(now));
            if buckets.len() >= MOST {
                buckets.clear();
            }
        }
        let bucket = buckets
            .entry(name.to_owned())
            .or_insert_with(|| Bucket::full(PACE, now));
        (0..messages).all(|_| bucket.take(now))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn one_person_tells_of_as_many_as_anybody_reads() {
        let (tellers, now) = (Tellers::default(), Timestamp(1_000_000));
        let (stranger, other) = (Jid::pn("5511999999999"), Jid::pn("5511777777777"));
        assert!(tellers.admit(&stranger, 1024, now));
        assert!(tellers.admit(&stranger, 1024, now));
        assert!(!tellers.admit(&stranger, 1, now));
        assert!(tellers.admit(&other, 1024, now), "others are not held up");
        assert!(tellers.admit(&stranger, 20, now + Duration::from_secs(10)));
        for n in 0..2 * MOST {
            tellers.admit(&Jid::pn(n.to_string()), 1, now);
        }
        assert!(tellers.0.lock().len() <= MOST);
    }
}
