//! Playing one battle: hears its room, thinks apart from the asynchronous threads, and answers.
//!
//! Everything that matters about answering (once, with the request's number, again only after a refusal) is decided
//! by [`Seat`]; this module only carries words and keeps time. A player that panics or takes too long loses its say
//! for that one decision: something legal is played.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::time::timeout;

use super::{Gone, Room, board::Board};
use crate::{
    domain::{
        battle::Battle,
        chance::Chance,
        choice::{self, Choice},
        contestant::Contestant,
        log::End,
        protocol::{Frame, Line},
        request::Request,
        seat::Ask,
    },
    limits,
    players::{
        Bounds, Budget, Candidate, Greedy, Mcts, Player, Position, Random, Thinkers, ranked,
    },
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
            Choice::Default => "whatever the server likes".to_owned(),
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
    if played.is_err() {
        // A server shows a room to those who join it, not to those who are in it.
        let _gone = room.say("/leave").await;
    }
    played
}

async fn converse(
    room: &mut Room,
    settings: &Settings,
    mut watch: impl FnMut(BattleEvent),
) -> Result<Finished, PlayError> {
    let id = room.id().to_owned();
    let gone = |Gone| PlayError::Gone { room: id.clone() };
    let board = Board::default();
    watch(BattleEvent::Opened { room: id.clone(), board: board.clone() });
    let mut chance = Chance::new(settings.seed);
    // Keeps the opponent from never moving. Ours is the shorter time.
    room.say("/timer on").await.map_err(gone)?;
    loop {
        let message = timeout(limits::SILENCE, room.next()).await;
        let message = message.map_err(|_| PlayError::Silent { room: id.clone() })?;
        let message = message.ok_or_else(|| PlayError::Gone { room: id.clone() })?;
        let Some(frame) = Frame::parse(&message) else { continue };
        board.keep(&frame);
        let mut must_choose = false;
        for line in frame.lines() {
            match board.hear(&line) {
                Ask::Nothing => (),
                Ask::Choose => must_choose = true,
                Ask::Say(text) => {
                    watch(BattleEvent::Refused { room: id.clone(), turn: board.turn() });
                    room.say(&text).await.map_err(gone)?;
                }
                Ask::Repeat(text) => {
                    tracing::warn!(room = id, "a choice has not arrived, and is sent again");
                    room.say(&text).await.map_err(gone)?;
                }
                Ask::Unreadable(error, answer) => {
                    tracing::warn!(room = id, %error, "left to the server");
                    if let Some(text) = answer {
                        room.say(&text).await.map_err(gone)?;
                    }
                }
                // Whatever comes after the end asks for nothing.
                Ask::Over => break,
            }
        }
        board.tell();
        if let Some(end) = board.end() {
            take_leave(room, &board).await;
            return Ok(Finished { room: id, end, turns: board.turn(), log: board.take_log() });
        }
        if !must_choose {
            continue;
        }
        let Some(question) = board.question() else { continue };
        let (candidates, cost) = decide(board.battle(), &question, settings, &mut chance).await;
        if let Some(text) = board.answer(candidates.iter().map(|candidate| candidate.choice)) {
            room.say(&text).await.map_err(gone)?;
            let turn = board.turn();
            let thought = |candidate| Thought::of(candidate, &question);
            let candidates = candidates.into_iter().map(thought).collect();
            watch(BattleEvent::Decided { room: id.clone(), turn, candidates, cost });
        }
    }
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

/// What could be chosen, best first; something legal when the player fails. And what it cost.
async fn decide(
    battle: Battle,
    request: &Request,
    settings: &Settings,
    chance: &mut Chance,
) -> (Vec<Candidate>, Cost) {
    let asked = Instant::now();
    let player = Arc::clone(&settings.player);
    let question = request.clone();
    let mut chance = Chance::new(chance.bits());
    let bounds = Bounds::from(settings.budget);
    // Sooner than it is too late: so what was found by then is used.
    let deadline = asked + limits::SEARCH;
    let thinking = settings.thinkers.run(deadline, bounds.time, move |time| {
        let begun = Instant::now();
        let position = Position { battle: &battle, request: &question };
        let ranked = ranked(&*player, position, Bounds { time, ..bounds }, &mut chance);
        (ranked, begun - asked, begun.elapsed())
    });
    match timeout(limits::DECISION, thinking).await {
        Ok(Ok((candidates, waited, thought))) => {
            return (candidates, Cost { waited, thought, took: asked.elapsed() });
        }
        Ok(Err(error)) => tracing::error!(%error, "a player panicked: something legal is played"),
        Err(_) => tracing::error!("a player thought for too long: something legal is played"),
    }
    let unseen = |choice| Candidate { choice, visits: 0, value: 0.0 };
    let candidates = choice::legal(request).into_iter().map(unseen).collect();
    (candidates, Cost { took: asked.elapsed(), ..Cost::default() })
}
