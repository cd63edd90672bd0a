//! Who waits for what: the session's task.

mod search;
mod told;

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    pin::pin,
    time::Duration,
};

use tokio::{
    sync::{mpsc, oneshot, watch},
    time::{Instant, sleep_until},
};

use self::{search::Search, told::Told};
use super::{
    Ask, Match, NotFound, SessionSettings, Stage, link, tournaments::Tournaments,
    watching::Watching,
};
use crate::{
    domain::protocol::{BattleRoom, is_room},
    io::{Client, Event, Events, Gone, Room, Searches},
    limits,
};

/// Somebody who waits for a battle.
struct Finding {
    team: Option<String>,
    found: oneshot::Sender<Result<Room, NotFound>>,
}

/// Somebody who waits for a room that was lost.
struct Returning {
    /// Who plays there: we, or somebody on whom we look.
    player: String,
    opponent: Option<String>,
    back: oneshot::Sender<Option<Room>>,
    /// When to ask for it by name; `None`: this connection has.
    at: Option<Instant>,
}

pub(super) struct Desk {
    settings: SessionSettings,
    me: String,
    stage: watch::Receiver<Stage>,
    waiting: VecDeque<Finding>,
    search: Option<Search>,
    /// Rooms that were handed out and are not done with.
    playing: BTreeSet<String>,
    /// Of these, those of others, which cannot be given up by us.
    visited: BTreeSet<String>,
    /// Rooms that are back before their worker has asked for them.
    returned: BTreeMap<String, Room>,
    returning: BTreeMap<String, Returning>,
    /// Rooms that nobody waits for.
    strays: VecDeque<Room>,
    /// Who wants to be accepted, newest last.
    challengers: VecDeque<String>,
    /// Where battles are found by tournaments.
    tournaments: Option<Tournaments>,
    /// Where battles are others'.
    watching: Option<Watching>,
    /// What the server says is being played; `None`: on this connection it has not said so yet.
    games: Option<BTreeSet<String>>,
    /// Rooms of an earlier connection that are neither back nor done with.
    unsettled: BTreeSet<String>,
    /// Until then, other rooms of the last connection may come back.
    settles: Instant,
    /// What the server has said to people.
    told: Told,
}

impl Desk {
    pub(super) fn new(
        settings: SessionSettings,
        me: String,
        known: Vec<String>,
        watching: Option<Watching>,
        stage: watch::Receiver<Stage>,
    ) -> Self {
        let tournaments = match &settings.matching {
            Match::Tournament(room) => Some(Tournaments::new(room.clone())),
            Match::Ladder | Match::Challenge(_) | Match::Accept(_) | Match::Watch { .. } => None,
        };
        Self {
            settings,
            me,
            stage,
            tournaments,
            watching,
            waiting: VecDeque::new(),
            search: None,
            playing: known.iter().cloned().collect(),
            unsettled: known.into_iter().collect(),
            visited: BTreeSet::new(),
            returned: BTreeMap::new(),
            returning: BTreeMap::new(),
            strays: VecDeque::new(),
            challengers: VecDeque::new(),
            games: None,
            settles: Instant::now() + limits::ROOMS_RETURN,
            told: Told::default(),
        }
    }

    /// Serves until nobody can ask any more.
    pub(super) async fn serve(
        mut self,
        client: Client,
        events: Events,
        mut asks: mpsc::Receiver<Ask>,
    ) {
        let mut connection = (client, events);
        loop {
            let (client, events) = &mut connection;
            if self.converse(client, events, &mut asks).await.is_ok() {
                if let Some(tournaments) = &self.tournaments {
                    // A connection that is lost now has left as well.
                    let _ = tournaments.leave(client).await;
                }
                return;
            }
            tracing::warn!(account = self.me, "the connection is lost, and made anew");
            let Some(again) = self.connect_again().await else { return };
            connection = again;
            self.lost();
        }
    }

    /// However long it takes; those who wait for a battle are told meanwhile if there will be none. `None`: nobody
    /// can ask any more.
    async fn connect_again(&mut self) -> Option<(Client, Events)> {
        let (settings, me, mut stage) =
            (self.settings.clone(), self.me.clone(), self.stage.clone());
        let mut connecting = pin!(link::connect(&settings, &me));
        loop {
            tokio::select! {
                connected = &mut connecting => return Some(connected),
                changed = stage.changed() => {
                    changed.ok()?;
                    self.refuse_waiting(&NotFound::Draining);
                }
            }
        }
    }

    /// One connection, until it is gone; `Ok`: nobody can ask any more.
    async fn converse(
        &mut self,
        client: &Client,
        events: &mut Events,
        asks: &mut mpsc::Receiver<Ask>,
    ) -> Result<(), Gone> {
        loop {
            self.advance(client).await?;
            let alarm = self.alarm();
            tokio::select! {
                biased;
                event = events.recv() => self.hear(event.ok_or(Gone)?),
                ask = asks.recv() => match ask {
                    Some(ask) => self.take(ask),
                    None => return Ok(()),
                },
                changed = self.stage.changed() => {
                    if changed.is_err() {
                        return Ok(());
                    }
                    self.turn(client).await?;
                }
                () = sleep_until(alarm.unwrap_or_else(Instant::now)), if alarm.is_some() => {}
            }
        }
    }

    fn alarm(&self) -> Option<Instant> {
        let search = self.search.iter().map(|search| search.off.or(search.at));
        let returning = self.returning.values().map(|returning| returning.at);
        let leaving = self.tournaments.iter().map(Tournaments::alarm);
        let is_looking = |_: &&Watching| self.stage() == Stage::Playing;
        let looking = self.watching.iter().filter(is_looking).map(|it| Some(it.alarm()));
        search.chain(returning).chain(leaving).chain(looking).flatten().min()
    }

    /// What the lost connection knew is known no more.
    fn lost(&mut self) {
        self.returned.clear();
        self.watching.iter_mut().for_each(|watching| watching.lost(self.strays.iter()));
        self.strays.clear();
        self.games = None;
        self.unsettled.clone_from(&self.playing);
        self.challengers.clear();
        self.tournaments.iter_mut().for_each(Tournaments::lost);
        let now = Instant::now();
        self.settles = now + limits::ROOMS_RETURN;
        self.returning.values_mut().for_each(|returning| returning.at = Some(now));
        if let Some(search) = &mut self.search {
            search.at = Some(now);
            // What it had found is among the rooms that come back.
            search.off = search.off.map(|off| off.max(self.settles));
        }
    }

    fn stage(&self) -> Stage {
        *self.stage.borrow()
    }

    fn take(&mut self, ask: Ask) {
        match ask {
            Ask::Find { team, found } => self.waiting.push_back(Finding { team, found }),
            Ask::Again { room, player, opponent, back } => {
                self.playing.insert(room.clone());
                if player != self.me {
                    self.visited.insert(room.clone());
                }
                // Those that the server says are played come by themselves, unless we fell silent.
                let is_shown = self.games.as_ref().is_some_and(|games| games.contains(&room));
                let pause = if is_shown { limits::ROOMS_RETURN } else { Duration::ZERO };
                let at = Some(Instant::now() + pause);
                self.returning.insert(room.clone(), Returning { player, opponent, back, at });
                if let Some(returned) = self.returned.remove(&room) {
                    self.enter(returned);
                }
            }
            Ask::Done { room } => {
                self.playing.remove(&room);
                self.visited.remove(&room);
                self.unsettled.remove(&room);
                self.returned.remove(&room);
                if let Some(search @ Search { is_one_too_many: true, off: None, .. }) =
                    &mut self.search
                {
                    search.is_one_too_many = false;
                    search.at = Some(Instant::now());
                }
            }
        }
    }

    fn hear(&mut self, event: Event) {
        match event {
            Event::Battle(room) => self.enter(room),
            Event::NoRoom(room) => self.no_room(&room),
            Event::Tournament { room, news } => self.tournament(&room, news),
            Event::Searches(Searches { searching, games }) => {
                self.games = Some(games.into_keys().filter(|game| is_room(game)).collect());
                self.searching(searching.contains(&self.settings.format));
            }
            Event::Challenge { from, format } => self.challenged(&from, &format),
            Event::Listing(listing) => {
                self.watching.iter_mut().for_each(|watching| watching.hear(&listing));
            }
            Event::Popup(text) => self.popup(&text),
        }
    }

    fn no_room(&mut self, room: &str) {
        self.give(room, None);
        self.tournaments.iter_mut().for_each(|tournaments| tournaments.no_room(room));
        self.watching.iter_mut().for_each(|watching| watching.no_room(room));
    }

    /// A room has opened, or opened again.
    fn enter(&mut self, room: Room) {
        let name = room.id().to_owned();
        self.unsettled.remove(&name);
        if let Some(Returning { player, opponent, .. }) = self.returning.get(&name) {
            let sits_opposite = room.opponent(player);
            let is_asked_for =
                sits_opposite.is_some() && (opponent.is_none() || *opponent == sits_opposite);
            return self.give(&name, is_asked_for.then_some(room));
        }
        if self.playing.contains(&name) {
            self.returned.insert(name, room);
            return;
        }
        let room = match &mut self.watching {
            Some(watching) => watching.enter(room),
            None => Some(room),
        };
        let Some(room) = room else { return };
        if room.opponent(&self.me).is_none() || !self.is_of_format(&name) {
            tracing::info!(room = name, "a battle that is not ours is left alone");
        } else if let Some(search) = self.search.take() {
            self.hand_out(search.finding, room);
        } else {
            if self.strays.len() >= limits::ROOMS {
                self.strays.pop_front();
            }
            self.strays.push_back(room);
        }
    }

    fn is_of_format(&self, room: &str) -> bool {
        BattleRoom::parse(room).is_some_and(|room| room.format == self.settings.format)
    }

    fn hand_out(&mut self, finding: Finding, room: Room) {
        self.playing.insert(room.id().to_owned());
        if let Err(Ok(room)) = finding.found.send(Ok(room)) {
            self.playing.remove(room.id());
            self.strays.push_back(room);
        }
    }

    fn give(&mut self, name: &str, room: Option<Room>) {
        if let Some(Returning { back, .. }) = self.returning.remove(name) {
            // Who asked may have gone.
            let _ = back.send(room);
        }
    }

    /// The fleet drains, or gives up.
    async fn turn(&mut self, client: &Client) -> Result<(), Gone> {
        if self.stage() >= Stage::Draining {
            self.refuse_waiting(&NotFound::Draining);
            if let Some(search) = &mut self.search {
                // What was found just before may still be on its way.
                search.off = Some(Instant::now() + limits::SEARCH_CALLED_OFF);
                search.at = None;
                match &self.settings.matching {
                    Match::Ladder => client.cancel_search().await?,
                    Match::Challenge(user) => client.cancel_challenge(user).await?,
                    Match::Accept(_) => {}
                    Match::Watch { .. } => search.off = Some(Instant::now()),
                    Match::Tournament(_) => {
                        let tournaments = self.tournaments.as_ref().expect("they are played");
                        tournaments.cancel(client).await?;
                    }
                }
            }
        }
        if self.stage() == Stage::Forfeiting && self.watching.is_none() {
            for room in self.playing.difference(&self.visited) {
                client.forfeit(room).await?;
            }
        }
        Ok(())
    }

    /// Does what can be done now.
    async fn advance(&mut self, client: &Client) -> Result<(), Gone> {
        let now = Instant::now();
        if let Some(tournaments) = &mut self.tournaments {
            let is_searching = self.search.is_some() || !self.waiting.is_empty();
            tournaments.advance(client, &self.settings.format, is_searching).await?;
            if let Some(room) = tournaments.missing() {
                let nowhere = NotFound::NoRoom(room.to_owned());
                self.waiting.extend(self.search.take().map(|search| search.finding));
                self.refuse_waiting(&nowhere);
            }
        }
        for (name, returning) in &mut self.returning {
            if returning.at.is_some_and(|at| at <= now) {
                returning.at = None;
                client.join(name).await?;
            }
        }
        if self.search.as_ref().and_then(|search| search.off).is_some_and(|off| off <= now) {
            let search = self.search.take().expect("it was just there");
            let _ = search.finding.found.send(Err(NotFound::Draining));
        }
        if self.stage() >= Stage::Draining {
            self.refuse_waiting(&NotFound::Draining);
            return Ok(());
        }
        if let Some(watching) = &mut self.watching {
            watching.advance(client, !self.playing.is_empty()).await?;
        }
        while self.search.is_none()
            && let Some(finding) = self.waiting.pop_front()
        {
            match self.strays.pop_front() {
                Some(room) => self.hand_out(finding, room),
                None => {
                    self.search = Some(Search::new(finding, now));
                    self.tournaments.iter_mut().for_each(Tournaments::search);
                }
            }
        }
        self.begin_search(client, now).await
    }

    fn refuse_waiting(&mut self, why: &NotFound) {
        for finding in self.waiting.drain(..) {
            // Who asked may have gone.
            let _ = finding.found.send(Err(why.clone()));
        }
    }
}
