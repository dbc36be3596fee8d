//! How far a message has come. What is learned of it comes in any order, twice, or never.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Outgoing, Recipient};
use crate::{Timestamp, words};

/// Codes of failures that are Wharf's own; what WhatsApp refuses carries WhatsApp's code (`463`).
pub mod code {
    /// The program, the link or the deadline ended while WhatsApp's answer was waited for: it may have been sent.
    pub const UNKNOWN: &str = "unknown";
    /// It waited longer than `sending.deadline_seconds`.
    pub const EXPIRED: &str = "expired";
    /// The number was not connected.
    pub const NOT_CONNECTED: &str = "not_connected";
    /// Nobody has the number on WhatsApp.
    pub const NOT_ON_WHATSAPP: &str = "not_on_whatsapp";
    /// WhatsApp gives out no keys of the receiver's devices, so it was not sent.
    pub const NO_KEYS: &str = "no_keys";
    /// WhatsApp refused it without a code.
    pub const REFUSED: &str = "refused";
    /// The store did not take it in time; it was not sent.
    pub const NOT_RECORDED: &str = "not_recorded";
    /// Its file could not be fetched, or is not what WhatsApp takes.
    pub const MEDIA_FETCH: &str = "media_fetch";
    /// Its file could not be uploaded to WhatsApp.
    pub const MEDIA_UPLOAD: &str = "media_upload";
    /// Its file is not here any more, or could not be kept.
    pub const MEDIA_STORAGE: &str = "media_storage";
    /// The connection was deleted before it was sent.
    pub const DELETED: &str = "connection_deleted";

    /// Whether it is WhatsApp's word on the message itself, whenever that comes: the number may not write to the receiver.
    ///
    /// Any other of its codes may be for a copy that went to one device more, which asked for the message again: its server answers that
    /// under the message's id as well. What was concluded here may only be late.
    pub(super) fn is_verdict(code: &str) -> bool {
        code == "463"
    }
}

words! {
    /// Where a message stands. Ordered by progress: what proves more is greater.
    #[derive(PartialOrd, Ord, Default, Deserialize)]
    #[serde(rename_all = "snake_case")]
    pub enum SendStatus {
        /// Waits here, or is on its way to WhatsApp's server.
        #[default]
        Queued = "queued",
        /// It was not sent, as far as is known.
        Failed = "failed",
        /// WhatsApp's server has it.
        Sent = "sent",
        /// A device of the receiver has it.
        Delivered = "delivered",
        /// The receiver has seen it.
        Read = "read",
        /// The receiver has listened to it.
        Played = "played",
    }
}

impl fmt::Display for SendStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Something that was learned of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum News {
    /// It is being handed to WhatsApp.
    Started,
    /// It was not, and goes on waiting.
    NotStarted,
    /// WhatsApp's server took it.
    Sent,
    /// A device of a receiver took it.
    Delivered,
    /// A receiver has seen it.
    Read,
    /// A receiver has listened to it.
    Played,
    /// It was not sent.
    Failed {
        /// WhatsApp's code, or one of [`code`].
        code: String,
        /// For people.
        detail: String,
    },
}

impl News {
    /// A failure.
    pub fn failed(code: &str, detail: impl Into<String>) -> Self {
        Self::Failed {
            code: code.to_owned(),
            detail: detail.into(),
        }
    }

    /// What a receiver told with it; `None` of what happens here or at WhatsApp's server.
    pub const fn of_receiver(&self) -> Option<SendStatus> {
        match self {
            Self::Delivered => Some(SendStatus::Delivered),
            Self::Read => Some(SendStatus::Read),
            Self::Played => Some(SendStatus::Played),
            Self::Started | Self::NotStarted | Self::Sent | Self::Failed { .. } => None,
        }
    }
}

/// How far a message has come, and when.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Progress {
    /// Where it stands.
    pub status: SendStatus,
    /// Why it failed: WhatsApp's code, or one of [`code`].
    pub error_code: Option<String>,
    /// The same for people.
    pub error: Option<String>,
    /// When it began to be handed to WhatsApp.
    pub started_at: Option<Timestamp>,
    /// When WhatsApp's server took it.
    pub sent_at: Option<Timestamp>,
    /// When the first device of a receiver took it.
    pub delivered_at: Option<Timestamp>,
    /// When it was first seen.
    pub read_at: Option<Timestamp>,
    /// When it was first listened to.
    pub played_at: Option<Timestamp>,
    /// When it failed.
    pub failed_at: Option<Timestamp>,
}

impl Progress {
    /// What is true after `news`; `None` when it is nothing new.
    ///
    /// A status only goes forward: a receipt proves more than a failure that was concluded here, and the server's late
    /// yes says nothing new of what was read. In a group it is that of whoever has come furthest.
    #[must_use]
    pub fn learn(&self, news: &News, at: Timestamp) -> Option<Self> {
        let mut next = self.clone();
        match news {
            News::Started if self.status == SendStatus::Queued => next.started_at = Some(at),
            // One that is written late must not undo that it was started again: a crash would then send it twice.
            News::NotStarted if self.status == SendStatus::Queued && self.started_at <= Some(at) => {
                next.started_at = None;
            }
            News::Started | News::NotStarted => {}
            News::Sent => next.reach(SendStatus::Sent, at),
            News::Delivered => next.reach(SendStatus::Delivered, at),
            News::Read => next.reach(SendStatus::Read, at),
            News::Played => next.reach(SendStatus::Played, at),
            News::Failed { code, detail } => next.fail(code, detail, at),
        }
        (next != *self).then_some(next)
    }

    fn reach(&mut self, status: SendStatus, at: Timestamp) {
        let moment = match status {
            SendStatus::Sent => &mut self.sent_at,
            SendStatus::Delivered => &mut self.delivered_at,
            SendStatus::Read => &mut self.read_at,
            SendStatus::Played => &mut self.played_at,
            SendStatus::Queued | SendStatus::Failed => return,
        };
        moment.get_or_insert(at);
        if status > self.status {
            self.status = status;
            (self.error_code, self.error, self.failed_at) = (None, None, None);
        }
    }

    fn fail(&mut self, code: &str, detail: &str, at: Timestamp) {
        let surer = self.error_code.as_deref() == Some(self::code::UNKNOWN) && code != self::code::UNKNOWN;
        match self.status {
            SendStatus::Queued => {}
            // Its server may refuse what it took.
            SendStatus::Sent if self::code::is_verdict(code) => {}
            SendStatus::Failed if surer => {}
            _ => return,
        }
        self.status = SendStatus::Failed;
        self.error_code = Some(code.to_owned());
        self.error = Some(detail.to_owned());
        self.failed_at = Some(at);
    }
}

/// A message as the API shows it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct OutgoingMessage {
    /// WhatsApp's id of it.
    pub message_id: String,
    /// Whom it went to.
    pub to: Recipient,
    /// The word of its `type`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Where it stands.
    pub status: SendStatus,
    /// Why it failed: WhatsApp's code or a word of Wharf's.
    pub error_code: Option<String>,
    /// The same for people.
    pub error: Option<String>,
    /// What was asked for; `None` if that cannot be read: damaged, or written by a newer version.
    pub message: Option<Outgoing>,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// When WhatsApp's server took it.
    pub sent_at: Option<Timestamp>,
    /// When it was first delivered.
    pub delivered_at: Option<Timestamp>,
    /// When it was first seen.
    pub read_at: Option<Timestamp>,
    /// When it was first listened to.
    pub played_at: Option<Timestamp>,
    /// When it failed.
    pub failed_at: Option<Timestamp>,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn after(news: &[News]) -> Progress {
        let times = (1..).map(Timestamp::from_seconds);
        news.iter()
            .zip(times)
            .fold(Progress::default(), |progress, (news, at)| {
                progress.learn(news, at).unwrap_or(progress)
            })
    }

    #[test]
    fn the_usual_way() {
        let read = after(&[News::Started, News::Sent, News::Delivered, News::Read]);
        assert_eq!(read.status, SendStatus::Read);
        let seconds =
            [read.started_at, read.sent_at, read.delivered_at, read.read_at].map(|at| at.map(|at| at.0 / 1000));
        assert_eq!(seconds, [Some(1), Some(2), Some(3), Some(4)]);
        assert_eq!(
            read.learn(&News::Delivered, Timestamp(9)),
            None,
            "the first moment counts"
        );
    }

    #[test]
    fn a_receipt_proves_more_than_a_guess() {
        let guessed = after(&[News::Started, News::failed(code::UNKNOWN, "no answer")]);
        assert_eq!(guessed.status, SendStatus::Failed);
        let proven = guessed.learn(&News::Delivered, Timestamp(9)).unwrap();
        assert_eq!(
            (proven.status, proven.error_code, proven.failed_at),
            (SendStatus::Delivered, None, None)
        );
        let refused = guessed.learn(&News::failed("463", "no"), Timestamp(9)).unwrap();
        assert_eq!(
            (refused.error_code.as_deref(), refused.error.as_deref()),
            (Some("463"), Some("no"))
        );
        assert_eq!(refused.learn(&News::failed(code::UNKNOWN, "?"), Timestamp(9)), None);
        assert_eq!(
            refused.learn(&News::failed("470", "no"), Timestamp(9)),
            None,
            "it was told"
        );
        assert_eq!(
            guessed.learn(&News::failed(code::UNKNOWN, "?"), Timestamp(9)),
            None,
            "as it was told"
        );
        // The server's word came while the deadline's was on its way.
        let sent = after(&[News::Started, News::Sent]);
        assert_eq!(sent.learn(&News::failed(code::UNKNOWN, "?"), Timestamp(9)), None);
        assert!(sent.learn(&News::failed("463", "no"), Timestamp(9)).is_some());
    }

    #[test]
    fn a_refused_copy_for_a_device_that_asked_again_takes_nothing_back() {
        let started = after(&[News::Started]);
        let sent = after(&[News::Started, News::Sent]);
        for code in ["400", "403", "404", "429", "479", "503", code::NO_KEYS, code::EXPIRED] {
            let refused = News::failed(code, "no");
            assert_eq!(sent.learn(&refused, Timestamp(9)), None, "{code}");
            let failed = started.learn(&refused, Timestamp(9)).unwrap();
            assert_eq!(failed.status, SendStatus::Failed, "{code} of one that was not sent");
        }
    }

    #[test]
    fn what_is_not_started_waits_on() {
        assert_eq!(after(&[News::Started, News::NotStarted]), Progress::default());
        assert_eq!(
            after(&[News::Started]).learn(&News::NotStarted, Timestamp::from_seconds(1)),
            Some(Progress::default()),
            "in the same moment"
        );
        let sent = after(&[News::Started, News::Sent]);
        for late in [News::Started, News::NotStarted] {
            assert_eq!(sent.learn(&late, Timestamp(9000)), None, "it went");
        }
        let again = after(&[News::Started, News::NotStarted, News::Started]);
        assert_eq!(again.learn(&News::NotStarted, Timestamp(2000)), None, "that was before");
    }

    fn news() -> impl Strategy<Value = News> {
        prop_oneof![
            Just(News::Started),
            Just(News::NotStarted),
            Just(News::Sent),
            Just(News::Delivered),
            Just(News::Read),
            Just(News::Played),
            Just(News::failed(code::UNKNOWN, "?")),
            Just(News::failed("463", "no")),
            Just(News::failed("479", "no")),
        ]
    }

    proptest! {
        /// Nothing that was learned is forgotten: once a device has it, it has it, whatever comes then and twice.
        #[test]
        fn a_status_only_goes_forward(all in prop::collection::vec(news(), 0..30)) {
            let mut progress = Progress::default();
            for (second, news) in (0..).zip(&all) {
                let next = progress.learn(news, Timestamp(second)).unwrap_or_else(|| progress.clone());
                let went_back = next.status < progress.status;
                let refused = next.error_code.as_deref() == Some("463");
                prop_assert!(!went_back || (progress.status == SendStatus::Sent && refused));
                prop_assert_eq!(next.learn(news, Timestamp(second)), None);
                prop_assert_eq!(next.error_code.is_some(), next.status == SendStatus::Failed);
                prop_assert_eq!(next.failed_at.is_some(), next.status == SendStatus::Failed);
                progress = next;
            }
            let furthest = all.iter().filter_map(|news| match news {
                News::Delivered => Some(SendStatus::Delivered),
                News::Read => Some(SendStatus::Read),
                News::Played => Some(SendStatus::Played),
                _ => None,
            });
            if let Some(furthest) = furthest.max() {
                prop_assert_eq!(progress.status, furthest);
            }
        }
    }
}
