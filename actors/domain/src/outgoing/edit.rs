//! What of a message that was sent can be changed, and for how long.

use std::time::Duration;

use thiserror::Error;

use super::{FileType, OutgoingMessage, SendStatus, code};
use crate::Timestamp;

/// For how long WhatsApp's apps let a message be changed; an edit that comes later changes nothing.
pub const EDIT_WINDOW: Duration = Duration::from_mins(15);

/// A message that an edit would not change.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum NotEditable {
    /// It has no words.
    #[error("a message of type {0} cannot be edited: only texts can, and the captions of images, videos and documents")]
    Kind(String),
    /// It was sent too long ago.
    #[error(
        "it cannot be edited any more: it was sent {} minutes ago, and WhatsApp changes a message for {} minutes only",
        .0.as_secs() / 60, EDIT_WINDOW.as_secs() / 60
    )]
    Late(Duration),
    /// It never was.
    #[error("it cannot be edited: it was not sent")]
    Unsent,
}

impl OutgoingMessage {
    /// Whether it failed, and certainly is nowhere.
    pub fn was_not_sent(&self) -> bool {
        self.status == SendStatus::Failed && self.error_code.as_deref() != Some(code::UNKNOWN)
    }

    /// What kind of file an edit changes the caption of; `None` where it changes a text.
    ///
    /// # Errors
    /// `NotEditable` when it would change nothing.
    pub fn caption_of(&self, now: Timestamp) -> Result<Option<FileType>, NotEditable> {
        let is_note = matches!(&self.message, Some(asked) if asked.content.media().is_some_and(|file| file.note));
        let file = FileType::from_word(&self.kind).filter(|kind| kind.has_caption() && !is_note);
        if file.is_none() && !matches!(self.kind.as_str(), "text" | "forward") {
            return Err(NotEditable::Kind(self.kind.clone()));
        }
        let since = match self.status {
            _ if self.was_not_sent() => return Err(NotEditable::Unsent),
            // It may have been sent, and not after that.
            SendStatus::Failed => self.failed_at,
            _ => self.sent_at,
        };
        match since.map(|at| now.since(at)) {
            Some(ago) if ago > EDIT_WINDOW => Err(NotEditable::Late(ago)),
            _ => Ok(file),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::outgoing::Outgoing;

    const SENT: Timestamp = Timestamp(1_000_000);

    fn sent(mut body: Value) -> OutgoingMessage {
        body["to"] = "5511999999999".into();
        let message: Outgoing = serde_json::from_value(body).unwrap();
        OutgoingMessage {
            message_id: "X".into(),
            to: message.to.clone(),
            kind: message.content.kind().to_owned(),
            status: SendStatus::Sent,
            error_code: None,
            error: None,
            message: Some(message),
            created_at: SENT,
            sent_at: Some(SENT),
            delivered_at: None,
            read_at: None,
            played_at: None,
            failed_at: None,
        }
    }

    #[test]
    fn words_can_be_changed_and_nothing_else() {
        let of = |body: Value| sent(body).caption_of(SENT);
        assert_eq!(of(json!({"type": "text", "text": "hi"})), Ok(None));
        assert_eq!(of(json!({"type": "forward", "text": "hi"})), Ok(None));
        for kind in [FileType::Image, FileType::Video, FileType::Document] {
            let changed = of(json!({"type": kind, "media": {}}));
            assert_eq!(changed, Ok(Some(kind)), "with a caption or without");
        }
        for other in [
            json!({"type": "voice", "media": {}}),
            json!({"type": "video", "note": true, "media": {}}),
            json!({"type": "location", "latitude": 1.0, "longitude": 2.0}),
            json!({"type": "edit", "target": {"message_id": "Y"}, "text": "hi"}),
        ] {
            let kind = other["type"].as_str().unwrap().to_owned();
            assert_eq!(of(other), Err(NotEditable::Kind(kind)));
        }
    }

    #[test]
    fn a_message_can_be_changed_for_a_quarter_of_an_hour() {
        let mut message = sent(json!({"type": "text", "text": "hi"}));
        assert_eq!(message.caption_of(SENT + EDIT_WINDOW), Ok(None));
        let late = message.caption_of(SENT + Duration::from_secs(17 * 60)).unwrap_err();
        assert_eq!(
            late.to_string(),
            "it cannot be edited any more: it was sent 17 minutes ago, and WhatsApp changes a message for 15 minutes only"
        );
        message.sent_at = None;
        assert_eq!(message.caption_of(SENT + EDIT_WINDOW * 9), Ok(None), "it still waits");
    }

    #[test]
    fn what_was_not_sent_cannot_be_changed() {
        let mut message = sent(json!({"type": "text", "text": "hi"}));
        (message.status, message.sent_at, message.failed_at) = (SendStatus::Failed, None, Some(SENT));
        message.error_code = Some(code::EXPIRED.to_owned());
        assert_eq!(message.caption_of(SENT), Err(NotEditable::Unsent));
        message.error_code = Some(code::UNKNOWN.to_owned());
        assert_eq!(message.caption_of(SENT), Ok(None), "it may have been sent");
        let later = SENT + EDIT_WINDOW * 2;
        assert_eq!(message.caption_of(later), Err(NotEditable::Late(EDIT_WINDOW * 2)));
    }
}
