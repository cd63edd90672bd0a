use super::*;
use crate::{
    cases::parts::key,
    own::tally::{Add, Tally},
    search::{Budget, search},
};

/// An order that differs from run to run, in what is committed and not in the steps.
#[test]
fn hidden_chance_in_content_alone_is_reported() {
    let outcome = search(
        &|stage: Stage| async move {
            let node = Node::start(&stage, Faults::NONE, |builder| builder.entity::<Tally>());
            for name in ["one", "two"] {
                let node = node.clone();
                stage.actor(name, |actor| async move {
                    #[expect(clippy::disallowed_types, reason = "its order is the bug")]
                    let names: std::collections::HashSet<u32> = (0..100).collect();
                    let mut client = node.client(&actor, name);
                    let add = Add(format!("{names:?}"));
                    assert!(client.send::<Tally>(&key("all"), add).await.is_ok());
                });
            }
            stage.all_done().await;
        },
        Budget { schedules: 10, seed: 1 },
    );
    let violation = outcome.failure.expect("it is noticed").violation;
    assert!(violation.contains("another way the second time"), "{violation}");
}
