//! Contact cards (vCard, RFC 6350 and the older 2.1 and 3.0), as far as names, numbers, organizations and e-mail go.

use std::borrow::Cow;

use wharf_domain::message::{Contact, ContactNumber};

/// How version 2.1 writes what is not ASCII.
const QUOTED_PRINTABLE: &str = "QUOTED-PRINTABLE";
/// Parts of a name: family, given, additional, prefixes, suffixes.
const NAME_PARTS: usize = 5;

/// Reads one card. `name` is what the message says it is called, which WhatsApp shows.
pub(super) fn read(name: Option<&str>, card: &str) -> Contact {
    let mut contact = Contact {
        name: name.unwrap_or_default().trim().to_owned(),
        ..Contact::default()
    };
    let mut structured = None;
    for line in unfolded(card) {
        let Some(property) = Property::read(&line) else {
            continue;
        };
        if property.is("FN") && contact.name.is_empty() {
            contact.name = unescaped(&property.value);
        } else if property.is("N") {
            structured = Some(in_speaking_order(&property.value));
        } else if property.is("TEL") {
            contact.numbers.extend(number(&property));
        } else if property.is("ORG") && contact.organization.is_none() {
            contact.organization = organization(&property.value);
        } else if property.is("EMAIL") {
            contact.emails.extend(address("mailto:", &property.value));
        }
    }
    if contact.name.is_empty() {
        contact.name = structured.unwrap_or_default();
    }
    contact
}

/// A line of a card.
struct Property<'l> {
    name: &'l str,
    parameters: &'l str,
    value: Cow<'l, str>,
}

impl<'l> Property<'l> {
    fn read(line: &'l str) -> Option<Self> {
        let (head, value) = line.split_once(':')?;
        let (named, parameters) = head.split_once(';').unwrap_or((head, ""));
        let value = match is_quoted_printable(parameters) {
            true => printed(value).into(),
            false => value.into(),
        };
        Some(Self {
            // "item1.TEL" is TEL in a group of lines.
            name: named.rsplit('.').next().unwrap_or_default(),
            parameters,
            value,
        })
    }

    fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name)
    }
}

fn number(property: &Property<'_>) -> Option<ContactNumber> {
    let number = address("tel:", &property.value)?;
    let id = property.parameters.split(';').find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.eq_ignore_ascii_case("waid").then_some(value)
    });
    let id = id.filter(|id| !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_digit()));
    Some(ContactNumber {
        number,
        phone_number: id.map(str::to_owned),
    })
}

/// Where somebody is reached, which may be written as a link.
fn address(scheme: &str, value: &str) -> Option<String> {
    let address = unescaped(value);
    let address = address.strip_prefix(scheme).unwrap_or(&address).trim();
    (!address.is_empty()).then(|| address.to_owned())
}

/// Lines, with those that were broken put together again.
fn unfolded(card: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    // Whether the last one may be broken as quoted-printable text is: by a `=` at its end.
    let mut is_quoted = false;
    for line in card.lines() {
        match (line.strip_prefix([' ', '\t']), lines.last_mut()) {
            (_, Some(last)) if is_quoted && last.ends_with('=') => {
                last.pop();
                last.push_str(line);
            }
            (Some(rest), Some(last)) => last.push_str(rest),
            _ => {
                is_quoted = line.split_once(':').is_some_and(|(head, _)| is_quoted_printable(head));
                lines.push(line.to_owned());
            }
        }
    }
    lines
}

/// Whether one of a line's parameters says so; in version 2.1 without the name of the parameter.
fn is_quoted_printable(parameters: &str) -> bool {
    let mut values = parameters
        .split(';')
        .map(|one| one.rsplit('=').next().unwrap_or_default());
    values.any(|value| value.eq_ignore_ascii_case(QUOTED_PRINTABLE))
}

/// Quoted-printable text (RFC 2045) as it is meant: `=C3=A1` are two bytes. What is none stays as it is.
fn printed(value: &str) -> String {
    let mut pieces = value.split('=');
    let mut bytes = pieces.next().unwrap_or_default().as_bytes().to_vec();
    for piece in pieces {
        let byte = piece.split_at_checked(2).and_then(|(digits, rest)| {
            let digits = Some(digits).filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()))?;
            Some((u8::from_str_radix(digits, 16).ok()?, rest))
        });
        let (byte, rest) = byte.unwrap_or((b'=', piece));
        bytes.push(byte);
        bytes.extend_from_slice(rest.as_bytes());
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn unescaped(value: &str) -> String {
    let mut plain = String::with_capacity(value.len());
    let mut characters = value.trim().chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => match characters.next() {
                Some('n' | 'N') => plain.push(' '),
                Some(other) => plain.push(other),
                None => {}
            },
            other => plain.push(other),
        }
    }
    plain
}

/// The parts of a value that has several, with a `;` between two.
fn parts(value: &str) -> impl Iterator<Item = String> {
    let mut is_escaped = false;
    let between = move |character: char| {
        let ends = character == ';' && !is_escaped;
        is_escaped = character == '\\' && !is_escaped;
        ends
    };
    value.split(between).map(unescaped)
}

/// "family;given;additional;prefixes;suffixes" as one says it.
fn in_speaking_order(name: &str) -> String {
    let parts: Vec<String> = parts(name).take(NAME_PARTS).collect();
    let order = [3, 1, 2, 0, 4];
    let spoken = order.into_iter().filter_map(|at| parts.get(at));
    let spoken: Vec<&str> = spoken.map(String::as_str).filter(|part| !part.is_empty()).collect();
    spoken.join(" ")
}

/// "organization;department;…" in one line, if it says something.
fn organization(value: &str) -> Option<String> {
    let parts: Vec<String> = parts(value).filter(|part| !part.is_empty()).collect();
    (!parts.is_empty()).then(|| parts.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers_are_read() {
        let card = "BEGIN:VCARD\r\nVERSION:3.0\r\nN:Silva;Maria;;Dr.;\r\nFN:Maria\\, Silva\r\n\
            item1.TEL;type=CELL;waid=5511988887777:+55 11 98888-\r\n 7777\r\nTEL:tel:+1-202-555-0100\r\nTEL:\r\nEND:VCARD";
        let contact = read(None, card);
        assert_eq!(contact.name, "Maria, Silva");
        let numbers: Vec<_> = contact
            .numbers
            .iter()
            .map(|it| (it.number.as_str(), it.phone_number.as_deref()))
            .collect();
        assert_eq!(
            numbers,
            [("+55 11 98888-7777", Some("5511988887777")), ("+1-202-555-0100", None)]
        );
        assert_eq!(read(Some("Mum"), card).name, "Mum");
    }

    #[test]
    fn a_card_without_a_full_name_has_one_all_the_same() {
        assert_eq!(read(Some(""), "N:Silva;Maria;;Dr.;\n").name, "Dr. Maria Silva");
        assert_eq!(read(None, "nonsense\n\\").name, "");
        assert_eq!(read(None, "TEL;waid=12x:5").numbers[0].phone_number, None);
    }

    #[test]
    fn organizations_and_addresses_are_read() {
        let card = "item1.ORG:Harbour\\; Sons;Sa\r\n les;;\r\nORG:Another\r\nitem2.EMAIL;type=INTERNET:paula@harb\r\n\tour.example\r\n\
            email:mailto:Paula\\,Reis@home.example\r\nEMAIL:\r\nEMAIL;TYPE=WORK: \r\nORGANIZER:x\r\n";
        let contact = read(Some("Paula"), card);
        assert_eq!(contact.organization.as_deref(), Some("Harbour; Sons, Sales"));
        assert_eq!(contact.emails, ["paula@harbour.example", "Paula,Reis@home.example"]);
        let bare = read(Some("Paula"), "ORG:;\nORG:Harbour;\nTEL:1");
        assert_eq!((bare.organization.as_deref(), bare.emails.len()), (Some("Harbour"), 0));
    }

    /// As Android's phones write them.
    #[test]
    fn what_is_not_ascii_is_read_in_version_2_1() {
        let card = "VERSION:2.1\r\nN;CHARSET=UTF-8;ENCODING=QUOTED-PRINTABLE:S=C3=A3o;Jo=\r\n=C3=A3o;;;\r\n\
            ORG;QUOTED-PRINTABLE:Padaria =3D =+1 =\r\n=C3=81gua\r\nEMAIL:a=b@c.example\r\nTEL;CELL:1";
        let contact = read(None, card);
        assert_eq!(contact.name, "João São");
        assert_eq!(contact.organization.as_deref(), Some("Padaria = =+1 Água"));
        assert_eq!(
            (contact.emails[0].as_str(), contact.numbers[0].number.as_str()),
            ("a=b@c.example", "1")
        );
        let broken = read(None, "FN;ENCODING=QUOTED-PRINTABLE:=FF=C3=");
        assert_eq!(broken.name, "\u{fffd}\u{fffd}=");
        let plain = read(None, "FN:a=C3=\nEMAIL:a=b@c.example");
        assert_eq!(
            (plain.name.as_str(), plain.emails[0].as_str()),
            ("a=C3=", "a=b@c.example")
        );
    }
}
