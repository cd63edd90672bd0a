//! Starting a server and asking it.

use std::net::SocketAddr;

use interlock_server::{
    config::Config,
    server::{Server, StartError},
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
    sync::oneshot,
    task::JoinHandle,
};

/// A server that is running. [`Running::stop`] ends it.
pub struct Running {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    served: JoinHandle<()>,
    _folder: TempDir,
}

impl Running {
    pub async fn start() -> Self {
        Self::with(|_| {}).await.unwrap()
    }

    /// Starts one with another configuration.
    pub async fn with(change: impl FnOnce(&mut Config)) -> Result<Self, StartError> {
        let folder = tempfile::tempdir().unwrap();
        let mut config = Config {
            listen: "127.0.0.1:0".parse().unwrap(),
            data: folder.path().to_owned(),
            ..Config::default()
        };
        change(&mut config);
        let mut server = Server::start(&config).await?;
        server.host_fleets();
        let address = server.address();
        let (stop, stopped) = oneshot::channel();
        let served = tokio::spawn(async move {
            let stopped = async move { stopped.await.unwrap() };
            let stopped = server.run(stopped).await;
            assert_eq!(stopped.cut_off, 0);
        });
        Ok(Self { address, stop, served, _folder: folder })
    }

    /// The whole answer to `GET path`.
    pub async fn get(&self, path: &str) -> String {
        self.ask("GET", path, "").await
    }

    /// The whole answer to a request with a JSON body.
    pub async fn ask(&self, method: &str, path: &str, body: &str) -> String {
        self.begin(method, path, body).await.rest().await
    }

    /// The same, under an `Idempotency-Key`.
    pub async fn ask_as(&self, id: &str, method: &str, path: &str, body: &str) -> String {
        let headers = format!("connection: close\r\nidempotency-key: {id}\r\n");
        Feed(BufReader::new(self.send(method, path, &headers, body).await)).rest().await
    }

    /// The whole answer to what a page's form sends.
    pub async fn submit(&self, path: &str, form: &str) -> String {
        let media_type = "application/x-www-form-urlencoded";
        let stream = self.send_as(media_type, "POST", path, "connection: close\r\n", form).await;
        Feed(BufReader::new(stream)).rest().await
    }

    /// Sends a request whose answer is read later.
    pub async fn begin(&self, method: &str, path: &str, body: &str) -> Feed {
        Feed(BufReader::new(self.send(method, path, "connection: close\r\n", body).await))
    }

    /// Sends a command that is taken.
    pub async fn command(&self, method: &str, path: &str, body: &str) {
        let answer = self.ask(method, &format!("/api/v1/{path}"), body).await;
        assert!(answer.starts_with("HTTP/1.1 2"), "{answer}");
    }

    /// Opens something that goes on, and reads its head.
    pub async fn feed(&self, path: &str) -> Feed {
        let mut feed = Feed(BufReader::new(self.send("GET", path, "", "").await));
        assert_eq!(feed.line().await.as_deref(), Some("HTTP/1.1 200 OK"));
        while feed.line().await.is_some_and(|line| !line.is_empty()) {}
        feed
    }

    pub async fn stop(self) {
        self.stop.send(()).unwrap();
        self.served.await.unwrap();
    }

    async fn send(&self, method: &str, path: &str, headers: &str, body: &str) -> TcpStream {
        self.send_as("application/json", method, path, headers, body).await
    }

    async fn send_as(
        &self,
        media_type: &str,
        method: &str,
        path: &str,
        headers: &str,
        body: &str,
    ) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: {}\r\ncontent-type: {media_type}\r\n\
             content-length: {}\r\n{headers}\r\n{body}",
            self.address,
            body.len()
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        stream
    }
}

/// An answer, read as it comes.
pub struct Feed(BufReader<TcpStream>);

impl Feed {
    /// Waits for the next message. False: the feed has ended.
    pub async fn next(&mut self) -> bool {
        while let Some(line) = self.line().await {
            if line.starts_with("data:") {
                return true;
            }
        }
        false
    }

    /// Waits for so many lines with these words.
    pub async fn wait_for(&mut self, words: &str, mut count: usize) {
        while count > 0 {
            let line = self.line().await.unwrap_or_else(|| panic!("it ended before {words}"));
            count -= usize::from(line.contains(words));
        }
    }

    /// Everything up to its end.
    pub async fn rest(mut self) -> String {
        let mut text = String::new();
        self.0.read_to_string(&mut text).await.unwrap();
        text
    }

    async fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        let read = self.0.read_line(&mut line).await.unwrap();
        (read > 0).then(|| line.trim_end().to_owned())
    }
}
