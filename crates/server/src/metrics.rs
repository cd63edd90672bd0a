//! `GET /metrics`: everything that is counted, for Prometheus.

use std::sync::atomic::{AtomicU64, Ordering};

use interlock_runtime::status::{Histogram, Status, Timings, TypeStatus};
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
    let mut family = text.family("interlock_commit_seconds", Type::Summary, help);
    summary(&mut family, &[], &status.commit_times);
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
    handlers(text, status);
}

fn handlers(text: &mut Text, status: &Status) {
    let help = "How long the handlers of a record take, by phase.";
    let mut family = text.family("interlock_handlers_seconds", Type::Summary, help);
    for (entity, status) in &status.types {
        for (phase, times) in [("1", &status.write_times), ("2", &status.read_times)] {
            summary(&mut family, &[("type", entity), ("phase", phase)], times);
        }
    }
}

/// Quantiles since the start, known to the next power of two microseconds; none is longer than the longest.
fn summary(family: &mut Family<'_>, labels: &[(&'static str, &str)], times: &Histogram) {
    let Timings { count, sum_us, p50_us, p99_us, max_us } = times.read();
    // Prometheus' word for a quantile of nothing.
    let quantile = |us: u64| if count == 0 { f64::NAN } else { seconds(us.min(max_us)) };
    let quantiles =
        [("0.5", quantile(p50_us)), ("0.99", quantile(p99_us)), ("1", quantile(max_us))];
    family.summary(labels, &quantiles, seconds(sum_us), count);
}

fn seconds(us: u64) -> f64 {
    us as f64 / 1e6
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn everything_that_is_counted_is_shown() {
        let status = Status::new(["turn", "pool"]);
        status.commands.store(7, Ordering::Relaxed);
        status.types["pool"].drift.store(2, Ordering::Relaxed);
        status.commit_times.add(Duration::from_micros(300));
        status.types["turn"].write_times.add(Duration::from_millis(3));
        let text = text(&status, &Traffic::default());
        for line in [
            "interlock_commands_total 7",
            "interlock_commits_total 0",
            "interlock_resident_entities 0",
            "interlock_drift{type=\"pool\"} 2",
            "interlock_drift{type=\"turn\"} 0",
            "interlock_commit_seconds_sum 0.0003",
            "interlock_commit_seconds_count 1",
            "interlock_commit_seconds{quantile=\"1\"} 0.0003",
            "interlock_handlers_seconds_sum{type=\"turn\",phase=\"1\"} 0.003",
            "interlock_handlers_seconds{type=\"pool\",phase=\"2\",quantile=\"0.5\"} NaN",
            "interlock_handlers_seconds{type=\"turn\",phase=\"1\",quantile=\"0.99\"} 0.003",
            "interlock_http_panics_total 0",
        ] {
            assert!(text.as_str().lines().any(|shown| shown == line), "{line}\n{}", text.as_str());
        }
    }

    #[test]
    fn no_family_is_there_twice() {
        let text = text(&Status::new(["turn"]), &Traffic::default());
        let families = text.as_str().lines().filter(|line| line.starts_with("# TYPE "));
        let families: Vec<_> = families.collect();
        let distinct: std::collections::BTreeSet<_> = families.iter().collect();
        assert_eq!(families.len(), distinct.len());
    }
}
