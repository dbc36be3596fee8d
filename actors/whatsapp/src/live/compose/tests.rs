use serde_json::{Value, json};

use super::*;

const SCENE: Scene<'static> = Scene {
    chat: "5511999999999@s.whatsapp.net",
    own: "5511888888888",
    now_ms: 7,
    known: &[],
    expires: None,
};
const GROUP: Scene<'static> = Scene {
    chat: "120363000000000001@g.us",
    ..SCENE
};

fn recipient(text: &str) -> Recipient {
    text.parse().unwrap()
}

fn outgoing(mut body: Value, scene: &Scene<'_>) -> Outgoing {
    body["to"] = scene.chat.into();
    serde_json::from_value(body).unwrap()
}

fn made(body: Value) -> Message {
    compose(&outgoing(body, &SCENE), &SCENE).unwrap()
}

#[test]
fn a_plain_text_is_bare() {
    let text = made(json!({"type": "text", "text": "hello"}));
    assert_eq!(text.conversation.as_deref(), Some("hello"));
    assert!(text.extended_text_message.is_unset());
}

#[test]
fn an_answer_quotes_and_mentions() {
    let text = made(
        json!({"type": "text", "text": "@5511777777777 hi", "mentions": ["5511777777777"],
        "reply_to": {"message_id": "Q", "text": "before"},
        "link_preview": {"url": "https://a.b/c", "title": "A", "description": "B"}}),
    );
    let text = text.extended_text_message.as_option().unwrap();
    assert_eq!(text.matched_text.as_deref(), Some("https://a.b/c"));
    let context = text.context_info.as_option().unwrap();
    assert_eq!(context.mentioned_jid, ["5511777777777@s.whatsapp.net"]);
    assert_eq!(context.stanza_id.as_deref(), Some("Q"));
    assert_eq!(
        context.participant.as_deref(),
        Some(SCENE.chat),
        "the other one wrote it"
    );
    let quoted = context.quoted_message.as_option().unwrap();
    assert_eq!(quoted.conversation.as_deref(), Some("before"));
}

#[test]
fn places_and_cards() {
    let place = made(
        json!({"type": "location", "latitude": 1.5, "longitude": -2.5, "name": "Here",
        "reply_to": {"message_id": "Q"}}),
    );
    let place = place.location_message.as_option().unwrap();
    assert_eq!(
        (place.degrees_latitude, place.degrees_longitude),
        (Some(1.5), Some(-2.5))
    );
    assert!(place.context_info.is_set());
    let ana = json!({"name": "Ana; Lima", "phone_number": "5511777777777", "organization": "Acme"});
    let one = made(json!({"type": "contact", "contacts": [ana]}));
    let vcard = one.contact_message.as_option().unwrap().vcard.clone().unwrap();
    assert!(vcard.contains("FN:Ana\\; Lima\n") && vcard.contains("waid=5511777777777:+5511777777777\n"));
    assert!(vcard.contains("ORG:Acme;\n"));
    let two = made(json!({"type": "contact", "contacts": [ana, ana]}));
    assert_eq!(two.contacts_array_message.as_option().unwrap().contacts.len(), 2);
}

#[test]
fn polls_of_one_choice_and_of_several() {
    let of = |count: u32| {
        let poll = json!({"question": "?", "options": ["a", "b", "c"], "selectable_count": count});
        made(json!({"type": "poll", "poll": poll}))
    };
    let one = of(1);
    assert!(one.poll_creation_message_v3.is_set() && one.poll_creation_message.is_unset());
    let (several, other) = (of(0), of(0));
    assert_eq!(several.poll_creation_message.as_option().unwrap().options.len(), 3);
    let secret = |message: &Message| {
        message
            .message_context_info
            .as_option()
            .unwrap()
            .message_secret
            .clone()
            .unwrap()
    };
    assert_eq!(secret(&several).len(), 32);
    assert_ne!(secret(&several), secret(&other));
}

#[test]
fn whose_message_is_meant() {
    let reaction = |target: Value, scene: &Scene<'_>| {
        let outgoing = outgoing(json!({"type": "reaction", "emoji": "👍", "target": target}), scene);
        compose(&outgoing, scene).map(|message| {
            let reaction = message.reaction_message.as_option().unwrap();
            let key = reaction.key.as_option().unwrap();
            (key.from_me.unwrap(), key.participant.clone())
        })
    };
    assert_eq!(reaction(json!({"message_id": "M"}), &SCENE), Ok((false, None)));
    let own = json!({"message_id": "M", "from": SCENE.own});
    assert_eq!(reaction(own.clone(), &SCENE), Ok((true, None)));
    assert_eq!(reaction(own, &GROUP), Ok((true, None)));
    let other = json!({"message_id": "M", "from": "5511777777777"});
    let participant = Some("5511777777777@s.whatsapp.net".to_owned());
    assert_eq!(reaction(other, &GROUP), Ok((false, participant)));
    assert!(
        reaction(json!({"message_id": "M"}), &GROUP)
            .unwrap_err()
            .contains("target.from")
    );
}

#[test]
fn what_is_said_in_a_chat_with_a_timer_brings_it_along() {
    let timed = Scene {
        expires: Some(604_800),
        ..SCENE
    };
    let expires = |body: Value| {
        let message = compose(&outgoing(body, &timed), &timed).unwrap();
        message.get_ephemeral_expiration()
    };
    for body in [
        json!({"type": "text", "text": "hi"}),
        json!({"type": "text", "text": "hi", "reply_to": {"message_id": "Q"}}),
        json!({"type": "forward", "text": "hi"}),
        json!({"type": "location", "latitude": 1.0, "longitude": 2.0}),
        json!({"type": "contact", "contacts": [{"name": "Ana", "phone_number": "5511988888888"}]}),
        json!({"type": "poll", "poll": {"question": "?", "options": ["a", "b"], "selectable_count": 1}}),
    ] {
        assert_eq!(expires(body.clone()), Some(604_800), "{body}");
    }
    for body in [
        json!({"type": "reaction", "target": {"message_id": "X"}, "emoji": "👍"}),
        json!({"type": "revoke", "target": {"message_id": "X"}}),
    ] {
        assert_eq!(expires(body.clone()), None, "{body}");
    }
}

#[test]
fn a_group_that_knows_hidden_ids_is_told_those() {
    let known = [(recipient("5511777777777"), Jid::lid("100000000000007"))];
    let scene = Scene { known: &known, ..GROUP };
    let body = json!({"type": "text", "text": "@5511777777777 hi", "mentions": ["5511777777777"],
        "reply_to": {"message_id": "Q", "from": "5511777777777"}});
    let outgoing = outgoing(body, &scene);
    assert_eq!(named(&outgoing).len(), 2);
    let text = compose(&outgoing, &scene).unwrap();
    let text = text.extended_text_message.as_option().unwrap();
    assert_eq!(text.text.as_deref(), Some("@100000000000007 hi"));
    let context = text.context_info.as_option().unwrap();
    assert_eq!(context.mentioned_jid, ["100000000000007@lid"]);
    assert_eq!(context.participant.as_deref(), Some("100000000000007@lid"));
}

/// Of somebody who is given by the hidden id, and of one whose number is written in the other way.
#[test]
fn a_group_that_knows_numbers_is_told_those() {
    let known = [
        (recipient("100000000000007@lid"), Jid::pn("5511777777777")),
        (recipient("5511966666666"), Jid::pn("551166666666")),
    ];
    let scene = Scene { known: &known, ..GROUP };
    let body = json!({"type": "text", "text": "@100000000000007 @5511966666666 @100000000000008",
        "mentions": ["100000000000007@lid", "5511966666666", "100000000000008@lid"]});
    let text = compose(&outgoing(body, &scene), &scene).unwrap();
    let text = text.extended_text_message.as_option().unwrap();
    assert_eq!(
        text.text.as_deref(),
        Some("@5511777777777 @551166666666 @100000000000008")
    );
    let mentioned = [
        "5511777777777@s.whatsapp.net",
        "551166666666@s.whatsapp.net",
        "100000000000008@lid",
    ];
    assert_eq!(text.context_info.as_option().unwrap().mentioned_jid, mentioned);
}

#[test]
fn everybody_is_mentioned_without_a_name() {
    for body in [
        json!({"type": "text", "text": "@all look", "mentions": "all"}),
        json!({"type": "text", "text": "@all look", "mentions": "all",
            "reply_to": {"message_id": "Q", "from": "5511777777777"}}),
    ] {
        let outgoing = outgoing(body, &GROUP);
        let text = compose(&outgoing, &GROUP).unwrap();
        let text = text.extended_text_message.as_option().unwrap();
        assert_eq!(text.text.as_deref(), Some("@all look"));
        let context = text.context_info.as_option().unwrap();
        assert_eq!((context.non_jid_mentions, context.mentioned_jid.len()), (Some(1), 0));
        assert_eq!(context.stanza_id.is_some(), outgoing.reply_to.is_some());
    }
}

/// Numbers have 8 to 15 digits, so that one may be the beginning of another, or of a hidden id.
#[test]
fn a_mention_is_the_whole_number() {
    let known = [
        (recipient("55117777"), Jid::lid("5511777799")),
        (recipient("5511777799"), Jid::lid("100000000000007")),
    ];
    let scene = Scene { known: &known, ..GROUP };
    let body = json!({"type": "text", "text": "@ @@5511777799, @55117777! a@55117777.example @551177 @",
        "mentions": ["55117777", "5511777799"]});
    let text = compose(&outgoing(body, &scene), &scene).unwrap();
    assert_eq!(
        text.extended_text_message.as_option().unwrap().text.as_deref(),
        Some("@ @@100000000000007, @5511777799! a@5511777799.example @551177 @")
    );
}

#[test]
fn edits_and_deletions_are_about_our_own_unless_said_otherwise() {
    let edit = made(json!({"type": "edit", "text": "new", "target": {"message_id": "M"}}));
    let edit = edit.protocol_message.as_option().unwrap();
    assert_eq!(edit.key.as_option().unwrap().from_me, Some(true));
    assert_eq!(
        edit.edited_message.as_option().unwrap().conversation.as_deref(),
        Some("new")
    );
    let revoke = json!({"type": "revoke", "target": {"message_id": "M", "from": "5511777777777"}});
    let revoke = compose(&outgoing(revoke, &GROUP), &GROUP).unwrap();
    let key = revoke.protocol_message.as_option().unwrap().key.clone();
    let key = key.as_option().unwrap();
    assert_eq!((key.from_me, key.participant.is_some()), (Some(false), true));
}

/// Words alone would leave a file's caption as it is.
#[test]
fn an_edit_of_a_caption_is_of_the_files_kind() {
    let edited = |kind: Value, mentions: Value| {
        let body = json!({"type": "edit", "text": "new @5511777777777", "target": {"message_id": "M"},
            "caption_of": kind, "mentions": mentions});
        let edit = made(body).protocol_message.into_option().unwrap();
        edit.edited_message.into_option().unwrap()
    };
    for kind in ["image", "video", "document"] {
        let edited = edited(kind.into(), json!([]));
        assert_eq!(edited.get_caption(), Some("new @5511777777777"), "{kind}");
        assert_eq!(
            (
                edited.image_message.is_set(),
                edited.video_message.is_set(),
                edited.document_with_caption_message.is_set()
            ),
            (kind == "image", kind == "video", kind == "document")
        );
    }
    let mentioned = json!(["5511777777777"]);
    let image = edited("image".into(), mentioned.clone())
        .image_message
        .into_option()
        .unwrap();
    let text = edited(Value::Null, mentioned)
        .extended_text_message
        .into_option()
        .unwrap();
    for context in [image.context_info, text.context_info] {
        let mentioned = context.into_option().unwrap().mentioned_jid;
        assert_eq!(mentioned, ["5511777777777@s.whatsapp.net"]);
    }
}

#[test]
fn a_forwarded_text_is_marked() {
    let text = made(json!({"type": "forward", "text": "again"}));
    let text = text.extended_text_message.as_option().unwrap();
    assert_eq!(text.text.as_deref(), Some("again"));
    assert_eq!(text.context_info.as_option().unwrap().is_forwarded, Some(true));
}

#[test]
fn a_status_update_stands_on_a_colour() {
    let scene = Scene {
        chat: "status@broadcast",
        ..SCENE
    };
    let made = |body: Value| compose(&outgoing(body, &scene), &scene).unwrap();
    let to = json!(["5511777777777"]);
    let text =
        made(json!({"type": "text", "text": "hello", "recipients": to, "background_color": "#102030", "font": 9}));
    assert_eq!(text.conversation, None);
    let text = text.extended_text_message.as_option().unwrap();
    assert_eq!(
        (text.text.as_deref(), text.background_argb),
        (Some("hello"), Some(0xFF10_2030))
    );
    assert_eq!(
        (text.text_argb, text.font),
        (Some(WHITE), Some(FontType::EXO2_EXTRABOLD))
    );
    let plain = made(json!({"type": "text", "text": "hello", "recipients": to}));
    let plain = plain.extended_text_message.as_option().unwrap();
    assert_eq!((plain.background_argb, plain.font), (Some(0xFF1E_6E4F), None));
    let gone = made(json!({"type": "revoke", "target": {"message_id": "X"}, "recipients": to}));
    let key = gone.protocol_message.as_option().unwrap().key.as_option().unwrap();
    assert_eq!(
        (key.remote_jid.as_deref(), key.from_me, key.participant.as_deref()),
        (Some("status@broadcast"), Some(true), None)
    );
}
