//! The tournaments of one room, for a session's task: what to say in them, and when.
//!
//! They are joined, challenged in and accepted in only while a worker waits for a battle, which it has claimed. Who
//! waits for us while nobody here may play is not kept waiting: the tournament is left.

use tokio::time::Instant;

use crate::{
    domain::tournament::{News, Step, Tournament},
    io::{Client, Gone},
    limits,
};

pub(super) struct Tournaments {
    room: String,
    now: Tournament,
    /// Whether this connection has asked for the room.
    is_entered: bool,
    /// Whether it was told that there is none.
    is_missing: bool,
    /// What was said last for the present search.
    said: Option<Step>,
    /// Until then, what the server refused is not said again.
    held: Instant,
    /// When it is left, if nobody here plays until then.
    leaves: Option<Instant>,
}

impl Tournaments {
    pub(super) fn new(room: String) -> Self {
        Self {
            room,
            now: Tournament::default(),
            is_entered: false,
            is_missing: false,
            said: None,
            held: Instant::now(),
            leaves: None,
        }
    }

    /// There is no such room, or nobody comes in.
    pub(super) fn no_room(&mut self, room: &str) {
        self.is_missing |= room == self.room;
    }

    /// The room, if it is not there.
    pub(super) fn missing(&self) -> Option<&str> {
        self.is_missing.then_some(&*self.room)
    }

    /// The connection is lost: the next one is told anew.
    pub(super) fn lost(&mut self) {
        *self = Self::new(std::mem::take(&mut self.room));
    }

    /// Takes in what is said of the room's tournament. Returns when there is something new to say to it.
    pub(super) fn hear(&mut self, room: &str, news: News, format: &str) -> Option<Instant> {
        if room != self.room {
            return None;
        }
        if let News::Refused(why) = &news {
            tracing::warn!(room, why, "the tournament refuses");
        }
        self.now.hear(news);
        let step = self.now.step(format);
        (step.is_some() && step != self.said).then(|| self.held.max(Instant::now()))
    }

    /// Another battle is searched for.
    pub(super) fn search(&mut self) {
        self.said = None;
    }

    /// The server wants to be left alone until then.
    pub(super) fn hold(&mut self, until: Instant) {
        self.held = until;
    }

    /// Whether it waits for us, and no worker waits for it.
    fn is_stalled(&self, format: &str, is_searching: bool) -> bool {
        let is_our_turn = matches!(self.now.step(format), Some(Step::Challenge(_) | Step::Accept));
        is_our_turn && !is_searching
    }

    pub(super) fn alarm(&self) -> Option<Instant> {
        self.leaves
    }

    /// Is in the room, and in no tournament that it keeps waiting.
    pub(super) async fn advance(
        &mut self,
        client: &Client,
        format: &str,
        is_searching: bool,
    ) -> Result<(), Gone> {
        if !self.is_entered {
            self.is_entered = true;
            client.join(&self.room).await?;
        }
        if !self.is_stalled(format, is_searching) {
            self.leaves = None;
            return Ok(());
        }
        let now = Instant::now();
        let leaves = *self.leaves.get_or_insert(now + limits::TOURNAMENT_WAITS);
        if leaves > now {
            return Ok(());
        }
        self.leaves = None;
        self.leave(client).await
    }

    /// What is to be said now, for a worker that waits for a battle with this team. Returns when to look again.
    pub(super) async fn take_step(
        &mut self,
        client: &Client,
        format: &str,
        team: Option<&str>,
    ) -> Result<Option<Instant>, Gone> {
        let Some(step) = self.now.step(format) else { return Ok(None) };
        client.team(team).await?;
        client.tournament(&self.room, &step.command()).await?;
        self.said = Some(step);
        // What is overlooked is said again.
        Ok(Some(Instant::now() + limits::CHALLENGE_AGAIN))
    }

    /// Takes a challenge back that nobody has accepted.
    pub(super) async fn cancel(&self, client: &Client) -> Result<(), Gone> {
        if self.now.is_challenging() {
            client.tournament(&self.room, "cancelchallenge").await?;
        }
        Ok(())
    }

    /// Leaves the tournament, if we are in it. Whoever is in play there gives up.
    pub(super) async fn leave(&self, client: &Client) -> Result<(), Gone> {
        if self.now.is_joined() {
            tracing::info!(
                room = self.room,
                "the tournament is left: there is nothing to play for"
            );
            client.tournament(&self.room, "leave").await?;
        }
        Ok(())
    }
}
