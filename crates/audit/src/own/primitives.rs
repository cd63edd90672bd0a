//! The six primitives under random commands: whatever is asked in whatever order, their invariants hold, each
//! record is what `decide` says, and some order of the commands explains every answer.

use std::num::NonZeroU64;

use interlock_kernel::{
    barrier::Parties,
    entity::Entity,
    ids::{Holder, Member, Outcome, Party, Token, Version, Worker},
    job::RunId,
    json::Json,
    pool::{LeaseId, LeaseRequest, MemberChange, MemberState},
    quota::{ClaimId, Limit, QuotaChange},
    time::Millis,
    value::{Condition, Guard},
};
use interlock_primitives::domain::{
    barrier::{BarrierCommand, BarrierEntity},
    job::{JobCommand, JobEntity},
    pool::{PoolCommand, PoolEntity},
    quota::{QuotaCommand, QuotaEntity},
    turn::{TurnCommand, TurnEntity},
    value::{ValueCommand, ValueEntity},
};
use interlock_runtime::{SendError, env::World};

use super::{EVERYTHING, Own};
use crate::{
    cases::parts::{key, unexpected},
    faults::Faults,
    node::{Client, Node},
    stage::{Actor, Stage},
    world::Sim,
};

pub(super) const OWN: &[Own] = &[
    Own {
        name: "a quota under random commands",
        faults: EVERYTHING,
        scenario: &|stage| random::<QuotaEntity>(stage, quota),
    },
    Own {
        name: "turns under random commands",
        faults: EVERYTHING,
        scenario: &|stage| random::<TurnEntity>(stage, turn),
    },
    Own {
        name: "a job under random commands",
        faults: EVERYTHING,
        scenario: &|stage| random::<JobEntity>(stage, job),
    },
    Own {
        name: "a value under random commands",
        faults: EVERYTHING,
        scenario: &|stage| random::<ValueEntity>(stage, value),
    },
    Own {
        name: "a pool under random commands",
        faults: EVERYTHING,
        scenario: &|stage| random::<PoolEntity>(stage, pool),
    },
    Own {
        name: "a barrier under random commands",
        faults: EVERYTHING,
        scenario: &|stage| random::<BarrierEntity>(stage, barrier),
    },
];

/// Commands of each client.
const COMMANDS: usize = 4;
/// How long leases, runs and claims last.
const TTL: Millis = Millis::from_secs(10);

/// Draws from the world's random source.
struct Dice(Sim);

impl Dice {
    /// A number from 1.
    fn up_to(&self, most: u64) -> u64 {
        self.0.random() % most + 1
    }

    fn pick<T: Copy>(&self, among: &[T]) -> T {
        let place = self.0.random() % among.len() as u64;
        among[usize::try_from(place).expect("it is below a length")]
    }

    fn number(&self) -> Json {
        Json::parse(&self.up_to(3).to_string()).expect("a number")
    }
}

/// Three clients do what the dice say.
async fn random<E: Entity>(stage: Stage, command: fn(&Dice) -> E::Command) {
    let node = Node::start(&stage, Faults::ONE, |builder| builder.entity::<E>());
    for name in ["A", "B", "C"] {
        let (node, dice) = (node.clone(), Dice(stage.world().clone()));
        stage.actor(name, |actor| async move {
            let mut client = node.client(&actor, name);
            for _ in 0..COMMANDS {
                if dice.up_to(4) == 1 {
                    actor.sleep(TTL).await;
                }
                act::<E>(&actor, &mut client, command(&dice)).await;
            }
        });
    }
    stage.all_done().await;
}

async fn act<E: Entity>(actor: &Actor, client: &mut Client, command: E::Command) {
    let name = E::command_name(&command);
    match client.send::<E>(&key("one"), command).await {
        Ok(told) => actor.says(|| format!("{name}: {:?}", told.reply)),
        Err(SendError::Rejected { rejection, .. }) => actor.says(|| format!("{name}: {rejection}")),
        Err(error) => unexpected(&error),
    }
}

fn quota(dice: &Dice) -> QuotaCommand {
    let worker = Worker::new(dice.pick(&["w1", "w2"])).expect("a valid name");
    let claim = ClaimId::parse(&format!("c{}", dice.up_to(3)));
    match dice.up_to(9) {
        1 | 2 => QuotaCommand::Put(QuotaChange {
            limit: Some(Limit::Of(dice.up_to(3))),
            claim_ttl_ms: Some(TTL),
            ..QuotaChange::keep(Millis::from_secs(3_600))
        }),
        3..=5 => QuotaCommand::Claim { worker },
        6 => QuotaCommand::Start { claim },
        7 => QuotaCommand::Renew { claim, ttl_ms: None },
        8 => QuotaCommand::Settle { claim, outcome: Outcome::new("won").expect("a valid name") },
        _ => QuotaCommand::Abandon { claim },
    }
}

fn turn(dice: &Dice) -> TurnCommand {
    let turn = NonZeroU64::new(dice.up_to(4)).expect("it is at least 1");
    TurnCommand::Post { turn, value: dice.number() }
}

fn job(dice: &Dice) -> JobCommand {
    let run = RunId::parse(&format!("r{}", dice.up_to(3)));
    match dice.up_to(4) {
        1 | 2 => JobCommand::Start {
            holder: Holder::new(dice.pick(&["h1", "h2"])).expect("a valid name"),
            min_interval_ms: dice.pick(&[Millis(0), TTL]),
            ttl_ms: TTL,
        },
        3 => JobCommand::Renew { run, ttl_ms: None },
        _ => JobCommand::Finish { run, outcome: Outcome::new("done").expect("a valid name") },
    }
}

fn value(dice: &Dice) -> ValueCommand {
    let version = Version(dice.up_to(4));
    let condition = match dice.up_to(3) {
        1 => Condition::Any,
        2 => Condition::Absent,
        _ => Condition::Versions(vec![version]),
    };
    let token = (dice.up_to(2) == 1).then(|| Token(dice.up_to(3)));
    let guard = Guard { condition: Some(condition), token };
    match dice.up_to(4) {
        1 => ValueCommand::Rollback { to: version, guard },
        _ => ValueCommand::Put { content: dice.number(), guard },
    }
}

fn pool(dice: &Dice) -> PoolCommand {
    let member = Member::new(dice.pick(&["m1", "m2"])).expect("a valid name");
    let number = dice.up_to(4);
    let (lease, token) = (LeaseId::parse(&format!("l{number}")), Token(number));
    match dice.up_to(9) {
        1 | 2 => PoolCommand::PutMember {
            member,
            change: MemberChange {
                limit: Some(1),
                state: Some(dice.pick(&[MemberState::Active, MemberState::Draining])),
                ..MemberChange::default()
            },
        },
        3 => PoolCommand::RemoveMember { member },
        4..=6 => {
            let holder = Holder::new(dice.pick(&["h1", "h2"])).expect("a valid name");
            let wait_ms = dice.pick(&[Millis(0), TTL]);
            PoolCommand::Lease { request: LeaseRequest::new(holder, TTL), wait_ms }
        }
        7 => PoolCommand::Confirm { lease, token },
        8 => PoolCommand::Renew { lease, token, ttl_ms: None },
        _ => PoolCommand::Release { lease, token },
    }
}

fn barrier(dice: &Dice) -> BarrierCommand {
    let party = |name: &str| Party::new(name).expect("a valid name");
    match dice.up_to(4) {
        1 => {
            let parties = vec![party("p1"), party(dice.pick(&["p2", "p3"]))];
            BarrierCommand::Put { parties: Some(Parties::new(parties).expect("two names")) }
        }
        _ => BarrierCommand::Arrive {
            party: party(dice.pick(&["p1", "p2", "p3"])),
            value: dice.number(),
            revise: dice.up_to(2) == 1,
        },
    }
}
