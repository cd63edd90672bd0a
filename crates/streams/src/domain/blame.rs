//! Whose fault a failed start is: the stream's or the engine's.
//!
//! An engine that cannot even be reached is at fault. Any other failure is a suspicion, and becomes the
//! engine's fault only when the same stream then flows from another engine: a broken stream fails
//! everywhere, and ejects nobody. An engine at fault with [`STREAMS_TO_EJECT`] different streams is to be
//! set aside. A start that works clears its engine. What is older than the window no longer counts.

use std::collections::{BTreeMap, BTreeSet};

use interlock_kernel::{
    ids::Member,
    time::{Millis, Time},
};
use serde::{Deserialize, Serialize};

/// Different streams that an engine must fail before it is set aside.
pub const STREAMS_TO_EJECT: usize = 2;
/// Streams remembered, in total and per engine; more than any decision needs.
const KEPT: usize = 256;

/// Recent failures.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Blame {
    /// Engine → streams that it failed, being at fault.
    faults: BTreeMap<Member, BTreeMap<String, Time>>,
    /// Stream → engines that failed it, perhaps for its own fault.
    suspects: BTreeMap<String, BTreeMap<Member, Time>>,
}

impl Blame {
    /// A start failed. `unreachable`: the engine refused the connection. Answers who is to be set aside.
    pub fn failed(
        &mut self,
        engine: &Member,
        stream: &str,
        unreachable: bool,
        now: Time,
        window: Millis,
    ) -> BTreeSet<Member> {
        self.forget(now, window);
        if unreachable {
            self.fault(engine, stream, now);
        } else if self.suspects.len() < KEPT || self.suspects.contains_key(stream) {
            let engines = self.suspects.entry(stream.to_owned()).or_default();
            engines.insert(engine.clone(), now);
        }
        self.to_eject()
    }

    /// A start worked: those who failed the same stream were at fault. Answers who is to be set aside.
    pub fn flowed(
        &mut self,
        engine: &Member,
        stream: &str,
        now: Time,
        window: Millis,
    ) -> BTreeSet<Member> {
        self.forget(now, window);
        for suspect in self.suspects.remove(stream).unwrap_or_default().into_keys() {
            self.fault(&suspect, stream, now);
        }
        self.clear(engine);
        self.to_eject()
    }

    /// Forgets what an engine did: it works, or it was set aside for it.
    pub fn clear(&mut self, engine: &Member) {
        self.faults.remove(engine);
    }

    fn fault(&mut self, engine: &Member, stream: &str, now: Time) {
        let streams = self.faults.entry(engine.clone()).or_default();
        if streams.len() < KEPT {
            streams.insert(stream.to_owned(), now);
        }
    }

    fn forget(&mut self, now: Time, window: Millis) {
        fn keep<A: Ord, B: Ord>(
            map: &mut BTreeMap<A, BTreeMap<B, Time>>,
            now: Time,
            window: Millis,
        ) {
            map.retain(|_, inner| {
                inner.retain(|_, at| *at + window > now);
                !inner.is_empty()
            });
        }
        keep(&mut self.faults, now, window);
        keep(&mut self.suspects, now, window);
    }

    fn to_eject(&self) -> BTreeSet<Member> {
        let guilty = self.faults.iter().filter(|(_, streams)| streams.len() >= STREAMS_TO_EJECT);
        guilty.map(|(engine, _)| engine.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: Millis = Millis(1_000);

    fn engine(name: &str) -> Member {
        Member::new(name).unwrap()
    }

    fn none() -> BTreeSet<Member> {
        BTreeSet::new()
    }

    #[test]
    fn an_engine_whose_streams_flow_elsewhere_is_to_blame() {
        let mut blame = Blame::default();
        for (stream, expected) in [("one", none()), ("one", none()), ("two", [engine("a")].into())]
        {
            assert_eq!(blame.failed(&engine("a"), stream, false, Time(0), WINDOW), none());
            let eject = blame.flowed(&engine("b"), stream, Time(1), WINDOW);
            assert_eq!(eject, expected, "the same stream counts once");
        }
    }

    #[test]
    fn an_engine_that_cannot_be_reached_is_to_blame_at_once() {
        let mut blame = Blame::default();
        assert_eq!(blame.failed(&engine("a"), "one", true, Time(0), WINDOW), none());
        let eject = blame.failed(&engine("a"), "two", true, Time(0), WINDOW);
        assert_eq!(eject, [engine("a")].into());
    }

    #[test]
    fn streams_that_fail_everywhere_eject_nobody() {
        let mut blame = Blame::default();
        for stream in ["one", "two", "three"] {
            for name in ["a", "b", "c"] {
                let eject = blame.failed(&engine(name), stream, false, Time(0), WINDOW);
                assert_eq!(eject, none(), "{stream} on {name}");
            }
        }
        assert_eq!(blame.flowed(&engine("a"), "four", Time(1), WINDOW), none());
    }

    #[test]
    fn success_and_time_clear_an_engine() {
        let (mut blame, a) = (Blame::default(), engine("a"));
        blame.failed(&a, "one", true, Time(0), WINDOW);
        blame.flowed(&a, "other", Time(1), WINDOW);
        assert_eq!(blame.failed(&a, "two", true, Time(1), WINDOW), none());
        assert_eq!(blame.failed(&a, "three", true, Time(1_001), WINDOW), none());
    }
}
