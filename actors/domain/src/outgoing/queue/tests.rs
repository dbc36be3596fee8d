use std::{
    cell::Cell,
    collections::{BTreeMap, BTreeSet},
};

use proptest::prelude::*;

use super::*;
use crate::outgoing::Pace;

mod liveness;

const PACING: Pacing = Pacing {
    per_second: 1,
    burst: 2,
    fastest: Pace {
        per_second: 1,
        burst: 2,
    },
    queue_max: 3,
    deadline: Duration::from_secs(60),
};
const LATE: Timestamp = Timestamp(60_000);

thread_local! {
    /// How many names of chats were read.
    pub(super) static NAMES_READ: Cell<usize> = const { Cell::new(0) };
}

fn at(ms: i64) -> Timestamp {
    Timestamp(ms)
}

#[test]
fn a_message_goes_at_once_when_it_may() {
    let mut outbox = Outbox::new(PACING, at(-100_000));
    let one = outbox.take_in(&["a"], LATE);
    let pumped = outbox.pump(at(0), true);
    assert_eq!((pumped.start, pumped.wake_at), (vec![one], None));
    outbox.finished(one);
    assert_eq!(outbox.pump(at(0), true), Pumped::default());
}

#[test]
fn one_chat_goes_in_order_and_others_do_not_wait_for_it() {
    let mut outbox = Outbox::new(PACING, at(-100_000));
    let [one, two, three] = ["a", "a", "b"].map(|chat| outbox.take_in(&[chat], LATE));
    assert!(outbox.is_full());
    assert_eq!(outbox.pump(at(0), true).start, [one, three]);
    outbox.finished(one);
    let paced = outbox.pump(at(0), true);
    assert_eq!((paced.start, paced.wake_at), (vec![], Some(at(1000))));
    assert_eq!(outbox.pump(at(1000), true).start, [two]);
}

#[test]
fn a_chat_is_one_by_any_of_its_names() {
    let mut outbox = Outbox::new(PACING, at(-100_000));
    let number = outbox.take_in(&["55@s.whatsapp.net"], LATE);
    let hidden = outbox.take_in(&["1@lid", "55@s.whatsapp.net"], LATE);
    let other = outbox.take_in(&["2@lid"], LATE);
    assert_eq!(outbox.pump(at(0), true).start, [number, other]);
    outbox.finished(number);
    assert_eq!(outbox.pump(at(1000), true).start, [hidden]);
}

#[test]
fn what_waits_too_long_is_told() {
    let mut outbox = Outbox::new(PACING, at(-100_000));
    let one = outbox.take_in(&["a"], at(500));
    let down = outbox.pump(at(0), false);
    assert_eq!((down.start, down.wake_at), (vec![], Some(at(500))));
    outbox.take_in(&["b"], at(900));
    assert_eq!(outbox.pump(at(0), false).wake_at, Some(at(500)), "the first of them");
    outbox.hold(one);
    assert_eq!(outbox.pump(at(500), false).expired, [], "its row is not there yet");
    outbox.release(one);
    assert!(outbox.waits(one));
    assert_eq!(outbox.pump(at(500), false).expired, [one]);
    assert_eq!((outbox.waits(one), outbox.waiting()), (false, 1));
}

#[test]
fn what_was_not_sent_takes_its_place_again_after_a_pause() {
    let mut outbox = Outbox::new(PACING, at(-100_000));
    let [one, two] = ["a", "a"].map(|chat| outbox.take_in(&[chat], LATE));
    assert_eq!(outbox.pump(at(0), true).start, [one]);
    outbox.returned(one, at(0));
    let paused = outbox.pump(at(0), true);
    assert_eq!((paused.start, paused.wake_at), (vec![], Some(at(1000))));
    assert_eq!(outbox.pump(at(1000), true).start, [one]);
    outbox.finished(one);
    let three = outbox.take_in(&["b"], LATE);
    assert_eq!(outbox.pump(at(1000), true).start, [two]);
    assert_eq!(outbox.pump(at(2000), true).start, [three]);
    outbox.returned(three, at(2000));
    outbox.finished(two);
    let four = outbox.take_in(&["a"], LATE);
    assert_eq!(
        outbox.pump(at(9000), true).start,
        [three, four],
        "behind none that came later"
    );
}

#[test]
fn a_file_on_its_way_holds_its_chat_and_no_other() {
    let mut outbox = Outbox::new(PACING, at(-100_000));
    let [film, text, other] = ["a", "a", "b"].map(|chat| outbox.take_in(&[chat], LATE));
    outbox.lack_file(film);
    let pumped = outbox.pump(at(0), true);
    assert_eq!((pumped.start, pumped.wake_at), (vec![other], Some(LATE)));
    outbox.have_file(film);
    assert_eq!(outbox.pump(at(0), true).start, [film]);
    outbox.finished(film);
    assert_eq!(outbox.pump(at(1000), true).start, [text]);
    let late = outbox.take_in(&["c"], at(2000));
    outbox.lack_file(late);
    assert_eq!(outbox.pump(at(2000), true).expired, [late]);
}

#[test]
fn a_message_is_typed_before_it_goes_and_holds_its_chat_only() {
    let mut outbox = Outbox::new(PACING, at(-100_000));
    let [typed, next, other] = ["a", "a", "b"].map(|chat| outbox.take_in(&[chat], LATE));
    outbox.types(typed, Duration::from_secs(5));
    let pumped = outbox.pump(at(0), true);
    assert_eq!((&*pumped.type_first, &*pumped.start), (&[typed][..], &[other][..]));
    assert_eq!(pumped.wake_at, Some(at(5000)));
    outbox.finished(other);
    // It is shown once, and its row may be written meanwhile.
    outbox.hold(typed);
    assert_eq!(outbox.pump(at(4999), true).wake_at, Some(LATE));
    outbox.release(typed);
    let pumped = outbox.pump(at(4999), true);
    assert_eq!((&*pumped.type_first, &*pumped.start), (&[][..], &[][..]));
    assert_eq!(outbox.pump(at(5000), false).start, [], "a link that was lost");
    assert_eq!(outbox.pump(at(6000), true).start, [typed]);
    // Certainly not sent: it goes again, without being typed.
    outbox.returned(typed, at(6000));
    let pumped = outbox.pump(at(7000), true);
    assert_eq!((&*pumped.type_first, &*pumped.start), (&[][..], &[typed][..]));
    outbox.finished(typed);
    assert_eq!(outbox.pump(at(8000), true).start, [next]);
}

#[test]
fn typing_takes_its_turn_of_the_pace_and_no_place_among_those_under_way() {
    let pacing = Pacing {
        queue_max: 100,
        ..PACING
    };
    let mut outbox = Outbox::new(pacing, at(-100_000));
    let chats: Vec<Ticket> = (0..4).map(|n| outbox.take_in(&[&n.to_string()], LATE)).collect();
    chats
        .iter()
        .for_each(|ticket| outbox.types(*ticket, Duration::from_secs(3)));
    let pumped = outbox.pump(at(0), true);
    assert_eq!((&*pumped.type_first, pumped.wake_at), (&chats[..2], Some(at(1000))));
    assert_eq!(outbox.pump(at(1000), true).type_first, [chats[2]]);
    // Those that have typed go, whether or not there is a token for the next.
    let pumped = outbox.pump(at(3000), true);
    assert_eq!((&*pumped.type_first, &*pumped.start), (&chats[3..], &chats[..2]));
    assert_eq!(outbox.pump(at(4000), true).start, [chats[2]]);
    assert_eq!(outbox.pump(at(6000), true).start, [chats[3]]);
}

#[test]
fn so_many_are_under_way_at_a_time_and_no_more() {
    let pacing = Pacing {
        burst: 100,
        queue_max: 100,
        ..PACING
    };
    let mut outbox = Outbox::new(pacing, at(-100_000));
    let all: Vec<Ticket> = (0..20).map(|n| outbox.take_in(&[&n.to_string()], LATE)).collect();
    assert_eq!(outbox.pump(at(0), true).start, all[..16]);
    assert_eq!(outbox.pump(at(0), true).start, []);
    outbox.finished(all[0]);
    assert_eq!(outbox.pump(at(0), true).start, [all[16]]);
}

#[test]
fn what_was_typed_and_not_sent_takes_another_turn_of_the_pace() {
    let mut outbox = Outbox::new(Pacing { burst: 1, ..PACING }, at(-100_000));
    let typed = outbox.take_in(&["a"], LATE);
    outbox.types(typed, Duration::from_secs(1));
    assert_eq!(outbox.pump(at(0), true).type_first, [typed]);
    assert_eq!(outbox.pump(at(1000), true).start, [typed]);
    outbox.returned(typed, at(1000));
    let other = outbox.take_in(&["b"], LATE);
    assert_eq!(outbox.pump(at(2000), true).start, [typed]);
    assert_eq!(outbox.pump(at(3000), true).start, [other]);
}

#[test]
fn what_was_typed_goes_in_time_behind_one_that_lacks_its_turn() {
    let mut outbox = Outbox::new(Pacing { burst: 1, ..PACING }, at(-100_000));
    let [first, second, typed] = ["a", "b", "c"].map(|chat| outbox.take_in(&[chat], LATE));
    for film in [first, second] {
        outbox.lack_file(film);
    }
    outbox.types(typed, Duration::from_secs(3));
    assert_eq!(outbox.pump(at(0), true).type_first, [typed]);
    for film in [first, second] {
        outbox.have_file(film);
    }
    assert_eq!(outbox.pump(at(2999), true).start, [first]);
    assert_eq!(outbox.pump(at(3000), true).start, [typed]);
}

/// Held against all before it, five thousand would be looked at millions of times.
#[test]
fn of_thousands_that_wait_for_their_files_each_is_looked_at_once() {
    let pacing = Pacing {
        queue_max: 5_000,
        ..PACING
    };
    let mut outbox = Outbox::new(pacing, at(-100_000));
    let of_chat = |n: u32| format!("55110{n:08}@s.whatsapp.net");
    let films: Vec<Ticket> = (0..pacing.queue_max)
        .map(|n| outbox.take_in(&[&of_chat(n)], LATE))
        .collect();
    films.iter().for_each(|film| outbox.lack_file(*film));
    let before = NAMES_READ.get();
    assert_eq!(outbox.pump(at(0), true).start, []);
    let read = NAMES_READ.get() - before;
    assert!(read <= 2 * films.len(), "{read} names of {} messages", films.len());
    let last = *films.last().unwrap();
    outbox.have_file(last);
    assert_eq!(outbox.pump(at(0), true).start, [last]);
}

#[derive(Debug, Clone)]
enum Act {
    Accept(u8, u8, i64),
    Hold(usize),
    Release(usize),
    Lack(usize),
    Have(usize),
    Type(usize, i64),
    Pass(i64),
    Finish(usize),
    Return(usize),
    Link(bool),
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        3 => (0u8..4, 0u8..4, 0i64..5000).prop_map(|(chat, also, wait)| Act::Accept(chat, also, wait)),
        1 => (0usize..8).prop_map(Act::Hold),
        1 => (0usize..8).prop_map(Act::Release),
        1 => (0usize..8).prop_map(Act::Lack),
        1 => (0usize..8).prop_map(Act::Have),
        1 => (0usize..8, 1i64..3000).prop_map(|(at, ms)| Act::Type(at, ms)),
        3 => (0i64..3000).prop_map(Act::Pass),
        3 => (0usize..8).prop_map(Act::Finish),
        1 => (0usize..8).prop_map(Act::Return),
        1 => any::<bool>().prop_map(Act::Link),
    ]
}

proptest! {
    /// Every message ends once; chats keep their order; nothing starts without link; the queue is bounded; and as
    /// long as something waits with a link there is a time to ask again or something under way.
    #[test]
    fn messages_go_once_and_in_order(acts in prop::collection::vec(act(), 0..120)) {
        let mut outbox = Outbox::new(PACING, at(-100_000));
        let (mut now, mut connected) = (0, true);
        let mut alive: BTreeMap<Ticket, ([u8; 2], i64)> = BTreeMap::new();
        let mut running: BTreeSet<Ticket> = BTreeSet::new();
        let (mut held, mut lacking) = (BTreeSet::<Ticket>::new(), BTreeSet::<Ticket>::new());
        // How long those are typed that were not yet, and until when.
        let (mut types, mut typed) = (BTreeMap::<Ticket, i64>::new(), BTreeMap::<Ticket, i64>::new());
        for act in acts {
            let nth = |set: &BTreeSet<Ticket>, n: usize| set.iter().nth(n).copied();
            match act {
                Act::Accept(chat, also, wait) => {
                    let waiting = alive.len() - running.len();
                    // Mostly with one name.
                    let names = [chat, if also % 2 == 0 { also } else { chat }];
                    prop_assert_eq!(outbox.is_full(), waiting >= PACING.queue_max as usize);
                    if !outbox.is_full() {
                        let named = names.map(|name| ["a", "b", "c", "d"][usize::from(name)]);
                        let ticket = outbox.take_in(&named, at(now + wait));
                        prop_assert!(alive.insert(ticket, (names, now + wait)).is_none());
                    }
                }
                Act::Hold(n) => {
                    let waiting: BTreeSet<Ticket> = alive.keys().copied().filter(|t| !running.contains(t)).collect();
                    if let Some(ticket) = nth(&waiting, n) {
                        outbox.hold(ticket);
                        held.insert(ticket);
                    }
                }
                Act::Release(n) => if let Some(ticket) = nth(&held, n) {
                    outbox.release(ticket);
                    held.remove(&ticket);
                },
                Act::Lack(n) => {
                    let waiting: BTreeSet<Ticket> = alive.keys().copied().filter(|t| !running.contains(t)).collect();
                    if let Some(ticket) = nth(&waiting, n) {
                        outbox.lack_file(ticket);
                        lacking.insert(ticket);
                    }
                }
                Act::Have(n) => if let Some(ticket) = nth(&lacking, n) {
                    outbox.have_file(ticket);
                    lacking.remove(&ticket);
                },
                Act::Type(n, ms) => {
                    let waiting: BTreeSet<Ticket> = alive.keys().copied().filter(|t| !running.contains(t)).collect();
                    if let Some(ticket) = nth(&waiting, n).filter(|ticket| !typed.contains_key(ticket)) {
                        outbox.types(ticket, Duration::from_millis(ms.unsigned_abs()));
                        types.insert(ticket, ms);
                    }
                }
                Act::Pass(ms) => now += ms,
                Act::Finish(n) => if let Some(ticket) = nth(&running, n) {
                    outbox.finished(ticket);
                    running.remove(&ticket);
                    alive.remove(&ticket);
                },
                Act::Return(n) => if let Some(ticket) = nth(&running, n) {
                    outbox.returned(ticket, at(now));
                    running.remove(&ticket);
                },
                Act::Link(up) => connected = up,
            }
            let pumped = outbox.pump(at(now), connected);
            for ticket in &pumped.expired {
                let (_, deadline) = alive.remove(ticket).expect("it was there");
                prop_assert!(deadline <= now && !running.contains(ticket) && !held.contains(ticket));
                lacking.remove(ticket);
            }
            prop_assert!(connected || (pumped.start.is_empty() && pumped.type_first.is_empty()));
            for ticket in &pumped.type_first {
                typed.insert(*ticket, now + types.remove(ticket).expect("it is to be typed, and was not"));
            }
            for ticket in &pumped.start {
                let (names, deadline) = alive[ticket];
                prop_assert!(!types.contains_key(ticket) && typed.remove(ticket).is_none_or(|over| over <= now));
                prop_assert!(deadline > now && !held.contains(ticket) && !lacking.contains(ticket));
                prop_assert!(running.insert(*ticket));
                let shared = |of: &[u8; 2]| of.iter().any(|name| names.contains(name));
                let earlier = alive.iter().any(|(other, (of, _))| other < ticket && shared(of));
                prop_assert!(!earlier, "an earlier message of the chat is not done");
            }
            prop_assert_eq!(outbox.waiting(), alive.len() - running.len());
            if outbox.waiting() > held.len() {
                prop_assert!(pumped.wake_at.is_some_and(|wake| wake > at(now)));
            }
        }
    }
}
