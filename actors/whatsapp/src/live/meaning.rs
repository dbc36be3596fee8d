//! What an event of the client means for a link: pure.

use wharf_domain::Timestamp;
use whatsapp_rust::wacore::types::events::{
    AppStateSyncFailed, ConnectFailure, ConnectFailureReason, Event, LoggedOut, TemporaryBan,
};
use whatsapp_rust::wacore_binary::NodeRef;

use super::{reporter::Stage, texts::shown_name};
use crate::{CloseReason, LinkEvent};

/// What a link does about an event.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Meaning {
    /// A code to show, or that something else is wanted of a person.
    Show(LinkEvent),
    /// The device is registered; the client has to reconnect by itself now.
    Paired(LinkEvent),
    /// Logged in.
    Connected,
    /// Logged in without the account's settings.
    Unsettled,
    /// The account's name is another one; what was told before stays true.
    Named(LinkEvent),
    /// The link is over, for this reason.
    Over(CloseReason),
    /// Not the end, but the likely reason if the end comes next.
    Hint(String),
    /// Nothing.
    Nothing,
}

/// What `event` means at `now`.
pub(crate) fn of(event: &Event, now: Timestamp) -> Meaning {
    match event {
        Event::PairingQrCode(qr) => Meaning::Show(LinkEvent::Qr {
            code: qr.code.clone(),
            expires_at: now + qr.timeout,
        }),
        Event::PairSuccess(pair) => Meaning::Paired(LinkEvent::Paired {
            jid: pair.id.to_string(),
            phone_number: pair.id.user_base().to_owned(),
        }),
        Event::Connected(_) => Meaning::Connected,
        Event::SelfPushNameUpdated(update) if !update.new_name.is_empty() => Meaning::Named(LinkEvent::Named {
            push_name: shown_name(&update.new_name),
        }),
        // Without contacts and push name, because a download failed: messages flow all the same. What was only skipped is
        // being fetched, and the client is about to be connected with it.
        Event::AppStateSyncFailed(failed) if !failed.connected && is_missing(failed) => Meaning::Unsettled,
        // A pair code that was asked for is still good: it outlives the QR codes.
        Event::PairingQrCodesExhausted(over) if !over.disconnected => Meaning::Nothing,
        Event::PairingQrCodesExhausted(_) => Meaning::Over(CloseReason::QrExpired),
        Event::PairError(pair) => failed_pairing(&format!("the phone's answer could not be accepted: {}", pair.error)),
        Event::PairingCode(pair) => Meaning::Show(LinkEvent::PairCode {
            code: pair.code.clone(),
            expires_at: now + pair.timeout,
        }),
        Event::PairPasskeyRequest(_) | Event::PairPasskeyConfirmation(_) => Meaning::Show(LinkEvent::PasskeyNeeded),
        Event::PairPasskeyError(error) => failed_pairing(&format!("WhatsApp's passkey check failed: {}", error.error)),
        Event::QrScannedWithoutMultidevice(_) => {
            failed_pairing("the phone that scanned the code does not support linked devices")
        }
        Event::LoggedOut(logged_out) => Meaning::Over(why_logged_out(logged_out)),
        Event::StreamReplaced(_) => Meaning::Over(CloseReason::Replaced),
        Event::TemporaryBan(ban) => Meaning::Over(banned(ban, now)),
        Event::ClientOutdated(_) => Meaning::Over(CloseReason::Outdated),
        Event::ConnectFailure(failure) => Meaning::Over(refused(failure)),
        // The client keeps these to itself, and waits for the server to hang up.
        Event::RawNode(stanza) => match sent_away(stanza.get()) {
            Some(reason) => Meaning::Over(reason),
            None => Meaning::Nothing,
        },
        Event::StreamError(error) if error.code.is_empty() => Meaning::Hint("WhatsApp reported a stream error".into()),
        Event::StreamError(error) => Meaning::Hint(format!("WhatsApp reported stream error {}", error.code)),
        Event::Disconnected(disconnected) => Meaning::Hint(format!("connection lost: {}", disconnected.reason)),
        _ => Meaning::Nothing,
    }
}

/// The end of a link for which nobody gave a reason. `given_up`: all has come but the account's settings.
pub(crate) fn unexplained(stage: Stage, given_up: bool, hint: Option<String>) -> CloseReason {
    match (hint, stage) {
        (Some(hint), _) => CloseReason::Lost(hint),
        (None, Stage::Connected) if given_up => CloseReason::Incomplete(
            "the account's settings (app state) could not be fetched; the client tries it anew every three minutes"
                .to_owned(),
        ),
        (None, Stage::Connected) => CloseReason::Lost("WhatsApp stopped answering".to_owned()),
        (None, _) => CloseReason::Lost("no connection to WhatsApp could be made".to_owned()),
    }
}

/// Whether settings were not fetched. Those that were only skipped are being fetched at the moment.
pub(crate) fn is_missing(failed: &AppStateSyncFailed) -> bool {
    !failed.fatal.is_empty() || !failed.retryable.is_empty()
}

fn failed_pairing(detail: &str) -> Meaning {
    Meaning::Over(CloseReason::PairingFailed(detail.to_owned()))
}

fn why_logged_out(logged_out: &LoggedOut) -> CloseReason {
    let code = logged_out.reason.code();
    match (&logged_out.reason, logged_out.on_connect) {
        (ConnectFailureReason::AccountLocked, _) => {
            CloseReason::AccountLocked(format!("WhatsApp locked the account ({code})"))
        }
        (_, true) => CloseReason::LoggedOut(format!("WhatsApp does not know this device any more ({code})")),
        (_, false) => CloseReason::LoggedOut("the device was unlinked".to_owned()),
    }
}

fn banned(ban: &TemporaryBan, now: Timestamp) -> CloseReason {
    let mut detail = format!("temporary ban {}", ban.code);
    if let Some(message) = &ban.message {
        detail = format!("{detail} ({message})");
    }
    CloseReason::Banned {
        detail,
        until: ban.expire.to_std().ok().map(|lasts| now + lasts),
    }
}

/// Why the server ends a connection that was logged in, if it is for the same as it refuses one for now.
fn sent_away(stanza: &NodeRef<'_>) -> Option<CloseReason> {
    if stanza.tag.as_ref() != "stream:error" {
        return None;
    }
    let code = stanza.get_attr("code")?;
    let code = code.as_str();
    matches!(code.as_ref(), "429" | "503")
        .then(|| CloseReason::Refused(format!("WhatsApp ended the connection (stream error {code})")))
}

fn refused(failure: &ConnectFailure) -> CloseReason {
    let code = failure.reason.code();
    let detail = match &failure.message {
        Some(message) => format!("WhatsApp refused the connection ({code}: {message})"),
        None => format!("WhatsApp refused the connection ({code})"),
    };
    match failure.reason {
        ConnectFailureReason::TempBanned => CloseReason::Banned { detail, until: None },
        ConnectFailureReason::ClientOutdated => CloseReason::Outdated,
        // Too many logins, or the server's own trouble.
        _ if code == 429 || code >= 500 => CloseReason::Refused(detail),
        _ => CloseReason::Unwanted(detail),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use whatsapp_rust::chrono;
    use whatsapp_rust::wacore::types::events;
    use whatsapp_rust::wacore_binary::builder::NodeBuilder;

    use super::*;

    const NOW: Timestamp = Timestamp(1_762_352_580_000);

    fn over(event: Event) -> CloseReason {
        match of(&event, NOW) {
            Meaning::Over(reason) => reason,
            other => panic!("{event:?} means {other:?}"),
        }
    }

    fn failure(reason: i32) -> CloseReason {
        over(Event::ConnectFailure(
            ConnectFailure::builder()
                .reason(ConnectFailureReason::from(reason))
                .build(),
        ))
    }

    #[test]
    fn a_qr_code_expires() {
        let timeout = Duration::from_secs(60);
        let qr = events::PairingQrCode::builder()
            .code("2@ref".into())
            .timeout(timeout)
            .build();
        assert_eq!(
            of(&Event::PairingQrCode(qr), NOW),
            Meaning::Show(LinkEvent::Qr {
                code: "2@ref".into(),
                expires_at: NOW + timeout
            })
        );
    }

    #[test]
    fn pairing_tells_the_device_and_the_number() {
        let pair = events::PairSuccess::builder()
            .id("5511999999999:12@s.whatsapp.net".parse().unwrap())
            .lid("100000012345678:12@lid".parse().unwrap())
            .business_name(String::new())
            .platform("android".into())
            .build();
        let paired = LinkEvent::Paired {
            jid: "5511999999999:12@s.whatsapp.net".into(),
            phone_number: "5511999999999".into(),
        };
        assert_eq!(of(&Event::PairSuccess(pair), NOW), Meaning::Paired(paired));
    }

    #[test]
    fn messages_do_not_wait_for_app_state() {
        let failed = |connected| {
            let event = events::AppStateSyncFailed::builder()
                .fatal(Vec::new())
                .skipped(Vec::new());
            Event::AppStateSyncFailed(
                event
                    .retryable(vec!["critical_block".into()])
                    .connected(connected)
                    .build(),
            )
        };
        assert_eq!(of(&failed(false), NOW), Meaning::Unsettled);
        assert_eq!(of(&failed(true), NOW), Meaning::Nothing);
        let skipped = events::AppStateSyncFailed::builder()
            .fatal(Vec::new())
            .retryable(Vec::new())
            .skipped(vec!["critical_block".into()])
            .connected(false);
        assert_eq!(of(&Event::AppStateSyncFailed(skipped.build()), NOW), Meaning::Nothing);
    }

    #[test]
    fn the_ends_of_a_link() {
        let replaced = Event::StreamReplaced(events::StreamReplaced::builder().build());
        assert_eq!(over(replaced), CloseReason::Replaced);
        let exhausted =
            Event::PairingQrCodesExhausted(events::PairingQrCodesExhausted::builder().disconnected(true).build());
        assert_eq!(over(exhausted), CloseReason::QrExpired);
        let passkey = Event::PairPasskeyRequest(
            events::PairPasskeyRequest::builder()
                .request_options_json("{}".into())
                .build(),
        );
        assert_eq!(of(&passkey, NOW), Meaning::Show(LinkEvent::PasskeyNeeded));
        let out = |reason, on_connect| {
            let event = events::LoggedOut::builder()
                .on_connect(on_connect)
                .reason(reason)
                .build();
            over(Event::LoggedOut(event))
        };
        assert_eq!(
            out(ConnectFailureReason::LoggedOut, false),
            CloseReason::LoggedOut("the device was unlinked".into())
        );
        assert!(
            matches!(out(ConnectFailureReason::LoggedOut, true), CloseReason::LoggedOut(why) if why.contains("401"))
        );
        assert!(
            matches!(out(ConnectFailureReason::AccountLocked, true), CloseReason::AccountLocked(why) if why.contains("403"))
        );
    }

    #[test]
    fn refusals() {
        assert_eq!(
            failure(503),
            CloseReason::Refused("WhatsApp refused the connection (503)".into())
        );
        assert_eq!(
            failure(429),
            CloseReason::Refused("WhatsApp refused the connection (429)".into())
        );
        for code in [400, 409, 413, 415, 418] {
            let words = format!("WhatsApp refused the connection ({code})");
            assert_eq!(failure(code), CloseReason::Unwanted(words));
        }
        assert_eq!(failure(405), CloseReason::Outdated);
        assert!(matches!(failure(402), CloseReason::Banned { until: None, .. }));
        let ban = TemporaryBan::builder()
            .code(events::TempBanReason::SentTooManySameMessage)
            .expire(chrono::Duration::seconds(3600))
            .build();
        let CloseReason::Banned { detail, until } = over(Event::TemporaryBan(ban)) else {
            panic!("not a ban")
        };
        assert!(detail.contains("104"), "{detail}");
        assert_eq!(until, Some(NOW + Duration::from_secs(3600)));
    }

    #[test]
    fn a_connection_is_ended_for_what_one_is_refused_for() {
        let said = |tag: &'static str, code: u16| {
            let stanza = NodeBuilder::new(tag).attr("code", code).build();
            sent_away(&stanza.as_node_ref())
        };
        for code in [429, 503] {
            let words = format!("WhatsApp ended the connection (stream error {code})");
            assert_eq!(said("stream:error", code), Some(CloseReason::Refused(words)));
        }
        assert_eq!((said("stream:error", 500), said("message", 503)), (None, None));
    }

    #[test]
    fn a_broken_socket_is_a_hint() {
        let lost = events::Disconnected::builder()
            .reason(whatsapp_rust::wacore::net::DisconnectReason::StreamEnded)
            .build();
        assert!(matches!(of(&Event::Disconnected(lost), NOW), Meaning::Hint(why) if why.contains("EOF")));
        let error = events::StreamError::builder().code("500".into()).build();
        assert!(matches!(of(&Event::StreamError(error), NOW), Meaning::Hint(why) if why.contains("500")));
    }
}
