//! Counts of what the server does, cheap enough for every request.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::Relaxed},
};

use axum::http::StatusCode;

use crate::metrics::{Text, Type};

/// Counts since the process started.
#[derive(Debug, Default)]
pub struct Traffic {
    /// Answers by the first digit of their status.
    answers: [AtomicU64; 5],
    connections: AtomicU64,
    open: Arc<AtomicU64>,
    refused: AtomicU64,
    panics: AtomicU64,
}

/// An open connection; it is over when this is dropped.
#[derive(Debug)]
pub(crate) struct Open(Arc<AtomicU64>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

impl Traffic {
    /// Writes the counts.
    pub fn write(&self, text: &mut Text) {
        let mut answers =
            text.family("interlock_http_answers_total", Type::Counter, "Answers by status class.");
        for (count, class) in self.answers.iter().zip(["1xx", "2xx", "3xx", "4xx", "5xx"]) {
            answers.sample(&[("status", class)], count.load(Relaxed));
        }
        let counts = [
            ("interlock_http_connections_total", "Connections served.", &self.connections),
            (
                "interlock_http_connections_refused_total",
                "Connections beyond the bound.",
                &self.refused,
            ),
            ("interlock_http_panics_total", "Requests whose handler panicked.", &self.panics),
        ];
        for (name, help, count) in counts {
            text.family(name, Type::Counter, help).sample(&[], count.load(Relaxed));
        }
        text.family("interlock_http_connections", Type::Gauge, "Open connections.")
            .sample(&[], self.open.load(Relaxed));
    }

    pub(crate) fn open(&self) -> Open {
        self.connections.fetch_add(1, Relaxed);
        self.open.fetch_add(1, Relaxed);
        Open(Arc::clone(&self.open))
    }

    pub(crate) fn answered(&self, status: StatusCode) {
        let class = usize::from(status.as_u16() / 100).clamp(1, 5);
        self.answers[class - 1].fetch_add(1, Relaxed);
    }

    pub(crate) fn refused(&self) {
        self.refused.fetch_add(1, Relaxed);
    }

    pub(crate) fn panicked(&self) {
        self.panics.fetch_add(1, Relaxed);
    }
}
