//! Who hears what: a battle's frames go to its player, what happens outside of battles to the connection's owner.

use std::collections::BTreeMap;

use tokio::sync::mpsc;

use super::{Event, Room};
use crate::{
    domain::{
        id::id,
        lookout::listing,
        protocol::{BattleRoom, Frame, LOBBY, Line},
        tournament::News,
    },
    limits,
};

/// The battles of a connection.
pub(super) struct Rooms {
    /// The id of the own name.
    own: String,
    open: BTreeMap<String, mpsc::Sender<String>>,
    events: mpsc::Sender<Event>,
    outgoing: mpsc::WeakSender<String>,
}

impl Rooms {
    /// For somebody of this name, none entered.
    pub(super) fn new(
        name: &str,
        events: mpsc::Sender<Event>,
        outgoing: mpsc::WeakSender<String>,
    ) -> Self {
        Self { own: id(name), open: BTreeMap::new(), events, outgoing }
    }

    pub(super) fn hear(&mut self, message: &str) {
        match Frame::parse(message) {
            None => tracing::debug!("a message for something that is no room was skipped"),
            Some(frame) if BattleRoom::parse(frame.room).is_some() => self.inside(&frame, message),
            Some(frame) if frame.room.is_empty() => {
                frame.lines().for_each(|line| self.outside(LOBBY, &line));
            }
            Some(frame) => frame.lines().for_each(|line| self.chat_room(frame.room, &line)),
        }
    }

    fn chat_room(&self, room: &str, line: &Line<'_>) {
        if matches!(line, Line::Tournament(_) | Line::NoInit) {
            self.outside(room, line);
        }
    }

    /// Outside of battles. What is said for no room in particular may be for the lobby.
    fn outside(&self, room: &str, line: &Line<'_>) {
        let event = match line {
            // What we send comes back to us.
            Line::Pm { from, .. } if id(from) == self.own => return,
            Line::Pm { from, text } => {
                // "/challenge FORMAT|…"; an empty format takes a challenge back.
                let format =
                    text.strip_prefix("/challenge ").and_then(|text| text.split('|').next());
                let Some(format) = format.filter(|format| !format.is_empty()) else { return };
                Event::Challenge { from: (*from).to_owned(), format: format.to_owned() }
            }
            Line::Popup(text) => Event::Popup((*text).to_owned()),
            Line::NoInit => Event::NoRoom(room.to_owned()),
            Line::Tournament(text) => match News::parse(text) {
                Some(news) => Event::Tournament { room: room.to_owned(), news },
                None => return,
            },
            Line::UpdateSearch(json) => match serde_json::from_str(json) {
                Ok(searches) => Event::Searches(searches),
                Err(error) => {
                    return tracing::warn!(%error, "searches that cannot be read were skipped");
                }
            },
            Line::Answer { .. } => match listing(line) {
                Some(Ok(listing)) => Event::Listing(listing),
                Some(Err(error)) => {
                    return tracing::warn!(%error, "a list of battles that cannot be read was skipped");
                }
                None => return,
            },
            Line::Challstr(_)
            | Line::Formats(_)
            | Line::UpdateUser { .. }
            | Line::NameTaken { .. }
            | Line::Title(_)
            | Line::Init(_)
            | Line::Deinit
            | Line::Error(_)
            | Line::Request(_)
            | Line::Battle(_)
            | Line::Other(_) => return,
        };
        self.tell(event);
    }

    fn inside(&mut self, frame: &Frame<'_>, message: &str) {
        let begins = || frame.lines().any(|line| matches!(line, Line::Init("battle")));
        if !self.open.contains_key(frame.room) && begins() {
            let title = |line| if let Line::Title(title) = line { Some(title) } else { None };
            let title = frame.lines().find_map(title);
            self.enter(frame.room, title.unwrap_or(""));
        }
        if frame.lines().any(|line| line == Line::NoInit) {
            self.tell(Event::NoRoom(frame.room.to_owned()));
        }
        let Some(player) = self.open.get(frame.room) else { return };
        if let Err(error) = player.try_send(message.to_owned()) {
            let room = frame.room;
            if let mpsc::error::TrySendError::Full(_) = error {
                tracing::warn!(room, "its player fell too far behind: the battle is left alone");
            }
            self.open.remove(room);
        } else if frame.lines().any(|line| line == Line::Deinit) {
            self.open.remove(frame.room);
        }
    }

    fn enter(&mut self, room: &str, title: &str) {
        // Rooms whose player is done with them make place.
        self.open.retain(|_, player| !player.is_closed());
        let Some(outgoing) = self.outgoing.upgrade() else { return };
        if self.open.len() >= limits::ROOMS {
            tracing::warn!(room, limit = limits::ROOMS, "one battle too many: it is left alone");
            return;
        }
        let (player, frames) = mpsc::channel(limits::ROOM_FRAMES);
        let (id, title) = (room.to_owned(), title.to_owned());
        if self.tell(Event::Battle(Room { id, title, frames, outgoing })) {
            self.open.insert(room.to_owned(), player);
        }
    }

    /// Whether the owner will hear of it.
    pub(super) fn tell(&self, event: Event) -> bool {
        let told = self.events.try_send(event).is_ok();
        if !told {
            tracing::warn!("the connection's owner does not listen: an event was dropped");
        }
        told
    }
}
