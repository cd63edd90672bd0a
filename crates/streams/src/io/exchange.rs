//! One request and its answer on a connection of their own.
//!
//! The connection is driven by whoever reads the answer, not by a task: dropping the answer closes the
//! socket at once, and nothing outlives its caller.
//!
//! Not here: what answers mean; connection reuse (an engine is asked a few times per stream).

use std::{
    future::poll_fn,
    pin::{Pin, pin},
    task::{Context, Poll},
};

use bytes::{Bytes, BytesMut};
use http_body_util::Empty;
use hyper::{
    Request, StatusCode,
    body::{Body, Incoming},
    client::conn::http1,
    header,
};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::{engine::EngineUrl, fault::Fault};
use crate::limits;

type Connection = http1::Connection<TokioIo<TcpStream>, Empty<Bytes>>;

/// An answer whose head has arrived.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    /// Where a redirect leads.
    pub(super) location: Option<String>,
    pub(super) body: AnswerBody,
}

/// The bytes of an answer, as they arrive.
#[derive(Debug)]
pub(super) struct AnswerBody {
    /// Gone when it has nothing more to read.
    connection: Option<Connection>,
    incoming: Incoming,
}

/// Asks the engine for a path (with its query).
pub(super) async fn get(engine: &EngineUrl, path: &str) -> Result<Answer, Fault> {
    let socket =
        TcpStream::connect((engine.host(), engine.port())).await.map_err(Fault::Refused)?;
    socket.set_nodelay(true).map_err(Fault::Refused)?;
    let (mut sender, connection) = http1::Builder::new()
        .max_buf_size(limits::READ_BYTES)
        .max_header_size(limits::HEAD_BYTES)
        .handshake(TokioIo::new(socket))
        .await
        .map_err(Fault::from_http)?;
    let request = Request::get(path)
        .header(header::HOST, engine.authority())
        .header(header::USER_AGENT, "interlock")
        .body(Empty::new())
        .map_err(|error| Fault::BadAnswer(error.to_string()))?;

    let mut connection = Some(connection);
    let mut response = pin!(sender.send_request(request));
    let response = poll_fn(|cx| {
        drive(&mut connection, cx);
        response.as_mut().poll(cx)
    });
    let (head, incoming) = response.await.map_err(Fault::from_http)?.into_parts();
    let location = head.headers.get(header::LOCATION);
    let location = location.and_then(|value| value.to_str().ok()).map(str::to_owned);
    Ok(Answer { status: head.status, location, body: AnswerBody { connection, incoming } })
}

/// Lets the connection read and write what it can.
fn drive(connection: &mut Option<Connection>, cx: &mut Context<'_>) {
    // How the connection ended is told by the response or its body.
    if connection.as_mut().is_some_and(|open| Pin::new(open).poll(cx).is_ready()) {
        *connection = None;
    }
}

impl AnswerBody {
    /// The next bytes; `None` after the last.
    pub(super) fn poll_bytes(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, hyper::Error>>> {
        loop {
            let mut frame = Pin::new(&mut self.incoming).poll_frame(cx);
            if frame.is_pending() {
                drive(&mut self.connection, cx);
                frame = Pin::new(&mut self.incoming).poll_frame(cx);
            }
            match frame {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(None) => return Poll::Ready(None),
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Some(Err(error))),
                Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                    Ok(bytes) if !bytes.is_empty() => return Poll::Ready(Some(Ok(bytes))),
                    Ok(_) | Err(_) => (),
                },
            }
        }
    }

    /// The whole body, if it is no longer than [`limits::ANSWER_BYTES`].
    pub(super) async fn whole(mut self) -> Result<Bytes, Fault> {
        let mut whole = BytesMut::new();
        while let Some(bytes) = poll_fn(|cx| self.poll_bytes(cx)).await {
            let bytes = bytes.map_err(Fault::from_http)?;
            if whole.len() + bytes.len() > limits::ANSWER_BYTES {
                return Err(Fault::BadAnswer(format!(
                    "longer than {} bytes",
                    limits::ANSWER_BYTES
                )));
            }
            whole.extend_from_slice(&bytes);
        }
        Ok(whole.freeze())
    }
}
