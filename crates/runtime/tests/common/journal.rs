//! What handlers did, in the order in which they did it.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, atomic::AtomicBool},
};

use interlock_kernel::{bus::Origin, ids::Version};

/// A handler's call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    pub phase: u8,
    pub handler: &'static str,
    /// `type/key`.
    pub entity: String,
    pub version: Version,
}

#[derive(Clone, Default)]
pub struct Journal {
    calls: Arc<Mutex<Vec<Call>>>,
    /// Whether a read handler missed what phase 1 promised.
    pub early: Arc<AtomicBool>,
}

impl Journal {
    pub fn note(&self, phase: u8, handler: &'static str, origin: &Origin) {
        let entity = format!("{}/{}", origin.entity, origin.key);
        self.calls.lock().unwrap().push(Call { phase, handler, entity, version: origin.version });
    }

    pub fn calls(&self) -> Vec<Call> {
        self.calls.lock().unwrap().clone()
    }

    /// How often a handler was called about a record.
    pub fn attempts(&self, handler: &str, origin: &Origin) -> usize {
        let entity = format!("{}/{}", origin.entity, origin.key);
        let calls = self.calls();
        let same = |call: &&Call| {
            call.handler == handler && call.entity == entity && call.version == origin.version
        };
        calls.iter().filter(same).count()
    }

    /// The versions of an entity that a handler saw, in the order of its calls.
    pub fn versions(&self, handler: &str, entity: &str) -> Vec<u64> {
        let calls = self.calls();
        let own = calls.iter().filter(|call| call.handler == handler && call.entity == entity);
        own.map(|call| call.version.0).collect()
    }

    /// Checks, for every record, that all calls of phase 1 come before all of phase 2, and that a record's
    /// calls all come after those of its entity's earlier records.
    pub fn check_order(&self) {
        let mut newest: BTreeMap<String, (Version, u8)> = BTreeMap::new();
        for call in self.calls() {
            let at = newest.entry(call.entity.clone()).or_default();
            let next = (call.version, call.phase);
            assert!(next >= *at, "{call:?} came after version {} phase {}", at.0, at.1);
            *at = next;
        }
    }
}
