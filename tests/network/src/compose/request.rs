//! The body of `POST /accounts/:phone/messages`: what is common to all kinds, and the content of one.

use serde::Deserialize;
use serde_json::{Map, Value};

use super::content::{Content, TextContent};
use crate::NetworkError;

/// A message that a phone is to send.
#[derive(Clone, Debug, PartialEq)]
pub struct NewMessage {
    /// What it says.
    pub content: Content,
    /// What goes with it, whatever its kind.
    pub options: MessageOptions,
}

impl NewMessage {
    /// A plain text.
    #[must_use]
    pub fn text(text: &str) -> Self {
        Self::from(Content::Text(TextContent {
            text: text.to_owned(),
            preview: None,
        }))
    }
}

impl From<Content> for NewMessage {
    fn from(content: Content) -> Self {
        Self {
            content,
            options: MessageOptions::default(),
        }
    }
}

/// What any kind of message can carry.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MessageOptions {
    /// The id of the message that this one answers.
    pub reply_to: Option<String>,
    /// Numbers of accounts that it mentions.
    #[serde(default)]
    pub mentions: Vec<String>,
    /// It was sent on from elsewhere.
    #[serde(default)]
    pub forwarded: bool,
    /// It disappears after so many seconds.
    pub ephemeral: Option<u32>,
    /// It is wrapped as older phones wrap what disappears.
    #[serde(default)]
    pub ephemeral_wrapper: bool,
    /// It can be opened once: images, videos, sounds.
    #[serde(default)]
    pub view_once: bool,
    /// The id of the image or video that it is once more, in a better quality.
    pub hd_of: Option<String>,
    /// What the devices get in place of the content, where WhatsApp gives that to phones only.
    pub unavailable: Option<Unavailable>,
    /// The name that its sender shows, in place of the account's.
    pub push_name: Option<String>,
    /// It carries a secret of its own, for encrypted edits. Polls and events have one anyway.
    #[serde(default)]
    pub secret: bool,
    /// Its id, in place of a random one.
    pub id: Option<String>,
    /// When it was sent, in Unix seconds, in place of now.
    pub timestamp: Option<u64>,
}

/// Why devices do not get the content of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unavailable {
    /// For no reason that is said; the phone gives it when it is asked.
    Unknown,
    /// It may be seen once.
    ViewOnce,
    /// A business has its messages hosted.
    Hosted,
    /// It is of a bot.
    Bot,
}

/// The names of [`MessageOptions`] in JSON.
const OPTIONS: [&str; 12] = [
    "reply_to",
    "mentions",
    "forwarded",
    "ephemeral",
    "ephemeral_wrapper",
    "view_once",
    "hd_of",
    "unavailable",
    "push_name",
    "secret",
    "id",
    "timestamp",
];

/// How a message is to be sent.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Dispatch {
    /// A number or a group.
    pub(crate) to: String,
    /// How often, if more than once.
    pub(crate) count: Option<u32>,
    /// How many per second.
    pub(crate) rate_per_s: Option<f64>,
}

/// The names of [`Dispatch`] in JSON.
const DISPATCH: [&str; 3] = ["to", "count", "rate_per_s"];

/// Reads a body. Without `kind` it is a text, or what `proto` says.
///
/// # Errors
/// [`NetworkError::Invalid`] with the name of the field that is missing, unknown or wrong.
pub(crate) fn read(body: Map<String, Value>) -> Result<(Dispatch, NewMessage), NetworkError> {
    let (mut dispatch, mut options, mut content) = (Map::new(), Map::new(), Map::new());
    for (key, value) in body {
        if DISPATCH.contains(&key.as_str()) {
            dispatch.insert(key, value);
        } else if OPTIONS.contains(&key.as_str()) {
            options.insert(key, value);
        } else {
            content.insert(key, value);
        }
    }
    if !content.contains_key("kind") {
        let kind = if content.contains_key("proto") { "proto" } else { "text" };
        content.insert("kind".to_owned(), kind.into());
    }
    // Answers to business messages have an id of their own.
    if content["kind"].as_str().is_some_and(|kind| kind.ends_with("_reply"))
        && let Some(id) = options.remove("id")
    {
        content.insert("id".to_owned(), id);
    }
    Ok((
        parse(dispatch)?,
        NewMessage {
            options: parse(options)?,
            content: parse(content)?,
        },
    ))
}

fn parse<T: serde::de::DeserializeOwned>(map: Map<String, Value>) -> Result<T, NetworkError> {
    serde_json::from_value(Value::Object(map))
        .map_err(|error| NetworkError::Invalid(format!("the body does not fit: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn body(value: Value) -> Result<(Dispatch, NewMessage), NetworkError> {
        read(value.as_object().unwrap().clone())
    }

    #[test]
    fn a_body_without_a_kind_is_a_text() {
        let (dispatch, message) = body(json!({ "to": "1", "text": "hello", "count": 2 })).unwrap();
        assert_eq!((dispatch.to.as_str(), dispatch.count), ("1", Some(2)));
        assert_eq!(message, NewMessage::text("hello"));
    }

    #[test]
    fn options_stand_beside_the_fields_of_the_kind() {
        let (_, message) = body(json!({
            "to": "1", "kind": "image", "data": "aGk=", "caption": "c", "reply_to": "A", "mentions": ["2"], "id": "B"
        }))
        .unwrap();
        assert_eq!(message.options.reply_to.as_deref(), Some("A"));
        assert_eq!(message.options.id.as_deref(), Some("B"));
        let Content::Image(image) = message.content else {
            panic!()
        };
        assert_eq!(
            (image.data.as_deref(), image.caption.as_deref()),
            (Some(&b"hi"[..]), Some("c"))
        );
    }

    #[test]
    fn the_id_of_a_reply_is_what_was_chosen() {
        let (_, message) = body(json!({ "to": "1", "kind": "buttons_reply", "id": "yes", "text": "Yes" })).unwrap();
        let Content::ButtonsReply(reply) = message.content else {
            panic!()
        };
        assert_eq!((reply.id.as_str(), message.options.id), ("yes", None));
    }

    #[test]
    fn what_is_unknown_or_missing_is_named() {
        for (wrong, name) in [
            (json!({ "to": "1", "text": "x", "colour": "red" }), "colour"),
            (json!({ "to": "1", "kind": "image", "text": "x" }), "text"),
            (json!({ "to": "1", "kind": "hologram" }), "hologram"),
            (json!({ "to": "1", "kind": "poll", "options": [] }), "question"),
            (json!({ "text": "x" }), "to"),
            (json!({ "to": "1", "proto": "!" }), "base64"),
        ] {
            let error = body(wrong.clone()).unwrap_err().to_string();
            assert!(error.contains(name), "{wrong}: {error}");
        }
    }
}
