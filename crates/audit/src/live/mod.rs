//! The real binary: driven over HTTP by several clients, killed with -9 at moments that nobody knows, restarted
//! at once, again and again. What its clients saw and what it kept make a history, for [`crate::check`].

#![allow(clippy::disallowed_methods)] // nothing here is simulated

mod client;
mod server;

use std::{
    collections::BTreeMap,
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};

use serde_json::json;

use self::{client::Client, server::Server};
use crate::{
    check::{Event, Kept, Request},
    world::mix,
};

/// Quotas that the clients claim from.
const QUOTAS: u64 = 8;
/// How long a round lasts before the kill, in microseconds: at least, and by how much more at most.
const ROUND_US: (u64, u64) = (5_000, 60_000);

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

/// A request that has no answer yet: to be sent again, with the same id.
type Open = Option<(u64, String)>;

/// Drives, kills and restarts a program that keeps its data in a folder, and returns the history.
///
/// # Errors
/// When the program cannot be started, or does not answer although it runs.
pub fn record(plan: &Plan, data: &Path) -> io::Result<Vec<Event>> {
    let recorder = Recorder::default();
    let server = Server::start(&plan.program, data, "127.0.0.1:0")?;
    // The same port every time: a restart must not wait for the old one's connections.
    let listen = server.address.to_string();
    let mut client = Client::connect(server.address)?;
    for quota in 0..QUOTAS {
        let body = r#"{"limit":"unlimited","claim_ttl_ms":604800000}"#;
        let put = client.send("PUT", &format!("/api/v1/quotas/q{quota}"), "put", body)?;
        if put.status != 201 {
            return Err(io::Error::other(format!("a quota cannot be made: {}", put.body)));
        }
    }
    drop(server);
    let mut open: Vec<Open> = (0..plan.clients).map(|_| None).collect();
    for round in 0..plan.rounds {
        let server = Server::start(&plan.program, data, &listen)?;
        let moment = ROUND_US.0 + mix(plan.seed ^ mix(round)) % ROUND_US.1;
        recorder.round(server, &mut open, Duration::from_micros(moment));
    }
    let server = Server::start(&plan.program, data, &listen)?;
    let kept = timelines(server.address)?;
    let mut history = recorder.history.into_inner().unwrap_or_else(PoisonError::into_inner);
    history.extend(kept.into_iter().map(Event::Kept));
    Ok(history)
}

/// What the clients do and see, on one clock.
struct Recorder {
    began: Instant,
    history: Mutex<Vec<Event>>,
    next: AtomicU64,
}

impl Default for Recorder {
    fn default() -> Self {
        Self { began: Instant::now(), history: Mutex::default(), next: AtomicU64::new(0) }
    }
}

impl Recorder {
    /// Load for a while, then the kill.
    fn round(&self, server: Server, open: &mut [Open], moment: Duration) {
        let (stop, address) = (AtomicBool::new(false), server.address);
        thread::scope(|scope| {
            let clients = open.len();
            let (began, begun) = mpsc::channel();
            for (worker, open) in (0..).zip(open) {
                let (stop, began) = (&stop, began.clone());
                scope.spawn(move || {
                    // Whoever waits for it lives as long as this thread.
                    let _ = began.send(());
                    self.claim(address, worker, open, stop);
                });
            }
            begun.iter().take(clients).count();
            // Waiting is what is tried here: nobody ever sends.
            let (_never, pause) = mpsc::channel::<()>();
            let _ = pause.recv_timeout(moment);
            drop(server);
            stop.store(true, Ordering::Relaxed);
        });
    }

    /// Claims until the connection breaks; what is left without an answer is asked again, with the same id,
    /// after the restart.
    fn claim(&self, address: SocketAddr, worker: u64, open: &mut Open, stop: &AtomicBool) {
        let Ok(mut client) = Client::connect(address) else { return };
        while !stop.load(Ordering::Relaxed) {
            let (quota, id) = open.take().unwrap_or_else(|| {
                let number = self.next.fetch_add(1, Ordering::Relaxed);
                (number % QUOTAS, format!("op-{number}"))
            });
            let start_us = self.now_us();
            let path = format!("/api/v1/quotas/q{quota}/claims");
            let body = json!({"worker": format!("w{worker}")}).to_string();
            let answer = client.send("POST", &path, &id, &body).ok();
            let entity = format!("quota/q{quota}");
            let mut request = Request { entity, id: id.clone(), start_us, ..Request::default() };
            let answered = answer.is_some();
            if let Some(answer) = answer {
                request.end_us = Some(self.now_us());
                request.status = Some(answer.status);
                request.replayed = Some(answer.replayed);
                request.body = Some(answer.body);
            } else {
                *open = Some((quota, id));
            }
            let history = self.history.lock();
            history.unwrap_or_else(PoisonError::into_inner).push(Event::Request(request));
            if !answered {
                return;
            }
        }
    }

    fn now_us(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_micros()).unwrap_or(u64::MAX)
    }
}

/// Everything that the server kept of the quotas.
fn timelines(address: SocketAddr) -> io::Result<Vec<Kept>> {
    let mut client = Client::connect(address)?;
    let mut kept = BTreeMap::new();
    for quota in 0..QUOTAS {
        let entity = format!("quota/q{quota}");
        let mut before = String::new();
        loop {
            let path = format!("/api/v1/entities/{entity}/timeline?limit=200{before}");
            let page = client.send("GET", &path, "", "")?;
            let broken = || io::Error::other(format!("no timeline: {}", page.body));
            for entry in page.body["entries"].as_array().ok_or_else(broken)? {
                let id = entry["id"].as_str().ok_or_else(broken)?.to_owned();
                let version = entry["version"].as_u64().ok_or_else(broken)?;
                let one = Kept { entity: entity.clone(), id, version };
                kept.insert((quota, version, kept.len()), one);
            }
            match page.body["next"].as_str() {
                Some(next) => before = format!("&before={next}"),
                None => break,
            }
        }
    }
    Ok(kept.into_values().collect())
}
