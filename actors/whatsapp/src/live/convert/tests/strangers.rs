//! What strangers may send: nothing of it panics, is lost, or grows beyond what came.

mod made;

use std::time::{Duration, Instant};

use proptest::{collection::vec, prelude::*};
use serde::de::{Deserializer, MapAccess, Visitor};
use wharf_domain::WebhookId;
use whatsapp_rust::wacore::poll::compute_option_hash;
use whatsapp_rust::waproto::{
    codec::{message_decode, message_to_vec},
    whatsapp::message::PollUpdateMessage,
};

use self::made::{anything, information};
use super::{examples::poll, votes::addition, *};

/// All keys that docs/EVENTS.md names, in the order of its tables.
const KEYS: [&str; 41] = [
    "client_id",
    "message_id",
    "from",
    "to",
    "timestamp",
    "type",
    "content",
    "event",
    "to_lid",
    "is_from_me",
    "push_name",
    "from_lid",
    "group",
    "part_of",
    "reply_to",
    "mentions",
    "mentions_all",
    "forwarded",
    "referral",
    "ephemeral",
    "ephemeral_seconds",
    "view_once",
    "history",
    "target",
    "caption",
    "media",
    "location",
    "contacts",
    "emoji",
    "poll",
    "poll_vote",
    "buttons_reply",
    "list_reply",
    "order",
    "product",
    "native_flow",
    "group_invite",
    "event_details",
    "pinned",
    "kept",
    "unknown",
];

/// An object's keys as they stand, twice where they stand twice.
struct Keys(Vec<String>);

impl<'de> serde::Deserialize<'de> for Keys {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct All;
        impl<'de> Visitor<'de> for All {
            type Value = Keys;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Keys, M::Error> {
                let mut keys = Vec::new();
                while let Some((key, _)) = map.next_entry::<String, serde::de::IgnoredAny>()? {
                    keys.push(key);
                }
                Ok(Keys(keys))
            }
        }
        deserializer.deserialize_map(All)
    }
}

/// What docs/EVENTS.md says makes no event.
fn may_be_skipped(reason: &str) -> bool {
    [
        "keys of a group",
        "an empty text",
        "an edit without words",
        "a protocol message",
        "about settings",
        "a status update",
        "an edit of what another one wrote",
        "a deletion of what another one wrote",
    ]
    .contains(&reason)
}

fn check(info: &MessageInfo, message: &Message, around: &Surroundings<'_>, must_be_told: bool) {
    for hidden in hidden_in(info, message) {
        assert!(is_hidden(&hidden), "{hidden}");
    }
    let _poll_and_vote = (election_in(message), vote_in(message));
    let converted = match convert(info, message, around) {
        Converted::Message(converted) => converted,
        Converted::Skipped(reason) => {
            let for_nobody = not_for_us(info).is_some();
            assert!(
                for_nobody || (may_be_skipped(reason) && !must_be_told),
                "{reason}: {message:?}"
            );
            return;
        }
    };
    let payload = payload(&converted);
    let Keys(keys) = serde_json::from_str(&payload).unwrap();
    let known: Vec<&str> = KEYS
        .into_iter()
        .filter(|key| keys.iter().any(|there| there == key))
        .collect();
    assert_eq!(keys, known, "known keys, each once and in their order");
    assert_eq!(known[..7], KEYS[..7]);
    // As large as what came, where each byte of it is escaped and stands in two places.
    let said = [info.id.len(), info.push_name.len(), message_to_vec(message).len()];
    let named = [&info.source.chat, &info.source.sender].map(|jid| jid.user.len());
    let came = said.iter().sum::<usize>() + 2 * named.iter().sum::<usize>();
    let most = 16 * came + 4096;
    let options = match &around.ballot {
        Ballot::Opened { options, hashes } => {
            let options = options.iter().map(|option| 12 * option.len() + 16).sum::<usize>();
            options + hashes.iter().map(|hash| 2 * hash.len() + 16).sum::<usize>()
        }
        Ballot::Sealed => 0,
    };
    assert!(payload.len() <= most + options, "{} bytes of {came}", payload.len());
    // A redelivery is the same message in the same bytes.
    assert_eq!(convert(info, message, around), Converted::Message(converted.clone()));
    let webhook = WebhookId(uuid());
    assert_eq!(converted.key(webhook), converted.clone().key(webhook));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn whatever_is_sent_becomes_one_event_that_can_be_read(
        (message, must_be_told) in anything(),
        info in information(),
        ballot in prop_oneof![
            Just(Ballot::Sealed),
            (vec("\\PC{0,9}", 0..4), vec(vec(any::<u8>(), 0..40), 0..4))
                .prop_map(|(options, hashes)| Ballot::Opened { options, hashes }),
        ],
        sent in any::<bool>(),
    ) {
        let recipient = sent.then(|| Party {
            chat: PN.into(),
            shown: "5511999999999".into(),
            hidden: None,
            is_group: false,
        });
        // By the wire, as it comes.
        let message = message_decode(&message_to_vec(&message)).unwrap();
        check(&info, &message, &Surroundings { ballot, recipient, ..around() }, must_be_told);
        let lost = UndecryptableMessage::builder()
            .info(Arc::new(info))
            .is_unavailable(false)
            .unavailable_type(UnavailableType::Unknown)
            .decrypt_fail_mode(DecryptFailMode::Show)
            .build();
        if let Converted::Message(report) = undecryptable(&lost, &People::new(OWN), None) {
            prop_assert!(serde_json::from_str::<serde_json::Value>(&payload(&report)).is_ok());
        }
    }

    /// What is glued together of two messages is one to a protobuf decoder, with the fields of both.
    #[test]
    fn two_messages_in_one_are_one_event((one, _) in anything(), (other, _) in anything(), info in information()) {
        let glued = [message_to_vec(&one), message_to_vec(&other)].concat();
        if let Ok(message) = message_decode(&glued) {
            check(&info, &message, &around(), false);
        }
    }

    #[test]
    fn bytes_that_happen_to_be_a_message_are_no_worse(bytes in made::wire(), info in information()) {
        if let Ok(message) = message_decode(&bytes) {
            check(&info, &message, &around(), false);
        }
    }
}

/// A field of protobuf that holds bytes.
fn field(number: usize, bytes: &[u8]) -> Vec<u8> {
    let mut field = made::varint(((number << 3) | 2) as u64);
    field.extend(made::varint(bytes.len() as u64));
    field.extend(bytes);
    field
}

/// "Without a `name` it is newer than this program": what the protocol's description has, is known here. This fails when
/// whatsapp-rust brings a kind that nobody has given a name yet.
#[test]
fn every_kind_in_the_description_of_the_protocol_is_known() {
    let text = field(1, &field(1, b"wrapped"));
    let (mut kinds, mut nameless) = (0, Vec::new());
    for number in 1..1000 {
        let read = |inner: &[u8]| message_decode(&field(number, inner)).ok();
        // A wrapper holds a message in its first field; what does not is decoded without.
        let is_field = |message: &Message| !message_to_vec(message).is_empty();
        let Some(message) = read(&text).or_else(|| read(&[])).filter(is_field) else {
            continue;
        };
        kinds += 1;
        // What stands around a message, and a wrapper with nothing in it.
        let is_no_kind = message.message_context_info.is_set() || message.device_sent_message.is_set();
        if let Converted::Message(told) = convert(&info(direct()), &message, &around()) {
            let unknown = &extras(&told)["unknown"];
            let is_nameless = unknown["reason"] == "unsupported" && unknown["name"].is_null();
            nameless.extend((is_nameless && !is_no_kind).then_some(number));
        }
    }
    assert!(kinds > 90, "{kinds}");
    assert_eq!(nameless, [0_usize; 0], "fields of Message without a name here");
}

#[test]
fn what_hands_out_keys_or_settings_is_no_message() {
    for (number, reason) in [(123, "keys"), (127, "keys"), (47, "settings")] {
        let message = message_decode(&field(number, &[])).unwrap();
        assert!(skipped(source(GROUP, PN, None), &message).contains(reason), "{number}");
    }
    let limit = protocol(ProtocolMessage {
        r#type: Some(whatsapp_rust::waproto::whatsapp::message::protocol_message::Type::LIMIT_SHARING),
        ..ProtocolMessage::default()
    });
    let wrapped = Message {
        limit_sharing_message: wrapped(limit),
        ..Message::default()
    };
    assert!(skipped(direct(), &wrapped).contains("protocol"));
}

/// A voter repeats one hash as often as a message holds it, and each time the option's name, which the same person made as
/// long as a message, would be told.
#[test]
fn a_vote_names_each_option_once() {
    let long = "x".repeat(60_000);
    let options = [long.clone(), "no".to_owned()];
    let hash = |option: &str| compute_option_hash(option).to_vec();
    let mut hashes = vec![hash(&long); 2000];
    hashes.insert(1, hash("no"));
    assert_eq!(Ballot::read(hashes.clone(), &options), ballot(&[&long, "no"], &[]));
    assert_eq!(Ballot::read(hashes, &[]), ballot(&[], &[hash(&long), hash("no")]));
}

/// Each vote is compared with all options, and the poll may be as long as a message.
#[test]
fn no_more_options_are_kept_than_anybody_reads() {
    let mut asked = poll();
    let poll = asked.poll_creation_message_v3.as_option_mut().unwrap();
    let option = poll.options[0].clone();
    poll.options.extend(std::iter::repeat_n(option, 10_000));
    assert_eq!(election_in(&asked).unwrap().options.len(), 256);
    let told = carried(direct(), &asked);
    assert_eq!(extras(&told)["poll"]["options"].as_array().unwrap().len(), 256);
    // Of one that was kept before there was a bound.
    let options: Vec<String> = (0..300).map(|n| n.to_string()).collect();
    let vote = |n: usize| Ballot::read(vec![compute_option_hash(&options[n]).to_vec()], &options);
    assert_eq!(vote(255), ballot(&["255"], &[]));
    assert!(matches!(vote(256), Ballot::Opened { options, hashes } if options.is_empty() && hashes.len() == 1));
}

/// A vote of a few bytes would tell them all, and each that is added makes the poll's row longer.
#[test]
fn no_option_is_kept_that_is_longer_than_a_line() {
    let mut asked = poll();
    let poll = asked.poll_creation_message_v3.as_option_mut().unwrap();
    let known = poll.options.len();
    poll.options[0].option_name = Some("x".repeat(1025));
    assert_eq!(election_in(&asked).unwrap().options.len(), known - 1);
    for (bytes, kept) in [(1024, true), (1025, false)] {
        assert_eq!(
            addition_in(&addition("A", &"x".repeat(bytes))).is_some(),
            kept,
            "{bytes}"
        );
    }
}

/// Neither options by hashes nor mentions by mentions: what a message of a few megabytes holds must not keep a thread for
/// minutes.
#[test]
fn much_in_one_message_takes_time_by_its_size_only() {
    let begun = Instant::now();
    let options: Vec<String> = (0..20_000).map(|n| n.to_string()).collect();
    let hashes = (0..20_000).map(|n: u32| n.to_be_bytes().repeat(8)).collect();
    let read = Ballot::read(hashes, &options);
    assert!(matches!(read, Ballot::Opened { options, hashes } if options.is_empty() && hashes.len() == 20_000));
    let mentioned: Vec<String> = (0..200_000).map(|n| format!("{n}@lid")).collect();
    let crowd = extended(
        "all",
        ContextInfo {
            mentioned_jid: mentioned,
            ..ContextInfo::default()
        },
    );
    assert_eq!(hidden_in(&info(direct()), &crowd).len(), 1024, "more are not looked up");
    let told = carried(direct(), &crowd);
    let mentions = &told.details.as_ref().unwrap().mentions;
    assert_eq!((mentions.len(), mentions[1023].as_str()), (1024, "1023"));
    assert!(begun.elapsed() < Duration::from_secs(60), "{:?}", begun.elapsed());
}

#[test]
fn who_is_named_twice_is_looked_up_once() {
    let twice = extended(
        "hi",
        ContextInfo {
            mentioned_jid: vec![LID.to_owned(), LID.to_owned()],
            participant: Some(LID.to_owned()),
            ..ContextInfo::default()
        },
    );
    assert_eq!(hidden_in(&info(source(LID, LID, None)), &twice), [jid(LID).to_non_ad()]);
}

/// An empty text beside something else hides nothing of it.
#[test]
fn an_empty_text_is_none() {
    let mut asked = poll();
    asked.conversation = Some(String::new());
    assert_eq!(carried(direct(), &asked).kind, MessageKind::Poll);
    assert_eq!(election_in(&asked).unwrap().options, ["Pizza", "Salad"]);
    let vote = Message {
        conversation: Some(String::new()),
        poll_update_message: MessageField::some(PollUpdateMessage {
            poll_creation_message_key: super::examples::key("3EB0CC33", true),
            ..PollUpdateMessage::default()
        }),
        ..Message::default()
    };
    assert!(vote_in(&vote).is_some());
}
