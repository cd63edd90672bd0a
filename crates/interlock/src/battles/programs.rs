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
    convert::Infallible,
    env,
    ffi::OsStr,
    future::pending,
    process::{ExitStatus, Stdio},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::{Context, Result};
use interlock_battles::{
    domain::run::RunView,
    fleet::{Tracker, host::PASSWORD_VARIABLE},
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

/// Programs that run. Who drops them kills them.
pub struct Programs {
    /// Each says how it has ended.
    running: JoinSet<String>,
    groups: Vec<Pid>,
    trouble: Option<String>,
}

impl Programs {
    /// Starts them to play what is left of the run; none if nothing is.
    pub fn start(launches: Vec<Launch>, view: &RunView) -> Result<Self> {
        let mut programs = Self { running: JoinSet::new(), groups: Vec::new(), trouble: None };
        let left = match view.plan.target {
            Limit::Of(target) if target <= view.total.finished() => return Ok(programs),
            Limit::Of(target) => (target - view.total.finished()).to_string(),
            Limit::Unlimited => "unlimited".to_owned(),
        };
        for launch in launches {
            let process = launch.start(&left)?;
            let id = process.id().and_then(|id| Pid::from_raw(id.try_into().ok()?));
            programs.groups.push(id.expect("a process that nobody has waited for has an id"));
            eprintln!("{} plays as {}", launch.side(), launch.name);
            programs.running.spawn(end(launch.side(), process));
        }
        Ok(programs)
    }

    /// Waits until one has ended, or they have played nothing for so long. Then the match is given up.
    pub async fn look_after(
        &mut self,
        tracker: &Tracker,
        patience: Duration,
        give_up: impl Fn(),
    ) -> Infallible {
        if self.running.is_empty() {
            return pending().await;
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
    let heard = |(claim, watched): (ClaimId, interlock_battles::fleet::Watched)| {
        (claim, *watched.board.news().borrow())
    };
    tracker.battles().into_iter().map(heard).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

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
