//! Whatever a server sends, a battle's room is read without a panic, and answered with no more than an answer. The same
//! function as in the property tests.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| interlock_battles::fuzz::room(bytes));
