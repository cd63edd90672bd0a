//! Spans of time as people write them: `500ms`, `30s`, `2m`, `24h`, `7d`.

use std::{fmt, str::FromStr};

use interlock_kernel::time::Millis;

/// Units from the largest to the smallest, with their milliseconds.
const UNITS: [(&str, u64); 5] =
    [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// A span of time that is read and written like that: a whole number and one unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span(pub Millis);

/// The text is no span of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be a whole number with one of the units ms, s, m, h, d, such as \"30s\"")]
pub struct BadSpan;

impl FromStr for Span {
    type Err = BadSpan;

    fn from_str(text: &str) -> Result<Self, BadSpan> {
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = text.split_at(digits);
        let number: u64 = number.parse().map_err(|_| BadSpan)?;
        let (_, ms) = UNITS.iter().find(|(name, _)| *name == unit).ok_or(BadSpan)?;
        number.checked_mul(*ms).map(|ms| Self(Millis(ms))).ok_or(BadSpan)
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = self.0.0;
        let fits = |(_, unit_ms): &&(&str, u64)| ms > 0 && ms.is_multiple_of(*unit_ms);
        let (unit, unit_ms) = UNITS.iter().find(fits).unwrap_or(&("s", 1_000));
        write!(f, "{}{unit}", ms / unit_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_is_a_whole_number_and_one_unit() {
        for (text, ms) in [
            ("0s", 0),
            ("500ms", 500),
            ("30s", 30_000),
            ("2m", 120_000),
            ("24h", 86_400_000),
            ("7d", 604_800_000),
        ] {
            assert_eq!(text.parse(), Ok(Span(Millis(ms))), "{text}");
        }
        for text in
            ["", "s", "30", "30 s", "1.5s", "-1s", "+1s", "1h30m", "30S", "99999999999999999d"]
        {
            assert_eq!(text.parse::<Span>(), Err(BadSpan), "{text}");
        }
    }

    #[test]
    fn a_span_is_written_in_the_largest_unit_that_fits() {
        for text in ["0s", "1ms", "1500ms", "90s", "2m", "25h", "1d"] {
            assert_eq!(text.parse::<Span>().unwrap().to_string(), text);
        }
        assert_eq!(Span(Millis(86_400_000)).to_string(), "1d");
    }
}
