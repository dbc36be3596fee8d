//! The crash harness: a gateway in a child process that is killed again and again under load, and an audit of every
//! message afterwards. The example `crash` runs hundreds of rounds, the end-to-end tests a few.
//!
//! The parent is what survives a crash in the real world: WhatsApp (which offers again what was not acknowledged) and the
//! receiver (which remembers every POST). The child is the gateway, whole but for the link.

mod audit;
pub(crate) mod child;
mod life;
mod receiver;
mod rounds;
mod settle;

use std::{error::Error, path::PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::process::Command;

use self::rounds::Harness;

pub(crate) type Failure = Box<dyn Error + Send + Sync>;

/// What a run is made of.
pub(crate) struct Plan {
    /// Kills.
    pub(crate) rounds: u32,
    /// Decides when the kills come and how the receiver answers.
    pub(crate) seed: u64,
    /// Numbers, each with a webhook.
    pub(crate) webhooks: usize,
    /// Chats of each number.
    pub(crate) chats: usize,
    /// Where the database is.
    pub(crate) directory: PathBuf,
    /// Makes the command that runs [`child::run`] with what it is given.
    pub(crate) child: fn(&child::Setting) -> Result<Command, Failure>,
}

/// What the parent tells the child, a line each.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Order {
    /// WhatsApp offers a message.
    Offer {
        /// The message's number here.
        number: usize,
        /// Which linked number receives it.
        line: usize,
        /// Who wrote it; the chat.
        from: String,
        /// WhatsApp's id.
        message_id: String,
    },
    /// Retry by hand what waits for a retry, and say how much is pending.
    Hurry,
    /// Say what the webhooks count.
    Count,
}

/// What the child says, a line each.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Word {
    /// The gateway runs and every link is connected.
    Ready,
    /// The inbox returned: WhatsApp may be told.
    Acknowledged(usize),
    /// The inbox refused.
    Refused(usize, String),
    /// Events that are pending.
    Pending(usize),
    /// `failure_count` and `status` of each webhook.
    Counters(Vec<(u32, String)>),
}

/// What WhatsApp calls the message with this number.
fn message_id(number: usize) -> String {
    format!("3EB0{number:016X}")
}

/// What a run found.
#[derive(Debug, Default)]
pub(crate) struct Report {
    pub(crate) messages: usize,
    /// Messages that were offered again after a kill.
    pub(crate) offered_again: usize,
    pub(crate) posts: usize,
    pub(crate) delivered: usize,
    pub(crate) failed: usize,
    /// Messages without a row, or that the receiver never got.
    pub(crate) lost: usize,
    /// POSTs that the receiver took although it had taken that event before.
    pub(crate) duplicates: usize,
    /// Those of them where a kill followed upon the first, and the next POST carried the same attempt number; or where
    /// the answer to the first was `late`.
    pub(crate) duplicates_explained: usize,
    /// Duplicates right after a POST that was not only taken but answered: the crash hit between the 2xx and the commit.
    pub(crate) duplicates_answered: usize,
    /// POSTs that carry the same attempt number as the one before, a kill in between.
    pub(crate) repeated: usize,
    /// Answers that would have ended the event, but that the gateway did not have within the attempt's deadline: the
    /// machine stood still.
    pub(crate) late: usize,
    /// Everything that is not as promised, in words.
    pub(crate) wrong: Vec<String>,
}

impl Report {
    pub(crate) fn is_clean(&self) -> bool {
        self.lost == 0 && self.duplicates == self.duplicates_explained && self.wrong.is_empty()
    }

    pub(crate) fn json(&self, plan: &Plan, seconds: f64) -> Value {
        json!({
            "rounds": plan.rounds,
            "messages": self.messages,
            "offered_again": self.offered_again,
            "posts": self.posts,
            "delivered": self.delivered,
            "failed": self.failed,
            "lost": self.lost,
            "duplicates": self.duplicates,
            "duplicates_explained": self.duplicates_explained,
            "duplicates_answered": self.duplicates_answered,
            "repeated_attempts": self.repeated,
            "late_answers": self.late,
            "wrong": self.wrong.len(),
            "seed": plan.seed,
            "seconds": (seconds * 10.0).round() / 10.0,
        })
    }
}

/// Runs all rounds, lets everything settle, and audits. `progress` hears the round and the messages so far.
pub(crate) async fn run(plan: &Plan, progress: impl Fn(u32, usize)) -> Result<Report, Failure> {
    let mut harness = Harness::start(plan).await?;
    let mut report = Report::default();
    for round in 0..plan.rounds {
        progress(round, harness.messages());
        harness.round().await?;
        if round % REST_EVERY == REST_EVERY - 1 {
            report.wrong.extend(audit::at_rest(plan, harness.posts()).await?);
        }
    }
    progress(plan.rounds, harness.messages());
    report.wrong.extend(settle::settle(&mut harness).await?);
    audit::every_message(plan, &harness, &mut report).await?;
    Ok(report)
}

/// Rounds between two looks at the database while nothing runs.
const REST_EVERY: u32 = 25;
