//! What comes of what the desk is asked for.

use std::sync::atomic::Ordering;

use wharf_actors::{GatewayError, IdempotencyKey, NewContent, NewFile, NewMessage, SentMessage};
use wharf_domain::{
    ClientId, PhoneNumber, Recipient, SendStatus, Timestamp,
    action::{
        Action, Blocked, Business, ContactInfo, Done, GroupInfo, InviteLink, InvitedGroup, JoinRequest, Joined,
        MemberAddMode, NumberCheck, ParticipantChange, Picture, ProfileInfo,
    },
    outgoing::Content,
};
use wharf_store::{ByNumber, PullPage, PullQuery};

use super::{CODE, FILE_MAX, FakeDesk, GROUP, ID, event};

/// The part of a list that is in the order of numbers.
pub(super) fn part_of<T>(mut all: Vec<T>, part: &ByNumber, number: fn(&T) -> &PhoneNumber) -> Vec<T> {
    all.retain(|one| part.after.as_ref().is_none_or(|after| number(one) > after));
    all.truncate(part.limit as usize);
    all
}

/// The place of any other event than the one there is is lost.
pub(super) fn pulled(client: ClientId, pull: PullQuery) -> Result<PullPage, GatewayError> {
    let here = format!("{}{:016x}", ID.simple(), 0).parse().unwrap();
    let events = match pull.after {
        None if client == ClientId(1) => vec![event()],
        None => vec![],
        Some(after) if after == here && client == ClientId(1) => vec![],
        Some(_) => return Err(GatewayError::Gone("pull again without `after`")),
    };
    Ok(PullPage {
        next_cursor: here,
        events,
    })
}

/// The text says how it goes.
pub(super) async fn send(
    desk: &FakeDesk,
    message: NewMessage,
    key: Option<IdempotencyKey>,
) -> Result<SentMessage, GatewayError> {
    let text = match &message.content {
        NewContent::Own(Content::Text { text, .. }) => text.as_str(),
        _ => "",
    };
    if let NewContent::Media(media) = &message.content
        && let NewFile::Received { file, .. } = &media.file
    {
        desk.file_size.store(file.size, Ordering::Relaxed);
        if file.size <= FILE_MAX {
            *desk.file.lock().unwrap() = std::fs::read(file.path()).unwrap();
        }
    }
    desk.note((desk.came_under(key), &message));
    match text {
        "refuse" => return Err(GatewayError::Refused("not on WhatsApp".into())),
        "time out" => return Err(GatewayError::TimedOut("no answer".into())),
        "too many" => return Err(GatewayError::Busy("100 wait".into())),
        "panic" => panic!("as the test wants"),
        "slow" => {
            desk.go_on.notified().await;
            desk.note("sent");
        }
        "hang" => std::future::pending().await,
        _ => {}
    }
    Ok(SentMessage {
        message_id: "3EB0".into(),
        to: message.to,
        status: match message.wait {
            true => SendStatus::Sent,
            false => SendStatus::Queued,
        },
        timestamp: Timestamp(0).to_string(),
    })
}

/// Nobody is asked; hidden ids have no picture.
pub(super) fn done(action: Action) -> Result<Done, GatewayError> {
    Ok(match action {
        Action::CheckNumbers(numbers) => {
            let check = |number| NumberCheck {
                number,
                exists: Some(false),
                jid: None,
                error: None,
            };
            Done::Numbers(numbers.into_iter().map(check).collect())
        }
        Action::Contact(who) => Done::Contact(Box::new(contact(&who))),
        Action::Picture { of, preview } => Done::Picture((!of.jid().ends_with("@lid")).then(|| Picture {
            id: "1700000000".into(),
            url: format!("https://pps.example/{preview}"),
        })),
        Action::Blocks => Done::Blocks(vec![blocked()]),
        Action::Profile => Done::Profile(profile()),
        Action::Groups => Done::Groups(vec![group()]),
        Action::Group(_) | Action::CreateGroup { .. } | Action::ChangeGroup { .. } => Done::Group(group()),
        Action::Invite { .. } => Done::Invite(InviteLink {
            code: CODE.into(),
            url: format!("https://chat.whatsapp.com/{CODE}"),
        }),
        Action::InvitedTo(code) if code.as_str() == "old" => return Err(GatewayError::Gone("it was reset")),
        Action::InvitedTo(_) => Done::InvitedTo(invited()),
        Action::JoinByInvite(code) if code.as_str() == "guarded" => Done::Joined(Joined::requested(GROUP)),
        Action::JoinByInvite(code) if code.as_str() == "stuck" => {
            return Err(GatewayError::Unavailable("closed".into()));
        }
        Action::JoinByInvite(_) | Action::AcceptInvitation(_) => Done::Joined(Joined::at_once(GROUP)),
        Action::JoinRequests(_) => Done::JoinRequests(vec![JoinRequest {
            jid: "100000000000007@lid".into(),
            phone_number: None,
            requested_at: Some(Timestamp(0)),
        }]),
        Action::ChangeParticipants { .. } | Action::DecideJoinRequests { .. } => {
            Done::Participants(vec![ParticipantChange {
                action: "add".into(),
                jid: "551188888888@s.whatsapp.net".into(),
                phone_number: Some("551188888888".into()),
                ok: true,
                error: None,
            }])
        }
        _ => Done::Done,
    })
}

fn contact(who: &Recipient) -> ContactInfo {
    ContactInfo {
        number: Some("551188888888".into()),
        jid: Some(who.jid()),
        lid: Some("100000000000007@lid".into()),
        exists: true,
        about: Some("At sea".into()),
        picture_id: Some("1700000000".into()),
        business: Some(Business {
            verified_name: Some("Harbour Ltd".into()),
        }),
        devices: vec![0, 7],
    }
}

fn blocked() -> Blocked {
    Blocked {
        jid: "100000000000007@lid".into(),
        phone_number: Some("551188888888".into()),
    }
}

fn profile() -> ProfileInfo {
    ProfileInfo {
        jid: "5511999999999@s.whatsapp.net".into(),
        lid: Some("100000000000001@lid".into()),
        name: Some("Shop".into()),
        about: None,
        picture_id: None,
    }
}

fn group() -> GroupInfo {
    GroupInfo {
        id: GROUP.into(),
        subject: "Friends".into(),
        description: None,
        owner: None,
        created_at: Some(Timestamp(0)),
        announce: false,
        locked: false,
        ephemeral_seconds: 0,
        join_approval: false,
        member_add_mode: Some(MemberAddMode::Admins),
        is_community: false,
        is_community_announce: false,
        linked_parent: None,
        participants: vec![],
        refused: vec![],
    }
}

fn invited() -> InvitedGroup {
    InvitedGroup {
        id: GROUP.into(),
        subject: "Friends".into(),
        description: None,
        owner: None,
        created_at: None,
        size: Some(3),
        announce: false,
        join_approval: true,
        is_community: false,
        linked_parent: None,
    }
}
