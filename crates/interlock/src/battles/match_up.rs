//! `interlock battles match A B`: which of two bots is stronger?
//!
//! A match is a run: our two sides are two accounts of ours that play against each other, or our account and the
//! user that it challenges, and each game is counted once, for the first side. Half of the workers have the first
//! side challenge, half the second, as far as their number allows. On a server of our own, the n-th game of either half
//! is the same but for the sides: a pair, and pairs are what the statistics are made of. Other servers take no seeds.

use std::num::NonZeroU32;

use anyhow::{Result, bail};
use interlock_battles::{
    domain::{
        lineup::WORKER_PREFIX,
        run::{Mode, Plan},
        score::{Estimate, Pairs, Score, Sprt, Verdict},
    },
    fleet::{FleetSettings, Report, pairs::PairReader},
};
use interlock_kernel::quota::Limit;
use serde_json::json;

use super::{
    conduct::{Conduct, Judge},
    progress,
    setup::{self, Ground, LOCAL, Lineup, Luck, settings, teams, workers},
};
use crate::cli::battles::{Match, Side};

/// How many games at most, and how many at once, unless told.
const GAMES: Limit = Limit::Of(1000);
const WORKERS: u32 = 2;
/// How often the test may be wrong, either way.
const ERROR: f64 = 0.05;

pub async fn play(wanted: &Match) -> Result<()> {
    let ours = match (&wanted.one, &wanted.two) {
        (Side::Ours(ours), _) => *ours,
        (Side::User(_), Side::Ours(_)) => {
            bail!("the first side must be one of ours: challenge {} as the second one", wanted.one)
        }
        (Side::User(one), Side::User(two)) => bail!(
            "a server lets nobody tell {one} and {two} to play each other: match one of ours against each of them, \
             and compare the two results"
        ),
    };
    if wanted.elo0 >= wanted.elo1 {
        bail!("--elo0 {} must be less than --elo1 {}", wanted.elo0, wanted.elo1);
    }
    let test = Sprt { low: wanted.elo0, high: wanted.elo1, alpha: ERROR, beta: ERROR };
    let (mode, partner) = match &wanted.two {
        Side::Ours(partner) => (Mode::SelfPlay, Some(*partner)),
        Side::User(name) => (Mode::Challenge(name.clone()), None),
    };
    let conduct = Conduct::begin(&wanted.kept).await?;
    let before = conduct.before();
    let workers = workers(wanted.workers, before, WORKERS);
    let target = wanted.games.map(Limit::Of).or(before.map(|plan| plan.target));
    let plan = Plan {
        server: setup::server(&wanted.place, before)?,
        format: setup::format(&wanted.place, before),
        mode,
        target: target.unwrap_or(GAMES),
        shares: NonZeroU32::new(workers),
    };
    let lineup = Lineup {
        usernames: usernames(wanted, plan.server == LOCAL)?,
        workers,
        prefix: WORKER_PREFIX,
        teams: teams(&wanted.place)?,
        ours,
        partner,
    };
    let settings = settings(&wanted.place, Some(&plan), &wanted.kept, lineup)?;
    // Two accounts each, who challenge each other the other way round, and half of the games for either.
    let are_paired = plan.server == LOCAL
        && plan.mode == Mode::SelfPlay
        && settings.accounts.len() == 4
        && workers.is_multiple_of(2);
    let luck = if are_paired { Luck::Paired } else { Luck::Any };
    let pairs = || are_paired.then(|| PairReader::new(conduct.logs()));
    let (judge, pairs) = (Judge::new(test, pairs()), pairs());
    let ground = Ground::prepare(&wanted.place, &plan, luck).await?;
    let settings = FleetSettings { server: ground.socket(), ..settings };
    let report = conduct.run(plan, settings, (!wanted.all_games).then_some(judge)).await?;
    let pairs = pairs.map(|mut pairs| pairs.read()).transpose()?;
    let result = Outcome { wanted, test, report, pairs };
    println!("{}", if wanted.kept.json { result.json() } else { result.text() });
    Ok(())
}

fn usernames(wanted: &Match, is_local: bool) -> Result<Vec<String>> {
    let usual = match (&wanted.two, &wanted.username[..]) {
        (_, [_, ..]) => return Ok(wanted.username.clone()),
        _ if !is_local => bail!("--username says who we are on the server"),
        // The same each time, so that a run goes on.
        (Side::User(_), []) => &["Match A 1"][..],
        (Side::Ours(_), []) => &["Match A 1", "Match B 1", "Match A 2", "Match B 2"],
    };
    Ok(usual.iter().map(|name| (*name).to_owned()).collect())
}

/// What a match has come to.
struct Outcome<'a> {
    wanted: &'a Match,
    test: Sprt,
    report: Report,
    /// Where games are paired.
    pairs: Option<Pairs>,
}

impl Outcome<'_> {
    fn score(&self) -> Score {
        Score::from(self.report.total)
    }

    fn elo(&self) -> Option<Estimate> {
        self.pairs.map_or_else(|| self.score().elo(), Pairs::elo)
    }

    fn ratio(&self) -> f64 {
        let of_games = || self.test.ratio(self.score());
        self.pairs.map_or_else(of_games, |pairs| self.test.ratio_of_pairs(pairs))
    }

    /// One object; ends of intervals that are infinite are null.
    fn json(&self) -> String {
        let (report, score, test) = (&self.report, self.score(), &self.test);
        let (lower, upper) = test.bounds();
        json!({
            "run": report.run,
            "players": [self.wanted.one.to_string(), self.wanted.two.to_string()],
            "target": report.target,
            "games": report.finished,
            "wins": report.total.wins,
            "losses": report.total.losses,
            "ties": report.total.ties,
            "forfeits": report.total.forfeits,
            "void": report.total.void,
            "claimed": report.claimed,
            "drift": report.drift,
            "score": score.rate(),
            "elo": self.elo(),
            "pairs": self.pairs,
            "sprt": {
                "elo0": test.low,
                "elo1": test.high,
                "alpha": test.alpha,
                "beta": test.beta,
                "ratio": self.ratio(),
                "lower": lower,
                "upper": upper,
                "verdict": test.verdict_at(self.ratio()),
            },
            "seconds": report.seconds,
        })
        .to_string()
    }

    fn text(&self) -> String {
        let (one, two) = (&self.wanted.one, &self.wanted.two);
        let (ratio, test, (lower, upper)) = (self.ratio(), self.test, self.test.bounds());
        let verdict = match test.verdict_at(ratio) {
            Verdict::Stronger => format!("{one} is stronger by more than {} Elo", test.low),
            Verdict::NotStronger => format!("{one} is not stronger by {} Elo", test.high),
            Verdict::Open => "open: it takes more games".to_owned(),
        };
        let elo = self.elo().map_or_else(|| "unknown".to_owned(), elo);
        let luck = match self.pairs {
            Some(pairs) => format!(
                "{} pairs of games with the same teams and dice, and sides swapped; by points {:?}",
                pairs.pairs(),
                pairs.0
            ),
            None => "the server deals teams and dice; sides alternate as far as can be".to_owned(),
        };
        format!(
            "{}\n{luck}\n{one} against {two}, in Elo: {elo}\n\
             test of {} against {} Elo: {verdict} (log-likelihood ratio {:.2}, decided at {lower:.2} or {upper:.2})",
            progress::summary(&self.report),
            test.low,
            test.high,
            ratio,
        )
    }
}

fn elo(Estimate { value, low, high }: Estimate) -> String {
    let word = |elo: f64| match elo.is_infinite() {
        true if elo > 0.0 => "+∞".to_owned(),
        true => "-∞".to_owned(),
        false => format!("{elo:+.0}"),
    };
    format!("{} (95 %: {} to {})", word(value), word(low), word(high))
}
