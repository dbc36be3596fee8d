//! Polls and what is voted in them.

use serde_json::json;
use whatsapp_rust::wacore::poll::{compute_option_hash, encrypt_poll_vote_with_secret};
use whatsapp_rust::waproto::whatsapp::{
    MessageContextInfo,
    message::{PollAddOptionMessage, PollEncValue, PollUpdateMessage, poll_creation_message},
};

use super::{
    examples::{key, poll},
    *,
};

const SECRET: [u8; 32] = [5; 32];
const NUMBER: &str = "5511999999999@s.whatsapp.net";
const HIDDEN: &str = "100000012345678@lid";

fn sealed_vote(options: &[&str], asker: &str, voter: &str) -> PollUpdateMessage {
    let hashes: Vec<Vec<u8>> = options
        .iter()
        .map(|option| compute_option_hash(option).to_vec())
        .collect();
    let (payload, iv) = encrypt_poll_vote_with_secret(&hashes, &SECRET, "3EB0CC33", asker, voter).unwrap();
    PollUpdateMessage {
        poll_creation_message_key: key("3EB0CC33", true),
        vote: MessageField::some(PollEncValue {
            enc_payload: Some(payload),
            enc_iv: Some(iv.to_vec()),
        }),
        ..PollUpdateMessage::default()
    }
}

#[test]
fn a_vote_is_opened_by_number_or_hidden_id_and_told_by_name() {
    let mut asked = poll();
    asked.message_context_info = MessageField::some(MessageContextInfo {
        message_secret: Some(SECRET.to_vec()),
        ..MessageContextInfo::default()
    });
    // As the phone of this account sends it along, and as one that disappears.
    let asked = Message {
        ephemeral_message: wrapped(asked),
        ..Message::default()
    };
    let election = election_in(&asked).unwrap();
    assert_eq!(election.options, ["Pizza", "Salad"]);
    let secret = election.secret.unwrap();
    let names = [NUMBER.to_owned(), HIDDEN.to_owned()];
    for (asker, voter) in [(NUMBER, NUMBER), (HIDDEN, HIDDEN), (HIDDEN, NUMBER)] {
        let update = sealed_vote(&["Salad"], asker, voter);
        let hashes = open(&update, "3EB0CC33", &secret, &names, &names).unwrap();
        assert_eq!(Ballot::read(hashes.clone(), &election.options), ballot(&["Salad"], &[]));
        assert_eq!(Ballot::read(hashes.clone(), &[]), ballot(&[], &hashes));
    }
    let update = sealed_vote(&["Salad"], NUMBER, NUMBER);
    assert_eq!(open(&update, "3EB0CC33", &[6; 32], &names, &names), None);
    assert_eq!(open(&update, "another", &secret, &names, &names), None);
}

#[test]
fn votes_are_told_as_far_as_they_can_be_read() {
    let vote = Message {
        poll_update_message: MessageField::some(sealed_vote(&[], NUMBER, NUMBER)),
        ..Message::default()
    };
    assert!(vote_in(&vote).is_some());
    let told = |ballot: Ballot| {
        let mut around = around();
        around.ballot = ballot;
        let message = carried_with(direct(), &vote, &around);
        assert_eq!(message.kind, MessageKind::PollVote);
        (message.content.clone(), extras(&message)["poll_vote"].clone())
    };
    assert_eq!(told(ballot(&[], &[])), (String::new(), json!({"options": []})));
    assert_eq!(told(Ballot::Sealed).1, json!({}));
    assert_eq!(
        told(ballot(&[], &[vec![1, 0xAB]])).1,
        json!({"option_hashes": ["01ab"]})
    );
    assert_eq!(
        told(ballot(&["Salad", "Pizza"], &[vec![1, 0xAB]])),
        (
            "Salad, Pizza, and not known: 1".to_owned(),
            json!({"options": ["Salad", "Pizza"], "option_hashes": ["01ab"]})
        )
    );
    assert_eq!(Ballot::read(Vec::new(), &[]), ballot(&[], &[]));
}

/// Somebody adds an option to a poll.
pub(super) fn addition(poll_id: &str, option: &str) -> Message {
    Message {
        poll_add_option_message: MessageField::some(PollAddOptionMessage {
            poll_creation_message_key: key(poll_id, true),
            add_option: MessageField::some(poll_creation_message::Option {
                option_name: Some(option.into()),
                ..poll_creation_message::Option::default()
            }),
            ..PollAddOptionMessage::default()
        }),
        ..Message::default()
    }
}

/// Somebody adds an option to a poll: a vote that names it beside others costs those their names otherwise.
#[test]
fn one_option_that_is_not_known_takes_no_name_from_the_others() {
    let known = ["Pizza".to_owned(), "Salad".to_owned()];
    let soup = compute_option_hash("Soup").to_vec();
    let hashes = vec![compute_option_hash("Salad").to_vec(), soup.clone()];
    assert_eq!(Ballot::read(hashes, &known), ballot(&["Salad"], &[soup]));
    let added = addition("3EB0CC33", "Soup");
    assert_eq!(addition_in(&added), Some(("3EB0CC33", "Soup")));
    let message = carried(direct(), &added);
    assert_eq!(message.content, "Soup");
    assert_eq!(extras(&message)["target"]["message_id"], "3EB0CC33");
}
