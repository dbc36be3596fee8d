//! The names of groups. Asked for once and kept; WhatsApp tells when one changes, also of what changed while a number was away.
//!
//! What comes after a night brings hundreds of groups at once, each of whose names is a question for all that the group is. So
//! few are asked at a time, and a WhatsApp that has enough of it is left alone. That goes for whatever else is asked of a group by
//! the way, too.

use std::{collections::HashMap, sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio::{
    sync::{Semaphore, watch},
    time::Instant,
};
use whatsapp_rust::wacore_binary::Jid;
use whatsapp_rust::{Client, IqError, features::GroupError};

use super::{memory::make_room, runtime::LinkRuntime};

/// A message waits this long for its group's name, and then goes without. The question goes on, for the next one.
const PATIENCE: Duration = Duration::from_secs(1);
/// How long a group is taken for nameless when it was not told, before it is asked for again.
pub(super) const AGAIN_AFTER: Duration = Duration::from_secs(60);
/// Groups that are asked for at a time.
const AT_ONCE: usize = 4;
/// How long nothing is asked once WhatsApp said that it was too much.
const QUIET: Duration = Duration::from_secs(300);
const TOO_MUCH: u16 = 429;
/// Groups kept; one more and all are forgotten, which costs a question each.
const MOST: usize = 2000;

/// See the module.
pub(crate) struct Subjects {
    state: Mutex<State>,
    turns: Semaphore,
}

#[derive(Default)]
struct State {
    known: HashMap<Jid, Known>,
    quiet_until: Option<Instant>,
}

enum Known {
    Named(String),
    /// Asked for since then; the channel closes with the answer, or with the link that asked.
    Asked(watch::Receiver<()>, Instant),
    /// Nothing was told then.
    Nameless(Instant),
}

impl Default for Subjects {
    fn default() -> Self {
        Self {
            state: Mutex::default(),
            turns: Semaphore::new(AT_ONCE),
        }
    }
}

impl Subjects {
    /// The name of a group, if it is known or comes within a second of the first question for it.
    pub(crate) async fn of(
        self: &Arc<Self>,
        client: &Arc<Client>,
        runtime: &LinkRuntime,
        group: &Jid,
    ) -> Option<String> {
        let (mut answer, deadline) = match self.look(group) {
            Look::Named(subject) => return Some(subject),
            Look::Nameless => return None,
            Look::Asked(answer, since) => (answer, since + PATIENCE),
            Look::Ask(asking, answer) => {
                let (client, jid) = (Arc::clone(client), group.clone());
                let answer_of = async move { Ok(client.groups().get_metadata(&jid).await?.subject) };
                drop(runtime.start(ask(Arc::clone(self), group.clone(), asking, answer_of)));
                (answer, Instant::now() + PATIENCE)
            }
        };
        // Resolves with an error, when the one who asked is done and lets go of the channel.
        let _ = tokio::time::timeout_at(deadline, answer.changed()).await;
        self.known_of(group)
    }

    /// The name of a group, if it is known already.
    pub(crate) fn known_of(&self, group: &Jid) -> Option<String> {
        match self.state.lock().known.get(group) {
            Some(Known::Named(subject)) => Some(subject.clone()),
            _ => None,
        }
    }

    /// A group has this name now.
    pub(crate) fn learn(&self, group: &Jid, subject: &str) {
        self.state.lock().put(group, Known::Named(subject.to_owned()));
    }

    /// What WhatsApp answers to a question about a group, which is asked in its turn; `None` when it does not, or has had enough
    /// of them.
    pub(super) async fn in_turn<T>(&self, answer: impl Future<Output = Result<T, GroupError>>) -> Option<T> {
        let _turn = self.turns.acquire().await;
        if self.state.lock().is_quiet() {
            return None;
        }
        let told = answer.await;
        if let Err(error) = &told {
            tracing::debug!(%error, "WhatsApp did not tell of a group");
            if matches!(error, GroupError::Iq(IqError::ServerError { code: TOO_MUCH, .. })) {
                self.state.lock().quiet_until = Some(Instant::now() + QUIET);
            }
        }
        told.ok()
    }

    fn look(&self, group: &Jid) -> Look {
        let mut state = self.state.lock();
        match state.known.get(group) {
            Some(Known::Named(subject)) => return Look::Named(subject.clone()),
            Some(Known::Asked(answer, since)) if answer.has_changed().is_ok() => {
                return Look::Asked(answer.clone(), *since);
            }
            Some(Known::Nameless(since)) if since.elapsed() < AGAIN_AFTER => return Look::Nameless,
            _ if state.is_quiet() => return Look::Nameless,
            _ => {}
        }
        let (asking, answer) = watch::channel(());
        state.put(group, Known::Asked(answer.clone(), Instant::now()));
        Look::Ask(asking, answer)
    }
}

impl State {
    fn put(&mut self, group: &Jid, what: Known) {
        make_room(&mut self.known, MOST, group);
        self.known.insert(group.clone(), what);
    }

    fn is_quiet(&self) -> bool {
        self.quiet_until.is_some_and(|until| Instant::now() < until)
    }
}

enum Look {
    Named(String),
    Nameless,
    Asked(watch::Receiver<()>, Instant),
    Ask(watch::Sender<()>, watch::Receiver<()>),
}

/// Gets the answer in its turn. `asking` is let go of when it is known.
async fn ask(
    subjects: Arc<Subjects>,
    group: Jid,
    asking: watch::Sender<()>,
    answer: impl Future<Output = Result<String, GroupError>>,
) {
    let told = subjects.in_turn(answer).await;
    let what = match told {
        Some(subject) if !subject.is_empty() => Known::Named(subject),
        _ => Known::Nameless(Instant::now()),
    };
    let mut state = subjects.state.lock();
    // A change that was told meanwhile is newer.
    if !matches!(state.known.get(&group), Some(Known::Named(_))) {
        state.put(&group, what);
    }
    drop(state);
    drop(asking);
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures::future::join_all;
    use whatsapp_rust::wacore_binary::Server;

    use super::*;

    fn group(number: usize) -> Jid {
        Jid::new(number.to_string(), Server::Group)
    }

    #[test]
    fn a_group_is_asked_for_once_and_again_after_a_while() {
        let subjects = Subjects::default();
        let group = group(1);
        let Look::Ask(asking, _) = subjects.look(&group) else {
            panic!("not asked for")
        };
        assert!(matches!(subjects.look(&group), Look::Asked(..)));
        // The link that asked is gone.
        drop(asking);
        assert!(matches!(subjects.look(&group), Look::Ask(..)));
        subjects.state.lock().put(&group, Known::Nameless(Instant::now()));
        assert!(matches!(subjects.look(&group), Look::Nameless));
        if let Some(long_ago) = Instant::now().checked_sub(AGAIN_AFTER) {
            subjects.state.lock().put(&group, Known::Nameless(long_ago));
            assert!(matches!(subjects.look(&group), Look::Ask(..)));
        }
        subjects.learn(&group, "Family");
        assert!(matches!(subjects.look(&group), Look::Named(subject) if subject == "Family"));
        for number in 0..2 * MOST {
            subjects.learn(&self::group(number), "One of many that are told of");
        }
        assert!(subjects.state.lock().known.len() <= MOST);
    }

    #[tokio::test]
    async fn few_are_asked_for_at_a_time_and_none_once_it_was_too_much() {
        let subjects = Arc::new(Subjects::default());
        let (now, most, all) = (AtomicUsize::new(0), AtomicUsize::new(0), AtomicUsize::new(0));
        let answer = |code: Option<u16>| {
            let (now, most, all) = (&now, &most, &all);
            async move {
                all.fetch_add(1, Ordering::Relaxed);
                most.fetch_max(now.fetch_add(1, Ordering::Relaxed) + 1, Ordering::Relaxed);
                tokio::task::yield_now().await;
                now.fetch_sub(1, Ordering::Relaxed);
                match code {
                    None => Ok("Harbour".to_owned()),
                    Some(code) => Err(GroupError::Iq(IqError::ServerError {
                        code,
                        text: "rate-overlimit".to_owned(),
                        error_type: None,
                        backoff: None,
                    })),
                }
            }
        };
        let ask = |number: usize, code: Option<u16>| {
            ask(Arc::clone(&subjects), group(number), watch::channel(()).0, answer(code))
        };
        join_all((0..20).map(|number| ask(number, None))).await;
        assert_eq!(
            (most.load(Ordering::Relaxed), all.load(Ordering::Relaxed)),
            (AT_ONCE, 20)
        );
        assert_eq!(subjects.known_of(&group(19)).as_deref(), Some("Harbour"));

        join_all((20..40).map(|number| ask(number, Some(TOO_MUCH)))).await;
        assert!(all.load(Ordering::Relaxed) <= 20 + AT_ONCE, "the others are left");
        assert!(matches!(subjects.look(&group(40)), Look::Nameless));
        assert!(matches!(subjects.look(&group(0)), Look::Named(_)));
        subjects.state.lock().quiet_until = Some(Instant::now());
        assert!(matches!(subjects.look(&group(40)), Look::Ask(..)));
    }
}
