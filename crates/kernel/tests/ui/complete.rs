//! Every event has its place, every handler its phase.

#[path = "door/mod.rs"]
mod door;

use door::{Closed, Door, Event, Opened};
use interlock_kernel::bus::{On, Reaction, Read, Write};

interlock_kernel::handlers! {
    pub struct DoorHandlers for Door {
        Event::Opened => opened: Opened,
        Event::Closed => closed: Closed,
    }
}

fn main() {
    let _ = DoorHandlers {
        opened: On {
            write: vec![Write::new("count", |_: &Opened, _| Ok(Reaction::none()))],
            read: vec![Read::new("greet", |_: &Opened, _| {})],
        },
        closed: On::nobody(),
    };
}
