//! Reads the fields of a JSON body one by one, and collects everything that is wrong with them, so that a client
//! learns all of it from one answer.

use serde_json::{Map, Value};
use warp::http::StatusCode;
use wharf_domain::{
    InvalidField, PhoneNumber, Timestamp,
    connection::{DEVICE_NAME_WANTED, is_device_name},
};

use super::{
    json,
    problem::{FieldError, Problem},
    query::known_are,
};

/// Unknown fields that are named; a body of 64 KiB could hold thousands.
const UNKNOWN_NAMED: usize = 20;
/// Characters of an unknown field's name that are repeated.
const NAME_SHOWN: usize = 100;
/// What is said of a text that is no time.
pub(super) const TIME_WANTED: &str = "must be a time as RFC 3339 has it, such as 2025-11-05T14:23:00Z";

/// A field was refused. [`Fields::finish`] has the details; this only stops a value from being used before.
#[derive(Debug)]
pub(super) struct Refused;

impl From<Refused> for Problem {
    fn from(_: Refused) -> Self {
        Problem::new(StatusCode::BAD_REQUEST, "a field was refused")
    }
}

/// The fields of a body that have not been read yet, and what was wrong with those that have.
#[derive(Default)]
pub(super) struct Fields {
    rest: Map<String, Value>,
    /// Those that were asked for.
    known: Vec<&'static str>,
    errors: Vec<FieldError>,
    /// Where numbers are that are not kept exactly, as `outer.inner`.
    inexact: Vec<String>,
}

impl Fields {
    /// Parses a body; a field that is given twice is refused. No body at all has no fields.
    pub(super) fn parse(body: &[u8]) -> Result<Self, Problem> {
        if body.is_empty() {
            return Ok(Self::default());
        }
        let bad = |detail: String| Problem::new(StatusCode::BAD_REQUEST, detail);
        let text = std::str::from_utf8(body).map_err(|_| bad("the body is not UTF-8".into()))?;
        // RFC 8259 section 8.1: some write a byte-order mark, and whoever reads may look over it.
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        match json::read(text) {
            Ok(json::Read {
                value: Value::Object(rest),
                twice,
                inexact,
            }) => {
                let refuse = |name| FieldError::new(name, "is given twice");
                let errors = twice.into_iter().map(refuse).collect();
                Ok(Self {
                    rest,
                    errors,
                    inexact,
                    ..Self::default()
                })
            }
            Ok(_) => Err(bad("the body must be a JSON object".into())),
            Err(error) => Err(bad(format!("the body is not JSON: {error}"))),
        }
    }

    /// A field that must be there.
    pub(super) fn required<T>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(&'static str, Value) -> Result<T, InvalidField>,
    ) -> Result<T, Refused> {
        self.required_or(name, "is missing", read)
    }

    /// The same; `missing` is said where it is not.
    pub(super) fn required_or<T>(
        &mut self,
        name: &'static str,
        missing: &str,
        read: impl FnOnce(&'static str, Value) -> Result<T, InvalidField>,
    ) -> Result<T, Refused> {
        match self.take(name) {
            Some(value) => self.keep(read(name, value)),
            None => self.keep(Err(InvalidField::new(name, missing))),
        }
    }

    /// A field that may be left out. Left out is not null: `read` decides about null.
    pub(super) fn optional<T>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(&'static str, Value) -> Result<T, InvalidField>,
    ) -> Result<Option<T>, Refused> {
        self.take(name).map(|value| self.keep(read(name, value))).transpose()
    }

    /// Whether a field is given that has not been read yet.
    pub(super) fn has(&self, name: &str) -> bool {
        self.rest.contains_key(name)
    }

    /// A field that must not be there; `why` is said where it is.
    pub(super) fn absent(&mut self, name: &'static str, why: &str) {
        if self.rest.shift_remove(name).is_some() {
            self.note(InvalidField::new(name, why));
        }
    }

    /// Ends the reading: whatever is left is unknown, and everything refused so far is named.
    pub(super) fn finish(mut self) -> Result<(), Problem> {
        self.name_unknown();
        if self.errors.is_empty() {
            Ok(())
        } else {
            Err(Problem::invalid(self.errors))
        }
    }

    /// Takes a field where it is true or `yes`, or false; anything else is left for another reading.
    pub(super) fn yes_or_no(&mut self, name: &'static str, yes: &str) -> Option<bool> {
        self.known.push(name);
        let said = match self.rest.get(name)? {
            Value::Bool(said) => *said,
            Value::String(word) if word == yes => true,
            _ => return None,
        };
        self.rest.shift_remove(name);
        Some(said)
    }

    /// An object among the fields, read like a body of its own: what is wrong in it is named `name.field`.
    pub(super) fn object<T>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(&mut Fields) -> Result<T, Refused>,
    ) -> Result<Option<T>, Refused> {
        self.object_or(name, "must be an object", read)
    }

    /// The same, with what is said of any other value.
    pub(super) fn object_or<T>(
        &mut self,
        name: &'static str,
        wanted: &str,
        read: impl FnOnce(&mut Fields) -> Result<T, Refused>,
    ) -> Result<Option<T>, Refused> {
        let Some(value) = self.take(name) else {
            return Ok(None);
        };
        let Value::Object(rest) = value else {
            return self.keep(Err(InvalidField::new(name, wanted)));
        };
        self.nested(name, rest, read).map(Some)
    }

    /// The same, or null.
    pub(super) fn object_or_null<T>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(&mut Fields) -> Result<T, Refused>,
    ) -> Result<Option<Option<T>>, Refused> {
        if self.rest.get(name).is_some_and(Value::is_null) {
            self.take(name);
            return Ok(Some(None));
        }
        Ok(self.object(name, read)?.map(Some))
    }

    /// An object that must be there; `missing` is said where it is not.
    pub(super) fn required_object<T>(
        &mut self,
        name: &'static str,
        missing: &str,
        read: impl FnOnce(&mut Fields) -> Result<T, Refused>,
    ) -> Result<T, Refused> {
        match self.object(name, read)? {
            Some(object) => Ok(object),
            None => self.refuse(InvalidField::new(name, missing)),
        }
    }

    /// A list of objects, each read like a body of its own: what is wrong is named `name[0].field`.
    pub(super) fn objects<T>(
        &mut self,
        name: &'static str,
        most: usize,
        read: impl Fn(&mut Fields) -> Result<T, Refused>,
    ) -> Result<Vec<T>, Refused> {
        let wanted = || InvalidField::new(name, format!("must be a list of 1 to {most} objects"));
        let list = match self.take(name) {
            None => return self.keep(Err(InvalidField::new(name, "is missing"))),
            Some(Value::Array(list)) if (1..=most).contains(&list.len()) => list,
            Some(_) => return self.keep(Err(wanted())),
        };
        let mut all = Ok(Vec::with_capacity(list.len()));
        for (at, value) in list.into_iter().enumerate() {
            let Value::Object(rest) = value else {
                return self.keep(Err(wanted()));
            };
            match (&mut all, self.nested(&format!("{name}[{at}]"), rest, &read)) {
                (Ok(all), Ok(one)) => all.push(one),
                (all, Err(refused)) => *all = Err(refused),
                (Err(_), Ok(_)) => {}
            }
        }
        all
    }

    fn nested<T>(
        &mut self,
        name: &str,
        rest: Map<String, Value>,
        read: impl FnOnce(&mut Fields) -> Result<T, Refused>,
    ) -> Result<T, Refused> {
        let mut fields = Fields {
            rest,
            ..Fields::default()
        };
        let result = read(&mut fields);
        fields.name_unknown();
        let refused = !fields.errors.is_empty();
        for error in fields.errors {
            self.errors
                .push(FieldError::new(format!("{name}.{}", error.field), error.message));
        }
        if refused { Err(Refused) } else { result }
    }

    /// Refuses the numbers within a field that would come back as others: a client's own ids, say. Elsewhere a number is looked at
    /// for what it is.
    pub(super) fn keeps_numbers_of(&mut self, name: &str) {
        let within = |place: &&String| place.strip_prefix(name).is_some_and(|rest| rest.starts_with('.'));
        for place in self.inexact.iter().filter(within) {
            let text =
                "is larger than what is kept with all its digits: give a whole number of up to 64 bits, or a string";
            self.errors.push(FieldError::new(place.clone(), text));
        }
    }

    /// Refuses a field for a reason that only shows with the others, in place of a value.
    pub(super) fn refuse<T>(&mut self, refusal: InvalidField) -> Result<T, Refused> {
        self.note(refusal);
        Err(Refused)
    }

    /// The same where nothing is to be made of it.
    pub(super) fn note(&mut self, refusal: InvalidField) {
        self.errors.push(refusal.into());
    }

    /// Leaves what has not been read yet: which fields there may be is not known.
    pub(super) fn leave_rest(&mut self) {
        self.rest.clear();
    }

    fn take(&mut self, name: &'static str) -> Option<Value> {
        self.known.push(name);
        self.rest.shift_remove(name)
    }

    fn name_unknown(&mut self) {
        if self.rest.is_empty() {
            return;
        }
        self.known.dedup();
        let wrong = format!("is not a known field{}", known_are(&self.known));
        for name in self.rest.keys().take(UNKNOWN_NAMED) {
            let shown: String = name.chars().take(NAME_SHOWN).collect();
            self.errors.push(FieldError::new(shown, wrong.clone()));
        }
    }

    fn keep<T>(&mut self, result: Result<T, InvalidField>) -> Result<T, Refused> {
        result.map_err(|refusal| {
            self.errors.push(refusal.into());
            Refused
        })
    }
}

/// A whole number, also written as 5.0: that is one for JSON Schema, and for languages that know doubles only. Up to 2^53 a
/// double holds each of them.
pub(super) fn integer(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| {
        let double = value.as_f64()?;
        (double.fract() == 0.0 && double.abs() < json::WHOLE).then_some(double as i64)
    })
}

/// The same from 0 on.
pub(super) fn unsigned(value: &Value) -> Option<u64> {
    integer(value).and_then(|number| u64::try_from(number).ok())
}

/// true or false.
pub(super) fn boolean(name: &'static str, value: Value) -> Result<bool, InvalidField> {
    value
        .as_bool()
        .ok_or_else(|| InvalidField::new(name, "must be true or false"))
}

/// A phone number that is to be reached, as a string.
pub(super) fn phone(name: &'static str, value: Value) -> Result<PhoneNumber, InvalidField> {
    PhoneNumber::parse(name, &string(name, value)?)
}

/// A linked device's name on the phone, or null for that of the configuration.
pub(super) fn device_name_or_null(name: &'static str, value: Value) -> Result<Option<String>, InvalidField> {
    match value {
        Value::Null => Ok(None),
        Value::String(text) if is_device_name(&text) => Ok(Some(text)),
        _ => Err(InvalidField::new(
            name,
            format!("must be {DEVICE_NAME_WANTED}, or null"),
        )),
    }
}

/// A whole number; whether so many are allowed is the gateway's to say.
pub(super) fn whole_number(name: &'static str, value: Value) -> Result<u32, InvalidField> {
    let number = integer(&value).and_then(|number| u32::try_from(number).ok());
    number.ok_or_else(|| InvalidField::new(name, "must be a whole number, 0 at the least"))
}

/// A text whose meaning the gateway judges, or null for none.
pub(super) fn text_or_null(name: &'static str, value: Value) -> Result<Option<String>, InvalidField> {
    match value {
        Value::Null => Ok(None),
        Value::String(text) => Ok(Some(text)),
        _ => Err(InvalidField::new(name, "must be a string, or null for none")),
    }
}

/// The one status that can be retried together.
pub(super) fn failed(name: &'static str, value: Value) -> Result<(), InvalidField> {
    if value == "failed" {
        Ok(())
    } else {
        Err(InvalidField::new(name, "must be \"failed\""))
    }
}

/// A moment.
pub(super) fn time(name: &'static str, value: Value) -> Result<Timestamp, InvalidField> {
    Timestamp::from_rfc3339(&string(name, value)?).ok_or_else(|| InvalidField::new(name, TIME_WANTED))
}

/// How many events to retry together.
pub(super) fn retry_limit(name: &'static str, value: Value) -> Result<u32, InvalidField> {
    match integer(&value) {
        Some(limit @ 1..=10_000) => Ok(u32::try_from(limit).unwrap_or(u32::MAX)),
        _ => Err(InvalidField::new(name, "must be a whole number from 1 to 10000")),
    }
}

/// Any text.
pub(super) fn string(name: &'static str, value: Value) -> Result<String, InvalidField> {
    match value {
        Value::String(text) => Ok(text),
        _ => Err(InvalidField::new(name, "must be a string")),
    }
}
