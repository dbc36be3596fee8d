//! Tests of [`super`].

use tokio::sync::mpsc;
use wharf_domain::ClientId;
use whatsapp_rust::wacore::types::events;

use super::*;

/// One for a number, with what it reports.
pub(in crate::live) fn reporter() -> (Arc<Reporter>, mpsc::UnboundedReceiver<LinkEvent>) {
    let (sender, events) = mpsc::unbounded_channel();
    let key = ConnectionKey::new(ClientId(1), "5511999999999".parse().unwrap());
    (Reporter::new(key, sender.into()), events)
}

fn logged_out() -> Arc<Event> {
    let event = events::LoggedOut::builder()
        .on_connect(false)
        .reason(events::ConnectFailureReason::LoggedOut)
        .build();
    Arc::new(Event::LoggedOut(event))
}

#[test]
fn exactly_one_closed_and_nothing_after_it() {
    let (reporter, mut events) = reporter();
    reporter.handle_event(logged_out());
    assert!(reporter.over().is_cancelled());
    reporter.end(CloseReason::Requested);
    reporter.close();
    reporter.close();
    let qr = events::PairingQrCode::builder()
        .code("2@late".into())
        .timeout(Duration::ZERO)
        .build();
    reporter.handle_event(Arc::new(Event::PairingQrCode(qr)));
    assert!(matches!(
        events.try_recv().unwrap(),
        LinkEvent::Closed(CloseReason::LoggedOut(_))
    ));
    assert!(events.try_recv().is_err());
    assert!(events.is_closed());
}

#[test]
fn an_end_without_a_reason_is_lost_with_the_last_hint() {
    let (reporter, mut events) = reporter();
    reporter.hint("first".into());
    reporter.hint("connection refused".into());
    reporter.close();
    assert_eq!(
        events.try_recv().unwrap(),
        LinkEvent::Closed(CloseReason::Lost("connection refused".into()))
    );
}

#[test]
fn a_link_that_never_got_the_settings_ends_for_that_where_nothing_else_is_known() {
    let named = || LinkEvent::Named {
        push_name: String::new(),
    };
    let why = |settled: bool, hint: Option<&str>| {
        let (reporter, mut events) = reporter();
        reporter.tell(Stage::Connected, named());
        reporter.connected(false);
        reporter.all_came(settled);
        hint.into_iter().for_each(|hint| reporter.hint(hint.to_owned()));
        reporter.close();
        assert_eq!(events.try_recv().unwrap(), named());
        match events.try_recv().unwrap() {
            LinkEvent::Closed(reason) => reason,
            other => panic!("{other:?}"),
        }
    };
    assert!(matches!(why(false, None), CloseReason::Incomplete(why) if why.contains("settings")));
    assert_eq!(
        why(true, None),
        CloseReason::Lost("WhatsApp stopped answering".to_owned())
    );
    assert_eq!(why(false, Some("EOF")), CloseReason::Lost("EOF".to_owned()));
}

#[test]
fn nothing_goes_out_before_what_waited_at_whatsapp_has_come() {
    let (reporter, _events) = reporter();
    let named = LinkEvent::Named {
        push_name: String::new(),
    };
    reporter.tell(Stage::Connected, named);
    assert!(reporter.is_connected() && !reporter.can_send());
    let all = events::OfflineSyncCompleted::builder().count(7).build();
    reporter.handle_event(Arc::new(Event::OfflineSyncCompleted(all)));
    assert!(reporter.can_send());
    reporter.end(CloseReason::Requested);
    assert!(!reporter.can_send());
}

#[test]
fn leaving_is_a_request_whatever_whatsapp_says_then() {
    let (reporter, mut events) = reporter();
    reporter.leave();
    reporter.handle_event(logged_out());
    reporter.close();
    assert_eq!(events.try_recv().unwrap(), LinkEvent::Closed(CloseReason::Requested));
}

#[test]
fn a_discarded_link_says_nothing() {
    let (reporter, mut events) = reporter();
    reporter.discard();
    reporter.close();
    assert!(events.try_recv().is_err());
}
