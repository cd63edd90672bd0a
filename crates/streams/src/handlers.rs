//! Who reacts to the engines' events: every stream's own record.

use interlock_kernel::{
    bus::{On, Origin, Reaction, Read, Write},
    ids::Key,
    pool::PoolEvent,
};

use crate::{
    domain::{
        engines::Engines,
        engines_event::{Assigned, Began, Ended, EnginesEvent, Failed, Flowing, Free, Started},
        stream::{Stream, StreamEvent},
    },
    service::{Freed, history},
};

interlock_kernel::handlers! {
    /// The handlers of the engines' events.
    pub struct EnginesHandlers for Engines {
        EnginesEvent::Began => began: Began,
        EnginesEvent::Pool => pool: PoolEvent,
        EnginesEvent::Assigned => assigned: Assigned,
        EnginesEvent::Started => started: Started,
        EnginesEvent::Flowing => flowing: Flowing,
        EnginesEvent::Failed => failed: Failed,
        EnginesEvent::Ended => ended: Ended,
        EnginesEvent::Free => free: Free,
    }
}

/// Notes an event in the record of its stream.
fn note<Ev: Clone + 'static>(stream: fn(&Ev) -> &str, event: fn(Ev) -> StreamEvent) -> Write<Ev> {
    Write::new("stream_record", move |happened: &Ev, _: &Origin| {
        let key = Key::new(stream(happened)).expect("stream keys are names");
        Ok(Reaction::none().send::<Stream>(key, event(happened.clone())))
    })
}

/// The table.
#[must_use]
pub fn engines(freed: Freed) -> EnginesHandlers {
    EnginesHandlers {
        began: On::nobody(),
        pool: On::nobody(),
        assigned: On {
            write: vec![note(|e: &Assigned| &e.stream, StreamEvent::Assigned)],
            read: vec![Read::new("log", |e: &Assigned, _| {
                let reason = &e.reason;
                tracing::info!(
                    engine = %e.engine, stream = e.stream, lease = %e.lease,
                    pending = reason.pending, active = reason.active, closing = reason.closing,
                    limit = reason.limit, fitting = reason.fitting, rule = %reason.rule,
                    "an engine was chosen"
                );
            })],
        },
        started: On {
            write: vec![note(|e: &Started| &e.stream, StreamEvent::Started)],
            read: vec![],
        },
        flowing: On {
            write: vec![note(|e: &Flowing| &e.stream, StreamEvent::Flowing)],
            read: vec![],
        },
        failed: On {
            write: vec![note(|e: &Failed| &e.stream, StreamEvent::Failed)],
            read: vec![Read::new("log", |e: &Failed, _| {
                tracing::warn!(engine = %e.engine, stream = e.stream, why = e.why, "a start failed");
            })],
        },
        ended: On {
            write: vec![
                note(|e: &Ended| &e.stream, StreamEvent::Ended),
                Write::new("history", history::note),
            ],
            read: vec![],
        },
        free: On {
            write: vec![note(|e: &Free| &e.stream, StreamEvent::Free)],
            read: vec![Read::new("wake", move |_: &Free, _| freed.ring())],
        },
    }
}
