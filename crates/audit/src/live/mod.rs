//! The real binary: driven over HTTP by several clients that use all six primitives, killed with -9 at moments that
//! nobody knows, also while it starts, restarted at once, again and again. What its clients saw and what it kept make
//! a history, for [`crate::check`].

#![allow(clippy::disallowed_methods)] // nothing here is simulated

mod calls;
mod client;
mod player;
mod server;

use std::{
    collections::BTreeSet,
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc,
    },
    thread,
    time::{Duration, Instant, SystemTime},
};

use interlock_kernel::time::{Millis, Time};

use self::{calls::Call, client::Client, player::Player, server::Server};
use crate::{
    check::{Event, Kept, Request},
    world::mix,
};

/// How long a round lasts before the kill, in microseconds: at least, and by how much more at most.
const ROUND_US: (u64, u64) = (5_000, 60_000);
/// One start of so many is killed before anybody has used it.
const STILLBORN: u64 = 4;
/// One answer of so many is asked for again.
const REPEATS: u64 = 8;

/// What is done.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The program: `interlock`.
    pub program: PathBuf,
    /// How often it is killed.
    pub rounds: u64,
    /// Clients at once.
    pub clients: u64,
    /// The seed of the moments.
    pub seed: u64,
}

/// A client, with what it has asked and not heard the answer to: that is sent again, with the same id.
struct Asker {
    player: Player,
    open: Option<(Call, String)>,
}

/// Drives, kills and restarts a program that keeps its data in a folder, and returns the history.
///
/// # Errors
/// When the program cannot be started, or does not answer although it runs.
pub fn record(plan: &Plan, data: &Path) -> io::Result<Vec<Event>> {
    let recorder = Recorder::new()?;
    let Plan { program, clients, seed, .. } = plan;
    // The same port every time: a restart must not wait for the old one's connections.
    let listen = Server::start(program, data, "127.0.0.1:0")?.listens()?.to_string();
    let asker = |number| Asker { player: Player::new(number, *clients, *seed), open: None };
    let mut askers: Vec<Asker> = (0..*clients).map(asker).collect();
    for round in 0..plan.rounds {
        let moment = |salt| {
            let us = ROUND_US.0 + mix(seed ^ mix(round ^ salt)) % ROUND_US.1;
            Duration::from_micros(us)
        };
        if mix(seed ^ round).is_multiple_of(STILLBORN) {
            let server = Server::start(program, data, &listen)?;
            pause(moment(1 << 32));
            drop(server);
        }
        let mut server = Server::start(program, data, &listen)?;
        let address = server.listens()?;
        recorder.round((server, address), &mut askers, moment(0));
    }
    let mut server = Server::start(program, data, &listen)?;
    let mut history = recorder.history.into_inner().unwrap_or_else(PoisonError::into_inner);
    let kept = timelines(server.listens()?, &history)?;
    history.extend(kept.into_iter().map(Event::Kept));
    Ok(history)
}

/// Lets a while pass: waiting is what is tried here, and nobody ever sends.
fn pause(span: Duration) {
    let (_never, pause) = mpsc::channel::<()>();
    let _ = pause.recv_timeout(span);
}

/// What the clients do and see, on one clock.
struct Recorder {
    began: Instant,
    /// The wall clock then.
    began_at: Time,
    history: Mutex<Vec<Event>>,
    next: AtomicU64,
}

impl Recorder {
    fn new() -> io::Result<Self> {
        let wall = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let wall = wall.map_err(io::Error::other)?.as_millis();
        let began_at = Time(u64::try_from(wall).map_err(io::Error::other)?);
        let (began, history, next) = (Instant::now(), Mutex::default(), AtomicU64::new(0));
        Ok(Self { began, began_at, history, next })
    }

    /// Load for a while, then the kill.
    fn round(
        &self,
        (server, address): (Server, SocketAddr),
        askers: &mut [Asker],
        moment: Duration,
    ) {
        let stop = AtomicBool::new(false);
        thread::scope(|scope| {
            let clients = askers.len();
            let (began, begun) = mpsc::channel();
            for asker in askers {
                let (stop, began) = (&stop, began.clone());
                scope.spawn(move || {
                    // Whoever waits for it lives as long as this thread.
                    let _ = began.send(());
                    self.asks(address, asker, stop);
                });
            }
            begun.iter().take(clients).count();
            pause(moment);
            drop(server);
            stop.store(true, Ordering::Relaxed);
        });
    }

    /// Asks until the connection breaks; what is left without an answer is asked again, with the same id, after
    /// the restart. Some of what is answered is, too.
    fn asks(&self, address: SocketAddr, asker: &mut Asker, stop: &AtomicBool) {
        let Ok(mut client) = Client::connect(address) else { return };
        while !stop.load(Ordering::Relaxed) {
            let (call, id) = asker.open.take().unwrap_or_else(|| {
                let number = self.next.fetch_add(1, Ordering::Relaxed);
                (asker.player.next(), format!("op-{number}"))
            });
            if !self.sends(&mut client, &call, &id, &mut asker.player) {
                asker.open = Some((call, id));
                return;
            }
            if asker.player.below(REPEATS) == 0 {
                asker.open = Some((call, id));
            }
        }
    }

    /// Sends a command and notes what comes of it. Whether there was an answer.
    fn sends(&self, client: &mut Client, call: &Call, id: &str, player: &mut Player) -> bool {
        let start_us = self.now_us();
        let answer = client.send(call, id).ok();
        let mut request = Request {
            entity: call.entity.clone(),
            id: id.to_owned(),
            start_us,
            command: Some(call.command.clone()),
            at: Some(self.began_at + Millis(start_us / 1_000)),
            ..Request::default()
        };
        let answered = answer.is_some();
        if let Some(answer) = answer {
            player.learns(call, answer.status, &answer.body);
            request.end_us = Some(self.now_us());
            request.status = Some(answer.status);
            request.replayed = Some(answer.replayed);
            request.body = Some(answer.body);
        }
        let history = self.history.lock();
        history.unwrap_or_else(PoisonError::into_inner).push(Event::Request(request));
        answered
    }

    fn now_us(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_micros()).unwrap_or(u64::MAX)
    }
}

/// Everything that the server kept of the entities that were asked something, each entity's oldest first.
fn timelines(address: SocketAddr, history: &[Event]) -> io::Result<Vec<Kept>> {
    let mut client = Client::connect(address)?;
    let asked = history.iter().filter_map(|event| match event {
        Event::Request(request) => Some(request.entity.as_str()),
        Event::Kept(_) => None,
    });
    let mut kept = Vec::new();
    for entity in BTreeSet::from_iter(asked) {
        let (mut newest_first, mut before) = (Vec::new(), String::new());
        loop {
            let page =
                client.get(&format!("/api/v1/entities/{entity}/timeline?limit=200{before}"))?;
            // Nothing came of whatever it was asked.
            if page.status == 404 {
                break;
            }
            let entries = page.body["entries"].as_array();
            let entries = entries.ok_or_else(|| {
                io::Error::other(format!("{entity} has no timeline: {}", page.body))
            })?;
            for entry in entries {
                let one = Kept::from_entry(entity, entry);
                newest_first.push(one.ok_or_else(|| {
                    io::Error::other(format!("{entity} has a strange timeline: {entry}"))
                })?);
            }
            match page.body["next"].as_str() {
                Some(next) => before = format!("&before={next}"),
                None => break,
            }
        }
        kept.extend(newest_first.into_iter().rev());
    }
    Ok(kept)
}
