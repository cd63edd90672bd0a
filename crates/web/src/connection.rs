//! One accepted connection: what its client is doing, and for how long.
//!
//! ```text
//!         first bytes            head complete           answer's body sent
//!  Fresh ────────────►  Head  ────────────────► Busy ────────────────────────► Idle
//!                        ▲                                                       │
//!                        └──────────────────── bytes of the next one ────────────┘
//! ```
//!
//! hyper has one time-out for heads, which also runs while a connection lies idle, and so would close idle
//! connections as fast as slow ones. Here each phase has its own.
//!
//! hyper also answers what is no HTTP by itself, with an empty body. `Wire` holds that answer back, so
//! that the server can give one with a `code`.
//!
//! Half-closed connections (the client has sent its last byte, and reads) are served like others. Who must
//! not wait for a client that has gone asks [`Client::gone`].

use std::{
    fmt,
    future::Future,
    io,
    net::{Shutdown, SocketAddr},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU8, AtomicU16, AtomicU64, Ordering::Relaxed},
    },
    task::{Context, Poll, ready},
};

use axum::{extract::FromRequestParts, http::request::Parts};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    sync::watch,
    time::{Duration, Instant, Sleep, sleep_until, timeout},
};

use crate::{disconnect::Disconnect, problem::Problem};

/// A connection, shared by the task that serves it, hyper's [`Wire`] and the handlers.
pub(crate) struct Connection {
    stream: TcpStream,
    peer: SocketAddr,
    opened: Instant,
    phase: AtomicU8,
    /// When the phase began, in milliseconds since `opened`.
    since_ms: AtomicU64,
    /// When the client stopped taking bytes, in milliseconds since `opened`; [`NOT_STALLED`] while it does.
    stalled_ms: AtomicU64,
    /// The status of hyper's own answer that was held back; 0 for none.
    held_back: AtomicU16,
    /// Whether the server is stopping.
    stopping: watch::Receiver<bool>,
    /// Ends the connection from outside.
    pub(crate) disconnect: Disconnect,
}

const NOT_STALLED: u64 = u64::MAX;

/// What the client is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Phase {
    /// It has connected and sent nothing yet.
    Fresh = 0,
    /// It is sending a request's line and headers.
    Head = 1,
    /// It waits for an answer, or is sending a body, or is receiving the answer.
    Busy = 2,
    /// It has been answered.
    Idle = 3,
}

/// How long a client may take for what.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patience {
    /// For a request's line and headers.
    pub(crate) head: Duration,
    /// Between requests.
    pub(crate) idle: Duration,
    /// Without taking any byte.
    pub(crate) stall: Duration,
}

/// What took too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Overdue {
    /// Head, or the first byte of one.
    Head,
    /// The next request.
    Idle,
    /// Taking what is ready.
    Stall,
}

impl Connection {
    pub(crate) fn new(
        stream: TcpStream,
        peer: SocketAddr,
        stopping: watch::Receiver<bool>,
    ) -> Self {
        Self {
            stream,
            peer,
            opened: Instant::now(),
            phase: AtomicU8::new(Phase::Fresh as u8),
            since_ms: AtomicU64::new(0),
            stalled_ms: AtomicU64::new(NOT_STALLED),
            held_back: AtomicU16::new(0),
            stopping,
            disconnect: Disconnect::default(),
        }
    }

    pub(crate) fn phase(&self) -> Phase {
        match self.phase.load(Relaxed) {
            0 => Phase::Fresh,
            1 => Phase::Head,
            2 => Phase::Busy,
            3 => Phase::Idle,
            other => unreachable!("{other} is no phase"),
        }
    }

    pub(crate) fn enter(&self, phase: Phase) {
        self.since_ms.store(self.now_ms(), Relaxed);
        self.phase.store(phase as u8, Relaxed);
    }

    /// The status that hyper wanted to answer by itself.
    pub(crate) fn held_back(&self) -> Option<u16> {
        Some(self.held_back.load(Relaxed)).filter(|status| *status != 0)
    }

    /// Waits until the server stops.
    pub(crate) async fn stopping(&self) {
        // An error means that the server is gone altogether.
        let _: Result<_, watch::error::RecvError> =
            self.stopping.clone().wait_for(|stopping| *stopping).await;
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.opened.elapsed().as_millis()).expect("half a billion years are enough")
    }

    /// When the client will have taken too long, if nothing changes.
    fn deadline(&self, patience: &Patience) -> Option<(Instant, Overdue)> {
        let since = |ms: u64, allowed| self.opened + Duration::from_millis(ms) + allowed;
        let began = self.since_ms.load(Relaxed);
        let phase = match self.phase() {
            Phase::Fresh | Phase::Head => Some((since(began, patience.head), Overdue::Head)),
            Phase::Idle => Some((since(began, patience.idle), Overdue::Idle)),
            Phase::Busy => None,
        };
        let stalled = match self.stalled_ms.load(Relaxed) {
            NOT_STALLED => None,
            stalled => Some((since(stalled, patience.stall), Overdue::Stall)),
        };
        phase.into_iter().chain(stalled).min_by_key(|(at, _)| *at)
    }

    /// Sends the last bytes of this connection, says that there are no more, and reads what the client
    /// still sends, for at most `linger`: closing with unread bytes would make the client's side throw
    /// away the answer that it has not read yet.
    pub(crate) async fn close(&self, last: &[u8], linger: Duration) {
        let close = async {
            let mut rest = last;
            while !rest.is_empty() {
                self.stream.writable().await?;
                match self.stream.try_write(rest) {
                    Ok(written) => rest = &rest[written..],
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    Err(error) => return Err(error),
                }
            }
            socket2::SockRef::from(&self.stream).shutdown(Shutdown::Write)?;
            let mut dropped = [0; 4096];
            loop {
                self.stream.readable().await?;
                match self.stream.try_read(&mut dropped) {
                    Ok(0) => return Ok(()),
                    Ok(_) => {}
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    Err(error) => return Err(error),
                }
            }
        };
        // Whatever goes wrong here, the client has gone or is not reading: there is nobody to tell.
        let _: Result<io::Result<()>, _> = timeout(linger, close).await;
    }
}

/// hyper's view of a connection.
pub(crate) struct Wire(pub(crate) Arc<Connection>);

impl AsyncRead for Wire {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            ready!(self.0.stream.poll_read_ready(cx))?;
            match self.0.stream.try_read_buf(buffer) {
                Ok(count) => {
                    if count > 0 && matches!(self.0.phase(), Phase::Fresh | Phase::Idle) {
                        self.0.enter(Phase::Head);
                    }
                    return Poll::Ready(Ok(()));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }
}

impl Wire {
    fn poll_send(
        &self,
        cx: &mut Context<'_>,
        send: impl Fn(&TcpStream) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        let connection = &*self.0;
        loop {
            let Poll::Ready(ready) = connection.stream.poll_write_ready(cx) else {
                if connection.stalled_ms.load(Relaxed) == NOT_STALLED {
                    connection.stalled_ms.store(connection.now_ms(), Relaxed);
                }
                return Poll::Pending;
            };
            ready?;
            match send(&connection.stream) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                sent => {
                    connection.stalled_ms.store(NOT_STALLED, Relaxed);
                    return Poll::Ready(sent);
                }
            }
        }
    }

    /// Holds back what hyper answers by itself.
    fn holds_back(&self, bytes: &[u8]) -> bool {
        if self.0.phase() == Phase::Busy {
            return false;
        }
        let Some(status) = own_answer(bytes) else { return false };
        self.0.held_back.store(status, Relaxed);
        true
    }
}

/// The status of an answer that hyper made by itself: nothing but a refusal and a date.
fn own_answer(bytes: &[u8]) -> Option<u16> {
    let line = bytes.strip_prefix(b"HTTP/1.1 ")?.split(|b| *b == b'\r').next()?;
    let status = std::str::from_utf8(line.get(..3)?).ok()?.parse().ok()?;
    let headers = bytes.get(b"HTTP/1.1 ".len() + line.len()..)?;
    let refusal = (400..500).contains(&status);
    let bare = headers.starts_with(b"\r\nconnection: close\r\ncontent-length: 0\r\ndate: ");
    (refusal && bare).then_some(status)
}

impl AsyncWrite for Wire {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[io::IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if let [only] = parts
            && self.holds_back(only)
        {
            return Poll::Ready(Ok(only.len()));
        }
        self.poll_send(cx, |stream| stream.try_write_vectored(parts))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    /// Does nothing: the server closes the connection itself, see [`Connection::close`].
    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// Waits until the client has taken too long. To be polled whenever the connection has been.
///
/// The alarm is set anew only for a deadline before the one it is set for. A deadline that moved away, as
/// with every request, is noticed when the alarm goes off, so that requests cost no timer.
pub(crate) struct Watchdog {
    connection: Arc<Connection>,
    patience: Patience,
    alarm: Pin<Box<Sleep>>,
}

impl Watchdog {
    pub(crate) fn new(connection: Arc<Connection>, patience: Patience) -> Self {
        let alarm = Box::pin(sleep_until(Instant::now() + patience.head));
        Self { connection, patience, alarm }
    }
}

impl Future for Watchdog {
    type Output = Overdue;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Overdue> {
        let deadline = self.connection.deadline(&self.patience);
        if let Some((at, _)) = deadline
            && at < self.alarm.deadline()
        {
            self.alarm.as_mut().reset(at);
        }
        while self.alarm.as_mut().poll(cx).is_ready() {
            let now = Instant::now();
            match deadline {
                Some((at, what)) if at <= now => return Poll::Ready(what),
                Some((at, _)) => self.alarm.as_mut().reset(at),
                None => {
                    let later = now + self.patience.idle;
                    self.alarm.as_mut().reset(later);
                }
            }
        }
        Poll::Pending
    }
}

/// Who sent a request, as long as it is connected.
#[derive(Clone, Default)]
pub struct Client(pub(crate) Option<Arc<Connection>>);

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Client").field(&self.peer()).finish()
    }
}

impl Client {
    /// The address at the other end of the connection. `None` in tests without one.
    #[must_use]
    pub fn peer(&self) -> Option<SocketAddr> {
        self.0.as_ref().map(|connection| connection.peer)
    }

    /// Ends the connection when it is called, without another word: for clients that do not read what
    /// they are sent, and so cannot be told.
    #[must_use]
    pub fn disconnect(&self) -> Disconnect {
        self.0.as_ref().map(|connection| connection.disconnect.clone()).unwrap_or_default()
    }

    /// Waits until the client has closed its side of the connection. For requests that wait for long:
    /// nothing tells a client that only stopped sending from one that went away, so both have gone.
    ///
    /// Cannot see behind further bytes of the client, such as the next request sent early.
    pub async fn gone(&self) {
        if let Some(connection) = &self.0
            && !matches!(connection.stream.peek(&mut [0]).await, Ok(1..))
        {
            return;
        }
        std::future::pending().await
    }

    /// Waits until nobody will read an answer that goes on: the client has gone, or the server stops.
    pub async fn over(&self) {
        tokio::select! {
            () = self.gone() => {}
            () = self.server_stops() => {}
        }
    }

    /// Waits for work that may take long, but not when the client has gone (then nobody reads the answer)
    /// and not when the server stops (then 503 `shutting_down`). The work is dropped in both cases.
    pub async fn unless_gone<T>(&self, work: impl Future<Output = T>) -> Result<T, Problem> {
        tokio::select! {
            biased;
            done = work => Ok(done),
            () = self.gone() => Err(Problem::bad_request("the client has gone")),
            () = self.server_stops() => Err(Problem::shutting_down()),
        }
    }

    async fn server_stops(&self) {
        match &self.0 {
            Some(connection) => connection.stopping().await,
            None => std::future::pending().await,
        }
    }
}

impl<S: Sync> FromRequestParts<S> for Client {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        Ok(parts.extensions.get::<Client>().cloned().unwrap_or_default())
    }
}

#[cfg(test)]
mod tests;
