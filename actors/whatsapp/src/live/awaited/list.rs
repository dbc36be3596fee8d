//! What is missing and until when to wait for it, decided on without a clock of its own.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use tokio::time::Instant;
use wharf_domain::Timestamp;
use wharf_store::{AwaitedId, AwaitedMessage};
use whatsapp_rust::wacore::types::{
    events::{UnavailableType, UndecryptableMessage},
    message::{MessageInfo, MessageSource},
};
use whatsapp_rust::wacore_binary::Jid;

use super::{Lost, row};

/// Missing messages of one number at a time; one more is reported at once. An attacker's flood ends here.
const MOST: usize = 1000;
/// Those, and what cannot be reported because the store takes nothing; one more is only in the log.
const MOST_IN_ALL: usize = 2 * MOST;
/// Messages that came after all, remembered for the one that comes by the other way as well.
const CAME: usize = 256;
/// Messages that wait behind others, remembered for what is about them; more than may wait.
const BEHIND: usize = 1024;
/// How much later than it was due at first a message is reported at the most, however many links open meanwhile: others wait for it.
const POSTPONED_AT_MOST: Duration = Duration::from_secs(10 * 60);

/// See the module.
#[derive(Default)]
pub(crate) struct Awaited {
    missing: Vec<Missing>,
    /// How those that came, or were reported, were first heard of.
    came: VecDeque<Arc<MessageInfo>>,
    /// Messages that are about missing ones and were committed behind them: what is about these waits there as well.
    behind: VecDeque<(MessageInfo, AwaitedId)>,
    /// Whether what the process before this waited for is here.
    is_loaded: bool,
    /// Whether a task waits for the deadlines.
    watched: bool,
}

/// One of them.
struct Missing {
    lost: Arc<UndecryptableMessage>,
    due: Instant,
    /// When it was due at first.
    first_due: Instant,
    row: Row,
    /// Copies of it that are being committed.
    arriving: u32,
}

/// Whether a message is waited for in a row, too.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Row {
    /// It needs none, because it is reported at once.
    Needless,
    /// Not yet.
    Wanted,
    /// Its row is there.
    Kept,
}

impl Missing {
    /// Whether it may be reported once it is due: not before its row says that it has not come.
    fn can_be_reported(&self) -> bool {
        self.arriving == 0 && self.row != Row::Wanted
    }
}

impl Awaited {
    /// Waits for a message until `patience` has passed; one that no device but the phone will get is due at once. A
    /// message that is waited for already keeps its deadline, and one that came or was reported is not waited for again.
    pub(crate) fn miss(&mut self, lost: UndecryptableMessage, now: Instant, patience: Duration) {
        if self.came.iter().any(|first| is_same(first, &lost.info)) {
            return;
        }
        if self.missing.len() >= MOST_IN_ALL {
            tracing::error!(
                message_id = lost.info.id,
                "more messages cannot be decrypted than can be kept in mind; this one is not reported"
            );
            return;
        }
        let hopeless = !matches!(lost.unavailable_type, UnavailableType::Unknown) || self.missing.len() >= MOST;
        match hopeless {
            true => self.add(lost, now, Row::Needless),
            false => self.add(lost, now + patience, Row::Wanted),
        }
    }

    /// Goes on waiting for what has rows at the wall clock's `wall`, once. However the clock was set meanwhile, none is
    /// waited for longer than `patience`. Answers the rows that cannot be read: nothing will end them.
    pub(crate) fn load(
        &mut self,
        rows: &[AwaitedMessage],
        now: Instant,
        wall: Timestamp,
        patience: Duration,
    ) -> Vec<AwaitedId> {
        let mut unreadable = Vec::new();
        if std::mem::replace(&mut self.is_loaded, true) {
            return unreadable;
        }
        for kept in rows {
            if let Some(lost) = row::read(kept) {
                self.add(lost, now + kept.due_at.since(wall).min(patience), Row::Kept);
            } else {
                tracing::error!(
                    message_id = kept.id.message_id,
                    "the row of an undecryptable message cannot be read; it is not reported"
                );
                unreadable.push(kept.id.clone());
            }
        }
        unreadable
    }

    pub(crate) fn is_loaded(&self) -> bool {
        self.is_loaded
    }

    fn add(&mut self, lost: UndecryptableMessage, due: Instant, row: Row) {
        if self.missing_one(&lost.info).is_some() {
            return;
        }
        self.missing.push(Missing {
            lost: Arc::new(lost),
            due,
            first_due: due,
            row,
            arriving: 0,
        });
    }

    /// A message comes. Answers how it was first heard of, if it could not be decrypted then: the sender's second copy and
    /// the phone's may name its time and its people differently, and are one message. And whether it was missing until now:
    /// then [`Awaited::settle`] or [`Awaited::did_not_arrive`] follows.
    pub(crate) fn arrives(&mut self, info: &MessageInfo) -> Option<(Arc<MessageInfo>, bool)> {
        if let Some(missing) = self.missing_one(info) {
            missing.arriving += 1;
            return Some((Arc::clone(&missing.lost.info), true));
        }
        let first = self.came.iter().find(|first| is_same(first, info))?;
        Some((Arc::clone(first), false))
    }

    /// How a message that could not be decrypted was first heard of.
    pub(crate) fn first(&self, info: &MessageInfo) -> Option<Arc<MessageInfo>> {
        let missing = self.missing.iter().map(|missing| &missing.lost.info);
        let mut firsts = missing.chain(&self.came);
        firsts.find(|first| is_same(first, info)).map(Arc::clone)
    }

    /// The message `id` of the same chat as `about`, if it is waited for in a row, or else what it waits behind itself; there waits
    /// `about` then, too. Who wrote it is not compared: what is said about it names its author in one way or another, or not at all.
    pub(crate) fn waits_behind(&mut self, about: &MessageInfo, id: &str) -> Option<AwaitedId> {
        let awaited = self.held_up(|one| one.id == id && is_same_chat(one, about))?;
        if !self.behind.iter().any(|(one, _)| is_same(one, about)) {
            if self.behind.len() >= BEHIND {
                self.behind.pop_front();
            }
            self.behind.push_back((about.clone(), awaited.clone()));
        }
        Some(awaited)
    }

    /// The message `id` that the account sent itself, if it is waited for in a row, or else what it waits behind. Its id is this
    /// account's own.
    pub(crate) fn own_waited_for(&self, id: &str) -> Option<AwaitedId> {
        self.held_up(|one| one.id == id && one.source.is_from_me)
    }

    fn held_up(&self, is_it: impl Fn(&MessageInfo) -> bool) -> Option<AwaitedId> {
        let in_rows = self.missing.iter().filter(|missing| missing.row != Row::Needless);
        let mut missing = in_rows.map(|missing| &missing.lost.info);
        if let Some(target) = missing.find(|one| is_it(one)) {
            return Some(row::id(target));
        }
        let (_, awaited) = self.behind.iter().find(|(one, _)| is_it(one))?;
        Some(awaited.clone())
    }

    /// A message that came was not committed.
    pub(crate) fn did_not_arrive(&mut self, info: &MessageInfo) {
        if let Some(missing) = self.missing_one(info) {
            missing.arriving = missing.arriving.saturating_sub(1);
        }
    }

    /// A message is not missing any more: it, or its report, is committed.
    pub(crate) fn settle(&mut self, info: &MessageInfo) {
        if let Some(place) = self.missing.iter().position(|one| is_same(&one.lost.info, info)) {
            let first = Arc::clone(&self.missing.swap_remove(place).lost.info);
            let id = row::id(&first);
            self.behind.retain(|(_, awaited)| *awaited != id);
            self.note(first);
        }
    }

    fn note(&mut self, first: Arc<MessageInfo>) {
        if self.came.len() >= CAME {
            self.came.pop_front();
        }
        self.came.push_back(first);
    }

    /// A new link opens: what comes with it may bring what is missing, so nothing is reported before that had time, unless links
    /// have opened over and over.
    pub(crate) fn postpone(&mut self, until: Instant) {
        for missing in &mut self.missing {
            missing.due = missing.due.max(until.min(missing.first_due + POSTPONED_AT_MOST));
        }
    }

    /// The rows of what has none yet.
    pub(crate) fn without_row(&self, now: Instant, wall: Timestamp) -> Vec<AwaitedMessage> {
        let without = self
            .missing
            .iter()
            .filter(|missing| missing.row == Row::Wanted && missing.arriving == 0);
        let rows =
            without.filter_map(|missing| row::of(&missing.lost, wall + missing.due.saturating_duration_since(now)));
        rows.collect()
    }

    /// These rows are there.
    pub(crate) fn have_rows(&mut self, rows: &[AwaitedMessage]) {
        for missing in self.missing.iter_mut().filter(|missing| missing.row == Row::Wanted) {
            let id = row::id(&missing.lost.info);
            if rows.iter().any(|row| row.id == id) {
                missing.row = Row::Kept;
            }
        }
    }

    /// What was waited for long enough. It is missing until it is reported, whatever becomes of the link meanwhile.
    pub(crate) fn overdue(&self, now: Instant) -> Vec<Lost> {
        let overdue = self
            .missing
            .iter()
            .filter(|missing| missing.due <= now && missing.can_be_reported());
        let lost = overdue.map(|missing| Lost {
            row: (missing.row == Row::Kept).then(|| row::id(&missing.lost.info)),
            message: Arc::clone(&missing.lost),
        });
        lost.collect()
    }

    /// Whether a message is still waited for, and is not arriving.
    pub(crate) fn is_missing(&self, info: &MessageInfo) -> bool {
        let mut missing = self.missing.iter();
        missing.any(|one| one.arriving == 0 && is_same(&one.lost.info, info))
    }

    /// A message could not be reported yet.
    pub(crate) fn put_off(&mut self, info: &MessageInfo, until: Instant) {
        if let Some(missing) = self.missing_one(info) {
            missing.due = until;
        }
    }

    /// When the next one is due of those that can be reported.
    pub(crate) fn next(&self) -> Option<Instant> {
        let ready = self.missing.iter().filter(|missing| missing.can_be_reported());
        ready.map(|missing| missing.due).min()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.missing.is_empty()
    }

    /// Whether a task is needed that watches; it is there from now on.
    pub(crate) fn begin_to_watch(&mut self) -> bool {
        let begins = !self.watched && !self.missing.is_empty();
        self.watched |= begins;
        begins
    }

    /// The task is gone.
    pub(crate) fn end_to_watch(&mut self) {
        self.watched = false;
    }

    fn missing_one(&mut self, info: &MessageInfo) -> Option<&mut Missing> {
        self.missing.iter_mut().find(|one| is_same(&one.lost.info, info))
    }
}

/// Whether two stanzas are the same message: one id, one sender by number or by hidden id, and one group if any.
fn is_same(one: &MessageInfo, other: &MessageInfo) -> bool {
    if one.id != other.id {
        return false;
    }
    let names = |source: &MessageSource| names([Some(&source.sender), source.sender_alt.as_ref()]);
    group(&one.source) == group(&other.source) && have_one_in_common(&names(&one.source), &names(&other.source))
}

/// Whether two stanzas are of one chat: of one group, or of one person by number or by hidden id, whoever of the two wrote it.
fn is_same_chat(one: &MessageInfo, other: &MessageInfo) -> bool {
    let names = |info: &MessageInfo| {
        let source = &info.source;
        match source.is_from_me {
            true => names([Some(&source.chat), row::recipient_of(info)]),
            false => names([Some(&source.sender), source.sender_alt.as_ref()]),
        }
    };
    match (group(&one.source), group(&other.source)) {
        (None, None) => have_one_in_common(&names(one), &names(other)),
        (one, other) => one == other,
    }
}

fn group(source: &MessageSource) -> Option<Jid> {
    source.is_group.then(|| source.chat.to_non_ad())
}

/// Somebody's number and hidden id, as far as a stanza names them.
fn names(names: [Option<&Jid>; 2]) -> [Option<(bool, String)>; 2] {
    names.map(|jid| jid.map(|jid| (jid.server.is_lid_family(), jid.user_base().to_owned())))
}

fn have_one_in_common(one: &[Option<(bool, String)>; 2], other: &[Option<(bool, String)>; 2]) -> bool {
    one.iter().any(|name| name.is_some() && other.contains(name))
}

#[cfg(test)]
mod tests;
