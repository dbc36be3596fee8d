//! A log that nobody floods.
//!
//! A store that takes nothing is told of by each of a thousand numbers each second, and what cannot be decrypted by whoever
//! sends it. Such a log says nothing more after its first lines, and lies mostly on the disk that is full. So each place in the
//! program has so many lines in a while; how many more there were is said before its next one.

use std::{
    collections::HashMap,
    io::{self, Write},
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use serde_json::json;
use tracing::{Metadata, callsite::Identifier};
use tracing_subscriber::fmt::MakeWriter;

use crate::config::LogFormat;

/// Lines of one place in the program in each [`WINDOW`]. What comes by the `log` facade is one place for each level.
const LINES: usize = 200;
/// See [`LINES`].
const WINDOW: Duration = Duration::from_secs(10);

/// Writers of lines, of which some are left out. See the module.
pub(super) struct Bounded<M> {
    to: M,
    format: LogFormat,
    places: Arc<Mutex<Places>>,
}

impl<M> Bounded<M> {
    pub(super) fn new(to: M, format: LogFormat) -> Self {
        Self {
            to,
            format,
            places: Arc::default(),
        }
    }

    /// The line that says how many were left out.
    fn note(&self, meta: &Metadata<'_>, left_out: usize) -> String {
        let (level, target) = (meta.level().as_str(), meta.target());
        let words = format!("{left_out} lines from the place of the next one were left out");
        match self.format {
            LogFormat::Text => format!("{level:>5} {target}: {words}\n"),
            LogFormat::Json => format!("{}\n", json!({"level": level, "target": target, "message": words})),
        }
    }
}

impl<'a, M: MakeWriter<'a>> MakeWriter<'a> for Bounded<M> {
    type Writer = Line<M::Writer>;

    fn make_writer(&'a self) -> Self::Writer {
        Line(Some(self.to.make_writer()))
    }

    fn make_writer_for(&'a self, meta: &Metadata<'_>) -> Self::Writer {
        let mut places = self.places.lock();
        let Some(left_out) = places.take(meta.callsite(), Instant::now()) else {
            return Line(None);
        };
        drop(places);
        let mut writer = self.to.make_writer_for(meta);
        if left_out > 0 {
            // See `Line::write`.
            let _unwritten = writer.write_all(self.note(meta, left_out).as_bytes());
        }
        Line(Some(writer))
    }
}

/// Where one line goes; nowhere if it is left out.
pub(super) struct Line<W>(Option<W>);

impl<W: Write> Write for Line<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if let Some(writer) = &mut self.0 {
            // A full disk, a pipe that nobody reads: nobody is there to be told. The subscriber would tell standard error, and panic where that is
            // what takes nothing.
            let _unwritten = writer.write_all(bytes);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if let Some(writer) = &mut self.0 {
            let _unwritten = writer.flush();
        }
        Ok(())
    }
}

/// What was written lately, by place. There are as many places as the program has.
#[derive(Default)]
struct Places(HashMap<Identifier, Lately>);

struct Lately {
    since: Instant,
    lines: usize,
    left_out: usize,
}

impl Places {
    /// Whether a place may write a line now; how many of its were left out since its last one.
    fn take(&mut self, place: Identifier, now: Instant) -> Option<usize> {
        let lately = self.0.entry(place).or_insert(Lately {
            since: now,
            lines: 0,
            left_out: 0,
        });
        if now.saturating_duration_since(lately.since) >= WINDOW {
            (lately.since, lately.lines) = (now, 0);
        }
        if lately.lines >= LINES {
            lately.left_out = lately.left_out.saturating_add(1);
            return None;
        }
        lately.lines += 1;
        Some(std::mem::take(&mut lately.left_out))
    }
}

#[cfg(test)]
mod tests {
    use tracing::subscriber::with_default;

    use super::{super::tests::Lines, *};

    /// What is written of `told`.
    fn written(format: LogFormat, told: impl FnOnce(&dyn Fn())) -> Vec<String> {
        let lines = Lines::default();
        let writer = lines.clone();
        let bounded = Bounded::new(move || writer.clone(), format);
        let places = Arc::clone(&bounded.places);
        let lines_of = tracing_subscriber::fmt().with_ansi(false).with_writer(bounded);
        // As if the window were over.
        let later = || {
            for lately in places.lock().0.values_mut() {
                lately.since = lately.since.checked_sub(WINDOW).unwrap();
            }
        };
        match format {
            LogFormat::Text => with_default(lines_of.finish(), || told(&later)),
            LogFormat::Json => with_default(lines_of.json().finish(), || told(&later)),
        }
        let written = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        written.lines().map(str::to_owned).collect()
    }

    #[test]
    fn a_flood_from_one_place_is_cut_short_and_told_and_others_go_on() {
        let flood = |from: usize, to: usize| (from..to).for_each(|number| tracing::warn!(number, "it refused"));
        let lines = written(LogFormat::Text, |later| {
            flood(0, LINES + 50);
            tracing::warn!("something else");
            later();
            flood(1000, 1001);
        });
        assert_eq!(lines.len(), LINES + 3);
        let last = &lines[LINES..];
        assert!(last[0].ends_with("something else"), "{last:?}");
        assert!(
            last[1].ends_with("50 lines from the place of the next one were left out"),
            "{last:?}"
        );
        assert!(last[2].contains("number=1000"), "{last:?}");
    }

    #[test]
    fn a_log_that_takes_nothing_is_nobodys_trouble() {
        struct Full;
        impl Write for Full {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::StorageFull.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Err(io::ErrorKind::StorageFull.into())
            }
        }
        let mut line = Line(Some(Full));
        assert!(line.write_all(b"words").is_ok() && line.flush().is_ok());
    }

    #[test]
    fn in_json_the_word_of_it_is_json_too() {
        let lines = written(LogFormat::Json, |later| {
            for round in 0..2 {
                (0..=LINES).for_each(|_| tracing::warn!("it refused"));
                if round == 0 {
                    later();
                }
            }
        });
        let told = lines.iter().find(|line| line.contains("were left out")).unwrap();
        let told: serde_json::Value = serde_json::from_str(told).unwrap();
        let words = "1 lines from the place of the next one were left out";
        assert_eq!((&told["level"], &told["message"]), (&json!("WARN"), &json!(words)));
    }
}
