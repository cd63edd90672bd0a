//! Those who were paused, replaced, and go on as if nothing had happened.

use std::{pin::pin, time::Duration};

use futures_util::future::{Either, select};
use interlock_kernel::{
    ids::{CommandId, Holder, Token},
    json::Json,
    time::Millis,
    value::{Condition, Guard},
};
use interlock_primitives::domain::{
    job::{JobCommand, JobEntity, JobReply},
    value::{ValueCommand, ValueEntity},
};
use interlock_runtime::{Meta, env::World};

use super::{
    EVERYTHING, Own,
    tally::{Add, Tally},
};
use crate::{
    cases::parts::{Shared, key, unexpected},
    faults::{Faults, PAUSE},
    node::{Client, Node},
    stage::{Actor, Stage},
};

pub(super) const OWN: &[Own] = &[
    Own { name: "a zombie writes with an old token", faults: EVERYTHING, scenario: &old_token },
    Own {
        name: "two processes open one store",
        faults: "pauses, takeovers, a crash",
        scenario: &one_store,
    },
];

/// How long a run may take without a word from its worker.
const TTL: Millis = Millis::from_secs(10);

/// The tokens of writes, by how they ended.
#[derive(Default)]
struct Writes {
    newest: Token,
    refused: Vec<Token>,
}

/// Two workers of one job write a value under the tokens of their runs. Either may sleep past its lease.
async fn old_token(stage: Stage) {
    let node = Node::start(&stage, Faults::ONE, |builder| {
        builder.entity::<JobEntity>().entity::<ValueEntity>()
    });
    let writes = Shared::<Writes>::default();
    let shown = writes.clone();
    stage.show(move || format!("written under {}", shown.lock().newest));
    for name in ["worker-A", "worker-B"] {
        let (node, writes) = (node.clone(), writes.clone());
        stage.actor(name, |actor| async move {
            let mut client = node.client(&actor, name);
            let token = begin(&actor, &mut client, name).await;
            // Holding the lease, as far as it knows.
            if actor.stage().world().fault(1) == 1 {
                actor.says(|| "sleeps past its lease".to_owned());
                actor.sleep(Millis(TTL.0 * 2)).await;
            }
            write(&actor, &mut client, token, &writes).await;
        });
    }
    stage.all_done().await;
    let Writes { newest, refused } = &*writes.lock();
    for token in refused {
        let by_nobody = || format!("{token} was refused, and nobody wrote under a newer one");
        stage.check(token < newest, by_nobody);
    }
}

/// Begins a run, as soon as it may.
async fn begin(actor: &Actor, client: &mut Client, name: &str) -> Token {
    loop {
        let holder = Holder::new(name).expect("a valid name");
        let start = JobCommand::Start { holder, min_interval_ms: Millis(0), ttl_ms: TTL };
        match client.send::<JobEntity>(&key("job"), start).await.map(|told| told.reply) {
            Ok(JobReply::Started(run)) => {
                actor.says(|| format!("begins under {}", run.token));
                return run.token;
            }
            Ok(other) => unreachable!("a start is asked for, not {other:?}"),
            // Somebody else's run.
            Err(_) => actor.sleep(Millis::from_secs(3)).await,
        }
    }
}

/// Writes, unless somebody with a newer token has.
async fn write(actor: &Actor, client: &mut Client, token: Token, writes: &Shared<Writes>) {
    let newest = writes.lock().newest;
    let content = Json::parse(&token.to_string()).expect("a number");
    // Whatever is there: only the token guards it.
    for condition in [Condition::Absent, Condition::Any] {
        let guard = Guard { condition: Some(condition), token: Some(token) };
        let put = ValueCommand::Put { content: content.clone(), guard };
        if client.send::<ValueEntity>(&key("value"), put).await.is_ok() {
            actor.says(|| format!("writes under {token}"));
            let is_old = || format!("a write under {token} was taken after one under {newest}");
            actor.stage().check(token >= newest, is_old);
            let mut writes = writes.lock();
            writes.newest = token.max(writes.newest);
            return;
        }
    }
    actor.says(|| format!("is refused under {token}"));
    writes.lock().refused.push(token);
}

/// Some clients follow the process that has the store, one stays with the first. Whatever either acknowledges is
/// there once.
async fn one_store(stage: Stage) {
    let node = Node::start(&stage, Faults::ZOMBIES, |builder| builder.entity::<Tally>());
    let (acknowledged, replies) =
        (Shared::<Vec<String>>::default(), Shared::<Vec<usize>>::default());
    for name in ["follower-A", "follower-B"] {
        let (node, acknowledged, replies) = (node.clone(), acknowledged.clone(), replies.clone());
        stage.actor(name, |actor| async move {
            let mut client = node.client(&actor, name);
            for number in 1..=3 {
                let thing = format!("{name}-{number}");
                match client.send::<Tally>(&key("all"), Add(thing.clone())).await {
                    Ok(told) => {
                        acknowledged.lock().push(thing);
                        replies.lock().push(told.reply);
                    }
                    Err(error) => unexpected(&error),
                }
            }
        });
    }
    let (stayer, told, said) = (node.clone(), acknowledged.clone(), replies.clone());
    stage.actor("stays", |actor| async move {
        let first = stayer.runtime().await.handle::<Tally>();
        for number in 1..=4 {
            let thing = format!("stays-{number}");
            let id = CommandId::new(&thing).expect("a short id");
            let world = actor.stage().world().clone();
            let key = key("all");
            let mut sent = pin!(first.send(&key, Add(thing.clone()), Meta::id(id)));
            let answered = select(sent.as_mut(), world.sleep(PAUSE * 2)).await;
            if let Either::Left((Ok(done), _)) = answered {
                actor.says(|| format!("is told that {thing} is version {}", done.version));
                told.lock().push(thing);
                said.lock().push(done.reply);
            } else {
                actor.says(|| "is told nothing".to_owned());
                actor.sleep(Millis::from_secs(5)).await;
            }
        }
    });
    stage.all_done().await;
    stage.world().sleep(Duration::from_secs(1)).await;
    let tally = node.state::<Tally>(&key("all")).await;
    if let Some(wrong) = tally.not_once(&acknowledged.get()) {
        stage.violation(wrong);
    }
    let mut places = replies.get();
    places.sort_unstable();
    let is_twice = places.windows(2).any(|pair| pair[0] == pair[1]);
    stage.check(!is_twice, || "two were told the same place".to_owned());
}
