//! Tests of [`super`].

use super::*;

const DAY: i64 = 86_400_000;
const NOW: Timestamp = Timestamp(1_762_352_580_000);

fn days_ago(days: i64) -> Timestamp {
    Timestamp(NOW.0 - days * DAY)
}

fn row(seq: i64, status: EventStatus, days: i64) -> Visited {
    Visited {
        seq,
        status,
        created_at: days_ago(days),
        weight: 1,
    }
}

fn step(walk: &mut Walk, rows: &[Visited], cutoffs: &Cutoffs, now: Timestamp) -> (Vec<i64>, bool) {
    let (condemned, over) = walk.step(rows, rows.len().max(1), cutoffs, now);
    (condemned.iter().map(|row| row.seq).collect(), over)
}

#[test]
fn each_status_has_its_age_and_pending_has_none() {
    let cutoffs = Keep::days(7, 30).cutoffs(NOW);
    for (status, kept, goes) in [(EventStatus::Delivered, 7, 8), (EventStatus::Failed, 30, 31)] {
        assert!(!cutoffs.condemn(status, days_ago(kept)), "{status:?}");
        assert!(cutoffs.condemn(status, days_ago(goes)), "{status:?}");
    }
    assert!(!cutoffs.condemn(EventStatus::Pending, days_ago(100_000)));
    let a_day = Keep::days(1, 1).cutoffs(NOW);
    assert!(a_day.condemn(EventStatus::Delivered, days_ago(2)) && a_day.condemn(EventStatus::Failed, days_ago(2)));
    let for_ever = Keep::days(0, 0).cutoffs(NOW);
    for status in [EventStatus::Delivered, EventStatus::Failed] {
        assert!(!for_ever.condemn(status, Timestamp(0)), "{status:?}");
    }
}

#[test]
fn the_walk_stops_at_the_young_and_goes_on_there() {
    use EventStatus::{Delivered, Failed, Pending};
    let cutoffs = Keep::days(7, 30).cutoffs(NOW);
    let mut walk = Walk::default();
    let rows = [
        row(1, Delivered, 40),
        row(2, Failed, 40),
        row(3, Failed, 10),
        row(4, Pending, 10),
    ];
    assert_eq!(step(&mut walk, &rows, &cutoffs, NOW), (vec![1, 2], false));
    let rows = [
        row(5, Delivered, 8),
        row(6, Delivered, 6),
        row(7, Delivered, 5),
        row(8, Delivered, 5),
    ];
    assert_eq!(step(&mut walk, &rows, &cutoffs, NOW), (vec![5], false));
    let rows = [9, 10, 11, 12].map(|seq| row(seq, Delivered, 4));
    assert_eq!(step(&mut walk, &rows, &cutoffs, NOW), (vec![], true));
    assert_eq!(walk.place(), 5, "the next round begins with the first young one");
    let later = Timestamp(NOW.0 + 2 * DAY);
    let rows = [
        row(6, Delivered, 6),
        row(7, Delivered, 5),
        row(8, Delivered, 5),
        row(9, Delivered, 4),
    ];
    let cutoffs = Keep::days(7, 30).cutoffs(later);
    assert_eq!(step(&mut walk, &rows, &cutoffs, later), (vec![6], false));
    assert_eq!(step(&mut walk, &[], &cutoffs, later), (vec![], true));
    assert_eq!(walk.place(), 6);
    walk.begin_anew();
    assert_eq!(walk.place(), 0);
}

#[test]
fn times_out_of_order_do_not_stop_the_walk() {
    use EventStatus::Delivered;
    let cutoffs = Keep::days(7, 30).cutoffs(NOW);
    let mut walk = Walk::default();
    let future = [row(1, Delivered, -900), row(2, Delivered, -900)];
    assert_eq!(step(&mut walk, &future, &cutoffs, NOW), (vec![], false));
    let mixed = [row(3, Delivered, 2), row(4, Delivered, 20)];
    assert_eq!(step(&mut walk, &mixed, &cutoffs, NOW), (vec![4], false));
    assert_eq!(step(&mut walk, &[], &cutoffs, NOW), (vec![], true));
    assert_eq!(walk.place(), 4, "the young one before it waits for the next pass");
}

#[test]
fn a_step_that_holds_the_writer_makes_the_next_one_smaller() {
    let mut pace = StepPace::new(64, 512);
    assert_eq!(pace.took(Duration::from_millis(40)), Duration::from_millis(120));
    assert_eq!(pace.size(), 32);
    pace.took(Duration::from_millis(12));
    assert_eq!(pace.size(), 32, "just right");
    for _ in 0..100 {
        pace.took(Duration::from_secs(9));
    }
    assert_eq!(pace.size(), StepPace::LEAST);
    assert_eq!(pace.took(Duration::ZERO), SHORTEST_PAUSE);
    for _ in 0..100 {
        pace.took(Duration::from_millis(1));
    }
    assert_eq!(pace.size(), 512);
}

#[test]
fn no_step_takes_more_than_its_size_but_for_a_single_row() {
    // Events with one attempt each, with twenty, with bodies of 1.4 MB.
    let weights = [(1_000, 2), (400, 21), (50, 344)].map(|(rows, weight)| vec![weight; rows]);
    let (weights, mut pace) = (weights.concat(), StepPace::new(64, 1_000));
    let (mut left, mut steps, mut most) = (weights.as_slice(), 0, 0);
    while !left.is_empty() {
        let (taken, weight) = fitting(left.iter().copied(), pace.size());
        assert_eq!(left[..taken].iter().sum::<usize>(), weight);
        assert!(weight <= pace.size() || taken == 1, "{weight} of {}", pace.size());
        left = &left[taken..];
        assert!(left.first().is_none_or(|next| weight + next > pace.size()));
        (steps, most) = (steps + 1, most.max(weight));
        pace.took(Duration::from_millis(1));
    }
    assert!(
        (25..60).contains(&steps) && most > 900,
        "{steps} steps, {most} at the most"
    );
    assert_eq!(fitting([344, 1], 64), (1, 344));
    assert_eq!(fitting([], 64), (0, 0));
    assert_eq!(fitting([usize::MAX, usize::MAX], usize::MAX), (2, usize::MAX));
}

fn hours(hours: u64) -> Duration {
    Duration::from_hours(hours)
}

#[test]
fn a_clock_that_leapt_by_months_before_the_start_is_believed_after_a_day() {
    for (seen_at, what) in [
        (None, "nothing to compare it with"),
        (Some(days_ago(29)), "it was switched off"),
        (Some(days_ago(-4_000)), "it was set back"),
    ] {
        assert!(ClockWatch::default().believes(seen_at, NOW, hours(0)), "{what}");
    }
    let mut watch = ClockWatch::default();
    let leapt = Timestamp(NOW.0 + 3_650 * DAY);
    assert!(!watch.believes(Some(NOW), leapt, hours(5)));
    assert!(!watch.believes(Some(NOW), leapt, hours(28)));
    assert!(watch.believes(Some(NOW), NOW, hours(28)), "it was set right");
    assert!(!watch.believes(Some(NOW), leapt, hours(29)), "the day begins anew");
    assert!(!watch.believes(Some(NOW), leapt, hours(52)));
    assert!(watch.believes(Some(NOW), leapt, hours(53)));
    assert!(watch.believes(Some(leapt), leapt, hours(53)), "and from then on");
}

#[test]
fn a_clock_that_leaps_while_the_program_runs_is_believed_after_a_day() {
    let at = |hours: i64| Timestamp(NOW.0 + hours * 3_600_000);
    let mut watch = ClockWatch::default();
    for now in [0_i64, 1, 24, 240] {
        let running = hours(now.unsigned_abs());
        assert!(watch.believes(Some(NOW), at(now), running), "{now} hours went by");
    }
    assert!(watch.believes(Some(NOW), at(242), hours(241)), "an hour is none");
    for days in [1, 29, 3_650] {
        let leapt = at(242 + 24 * days);
        assert!(!watch.believes(Some(at(242)), leapt, hours(241)), "{days} days");
    }
    assert!(!watch.believes(Some(at(242)), at(242 + 24 + 23), hours(241 + 23)));
    assert!(watch.believes(Some(at(242)), at(266), hours(265)), "it was set right");
    assert!(watch.believes(Some(at(266)), at(100), hours(266)), "it was set back");
    assert!(watch.believes(Some(at(100)), at(101), hours(267)));
    assert!(!watch.believes(Some(at(101)), at(126), hours(268)));
    assert!(
        watch.believes(Some(at(101)), at(150), hours(292)),
        "it stays where it is"
    );
    assert!(watch.believes(Some(at(150)), at(151), hours(293)));
}
