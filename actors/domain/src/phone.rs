//! Phone numbers as WhatsApp knows them: country code and number, digits only.

use std::{fmt, sync::Arc};

use serde::{Deserialize, Serialize};

use crate::{InvalidField, words::read_from_text};

/// 8 to 15 digits (E.164 without the plus; CONTRACT.md section 2). Cheap to clone.
///
/// What a client names to be reached is read by [`PhoneNumber::parse`]. `str::parse` takes a 0 at the beginning, too: it reads what is
/// kept, what WhatsApp says, and the names of what there is, which may be older than that rule.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PhoneNumber(Arc<str>);

impl PhoneNumber {
    /// The digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Reads a number as a person writes it: a leading `+`, spaces, dashes and brackets are dropped.
    ///
    /// # Errors
    /// `InvalidField` naming `field` when what is left is not 8 to 15 digits, or begins with 0.
    pub fn parse(field: &'static str, text: &str) -> Result<Self, InvalidField> {
        let number = Self::read(field, text)?;
        number.check_international(field)?;
        Ok(number)
    }

    /// No country's code begins with 0: a number that does is written as in its own country (`0`), or as it is dialled (`00`).
    pub(crate) fn check_international(&self, field: &'static str) -> Result<(), InvalidField> {
        match self.0.starts_with('0') {
            false => Ok(()),
            true => Err(InvalidField::new(
                field,
                "must be written with the country code and without 0 at its beginning, such as 5511999999999",
            )),
        }
    }

    pub(crate) fn read(field: &'static str, text: &str) -> Result<Self, InvalidField> {
        let refuse = || {
            InvalidField::new(
                field,
                "must be 8 to 15 digits; a leading +, spaces, dashes and brackets are dropped",
            )
        };
        // Longer than any number with punctuation: not worth looking at.
        if text.len() > 64 {
            return Err(refuse());
        }
        let rest = text.trim();
        let rest = rest.strip_prefix('+').unwrap_or(rest);
        let digits: String = rest
            .chars()
            .filter(|c| !matches!(c, ' ' | '-' | '(' | ')' | '[' | ']'))
            .collect();
        let long_enough = (8..=15).contains(&digits.len());
        if long_enough && digits.bytes().all(|b| b.is_ascii_digit()) {
            Ok(Self(digits.into()))
        } else {
            Err(refuse())
        }
    }

    /// Whether `digits`, as WhatsApp writes them, are this number. Some countries changed how their mobile numbers are
    /// written and WhatsApp kept the old way for older accounts: Brazil's ninth digit (55 11 9 8888-8888), Mexico's 1 and
    /// Argentina's 9 after the country code.
    pub fn is_account(&self, digits: &str) -> bool {
        Self::canonical(&self.0) == Self::canonical(digits)
    }

    /// The other way of writing the same account, where there is one. Of eight-digit numbers of Brazil only those that were
    /// mobile before the ninth digit came: the others are landlines, and with a 9 somebody else's.
    pub fn other_writing(&self) -> Option<Self> {
        let short = Self::canonical(&self.0);
        if short != *self.0 {
            let was_mobile = !short.starts_with("55") || short.get(4..).is_some_and(is_old_mobile);
            return was_mobile.then(|| Self(short.into()));
        }
        let (country, rest) = self.0.split_at_checked(2).filter(|_| self.0.len() == 12)?;
        let long = match country {
            "55" => {
                let (area, number) = rest.split_at_checked(2).filter(|(_, number)| is_old_mobile(number))?;
                format!("55{area}9{number}")
            }
            "52" => format!("521{rest}"),
            "54" => format!("549{rest}"),
            _ => return None,
        };
        Some(Self(long.into()))
    }

    /// A number in digits without the one that may or may not be there: the same for both ways of writing it.
    pub fn canonical(digits: &str) -> String {
        let has = |at: usize, digit: char| digits.get(at..).is_some_and(|rest| rest.starts_with(digit));
        let drop_at = match (digits.get(..2), digits.len()) {
            (Some("55"), 13) if has(4, '9') => Some(4),
            (Some("52"), 13) if has(2, '1') => Some(2),
            (Some("54"), 13) if has(2, '9') => Some(2),
            _ => None,
        };
        let kept = digits.char_indices().filter(|(at, _)| Some(*at) != drop_at);
        kept.map(|(_, digit)| digit).collect()
    }
}

/// Whether a number of Brazil without its ninth digit was a mobile one.
fn is_old_mobile(number: &str) -> bool {
    number.starts_with(['6', '7', '8', '9'])
}

read_from_text!(PhoneNumber as "phone_number", by read);

impl fmt::Display for PhoneNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn punctuation_is_dropped() {
        for text in [
            "5511999999999",
            "+5511999999999",
            "+55 (11) 99999-9999",
            " 55 11 [99999] 9999 ",
        ] {
            assert_eq!(
                text.parse::<PhoneNumber>().unwrap().as_str(),
                "5511999999999",
                "{text:?}"
            );
        }
    }

    #[test]
    fn other_text_is_refused() {
        for text in [
            "",
            "+",
            "1234567",
            "1234567890123456",
            "5511x99999999",
            "++5511999999999",
            "55+11999999999",
            "５５１１９９９９９９９９９",
        ] {
            assert!(text.parse::<PhoneNumber>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_number_to_be_reached_has_its_country_code() {
        for text in ["011 99999-9999", "+0 11 99999-9999", "00 55 11 99999-9999", "00000000"] {
            let refusal = PhoneNumber::parse("to", text).unwrap_err();
            assert!(
                refusal.field == "to" && refusal.message.contains("country code"),
                "{text}: {refusal}"
            );
            assert!(text.parse::<PhoneNumber>().is_ok(), "what is kept is read: {text}");
        }
        PhoneNumber::parse("to", "+55 011 99999-9999").unwrap();
    }

    #[test]
    fn a_number_is_known_in_both_ways_of_writing_it() {
        let same = [
            ("5511988888888", "551188888888"),
            ("5215512345678", "525512345678"),
            ("5491112345678", "541112345678"),
        ];
        for (new, old) in same {
            for (typed, told) in [(new, old), (old, new), (new, new), (old, old)] {
                assert!(typed.parse::<PhoneNumber>().unwrap().is_account(told), "{typed} {told}");
            }
        }
        for (typed, told) in [
            ("5511988888888", "5511888888889"),
            ("5511888888888", "5511999999999"),
            ("4915112345678", "491512345678"),
            ("5511988888888", ""),
        ] {
            assert!(
                !typed.parse::<PhoneNumber>().unwrap().is_account(told),
                "{typed} {told}"
            );
        }
    }

    #[test]
    fn the_other_way_of_writing_leads_back() {
        for (new, old) in [
            ("5511988888888", "551188888888"),
            ("5215512345678", "525512345678"),
            ("5491112345678", "541112345678"),
        ] {
            let (new, old) = (new.parse::<PhoneNumber>().unwrap(), old.parse::<PhoneNumber>().unwrap());
            assert_eq!(
                (new.other_writing().as_ref(), old.other_writing().as_ref()),
                (Some(&old), Some(&new))
            );
        }
        // A landline, a mobile number that was never written without its ninth digit, and numbers of other countries.
        for text in [
            "551133334444",
            "5511933334444",
            "491512345678",
            "4915112345678",
            "5511888888888",
        ] {
            assert_eq!(text.parse::<PhoneNumber>().unwrap().other_writing(), None, "{text}");
        }
        // What it begins with says whether it was mobile, not what it ends with.
        for (text, other) in [("551133334449", None), ("551199990003", Some("5511999990003"))] {
            let written = text.parse::<PhoneNumber>().unwrap().other_writing();
            assert_eq!(written.as_ref().map(PhoneNumber::as_str), other, "{text}");
        }
    }

    proptest! {
        #[test]
        fn the_other_way_of_writing_is_the_same_account(typed in "(52|54|55)?[0-9]{8,13}") {
            let number = typed.parse::<PhoneNumber>().unwrap();
            if let Some(other) = number.other_writing() {
                prop_assert!(number.is_account(other.as_str()));
                prop_assert_eq!(other.other_writing(), Some(number));
            }
        }

        #[test]
        fn any_digits_are_compared(typed in "[0-9]{8,15}", told in ".{0,20}") {
            let number = typed.parse::<PhoneNumber>().unwrap();
            prop_assert!(number.is_account(&typed));
            let _compared = number.is_account(&told);
        }

        #[test]
        fn any_text_is_refused_or_becomes_digits(text in ".{0,40}") {
            if let Ok(number) = text.parse::<PhoneNumber>() {
                prop_assert!(number.as_str().bytes().all(|b| b.is_ascii_digit()));
                prop_assert_eq!(number.as_str().parse::<PhoneNumber>().unwrap(), number);
            }
        }
    }
}
