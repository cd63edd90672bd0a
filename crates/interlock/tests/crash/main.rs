//! kill -9 under load, restarted at once, two hundred times; then a separate process checks the history.
#![allow(missing_docs, clippy::unwrap_used)]

mod checker;

use std::{
    fmt::Write as _,
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

const ROUNDS: u64 = 200;
const CLIENTS: u64 = 4;
const QUOTAS: u64 = 8;

struct Server {
    process: Child,
    address: SocketAddr,
}

impl Server {
    /// Starts a server and waits until it says that it listens.
    fn start(data: &Path, listen: &str) -> Self {
        let mut process = Command::new(env!("CARGO_BIN_EXE_interlock"))
            .args(["serve", "--listen", listen, "--data"])
            .arg(data)
            .env("INTERLOCK_LOG", "error")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("listening on http://");
        let address = address.unwrap_or_else(|| panic!("it says {line:?}")).parse().unwrap();
        Self { process, address }
    }

    fn kill(self) {
        drop(self);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

/// One connection; any trouble ends it.
struct Client {
    stream: BufReader<TcpStream>,
}

struct Answer {
    status: u16,
    replayed: bool,
    body: Value,
}

impl Client {
    fn connect(address: SocketAddr) -> Option<Self> {
        let stream = TcpStream::connect(address).ok()?;
        stream.set_nodelay(true).ok()?;
        Some(Self { stream: BufReader::new(stream) })
    }

    fn send(&mut self, method: &str, path: &str, id: &str, body: &str) -> Option<Answer> {
        let mut head = format!("{method} {path} HTTP/1.1\r\nhost: localhost\r\n");
        if !body.is_empty() {
            write!(head, "content-type: application/json\r\nidempotency-key: {id}\r\n").unwrap();
        }
        write!(head, "content-length: {}\r\n\r\n{body}", body.len()).unwrap();
        self.stream.get_mut().write_all(head.as_bytes()).ok()?;
        let mut line = String::new();
        self.stream.read_line(&mut line).ok()?;
        let status = line.split(' ').nth(1)?.parse().ok()?;
        let (mut length, mut replayed) = (0, false);
        loop {
            line.clear();
            self.stream.read_line(&mut line).ok()?;
            let Some((name, value)) = line.trim_end().split_once(": ") else { break };
            match name.to_ascii_lowercase().as_str() {
                "content-length" => length = value.parse().ok()?,
                "idempotent-replayed" => replayed = value == "true",
                _ => {}
            }
        }
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body).ok()?;
        Some(Answer { status, replayed, body: serde_json::from_slice(&body).ok()? })
    }
}

/// What the clients do and see, on one clock.
struct Recorder {
    begin: Instant,
    history: Mutex<Vec<Value>>,
    next: AtomicU64,
}

impl Recorder {
    fn now_us(&self) -> u64 {
        u64::try_from(self.begin.elapsed().as_micros()).unwrap()
    }

    /// Claims until the connection breaks; what is left without an answer is asked again, with the same id,
    /// after the restart.
    fn claim(
        &self,
        address: SocketAddr,
        worker: u64,
        open: &mut Option<(u64, String)>,
        stop: &AtomicBool,
    ) {
        let Some(mut client) = Client::connect(address) else { return };
        while !stop.load(Ordering::Relaxed) {
            let (quota, id) = open.take().unwrap_or_else(|| {
                let n = self.next.fetch_add(1, Ordering::Relaxed);
                (n % QUOTAS, format!("op-{n}"))
            });
            let start = self.now_us();
            let path = format!("/api/v1/quotas/q{quota}/claims");
            let answer = client.send("POST", &path, &id, &format!(r#"{{"worker":"w{worker}"}}"#));
            let entity = format!("quota/q{quota}");
            let mut line = json!({"entity": entity, "id": id, "start_us": start, "end_us": null});
            let answered = answer.is_some();
            if let Some(answer) = answer {
                line["end_us"] = self.now_us().into();
                line["status"] = answer.status.into();
                line["replayed"] = answer.replayed.into();
                line["body"] = answer.body;
            } else {
                *open = Some((quota, id));
            }
            self.history.lock().unwrap().push(line);
            if !answered {
                return;
            }
        }
    }
}

/// `splitmix64`, so that a failing run can be repeated as far as processes repeat.
fn random(seed: u64) -> u64 {
    let z = seed.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z ^ (z >> 27)
}

#[test]
fn nothing_acknowledged_is_lost_or_doubled_by_two_hundred_kills() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let recorder =
        Recorder { begin: Instant::now(), history: Mutex::default(), next: AtomicU64::new(0) };
    let server = Server::start(&data, "127.0.0.1:0");
    // The same port every time: a restart must not wait for the old one's connections.
    let listen = server.address.to_string();
    let mut client = Client::connect(server.address).unwrap();
    for quota in 0..QUOTAS {
        let body = r#"{"limit":"unlimited","claim_ttl_ms":604800000}"#;
        let put = client.send("PUT", &format!("/api/v1/quotas/q{quota}"), "put", body).unwrap();
        assert_eq!(put.status, 201, "{}", put.body);
    }
    server.kill();
    let mut open: Vec<Option<(u64, String)>> = (0..CLIENTS).map(|_| None).collect();
    for round in 0..ROUNDS {
        let server = Server::start(&data, &listen);
        let stop = AtomicBool::new(false);
        thread::scope(|scope| {
            let (began, begun) = mpsc::channel();
            for (worker, open) in (0..).zip(&mut open) {
                let (recorder, stop, began) = (&recorder, &stop, began.clone());
                let address = server.address;
                scope.spawn(move || {
                    began.send(()).unwrap();
                    recorder.claim(address, worker, open, stop);
                });
            }
            begun.iter().take(usize::try_from(CLIENTS).unwrap()).count();
            // Load first, then the kill at a moment that nobody knows: waiting is what is tested here.
            let moment = Duration::from_micros(5_000 + random(round) % 60_000);
            let (_never, pause) = mpsc::channel::<()>();
            pause.recv_timeout(moment).unwrap_err();
            server.kill();
            stop.store(true, Ordering::Relaxed);
        });
    }
    let server = Server::start(&data, &listen);
    let timelines = timelines(server.address);
    server.kill();
    check(folder.path(), &recorder.history.into_inner().unwrap(), &timelines);
    verify(&data);
}

/// Everything that the server kept, oldest first.
fn timelines(address: SocketAddr) -> Vec<Value> {
    let mut client = Client::connect(address).unwrap();
    let mut entries = Vec::new();
    for quota in 0..QUOTAS {
        let mut before = String::new();
        loop {
            let path = format!("/api/v1/entities/quota/q{quota}/timeline?limit=200{before}");
            let page = client.send("GET", &path, "", "").unwrap();
            assert_eq!(page.status, 200, "{}", page.body);
            for entry in page.body["entries"].as_array().unwrap() {
                let entity = format!("quota/q{quota}");
                entries.push(
                    json!({"entity": entity, "id": entry["id"], "version": entry["version"]}),
                );
            }
            match page.body["next"].as_str() {
                Some(next) => before = format!("&before={next}"),
                None => break,
            }
        }
    }
    entries
}

/// Has a separate process check the history: this program again, told where it is.
fn check(folder: &Path, history: &[Value], timelines: &[Value]) {
    let write = |name: &str, lines: &[Value]| {
        let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
        fs::write(folder.join(name), text).unwrap();
    };
    write("history", history);
    write("timelines", timelines);
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "a_history_is_checked_by_a_process_of_its_own", "--nocapture"])
        .env(FOLDER, folder)
        .output()
        .unwrap();
    let says = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{says}");
    eprintln!("{says}");
}

/// Where the history is, for the process that checks it.
const FOLDER: &str = "INTERLOCK_TEST_HISTORY";

#[test]
fn a_history_is_checked_by_a_process_of_its_own() {
    let read = |folder: &Path, name: &str| fs::read_to_string(folder.join(name)).unwrap();
    if let Some(folder) = std::env::var_os(FOLDER).map(PathBuf::from) {
        let verdict = checker::check(&read(&folder, "history"), &read(&folder, "timelines"));
        eprintln!("{}", verdict.summary);
        let first = verdict.wrong.iter().take(20).cloned().collect::<Vec<_>>().join("\n");
        assert!(verdict.wrong.is_empty(), "{} things are wrong:\n{first}", verdict.wrong.len());
    }
    // A checker that cannot fail is worth nothing.
    let answer = |id: &str, version: u64, start: u64, end: u64| {
        let body = json!({"version": version, "number": version - 1});
        let line = json!({"entity": "quota/q", "id": id, "start_us": start, "end_us": end, "status": 201,
            "replayed": false, "body": body});
        format!("{line}\n")
    };
    let kept = |id: &str, version: u64| {
        format!("{}\n", json!({"entity": "quota/q", "id": id, "version": version}))
    };
    let (put, good) = (kept("put", 1), answer("a", 2, 0, 1) + &answer("b", 3, 2, 3));
    let cases = [
        ("nothing", good.clone(), put.clone() + &kept("a", 2) + &kept("b", 3), 0),
        ("a lost command", good.clone(), put.clone() + &kept("a", 2), 1),
        (
            "a doubled command",
            good.clone(),
            put.clone() + &kept("a", 2) + &kept("b", 3) + &kept("b", 4),
            2,
        ),
        ("a gap", String::new(), put.clone() + &kept("a", 3), 1),
        (
            "two answers",
            good + &answer("b", 2, 4, 5),
            put.clone() + &kept("a", 2) + &kept("b", 3),
            3,
        ),
        (
            "an order against time",
            answer("b", 3, 0, 1) + &answer("a", 2, 2, 3),
            put + &kept("a", 2) + &kept("b", 3),
            1,
        ),
    ];
    for (what, history, timelines, wrong) in cases {
        let verdict = checker::check(&history, &timelines);
        assert_eq!(verdict.wrong.len(), wrong, "{what}: {:?}", verdict.wrong);
    }
}

fn verify(data: &Path) {
    let output = Command::new(env!("CARGO_BIN_EXE_interlock"))
        .args(["store", "verify", "--data"])
        .arg(data)
        .output()
        .unwrap();
    let out = String::from_utf8_lossy(&output.stdout);
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{out}{error}");
}
