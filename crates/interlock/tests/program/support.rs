//! A process in a folder of its own, and the little HTTP that it takes to talk to it.

use std::{
    fs,
    io::{self, BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    path::Path,
    process::{Child, ChildStdout, Command, ExitStatus, Stdio},
};

use tempfile::TempDir;

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

impl Place {
    pub fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Writes a configuration where it is found without being named.
    pub fn with_config(self, text: &str) -> Self {
        fs::write(self.path().join("interlock.toml"), text).unwrap();
        self
    }

    /// Runs a program that ends by itself.
    pub fn run(&self, arguments: &[&str]) -> Said {
        self.run_with(arguments, &[])
    }

    /// The same with variables of the environment.
    pub fn run_with(&self, arguments: &[&str], variables: &[(&str, &str)]) -> Said {
        let mut command = self.command(arguments);
        command.envs(variables.iter().copied());
        let output = command.output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Said { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }

    /// Starts a server on a free port and waits until it says where.
    pub fn serve(&self, arguments: &[&str]) -> Server {
        let port = ["--listen", "127.0.0.1:0"];
        let arguments = if arguments.contains(&"--listen") {
            arguments.to_vec()
        } else {
            [arguments, &port].concat()
        };
        let mut command = self.command(&[&["serve"], arguments.as_slice()].concat());
        let mut process = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut out = BufReader::new(process.stdout.take().unwrap());
        let mut line = String::new();
        out.read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("listening on http://");
        let address = address.unwrap_or_else(|| panic!("the first line is {line:?}"));
        Server { address: address.parse().unwrap(), process, out }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_interlock"));
        command.args(arguments).current_dir(self.path()).stdin(Stdio::null());
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("INTERLOCK_")) {
            command.env_remove(name);
        }
        command
    }
}

/// A running server. It is killed if a test leaves it running.
pub struct Server {
    address: SocketAddr,
    process: Child,
    out: BufReader<ChildStdout>,
}

impl Server {
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// The next line that it prints.
    pub fn line(&mut self) -> String {
        let mut line = String::new();
        self.out.read_line(&mut line).unwrap();
        line
    }

    /// Sends it a signal, by name.
    pub fn signal(&self, name: &str) {
        let mut kill = Command::new("kill");
        let done = kill.args(["-s", name, &self.id().to_string()]).status().unwrap();
        assert!(done.success(), "kill -s {name}");
    }

    /// Waits until it has ended.
    pub fn wait(mut self) -> ExitStatus {
        self.process.wait().unwrap()
    }

    /// Waits until nobody can connect any more.
    pub fn wait_until_closed(&self) {
        while TcpStream::connect(self.address).is_ok() {
            std::thread::yield_now();
        }
    }

    /// Sends bytes on a new connection.
    pub fn send(&self, text: &str) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.write_all(text.as_bytes()).unwrap();
        stream
    }

    /// The whole answer to a request: status line, headers and body.
    pub fn ask(&self, request: &str, headers: &str, body: &str) -> String {
        let length = body.len();
        read(self.send(&format!(
            "{request} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\ncontent-length: {length}\r\n\
             {headers}\r\n{body}",
            self.address
        )))
    }

    pub fn get(&self, path: &str) -> String {
        self.ask(&format!("GET {path}"), "", "")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // One that has ended cannot be killed.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Everything up to the end of the connection.
pub fn read(mut stream: TcpStream) -> String {
    let mut text = String::new();
    match stream.read_to_string(&mut text) {
        Ok(_) => text,
        // A server that was killed resets its connections.
        Err(error) if error.kind() == io::ErrorKind::ConnectionReset => text,
        Err(error) => panic!("{error}"),
    }
}
