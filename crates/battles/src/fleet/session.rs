//! An account's session: one connection, kept alive, on which many workers find their battles.
//!
//! Workers ask; one task owns the connection, searches for one of them at a time (the server allows one search
//! per account and format), and hands out rooms. When the connection is lost it comes back by itself, with
//! longer and longer pauses, and rooms are handed to their workers anew: those that the server shows, and, asked
//! for by name, those that ended meanwhile.
//!
//! A room is a worker's once it was handed out; one that nobody waits for goes to the next who searches for its
//! format. While a room's fate is open after a reconnect nobody searches, so that a restarted server, which
//! numbers its rooms anew, cannot pass a new battle off as an old one.
//!
//! Not here: counting. A worker claims before it asks.

mod desk;
mod link;
mod tournaments;
mod watching;

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::Relaxed},
};

use tokio::sync::{mpsc, oneshot, watch};

use self::{desk::Desk, watching::Watching};
use crate::{
    domain::id::id,
    io::{Account, ConnectError, Room},
    limits,
};

/// How opponents are found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Match {
    /// By the ladder.
    Ladder,
    /// By challenging this user.
    Challenge(String),
    /// By accepting challenges, of this user only if one is named.
    Accept(Option<String>),
    /// By the tournaments of the room with this id.
    Tournament(String),
    /// Not by playing: by watching two others. Everything is seen from the first one's side.
    Watch {
        /// Their ids.
        pair: [String; 2],
        /// Rooms of theirs that are not to be found again.
        found: Vec<String>,
    },
}

/// How far a fleet is from its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// Battles begin and end.
    Playing,
    /// What is in play goes on, nothing new begins.
    Draining,
    /// What is in play is given up.
    Forfeiting,
}

/// What a session is for.
#[derive(Debug, Clone)]
pub struct SessionSettings {
    /// The server's socket: `ws://HOST:PORT/showdown/websocket`.
    pub url: String,
    /// Who to be.
    pub account: Account,
    /// The format's id.
    pub format: String,
    /// How opponents are found.
    pub matching: Match,
}

/// Why there is no battle.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotFound {
    /// Nothing new begins any more.
    #[error("nothing new begins any more")]
    Draining,
    /// The server does not take the team.
    #[error("the server refuses the team: {0}")]
    BadTeam(String),
    /// The server does not know the format.
    #[error("the server refuses the format: {0}")]
    BadFormat(String),
    /// Whoever looked after the account is gone: a defect.
    #[error("the session of {0} broke down")]
    Broken(String),
    /// The room of the tournaments cannot be entered.
    #[error("the room {0} is not there, or nobody comes in")]
    NoRoom(String),
}

/// A session. Clones share it; it ends when all are gone.
#[derive(Debug, Clone)]
pub struct Session {
    me: String,
    asks: mpsc::Sender<Ask>,
    kind: Kind,
}

/// What the account is there for.
#[derive(Debug, Clone)]
enum Kind {
    /// It plays.
    Plays,
    /// It watches others.
    Watches {
        /// Rooms that could not be read.
        unread: Arc<AtomicU64>,
    },
}

/// What workers ask for.
#[derive(Debug)]
enum Ask {
    /// A battle.
    Find { team: Option<String>, found: oneshot::Sender<Result<Room, NotFound>> },
    /// A room once more, whose connection was lost, or another's room.
    Again {
        room: String,
        /// The id of who plays there: we, or somebody on whom we look.
        player: String,
        opponent: Option<String>,
        back: oneshot::Sender<Option<Room>>,
    },
    /// Nothing more about this room.
    Done { room: String },
}

impl Session {
    /// Connects, and stays connected. `known` are rooms of an earlier process, which somebody will ask for.
    ///
    /// # Errors
    /// When the first connection cannot be made: the address is wrong, or the server is not there, or has no such format.
    pub async fn start(
        settings: SessionSettings,
        known: Vec<String>,
        stage: watch::Receiver<Stage>,
    ) -> Result<Self, ConnectError> {
        let (client, events) = link::begin(&settings).await?;
        client.formats().check(&settings.format)?;
        let (me, watching, kind) = match &settings.matching {
            Match::Watch { pair, found } => {
                let unread = Arc::<AtomicU64>::default();
                let watching = Watching::new(pair, &settings.format, found, Arc::clone(&unread));
                (pair[0].clone(), Some(watching), Kind::Watches { unread })
            }
            Match::Ladder | Match::Challenge(_) | Match::Accept(_) | Match::Tournament(_) => {
                (id(client.name()), None, Kind::Plays)
            }
        };
        let (asks, asked) = mpsc::channel(limits::ASKS);
        let desk = Desk::new(settings, me.clone(), known, watching, stage);
        tokio::spawn(desk.serve(client, events, asked));
        Ok(Self { me, asks, kind })
    }

    /// How many of the server's battles could not be read so far, and may have been some that are watched for: they
    /// were private, or gone too soon, or of another format. `None`: nobody watches.
    #[must_use]
    pub fn unread(&self) -> Option<u64> {
        match &self.kind {
            Kind::Plays => None,
            Kind::Watches { unread } => Some(unread.load(Relaxed)),
        }
    }

    /// Whether the battles of others are watched, and nobody here plays.
    #[must_use]
    pub fn is_watching(&self) -> bool {
        matches!(self.kind, Kind::Watches { .. })
    }

    /// The id of the account that plays: our own, or the first of two that are watched.
    #[must_use]
    pub fn me(&self) -> &str {
        &self.me
    }

    /// Finds a battle. Takes as long as it takes.
    ///
    /// # Errors
    /// See [`NotFound`].
    pub async fn find(&self, team: Option<String>) -> Result<Room, NotFound> {
        let (found, room) = oneshot::channel();
        self.ask(Ask::Find { team, found }).await;
        room.await.unwrap_or_else(|_| Err(self.broken()))
    }

    /// The room once more, after its connection was lost; or the room in which another `player` plays, to look on.
    /// `None`: there is no such room any more, or somebody else plays there.
    ///
    /// # Errors
    /// [`NotFound::Broken`]: nobody knows.
    pub async fn again(
        &self,
        room: &str,
        player: &str,
        opponent: Option<&str>,
    ) -> Result<Option<Room>, NotFound> {
        let (back, again) = oneshot::channel();
        let (room, player) = (room.to_owned(), player.to_owned());
        let opponent = opponent.map(str::to_owned);
        self.ask(Ask::Again { room, player, opponent, back }).await;
        again.await.map_err(|_| self.broken())
    }

    /// The battle in this room is over and done with.
    pub async fn done(&self, room: &str) {
        self.ask(Ask::Done { room: room.to_owned() }).await;
    }

    fn broken(&self) -> NotFound {
        NotFound::Broken(self.me.clone())
    }

    async fn ask(&self, ask: Ask) {
        // The session ends after all who ask; if not, they are not answered.
        let _ = self.asks.send(ask).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What has begun is neither void nor done with because nobody here knows of it.
    #[tokio::test]
    async fn a_session_that_breaks_down_is_no_answer() {
        let session = Session { me: "bot".to_owned(), asks: mpsc::channel(1).0, kind: Kind::Plays };
        let broken = NotFound::Broken("bot".to_owned());
        assert_eq!(session.find(None).await.unwrap_err(), broken);
        assert_eq!(session.again("battle-x-1", "bot", None).await.unwrap_err(), broken);
        session.done("battle-x-1").await;
    }
}
