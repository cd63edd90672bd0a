//! `interlock battles match A B`: which of two bots is stronger?
//!
//! A match is a run, and each game is counted once, for the first side: our two sides are two accounts of ours that
//! play against each other, or our account and whoever it challenges, or nobody here plays and two others are watched.
//! Where both are ours, half of the workers have the first side challenge, half the second, as far as their number
//! allows. On a server of our own, the n-th game of either half is the same but for the sides: a pair, and pairs are
//! what the statistics are made of. Other servers take no seeds.

use std::{num::NonZeroU32, time::Duration};

use anyhow::{Result, anyhow, bail};
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
    conduct::{Bout, Conduct, Judge, Played},
    pairing::Pairing,
    progress,
    setup::{self, Ground, LOCAL, Lineup, Luck, settings, teams, workers},
};
use crate::cli::battles::Match;

/// How many games at most, unless told.
const GAMES: Limit = Limit::Of(1000);
/// How often the test may be wrong, either way.
const ERROR: f64 = 0.05;

pub async fn play(wanted: &Match) -> Result<()> {
    let test = test(wanted)?;
    let conduct = Conduct::begin(&wanted.kept).await?;
    let before = conduct.before();
    let server = setup::server(&wanted.place, before)?;
    let pairing = Pairing::of(wanted, server == LOCAL)?;
    let workers = workers(wanted.workers, before, pairing.workers());
    let plan = plan(wanted, before, server, &pairing, workers);
    let (ours, partner) = pairing.players();
    let lineup = Lineup {
        usernames: pairing.accounts(),
        workers,
        prefix: WORKER_PREFIX,
        teams: teams(&wanted.place)?,
        ours,
        partner,
    };
    let settings = settings(&wanted.place, Some(&plan), &wanted.kept, lineup)?;

    let is_paired = plan.server == LOCAL && pairing.takes_turns(workers);
    let luck = if is_paired { Luck::Paired } else { Luck::Any };
    let pairs = || is_paired.then(|| PairReader::new(conduct.logs()));
    let (judge, pairs) = (Judge::new(test, pairs()), pairs());
    let ground = Ground::prepare(&wanted.place, &plan, luck).await?;
    let settings = FleetSettings { server: ground.socket(), ..settings };
    let socket = settings.server.as_ref().unwrap_or(&plan.server);
    let bout = Bout {
        judge: (!wanted.all_games).then_some(judge),
        programs: pairing.launches(socket, &plan.format),
        patience: Duration::from_secs(wanted.patience),
    };
    let Played { report, trouble } = conduct.run(plan, settings, bout).await?;

    let pairs = pairs.map(|mut pairs| pairs.read()).transpose()?;
    let sides = pairing.sides(&wanted.one, &wanted.two);
    let result = Outcome { wanted, test, report, pairs, sides };
    println!("{}", if wanted.kept.json { result.json() } else { result.text() });
    trouble.map_or(Ok(()), |trouble| Err(anyhow!(trouble)))
}

/// When a match is decided.
fn test(wanted: &Match) -> Result<Sprt> {
    if wanted.elo0 >= wanted.elo1 {
        bail!("--elo0 {} must be less than --elo1 {}", wanted.elo0, wanted.elo1);
    }
    Ok(Sprt { low: wanted.elo0, high: wanted.elo1, alpha: ERROR, beta: ERROR })
}

/// What is played, as is said, or as before.
fn plan(
    wanted: &Match,
    before: Option<&Plan>,
    server: String,
    pairing: &Pairing,
    workers: u32,
) -> Plan {
    let mode = pairing.mode();
    // Whose turn it is to play, those who are watched know best.
    let shares = NonZeroU32::new(workers).filter(|_| !matches!(mode, Mode::Watch(_)));
    let target = wanted.games.map(Limit::Of).or(before.map(|plan| plan.target));
    Plan {
        server,
        format: setup::format(&wanted.place, before),
        mode,
        target: target.unwrap_or(GAMES),
        shares,
    }
}

/// What a match has come to.
struct Outcome<'a> {
    wanted: &'a Match,
    test: Sprt,
    report: Report,
    /// Where games are paired.
    pairs: Option<Pairs>,
    /// Who challenges, where they are not.
    sides: String,
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
            "unread": report.unread,
            "score": score.rate(),
            "elo": self.elo(),
            "pairs": self.pairs,
            "sides": self.pairs.is_none().then_some(&self.sides),
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
            None => format!("the server deals teams and dice; {}", self.sides),
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
