//! What Interlock promises holds on every schedule that is tried, and a break of it is found.
#![allow(missing_docs)]

use interlock_audit::{
    own,
    search::{Budget, search},
};

#[test]
fn every_promise_holds() {
    for promise in own::all() {
        for seed in 1..=3 {
            let outcome = search(promise.scenario, Budget { schedules: 300, seed });
            if let Some(failure) = outcome.failure {
                let (name, violation, table) =
                    (promise.name, failure.violation, failure.run.timeline);
                panic!("{name}: {violation} [{}]\n{table}", failure.schedule);
            }
            assert!(outcome.faults > 0, "{}: nothing was tried", promise.name);
        }
    }
}
