//! The laws of the model under random worlds.

use proptest::{
    prelude::*,
    test_runner::{RngAlgorithm, TestRng},
};

use super::model::{Profile, World};

fn world(seed: u64, profile: Profile, paired: bool) -> World {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    World::new(TestRng::from_seed(RngAlgorithm::ChaCha, &bytes), profile, paired)
}

fn live(seed: u64, profile: Profile, paired: bool, steps: usize) -> usize {
    let mut world = world(seed, profile, paired);
    for _ in 0..steps {
        world.happen();
    }
    world.end();
    world.links
}

fn profiles() -> impl Strategy<Value = Profile> {
    any::<[bool; 4]>().prop_map(|[wild, jumps, restarts, ends]| Profile {
        wild,
        jumps,
        restarts,
        ends,
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(256) })]

    #[test]
    fn the_laws_hold_in_any_world(
        seed in any::<u64>(),
        profile in profiles(),
        paired in any::<bool>(),
        steps in 0..600_usize,
    ) {
        live(seed, profile, paired, steps);
    }
}

/// `SESSION_SEED=n` runs one world, `SESSION_WORLDS=n` that many.
#[test]
fn the_laws_hold_in_seeded_worlds() {
    struct Told(u64);
    impl Drop for Told {
        fn drop(&mut self) {
            if std::thread::panicking() {
                eprintln!("SESSION_SEED={}", self.0);
            }
        }
    }
    let number = |name| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let seeds = match number("SESSION_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("SESSION_WORLDS").unwrap_or(1000),
    };
    let mut links = 0;
    for seed in seeds.clone() {
        let _told = Told(seed);
        let bit = |n: u64| seed >> n & 1 == 1;
        let profile = Profile {
            wild: bit(0),
            jumps: bit(1),
            restarts: bit(2),
            ends: bit(3),
        };
        let steps = [0, 20, 200, 1500][usize::try_from(seed >> 5 & 3).unwrap()];
        links += live(seed, profile, bit(4), steps);
    }
    assert!(links as u64 > seeds.end - seeds.start, "the worlds are asleep");
}
