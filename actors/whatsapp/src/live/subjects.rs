//! The names of groups. Asked for once per link and kept; WhatsApp tells when one changes.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{sync::watch, time::Instant};
use whatsapp_rust::Client;
use whatsapp_rust::wacore_binary::Jid;

use super::runtime::LinkRuntime;

/// A message waits this long for its group's name, and then goes without. The question goes on, for the next one.
const PATIENCE: Duration = Duration::from_secs(1);
/// How long a group is taken for nameless when it was not told, before it is asked for again.
const AGAIN_AFTER: Duration = Duration::from_secs(60);
/// Groups kept; one more and all are forgotten, which costs a question each.
const MOST: usize = 2000;

/// See the module.
#[derive(Default)]
pub(crate) struct Subjects(Mutex<HashMap<Jid, Known>>);

enum Known {
    Named(String),
    /// Asked for since then; the channel closes with the answer.
    Asked(watch::Receiver<()>, Instant),
    /// Nothing was told then.
    Nameless(Instant),
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
                drop(runtime.start(ask(Arc::clone(self), Arc::clone(client), group.clone(), asking)));
                (answer, Instant::now() + PATIENCE)
            }
        };
        // Resolves with an error, when the one who asked is done and lets go of the channel.
        let _ = tokio::time::timeout_at(deadline, answer.changed()).await;
        self.known_of(group)
    }

    /// The name of a group, if it is known already.
    pub(crate) fn known_of(&self, group: &Jid) -> Option<String> {
        match self.known().get(group) {
            Some(Known::Named(subject)) => Some(subject.clone()),
            _ => None,
        }
    }

    /// A group has this name now.
    pub(crate) fn learn(&self, group: &Jid, subject: &str) {
        self.note(group, Known::Named(subject.to_owned()));
    }

    fn look(&self, group: &Jid) -> Look {
        let mut known = self.known();
        match known.get(group) {
            Some(Known::Named(subject)) => return Look::Named(subject.clone()),
            Some(Known::Asked(answer, since)) => return Look::Asked(answer.clone(), *since),
            Some(Known::Nameless(since)) if since.elapsed() < AGAIN_AFTER => return Look::Nameless,
            _ => {}
        }
        let (asking, answer) = watch::channel(());
        put(&mut known, group, Known::Asked(answer.clone(), Instant::now()));
        Look::Ask(asking, answer)
    }

    fn note(&self, group: &Jid, what: Known) {
        put(&mut self.known(), group, what);
    }

    fn known(&self) -> MutexGuard<'_, HashMap<Jid, Known>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn put(known: &mut HashMap<Jid, Known>, group: &Jid, what: Known) {
    if known.len() >= MOST && !known.contains_key(group) {
        known.clear();
    }
    known.insert(group.clone(), what);
}

enum Look {
    Named(String),
    Nameless,
    Asked(watch::Receiver<()>, Instant),
    Ask(watch::Sender<()>, watch::Receiver<()>),
}

async fn ask(subjects: Arc<Subjects>, client: Arc<Client>, group: Jid, asking: watch::Sender<()>) {
    let what = match client.groups().get_metadata(&group).await {
        Ok(metadata) if !metadata.subject.is_empty() => Known::Named(metadata.subject),
        Ok(_) => Known::Nameless(Instant::now()),
        Err(error) => {
            tracing::debug!(%error, "WhatsApp did not tell a group's name");
            Known::Nameless(Instant::now())
        }
    };
    {
        let mut known = subjects.known();
        // A change that was told meanwhile is newer.
        if !matches!(known.get(&group), Some(Known::Named(_))) {
            put(&mut known, &group, what);
        }
    }
    drop(asking);
}

#[cfg(test)]
mod tests {
    use whatsapp_rust::wacore_binary::Server;

    use super::*;

    #[test]
    fn a_group_is_asked_for_once_and_again_after_a_while() {
        let subjects = Subjects::default();
        let group: Jid = "120363000000000001@g.us".parse().unwrap();
        assert!(matches!(subjects.look(&group), Look::Ask(..)));
        assert!(matches!(subjects.look(&group), Look::Asked(..)));
        subjects.note(&group, Known::Nameless(Instant::now()));
        assert!(matches!(subjects.look(&group), Look::Nameless));
        if let Some(long_ago) = Instant::now().checked_sub(AGAIN_AFTER) {
            subjects.note(&group, Known::Nameless(long_ago));
            assert!(matches!(subjects.look(&group), Look::Ask(..)));
        }
        subjects.learn(&group, "Family");
        assert!(matches!(subjects.look(&group), Look::Named(subject) if subject == "Family"));
        for number in 0..2 * MOST {
            subjects.learn(
                &Jid::new(number.to_string(), Server::Group),
                "One of many that are told of",
            );
        }
        assert!(subjects.known().len() <= MOST);
    }
}
