//! A handler of one event stands among those of another.

#[path = "door/mod.rs"]
mod door;

use door::{Closed, Door, Event, Opened};
use interlock_kernel::bus::{On, Read};

interlock_kernel::handlers! {
    pub struct DoorHandlers for Door {
        Event::Opened => opened: Opened,
        Event::Closed => closed: Closed,
    }
}

fn main() {
    let _ = DoorHandlers {
        opened: On { write: vec![], read: vec![Read::new("goodbye", |_: &Closed, _| {})] },
        closed: On::nobody(),
    };
}
