//! What a client has Wharf send: whom it goes to, what it is, how it fares, and when it may go.

mod content;
mod edit;
mod emoji;
mod file;
mod file_type;
mod forward;
mod mentions;
mod pacing;
mod queue;
mod recipient;
mod status;
mod told;
mod update;

pub(crate) use content::is_stanza_id;
pub use content::{
    CONTACTS_MAX, ContactCard, Content, LinkPreview, POLL_OPTIONS, Poll, Quote, TYPING_SECONDS, Target, check_latitude,
    check_line, check_longitude, check_message_id, check_selectable, check_text, check_typing,
};
pub use edit::{EDIT_WINDOW, NotEditable};
pub use emoji::check_emoji;
pub use file::{MediaMessage, ReadyFile, SentFile, check_caption, check_file_name};
pub use file_type::{FileType, HEAD_BYTES, Signs, check_mime_type, sniff};
pub use forward::{ForwardSource, Forwarded, NotForwardable, forwarded};
pub use mentions::{MENTIONS_MAX, Mentions};
pub use pacing::{Bucket, Pace, Pacing};
pub use queue::{Outbox, Pumped, Ticket};
pub(crate) use recipient::GROUP;
pub use recipient::{GroupId, Recipient, STATUS};
pub use status::{News, OutgoingMessage, Progress, SendStatus, code};
pub use told::{Place, Recorded, StatusChange, Told};
pub use update::{Color, RECIPIENTS_MAX, STATUS_TYPES, StatusUpdate, check_font, check_recipients, is_status_type};

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A message on its way out. Its JSON is what `POST …/messages` takes (docs/SENDING.md) and what its row keeps.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Outgoing {
    /// Whom it goes to.
    pub to: Recipient,
    /// What it is.
    #[serde(flatten)]
    pub content: Content,
    /// The message that it answers; of text, location, contact, poll and what carries a file.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub reply_to: Option<Quote>,
    /// For so many seconds the other one sees that it is being typed or recorded before it goes; not of what is about another message.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub typing_seconds: Option<u8>,
    /// Who gets it and how it looks, of a status update; of nothing else.
    #[serde(flatten, skip_serializing_if = "Option::is_none", default)]
    pub update: Option<Box<StatusUpdate>>,
}

impl Outgoing {
    /// A plain text.
    pub fn text(to: Recipient, text: impl Into<String>) -> Self {
        Self {
            to,
            content: Content::Text {
                text: text.into(),
                mentions: Mentions::default(),
                link_preview: None,
            },
            reply_to: None,
            typing_seconds: None,
            update: None,
        }
    }

    /// For how long it is seen being typed or recorded.
    pub fn typing(&self) -> Duration {
        Duration::from_secs(self.typing_seconds.unwrap_or_default().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_kept_as_it_was_asked_for() {
        let plain = Outgoing::text("5511999999999".parse().unwrap(), "hello");
        let json = serde_json::to_string(&plain).unwrap();
        assert_eq!(json, r#"{"to":"5511999999999","type":"text","text":"hello"}"#);
        for kept in [
            json.as_str(),
            r#"{"to":"1-2@g.us","type":"text","text":"hi","mentions":["5511999999999"],"link_preview":{"url":"https://a.b","title":"A"},"reply_to":{"message_id":"X","from":"5511999999999","text":"?"}}"#,
            r#"{"to":"1-2@g.us","type":"text","text":"@100000000000007","mentions":["100000000000007@lid"]}"#,
            r#"{"to":"1-2@g.us","type":"text","text":"@all","mentions":"all"}"#,
            r#"{"to":"5511999999999","type":"text","text":"hi","reply_to":{"message_id":"X"},"typing_seconds":3}"#,
            r#"{"to":"123@lid","type":"location","latitude":-23.5,"longitude":46.25,"name":"Here"}"#,
            r#"{"to":"5511999999999","type":"contact","contacts":[{"name":"Ana","phone_number":"5511988888888"}]}"#,
            r#"{"to":"5511999999999","type":"reaction","target":{"message_id":"X"},"emoji":"👍"}"#,
            r#"{"to":"5511999999999","type":"poll","poll":{"question":"?","options":["a","b"],"selectable_count":1}}"#,
            r#"{"to":"5511999999999","type":"edit","target":{"message_id":"X"},"text":"new"}"#,
            r#"{"to":"5511999999999","type":"edit","target":{"message_id":"X"},"text":"new","mentions":["5511999999999"],"caption_of":"image"}"#,
            r#"{"to":"1@g.us","type":"revoke","target":{"message_id":"X","from":"5511988888888"}}"#,
            r#"{"to":"5511999999999","type":"forward","text":"passed on"}"#,
            r#"{"to":"5511999999999","type":"image","media":{"url":"https://a.b/c"},"caption":"look","view_once":true,"reply_to":{"message_id":"X"}}"#,
            r##"{"to":"status@broadcast","type":"text","text":"hi","recipients":["5511999999999","1@lid"],"background_color":"#1E6E4F","font":7}"##,
            r#"{"to":"status@broadcast","type":"image","media":{"url":"https://a.b/c"},"recipients":["5511999999999"]}"#,
            r#"{"to":"status@broadcast","type":"revoke","target":{"message_id":"X"},"recipients":["5511999999999"]}"#,
            r#"{"to":"5511999999999","type":"document","media":{"mime_type":"application/pdf","size":3,"sha256":"00","file_name":"a.pdf"},"mentions":["5511999999999"],"forwarded":true}"#,
        ] {
            let read: Outgoing = serde_json::from_str(kept).unwrap();
            assert_eq!(serde_json::to_string(&read).unwrap(), kept);
        }
    }
}
