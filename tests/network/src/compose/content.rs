//! What a phone can be asked to send, as the admin routes read it.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::{Deserialize, Deserializer};

/// The content of a message that a phone sends; `kind` names it in JSON.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Content {
    /// A text, with a link preview if `preview` says so.
    Text(TextContent),
    /// A picture.
    Image(MediaContent),
    /// A film, or a GIF with `gif`.
    Video(MediaContent),
    /// A round video note.
    VideoNote(MediaContent),
    /// A sound file.
    Audio(MediaContent),
    /// A voice note.
    Voice(MediaContent),
    /// A file of any type.
    Document(MediaContent),
    /// A sticker.
    Sticker(MediaContent),
    /// A place.
    Location(LocationContent),
    /// A place that moves.
    LiveLocation(LiveLocationContent),
    /// One contact card or several.
    Contact(ContactContent),
    /// A reaction to a message; an empty emoji takes it back.
    Reaction(ReactionContent),
    /// A poll.
    Poll(PollContent),
    /// A vote in a poll; no options takes it back.
    PollVote(PollVoteContent),
    /// Another text or caption for an earlier message.
    Edit(EditContent),
    /// An earlier message is deleted for everyone.
    Revoke(RevokeContent),
    /// A tap on a button of a business message.
    ButtonsReply(ReplyContent),
    /// A tap on a button of a template.
    TemplateReply(ReplyContent),
    /// A choice from a list of a business message.
    ListReply(ReplyContent),
    /// An answer of a native flow.
    InteractiveReply(ReplyContent),
    /// A cart that was ordered from a catalogue.
    Order(OrderContent),
    /// A product of a catalogue.
    Product(ProductContent),
    /// An invitation to a group.
    GroupInvite(GroupInviteContent),
    /// An event that people can join.
    Event(EventContent),
    /// Anything else: a `Message` of waproto.
    Proto(ProtoContent),
}

/// A text.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TextContent {
    /// What it says.
    pub text: String,
    /// The preview of a link in it.
    pub preview: Option<Preview>,
}

/// The preview of a link.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Preview {
    /// The link, as it stands in the text.
    pub url: String,
    /// The page's title.
    pub title: Option<String>,
    /// What the page says of itself.
    pub description: Option<String>,
}

/// A file. `data` is what it holds; instead, `size` makes the phone invent as many bytes.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MediaContent {
    /// The bytes; base64 in JSON.
    #[serde(default, deserialize_with = "base64")]
    pub data: Option<Vec<u8>>,
    /// How many bytes to invent.
    pub size: Option<u64>,
    /// `image/jpeg` and so on; each kind has a usual one.
    pub mime_type: Option<String>,
    /// A text beside it: images, videos and documents.
    pub caption: Option<String>,
    /// Documents only.
    pub file_name: Option<String>,
    /// Length in seconds: videos and sounds.
    pub seconds: Option<u32>,
    /// In pixels: images, videos and stickers.
    pub width: Option<u32>,
    /// In pixels: images, videos and stickers.
    pub height: Option<u32>,
    /// Videos: played as a GIF.
    #[serde(default)]
    pub gif: bool,
    /// Stickers: they move.
    #[serde(default)]
    pub animated: bool,
    /// Voice notes: up to 64 amplitudes from 0 to 100; base64 in JSON.
    #[serde(default, deserialize_with = "base64")]
    pub waveform: Option<Vec<u8>>,
    /// A small JPEG; base64 in JSON.
    #[serde(default, deserialize_with = "base64")]
    pub thumbnail: Option<Vec<u8>>,
}

/// A place.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LocationContent {
    /// Degrees north.
    pub latitude: f64,
    /// Degrees east.
    pub longitude: f64,
    /// What it is called.
    pub name: Option<String>,
    /// Where it is, in words.
    pub address: Option<String>,
    /// A link about it.
    pub url: Option<String>,
}

/// A place that moves.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LiveLocationContent {
    /// Degrees north.
    pub latitude: f64,
    /// Degrees east.
    pub longitude: f64,
    /// A text beside it.
    pub caption: Option<String>,
    /// Metres.
    pub accuracy: Option<u32>,
    /// Metres per second.
    pub speed: Option<f32>,
    /// Counts up with each new position.
    pub sequence: Option<i64>,
}

/// One contact by `name`, `phone` or `vcard`, or several in `contacts`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ContactContent {
    /// The name of the one contact.
    pub name: Option<String>,
    /// Its number.
    pub phone: Option<String>,
    /// Its card, made from name and number if left out.
    pub vcard: Option<String>,
    /// Several contacts.
    #[serde(default)]
    pub contacts: Vec<Card>,
}

/// One of several contacts.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Card {
    /// The name.
    pub name: String,
    /// The number.
    pub phone: Option<String>,
    /// The card, made from name and number if left out.
    pub vcard: Option<String>,
}

/// A reaction.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReactionContent {
    /// The message it is for.
    pub message_id: String,
    /// One emoji, or nothing.
    pub emoji: String,
}

/// A poll.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PollContent {
    /// The question.
    pub question: String,
    /// What can be chosen.
    pub options: Vec<String>,
    /// How many may be chosen; any number if 0.
    #[serde(default)]
    pub selectable: u32,
}

/// A vote.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PollVoteContent {
    /// The poll.
    pub message_id: String,
    /// What is chosen, in the poll's words.
    pub options: Vec<String>,
}

/// An edit.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EditContent {
    /// The message to change.
    pub message_id: String,
    /// Its new text, or caption where it is a file.
    pub text: String,
    /// In an envelope under the secret of the message, which must have been sent with `secret`.
    #[serde(default)]
    pub encrypted: bool,
}

/// A deletion for everyone.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RevokeContent {
    /// The message to delete; one of somebody else in a group is deleted as its admin.
    pub message_id: String,
}

/// An answer to a business message.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReplyContent {
    /// The id of what was chosen, or the name of the flow.
    pub id: String,
    /// What it says.
    pub text: String,
    /// More about it: a list's description, a flow's parameters as JSON.
    pub description: Option<String>,
}

/// An order.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OrderContent {
    /// The order's id.
    pub order_id: String,
    /// Its title.
    pub title: Option<String>,
    /// What the customer wrote.
    pub text: Option<String>,
    /// How many things.
    #[serde(default)]
    pub item_count: i32,
    /// The price of all, in thousandths of the currency.
    pub total_1000: Option<i64>,
    /// ISO 4217.
    pub currency: Option<String>,
    /// By which the business asks for details.
    pub token: Option<String>,
}

/// A product.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProductContent {
    /// The product's id.
    pub product_id: String,
    /// What it is called.
    pub title: String,
    /// More about it.
    pub description: Option<String>,
    /// In thousandths of the currency.
    pub price_1000: Option<i64>,
    /// ISO 4217.
    pub currency: Option<String>,
    /// The text beside it.
    pub text: Option<String>,
}

/// An invitation to a group.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GroupInviteContent {
    /// The group's id.
    pub group: String,
    /// The text beside it.
    pub text: Option<String>,
    /// How long it is good, in seconds; three days if left out. A negative one is over already.
    pub seconds: Option<i64>,
}

/// An event.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EventContent {
    /// What it is called.
    pub name: String,
    /// More about it.
    pub description: Option<String>,
    /// When it begins, in Unix seconds.
    pub start: i64,
}

/// A message as it is.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProtoContent {
    /// The encoded `Message`; base64 in JSON.
    #[serde(deserialize_with = "base64")]
    pub proto: Option<Vec<u8>>,
}

fn base64<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<u8>>, D::Error> {
    let Some(text) = Option::<String>::deserialize(deserializer)? else {
        return Ok(None);
    };
    let bytes = BASE64_STANDARD
        .decode(text.trim())
        .map_err(|error| serde::de::Error::custom(format!("bytes are to be base64: {error}")))?;
    Ok(Some(bytes))
}
