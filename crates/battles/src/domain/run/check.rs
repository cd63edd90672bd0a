//! Recounting a run: what must hold between two records.
//!
//! Within a record the quota is ahead: it says first that a claim is over, and the run after it what that means for
//! a battle.

use interlock_kernel::quota::Quota;

use super::{Ledger, Outcome, Run, Tally};

impl Run {
    /// Recounts every invariant; for tests and audits.
    ///
    /// Panics if one does not hold.
    pub fn check(&self) {
        self.0.iter().for_each(Ledger::recount);
    }
}

impl Ledger {
    fn recount(&self) {
        self.quota.check();
        let counts = self.quota.totals();
        let live = self.live.len() as u64;
        assert_eq!(live, counts.claimed + counts.in_doubt, "a live claim is a live battle");
        let rooms: Vec<_> = self.live.values().filter_map(|battle| battle.room.as_ref()).collect();
        let in_doubt = self.live.iter().filter(|(_, battle)| battle.in_doubt.is_some());
        let in_doubt = in_doubt.map(|(claim, battle)| (*claim, battle.room.is_some()));
        let expected = self.quota.in_doubt().map(|claim| (claim, true));
        assert!(in_doubt.eq(expected), "what is in doubt has begun, and is known to be in doubt");
        for (place, room) in rooms.iter().enumerate() {
            let mut others = rooms.iter().skip(place + 1);
            assert!(
                !others.any(|other| room.is_same_as(other)),
                "a room belongs to one live claim"
            );
        }
        self.check_tallies(&self.quota);
    }

    /// The quota counts the same battles, and knows nothing of what the tallies add.
    fn check_tallies(&self, quota: &Quota) {
        let total = self.tallies.total();
        self.tallies.check();
        let count = |outcome: Outcome| quota.outcomes().get(&outcome.name()).copied().unwrap_or(0);
        let [wins, losses, ties, forfeits] =
            [Outcome::Win, Outcome::Loss, Outcome::Tie, Outcome::Forfeit].map(count);
        let counted = Tally { wins, losses, ties, forfeits, void: total.void };
        assert_eq!(total, counted, "what is settled is counted as what it was");
        for (name, used) in quota.workers() {
            let tally = self.tallies.workers().get(name).copied().unwrap_or_default();
            assert_eq!(tally.finished(), used.counts.settled, "{name} has what it settled");
        }
    }
}
