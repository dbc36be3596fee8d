//! Whether others see the account online.

use std::time::Duration;

use wharf_domain::{
    EventKind, EventKinds,
    action::{Action, PresenceState},
};
use wharf_testnet::Setting;
use wharf_whatsapp::LinkEvent;

use crate::support::{Line, OURS, THEIRS, World, eventually, send};

impl World {
    /// Names the account: one without a name is never online.
    async fn name_account(&self) {
        let named = Setting::PushName("Harbour Office".to_owned());
        self.network.change_setting(OURS, &named).await.unwrap();
    }

    async fn is_online(&self) -> bool {
        self.network.devices(OURS).await.unwrap()[0].available
    }
}

#[tokio::test]
async fn the_account_is_seen_online_only_where_somebody_wants_it() {
    let world = World::start().await;
    world.name_account().await;
    // What the client said before the link counted as connected is with the server when this is.
    let heard = async |line: &Line| {
        send(&line.link, THEIRS, "here", Duration::from_secs(20)).await.unwrap();
    };
    // Opens the link of before anew; the account has its name, so that its client says that it is there.
    let again = async |line: Line| {
        line.link.close().await;
        let mut line = world.open_into(line.inbox).await;
        let connected = line.next().await;
        assert!(
            matches!(&connected, LinkEvent::Connected { push_name: Some(_), .. }),
            "{connected:?}"
        );
        heard(&line).await;
        line
    };
    let show = async |line: &Line, state| {
        let presence = Action::Presence { to: None, state };
        line.link.act(&presence, Duration::from_secs(20)).await.unwrap();
    };

    let line = world.pair().await;
    heard(&line).await;
    eventually("the phone has its notifications", async || !world.is_online().await).await;
    let line = again(line).await;
    eventually("it has them after a reconnect", async || !world.is_online().await).await;
    let id = world.write("has it arrived?").await;
    eventually("the second tick", async || {
        let receipts = world.network.receipts(THEIRS).await.unwrap();
        receipts
            .iter()
            .any(|receipt| receipt.id == id && receipt.kind == "delivery")
    })
    .await;

    show(&line, PresenceState::Available).await;
    eventually("it is online", async || world.is_online().await).await;
    let line = again(line).await;
    assert!(world.is_online().await, "that is kept over a reconnect");
    show(&line, PresenceState::Unavailable).await;
    let line = again(line).await;
    eventually("this too", async || !world.is_online().await).await;

    line.link.close().await;
}

#[tokio::test]
async fn who_wants_to_know_who_is_there_is_seen_unless_its_client_said_otherwise() {
    for (said, seen) in [(None, true), (Some(PresenceState::Unavailable), false)] {
        let world = World::start().await;
        world.name_account().await;
        let line = world.pair().await;
        line.inbox.want(EventKinds::of([EventKind::Presence]));
        if let Some(state) = said {
            let presence = Action::Presence { to: None, state };
            line.link.act(&presence, Duration::from_secs(20)).await.unwrap();
        }
        world.write("are you there?").await;
        // Who begins to follow is answered.
        eventually("the writer is followed", async || {
            let heard = line.inbox.messages();
            heard.iter().any(|one| one.event() == EventKind::Presence)
        })
        .await;
        assert_eq!(world.is_online().await, seen, "{said:?}");
        line.link.close().await;
    }
}

#[tokio::test]
async fn who_wants_to_know_no_more_is_seen_no_more() {
    let world = World::start().await;
    world.name_account().await;
    let line = world.pair().await;
    line.inbox.want(EventKinds::of([EventKind::Presence]));
    world.write("are you there?").await;
    eventually("the writer is followed", async || {
        let heard = line.inbox.messages();
        heard.iter().any(|one| one.event() == EventKind::Presence)
    })
    .await;
    assert!(world.is_online().await);
    // Its webhook was changed or deleted.
    line.inbox.want(EventKinds::NONE);
    world.write("and now?").await;
    eventually("the phone has its notifications", async || !world.is_online().await).await;
    line.link.close().await;
}

#[tokio::test]
async fn a_device_is_there_for_a_moment_now_and_then() {
    let world = World::with(|config| config.seen_every = Duration::from_secs(3)).await;
    world.name_account().await;
    let line = world.pair().await;
    // With the name that it has learned by then.
    line.link.close().await;
    let line = world.open_into(line.inbox).await;
    for _ in 0..2 {
        eventually("it is not online", async || !world.is_online().await).await;
        eventually("it says that it is there", async || world.is_online().await).await;
    }
    line.link.close().await;
}

#[tokio::test]
async fn whoever_is_typed_to_sees_it_and_the_account_online_for_as_long() {
    let world = World::start().await;
    world.name_account().await;
    let line = world.pair().await;
    line.link.close().await;
    let mut line = world.open_into(line.inbox).await;
    line.connected().await;
    send(&line.link, THEIRS, "here", Duration::from_secs(20)).await.unwrap();
    eventually("nobody sees it online", async || !world.is_online().await).await;
    let (to, short) = (THEIRS.parse().unwrap(), Duration::from_secs(2));
    let seen = async || {
        let all = world.network.presence(THEIRS).await.unwrap();
        all.into_iter().map(|one| one.state).collect::<Vec<_>>()
    };
    let long = line.link.types(&to, PresenceState::Recording, short * 4);
    let short = async {
        line.link.types(&to, PresenceState::Typing, short).await;
        assert!(world.is_online().await, "the other one is not over");
        let mut seen = seen().await;
        seen.sort();
        assert_eq!(seen, ["composing", "recording"]);
    };
    tokio::join!(long, short);
    eventually("it is not online any more", async || !world.is_online().await).await;
    line.link.close().await;
}
