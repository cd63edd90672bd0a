//! The table of an entity names an event twice.

#[path = "door/mod.rs"]
mod door;

use door::{Closed, Door, Event, Opened};

interlock_kernel::handlers! {
    pub struct DoorHandlers for Door {
        Event::Opened => opened: Opened,
        Event::Closed => closed: Closed,
        Event::Closed => closed_too: Closed,
    }
}

fn main() {}
