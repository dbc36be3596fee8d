//! Texts in and out, receipts, backlog, two accounts with companions.

use wacore::types::events::Event;

use crate::companion::{ANA, BOB, Companion, Keeper, network, until};

#[tokio::test(flavor = "multi_thread")]
async fn a_text_reaches_a_device_with_its_senders_number_and_is_receipted() {
    let network = network().await;
    let companion = Companion::linked(&network, ANA).await;
    let id = network.send_text(BOB, ANA, "hello Ana").await.unwrap();
    assert_eq!(companion.text("hello Ana").await, BOB);
    let receipt = until("a receipt", || async {
        network
            .receipts(BOB)
            .await
            .unwrap()
            .into_iter()
            .find(|receipt| receipt.id == id)
    })
    .await;
    assert_eq!(receipt.from, format!("{ANA}:1@s.whatsapp.net"));
    until("an empty queue", || async {
        (network.stats().await.unacked == 0).then_some(())
    })
    .await;
    // Ana's phone got it too.
    let on_the_phone = network.messages(ANA).await.unwrap();
    assert_eq!(
        (on_the_phone[0].id.as_str(), on_the_phone[0].from.as_str()),
        (id.as_str(), BOB)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_text_of_a_device_reaches_the_recipients_phone() {
    let network = network().await;
    let companion = Companion::linked(&network, ANA).await;
    let id = companion.send(BOB, "hello Bob").await;
    assert_eq!(companion.server_ack(&id).await, None);
    let message = until("the text", || async {
        network.messages(BOB).await.unwrap().into_iter().next()
    })
    .await;
    assert_eq!(
        (message.id, message.from.as_str(), message.text.as_str()),
        (id.clone(), ANA, "hello Bob")
    );
    companion
        .saw("the phone's receipt", |event| match event {
            Event::Receipt(receipt) => receipt.message_ids.contains(&id).then_some(()),
            _ => None,
        })
        .await;
    // The copy for the sender's own phone is not a message that it received.
    assert!(network.messages(ANA).await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conversation_goes_back_and_forth_in_order() {
    let network = network().await;
    let companion = Companion::linked(&network, ANA).await;
    let mut expected = Vec::new();
    for round in 0..5 {
        for part in ["a", "b", "c"] {
            let text = format!("{round}{part}");
            network.send_text(BOB, ANA, &text).await.unwrap();
            expected.push((BOB.to_owned(), text));
        }
        until("the round", || async {
            (companion.texts().len() == expected.len()).then_some(())
        })
        .await;
        companion.send(BOB, &format!("answer {round}")).await;
    }
    assert_eq!(companion.texts(), expected);
    let answers = until("five answers", || async {
        let received = network.messages(BOB).await.unwrap();
        (received.len() == 5).then_some(received)
    })
    .await;
    let answers: Vec<_> = answers.into_iter().map(|message| message.text).collect();
    assert_eq!(answers, ["answer 0", "answer 1", "answer 2", "answer 3", "answer 4"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_to_a_number_that_nobody_has_is_refused() {
    let network = network().await;
    let companion = Companion::linked(&network, ANA).await;
    let id = companion.send("5511000000000", "anybody?").await;
    assert_eq!(companion.server_ack(&id).await.as_deref(), Some("463"));
    assert_eq!(network.stats().await.messages_in, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_client_learns_who_is_on_whatsapp() {
    let network = network().await;
    let companion = Companion::linked(&network, ANA).await;
    let asked = [whatsapp_rust::Jid::pn(BOB), whatsapp_rust::Jid::pn("5511000000000")];
    let answers = companion.client.contacts().is_on_whatsapp(&asked).await.unwrap();
    let known: Vec<_> = answers
        .iter()
        .filter(|answer| answer.is_registered)
        .map(|answer| answer.jid.user.as_str())
        .collect();
    assert_eq!(known, [BOB]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_arrives_while_a_device_is_away_comes_when_it_is_back() {
    let network = network().await;
    let backend = Companion::linked_and_gone(&network, ANA).await;
    let expected: Vec<_> = (0..450)
        .map(|number| (BOB.to_owned(), format!("away {number}")))
        .collect();
    for (_, text) in &expected {
        network.send_text(BOB, ANA, text).await.unwrap();
    }
    assert_eq!(network.devices(ANA).await.unwrap()[0].unacked, 450);
    let companion = Companion::start(&network, backend).await;
    until("the backlog", || async {
        (companion.texts().len() >= expected.len()).then_some(())
    })
    .await;
    assert_eq!(companion.texts(), expected);
    until("an empty queue", || async {
        (network.stats().await.unacked == 0).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn devices_of_two_accounts_write_to_each_other_and_see_their_own_phones() {
    let network = network().await;
    let ana = Companion::linked(&network, ANA).await;
    let ana_too = Companion::linked(&network, ANA).await;
    let bob = Companion::linked(&network, BOB).await;
    ana.send(BOB, "from Ana's first device").await;
    assert_eq!(bob.text("from Ana's first device").await, ANA);
    bob.send(ANA, "from Bob's device").await;
    assert_eq!(ana.text("from Bob's device").await, BOB);
    assert_eq!(ana_too.text("from Bob's device").await, BOB);
    // What Ana's phone sends, her devices see as sent by her.
    network.send_text(ANA, BOB, "from Ana's phone").await.unwrap();
    assert_eq!(bob.text("from Ana's phone").await, ANA);
    let own = |event: &Event| match event {
        Event::Messages(batch) => batch.messages.iter().find_map(|message| {
            let source = &message.info.source;
            let text = message.message.conversation.clone()?;
            source.is_from_me.then(|| (source.chat.user.to_string(), text))
        }),
        _ => None,
    };
    let bob_lid = network.create_account(BOB).await.unwrap().lid;
    let copy = ana_too
        .saw("the phone's copy", |event| {
            own(event).filter(|(_, text)| text.contains("phone"))
        })
        .await;
    assert_eq!(
        (format!("{}@lid", copy.0), copy.1.as_str()),
        (bob_lid, "from Ana's phone")
    );
    // And what one of her devices sends, the other sees too.
    ana_too
        .saw("the device's copy", |event| {
            own(event).filter(|(_, text)| text.contains("first device"))
        })
        .await;
    until("empty queues", || async {
        (network.stats().await.unacked == 0).then_some(())
    })
    .await;
    let texts: Vec<_> = network
        .messages(ANA)
        .await
        .unwrap()
        .into_iter()
        .map(|message| message.text)
        .collect();
    assert_eq!(texts, ["from Bob's device"]);
}

/// Drops the client's Signal sessions, as a device does whose store was restored from an old backup.
async fn forget_sessions(backend: &wacore::store::InMemoryBackend, lid: &str) {
    use wacore::store::traits::SignalStore as _;
    use wacore::types::jid::JidExt as _;
    let jid: whatsapp_rust::Jid = lid.parse().unwrap();
    backend.delete_session(&jid.to_protocol_address_string()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_that_lost_its_session_gets_the_message_again() {
    let network = network().await;
    let companion = Companion::linked(&network, ANA).await;
    network.send_text(BOB, ANA, "first").await.unwrap();
    companion.text("first").await;
    companion
        .send(BOB, "so that Bob's phone needs no prekey any more")
        .await;
    until("the answer", || async { network.messages(BOB).await.unwrap().pop() }).await;
    let backend = companion.stop().await;
    forget_sessions(&backend, &network.create_account(BOB).await.unwrap().lid).await;
    let id = network.send_text(BOB, ANA, "second").await.unwrap();
    let companion = Companion::start(&network, backend).await;
    companion.text("second").await;
    let asked = network.receipts(BOB).await.unwrap();
    assert!(
        asked.iter().any(|receipt| receipt.id == id && receipt.kind == "retry"),
        "{asked:?}"
    );
    until("an empty queue", || async {
        (network.stats().await.unacked == 0).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_phone_that_cannot_decrypt_gets_the_message_again() {
    let network = network().await;
    let companion = Companion::linked(&network, ANA).await;
    let late = "5511777777777";
    let refused = companion.send(late, "nobody is there yet").await;
    assert_eq!(companion.server_ack(&refused).await.as_deref(), Some("463"));
    // The client now has a session with keys that the new account's phone never had.
    network.create_account(late).await.unwrap();
    companion.send(late, "welcome").await;
    let message = until("the text", || async { network.messages(late).await.unwrap().pop() }).await;
    assert_eq!(message.text, "welcome");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_linked_later_gets_the_next_message() {
    let network = network().await;
    let ana = Companion::linked(&network, ANA).await;
    ana.send(BOB, "before").await;
    until("the text", || async { network.messages(BOB).await.unwrap().pop() }).await;
    let bob = Companion::linked(&network, BOB).await;
    ana.saw("the new device", |event| {
        matches!(event, Event::DeviceListUpdate(_)).then_some(())
    })
    .await;
    ana.send(BOB, "after").await;
    assert_eq!(bob.text("after").await, ANA);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_device_does_not_receipt_stays_queued_and_comes_again() {
    let network = network().await;
    let backend = Companion::linked_and_gone(&network, ANA).await;
    let full = Keeper {
        refuses: true,
        ..Keeper::default()
    };
    let companion = Companion::start_with(&network, backend, None, Some(full.clone())).await;
    companion.connected().await;
    let id = network.send_text(BOB, ANA, "keep this").await.unwrap();
    until("the refusal", || async { full.asked.lock().unwrap().pop() }).await;
    let backend = companion.stop().await;
    assert_eq!(network.devices(ANA).await.unwrap()[0].unacked, 1);
    assert!(
        !network
            .receipts(BOB)
            .await
            .unwrap()
            .iter()
            .any(|receipt| receipt.id == id)
    );

    let good = Keeper::default();
    let companion = Companion::start_with(&network, backend, None, Some(good.clone())).await;
    until("the text", || async { good.kept.lock().unwrap().first().cloned() }).await;
    until("an empty queue", || async {
        (network.stats().await.unacked == 0).then_some(())
    })
    .await;
    assert_eq!(*good.kept.lock().unwrap(), ["keep this"]);
    drop(companion);
}
