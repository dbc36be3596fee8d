//! Who writes what. The people are made up, and so are the numbers.

/// The number that the gateway is linked to.
pub(super) const NUMBER: &str = "5511888888888";

/// Somebody who writes to it.
#[derive(Debug)]
pub(super) struct Contact {
    pub(super) name: &'static str,
    pub(super) phone: &'static str,
    lines: [&'static str; 5],
}

/// A text and who writes it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Line {
    pub(super) contact: &'static Contact,
    pub(super) text: &'static str,
}

/// Everybody.
pub(super) const CONTACTS: [Contact; 5] = [
    Contact {
        name: "Florist",
        phone: "5511999990001",
        lines: [
            "Good morning! Are you open today?",
            "I have forty roses for the party",
            "Shall I come to the back door?",
            "Parking is full, two minutes",
            "All in water now, see you!",
        ],
    },
    Contact {
        name: "Neighbour",
        phone: "5511999990002",
        lines: [
            "Your parcel is with me",
            "It is heavy, by the way",
            "I am home until six",
            "The cat likes the box",
            "Door is open, just come in",
        ],
    },
    Contact {
        name: "Courier",
        phone: "5511999990003",
        lines: [
            "Order 4711 is on its way",
            "Which floor, please?",
            "Third bell does not work",
            "Left it at reception",
            "Please rate the delivery",
        ],
    },
    Contact {
        name: "Bookshop",
        phone: "5511999990004",
        lines: [
            "Your book has arrived",
            "The second volume is out of print",
            "We found a used one, 12.50",
            "Shall we keep it until Friday?",
            "Done, it is on the shelf ✓",
        ],
    },
    Contact {
        name: "Choir",
        phone: "5511999990005",
        lines: [
            "Rehearsal moves to 19:30",
            "Who has the key?",
            "Bring the blue folder",
            "Two tenors are ill 🤒",
            "Thank you all, that was lovely",
        ],
    },
];

/// Whose turn it is, over and over: chats mixed as they are in life.
const TURNS: [usize; 11] = [0, 1, 2, 0, 3, 4, 1, 2, 4, 3, 0];

/// The lines in order, without end.
pub(super) fn lines() -> impl Iterator<Item = Line> {
    let mut said = [0_usize; CONTACTS.len()];
    TURNS.into_iter().cycle().map(move |turn| {
        let contact = &CONTACTS[turn];
        let text = contact.lines[said[turn] % contact.lines.len()];
        said[turn] += 1;
        Line { contact, text }
    })
}

/// What the gateway answers one of them, once.
pub(super) const ANSWER: &str = "Yes, until 18:00. See you!";
