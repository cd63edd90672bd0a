//! Battles: runs, and who plays for them.

use interlock_battles::{
    fleet::Fleets,
    history,
    routes::{self, fleet::Desk},
};
use interlock_kernel::time::Millis;
use interlock_runtime::{Builder, Runtime};
use interlock_web::{
    endpoint::Routes,
    page::{Column, live, table},
};
use maud::{Markup, html};

use crate::{
    compose::{BadStart, Later, Prepared, Service},
    config::Config,
    limits,
    pages::{battles::path, figures::clock},
};

/// The service as configured.
#[must_use]
pub fn prepare(config: &Config, fleets: &Fleets) -> Box<dyn Prepared> {
    Box::new(Battles { retention: config.retention, fleets: fleets.clone() })
}

struct Battles {
    retention: Millis,
    fleets: Fleets,
}

impl Prepared for Battles {
    fn register(&self, builder: Builder) -> Builder {
        interlock_battles::register(builder, &self.fleets)
    }

    fn start(self: Box<Self>, runtime: &Runtime) -> Later<'_, Result<Box<dyn Service>, BadStart>> {
        let desk = Desk { runtime: runtime.clone(), fleets: self.fleets };
        let running = Running { desk, retention: self.retention };
        Box::pin(async { Ok(Box::new(running) as Box<dyn Service>) })
    }
}

struct Running {
    desk: Desk,
    retention: Millis,
}

impl Service for Running {
    fn routes(&self) -> Routes {
        let runs = routes::routes(self.desk.runtime.clone(), self.retention);
        runs.and(routes::fleet::routes(self.desk.clone()))
    }

    fn panel(&self) -> Later<'_, Markup> {
        Box::pin(async {
            let runs = history::runs(&self.desk.runtime, limits::RECENT_SHOWN).await;
            // A server without runs has nothing to do with battles; the store's trouble is told elsewhere.
            let runs = runs.unwrap_or_default();
            if runs.is_empty() { Markup::default() } else { panel(&runs) }
        })
    }
}

fn panel(runs: &[history::KnownRun]) -> Markup {
    let columns = [
        Column::Text("Run"),
        Column::Text("Format"),
        Column::Text("Opponents"),
        Column::Number("Opened, UTC"),
    ];
    let row = |run: &history::KnownRun| {
        vec![
            html! { a href=(path(&run.run)) { (run.run) } },
            html! { (run.plan.format) },
            html! { (run.plan.mode.word()) },
            clock(run.opened),
        ]
    };
    let rows: Vec<_> = runs.iter().map(row).collect();
    html! {
        h2 { "Battle runs" }
        (live("runs", table(&columns, &rows, "")))
    }
}
