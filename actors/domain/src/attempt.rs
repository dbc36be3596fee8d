//! How one attempt ended, and what that means (the table of CONTRACT.md section 4).

use std::time::Duration;

use serde::Serialize;

use crate::{EventId, EventStatus, Timestamp, WebhookId};

/// Bytes of a response's body that are kept with the event (CONTRACT.md section 4).
pub const RESPONSE_EXCERPT_BYTES: usize = 1024;
/// Bytes of a response's body that are read at the most (CONTRACT.md section 4).
pub const RESPONSE_READ_BYTES: usize = 64 * 1024;

/// What came back of one POST.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AttemptResult {
    /// An answer: its head came in time, and its body ended in time too, be it by breaking off.
    Answered {
        /// Its status code.
        http_status: u16,
        /// The first KiB of what came of its body, as text.
        response: Option<String>,
    },
    /// No answer within the deadline, or one whose body had not ended by then.
    TimedOut,
    /// No answer yet when Wharf, stopping, waited no longer. The receiver may have taken it.
    Interrupted,
    /// None was made: this machine had no file or socket left to open. The receiver has heard nothing.
    NotMade {
        /// What was lacking for what, for a person.
        detail: String,
    },
    /// The network, TLS or HTTP failed; the code and a detail.
    Failed {
        /// `ECONNREFUSED`, `ECONNRESET`, `ENOTFOUND`, `EHOSTUNREACH`, `ETLS` or `EPROTO`.
        code: &'static str,
        /// What exactly, for a person.
        detail: String,
    },
    /// The target may not be contacted; says why.
    Blocked {
        /// Which rule refused which address.
        detail: String,
    },
}

/// Why an attempt did not deliver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The event's and the webhook's `error`.
    pub error: String,
    /// Whether another automatic attempt makes sense.
    pub retry: bool,
}

impl AttemptResult {
    /// The answer's status code, if there was an answer.
    pub fn http_status(&self) -> Option<u16> {
        match self {
            Self::Answered { http_status, .. } => Some(*http_status),
            _ => None,
        }
    }

    /// The excerpt of the answer's body, if there was an answer.
    pub fn response(&self) -> Option<&str> {
        match self {
            Self::Answered { response, .. } => response.as_deref(),
            _ => None,
        }
    }

    /// `None` when this delivered the event, else the error and whether to go on.
    pub fn failure(&self) -> Option<Failure> {
        let (error, retry) = match self {
            Self::Answered {
                http_status: 200..=299, ..
            } => return None,
            Self::Answered {
                http_status: status @ 400..=499,
                ..
            } => (format!("Client error ({status})"), false),
            Self::Answered {
                http_status: status @ 500..=599,
                ..
            } => (format!("Server error ({status})"), true),
            Self::Answered { http_status, .. } => (format!("Unexpected status ({http_status})"), true),
            Self::TimedOut => ("Connection timeout".to_owned(), true),
            Self::Interrupted => ("Interrupted: Wharf stopped before the answer came".to_owned(), true),
            Self::NotMade { detail } => (format!("EHOSTUNREACH: {detail}"), true),
            Self::Failed { code, detail } if detail.is_empty() => ((*code).to_owned(), true),
            Self::Failed { code, detail } => (format!("{code}: {detail}"), true),
            Self::Blocked { detail } => (format!("EBLOCKED: {detail}"), false),
        };
        Some(Failure { error, retry })
    }
}

/// One attempt as the API shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Attempt {
    /// From 1; `webhook-attempt` for the receiver.
    pub number: u32,
    /// When it got its slot.
    pub started_at: Timestamp,
    /// From then to the end of the answer, in milliseconds.
    pub duration_ms: i64,
    /// The answer's status code, null when there was none.
    pub http_status: Option<u16>,
    /// What went wrong; null when it delivered the event.
    pub error: Option<String>,
    /// The first KiB of the answer's body.
    pub response: Option<String>,
    /// Whether a person asked for it: the first attempt after a manual retry.
    pub manual: bool,
}

/// When an attempt was made: from its slot to the end of the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AttemptTiming {
    /// When it began.
    pub started_at: Timestamp,
    /// How long it took, by a clock that never jumps.
    pub took: Duration,
}

/// One finished attempt as it is committed: the event's new state and, in the same transaction, the webhook's counters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttemptOutcome {
    /// The event.
    pub event_id: EventId,
    /// Its place in the order of arrival, by which the store finds its row.
    pub seq: i64,
    /// Its webhook.
    pub webhook_id: WebhookId,
    /// The event's status after this attempt.
    pub status: EventStatus,
    /// The number of this attempt, from 1.
    pub attempt: u32,
    /// Whether a person asked for it: the first attempt after a manual retry.
    pub manual: bool,
    /// When it began and how long it took.
    pub timing: AttemptTiming,
    /// The answer's status code.
    pub http_status: Option<u16>,
    /// The excerpt of the answer's body.
    pub response: Option<String>,
    /// What went wrong; `None` when delivered.
    pub error: Option<String>,
    /// When the next attempt is due, or would be sensible.
    pub next_retry_at: Option<Timestamp>,
    /// When the attempt ended.
    pub finished_at: Timestamp,
    /// The webhook's counter after this attempt. The delivery actor owns it: an absolute value, so that writing it
    /// twice does no harm.
    pub webhook_failure_count: u32,
    /// How long the event's body is: whoever changes a row writes its body anew.
    pub body_bytes: usize,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(http_status: u16) -> AttemptResult {
        AttemptResult::Answered {
            http_status,
            response: None,
        }
    }

    #[test]
    fn the_table_of_the_contract() {
        let failed = |code, detail: &str| AttemptResult::Failed {
            code,
            detail: detail.into(),
        };
        let rows = [
            (answered(200), None),
            (answered(204), None),
            (answered(299), None),
            (answered(400), Some(("Client error (400)", false))),
            (answered(404), Some(("Client error (404)", false))),
            (answered(410), Some(("Client error (410)", false))),
            (answered(429), Some(("Client error (429)", false))),
            (answered(499), Some(("Client error (499)", false))),
            (answered(500), Some(("Server error (500)", true))),
            (answered(503), Some(("Server error (503)", true))),
            (answered(599), Some(("Server error (599)", true))),
            (answered(301), Some(("Unexpected status (301)", true))),
            (answered(308), Some(("Unexpected status (308)", true))),
            (answered(101), Some(("Unexpected status (101)", true))),
            (answered(600), Some(("Unexpected status (600)", true))),
            (AttemptResult::TimedOut, Some(("Connection timeout", true))),
            (failed("ECONNREFUSED", ""), Some(("ECONNREFUSED", true))),
            (
                failed("ETLS", "certificate expired"),
                Some(("ETLS: certificate expired", true)),
            ),
            (
                AttemptResult::Blocked {
                    detail: "127.0.0.1 is loopback".into(),
                },
                Some(("EBLOCKED: 127.0.0.1 is loopback", false)),
            ),
        ];
        for (result, expected) in rows {
            let expected = expected.map(|(error, retry): (&str, bool)| Failure {
                error: error.into(),
                retry,
            });
            assert_eq!(result.failure(), expected, "{result:?}");
        }
    }
}
