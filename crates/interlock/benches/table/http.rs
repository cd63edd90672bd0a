//! Commands over HTTP, and the reference: a route that does nothing, behind the same client.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

/// Connections at once.
pub const CONNECTIONS: u64 = 256;

/// Serves a route that does nothing: what the wire and the HTTP library cost.
pub async fn serve_nothing() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback has free ports");
    let address = listener.local_addr().expect("it is bound");
    let nothing = axum::routing::post(|| async { axum::Json(serde_json::json!({"ok": true})) });
    let app = axum::Router::new().route("/api/v1/turns/{key}", nothing);
    tokio::spawn(async move { axum::serve(listener, app).await });
    address
}

/// Requests answered a second: every connection takes the turns of a key of its own, one after the other.
pub async fn per_second(address: SocketAddr, round: u64, span: Duration) -> f64 {
    let stop = Arc::new(AtomicBool::new(false));
    let done = Arc::new(AtomicU64::new(0));
    let begin = Instant::now();
    let client = |number: u64| {
        let (stop, done) = (stop.clone(), done.clone());
        tokio::spawn(async move {
            let mut connection = TcpStream::connect(address).await.expect("it listens");
            connection.set_nodelay(true).expect("a TCP socket");
            let mut buffer = Vec::with_capacity(4096);
            for turn in 1_u64.. {
                if stop.load(Ordering::Relaxed) {
                    break;
                }
                let body = format!(r#"{{"turn":{turn},"value":{{"choice":"left"}}}}"#);
                let request = format!(
                    "POST /api/v1/turns/r{round}-{number} HTTP/1.1\r\nHost: {address}\r\n\
                     Content-Type: application/json\r\nIdempotency-Key: {round}-{number}-{turn}\r\n\
                     Content-Length: {}\r\n\r\n{body}",
                    body.len()
                );
                connection.write_all(request.as_bytes()).await.expect("it stays open");
                answer(&mut connection, &mut buffer).await;
                done.fetch_add(1, Ordering::Relaxed);
            }
        })
    };
    let clients: Vec<_> = (0..CONNECTIONS).map(client).collect();
    tokio::time::sleep(span).await;
    let count = done.load(Ordering::Relaxed);
    let took = begin.elapsed().as_secs_f64();
    stop.store(true, Ordering::Relaxed);
    for client in clients {
        client.await.expect("clients do not panic");
    }
    #[allow(clippy::cast_precision_loss)]
    {
        count as f64 / took
    }
}

/// Reads one response, which must be a 200 with a content length.
async fn answer(connection: &mut TcpStream, buffer: &mut Vec<u8>) {
    buffer.clear();
    loop {
        let read = connection.read_buf(buffer).await.expect("it stays open");
        assert!(read > 0, "the connection closed in the middle of a response");
        let Some(end) = buffer.windows(4).position(|window| window == b"\r\n\r\n") else {
            continue;
        };
        let head = std::str::from_utf8(&buffer[..end]).expect("headers are text");
        assert!(head.starts_with("HTTP/1.1 200"), "{head}\n{:?}", buffer.get(end..));
        let length = head
            .lines()
            .filter_map(|line| line.split_once(':'))
            .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
            .and_then(|(_, value)| value.trim().parse::<usize>().ok());
        if buffer.len() >= end + 4 + length.expect("a content length") {
            return;
        }
    }
}
