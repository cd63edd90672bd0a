//! Time as data: the pure code gets it as an argument and never asks a clock.
//!
//! Stored as integer milliseconds; written for people as RFC 3339 in UTC.

use std::{
    fmt,
    ops::{Add, Sub},
};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A moment: milliseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Time(pub u64);

/// A span of time in milliseconds.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Millis(pub u64);

impl Time {
    /// Later than every moment that can be scheduled.
    pub const NEVER: Time = Time(u64::MAX);

    /// How long from `earlier` to this moment; zero if `earlier` is later.
    #[must_use]
    pub fn since(self, earlier: Time) -> Millis {
        Millis(self.0.saturating_sub(earlier.0))
    }
}

impl Millis {
    /// A span of whole seconds.
    #[must_use]
    pub const fn from_secs(seconds: u64) -> Self {
        Self(seconds * 1000)
    }

    /// The span as the standard library's type.
    #[must_use]
    pub const fn as_duration(self) -> std::time::Duration {
        std::time::Duration::from_millis(self.0)
    }

    /// Whole seconds, rounded up: what `Retry-After` wants.
    #[must_use]
    pub const fn secs_ceil(self) -> u64 {
        self.0.div_ceil(1000)
    }
}

impl Add<Millis> for Time {
    type Output = Time;
    fn add(self, span: Millis) -> Time {
        Time(self.0.saturating_add(span.0))
    }
}

impl Sub<Millis> for Time {
    type Output = Time;
    fn sub(self, span: Millis) -> Time {
        Time(self.0.saturating_sub(span.0))
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = i64::try_from(self.0).unwrap_or(i64::MAX);
        match jiff::Timestamp::from_millisecond(ms) {
            Ok(stamp) => write!(f, "{stamp:.3}"),
            Err(_) => write!(f, "{}ms", self.0),
        }
    }
}

impl fmt::Debug for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_str(self)
        } else {
            self.0.serialize(serializer)
        }
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if !deserializer.is_human_readable() {
            return u64::deserialize(deserializer).map(Time);
        }
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        let stamp: jiff::Timestamp = text.parse().map_err(de::Error::custom)?;
        u64::try_from(stamp.as_millisecond()).map(Time).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_reads_as_rfc_3339_and_is_stored_as_milliseconds() {
        let time = Time(1_795_219_200_123);
        let json = serde_json::to_string(&time).unwrap();
        assert_eq!(json, "\"2026-11-21T00:00:00.123Z\"");
        assert_eq!(format!("\"{time:?}\""), json);
        assert_eq!(serde_json::from_str::<Time>(&json).unwrap(), time);
        let stored = postcard::to_stdvec(&time).unwrap();
        assert_eq!(postcard::from_bytes::<Time>(&stored).unwrap(), time);
    }

    #[test]
    fn sums_and_differences_stop_at_the_ends_of_time() {
        let (time, span) = (Time(5_000), Millis::from_secs(2));
        assert_eq!((time + span, time - span), (Time(7_000), Time(3_000)));
        assert_eq!((Time::NEVER + span, Time(1) - span), (Time::NEVER, Time(0)));
        assert_eq!((time.since(Time(1_500)), Time(1_500).since(time)), (Millis(3_500), Millis(0)));
        assert_eq!(span.as_duration(), std::time::Duration::from_secs(2));
        assert_eq!([0, 1, 1000, 1001].map(|ms| Millis(ms).secs_ceil()), [0, 1, 1, 2]);
        assert!(serde_json::from_str::<Time>("\"yesterday\"").is_err());
    }
}
