//! A simulation of the delivery machines of a whole gateway on a virtual clock. It is the same world in every run;
//! `SIMULATION_SEED=n` runs another, `SIMULATION_EVENTS=n` makes it larger. The example `simulate` runs a million events of
//! a random one.

#[path = "simulation/world.rs"]
mod world;

use world::{Plan, World};

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[test]
fn the_laws_hold_for_a_whole_gateway() {
    let seed = number("SIMULATION_SEED").unwrap_or(1);
    let events = number("SIMULATION_EVENTS").map_or(60_000, |events| usize::try_from(events).unwrap());
    let plan = Plan {
        seed,
        events,
        webhooks: 1000,
    };
    let summary = World::run(plan, |_| {}).unwrap_or_else(|broken| panic!("SIMULATION_SEED={seed}: {broken}"));
    eprintln!("SIMULATION_SEED={seed}: {summary:?}");
    assert_eq!(summary.delivered + summary.failed, events);
    // Otherwise it was no storm.
    assert!(summary.crashes > 3 && summary.restarts > 100 && summary.renewals > 100);
    assert!(summary.revivals > 500, "nothing had to recover");
    assert!(summary.attempts > events && summary.duplicates > 0);
    assert!(summary.bulk_renewals > 100 && summary.pauses > 20 && summary.deactivations > 0);
    assert!(summary.slots_awaited > 100 && summary.put_back > 0 && summary.watched > 0);
}

/// A seed is a run.
#[test]
fn the_same_seed_is_the_same_run() {
    let plan = Plan {
        seed: 7,
        events: 4000,
        webhooks: 50,
    };
    let runs = [(); 2].map(|()| format!("{:?}", World::run(plan, |_| {}).unwrap()));
    assert_eq!(runs[0], runs[1]);
}
