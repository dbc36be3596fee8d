//! JSON bodies, read so that a key which an object has twice is known: readers differ in which of the two counts, and one of
//! them may stand between a client and Wharf. And so that a number is known which is too large for its digits to be kept.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// Places that are told; a body could hold thousands.
const NAMED: usize = 20;
/// Up to here a double holds every whole number: 2^53.
pub(super) const WHOLE: f64 = 9_007_199_254_740_992.0;
/// Characters of one that are repeated.
const NAME_SHOWN: usize = 100;

/// What was read.
#[derive(Debug, PartialEq)]
pub(super) struct Read {
    pub(super) value: Value,
    /// The keys that are there twice, as `outer.inner`.
    pub(super) twice: Vec<String>,
    /// Where numbers are of which not every whole one is kept.
    pub(super) inexact: Vec<String>,
}

/// Reads a text.
pub(super) fn read(text: &str) -> serde_json::Result<Read> {
    let mut seen = Seen::default();
    let mut reader = serde_json::Deserializer::from_str(text);
    let value = Reading(&mut seen).deserialize(&mut reader)?;
    reader.end()?;
    Ok(Read {
        value,
        twice: seen.twice,
        inexact: seen.inexact,
    })
}

#[derive(Default)]
struct Seen {
    /// The keys that lead to what is being read.
    path: Vec<String>,
    twice: Vec<String>,
    inexact: Vec<String>,
}

impl Seen {
    fn tell(&mut self, key: &str) {
        if self.twice.len() < NAMED {
            let path = self.path.iter().map(String::as_str);
            self.twice.push(place(path.chain([key])));
        }
    }

    /// A number that is no whole one of up to 64 bits is a double.
    fn double(&mut self, value: f64) {
        if value.abs() >= WHOLE && self.inexact.len() < NAMED {
            self.inexact.push(place(self.path.iter().map(String::as_str)));
        }
    }
}

fn place<'a>(path: impl Iterator<Item = &'a str>) -> String {
    let whole = path.collect::<Vec<_>>().join(".");
    whole.chars().take(NAME_SHOWN).collect()
}

struct Reading<'a>(&'a mut Seen);

impl<'de> DeserializeSeed<'de> for Reading<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Reading<'_> {
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
        Ok(value.into())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        self.0.double(value);
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_read_as_ever() {
        let text = r#"{"a":[1,-2,1.5,"x\u00e9",null,true,{}],"b":{"c":{"a":18446744073709551615}},"":1e308}"#;
        let expected = Read {
            value: serde_json::from_str(text).unwrap(),
            twice: vec![],
            // The last one, whose key is empty.
            inexact: vec![String::new()],
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
    fn a_number_whose_digits_are_not_kept_is_named() {
        let inexact = |number: &str| {
            let text = format!(r#"{{"a":[0,{{"b":{number}}}],"c":{number},"d":12}}"#);
            read(&text).unwrap().inexact
        };
        let kept = [
            "0",
            "-0.0",
            "1E3",
            "0.1",
            "-12.5e-3",
            "9007199254740993",
            "18446744073709551615",
            "-9223372036854775808",
        ];
        for kept in kept {
            assert_eq!(inexact(kept), <[String; 0]>::default(), "{kept}");
        }
        for lost in [
            "18446744073709551616",
            "-9223372036854775809",
            "9007199254740993.0",
            "1e300",
        ] {
            assert_eq!(inexact(lost), ["a.b", "c"], "{lost}");
        }
        let many = format!("{{\"a\":[{}1]}}", "1e40,".repeat(100));
        assert_eq!(read(&many).unwrap().inexact.len(), NAMED);
    }
}
