//! A simulated machine that runs the shipping runtime: it may crash at any await, and starts again from its
//! disk; its clients send again with the same id until they have an answer.

use std::{sync::Arc, time::Duration};

use interlock_kernel::{
    entity::Entity,
    ids::{CommandId, Key},
    time::Millis,
};
use interlock_runtime::{
    Builder, Meta, Receipt, Runtime, SendError, View,
    env::{Access, Env, WatchReceiver, Witness, World, channel},
};

use crate::{
    disk::Disk,
    history::{Answered, History},
    stage::{Actor, Stage},
    world::Sim,
};

/// What may go wrong on a machine, and how often.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Faults {
    /// Crashes of the process.
    pub crashes: u32,
    /// Commits that are refused, or whose outcome is unknown.
    pub commits: u32,
    /// Requests or answers that are lost, each on the way of one client.
    pub messages: u32,
}

impl Faults {
    /// Nothing goes wrong.
    pub const NONE: Self = Self { crashes: 0, commits: 0, messages: 0 };
    /// One of each.
    pub const ONE: Self = Self { crashes: 1, commits: 1, messages: 1 };
}

/// A machine.
#[derive(Clone)]
pub struct Node {
    process: Sim,
    running: WatchReceiver<Option<Runtime>>,
    faults: Faults,
    history: History,
    /// The history, as the world knows it.
    told: u64,
    /// Whether it shares memory with nobody but through the world.
    is_apart: bool,
}

impl Node {
    /// Starts a runtime with what `build` adds to it, and again after each crash.
    pub fn start(
        stage: &Stage,
        faults: Faults,
        build: impl Fn(Builder) -> Builder + Send + Sync + 'static,
    ) -> Self {
        let world = stage.world();
        let process = world.process(faults.crashes);
        let disk = Disk::new(faults.commits);
        let (announce, running) = channel::watch(world.witness().as_ref(), None);
        let only_crashes = faults == Faults { crashes: faults.crashes, ..Faults::NONE };
        // Then it holds no handler that could reach into the scenario, and shares no count of faults.
        let is_apart = size_of_val(&build) == 0 && only_crashes;
        let announce = Arc::new(announce);
        let supervised = process.clone();
        let supervisor = async move {
            loop {
                let lives = supervised.crashes();
                let env = Env::new(supervised.clone(), Arc::new(disk.open(&supervised)));
                let (builder, announce) = (build(Builder::new(env)), announce.clone());
                let boot = {
                    let announce = announce.clone();
                    async move {
                        let runtime = builder.start().await.expect("the disk can be read");
                        announce.send_replace(Some(runtime));
                    }
                };
                supervised.spawn("boot", Box::pin(boot));
                supervised.crashed(lives).await;
                announce.send_replace(None);
            }
        };
        if is_apart {
            world.spawn_apart(Box::pin(supervisor));
        } else {
            world.spawn("supervisor", Box::pin(supervisor));
        }
        let told = process.object();
        Self { process, running, faults, history: History::default(), told, is_apart }
    }

    /// The runtime, once it runs.
    pub async fn runtime(&self) -> Runtime {
        if !self.is_apart {
            self.process.touches_anything();
        }
        let mut running = self.running.clone();
        let runtime = running.wait_for(Option::is_some).await.expect("it is supervised");
        runtime.clone().expect("it was waited for")
    }

    /// An entity's committed state.
    pub async fn state<E: Entity>(&self, key: &Key) -> E {
        loop {
            let handle = self.runtime().await.handle::<E>();
            match handle.view(key).await {
                Ok(view) => return E::clone(&view.state),
                // It crashes, or its disk fails: it will be there again.
                Err(_) => self.process.outside().sleep(Duration::from_millis(10)).await,
            }
        }
    }

    /// A client of this machine.
    #[must_use]
    pub fn client(&self, actor: &Actor, name: &str) -> Client {
        Client {
            node: self.clone(),
            actor: actor.clone(),
            name: name.to_owned(),
            sent: 0,
            faults_left: self.faults.messages,
        }
    }
}

/// Sends commands until they are answered.
pub struct Client {
    node: Node,
    actor: Actor,
    name: String,
    sent: u32,
    faults_left: u32,
}

impl Client {
    /// Sends a command, with the same id again and again, until there is an answer.
    ///
    /// # Errors
    /// The entity's own "no", and an entity that was closed or set aside.
    pub async fn send<E: Entity>(
        &mut self,
        key: &Key,
        command: E::Command,
    ) -> Result<Receipt<E::Reply>, SendError<E::Rejection>> {
        self.sent += 1;
        let (entity, history) = (format!("{}/{key}", E::TYPE), self.node.history.clone());
        self.node.process.touches(self.node.told, Access::Read);
        let newest = history.newest(&entity);
        let id = CommandId::new(&format!("{}-{}", self.name, self.sent)).expect("a short name");
        loop {
            let handle = self.node.runtime().await.handle::<E>();
            let (is_lost, answer_is_lost) = (self.is_lost(), self.is_lost());
            if is_lost {
                self.actor.says(|| format!("{}: the request is lost", E::command_name(&command)));
                continue;
            }
            let answer = handle.send(key, command.clone(), Meta::id(id.clone())).await;
            match answer {
                _ if answer_is_lost => {
                    self.actor
                        .says(|| format!("{}: the answer is lost", E::command_name(&command)));
                }
                Err(SendError::Busy | SendError::Stopping | SendError::Unavailable(_)) => {
                    self.actor.says(|| format!("{}: no answer", E::command_name(&command)));
                    self.actor.sleep(Millis(10)).await;
                }
                answer => {
                    if let Ok(Receipt { version, changed, replayed, .. }) = answer {
                        let answered = Answered { id: &id, version, changed, replayed };
                        // Of two answers the order does not show: each adds its own version.
                        self.node.process.touches(self.node.told, Access::Merge);
                        let told = history.answered(&entity, newest, answered);
                        told.unwrap_or_else(|wrong| self.actor.stage().violation(wrong));
                    }
                    return answer;
                }
            }
        }
    }

    /// Looks at an entity, again and again, until there is an answer.
    ///
    /// # Errors
    /// An entity that was set aside.
    pub async fn view<E: Entity>(&self, key: &Key) -> Result<View<E>, SendError<E::Rejection>> {
        loop {
            let handle = self.node.runtime().await.handle::<E>();
            match handle.view(key).await {
                Err(SendError::Busy | SendError::Stopping | SendError::Unavailable(_)) => {
                    self.actor.sleep(Millis(10)).await;
                }
                answer => return answer,
            }
        }
    }

    fn is_lost(&mut self) -> bool {
        let is_lost = self.faults_left > 0 && self.node.process.fault(1) == 1;
        self.faults_left -= u32::from(is_lost);
        is_lost
    }
}
