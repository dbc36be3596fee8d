//! What the desk has.

use wharf_domain::action::{
    InviteLink, InvitedGroup, JoinRequest, Joined, MemberAddMode, NumberCheck, ParticipantChange,
};

use super::*;

pub(super) fn webhook(client_id: ClientId, new: NewWebhook) -> Webhook {
    Webhook {
        id: WebhookId(ID),
        client_id,
        phone_number: new.phone_number,
        webhook_url: new.webhook_url,
        is_active: new.is_active,
        status: status(new.is_active, 0),
        failure_count: 0,
        max_retries: new.max_retries,
        last_error: None,
        last_success_at: None,
        last_attempt_at: None,
        metadata: new.metadata,
        events: new.events,
        hub_signature: new.hub_signature,
        courtesy: new.courtesy,
        headers: new.headers.names(),
        created_at: Timestamp(0),
        updated_at: Timestamp(0),
        deleted_at: None,
    }
}

pub(super) fn with_secret(webhook: Webhook) -> WebhookWithSecret {
    WebhookWithSecret {
        webhook,
        secret: Secret::new(&[0; 32]),
    }
}

pub(super) fn connection(phone_number: PhoneNumber) -> Connection {
    Connection {
        client_id: ClientId(1),
        phone_number,
        status: ConnectionStatus::AwaitingScan,
        reason: None,
        reason_code: ReasonCode::WaitingForPhone,
        jid: None,
        push_name: None,
        connected_since: None,
        last_event_at: None,
        reconnect_attempts: 0,
        retry_at: None,
        restarts: 0,
        device_name: None,
        proxy: None,
        sending: None,
        created_at: Timestamp(0),
        updated_at: Timestamp(0),
        wanted: true,
        banned_until: None,
    }
}

pub(super) fn event() -> Event {
    Event {
        sequence: 1,
        id: EventId(ID),
        webhook_id: WebhookId(ID),
        event: "message".into(),
        message_id: "3EB0".into(),
        from: NUMBER.into(),
        to: NUMBER.into(),
        message_type: "text".into(),
        content: Some("hello".into()),
        payload: RawValue::from_string(r#"{"b":1,"a":2}"#.into()).unwrap(),
        status: EventStatus::Pending,
        attempt_count: 0,
        http_status: None,
        response: None,
        error: None,
        next_retry_at: None,
        created_at: Timestamp(0),
        delivered_at: None,
    }
}

pub(super) fn attempt() -> Attempt {
    Attempt {
        number: 1,
        started_at: Timestamp(0),
        duration_ms: 7,
        http_status: Some(503),
        error: Some("Server error (503)".into()),
        response: Some("busy".into()),
        manual: false,
    }
}

pub(super) fn outgoing() -> OutgoingMessage {
    OutgoingMessage {
        message_id: MESSAGE.into(),
        to: "551188888888".parse().unwrap(),
        kind: "text".into(),
        status: SendStatus::Read,
        error_code: None,
        error: None,
        message: Some(Outgoing::text("551188888888".parse().unwrap(), "hi")),
        created_at: Timestamp(0),
        sent_at: Some(Timestamp(0)),
        delivered_at: None,
        read_at: Some(Timestamp(1000)),
        played_at: None,
        failed_at: None,
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

/// What comes of something that is done.
pub(super) fn done(action: Action) -> Result<Done, GatewayError> {
    Ok(match action {
        Action::CheckNumbers(numbers) => {
            let check = |number| NumberCheck {
                number,
                exists: false,
                jid: None,
            };
            Done::Numbers(numbers.into_iter().map(check).collect())
        }
        Action::Groups => Done::Groups(vec![group()]),
        Action::Group(_) | Action::CreateGroup { .. } | Action::ChangeGroup { .. } => Done::Group(group()),
        Action::GroupPicture { .. } => Done::Picture(Some(GroupPicture {
            id: "1700000000".into(),
            url: Some("https://pps.whatsapp.net/v/1".into()),
        })),
        Action::Invite { .. } => Done::Invite(InviteLink {
            code: CODE.into(),
            url: format!("https://chat.whatsapp.com/{CODE}"),
        }),
        Action::InvitedTo(code) if code.as_str() == "old" => return Err(GatewayError::Gone("it was reset")),
        Action::InvitedTo(_) => Done::InvitedTo(invited()),
        Action::JoinByInvite(code) if code.as_str() == "guarded" => Done::Joined(Joined::requested(GROUP)),
        Action::JoinByInvite(_) => Done::Joined(Joined::at_once(GROUP)),
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
