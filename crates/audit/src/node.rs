//! A simulated machine that runs the shipping runtime: it may crash at any await, pause, or be replaced by a
//! second process on the same store; it starts again from its disk. Its clients send again with the same id
//! until they have an answer, over a network that loses, delays, doubles and reorders.
//!
//! When a run has ended, everything that clients were told is compared with what the disk holds
//! ([`crate::history`]), and what handlers have done with what they were to do ([`crate::bus`]).

mod end;
mod shown;
#[cfg(test)]
#[cfg(feature = "races")]
mod tests;

use std::{future::Future, pin::pin, sync::Arc, time::Duration};

use futures_util::future::{Either, select};
use interlock_kernel::{
    entity::Entity,
    ids::{CommandId, Key},
};
use interlock_runtime::{
    Builder, Meta, Receipt, Runtime, SendError, View,
    dispatch::dead::Letter,
    env::{Env, WatchReceiver, WatchSender, Witness, World, channel},
};

use self::end::{End, handled};
pub use crate::faults::Faults;
use crate::{
    bus::Bus,
    coverage,
    disk::Disk,
    faults::{LATE, LOSSES, Loss, Luck, PATIENCE},
    history::{Asked, History},
    stage::{Actor, Stage},
    watch::Watch,
    world::Sim,
};

/// The pause after an answer that is none, at first and at most.
const RETRY: (Duration, Duration) = (Duration::from_millis(10), Duration::from_secs(1));

/// What came of a command.
type Answer<E> = Result<Receipt<<E as Entity>::Reply>, SendError<<E as Entity>::Rejection>>;

/// A machine.
#[derive(Clone)]
pub struct Node {
    world: Sim,
    seat: WatchReceiver<Seat>,
    faults: Faults,
    history: History,
    watch: Watch,
    /// Whether it shares memory with nobody but through the world.
    is_apart: bool,
}

/// Which process is the one to talk to.
#[derive(Clone, Default)]
struct Seat {
    /// Grows with every start.
    term: u64,
    /// Once it runs.
    runtime: Option<Runtime>,
}

impl Node {
    /// Starts a runtime with what `build` adds to it, and again after each crash.
    pub fn start(
        stage: &Stage,
        faults: Faults,
        build: impl Fn(Builder) -> Builder + Send + Sync + 'static,
    ) -> Self {
        let world = stage.world().outside();
        let only_crashes = faults == Faults { crashes: faults.crashes, ..Faults::NONE };
        // Then it holds no handler that could reach into the scenario, and shares no count of faults.
        let is_apart = size_of_val(&build) == 0 && only_crashes;
        let disk = Disk::new(&world, faults);
        let history = History::new(&world);
        let (announce, seat) = channel::watch(world.witness().as_ref(), Seat::default());
        let watch = Watch::new(&world);
        let announce = Arc::new(announce);
        let supervisor = Supervisor { disk, build, announce, watch: watch.clone(), is_apart };
        let builder = (supervisor.build)(Builder::new(supervisor.env(&world)));
        let codecs = builder.codecs();
        let (shown, types) = (supervisor.disk.clone(), codecs.clone());
        stage.show_unless_told(move || shown::committed(&shown, &types));
        let bus = Bus::new(builder.reactions(), codecs.clone()).map(Arc::new);
        if let Some(bus) = bus.clone() {
            stage.afterwards(handled(stage.clone(), bus, supervisor.disk.clone()));
        }
        let end = End {
            disk: supervisor.disk.clone(),
            history: history.clone(),
            watch: watch.clone(),
            codecs,
            bus,
        };
        stage.cross_check(move || end.settle());
        let process = stage.world().process(faults.crashes);
        let supervisor = Box::pin(supervisor.run(process));
        if is_apart {
            world.spawn_apart("supervisor", supervisor);
        } else {
            world.spawn("supervisor", supervisor);
        }
        Self { world, seat, faults, history, watch, is_apart }
    }

    async fn seat(&self) -> (u64, Runtime) {
        if !self.is_apart {
            self.world.touches_anything();
        }
        let mut seat = self.seat.clone();
        let taken = seat.wait_for(|seat| seat.runtime.is_some()).await;
        let Seat { term, runtime } = taken.expect("it is supervised").clone();
        (term, runtime.expect("it was waited for"))
    }

    /// The runtime, once it runs.
    pub async fn runtime(&self) -> Runtime {
        self.seat().await.1
    }

    /// Waits for an answer of a process; `None`: another has its place, and it was waited for long enough.
    async fn unless_replaced<T>(&self, term: u64, answer: impl Future<Output = T>) -> Option<T> {
        if self.faults.takeovers == 0 {
            // A crash takes the answer with it, which is noticed.
            return Some(answer.await);
        }
        let mut seat = self.seat.clone();
        let replaced = pin!(async {
            seat.wait_for(|seat| seat.term > term).await.expect("it is supervised");
            self.world.sleep(PATIENCE).await;
        });
        match select(pin!(answer), replaced).await {
            Either::Left((answer, _)) => Some(answer),
            Either::Right(_) => None,
        }
    }

    /// An entity's committed state.
    pub async fn state<E: Entity>(&self, key: &Key) -> E {
        coverage::entity::<E>();
        loop {
            if let Some(Ok(view)) = self.look::<E>(key).await {
                return E::clone(&view.state);
            }
            // It crashes, or its disk fails: it will be there again.
            self.world.sleep(RETRY.0).await;
        }
    }

    async fn look<E: Entity>(&self, key: &Key) -> Option<Result<View<E>, SendError<E::Rejection>>> {
        let (term, runtime) = self.seat().await;
        let handle = runtime.handle::<E>();
        self.unless_replaced(term, handle.view(key)).await
    }

    /// Has a parked entity's records handled again. False: it was refused, or nobody answers.
    pub async fn retry_dead_letter(&self, letter: &Letter) -> bool {
        let (term, runtime) = self.seat().await;
        let answer = runtime.retry_dead_letter(&letter.entity, &letter.key);
        self.unless_replaced(term, answer).await.is_some_and(|answer| answer.is_ok())
    }

    /// Takes a command to the process that is the one to talk to, and its answer back.
    async fn deliver<E: Entity>(&self, asked: &Asked<E>, stage: &Stage) -> Answer<E> {
        let (term, runtime) = self.seat().await;
        let handle = runtime.handle::<E>();
        let sent = self.history.sent();
        let meta = Meta::id(asked.id.clone());
        let answer = handle.send(&asked.key, asked.command.clone(), meta);
        let answer = self.unless_replaced(term, answer).await.unwrap_or(Err(SendError::Busy));
        self.watch.answered(E::TYPE, (&asked.key, &asked.id), &answer);
        let told = self.history.answered(asked, sent, &answer);
        told.unwrap_or_else(|wrong| stage.violation(wrong));
        answer
    }

    /// A client of this machine.
    #[must_use]
    pub fn client(&self, actor: &Actor, name: &str) -> Client {
        let messages = Faults { messages: self.faults.messages, ..Faults::NONE };
        Client {
            node: self.clone(),
            actor: actor.clone(),
            name: name.to_owned(),
            sent: 0,
            luck: Luck::new(&self.world, messages),
        }
    }
}

/// Starts processes, one after the other.
struct Supervisor<B> {
    disk: Disk,
    build: B,
    announce: Arc<WatchSender<Seat>>,
    watch: Watch,
    /// Whether the processes share no memory with it, nor with each other.
    is_apart: bool,
}

impl<B: Fn(Builder) -> Builder> Supervisor<B> {
    fn env(&self, process: &Sim) -> Env {
        let env = Env::new(process.clone(), Arc::new(self.disk.open(process)));
        env.observed_by(self.watch.process(&self.disk))
    }

    async fn run(self, mut process: Sim) {
        let mut replaced = self.disk.replaced();
        for term in 1.. {
            self.announce.send_replace(Seat { term, runtime: None });
            let lives = process.crashes();
            self.boot(&process, term);
            let is_replaced = {
                let crashed = pin!(process.crashed(lives));
                matches!(select(crashed, pin!(replaced.changed())).await, Either::Right(_))
            };
            if is_replaced {
                // The old one comes back from its pause, and is nobody's to start again.
                process = process.process(0);
            } else {
                self.disk.crashed();
            }
        }
    }

    /// Lets a process start a runtime, again and again while it cannot.
    fn boot(&self, process: &Sim, term: u64) {
        let first = (self.build)(Builder::new(self.env(process)));
        let announce = self.announce.clone();
        let boots = Box::pin(async move {
            match first.start().await {
                Ok(runtime) => {
                    announce.send_if_modified(|seat| {
                        let is_its = seat.term == term;
                        if is_its {
                            seat.runtime = Some(runtime);
                        }
                        is_its
                    });
                }
                Err(error) => {
                    let is_shut_out = announce.borrow().term != term;
                    assert!(is_shut_out, "the disk can be read: {error}");
                }
            }
        });
        if self.is_apart {
            process.spawn_apart("boot", boots);
        } else {
            process.spawn("boot", boots);
        }
    }
}

/// Sends commands until they are answered.
pub struct Client {
    node: Node,
    actor: Actor,
    name: String,
    sent: u32,
    luck: Luck,
}

impl Client {
    /// Sends a command, with the same id again and again, until there is an answer.
    ///
    /// # Errors
    /// The entity's own "no", and an entity that was closed or set aside.
    pub async fn send<E: Entity>(&mut self, key: &Key, command: E::Command) -> Answer<E> {
        self.sent += 1;
        coverage::entity::<E>();
        let id = CommandId::new(&format!("{}-{}", self.name, self.sent)).expect("a short name");
        let asked = self.node.history.asked::<E>(key, id, command);
        let mut pause = RETRY.0;
        loop {
            let loss = self.luck.strikes(&LOSSES);
            if let Some(loss) = loss {
                self.tells(&asked, loss);
            }
            match loss {
                Some(Loss::Request) => self.node.world.sleep(PATIENCE).await,
                Some(Loss::Late) => {
                    self.comes_after(LATE, &asked);
                    self.node.world.sleep(PATIENCE).await;
                }
                Some(Loss::Impatience) => self.comes_after(Duration::ZERO, &asked),
                Some(Loss::Answer) => {
                    // Whatever it was: it is not heard.
                    let _ = self.node.deliver(&asked, self.actor.stage()).await;
                }
                Some(Loss::Twice) | None => {
                    if loss.is_some() {
                        self.comes_after(LATE, &asked);
                    }
                    match self.node.deliver(&asked, self.actor.stage()).await {
                        Err(SendError::Busy | SendError::Stopping | SendError::Unavailable(_)) => {
                            let name = E::command_name(&asked.command);
                            self.actor.says(|| format!("{name}: no answer"));
                            self.node.world.sleep(pause).await;
                            pause = RETRY.1.min(pause * 2);
                        }
                        answer => return answer,
                    }
                }
            }
        }
    }

    fn tells<E: Entity>(&self, asked: &Asked<E>, loss: Loss) {
        let what = match loss {
            Loss::Request => "the request is lost",
            Loss::Answer => "the answer is lost",
            Loss::Late => "the request is late",
            Loss::Twice => "the request comes twice",
            Loss::Impatience => "does not wait",
        };
        self.actor.says(|| format!("{}: {what}", E::command_name(&asked.command)));
    }

    /// Lets a request arrive so much later, for nobody who waits.
    fn comes_after<E: Entity>(&self, late: Duration, asked: &Asked<E>) {
        let (node, asked) = (self.node.clone(), asked.clone());
        let stage = self.actor.stage().clone();
        let courier = async move {
            if !late.is_zero() {
                node.world.sleep(late).await;
            }
            // Nobody hears the answer; the history does.
            let _ = node.deliver(&asked, &stage).await;
        };
        self.node.world.spawn("courier", Box::pin(courier));
    }

    /// Looks at an entity, again and again, until there is an answer.
    ///
    /// # Errors
    /// An entity that was set aside.
    pub async fn view<E: Entity>(&self, key: &Key) -> Result<View<E>, SendError<E::Rejection>> {
        loop {
            match self.node.look::<E>(key).await {
                None
                | Some(Err(SendError::Busy | SendError::Stopping | SendError::Unavailable(_))) => {
                    self.node.world.sleep(RETRY.0).await;
                }
                Some(answer) => return answer,
            }
        }
    }
}
