//! The one search that goes on: by the ladder, by challenges, or in a tournament, with pauses where the server wants
//! them.

use std::{collections::BTreeSet, time::Duration};

use tokio::time::Instant;

use super::{Desk, Finding};
use crate::{
    domain::{id::id, popup::Popup, tournament::News},
    fleet::session::{Match, NotFound},
    io::{Client, Gone},
    limits,
};

/// The search that goes on.
pub(super) struct Search {
    pub(super) finding: Finding,
    /// When to ask (again); `None`: the server knows.
    pub(super) at: Option<Instant>,
    /// The next pause, if the server does not want to.
    pause: Duration,
    /// Whether the server has refused it because too many battles are played.
    pub(super) is_one_too_many: bool,
    /// When a search that was called off has found nothing.
    pub(super) off: Option<Instant>,
}

impl Search {
    pub(super) fn new(finding: Finding, now: Instant) -> Self {
        let pause = limits::FIRST_SEARCH_PAUSE;
        Self { finding, at: Some(now), pause, is_one_too_many: false, off: None }
    }
}

impl Desk {
    /// The server says whether it searches for us. If it does not, it has found a battle, which is on its way, or
    /// it has forgotten.
    pub(super) fn searching(&mut self, is_searching: bool) {
        let Some(search) = &mut self.search else { return };
        if self.settings.matching == Match::Ladder && search.off.is_none() {
            let later = || Instant::now() + limits::ROOMS_RETURN;
            search.at = if is_searching { None } else { Some(search.at.unwrap_or_else(later)) };
        }
    }

    pub(super) fn tournament(&mut self, room: &str, news: News) {
        let Some(tournaments) = &mut self.tournaments else { return };
        let speaks = tournaments.hear(room, news, &self.settings.format);
        if let Some(search @ Search { off: None, .. }) = &mut self.search
            && speaks.is_some()
        {
            search.at = speaks;
        }
    }

    pub(super) fn challenged(&mut self, from: &str, format: &str) {
        let from = id(from);
        let Match::Accept(only) = &self.settings.matching else { return };
        let is_welcome = only.as_ref().is_none_or(|only| id(only) == from);
        if from == self.me || !is_welcome || id(format) != self.settings.format {
            return;
        }
        self.challengers.retain(|other| *other != from);
        if self.challengers.len() >= limits::CHALLENGERS {
            self.challengers.pop_front();
        }
        self.challengers.push_back(from);
        if let Some(Search { at: at @ None, off: None, .. }) = &mut self.search {
            *at = Some(Instant::now());
        }
    }

    /// The server says something for people. While we search it is most likely about that.
    pub(super) fn popup(&mut self, text: &str) {
        let popup = Popup::parse(text);
        self.tell(&popup, text);
        let Some(search) = &mut self.search else { return };
        search.is_one_too_many = popup == Popup::TooMany;
        // No pause makes a team or a format right.
        let refusal = match popup {
            Popup::GoesOn => return,
            Popup::BadTeam(says) => Some(NotFound::BadTeam(says)),
            Popup::BadFormat(says) => Some(NotFound::BadFormat(says)),
            Popup::Barred => {
                search.pause = limits::LONGEST_SEARCH_PAUSE;
                None
            }
            Popup::TooSoon => {
                search.at = Some(Instant::now() + limits::CHALLENGE_TOO_SOON);
                return;
            }
            Popup::TooMany | Popup::Later => None,
        };
        if let Some(refusal) = refusal {
            let search = self.search.take().expect("it was just there");
            // Who asked may have gone.
            let _ = search.finding.found.send(Err(refusal));
            return;
        }
        let until = Instant::now() + search.pause;
        search.at = Some(until);
        self.tournaments.iter_mut().for_each(|tournaments| tournaments.hold(until));
        if let Match::Accept(_) = self.settings.matching {
            // A challenge was taken back: the next one has nothing to do with it.
            return;
        }
        search.pause = (search.pause * 2).min(limits::LONGEST_SEARCH_PAUSE);
    }

    /// What somebody may have to do something about is a warning, once: it comes again with each attempt.
    fn tell(&mut self, popup: &Popup, text: &str) {
        let is_trouble = match popup {
            Popup::Barred | Popup::Later => true,
            // Waited out, or an error of its own.
            Popup::BadTeam(_)
            | Popup::BadFormat(_)
            | Popup::GoesOn
            | Popup::TooMany
            | Popup::TooSoon => false,
        };
        if is_trouble && self.told.is_new(text) {
            tracing::warn!(account = self.me, text, "the server says");
        } else {
            tracing::info!(account = self.me, text, "the server says");
        }
    }

    pub(super) async fn begin_search(&mut self, client: &Client, now: Instant) -> Result<(), Gone> {
        // Rooms whose fate is open come first: see the module's text.
        let is_stranger = |game: &String| self.is_of_format(game) && !self.playing.contains(game);
        let are_ours = |games: &BTreeSet<String>| !games.iter().any(is_stranger);
        let is_settled = self.returning.is_empty()
            && self.unsettled.is_empty()
            && (self.settles <= now || self.games.as_ref().is_some_and(are_ours));
        let is_due = |search: &&mut Search| search.at.is_some_and(|at| at <= now);
        let Some(search) = self.search.as_mut().filter(is_due) else { return Ok(()) };
        if !is_settled {
            search.at = Some(now + limits::SETTLING);
            return Ok(());
        }
        let team = search.finding.team.as_deref();
        match &self.settings.matching {
            Match::Ladder => {
                client.team(team).await?;
                client.search(&self.settings.format).await?;
                search.at = None;
            }
            Match::Challenge(user) => {
                client.team(team).await?;
                client.challenge(user, &self.settings.format).await?;
                // A challenge that is refused or overlooked says nothing.
                search.at = Some(now + limits::CHALLENGE_AGAIN);
            }
            Match::Accept(_) => {
                // The next challenge begins the search anew.
                search.at = None;
                let Some(user) = self.challengers.pop_front() else { return Ok(()) };
                client.team(team).await?;
                client.accept(&user).await?;
                // A challenge that was taken back says so in a popup; whoever else is silent is asked no more. Two
                // that are accepted at once would be two battles.
                search.at = Some(now + limits::ROOMS_RETURN);
            }
            // Looking goes on, whoever waits.
            Match::Watch { .. } => search.at = None,
            Match::Tournament(_) => {
                let tournaments = self.tournaments.as_mut().expect("they are played");
                search.at = tournaments.take_step(client, &self.settings.format, team).await?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use tokio::{
        sync::{oneshot, watch},
        time::advance,
    };

    use super::*;
    use crate::{
        fleet::session::{SessionSettings, Stage},
        io::Account,
    };

    const BAN: &str = "You are barred from starting any new games until your battle ban expires.";
    const THROTTLE: &str =
        "Due to high load, you are limited to 12 battles and team validations every 3 minutes.";

    /// Searches on the ladder, and hears these popups, each when it has asked again. Returns how long it waits then.
    async fn pauses(popups: &[&str]) -> Vec<Duration> {
        let settings = SessionSettings {
            url: String::new(),
            account: Account::unregistered("bot"),
            format: "gen9randombattle".to_owned(),
            matching: Match::Ladder,
        };
        let stage = watch::Sender::new(Stage::Playing);
        let mut desk = Desk::new(settings, "bot".to_owned(), Vec::new(), None, stage.subscribe());
        let (found, _battle) = oneshot::channel();
        desk.search = Some(Search::new(Finding { team: None, found }, Instant::now()));
        let mut pauses = Vec::new();
        for text in popups {
            desk.popup(text);
            let at = desk.search.as_ref().and_then(|search| search.at);
            let pause = at.expect("it goes on") - Instant::now();
            pauses.push(pause);
            advance(pause).await;
        }
        pauses
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_is_throttled_waits_longer_each_time() {
        let seconds = [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0];
        let expected = seconds.map(Duration::from_secs_f64);
        assert_eq!(pauses(&[THROTTLE; 9]).await, expected);
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_is_banned_asks_no_more_than_once_a_minute() {
        assert_eq!(pauses(&[BAN; 3]).await, [limits::LONGEST_SEARCH_PAUSE; 3]);
        let soon = "You challenged less than 10 seconds after your last challenge!";
        assert_eq!(pauses(&[soon, soon]).await, [limits::CHALLENGE_TOO_SOON; 2]);
    }
}
