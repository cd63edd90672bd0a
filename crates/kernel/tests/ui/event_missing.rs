//! The table of an entity leaves out one of its events.

#[path = "door/mod.rs"]
mod door;

use door::{Door, Event, Opened};

interlock_kernel::handlers! {
    pub struct DoorHandlers for Door {
        Event::Opened => opened: Opened,
    }
}

fn main() {}
