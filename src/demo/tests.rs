//! Lines as they are shown, and the whole demo until one message was refused and one answered.

use std::{
    collections::HashSet,
    io::Write,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tokio::sync::mpsc;
use wharf_domain::Timestamp;

use super::{
    Interrupts, Options, Screen, Summary, Terminal,
    receiver::Attempt,
    script,
    track::{Event, Seen, Track},
};
use crate::config::{Loaded, Sources};

const NOW: Timestamp = Timestamp(1_762_352_580_000);

fn event(id: &str, status: &str, attempts: u32, next: Value) -> Event {
    serde_json::from_value(json!({
        "message_id": id, "status": status, "attempt_count": attempts, "error": null, "next_retry_at": next, "id": "x",
    }))
    .unwrap()
}

fn attempt(id: &str, number: u32, status: u16, at: Instant) -> Attempt {
    Attempt {
        message_id: id.to_owned(),
        number,
        status,
        at,
    }
}

/// What the screen shows for each look, without the clock.
fn shown(track: &mut Track, looks: Vec<Seen>) -> Vec<String> {
    let mut out = Vec::new();
    let mut screen = Screen::new(&mut out, Terminal::default());
    for seen in looks {
        for step in track.advance(&seen, NOW) {
            screen.step(&step).unwrap();
        }
    }
    let text = String::from_utf8(out).unwrap();
    text.lines().map(|line| line[9..].to_owned()).collect()
}

#[test]
fn steps_are_told_in_the_order_they_were_taken() {
    let mut track = Track::default();
    let at = Instant::now();
    track.written("A".to_owned(), "chat", at);
    track.written("B".to_owned(), "chat", at);
    let next = json!((NOW + Duration::from_millis(5200)).to_string());
    let looks = vec![
        // The store has not got the outcome yet, the receiver has answered already.
        Seen {
            attempts: vec![attempt("A", 1, 503, at)],
            receipts: HashSet::from(["A".to_owned()]),
            events: vec![event("A", "pending", 0, Value::Null)],
        },
        Seen {
            attempts: vec![],
            receipts: HashSet::new(),
            events: vec![
                event("B", "pending", 0, Value::Null),
                event("A", "pending", 1, next.clone()),
            ],
        },
        Seen {
            attempts: vec![
                attempt("A", 2, 200, at + Duration::from_millis(5300)),
                attempt("B", 1, 200, at + Duration::from_millis(40)),
            ],
            receipts: HashSet::new(),
            events: vec![
                event("A", "delivered", 2, Value::Null),
                event("B", "delivered", 1, next),
            ],
        },
    ];
    let expected = [
        "#01   committed   stored; the sender has the receipt",
        "#01   attempt 1   → 503",
        "#01   retry       in 5.2 s",
        "#02   committed   stored",
        "#02   waits       behind #01, same chat",
        "#01   attempt 2   → 200",
        "#01   delivered   after 5.3 s",
        "#02   attempt 1   → 200",
        "#02   delivered   after 40 ms",
    ];
    assert_eq!(shown(&mut track, looks), expected);
    let all = Summary {
        received: 2,
        delivered: 2,
        retried: 1,
        lost: 0,
    };
    assert_eq!(track.summary(), all);
    assert_eq!(track.open().count(), 0);
}

#[test]
fn what_has_not_arrived_counts_as_lost() {
    let mut track = Track::default();
    let at = Instant::now();
    track.written("A".to_owned(), "one", at);
    track.written("B".to_owned(), "two", at);
    let looks = vec![Seen {
        events: vec![event("A", "failed", 3, Value::Null)],
        ..Seen::default()
    }];
    assert_eq!(shown(&mut track, looks).len(), 2);
    assert_eq!(
        track.summary().to_string(),
        "received 2, delivered 0, retried 0, lost 2"
    );
    assert_eq!(track.open().collect::<Vec<_>>(), ["B"]);
}

#[test]
fn a_line_has_the_number_and_the_words_in_columns() {
    let mut out = Vec::new();
    let mut screen = Screen::new(&mut out, Terminal::default());
    screen.written(7, script::lines().next().unwrap()).unwrap();
    screen.qr("2@abc").unwrap();
    let text = String::from_utf8(out).unwrap();
    // In front of each stands since when it runs, which may be a tenth of a second by now.
    let lines = text.lines().map(|line| line.split_once(" s  ").unwrap().1);
    assert_eq!(
        lines.collect::<Vec<_>>(),
        [
            "#07   sent        Florist: Good morning! Are you open today?",
            "      qr          a code of 5 characters to scan",
        ]
    );
}

/// Keeps what is shown, and interrupts once nothing is missing of it.
struct Watcher {
    shown: Vec<u8>,
    missing: Vec<&'static str>,
    interrupt: Option<mpsc::Sender<()>>,
}

impl Write for Watcher {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.shown.extend(bytes);
        let shown = String::from_utf8_lossy(&self.shown);
        self.missing.retain(|step| !shown.contains(step));
        if self.missing.is_empty()
            && let Some(interrupt) = self.interrupt.take()
        {
            interrupt.try_send(()).unwrap();
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_demo_loses_nothing_and_retries() {
    let mut config = Loaded::load(&Sources::default()).unwrap().config;
    // That of a gateway which somebody runs for customers.
    let media = tempfile::tempdir().unwrap();
    let file = media.path().join("7/018fa0/018fa0b1");
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    std::fs::write(&file, "a customer's").unwrap();
    config.gateway.media.directory = Some(media.path().to_owned());
    let options = Options {
        run_for: Some(Duration::from_secs(60)),
        per_second: 5,
        any_port: true,
    };
    let (interrupt, received) = mpsc::channel(1);
    let mut out = Watcher {
        shown: Vec::new(),
        missing: vec!["committed", "attempt 1   → 503", "decrypted   on"],
        interrupt: Some(interrupt),
    };
    let mut screen = Screen::new(&mut out, Terminal::default());
    let mut interrupts = Interrupts { received };
    let run = super::run(config, &options, &mut screen, &mut interrupts);
    let summary = Box::pin(run).await.unwrap();
    let text = String::from_utf8(out.shown).unwrap();
    assert!(summary.received >= 1 && summary.retried >= 1, "{text}");
    assert_eq!((summary.lost, summary.delivered), (0, summary.received), "{text}");
    assert_eq!(text.lines().last(), Some(summary.to_string().as_str()));
    for step in ["committed", "attempt 1   → 503", "attempt 2   → 200", "decrypted   on"] {
        assert!(text.contains(step), "{step}: {text}");
    }
    assert!(!text.contains('\u{1b}'), "no colours where nobody sees them");
    assert_eq!(std::fs::read_to_string(file).unwrap(), "a customer's");
}
