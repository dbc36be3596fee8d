//! Messages that could not be decrypted: asked for again, and reported if they stay so.
//!
//! The client asks the sender to send again (a retry receipt, up to five times) and the phone for its copy, once. What
//! comes of that is a message like any other. Here is only kept what is missing and until when to wait. It lives as long
//! as the process: what was missing when that ended is not reported, unless it comes again and fails again.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use tokio::time::Instant;
use whatsapp_rust::wacore::types::{
    events::{UnavailableType, UndecryptableMessage},
    message::{MessageInfo, MessageSource},
};
use whatsapp_rust::wacore_binary::Jid;

use super::{inbound::Inbound, reporter::now};

/// Missing messages of one number at a time; one more is reported at once. An attacker's flood ends here.
const MOST: usize = 1000;
/// Messages that came after all, remembered for the one that comes by the other way as well.
const CAME: usize = 256;
/// The pause before a report that the inbox refused is made again.
const AGAIN: Duration = Duration::from_secs(5);

/// Missing messages, decided on without a clock of its own.
#[derive(Default)]
pub(crate) struct Awaited {
    missing: Vec<Missing>,
    /// How those that came, or were reported, were first heard of.
    came: VecDeque<Arc<MessageInfo>>,
    /// Whether a task waits for the deadlines.
    watched: bool,
}

/// One of them.
struct Missing {
    lost: Arc<UndecryptableMessage>,
    due: Instant,
}

impl Awaited {
    /// Waits for a message until `patience` has passed; one that no device but the phone will get is due at once. A
    /// message that is waited for already keeps its deadline.
    pub(crate) fn miss(&mut self, lost: UndecryptableMessage, now: Instant, patience: Duration) {
        if self.is_missing(&lost.info) {
            return;
        }
        let hopeless = !matches!(lost.unavailable_type, UnavailableType::Unknown) || self.missing.len() >= MOST;
        let due = if hopeless { now } else { now + patience };
        let lost = Arc::new(lost);
        self.missing.push(Missing { lost, due });
    }

    /// A message has come: it is not missing any more. Answers how it was first heard of, if it could not be decrypted
    /// then: the sender's second copy and the phone's may name its time and its people differently, and are one message.
    pub(crate) fn found(&mut self, info: &MessageInfo) -> Option<Arc<MessageInfo>> {
        if let Some(place) = self.missing.iter().position(|one| is_same(&one.lost.info, info)) {
            let first = Arc::clone(&self.missing.swap_remove(place).lost.info);
            self.note(Arc::clone(&first));
            return Some(first);
        }
        self.came.iter().find(|first| is_same(first, info)).cloned()
    }

    fn note(&mut self, first: Arc<MessageInfo>) {
        if self.came.len() >= CAME {
            self.came.pop_front();
        }
        self.came.push_back(first);
    }

    /// A new link opens: what comes with it may bring what is missing, so nothing is reported before that had time.
    pub(crate) fn postpone(&mut self, until: Instant) {
        for missing in &mut self.missing {
            missing.due = missing.due.max(until);
        }
    }

    /// What was waited for long enough. It is missing until it is reported, whatever becomes of the link meanwhile.
    fn overdue(&self, now: Instant) -> Vec<Arc<UndecryptableMessage>> {
        let overdue = self.missing.iter().filter(|missing| missing.due <= now);
        overdue.map(|missing| Arc::clone(&missing.lost)).collect()
    }

    /// Whether a message is still waited for.
    fn is_missing(&self, info: &MessageInfo) -> bool {
        self.missing.iter().any(|one| is_same(&one.lost.info, info))
    }

    /// A message could not be reported yet.
    fn put_off(&mut self, info: &MessageInfo, until: Instant) {
        let put_off = self.missing.iter_mut().find(|one| is_same(&one.lost.info, info));
        if let Some(missing) = put_off {
            missing.due = until;
        }
    }

    /// When the next one is due.
    fn next(&self) -> Option<Instant> {
        self.missing.iter().map(|missing| missing.due).min()
    }
}

/// Whether two stanzas are the same message: one id, one sender by number or by hidden id, and one group if any.
fn is_same(one: &MessageInfo, other: &MessageInfo) -> bool {
    let names = |source: &MessageSource| {
        let bare = |jid: &Jid| (jid.server.is_lid_family(), jid.user_base().to_owned());
        [Some(bare(&source.sender)), source.sender_alt.as_ref().map(bare)]
    };
    let others = names(&other.source);
    let group = |source: &MessageSource| source.is_group.then(|| source.chat.to_non_ad());
    one.id == other.id
        && group(&one.source) == group(&other.source)
        && names(&one.source)
            .iter()
            .any(|name| name.is_some() && others.contains(name))
}

/// Sees to it that what is missing is reported, as long as the link is there. At most one task does; it ends when nothing
/// is missing, so that a number without trouble has none.
pub(crate) fn watch(inbound: &Arc<Inbound>) {
    {
        let mut awaited = inbound.memory.awaited();
        if awaited.watched || awaited.missing.is_empty() {
            return;
        }
        awaited.watched = true;
    }
    let watching = Watching {
        inbound: Arc::clone(inbound),
        given_back: false,
    };
    drop(inbound.runtime.start(watching.run()));
}

/// The task's hold on the list; given back however the task ends.
struct Watching {
    inbound: Arc<Inbound>,
    given_back: bool,
}

impl Drop for Watching {
    fn drop(&mut self) {
        if !self.given_back {
            self.inbound.memory.awaited().watched = false;
        }
    }
}

impl Watching {
    /// When to look next. `None`: nothing is missing, and whoever adds something starts a task anew.
    fn next(&mut self) -> Option<Instant> {
        let mut awaited = self.inbound.memory.awaited();
        let next = awaited.next();
        if next.is_none() {
            awaited.watched = false;
            self.given_back = true;
        }
        next
    }

    async fn run(mut self) {
        let over = self.inbound.reporter.over().clone();
        while let Some(due) = self.next() {
            // Looks at least this often, because one that is due sooner may have been added.
            let look = due.min(Instant::now() + AGAIN);
            if over.run_until_cancelled(tokio::time::sleep_until(look)).await.is_none() {
                return;
            }
            let overdue = self.inbound.memory.awaited().overdue(Instant::now());
            for lost in overdue {
                self.report(&lost).await;
            }
        }
    }

    async fn report(&self, lost: &UndecryptableMessage) {
        let inbound = &self.inbound;
        if !inbound.memory.awaited().is_missing(&lost.info) {
            // It came while those before it were reported.
            return;
        }
        let key = inbound.reporter.key();
        let (id, waited) = (&lost.info.id, now().since(sent_at(&lost.info)));
        tracing::warn!(client_id = %key.client_id, phone_number = %key.phone_number, message_id = id, ?waited, "a message stays undecryptable; reported as unknown");
        if let Err(refused) = inbound.report(lost).await {
            tracing::warn!(refused, "an undecryptable message could not be reported yet");
            inbound.memory.awaited().put_off(&lost.info, Instant::now() + AGAIN);
            return;
        }
        inbound.memory.awaited().found(&lost.info);
    }
}

fn sent_at(info: &MessageInfo) -> wharf_domain::Timestamp {
    wharf_domain::Timestamp(info.timestamp.timestamp_millis())
}

#[cfg(test)]
mod tests {
    use whatsapp_rust::wacore::types::events::DecryptFailMode;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(60);

    fn info(id: &str, sender: &str, alternative: Option<&str>) -> MessageInfo {
        MessageInfo {
            source: MessageSource {
                sender: sender.parse().unwrap(),
                sender_alt: alternative.map(|jid| jid.parse().unwrap()),
                ..MessageSource::default()
            },
            id: id.into(),
            ..MessageInfo::default()
        }
    }

    fn lost(info: MessageInfo, unavailable_type: UnavailableType) -> UndecryptableMessage {
        UndecryptableMessage::builder()
            .info(Arc::new(info))
            .is_unavailable(false)
            .unavailable_type(unavailable_type)
            .decrypt_fail_mode(DecryptFailMode::Show)
            .build()
    }

    /// What is due, by its ids; it is reported.
    fn reported(awaited: &mut Awaited, now: Instant) -> Vec<String> {
        let overdue = awaited.overdue(now);
        for lost in &overdue {
            awaited.found(&lost.info);
        }
        overdue.iter().map(|lost| lost.info.id.to_string()).collect()
    }

    #[test]
    fn a_message_that_comes_in_time_is_never_reported() {
        let (mut awaited, now) = (Awaited::default(), Instant::now());
        let by_lid = info("A", "1@lid", Some("5511888888888@s.whatsapp.net"));
        awaited.miss(lost(by_lid, UnavailableType::Unknown), now, PATIENCE);
        awaited.miss(lost(info("B", "1@lid", None), UnavailableType::Unknown), now, PATIENCE);
        awaited.found(&info("A", "2@lid", None));
        assert_eq!(awaited.next(), Some(now + PATIENCE));
        // By number and from another device it is the same sender.
        awaited.found(&info("A", "5511888888888:4@s.whatsapp.net", None));
        assert!(awaited.overdue(now + PATIENCE / 2).is_empty());
        assert_eq!(reported(&mut awaited, now + PATIENCE), ["B"]);
        assert_eq!(awaited.next(), None);
    }

    #[test]
    fn one_that_fails_twice_is_reported_once_and_keeps_its_deadline() {
        let (mut awaited, now) = (Awaited::default(), Instant::now());
        for later in [0, 30] {
            let lost = lost(info("A", "1@lid", None), UnavailableType::Unknown);
            awaited.miss(lost, now + Duration::from_secs(later), PATIENCE);
        }
        assert_eq!(reported(&mut awaited, now + PATIENCE), ["A"]);
    }

    #[test]
    fn what_only_the_phone_gets_is_not_waited_for_but_a_new_link_is() {
        let (mut awaited, now) = (Awaited::default(), Instant::now());
        awaited.miss(lost(info("A", "1@lid", None), UnavailableType::ViewOnce), now, PATIENCE);
        awaited.miss(lost(info("B", "1@lid", None), UnavailableType::Unknown), now, PATIENCE);
        assert_eq!(reported(&mut awaited, now), ["A"]);
        awaited.postpone(now + 2 * PATIENCE);
        assert!(awaited.overdue(now + PATIENCE).is_empty());
        assert_eq!(reported(&mut awaited, now + 2 * PATIENCE), ["B"]);
    }

    #[test]
    fn both_copies_of_a_message_are_the_one_that_was_first_heard_of() {
        let (mut awaited, now) = (Awaited::default(), Instant::now());
        let mut first = info("A", "1@lid", Some("5511888888888@s.whatsapp.net"));
        first.source.chat = "1@lid".parse().unwrap();
        awaited.miss(lost(first, UnavailableType::Unknown), now, PATIENCE);
        let again = info("A", "1:3@lid", None);
        let copy = info("A", "5511888888888@s.whatsapp.net", None);
        for come in [again, copy] {
            let first = awaited.found(&come).unwrap();
            assert_eq!(first.source.chat.to_string(), "1@lid");
        }
        // The same sender may use the id once more elsewhere.
        let mut elsewhere = info("A", "1@lid", None);
        elsewhere.source.is_group = true;
        elsewhere.source.chat = "120363000000000001@g.us".parse().unwrap();
        assert!(awaited.found(&elsewhere).is_none());
        for id in 0..CAME {
            awaited.note(Arc::new(info(&id.to_string(), "1@lid", None)));
        }
        assert!(awaited.found(&info("A", "1@lid", None)).is_none(), "and not for ever");
    }

    #[test]
    fn what_is_due_is_missing_until_it_is_reported() {
        let (mut awaited, now) = (Awaited::default(), Instant::now());
        awaited.miss(lost(info("A", "1@lid", None), UnavailableType::ViewOnce), now, PATIENCE);
        // The link ended before the report was made.
        assert_eq!((awaited.overdue(now).len(), awaited.overdue(now).len()), (1, 1));
        awaited.put_off(&info("A", "1@lid", None), now + AGAIN);
        assert!(awaited.overdue(now).is_empty());
        assert_eq!(reported(&mut awaited, now + AGAIN), ["A"]);
        assert_eq!(awaited.next(), None);
    }

    #[test]
    fn a_flood_is_not_kept() {
        let (mut awaited, now) = (Awaited::default(), Instant::now());
        for id in 0..=MOST {
            let lost = lost(info(&id.to_string(), "1@lid", None), UnavailableType::Unknown);
            awaited.miss(lost, now, PATIENCE);
        }
        assert_eq!(awaited.overdue(now).len(), 1);
    }
}
