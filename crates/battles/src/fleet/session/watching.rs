//! The battles of two others, for a session's task: when to look for them, and which rooms to enter.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use tokio::time::Instant;

use crate::{
    domain::lookout::{Listing, Lookout},
    io::{Client, Gone, Room},
    limits,
};

/// Looks out, and enters what it finds.
pub(super) struct Watching {
    lookout: Lookout,
    /// In words: who is to play, and what.
    what: String,
    /// When to look next.
    at: Instant,
    /// The next pause between two looks while nothing is known of the server's numbers.
    blind: Duration,
    /// When the list was asked for that has not come yet.
    asked: Option<Instant>,
    /// When to say that nothing is found.
    lonely: Instant,
    /// Rooms that were entered and are nobody's business here.
    strangers: Vec<Room>,
    /// See [`Lookout::unread`].
    unread: Arc<AtomicU64>,
}

impl Watching {
    /// For the two with these ids. `known` are rooms that were found before.
    pub(super) fn new(
        pair: &[String; 2],
        format: &str,
        known: &[String],
        unread: Arc<AtomicU64>,
    ) -> Self {
        let [one, two] = pair;
        let now = Instant::now();
        Self {
            lookout: Lookout::new(format, pair.clone(), known.iter().map(String::as_str)),
            what: format!("{one} and {two} in {format}"),
            at: now,
            blind: limits::LOOK_FIRST,
            asked: None,
            lonely: now + limits::NOTHING_FOUND,
            strangers: Vec::new(),
            unread,
        }
    }

    /// When to look next: not before the last look is answered, but for an answer that never comes.
    pub(super) fn alarm(&self) -> Instant {
        self.asked.map_or(self.at, |asked| self.at.max(asked + limits::LOOK_ANSWERED))
    }

    pub(super) fn hear(&mut self, listing: &Listing) {
        self.asked = None;
        let was_blind = self.lookout.is_blind();
        self.lookout.hear(listing);
        if was_blind && !self.lookout.is_blind() {
            self.at = Instant::now();
        }
    }

    pub(super) fn no_room(&mut self, room: &str) {
        self.lookout.no_room(room);
        self.note();
    }

    /// A room was entered. Returns it if it is a battle that is looked for.
    pub(super) fn enter(&mut self, room: Room) -> Option<Room> {
        // Where one was, the next may be.
        self.at = Instant::now();
        let is_found = self.lookout.enter(room.id(), room.title());
        self.note();
        if is_found {
            return Some(room);
        }
        self.strangers.push(room);
        None
    }

    /// The connection is lost, and with it rooms that were found and not yet watched.
    pub(super) fn lost<'a>(&mut self, found: impl Iterator<Item = &'a Room>) {
        // Nothing says whether the server is the same one still.
        if !self.lookout.is_blind() {
            let who = &self.what;
            tracing::warn!(
                "if the server was restarted and numbers its battles anew, some of {who} are missed"
            );
        }
        found.for_each(|room| self.lookout.lose(room.id()));
        self.lookout.ask_anew();
        self.strangers.clear();
        (self.at, self.asked, self.blind) = (Instant::now(), None, limits::LOOK_FIRST);
    }

    /// Looks, if it is time to. `is_any`: whether a battle is watched now.
    pub(super) async fn advance(&mut self, client: &Client, is_any: bool) -> Result<(), Gone> {
        for room in self.strangers.drain(..) {
            room.say("/leave").await?;
        }
        let now = Instant::now();
        if is_any {
            self.lonely = now + limits::NOTHING_FOUND;
        } else if self.lonely <= now {
            self.lonely = now + limits::NOTHING_FOUND;
            let (seconds, who) = (limits::NOTHING_FOUND.as_secs(), &self.what);
            tracing::warn!("no battle for {seconds} s: {who} must play each other, not in private");
        }
        if self.alarm() > now {
            return Ok(());
        }
        client.list_battles().await?;
        self.asked = Some(now);
        for room in self.lookout.due() {
            client.join(&room).await?;
        }
        self.note();
        self.at = now + self.pause();
        Ok(())
    }

    /// How long until the next look.
    fn pause(&mut self) -> Duration {
        if !self.lookout.is_blind() {
            return limits::LOOK_AGAIN;
        }
        let pause = self.blind;
        self.blind = (pause * 9 / 8).min(limits::LOOK_FIRST_LONGEST);
        pause
    }

    fn note(&self) {
        self.unread.store(self.lookout.unread(), Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::lookout::Players;

    fn watching() -> Watching {
        let pair = ["ann".to_owned(), "bob".to_owned()];
        Watching::new(&pair, "gen9ou", &[], Arc::default())
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_sees_no_battle_looks_less_and_less_often_and_at_once_when_one_shows() {
        let mut watching = watching();
        let pauses: Vec<Duration> = (0..40).map(|_| watching.pause()).collect();
        assert_eq!(pauses.first(), Some(&limits::LOOK_FIRST));
        assert!(pauses.is_sorted());
        assert_eq!(pauses.last(), Some(&limits::LOOK_FIRST_LONGEST));

        watching.at = Instant::now() + limits::LOOK_FIRST_LONGEST;
        watching.hear(&Listing::default());
        assert!(watching.alarm() > Instant::now(), "there is still none");
        let rooms = [("battle-gen9ou-1".to_owned(), Players::default())].into();
        watching.hear(&Listing { rooms });
        assert_eq!(watching.alarm(), Instant::now());
        assert_eq!(watching.pause(), limits::LOOK_AGAIN);
    }

    #[tokio::test(start_paused = true)]
    async fn a_new_connection_is_looked_at_as_often_as_the_first_one() {
        let mut watching = watching();
        for _ in 0..40 {
            watching.pause();
        }
        watching.lost(std::iter::empty());
        assert_eq!(watching.pause(), limits::LOOK_FIRST);
    }
}
