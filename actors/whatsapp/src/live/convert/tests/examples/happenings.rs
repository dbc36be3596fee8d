//! The examples of events that are no messages.

use wharf_domain::{
    ConnectionKey, ConnectionStatus, SendStatus,
    message::{Call, CallState, ConnectionChange, Group, GroupChange, Happening, Presence, PresenceState},
    outgoing::{Place, StatusChange, code},
    session::ReasonCode,
};

use whatsapp_rust::wacore::stanza::groups::GroupNotificationAction;
use whatsapp_rust::wacore_binary::builder::NodeBuilder;

use super::*;
use crate::live::convert::told::change_of;

fn party(number: &str) -> Party {
    Party {
        chat: format!("{number}@s.whatsapp.net"),
        shown: number.into(),
        hidden: None,
        is_group: false,
    }
}

fn crew() -> Party {
    Party {
        chat: GROUP.into(),
        shown: GROUP.into(),
        hidden: None,
        is_group: true,
    }
}

const MARIA: &str = "5511999999999";

fn scene<'a>(chat: &'a Party, id: &'a str) -> Scene<'a> {
    Scene {
        chat,
        id,
        at: Timestamp::from_seconds(1_762_352_580),
    }
}

fn named_group(mut message: IncomingMessage) -> IncomingMessage {
    let group = message.details.as_mut().and_then(|details| details.group.as_mut());
    group.unwrap().subject = Some("Harbour".into());
    message
}

fn from_the_phone() -> IncomingMessage {
    let around = Surroundings {
        recipient: Some(party(MARIA)),
        ..around()
    };
    let own = MessageSource {
        is_from_me: true,
        ..source(PN, "5511888888888@s.whatsapp.net", None)
    };
    let mut info = info(own);
    info.push_name = String::new();
    match convert(&info, &conversation("On my way"), &around) {
        Converted::Message(message) => *message,
        Converted::Skipped(reason) => panic!("skipped as {reason}"),
    }
}

fn posted() -> IncomingMessage {
    carried(
        source("status@broadcast", LID, Some("5511999999999@s.whatsapp.net")),
        &conversation("Open until eight today"),
    )
}

fn connection() -> IncomingMessage {
    let connection = ConnectionChange {
        status: ConnectionStatus::LoggedOut,
        reason: Some("the device was unlinked".into()),
        reason_code: ReasonCode::Unlinked,
        jid: None,
    };
    IncomingMessage {
        message_id: String::new(),
        from: OWN.into(),
        content: "the device was unlinked".into(),
        details: Some(Box::new(Details {
            happening: Some(Happening::Connection { connection }),
            ..Details::default()
        })),
        ..carried(direct(), &conversation("-"))
    }
}

fn joined() -> IncomingMessage {
    let change = GroupChange {
        what: "add".into(),
        participants: vec!["5511977776666".into()],
        ..GroupChange::default()
    };
    named_group(scene(&crew(), "2513044291").group(&party(MARIA), change))
}

fn linked() -> IncomingMessage {
    let community = Group {
        id: "120363000000000002@g.us".into(),
        subject: Some("Old town".into()),
    };
    let change = GroupChange {
        what: "link".into(),
        link_type: Some("parent_group".into()),
        linked_groups: vec![community],
        ..GroupChange::default()
    };
    named_group(scene(&crew(), "2513044292").group(&party(MARIA), change))
}

fn ringing() -> IncomingMessage {
    let call = Call {
        id: "A1B2C3D4".into(),
        state: CallState::Offer,
        video: Some(true),
        rejected: false,
        reason: None,
        seconds: None,
    };
    scene(&party(MARIA), "A1B2C3D4").call(&party(MARIA), call)
}

fn offline() -> IncomingMessage {
    let presence = Presence {
        state: PresenceState::Unavailable,
        last_seen: Some(Timestamp::from_seconds(1_762_352_520)),
    };
    scene(&party(MARIA), "").presence(&party(MARIA), presence)
}

/// How far a message has come, or why it came no further.
fn step(to: &str, status: SendStatus, failure: Option<(&str, &str)>) -> IncomingMessage {
    told_of(Place::of(&to.parse().unwrap()), status, failure).event()
}

fn read_by_a_member() -> IncomingMessage {
    let place = Place {
        participant: Some(MARIA.into()),
        ..Place::of(&GROUP.parse().unwrap())
    };
    named_group(told_of(place, SendStatus::Read, None).event())
}

fn told_of(place: Place, status: SendStatus, failure: Option<(&str, &str)>) -> StatusChange {
    let (error_code, error) = failure.map(|(code, error)| (code.into(), error.into())).unzip();
    StatusChange {
        key: ConnectionKey::new(ClientId(1), OWN.parse().unwrap()),
        message_id: "3EB0C767".into(),
        status,
        error_code,
        error,
        at: Timestamp::from_seconds(1_762_352_580),
        place,
    }
}

/// Every example by its heading.
pub(super) fn examples() -> Vec<(&'static str, IncomingMessage)> {
    vec![
        ("`message.sent`", from_the_phone()),
        ("`message.status`", step(MARIA, SendStatus::Delivered, None)),
        (
            "A message that was refused",
            step(MARIA, SendStatus::Failed, Some(("463", "WhatsApp refused it"))),
        ),
        (
            "A message that waited for too long",
            step(
                MARIA,
                SendStatus::Failed,
                Some((code::EXPIRED, "it was not sent within 300 s")),
            ),
        ),
        ("A member of a group has read", read_by_a_member()),
        ("`connection`", connection()),
        ("`group`", joined()),
        ("A group that comes into a community", linked()),
        ("`call`", ringing()),
        ("`presence`", offline()),
        ("`status`", posted()),
    ]
}

#[test]
fn groups_that_leave_a_community_are_told_by_either_address() {
    let by = |key: &'static str, id: &str| NodeBuilder::new("group").attr(key, id);
    let raw = NodeBuilder::new("unlink").children([
        by("id", "120363000000000002").attr("subject", "Old town").build(),
        by("jid", "120363000000000003@g.us").build(),
        by("name", "nothing that says which").build(),
    ]);
    let action = GroupNotificationAction::Unlink {
        unlink_type: "sub_group".into(),
        unlink_reason: Some("delete_parent".into()),
        raw: raw.build(),
    };
    let change = change_of(&action, Vec::new());
    let group = |id: &str, subject: Option<&str>| Group {
        id: id.into(),
        subject: subject.map(Into::into),
    };
    let groups = [
        group("120363000000000002@g.us", Some("Old town")),
        group("120363000000000003@g.us", None),
    ];
    assert_eq!(
        (change.reason.as_deref(), change.linked_groups.as_slice()),
        (Some("delete_parent"), &groups[..])
    );
    let told = scene(&crew(), "2513044293").group(&party(MARIA), change);
    assert_eq!(told.content, "Unlinked Old town, 120363000000000003@g.us");
}
