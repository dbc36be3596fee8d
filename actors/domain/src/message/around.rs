//! What stands around a message of any kind: what it belongs to, what it answers, which advertisement it came from.

use std::ops::Not;

use serde::Serialize;

use super::MessageKind;

/// What a message belongs to that came as one part of several.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PartOf {
    /// Which part it is.
    pub kind: PartKind,
    /// WhatsApp's id of the message that it belongs to, which the same sender sent.
    pub message_id: String,
}

/// Which part of several a message is: WhatsApp's `AssociationType`, as far as a receiver can tell the parts apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PartKind {
    /// The same picture or film once more, in a better quality.
    Hd,
    /// The film of a picture that moves.
    Motion,
    /// A picture or film of an album.
    Album,
    /// The picture of a poll's option.
    Poll,
    /// The picture of an event.
    EventCover,
    /// Something about a status update.
    Status,
    /// Anything else.
    Other,
}

/// The message that another one answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Quoted {
    /// WhatsApp's id of it.
    pub message_id: String,
    /// Who wrote it, as in `from`; absent when the sender of this message did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// Whether it is a status update.
    #[serde(skip_serializing_if = "Not::not")]
    pub status: bool,
    /// What it is, as far as the answer quotes it.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<MessageKind>,
    /// The beginning of its `content`, as the answer quotes it: nobody checks whether it was that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// The product that it is, as the answer quotes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub product: Option<QuotedProduct>,
}

/// A product that is asked about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct QuotedProduct {
    /// WhatsApp's id of it.
    pub id: String,
    /// What it is called.
    pub title: String,
}

/// The advertisement that somebody came from.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Referral {
    /// Where it stands.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_url: Option<String>,
    /// What it is, in WhatsApp's word (`ad`, `post`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_type: Option<String>,
    /// Its id at Meta.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_id: Option<String>,
    /// Its headline.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Its words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// The id of the click, by which Meta counts what came of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ctwa_clid: Option<String>,
    /// What the advertiser gave it along.
    #[serde(rename = "ref", skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    /// How the chat was begun, in WhatsApp's word (`ctwa_ad`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entry_point: Option<String>,
    /// The app that it was seen in (`facebook`, `instagram`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub app: Option<String>,
}
