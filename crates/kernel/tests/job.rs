//! Job against a model that keeps every run and asks the clock.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use interlock_kernel::{
    ids::{Holder, Outcome, Token},
    job::{Ended, Event, Job, Rejection, RunId},
    time::{Millis, Time},
};
use proptest::prelude::*;

fn holder() -> Holder {
    Holder::new("h").unwrap()
}

fn run(number: u64) -> RunId {
    RunId::parse(&format!("r{number}")).unwrap()
}

fn outcome(text: &str) -> Outcome {
    Outcome::new(text).unwrap()
}

/// One run of the model.
#[derive(Clone)]
struct Run {
    started: u64,
    ttl: u64,
    expires: u64,
    finished: Option<(u64, Outcome)>,
}

impl Run {
    fn is_over(&self, now: u64) -> bool {
        self.finished.is_some() || self.expires <= now
    }
}

/// All runs that ever began, the first one with number 1.
#[derive(Default)]
struct Model {
    runs: Vec<Run>,
    now: u64,
}

/// What the model answers: the run's number, token and expiry, or why not.
#[derive(Debug, Clone, PartialEq)]
enum Answer {
    Lease { run: u64, token: u64, expires: u64 },
    Ended { run: u64 },
    Running { retry_after: u64 },
    TooSoon { retry_after: u64 },
    Over,
    Unknown,
}

impl Model {
    fn start(&mut self, interval: u64, ttl: u64) -> Answer {
        if let Some(run) = self.runs.iter().find(|run| !run.is_over(self.now)) {
            return Answer::Running { retry_after: run.expires - self.now };
        }
        if let Some(last) = self.runs.iter().map(|run| run.started).max()
            && self.now - last < interval
        {
            return Answer::TooSoon { retry_after: interval - (self.now - last) };
        }
        let expires = self.now + ttl;
        self.runs.push(Run { started: self.now, ttl, expires, finished: None });
        let number = self.runs.len() as u64;
        Answer::Lease { run: number, token: number, expires }
    }

    fn in_progress(&mut self, number: u64) -> Result<&mut Run, Answer> {
        match self.runs.get_mut(number as usize - 1) {
            None => Err(Answer::Unknown),
            Some(run) if run.is_over(self.now) => Err(Answer::Over),
            Some(run) => Ok(run),
        }
    }

    fn renew(&mut self, number: u64, ttl: Option<u64>) -> Answer {
        let now = self.now;
        match self.in_progress(number) {
            Err(no) => no,
            Ok(run) => {
                run.expires = now + ttl.unwrap_or(run.ttl);
                Answer::Lease { run: number, token: number, expires: run.expires }
            }
        }
    }

    fn finish(&mut self, number: u64, outcome: &Outcome) -> Answer {
        let now = self.now;
        match self.in_progress(number) {
            Err(no) => no,
            Ok(run) => {
                run.finished = Some((now, outcome.clone()));
                Answer::Ended { run: number }
            }
        }
    }

    fn running(&self) -> Option<(u64, u64)> {
        let place = self.runs.iter().position(|run| !run.is_over(self.now))?;
        Some((place as u64 + 1, self.runs[place].expires))
    }

    fn last(&self) -> Option<Ended> {
        let (place, over) = self.runs.iter().enumerate().rfind(|(_, run)| run.is_over(self.now))?;
        let (ended, outcome) =
            over.finished.clone().unwrap_or_else(|| (over.expires, outcome("expired")));
        Some(Ended {
            run: run(place as u64 + 1),
            outcome,
            started_at: Time(over.started),
            ended_at: Time(ended),
        })
    }
}

#[derive(Debug, Clone)]
enum Step {
    Pass {
        ms: u64,
    },
    Start {
        interval: u64,
        ttl: u64,
    },
    /// Runs are counted back from the newest; negative ones have not begun.
    Renew {
        back: i64,
        ttl: Option<u64>,
    },
    Finish {
        back: i64,
        outcome: &'static str,
    },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        3 => (1_u64..7).prop_map(|ms| Step::Pass { ms }),
        4 => (0_u64..10, 1_u64..7).prop_map(|(interval, ttl)| Step::Start { interval, ttl }),
        2 => (-1_i64..3, prop::option::of(1_u64..7)).prop_map(|(back, ttl)| Step::Renew { back, ttl }),
        2 => (-1_i64..3, prop_oneof![Just("won"), Just("expired")])
            .prop_map(|(back, outcome)| Step::Finish { back, outcome }),
    ];
    prop::collection::vec(step, 1..60)
}

/// A job that is asked like the model.
struct Asked {
    job: Job,
    events: Vec<Event>,
}

impl Asked {
    fn new() -> Self {
        Self { job: Job::default(), events: Vec::new() }
    }

    fn take(&mut self, event: Event) {
        self.job.apply(&event);
        self.events.push(event);
    }

    fn sweep(&mut self, now: u64) {
        if let Some(ended) = self.job.overdue(Time(now)) {
            self.take(Event::Expired(ended));
        }
    }

    fn start(&mut self, interval: u64, ttl: u64, now: u64) -> Answer {
        match self.job.start(&holder(), Millis(interval), Millis(ttl), Time(now)) {
            Err(no) => answer_of(no),
            Ok(start) => {
                let run = start.started.clone();
                if let Some(ended) = start.expired {
                    self.take(Event::Expired(ended));
                }
                self.take(Event::Started(start.started));
                lease(run.run, run.token, run.expires_at)
            }
        }
    }

    fn renew(&mut self, number: u64, ttl: Option<u64>, now: u64) -> Answer {
        match self.job.renew(run(number), ttl.map(Millis), Time(now)) {
            Err(no) => answer_of(no),
            Ok(renewed) => {
                self.take(Event::Renewed(renewed.clone()));
                lease(renewed.run, renewed.token, renewed.expires_at)
            }
        }
    }

    fn finish(&mut self, number: u64, outcome: &Outcome, now: u64) -> Answer {
        match self.job.finish(run(number), outcome.clone(), Time(now)) {
            Err(no) => answer_of(no),
            Ok(ended) => {
                let number = number_of(ended.run);
                self.take(Event::Finished(ended));
                Answer::Ended { run: number }
            }
        }
    }
}

fn number_of(run: RunId) -> u64 {
    run.to_string()[1..].parse().unwrap()
}

fn lease(run: RunId, token: Token, expires: Time) -> Answer {
    Answer::Lease { run: number_of(run), token: token.0, expires: expires.0 }
}

fn answer_of(no: Rejection) -> Answer {
    match no {
        Rejection::Running { retry_after, .. } => Answer::Running { retry_after: retry_after.0 },
        Rejection::TooSoon { retry_after, .. } => Answer::TooSoon { retry_after: retry_after.0 },
        Rejection::Over(_) => Answer::Over,
        Rejection::Unknown => Answer::Unknown,
    }
}

proptest! {
    /// Two jobs, one with a timer that is always on time and one without any, answer like the model.
    #[test]
    fn every_request_is_answered_like_by_a_model_with_or_without_a_timer(steps in steps()) {
        let (mut model, mut swept, mut unswept) = (Model::default(), Asked::new(), Asked::new());
        for step in steps {
            let runs = model.runs.len() as i64;
            let run_number = |back: i64| u64::try_from((runs - back).max(1)).unwrap();
            let (expected, answers) = match step {
                Step::Pass { ms } => {
                    model.now += ms;
                    swept.sweep(model.now);
                    continue;
                }
                Step::Start { interval, ttl } => (
                    model.start(interval, ttl),
                    [&mut swept, &mut unswept].map(|job| job.start(interval, ttl, model.now)),
                ),
                Step::Renew { back, ttl } => (
                    model.renew(run_number(back), ttl),
                    [&mut swept, &mut unswept].map(|job| job.renew(run_number(back), ttl, model.now)),
                ),
                Step::Finish { back, outcome: text } => (
                    model.finish(run_number(back), &outcome(text)),
                    [&mut swept, &mut unswept]
                        .map(|job| job.finish(run_number(back), &outcome(text), model.now)),
                ),
            };
            let now = Time(model.now);
            for (answer, asked) in answers.into_iter().zip([&swept, &unswept]) {
                prop_assert_eq!(&answer, &expected);
                asked.job.check();
                let running = asked.job.running(now).map(|run| (number_of(run.run), run.expires_at.0));
                prop_assert_eq!(running, model.running());
                prop_assert_eq!(asked.job.last(now).map(|ended| ended.into_owned()), model.last());
                prop_assert_eq!(asked.job.has_started(), !model.runs.is_empty());
            }
        }
        swept.sweep(model.now);
        unswept.sweep(model.now);
        prop_assert_eq!(&swept.job, &unswept.job);
        prop_assert_eq!(&swept.events, &unswept.events);
        let stored = postcard::to_stdvec(&swept.job).unwrap();
        prop_assert_eq!(&postcard::from_bytes::<Job>(&stored).unwrap(), &swept.job);
        let shown = serde_json::to_string(&swept.job).unwrap();
        prop_assert_eq!(&serde_json::from_str::<Job>(&shown).unwrap(), &swept.job);
    }

    #[test]
    fn no_request_overflows(interval: u64, ttl: u64, renewal: u64, now: u64, later: u64) {
        let mut asked = Asked::new();
        asked.start(interval, ttl, now);
        asked.renew(1, Some(renewal), now);
        asked.start(interval, ttl, now.max(later));
        asked.job.check();
    }
}

#[test]
fn a_run_is_over_at_the_very_moment_of_its_expiry() {
    let mut asked = Asked::new();
    asked.start(0, 100, 1_000);
    assert_eq!(asked.start(0, 100, 1_099), Answer::Running { retry_after: 1 });
    assert_eq!(asked.renew(1, None, 1_100), Answer::Over);
    assert_eq!(asked.start(0, 100, 1_100), Answer::Lease { run: 2, token: 2, expires: 1_200 });
}

#[test]
fn ids_are_read_only_as_they_were_written() {
    assert_eq!(RunId::parse("r17").unwrap().to_string(), "r17");
    for text in ["", "r", "17", "r0", "r017", "r+17", "r-1", "R17", "r17 ", "r18446744073709551616"]
    {
        assert_eq!(RunId::parse(text), None, "{text:?}");
    }
}

#[test]
#[should_panic(expected = "one run at a time")]
fn a_second_run_beside_the_first_poisons_the_job() {
    let mut asked = Asked::new();
    asked.start(0, 100, 0);
    let second = asked.job.start(&holder(), Millis(0), Millis(100), Time(100)).unwrap();
    asked.job.apply(&Event::Started(second.started));
}
