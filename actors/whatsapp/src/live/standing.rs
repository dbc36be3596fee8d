//! How far messages have come, as it was told: a status that adds nothing is not told again, and none goes back.

use std::collections::{HashMap, VecDeque};

use wharf_domain::message::DeliveryStatus;

/// Messages remembered, by receiver; the oldest are forgotten. What is told twice then is one event all the same, by its key.
const MOST: usize = 4096;

/// See the module.
#[derive(Default)]
pub(crate) struct Standing {
    known: HashMap<(String, String), DeliveryStatus>,
    order: VecDeque<(String, String)>,
}

impl Standing {
    /// Whether this is news of a message, from this member of a group or from the one receiver (empty).
    pub(crate) fn advance(&mut self, id: &str, who: &str, status: DeliveryStatus) -> bool {
        let place = (id.to_owned(), who.to_owned());
        if let Some(known) = self.known.get_mut(&place) {
            let news = status > *known;
            *known = status.max(*known);
            return news;
        }
        if self.order.len() >= MOST
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
        self.order.push_back(place.clone());
        self.known.insert(place, status);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_never_goes_back() {
        use DeliveryStatus::{Delivered, Played, Read, Sent};
        let mut standing = Standing::default();
        let told =
            [Sent, Delivered, Delivered, Read, Delivered, Read, Played].map(|status| standing.advance("A", "", status));
        assert_eq!(told, [true, true, false, true, false, false, true]);
        assert!(standing.advance("A", "5511", Delivered), "each member of a group");
        assert!(standing.advance("B", "", Delivered));
        for id in 0..MOST {
            standing.advance(&id.to_string(), "", Sent);
        }
        assert!(standing.advance("A", "", Delivered), "forgotten");
        assert_eq!(standing.known.len(), MOST);
    }
}
