//! The contract of the two-phase bus: who reacts to an event, in which phase.
//!
//! Phase 1, **write handlers**: pure functions from an event to commands for other entities and changes
//! of query tables. Their effect happens exactly once. Phase 2, **read handlers**: screens, messages,
//! wake-ups; they begin only when phase 1 of the event is complete, and run at least once.
//!
//! The handlers of an entity are a plain table with one field per event ([`handlers!`](crate::handlers)),
//! so that a missing, doubled or wrong-phase handler is an ordinary type error.
//!
//! Not here: retries, ordering, dead letters, cursors (crate `runtime`).

use std::{any::Any, fmt, future::Future, pin::Pin, sync::Arc};

use crate::{
    entity::Entity,
    ids::{Key, Position, Version},
    time::Time,
};

/// Where an event comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// The source's type.
    pub entity: &'static str,
    /// The source's key.
    pub key: Key,
    /// The source's version after the command that made the event.
    pub version: Version,
    /// The command's place in the log.
    pub position: Position,
    /// When it was decided.
    pub at: Time,
}

/// A handler could not do its work now. Write handlers are tried again, then parked as dead letters.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct HandlerError(pub String);

/// What a write handler wants done: all of it, exactly once.
#[derive(Debug, Default)]
pub struct Reaction {
    /// Commands to other entities, in order.
    pub sends: Vec<Outgoing>,
    /// Changes of query tables, committed together with the handler's cursor.
    pub rows: Vec<RowChange>,
}

impl Reaction {
    /// Nothing to do.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// Also sends a command to an entity of another (or the same) type.
    #[must_use]
    pub fn send<E: Entity>(mut self, key: Key, command: E::Command) -> Self {
        self.sends.push(Outgoing {
            to: E::TYPE,
            key,
            name: E::command_name(&command),
            command: Box::new(command),
        });
        self
    }

    /// Also changes a query table.
    #[must_use]
    pub fn row(mut self, change: RowChange) -> Self {
        self.rows.push(change);
        self
    }
}

/// A command on its way from a write handler.
pub struct Outgoing {
    /// The target's type.
    pub to: &'static str,
    /// The target's key.
    pub key: Key,
    /// The command's name, for timelines.
    pub name: &'static str,
    /// The target's `Entity::Command`.
    pub command: Box<dyn Any + Send>,
}

impl fmt::Debug for Outgoing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} to {}/{}", self.name, self.to, self.key)
    }
}

/// One change of a query table: an ordered map from keys to values, both bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RowChange {
    /// Writes a row, replacing what was there.
    Put {
        /// The table's name.
        table: String,
        /// Its place in the table's order.
        key: Vec<u8>,
        /// What it holds.
        value: Vec<u8>,
    },
    /// Removes a row, if it is there.
    Delete {
        /// The table's name.
        table: String,
        /// Which row.
        key: Vec<u8>,
    },
    /// Removes all rows with `from <= key < to`.
    DeleteRange {
        /// The table's name.
        table: String,
        /// First key that goes.
        from: Vec<u8>,
        /// First key that stays.
        to: Vec<u8>,
    },
}

type WriteFn<Ev> = dyn Fn(&Ev, &Origin) -> Result<Reaction, HandlerError> + Send + Sync;
type ReadFn<Ev> = dyn Fn(&Ev, &Origin) -> ReadRun + Send + Sync;

/// A phase-1 handler of events of type `Ev`. Pure: it may be called again for the same event.
pub struct Write<Ev> {
    name: &'static str,
    run: Arc<WriteFn<Ev>>,
}

impl<Ev> Write<Ev> {
    /// A write handler with the name that timelines, metrics and dead letters show.
    pub fn new<F>(name: &'static str, run: F) -> Self
    where
        F: Fn(&Ev, &Origin) -> Result<Reaction, HandlerError> + Send + Sync + 'static,
    {
        Self { name, run: Arc::new(run) }
    }

    /// The handler's name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Asks what is to be done about the event.
    pub fn react(&self, event: &Ev, origin: &Origin) -> Result<Reaction, HandlerError> {
        (self.run)(event, origin)
    }
}

/// How a read handler goes on after its call.
pub enum ReadRun {
    /// It is done.
    Done,
    /// It could not.
    Failed(HandlerError),
    /// It needs to wait for something.
    Later(Pin<Box<dyn Future<Output = Result<(), HandlerError>> + Send>>),
}

/// A phase-2 handler of events of type `Ev`. Idempotent: it runs at least once.
pub struct Read<Ev> {
    name: &'static str,
    run: Arc<ReadFn<Ev>>,
}

impl<Ev> Read<Ev> {
    /// A read handler that is done when its call returns.
    pub fn new<F>(name: &'static str, run: F) -> Self
    where
        F: Fn(&Ev, &Origin) + Send + Sync + 'static,
    {
        let run = move |event: &Ev, origin: &Origin| {
            run(event, origin);
            ReadRun::Done
        };
        Self { name, run: Arc::new(run) }
    }

    /// A read handler that waits for something outside.
    pub fn later<F, W>(name: &'static str, run: F) -> Self
    where
        F: Fn(&Ev, &Origin) -> W + Send + Sync + 'static,
        W: Future<Output = Result<(), HandlerError>> + Send + 'static,
    {
        let run =
            move |event: &Ev, origin: &Origin| ReadRun::Later(Box::pin(run(event, origin)) as _);
        Self { name, run: Arc::new(run) }
    }

    /// The handler's name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Shows it the event.
    #[must_use]
    pub fn show(&self, event: &Ev, origin: &Origin) -> ReadRun {
        (self.run)(event, origin)
    }
}

/// The handlers of one event.
pub struct On<Ev> {
    /// Phase 1, side by side.
    pub write: Vec<Write<Ev>>,
    /// Phase 2, side by side.
    pub read: Vec<Read<Ev>>,
}

impl<Ev> On<Ev> {
    /// Nobody reacts.
    #[must_use]
    pub fn nobody() -> Self {
        Self { write: Vec::new(), read: Vec::new() }
    }
}

/// What the bus does with the handlers of one event; see [`HandlerTable::route`].
pub trait Visit {
    /// What comes of it.
    type Out;
    /// Called with the handlers of the event and the event itself.
    fn on<Ev>(self, on: &On<Ev>, event: &Ev) -> Self::Out;
}

/// The names of an event's handlers, for diagrams.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flow {
    /// The event.
    pub event: &'static str,
    /// Its phase-1 handlers.
    pub write: Vec<&'static str>,
    /// Its phase-2 handlers.
    pub read: Vec<&'static str>,
}

/// The handlers of every event of an entity. Made by [`handlers!`](crate::handlers).
pub trait HandlerTable<E: Entity>: Send + Sync + 'static {
    /// Whether any event has any handler.
    fn is_empty(&self) -> bool {
        self.flow().iter().all(|flow| flow.write.is_empty() && flow.read.is_empty())
    }
    /// Finds the handlers of an event.
    fn route<V: Visit>(&self, event: &E::Event, visit: V) -> V::Out;
    /// All events with the names of their handlers, for the diagram in the docs.
    fn flow(&self) -> Vec<Flow>;
}

impl<E: Entity, T: HandlerTable<E>> HandlerTable<E> for Arc<T> {
    fn route<V: Visit>(&self, event: &E::Event, visit: V) -> V::Out {
        T::route(self, event, visit)
    }
    fn flow(&self) -> Vec<Flow> {
        T::flow(self)
    }
}

/// The table of an entity whose events nobody handles.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoHandlers;

impl<E: Entity> HandlerTable<E> for NoHandlers {
    fn route<V: Visit>(&self, event: &E::Event, visit: V) -> V::Out {
        visit.on(&On::nobody(), event)
    }
    fn flow(&self) -> Vec<Flow> {
        Vec::new()
    }
}

/// Declares the handler table of an entity: a struct with one field per event variant.
///
/// Every variant of the event enum holds one struct, and is named once; the compiler reports a missing
/// or doubled variant (`E0004`, `E0428`), a missing or doubled field of the table (`E0063`, `E0062`), and a
/// handler put into the wrong phase (`E0308`).
///
/// ```
/// use interlock_kernel::bus::{On, Read};
/// # use interlock_kernel::{entity::*, ids::*};
/// # use serde::{Serialize, Deserialize};
/// # #[derive(Clone, Default, Serialize, Deserialize)] pub struct Door { open: bool }
/// # #[derive(Debug, Clone, Serialize, Deserialize)] pub struct Opened;
/// # #[derive(Debug, Clone, Serialize, Deserialize)] pub struct Closed;
/// # #[derive(Debug, Clone, Serialize, Deserialize)] pub enum DoorEvent { Opened(Opened), Closed(Closed) }
/// # #[derive(Debug, Clone, thiserror::Error)] #[error("no")] pub struct No;
/// # impl Entity for Door {
/// #   const TYPE: &'static str = "door"; type Command = bool; type Event = DoorEvent; type Reply = ();
/// #   type Rejection = No; type Effect = Never;
/// #   fn decide(&self, open: &bool, _: &Context<'_>) -> Verdict<Self> {
/// #     Ok(Decision::event(if *open { DoorEvent::Opened(Opened) } else { DoorEvent::Closed(Closed) }, ())) }
/// #   fn apply(&mut self, e: &DoorEvent) { self.open = matches!(e, DoorEvent::Opened(_)); }
/// #   fn command_name(_: &bool) -> &'static str { "move" }
/// #   fn event_name(_: &DoorEvent) -> &'static str { "moved" }
/// # }
/// interlock_kernel::handlers! {
///     /// Who reacts to a door.
///     pub struct DoorHandlers for Door {
///         DoorEvent::Opened => opened: Opened,
///         DoorEvent::Closed => closed: Closed,
///     }
/// }
///
/// let table = DoorHandlers {
///     opened: On { write: vec![], read: vec![Read::new("greet", |_: &Opened, _| println!("hello"))] },
///     closed: On::nobody(),
/// };
/// # let _ = table;
/// ```
#[macro_export]
macro_rules! handlers {
    ($(#[$doc:meta])* $vis:vis struct $table:ident for $entity:ty {
        $($event:ident :: $variant:ident => $field:ident : $payload:ty),+ $(,)?
    }) => {
        $(#[$doc])*
        $vis struct $table {
            $(#[doc = concat!("Handlers of `", stringify!($variant), "`.")] pub $field: $crate::bus::On<$payload>,)+
        }

        // A second arm for a variant would never be reached, and rustc does not warn inside macros of other
        // crates: naming the variants once more makes it an error.
        const _: () = {
            #[allow(dead_code)]
            enum EachEventOnce {
                $($variant),+
            }
        };

        impl $crate::bus::HandlerTable<$entity> for $table {
            fn route<V: $crate::bus::Visit>(
                &self,
                event: &<$entity as $crate::entity::Entity>::Event,
                visit: V,
            ) -> V::Out {
                match event {
                    $($event::$variant(payload) => visit.on(&self.$field, payload),)+
                }
            }

            fn flow(&self) -> Vec<$crate::bus::Flow> {
                vec![$($crate::bus::Flow {
                    event: stringify!($field),
                    write: self.$field.write.iter().map(|handler| handler.name()).collect(),
                    read: self.$field.read.iter().map(|handler| handler.name()).collect(),
                },)+]
            }
        }
    };
}
