//! A webhook's own headers: sent with every attempt beside ours, never in place of them.
//!
//! Their values are often credentials. They are shown nowhere: not in answers, not in logs, not in refusals.

use std::{collections::BTreeMap, fmt};

use serde::{Serialize, Serializer};

use crate::InvalidField;

/// Headers of one webhook, at the most.
pub const HEADERS_MAX_COUNT: usize = 20;
/// Bytes of all names and values together, at the most: common servers refuse requests whose head is over 8 KiB.
pub const HEADERS_MAX_BYTES: usize = 4096;
/// The longest name, in bytes.
const NAME_MAX_BYTES: usize = 64;
/// What is shown in place of a value.
const MASK: &str = "***";
/// The API's name of all this.
const FIELD: &str = "headers";

/// Headers that are ours, that belong to one connection (RFC 9110 section 7.6.1) or that frame the message.
const OURS: [&str; 15] = [
    "connection",
    "expect",
    "host",
    "http2-settings",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "set-cookie",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "user-agent",
    "via",
];
/// What ours begin with: what speaks of the body, and what Standard Webhooks and Meta sign with.
const OUR_PREFIXES: [&str; 3] = ["content-", "webhook-", "x-hub-signature"];

/// A webhook's own headers, checked: names in lower case, in alphabetical order.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct OwnHeaders(BTreeMap<String, String>);

/// The names only.
impl fmt::Debug for OwnHeaders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl OwnHeaders {
    /// Checks headers.
    ///
    /// # Errors
    /// `InvalidField` for `headers`, which names the header but never says its value.
    pub fn check<N: AsRef<str>, V: Into<String>>(
        headers: impl IntoIterator<Item = (N, V)>,
    ) -> Result<Self, InvalidField> {
        let (mut checked, mut bytes) = (BTreeMap::new(), 0);
        for (name, value) in headers {
            let (name, value) = (name.as_ref().to_ascii_lowercase(), value.into());
            check_name(&name)?;
            check_value(&name, &value)?;
            bytes += name.len() + value.len();
            if bytes > HEADERS_MAX_BYTES {
                return Err(refuse(format!("may have {HEADERS_MAX_BYTES} bytes in all at the most")));
            }
            if checked.contains_key(&name) {
                return Err(refuse(format!("has {name:?} twice; names are the same in any case")));
            }
            checked.insert(name, value);
            if checked.len() > HEADERS_MAX_COUNT {
                return Err(refuse(format!("may be {HEADERS_MAX_COUNT} at the most")));
            }
        }
        Ok(Self(checked))
    }

    /// Names and values.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What may be shown of them.
    pub fn names(&self) -> HeaderNames {
        HeaderNames(self.0.keys().cloned().collect())
    }

    /// As text to be encrypted.
    pub fn to_json(&self) -> Vec<u8> {
        // A map of strings has no way to fail.
        serde_json::to_vec(&self.0).unwrap_or_default()
    }

    /// From [`OwnHeaders::to_json`]. `None` for anything else.
    pub fn from_json(text: &[u8]) -> Option<Self> {
        let headers: BTreeMap<String, String> = serde_json::from_slice(text).ok()?;
        Self::check(headers).ok()
    }
}

fn refuse(message: String) -> InvalidField {
    InvalidField::new(FIELD, message)
}

/// A token of RFC 9110 section 5.6.2, and not one of ours.
fn check_name(name: &str) -> Result<(), InvalidField> {
    let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if !(1..=NAME_MAX_BYTES).contains(&name.len()) || !name.bytes().all(token) {
        let shown: String = name.chars().take(NAME_MAX_BYTES).collect();
        return Err(refuse(format!(
            "has the name {shown:?}; names are 1 to {NAME_MAX_BYTES} letters, digits and dashes"
        )));
    }
    if OURS.contains(&name) || OUR_PREFIXES.iter().any(|prefix| name.starts_with(prefix)) {
        return Err(refuse(format!("may not have {name:?}: Wharf or HTTP itself sets it")));
    }
    Ok(())
}

/// Visible ASCII with spaces within. The mask is refused: what was read shall not be written back by accident.
fn check_value(name: &str, value: &str) -> Result<(), InvalidField> {
    let visible = value.bytes().all(|byte| matches!(byte, b' '..=b'~' | b'\t'));
    if value.is_empty() || !visible || value.trim() != value {
        return Err(refuse(format!(
            "has a value of {name:?} that is empty, begins or ends with a space, or has characters other than visible ASCII"
        )));
    }
    if value == MASK {
        return Err(refuse(format!(
            "has {MASK:?} as the value of {name:?}: that is what is shown in place of values; give the value itself"
        )));
    }
    Ok(())
}

/// The names of a webhook's own headers: all that is ever shown. In JSON an object with every value masked.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HeaderNames(pub Vec<String>);

impl Serialize for HeaderNames {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|name| (name, MASK)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(headers: &[(&str, &str)]) -> Result<OwnHeaders, InvalidField> {
        OwnHeaders::check(headers.iter().copied())
    }

    #[test]
    fn own_headers_are_taken_and_their_values_shown_nowhere() {
        let headers = check(&[("X-Tenant", "pier 2"), ("Authorization", "Bearer hunter2")]).unwrap();
        assert_eq!(
            headers.iter().collect::<Vec<_>>(),
            [("authorization", "Bearer hunter2"), ("x-tenant", "pier 2")]
        );
        assert_eq!(OwnHeaders::from_json(&headers.to_json()), Some(headers.clone()));
        let shown = format!("{headers:?} {}", serde_json::to_string(&headers.names()).unwrap());
        assert_eq!(
            shown,
            r#"{"authorization", "x-tenant"} {"authorization":"***","x-tenant":"***"}"#
        );
        assert_eq!(OwnHeaders::from_json(br#"{"host":"elsewhere"}"#), None);
    }

    #[test]
    fn ours_are_refused_in_any_case() {
        for name in [
            "content-type",
            "Content-Length",
            "HOST",
            "user-agent",
            "Connection",
            "keep-alive",
            "TE",
            "trailer",
            "transfer-encoding",
            "upgrade",
            "proxy-authorization",
            "webhook-id",
            "Webhook-Anything",
            "x-hub-signature",
            "X-Hub-Signature-256",
            "content-encoding",
            "expect",
        ] {
            let refusal = check(&[(name, "x")]).unwrap_err();
            assert_eq!(refusal.field, "headers");
            assert!(refusal.message.contains(&name.to_ascii_lowercase()), "{refusal}");
        }
    }

    #[test]
    fn what_is_no_header_is_refused_without_saying_its_value() {
        for (name, value) in [
            ("", "hunter2"),
            ("a b", "hunter2"),
            ("a:b", "hunter2"),
            ("é", "hunter2"),
            ("x", ""),
            ("x", " hunter2"),
            ("x", "hunter2\r\nhost: evil"),
            ("x", "hunter2\0"),
            ("x", "hunter2é"),
            ("x", "***"),
        ] {
            let refusal = check(&[(name, value)]).unwrap_err();
            assert!(!refusal.message.contains("hunter2"), "{refusal}");
        }
        let long = "n".repeat(NAME_MAX_BYTES + 1);
        assert!(check(&[(&long, "x")]).is_err());
        assert!(
            check(&[("x-a", "1"), ("X-A", "2")])
                .unwrap_err()
                .message
                .contains("twice")
        );
    }

    #[test]
    fn count_and_size_are_bounded() {
        let many = |count: usize| OwnHeaders::check((0..count).map(|n| (format!("x-{n}"), "v")));
        assert!(many(HEADERS_MAX_COUNT).is_ok());
        assert!(many(HEADERS_MAX_COUNT + 1).is_err());
        let large = |bytes: usize| check(&[("x", &"v".repeat(bytes - 1))]);
        assert!(large(HEADERS_MAX_BYTES).is_ok());
        assert!(large(HEADERS_MAX_BYTES + 1).unwrap_err().message.contains("4096"));
    }
}
