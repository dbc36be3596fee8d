//! The laws of the model under random worlds.

use proptest::{
    prelude::*,
    test_runner::{RngAlgorithm, TestRng},
};

use super::{
    super::DeliveryConfig,
    model::{Profile, World},
};
use crate::{Courtesy, Ordering};

pub(super) fn rng(seed: u64) -> TestRng {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    TestRng::from_seed(RngAlgorithm::ChaCha, &bytes)
}

fn world(seed: u64, profile: Profile, backlog: usize, max_in_flight: usize) -> World {
    let config = DeliveryConfig {
        is_active: true,
        max_retries: 3,
        target: 0,
        max_in_flight,
        courtesy: Courtesy::default(),
    };
    let mut world = World::new(rng(seed), profile, config);
    if profile.courteous {
        world.ask();
    }
    for _ in 0..backlog {
        world.message();
    }
    world.start();
    world
}

fn live(seed: u64, profile: Profile, backlog: usize, steps: usize) {
    let mut world = world(seed, profile, backlog, 3);
    world.store.loose = seed.is_multiple_of(3);
    for _ in 0..steps {
        world.happen();
    }
    if seed.is_multiple_of(4) {
        world.close();
    } else {
        world.settle(16);
    }
}

fn profiles() -> impl Strategy<Value = Profile> {
    let chats = prop_oneof![1..4_usize, 4..40_usize, 200..2000_usize];
    (chats, 0..17_usize, any::<[bool; 3]>()).prop_map(|(chats, healthy, [lossy, restarts, courteous])| Profile {
        chats,
        healthy,
        lossy,
        restarts,
        courteous,
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(96) })]

    #[test]
    fn the_laws_hold_in_any_world(
        seed in any::<u64>(),
        profile in profiles(),
        backlog in 0..120_usize,
        steps in 0..1200_usize,
    ) {
        live(seed, profile, backlog, steps);
    }
}

/// `DELIVERY_SEED=n` runs one world, `DELIVERY_WORLDS=n` that many.
#[test]
fn the_laws_hold_in_seeded_worlds() {
    struct Told(u64);
    impl Drop for Told {
        fn drop(&mut self) {
            if std::thread::panicking() {
                eprintln!("DELIVERY_SEED={}", self.0);
            }
        }
    }
    let number = |name| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let seeds = match number("DELIVERY_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("DELIVERY_WORLDS").unwrap_or(120),
    };
    for seed in seeds {
        let _told = Told(seed);
        let mut choice = world(
            seed,
            Profile {
                chats: 1,
                healthy: 0,
                lossy: false,
                restarts: false,
                courteous: false,
            },
            0,
            1,
        );
        let profile = Profile {
            chats: [1, 2, 3, 6, 12, 30, 100, 3000][choice.pick(8)],
            healthy: [0, 2, 8, 14, 16][choice.pick(5)],
            lossy: choice.pick(3) == 0,
            restarts: choice.pick(2) == 0,
            courteous: choice.pick(2) == 0,
        };
        let (backlog, steps) = ([0, 10, 100, 500][choice.pick(4)], 100 + choice.pick(3000));
        live(seed, profile, backlog, steps);
    }
}

/// A dead receiver with far more chats than the window holds: every event ends, and neither the timer nor the loads
/// run away.
#[test]
fn a_dead_receiver_with_thousands_of_chats() {
    let profile = Profile {
        chats: 3000,
        healthy: 0,
        lossy: false,
        restarts: false,
        courteous: false,
    };
    let mut world = world(7, profile, 3000, 8);
    let began = world.now;
    world.settle(0);
    assert!(world.attempts > 3000);
    let seconds = usize::try_from(world.now.since(began).as_secs()).unwrap();
    assert!(
        world.timers <= 5 * (seconds + 8),
        "{} timers in {seconds} s",
        world.timers
    );
}

/// What has become due is asked for by its time: the chats that wait beside it are not gone over each time.
#[test]
fn a_dead_receiver_costs_what_is_due_and_not_what_waits() {
    for ordering in [Ordering::Chat, Ordering::None] {
        let profile = Profile {
            chats: 2000,
            healthy: 0,
            lossy: false,
            restarts: false,
            courteous: false,
        };
        let config = DeliveryConfig {
            is_active: true,
            max_retries: 3,
            target: 0,
            max_in_flight: 8,
            courtesy: Courtesy {
                ordering,
                ..Courtesy::default()
            },
        };
        let mut world = World::new(rng(11), profile, config);
        for _ in 0..2000 {
            world.message();
        }
        world.start();
        // More comes while they wait, and while a sweep is under way.
        let at_once = match ordering {
            Ordering::Chat => 3,
            Ordering::None => 6,
        };
        for _ in 0..300 {
            (0..at_once).for_each(|_| world.message());
            world.come_to_rest(0);
            world.fire(0);
        }
        world.settle(0);
        let per_attempt = world.visited / world.attempts;
        assert!(
            per_attempt < 6,
            "{ordering:?}: {per_attempt} rows read for each of {} attempts",
            world.attempts
        );
    }
}
