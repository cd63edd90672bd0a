//! Streams: engines and who plays what from them.

use interlock_battles::fleet::Fleets;
use interlock_runtime::{Builder, Runtime};
use interlock_streams::{
    routes,
    service::{self, EngineLoad, Freed, LiveStream, Overview},
};
use interlock_web::{
    endpoint::Routes,
    metrics::{Text, Type},
    page::{Column, Tone, badge, live, table},
};
use maud::{Markup, html};

use crate::{
    compose::{BadStart, Later, Measure, Prepared, Service},
    config::Config,
    pages::entity_path,
    pages::figures::{bytes, clock, count, gauge, short},
};

/// The service as configured.
#[must_use]
pub fn prepare(config: &Config, _: &Fleets) -> Box<dyn Prepared> {
    Box::new(Streams { config: config.streams.clone(), freed: Freed::default() })
}

struct Streams {
    config: service::Config,
    freed: Freed,
}

impl Prepared for Streams {
    fn register(&self, builder: Builder) -> Builder {
        service::register(builder, &self.freed)
    }

    fn start(self: Box<Self>, runtime: &Runtime) -> Later<'_, Result<Box<dyn Service>, BadStart>> {
        Box::pin(async {
            let service = service::Service::start(runtime, self.config, self.freed).await?;
            Ok(Box::new(Running(service)) as Box<dyn Service>)
        })
    }
}

struct Running(service::Service);

impl Service for Running {
    fn routes(&self) -> Routes {
        routes::routes(self.0.clone())
    }

    fn panel(&self) -> Later<'_, Markup> {
        Box::pin(async { panel(&self.0.overview().await) })
    }

    fn measure(&self) -> Later<'_, Measure> {
        Box::pin(async {
            let overview = self.0.overview().await;
            Box::new(move |text: &mut Text| measure(&overview, text)) as Measure
        })
    }

    fn stop(&self) -> Later<'_, ()> {
        Box::pin(self.0.stop())
    }
}

fn panel(overview: &Overview) -> Markup {
    // A server without engines has nothing to do with streams.
    if overview.engines.is_empty() && overview.streams.is_empty() {
        return html! {};
    }
    html! {
        h2 { "Engines" }
        (live("engines", engines(&overview.engines)))
        h2 { "Streams" }
        (live("streams", streams(&overview.streams)))
    }
}

fn engines(engines: &[EngineLoad]) -> Markup {
    let columns = [
        Column::Text("Engine"),
        Column::Text("Load"),
        Column::Number("In use"),
        Column::Text("State"),
    ];
    let row = |engine: &EngineLoad| {
        let used = engine.pending + engine.active + engine.closing;
        vec![
            html! { span title=(engine.url) { (engine.name) } },
            gauge(u64::from(used), u64::from(engine.limit)),
            html! { (count(u64::from(used))) " of " (count(u64::from(engine.limit))) },
            state(engine),
        ]
    };
    let rows: Vec<_> = engines.iter().map(row).collect();
    table(&columns, &rows, "There are no engines.")
}

fn state(engine: &EngineLoad) -> Markup {
    html! {
        @match (engine.aside_until, engine.healthy) {
            (Some(until), _) => { (badge(Tone::Warn, "left alone")) " until " (clock(until)) }
            (None, true) => (badge(Tone::Good, "healthy")),
            (None, false) => (badge(Tone::Bad, "not answering")),
        }
        @if engine.forwarded { " " (badge(Tone::Plain, "forwarded")) }
    }
}

fn streams(streams: &[LiveStream]) -> Markup {
    let columns = [
        Column::Text("Stream"),
        Column::Text("Engine"),
        Column::Number("Players"),
        Column::Number("Sent"),
    ];
    let row = |stream: &LiveStream| {
        let path = entity_path("stream", &stream.name);
        let tone = if stream.phase == "flowing" { Tone::Good } else { Tone::Plain };
        vec![
            html! { a href=(path) title=(stream.name) { (short(&stream.name)) } },
            html! {
                @if let Some(engine) = &stream.engine { (engine) " " }
                (badge(tone, stream.phase))
                @if stream.dropped > 0 {
                    " " (badge(Tone::Warn, &format!("{} players too slow", count(stream.dropped))))
                }
            },
            html! { (count(stream.players as u64)) },
            html! { (bytes(stream.sent_bytes)) },
        ]
    };
    let rows: Vec<_> = streams.iter().map(row).collect();
    table(&columns, &rows, "Nobody is watching.")
}

fn measure(overview: &Overview, text: &mut Text) {
    type Load = fn(&EngineLoad) -> u32;
    let loads: [(&'static str, &str, Load); 6] = [
        ("interlock_engine_limit", "Streams that an engine may serve at once.", |it| it.limit),
        ("interlock_engine_pending", "Streams that an engine is starting.", |it| it.pending),
        ("interlock_engine_active", "Streams that flow from an engine.", |it| it.active),
        ("interlock_engine_closing", "Streams that an engine may still be ending.", |it| {
            it.closing
        }),
        ("interlock_engine_healthy", "Whether an engine answers its health check.", |it| {
            u32::from(it.healthy)
        }),
        ("interlock_engine_ejected", "Whether an engine is left alone for a while.", |it| {
            u32::from(it.aside_until.is_some())
        }),
    ];
    for (name, help, load) in loads {
        let mut family = text.family(name, Type::Gauge, help);
        for engine in &overview.engines {
            family.sample(&[("engine", engine.name.as_str())], load(engine));
        }
    }
    let players: usize = overview.streams.iter().map(|stream| stream.players).sum();
    let gauges = [
        ("interlock_streams", "Streams that are carried.", overview.streams.len() as u64),
        ("interlock_players", "Players, the waiting ones included.", players as u64),
        (
            "interlock_streams_drift",
            "How far the engines' counts are from the slots really held. Zero when quiet.",
            overview.drift,
        ),
    ];
    for (name, help, value) in gauges {
        text.family(name, Type::Gauge, help).sample(&[], value);
    }
}
