//! What a fleet says of itself while it plays, and at the end.

use std::{
    cmp::Reverse,
    collections::BTreeMap,
    convert::Infallible,
    fmt::Write as _,
    future::pending,
    io::{IsTerminal, Write, stderr},
    time::{Duration, Instant},
};

use interlock_battles::{
    domain::{run::RunView, score::Score},
    fleet::{Part, Report, counter::Counter},
};
use interlock_kernel::quota::Limit;
use tokio::time::sleep;

/// How often a terminal is told, and how often a file.
const ON_TERMINALS: Duration = Duration::from_secs(1);
const ELSEWHERE: Duration = Duration::from_secs(30);
/// Opponents in a report for people.
const OPPONENTS_SHOWN: usize = 10;

/// Shows how the run goes on, for ever: one line that changes on a terminal, one line now and then elsewhere.
pub async fn show(counter: &Counter) -> Infallible {
    let Ok(view) = counter.view().await else {
        return pending().await; // the fleet cannot count either, and says so
    };
    let pace = Pace::new(&view, Instant::now());
    let mut status = Status::new(stderr(), stderr().is_terminal());
    loop {
        sleep(if status.is_terminal { ON_TERMINALS } else { ELSEWHERE }).await;
        if let Ok(view) = counter.view().await {
            status.show(&line(&view, &pace, Instant::now()));
        }
    }
}

/// A line that says how things stand. On a terminal it is written over and over, and finished when this is dropped.
struct Status<W: Write> {
    out: W,
    is_terminal: bool,
    is_open: bool,
}

impl<W: Write> Status<W> {
    fn new(out: W, is_terminal: bool) -> Self {
        Self { out, is_terminal, is_open: false }
    }

    fn show(&mut self, line: &str) {
        self.is_open = self.is_terminal;
        // Nobody who watches is no reason to stop.
        let _ = match self.is_terminal {
            true => write!(self.out, "\r\x1b[K{line}").and_then(|()| self.out.flush()),
            false => writeln!(self.out, "{line}"),
        };
    }
}

impl<W: Write> Drop for Status<W> {
    fn drop(&mut self) {
        if self.is_open {
            let _ = writeln!(self.out);
        }
    }
}

/// How fast a run goes on, from how it stood at a moment.
struct Pace {
    finished: u64,
    since: Instant,
}

impl Pace {
    fn new(view: &RunView, since: Instant) -> Self {
        Self { finished: view.total.finished(), since }
    }

    /// Battles an hour, if there were any.
    fn an_hour(&self, finished: u64, now: Instant) -> Option<f64> {
        let hours = (now - self.since).as_secs_f64() / 3600.0;
        let played = finished - self.finished;
        (played > 0 && hours > 0.0).then(|| played as f64 / hours)
    }
}

/// Done of target, win rate with its interval, speed, and when it will be done.
fn line(view: &RunView, pace: &Pace, now: Instant) -> String {
    let done = view.total.finished();
    let mut line = match view.plan.target {
        Limit::Of(target) => format!("{done} of {target} done"),
        Limit::Unlimited => format!("{done} done"),
    };
    let _ = write!(line, ", {} in play", view.claimed);
    let _ = write!(line, "{}", rate(Score::from(view.total)));
    if let Some(speed) = pace.an_hour(done, now) {
        let _ = write!(line, ", {speed:.0} an hour");
        if let Limit::Of(target) = view.plan.target {
            let left = Duration::from_secs_f64((target - done) as f64 / speed * 3600.0);
            let _ = write!(line, ", {} to go", span(left));
        }
    }
    line
}

fn rate(score: Score) -> String {
    let percent = |value: f64| value * 100.0;
    match score.rate() {
        None => String::new(),
        Some(rate) => format!(
            ", won {:.0} % ({:.0}–{:.0})",
            percent(rate.value),
            percent(rate.low),
            percent(rate.high)
        ),
    }
}

/// Opponents of more than one battle, the most frequent first, as many as fit on a screen.
fn most(opponents: &BTreeMap<String, Part>) -> Vec<(&String, &Part)> {
    let mut most: Vec<_> = opponents.iter().filter(|(_, part)| part.finished > 1).collect();
    most.sort_by_key(|(_, part)| Reverse(part.finished));
    most.truncate(OPPONENTS_SHOWN);
    most
}

fn span(span: Duration) -> String {
    let minutes = span.as_secs().div_ceil(60);
    match minutes {
        0..60 => format!("{minutes} min"),
        60.. => format!("{} h {} min", minutes / 60, minutes % 60),
    }
}

/// A report for people.
pub fn summary(report: &Report) -> String {
    let Report { run, target, finished, total, claimed, drift, .. } = report;
    let mut text = format!(
        "run {run}: {finished} of {target} finished: {} won, {} lost, {} tied, {} given up{}",
        total.wins,
        total.losses,
        total.ties,
        total.forfeits,
        rate(Score::from(*total))
    );
    if total.void > 0 {
        let _ = write!(text, "\n{} were void: the server lost them", total.void);
    }
    if *claimed > 0 {
        let _ = write!(text, "\n{claimed} have not ended; the same --run goes on with them");
    }
    if let Some(unread @ 1..) = report.unread {
        let _ = write!(
            text,
            "\n{unread} battles of the server could not be read: private, gone too soon, or of another format"
        );
    }
    if let Some(rating) = report.rating {
        let _ = write!(text, "\nrating {rating}");
    }
    let _ = write!(text, "\ndrift {drift}: the counts against the logs");
    if report.elsewhere > 0 {
        let _ = write!(text, "; {} were played on other machines", report.elsewhere);
    }
    if report.late > 0 {
        let _ = write!(
            text,
            "\n{} have a log here and do not count: this machine was away, and others took them for void",
            report.late
        );
    }
    for (name, worker) in &report.workers {
        let quota = worker.quota.map(|quota| format!(" of {quota}")).unwrap_or_default();
        let _ = write!(text, "\n  {name}: {}{quota}", worker.finished);
    }
    for (name, part) in &report.teams {
        let _ = write!(text, "\n  team {name}: {}{}", part.finished, rate(Score::from(part.tally)));
    }
    for (name, part) in most(&report.opponents) {
        let _ =
            write!(text, "\n  against {name}: {}{}", part.finished, rate(Score::from(part.tally)));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pace_counts_from_where_the_run_stood_when_its_clock_began() {
        let since = Instant::now();
        let pace = Pace { finished: 40, since };
        assert_eq!(pace.an_hour(40, since + ELSEWHERE), None);
        assert_eq!(pace.an_hour(100, since + ELSEWHERE), Some(7200.0));
    }

    #[test]
    fn the_line_of_a_terminal_is_finished_before_anything_else_is_said() {
        let said = |is_terminal| {
            let mut out = Vec::new();
            let mut status = Status::new(&mut out, is_terminal);
            status.show("1 done");
            status.show("2 done");
            drop(status);
            String::from_utf8(out).unwrap()
        };
        assert_eq!(said(true), "\r\x1b[K1 done\r\x1b[K2 done\n");
        assert_eq!(said(false), "1 done\n2 done\n");
    }
}
