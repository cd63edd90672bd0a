//! A read handler stands among those of phase 1.

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
        opened: On { write: vec![Read::new("greet", |_: &Opened, _| {})], read: vec![] },
        closed: On::nobody(),
    };
}
