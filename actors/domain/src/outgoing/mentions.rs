//! Whom a message mentions.

use serde::{Deserialize, Serialize};

use super::Recipient;

/// People mentioned in one message: as many as a group may have.
pub const MENTIONS_MAX: usize = 1024;

/// Whom a message mentions. In JSON a list, or the word `all`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Written", into = "Written")]
pub enum Mentions {
    /// These, at most [`MENTIONS_MAX`]; no groups.
    People(Vec<Recipient>),
    /// Everybody in the group that it goes to.
    All,
}

impl Mentions {
    /// Those who are mentioned by name.
    pub fn people(&self) -> &[Recipient] {
        match self {
            Self::People(people) => people,
            Self::All => &[],
        }
    }

    /// Whether nobody is mentioned.
    pub fn is_empty(&self) -> bool {
        matches!(self, Self::People(people) if people.is_empty())
    }
}

/// Nobody.
impl Default for Mentions {
    fn default() -> Self {
        Self::People(Vec::new())
    }
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Written {
    Word(Word),
    People(Vec<Recipient>),
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Word {
    All,
}

impl From<Written> for Mentions {
    fn from(written: Written) -> Self {
        match written {
            Written::Word(Word::All) => Self::All,
            Written::People(people) => Self::People(people),
        }
    }
}

impl From<Mentions> for Written {
    fn from(mentions: Mentions) -> Self {
        match mentions {
            Mentions::All => Self::Word(Word::All),
            Mentions::People(people) => Self::People(people),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_or_all_of_them_are_read_as_they_are_written() {
        for (json, people, is_empty) in [
            (r#"["5511999999999","100000000000007@lid"]"#, 2, false),
            ("[]", 0, true),
            (r#""all""#, 0, false),
        ] {
            let read: Mentions = serde_json::from_str(json).unwrap();
            assert_eq!((read.people().len(), read.is_empty()), (people, is_empty), "{json}");
            assert_eq!(serde_json::to_string(&read).unwrap(), json);
        }
        for json in [r#""some""#, r#"["1"]"#, "null"] {
            assert!(serde_json::from_str::<Mentions>(json).is_err(), "{json}");
        }
    }
}
