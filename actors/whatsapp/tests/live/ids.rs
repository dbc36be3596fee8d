//! By number or by hidden id: which of them WhatsApp is told where.

use std::time::Duration;

use serde_json::json;
use wharf_domain::{
    GroupId, Outgoing, Recipient,
    action::{Action, Done, ParticipantChange, PresenceState},
};
use wharf_testnet::{PhoneSettings, ReceivedMessage};
use wharf_whatsapp::SendError;

use crate::support::{Line, OURS, THEIRS, World, eventually, send};

const DEADLINE: Duration = Duration::from_secs(30);
/// An account that WhatsApp knows without the ninth digit, and how its number is written today.
const OLD: (&str, &str) = ("551177777777", "5511977777777");

async fn act(line: &Line, action: Action) -> Result<Done, SendError> {
    line.link.act(&action, DEADLINE).await
}

fn person(text: &str) -> Recipient {
    Recipient::parse_person("x", text).unwrap()
}

async fn hidden_id(world: &World, phone: &str) -> String {
    world.network.create_account(phone).await.unwrap().lid
}

/// Of the linked number with two others; with their hidden ids.
async fn group(world: &World) -> (GroupId, String, String) {
    let (theirs, olds) = (hidden_id(world, THEIRS).await, hidden_id(world, OLD.0).await);
    let others = [THEIRS, OLD.0].map(String::from);
    let made = world.network.create_group(OURS, "Harbour", &others).await.unwrap();
    (made.id.parse().unwrap(), theirs, olds)
}

/// Under which addresses the other one's messages were marked as read.
async fn read(world: &World, phone: &str) -> Vec<String> {
    let receipts = world.network.receipts(phone).await.unwrap();
    let read = receipts.into_iter().filter(|receipt| receipt.kind == "read");
    read.map(|receipt| receipt.to).collect()
}

async fn chats_go_by(migrated: bool) {
    let world = World::start().await;
    let settings = PhoneSettings {
        lid_migrated: Some(migrated),
        ..PhoneSettings::default()
    };
    world.network.set_phone(OURS, &settings).await.unwrap();
    let line = world.pair().await;
    let id = world.write("hello").await;
    eventually("the text", async || !line.inbox.texts().is_empty()).await;
    let lid = hidden_id(&world, THEIRS).await;
    let wanted = match migrated {
        true => lid.clone(),
        false => format!("{THEIRS}@s.whatsapp.net"),
    };
    for who in [THEIRS, &lid] {
        send(&line.link, who, "hello", DEADLINE).await.unwrap();
        let typing = Action::Presence {
            to: Some(person(who)),
            state: PresenceState::Typing,
        };
        assert_eq!(act(&line, typing).await, Ok(Done::Done));
        let seen = Action::MarkRead {
            chat: person(who),
            from: None,
            message_ids: vec![id.clone()],
        };
        assert_eq!(act(&line, seen).await, Ok(Done::Done));
    }
    eventually("what is shown", async || {
        world.network.presence(THEIRS).await.unwrap().len() == 2 && read(&world, THEIRS).await.len() == 2
    })
    .await;
    assert_eq!(read(&world, THEIRS).await, [&*wanted, &*wanted]);
    let typed = world.network.presence(THEIRS).await.unwrap();
    assert!(typed.iter().all(|shown| shown.to == wanted), "{typed:?}");
    line.link.close().await;
}

#[tokio::test]
async fn chats_of_a_migrated_account_go_by_hidden_ids() {
    chats_go_by(true).await;
}

#[tokio::test]
async fn chats_of_an_account_that_was_not_migrated_go_by_numbers() {
    chats_go_by(false).await;
}

#[tokio::test]
async fn a_writer_in_a_group_is_read_as_the_group_knows_them() {
    let (world, line) = World::paired().await;
    let (group, _, olds) = group(&world).await;
    let id = world.network.send_text(OLD.0, group.as_str(), "hello").await.unwrap();
    eventually("the text", async || !line.inbox.texts().is_empty()).await;
    for from in [OLD.0, OLD.1, &olds] {
        let seen = Action::MarkRead {
            chat: Recipient::Group(group.clone()),
            from: Some(person(from)),
            message_ids: vec![id.clone()],
        };
        assert_eq!(act(&line, seen).await, Ok(Done::Done), "{from}");
    }
    eventually("the receipts", async || read(&world, OLD.0).await.len() == 3).await;
    assert_eq!(read(&world, OLD.0).await, [&*olds, &*olds, &*olds]);
    line.link.close().await;
}

#[tokio::test]
async fn who_is_mentioned_is_named_as_the_group_knows_them() {
    let (world, line) = World::paired().await;
    let (group, theirs, olds) = group(&world).await;
    let digits = |id: &str| id.strip_suffix("@lid").unwrap().to_owned();
    let sent = async |id: &str, text: String, mentions: serde_json::Value| -> ReceivedMessage {
        let body = json!({"to": group.as_str(), "type": "text", "text": text, "mentions": mentions});
        let message: Outgoing = serde_json::from_value(body).unwrap();
        line.link.send(id, &message, DEADLINE).await.unwrap();
        let received = async || {
            let received = world.network.messages(THEIRS).await.unwrap();
            received.into_iter().find(|received| received.id == id)
        };
        eventually("the message", async || received().await.is_some()).await;
        received().await.unwrap()
    };
    let text = format!("@{} @{}", OLD.1, digits(&theirs));
    let named = sent("3EB0A1B2C3D4", text, json!([OLD.1, theirs])).await;
    assert_eq!(named.text, format!("@{} @{}", digits(&olds), digits(&theirs)));
    let details = named.details.unwrap();
    assert_eq!(
        (details.mentions, details.mentions_all),
        (vec![OLD.0.to_owned(), THEIRS.to_owned()], false)
    );

    let all = sent("3EB0A1B2C3D5", "@all look".to_owned(), json!("all")).await;
    assert_eq!(all.text, "@all look");
    let details = all.details.unwrap();
    assert_eq!((details.mentions, details.mentions_all), (vec![], true));
    line.link.close().await;
}

#[tokio::test]
async fn members_are_changed_by_hidden_ids_too() {
    let (world, line) = World::paired().await;
    let (group, theirs, olds) = group(&world).await;
    let change = async |add: &[&str], remove: &[&str], promote: &[&str], demote: &[&str]| -> Vec<ParticipantChange> {
        let [add, remove, promote, demote] =
            [add, remove, promote, demote].map(|people| people.iter().map(|text| person(text)).collect());
        let change = Action::ChangeParticipants {
            group: group.clone(),
            add,
            remove,
            promote,
            demote,
        };
        match act(&line, change).await {
            Ok(Done::Participants(changes)) => changes,
            other => panic!("{other:?}"),
        }
    };
    let told = |changes: Vec<ParticipantChange>| -> Vec<(String, String, bool)> {
        let told = changes.into_iter().map(|change| (change.action, change.jid, change.ok));
        told.collect()
    };
    let done = |action: &str, who: &str| (action.to_owned(), who.to_owned(), true);
    // Beside one by number, each in its list.
    let changes = change(&[], &[OLD.0], &[&theirs], &[]).await;
    let old = format!("{}@s.whatsapp.net", OLD.0);
    assert_eq!(told(changes), [done("remove", &old), done("promote", &theirs)]);
    let changes = change(&[&olds], &[], &[], &[&theirs]).await;
    assert_eq!(told(changes), [done("add", &olds), done("demote", &theirs)]);
    let changes = change(&[], &[&theirs], &[], &[]).await;
    assert_eq!(told(changes), [done("remove", &theirs)]);
    let members = world.network.group(group.as_str()).await.unwrap().participants;
    let mut members: Vec<&str> = members.iter().map(|member| member.phone.as_str()).collect();
    members.sort_unstable();
    assert_eq!(members, [OLD.0, OURS]);
    line.link.close().await;
}
