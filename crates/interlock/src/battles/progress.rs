//! What a fleet says of itself while it plays, and at the end.

use std::{
    cmp::Reverse,
    collections::BTreeMap,
    convert::Infallible,
    fmt::Write as _,
    io::{IsTerminal, Write as _, stderr},
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
    let began = Instant::now();
    let mut before = None;
    let is_terminal = stderr().is_terminal();
    loop {
        sleep(if is_terminal { ON_TERMINALS } else { ELSEWHERE }).await;
        let Ok(view) = counter.view().await else { continue };
        let first = *before.get_or_insert_with(|| view.total.finished());
        let line = line(&view, view.total.finished() - first, began.elapsed());
        let mut out = stderr().lock();
        // Nobody who watches is no reason to stop.
        let _ = match is_terminal {
            true => write!(out, "\r\x1b[K{line}").and_then(|()| out.flush()),
            false => writeln!(out, "{line}"),
        };
    }
}

/// Done of target, win rate with its interval, speed, and when it will be done.
fn line(view: &RunView, played: u64, took: Duration) -> String {
    let done = view.total.finished();
    let mut line = match view.plan.target {
        Limit::Of(target) => format!("{done} of {target} done"),
        Limit::Unlimited => format!("{done} done"),
    };
    let _ = write!(line, ", {} in play", view.claimed);
    let _ = write!(line, "{}", rate(Score::from(view.total)));
    let hours = took.as_secs_f64() / 3600.0;
    let speed = played as f64 / hours;
    if played > 0 {
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
    if let Some(rating) = report.rating {
        let _ = write!(text, "\nrating {rating}");
    }
    let _ = write!(text, "\ndrift {drift}: the counts against the logs");
    if report.elsewhere > 0 {
        let _ = write!(text, "; {} were played on other machines", report.elsewhere);
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
