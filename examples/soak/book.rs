//! The books: what the receiver has to get, what it got, what was done, and what is wrong.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use serde_json::{Value, json};

/// One of each is enough to look into it.
const WRONG_AT_MOST: usize = 200;

/// See the module.
#[derive(Default)]
pub(crate) struct Book(Mutex<Pages>);

#[derive(Default)]
struct Pages {
    /// What was sent to a number while it was linked and had a webhook, and has not come yet.
    due: HashMap<String, (usize, Instant)>,
    /// What came before it was known to have been sent, or though it need not come.
    early: HashSet<String>,
    sent: u64,
    received: u64,
    excused: u64,
    lost: u64,
    posts: u64,
    refused: u64,
    /// What the gateway said that WhatsApp has: the message and the chat.
    outgoing: Vec<(String, String)>,
    done: BTreeMap<&'static str, u64>,
    wrong: Vec<String>,
    files: Vec<String>,
}

impl Book {
    fn pages(&self) -> MutexGuard<'_, Pages> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Messages were sent to a number that is linked and has a webhook.
    pub(crate) fn sent(&self, line: usize, ids: impl IntoIterator<Item = String>) {
        let mut pages = self.pages();
        for id in ids {
            pages.sent += 1;
            if pages.early.remove(&id) {
                pages.received += 1;
            } else {
                pages.due.insert(id, (line, Instant::now()));
            }
        }
    }

    /// The receiver has a message.
    pub(crate) fn received(&self, line: usize, id: &str, took: bool) {
        let mut pages = self.pages();
        pages.posts += 1;
        if !took {
            pages.refused += 1;
            return;
        }
        match pages.due.get(id) {
            Some((of, _)) if *of == line => {
                pages.due.remove(id);
                pages.received += 1;
            }
            Some((of, _)) => {
                let what = format!("message {id} of number {of} came to the webhook of number {line}");
                note(&mut pages.wrong, what);
            }
            None => {
                pages.early.insert(id.to_owned());
            }
        }
    }

    /// What of a number has not come yet.
    pub(crate) fn due(&self, line: usize) -> usize {
        self.pages().due.values().filter(|(of, _)| *of == line).count()
    }

    /// What of a number has not come yet need not come: its webhook or its device is gone.
    pub(crate) fn excuse(&self, line: usize) {
        let mut pages = self.pages();
        let before = pages.due.len();
        pages.due.retain(|_, (of, _)| *of != line);
        pages.excused += (before - pages.due.len()) as u64;
    }

    /// What of a number has not come yet does not come.
    pub(crate) fn lose(&self, line: usize, when: &str) {
        let mut pages = self.pages();
        let late: Vec<(String, Instant)> = pages
            .due
            .iter()
            .filter(|(_, (of, _))| *of == line)
            .map(|(id, (_, at))| (id.clone(), *at))
            .collect();
        for (id, at) in late {
            pages.due.remove(&id);
            pages.lost += 1;
            let what = format!(
                "{when}: message {id} of number {line} did not come within {:?}",
                at.elapsed()
            );
            note(&mut pages.wrong, what);
        }
    }

    /// The gateway says that WhatsApp has a message of its.
    pub(crate) fn went_out(&self, to: &str, id: &str) {
        self.pages().outgoing.push((to.to_owned(), id.to_owned()));
    }

    /// All of those, by chat.
    pub(crate) fn outgoing(&self) -> HashMap<String, Vec<String>> {
        let mut by_chat: HashMap<String, Vec<String>> = HashMap::new();
        for (to, id) in &self.pages().outgoing {
            by_chat.entry(to.clone()).or_default().push(id.clone());
        }
        by_chat
    }

    /// A link to a file came with an event.
    pub(crate) fn file(&self, url: &str) {
        self.pages().files.push(url.to_owned());
    }

    pub(crate) fn take_files(&self) -> Vec<String> {
        std::mem::take(&mut self.pages().files)
    }

    /// Something was done.
    pub(crate) fn did(&self, what: &'static str) {
        *self.pages().done.entry(what).or_default() += 1;
    }

    pub(crate) fn wrong(&self, what: String) {
        note(&mut self.pages().wrong, what);
    }

    pub(crate) fn all_wrong(&self) -> Vec<String> {
        self.pages().wrong.clone()
    }

    pub(crate) fn shown(&self) -> Value {
        let pages = self.pages();
        json!({
            "sent": pages.sent,
            "received": pages.received,
            "excused": pages.excused,
            "lost": pages.lost,
            "posts": pages.posts,
            "posts_refused": pages.refused,
            "outgoing": pages.outgoing.len(),
            "done": pages.done,
        })
    }

    pub(crate) fn progress(&self) -> String {
        let pages = self.pages();
        format!(
            "{} sent, {} received, {} due, {} excused, {} lost, {} out",
            pages.sent,
            pages.received,
            pages.due.len(),
            pages.excused,
            pages.lost,
            pages.outgoing.len()
        )
    }
}

fn note(wrong: &mut Vec<String>, what: String) {
    if wrong.len() < WRONG_AT_MOST {
        crate::say(format!("WRONG: {what}"));
        wrong.push(what);
    }
}
