//! What is written as text: enums whose variants are words, sets of them, and types that are read from what people write.

/// Declares an enum each of whose variants is one word, the same in JSON, in the database and in the API. It can be
/// copied, compared and hashed; other attributes are passed on.
#[macro_export]
macro_rules! words {
    ($(#[$attribute:meta])* pub enum $name:ident { $($(#[$inner:meta])* $variant:ident = $word:literal,)+ }) => {
        $(#[$attribute])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum $name {
            $($(#[$inner])* $variant,)+
        }

        impl $name {
            /// Every one, in the order of their declaration.
            pub const ALL: [Self; [$($word),+].len()] = [$(Self::$variant),+];

            /// Its word.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)+
                }
            }

            /// The one of a word.
            pub fn from_word(word: &str) -> Option<Self> {
                match word {
                    $($word => Some(Self::$variant),)+
                    _ => None,
                }
            }

            /// All words, for a refusal that says what would be accepted.
            pub fn words() -> String {
                Self::ALL.map(Self::as_str).join(", ")
            }
        }

        impl ::serde::Serialize for $name {
            fn serialize<S: ::serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }
    };
}

/// Declares a set of the words of an enum, which a client asks for in the field `$field`. It can be copied, compared and hashed;
/// other attributes are passed on.
macro_rules! word_set {
    ($(#[$attribute:meta])* pub struct $name:ident of $word:ident as $field:literal) => {
        $(#[$attribute])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub struct $name(u16);

        impl $word {
            /// All words in quotes, as JSON has them, for a refusal that says what would be accepted.
            pub fn quoted_words() -> String {
                Self::ALL.map(|word| format!("\"{}\"", word.as_str())).join(", ")
            }

            const fn bit(self) -> u16 {
                1 << self as u8
            }
        }

        impl $name {
            /// Nothing at all.
            pub const NONE: Self = Self(0);
            /// Everything.
            pub const ALL: Self = Self((1 << $word::ALL.len()) - 1);

            /// The set of these kinds.
            pub fn of(kinds: impl IntoIterator<Item = $word>) -> Self {
                Self(kinds.into_iter().fold(0, |set, kind| set | kind.bit()))
            }

            /// The set that somebody asked for by words. The order does not matter, and twice is once.
            ///
            /// # Errors
            /// `InvalidField` when there is none, or a word is not known.
            pub fn check<'a>(words: impl IntoIterator<Item = &'a str>) -> Result<Self, $crate::InvalidField> {
                let refuse = |what: String| {
                    let known = $word::quoted_words();
                    $crate::InvalidField::new($field, format!("must be an array of at least one of {known}{what}"))
                };
                let mut set = Self::NONE;
                for word in words {
                    let kind = $word::from_word(word);
                    let shown = || word.chars().take(100).collect::<String>();
                    set.0 |= kind
                        .ok_or_else(|| refuse(format!("; {:?} is none of them", shown())))?
                        .bit();
                }
                if set == Self::NONE {
                    return Err(refuse(String::new()));
                }
                Ok(set)
            }

            /// Whether this kind is in the set.
            pub const fn contains(self, kind: $word) -> bool {
                self.0 & kind.bit() != 0
            }

            /// The kinds in the set, in the order of their declaration.
            pub fn kinds(self) -> impl Iterator<Item = $word> {
                $word::ALL.into_iter().filter(move |kind| self.contains(*kind))
            }
        }

        impl ::serde::Serialize for $name {
            fn serialize<S: ::serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_seq(self.kinds().map($word::as_str))
            }
        }
    };
}

pub(crate) use word_set;

/// Has a type that `parse(field, text)` reads, or another function, be read wherever a text is, JSON too, in the name of `$field`; and
/// be written as it is shown.
macro_rules! read_from_text {
    ($name:ident as $field:literal) => {
        $crate::words::read_from_text!($name as $field, by parse);
    };
    ($name:ident as $field:literal, by $read:ident) => {
        impl ::std::str::FromStr for $name {
            type Err = $crate::InvalidField;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Self::$read($field, text)
            }
        }

        impl TryFrom<String> for $name {
            type Error = $crate::InvalidField;

            fn try_from(text: String) -> Result<Self, Self::Error> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(read: $name) -> Self {
                read.to_string()
            }
        }
    };
}

pub(crate) use read_from_text;
