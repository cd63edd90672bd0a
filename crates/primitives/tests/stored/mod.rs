//! What the log keeps must come back as it was.

use interlock_kernel::{entity::Entity, kit::Alone};
use serde::{Serialize, de::DeserializeOwned};

/// Checks that a thing can be stored: a reply, for repeats of its command.
pub fn survives<T: Serialize + DeserializeOwned + std::fmt::Debug>(thing: &T) {
    let bytes = postcard::to_stdvec(thing).unwrap();
    let again: T = postcard::from_bytes(&bytes).unwrap();
    assert_eq!(format!("{again:?}"), format!("{thing:?}"));
}

/// Checks that the events fold to the state, and that state, events and pending timers can be stored.
pub fn check<E: Entity + PartialEq + std::fmt::Debug>(entity: &Alone<E>) {
    entity.check_replay();
    survives(entity.state());
    for event in entity.events() {
        survives(event);
        assert!(serde_json::to_value(event).unwrap().is_object(), "the feed shows {event:?}");
    }
    for (_, command) in entity.timers().values() {
        survives(command);
    }
}
