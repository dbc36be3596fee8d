//! What the client and the program ask for, in every phase.

use std::time::Duration;

use super::{super::*, desk::*};
use ConnectionStatus::{Connecting, Disconnected, Failed, LoggedOut};
use SessionEffect::Save;

#[test]
fn connect() {
    for place in Place::ALL {
        let mut desk = Desk::at(place);
        let (before, next) = (format!("{:?}", desk.machine), desk.generation() + 1);
        let effects = desk.step(SessionEvent::Connect);
        match place {
            Place::Unpaired | Place::Resting | Place::LoggedOut | Place::Failed => {
                assert_eq!(effects, [Save], "{place:?}");
            }
            Place::Pausing => assert_eq!(effects, []),
            Place::Closing | Place::Forgetting | Place::Reopening => {
                assert_eq!(effects, [Save], "{place:?}");
                assert_eq!(desk.set_for(), None, "{place:?}: once the one before has ended");
                assert_eq!(desk.gone(), [], "{place:?}");
            }
            Place::Passkey => {
                assert_eq!(effects, [close(desk.generation()), Save], "the passkey was removed");
                desk.timer = None;
                assert_eq!(desk.gone(), []);
            }
            _ => {
                assert_eq!((effects, format!("{:?}", desk.machine)), (vec![], before), "{place:?}");
                continue;
            }
        }
        let (now, view) = (desk.now, desk.machine.view());
        assert_eq!(
            view.retry_at,
            Some(now),
            "{place:?}: at the next turn, not when a pause ends"
        );
        assert_eq!(desk.shown(), (Connecting, None, true), "{place:?}");
        assert_eq!(desk.fire(), [open(next)], "{place:?}");
        assert_eq!(desk.now, now, "{place:?}");
        assert_eq!(desk.shown(), (Connecting, None, true), "{place:?}");
        assert_eq!(desk.machine.phase, Phase::Opening, "{place:?}");
        assert_eq!(desk.set_for(), Some(Patience::default().opening), "{place:?}");
    }
}

#[test]
fn renew() {
    for place in Place::ALL {
        let mut desk = Desk::at(place);
        let (before, generation) = (format!("{:?}", desk.machine), desk.generation());
        let effects = desk.step(SessionEvent::Renew);
        match place {
            Place::Opening | Place::Pairing | Place::Scan | Place::Passkey | Place::Connected => {
                assert_eq!(effects[0], close(generation), "{place:?}");
                desk.timer = None;
                assert_eq!(desk.gone(), [], "{place:?}");
            }
            Place::Pausing => {}
            _ => {
                assert_eq!((effects, format!("{:?}", desk.machine)), (vec![], before), "{place:?}");
                continue;
            }
        }
        assert_eq!(desk.shown(), (Connecting, None, true), "{place:?}");
        let next = desk.generation() + 1;
        assert_eq!(desk.fire(), [open(next)], "{place:?}");
    }
}

#[test]
fn what_was_scanned_just_now_logs_in_before_it_goes_another_way() {
    let mut desk = Desk::at(Place::Scan);
    desk.link(paired());
    let generation = desk.generation();
    assert_eq!(desk.step(SessionEvent::Renew), []);
    assert_eq!(desk.link(connected()), [close(generation), Save]);
    assert_eq!(desk.shown(), (Connecting, None, true));
    desk.timer = None;
    assert_eq!(desk.gone(), []);
    assert_eq!(desk.fire(), [open(generation + 1)]);
    assert_eq!(desk.link(connected()), [Save], "once");
}

#[test]
fn disconnect() {
    for place in Place::ALL {
        let mut desk = Desk::at(place);
        let (before, generation) = (format!("{:?}", desk.machine), desk.generation());
        let effects = desk.step(SessionEvent::Disconnect);
        match place {
            Place::Opening | Place::Pairing | Place::Scan | Place::Passkey | Place::Connected => {
                assert_eq!(effects, [close(generation), Save], "{place:?}: the pairing stays");
                assert_eq!(desk.gone(), []);
            }
            Place::Pausing => assert_eq!(effects, [Save]),
            Place::Reopening => {
                assert_eq!(effects, [Save]);
                assert_eq!(desk.gone(), []);
            }
            _ => {
                assert_eq!((effects, format!("{:?}", desk.machine)), (vec![], before), "{place:?}");
                continue;
            }
        }
        assert_eq!(desk.shown(), (Disconnected, None, false), "{place:?}");
        assert_eq!(desk.machine.phase, Phase::Resting, "{place:?}");
        let unpaired = matches!(place, Place::Pairing | Place::Scan | Place::Passkey);
        assert_eq!(desk.machine.view().jid.is_none(), unpaired, "{place:?}");
    }
}

#[test]
fn delete() {
    for place in Place::ALL {
        let mut desk = Desk::at(place);
        let (generation, before) = (desk.generation(), desk.machine.view().reason_code);
        let mut effects = desk.step(SessionEvent::Delete);
        if place == Place::Over {
            assert_eq!(effects, []);
            continue;
        }
        // The row says it, whatever it said before: a deletion that a crash ends is gone on with.
        assert_eq!(effects.contains(&Save), before != ReasonCode::BeingDeleted, "{place:?}");
        effects.retain(|effect| *effect != Save);
        assert_eq!(desk.shown(), (Disconnected, Some("being deleted"), false), "{place:?}");
        match place {
            Place::Opening | Place::Pairing | Place::Scan | Place::Passkey | Place::Connected => {
                assert_eq!(effects, [closing(generation, Parting::LogOut)], "{place:?}");
            }
            // No link, but keys perhaps; or a link that is on its way out, and then the keys.
            Place::Unpaired | Place::LoggedOut | Place::Forgetting | Place::Deleting => {
                assert_eq!(effects, [closing(generation + 1, Parting::LogOut)], "{place:?}");
                let gone = SessionEvent::LinkGone { generation };
                assert_eq!(desk.step(gone), [], "{place:?}: the keys are waited for");
            }
            // Paired, so it logs in to log out, when there is a turn for that.
            Place::Resting
            | Place::Failed
            | Place::Pausing
            | Place::Closing
            | Place::Reopening
            | Place::ClosingToUnlink => {
                assert_eq!(effects, [], "{place:?}");
                if !matches!(place, Place::Resting | Place::Failed | Place::Pausing) {
                    assert_eq!(desk.gone(), [], "{place:?}");
                }
                unlinks(&mut desk, generation + 1);
            }
            Place::PausingToUnlink => {
                assert_eq!((effects, desk.timer), (vec![], None));
                let timer = desk.machine.timer_generation;
                desk.timer = Some((desk.now, timer));
                unlinks(&mut desk, generation + 1);
            }
            Place::Unlinking => {
                assert_eq!(effects, []);
                assert_eq!(desk.link(connected()), [closing(generation, Parting::LogOut)]);
            }
            Place::ShuttingDown => {
                assert_eq!(effects, []);
                assert_eq!(desk.gone(), [stopped()], "the next start goes on with it");
                continue;
            }
            Place::Over => unreachable!(),
        }
        assert_eq!(desk.gone(), [deleted()], "{place:?}");
        assert!(desk.machine.is_over());
        assert_eq!(desk.step(SessionEvent::Delete), [], "{place:?}");
    }
}

fn stays(why: &str) -> SessionEffect {
    SessionEffect::StaysLinked { why: why.to_owned() }
}

/// Its turn comes, and then it has its time to log in.
fn unlinks(desk: &mut Desk, generation: u64) {
    assert_eq!(desk.machine.view().retry_at, Some(desk.now));
    desk.pass(60);
    assert_eq!(desk.fire(), [open(generation)]);
    assert_eq!(desk.set_for(), Some(UNLINK_AFTER));
    assert_eq!(desk.link(connected()), [closing(generation, Parting::LogOut)]);
}

#[test]
fn what_is_to_be_kept_before_it_is_done_is_what_is_saved_then() {
    for place in Place::ALL {
        for event in [SessionEvent::Connect, SessionEvent::Disconnect] {
            let mut desk = Desk::at(place);
            let before = desk.machine.view().clone();
            let said = desk.machine.would_say(desk.now, event.clone());
            assert_eq!(*desk.machine.view(), before, "{place:?}: nothing is done yet");
            let saves = desk.step(event.clone()).contains(&SessionEffect::Save);
            assert_eq!(said.is_some(), saves, "{place:?}, {event:?}");
            let row = |view: &SessionView| (view.status, view.reason_code, view.reason.clone(), view.wanted);
            assert!(
                said.is_none_or(|said| row(&said) == row(desk.machine.view())),
                "{place:?}, {event:?}"
            );
        }
    }
}

#[test]
fn shutdown_closes_and_writes_nothing() {
    for place in Place::ALL {
        let mut desk = Desk::at(place);
        let (generation, before) = (desk.generation(), desk.machine.view().clone());
        let effects = desk.step(SessionEvent::Shutdown);
        let after = desk.machine.view();
        assert_eq!(after.wanted, before.wanted, "{place:?}: the next start goes on");
        let being_deleted = |view: &SessionView| view.reason_code == ReasonCode::BeingDeleted;
        assert_eq!(
            being_deleted(after),
            being_deleted(&before),
            "{place:?}: as it does with this"
        );
        assert_eq!(desk.machine.connected_link(), None, "{place:?}");
        assert_ne!(desk.machine.view().status, ConnectionStatus::Connected, "{place:?}");
        match place {
            Place::Unpaired
            | Place::Resting
            | Place::LoggedOut
            | Place::Failed
            | Place::Pausing
            | Place::PausingToUnlink => {
                assert_eq!(effects, [stopped()], "{place:?}");
                continue;
            }
            Place::Over => {
                assert_eq!(effects, []);
                continue;
            }
            Place::Opening | Place::Pairing | Place::Scan | Place::Passkey | Place::Connected | Place::Unlinking => {
                assert_eq!(effects, [close(generation)], "{place:?}: the keys stay");
            }
            Place::Closing
            | Place::Forgetting
            | Place::Reopening
            | Place::ClosingToUnlink
            | Place::Deleting
            | Place::ShuttingDown => {
                assert_eq!(effects, [], "{place:?}: what is under way ends");
            }
        }
        let ended = if place == Place::Deleting { deleted() } else { stopped() };
        assert_eq!(desk.gone(), [ended], "{place:?}");
        assert_eq!(desk.gone(), [], "{place:?}: once");
    }
}

#[test]
fn a_deletion_logs_in_once_more_or_goes_without() {
    let closed = |reason| LinkEvent::Closed(reason);
    let out = || CloseReason::LoggedOut("unlinked".into());
    for (event, parting, stays) in [
        (connected(), Parting::LogOut, false),
        (paired(), Parting::LogOut, false),
        (qr("2@a", NOW), Parting::Forget, false),
        (lost(), Parting::Forget, true),
        // The inbox takes none of the messages that come before `connected`; the link is logged in.
        (closed(CloseReason::QueueFull("full".into())), Parting::LogOut, false),
        (closed(out()), Parting::Forget, false),
        (closed(CloseReason::Replaced), Parting::Forget, true),
    ] {
        let mut desk = Desk::at(Place::Unlinking);
        let mut effects = desk.link(event.clone());
        let said = matches!(effects.first(), Some(SessionEffect::StaysLinked { why }) if !why.is_empty());
        assert_eq!(said, stays, "{event:?}");
        assert_eq!(effects.split_off(usize::from(said)), [closing(2, parting)], "{event:?}");
        assert_eq!(desk.link(connected()), [], "{event:?}");
        assert_eq!(desk.gone(), [deleted()], "{event:?}");
    }
    let mut desk = Desk::at(Place::Resting);
    assert_eq!(desk.step(SessionEvent::Delete), [Save]);
    assert_eq!(desk.fire(), [open(2)]);
    assert_eq!(
        desk.fire(),
        [closing(2, Parting::LogOut)],
        "it may be logged in, and what waits at WhatsApp still come"
    );
    assert_eq!(desk.link(connected()), []);
    assert_eq!(desk.gone(), [deleted()]);

    let mut desk = Desk::at(Place::Unlinking);
    let detail = "no keys".to_owned();
    let failed = SessionEvent::OpenFailed { generation: 2, detail };
    assert_eq!(
        desk.step(failed.clone()),
        [stays("no keys"), closing(2, Parting::Forget)]
    );
    assert_eq!(desk.step(failed.clone()), [], "once");

    // Also when it was told to log out before it was open.
    let mut desk = Desk::at(Place::Resting);
    desk.step(SessionEvent::Delete);
    desk.fire();
    assert_eq!(desk.fire(), [closing(2, Parting::LogOut)]);
    assert_eq!(desk.step(failed.clone()), [stays("no keys")]);
    assert_eq!(desk.step(failed.clone()), [], "once");

    // A link that is being logged out may say that its client's queue is full: that is no failure to open.
    let mut desk = Desk::at(Place::Resting);
    desk.step(SessionEvent::Connect);
    desk.fire();
    desk.step(SessionEvent::Delete);
    assert_eq!(desk.link(closed(CloseReason::QueueFull("full".into()))), []);
    assert_eq!(desk.step(failed), [stays("no keys")]);
}

#[test]
fn starts() {
    for status in ConnectionStatus::ALL {
        let row = SessionView {
            connected_since: Some(NOW),
            reconnect_attempts: 7,
            reason: Some("why".into()),
            ..row(status, Some(JID), true)
        };
        let mut machine = Session::new(NUMBER.parse().unwrap(), row);
        assert_eq!(machine.start(NOW, 0.0), [close(1)], "what a predecessor left");
        let view = machine.view();
        assert_eq!((view.connected_since, view.reconnect_attempts), (None, 0));
        let shown = if status == Failed { Failed } else { Connecting };
        assert_eq!(view.status, shown, "what failed has failed until it goes better");
        assert!(!matches!(
            view.status,
            ConnectionStatus::Connected | ConnectionStatus::AwaitingScan
        ));
        let effects = machine.step(NOW, 0.0, SessionEvent::LinkGone { generation: 1 });
        let after = Duration::ZERO;
        assert_eq!(
            effects,
            [SessionEffect::TakeTurn { after, generation: 1 }],
            "{status:?}"
        );
        assert_eq!(machine.view().retry_at, Some(NOW));
        let at = NOW + Duration::from_secs(3);
        machine.turn_is(0, NOW);
        machine.turn_is(1, at);
        machine.turn_is(0, NOW);
        assert_eq!(machine.view().retry_at, Some(at), "the turn that was asked for last");
        let effects = machine.step(at, 0.0, SessionEvent::TimerFired { generation: 1 });
        assert_eq!(effects[0], open(2));
        assert_eq!(machine.view().status, Connecting);
        assert_eq!(machine.view().jid.as_deref(), Some(JID));
    }
    for status in [Disconnected, LoggedOut, Failed] {
        let row = SessionView {
            reason: Some("why".into()),
            ..row(status, None, false)
        };
        let mut machine = Session::new(NUMBER.parse().unwrap(), row.clone());
        assert_eq!(machine.start(NOW, 0.0), [close(1)]);
        assert_eq!(machine.step(NOW, 0.0, SessionEvent::LinkGone { generation: 1 }), []);
        assert_eq!((machine.view(), machine.phase), (&row, Phase::Resting));
    }
}
