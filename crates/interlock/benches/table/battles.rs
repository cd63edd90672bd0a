//! Battles: what a decision costs, how fast the search is, what a waiting battle weighs, and whether the counts hold.
//!
//! Rows say where they play: on the real server, where Node and its package are (`./test` installs it), else on the
//! stand-in. Servers are processes of their own, so that what they need does not count.

mod counts;
mod ground;
mod memory;
mod play;
mod search;

use std::time::Duration;

use tokio::runtime::Runtime;

use self::ground::Ground;
pub use self::{counts::fleet_child, ground::server_child, memory::waiting_child};
use crate::{Plan, pairs::Row};

/// All rows about battles that the plan wants.
pub fn rows(tokio: &Runtime, plan: &Plan) {
    if plan.wants("battles: protocol") {
        let mut row =
            Row::new("battles: protocol lines parsed and folded, one core", "/s", "–", "–");
        row.ours = (0..plan.pairs).map(|_| search::lines_per_second(plan.span / 3)).collect();
        row.print();
    }
    if plan.wants("battles: iterations") {
        let what = "battles: iterations of the search, against the engine called directly";
        let mut row = Row::new(what, "/s", "0.97×", "1×");
        for round in 0..plan.pairs {
            let (ours, reference) = search::iterations_per_second(round);
            row.ours.push(ours);
            row.reference.push(reference);
        }
        row.print();
    }
    if plan.wants("battles: decision") {
        decisions(tokio, plan);
    }
    if plan.wants("battles: hour") {
        hour(tokio, plan);
    }
    if plan.wants("battles: memory") {
        let mut row =
            Row::new("battles: memory of one that waits, of 1000, stand-in", "KB", "–", "≤ 100");
        row.ours = vec![memory::kilobytes_per_battle(1000)];
        row.print();
    }
    if plan.wants("battles: kills") {
        let what = "battles: 1000 on the stand-in with kills and lost connections, counts exact";
        let mut row = Row::new(what, "/s", "–", "exact");
        row.ours = vec![counts::battles_per_second(1000)];
        row.print();
    }
}

/// What a decision costs when there is nothing to think about.
fn decisions(tokio: &Runtime, plan: &Plan) {
    let ground = Ground::start();
    let cost = tokio.block_on(play::cost(&ground, plan.span * 10));
    let row = |what: &str, ms: f64, aim| {
        let what = format!("battles: a decision beside search, {what}, {}", ground.name);
        let what: &'static str = what.leak();
        Row { ours: vec![ms], ..Row::new(what, "ms", "–", aim) }.print();
    };
    row("CPU", cost.cpu_ms, "≤ 2");
    row("wall, p50", cost.p50_ms, "–");
    row("wall, p99", cost.p99_ms, "–");
}

/// Battles while everybody searches.
fn hour(tokio: &Runtime, plan: &Plan) {
    let ground = Ground::start();
    let span: Duration = plan.span * 20;
    let figure = tokio.block_on(play::hourly(&ground, span));
    let what = format!("battles: an hour and core at search:100ms against greedy, {}", ground.name);
    let what: &'static str = what.leak();
    Row { ours: vec![figure.battles], ..Row::new(what, "/h", "–", "–") }.print();
    let what = format!(
        "battles: a decision beside search while all cores search, wall, p50, {}",
        ground.name
    );
    let what: &'static str = what.leak();
    Row { ours: vec![figure.p50_ms], ..Row::new(what, "ms", "–", "–") }.print();
}
