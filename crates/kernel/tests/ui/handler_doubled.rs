//! The handlers of one event are there twice.

#[path = "door/mod.rs"]
mod door;

use door::{Closed, Door, Event, Opened};
use interlock_kernel::bus::On;

interlock_kernel::handlers! {
    pub struct DoorHandlers for Door {
        Event::Opened => opened: Opened,
        Event::Closed => closed: Closed,
    }
}

fn main() {
    let _ = DoorHandlers { opened: On::nobody(), closed: On::nobody(), closed: On::nobody() };
}
