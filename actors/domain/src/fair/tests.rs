use proptest::prelude::*;

use super::*;

fn fair(total: usize, per_client: usize, weights: &[(i64, u32)]) -> Fair<usize> {
    let weights = weights.iter().map(|(id, weight)| (ClientId(*id), *weight)).collect();
    Fair::new(Caps { total, per_client }, weights)
}

/// Takes, or waits with this ticket.
fn want(fair: &mut Fair<usize>, client: i64, standing: Standing, ticket: usize) -> Option<Slot> {
    let slot = fair.take(ClientId(client), standing);
    if slot.is_none() {
        fair.wait(ClientId(client), standing, ticket);
    }
    slot
}

#[test]
fn a_client_with_thousands_waiting_delays_another_by_one_slot() {
    let mut fair = fair(8, 8, &[]);
    let held: Vec<Slot> = (0..5000)
        .filter_map(|n| want(&mut fair, 1, Standing::Sound, n))
        .collect();
    assert_eq!(held.len(), 8);
    assert_eq!(want(&mut fair, 2, Standing::Sound, 9000), None);
    fair.release(held[0]);
    let (ticket, slot) = fair.next_granted().unwrap();
    assert_eq!((ticket, slot.client), (9000, ClientId(2)));
    assert_eq!(fair.next_granted(), None);
}

#[test]
fn slots_are_held_by_weight_while_all_want_more() {
    let mut fair = fair(60, 60, &[(1, 1), (2, 2), (3, 3)]);
    let mut held = Vec::new();
    for n in 0..1000 {
        for client in 1..=3 {
            held.extend(want(&mut fair, client, Standing::Sound, n));
        }
    }
    // Every slot changes hands ten times.
    for round in 0..600 {
        fair.release(held.remove(round * 7 % held.len()));
        let (_, slot) = fair.next_granted().unwrap();
        held.push(slot);
    }
    for (client, share) in [(1, 10), (2, 20), (3, 30)] {
        let has = held.iter().filter(|slot| slot.client == ClientId(client)).count();
        assert_eq!(has, share, "client {client}");
    }
}

#[test]
fn receivers_in_doubt_get_half_and_the_others_find_the_rest() {
    let mut fair = fair(8, 4, &[]);
    let taken = |slots: &[Option<Slot>]| slots.iter().flatten().count();
    let doubtful: Vec<_> = (0..100)
        .map(|n| want(&mut fair, n % 10, Standing::Doubtful, 0))
        .collect();
    assert_eq!(taken(&doubtful), 4, "half of all");
    let sound: Vec<_> = (0..3).map(|n| want(&mut fair, 20, Standing::Sound, n)).collect();
    assert_eq!(taken(&sound), 3);
    let mut alone = self::fair(8, 4, &[]);
    let doubtful: Vec<_> = (0..9).map(|n| want(&mut alone, 1, Standing::Doubtful, n)).collect();
    assert_eq!(taken(&doubtful), 2, "half of the client's");
    let mut single = self::fair(1, 1, &[]);
    assert!(want(&mut single, 1, Standing::Doubtful, 0).is_some(), "never none");
}

#[test]
fn a_receiver_in_doubt_is_attempted_while_others_of_its_client_wait_without_end() {
    let mut fair = fair(4, 4, &[]);
    let mut held: Vec<Slot> = (0..1000)
        .filter_map(|n| want(&mut fair, 1, Standing::Sound, n))
        .collect();
    for n in 1000..1100 {
        assert_eq!(want(&mut fair, 1, Standing::Doubtful, n), None);
    }
    let mut grants = Vec::new();
    for _ in 0..40 {
        // Those in doubt are silent: what is given back was a sound one's.
        let place = held.iter().position(|slot| slot.standing == Standing::Sound).unwrap();
        fair.release(held.swap_remove(place));
        let (ticket, slot) = fair.next_granted().unwrap();
        held.push(slot);
        grants.push(ticket);
    }
    let in_doubt = |ticket: &usize| *ticket >= 1000;
    assert_eq!(grants.iter().position(in_doubt), Some(SOUND_IN_A_ROW as usize));
    let those: Vec<_> = grants.into_iter().filter(in_doubt).collect();
    assert_eq!(those, [1000, 1001], "half of the slots at the most, as ever");
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(256) })]

    /// Caps hold; a free slot never lies idle while somebody waits who may have it; a grant never goes to a client
    /// that holds more for its weight than another one that could have had it; each ticket comes back once, those of
    /// one client and standing in their order; no more than so many sound ones of a client are let in before one in doubt
    /// that could have had their slot.
    #[test]
    fn the_laws_of_the_slots(
        total in 1..12_usize,
        per_client in 1..8_usize,
        steps in prop::collection::vec((0..5_i64, any::<bool>(), 0..4_u8), 1..400),
    ) {
        let weight = |client: ClientId| u32::try_from(client.0).unwrap() + 1;
        let mut fair = fair(total, per_client, &[(0, 1), (1, 2), (2, 3), (3, 4), (4, 5)]);
        let mut held: Vec<Slot> = Vec::new();
        let mut queues: HashMap<(ClientId, bool), VecDeque<usize>> = HashMap::new();
        let mut passed_over: HashMap<ClientId, u32> = HashMap::new();
        let caps = Caps { total, per_client };
        let count = |held: &[Slot], client: Option<ClientId>, doubtful: bool| held.iter()
            .filter(|slot| client.is_none_or(|client| slot.client == client)
                && (!doubtful || slot.standing == Standing::Doubtful))
            .count();
        let may = |held: &[Slot], client: ClientId, doubtful: bool| {
            count(held, None, false) < caps.total
                && count(held, Some(client), false) < caps.per_client
                && (!doubtful || (count(held, None, true) < doubtful_cap(caps.total)
                    && count(held, Some(client), true) < doubtful_cap(caps.per_client)))
        };
        for (n, (client, doubtful, act)) in steps.into_iter().enumerate() {
            let client = ClientId(client);
            if act > 0 || held.is_empty() {
                let standing = if doubtful { Standing::Doubtful } else { Standing::Sound };
                let could = may(&held, client, doubtful);
                match fair.take(client, standing) {
                    Some(slot) => {
                        prop_assert!(could);
                        held.push(slot);
                    }
                    None => {
                        prop_assert!(!could, "a free slot was refused");
                        fair.wait(client, standing, n);
                        queues.entry((client, doubtful)).or_default().push_back(n);
                    }
                }
            } else {
                fair.release(held.swap_remove(n % held.len()));
            }
            loop {
                let before = held.clone();
                let Some((ticket, slot)) = fair.next_granted() else { break };
                let doubtful = slot.standing == Standing::Doubtful;
                prop_assert!(may(&before, slot.client, doubtful));
                prop_assert_eq!(queues.get_mut(&(slot.client, doubtful)).unwrap().pop_front(), Some(ticket));
                let passed = passed_over.entry(slot.client).or_default();
                let waits = queues.get(&(slot.client, true)).is_some_and(|queue| !queue.is_empty());
                *passed = if !doubtful && waits && may(&before, slot.client, true) { *passed + 1 } else { 0 };
                prop_assert!(*passed <= SOUND_IN_A_ROW, "those in doubt are passed over");
                let load = |client: ClientId| count(&before, Some(client), false) as f64 / f64::from(weight(client));
                for ((other, its), queue) in &queues {
                    if !queue.is_empty() && may(&before, *other, *its) {
                        prop_assert!(load(slot.client) <= load(*other));
                    }
                }
                held.push(slot);
            }
            for ((client, doubtful), queue) in &queues {
                prop_assert!(queue.is_empty() || !may(&held, *client, *doubtful), "a slot lies idle");
            }
        }
    }
}
