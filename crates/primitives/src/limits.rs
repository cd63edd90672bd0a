//! Every bound of this service, with its unit. Those of names, numbers and waits are the kernel's, those
//! of requests the web's.

use std::ops::RangeInclusive;

/// Entries of one page of a timeline.
pub const TIMELINE_ENTRIES: RangeInclusive<u64> = 1..=200;
/// Entries of one page of a timeline, unless told.
pub const TIMELINE_ENTRIES_DEFAULT: u64 = 50;
/// Characters of a place in a timeline.
pub const PLACE_CHARS: usize = 64;

const _: () = assert!(*TIMELINE_ENTRIES.end() <= u32::MAX as u64, "a page fits memory");
