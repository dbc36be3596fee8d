//! What stands around a message: what it belongs to, what it comments on, what it answers, where its sender came from.

use serde_json::json;
use whatsapp_rust::waproto::whatsapp::{
    MessageAssociation, MessageContextInfo,
    context_info::ExternalAdReplyInfo,
    message::{CommentMessage, ImageMessage, protocol_message::Type},
    message_association::AssociationType,
};

use super::{examples::key, *};

fn image(caption: Option<&str>) -> Message {
    Message {
        image_message: MessageField::some(ImageMessage {
            caption: caption.map(str::to_owned),
            ..ImageMessage::default()
        }),
        ..Message::default()
    }
}

pub(super) fn associated(
    kind: Option<AssociationType>,
    parent: MessageField<MessageKey>,
) -> MessageField<MessageContextInfo> {
    MessageField::some(MessageContextInfo {
        message_association: MessageField::some(MessageAssociation {
            association_type: kind,
            parent_message_key: parent,
            ..MessageAssociation::default()
        }),
        ..MessageContextInfo::default()
    })
}

#[test]
fn a_part_of_several_says_what_it_belongs_to() {
    for (kind, told) in [
        (AssociationType::HD_IMAGE_DUAL_UPLOAD, "hd"),
        (AssociationType::HD_VIDEO_DUAL_UPLOAD, "hd"),
        (AssociationType::HEVC_VIDEO_DUAL_UPLOAD, "hd"),
        (AssociationType::MOTION_PHOTO, "motion"),
        (AssociationType::MEDIA_ALBUM, "album"),
        (AssociationType::MEDIA_POLL, "poll"),
        (AssociationType::EVENT_COVER_IMAGE, "event_cover"),
        (AssociationType::STATUS_QUESTION, "status"),
        (AssociationType::UNKNOWN, "other"),
    ] {
        let parent = || associated(Some(kind), key("3EB0AA11", true));
        let part_of = json!({"kind": told, "message_id": "3EB0AA11"});
        // As phones send it: around the wrapper, or, of an album, beside the picture itself.
        let around = Message {
            associated_child_message: wrapped(image(None)),
            message_context_info: parent(),
            ..Message::default()
        };
        let beside = Message {
            message_context_info: parent(),
            ..image(None)
        };
        for message in [around, beside] {
            let message = carried(direct(), &message);
            assert_eq!(message.kind, MessageKind::Image);
            assert_eq!(extras(&message)["part_of"], part_of);
        }
    }
    let of_nothing = [
        associated(None, key("3EB0AA11", true)),
        associated(Some(AssociationType::MEDIA_ALBUM), MessageField::none()),
        associated(Some(AssociationType::MEDIA_ALBUM), key("", true)),
    ];
    for message_context_info in of_nothing {
        let message = Message {
            message_context_info,
            ..image(None)
        };
        assert_eq!(extras(&carried(direct(), &message)).get("part_of"), None);
    }
}

fn post() -> MessageKey {
    MessageKey {
        participant: Some("100000087654321@lid".into()),
        ..key("3EB0AA11", false).as_option().unwrap().clone()
    }
}

#[test]
fn a_comment_names_what_it_comments_on() {
    let target = json!({"message_id": "3EB0AA11", "from": "5511977776666"});
    let mut around = around();
    around.people.know("100000087654321", "5511977776666");
    // An encrypted one comes as what is in it, and with it what it is about.
    let opened = MessageInfo {
        comment_target: Some(post()),
        ..info(source(GROUP, PN, None))
    };
    let wrapped = Message {
        comment_message: MessageField::some(CommentMessage {
            message: MessageField::some(conversation("fine")),
            target_message_key: MessageField::some(post()),
        }),
        ..Message::default()
    };
    for (info, message) in [(opened, conversation("fine")), (info(source(GROUP, PN, None)), wrapped)] {
        assert_eq!(hidden_in(&info, &message), [jid("100000087654321@lid")]);
        let Converted::Message(comment) = convert(&info, &message, &around) else {
            panic!("skipped")
        };
        assert_eq!((comment.kind, comment.content.as_str()), (MessageKind::Text, "fine"));
        assert_eq!(extras(&comment)["target"], target);
    }
    let empty = Message {
        comment_message: MessageField::some(CommentMessage {
            target_message_key: MessageField::some(post()),
            ..CommentMessage::default()
        }),
        ..Message::default()
    };
    let comment = carried_with(source(GROUP, PN, None), &empty, &around);
    assert_eq!(
        (comment.kind, comment.content.as_str()),
        (MessageKind::Unknown, "A comment")
    );
    assert_eq!(extras(&comment)["target"], target);
}

#[test]
fn a_status_update_in_a_group_makes_no_event() {
    let first = Message {
        group_status_message: wrapped(image(Some("today"))),
        ..Message::default()
    };
    let second = Message {
        ephemeral_message: wrapped(Message {
            group_status_message_v2: wrapped(conversation("today")),
            ..Message::default()
        }),
        ..Message::default()
    };
    for message in [first, second] {
        assert_eq!(skipped(source(GROUP, PN, None), &message), "a status update");
    }
}

#[test]
fn an_edit_that_takes_the_caption_away_has_no_words() {
    for (caption, words) in [(None, ""), (Some(""), ""), (Some("better"), "better")] {
        let edit = protocol(ProtocolMessage {
            key: key("3EB0AA11", true),
            r#type: Some(Type::MESSAGE_EDIT),
            edited_message: MessageField::some(image(caption)),
            ..ProtocolMessage::default()
        });
        let edit = carried(direct(), &edit);
        assert_eq!((edit.kind, edit.content.as_str()), (MessageKind::Edit, words));
    }
}

#[test]
fn a_bot_is_no_number() {
    let bot = source(GROUP, "867051314767696@bot", None);
    let message = carried(bot, &conversation("hi"));
    assert_eq!(message.from, "867051314767696@bot");
    assert_eq!(extras(&message).get("from_lid"), None);
    let quoted = ContextInfo {
        stanza_id: Some("3EB0BB22".into()),
        participant: Some("120363000000000002@newsletter".into()),
        ..ContextInfo::default()
    };
    let quoting = carried(direct(), &extended("look", quoted));
    assert_eq!(extras(&quoting)["reply_to"]["from"], "120363000000000002@newsletter");
}

fn answer(quoted: Message) -> ContextInfo {
    ContextInfo {
        stanza_id: Some("3EB0BB22".into()),
        participant: Some(format!("{OWN}@s.whatsapp.net")),
        quoted_message: MessageField::some(quoted),
        ..ContextInfo::default()
    }
}

#[test]
fn an_answer_says_what_it_answers() {
    let long = "ü".repeat(1200);
    for (quoted, kind, text) in [
        (conversation("when?"), Some("text"), Some("when?")),
        (conversation(&long), Some("text"), Some(&long[..2000])),
        (image(Some("the harbour")), Some("image"), Some("the harbour")),
        (examples::poll(), Some("poll"), Some("Lunch?")),
        // What is in what is quoted is not looked at any more.
        (
            extended("when?", answer(conversation("x"))),
            Some("text"),
            Some("when?"),
        ),
        // Phones leave a quotation empty, or quote what cannot be read.
        (conversation(""), None, None),
        (Message::default(), None, None),
    ] {
        let message = carried(direct(), &extended("now", answer(quoted)));
        let mut told = json!({"message_id": "3EB0BB22", "from": OWN});
        for (key, value) in [("type", kind), ("text", text)] {
            if let Some(value) = value {
                told[key] = value.into();
            }
        }
        assert_eq!(extras(&message)["reply_to"], told);
    }
    let of_a_status = ContextInfo {
        remote_jid: Some("status@broadcast".into()),
        ..answer(image(None))
    };
    let message = carried(direct(), &extended("nice", of_a_status));
    assert_eq!(
        extras(&message)["reply_to"],
        json!({"message_id": "3EB0BB22", "from": OWN, "status": true, "type": "image", "text": "Image"})
    );
}

#[test]
fn all_of_a_group_are_mentioned_without_a_name() {
    let context = |mentions| ContextInfo {
        non_jid_mentions: Some(mentions),
        ..ContextInfo::default()
    };
    let message = carried(source(GROUP, PN, None), &extended("@all look", context(1)));
    assert_eq!(extras(&message)["mentions_all"], true);
    assert_eq!(carried(direct(), &extended("hi", context(0))).details, None);
}

/// A number is as its own whole digits only, of a hidden id that is mentioned and known.
#[test]
fn who_is_mentioned_is_named_alike_in_the_words_and_beside_them() {
    let mentioning = |jids: &[&str]| ContextInfo {
        mentioned_jid: jids.iter().map(|jid| (*jid).to_owned()).collect(),
        ..ContextInfo::default()
    };
    let context = || {
        mentioning(&[
            "100000087654321@lid",
            "100000012345678@lid",
            "5511777777777@s.whatsapp.net",
        ])
    };
    let mut around = around();
    around.people.know("100000087654321", "5511666666666");
    around.people.know("100000000000009", "5511555555555");
    let words = "@100000087654321 @@100000087654321, @100000012345678 @1000000876543210 @100000000000009 \
                 100000087654321 @5511777777777 @";
    let told = "@5511666666666 @@5511666666666, @100000012345678 @1000000876543210 @100000000000009 \
                100000087654321 @5511777777777 @";
    let picture = Message {
        image_message: MessageField::some(ImageMessage {
            caption: Some(words.into()),
            context_info: MessageField::some(context()),
            ..ImageMessage::default()
        }),
        ..Message::default()
    };
    let edit = |edited: &Message| {
        protocol(ProtocolMessage {
            key: key("3EB0AA11", true),
            r#type: Some(Type::MESSAGE_EDIT),
            edited_message: MessageField::some(edited.clone()),
            ..ProtocolMessage::default()
        })
    };
    let text = extended(words, context());
    for message in [&text, &picture, &edit(&text), &edit(&picture)] {
        let carried = carried_with(source(GROUP, PN, None), message, &around);
        assert_eq!(carried.content, told);
        let extras = extras(&carried);
        assert_eq!(
            extras["mentions"],
            json!(["5511666666666", "100000012345678", "5511777777777"])
        );
        if let Some(caption) = extras.get("caption") {
            assert_eq!(caption, told);
        }
    }
    let quoting = extended("look", answer(extended("@100000087654321 when?", context())));
    let looked_up = hidden_in(&info(source(GROUP, PN, None)), &quoting);
    assert_eq!(looked_up, [jid("100000087654321@lid"), jid("100000012345678@lid")]);
    let quoting = carried_with(source(GROUP, PN, None), &quoting, &around);
    assert_eq!(extras(&quoting)["reply_to"]["text"], "@5511666666666 when?");
}

pub(super) fn from_an_ad() -> Message {
    let ad = ExternalAdReplyInfo {
        title: Some("Harbour tours".into()),
        body: Some("Every day at ten".into()),
        source_type: Some("ad".into()),
        source_id: Some("120210000000000001".into()),
        source_url: Some("https://fb.me/2abcDEF".into()),
        source_app: Some("instagram".into()),
        ctwa_clid: Some("ARAkLkA8rmlFeiCktEJQ".into()),
        thumbnail: Some(vec![0xFF; 4000]),
        ..ExternalAdReplyInfo::default()
    };
    let context = ContextInfo {
        external_ad_reply: MessageField::some(ad),
        entry_point_conversion_source: Some("ctwa_ad".into()),
        ..ContextInfo::default()
    };
    extended("Is there room tomorrow?", context)
}

#[test]
fn who_comes_from_an_advertisement_says_which() {
    let context = |entry_point: &str, ad: Option<ExternalAdReplyInfo>| ContextInfo {
        external_ad_reply: ad.map_or_else(MessageField::none, MessageField::some),
        entry_point_conversion_source: Some(entry_point.into()),
        entry_point_conversion_app: Some("facebook".into()),
        ctwa_payload: Some(vec![0xFF; 100]),
        ..ContextInfo::default()
    };
    // WhatsApp may say that it was one, and no more.
    let sealed = carried(direct(), &extended("hi", context("ctwa_ad", None)));
    let told = json!({"entry_point": "ctwa_ad", "app": "facebook"});
    assert_eq!(extras(&sealed)["referral"], told);
    // How else a chat was begun leaves a plain text what it is.
    for begun in ["global_search_new_chat", "click_to_chat_link", ""] {
        assert_eq!(carried(direct(), &extended("hi", context(begun, None))).details, None);
    }
    let endless = ExternalAdReplyInfo {
        title: Some("t".repeat(5000)),
        source_url: Some("u".repeat(5000)),
        ..ExternalAdReplyInfo::default()
    };
    let endless = carried(direct(), &extended("hi", context("", Some(endless))));
    let told = json!({"title": "t".repeat(1000), "app": "facebook"});
    assert_eq!(extras(&endless)["referral"], told);
}
