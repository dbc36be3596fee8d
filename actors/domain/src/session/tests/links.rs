//! What happens on a link, in every phase.

use std::time::Duration;

use super::{super::*, desk::*};
use ConnectionStatus::{AwaitingPasskey, AwaitingScan, Connected, Connecting, Failed, LoggedOut};
use SessionEffect::Save;

fn banned(until: Option<Timestamp>) -> CloseReason {
    let detail = "temporary ban 104".to_owned();
    CloseReason::Banned { detail, until }
}

fn pair_code(expires_at: Timestamp) -> LinkEvent {
    let code = "ABCD1234".to_owned();
    LinkEvent::PairCode { code, expires_at }
}

fn named(name: &str) -> LinkEvent {
    let push_name = name.to_owned();
    LinkEvent::Named { push_name }
}

fn every_event() -> Vec<LinkEvent> {
    let reasons = [
        CloseReason::Requested,
        CloseReason::Lost("a".into()),
        CloseReason::Refused("b".into()),
        CloseReason::Unwanted("h".into()),
        CloseReason::QrExpired,
        CloseReason::PairingFailed("c".into()),
        CloseReason::LoggedOut("d".into()),
        CloseReason::AccountLocked("e".into()),
        CloseReason::QueueFull("f".into()),
        CloseReason::ProxyFailed("g".into()),
        CloseReason::Replaced,
        banned(None),
        banned(Some(NOW)),
        CloseReason::Outdated,
    ];
    let others = [
        qr("2@b", NOW),
        pair_code(NOW),
        LinkEvent::PasskeyNeeded,
        paired(),
        connected(),
        named("Bea"),
    ];
    reasons.map(LinkEvent::Closed).into_iter().chain(others).collect()
}

#[test]
fn every_end_of_a_link_in_every_phase() {
    use CloseReason as By;
    use Parting::{Forget, Keep};
    use ReasonCode as Code;
    let until = NOW + Duration::from_secs(7200);
    // Reason; status, code and words; what is left of the device; seconds until the next link at jitter 0 and 1.
    #[rustfmt::skip]
    let rows = [
        (By::Requested, Connecting, Code::LinkLost, "the link was closed", Keep, Some((1, 2))),
        (By::Lost("EOF".into()), Connecting, Code::LinkLost, "EOF", Keep, Some((1, 2))),
        (By::QueueFull("full".into()), Connecting, Code::QueueFull, "full", Keep, Some((1, 2))),
        (By::ProxyFailed("407".into()), Connecting, Code::ProxyFailed, "407", Keep, Some((1, 2))),
        (By::Refused("503".into()), Connecting, Code::Refused, "503", Keep, Some((2, 4))),
        (By::Unwanted("409".into()), Failed, Code::Refused, "409", Keep, Some((30, 60))),
        (By::Outdated, Failed, Code::Outdated, "update Wharf", Keep, Some((30, 60))),
        (banned(Some(until)), Failed, Code::TemporarilyBanned, "temporary ban 104", Keep, Some((7204, 7208))),
        (banned(Some(Timestamp(0))), Failed, Code::TemporarilyBanned, "until 1970", Keep, Some((4, 8))),
        (banned(None), Failed, Code::Banned, "temporary ban 104", Keep, None),
        (By::Replaced, Failed, Code::Conflict, "replaced", Keep, None),
        (By::QrExpired, Failed, Code::QrExpired, "connect shows a new one", Forget, None),
        (By::PairingFailed("odd".into()), Failed, Code::PairingFailed, "pairing failed: odd", Forget, None),
        (By::LoggedOut("unlinked".into()), LoggedOut, Code::Unlinked, "unlinked", Forget, None),
        (By::AccountLocked("locked".into()), LoggedOut, Code::AccountLocked, "locked", Forget, None),
    ];
    for place in [Place::Opening, Place::Pairing, Place::Scan, Place::Connected] {
        for (reason, status, code, words, parting, pause) in &rows {
            for jitter in [0.0, 1.0] {
                let mut desk = Desk::at(place);
                desk.jitter = jitter;
                let paired = desk.machine.view().jid.clone();
                let effects = desk.link(LinkEvent::Closed(reason.clone()));
                assert_eq!(effects, [closing(2, *parting), Save], "{place:?} {reason:?}");
                let (shown, why, wanted) = desk.shown();
                assert_eq!((shown, wanted), (*status, pause.is_some()), "{place:?} {reason:?}");
                assert!(why.unwrap().contains(words), "{why:?}");
                let view = desk.machine.view();
                assert_eq!(view.reason_code, *code, "{place:?} {reason:?}");
                assert_eq!(view.jid, paired.filter(|_| *parting == Keep), "{place:?} {reason:?}");
                assert_eq!((&view.qr, view.connected_since), (&None, None));
                assert_eq!(view.last_event_at, Some(NOW));
                let counted = pause.is_some() && place != Place::Connected;
                assert_eq!(view.reconnect_attempts, u32::from(counted), "{place:?} {reason:?}");

                desk.timer = None;
                assert_eq!(desk.gone(), [], "{place:?} {reason:?}");
                let expected = pause.map(|(short, long)| Duration::from_secs(if jitter == 0.0 { short } else { long }));
                assert_eq!(desk.set_for(), expected, "{place:?} {reason:?}");
                assert_eq!(desk.machine.phase == Phase::Resting, pause.is_none());
                assert_eq!(desk.shown().0, *status, "{place:?} {reason:?}");
            }
        }
    }
}

#[test]
fn without_a_link_and_while_one_is_closing_nothing_it_says_counts() {
    for place in Place::ALL.into_iter().filter(|place| !Place::LINKED.contains(place)) {
        for event in every_event() {
            let mut desk = Desk::at(place);
            let before = format!("{:?}", desk.machine);
            assert_eq!(desk.link(event.clone()), [], "{place:?} {event:?}");
            assert_eq!(desk.silent_for(1000), [], "{place:?}");
            let generation = desk.generation();
            let detail = "late".to_owned();
            assert_eq!(desk.step(SessionEvent::OpenFailed { generation, detail }), []);
            assert_eq!(format!("{:?}", desk.machine), before, "{place:?} {event:?}");
        }
    }
}

#[test]
fn what_another_generation_says_changes_nothing() {
    for place in Place::ALL {
        let mut desk = Desk::at(place);
        let before = format!("{:?}", desk.machine);
        let (link, timer) = (desk.generation(), desk.machine.timer_generation);
        for generation in [link + 1, link.wrapping_sub(1)] {
            let silent_for = Some(Duration::from_secs(1000));
            let detail = "late".to_owned();
            let mut events = vec![
                SessionEvent::LinkGone { generation },
                SessionEvent::Silence { generation, silent_for },
                SessionEvent::OpenFailed { generation, detail },
            ];
            events.extend(
                every_event()
                    .into_iter()
                    .map(|event| SessionEvent::Link { generation, event }),
            );
            for event in events {
                assert_eq!(desk.step(event.clone()), [], "{place:?} {event:?}");
            }
        }
        for generation in [timer + 1, timer.wrapping_sub(1)] {
            assert_eq!(desk.step(SessionEvent::TimerFired { generation }), [], "{place:?}");
        }
        assert_eq!(format!("{:?}", desk.machine), before, "{place:?}");
    }
}

#[test]
fn a_number_is_paired() {
    let mut desk = Desk::at(Place::Pairing);
    let expires_at = NOW + Duration::from_secs(60);
    assert_eq!(desk.link(qr("2@a", expires_at)), [Save]);
    assert_eq!(desk.shown(), (AwaitingScan, None, true));
    assert_eq!(desk.machine.view().qr, Some(("2@a".into(), expires_at)));
    assert_eq!(desk.set_for(), Some(Duration::from_secs(60) + QR_GRACE));

    desk.pass(60);
    let expires_at = desk.now + Duration::from_secs(20);
    assert_eq!(desk.link(qr("2@b", expires_at)), [], "a code is not written to a row");
    assert_eq!(desk.machine.view().qr, Some(("2@b".into(), expires_at)));
    assert_eq!(desk.set_for(), Some(Duration::from_secs(20) + QR_GRACE));

    assert_eq!(desk.link(paired()), [Save]);
    assert_eq!(desk.shown(), (Connecting, None, true));
    let view = desk.machine.view();
    assert_eq!((view.qr.as_ref(), view.jid.as_deref()), (None, Some(JID)));
    assert_eq!(desk.set_for(), Some(Patience::default().opening));
    assert_eq!(desk.machine.connected_link(), None);

    desk.pass(2);
    assert_eq!(desk.link(connected()), [Save]);
    assert_eq!(desk.shown(), (Connected, None, true));
    let view = desk.machine.view();
    assert_eq!(
        (view.push_name.as_deref(), view.connected_since),
        (Some("Ana"), Some(desk.now))
    );
    assert_eq!(desk.machine.connected_link(), Some(2));
    assert_eq!(desk.set_for(), Some(SILENCE_CHECK));
}

#[test]
fn a_pair_code_is_shown_beside_the_qr_code_and_outlives_it() {
    let mut desk = Desk::at(Place::Scan);
    let ends = NOW + Duration::from_secs(180);
    assert_eq!(desk.link(pair_code(ends)), [], "a code is not written to a row");
    assert_eq!(desk.set_for(), Some(Duration::from_secs(180) + QR_GRACE));
    desk.pass(20);
    assert_eq!(desk.link(qr("2@b", desk.now + Duration::from_secs(20))), []);
    assert_eq!(desk.machine.view().pair_code, Some(("ABCD1234".into(), ends)));
    let (at, _) = desk.timer.unwrap();
    assert_eq!(at.since(desk.now), Duration::from_secs(160) + QR_GRACE);
    assert_eq!(desk.fire(), [closing(2, Parting::Forget), Save], "nobody entered it");
    assert_eq!(desk.machine.view().reason_code, ReasonCode::QrExpired);
    let mut desk = Desk::at(Place::Scan);
    desk.link(pair_code(ends));
    desk.link(paired());
    assert_eq!(
        (&desk.machine.view().qr, &desk.machine.view().pair_code),
        (&None, &None)
    );
    for place in [Place::Opening, Place::Connected, Place::Passkey] {
        let mut desk = Desk::at(place);
        assert_eq!(desk.link(pair_code(ends)), [], "{place:?}");
        assert_eq!(desk.machine.view().pair_code, None, "{place:?}: too late");
    }
}

#[test]
fn a_timer_that_was_set_anew_does_not_count_when_the_old_one_fires() {
    let mut desk = Desk::at(Place::Pairing);
    desk.link(qr("2@a", NOW + Duration::from_secs(20)));
    let (_, first) = desk.timer.unwrap();
    desk.link(qr("2@b", NOW + Duration::from_secs(40)));
    assert_eq!(desk.step(SessionEvent::TimerFired { generation: first }), []);
    assert_eq!(desk.shown().0, AwaitingScan);
    assert_ne!(desk.fire(), []);
}

#[test]
fn a_link_gets_as_long_as_it_may_take() {
    let patience = Patience {
        opening: Duration::from_secs(7),
        ..Patience::default()
    };
    let mut desk = Desk::at(Place::Pausing);
    desk.machine = desk.machine.with_patience(patience);
    assert_eq!(desk.step(SessionEvent::Connect), []);
    desk.fire();
    assert_eq!(desk.set_for(), Some(patience.opening));
}

#[test]
fn a_passkey_is_asked_for_and_waited_for() {
    let asked = |place| {
        let mut desk = Desk::at(place);
        assert_eq!(desk.link(LinkEvent::PasskeyNeeded), [Save], "{place:?}");
        assert_eq!((desk.shown().0, desk.shown().2), (AwaitingPasskey, true), "{place:?}");
        assert!(desk.shown().1.unwrap().contains("remove the passkey on the phone"));
        assert_eq!(desk.machine.view().qr, None);
        assert_eq!(desk.set_for(), Some(PASSKEY_LIMIT));
        assert_eq!(desk.link(LinkEvent::PasskeyNeeded), []);
        assert_eq!(
            desk.set_for(),
            None,
            "{place:?}: asked again it is not waited for longer"
        );
        desk
    };
    let mut desk = asked(Place::Pairing);
    assert_eq!(desk.link(paired()), [Save], "it was given after all");
    assert_eq!(desk.link(connected()), [Save]);
    let mut desk = asked(Place::Scan);
    assert_eq!(desk.link(qr("2@c", NOW)), [Save], "WhatsApp begins anew");
    let gave_up = |mut desk: Desk, event: SessionEvent| {
        assert_eq!(desk.step(event), [closing(2, Parting::Forget), Save]);
        assert_eq!((desk.shown().0, desk.shown().2), (Failed, false));
        assert_eq!(desk.machine.view().reason_code, ReasonCode::PasskeyRequired);
        assert_eq!(desk.gone(), []);
        assert_eq!(desk.step(SessionEvent::Connect), [Save]);
        assert_eq!(desk.fire(), [open(3)]);
    };
    let event = lost();
    gave_up(asked(Place::Scan), SessionEvent::Link { generation: 2, event });
    let desk = asked(Place::Scan);
    let generation = desk.machine.timer_generation;
    gave_up(desk, SessionEvent::TimerFired { generation });
    let mut desk = Desk::at(Place::Opening);
    assert_eq!(
        desk.link(LinkEvent::PasskeyNeeded),
        [],
        "a linked device is asked for none"
    );
}

#[test]
fn another_name_is_shown_while_it_is_connected_and_changes_nothing_else() {
    let mut desk = Desk::at(Place::Connected);
    assert_eq!(desk.link(named("Bea")), [Save]);
    assert_eq!(desk.link(named("Bea")), []);
    assert_eq!(desk.shown().0, Connected);
    assert_eq!(desk.machine.view().push_name.as_deref(), Some("Bea"));
    for place in [Place::Scan, Place::Pairing, Place::Opening] {
        let mut desk = Desk::at(place);
        assert_eq!(desk.link(named("Eve")), [], "{place:?}");
        assert_eq!(desk.machine.view().push_name, None, "{place:?}");
    }
}

#[test]
fn a_second_login_is_not_a_new_connection() {
    let mut desk = Desk::at(Place::Connected);
    desk.pass(10);
    let again = LinkEvent::Connected {
        jid: JID.into(),
        push_name: None,
    };
    assert_eq!(desk.link(again), []);
    let view = desk.machine.view();
    assert_eq!(
        (view.connected_since, view.push_name.as_deref()),
        (Some(NOW), Some("Ana"))
    );
    assert_eq!(view.last_event_at, Some(desk.now));
}

#[test]
fn the_wrong_number_is_unlinked_and_forgotten() {
    let scanned = LinkEvent::Paired {
        jid: OTHERS_JID.into(),
        phone_number: OTHER.into(),
    };
    // As after an end of the program between the scan and its check.
    let logged_in = LinkEvent::Connected {
        jid: OTHERS_JID.into(),
        push_name: Some("Eve".into()),
    };
    for place in [Place::Pairing, Place::Scan, Place::Opening, Place::Connected] {
        for event in [&scanned, &logged_in] {
            let mut desk = Desk::at(place);
            assert_eq!(
                desk.link(event.clone()),
                [closing(2, Parting::LogOut), Save],
                "{place:?}"
            );
            assert_eq!(desk.shown(), (Failed, Some("wrong number"), false));
            let view = desk.machine.view();
            assert_eq!((&view.jid, &view.push_name, &view.qr), (&None, &None, &None));
            assert_eq!(desk.link(lost()), []);
            assert_eq!(desk.gone(), []);
            assert_eq!(desk.step(SessionEvent::Connect), [Save]);
            assert_eq!(desk.fire(), [open(3)]);
        }
    }
}

#[test]
fn a_device_that_is_known_or_unnamed_is_not_doubted() {
    let login = |jid: &str| LinkEvent::Connected {
        jid: jid.into(),
        push_name: None,
    };
    let mut desk = Desk::new(row(Connecting, Some(OTHERS_JID), true));
    desk.fire();
    assert_eq!(desk.link(login(OTHERS_JID)), [Save], "accepted before");
    assert_eq!(desk.shown().0, Connected);
    for jid in ["5511999999999:77@s.whatsapp.net", "551199999999@s.whatsapp.net", ""] {
        let mut desk = Desk::at(Place::Opening);
        desk.link(login(jid));
        assert_eq!(desk.shown().0, Connected, "{jid}");
    }
}

#[test]
fn a_qr_code_means_that_there_is_no_device() {
    for place in [Place::Opening, Place::Connected] {
        let mut desk = Desk::at(place);
        assert_eq!(desk.link(qr("2@a", NOW)), [Save], "{place:?}");
        let view = desk.machine.view();
        assert_eq!(
            (view.status, &view.jid, view.connected_since),
            (AwaitingScan, &None, None)
        );
        assert_eq!(desk.machine.connected_link(), None);
    }
}

#[test]
fn links_that_say_nothing_any_more() {
    for (place, words) in [
        (Place::Opening, "did not answer in time"),
        (Place::Pairing, "did not answer in time"),
        (Place::Scan, "stopped renewing"),
    ] {
        let mut desk = Desk::at(place);
        let generation = desk.machine.timer_generation;
        assert_eq!(desk.step(SessionEvent::TimerFired { generation }), [close(2), Save]);
        assert_eq!((desk.shown().0, desk.shown().2), (Connecting, true));
        assert!(desk.shown().1.unwrap().contains(words));
        assert_eq!(desk.machine.view().reconnect_attempts, 1);
        assert_eq!(desk.gone(), []);
        assert_eq!(desk.fire(), [open(3)], "{place:?}");
    }
}

#[test]
fn silence() {
    let limit = Patience::default().silence;
    let mut desk = Desk::at(Place::Connected);
    let generation = desk.machine.timer_generation;
    let mut effects = desk.step(SessionEvent::TimerFired { generation });
    for _ in 0..12 {
        assert_eq!(effects, [SessionEffect::CheckSilence { generation: 2 }]);
        assert_eq!(desk.silent_for(limit.as_secs()), []);
        effects = desk.fire();
    }
    let unknown = SessionEvent::Silence {
        generation: 2,
        silent_for: None,
    };
    assert_eq!(desk.step(unknown), []);
    assert_eq!(desk.silent_for(51), [close(2), Save]);
    assert_eq!(desk.shown(), (Connecting, Some("WhatsApp was silent for 51 s"), true));
    assert_eq!(desk.silent_for(52), [], "once");
    // The last thing heard, the next look after it, and the limit: within the contract's minute.
    assert!(limit + SILENCE_CHECK < Duration::from_secs(60));
}

#[test]
fn a_link_that_cannot_be_built() {
    let mut desk = Desk::at(Place::Opening);
    let detail = "the keys cannot be read".to_owned();
    let failed = SessionEvent::OpenFailed { generation: 2, detail };
    assert_eq!(desk.step(failed), [close(2), Save]);
    assert_eq!(desk.shown(), (Connecting, Some("the keys cannot be read"), true));
    assert_eq!(desk.gone(), []);
    assert_eq!(desk.fire(), [open(3)]);
}
