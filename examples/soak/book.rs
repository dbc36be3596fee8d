//! The books: what the receiver has to get, what it got, what was done, and what is wrong.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use serde_json::{Value, json};

/// One of each is enough to look into it.
const WRONG_AT_MOST: usize = 200;
/// Of so many messages it is known that they came, and where to: far more than come between a message and its last copy.
const KNOWN_AT_MOST: usize = 100_000;

/// See the module.
#[derive(Default)]
pub(crate) struct Book(Mutex<Pages>);

#[derive(Default)]
struct Pages {
    /// What was sent to a number while it was linked and had a webhook, and has not come yet.
    due: HashMap<String, (usize, Instant)>,
    /// What came, and to which number's webhook: copies come there, too, and so has what is known to have been sent only later.
    came: HashMap<String, usize>,
    /// The same by age.
    came_first: VecDeque<String>,
    sent: u64,
    received: u64,
    /// What came once more.
    copies: u64,
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
            let came = pages.came.get(&id).copied();
            if came == Some(line) {
                pages.received += 1;
                continue;
            }
            if let Some(elsewhere) = came {
                note(&mut pages.wrong, stray(&id, line, elsewhere));
                pages.came.remove(&id);
            }
            pages.due.insert(id, (line, Instant::now()));
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
        let belongs = pages.due.get(id).map(|(of, _)| *of);
        if let Some(of) = belongs.or_else(|| pages.came.get(id).copied())
            && of != line
        {
            note(&mut pages.wrong, stray(id, of, line));
            return;
        }
        if pages.due.remove(id).is_some() {
            pages.received += 1;
        }
        match pages.came.insert(id.to_owned(), line) {
            Some(_) => pages.copies += 1,
            None => pages.came_first.push_back(id.to_owned()),
        }
        if pages.came_first.len() > KNOWN_AT_MOST
            && let Some(oldest) = pages.came_first.pop_front()
        {
            pages.came.remove(&oldest);
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
            "copies": pages.copies,
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

/// It is another number's.
fn stray(id: &str, of: usize, came_to: usize) -> String {
    format!("message {id} of number {of} came to the webhook of number {came_to}")
}

fn note(wrong: &mut Vec<String>, what: String) {
    if wrong.len() < WRONG_AT_MOST {
        crate::say(format!("WRONG: {what}"));
        wrong.push(what);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(id: &str) -> [String; 1] {
        [id.to_owned()]
    }

    fn counted(book: &Book) -> (u64, u64, usize) {
        let pages = book.pages();
        (pages.received, pages.copies, pages.wrong.len())
    }

    #[test]
    fn a_message_is_received_once_whichever_is_heard_of_first() {
        let book = Book::default();
        book.sent(1, ids("a"));
        book.received(1, "a", false);
        assert_eq!(counted(&book), (0, 0, 0), "it was not taken");
        book.received(1, "a", true);
        book.received(1, "a", true);
        book.received(1, "b", true);
        book.sent(1, ids("b"));
        assert_eq!(counted(&book), (2, 1, 0));
        assert_eq!(book.due(1), 0);
    }

    #[test]
    fn a_message_at_another_numbers_webhook_is_wrong_and_not_received() {
        let book = Book::default();
        book.sent(1, ids("while due"));
        book.received(2, "while due", true);
        assert_eq!(counted(&book), (0, 0, 1));
        book.received(1, "while due", true);
        assert_eq!(counted(&book), (1, 0, 1), "it came where it belongs, too");
        book.received(2, "while due", true);
        assert_eq!(counted(&book), (1, 0, 2), "a copy");
        book.received(2, "before it is known", true);
        book.sent(1, ids("before it is known"));
        assert_eq!((counted(&book), book.due(1)), ((1, 0, 3), 1));
        book.received(1, "before it is known", true);
        assert_eq!((counted(&book), book.due(1)), ((2, 0, 3), 0));
    }

    #[test]
    fn what_came_is_forgotten_at_some_time() {
        let book = Book::default();
        for n in 0..=KNOWN_AT_MOST {
            book.received(1, &n.to_string(), true);
        }
        let pages = book.pages();
        assert_eq!(
            (pages.came.len(), pages.came_first.len()),
            (KNOWN_AT_MOST, KNOWN_AT_MOST)
        );
    }
}
