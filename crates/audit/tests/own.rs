//! Auditing one's own entity, as the documentation shows it.
#![allow(missing_docs, clippy::unwrap_used)]

use std::{convert::Infallible, panic};

use interlock_audit::{
    node::{Faults, Node},
    search::check,
    stage::Stage,
};
use interlock_kernel::{
    entity::{Context, Decision, Entity, Never, Verdict},
    ids::Key,
};
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Account {
    balance: i64,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
enum Command {
    /// The bug: the new balance is made of a look that may be old.
    Set(i64),
    /// The fix: what to do is decided on the latest balance.
    Add(i64),
}

impl Entity for Account {
    const TYPE: &'static str = "account";
    type Command = Command;
    type Event = i64;
    type Reply = i64;
    type Rejection = Infallible;
    type Effect = Never;

    fn decide(&self, command: &Command, _: &Context<'_>) -> Verdict<Self> {
        let balance = match command {
            Command::Set(balance) => *balance,
            Command::Add(amount) => self.balance + amount,
        };
        Ok(Decision::event(balance, balance))
    }

    fn apply(&mut self, balance: &i64) {
        self.balance = *balance;
    }

    fn command_name(_: &Command) -> &'static str {
        "change"
    }

    fn event_name(_: &i64) -> &'static str {
        "changed"
    }
}

/// Two deposits of 10, each told by whoever makes it.
async fn two_deposits(stage: Stage, deposit: fn(i64) -> Command) {
    let node = Node::start(&stage, Faults::ONE, |builder| builder.entity::<Account>());
    let key = Key::new("a").unwrap();
    for name in ["Ann", "Bob"] {
        let (node, key) = (node.clone(), key.clone());
        stage.actor(name, |actor| async move {
            let balance = node.state::<Account>(&key).await.balance;
            actor.says(|| format!("sees {balance}"));
            let done = node.client(&actor, name).send::<Account>(&key, deposit(balance)).await;
            actor.says(|| format!("deposits 10: {}", done.unwrap().reply));
        });
    }
    stage.all_done().await;
    let balance = node.state::<Account>(&key).await.balance;
    stage.check(balance == 20, || format!("two deposits of 10 make {balance}"));
}

#[test]
fn a_deposit_that_rests_on_an_old_look_is_found_and_shown() {
    let found =
        panic::catch_unwind(|| check(|stage| two_deposits(stage, |seen| Command::Set(seen + 10))));
    let shown = *found.unwrap_err().downcast::<String>().unwrap();
    assert!(shown.starts_with("two deposits of 10 make 10"), "{shown}");
    for part in ["Ann", "Bob", "sees 0", "deposits 10: 10", "schedule: "] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    println!("{shown}");
}

// The test of the README, there with the bug in it.
#[test]
fn no_deposit_is_lost() {
    check(|stage: Stage| async move {
        let node = Node::start(&stage, Faults::ONE, |builder| builder.entity::<Account>());
        for (name, node) in [("Ann", node.clone()), ("Bob", node.clone())] {
            stage.actor(name, |actor| async move {
                let seen = node.state::<Account>(&key()).await.balance;
                actor.says(|| format!("sees {seen}, deposits 10"));
                let _ = node.client(&actor, name).send::<Account>(&key(), Command::Add(10)).await;
            });
        }
        stage.all_done().await;
        stage.check(node.state::<Account>(&key()).await.balance == 20, || "one is lost".into());
    });
}

fn key() -> Key {
    Key::new("a").unwrap()
}

#[test]
fn the_readme_shows_this_test_with_the_bug_in_it() {
    let (_, after) = include_str!("own.rs").split_once("with the bug in it.\n").unwrap();
    let (test, _) = after.split_once("\nfn key()").unwrap();
    let with_bug = test.replace("Command::Add(10)", "Command::Set(seen + 10)");
    assert!(include_str!("../../../README.md").contains(&with_bug), "{with_bug}");
    assert!(with_bug.lines().count() <= 15, "short enough to be read");
}
