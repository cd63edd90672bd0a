//! What the bot thought: what could be chosen in a turn, and what speaks for each.
//!
//! Choices are named by the server that is played on: text here, and nothing else.

use interlock_battles::fleet::{
    Watched,
    thoughts::{Decision, Weighed},
};
use interlock_web::page::{Column, table};
use maud::{Markup, html};

use crate::{
    limits,
    pages::figures::{count, gauge},
};

/// Of a battle in play: its newest decision.
pub fn newest(Watched { turn, candidates, .. }: &Watched) -> Markup {
    let candidates: Vec<Weighed> = candidates.iter().map(Weighed::from).collect();
    html! {
        h2 { "What the bot thinks" @if !candidates.is_empty() { " " span class="quiet" { "in turn " (turn) } } }
        (weighed(&candidates))
    }
}

/// Of a turn that is over: what was chosen, and all that could be, when somebody wants to see it.
pub fn of_turn<'a>(decisions: impl Iterator<Item = &'a Decision>) -> Markup {
    html! {
        @for Decision { chosen, candidates, .. } in decisions {
            details {
                summary {
                    "The bot chose " strong { (chosen) }
                    @if let Some(why) = candidates.iter().find(|it| it.choice == *chosen && it.visits > 0) {
                        " " span class="quiet" { (chance(why)) " to win" }
                    }
                }
                (weighed(candidates))
            }
        }
    }
}

fn weighed(candidates: &[Weighed]) -> Markup {
    if let [only] = candidates {
        return html! { p { strong { (only.choice) } " was the only choice." } };
    }
    let most = candidates.iter().map(|it| it.visits).max().unwrap_or(0);
    let columns = match most {
        0 => vec![Column::Text("Choice"), Column::Text("Value")],
        _ => vec![Column::Text("Choice"), Column::Text("Visits"), Column::Text("Chance to win")],
    };
    let highest = candidates.iter().map(|it| it.value).fold(0.0, f32::max);
    let row = |(place, it): (usize, &Weighed)| {
        let Weighed { choice, visits, value } = it;
        let name = html! { @if place == 0 { strong { (choice) } } @else { (choice) } };
        match most {
            // Without a search, values are the player's own measure.
            0 => vec![name, measured(&format!("{value:.1}"), thousandths(*value, highest))],
            _ => vec![
                name,
                measured(&count(*visits), visits.saturating_mul(1000) / most),
                match visits {
                    0 => html! { span class="quiet" { "not tried" } },
                    _ => measured(&chance(it), thousandths(*value, 1.0)),
                },
            ],
        }
    };
    let shown = candidates.iter().enumerate().take(limits::CANDIDATES_SHOWN);
    let rows: Vec<_> = shown.map(row).collect();
    table(&columns, &rows, "Nothing was to be decided yet.")
}

fn chance(of: &Weighed) -> String {
    format!("{:.1} %", of.value * 100.0)
}

/// A figure over its bar.
fn measured(text: &str, thousandths: u64) -> Markup {
    html! { div class="measured" { span { (text) } (gauge(thousandths, 1000)) } }
}

fn thousandths(value: f32, of: f32) -> u64 {
    if of > 0.0 { (value / of * 1000.0).clamp(0.0, 1000.0) as u64 } else { 0 }
}
