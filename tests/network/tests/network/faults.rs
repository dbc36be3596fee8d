//! Each fault as the client sees it.

use std::time::{Duration, Instant};

use wacore::types::events::Event;
use wharf_testnet::{Fault, FaultCode, FaultKind, Network, NetworkError};
use whatsapp_rust::Jid;

use crate::companion::{ANA, BOB, Companion, network, until};

fn fault(kind: FaultKind) -> Fault {
    Fault {
        kind,
        phone: Some(ANA.to_owned()),
        code: None,
        for_ms: None,
    }
}

async fn connected(network: &Network, phone: &str) -> bool {
    network.devices(phone).await.unwrap()[0].connected
}

#[tokio::test(flavor = "multi_thread")]
async fn drop_closes_only_the_links_meant_and_they_come_back() {
    let network = network().await;
    let ana = Companion::linked(&network, ANA).await;
    let bob = Companion::linked(&network, BOB).await;
    network.fault(fault(FaultKind::Drop)).await.unwrap();
    let disconnected = |event: &Event| matches!(event, Event::Disconnected(_)).then_some(());
    ana.saw("Disconnected", disconnected).await;
    ana.connected_times(2).await;
    network.send_text(BOB, ANA, "after the drop").await.unwrap();
    ana.text("after the drop").await;
    // Whatever Bob's device was told before this, it was told by then.
    network.send_text(ANA, BOB, "and for Bob").await.unwrap();
    bob.text("and for Bob").await;
    assert!(bob.all(disconnected).is_empty(), "Bob's link was to stay");
}

#[tokio::test(flavor = "multi_thread")]
async fn refuse_with_a_code_is_a_connect_failure() {
    let network = network().await;
    let backend = Companion::linked_and_gone(&network, ANA).await;
    let refuse = Fault {
        code: Some(FaultCode::Number(503)),
        for_ms: Some(600_000),
        ..fault(FaultKind::Refuse)
    };
    network.fault(refuse).await.unwrap();
    let companion = Companion::start(&network, backend).await;
    companion
        .saw("ConnectFailure", |event| {
            matches!(event, Event::ConnectFailure(_)).then_some(())
        })
        .await;
    assert!(!connected(&network, ANA).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn refuse_402_is_a_temporary_ban() {
    let network = network().await;
    let backend = Companion::linked_and_gone(&network, ANA).await;
    let refuse = Fault {
        code: Some(FaultCode::Name("402".to_owned())),
        ..fault(FaultKind::Refuse)
    };
    network.fault(refuse).await.unwrap();
    let companion = Companion::start(&network, backend).await;
    companion
        .saw("TemporaryBan", |event| {
            matches!(event, Event::TemporaryBan(_)).then_some(())
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn refuse_without_a_code_ends_and_the_client_comes_in() {
    let network = network().await;
    let backend = Companion::linked_and_gone(&network, ANA).await;
    let refuse = Fault {
        phone: None,
        for_ms: Some(1_500),
        ..fault(FaultKind::Refuse)
    };
    network.fault(refuse).await.unwrap();
    let companion = Companion::start(&network, backend).await;
    companion.connected().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pairing_that_is_spoiled_is_refused_by_the_client_and_qrs_expire() {
    let network = network().await;
    let companion = Companion::fresh(&network).await;
    let spoil = network.fault_times(fault(FaultKind::PairCorrupt), Some(1));
    spoil.await.unwrap();
    let refused = companion.scan_with(ANA).await;
    assert!(matches!(refused, Err(NetworkError::Conflict(_))), "{refused:?}");
    let failed = |event: &Event| matches!(event, Event::PairError(_)).then_some(());
    companion.saw("PairError", failed).await;
    assert!(network.devices(ANA).await.unwrap().is_empty());

    let companion = Companion::fresh(&network).await;
    let qr = companion.qr().await;
    let of_nobody = network.fault(fault(FaultKind::QrExpire)).await;
    assert!(matches!(of_nobody, Err(NetworkError::Invalid(_))), "{of_nobody:?}");
    let expire = Fault {
        phone: None,
        ..fault(FaultKind::QrExpire)
    };
    network.fault(expire).await.unwrap();
    let expired = |event: &Event| matches!(event, Event::PairingQrCodesExhausted(_)).then_some(());
    companion.saw("PairingQrCodesExhausted", expired).await;
    let late = network.scan(ANA, &qr).await;
    assert!(matches!(late, Err(NetworkError::Conflict(_))), "{late:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ban_says_when_it_ends_or_nothing() {
    let network = network().await;
    let backend = Companion::linked_and_gone(&network, ANA).await;
    let ban = |code: &str| Fault {
        code: Some(FaultCode::Name(code.to_owned())),
        for_ms: Some(600_000),
        ..fault(FaultKind::Ban)
    };
    network.fault(ban("104")).await.unwrap();
    let companion = Companion::start(&network, backend).await;
    let ended = |event: &Event| match event {
        Event::TemporaryBan(ban) => Some(ban.expire.num_seconds()),
        _ => None,
    };
    let seconds = companion.saw("TemporaryBan", ended).await;
    assert!((1..=600).contains(&seconds), "{seconds}");
    let backend = companion.stop().await;
    network.fault(ban("endless")).await.unwrap();
    let companion = Companion::start(&network, backend).await;
    let refused = |event: &Event| match event {
        Event::ConnectFailure(failure) => Some(failure.reason.code()),
        _ => None,
    };
    assert_eq!(companion.saw("ConnectFailure", refused).await, 402);
    let unknown = network.fault(ban("soon")).await;
    assert!(matches!(unknown, Err(NetworkError::Invalid(_))), "{unknown:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn stall_answers_nothing_and_loses_nothing_that_was_queued() {
    let network = network().await;
    let companion = Companion::linked(&network, ANA).await;
    let (lasts, began) = (Duration::from_secs(3), Instant::now());
    let stall = Fault {
        for_ms: Some(3_000),
        ..fault(FaultKind::Stall)
    };
    network.fault(stall).await.unwrap();
    network.send_text(BOB, ANA, "into the silence").await.unwrap();
    assert!(connected(&network, ANA).await, "the socket stays open");
    assert_eq!(companion.text("into the silence").await, BOB);
    assert!(began.elapsed() >= lasts, "it came while all was silent");
}

#[tokio::test(flavor = "multi_thread")]
async fn stream_errors_are_what_the_client_takes_them_for() {
    let network = network().await;
    let companion = Companion::linked(&network, ANA).await;
    network.fault(fault(FaultKind::StreamError)).await.unwrap();
    companion.connected_times(2).await;
    let replaced = Fault {
        code: Some(FaultCode::Name("replaced".to_owned())),
        ..fault(FaultKind::StreamError)
    };
    network.fault(replaced).await.unwrap();
    companion
        .saw("StreamReplaced", |event| {
            matches!(event, Event::StreamReplaced(_)).then_some(())
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn duplicates_reach_the_application_once() {
    let network = network().await;
    let companion = Companion::linked(&network, ANA).await;
    network.send_text(BOB, ANA, "one").await.unwrap();
    companion.text("one").await;
    until("an empty queue", || async {
        (network.stats().await.unacked == 0).then_some(())
    })
    .await;
    let before = network.stats().await.messages_out;
    network.fault(fault(FaultKind::Duplicate)).await.unwrap();
    network.send_text(BOB, ANA, "two").await.unwrap();
    companion.text("two").await;
    // "one" again, "two" twice, and whatever else was acknowledged before; the second "two" a moment after the first.
    until("the copies", || async {
        (network.stats().await.messages_out >= before + 3).then_some(())
    })
    .await;
    network.send_text(BOB, ANA, "three").await.unwrap();
    companion.text("three").await;
    let texts: Vec<_> = companion.texts().into_iter().map(|(_, text)| text).collect();
    assert_eq!(texts, ["one", "two", "three"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_of_an_older_revision_than_the_fault_takes_is_outdated() {
    let network = network().await;
    let backend = Companion::linked_and_gone(&network, ANA).await;
    let outdated = |least: u32| Fault {
        code: Some(FaultCode::Number(least)),
        for_ms: Some(600_000),
        ..fault(FaultKind::Outdated)
    };
    network.fault(outdated(1_030_000_001)).await.unwrap();
    let companion = Companion::start(&network, backend).await;
    let refused = |event: &Event| matches!(event, Event::ClientOutdated(_)).then_some(());
    companion.saw("ClientOutdated", refused).await;
    assert!(!connected(&network, ANA).await);
    let backend = companion.stop().await;
    network.fault(outdated(1_030_000_000)).await.unwrap();
    Companion::start(&network, backend).await.connected().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_is_asked_for_the_passkey_and_not_linked() {
    let network = network().await;
    let companion = Companion::fresh(&network).await;
    network.fault(fault(FaultKind::Passkey)).await.unwrap();
    let scanned = companion.scan_with(ANA).await;
    assert!(matches!(scanned, Err(NetworkError::Conflict(_))), "{scanned:?}");
    let asked = |event: &Event| matches!(event, Event::PairPasskeyRequest(_)).then_some(());
    companion.saw("PairPasskeyRequest", asked).await;
    assert!(network.devices(ANA).await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waited_at_the_login_comes_when_the_backlog_is_announced() {
    let network = network().await;
    let backend = Companion::linked_and_gone(&network, ANA).await;
    network.send_text(BOB, ANA, "while away").await.unwrap();
    let (lasts, began) = (Duration::from_secs(3), Instant::now());
    let hold = Fault {
        for_ms: Some(3_000),
        ..fault(FaultKind::Backlog)
    };
    network.fault(hold).await.unwrap();
    let companion = Companion::start(&network, backend).await;
    companion.text("while away").await;
    assert!(began.elapsed() >= lasts, "it came before it was announced");
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_gets_the_keys_of_an_account_without_any() {
    let network = network().await;
    let companion = Companion::linked(&network, ANA).await;
    let signal = companion.client.signal();
    let phone = Jid::pn(BOB);
    let has_session = async || {
        let _refused = signal.assert_sessions(std::slice::from_ref(&phone)).await;
        signal.validate_session(&phone).await.unwrap()
    };
    let lasts = |for_ms| Fault {
        phone: Some(BOB.to_owned()),
        for_ms: Some(for_ms),
        ..fault(FaultKind::Keyless)
    };
    for (for_ms, given) in [(600_000, false), (0, true)] {
        network.fault(lasts(for_ms)).await.unwrap();
        assert_eq!(has_session().await, given);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wary_account_takes_messages_of_those_only_to_whom_it_wrote() {
    let network = network().await;
    let companion = Companion::linked(&network, ANA).await;
    let wary = Fault {
        phone: Some(BOB.to_owned()),
        for_ms: Some(600_000),
        ..fault(FaultKind::Wary)
    };
    network.fault(wary).await.unwrap();
    let id = companion.send(BOB, "from a stranger").await;
    assert_eq!(companion.server_ack(&id).await.as_deref(), Some("463"));
    network.send_text(BOB, ANA, "write to me").await.unwrap();
    companion.text("write to me").await;
    // The token comes before the message, but the client keeps it in a task of its own.
    until("a message to be taken", || async {
        let id = companion.send(BOB, "hello").await;
        companion.server_ack(&id).await.is_none().then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_fault_that_makes_no_sense_is_refused() {
    let network = network().await;
    let with = |kind, code: &str| Fault {
        code: Some(FaultCode::Name(code.to_owned())),
        ..fault(kind)
    };
    for wrong in [
        with(FaultKind::Drop, "503"),
        with(FaultKind::Refuse, "replaced"),
        with(FaultKind::StreamError, "ABC"),
    ] {
        assert!(matches!(network.fault(wrong).await, Err(NetworkError::Invalid(_))));
    }
    let nobody = Fault {
        phone: Some("5511000000000".to_owned()),
        ..fault(FaultKind::Drop)
    };
    assert!(matches!(network.fault(nobody).await, Err(NetworkError::NotFound(_))));
}
