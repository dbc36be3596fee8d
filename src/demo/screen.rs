//! The screen: one line a step, with the number of its message, so that an eye can follow one.

use std::{
    env,
    io::{self, IsTerminal, Write},
    time::{Duration, Instant},
};

use super::{
    qr,
    script::Line,
    track::{Step, What},
};

/// Rows that a QR code leaves free, for the lines that say what it is.
const ROWS_BESIDES: usize = 4;

/// What the screen can show.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Terminal {
    colour: bool,
    /// Columns and rows, of a terminal.
    size: Option<(usize, usize)>,
}

impl Terminal {
    /// What standard output is.
    #[must_use]
    pub fn of_stdout() -> Self {
        let stdout = io::stdout();
        if !stdout.is_terminal() {
            return Self::default();
        }
        let size = rustix::termios::tcgetwinsize(&stdout);
        let plain = env::var_os("NO_COLOR").is_some_and(|it| !it.is_empty())
            || env::var_os("TERM").is_none_or(|term| term == "dumb");
        Self {
            colour: !plain,
            size: size.ok().map(|it| (usize::from(it.ws_col), usize::from(it.ws_row))),
        }
    }
}

#[derive(Clone, Copy)]
enum Ink {
    Plain,
    Faint,
    Bold,
    Red,
    Green,
    Yellow,
    Blue,
    Cyan,
}

impl Ink {
    fn code(self) -> &'static str {
        match self {
            Self::Plain => "0",
            Self::Faint => "2",
            Self::Bold => "1",
            Self::Red => "1;31",
            Self::Green => "1;32",
            Self::Yellow => "33",
            Self::Blue => "34",
            Self::Cyan => "36",
        }
    }
}

/// Where the demo is shown.
#[derive(Debug)]
pub struct Screen<W> {
    out: W,
    terminal: Terminal,
    started: Instant,
}

impl<W: Write> Screen<W> {
    /// A screen whose clock starts now.
    pub fn new(out: W, terminal: Terminal) -> Self {
        Self {
            out,
            terminal,
            started: Instant::now(),
        }
    }

    /// A line as it is.
    pub(super) fn line(&mut self, text: &str) -> io::Result<()> {
        writeln!(self.out, "{text}")?;
        self.out.flush()
    }

    /// A line that stands out.
    pub(super) fn title(&mut self, text: &str) -> io::Result<()> {
        let text = self.inked(Ink::Bold, text);
        self.line(&format!("\n{text}"))
    }

    /// Something about the scene, by the name of a part of it.
    pub(super) fn part(&mut self, name: &str, text: &str) -> io::Result<()> {
        self.row("", name, Ink::Cyan, text)
    }

    /// A contact's message sets out.
    pub(super) fn written(&mut self, number: u64, line: Line) -> io::Result<()> {
        let text = format!("{}: {}", line.contact.name, line.text);
        self.row(&tag(number), "sent", Ink::Plain, &text)
    }

    /// A message goes on.
    pub(super) fn step(&mut self, step: &Step) -> io::Result<()> {
        let (name, ink, text) = worded(&step.what);
        self.row(&tag(step.number), &name, ink, &text)
    }

    /// A text of the gateway goes out.
    pub(super) fn outward(&mut self, name: &str, text: &str) -> io::Result<()> {
        self.row("out", name, Ink::Cyan, text)
    }

    /// The QR code, where there is room for it.
    pub(super) fn qr(&mut self, text: &str) -> io::Result<()> {
        let lines = qr::lines(text, self.terminal.colour).unwrap_or_default();
        let width = lines.first().map_or(0, |line| line.chars().count());
        let fits = self
            .terminal
            .size
            .is_some_and(|(columns, rows)| columns >= width && rows >= lines.len() + ROWS_BESIDES);
        if !fits || lines.is_empty() {
            return self.part("qr", &format!("a code of {} characters to scan", text.len()));
        }
        for line in lines {
            match self.terminal.colour {
                true => self.line(&format!("\x1b[38;5;16;48;5;231m{line}\x1b[0m"))?,
                false => self.line(&line)?,
            }
        }
        Ok(())
    }

    fn row(&mut self, tag: &str, name: &str, ink: Ink, text: &str) -> io::Result<()> {
        let time = format!("{:>7}", seconds(self.started.elapsed(), 1));
        let time = self.inked(Ink::Faint, &time);
        let name = self.inked(ink, &format!("{name:<10}"));
        self.line(&format!("{time}  {tag:<4}  {name}  {text}"))
    }

    fn inked(&self, ink: Ink, text: &str) -> String {
        match self.terminal.colour {
            true => format!("\x1b[{}m{text}\x1b[0m", ink.code()),
            false => text.to_owned(),
        }
    }
}

fn tag(number: u64) -> String {
    format!("#{number:02}")
}

/// Step, colour and the words behind it.
fn worded(what: &What) -> (String, Ink, String) {
    let fixed = |name: &str, ink, text: String| (name.to_owned(), ink, text);
    match what {
        What::Committed { receipt: true } => fixed("committed", Ink::Blue, "stored; the sender has the receipt".into()),
        What::Committed { receipt: false } => fixed("committed", Ink::Blue, "stored".into()),
        What::Behind(number) => fixed("waits", Ink::Yellow, format!("behind {}, same chat", tag(*number))),
        What::Attempt { number, status } => {
            let ink = if (200..300).contains(status) {
                Ink::Plain
            } else {
                Ink::Red
            };
            (format!("attempt {number}"), ink, format!("→ {status}"))
        }
        What::Retry(after) => fixed("retry", Ink::Yellow, format!("in {}", seconds(*after, 1))),
        What::Delivered(after) => fixed("delivered", Ink::Green, format!("after {}", short(*after))),
        What::Failed(error) => fixed("failed", Ink::Red, error.clone()),
    }
}

fn seconds(time: Duration, digits: usize) -> String {
    format!("{:.digits$} s", time.as_secs_f64())
}

/// Milliseconds while they are few.
pub(super) fn short(time: Duration) -> String {
    match time.as_millis() {
        few @ ..1000 => format!("{few} ms"),
        _ => seconds(time, 1),
    }
}
