//! A folder in which fleets are started, a Showdown server for them, and a fleet that goes on by itself.

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    path::{Path, PathBuf},
    process::{Child, ChildStderr, Command, ExitStatus, Stdio},
    sync::Once,
};

use interlock_battles::{
    domain::{protocol::LOBBY, tournament::News},
    io::{Account, Client, Event, local::LocalServer},
};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// Where `./test` puts the package; `INTERLOCK_SHOWDOWN_DIR` names another folder of it.
pub fn package() -> PathBuf {
    let usual = || {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap();
        root.join("target/showdown/node_modules/pokemon-showdown")
    };
    std::env::var_os("INTERLOCK_SHOWDOWN_DIR").map_or_else(usual, PathBuf::from)
}

/// A real server, until it is dropped.
pub struct Showdown {
    server: LocalServer,
    // Looks after its process, and after the host of its tournaments.
    runtime: Runtime,
}

impl Showdown {
    pub fn start() -> Self {
        static ALLOWED: Once = Once::new();
        ALLOWED.call_once(|| let_everybody_hold_tournaments(&package()));
        let runtime = Runtime::new().unwrap();
        let server = runtime.block_on(LocalServer::start(&package())).unwrap();
        Self { server, runtime }
    }

    pub fn url(&self) -> &str {
        self.server.url()
    }

    /// Holds a tournament of two in the lobby, and another one as soon as it is over, while this lives.
    pub fn hold_tournaments(&self, format: &str) {
        let (url, host) = (self.url().to_owned(), Account::unregistered("Host"));
        let create = format!("create {format}, elimination, 2");
        self.runtime.spawn(async move {
            let (client, mut events) = Client::connect(&url, &host).await.unwrap();
            client.join(LOBBY).await.unwrap();
            loop {
                for command in [&*create, "autostart on"] {
                    client.tournament(LOBBY, command).await.unwrap();
                }
                let is_over =
                    |event: &Event| matches!(event, Event::Tournament { news: News::Over, .. });
                while events.recv().await.is_some_and(|event| !is_over(&event)) {}
            }
        });
    }
}

/// The package's rooms as it makes them, but for who may hold tournaments in its lobby.
fn let_everybody_hold_tournaments(package: &Path) {
    let rooms = package.join("config/chatrooms.json");
    let lobby =
        r#"[{"title":"Lobby","auth":{},"autojoin":true,"permissions":{"/tournament":" "}}]"#;
    if fs::read_to_string(&rooms).is_ok_and(|rooms| rooms.contains(r#""/tournament":" ""#)) {
        return;
    }
    fs::create_dir_all(rooms.parent().unwrap()).unwrap();
    // Servers that start meanwhile read one or the other.
    let half = rooms.with_extension(std::process::id().to_string());
    fs::write(&half, lobby).unwrap();
    fs::rename(half, rooms).unwrap();
}

/// A folder in which programs are started. Its data folder is the default one.
pub struct Place {
    folder: TempDir,
}

/// What a program that has ended said.
#[derive(Debug)]
pub struct Said {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl Said {
    /// Its one object.
    #[track_caller]
    pub fn json(&self) -> Value {
        assert_eq!(self.code, Some(0), "{}", self.err);
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {:?}", self.out))
    }
}

impl Place {
    pub fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_interlock"));
        command.arg("battles").args(arguments).current_dir(self.path()).stdin(Stdio::null());
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("INTERLOCK_")) {
            command.env_remove(name);
        }
        command
    }

    /// Runs `interlock battles …` to its end.
    pub fn run(&self, arguments: &[&str]) -> Said {
        end(self.command(arguments))
    }

    /// What `battles show` says of a run.
    pub fn show(&self, run: &str) -> Value {
        self.run(&["show", run, "--json"]).json()
    }

    /// Starts `interlock battles …`.
    pub fn spawn(&self, arguments: &[&str]) -> Fleet {
        let mut command = self.command(arguments);
        Fleet::new(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap())
    }

    /// The same, and waits until it says where its page is.
    pub fn start(&self, arguments: &[&str]) -> Fleet {
        self.spawn(arguments).at_work()
    }

    /// How the battles of an account ended, by their logs: winners' names, and `tie`.
    pub fn logged(&self, run: &str, account: &str) -> Vec<String> {
        let end = |log: &String| {
            let end = |line: &str| {
                line.strip_prefix("|win|").or((line == "|tie").then_some("tie")).map(str::to_owned)
            };
            log.lines().find_map(end).expect("a log that is kept has an end")
        };
        self.logs(run, account).iter().map(end).collect()
    }

    /// The logs of an account's battles.
    pub fn logs(&self, run: &str, account: &str) -> Vec<String> {
        let logs = self.path().join("interlock-data/battles").join(run).join("logs");
        let mut all = Vec::new();
        let inside = |folder: &Path| match fs::read_dir(folder) {
            Ok(entries) => entries.map(|entry| entry.unwrap().path()).collect(),
            // A worker that has played nothing has no folder of this account.
            Err(_) => Vec::new(),
        };
        for shelf in inside(&logs).iter().flat_map(|worker| inside(&worker.join(account))) {
            // What was thought lies beside them.
            let mut files = inside(&shelf);
            files.retain(|file| file.extension().is_some_and(|kind| kind == "log"));
            all.extend(files.iter().map(|log| fs::read_to_string(log).unwrap()));
        }
        all
    }
}

/// Checks a report against the logs.
#[track_caller]
pub fn agrees_with_the_logs(report: &Value, logged: &[String], me: &str) {
    let count = |is: &dyn Fn(&str) -> bool| logged.iter().filter(|end| is(end)).count();
    let lost = report["losses"].as_u64().unwrap() + report["forfeits"].as_u64().unwrap();
    assert_eq!(report["wins"], count(&|end| end == me));
    assert_eq!(report["ties"], count(&|end| end == "tie"));
    assert_eq!(json!(lost), json!(count(&|end| end != me && end != "tie")));
    assert_eq!(report["finished"], logged.len());
    assert_eq!((&report["drift"], &report["claimed"]), (&json!(0), &json!(0)), "{report}");
}

pub fn end(mut command: Command) -> Said {
    let output = command.output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Said { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
}

/// A fleet at work. It is killed if a test leaves it so.
pub struct Fleet {
    process: Child,
    err: BufReader<ChildStderr>,
    address: SocketAddr,
}

impl Fleet {
    fn new(mut process: Child) -> Self {
        let err = BufReader::new(process.stderr.take().unwrap());
        Self { process, err, address: ([127, 0, 0, 1], 0).into() }
    }

    /// One that was started otherwise, when it says where its page is.
    pub fn of(process: Child) -> Self {
        Self::new(process).at_work()
    }

    fn at_work(mut self) -> Self {
        let page = self.line_with("its page: http://");
        self.address = page.split('/').next().unwrap().parse().unwrap();
        self
    }

    /// Where its page is.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Waits for a line of standard error with these words, and returns what follows them.
    pub fn line_with(&mut self, words: &str) -> String {
        let mut all = String::new();
        loop {
            let mut line = String::new();
            let count = self.err.read_line(&mut line).unwrap();
            assert!(count > 0, "it ended without {words:?}: {all}");
            if let Some((_, rest)) = line.split_once(words) {
                return rest.trim_end().to_owned();
            }
            all += &line;
        }
    }

    /// Waits until so many events of this type have happened to a run.
    pub fn wait_for(&self, run: &str, event: &str, count: usize) {
        let mut stream = TcpStream::connect(self.address).unwrap();
        write!(
            stream,
            "GET /api/v1/events?entity=run/{run}&from=start HTTP/1.1\r\nhost: {}\r\n\r\n",
            self.address
        )
        .unwrap();
        let wanted = format!("\"type\":\"{event}\"");
        let lines = BufReader::new(stream).lines().map(Result::unwrap);
        let seen = lines.filter(|line| line.contains(&wanted)).take(count).count();
        assert_eq!(seen, count, "it ended too early");
    }

    /// Asks its server something, and returns the whole answer.
    pub fn ask(&self, method: &str, path: &str, body: &str) -> String {
        let mut stream = TcpStream::connect(self.address).unwrap();
        let (host, length) = (self.address, body.len());
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\
             content-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}",
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    pub fn signal(&self, name: &str) {
        let id = self.process.id().to_string();
        assert!(Command::new("kill").args(["-s", name, &id]).status().unwrap().success());
    }

    /// Waits until it has ended.
    pub fn wait(mut self) -> ExitStatus {
        // Whoever is not read cannot end.
        std::io::copy(&mut self.err, &mut std::io::sink()).unwrap();
        self.process.wait().unwrap()
    }

    /// The same, and what it said on standard output.
    pub fn said(mut self) -> Said {
        let (mut out, mut err) = (String::new(), String::new());
        self.err.read_to_string(&mut err).unwrap();
        self.process.stdout.take().unwrap().read_to_string(&mut out).unwrap();
        Said { code: self.process.wait().unwrap().code(), out, err }
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        // One that has ended cannot be killed.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
