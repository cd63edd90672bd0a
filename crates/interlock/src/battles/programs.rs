//! Programs that play: bots of others, started for a match and stopped with it.
//!
//! Each is a command line for the shell. Its environment says what it is to do, and nothing else is asked of it: what
//! it plays is seen on the server. It has a process group of its own, so that Ctrl-C reaches us alone, and that whatever
//! it has started ends with it. What is for us alone in our own environment is kept from it.
//!
//! Its standard input is a pipe that ends with us, however we end. Who is killed kills nobody: a bot that does not heed
//! the end of its standard input survives a `kill -9` of ours.

use std::{
    collections::BTreeMap,
    env,
    ffi::OsStr,
    future::pending,
    process::{ExitStatus, Stdio},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::{Context, Error, Result};
use interlock_battles::{
    domain::run::RunView,
    fleet::{
        Tracker, Watched,
        counter::{CountError, Counter},
        host::PASSWORD_VARIABLE,
    },
    limits,
};
use interlock_kernel::quota::{ClaimId, Limit};
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::{
    io::AsyncReadExt,
    process::{Child, ChildStderr, Command},
    task::JoinSet,
    time::{sleep, timeout},
};

/// How many of its last lines a program is quoted with.
const LINES: usize = 5;

/// A program that is to be started.
pub struct Launch {
    /// For the shell.
    pub line: String,
    /// The server's socket.
    pub server: String,
    /// The account that it takes.
    pub name: String,
    /// Whom it plays.
    pub opponent: String,
    /// What it plays.
    pub format: String,
    /// How it finds its battles.
    pub role: Role,
}

/// How a program finds its battles.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// By challenging its opponent.
    Challenge,
    /// By accepting its challenges.
    Accept,
}

impl Role {
    fn word(self) -> &'static str {
        match self {
            Self::Challenge => "challenge",
            Self::Accept => "accept",
        }
    }
}

impl Launch {
    /// What it is called on the command line.
    fn side(&self) -> String {
        format!("cmd:{}", self.line)
    }

    fn start(&self, battles: &str) -> Result<Child> {
        let mut shell = Command::new("sh");
        env::vars_os().map(|(name, _)| name).filter(|name| is_ours_alone(name)).for_each(|name| {
            shell.env_remove(name);
        });
        let started = shell
            .args(["-c", &self.line])
            .env("INTERLOCK_SERVER", &self.server)
            .env("INTERLOCK_NAME", &self.name)
            .env("INTERLOCK_OPPONENT", &self.opponent)
            .env("INTERLOCK_FORMAT", &self.format)
            .env("INTERLOCK_ROLE", self.role.word())
            .env("INTERLOCK_BATTLES", battles)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn();
        started.with_context(|| format!("{} cannot be started: there is no shell", self.side()))
    }
}

/// Whether a variable is none of a program's business: a password, the token, or a data folder that has its user.
fn is_ours_alone(name: &OsStr) -> bool {
    name.as_encoded_bytes().starts_with(PASSWORD_VARIABLE.as_bytes())
        || name == "INTERLOCK_TOKEN"
        || name == "INTERLOCK_DATA"
}

/// Programs that are to run, or run. Who drops them kills them.
pub struct Programs {
    launches: Vec<Launch>,
    /// Each says how it has ended.
    running: JoinSet<String>,
    groups: Vec<Pid>,
    trouble: Option<String>,
}

impl Programs {
    /// None is started yet.
    pub fn new(launches: Vec<Launch>) -> Self {
        Self { launches, running: JoinSet::new(), groups: Vec::new(), trouble: None }
    }

    /// Starts them to play what is left of the run, and looks after them, for ever; if one cannot be started, that is
    /// returned. When one has ended, or they have played nothing for so long, the match is given up.
    pub async fn play(
        &mut self,
        counter: &Counter,
        tracker: &Tracker,
        patience: Duration,
        give_up: impl Fn(),
    ) -> Error {
        if self.launches.is_empty() {
            return pending().await;
        }
        let started = match left(counter, tracker).await {
            Ok(Limit::Of(0)) => Ok(()),
            Ok(left) => self.start(left),
            Err(error) => Err(error.into()),
        };
        if let Err(error) = started {
            return error;
        }
        let trouble = tokio::select! {
            Some(ended) = self.running.join_next() => {
                let ended = ended.expect("who waits for a program does not panic");
                eprintln!("\n{ended}");
                sleep(limits::LAST_BATTLE).await;
                format!("the match is not over: {ended}")
            }
            () = idle(tracker, patience) => {
                let seconds = patience.as_secs();
                format!("the programs have played nothing for {seconds} s (--patience waits longer)")
            }
        };
        self.trouble = Some(trouble);
        give_up();
        pending().await
    }

    fn start(&mut self, left: Limit) -> Result<()> {
        let battles = match left {
            Limit::Of(left) => left.to_string(),
            Limit::Unlimited => "unlimited".to_owned(),
        };
        for launch in &self.launches {
            let process = launch.start(&battles)?;
            let id = process.id().and_then(|id| Pid::from_raw(id.try_into().ok()?));
            self.groups.push(id.expect("a process that nobody has waited for has an id"));
            eprintln!("{} plays as {}", launch.side(), launch.name);
            self.running.spawn(end(launch.side(), process));
        }
        Ok(())
    }

    /// Stops them all, with whatever they have started. Returns why they were given up, if they were.
    pub async fn stop(mut self) -> Option<String> {
        self.signal(Signal::TERM);
        let all = async { while self.running.join_next().await.is_some() {} };
        // Who has not ended by then is killed.
        let _ = timeout(limits::PROGRAM_ENDS, all).await;
        self.trouble.take()
    }

    /// Tells whole groups. One that is empty hears nothing; its number is not given to another so soon.
    fn signal(&self, signal: Signal) {
        for group in &self.groups {
            let _gone = kill_process_group(*group, signal);
        }
    }
}

impl Drop for Programs {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
    }
}

/// How many battles are still to begin, as soon as that is known: see [`to_begin`].
async fn left(counter: &Counter, tracker: &Tracker) -> Result<Limit, CountError> {
    let mut news = tracker.news();
    loop {
        let view = counter.view().await?;
        let seen = tracker.battles();
        if let Some(left) = to_begin(&view, |claim| seen.contains_key(&claim)) {
            return Ok(left);
        }
        if news.changed().await.is_err() {
            return pending().await; // the fleet is gone, and says why
        }
    }
}

/// How many battles are still to begin. One that had begun in an earlier life goes on and counts if its room is still
/// there, and is played anew if it is not; until that is seen, nobody knows.
fn to_begin(view: &RunView, is_seen: impl Fn(ClaimId) -> bool) -> Option<Limit> {
    let begun = view.live.iter().filter(|battle| battle.room.is_some());
    if !begun.clone().all(|battle| is_seen(battle.claim)) {
        return None;
    }
    Some(match view.plan.target {
        Limit::Of(target) => {
            Limit::Of(target.saturating_sub(view.total.finished() + begun.count() as u64))
        }
        Limit::Unlimited => Limit::Unlimited,
    })
}

/// Waits until it has ended, and says how.
async fn end(side: String, mut process: Child) -> String {
    // As long as it lives.
    let _standard_input = process.stdin.take();
    let said = Arc::new(Mutex::new(Vec::new()));
    let listening = process.stderr.take().map(|errors| tokio::spawn(listen(errors, said.clone())));
    let status = process.wait().await;
    if let Some(listening) = listening {
        // What it has started may go on speaking.
        let _ = timeout(Duration::from_secs(1), listening).await;
    }
    let how = status.map_or_else(|error| error.to_string(), how);
    let said = said.lock().unwrap_or_else(PoisonError::into_inner);
    match last_words(&said) {
        words if words.is_empty() => format!("{side} has ended {how}, and said nothing"),
        words => format!("{side} has ended {how}, and said last:\n{words}"),
    }
}

fn how(status: ExitStatus) -> String {
    match status.code() {
        Some(code) => format!("with exit code {code}"),
        None => format!("by a {status}"),
    }
}

/// Keeps what was said last.
async fn listen(mut errors: ChildStderr, said: Arc<Mutex<Vec<u8>>>) {
    let mut chunk = [0; 1024];
    while let Ok(count @ 1..) = errors.read(&mut chunk).await {
        let mut said = said.lock().unwrap_or_else(PoisonError::into_inner);
        said.extend(&chunk[..count]);
        let too_many = said.len().saturating_sub(limits::LAST_WORDS_BYTES);
        said.drain(..too_many);
    }
}

/// Its last lines, for a terminal.
fn last_words(said: &[u8]) -> String {
    let text = String::from_utf8_lossy(said);
    let plain = |char: &char| !char.is_control();
    let lines = text.lines().map(|line| line.chars().filter(plain).collect::<String>());
    let lines: Vec<String> = lines.filter(|line| !line.trim().is_empty()).collect();
    lines[lines.len().saturating_sub(LINES)..].join("\n")
}

/// Returns when nothing has happened in any battle for so long.
async fn idle(tracker: &Tracker, patience: Duration) {
    let mut news = tracker.news();
    let mut before = heard(tracker);
    loop {
        match timeout(patience, news.changed()).await {
            Ok(Ok(())) => before = heard(tracker),
            // The fleet is gone, and says why.
            Ok(Err(_)) => return pending().await,
            // A long battle is no news; its lines are.
            Err(_) => {
                let now = heard(tracker);
                if now == before {
                    return;
                }
                before = now;
            }
        }
    }
}

/// How much was heard of each battle.
fn heard(tracker: &Tracker) -> BTreeMap<ClaimId, u64> {
    let heard = |(claim, watched): (ClaimId, Watched)| (claim, *watched.board.news().borrow());
    tracker.battles().into_iter().map(heard).collect()
}

#[cfg(test)]
mod tests {
    use interlock_battles::domain::run::{Mode, Plan, Room, Run, RunCommand, RunReply};
    use interlock_kernel::{ids::Worker, kit::Alone, time::Millis};

    use super::*;

    /// What an earlier life had begun counts when it ends: programs that would play it once more play one too many.
    #[test]
    fn programs_are_told_to_begin_what_nobody_has_begun() {
        let mut run = Alone::<Run>::new();
        let plan = Plan {
            server: "ws://127.0.0.1:1/".to_owned(),
            format: "gen9ou".to_owned(),
            mode: Mode::Watch(["ann".to_owned(), "bob".to_owned()]),
            target: Limit::Of(5),
            shares: None,
        };
        let (claim_ttl_ms, retention_ms) = (Millis(60_000), Millis(86_400_000));
        run.send(RunCommand::Open { plan, claim_ttl_ms, retention_ms });
        let worker = Worker::new("w0").unwrap();
        let claims = [(); 2].map(|()| {
            let sent = run.send(RunCommand::Claim { worker: worker.clone(), team: None });
            let RunReply::Claimed(grant) = run.reply(sent) else { panic!("it is granted") };
            grant.claim
        });
        let left = |run: &Alone<Run>, is_seen| {
            to_begin(&run.state().ledger().unwrap().view(run.now()), |_| is_seen)
        };
        assert_eq!(left(&run, false), Some(Limit::Of(5)), "what is claimed has not begun");
        let (id, account) = ("battle-gen9ou-1".to_owned(), "ann".to_owned());
        let room = Room { id, account, opponent: None };
        run.send(RunCommand::Begin { claim: claims[0], room });
        assert_eq!(left(&run, false), None, "it may be gone");
        assert_eq!(left(&run, true), Some(Limit::Of(4)));
    }

    #[test]
    fn a_program_is_told_what_to_do_and_no_secrets() {
        let password = "INTERLOCK_SHOWDOWN_PASSWORD";
        for name in [password, &format!("{password}_2"), "INTERLOCK_TOKEN", "INTERLOCK_DATA"] {
            assert!(is_ours_alone(OsStr::new(name)), "{name}");
        }
        for name in ["PATH", "INTERLOCK_SERVER", "INTERLOCK_SHOWDOWN"] {
            assert!(!is_ours_alone(OsStr::new(name)), "{name}");
        }
    }

    #[test]
    fn the_last_words_are_few_lines_that_do_nothing_to_a_terminal() {
        let said: Vec<u8> = (0..9).flat_map(|n| format!("line {n}\n\n").into_bytes()).collect();
        assert_eq!(last_words(&said), "line 4\nline 5\nline 6\nline 7\nline 8");
        assert_eq!(last_words(b"\x1b[31mred\x07\xff\r\n"), "[31mred\u{fffd}");
        assert_eq!(last_words(b"\n \n"), "");
    }
}
