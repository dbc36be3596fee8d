//! What is written as text: enums whose variants are words, and types that are read from what people write.

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

/// Has a type that `parse(field, text)` reads be read wherever a text is, JSON too, in the name of `$field`; and be written as it is
/// shown.
macro_rules! read_from_text {
    ($name:ident as $field:literal) => {
        impl ::std::str::FromStr for $name {
            type Err = $crate::InvalidField;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Self::parse($field, text)
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
