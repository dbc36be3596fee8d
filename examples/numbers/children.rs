//! This program once more, as the test network or the gateway, and what the kernel counts of it.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use serde_json::{Value, json};

use crate::process::{Failure, cpu_us_of, memory_kib_of};

/// A process that answers lines; ends when dropped.
pub(crate) struct Part {
    child: Child,
    asks: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
    /// The first line that it said.
    pub(crate) first: Value,
}

/// What a process costs at one moment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cost {
    pub(crate) rss_kib: u64,
    pub(crate) files: usize,
    pub(crate) threads: usize,
    pub(crate) tasks: u64,
}

impl Part {
    pub(crate) fn start(arguments: &[String]) -> Result<Self, Failure> {
        Self::start_with(arguments, Stdio::inherit())
    }

    /// The same with its log, which is on standard error, somewhere else.
    pub(crate) fn start_with(arguments: &[String], log: Stdio) -> Result<Self, Failure> {
        let mut child = Command::new(std::env::current_exe()?)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()?;
        let asks = child.stdin.take();
        let answers = BufReader::new(child.stdout.take().ok_or("a part has no output")?);
        let mut part = Self {
            child,
            asks,
            answers,
            first: Value::Null,
        };
        part.first = part.read()?;
        Ok(part)
    }

    fn read(&mut self) -> Result<Value, Failure> {
        let mut line = String::new();
        if self.answers.read_line(&mut line)? == 0 {
            return Err("a part of the measurement ended".into());
        }
        Ok(serde_json::from_str(&line)?)
    }

    /// One line, and its answer.
    pub(crate) fn ask(&mut self, line: &str) -> Result<Value, Failure> {
        let asks = self.asks.as_mut().ok_or("the part was told to end")?;
        writeln!(asks, "{line}")?;
        asks.flush()?;
        self.read()
    }

    fn pid(&self) -> String {
        self.child.id().to_string()
    }

    pub(crate) fn cpu_us(&self) -> Result<u64, Failure> {
        cpu_us_of(&self.pid())
    }

    pub(crate) fn rss_kib(&self) -> Result<u64, Failure> {
        Ok(memory_kib_of(&self.pid())?.0)
    }

    pub(crate) fn cost(&mut self) -> Result<Cost, Failure> {
        let pid = self.pid();
        let count = |of: &str| -> Result<usize, Failure> { Ok(fs::read_dir(format!("/proc/{pid}/{of}"))?.count()) };
        Ok(Cost {
            rss_kib: memory_kib_of(&pid)?.0,
            files: count("fd")?,
            threads: count("task")?,
            tasks: self.ask("tasks")?["tasks"].as_u64().unwrap_or_default(),
        })
    }

    /// Seconds that its present threads have run, and that they waited for a processor.
    pub(crate) fn processor_s(&self) -> (f64, f64) {
        let threads = fs::read_dir(format!("/proc/{}/task", self.pid()))
            .into_iter()
            .flatten()
            .flatten();
        let spent = threads.filter_map(|thread| {
            let spent = fs::read_to_string(thread.path().join("schedstat")).ok()?;
            let mut ns = spent.split(' ').filter_map(|ns| ns.parse::<f64>().ok());
            Some((ns.next()?, ns.next()?))
        });
        spent.fold((0.0, 0.0), |(ran, waited), (more, later)| {
            (ran + more / 1e9, waited + later / 1e9)
        })
    }

    /// Tells it to stop, and waits until it has; answers the last line.
    pub(crate) fn stop(mut self) -> Result<Value, Failure> {
        let last = self.ask("stop")?;
        self.asks = None;
        self.child.wait()?;
        Ok(last)
    }

    /// Sends it SIGTERM, and waits until it has stopped; answers the last line, and whether it ended well.
    pub(crate) fn terminate(mut self) -> Result<(Value, bool), Failure> {
        // The shell's own `kill`: a small system has no other.
        let kill = format!("kill -TERM {}", self.child.id());
        if !Command::new("sh").args(["-c", &kill]).status()?.success() {
            return Err("the part could not be sent a signal".into());
        }
        let last = self.read()?;
        self.asks = None;
        Ok((last, self.child.wait()?.success()))
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _reaped = self.child.wait();
    }
}

impl Cost {
    pub(crate) fn shown(self) -> Value {
        json!({"rss_kib": self.rss_kib, "tasks": self.tasks, "files": self.files, "threads": self.threads})
    }

    /// What each of `count` numbers costs beyond `before`.
    pub(crate) fn each(self, before: Self, count: usize) -> Value {
        let each = |now: f64, before: f64| crate::rounded((now - before) / count as f64);
        json!({
            "rss_kib": each(self.rss_kib as f64, before.rss_kib as f64),
            "tasks": each(self.tasks as f64, before.tasks as f64),
            "files": each(self.files as f64, before.files as f64),
        })
    }
}
