//! Who gets a slot, who may wait for one, and who is refused at once.
//!
//! Slots are dealt out first come, first served. Everyone ahead is dealt a slot that it can use: a free one,
//! else one that is closing, else one of a stream that nobody watches. What is left then is what a newcomer
//! may hope for. So nobody overtakes, and never more wait than there are slots to wait for.
//!
//! Waiting itself is not durable: who waits, and what nobody watches, is told with every question.

use std::collections::BTreeSet;

use interlock_kernel::{
    ids::Member,
    pool::{LeaseId, MemberRecord, MemberState, Phase},
};

use super::{Asker, Engines};

/// What someone who asks for a slot may hope for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outlook {
    /// A slot that is free now.
    Free,
    /// A slot whose use is over; it will be free.
    Closing,
    /// The slot of a stream that nobody watches: this one may give way.
    Unwatched(LeaseId),
    /// Others need all that there are.
    Full,
    /// Every engine that may be used was tried.
    AllTried,
}

impl Engines {
    /// What is left for somebody behind these others.
    pub(super) fn outlook(&self, asker: &Asker, ahead: &[Asker], unwatched: &[LeaseId]) -> Outlook {
        let needed = u32::try_from(ahead.len() + 1).unwrap_or(u32::MAX);
        let mut slots = self.slots(needed, unwatched);
        for other in ahead.iter().filter(|other| !self.serves(&other.stream)) {
            deal(&mut slots, &other.avoid);
        }
        deal(&mut slots, &asker.avoid).unwrap_or_else(|| self.hopeless(&asker.avoid))
    }

    /// The slots that are or will be free, the best first; of each engine no more free ones than needed.
    fn slots(&self, needed: u32, unwatched: &[LeaseId]) -> Vec<(Outlook, &Member)> {
        let (mut free, mut closing) = (Vec::new(), Vec::new());
        for (name, member) in self.pool.members().iter().filter(|(_, member)| is_usable(member)) {
            let in_use = member.in_use;
            let now = member.limit.saturating_sub(in_use.total());
            // Where the limit was lowered, not every slot that closes will be free.
            let soon = member.limit.saturating_sub(in_use.pending + in_use.active) - now;
            free.extend((0..now.min(needed)).map(|_| (Outlook::Free, name)));
            closing.extend((0..soon).map(|_| (Outlook::Closing, name)));
        }
        let held = |lease: &LeaseId| {
            let held = self.pool.leases().get(lease).filter(|held| held.phase != Phase::Closing)?;
            let engine = self.pool.members().get(&held.member).filter(|engine| is_usable(engine));
            engine.map(|_| (Outlook::Unwatched(*lease), &held.member))
        };
        free.into_iter().chain(closing).chain(unwatched.iter().filter_map(held)).collect()
    }

    /// Whether this stream has a slot: then it waits for none, it was only not told yet.
    fn serves(&self, stream: &str) -> bool {
        self.uses.values().any(|used| used.stream == stream && used.idle_at.is_none())
    }

    /// Why there is nothing to wait for.
    fn hopeless(&self, avoid: &BTreeSet<Member>) -> Outlook {
        let members = self.pool.members();
        let mut usable = members.iter().filter(|(_, member)| is_usable(member));
        // While nothing was tried, engines that are set aside will be worth another question.
        let nothing_tried = avoid.is_empty() && !members.is_empty();
        if nothing_tried || usable.any(|(name, _)| !avoid.contains(name)) {
            Outlook::Full
        } else {
            Outlook::AllTried
        }
    }
}

/// Takes the best slot that is on none of these engines.
fn deal(slots: &mut Vec<(Outlook, &Member)>, avoid: &BTreeSet<Member>) -> Option<Outlook> {
    let best = slots.iter().position(|(_, engine)| !avoid.contains(*engine))?;
    Some(slots.remove(best).0)
}

fn is_usable(member: &MemberRecord) -> bool {
    member.state == MemberState::Active && member.aside_until.is_none() && member.limit > 0
}
