//! Proving a name: a login service turns name, password and the server's challenge into an assertion, and the name
//! alone if it is nobody's.
//!
//! The password goes into the body of one request and nowhere else: not into logs, errors or `Debug`.

use std::{fmt, sync::Arc};

use http_body_util::{BodyExt, Full, Limited};
use hyper::{Request, Uri, body::Bytes, client::conn::http1, header};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};
use tokio_rustls::{
    TlsConnector,
    rustls::{ClientConfig, RootCertStore, pki_types::ServerName},
};

use crate::{domain::id::id, limits};

/// The login service of the public server.
pub const PUBLIC: &str = "https://play.pokemonshowdown.com/api/login";

/// A password. It does not show itself.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(String);

impl Password {
    /// Takes a password in.
    pub fn new(password: impl Into<String>) -> Self {
        Self(password.into())
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(…)")
    }
}

/// Why there is no assertion.
#[derive(Debug, thiserror::Error)]
pub enum LoginError {
    /// The address of the login service is none.
    #[error("{0} is no address of a login service: http://… or https://…")]
    Url(String),
    /// The service cannot be reached, or not safely.
    #[error("the login service cannot be reached: {0}")]
    Io(#[from] std::io::Error),
    /// The exchange broke.
    #[error("the login service broke off: {0}")]
    Http(#[from] hyper::Error),
    /// The answer is none that such a service gives.
    #[error("the login service gave a bad answer: {0}")]
    BadAnswer(String),
    /// The service says no.
    #[error("the login was refused: {0}")]
    Refused(String),
}

impl LoginError {
    pub(super) fn may_pass(&self) -> bool {
        match self {
            Self::Io(_) | Self::Http(_) => true,
            Self::Url(_) | Self::BadAnswer(_) | Self::Refused(_) => false,
        }
    }
}

/// Asks for an assertion of a name and its password.
pub(super) async fn assertion(
    url: &str,
    name: &str,
    password: &Password,
    challstr: &str,
) -> Result<String, LoginError> {
    let fields = [("name", name), ("pass", &password.0), ("challstr", challstr)];
    proven(&ask(url, &fields).await?)
}

/// Asks for an assertion that a name is nobody's: of the service's action beside the one that takes passwords.
pub(super) async fn unregistered(
    url: &str,
    name: &str,
    challstr: &str,
) -> Result<String, LoginError> {
    let folder = url.rsplit_once('/').map_or(url, |(folder, _)| folder);
    let fields = [("userid", &*id(name)), ("challstr", challstr)];
    free(&ask(&format!("{folder}/getassertion"), &fields).await?)
}

/// What the service answers to these fields.
async fn ask(url: &str, fields: &[(&str, &str)]) -> Result<String, LoginError> {
    let no_url = || LoginError::Url(url.to_owned());
    let uri: Uri = url.parse().map_err(|_| no_url())?;
    let host = uri.host().ok_or_else(no_url)?;
    let body = form(fields);
    match uri.scheme_str() {
        Some("http") => {
            let socket = TcpStream::connect((host, uri.port_u16().unwrap_or(80))).await?;
            post(socket, &uri, host, body).await
        }
        Some("https") => {
            let socket = TcpStream::connect((host, uri.port_u16().unwrap_or(443))).await?;
            let server = ServerName::try_from(host.to_owned()).map_err(|_| no_url())?;
            let socket = TlsConnector::from(trust()).connect(server, socket).await?;
            post(socket, &uri, host, body).await
        }
        _ => Err(no_url()),
    }
}

/// Trusts whom this machine trusts.
fn trust() -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    // A certificate that cannot be read is one that is not trusted.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    Arc::new(ClientConfig::builder().with_root_certificates(roots).with_no_client_auth())
}

async fn post(
    socket: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    uri: &Uri,
    host: &str,
    body: String,
) -> Result<String, LoginError> {
    let bad = |error: &dyn fmt::Display| LoginError::BadAnswer(error.to_string());
    let (mut sender, connection) = http1::handshake(TokioIo::new(socket)).await?;
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let request = Request::post(path)
        .header(header::HOST, host)
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded; charset=utf-8")
        .body(Full::<Bytes>::from(body))
        .map_err(|error| bad(&error))?;
    // It takes the sender with it: without one, the connection ends.
    let exchange = async move {
        let answer = sender.send_request(request).await?;
        let body = Limited::new(answer.into_body(), limits::LOGIN_ANSWER_BYTES);
        let bytes = body.collect().await.map_err(|error| bad(&error))?.to_bytes();
        String::from_utf8(bytes.to_vec()).map_err(|error| bad(&error))
    };
    // The connection carries the exchange, and may end before the answer was taken.
    let (answer, _ended) = tokio::join!(exchange, connection);
    answer
}

/// Reads the answer to a name and its password.
fn proven(answer: &str) -> Result<String, LoginError> {
    #[derive(Deserialize)]
    struct Answer {
        #[serde(default)]
        assertion: Option<String>,
        #[serde(default)]
        error: Option<String>,
    }
    // A bracket in front keeps browsers from running it.
    let json = answer.strip_prefix(']').unwrap_or(answer);
    let answer: Answer =
        serde_json::from_str(json).map_err(|error| LoginError::BadAnswer(error.to_string()))?;
    match answer.assertion {
        // Two semicolons lead a reason.
        Some(assertion) if !assertion.starts_with(";;") && !assertion.is_empty() => Ok(assertion),
        other => {
            let reason = other.map(|reason| reason.trim_start_matches(';').to_owned());
            let reason = reason.filter(|reason| !reason.is_empty()).or(answer.error);
            Err(LoginError::Refused(reason.unwrap_or_else(|| "wrong name or password".to_owned())))
        }
    }
}

/// Reads the answer to a name alone: the assertion itself.
fn free(answer: &str) -> Result<String, LoginError> {
    let answer = answer.trim();
    let refused = |reason: &str| Err(LoginError::Refused(reason.to_owned()));
    match answer.strip_prefix(';').map(|reason| reason.trim_start_matches(';')) {
        Some("") => refused("the name is registered, and needs its password"),
        Some(reason) => refused(reason),
        None if answer.matches(',').count() >= 3 && !answer.contains(['\n', '<']) => {
            Ok(answer.to_owned())
        }
        None => Err(LoginError::BadAnswer("no assertion".to_owned())),
    }
}

fn form(fields: &[(&str, &str)]) -> String {
    let escape = |text: &str| {
        let byte = |byte: u8| match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                char::from(byte).to_string()
            }
            _ => format!("%{byte:02X}"),
        };
        text.bytes().map(byte).collect::<String>()
    };
    let pairs = fields.iter().map(|(name, value)| format!("{name}={}", escape(value)));
    pairs.collect::<Vec<_>>().join("&")
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpListener,
    };

    use super::*;

    /// Asks a service that gives this answer: what it was told, and what came of it.
    async fn told(answer: &str, password: Option<&str>) -> (String, Result<String, LoginError>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/api/login", listener.local_addr().unwrap());
        let head = format!(
            "HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
            answer.len()
        );
        let reply = head + answer;
        let service = async {
            let (mut socket, _) = listener.accept().await.unwrap();
            let mut told = String::new();
            while !told.contains("challstr=") {
                let mut part = [0; 4096];
                let count = socket.read(&mut part).await.unwrap();
                told.push_str(std::str::from_utf8(&part[..count]).unwrap());
            }
            socket.write_all(reply.as_bytes()).await.unwrap();
            told
        };
        let asks = async {
            match password.map(Password::new) {
                Some(password) => assertion(&url, "Ann B", &password, "4|ab").await,
                None => unregistered(&url, "Ann B", "4|ab").await,
            }
        };
        tokio::join!(service, asks)
    }

    #[tokio::test]
    async fn a_name_is_proven_with_its_password() {
        let answer = r#"]{"actionsuccess":true,"assertion":"4,annb,4,123"}"#;
        let (told, answer) = told(answer, Some("p&ss wörd")).await;
        assert!(told.starts_with("POST /api/login HTTP/1.1\r\n"), "{told}");
        assert!(told.ends_with("name=Ann%20B&pass=p%26ss%20w%C3%B6rd&challstr=4%7Cab"), "{told}");
        assert_eq!(answer.unwrap(), "4,annb,4,123");
    }

    #[tokio::test]
    async fn a_name_without_a_password_is_proven_to_be_nobodys() {
        let (told, answer) = told("4,annb,1,123,host;5a5a\n", None).await;
        assert!(told.starts_with("POST /api/getassertion HTTP/1.1\r\n"), "{told}");
        assert!(told.ends_with("userid=annb&challstr=4%7Cab"), "{told}");
        assert_eq!(answer.unwrap(), "4,annb,1,123,host;5a5a");
    }

    #[tokio::test]
    async fn somebodys_name_needs_its_password() {
        for (answer, reason) in [
            (";", "the name is registered, and needs its password"),
            (";;Your name is banned", "Your name is banned"),
        ] {
            let Err(LoginError::Refused(said)) = told(answer, None).await.1 else {
                panic!("{answer}")
            };
            assert_eq!(said, reason);
        }
        for answer in ["", "<!doctype html>", "a,b\nc,d,e"] {
            let (_, result) = told(answer, None).await;
            assert!(matches!(result, Err(LoginError::BadAnswer(_))), "{result:?}");
        }
    }

    #[tokio::test]
    async fn a_refusal_says_why() {
        for (answer, reason) in [
            (
                r#"]{"actionsuccess":false,"assertion":";;Your name is banned"}"#,
                "Your name is banned",
            ),
            (r#"]{"error":"Try later"}"#, "Try later"),
            (r#"]{"actionsuccess":false}"#, "wrong name or password"),
        ] {
            let Err(LoginError::Refused(said)) = told(answer, Some("x")).await.1 else {
                panic!("{answer}")
            };
            assert_eq!(said, reason);
        }
    }

    #[tokio::test]
    async fn what_is_no_answer_is_said_so() {
        let large = "x".repeat(limits::LOGIN_ANSWER_BYTES + 1);
        for answer in ["<html>", "]", &large] {
            let (_, result) = told(answer, Some("x")).await;
            assert!(matches!(result, Err(LoginError::BadAnswer(_))), "{result:?}");
        }
        let bad = assertion("ftp://x/", "a", &Password::new("b"), "c").await;
        assert!(matches!(bad, Err(LoginError::Url(_))));
    }

    #[test]
    fn a_password_does_not_show_itself() {
        assert_eq!(format!("{:?}", Password::new("secret")), "Password(…)");
    }

    #[test]
    fn trust_can_be_set_up() {
        let _config = trust();
    }
}
