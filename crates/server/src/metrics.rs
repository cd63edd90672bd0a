//! `GET /metrics`: everything that is counted, for Prometheus.

use std::sync::atomic::{AtomicU64, Ordering};

use interlock_runtime::status::{Histogram, Status, TypeStatus};
use interlock_web::{
    metrics::{Family, Text, Type},
    traffic::Traffic,
};

/// Writes all of it.
#[must_use]
pub fn text(status: &Status, traffic: &Traffic) -> Text {
    let mut text = Text::new();
    text.family("interlock_build_info", Type::Gauge, "Which version runs.")
        .sample(&[("version", env!("CARGO_PKG_VERSION"))], 1);
    runtime(&mut text, status);
    types(&mut text, status);
    traffic.write(&mut text);
    text
}

fn runtime(text: &mut Text, status: &Status) {
    for (name, help, count) in [
        ("interlock_commands_total", "Commands that reached their entity.", &status.commands),
        ("interlock_rejections_total", "Commands that the domain refused.", &status.rejections),
        ("interlock_replays_total", "Repeats answered from the log.", &status.replays),
        ("interlock_loads_total", "Entities read from the store.", &status.loads),
        ("interlock_commits_total", "Commits.", &status.commits),
        ("interlock_records_total", "Records committed.", &status.records),
        (
            "interlock_refused_commits_total",
            "Commits that the store refused.",
            &status.refused_commits,
        ),
    ] {
        text.family(name, Type::Counter, help).sample(&[], count.load(Ordering::Relaxed));
    }
    for (name, help, amount) in [
        ("interlock_resident_entities", "Entities in memory.", &status.resident),
        (
            "interlock_resident_bytes",
            "What the entities in memory are estimated to take.",
            &status.resident_bytes,
        ),
    ] {
        text.family(name, Type::Gauge, help).sample(&[], amount.load(Ordering::Relaxed));
    }
    let help = "How long commits take, from hand-over to answer.";
    let mut family = text.family("interlock_commit_seconds", Type::Histogram, help);
    histogram(&mut family, &[], &status.commit_times);
}

fn types(text: &mut Text, status: &Status) {
    type Count = fn(&TypeStatus) -> &AtomicU64;
    let counts: [(&'static str, Type, &str, Count); 6] = [
        (
            "interlock_events_handled_total",
            Type::Counter,
            "Events whose handlers have run.",
            |status| &status.handled,
        ),
        (
            "interlock_events_lost_total",
            Type::Counter,
            "Events lost to their handlers until the next start. Must stay zero.",
            |status| &status.lost,
        ),
        (
            "interlock_events_parked_total",
            Type::Counter,
            "Events parked as dead letters.",
            |status| &status.dead,
        ),
        ("interlock_slow_handlers_total", Type::Counter, "Slow handler calls.", |status| {
            &status.slow
        }),
        ("interlock_recounts_total", Type::Counter, "Entities recounted from the log.", |status| {
            &status.recounted
        }),
        (
            "interlock_drift",
            Type::Gauge,
            "Entities whose state in memory differs from a recount of the log. Must stay zero.",
            |status| &status.drift,
        ),
    ];
    for (name, of, help, count) in counts {
        let mut family = text.family(name, of, help);
        for (entity, status) in &status.types {
            family.sample(&[("type", entity)], count(status).load(Ordering::Relaxed));
        }
    }
    let help = "How long the handlers of a record take, by phase.";
    let mut family = text.family("interlock_handlers_seconds", Type::Histogram, help);
    for (entity, status) in &status.types {
        histogram(&mut family, &[("type", entity), ("phase", "1")], &status.write_times);
        histogram(&mut family, &[("type", entity), ("phase", "2")], &status.read_times);
    }
}

fn histogram(family: &mut Family<'_>, labels: &[(&'static str, &str)], times: &Histogram) {
    let timings = times.read();
    family.histogram(labels, &[], timings.sum_us as f64 / 1e6, timings.count);
}
