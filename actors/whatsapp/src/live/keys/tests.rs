//! Our keys and the library's own in memory, given the same calls, answer the same.

mod calls;
mod copies;
mod given;
mod insisted;
#[path = "../../../tests/live/keeper.rs"]
mod keeper;
mod pieces;
mod timers;
/// What `keeper` is written against.
mod api {
    pub(super) use crate::{KeyCipher, KeyKeeper, KeyStore, KeysError};
}

use std::{sync::Arc, time::Duration};

use proptest::{collection::vec, prelude::*, test_runner::TestRunner};
use wharf_domain::{ClientId, ConnectionKey};
use wharf_store::{KeyChange, KeyKind};
use whatsapp_rust::store::traits::{
    DeviceStore, LidPnMappingEntry, PendingInboundKey, PendingInboundRow, ProtocolStore, SignalStore,
};
use whatsapp_rust::wacore::{
    store::{Device, InMemoryBackend},
    time::now_secs,
};

use self::{
    calls::Call,
    keeper::{Keeper, key_store},
};
use super::{DeviceKeys, KeyStore, Reporter, name_of, prefix_of};
use crate::LinkEvents;

/// How long a message may be refused.
const PATIENCE: Duration = Duration::from_millis(300);

fn number(client: i64, phone: &str) -> ConnectionKey {
    ConnectionKey::new(ClientId(client), phone.parse().unwrap())
}

/// Two numbers of one client, and one of them of another client. What is forgotten of one reaches those behind it if it
/// reaches too far.
fn numbers() -> [ConnectionKey; 3] {
    [
        number(1, "5511777777777"),
        number(1, "5511888888888"),
        number(2, "5511777777777"),
    ]
}

struct World {
    dir: tempfile::TempDir,
    keys: KeyStore,
    keeper: Arc<Keeper>,
}

impl World {
    async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (keys, keeper) = key_store(&dir, &numbers()).await;
        Self { dir, keys, keeper }
    }

    fn device(&self, of: &ConnectionKey) -> DeviceKeys {
        self.device_of(&Reporter::new(of.clone(), LinkEvents::new(drop)))
    }

    fn device_of(&self, link: &Arc<Reporter>) -> DeviceKeys {
        DeviceKeys::new(&self.keys, Arc::clone(link), PATIENCE).unwrap()
    }
}

/// Which number, and what is asked of it; now and then its keys are let go of and opened anew.
#[derive(Debug, Clone)]
enum Step {
    Ask(usize, Call),
    Reopen(usize),
}

fn step(calls: impl Strategy<Value = Call>) -> impl Strategy<Value = Step> {
    // The other numbers are there to be mixed up with the first.
    let number = || prop_oneof![4 => Just(0_usize), 1 => Just(1), 1 => Just(2)];
    prop_oneof![
        30 => (number(), calls).prop_map(|(number, call)| Step::Ask(number, call)),
        1 => number().prop_map(Step::Reopen),
    ]
}

/// Forgets the device of a number and leaves its keys, as a crash right after that does.
async fn forget(world: &World, of: &ConnectionKey) {
    let device = KeyChange::Remove(KeyKind::Device, Vec::new());
    world.keys.keeper.commit(of, vec![device]).await.unwrap();
}

async fn compare(world: &World, steps: Vec<Step>) -> Result<(), TestCaseError> {
    let models: Vec<InMemoryBackend> = numbers().iter().map(|_| InMemoryBackend::new()).collect();
    let mut ours: Vec<DeviceKeys> = numbers().iter().map(|of| world.device(of)).collect();
    for (at, step) in steps.iter().enumerate() {
        match step {
            Step::Ask(number, call) => {
                let expected = calls::ask_model(call, &models[*number]).await;
                let answer = call.ask(&ours[*number]).await;
                prop_assert_eq!(answer, expected, "step {} of {:#?}", at, steps);
            }
            Step::Reopen(number) => {
                // What rides on the next change is there again otherwise, as it may be.
                ours[*number].commit(Vec::new()).await.unwrap();
                ours[*number] = world.device(&numbers()[*number]);
            }
        }
    }
    for (model, (of, ours)) in models.iter().zip(numbers().iter().zip(ours)) {
        for call in calls::everything() {
            prop_assert_eq!(
                call.ask(&ours).await,
                call.ask(model).await,
                "{:?} after {:#?}",
                call,
                steps
            );
        }
        forget(world, of).await;
        world.keys.keeper.remove_left(of).await.unwrap();
    }
    Ok(())
}

#[test]
fn random_calls_are_answered_as_by_the_librarys_own_store() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let world = runtime.block_on(World::start());
    let run = |calls: BoxedStrategy<Call>, cases: u32| {
        let config = ProptestConfig {
            cases,
            failure_persistence: None,
            ..ProptestConfig::default()
        };
        TestRunner::new(config)
            .run(&vec(step(calls), 1..120), |steps| {
                runtime.block_on(compare(&world, steps))
            })
            .unwrap();
    };
    // Each family by itself, where its calls meet often, and all of them among each other.
    let families = calls::families();
    run(proptest::strategy::Union::new(families.clone()).boxed(), 12);
    families.into_iter().for_each(|calls| run(calls, 12));
}

fn mapping(lid: &str, phone: &str, updated_at: i64) -> LidPnMappingEntry {
    LidPnMappingEntry {
        lid: lid.to_owned(),
        phone_number: phone.to_owned(),
        created_at: 1,
        updated_at,
        learning_source: "usync".to_owned(),
    }
}

/// Where the library's own store forgets more than it should: it loses a number whose other hidden id moved away.
#[tokio::test]
async fn a_number_is_found_by_the_latest_mapping_that_still_says_so() {
    let world = World::start().await;
    let keys = world.device(&numbers()[0]);
    let lid_of = async |phone| keys.get_pn_mapping(phone).await.unwrap().map(|found| found.lid);
    assert_eq!(lid_of("551").await, None);
    let many = [mapping("a", "551", 1), mapping("b", "551", 2), mapping("c", "5511", 9)];
    keys.put_lid_mappings(&many).await.unwrap();
    assert_eq!(lid_of("551").await.as_deref(), Some("b"));
    keys.put_lid_mapping(&mapping("b", "552", 3)).await.unwrap();
    assert_eq!(lid_of("551").await.as_deref(), Some("a"));
    assert_eq!(lid_of("552").await.as_deref(), Some("b"));
    keys.put_lid_mapping(&mapping("a", "552", 4)).await.unwrap();
    assert_eq!((lid_of("551").await, lid_of("552").await.as_deref()), (None, Some("a")));
}

#[tokio::test]
async fn what_a_device_asked_for_again_with_is_kept_as_long_as_what_it_asked_for() {
    let world = World::start().await;
    let keys = world.device(&numbers()[0]);
    keys.save_base_key("1@s", "A", &[1; 33]).await.unwrap();
    let kept = async || keys.has_same_base_key("1@s", "A", &[1; 33]).await.unwrap();
    keys.delete_expired_sent_messages(now_secs() - 60).await.unwrap();
    assert!(kept().await);
    assert_eq!(
        keys.delete_expired_sent_messages(now_secs() + 60).await.unwrap(),
        0,
        "no message"
    );
    assert!(!kept().await);
}

/// Two devices that ask for it together, or one that asks again after a crash.
#[tokio::test]
async fn a_message_that_was_sent_is_there_for_every_device_that_asks_for_it() {
    let world = World::start().await;
    let keys = world.device(&numbers()[0]);
    keys.store_sent_message("1@s", "A", b"text").await.unwrap();
    let before = world.keeper.commits();
    for _ in 0..2 {
        let found = keys.take_sent_message("1@s", "A").await.unwrap();
        assert_eq!(found.as_deref(), Some(&b"text"[..]));
    }
    assert_eq!(world.keeper.commits(), before, "reading it writes nothing");
    assert_eq!(keys.delete_expired_sent_messages(now_secs() + 60).await.unwrap(), 1);
    assert_eq!(keys.take_sent_message("1@s", "A").await.unwrap(), None);
}

#[tokio::test]
async fn a_device_is_made_once_and_begins_each_run_with_the_properties_of_a_new_one() {
    let world = World::start().await;
    let keys = world.device(&numbers()[0]);
    assert!(!keys.exists().await.unwrap() && keys.load().await.unwrap().is_none());
    keys.create().await.unwrap();
    let first = keys.load().await.unwrap().unwrap();
    keys.create().await.unwrap();
    let again = keys.load().await.unwrap().unwrap();
    assert_eq!(first.registration_id, again.registration_id);
    let new = Device::new();
    assert_eq!(again.device_props.os, new.device_props.os);
    assert_eq!(
        again.device_props.history_sync_config,
        new.device_props.history_sync_config
    );
    assert!(
        !world.device(&numbers()[2]).exists().await.unwrap(),
        "another client's number"
    );
}

#[tokio::test]
async fn a_refused_commit_changes_nothing_and_says_why() {
    let world = World::start().await;
    let keys = world.device(&numbers()[0]);
    let session = |byte: u8| {
        [
            ("1@s".into(), vec![byte; 9].into()),
            ("2@s".into(), vec![byte; 9].into()),
        ]
    };
    keys.put_sessions_batch(&session(1)).await.unwrap();
    world.keeper.refuse(true);
    let refused = keys.put_sessions_batch(&session(2)).await.unwrap_err();
    assert_eq!(super::reason(&refused), "the test says no");
    assert_eq!(keys.get_session("1@s").await.unwrap().unwrap(), [1; 9].as_slice());
    world.keeper.refuse(false);
    keys.put_sessions_batch(&session(3)).await.unwrap();
    assert_eq!(keys.get_session("2@s").await.unwrap().unwrap(), [3; 9].as_slice());
}

fn copy(id: &str) -> PendingInboundRow<'_> {
    PendingInboundRow {
        chat: "c",
        sender: "s",
        id,
        message: b"text",
    }
}

#[tokio::test]
async fn the_removal_of_a_committed_message_rides_on_the_next_change() {
    let world = World::start().await;
    let keys = world.device(&numbers()[0]);
    let key = |id| PendingInboundKey {
        chat: "c",
        sender: "s",
        id,
    };
    keys.store_pending_inbound_batch(&[copy("1"), copy("2")]).await.unwrap();
    let before = world.keeper.commits();
    keys.delete_pending_inbound_batch(&[key("1")]).await.unwrap();
    assert_eq!(keys.get_pending_inbound("c", "s", "1").await.unwrap(), None);
    assert!(keys.get_pending_inbound("c", "s", "2").await.unwrap().is_some());
    let kept = async || keys.rows(KeyKind::PendingMessage, b"").await.unwrap().len();
    assert_eq!((world.keeper.commits(), kept().await), (before, 2));
    keys.put_session("1@s", b"moved on").await.unwrap();
    assert_eq!((world.keeper.commits(), kept().await), (before + 1, 1));
    // One that comes again is there again.
    keys.delete_pending_inbound_batch(&[key("2")]).await.unwrap();
    keys.store_pending_inbound_batch(&[copy("2")]).await.unwrap();
    assert!(keys.get_pending_inbound("c", "s", "2").await.unwrap().is_some());
    // So many do not wait.
    let many: Vec<String> = (0..super::WAITING_REMOVALS).map(|n| n.to_string()).collect();
    let many: Vec<_> = many.iter().map(|id| key(id)).collect();
    keys.delete_pending_inbound_batch(&many).await.unwrap();
    assert_eq!(kept().await, 0);
}

#[tokio::test]
async fn a_new_device_meets_nothing_of_the_one_before() {
    let world = World::start().await;
    let [of, neighbour, _] = numbers();
    for of in [&of, &neighbour] {
        let keys = world.device(of);
        keys.create().await.unwrap();
        keys.put_session("1@s", b"old").await.unwrap();
        keys.put_identity("1@s", [1; 32]).await.unwrap();
    }
    forget(&world, &of).await;
    let keys = world.device(&of);
    assert!(!keys.exists().await.unwrap());
    keys.create().await.unwrap();
    assert!(keys.exists().await.unwrap());
    assert_eq!(keys.get_session("1@s").await.unwrap(), None);
    assert_eq!(keys.load_identity("1@s").await.unwrap(), None);
    // What is there is kept: the library asks for a device each time it opens one.
    keys.put_session("1@s", b"new").await.unwrap();
    world.device(&of).create().await.unwrap();
    assert!(keys.get_session("1@s").await.unwrap().is_some());
    assert!(world.device(&neighbour).get_session("1@s").await.unwrap().is_some());
}

/// The name of the first group with the empty device is the very end of what begins with the second one's.
#[tokio::test]
async fn what_begins_with_a_name_ends_before_the_next_one() {
    let world = World::start().await;
    let keys = world.device(&numbers()[0]);
    keys.set_sender_key_status("55@t", &[("", true)]).await.unwrap();
    assert_eq!(keys.get_sender_key_devices("55@s").await.unwrap(), []);
    keys.clear_sender_key_devices("55@s").await.unwrap();
    let devices = keys.get_sender_key_devices("55@t").await.unwrap();
    assert_eq!(devices, [(String::new(), true)]);
    keys.put_identity("55A", [1; 32]).await.unwrap();
    assert!(!keys.has_signal_state_for_user("55").await.unwrap());
}

#[tokio::test]
async fn a_device_that_is_gone_is_forgotten_in_every_group_and_no_other_is() {
    let world = World::start().await;
    let keys = world.device(&numbers()[0]);
    let devices = [("1:2@s", true), ("11:2@s", true), ("1:3@s", false)];
    for group in ["1@g", "2@g"] {
        keys.set_sender_key_status(group, &devices).await.unwrap();
    }
    keys.delete_sender_key_device_rows(&["1:2@s", "1:3@s", "9@s"])
        .await
        .unwrap();
    for group in ["1@g", "2@g"] {
        let left = keys.get_sender_key_devices(group).await.unwrap();
        assert_eq!(left, [("11:2@s".to_owned(), true)], "{group}");
    }
}

#[test]
fn no_two_lists_of_parts_give_one_name() {
    assert_ne!(name_of(&["a"], "bc"), name_of(&["ab"], "c"));
    assert_ne!(name_of(&["a\0"], "b"), name_of(&["a"], "\0b"));
    assert!(name_of(&["a", "b"], "c").starts_with(&prefix_of(&["a"])));
}
