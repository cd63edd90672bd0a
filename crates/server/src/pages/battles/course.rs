//! How a run went: win rate and rating, over time or battle by battle.

use std::collections::BTreeMap;

use interlock_battles::domain::{
    run::{Ending, Outcome, Over, RunView},
    score::Score,
};
use interlock_kernel::time::Time;
use interlock_web::page::facts;
use maud::{Markup, html};

use crate::{
    limits,
    pages::{
        figures::{between, count},
        plot::{self, Across},
    },
};

/// What a course is plotted over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum By {
    /// When battles ended.
    #[default]
    Time,
    /// How many had ended.
    Battle,
}

/// Its words in an address.
pub const BYS: &[(&str, By)] = &[("time", By::Time), ("battle", By::Battle)];

/// Both plots, of the battles that are kept.
pub fn course(view: &RunView, over: &[Over], by: By) -> Markup {
    let mut over: Vec<&Over> = over.iter().filter(|it| it.ending != Ending::Void).collect();
    over.sort_by_key(|over| over.at);
    let (rates, ratings) = (rates(view, &over), ratings(&over));
    let (Some(first), Some(last)) = (over.first(), over.last()) else { return html! {} };
    let before = view.total.finished().saturating_sub(over.len() as u64);
    let across = match by {
        By::Time => Across { range: x(first.at)..x(last.at), ends: between(first.at, last.at) },
        By::Battle => Across {
            range: 0.0..(over.len() - 1) as f64,
            ends: [before + 1, before + over.len() as u64]
                .map(|it| format!("battle {}", count(it))),
        },
    };
    let place = |battle: usize| match by {
        By::Time => x(over[battle].at),
        By::Battle => battle as f64,
    };
    let rates: Vec<_> = rates.into_iter().map(|(battle, rate)| (place(battle), rate)).collect();
    let lines: Vec<Vec<_>> = ratings
        .values()
        .map(|course| thin(course).map(|(battle, rating)| (place(*battle), *rating)).collect())
        .collect();
    html! {
        @if over.len() > 1 {
            h2 { "Win rate " (switch(by)) }
            (plot::band(&rates, 0.0..1.0, &across, "Win rate with its 95 % interval"))
        }
        @if !lines.is_empty() {
            h2 { "Rating" }
            (plot::lines(&lines, &across, "Rating"))
            (facts(&newest(&ratings)))
        }
    }
}

fn x(at: Time) -> f64 {
    at.0 as f64
}

/// The way to the other view.
fn switch(by: By) -> Markup {
    html! {
        span class="quiet" {
            @for (place, (word, one)) in BYS.iter().enumerate() {
                @if place > 0 { " · " }
                @if *one == by { "by " (word) } @else { a href=(format!("?by={word}")) { "by " (word) } }
            }
        }
    }
}

/// The win rate after each battle, with its interval, from the run's beginning on; of many battles, some.
fn rates(view: &RunView, over: &[&Over]) -> Vec<(usize, [f64; 3])> {
    // Older battles count, though they are not plotted.
    let mut score =
        over.iter().fold(Score::from(view.total), |score, over| take(score, over.ending));
    let mut rates = Vec::new();
    for (battle, over) in over.iter().enumerate() {
        score = add(score, over.ending);
        rates.extend(score.rate().map(|rate| (battle, [rate.low, rate.value, rate.high])));
    }
    thin(&rates).copied().collect()
}

/// Enough of them for a plot, the last one among them.
fn thin<T>(points: &[T]) -> impl Iterator<Item = &T> {
    let step = points.len().div_ceil(limits::POINTS).max(1);
    let mut thin: Vec<&T> = points.iter().rev().step_by(step).collect();
    thin.reverse();
    thin.into_iter()
}

fn add(score: Score, ending: Ending) -> Score {
    let Score { wins, losses, ties } = score;
    match ending {
        Ending::Of(Outcome::Win) => Score { wins: wins + 1, ..score },
        Ending::Of(Outcome::Loss | Outcome::Forfeit) => Score { losses: losses + 1, ..score },
        Ending::Of(Outcome::Tie) => Score { ties: ties + 1, ..score },
        Ending::Void => score,
    }
}

/// The score without one battle. Rows may be ahead of the counts that were read before.
fn take(score: Score, ending: Ending) -> Score {
    let Score { wins, losses, ties } = score;
    match ending {
        Ending::Of(Outcome::Win) => Score { wins: wins.saturating_sub(1), ..score },
        Ending::Of(Outcome::Loss | Outcome::Forfeit) => {
            Score { losses: losses.saturating_sub(1), ..score }
        }
        Ending::Of(Outcome::Tie) => Score { ties: ties.saturating_sub(1), ..score },
        Ending::Void => score,
    }
}

/// The ratings of each account, oldest first, with the place of the battle.
type Ratings<'a> = BTreeMap<&'a str, Vec<(usize, f64)>>;

fn ratings<'a>(over: &[&'a Over]) -> Ratings<'a> {
    let mut ratings = Ratings::new();
    for (battle, over) in over.iter().enumerate() {
        let Some((room, rating)) = over.room.as_ref().zip(over.rating) else { continue };
        let is_known = ratings.contains_key(&*room.account);
        if is_known || ratings.len() < limits::RATINGS_SHOWN {
            ratings.entry(&room.account).or_default().push((battle, f64::from(rating)));
        }
    }
    ratings
}

/// The newest rating of each account, with its line's colour where there are several.
fn newest<'a>(ratings: &Ratings<'a>) -> Vec<(&'a str, Markup)> {
    let mut newest = Vec::new();
    for (number, (account, course)) in ratings.iter().enumerate() {
        let Some((_, rating)) = course.last() else { continue };
        let shown = html! {
            (count(*rating as u64))
            @if ratings.len() > 1 { " " (plot::swatch(number)) }
        };
        newest.push((*account, shown));
    }
    newest
}

#[cfg(test)]
mod tests {
    use interlock_battles::domain::run::{Mode, Percentiles, Plan, Room, Tally};
    use interlock_kernel::{
        ids::Worker,
        quota::{ClaimId, Limit},
        time::Millis,
    };

    use super::*;

    fn over(number: u64, account: &str, ending: Ending, rating: Option<u32>) -> Over {
        let claim = format!("c{number}");
        Over {
            claim: ClaimId::parse(&claim).unwrap(),
            worker: Worker::new("w0").unwrap(),
            team: None,
            room: Some(Room { id: claim, account: account.to_owned(), opponent: None }),
            ending,
            rating,
            since: Time(0),
            at: Time(number * 1000),
        }
    }

    const WIN: Ending = Ending::Of(Outcome::Win);
    const LOSS: Ending = Ending::Of(Outcome::Loss);

    fn view(total: Tally) -> RunView {
        let plan = Plan {
            server: String::new(),
            format: String::new(),
            mode: Mode::Ladder,
            target: Limit::Unlimited,
            shares: None,
        };
        RunView {
            plan,
            opened: Time(0),
            remaining: Limit::Unlimited,
            claimed: 0,
            in_doubt: 0,
            total,
            workers: BTreeMap::new(),
            teams: BTreeMap::new(),
            opponents: BTreeMap::new(),
            other_opponents: Tally::default(),
            rating: None,
            played_ms: Millis::default(),
            decisions: 0,
            decision_overhead_us: Percentiles::default(),
            live: Vec::new(),
            taken_up: Vec::new(),
        }
    }

    #[test]
    fn each_account_has_a_course_and_the_rating_that_it_was_told_last() {
        let all = [
            over(1, "one", WIN, Some(1000)),
            over(2, "two", WIN, Some(1050)),
            over(3, "one", WIN, Some(1100)),
            over(4, "one", WIN, None),
        ];
        let ratings = ratings(&all.iter().collect::<Vec<_>>());
        assert_eq!(ratings["one"], [(0, 1000.0), (2, 1100.0)]);
        let shown = newest(&ratings);
        let shown = shown.iter().map(|(account, rating)| (*account, rating.0.split(' ').next()));
        assert!(shown.eq([("one", Some("1,100")), ("two", Some("1,050"))]));
    }

    #[test]
    fn the_rate_ends_where_the_counts_are_though_older_battles_are_not_plotted() {
        let newest = [over(9, "a", WIN, None), over(10, "a", LOSS, None)];
        let view = view(Tally { wins: 5, losses: 5, ..Tally::default() });
        let rates = rates(&view, &newest.iter().collect::<Vec<_>>());
        let values: Vec<f64> = rates.iter().map(|(_, [_, value, _])| *value).collect();
        assert_eq!(values, [5.0 / 9.0, 0.5]);
    }

    #[test]
    fn many_battles_come_to_few_points_and_the_last_is_one_of_them() {
        let many: Vec<usize> = (0..10_007).collect();
        let thin: Vec<_> = thin(&many).collect();
        assert!(thin.len() <= limits::POINTS && thin.len() > limits::POINTS / 2);
        assert_eq!(thin.last(), Some(&&10_006));
    }

    #[test]
    fn a_course_is_plotted_over_time_or_battle_by_battle() {
        let all: Vec<Over> =
            (1..=3).rev().map(|number| over(number, "a", WIN, Some(1000))).collect();
        let view = view(Tally { wins: 3, ..Tally::default() });
        let by_time = course(&view, &all, By::Time).0;
        assert!(by_time.contains("00:00:01") && by_time.contains("?by=battle"), "{by_time}");
        let by_battle = course(&view, &all, By::Battle).0;
        assert!(by_battle.contains("battle 3") && by_battle.contains("?by=time"), "{by_battle}");
        assert_eq!(course(&view, &[], By::Time).0, "");
    }
}
