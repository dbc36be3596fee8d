//! What a payload says beyond the seven keys (docs/EVENTS.md). Fields stand in the order in which they are serialised;
//! one that does not apply is left out.

use serde::Serialize;

use super::{
    around::{PartOf, Quoted, Referral},
    beside::{EventDetails, GroupInvite, NativeFlow},
    happening::Happening,
    media::Media,
};

/// Everything beyond the seven keys.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Details {
    /// What happened, if this is no message that came in: `event` and the keys that belong to it.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub happening: Option<Happening>,
    /// The name that the sender gave themselves.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub push_name: Option<String>,
    /// The sender's hidden id (LID) in digits, where WhatsApp does not give the number or the webhook wants both.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from_lid: Option<String>,
    /// The group that it was written in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<Group>,
    /// What it belongs to, where it came as one part of several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub part_of: Option<PartOf>,
    /// The message that it answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reply_to: Option<Quoted>,
    /// Who is mentioned: numbers, or hidden ids where the number is not known.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub mentions: Vec<String>,
    /// Whether everybody in the group is mentioned.
    #[serde(skip_serializing_if = "is_false")]
    pub mentions_all: bool,
    /// Whether it was forwarded.
    #[serde(skip_serializing_if = "is_false")]
    pub forwarded: bool,
    /// The advertisement that its sender came from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub referral: Option<Box<Referral>>,
    /// Whether it disappears after a time.
    #[serde(skip_serializing_if = "is_false")]
    pub ephemeral: bool,
    /// Seconds after which it disappears, if WhatsApp says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ephemeral_seconds: Option<u32>,
    /// Whether it may be seen once.
    #[serde(skip_serializing_if = "is_false")]
    pub view_once: bool,
    /// Whether it comes from the history that the phone sends after linking.
    #[serde(skip_serializing_if = "is_false")]
    pub history: bool,
    /// The message that it is about, where `type` is `reaction`, `poll_vote`, `edit` or `revoke`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<MessageRef>,
    /// The words under a picture, film, document or product: `content` then says the same. Without it `content` is a description.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub caption: Option<String>,
    /// Its file: of `image`, `video`, `audio`, `voice`, `document` and `sticker`, and of what a business sends with one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub media: Option<Box<Media>>,
    /// What only this kind has.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub body: Option<Body>,
    /// Of `unknown`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unknown: Option<Unknown>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn is_false(flag: &bool) -> bool {
    !flag
}

impl Details {
    /// Whether there is nothing worth a key: the sender's name alone is not.
    pub fn is_plain(&self) -> bool {
        let Self {
            happening,
            push_name: _,
            from_lid,
            group,
            part_of,
            reply_to,
            mentions,
            mentions_all,
            forwarded,
            referral,
            ephemeral,
            ephemeral_seconds,
            view_once,
            history,
            target,
            caption,
            media,
            body,
            unknown,
        } = self;
        let absent = happening.is_none()
            && from_lid.is_none()
            && group.is_none()
            && part_of.is_none()
            && reply_to.is_none()
            && mentions.is_empty()
            && referral.is_none()
            && ephemeral_seconds.is_none();
        let of_a_kind = target.is_some() || caption.is_some() || media.is_some() || body.is_some() || unknown.is_some();
        let marked = *mentions_all || *forwarded || *ephemeral || *view_once || *history;
        absent && !of_a_kind && !marked
    }
}

/// A key of its own for each kind that has more to say than `content` holds.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Body {
    /// Of `location` and `live_location`.
    Location(Location),
    /// Of `contact`.
    Contacts(Vec<Contact>),
    /// Of `reaction`; not there when the reaction was taken back.
    Emoji(String),
    /// Of `poll`.
    Poll(Poll),
    /// Of `poll_vote`.
    PollVote(PollVote),
    /// Of `buttons_reply`.
    ButtonsReply(ButtonsReply),
    /// Of `list_reply`.
    ListReply(ListReply),
    /// Of `order`.
    Order(Order),
    /// Of `product`.
    Product(Product),
    /// What the buttons of a business do.
    NativeFlow(Vec<NativeFlow>),
    /// Of an invitation to a group.
    GroupInvite(GroupInvite),
    /// Of an event that people are invited to. `event` is what tells an event of Wharf's apart.
    EventDetails(EventDetails),
    /// Of a message that is about a pinned one: whether it was pinned, or let go.
    Pinned(bool),
    /// Of a message that is about a disappearing one: whether it was kept, or let go.
    Kept(bool),
}

/// A group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Group {
    /// Its id (JID).
    pub id: String,
    /// Its name; absent when WhatsApp did not say it in time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
}

/// Another message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MessageRef {
    /// WhatsApp's id of it.
    pub message_id: String,
    /// Who wrote it, as in `from`; absent when the sender of this message did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
}

/// A place.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Location {
    /// Degrees north.
    pub latitude: f64,
    /// Degrees east.
    pub longitude: f64,
    /// What it is called.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Its address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// A page about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// How exact it is, in metres.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accuracy_m: Option<u32>,
    /// The speed of a live location, in metres per second.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub speed_mps: Option<f32>,
    /// The direction of a live location, in degrees clockwise from north.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub heading: Option<u32>,
    /// The number of an update of a live location; grows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sequence: Option<i64>,
}

/// A contact card.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Contact {
    /// The name on it.
    pub name: String,
    /// Its numbers.
    pub numbers: Vec<ContactNumber>,
    /// Where they work, with the part of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub organization: Option<String>,
    /// Its addresses for e-mail.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub emails: Vec<String>,
}

/// A number on a contact card.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ContactNumber {
    /// As it is written there.
    pub number: String,
    /// In digits, where the card says that it is on WhatsApp.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phone_number: Option<String>,
}

/// A question with options.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Poll {
    /// What is asked.
    pub question: String,
    /// What can be chosen.
    pub options: Vec<String>,
    /// How many options one may choose; 0 is any number.
    pub selectable_count: u32,
}

/// A choice in a poll. Both empty: the vote was taken back. Both absent: it could not be decrypted.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct PollVote {
    /// The chosen options that are known; absent where none of them is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub options: Option<Vec<String>>,
    /// SHA-256 of the other chosen options' names in hexadecimal digits; absent where all of them are known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub option_hashes: Option<Vec<String>>,
}

/// The button that was pressed.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct ButtonsReply {
    /// The id that the business gave it.
    pub id: String,
    /// What is on it.
    pub text: String,
}

/// The row that was chosen.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct ListReply {
    /// The id that the business gave it.
    pub id: String,
    /// What it says.
    pub title: String,
    /// What it says in small letters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

/// An order from a catalogue.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Order {
    /// WhatsApp's id of it.
    pub id: String,
    /// Its title.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// How many things.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub item_count: Option<i32>,
    /// What they cost, as a decimal number in text: money is no floating-point number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total: Option<String>,
    /// In which currency (ISO 4217).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub currency: Option<String>,
    /// Whose catalogue it is from: a number, or a hidden id where the number is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seller: Option<String>,
    /// Where it stands.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<OrderStatus>,
    /// What WhatsApp is asked for its items with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
}

/// Where an order stands: WhatsApp's `OrderStatus`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum OrderStatus {
    /// It was asked for.
    Inquiry,
    /// The business takes it.
    Accepted,
    /// The business does not.
    Declined,
}

/// A product of a catalogue.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Product {
    /// WhatsApp's id of it.
    pub id: String,
    /// The business's own id of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retailer_id: Option<String>,
    /// What it is called.
    pub title: String,
    /// More about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// What it costs, as the total of an [`Order`] is told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub price: Option<String>,
    /// In which currency (ISO 4217).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub currency: Option<String>,
    /// A page about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// How many pictures the catalogue has of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image_count: Option<u32>,
    /// Whose catalogue it is from: a number, or a hidden id where the number is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seller: Option<String>,
}

/// Why a message is `unknown`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum UnknownReason {
    /// It could not be decrypted, and was asked for again in vain.
    Undecryptable,
    /// WhatsApp gives it to the phone only, like a message that may be seen once.
    PhoneOnly,
    /// It was understood, but there is no `type` for it.
    Unsupported,
}

/// What is known of an `unknown` message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Unknown {
    /// Why it is unknown.
    pub reason: UnknownReason,
    /// What WhatsApp calls it (`eventMessage`, …), if it was understood.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<&'static str>,
}
