//! The connection: logs in, routes what rooms say, and sends what players say.
//!
//! One task owns the socket. Battles get their frames through bounded channels; one whose player falls too far
//! behind is left alone, and the others go on. Whatever is not known is skipped.
//!
//! Not here: coming back after the connection broke. The owner connects anew; the server then sends every battle
//! that still runs, whole, and each comes as a new [`Event::Battle`].

mod rooms;

use std::{collections::BTreeMap, sync::Arc};

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use serde::{Deserialize, Deserializer};
use tokio::{
    net::TcpStream,
    sync::mpsc,
    time::{Instant, sleep, sleep_until, timeout},
};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async_with_config,
    tungstenite::{self, Message, protocol::WebSocketConfig},
};

use self::rooms::Rooms;
use super::{
    login::{self, LoginError, Password},
    pace::{self, Pace},
};
use crate::{
    domain::{
        formats::{Formats, NoFormat},
        id::id,
        lookout::Listing,
        protocol::{Frame, Line, is_room, players},
        tournament::News,
    },
    limits,
};

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// Who to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Account {
    /// Whoever the server makes of a newcomer.
    Guest,
    /// A name that is nobody's. A server that asks for proof of that gets it from a login service.
    Unregistered {
        /// The name.
        name: String,
        /// The login service, which is told the name alone, and only if the server asks.
        login_url: String,
    },
    /// A name that a login service proves.
    Registered {
        /// The name.
        name: String,
        /// Its password.
        password: Password,
        /// The login service: [`PUBLIC_LOGIN`](super::PUBLIC_LOGIN), or the server's own.
        login_url: String,
    },
}

impl Account {
    /// A name that is nobody's, as the public login service may have to say.
    #[must_use]
    pub fn unregistered(name: impl Into<String>) -> Self {
        Self::Unregistered { name: name.into(), login_url: login::PUBLIC.to_owned() }
    }

    /// The name that it asks for; none for a guest.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        match self {
            Self::Guest => None,
            Self::Unregistered { name, .. } | Self::Registered { name, .. } => Some(name),
        }
    }
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The socket.
    #[error("no connection to {url}: {source}")]
    Socket {
        /// Where to.
        url: String,
        /// What happened.
        #[source]
        source: Box<tungstenite::Error>,
    },
    /// The name could not be proven.
    #[error(transparent)]
    Login(#[from] LoginError),
    /// The server ended it before the name was had.
    #[error("the server ended the connection before the login was done")]
    Ended,
    /// The name is somebody else's, or not yet free again: try later.
    #[error("the name {name} could not be had: {reason}")]
    NameTaken {
        /// Which name.
        name: String,
        /// What the server says.
        reason: String,
    },
    /// What is to be played cannot be played there.
    #[error(transparent)]
    NoFormat(#[from] NoFormat),
    /// The server did not finish the login in time.
    #[error("no login within {} s", limits::LOGIN.as_secs())]
    TimedOut,
}

impl ConnectError {
    /// Whether another attempt may succeed by itself: a server or a network that is away comes back.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Socket { source, .. } => !matches!(**source, tungstenite::Error::Url(_)),
            Self::Login(error) => error.may_pass(),
            Self::Ended | Self::TimedOut => true,
            Self::NameTaken { .. } | Self::NoFormat(_) => false,
        }
    }
}

/// The connection is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the connection to the server is gone")]
pub struct Gone;

/// What happens outside of battles.
#[derive(Debug)]
pub enum Event {
    /// Somebody wants to battle.
    Challenge {
        /// Who.
        from: String,
        /// Which format.
        format: String,
    },
    /// A battle was entered; its log follows, from the beginning.
    Battle(Room),
    /// There is no such room (any more).
    NoRoom(String),
    /// Something about the tournament of a chat room.
    Tournament {
        /// The room's id.
        room: String,
        /// What.
        news: News,
    },
    /// What goes on for this account: said after the login, and on every change.
    Searches(Searches),
    /// The battles that the server shows: the answer to [`Client::list_battles`].
    Listing(Listing),
    /// Something that a person should read.
    Popup(String),
}

/// What goes on for an account, by the server's word.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct Searches {
    /// Formats in which an opponent is looked for.
    #[serde(default)]
    pub searching: Vec<String>,
    /// Rooms of the battles that still run, with their titles.
    #[serde(default, deserialize_with = "or_none")]
    pub games: BTreeMap<String, String>,
}

/// The server says `null` for none.
fn or_none<'de, D: Deserializer<'de>>(json: D) -> Result<BTreeMap<String, String>, D::Error> {
    Ok(Option::deserialize(json)?.unwrap_or_default())
}

/// What happens outside of battles, until the connection ends.
pub type Events = mpsc::Receiver<Event>;

/// A connection that is logged in. Clones share it; it ends when the last one and all rooms are gone.
#[derive(Debug, Clone)]
pub struct Client {
    name: String,
    formats: Arc<Formats>,
    outgoing: mpsc::Sender<String>,
}

impl Client {
    /// Connects to the WebSocket of a server, `ws://HOST:PORT/showdown/websocket` or `wss://…`, and becomes somebody.
    pub async fn connect(url: &str, account: &Account) -> Result<(Self, Events), ConnectError> {
        let logged_in = timeout(limits::LOGIN, async {
            let mut socket = open(url).await?;
            let welcome = log_in(&mut socket, account).await?;
            Ok::<_, ConnectError>((socket, welcome))
        });
        let (socket, welcome) = logged_in.await.map_err(|_| ConnectError::TimedOut)??;
        let Welcome { name, is_proven, searches, formats } = welcome;
        let (outgoing, to_send) = mpsc::channel(limits::OUTGOING);
        let (events, receiver) = mpsc::channel(limits::EVENTS);
        let rooms = Rooms::new(&name, events, outgoing.downgrade());
        if let Some(searches) = searches {
            rooms.tell(Event::Searches(searches));
        }
        let mut pace = Pace::default();
        if is_proven {
            pace.keep(Instant::now());
        }
        tokio::spawn(run(socket, to_send, rooms, pace));
        Ok((Self { name, formats: Arc::new(formats), outgoing }, receiver))
    }

    /// Who this is now, as the server writes it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What can be played here, as far as the server has said.
    pub fn formats(&self) -> &Formats {
        &self.formats
    }

    /// The team for the next search, challenge or acceptance, in the packed form; `None` where the server makes it.
    pub async fn team(&self, packed: Option<&str>) -> Result<(), Gone> {
        self.say(&format!("/utm {}", packed.unwrap_or("null"))).await
    }

    /// Looks for an opponent on the ladder.
    pub async fn search(&self, format: &str) -> Result<(), Gone> {
        self.say(&format!("/search {}", id(format))).await
    }

    /// Ends all searches.
    pub async fn cancel_search(&self) -> Result<(), Gone> {
        self.say("/cancelsearch").await
    }

    /// Challenges somebody.
    pub async fn challenge(&self, user: &str, format: &str) -> Result<(), Gone> {
        self.say(&format!("/challenge {},{}", id(user), id(format))).await
    }

    /// Accepts somebody's challenge.
    pub async fn accept(&self, user: &str) -> Result<(), Gone> {
        self.say(&format!("/accept {}", id(user))).await
    }

    /// Takes a challenge back.
    pub async fn cancel_challenge(&self, user: &str) -> Result<(), Gone> {
        self.say(&format!("/cancelchallenge {}", id(user))).await
    }

    /// Says something about the tournament of a room that was joined: `join`, `challenge USER`, `acceptchallenge`.
    pub async fn tournament(&self, room: &str, command: &str) -> Result<(), Gone> {
        assert!(is_room(room), "{room:?} is no room");
        let message = format!("{room}|/tournament {}", one_line(command));
        self.outgoing.send(message).await.map_err(|_| Gone)
    }

    /// Asks to see a room: a battle comes as [`Event::Battle`], or [`Event::NoRoom`]; of a chat room, only its
    /// tournament is told.
    pub async fn join(&self, room: &str) -> Result<(), Gone> {
        assert!(is_room(room), "{room:?} is no room");
        self.say(&format!("/join {room}")).await
    }

    /// Asks for the battles that go on: they come as [`Event::Listing`].
    pub async fn list_battles(&self) -> Result<(), Gone> {
        self.say("/cmd roomlist").await
    }

    /// Gives up a battle. It ends as any other does, for whoever plays it.
    pub async fn forfeit(&self, room: &str) -> Result<(), Gone> {
        assert!(is_room(room), "{room:?} is no room");
        self.outgoing.send(format!("{room}|/forfeit")).await.map_err(|_| Gone)
    }

    async fn say(&self, command: &str) -> Result<(), Gone> {
        self.outgoing.send(format!("|{}", one_line(command))).await.map_err(|_| Gone)
    }
}

/// A battle's room.
#[derive(Debug)]
pub struct Room {
    id: String,
    title: String,
    frames: mpsc::Receiver<String>,
    outgoing: mpsc::Sender<String>,
}

impl Room {
    /// Its id.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Its title, with the names of its players: "Ann vs. Bob".
    pub fn title(&self) -> &str {
        &self.title
    }

    /// The id of whoever plays against `me`, by the room's title; `None` if `me` does not play there.
    pub fn opponent(&self, me: &str) -> Option<String> {
        let [one, two] = players(&self.title)?.map(id);
        let me = id(me);
        if one == me { Some(two) } else { (two == me).then_some(one) }
    }

    /// The next message of this room; `None` when it was left, or the connection is gone.
    pub async fn next(&mut self) -> Option<String> {
        self.frames.recv().await
    }

    /// Says something in it.
    pub async fn say(&self, text: &str) -> Result<(), Gone> {
        let message = format!("{}|{}", self.id, one_line(text));
        self.outgoing.send(message).await.map_err(|_| Gone)
    }
}

/// Every line of a message is a command of its own: what we send has one.
fn one_line(text: &str) -> String {
    text.replace(['\n', '\r'], " ")
}

async fn open(url: &str) -> Result<Socket, ConnectError> {
    let bounds = WebSocketConfig::default()
        .max_message_size(Some(limits::MESSAGE_BYTES))
        .max_frame_size(Some(limits::MESSAGE_BYTES));
    let opened = connect_async_with_config(url, Some(bounds), true).await;
    let (socket, _) = opened
        .map_err(|error| ConnectError::Socket { url: url.to_owned(), source: Box::new(error) })?;
    Ok(socket)
}

/// It was there, and broke.
#[expect(clippy::needless_pass_by_value, reason = "it maps errors")]
fn ended(error: tungstenite::Error) -> ConnectError {
    tracing::warn!(%error, "the connection broke during the login");
    ConnectError::Ended
}

/// What the server at this socket can play; `None`: it does not say, or not soon.
pub async fn formats(url: &str) -> Option<Formats> {
    let asked = timeout(limits::ASK_FORMATS, async {
        let mut socket = open(url).await.ok()?;
        while let Some(Ok(message)) = socket.next().await {
            let frame = message.to_text().ok().and_then(Frame::parse);
            let said = |line| if let Line::Formats(text) = line { Some(text) } else { None };
            if let Some(text) = frame.and_then(|frame| frame.lines().find_map(said)) {
                return Some(Formats::parse(text));
            }
        }
        None
    });
    asked.await.ok().flatten()
}

/// What a login comes to.
struct Welcome {
    name: String,
    /// A server that asks for proofs does not let everybody speak as fast as they like, either.
    is_proven: bool,
    /// What the server said of searches and battles, if it did.
    searches: Option<Searches>,
    formats: Formats,
}

async fn log_in(socket: &mut Socket, account: &Account) -> Result<Welcome, ConnectError> {
    let (mut searches, mut formats) = (None, Formats::default());
    let (mut challenge, mut is_proven) = (None, false);
    while let Some(message) = socket.next().await {
        let message = message.map_err(ended)?;
        let Ok(text) = message.to_text() else { continue };
        let Some(frame) = Frame::parse(text).filter(|frame| frame.room.is_empty()) else {
            continue;
        };
        for line in frame.lines() {
            match (line, account) {
                (Line::Challstr(challstr), account) => match account {
                    Account::Guest => (),
                    Account::Unregistered { name, .. } => {
                        challenge = Some(challstr.to_owned());
                        rename(socket, name, "").await?;
                    }
                    Account::Registered { name, password, login_url } => {
                        let proof = login::assertion(login_url, name, password, challstr).await?;
                        rename(socket, name, &proof).await?;
                        is_proven = true;
                    }
                },
                (Line::Formats(text), _) => formats = Formats::parse(text),
                (Line::UpdateSearch(json), _) => searches = serde_json::from_str(json).ok(),
                (Line::UpdateUser { name, named }, account)
                    if named || *account == Account::Guest =>
                {
                    return Ok(Welcome { name: name.to_owned(), is_proven, searches, formats });
                }
                (Line::NameTaken { name, reason }, account) => match (account, challenge.take()) {
                    (Account::Unregistered { name, login_url }, Some(challstr))
                        if asks_for_proof(reason) =>
                    {
                        let proof = login::unregistered(login_url, name, &challstr).await?;
                        rename(socket, name, &proof).await?;
                        is_proven = true;
                    }
                    _ => {
                        let (name, reason) = (name.to_owned(), reason.to_owned());
                        return Err(ConnectError::NameTaken { name, reason });
                    }
                },
                _ => (),
            }
        }
    }
    Err(ConnectError::Ended)
}

/// Asks for a name, with a proof that it may be had; none where the server asks for none.
async fn rename(socket: &mut Socket, name: &str, proof: &str) -> Result<(), ConnectError> {
    let command = format!("|/trn {name},0,{proof}");
    socket.send(Message::text(one_line(&command))).await.map_err(ended)
}

/// Whether a name was refused for want of a proof, not because somebody has it.
fn asks_for_proof(reason: &str) -> bool {
    reason.to_ascii_lowercase().contains("token")
}

async fn run(
    socket: Socket,
    mut to_send: mpsc::Receiver<String>,
    mut rooms: Rooms,
    mut pace: Pace,
) {
    let (mut sink, mut stream) = socket.split();
    let mut heard = Instant::now();
    let mut is_asked = false;
    loop {
        let wait = pace.wait(Instant::now());
        tokio::select! {
            message = stream.next() => match message {
                Some(Ok(Message::Text(text))) => {
                    (heard, is_asked) = (Instant::now(), false);
                    if pace::is_refused(&text) {
                        tracing::warn!("the server takes no more so fast: we slow down");
                        pace.keep(heard);
                        rooms.tell(Event::Popup(pace::REFUSED.to_owned()));
                    }
                    rooms.hear(text.as_str());
                }
                Some(Ok(Message::Close(_))) | None => return,
                // Pings are answered below us; an answer to ours is a sign of life.
                Some(Ok(_)) => (heard, is_asked) = (Instant::now(), false),
                Some(Err(error)) => {
                    tracing::warn!(%error, "the connection to the server broke");
                    return;
                }
            },
            () = sleep_until(heard + limits::UNHEARD * if is_asked { 2 } else { 1 }) => {
                if is_asked {
                    tracing::warn!("the server is silent: the connection is given up");
                    return;
                }
                is_asked = true;
                if sink.send(Message::Ping(Bytes::new())).await.is_err() {
                    return;
                }
            }
            () = sleep(wait), if !wait.is_zero() => {}
            command = to_send.recv(), if wait.is_zero() => {
                let Some(command) = command else { return };
                pace.said(Instant::now());
                if let Err(error) = sink.send(Message::text(command)).await {
                    tracing::warn!(%error, "the connection to the server broke");
                    return;
                }
            }
        }
    }
}
