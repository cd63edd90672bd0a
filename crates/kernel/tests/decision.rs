//! Decisions: what they commit, and when they make a version.

use std::convert::Infallible;

use interlock_kernel::{
    entity::{Context, Decision, Entity, Never, Verdict},
    time::Time,
};

#[derive(Debug, Clone, Default, serde::Serialize, serde::Deserialize)]
struct Bell;

impl Entity for Bell {
    const TYPE: &'static str = "bell";
    type Command = ();
    type Event = ();
    type Reply = ();
    type Rejection = Infallible;
    type Effect = Never;

    fn decide(&self, (): &(), _: &Context<'_>) -> Verdict<Self> {
        Ok(Decision::event((), ()))
    }

    fn apply(&mut self, (): &()) {}

    fn command_name((): &()) -> &'static str {
        "ring"
    }

    fn event_name((): &()) -> &'static str {
        "rang"
    }
}

#[test]
fn timers_are_committed_but_only_what_is_seen_from_outside_makes_a_version() {
    let unchanged = || Decision::<Bell>::unchanged(());
    let timers = [unchanged().timer("ring", Time(1), ()), unchanged().cancel_timer("ring")];
    for decision in &timers {
        assert!(!decision.is_unchanged() && !decision.makes_version());
    }
    for decision in [Decision::<Bell>::event((), ()), unchanged().close()] {
        assert!(!decision.is_unchanged() && decision.makes_version());
    }
    assert!(unchanged().is_unchanged() && !unchanged().makes_version());
}
