//! Incoming messages, and the payload that a receiver gets of one.

use serde::Serialize;

use crate::{ClientId, PhoneNumber, Timestamp};

/// A message that WhatsApp delivered to a linked number, in Wharf's words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IncomingMessage {
    /// The chat's id (JID) on WhatsApp: with `sender` and `message_id` the key under which a redelivery is recognised.
    pub chat: String,
    /// The sender's id (JID, without device).
    pub sender: String,
    /// WhatsApp's id of the message.
    pub message_id: String,
    /// The sender's phone number in digits, or its hidden id where WhatsApp does not give the number.
    pub from: String,
    /// When it was sent, by WhatsApp's clock.
    pub timestamp: Timestamp,
    /// `text`, …
    pub kind: String,
    /// The text.
    pub content: String,
}

/// The seven keys of CONTRACT.md section 3, in its order.
#[derive(Serialize)]
struct Payload<'a> {
    client_id: ClientId,
    message_id: &'a str,
    from: &'a str,
    to: &'a PhoneNumber,
    timestamp: String,
    #[serde(rename = "type")]
    kind: &'a str,
    content: &'a str,
}

impl IncomingMessage {
    /// The body of every attempt: compact JSON, the seven keys of CONTRACT.md section 3 in their order.
    pub fn payload(&self, client_id: ClientId, to: &PhoneNumber) -> String {
        let payload = Payload {
            client_id,
            message_id: &self.message_id,
            from: &self.from,
            to,
            timestamp: self.timestamp.to_rfc3339_seconds(),
            kind: &self.kind,
            content: &self.content,
        };
        // Strings and integers only: serialising them into memory has no way to fail.
        serde_json::to_string(&payload).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(content: &str) -> IncomingMessage {
        IncomingMessage {
            chat: "5511999999999@s.whatsapp.net".into(),
            sender: "5511999999999@s.whatsapp.net".into(),
            message_id: "3EB0C767".into(),
            from: "5511999999999".into(),
            timestamp: Timestamp::from_seconds(1_762_352_580),
            kind: "text".into(),
            content: content.into(),
        }
    }

    #[test]
    fn payload_has_the_seven_keys_in_order() {
        let to = "5511888888888".parse().unwrap();
        assert_eq!(
            message("Your message here").payload(ClientId(1), &to),
            r#"{"client_id":1,"message_id":"3EB0C767","from":"5511999999999","to":"5511888888888","timestamp":"2025-11-05T14:23:00Z","type":"text","content":"Your message here"}"#
        );
    }

    #[test]
    fn any_text_survives() {
        let text = "\"quotes\" \\ \n\t\u{0} emoji 🦀 \u{2028}";
        let payload = message(text).payload(ClientId(1), &"5511888888888".parse().unwrap());
        let value: serde_json::Value = serde_json::from_str(&payload).unwrap();
        assert_eq!(value["content"], text);
    }
}
