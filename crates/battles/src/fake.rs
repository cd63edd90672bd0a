//! A stand-in for a Showdown server, for faults and for speed.
//!
//! It speaks the protocol of the real one, with a game of its own that takes a few turns: two Pokémon a side,
//! moves that take a random part of the other's HP. It keeps the real server's rules: one search per account
//! and format; requests with ids that skip numbers; choices that are too late or impossible are refused, a
//! second one is taken in silence; whoever comes back gets the whole log and the current request; a name in use
//! is not given twice; whoever asks is told which battles go on, and whoever comes to see one is told its log. And it goes wrong on demand: see [`Faults`].
//!
//! What it knows of each battle ([`Fake::played`]) comes from nobody else, so counts can be judged by it.
//!
//! Not here: what makes the game, and security. Tests beside this one play on the real server.

mod battle;
mod tournaments;
mod watching;
mod world;

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard},
};

use futures_util::{SinkExt, StreamExt};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::mpsc,
    task::JoinSet,
};
use tokio_tungstenite::{accept_async, tungstenite::Message};

pub use self::world::Played;
use self::{tournaments::Tournaments, world::World};

/// What goes wrong, each once in so many times; `None`: never.
#[derive(Debug, Clone, Copy, Default)]
pub struct Faults {
    /// A connection is lost instead of a message being sent.
    pub drop: Option<u32>,
    /// A frame of a battle comes twice.
    pub double: Option<u32>,
    /// A request comes once more, with the id of the one before.
    pub stale: Option<u32>,
    /// A choice is thrown away, and the timer says for whom it waits.
    pub lose: Option<u32>,
    /// A name is said to be taken though its old connection is gone.
    pub name_taken: Option<u32>,
    /// A search is refused because there were too many.
    pub throttle: Option<u32>,
    /// Battles that an account plays at once; who searches for one more is refused. `None`: any number.
    pub games: Option<usize>,
    /// Rivals never choose: every battle waits for them, until [`Fake::wake_rivals`].
    pub idle: bool,
    /// Rivals are called what runs a script wherever it is taken for HTML; so are their rooms, and they say it.
    pub hostile: bool,
}

/// A server that runs until it is dropped.
pub struct Fake {
    address: SocketAddr,
    world: Arc<Mutex<World>>,
    _serving: JoinSet<()>,
}

impl Fake {
    /// Starts one on a free port of the loopback.
    ///
    /// # Errors
    /// If there is none.
    pub async fn start(faults: Faults, seed: u64) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let world = Arc::new(Mutex::new(World::new(faults, seed)));
        let mut serving = JoinSet::new();
        serving.spawn(serve(listener, Arc::clone(&world)));
        Ok(Self { address, world, _serving: serving })
    }

    /// Where its socket is.
    #[must_use]
    pub fn url(&self) -> String {
        format!("ws://{}/showdown/websocket", self.address)
    }

    /// Holds eliminations in this room, one after the other: each begins when it has `size` players, of whom so many
    /// are rivals of the server's own.
    pub fn hold_tournaments(&self, room: &str, format: &str, size: usize, rivals: usize) {
        assert!(rivals < size, "somebody must be able to join");
        lock(&self.world).tournaments = Some(Tournaments::new(room, format, size, rivals));
    }

    /// Two whom nobody knows begin so many battles; every second one is over at once, the others go on for ever.
    pub fn open_strangers(&self, format: &str, count: usize) {
        lock(&self.world).open_strangers(format, count);
    }

    /// Every battle so far, in the order in which they began.
    #[must_use]
    pub fn played(&self) -> Vec<Played> {
        lock(&self.world).played()
    }

    /// How often somebody has asked which battles go on.
    #[must_use]
    pub fn looks(&self) -> u64 {
        lock(&self.world).looks
    }

    /// How often somebody has left a battle of others.
    #[must_use]
    pub fn left(&self) -> u64 {
        lock(&self.world).left
    }

    /// How often somebody has said something in a battle of others.
    #[must_use]
    pub fn heckles(&self) -> u64 {
        lock(&self.world).heckles
    }

    /// Rivals that were idle choose from now on.
    pub fn wake_rivals(&self) {
        lock(&self.world).wake_rivals();
    }

    /// The server dies and starts again: connections, rooms, and battles in play are gone, and rooms are
    /// numbered from 1 once more.
    pub fn restart(&self) {
        lock(&self.world).restart();
    }

    /// How often a room was asked for that is not there.
    #[must_use]
    pub fn missed(&self) -> u64 {
        lock(&self.world).missed
    }

    /// The timers of all battles run out for those who are not connected: they lose.
    pub fn run_timers_out(&self) {
        lock(&self.world).run_timers_out();
    }

    /// Every connection is lost; battles go on.
    pub fn drop_all(&self) {
        lock(&self.world).drop_all();
    }
}

fn lock(world: &Mutex<World>) -> MutexGuard<'_, World> {
    world.lock().expect("no code panics while it holds the world")
}

async fn serve(listener: TcpListener, world: Arc<Mutex<World>>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        connections.spawn(converse(stream, Arc::clone(&world)));
        while connections.try_join_next().is_some() {}
    }
}

/// One connection, from its first message to its last.
async fn converse(stream: TcpStream, world: Arc<Mutex<World>>) {
    // Small frames that follow each other would wait for the other side's acknowledgement.
    let Ok(()) = stream.set_nodelay(true) else { return };
    let Ok(socket) = accept_async(stream).await else { return };
    let (mut sink, mut stream) = socket.split();
    let (sender, mut outbox) = mpsc::unbounded_channel();
    let connection = lock(&world).connect(sender);
    loop {
        tokio::select! {
            said = stream.next() => match said {
                Some(Ok(Message::Text(text))) => lock(&world).hear(connection, &text),
                Some(Ok(Message::Close(_)) | Err(_)) | None => break,
                Some(Ok(_)) => {}
            },
            // None: the world has cut the connection.
            frame = outbox.recv() => {
                let Some(frame) = frame else { break };
                if sink.send(Message::text(frame)).await.is_err() {
                    break;
                }
            }
        }
    }
    lock(&world).disconnect(connection);
}
