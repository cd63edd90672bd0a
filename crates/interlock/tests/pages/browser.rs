//! A real browser without a window, told what to do over its DevTools protocol.
//!
//! It has one page, which is opened, measured, typed into and asked. Whatever goes wrong in it meanwhile is collected:
//! exceptions, errors on its console, requests that failed or were refused, dialogs.

use std::{mem, process::Stdio, time::Duration};

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, BufReader, Lines},
    net::TcpStream,
    process::{Child, Command},
    time::timeout,
};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async, tungstenite::Message};

/// What a page does not show by then it will not show.
const PATIENCE: Duration = Duration::from_secs(30);
/// A browser that says nothing for so long will not say more.
const SILENCE: Duration = Duration::from_secs(60);

/// A browser and its page. Dropped, it is killed.
pub struct Browser {
    process: Child,
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    /// The page's name in the protocol.
    session: Value,
    asked: u64,
    /// What was asked last.
    question: String,
    loaded: u64,
    troubles: Vec<String>,
    _profile: TempDir,
}

impl Browser {
    pub async fn start() -> Self {
        let profile = tempfile::tempdir().unwrap();
        let mut process = Command::new("chromium")
            // As root it has no sandbox. It is shown nothing but our own pages.
            .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"])
            .args(["--no-first-run", "--disable-background-networking"])
            .args(["--remote-debugging-port=0", "about:blank"])
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("chromium is installed: ./test does it");
        let mut said = BufReader::new(process.stderr.take().unwrap()).lines();
        let address = address(&mut said).await;
        // Nobody wants to know the rest, but a full pipe would stop it.
        tokio::spawn(async move { while let Ok(Some(_)) = said.next_line().await {} });
        let (socket, _) = connect_async(address).await.unwrap();
        let mut browser = Self {
            process,
            socket,
            session: Value::Null,
            asked: 0,
            question: String::new(),
            loaded: 0,
            troubles: Vec::new(),
            _profile: profile,
        };
        let page = browser.ask("Target.createTarget", json!({"url": "about:blank"})).await;
        let attach = json!({"targetId": page["targetId"], "flatten": true});
        browser.session = browser.ask("Target.attachToTarget", attach).await["sessionId"].take();
        for domain in ["Page", "Runtime", "Log", "Network"] {
            browser.ask(&format!("{domain}.enable"), json!({})).await;
        }
        // As if its window were the one in front.
        browser.ask("Emulation.setFocusEmulationEnabled", json!({"enabled": true})).await;
        browser
    }

    /// Ends it in order.
    pub async fn close(mut self) {
        self.session = Value::Null;
        self.ask("Browser.close", json!({})).await;
        self.process.wait().await.unwrap();
    }

    /// How wide the page is from now on, in pixels.
    pub async fn resize(&mut self, width: u32) {
        let size = json!({"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": false});
        self.ask("Emulation.setDeviceMetricsOverride", size).await;
    }

    /// What the reader prefers from now on: `light` or `dark`.
    pub async fn prefer(&mut self, scheme: &str) {
        let features = json!([{"name": "prefers-color-scheme", "value": scheme}]);
        self.ask("Emulation.setEmulatedMedia", json!({"features": features})).await;
    }

    /// Opens an address and waits until all of it is loaded.
    pub async fn open(&mut self, url: &str) {
        let before = self.loaded;
        let opened = self.ask("Page.navigate", json!({"url": url})).await;
        assert!(opened["errorText"].is_null(), "{url}: {opened}");
        self.loads_after(before).await;
    }

    /// Does something that leads to another page, and waits until that is loaded.
    pub async fn follow(&mut self, expression: &str) {
        let before = self.loaded;
        self.eval(expression).await;
        self.loads_after(before).await;
    }

    /// What an expression comes to; of a promise, what it promised.
    pub async fn eval(&mut self, expression: &str) -> Value {
        let how = json!({"expression": expression, "awaitPromise": true, "returnByValue": true, "userGesture": true});
        let mut answer = self.ask("Runtime.evaluate", how).await;
        let thrown = &answer["exceptionDetails"];
        assert!(thrown.is_null(), "{expression}: {thrown}");
        answer["result"]["value"].take()
    }

    /// Waits until a condition holds, looking whenever the page changes. The page must not be loaded anew meanwhile.
    pub async fn until(&mut self, condition: &str) {
        let watch = "new Promise(done => {
            const look = () => { if (CONDITION) { changes.disconnect(); done(true); } };
            const changes = new MutationObserver(look);
            changes.observe(document, { subtree: true, childList: true, characterData: true });
            look();
            setTimeout(() => done(document.body.innerText), PATIENCE);
        })";
        let watch = watch.replace("CONDITION", condition);
        let held = self.eval(&watch.replace("PATIENCE", &PATIENCE.as_millis().to_string())).await;
        assert_eq!(held, true, "{condition}");
    }

    /// Goes on to what has the keyboard next.
    pub async fn tab(&mut self) {
        let key =
            |kind| json!({"type": kind, "key": "Tab", "code": "Tab", "windowsVirtualKeyCode": 9});
        for kind in ["rawKeyDown", "keyUp"] {
            self.ask("Input.dispatchKeyEvent", key(kind)).await;
        }
    }

    /// What went wrong since somebody asked.
    pub fn troubles(&mut self) -> Vec<String> {
        mem::take(&mut self.troubles)
    }

    async fn loads_after(&mut self, before: u64) {
        while self.loaded == before {
            self.hear().await;
        }
    }

    async fn ask(&mut self, method: &str, params: Value) -> Value {
        let asked = self.send(method, params).await;
        loop {
            let mut answer = self.hear().await;
            if answer["id"] == asked {
                assert!(answer["error"].is_null(), "{method}: {}", answer["error"]);
                return answer["result"].take();
            }
        }
    }

    async fn send(&mut self, method: &str, params: Value) -> u64 {
        self.asked += 1;
        let mut message = json!({"id": self.asked, "method": method, "params": params});
        if !self.session.is_null() {
            message["sessionId"] = self.session.clone();
        }
        self.question = message.to_string();
        self.socket.send(Message::text(self.question.clone())).await.unwrap();
        self.asked
    }

    async fn hear(&mut self) -> Value {
        let Ok(message) = timeout(SILENCE, self.socket.next()).await else {
            panic!("the browser has nothing to say to {}", self.question);
        };
        let message = message.expect("the browser lives").unwrap();
        let message = message.to_text().unwrap();
        let message: Value = serde_json::from_str(message).unwrap_or_default();
        let happened = &message["params"];
        match message["method"].as_str() {
            Some("Page.loadEventFired") => self.loaded += 1,
            Some("Page.javascriptDialogOpening") => {
                self.troubles.push(format!("a dialog: {}", happened["message"]));
                self.send("Page.handleJavaScriptDialog", json!({"accept": true})).await;
            }
            Some(method) => self.troubles.extend(trouble(method, happened)),
            None => {}
        }
        message
    }
}

/// Where it listens: it says so before anything else that matters.
async fn address(said: &mut Lines<BufReader<impl AsyncRead + Unpin>>) -> String {
    let mut before = String::new();
    while let Some(line) = said.next_line().await.unwrap() {
        if let Some(address) = line.strip_prefix("DevTools listening on ") {
            return address.to_owned();
        }
        before.push_str(&line);
        before.push('\n');
    }
    panic!("the browser does not start: {before}");
}

/// What is wrong about an event, if something is.
fn trouble(method: &str, event: &Value) -> Option<String> {
    let is_wrong = match method {
        "Runtime.exceptionThrown" => true,
        "Runtime.consoleAPICalled" => event["type"] == "error" || event["type"] == "warning",
        "Log.entryAdded" => {
            event["entry"]["level"] == "error" || event["entry"]["level"] == "warning"
        }
        "Network.responseReceived" => event["response"]["status"].as_u64() >= Some(400),
        // Who goes on to another page waits no more for what the last one asked.
        "Network.loadingFailed" => event["canceled"] != true,
        _ => false,
    };
    is_wrong.then(|| format!("{method}: {event}"))
}
