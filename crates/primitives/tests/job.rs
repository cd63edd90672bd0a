//! The contract of jobs, sentence by sentence.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod stored;

use interlock_kernel::{
    entity::{Context, Entity},
    ids::{Caller, Holder, Key, Outcome, Version},
    job::RunId,
    kit::{Alone, Answer},
    time::{Millis, Time},
};
use interlock_primitives::domain::job::{JobCommand, JobEntity, JobEvent, JobRejection, JobReply};
use serde_json::{Value, json};

fn job() -> Alone<JobEntity> {
    Alone::new()
}

/// Sends a command and gives back what the HTTP body says besides the version.
fn ask(job: &mut Alone<JobEntity>, command: JobCommand) -> Result<Value, JobRejection> {
    let sent = job.send(command);
    stored::check(job);
    if let Answer::Reply(reply, _) = job.answer(sent) {
        stored::survives(reply);
    }
    let body = match job.answer(sent) {
        Answer::Reply(JobReply::Started(lease) | JobReply::Renewed(lease), _) => {
            serde_json::to_value(lease)
        }
        Answer::Reply(JobReply::Finished(end), _) => serde_json::to_value(end),
        Answer::Reply(JobReply::Closed | JobReply::Expired, _) => Ok(json!({})),
        Answer::Rejected(rejection) => return Err(rejection.clone()),
        Answer::Waiting => panic!("a job lets nobody wait"),
    };
    Ok(body.unwrap())
}

fn starting(interval: u64, ttl: u64) -> JobCommand {
    let holder = Holder::new("h1").unwrap();
    JobCommand::Start { holder, min_interval_ms: Millis(interval), ttl_ms: Millis(ttl) }
}

fn start(job: &mut Alone<JobEntity>, interval: u64, ttl: u64) -> Result<Value, JobRejection> {
    ask(job, starting(interval, ttl))
}

fn renew(job: &mut Alone<JobEntity>, run: &str, ttl: Option<u64>) -> Result<Value, JobRejection> {
    ask(job, JobCommand::Renew { run: RunId::parse(run), ttl_ms: ttl.map(Millis) })
}

fn finish(job: &mut Alone<JobEntity>, run: &str, outcome: &str) -> Result<Value, JobRejection> {
    let outcome = Outcome::new(outcome).unwrap();
    ask(job, JobCommand::Finish { run: RunId::parse(run), outcome })
}

fn view(job: &Alone<JobEntity>) -> Value {
    serde_json::to_value(job.state().view(job.version(), job.now()).unwrap()).unwrap()
}

/// The time so many milliseconds from now, as JSON shows it.
fn in_ms(job: &Alone<JobEntity>, ms: u64) -> Value {
    json!(job.now() + Millis(ms))
}

#[track_caller]
fn refused(answer: Result<Value, JobRejection>, code: &str, retry_after_ms: Option<u64>) {
    let rejection = answer.unwrap_err();
    assert_eq!((rejection.code(), rejection.retry_after_ms()), (code, retry_after_ms));
}

#[test]
fn a_run_starts_with_an_id_a_token_and_an_expiry() {
    let mut job = job();
    let expires_at = in_ms(&job, 1_000);
    let started = start(&mut job, 0, 1_000).unwrap();
    assert_eq!(started, json!({"run": "r1", "token": 1, "expires_at": expires_at}));
}

#[test]
fn one_run_at_a_time_and_that_comes_before_the_interval() {
    let mut job = job();
    start(&mut job, 0, 1_000).unwrap();
    job.pass(Millis(400));
    refused(start(&mut job, 60_000, 1_000), "job_running", Some(600));
    assert_eq!(job.version(), Version(1), "a refusal changes nothing");
}

#[test]
fn the_requests_own_interval_counts_from_the_last_start() {
    let mut job = job();
    start(&mut job, 0, 1_000).unwrap();
    job.pass(Millis(300));
    finish(&mut job, "r1", "win").unwrap();
    refused(start(&mut job, 1_000, 1_000), "job_too_soon", Some(700));
    job.pass(Millis(699));
    refused(start(&mut job, 1_000, 1_000), "job_too_soon", Some(1));
    refused(start(&mut job, 31_536_000_000, 1_000), "job_too_soon", Some(31_535_999_001));
    job.pass(Millis(1));
    assert_eq!(start(&mut job, 1_000, 1_000).unwrap()["run"], json!("r2"));
}

#[test]
fn a_shorter_interval_may_start_where_a_longer_one_may_not() {
    let mut job = job();
    start(&mut job, 5_000, 100).unwrap();
    finish(&mut job, "r1", "win").unwrap();
    refused(start(&mut job, 5_000, 100), "job_too_soon", Some(5_000));
    assert!(start(&mut job, 0, 100).is_ok());
}

#[test]
fn an_expired_run_counts_for_the_interval() {
    let mut job = job();
    start(&mut job, 0, 100).unwrap();
    job.pass(Millis(100));
    refused(start(&mut job, 250, 100), "job_too_soon", Some(150));
    job.pass(Millis(150));
    assert!(start(&mut job, 250, 100).is_ok());
}

#[test]
fn a_run_expires_by_its_timer_at_its_expiry_to_the_millisecond() {
    let mut job = job();
    let started_at = in_ms(&job, 0);
    let expires_at = in_ms(&job, 100);
    start(&mut job, 0, 100).unwrap();
    job.pass(Millis(99));
    assert_eq!(view(&job)["running"]["run"], json!("r1"));
    job.pass(Millis(1));
    let last = json!({
        "run": "r1", "outcome": "expired", "started_at": started_at, "ended_at": expires_at
    });
    assert_eq!(view(&job), json!({"running": null, "last": last, "version": 2}));
    assert!(matches!(job.events(), [JobEvent::Started(_), JobEvent::Expired(_)]));
    refused(renew(&mut job, "r1", None), "run_over", None);
    refused(finish(&mut job, "r1", "win"), "run_over", None);
}

#[test]
fn a_late_timer_is_not_seen_by_anyone() {
    let mut job = job();
    start(&mut job, 0, 100).unwrap();
    let (unswept, due) = (job.state().clone(), job.now() + Millis(100));

    let before = unswept.view(Version(1), Time(due.0 - 1)).unwrap();
    assert!(before.running.is_some() && before.last.is_none());
    let after = unswept.view(Version(1), due).unwrap();
    assert!(after.running.is_none());
    assert_eq!(after.last.unwrap().ended_at, due);

    let (key, caller) = (Key::new("test").unwrap(), Caller::local());
    let cx = Context {
        now: due,
        arrived: due,
        version: Version(1),
        key: &key,
        caller: &caller,
        id: None,
        random: 0,
    };
    let decision = unswept.decide(&starting(0, 100), &cx).unwrap();
    assert!(matches!(decision.events[..], [JobEvent::Expired(_), JobEvent::Started(_)]));
}

#[test]
fn tokens_only_grow() {
    let mut job = job();
    for number in 1..=5_u64 {
        let started = start(&mut job, 0, 100).unwrap();
        assert_eq!(started["token"], json!(number));
        if number % 2 == 0 {
            finish(&mut job, &format!("r{number}"), "win").unwrap();
        } else {
            job.pass(Millis(100));
        }
    }
}

#[test]
fn a_renewal_begins_the_time_anew() {
    let mut job = job();
    start(&mut job, 0, 1_000).unwrap();
    job.pass(Millis(900));
    let expires_at = in_ms(&job, 5_000);
    let renewed = renew(&mut job, "r1", Some(5_000)).unwrap();
    assert_eq!(renewed, json!({"run": "r1", "token": 1, "expires_at": expires_at}));
    job.pass(Millis(4_999));
    assert_eq!(view(&job)["running"]["expires_at"], expires_at);
    let own = in_ms(&job, 1_000);
    assert_eq!(renew(&mut job, "r1", None).unwrap()["expires_at"], own, "the run's own time");
    job.pass(Millis(1_000));
    refused(renew(&mut job, "r1", None), "run_over", None);
    assert!(matches!(job.events().last(), Some(JobEvent::Expired(_))), "the timer went along");
}

#[test]
fn a_finished_run_is_over() {
    let mut job = job();
    start(&mut job, 0, 1_000).unwrap();
    job.pass(Millis(10));
    let ended_at = in_ms(&job, 0);
    let finished = finish(&mut job, "r1", "win").unwrap();
    assert_eq!(finished, json!({"run": "r1", "outcome": "win", "ended_at": ended_at}));
    assert!(job.timers().is_empty(), "nothing is left to expire");
    refused(finish(&mut job, "r1", "win"), "run_over", None);
    refused(renew(&mut job, "r1", None), "run_over", None);
    start(&mut job, 0, 1_000).unwrap();
    refused(renew(&mut job, "r1", None), "run_over", None);
    assert_eq!(view(&job)["last"]["outcome"], json!("win"));
}

#[test]
fn a_run_that_never_was_is_unknown() {
    let mut job = job();
    refused(renew(&mut job, "r1", None), "unknown_job", None);
    refused(finish(&mut job, "nonsense", "win"), "unknown_job", None);
    start(&mut job, 0, 1_000).unwrap();
    for run in ["r2", "r0", "r01", "1", "nonsense", "r99999999999999999999"] {
        refused(renew(&mut job, run, None), "unknown_run", None);
        refused(finish(&mut job, run, "win"), "unknown_run", None);
    }
}

#[test]
fn the_view_shows_the_run_in_progress_and_the_last_one() {
    let mut job = job();
    assert_eq!(job.state().view(Version(0), job.now()).unwrap_err().code(), "unknown_job");
    let (started_at, expires_at) = (in_ms(&job, 0), in_ms(&job, 1_000));
    start(&mut job, 0, 1_000).unwrap();
    let running = json!({
        "run": "r1", "holder": "h1", "token": 1, "started_at": started_at, "expires_at": expires_at
    });
    assert_eq!(view(&job), json!({"running": running, "last": null, "version": 1}));
    finish(&mut job, "r1", "win").unwrap();
    let last =
        json!({"run": "r1", "outcome": "win", "started_at": started_at, "ended_at": started_at});
    assert_eq!(view(&job), json!({"running": null, "last": last, "version": 2}));
}

#[test]
fn an_early_expiry_timer_changes_nothing() {
    let mut job = job();
    ask(&mut job, JobCommand::Expire).unwrap();
    start(&mut job, 0, 1_000).unwrap();
    ask(&mut job, JobCommand::Expire).unwrap();
    assert_eq!(job.version(), Version(1));
}

#[test]
fn no_duration_overflows() {
    let mut job = job();
    start(&mut job, u64::MAX, u64::MAX).unwrap();
    renew(&mut job, "r1", Some(u64::MAX)).unwrap();
    finish(&mut job, "r1", "win").unwrap();
    assert_eq!(start(&mut job, u64::MAX, 100).unwrap_err().code(), "job_too_soon");
}

#[test]
fn closing_needs_a_job_that_ran_and_forgets_its_timer() {
    let mut job = job();
    refused(ask(&mut job, JobCommand::Close), "unknown_job", None);
    start(&mut job, 0, 1_000).unwrap();
    ask(&mut job, JobCommand::Close).unwrap();
    assert!(job.is_closed());
    assert!(job.timers().is_empty());
}
