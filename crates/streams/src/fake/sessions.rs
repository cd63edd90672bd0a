//! The fake engine's sessions: who started what, how it ended, and how many there were at once.
//!
//! Invariants: one active session per `pid`; one per infohash while streams are live; `active` is the
//! number of sessions that have not ended; `most_active` is the most that it ever was.

use std::collections::BTreeMap;

use crate::limits;

/// All that a fake engine has seen.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stats {
    /// Sessions by the order of their start: all active ones, and the latest of those that have ended.
    pub sessions: BTreeMap<u64, SessionStats>,
    /// Sessions that have not ended.
    pub active: u32,
    /// The most sessions that were active at once.
    pub most_active: u32,
    /// Sessions that were started while the limit was reached.
    pub over_limit: u64,
    /// Sessions that were started.
    pub started: u64,
    /// Requests for a stream, whatever came of them.
    pub start_requests: u64,
    /// Requests to stop, whatever came of them.
    pub stop_requests: u64,
    /// Health checks.
    pub health_checks: u64,
}

/// One session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionStats {
    /// Who asked for it.
    pub pid: String,
    /// What was asked for: a content id or an infohash.
    pub key: String,
    /// What is played.
    pub infohash: String,
    /// The name that URLs carry.
    pub playback_session_id: String,
    /// How often its playback URL was opened. A newer reader ends the older.
    pub readers: u64,
    /// Bytes that were read.
    pub read_bytes: u64,
    /// Why it ended; `None` while it is active.
    pub ended: Option<Ending>,
}

/// Why a session ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ending {
    /// A client said stop.
    Stopped,
    /// The same `pid` started something else.
    PidReused,
    /// Another `pid` started the same live stream.
    NewerPlayer,
    /// Nobody read it.
    Idle,
    /// The engine died.
    EngineDied,
}

/// A request for a stream.
#[derive(Debug, Clone)]
pub(super) struct Wanted {
    pub(super) pid: Option<String>,
    pub(super) key: String,
    pub(super) infohash: String,
    pub(super) is_live: bool,
}

impl Stats {
    /// Starts a session, and ends those that the engine's rules do not allow beside it.
    pub(super) fn start(&mut self, wanted: Wanted, limit: u32) -> u64 {
        self.started += 1;
        let id = self.started;
        let pid = wanted.pid.unwrap_or_else(|| format!("anonymous-{id}"));
        self.end_where(Ending::PidReused, |session| session.pid == pid);
        if wanted.is_live {
            self.end_where(Ending::NewerPlayer, |session| session.infohash == wanted.infohash);
        }
        let session = SessionStats {
            pid,
            key: wanted.key,
            infohash: wanted.infohash,
            playback_session_id: format!("{:032x}", u128::from(id) << 64 | 0x5E55_1011),
            readers: 0,
            read_bytes: 0,
            ended: None,
        };
        self.sessions.insert(id, session);
        self.active += 1;
        self.most_active = self.most_active.max(self.active);
        self.over_limit += u64::from(self.active > limit);
        id
    }

    /// Ends a session, if it is active.
    pub(super) fn end(&mut self, id: u64, why: Ending) {
        if let Some(session) = self.sessions.get_mut(&id).filter(|session| session.ended.is_none())
        {
            session.ended = Some(why);
            self.active -= 1;
            self.forget_old();
        }
    }

    pub(super) fn end_all(&mut self, why: Ending) {
        self.end_where(why, |_| true);
    }

    /// The active session of that name.
    pub(super) fn find(&self, playback_session_id: &str) -> Option<u64> {
        let mut active = self.sessions.iter().filter(|(_, session)| session.ended.is_none());
        active
            .find(|(_, session)| session.playback_session_id == playback_session_id)
            .map(|(id, _)| *id)
    }

    /// The session, if it is active.
    pub(super) fn active(&self, id: u64) -> Option<&SessionStats> {
        self.sessions.get(&id).filter(|session| session.ended.is_none())
    }

    /// The session, if it is active, to be changed.
    pub(super) fn active_mut(&mut self, id: u64) -> Option<&mut SessionStats> {
        self.sessions.get_mut(&id).filter(|session| session.ended.is_none())
    }

    fn end_where(&mut self, why: Ending, matches: impl Fn(&SessionStats) -> bool) {
        let ending = self.sessions.iter().filter(|(_, session)| matches(session));
        let ending: Vec<u64> = ending.map(|(id, _)| *id).collect();
        ending.into_iter().for_each(|id| self.end(id, why));
    }

    fn forget_old(&mut self) {
        if self.sessions.len() - self.active as usize > limits::FAKE_SESSIONS_KEPT {
            let oldest = self.sessions.iter().find(|(_, session)| session.ended.is_some());
            let oldest = *oldest.expect("some have ended").0;
            self.sessions.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(pid: &str, stream: &str, is_live: bool) -> Wanted {
        Wanted { pid: Some(pid.into()), key: stream.into(), infohash: stream.into(), is_live }
    }

    fn endings(stats: &Stats) -> Vec<Option<Ending>> {
        stats.sessions.values().map(|session| session.ended).collect()
    }

    #[test]
    fn a_pid_has_one_session() {
        let mut stats = Stats::default();
        stats.start(wanted("a", "one", true), 9);
        stats.start(wanted("a", "two", true), 9);
        assert_eq!(endings(&stats), [Some(Ending::PidReused), None]);
        assert_eq!(stats.active, 1);
    }

    #[test]
    fn the_newer_player_of_a_live_stream_stops_the_older() {
        let mut stats = Stats::default();
        stats.start(wanted("a", "one", true), 9);
        stats.start(wanted("b", "one", true), 9);
        assert_eq!(endings(&stats), [Some(Ending::NewerPlayer), None]);
    }

    #[test]
    fn recorded_content_may_be_played_twice() {
        let mut stats = Stats::default();
        stats.start(wanted("a", "one", false), 9);
        stats.start(wanted("b", "one", false), 9);
        assert_eq!(endings(&stats), [None, None]);
    }

    #[test]
    fn sessions_over_the_limit_are_counted_and_the_most_is_remembered() {
        let mut stats = Stats::default();
        for name in ["a", "b", "c"] {
            stats.start(wanted(name, name, true), 2);
        }
        stats.end_all(Ending::Stopped);
        assert_eq!((stats.active, stats.most_active, stats.over_limit), (0, 3, 1));
    }

    #[test]
    fn ended_sessions_are_forgotten_in_the_end_and_active_ones_never() {
        let mut stats = Stats::default();
        let first = stats.start(wanted("first", "first", true), 9);
        for round in 0..2 * limits::FAKE_SESSIONS_KEPT {
            let id = stats.start(wanted("other", &format!("stream-{round}"), true), 9);
            stats.end(id, Ending::Stopped);
        }
        assert_eq!(stats.sessions.len(), limits::FAKE_SESSIONS_KEPT + 1);
        assert!(stats.active(first).is_some());
    }
}
