use whatsapp_rust::wacore::types::events::DecryptFailMode;

use super::*;
use crate::live::inbound::Arrival;
use crate::live::memory::Memory;

const PATIENCE: Duration = Duration::from_secs(60);
const WALL: Timestamp = Timestamp(1_762_352_580_000);

fn info(id: &str, sender: &str, alternative: Option<&str>) -> MessageInfo {
    MessageInfo {
        source: MessageSource {
            sender: sender.parse().unwrap(),
            sender_alt: alternative.map(|jid| jid.parse().unwrap()),
            ..MessageSource::default()
        },
        id: id.into(),
        ..MessageInfo::default()
    }
}

fn lost(info: MessageInfo, unavailable_type: UnavailableType) -> UndecryptableMessage {
    UndecryptableMessage::builder()
        .info(Arc::new(info))
        .is_unavailable(false)
        .unavailable_type(unavailable_type)
        .decrypt_fail_mode(DecryptFailMode::Show)
        .build()
}

/// A message that only its sender and the phone can give.
fn spoilt(id: &str) -> UndecryptableMessage {
    lost(info(id, "1@lid", None), UnavailableType::Unknown)
}

/// All that has no row gets one.
fn keep(awaited: &mut Awaited, now: Instant) -> Vec<AwaitedMessage> {
    let rows = awaited.without_row(now, WALL);
    awaited.have_rows(&rows);
    rows
}

/// What is due, by its ids; it is reported.
fn reported(awaited: &mut Awaited, now: Instant) -> Vec<String> {
    keep(awaited, now);
    let overdue = awaited.overdue(now);
    for lost in &overdue {
        awaited.settle(&lost.message.info);
    }
    overdue.iter().map(|lost| lost.message.info.id.clone()).collect()
}

fn come(awaited: &mut Awaited, info: &MessageInfo) -> Option<Arc<MessageInfo>> {
    let (first, was_missing) = awaited.arrives(info)?;
    if was_missing {
        awaited.settle(info);
    }
    Some(first)
}

#[test]
fn a_message_that_comes_in_time_is_never_reported() {
    let (mut awaited, now) = (Awaited::default(), Instant::now());
    let by_lid = info("A", "1@lid", Some("5511888888888@s.whatsapp.net"));
    awaited.miss(lost(by_lid, UnavailableType::Unknown), now, PATIENCE);
    awaited.miss(spoilt("B"), now, PATIENCE);
    assert_eq!(keep(&mut awaited, now).len(), 2);
    come(&mut awaited, &info("A", "2@lid", None));
    assert_eq!(awaited.next(), Some(now + PATIENCE));
    // By number and from another device it is the same sender.
    come(&mut awaited, &info("A", "5511888888888:4@s.whatsapp.net", None));
    assert!(awaited.overdue(now + PATIENCE / 2).is_empty());
    assert_eq!(reported(&mut awaited, now + PATIENCE), ["B"]);
    assert!(awaited.is_empty());
}

#[test]
fn what_is_told_of_an_own_message_names_its_row() {
    let (mut awaited, now) = (Awaited::default(), Instant::now());
    let own = MessageInfo {
        source: MessageSource {
            is_from_me: true,
            ..info("A", "1@lid", None).source
        },
        ..info("A", "1@lid", None)
    };
    awaited.miss(lost(own.clone(), UnavailableType::Unknown), now, PATIENCE);
    awaited.miss(spoilt("B"), now, PATIENCE);
    assert_eq!(awaited.own_waited_for("A"), Some(row::id(&own)));
    assert_eq!(awaited.own_waited_for("B"), None, "somebody else's");
    come(&mut awaited, &own);
    assert_eq!(awaited.own_waited_for("A"), None);
}

#[test]
fn one_that_fails_twice_is_reported_once_and_keeps_its_deadline() {
    let (mut awaited, now) = (Awaited::default(), Instant::now());
    for later in [0, 30] {
        awaited.miss(spoilt("A"), now + Duration::from_secs(later), PATIENCE);
    }
    assert_eq!(reported(&mut awaited, now + PATIENCE), ["A"]);
    awaited.miss(spoilt("A"), now, PATIENCE);
    assert!(awaited.is_empty(), "it was reported");
}

#[test]
fn what_only_the_phone_gets_is_not_waited_for_but_a_new_link_is() {
    let (mut awaited, now) = (Awaited::default(), Instant::now());
    awaited.miss(lost(info("A", "1@lid", None), UnavailableType::ViewOnce), now, PATIENCE);
    awaited.miss(spoilt("B"), now, PATIENCE);
    assert_eq!(keep(&mut awaited, now).len(), 1, "and needs no row");
    assert_eq!(reported(&mut awaited, now), ["A"]);
    awaited.postpone(now + 2 * PATIENCE);
    assert!(awaited.overdue(now + PATIENCE).is_empty());
    assert_eq!(reported(&mut awaited, now + 2 * PATIENCE), ["B"]);
}

#[test]
fn links_that_open_over_and_over_do_not_put_a_report_off_for_ever() {
    let (mut awaited, now) = (Awaited::default(), Instant::now());
    awaited.miss(spoilt("A"), now, PATIENCE);
    keep(&mut awaited, now);
    let last = PATIENCE + POSTPONED_AT_MOST;
    let mut later = Duration::ZERO;
    while later < last {
        assert!(awaited.overdue(now + later).is_empty(), "after {later:?}");
        awaited.postpone(now + later + PATIENCE);
        later += PATIENCE - Duration::from_secs(10);
    }
    assert_eq!(reported(&mut awaited, now + last), ["A"]);
}

#[test]
fn both_copies_of_a_message_are_the_one_that_was_first_heard_of() {
    let (mut awaited, now) = (Awaited::default(), Instant::now());
    let mut first = info("A", "1@lid", Some("5511888888888@s.whatsapp.net"));
    first.source.chat = "1@lid".parse().unwrap();
    awaited.miss(lost(first, UnavailableType::Unknown), now, PATIENCE);
    let again = info("A", "1:3@lid", None);
    let copy = info("A", "5511888888888@s.whatsapp.net", None);
    for copy in [again, copy] {
        let first = come(&mut awaited, &copy).unwrap();
        assert_eq!(first.source.chat.to_string(), "1@lid");
    }
    // The same sender may use the id once more elsewhere.
    let mut elsewhere = info("A", "1@lid", None);
    elsewhere.source.is_group = true;
    elsewhere.source.chat = "120363000000000001@g.us".parse().unwrap();
    assert!(awaited.arrives(&elsewhere).is_none());
    for id in 0..CAME {
        awaited.note(Arc::new(info(&id.to_string(), "1@lid", None)));
    }
    assert!(awaited.arrives(&info("A", "1@lid", None)).is_none(), "and not for ever");
}

#[test]
fn what_is_due_is_missing_until_it_is_reported() {
    let (mut awaited, now) = (Awaited::default(), Instant::now());
    awaited.miss(lost(info("A", "1@lid", None), UnavailableType::ViewOnce), now, PATIENCE);
    // The link ended before the report was made.
    assert_eq!((awaited.overdue(now).len(), awaited.overdue(now).len()), (1, 1));
    let again = now + PATIENCE;
    awaited.put_off(&info("A", "1@lid", None), again);
    assert!(awaited.overdue(now).is_empty());
    assert_eq!(reported(&mut awaited, again), ["A"]);
    assert!(awaited.is_empty());
}

#[test]
fn a_flood_is_not_kept() {
    let (mut awaited, now) = (Awaited::default(), Instant::now());
    for id in 0..=MOST {
        awaited.miss(spoilt(&id.to_string()), now, PATIENCE);
    }
    assert_eq!(awaited.without_row(now, WALL).len(), MOST);
    assert_eq!(awaited.overdue(now).len(), 1);
}

#[test]
fn nothing_is_reported_before_its_row_can_say_that_it_has_not_come() {
    let (mut awaited, now) = (Awaited::default(), Instant::now());
    awaited.miss(spoilt("A"), now, PATIENCE);
    let due = now + PATIENCE;
    assert!(awaited.overdue(due).is_empty());
    assert_eq!(awaited.next(), None);
    let rows = keep(&mut awaited, now);
    assert_eq!((rows.len(), rows[0].due_at), (1, WALL + PATIENCE));
    assert_eq!(awaited.overdue(due)[0].row.as_ref(), Some(&rows[0].id));
    assert!(awaited.without_row(now, WALL).is_empty());
}

#[test]
fn what_arrives_is_neither_kept_nor_reported_unless_it_is_not_committed() {
    let (memory, now) = (Arc::new(Memory::default()), Instant::now());
    memory.awaited().miss(spoilt("A"), now, PATIENCE);
    let due = now + PATIENCE;
    let copies = [(); 2].map(|()| Arrival::of(&memory, &info("A", "1@lid", None)).unwrap());
    assert!(memory.awaited().without_row(now, WALL).is_empty());
    assert!(!memory.awaited().is_missing(&info("A", "1@lid", None)));
    let [one, other] = copies;
    let row = one.row().unwrap();
    drop(one);
    assert!(
        memory.awaited().without_row(now, WALL).is_empty(),
        "the other still comes"
    );
    drop(other);
    let rows = keep(&mut memory.awaited(), now);
    assert_eq!(rows[0].id, row);
    let again = Arrival::of(&memory, &info("A", "1@lid", None)).unwrap();
    assert!(memory.awaited().overdue(due).is_empty());
    again.settle();
    assert!(memory.awaited().is_empty());
    let late = Arrival::of(&memory, &info("A", "1@lid", None)).unwrap();
    assert_eq!(late.row(), None, "its row is gone");
}

#[test]
fn a_new_process_waits_for_what_is_left_of_the_wait() {
    let (mut before, now) = (Awaited::default(), Instant::now());
    before.miss(spoilt("A"), now, PATIENCE);
    let mut rows = keep(&mut before, now);
    let mut strange = rows[0].clone();
    strange.id.message_id = "B".into();
    strange.head = "of another version".into();
    rows.push(strange);
    for (later, left) in [(20, 40), (600, 0), (-86_400, 60)] {
        let mut awaited = Awaited::default();
        for _ in 0..2 {
            awaited.load(&rows, now, Timestamp(WALL.0 + later * 1000), PATIENCE);
        }
        assert!(awaited.is_loaded());
        let due = now + Duration::from_secs(left);
        assert_eq!(awaited.next(), Some(due), "after {later} s");
        // It is known already, and fails again.
        awaited.miss(spoilt("A"), now, PATIENCE);
        assert_eq!(reported(&mut awaited, due), ["A"]);
        // Its row is gone: a second link of this process reads none, and so does nothing else.
        awaited.load(&rows, now, WALL, PATIENCE);
        assert!(awaited.is_empty());
    }
}

/// The store takes nothing, and somebody goes on sending what nobody can decrypt.
#[test]
fn a_flood_that_cannot_be_reported_ends_too() {
    let (mut awaited, now) = (Awaited::default(), Instant::now());
    for n in 0..MOST_IN_ALL + 10 {
        awaited.miss(spoilt(&n.to_string()), now, PATIENCE);
    }
    assert_eq!(awaited.missing.len(), MOST_IN_ALL);
    assert_eq!(reported(&mut awaited, now + PATIENCE).len(), MOST_IN_ALL);
    awaited.miss(spoilt("later"), now, PATIENCE);
    assert_eq!(awaited.missing.len(), 1, "when they are reported there is room again");
}

#[test]
fn what_is_about_a_message_of_the_same_chat_finds_it() {
    let (mut awaited, now) = (Awaited::default(), Instant::now());
    let number = "5511888888888@s.whatsapp.net";
    awaited.miss(
        lost(info("A", "1@lid", Some(number)), UnavailableType::Unknown),
        now,
        PATIENCE,
    );
    awaited.miss(spoilt("B"), now, PATIENCE);
    awaited.miss(lost(info("C", "1@lid", None), UnavailableType::ViewOnce), now, PATIENCE);
    let in_group = |id: &str, group: &str| {
        let mut info = info(id, "3@lid", None);
        (info.source.is_group, info.source.chat) = (true, group.parse().unwrap());
        info
    };
    awaited.miss(lost(in_group("D", "1@g.us"), UnavailableType::Unknown), now, PATIENCE);
    let mut found = |id: &str, about: &MessageInfo| awaited.waits_behind(about, id).map(|id| id.message_id);
    let by_number = info("E", number, None);
    assert_eq!(found("A", &by_number).as_deref(), Some("A"));
    assert_eq!(found("B", &by_number), None, "its number is not known");
    assert_eq!(found("A", &info("E", "2@lid", None)), None, "somebody else's chat");
    let mut own = info("E", "9@lid", None);
    (own.source.is_from_me, own.source.chat) = (true, "1@lid".parse().unwrap());
    for id in ["A", "B"] {
        assert_eq!(found(id, &own).as_deref(), Some(id), "what the account says of it");
    }
    assert_eq!(found("C", &own), None, "it is reported at once");
    assert_eq!(found("D", &in_group("E", "1@g.us")).as_deref(), Some("D"));
    assert_eq!(found("D", &in_group("E", "2@g.us")), None);
    assert_eq!(found("D", &info("E", "3@lid", None)), None, "not in the group");
}

#[test]
fn what_is_about_one_that_waits_waits_with_it() {
    let (mut awaited, now) = (Awaited::default(), Instant::now());
    awaited.miss(spoilt("A"), now, PATIENCE);
    let mut own = info("M", "9@lid", None);
    (own.source.is_from_me, own.source.chat) = (true, "1@lid".parse().unwrap());
    let about = info("R", "1@lid", None);
    assert_eq!(awaited.waits_behind(&about, "M"), None, "it is no news yet");
    let id = awaited.waits_behind(&own, "A").unwrap();
    assert_eq!(awaited.waits_behind(&about, "M"), Some(id.clone()));
    assert_eq!(
        awaited.waits_behind(&info("R", "2@lid", None), "M"),
        None,
        "in another chat"
    );
    assert_eq!(awaited.own_waited_for("M"), Some(id));
    assert_eq!(awaited.own_waited_for("R"), None, "somebody else's");
    come(&mut awaited, &info("A", "1@lid", None));
    assert_eq!((awaited.own_waited_for("M"), awaited.behind.len()), (None, 0));

    awaited.miss(spoilt("B"), now, PATIENCE);
    for n in 0..=BEHIND {
        awaited.waits_behind(&info(&n.to_string(), "1@lid", None), "B");
    }
    assert_eq!(awaited.behind.len(), BEHIND);
}

#[test]
fn rows_that_cannot_be_read_are_answered() {
    let (mut awaited, now) = (Awaited::default(), Instant::now());
    awaited.miss(spoilt("A"), now, PATIENCE);
    let mut rows = keep(&mut awaited, now);
    let mut strange = rows[0].clone();
    (strange.id.message_id, strange.head) = ("B".into(), "{}".into());
    rows.push(strange.clone());
    let mut anew = Awaited::default();
    assert_eq!(anew.load(&rows, now, WALL, PATIENCE), [strange.id]);
    assert_eq!(reported(&mut anew, now + PATIENCE), ["A"]);
}
