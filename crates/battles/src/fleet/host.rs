//! Hosting: a process that plays for every run whose [`Fleet`](fleet::Fleet) says that somebody should.
//!
//! One task looks after all hosted fleets. It looks once at all that are to play, and then at those whose bell
//! rings: phase 2 of every event of a fleet rings it. What is wanted and does not play is started, what plays and is
//! to end is slowed. So it makes no difference whether the process died before, between or after.
//!
//! A run for which the process plays by itself is left alone.
//!
//! Whoever drops the [`Host`] cuts all hosted fleets off. They go on, with all that was in play, when the next
//! process hosts them.

use std::{collections::BTreeMap, env, fmt::Display, time::Duration};

use interlock_kernel::{
    ids::{CommandId, Key},
    time::Time,
};
use interlock_runtime::{Handle, Meta, Runtime};
use tokio::{
    task::{self, JoinError, JoinHandle, JoinSet},
    time::sleep,
};

use super::{Brake, Fleet, FleetError, FleetSettings, Fleets, counter::Counter, session::Stage};
use crate::{
    domain::fleet::{self, Crew, FleetCommand, Orders, Secret, Wanted},
    history,
    io::{Account, PUBLIC_LOGIN, Password, Settings},
    limits,
};

/// What the variables of the environment are called that hold passwords: no others are read.
pub const PASSWORD_VARIABLE: &str = "INTERLOCK_SHOWDOWN_PASSWORD";
/// The variable that says where these passwords are proved, if that is not the public login service.
pub const LOGIN_VARIABLE: &str = "INTERLOCK_SHOWDOWN_LOGIN_URL";

/// Hosts fleets until it is dropped.
pub struct Host {
    fleets: Fleets,
    keeper: JoinHandle<()>,
}

impl Host {
    /// Goes on with what is to play on this runtime, and with whatever is started from now on.
    #[must_use]
    pub fn start(fleets: Fleets, runtime: &Runtime) -> Self {
        fleets.set_hosting(true);
        let keeper = Keeper {
            fleets: fleets.clone(),
            orders: runtime.handle(),
            runtime: runtime.clone(),
            hands: JoinSet::new(),
            playing: BTreeMap::new(),
        };
        Self { fleets, keeper: tokio::spawn(keeper.serve()) }
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.fleets.set_hosting(false);
        self.keeper.abort();
    }
}

/// The task that looks after all of them.
struct Keeper {
    fleets: Fleets,
    orders: Handle<fleet::Fleet>,
    runtime: Runtime,
    hands: JoinSet<Result<(), FleetError>>,
    playing: BTreeMap<Key, Playing>,
}

struct Playing {
    brake: Brake,
    hand: task::Id,
    /// See [`Orders::started`].
    started: Time,
}

impl Keeper {
    async fn serve(mut self) {
        let runtime = self.runtime.clone();
        let known = patiently(|| history::fleets(&runtime)).await;
        known.iter().for_each(|run| self.fleets.ring(run));
        loop {
            tokio::select! {
                run = self.fleets.rung() => self.look(run).await,
                Some(done) = self.hands.join_next_with_id() => self.over(done).await,
            }
        }
    }

    /// Makes what is done what is wanted.
    async fn look(&mut self, run: Key) {
        let view = patiently(|| self.orders.view(&run)).await;
        let Some(orders) = view.state.orders().filter(|orders| orders.over.is_none()) else {
            return;
        };
        match self.playing.get(&run) {
            Some(playing) => playing.brake.obey(orders.wanted),
            None if self.fleets.own(&run).is_some() => {}
            None => self.begin(run, orders),
        }
    }

    fn begin(&mut self, run: Key, orders: &Orders) {
        let brake = Brake::default();
        brake.obey(orders.wanted);
        let counter = Counter::new(&self.runtime, run.clone());
        let seed = self.runtime.env().random();
        let (fleets, crew) = (self.fleets.clone(), orders.crew.clone());
        let pulled = brake.clone();
        let work = async move {
            let told = fleets.passwords().await;
            let settings = settings(&fleets, counter.run(), &crew, seed)?;
            drop(told);
            play(&fleets, counter, settings, pulled).await
        };
        let hand = self.hands.spawn(work).id();
        self.playing.insert(run, Playing { brake, hand, started: orders.started });
    }

    /// A fleet is over, and is said to be.
    async fn over(&mut self, done: Result<(task::Id, Result<(), FleetError>), JoinError>) {
        let (hand, ended) = match done {
            Ok((hand, ended)) => (hand, ended),
            Err(error) => (error.id(), Err(FleetError::Panicked(error))),
        };
        let known = self.playing.iter().find(|(_, playing)| playing.hand == hand);
        let (run, playing) = known.expect("who plays is known");
        let (run, started) = (run.clone(), playing.started);
        let trouble = ended.err().map(|error| error.to_string());
        if let Some(trouble) = &trouble {
            tracing::error!(%run, trouble, "a fleet stops");
        }
        let end = FleetCommand::End { started, trouble };
        // Said once more because nobody answered, it must not end a fleet that was started meanwhile.
        let id = CommandId::new(&format!("end-{:016x}", self.runtime.env().random()));
        let meta = Meta::id(id.expect("letters, digits and a hyphen"));
        patiently(|| self.orders.send(&run, end.clone(), meta.clone())).await;
        self.fleets.note(&run, None);
        self.playing.remove(&run);
        // It may have been started anew, or asked for once more, meanwhile.
        self.fleets.ring(&run);
    }
}

impl Brake {
    fn obey(&self, wanted: Wanted) {
        match wanted {
            Wanted::Playing => {}
            Wanted::Draining => self.drain(),
            Wanted::Forfeiting => self.forfeit(),
        }
    }
}

/// Does something until it is done: the store may be full, or slow.
async fn patiently<T, E: Display, F: Future<Output = Result<T, E>>>(ask: impl Fn() -> F) -> T {
    let mut pause = limits::FIRST_RECONNECT_PAUSE;
    loop {
        match ask().await {
            Ok(done) => return done,
            Err(error) => tracing::warn!(%error, "the fleets wait for the store"),
        }
        sleep(pause).await;
        pause = longer(pause);
    }
}

fn longer(pause: Duration) -> Duration {
    (pause * 2).min(limits::LONGEST_RECONNECT_PAUSE)
}

/// Plays until nothing is left to do. A server that is not there yet is waited for.
async fn play(
    fleets: &Fleets,
    counter: Counter,
    settings: FleetSettings,
    brake: Brake,
) -> Result<(), FleetError> {
    let run = counter.run().clone();
    let (mut pause, mut stage) = (limits::FIRST_RECONNECT_PAUSE, brake.0.subscribe());
    let fleet = loop {
        let error = match Fleet::start_with(counter.clone(), settings.clone(), brake.clone()).await
        {
            Err(FleetError::Connect(error)) if error.may_pass() => error,
            started => break started?,
        };
        tracing::warn!(%run, %error, "a fleet cannot play yet");
        fleets.note_trouble(&run, error.to_string());
        tokio::select! {
            () = sleep(pause) => pause = longer(pause),
            // Who gives up what is in play need not find it first.
            _ = stage.wait_for(|stage| *stage == Stage::Forfeiting) => return Err(error.into()),
        }
    };
    fleets.note(&run, Some(fleet.tracker()));
    fleet.ended().await.map(|_| ())
}

fn settings(
    fleets: &Fleets,
    run: &Key,
    crew: &Crew,
    seed: u64,
) -> Result<FleetSettings, FleetError> {
    let proof = proof(&crew.secret, || fleets.password(run))?;
    let account = |name: &String| match &proof {
        None => Account::unregistered(name.clone()),
        Some((password, login_url)) => Account::Registered {
            name: name.clone(),
            password: password.clone(),
            login_url: login_url.clone(),
        },
    };
    Ok(FleetSettings {
        server: crew.server.clone(),
        accounts: crew.usernames.iter().map(account).collect(),
        workers: crew.workers.clone(),
        teams: crew.teams.clone(),
        playing: Settings::of(crew.player, fleets.thinkers(), seed),
        partner: None,
        folder: fleets.folder(run),
        save: crew.save_replay,
    })
}

/// The password, and where it is proved; `None` where none is needed.
fn proof(
    secret: &Secret,
    remembered: impl FnOnce() -> Option<Password>,
) -> Result<Option<(Password, String)>, FleetError> {
    let or_public = |url: Option<String>| url.unwrap_or_else(|| PUBLIC_LOGIN.to_owned());
    Ok(match secret {
        Secret::None => None,
        Secret::Memory { login_url } => {
            let password = remembered().ok_or(FleetError::Forgotten)?;
            Some((password, or_public(login_url.clone())))
        }
        Secret::Environment(variable) => {
            let missing = |_| FleetError::NoVariable(variable.clone());
            let password = env::var(variable).map_err(missing)?;
            Some((Password::new(password), or_public(env::var(LOGIN_VARIABLE).ok())))
        }
    })
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, path::Path, sync::Arc};

    use interlock_kernel::ids::Worker;
    use interlock_runtime::{
        Builder,
        env::{Env, tokio::Tokio},
        store::memory::MemoryStore,
    };

    use super::*;
    use crate::domain::{
        contestant::Contestant,
        fleet::{FleetReply, SaveReplay},
    };

    fn crew() -> Crew {
        Crew {
            server: Some("ws://127.0.0.1:1/".to_owned()),
            usernames: vec!["a".to_owned()],
            secret: Secret::None,
            workers: vec![Worker::new("w0").unwrap()],
            teams: Vec::new(),
            player: Contestant::Random,
            save_replay: SaveReplay::Never,
        }
    }

    async fn runtime(fleets: &Fleets) -> Runtime {
        let env = Env::new(Tokio::current(), Arc::new(MemoryStore::new()));
        crate::register(Builder::new(env), fleets).start().await.unwrap()
    }

    /// Starts a fleet. Its bell rings.
    async fn start(runtime: &Runtime, fleets: &Fleets, run: &Key) -> FleetReply {
        let orders = runtime.handle::<fleet::Fleet>();
        let sent = orders.send(run, FleetCommand::Start(crew()), Meta::default()).await;
        assert_eq!(fleets.rung().await, *run);
        sent.unwrap().reply
    }

    /// Somebody who looks after a fleet that was started and has nothing left to play.
    async fn keeper(runtime: &Runtime, fleets: &Fleets, run: &Key) -> Keeper {
        let mut hands = JoinSet::new();
        let hand = hands.spawn(async { Ok(()) }).id();
        let orders = runtime.handle::<fleet::Fleet>();
        let started = orders.view(run).await.unwrap().state.orders().unwrap().started;
        let playing = Playing { brake: Brake::default(), hand, started };
        Keeper {
            fleets: fleets.clone(),
            orders,
            runtime: runtime.clone(),
            hands,
            playing: BTreeMap::from([(run.clone(), playing)]),
        }
    }

    #[tokio::test]
    async fn a_fleet_that_is_asked_for_while_it_runs_out_of_battles_is_begun_once_more() {
        let (fleets, run) = (Fleets::new(Path::new("")), Key::new("night").unwrap());
        let runtime = runtime(&fleets).await;
        assert_eq!(start(&runtime, &fleets, &run).await, FleetReply::Started { anew: true });
        let mut keeper = keeper(&runtime, &fleets, &run).await;
        let done = keeper.hands.join_next_with_id().await.unwrap();
        assert_eq!(start(&runtime, &fleets, &run).await, FleetReply::Started { anew: false });
        keeper.over(done).await;
        assert_eq!(keeper.orders.view(&run).await.unwrap().state.orders().unwrap().over, None);
        let rung = fleets.rung().await;
        keeper.look(rung).await;
        assert!(keeper.playing.contains_key(&run), "it plays again");
    }

    /// Else its end, said once more, would be that of a fleet that was started since.
    #[tokio::test]
    async fn the_end_of_a_fleet_is_a_command_with_an_id_of_its_own() {
        let (fleets, run) = (Fleets::new(Path::new("")), Key::new("night").unwrap());
        let runtime = runtime(&fleets).await;
        for _ in 0..2 {
            start(&runtime, &fleets, &run).await;
            let mut keeper = keeper(&runtime, &fleets, &run).await;
            let done = keeper.hands.join_next_with_id().await.unwrap();
            keeper.over(done).await;
            fleets.rung().await;
        }
        let timeline = runtime.timeline("fleet", &run, None, 10).await.unwrap().unwrap();
        let ends = timeline.entries.into_iter().filter(|entry| entry.command == "end");
        let ids: BTreeSet<String> = ends.map(|entry| entry.id).collect();
        assert!(ids.len() == 2 && ids.iter().all(|id| id.starts_with("end-")), "{ids:?}");
    }
}
