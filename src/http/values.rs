//! Values of fields, each judged by the domain.

use std::{collections::HashSet, hash::Hash};

use serde_json::Value;
use wharf_domain::{
    InvalidField, PhoneNumber, Recipient,
    outgoing::{MENTIONS_MAX, Mentions},
};

use super::fields;

/// The longest `webhook_url`. Longer ones are cut by proxies and servers on the way anyhow.
const URL_MAX_BYTES: usize = 2048;
/// The longest `error` to look for: longer than any that is kept to be told apart by.
const ERROR_MAX_BYTES: usize = 1024;
/// Characters that are repeated of an entry that is refused.
const ENTRY_SHOWN: usize = 40;

/// A text that `check` takes.
pub(super) fn checked(
    check: impl FnOnce(&'static str, &str) -> Result<(), InvalidField>,
) -> impl FnOnce(&'static str, Value) -> Result<String, InvalidField> {
    move |name, value| {
        let text = fields::string(name, value)?;
        check(name, &text).map(|()| text)
    }
}

/// An address, as far as its length; whether it may be called is the gateway's to say.
pub(super) fn url(name: &'static str, value: Value) -> Result<String, InvalidField> {
    checked(|name, url| check_size(name, url, URL_MAX_BYTES))(name, value)
}

/// What errors begin with.
pub(super) fn error_prefix(name: &'static str, value: Value) -> Result<String, InvalidField> {
    checked(|name, text| check_size(name, text, ERROR_MAX_BYTES))(name, value)
}

fn check_size(name: &'static str, text: &str, most: usize) -> Result<(), InvalidField> {
    match text.len() {
        length if (1..=most).contains(&length) => Ok(()),
        length => Err(InvalidField::new(
            name,
            format!("must be 1 to {most} bytes long, this is {length}"),
        )),
    }
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
