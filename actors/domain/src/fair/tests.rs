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
        fair.wait(ClientId(client), None, standing, ticket);
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
    assert_eq!(grants.iter().position(in_doubt), Some(IN_A_ROW as usize));
    let those: Vec<_> = grants.into_iter().filter(in_doubt).collect();
    assert_eq!(those, [1000, 1001], "half of the slots at the most, as ever");
}

fn receiver(number: u128) -> WebhookId {
    WebhookId(uuid::Uuid::from_u128(number))
}

/// As when a proxy before hundreds of new receivers takes all and answers nothing.
#[test]
fn receivers_that_answer_find_a_quarter_whatever_the_others_hold() {
    let mut fair = fair(16, 8, &[]);
    let mut held = 0;
    for n in 0..100 {
        held += usize::from(want(&mut fair, 1, Standing::Untried, n).is_some());
    }
    assert_eq!(held, 4, "half of the client's");
    for n in 0..100 {
        held += usize::from(want(&mut fair, 1, Standing::Doubtful, n).is_some());
    }
    assert_eq!(held, 6, "three quarters of the client's");
    for n in 0..100 {
        held += usize::from(want(&mut fair, 2 + n, Standing::Doubtful, 0).is_some());
        held += usize::from(want(&mut fair, 2 + n, Standing::Untried, 0).is_some());
    }
    assert_eq!(held, 12, "three quarters of all");
    assert!(fair.take(ClientId(1), Standing::Sound).is_some());
}

#[test]
fn receivers_in_doubt_have_turns_and_leave_the_queue_when_they_answer() {
    let mut fair = fair(4, 4, &[]);
    let client = ClientId(1);
    let held: Vec<_> = std::iter::from_fn(|| fair.take(client, Standing::Doubtful)).collect();
    assert_eq!(held.len(), 2);
    for n in 0..1000 {
        fair.wait(client, Some(receiver(n as u128 / 100)), Standing::Doubtful, n);
    }
    for slot in held {
        fair.release(slot);
    }
    let granted: Vec<_> = std::iter::from_fn(|| fair.next_granted()).collect();
    assert_eq!(
        granted.iter().map(|(n, _)| *n).collect::<Vec<_>>(),
        [0, 100],
        "by turns"
    );

    fair.reconsider(client, receiver(7), Standing::Sound);
    let (first, slot) = fair.next_granted().unwrap();
    assert_eq!((first, slot.standing), (700, Standing::Sound));
    assert_eq!(fair.next_granted().unwrap().0, 701);
    fair.reconsider(client, receiver(8), Standing::Untried);
    fair.reconsider(client, receiver(99), Standing::Sound);
    fair.reconsider(ClientId(2), receiver(7), Standing::Sound);
    fair.release(slot);
    assert_eq!(fair.next_granted().unwrap().0, 702, "those that answer first");
    assert_eq!(
        fair.share(client).lane(Standing::Untried).waiting[&Some(receiver(8))],
        [800]
    );
    assert_eq!(fair.waiting(), 1000 - 5);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(256) })]

    /// Caps hold; a free slot never lies idle while somebody waits who may have it; a grant never goes to a client
    /// that holds more for its weight than another one that could have had it; each ticket comes back once, those at
    /// one receiver and of one standing in their order; nobody waits while others of its client are served more often than so many
    /// times in a row, for each standing that waits as long.
    #[test]
    fn the_laws_of_the_slots(
        total in 1..12_usize,
        per_client in 1..8_usize,
        steps in prop::collection::vec((0..5_i64, 0..3_usize, 0..3_u128, 0..5_u8), 1..400),
    ) {
        let weight = |client: ClientId| u32::try_from(client.0).unwrap() + 1;
        let mut fair = fair(total, per_client, &[(0, 1), (1, 2), (2, 3), (3, 4), (4, 5)]);
        let mut held: Vec<Slot> = Vec::new();
        let mut queues: HashMap<(ClientId, Standing, u128), VecDeque<usize>> = HashMap::new();
        let mut passed_over: HashMap<(ClientId, Standing), u32> = HashMap::new();
        let room = |held: &[Slot], client: Option<ClientId>, cap: usize, standing: Standing| {
            let of = |standings: &[Standing]| held.iter()
                .filter(|slot| client.is_none_or(|client| slot.client == client) && standings.contains(&slot.standing))
                .count();
            of(&Standing::ALL) < cap && (standing == Standing::Sound
                || of(&[standing]) < (cap / 2).max(1)
                    && of(&[Standing::Untried, Standing::Doubtful]) < (cap * 3 / 4).max(1))
        };
        let may = |held: &[Slot], client: ClientId, standing: Standing| {
            room(held, None, total, standing) && room(held, Some(client), per_client, standing)
        };
        for (n, (client, standing, number, act)) in steps.into_iter().enumerate() {
            let (client, standing) = (ClientId(client), Standing::ALL[standing]);
            if act == 1 {
                fair.reconsider(client, receiver(number), standing);
                let mut most = if standing == Standing::Sound { usize::MAX } else { 1 };
                for worse in Standing::ALL.into_iter().filter(|worse| *worse > standing) {
                    let queue = queues.entry((client, worse, number)).or_default();
                    let moved: Vec<_> = queue.drain(..most.min(queue.len())).collect();
                    most -= moved.len();
                    queues.entry((client, standing, number)).or_default().extend(moved);
                }
            } else if act > 1 || held.is_empty() {
                let could = may(&held, client, standing);
                match fair.take(client, standing) {
                    Some(slot) => {
                        prop_assert!(could);
                        held.push(slot);
                    }
                    None => {
                        prop_assert!(!could, "a free slot was refused");
                        fair.wait(client, Some(receiver(number)), standing, n);
                        queues.entry((client, standing, number)).or_default().push_back(n);
                    }
                }
            } else {
                fair.release(held.swap_remove(n % held.len()));
            }
            loop {
                let before = held.clone();
                let Some((ticket, slot)) = fair.next_granted() else { break };
                prop_assert!(may(&before, slot.client, slot.standing));
                let mut fronts = queues.iter_mut().filter(|((client, standing, _), queue)| {
                    (*client, *standing) == (slot.client, slot.standing) && queue.front() == Some(&ticket)
                });
                let (_, queue) = fronts.next().expect("the first at a receiver");
                queue.pop_front();
                let load = |client: ClientId| {
                    before.iter().filter(|slot| slot.client == client).count() as f64 / f64::from(weight(client))
                };
                for standing in Standing::ALL {
                    let waits = |((client, its, _), queue): (&(ClientId, Standing, u128), &VecDeque<usize>)| {
                        (*client, *its) == (slot.client, standing) && !queue.is_empty()
                    };
                    let passed = passed_over.entry((slot.client, standing)).or_default();
                    let could = standing != slot.standing && queues.iter().any(waits) && may(&before, slot.client, standing);
                    *passed = if could { *passed + 1 } else { 0 };
                    prop_assert!(*passed <= 2 * IN_A_ROW, "{standing:?} is passed over");
                }
                for ((other, its, _), queue) in &queues {
                    if !queue.is_empty() && may(&before, *other, *its) {
                        prop_assert!(load(slot.client) <= load(*other));
                    }
                }
                held.push(slot);
            }
            for ((client, standing, _), queue) in &queues {
                prop_assert!(queue.is_empty() || !may(&held, *client, *standing), "a slot lies idle");
            }
        }
    }
}

#[test]
fn among_equals_the_one_that_was_served_longest_ago_is_next() {
    let mut fair = fair(3, 3, &[]);
    let mut held: Vec<Slot> = (1..=3)
        .filter_map(|client| want(&mut fair, client, Standing::Sound, 0))
        .collect();
    for n in 0..9 {
        for client in 1..=3 {
            assert_eq!(want(&mut fair, client, Standing::Sound, n), None);
        }
    }
    let mut served = Vec::new();
    for _ in 0..9 {
        let all = std::mem::take(&mut held);
        all.into_iter().for_each(|slot| fair.release(slot));
        held.extend(std::iter::from_fn(|| fair.next_granted()).map(|(_, slot)| slot));
        served.extend(held.iter().map(|slot| slot.client.0));
    }
    assert_eq!(served, [1, 2, 3].repeat(9));
}

#[test]
fn a_client_without_a_weight_has_the_weight_of_one() {
    let mut fair = fair(30, 30, &[(1, 2)]);
    let mut held = Vec::new();
    for n in 0..100 {
        for client in 1..=2 {
            held.extend(want(&mut fair, client, Standing::Sound, n));
        }
    }
    for _ in 0..60 {
        fair.release(held.remove(0));
        held.push(fair.next_granted().unwrap().1);
    }
    let of = |client| held.iter().filter(|slot| slot.client == ClientId(client)).count();
    assert_eq!((of(1), of(2)), (20, 10));
}

#[test]
fn what_did_not_wait_was_not_passed_over() {
    let mut fair = fair(2, 2, &[]);
    let mut held: Vec<Slot> = (0..50).filter_map(|n| want(&mut fair, 1, Standing::Sound, n)).collect();
    let mut grant = |fair: &mut Fair<usize>| {
        fair.release(held.remove(0));
        let (ticket, slot) = fair.next_granted().unwrap();
        held.push(slot);
        ticket
    };
    for _ in 0..30 {
        grant(&mut fair);
    }
    assert_eq!(want(&mut fair, 1, Standing::Doubtful, 900), None);
    let grants: Vec<usize> = (0..=IN_A_ROW).map(|_| grant(&mut fair)).collect();
    assert_eq!(
        grants.iter().position(|ticket| *ticket == 900),
        Some(IN_A_ROW as usize),
        "{grants:?}"
    );
}
