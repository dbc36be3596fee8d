use super::*;
use crate::{ClientId, outgoing::code};

fn key() -> ConnectionKey {
    ConnectionKey {
        client_id: ClientId(1),
        phone_number: "5511888888888".parse().unwrap(),
    }
}

fn told(news: News, place: Option<Place>) -> Told {
    Told {
        message_ids: vec!["A".into()],
        news,
        at: Timestamp(7000),
        place,
    }
}

fn heard(chat: &str, participant: Option<&str>) -> Place {
    Place {
        chat: chat.into(),
        to: "somebody".into(),
        to_lid: Some("somebody".into()),
        group: None,
        participant: participant.map(Into::into),
    }
}

/// What is told of each news in turn: the status, and the member.
fn story(to: &str, all: &[(News, Option<Place>)]) -> Vec<(SendStatus, Option<String>)> {
    let to: Recipient = to.parse().unwrap();
    let told = steps(&to, all).into_iter();
    told.map(|step| (step.status, step.place.participant)).collect()
}

/// The same with all that is told.
fn steps(to: &Recipient, all: &[(News, Option<Place>)]) -> Vec<StatusChange> {
    let mut progress = Progress::default();
    let (mut steps, mut chat) = (Vec::new(), None);
    for (news, place) in all {
        let after = progress
            .learn(news, Timestamp(7000))
            .unwrap_or_else(|| progress.clone());
        let told = told(news.clone(), place.clone());
        let row = Recorded {
            to,
            chat: chat.as_deref(),
            before: &progress,
            after: &after,
        };
        steps.extend(told.of_recorded(&key(), "A", &row));
        chat = told.chat_of(&row);
        progress = after;
    }
    steps
}

#[test]
fn a_rows_steps_are_told_once_in_their_order() {
    use SendStatus::{Delivered, Failed, Read, Sent};
    let chat = || Some(heard("1@s.whatsapp.net", None));
    let to = |all: &[(News, Option<Place>)]| {
        let steps = story("5511999999999", all);
        steps.into_iter().map(|(status, _)| status).collect::<Vec<_>>()
    };
    let (sent, delivered, read) = ((News::Sent, None), (News::Delivered, chat()), (News::Read, chat()));
    assert_eq!(
        to(&[
            (News::Started, None),
            sent.clone(),
            delivered.clone(),
            delivered.clone(),
            read.clone()
        ]),
        [Sent, Delivered, Read]
    );
    // The receiver was heard before the server's word was written.
    assert_eq!(to(&[delivered.clone(), sent.clone()]), [Sent, Delivered]);
    assert_eq!(to(&[sent.clone(), read.clone(), delivered.clone()]), [Sent, Read]);
    let unknown = (News::failed(code::UNKNOWN, "no answer"), None);
    assert_eq!(to(&[unknown.clone(), delivered]), [Failed, Delivered]);
    assert_eq!(to(&[unknown.clone(), sent.clone(), sent.clone()]), [Failed, Sent]);
    let refused = (News::failed("463", "no"), None);
    assert_eq!(
        to(&[unknown.clone(), refused.clone(), unknown, refused]),
        [Failed, Failed],
        "for sure now"
    );
    assert_eq!(to(&[sent, (News::failed("463", "no"), None)]), [Sent, Failed]);
}

#[test]
fn all_that_is_told_of_a_message_lies_in_one_chat() {
    // A Brazilian number with the ninth digit, which WhatsApp knows without.
    let to: Recipient = "5511999999999".parse().unwrap();
    let (real, given) = ("551199999999@s.whatsapp.net", "5511999999999@s.whatsapp.net");
    let named = || Some(heard(real, None));
    let chats = |all: &[(News, Option<Place>)]| {
        let steps = steps(&to, all);
        steps.into_iter().map(|step| step.place.chat).collect::<Vec<_>>()
    };
    let unknown = || News::failed(code::UNKNOWN, "no answer");
    // The answer that comes late says no place, and the failure before it none either.
    let late = [(unknown(), None), (News::Sent, None), (News::Delivered, named())];
    assert_eq!(chats(&late), [given; 3]);
    let timed_out = [(unknown(), named()), (News::Sent, None), (News::Delivered, named())];
    assert_eq!(chats(&timed_out), [real; 3]);
    let started = [(News::Started, named()), (unknown(), None), (News::Read, named())];
    assert_eq!(chats(&started), [real; 2]);
    let waited = [(News::Started, None), (News::NotStarted, None), (News::Sent, named())];
    assert_eq!(chats(&waited), [real], "nothing was told before");
    // A hidden id whose number became known in between.
    let hidden = || Some(heard("100000000000007@lid", None));
    let learned = [(News::Sent, hidden()), (News::Delivered, named())];
    assert_eq!(chats(&learned), ["100000000000007@lid"; 2]);
}

#[test]
fn a_hidden_receiver_is_marked_as_one_as_the_request_named_them() {
    let place = || Some(heard("100000000000007@lid", None));
    let extras = |to: &str| {
        let steps = steps(&to.parse().unwrap(), &[(News::Sent, place())]);
        let event = steps[0].event();
        let Some(Happening::Status { to, to_lid, .. }) = event.happening() else {
            panic!("{event:?}");
        };
        (to.clone(), to_lid.clone())
    };
    let digits = "100000000000007".to_owned();
    assert_eq!(extras("100000000000007@lid"), (digits.clone(), Some(digits)));
    assert_eq!(extras("5511999999999"), ("5511999999999".to_owned(), None));
}

#[test]
fn each_member_of_a_group_tells_of_themselves() {
    let of = |news, who| (news, Some(heard("1@g.us", Some(who))));
    let told = story(
        "1@g.us",
        &[
            of(News::Delivered, "a"),
            (News::Sent, None),
            of(News::Read, "a"),
            of(News::Delivered, "b"),
            // Nobody wanted to know who.
            (News::Read, None),
        ],
    );
    let told: Vec<(SendStatus, Option<&str>)> = told.iter().map(|(status, who)| (*status, who.as_deref())).collect();
    use SendStatus::{Delivered, Read, Sent};
    assert_eq!(
        told,
        [
            (Sent, None),
            (Delivered, Some("a")),
            (Read, Some("a")),
            (Delivered, Some("b"))
        ]
    );
}

#[test]
fn of_what_the_phone_sent_receivers_tell_and_nobody_else() {
    let place = || Some(heard("1@s.whatsapp.net", None));
    let of = |news, place| told(news, place).of_unrecorded(&key(), "A");
    let read = of(News::Read, place()).unwrap();
    assert_eq!(
        (read.status, read.place),
        (SendStatus::Read, heard("1@s.whatsapp.net", None))
    );
    assert_eq!(of(News::Read, None), None, "nobody looked where");
    for other in [News::Sent, News::Started, News::failed("463", "no")] {
        assert_eq!(of(other, place()), None);
    }
}

#[test]
fn an_event_is_in_the_chat_that_was_heard_and_to_whom_the_client_named() {
    let to: Recipient = "5511999999999".parse().unwrap();
    let step = |told: Told, status| {
        let after = Progress {
            status,
            error_code: Some("expired".into()).filter(|_| status == SendStatus::Failed),
            error: Some("it waited".into()).filter(|_| status == SendStatus::Failed),
            ..Progress::default()
        };
        let row = Recorded {
            to: &to,
            chat: None,
            before: &Progress::default(),
            after: &after,
        };
        told.of_recorded(&key(), "A", &row).remove(0).event()
    };
    let heard = step(
        told(News::Sent, Some(heard("551199999999@s.whatsapp.net", None))),
        SendStatus::Sent,
    );
    assert_eq!(heard.chat, "551199999999@s.whatsapp.net");
    assert_eq!(heard.happening().and_then(Happening::to), Some("5511999999999"));
    let failed = step(told(News::failed("expired", "it waited"), None), SendStatus::Failed);
    assert_eq!(failed.chat, "5511999999999@s.whatsapp.net");
    assert_eq!(
        failed.payload(ClientId(1), &key().phone_number),
        r#"{"client_id":1,"message_id":"A","from":"5511888888888","to":"5511999999999","timestamp":"1970-01-01T00:00:07Z","type":"failed","content":"it waited","event":"message.status","status":"failed","code":"expired"}"#
    );
    let hidden = Place::of(&"100000000000007@lid".parse().unwrap());
    assert_eq!(
        (hidden.chat.as_str(), hidden.to.as_str()),
        ("100000000000007@lid", "100000000000007")
    );
    assert_eq!(Place::of(&"1@g.us".parse().unwrap()).group.unwrap().id, "1@g.us");
}

#[test]
fn a_group_is_told_of_by_its_members_alone() {
    let (group, chat) = ("120363012345678901@g.us", |member| {
        Some(heard("120363012345678901@g.us", member))
    });
    assert_eq!(
        story(group, &[(News::Delivered, chat(None))]),
        [(SendStatus::Sent, None)]
    );
    let members = [
        (News::Sent, None),
        (News::Read, chat(None)),
        (News::Read, chat(Some("5511"))),
    ];
    let told = [(SendStatus::Sent, None), (SendStatus::Read, Some("5511".to_owned()))];
    assert_eq!(story(group, &members), told);
}

#[test]
fn a_message_keeps_its_chat_where_nothing_is_told_of_it() {
    let (to, progress) = ("5511999999999".parse().unwrap(), Progress::default());
    let row = |chat| Recorded {
        to: &to,
        chat,
        before: &progress,
        after: &progress,
    };
    let started = told(News::Started, None);
    assert_eq!(started.chat_of(&row(Some("1@lid"))).as_deref(), Some("1@lid"));
    assert_eq!(started.chat_of(&row(None)), None);
}

#[test]
fn a_code_of_whatsapps_is_told_with_the_message() {
    let to = "5511999999999".parse().unwrap();
    for (code, words) in [("463", "WhatsApp refused the message (463)"), (code::UNKNOWN, "why")] {
        let steps = steps(&to, &[(News::failed(code, "why"), None)]);
        let told: Vec<String> = steps.iter().map(|step| step.event().content).collect();
        assert_eq!(told, [words]);
    }
}

#[test]
fn each_who_got_a_status_update_tells_of_themselves_if_it_was_posted_here() {
    let of = |news, who| (news, Some(heard(STATUS, who)));
    let told = story(
        STATUS,
        &[
            of(News::Sent, None),
            of(News::Delivered, Some("a")),
            of(News::Read, Some("b")),
            // Nobody wanted to know who.
            (News::Played, None),
        ],
    );
    let told: Vec<(SendStatus, Option<&str>)> = told.iter().map(|(status, who)| (*status, who.as_deref())).collect();
    use SendStatus::{Delivered, Read, Sent};
    assert_eq!(told, [(Sent, None), (Delivered, Some("a")), (Read, Some("b"))]);
    let place = Some(heard(STATUS, Some("a")));
    let by_the_phone = self::told(News::Read, place);
    assert_eq!(by_the_phone.of_unrecorded(&key(), "A"), None);
}
