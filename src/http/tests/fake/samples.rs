//! What the desk has.

use super::*;

pub(super) fn webhook(client_id: ClientId, new: NewWebhook) -> Webhook {
    Webhook {
        id: WebhookId(ID),
        client_id,
        phone_number: new.phone_number,
        delivery: wharf_domain::DeliveryMode::of(new.webhook_url.as_deref()),
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
        chats: new.chats,
        sender: new.sender,
        hub_signature: new.hub_signature,
        courtesy: new.courtesy,
        headers: new.headers.names(),
        created_at: Timestamp(0),
        updated_at: Timestamp(0),
        deleted_at: None,
    }
}

pub(super) fn with_secret(webhook: Webhook) -> WebhookWithSecret {
    let secret = (!webhook.is_pulled()).then(|| Secret::new(&[0; 32]));
    WebhookWithSecret { webhook, secret }
}

pub(super) fn connection(phone_number: PhoneNumber) -> Connection {
    Connection {
        client_id: ClientId(1),
        phone_number,
        session: SessionView {
            status: ConnectionStatus::AwaitingScan,
            reason: None,
            reason_code: ReasonCode::WaitingForPhone,
            jid: None,
            push_name: None,
            connected_since: None,
            last_event_at: None,
            reconnect_attempts: 0,
            retry_at: None,
            banned_until: None,
            wanted: true,
            qr: None,
            pair_code: None,
        },
        restarts: 0,
        device_name: None,
        proxy: None,
        sending: None,
        reject_calls: false,
        mark_read: false,
        created_at: Timestamp(0),
        updated_at: Timestamp(0),
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
