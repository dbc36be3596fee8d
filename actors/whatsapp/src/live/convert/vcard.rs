//! Contact cards (vCard, RFC 6350 and the older 2.1 and 3.0), as far as names and numbers go.

use wharf_domain::message::{Contact, ContactNumber};

/// Reads one card. `name` is what the message says it is called, which WhatsApp shows.
pub(super) fn read(name: Option<&str>, card: &str) -> Contact {
    let mut contact = Contact {
        name: name.unwrap_or_default().trim().to_owned(),
        numbers: Vec::new(),
    };
    let mut structured = None;
    for line in unfolded(card) {
        let Some((property, value)) = line.split_once(':') else {
            continue;
        };
        let mut parts = property.split(';');
        // "item1.TEL" is TEL in a group of lines.
        let named = parts.next().unwrap_or_default();
        let named = named.rsplit('.').next().unwrap_or_default();
        if named.eq_ignore_ascii_case("FN") && contact.name.is_empty() {
            contact.name = unescaped(value);
        } else if named.eq_ignore_ascii_case("N") {
            structured = Some(value.to_owned());
        } else if named.eq_ignore_ascii_case("TEL") {
            contact.numbers.extend(number(parts, value));
        }
    }
    if contact.name.is_empty() {
        contact.name = structured.map(|name| in_speaking_order(&name)).unwrap_or_default();
    }
    contact
}

fn number<'a>(mut parameters: impl Iterator<Item = &'a str>, value: &str) -> Option<ContactNumber> {
    let number = unescaped(value);
    let number = number.strip_prefix("tel:").unwrap_or(&number).trim();
    if number.is_empty() {
        return None;
    }
    let id = parameters.find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.eq_ignore_ascii_case("waid").then_some(value)
    });
    let id = id.filter(|id| !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_digit()));
    Some(ContactNumber {
        number: number.to_owned(),
        phone_number: id.map(str::to_owned),
    })
}

/// Lines, with those that were broken put together again.
fn unfolded(card: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for line in card.lines() {
        match (line.strip_prefix([' ', '\t']), lines.last_mut()) {
            (Some(rest), Some(last)) => last.push_str(rest),
            _ => lines.push(line.to_owned()),
        }
    }
    lines
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

/// "family;given;additional;prefixes;suffixes" as one says it.
fn in_speaking_order(name: &str) -> String {
    let parts: Vec<String> = name.split(';').map(unescaped).collect();
    let order = [3, 1, 2, 0, 4];
    let spoken = order.into_iter().filter_map(|at| parts.get(at));
    let spoken: Vec<&str> = spoken.map(String::as_str).filter(|part| !part.is_empty()).collect();
    spoken.join(" ")
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
}
