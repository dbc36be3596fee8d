//! JSON bodies, read so that a key which an object has twice is known: readers differ in which of the two counts, and one of
//! them may stand between a client and Wharf. And so that a number which is not kept as it is written is known: a double has
//! no more than some 16 digits.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// Places that are told; a body could hold thousands.
const NAMED: usize = 20;
/// Characters of one that are repeated.
const NAME_SHOWN: usize = 100;

/// What was read.
#[derive(Debug, PartialEq)]
pub(super) struct Read {
    pub(super) value: Value,
    /// The keys that are there twice, as `outer.inner`.
    pub(super) twice: Vec<String>,
    /// Where numbers are that `value` has not exactly.
    pub(super) inexact: Vec<String>,
}

/// Reads a text.
pub(super) fn read(text: &str) -> serde_json::Result<Read> {
    let mut seen = Seen {
        numbers: Numbers(text),
        path: Vec::new(),
        twice: Vec::new(),
        inexact: Vec::new(),
    };
    let mut reader = serde_json::Deserializer::from_str(text);
    let value = Reading(&mut seen).deserialize(&mut reader)?;
    reader.end()?;
    Ok(Read {
        value,
        twice: seen.twice,
        inexact: seen.inexact,
    })
}

struct Seen<'a> {
    /// The numbers that were not read yet, as they are written.
    numbers: Numbers<'a>,
    /// The keys that lead to what is being read.
    path: Vec<String>,
    twice: Vec<String>,
    inexact: Vec<String>,
}

impl Seen<'_> {
    fn tell(&mut self, key: &str) {
        if self.twice.len() < NAMED {
            let path = self.path.iter().map(String::as_str);
            self.twice.push(place(path.chain([key])));
        }
    }

    fn number(&mut self, value: Number) -> Value {
        let is_kept = self.numbers.next().is_none_or(|written| is_kept(written, &value));
        if !is_kept && self.inexact.len() < NAMED {
            self.inexact.push(place(self.path.iter().map(String::as_str)));
        }
        value.into()
    }
}

fn place<'a>(path: impl Iterator<Item = &'a str>) -> String {
    let whole = path.collect::<Vec<_>>().join(".");
    whole.chars().take(NAME_SHOWN).collect()
}

struct Reading<'a, 'b>(&'a mut Seen<'b>);

impl<'de> DeserializeSeed<'de> for Reading<'_, '_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Reading<'_, '_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        Ok(self.0.number(value.into()))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        Ok(self.0.number(value.into()))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        // JSON has no others than finite ones.
        Ok(Number::from_f64(value).map_or(Value::Null, |value| self.0.number(value)))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(Reading(self.0))? {
            list.push(item);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let seen = self.0;
        let mut object = Map::new();
        while let Some(key) = entries.next_key::<String>()? {
            if object.contains_key(&key) {
                seen.tell(&key);
            }
            seen.path.push(key.clone());
            let value = entries.next_value_seed(Reading(&mut *seen))?;
            seen.path.pop();
            object.insert(key, value);
        }
        Ok(Value::Object(object))
    }
}

/// The numbers of a JSON text, as they are written, in their order.
struct Numbers<'a>(&'a str);

impl<'a> Iterator for Numbers<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let begins = |byte: u8| matches!(byte, b'"' | b'-' | b'0'..=b'9');
        let goes_on = |byte: u8| matches!(byte, b'-' | b'+' | b'.' | b'e' | b'E' | b'0'..=b'9');
        loop {
            let at = self.0.bytes().position(begins)?;
            self.0 = &self.0[at..];
            if let Some(rest) = self.0.strip_prefix('"') {
                self.0 = behind_string(rest);
                continue;
            }
            let end = self.0.bytes().position(|byte| !goes_on(byte)).unwrap_or(self.0.len());
            let (number, rest) = self.0.split_at(end);
            self.0 = rest;
            return Some(number);
        }
    }
}

/// What comes behind a string, of which the first quotation mark was taken.
fn behind_string(mut rest: &str) -> &str {
    while let Some(at) = rest.bytes().position(|byte| matches!(byte, b'"' | b'\\')) {
        if rest.as_bytes()[at] == b'"' {
            return &rest[at + 1..];
        }
        // What is escaped may have more than one byte where the text is no JSON.
        let escaped = rest[at + 1..].chars().next().map_or(0, char::len_utf8);
        rest = &rest[at + 1 + escaped..];
    }
    ""
}

/// Whether a number is what is written, and is so again when it is read from a text of ours.
fn is_kept(written: &str, value: &Number) -> bool {
    let shown = value.to_string();
    let again = serde_json::from_str::<Number>(&shown);
    again.is_ok_and(|again| again == *value) && decimal(written).is_some_and(|written| decimal(&shown) == Some(written))
}

/// A number by its sign, its digits without zeros around them, and how many of these stand before the point. `None` where the
/// exponent is beyond all reason.
fn decimal(number: &str) -> Option<(bool, String, i64)> {
    let (negative, number) = number.strip_prefix('-').map_or((false, number), |rest| (true, rest));
    let (mantissa, exponent) = number.split_once(['e', 'E']).unwrap_or((number, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    let significant = digits.trim_start_matches('0');
    if significant.is_empty() {
        return Some((false, String::new(), 0));
    }
    let leading = i64::try_from(digits.len() - significant.len()).ok()?;
    let before = i64::try_from(whole.len()).ok()?;
    let point = exponent.parse::<i32>().ok().map(i64::from)? + before - leading;
    Some((negative, significant.trim_end_matches('0').to_owned(), point))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_read_as_ever() {
        let text = r#"{"a":[1,-2,1.5,"x\u00e9",null,true,{}],"b":{"c":{"a":18446744073709551615}},"":1e308}"#;
        let expected = Read {
            value: serde_json::from_str(text).unwrap(),
            twice: vec![],
            inexact: vec![],
        };
        assert_eq!(read(text).unwrap(), expected);
        for wrong in ["", "{", "{} {}", "[1,]", "1e999", "{\"a\":}", "nul", "\"\\ud800\""] {
            let said = read(wrong).unwrap_err().to_string();
            assert_eq!(said, serde_json::from_str::<Value>(wrong).unwrap_err().to_string());
        }
        assert!(read(&"[".repeat(10_000)).is_err());
    }

    #[test]
    fn a_key_that_is_there_twice_is_named() {
        let twice = |text: &str| read(text).unwrap().twice;
        assert_eq!(twice(r#"{"a":1,"b":2,"\u0061":3}"#), ["a"]);
        assert_eq!(twice(r#"{"a":{"b":[{"c":1,"c":2}]},"d":{"a":1}}"#), ["a.b.c"]);
        let many: String = (0..50).map(|n| format!("\"{n}\":0,\"{n}\":0,")).collect();
        assert_eq!(twice(&format!("{{{many}\"x\":1}}")).len(), NAMED);
    }

    #[test]
    fn a_number_that_is_not_kept_as_it_is_written_is_named() {
        let inexact = |number: &str| {
            let text = format!(r#"{{"-1\\\"2":"3\"4","a":[0,{{"b":{number}}}],"c":{number},"d":12}}"#);
            read(&text).unwrap().inexact
        };
        for kept in [
            "0",
            "-0",
            "-0.0",
            "1.50",
            "100e-2",
            "1E3",
            "0.1",
            "-12.5e-3",
            "1e300",
            "9007199254740993",
            "18446744073709551615",
            "-9223372036854775808",
            "0e99999999999",
            "123456789012345.6",
        ] {
            assert_eq!(inexact(kept), <[String; 0]>::default(), "{kept}");
        }
        for lost in [
            "18446744073709551616",
            "-9223372036854775809",
            "12345678901234567890123",
            "0.1000000000000000055511151231257827",
            "1e-400",
            "1e-99999999999",
            "3.14159265358979323846",
        ] {
            assert_eq!(inexact(lost), ["a.b", "c"], "{lost}");
        }
        let many = format!("{{\"a\":[{}1]}}", "1e-400,".repeat(100));
        assert_eq!(read(&many).unwrap().inexact.len(), NAMED);
    }
}
