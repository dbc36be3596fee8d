//! Edits and answers know what they are about, where this number sent it.

use serde_json::{Value, json};
use wharf_domain::{
    ConnectionKey,
    outgoing::{FileType, Mentions, Quote, Target},
};
use wharf_whatsapp::ScriptedHandle;

use super::*;

/// A message that was sent at some time.
async fn was_sent(world: &World, link: &ScriptedHandle, client: ClientId, id: &str, mut body: Value, at: Timestamp) {
    body["to"] = body.get("to").cloned().unwrap_or_else(|| TO.into());
    let row = NewOutgoing {
        key: ConnectionKey::new(client, number(1)),
        message_id: id.to_owned(),
        outgoing: serde_json::from_value(body).unwrap(),
        created_at: at,
        deadline_at: at,
        started_at: Some(at),
        file: None,
    };
    let mut writer = world.store.writer().await.unwrap();
    let mut group = writer.begin().await.unwrap();
    assert!(group.record_outgoing(&row).await.unwrap());
    group.commit().await.unwrap();
    drop(writer);
    link.tell_of(&[id], News::Sent, at, None).await.unwrap();
}

fn target(id: &str) -> Target {
    Target {
        message_id: id.to_owned(),
        from: None,
    }
}

fn own(to: &str, content: Content) -> NewMessage {
    NewMessage {
        to: to.parse().unwrap(),
        content: NewContent::Own(content),
        ..super::text("")
    }
}

fn change(id: &str, text: &str) -> Content {
    Content::Edit {
        target: target(id),
        text: text.to_owned(),
        mentions: Mentions::default(),
        caption_of: None,
    }
}

fn edit(id: &str, text: &str) -> NewMessage {
    own(TO, change(id, text))
}

fn revoke(id: &str) -> Content {
    Content::Revoke { target: target(id) }
}

fn reaction(id: &str) -> Content {
    Content::Reaction {
        target: target(id),
        emoji: "👍".to_owned(),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_edit_knows_what_it_changes() {
    let world = World::start_with(with(unpaced())).await;
    let (client, link) = world.client_with_number().await;
    let now = clock::now();
    for (id, kind) in [("IMAGE", "image"), ("VOICE", "voice")] {
        was_sent(&world, &link, client, id, json!({"type": kind, "media": {}}), now).await;
    }
    let text = json!({"type": "text", "text": "hi"});
    was_sent(&world, &link, client, "TEXT", text.clone(), now).await;
    was_sent(&world, &link, client, "OLD", text, Timestamp(now.0 - 16 * 60_000)).await;
    for id in ["IMAGE", "TEXT", "not ours"] {
        send(&world, client, edit(id, "new")).await.unwrap();
    }
    let sent = link.sent().into_iter().map(|sent| match sent.message.content {
        Content::Edit { caption_of, .. } => caption_of,
        other => panic!("{other:?}"),
    });
    assert_eq!(sent.collect::<Vec<_>>(), [Some(FileType::Image), None, None]);

    let voice = send(&world, client, edit("VOICE", "new")).await;
    assert!(
        matches!(&voice, Err(GatewayError::Refused(why)) if why.contains("type voice")),
        "{voice:?}"
    );
    let late = send(&world, client, edit("OLD", "new")).await;
    assert!(
        matches!(&late, Err(GatewayError::Refused(why)) if why.contains("16 minutes")),
        "{late:?}"
    );
    let long = send(&world, client, edit("IMAGE", &"x".repeat(1025))).await;
    assert!(
        matches!(&long, Err(GatewayError::Invalid(refused)) if refused.field == "text"),
        "{long:?}"
    );
    send(&world, client, edit("TEXT", &"x".repeat(1025))).await.unwrap();
    world.gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_about_a_message_goes_where_that_went() {
    const OTHER: &str = "5511777777777";
    const GROUP: &str = "120363000000000001@g.us";
    let world = World::start_with(with(unpaced())).await;
    let (client, link) = world.client_with_number().await;
    let now = clock::now();
    for (id, to) in [("PERSON", TO), ("GROUP", GROUP), ("HIDDEN", "100000000000007@lid")] {
        let text = json!({"type": "text", "text": "hi", "to": to});
        was_sent(&world, &link, client, id, text, now).await;
    }
    for (id, went, to) in [
        ("PERSON", TO, OTHER),
        ("PERSON", TO, GROUP),
        ("GROUP", GROUP, TO),
        ("GROUP", GROUP, "120363000000000002@g.us"),
        ("HIDDEN", "100000000000007@lid", "100000000000008@lid"),
    ] {
        for content in [change(id, "new"), revoke(id), reaction(id)] {
            let refused = send(&world, client, own(to, content)).await;
            let why = format!("was sent to {went}");
            assert!(
                matches!(&refused, Err(GatewayError::Refused(said)) if said.contains(&why)),
                "{id} {to}: {refused:?}"
            );
        }
    }
    assert!(link.sent().is_empty(), "nothing was sent");
    let without_ninth_digit = TO.replacen("551199", "55119", 1);
    for (id, to) in [
        ("PERSON", without_ninth_digit.as_str()),
        ("PERSON", "100000000000007@lid"),
        ("HIDDEN", TO),
        ("GROUP", GROUP),
        ("not ours", OTHER),
    ] {
        for content in [change(id, "new"), revoke(id), reaction(id)] {
            send(&world, client, own(to, content)).await.unwrap();
        }
    }
    let reacted = link.sent().into_iter().filter_map(|sent| match sent.message.content {
        Content::Reaction { target, .. } => Some(target.from.is_some_and(|from| from == number(1).into())),
        _ => None,
    });
    assert_eq!(reacted.collect::<Vec<_>>(), [true, true, true, true, false]);
    world.gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_not_sent_is_not_deleted() {
    let world = World::start().await;
    let (client, link) = world.client_with_number().await;
    link.on_send(SendScript::Nobody);
    send(&world, client, text("lost")).await.unwrap_err();
    link.on_send(SendScript::Panic);
    send(&world, client, text("unknown")).await.unwrap_err();
    link.on_send(SendScript::Accept);
    let rows = all(&world, client).await;
    let ids = ["not_on_whatsapp", "unknown"].map(|code| {
        let mut failed = rows.iter().filter(|row| row.error_code.as_deref() == Some(code));
        failed.next().unwrap().message_id.as_str()
    });
    let refused = send(&world, client, own(TO, revoke(ids[0]))).await;
    assert!(
        matches!(&refused, Err(GatewayError::Refused(why)) if why.ends_with("it was not sent")),
        "{refused:?}"
    );
    send(&world, client, own(TO, revoke(ids[1])))
        .await
        .expect("it may have been sent");
    world.gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_to_what_was_sent_quotes_it() {
    let world = World::start_with(with(unpaced())).await;
    let (client, link) = world.client_with_number().await;
    let first = send(&world, client, text("hello")).await.unwrap().message_id;
    let answer = |id: &str, said: Option<&str>| NewMessage {
        reply_to: Some(Quote {
            message_id: id.to_owned(),
            from: None,
            text: said.map(str::to_owned),
        }),
        ..text("again")
    };
    let quote = |id: &str, from: Option<PhoneNumber>, text: Option<&str>| Quote {
        message_id: id.to_owned(),
        from: from.map(Into::into),
        text: text.map(str::to_owned),
    };
    let own = || Some(number(1));
    for (asked, quoted) in [
        (answer(&first, None), quote(&first, own(), Some("hello"))),
        (answer(&first, Some("he")), quote(&first, own(), Some("he"))),
        (answer("theirs", None), quote("theirs", None, None)),
    ] {
        send(&world, client, asked).await.unwrap();
        assert_eq!(link.sent().pop().unwrap().message.reply_to, Some(quoted));
    }
    world.gateway.stop().await;
}
