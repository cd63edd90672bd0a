//! What those see who do not play: guests, the list of battles, and battles of strangers.

use serde_json::json;

use super::world::{Connection, User, World};
use crate::domain::id::id;

impl World {
    /// A newcomer is somebody as well.
    pub(super) fn welcome(&mut self, connection: Connection) -> String {
        let name = format!("Guest {connection}");
        self.users.insert(id(&name), User::guest(&name, connection));
        format!("|updateuser| {name}|0|1|{{}}")
    }

    /// `/cmd roomlist`: the battles that go on.
    pub(super) fn list_rooms(&mut self, me: &str) {
        self.looks += 1;
        let rooms: serde_json::Map<_, _> = self
            .rooms
            .iter()
            .filter(|(_, room)| room.battle.end.is_none())
            .map(|(name, room)| {
                let [one, two] = room.battle.sides.each_ref().map(|side| &side.name);
                (name.clone(), json!({"p1": one, "p2": two}))
            })
            .collect();
        let answer = json!({"rooms": rooms});
        self.tell(me, format!("|queryresponse|roomlist|{answer}"));
    }

    /// Battles of two whom nobody knows: half of them are over at once.
    pub(super) fn open_strangers(&mut self, format: &str, count: usize) {
        for number in 0..count {
            let room = self.open(format, ["Eve", "Mallory"].map(|name| (name.to_owned(), None)));
            if number % 2 == 0 {
                self.rooms.get_mut(&room).expect("it was just opened").battle.forfeit(0);
            }
        }
    }
}
