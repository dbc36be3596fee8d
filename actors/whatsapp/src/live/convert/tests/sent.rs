//! What the account sent from its phone.

use super::{examples::reaction, *};

const OWN_LID: &str = "100000099999999:1@lid";

fn to_somebody() -> MessageSource {
    MessageSource {
        is_from_me: true,
        recipient: Some(jid(PN).to_non_ad()),
        ..source(PN, OWN_LID, None)
    }
}

fn somebody() -> Party {
    Party {
        chat: jid(PN).to_non_ad_string(),
        shown: "5511888888888".into(),
        hidden: None,
        is_group: false,
    }
}

fn sent(source: MessageSource, message: &Message, recipient: Party) -> IncomingMessage {
    let around = Surroundings {
        recipient: Some(recipient),
        ..around()
    };
    carried_with(source, message, &around)
}

#[test]
fn it_is_in_the_chat_of_its_receiver_and_from_the_linked_number() {
    let message = sent(to_somebody(), &conversation("hello"), somebody());
    let came_in = carried(direct(), &conversation("hello"));
    assert_eq!(message.chat, came_in.chat);
    assert_eq!((message.from.as_str(), message.content.as_str()), (OWN, "hello"));
    assert_eq!(message.happening().and_then(Happening::to), Some("5511888888888"));
}

#[test]
fn a_receiver_whose_number_is_not_known_is_marked_as_hidden() {
    let hidden = Party {
        shown: "100000012345678".into(),
        hidden: Some("100000012345678".into()),
        ..somebody()
    };
    for (recipient, expected) in [(somebody(), None), (hidden, Some("100000012345678"))] {
        let message = sent(to_somebody(), &conversation("hello"), recipient);
        assert!(
            matches!(message.happening(), Some(Happening::Sent { to_lid, .. }) if to_lid.as_deref() == expected),
            "{message:?}"
        );
    }
}

#[test]
fn without_somebody_who_wants_it_it_is_nothing() {
    let skipped = convert(&info(to_somebody()), &conversation("hello"), &around());
    assert_eq!(skipped, Converted::Skipped("sent by this account"));
}

#[test]
fn what_it_answers_is_the_other_ones() {
    let mut reaction = reaction("👍");
    if let Some(reaction) = reaction.reaction_message.as_option_mut() {
        reaction.key = examples::key("3EB0AA11", false);
    }
    let message = sent(to_somebody(), &reaction, somebody());
    let target = message.details.unwrap().target.unwrap();
    assert_eq!(target.from.as_deref(), Some("5511888888888"));
}

#[test]
fn keys_and_settings_are_not_for_anybody() {
    let mut info = info(to_somebody());
    info.category = MessageCategory::Peer;
    let around = Surroundings {
        recipient: Some(somebody()),
        ..around()
    };
    let skipped = convert(&info, &conversation("hello"), &around);
    assert_eq!(skipped, Converted::Skipped("between devices of this account"));
}
