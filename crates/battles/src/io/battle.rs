//! Playing one battle: hears its room, thinks apart from the asynchronous threads, and answers.
//!
//! Everything that matters about answering (once, with the request's number, again only after a refusal) is decided
//! by [`Seat`](crate::domain::seat::Seat), when it must be done at the latest by [`Clock`]; this module only carries
//! words. It goes on hearing while a player thinks. A player that panics or takes too long loses its say for that one
//! decision: something legal is played.

mod clock;
mod thinking;
mod watching;

use std::{
    future::pending,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::time::{self, timeout};

pub use self::watching::watch;
use self::{clock::Clock, thinking::Thinking};
use super::{Gone, Room, board::Board};
use crate::{
    domain::{
        chance::Chance,
        choice::Choice,
        contestant::Contestant,
        log::End,
        protocol::{Frame, Line},
        request::Request,
        seat::Ask,
    },
    limits,
    players::{Budget, Candidate, Greedy, Mcts, Player, Random, Thinkers},
};

/// How to play.
#[derive(Clone)]
pub struct Settings {
    /// Who thinks.
    pub player: Arc<dyn Player>,
    /// Where.
    pub thinkers: Arc<Thinkers>,
    /// How much one decision may cost.
    pub budget: Budget,
    /// Where the player's chance comes from.
    pub seed: u64,
}

impl Settings {
    /// How one of our players plays, on these threads.
    #[must_use]
    pub fn of(contestant: Contestant, thinkers: &Arc<Thinkers>, seed: u64) -> Self {
        let no_search = Budget::Iterations(1);
        let (player, budget): (Arc<dyn Player>, _) = match contestant {
            Contestant::Search(budget) => (Arc::new(Mcts::default()), budget),
            Contestant::Greedy => (Arc::new(Greedy), no_search),
            Contestant::Random => (Arc::new(Random), no_search),
        };
        Self { player, thinkers: Arc::clone(thinkers), budget, seed }
    }
}

/// A battle that was played to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finished {
    /// The room's id.
    pub room: String,
    /// How it ended, by the server's word.
    pub end: End,
    /// How many turns it took.
    pub turns: u16,
    /// What the room said, without what was for this player alone; cut after [`limits::MESSAGE_BYTES`], but for what
    /// is about the end. Nothing is after the end but ratings.
    pub log: String,
}

/// What happens in a battle, for those who watch.
#[derive(Debug, Clone, PartialEq)]
pub enum BattleEvent {
    /// It is played from here on; what can be seen of it is on the board.
    Opened {
        /// The room's id.
        room: String,
        /// See [`Board::look`].
        board: Board,
    },
    /// A choice was made.
    Decided {
        /// The room's id.
        room: String,
        /// In which turn.
        turn: u16,
        /// What could be chosen, best first: the first was played.
        candidates: Vec<Thought>,
        /// What it cost.
        cost: Cost,
    },
    /// The server refused a choice, and another one was made.
    Refused {
        /// The room's id.
        room: String,
        /// In which turn.
        turn: u16,
    },
}

/// A candidate, for people.
#[derive(Debug, Clone, PartialEq)]
pub struct Thought {
    /// The move, or who comes in.
    pub name: String,
    /// What speaks for it.
    pub candidate: Candidate,
}

impl Thought {
    /// The name of the choice that is left to the server.
    pub const SERVERS: &str = "whatever the server likes";

    fn of(candidate: Candidate, request: &Request) -> Self {
        let move_name = |place: usize| {
            let slot = request.active.first().and_then(|active| active.moves.get(place));
            slot.map_or_else(String::new, |slot| slot.name().to_owned())
        };
        let pokemon = |place: usize| {
            request.side.pokemon.get(place).map_or_else(String::new, |own| own.name().to_owned())
        };
        let name = match candidate.choice {
            Choice::Move { place, tera: false } => move_name(place),
            Choice::Move { place, tera: true } => format!("{} + Tera", move_name(place)),
            Choice::Switch { place } => format!("→ {}", pokemon(place)),
            Choice::Lead { place, .. } => format!("lead with {}", pokemon(place)),
            Choice::Default => Self::SERVERS.to_owned(),
        };
        Self { name, candidate }
    }
}

/// What a decision cost, from the request to the choice.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Cost {
    /// Waiting for a thread.
    pub waited: Duration,
    /// Thinking.
    pub thought: Duration,
    /// All together.
    pub took: Duration,
}

impl Cost {
    /// What it cost beside waiting and thinking.
    #[must_use]
    pub fn overhead(self) -> Duration {
        self.took.saturating_sub(self.waited + self.thought)
    }
}

/// Why a battle was not played to its end.
#[derive(Debug, thiserror::Error)]
pub enum PlayError {
    /// The connection or the room is gone.
    #[error("{room}: the room is gone")]
    Gone {
        /// Which battle.
        room: String,
    },
    /// The server has said nothing for too long.
    #[error("{room}: nothing was said for {} s", limits::SILENCE.as_secs())]
    Silent {
        /// Which battle.
        room: String,
    },
}

/// Plays a battle to its end, then leaves its room. Tells the watcher what happens.
pub async fn play(
    mut room: Room,
    settings: &Settings,
    watch: impl FnMut(BattleEvent),
) -> Result<Finished, PlayError> {
    let played = converse(&mut room, settings, watch).await;
    leave_lost(&room, played).await
}

async fn converse(
    room: &mut Room,
    settings: &Settings,
    watch: impl FnMut(BattleEvent),
) -> Result<Finished, PlayError> {
    let id = room.id().to_owned();
    let gone = |Gone| PlayError::Gone { room: id.clone() };
    let mut sitting = Sitting::new(id.clone(), settings, watch);
    // Keeps the opponent from never moving.
    room.say("/timer on").await.map_err(gone)?;
    loop {
        let message = tokio::select! {
            biased;
            message = timeout(limits::SILENCE, room.next()) => {
                message.map_err(|_| PlayError::Silent { room: id.clone() })?
            }
            (candidates, cost) = sitting.decided() => {
                if let Some(text) = sitting.answer(candidates, cost) {
                    room.say(&text).await.map_err(gone)?;
                }
                continue;
            }
        };
        let message = message.ok_or_else(|| PlayError::Gone { room: id.clone() })?;
        let Some(frame) = Frame::parse(&message) else { continue };
        for text in sitting.hear(&frame) {
            room.say(&text).await.map_err(gone)?;
        }
        if let Some(end) = sitting.board.end() {
            let board = &sitting.board;
            take_leave(room, board).await;
            return Ok(Finished { room: id, end, turns: board.turn(), log: board.take_log() });
        }
    }
}

/// A battle that is played, and the decision that is on its way.
struct Sitting<'a, W> {
    room: String,
    settings: &'a Settings,
    watch: W,
    board: Board,
    clock: Clock,
    chance: Chance,
    thinking: Option<Thinking>,
}

impl<'a, W: FnMut(BattleEvent)> Sitting<'a, W> {
    fn new(room: String, settings: &'a Settings, mut watch: W) -> Self {
        let board = Board::default();
        watch(BattleEvent::Opened { room: room.clone(), board: board.clone() });
        Self {
            room,
            settings,
            watch,
            board,
            clock: Clock::default(),
            chance: Chance::new(settings.seed),
            thinking: None,
        }
    }

    /// Takes in a message. Returns what to say to it.
    fn hear(&mut self, frame: &Frame<'_>) -> Vec<String> {
        self.board.keep(frame);
        let (mut answers, mut is_history) = (Vec::new(), false);
        for line in frame.lines() {
            // After a rejoin the whole log comes once more.
            is_history |= matches!(line, Line::Init(_));
            if let (Line::Other(text), false) = (&line, is_history) {
                self.clock.hear(text, &self.board.name(), now());
            }
            match self.board.hear(&line) {
                Ask::Nothing => (),
                Ask::Choose => self.asked(),
                Ask::Say(text) => {
                    let (room, turn) = (self.room.clone(), self.board.turn());
                    (self.watch)(BattleEvent::Refused { room, turn });
                    answers.push(text);
                }
                Ask::Repeat(text) => {
                    tracing::warn!(room = self.room, "a choice has not arrived, and is sent again");
                    answers.push(text);
                }
                Ask::Unreadable(error, answer) => {
                    tracing::warn!(room = self.room, %error, "left to the server");
                    answers.extend(answer);
                }
                // Whatever comes after the end asks for nothing.
                Ask::Over => break,
            }
        }
        self.board.show_time(self.clock.ends());
        self.board.tell();
        self.think();
        answers
    }

    /// Another choice is asked for: what was thought about is of no use any more.
    fn asked(&mut self) {
        let rqid = self.board.question().and_then(|request| request.rqid);
        if self.thinking.as_ref().is_none_or(|thinking| thinking.request.rqid != rqid) {
            self.thinking = None;
            self.clock.asked(now());
        }
    }

    /// Begins to think about what is asked and not yet thought about.
    fn think(&mut self) {
        if let (None, Some(request)) = (&self.thinking, self.board.question()) {
            let asked = now();
            let chance = Chance::new(self.chance.bits());
            let (battle, due) = (self.board.battle(), self.clock.due(asked));
            let thinking = Thinking::begin(battle, request, self.settings, chance, asked, due);
            self.thinking = Some(thinking);
        }
    }

    /// Waits for the decision that is on its way; for ever where there is none.
    async fn decided(&mut self) -> (Vec<Candidate>, Cost) {
        match &mut self.thinking {
            Some(thinking) => thinking.done(self.clock.due(thinking.asked)).await,
            None => pending().await,
        }
    }

    /// It is made. Returns what to say.
    fn answer(&mut self, candidates: Vec<Candidate>, cost: Cost) -> Option<String> {
        let Thinking { request, .. } = self.thinking.take()?;
        let text = self.board.answer(candidates.iter().map(|candidate| candidate.choice))?;
        self.clock.answered(now());
        let (room, turn) = (self.room.clone(), self.board.turn());
        let thought = |candidate| Thought::of(candidate, &request);
        let candidates = candidates.into_iter().map(thought).collect();
        (self.watch)(BattleEvent::Decided { room, turn, candidates, cost });
        Some(text)
    }
}

/// By the clock that tests move.
fn now() -> Instant {
    time::Instant::now().into_std()
}

/// Leaves a room that was lost before its battle was over, so that it can be joined again: a server shows a room to
/// those who join it, not to those who are in it.
async fn leave_lost(
    room: &Room,
    ended: Result<Finished, PlayError>,
) -> Result<Finished, PlayError> {
    if ended.is_err() {
        let _gone = room.say("/leave").await;
    }
    ended
}

/// Leaves a room whose battle is over, and hears what is said until then: the new ratings.
async fn take_leave(room: &mut Room, board: &Board) {
    // A room that cannot be left is gone already.
    let _left = room.say("/leave").await;
    let rest = async {
        while let Some(message) = room.next().await {
            if let Some(frame) = Frame::parse(&message) {
                if frame.lines().any(|line| line == Line::Deinit) {
                    return;
                }
                board.keep(&frame);
            }
        }
    };
    // Whoever does not say good-bye has no more to say.
    let _silent = timeout(limits::LEAVE, rest).await;
}
