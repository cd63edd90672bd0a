//! Those who wait: nobody does whom the state would let go on.
//!
//! A waiting command is not in the log, so a machine tells when it lets one wait ([`crate::watch`]). From then on, at
//! the end of every commit that changes the entity, `decide` must still say so.

use interlock_kernel::{
    entity::{Context, Entity, Refusal},
    ids::{Caller, Position},
};
use interlock_runtime::fold::Folded;

use super::{Ledger, Seen};
use crate::watch::Wait;

impl<E: Entity> Ledger<E> {
    /// Whoever is in the waiting room of an entity when it was changed and the log ends at `end` has to be.
    pub(super) fn waits_rightly(
        &self,
        seen: &Seen,
        wait: &Wait,
        folded: &Folded<E>,
        end: Position,
    ) -> Result<(), String> {
        let Wait { key, id, arrived, until, .. } = wait;
        let asked = (key.clone(), id.clone());
        let Some(question) = self.asked.get(&asked) else { return Ok(()) };
        let (now, version) = (folded.at, folded.version);
        // Unchanged since it was told to wait: `decide` has just said so.
        let is_there = folded.head >= wait.from
            && wait.to.is_none_or(|to| end <= to)
            && wait.answered.is_none_or(|answered| version < answered);
        if !is_there || now >= *until || seen.kept.contains_key(&asked) {
            return Ok(());
        }
        let (caller, id) = (&Caller::local(), Some(id));
        let cx = Context { now, arrived: *arrived, version, key, caller, id, random: 0 };
        match folded.state.decide(&question.command, &cx) {
            Err(Refusal::Wait { .. } | Refusal::Rejected(_)) => Ok(()),
            Ok(_) => {
                let id = wait.id.as_str();
                Err(format!("{id} waits at version {version}, although it could go on"))
            }
        }
    }
}
