//! What handlers are to do about a record, asked again: for audits.
//!
//! A write handler is a pure function. So whoever has the log and the table can say what must have been done
//! because of each record, and compare.

use std::sync::Arc;

use interlock_kernel::{
    bus::{HandlerError, HandlerTable, On, Origin, Reaction, Visit, Write},
    entity::Entity,
    ids::{Key, Position},
};

use crate::{codec, record::Decided};

/// The handlers of an entity type.
pub struct Reactions {
    entity: &'static str,
    ask: Box<Asked>,
}

type Asked = dyn Fn(&Origin, &Decided<'_>) -> Result<Vec<Reacted>, HandlerError> + Send + Sync;

/// What the handlers of one event are to do.
#[derive(Debug)]
pub struct Reacted {
    /// What each write handler wants, with its name.
    pub writes: Vec<(&'static str, Reaction)>,
    /// The read handlers.
    pub reads: Vec<&'static str>,
}

impl Reactions {
    pub(crate) fn of<E: Entity, T: HandlerTable<E>>(table: Arc<T>) -> Self {
        let ask = move |origin: &Origin, decided: &Decided<'_>| {
            let events = codec::events::<E>(decided.head.schema, decided.events.0);
            let events = events.map_err(|error| HandlerError(error.to_string()))?;
            events.iter().map(|event| table.route(event, Ask(origin))).collect()
        };
        Self { entity: E::TYPE, ask: Box::new(ask) }
    }

    /// The entity type.
    #[must_use]
    pub fn entity(&self) -> &'static str {
        self.entity
    }

    /// What the handlers of a record's events are to do, event by event.
    ///
    /// # Errors
    /// When the record cannot be read, or a write handler cannot say what it wants.
    pub fn to(
        &self,
        position: Position,
        decided: &Decided<'_>,
    ) -> Result<Vec<Reacted>, HandlerError> {
        let head = decided.head;
        let key = Key::new(head.key).map_err(|error| HandlerError(error.to_string()))?;
        let (entity, version, at) = (self.entity, head.version, head.at);
        (self.ask)(&Origin { entity, key, version, position, at }, decided)
    }
}

/// Asks the handlers of an event about a record.
struct Ask<'a>(&'a Origin);

impl Visit for Ask<'_> {
    type Out = Result<Reacted, HandlerError>;

    fn on<Ev>(self, on: &On<Ev>, event: &Ev) -> Self::Out {
        let react = |write: &Write<Ev>| Ok((write.name(), write.react(event, self.0)?));
        let writes = on.write.iter().map(react).collect::<Result<_, _>>()?;
        Ok(Reacted { writes, reads: on.read.iter().map(|read| read.name()).collect() })
    }
}
