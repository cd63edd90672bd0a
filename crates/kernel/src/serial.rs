//! Ids that an entity makes by itself: a letter and a number from 1 that only grows, like `c17`.
//!
//! The letter is only how the id is written for people and programs; stored, it is the bare number.

macro_rules! serial_ids {
    ($($(#[$doc:meta])+ $name:ident = $letter:literal;)+) => {$(
        $(#[$doc])+
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub(crate) u64);

        impl $name {
            /// Reads an id as it is written; `None` if no entity ever wrote such an id.
            #[must_use]
            pub fn parse(text: &str) -> Option<Self> {
                let id = Self(text.strip_prefix($letter)?.parse().ok()?);
                (id.0 > 0 && id.to_string() == text).then_some(id)
            }
        }

        impl ::std::fmt::Display for $name {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                write!(f, concat!($letter, "{}"), self.0)
            }
        }

        impl ::std::fmt::Debug for $name {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                ::std::fmt::Display::fmt(self, f)
            }
        }

        impl ::serde::Serialize for $name {
            fn serialize<S: ::serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                if serializer.is_human_readable() {
                    serializer.collect_str(self)
                } else {
                    self.0.serialize(serializer)
                }
            }
        }

        impl<'de> ::serde::Deserialize<'de> for $name {
            fn deserialize<D: ::serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                if !deserializer.is_human_readable() {
                    return u64::deserialize(deserializer).map(Self);
                }
                let text = ::std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                Self::parse(&text).ok_or_else(|| ::serde::de::Error::custom(
                    concat!("an id of this kind is ", $letter, " and a number")))
            }
        }
    )+};
}

pub(crate) use serial_ids;
