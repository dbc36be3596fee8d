//! Values of fields, each judged by the domain.

use std::{collections::HashSet, hash::Hash};

use serde_json::Value;
use wharf_domain::{
    InvalidField, PhoneNumber, Recipient,
    outgoing::{MENTIONS_MAX, Mentions, check_emoji, check_line, check_message_id, check_text},
};

use super::fields;

/// Characters that are repeated of an entry that is refused.
const ENTRY_SHOWN: usize = 40;

pub(super) fn text(name: &'static str, value: Value) -> Result<String, InvalidField> {
    let text = fields::string(name, value)?;
    check_text(name, &text).map(|()| text)
}

pub(super) fn line(name: &'static str, value: Value) -> Result<String, InvalidField> {
    let text = fields::string(name, value)?;
    check_line(name, &text).map(|()| text)
}

pub(super) fn emoji(name: &'static str, value: Value) -> Result<String, InvalidField> {
    let emoji = fields::string(name, value)?;
    check_emoji(name, &emoji).map(|()| emoji)
}

/// WhatsApp's id of a message.
pub(super) fn message_id(name: &'static str, value: Value) -> Result<String, InvalidField> {
    let id = fields::string(name, value)?;
    check_message_id(name, &id).map(|()| id)
}

/// Somebody.
pub(super) fn person(name: &'static str, value: Value) -> Result<Recipient, InvalidField> {
    Recipient::parse_person(name, &fields::string(name, value)?)
}

pub(super) fn degrees(
    name: &'static str,
    value: &Value,
    check: fn(&'static str, f64) -> Result<(), InvalidField>,
) -> Result<f64, InvalidField> {
    let degrees = value.as_f64().unwrap_or(f64::NAN);
    check(name, degrees).map(|()| degrees)
}

/// A list of texts.
pub(super) fn texts(name: &'static str, value: Value) -> Result<Vec<String>, InvalidField> {
    let wanted = || InvalidField::new(name, "must be a list of strings");
    let Value::Array(list) = value else {
        return Err(wanted());
    };
    let texts = list.into_iter().map(|value| match value {
        Value::String(text) => Ok(text),
        _ => Err(wanted()),
    });
    texts.collect()
}

/// A list of numbers, each once; also as ids that name them (`…@s.whatsapp.net`).
pub(super) fn phones(name: &'static str, value: Value) -> Result<Vec<PhoneNumber>, InvalidField> {
    let numbers = persons(name, value)?.into_iter().map(|person| match person {
        Recipient::Number(number) => Ok(number),
        other => {
            let refusal = InvalidField::new(name, "must be numbers, not hidden ids (@lid)");
            Err(of_entry(&other.to_string(), refusal))
        }
    });
    numbers.collect()
}

/// A list of numbers or hidden ids, each once.
pub(super) fn persons(name: &'static str, value: Value) -> Result<Vec<Recipient>, InvalidField> {
    let texts = texts(name, value)?;
    let person = |text: &String| Recipient::parse_person(name, text).map_err(|refusal| of_entry(text, refusal));
    each_once(texts.iter().map(person))
}

/// Says which entry of a list it was that was refused.
pub(super) fn of_entry(entry: &str, refusal: InvalidField) -> InvalidField {
    let cut = if entry.chars().count() > ENTRY_SHOWN { "…" } else { "" };
    let shown: String = entry.chars().take(ENTRY_SHOWN).collect();
    InvalidField {
        message: format!("{}; \"{shown}{cut}\" is not", refusal.message),
        ..refusal
    }
}

/// What is given, each once, in the order of the first ones; there may be tens of thousands.
pub(super) fn each_once<T: Eq + Hash + Clone, E>(given: impl Iterator<Item = Result<T, E>>) -> Result<Vec<T>, E> {
    let (mut seen, mut once) = (HashSet::new(), Vec::new());
    for one in given {
        let one = one?;
        if seen.insert(one.clone()) {
            once.push(one);
        }
    }
    Ok(once)
}

/// A list of numbers or hidden ids, or `all`.
pub(super) fn mentions(name: &'static str, value: Value) -> Result<Mentions, InvalidField> {
    match value {
        Value::String(word) if word == "all" => return Ok(Mentions::All),
        Value::Array(_) => {}
        _ => {
            let wanted = "must be a list of numbers or hidden ids (@lid), or in a group the word all";
            return Err(InvalidField::new(name, wanted));
        }
    }
    let people = persons(name, value)?;
    match people.len() {
        0..=MENTIONS_MAX => Ok(Mentions::People(people)),
        _ => Err(InvalidField::new(
            name,
            format!("must be at most {MENTIONS_MAX} numbers"),
        )),
    }
}
