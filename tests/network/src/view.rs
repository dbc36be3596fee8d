//! What the network shows of itself: the records that the library returns and the admin routes print as JSON.
//!
//! Field names follow section 6 of the contract and are part of the public surface.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

/// A WhatsApp account whose primary phone is played by the network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// The phone number, digits only.
    pub phone: String,
    /// The hidden identity of the account, `<digits>@lid`.
    pub lid: String,
}

/// What an account shows of itself, and whom it has blocked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProfileView {
    /// What others see as its name.
    pub name: String,
    /// What it says about itself.
    pub about: Option<String>,
    /// The id of its picture.
    pub picture_id: Option<u64>,
    /// The name of a business that is vouched for.
    pub verified_name: Option<String>,
    /// Whether nobody else sees what it says and its picture.
    pub hidden: bool,
    /// Whether others invite it to groups, since they cannot put it into them.
    pub invite_only: bool,
    /// Numbers of those it has blocked.
    pub blocked: Vec<String>,
}

/// A message that reached an account's primary phone, decrypted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReceivedMessage {
    /// WhatsApp's message id.
    pub id: String,
    /// The sender's phone number, digits only.
    pub from: String,
    /// What a person would read: the text, the caption, the emoji, the question; empty if there is none.
    pub text: String,
    /// When the network took the message, in Unix seconds.
    pub timestamp: i64,
    /// What it is: `text`, `image` and so on, by the names under which phones send.
    pub kind: Cow<'static, str>,
    /// What a plain text of one account to another does not have.
    #[serde(flatten)]
    pub details: Option<Box<MessageDetails>>,
}

/// What a message has beyond sender and text.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct MessageDetails {
    /// The address of the group that it came through.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// The fields of its kind, by the names under which phones send.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content: Option<serde_json::Value>,
    /// Its file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub media: Option<MediaView>,
    /// The message that it answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reply_to: Option<Quoted>,
    /// Numbers of those it mentions.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub mentions: Vec<String>,
    /// It mentions everybody in the group.
    #[serde(skip_serializing_if = "is_false")]
    pub mentions_all: bool,
    /// It was sent on from elsewhere.
    #[serde(skip_serializing_if = "is_false")]
    pub forwarded: bool,
    /// It disappears after so many seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ephemeral: Option<u32>,
    /// It can be opened once.
    #[serde(skip_serializing_if = "is_false")]
    pub view_once: bool,
    /// The id of the message that a reaction, a vote, an edit or a deletion is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// Reactions to it, one a person, the last of each.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub reactions: Vec<ReactionView>,
    /// Votes in it, one a person, the last of each.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub votes: Vec<VoteView>,
    /// What it was changed to, oldest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub edits: Vec<String>,
    /// It was deleted for everyone.
    #[serde(skip_serializing_if = "is_false")]
    pub revoked: bool,
}

fn is_false(value: &bool) -> bool {
    !value
}

/// A file of a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MediaView {
    /// Its type, as the message says.
    pub mime_type: String,
    /// Its length in bytes, as the message says.
    pub size: u64,
    /// The SHA-256 of what it holds, in hex, as the message says.
    pub sha256: String,
    /// Its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file_name: Option<String>,
    /// Whether the store holds it, and it decrypts to what the message says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub intact: Option<bool>,
}

/// A message that another one answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quoted {
    /// Its id.
    pub id: String,
    /// The number of the account that sent it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// What the quotation says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}

/// A reaction to a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReactionView {
    /// The number of the account that reacted.
    pub from: String,
    /// The emoji.
    pub emoji: String,
}

/// A vote in a poll.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VoteView {
    /// The number of the account that voted.
    pub from: String,
    /// What it chose.
    pub options: Vec<String>,
}

/// A message that a phone sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SentMessage {
    /// WhatsApp's message id.
    pub id: String,
    /// Its file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media: Option<MediaView>,
}

/// A group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupView {
    /// Its address, `<digits>@g.us`.
    pub id: String,
    /// What it is called.
    pub subject: String,
    /// The number of the account that made it.
    pub owner: String,
    /// What it says of itself.
    pub description: Option<String>,
    /// Only admins write.
    pub announcement: bool,
    /// Only admins change what it is called.
    pub locked: bool,
    /// Messages disappear after so many seconds.
    pub ephemeral: Option<u32>,
    /// Who has the link is let in by admins.
    #[serde(default, skip_serializing_if = "is_false")]
    pub approval: bool,
    /// Members add others, and not only admins.
    pub members_add: bool,
    /// The code of its invitation link.
    pub invite: String,
    /// The id of its picture.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub picture: Option<String>,
    /// Numbers that ask to be let in.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub requests: Vec<String>,
    /// It is a community.
    #[serde(default, skip_serializing_if = "is_false")]
    pub is_community: bool,
    /// It is the announcement group of its community.
    #[serde(default, skip_serializing_if = "is_false")]
    pub is_community_announce: bool,
    /// The address of the community that it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub linked_parent: Option<String>,
    /// Who is in it.
    pub participants: Vec<MemberView>,
}

/// A member of a group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberView {
    /// The number.
    pub phone: String,
    /// `member`, `admin`, or `superadmin` for the one who made it.
    pub role: String,
}

/// A receipt for a message that an account's phone sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReceiptRecord {
    /// The id of the message that the receipt is for.
    pub id: String,
    /// The device that sent the receipt.
    pub from: String,
    /// The writer, under the address by which the receipt names them.
    pub to: String,
    /// `delivery`, `inactive`, `read`, `retry`, `sender` and so on; a receipt without a type is `delivery`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Of `retry`: whether it brings keys for a new session.
    #[serde(default, skip_serializing_if = "is_false")]
    pub keys: bool,
    /// When the receipt arrived, in Unix milliseconds.
    pub at: i64,
}

/// That somebody is there, writes or records, as an account's phone saw it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PresenceRecord {
    /// The device that showed it.
    pub from: String,
    /// `available`, `unavailable`, `composing`, `recording` or `paused`.
    pub state: String,
    /// The chat in which it was shown, under the address by which it was named: a number, a hidden id, or a group.
    pub to: String,
    /// The address of the group in which it was shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// When, in Unix milliseconds.
    pub at: i64,
}

/// A call that a phone makes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallView {
    /// The call's id.
    pub id: String,
    /// The number or group that is called.
    pub to: String,
    /// With picture.
    pub video: bool,
    /// `ringing`, `accepted`, `rejected` or `terminated`.
    pub state: String,
    /// The device that accepted or rejected it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
}

/// A linked device of an account; the primary phone is not one of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceView {
    /// The device's address, `<phone>:<device>@s.whatsapp.net`.
    pub jid: String,
    /// Whether a logged-in socket of it is open now.
    pub connected: bool,
    /// Whether it said that somebody is there.
    pub available: bool,
    /// How many one-time prekeys the server still holds for it.
    pub prekeys: usize,
    /// How many messages it has not acknowledged.
    pub unacked: usize,
}

/// What kind of trouble a [`Fault`] makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultKind {
    /// Closes the open sockets at once, without a word.
    Drop,
    /// Turns new connections away; with a code by `<failure reason=code>` after the handshake, else by closing the socket.
    Refuse,
    /// Keeps sockets open and answers nothing; what arrives is lost. Sockets caught in it are closed when it ends.
    Stall,
    /// Sends `<stream:error>` with the code (503 if left out, `replaced` for a conflict) and closes.
    StreamError,
    /// What waits for a device at its login is announced when the fault ends, if only that nothing does.
    Backlog,
    /// Sends every message twice, and sends the last acknowledged ones once more.
    Duplicate,
    /// Spoils what is encrypted for the account's devices, so that they cannot decrypt it and ask again.
    Corrupt,
    /// The account's phone cannot decrypt what devices send to it, and asks again.
    Deaf,
    /// The server gives out no keys of the account's phone and devices.
    Keyless,
    /// The server names none of the account's devices, not even its phone; with a code it refuses the question with that.
    Deviceless,
    /// The account is protected from strangers: messages of devices to it are refused unless they bring the privacy token that
    /// its phone gives to whom it writes.
    Wary,
    /// The media store has no file: 404. Of downloads the account is known only if they bring its token.
    MediaMissing,
    /// Half of a file comes, and nothing says so.
    MediaTruncated,
    /// A file comes with a byte changed.
    MediaCorrupt,
    /// The media store answers with the code (503 if left out), uploads too.
    MediaError,
    /// The media store answers nothing until the fault ends, and then as ever.
    MediaStall,
    /// Closes the open sockets and bans the account until the fault ends, with WhatsApp's code for why (101 if left out):
    /// `<failure reason=402 code expire=SECONDS>`. With the code `endless` it says neither why nor for how long.
    Ban,
    /// The account has a passkey, which WhatsApp wants before it links a device: a scan asks the device for it and fails.
    Passkey,
    /// Spoils what the account's phone signs for the device that it links, so that the device refuses it.
    PairCorrupt,
    /// The QRs that devices show expire, and no new ones come.
    QrExpire,
    /// Takes no client whose revision (the last part of its version) is below the code; none at all if it is left out.
    Outdated,
}

/// Trouble to make on purpose.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// What happens.
    pub kind: FaultKind,
    /// The account whose links are hit; every account's if left out.
    #[serde(default)]
    pub phone: Option<String>,
    /// WhatsApp's code, for `refuse`, `stream_error`, `ban`, `deviceless` and `media_error`: a number, `replaced` for
    /// `stream_error`, `endless` for `ban`; the least revision for `outdated`.
    #[serde(default)]
    pub code: Option<FaultCode>,
    /// How long it lasts in milliseconds, for all but `drop`, `stream_error` and `qr_expire`; 30,000 if left out.
    #[serde(default)]
    pub for_ms: Option<u64>,
}

/// WhatsApp's code as people write it: `503` or `"503"` or `"replaced"` or `"endless"`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum FaultCode {
    /// A numeric code.
    Number(u32),
    /// A code by name.
    Name(String),
}

/// Counters since the network started, and what is open now.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stats {
    /// Sockets open now.
    pub connections: u64,
    /// Noise handshakes completed since the start.
    pub handshakes: u64,
    /// How many of them resumed by IK instead of a full XX.
    pub resumed: u64,
    /// Messages that clients handed to the network since the start.
    pub messages_in: u64,
    /// Message stanzas that the network sent to clients since the start, repeated ones included.
    pub messages_out: u64,
    /// Messages that a client encrypted with a key which it had used for another one. Anything but 0 is a broken client.
    pub reused_keys: u64,
    /// Files that the media store gave to clients since the start.
    pub downloads: u64,
    /// How often a client was given what is new in its settings.
    pub syncs: u64,
    /// How often a client asked who has a number.
    pub look_ups: u64,
    /// Messages that devices have not acknowledged now.
    pub unacked: u64,
    /// Accounts that exist.
    pub accounts: u64,
    /// Devices linked now.
    pub devices: u64,
}

/// Something that is set for an account, on its phone or a device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SettingView {
    /// Its collection, for instance `regular_high`.
    pub collection: String,
    /// The version that the collection is at.
    pub version: u64,
    /// What it is, and what it is about: `["mute", "…@lid"]`.
    pub index: Vec<String>,
    /// Whether a chat is archived, pinned or muted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on: Option<bool>,
}
