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
        shown: "5511999999999".into(),
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
    assert_eq!(message.happening().and_then(Happening::to), Some("5511999999999"));
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
    assert_eq!(target.from.as_deref(), Some("5511999999999"));
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

/// The phone's history says of a chat of two who wrote by `from_me` alone.
#[test]
fn what_it_quoted_in_the_history_is_the_other_ones_or_its_own() {
    use whatsapp_rust::waproto::whatsapp::{Conversation, WebMessageInfo};

    let own = (jid("5511888888888@s.whatsapp.net"), Some(jid(OWN_LID).to_non_ad()));
    let [number, hidden] = [PN, LID].map(|of| jid(of).to_non_ad_string());
    let chat = Chat::of(&Conversation {
        id: hidden.clone(),
        pn_jid: Some(number.clone()),
        ..Conversation::default()
    });
    let chat = chat.unwrap();
    let quoted_by = |author: &str, from_me| {
        let context = ContextInfo {
            stanza_id: Some("3EB0AA11".into()),
            participant: Some(author.into()),
            quoted_message: MessageField::some(conversation("before")),
            ..ContextInfo::default()
        };
        let written = WebMessageInfo {
            key: examples::key("3EB0C767", from_me),
            message_timestamp: Some(1_762_352_580),
            ..WebMessageInfo::default()
        };
        let info = info_of(&chat, &written, &own).unwrap();
        let mut around = around();
        around.people.know("100000012345678", "5511999999999");
        around.recipient = from_me.then(somebody);
        let answer = extended("so it is", context);
        let Converted::Message(message) = convert(&info, &answer, &around) else {
            panic!("{info:?}")
        };
        let from = extras(&message)["reply_to"].get("from").cloned();
        (message.from, from.map(|from| from.as_str().unwrap().to_owned()))
    };
    let (me, them) = ("5511888888888".to_owned(), "5511999999999".to_owned());
    for other in [&number, &hidden] {
        assert_eq!(quoted_by(other, true), (me.clone(), Some(them.clone())), "{other}");
        assert_eq!(quoted_by(other, false), (them.clone(), None), "{other}");
    }
    for self_ in [own.0.to_string(), own.1.as_ref().unwrap().to_string()] {
        assert_eq!(quoted_by(&self_, true), (me.clone(), None), "{self_}");
    }
}
