//! What counts of wins, losses and ties say about strength.
//!
//! Win rates come with Wilson's interval (Wilson 1927), which stays within 0 and 1 and is honest for few
//! battles. Strength is a difference in Elo, on the logistic scale that chess engine testers use, with an
//! interval from the scores' variance, or Wilson's where nothing varies; whether it is there at all is settled by a sequential probability ratio
//! test (Wald 1945) on the same variance, so that a match ends as soon as its result is clear.
//!
//! Games in pairs, with the same luck and the sides swapped, vary together: then it is the variance of the pairs that
//! counts, each of five results (the pentanomial model of Fishtest), and it is smaller.
//!
//! A tie is half a win. A forfeit of ours is a loss.

use serde::Serialize;

use super::run::Tally;

/// Two-sided 95 % of a normal distribution, in standard deviations.
const Z: f64 = 1.959_964;

/// A figure with its 95 % interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Estimate {
    /// The best guess.
    pub value: f64,
    /// The lower end.
    pub low: f64,
    /// The upper end.
    pub high: f64,
}

/// The scores of one side.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Score {
    /// Won.
    pub wins: u64,
    /// Lost.
    pub losses: u64,
    /// Neither.
    pub ties: u64,
}

impl From<Tally> for Score {
    fn from(tally: Tally) -> Self {
        let losses = tally.losses + tally.forfeits;
        Self { wins: tally.wins, losses, ties: tally.ties }
    }
}

impl Score {
    /// How many battles.
    #[must_use]
    pub fn battles(self) -> u64 {
        self.wins + self.losses + self.ties
    }

    /// The mean score of a battle, from 0 to 1, with Wilson's interval; `None` without battles.
    #[must_use]
    pub fn rate(self) -> Option<Estimate> {
        let n = self.battles() as f64;
        let value = self.mean()?;
        let (low, high) = wilson(value, n);
        Some(Estimate { value, low, high })
    }

    /// How much stronger this side is, in Elo; infinite, with one end of the interval, where all battles went
    /// one way. `None` without battles.
    #[must_use]
    pub fn elo(self) -> Option<Estimate> {
        let rate = self.rate()?;
        let spread = Z * (self.variance()? / self.battles() as f64).sqrt();
        let (low, high) = match spread > 0.0 {
            true => (rate.value - spread, rate.value + spread),
            false => (rate.low, rate.high),
        };
        Some(Estimate { value: elo(rate.value), low: elo(low), high: elo(high) })
    }

    fn mean(self) -> Option<f64> {
        let n = self.battles();
        (n > 0).then(|| (self.wins as f64 + self.ties as f64 / 2.0) / n as f64)
    }

    /// Of one battle's score.
    fn variance(self) -> Option<f64> {
        let (mean, n) = (self.mean()?, self.battles() as f64);
        Some((self.wins as f64 + self.ties as f64 / 4.0) / n - mean * mean)
    }
}

/// What a battle is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HalfPoints {
    /// None.
    Loss = 0,
    /// One.
    Tie = 1,
    /// Two.
    Win = 2,
}

/// Pairs of battles by their half points together, 0 to 4.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Pairs(pub [u64; 5]);

impl Pairs {
    /// Counts one more.
    pub fn add(&mut self, one: HalfPoints, two: HalfPoints) {
        self.0[one as usize + two as usize] += 1;
    }

    /// How many pairs.
    #[must_use]
    pub fn pairs(self) -> u64 {
        self.0.iter().sum()
    }

    /// How much stronger this side is, in Elo, as [`Score::elo`] says it.
    #[must_use]
    pub fn elo(self) -> Option<Estimate> {
        let n = self.pairs() as f64;
        let (mean, variance) = moments(self.0.map(|count| count as f64))?;
        let spread = Z * (variance / n).sqrt();
        let (low, high) = match spread > 0.0 {
            true => (mean - spread, mean + spread),
            false => wilson(mean, n),
        };
        Some(Estimate { value: elo(mean), low: elo(low), high: elo(high) })
    }
}

/// Mean and variance of what a battle of a pair scores, on the average of the two; `None` without pairs.
fn moments(counts: [f64; 5]) -> Option<(f64, f64)> {
    let n: f64 = counts.iter().sum();
    let scores = [0.0, 0.25, 0.5, 0.75, 1.0];
    let mean_of = |value: &dyn Fn(f64) -> f64| {
        counts.iter().zip(scores).map(|(count, score)| count * value(score)).sum::<f64>() / n
    };
    let mean = mean_of(&|score| score);
    (n > 0.0).then(|| (mean, mean_of(&|score| (score - mean).powi(2))))
}

/// Wilson's interval of a mean of so many.
fn wilson(mean: f64, n: f64) -> (f64, f64) {
    let square = Z * Z / n;
    let centre = (mean + square / 2.0) / (1.0 + square);
    let spread = Z / (1.0 + square) * (mean * (1.0 - mean) / n + square / (4.0 * n)).sqrt();
    ((centre - spread).max(0.0), (centre + spread).min(1.0))
}

/// The difference in Elo that a mean score stands for.
fn elo(score: f64) -> f64 {
    match score {
        ..=0.0 => f64::NEG_INFINITY,
        1.0.. => f64::INFINITY,
        _ => -400.0 * (1.0 / score - 1.0).log10(),
    }
}

/// The mean score that a difference in Elo leads to.
fn expected(elo: f64) -> f64 {
    1.0 / (1.0 + 10_f64.powf(-elo / 400.0))
}

/// A sequential test: is it worth `low` Elo, or `high`?
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Sprt {
    /// What is believed unless shown otherwise.
    pub low: f64,
    /// What is to be shown; more than `low`.
    pub high: f64,
    /// How often it may say `high` though `low` is true.
    pub alpha: f64,
    /// How often it may say `low` though `high` is true.
    pub beta: f64,
}

/// What a test has come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// `high` is accepted.
    Stronger,
    /// `low` is accepted.
    NotStronger,
    /// More battles are needed.
    Open,
}

impl Sprt {
    /// The logarithm of the likelihood ratio of `high` against `low`, by the normal approximation; 0 while
    /// nothing varies.
    #[must_use]
    pub fn ratio(&self, score: Score) -> f64 {
        // Half a battle each way: the variance of a few equal results is not nothing.
        let n = score.battles() as f64 + 1.0;
        if score.battles() == 0 {
            return 0.0;
        }
        let wins = score.wins as f64 + 0.5;
        let mean = (wins + score.ties as f64 / 2.0) / n;
        let variance = (wins + score.ties as f64 / 4.0) / n - mean * mean;
        self.likelihood(n, mean, variance)
    }

    /// The same of pairs of battles.
    #[must_use]
    pub fn ratio_of_pairs(&self, pairs: Pairs) -> f64 {
        if pairs.pairs() == 0 {
            return 0.0;
        }
        let mut counts = pairs.0.map(|count| count as f64);
        // Half a pair each way.
        counts[0] += 0.5;
        counts[4] += 0.5;
        let (mean, variance) = moments(counts).expect("there are pairs");
        self.likelihood(pairs.pairs() as f64 + 1.0, mean, variance)
    }

    fn likelihood(&self, n: f64, mean: f64, variance: f64) -> f64 {
        let (low, high) = (expected(self.low), expected(self.high));
        n * (high - low) * (2.0 * mean - low - high) / (2.0 * variance)
    }

    /// The bounds between which [`Sprt::ratio`] leaves it open.
    #[must_use]
    pub fn bounds(&self) -> (f64, f64) {
        ((self.beta / (1.0 - self.alpha)).ln(), ((1.0 - self.beta) / self.alpha).ln())
    }

    /// What these scores say.
    #[must_use]
    pub fn verdict(&self, score: Score) -> Verdict {
        self.verdict_at(self.ratio(score))
    }

    /// What a ratio says.
    #[must_use]
    pub fn verdict_at(&self, ratio: f64) -> Verdict {
        let (lower, upper) = self.bounds();
        if ratio >= upper {
            Verdict::Stronger
        } else if ratio <= lower {
            Verdict::NotStronger
        } else {
            Verdict::Open
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TEST: Sprt = Sprt { low: 0.0, high: 50.0, alpha: 0.05, beta: 0.05 };

    fn score(wins: u64, losses: u64, ties: u64) -> Score {
        Score { wins, losses, ties }
    }

    fn close(value: f64, expected: f64) -> bool {
        (value - expected).abs() < 5e-4
    }

    #[test]
    fn a_win_rate_has_wilsons_interval() {
        // Known from tables: 8 of 10.
        let rate = score(8, 2, 0).rate().unwrap();
        assert!(close(rate.value, 0.8) && close(rate.low, 0.4902) && close(rate.high, 0.9433));
        let all = score(3, 0, 0).rate().unwrap();
        assert!(close(all.low, 0.4385) && close(all.high, 1.0), "{all:?}");
        assert_eq!(score(0, 0, 0).rate(), None);
    }

    #[test]
    fn seventy_six_of_a_hundred_are_two_hundred_elo() {
        let elo = score(76, 24, 0).elo().unwrap();
        assert!((elo.value - 200.24).abs() < 0.01, "{elo:?}");
        assert!(
            elo.low > 110.0 && elo.low < 130.0 && elo.high > 290.0 && elo.high < 330.0,
            "{elo:?}"
        );
        let all = score(5, 0, 0).elo().unwrap();
        assert_eq!((all.value, all.high), (f64::INFINITY, f64::INFINITY));
        assert!(
            (all.low - super::elo(0.5655)).abs() < 0.1,
            "five are not enough to be sure: {all:?}"
        );
        assert!(close(score(1, 1, 8).elo().unwrap().value, 0.0));
    }

    #[test]
    fn a_clear_result_ends_the_test_and_an_even_one_does_too_but_later() {
        assert_eq!(TEST.verdict(score(0, 0, 0)), Verdict::Open);
        assert_eq!(TEST.verdict(score(1, 0, 0)), Verdict::Open);
        assert_eq!(TEST.verdict(score(90, 10, 0)), Verdict::Stronger);
        assert_eq!(TEST.verdict(score(10, 90, 0)), Verdict::NotStronger);
        assert_eq!(TEST.verdict(score(20, 20, 0)), Verdict::Open);
        assert_eq!(TEST.verdict(score(500, 500, 0)), Verdict::NotStronger);
        let (lower, upper) = TEST.bounds();
        assert!(close(lower, -2.9444) && close(upper, 2.9444));
    }

    /// Who wins each game of one side wins one of each pair: nothing varies between pairs.
    #[test]
    fn pairs_that_are_all_even_say_more_than_their_games() {
        let pairs = Pairs([2, 0, 96, 0, 2]);
        let (of_pairs, of_games) = (pairs.elo().unwrap(), score(100, 100, 0).elo().unwrap());
        assert!(close(of_pairs.value, 0.0) && of_games.high > 3.0 * of_pairs.high, "{of_pairs:?}");
        assert_eq!(TEST.verdict(score(100, 100, 0)), Verdict::Open);
        assert_eq!(TEST.verdict_at(TEST.ratio_of_pairs(pairs)), Verdict::NotStronger);
    }

    /// Where luck is not shared, both ways are one.
    #[test]
    fn pairs_that_vary_like_games_say_what_their_games_say() {
        let (pairs, games) = (Pairs([64, 0, 192, 0, 144]), score(480, 320, 0));
        let (of_pairs, of_games) = (pairs.elo().unwrap(), games.elo().unwrap());
        assert!((of_pairs.value - of_games.value).abs() < 1e-6);
        assert!((of_pairs.low - of_games.low).abs() < 0.1, "{of_pairs:?} {of_games:?}");
        let ratios = (TEST.ratio_of_pairs(pairs), TEST.ratio(games));
        assert!((ratios.0 - ratios.1).abs() < 0.2, "{ratios:?}");
    }

    #[test]
    fn a_few_pairs_that_all_go_one_way_leave_an_end_open() {
        let elo = Pairs([0, 0, 0, 0, 3]).elo().unwrap();
        assert!(elo.value.is_infinite() && elo.low.is_finite(), "{elo:?}");
        assert_eq!(Pairs::default().elo(), None);
        assert_eq!(TEST.ratio_of_pairs(Pairs::default()).abs(), 0.0);
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn intervals_hold_their_value_and_a_win_never_hurts(
            wins in 0..500_u64, losses in 0..500_u64, ties in 0..500_u64,
        ) {
            let before = score(wins, losses, ties);
            let after = score(wins + 1, losses, ties);
            for estimate in [after.rate().unwrap(), after.elo().unwrap()] {
                prop_assert!(estimate.low <= estimate.value && estimate.value <= estimate.high);
            }
            if before.battles() > 0 {
                prop_assert!(before.rate().unwrap().value <= after.rate().unwrap().value);
            }
            prop_assert!(TEST.ratio(after).is_finite());
        }
    }
}
