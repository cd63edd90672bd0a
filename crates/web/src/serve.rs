//! The server: accepts connections, serves HTTP/1.1 on them, and stops without cutting anybody off.
//!
//! Everything is bounded: connections, heads (bytes, lines, time), bodies (by the endpoints), idleness,
//! clients that do not read, and the time that stopping takes. A client that breaks a bound is told so
//! wherever the protocol leaves a way: 400, 408, 414, 431 or 503, with a `code`.
//!
//! A panic in a handler is a defect: it is caught, logged, and costs the client of that one request a 500.
//!
//! Not here: TLS and HTTP/2 (a proxy's work); logging of requests ([`crate::metrics`] counts them).

use std::{
    convert::Infallible,
    future::Future,
    panic::AssertUnwindSafe,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use axum::{
    Router,
    body::{Body, HttpBody},
    http::{Request, Response},
    response::IntoResponse,
};
use bytes::Bytes;
use futures_util::FutureExt;
use hyper::{
    body::{Frame, Incoming, SizeHint},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
};
use tower::Service;

use crate::{
    condition::Known,
    connection::{Client, Connection, Overdue, Patience, Phase, Watchdog, Wire},
    endpoint::Routes,
    guard::Guard,
    limits,
    problem::Problem,
    traffic::Traffic,
};

/// What is served.
#[derive(Debug)]
pub struct App {
    router: Router,
    guard: Guard,
    traffic: Arc<Traffic>,
}

impl App {
    /// These routes behind this guard.
    #[must_use]
    pub fn new(routes: Routes, guard: Guard, traffic: Arc<Traffic>) -> Self {
        let guard = guard.with_exceptions(routes.endpoints());
        Self { router: routes.into_router(), guard, traffic }
    }

    /// Answers one request.
    async fn answer<B>(&self, mut request: Request<B>) -> Response<Body>
    where
        B: HttpBody<Data = Bytes> + Send + 'static,
        B::Error: Into<axum::BoxError>,
    {
        if let Err(problem) = self.guard.admit(&mut request) {
            return problem.into_response();
        }
        let method = request.method().clone();
        let path = request.uri().clone();
        let known = Known::of(&request);
        // Nothing of ours outlives the panic: the request and its future are dropped with it.
        let answer = AssertUnwindSafe(self.router.clone().call(request)).catch_unwind().await;
        match answer {
            Ok(Ok(response)) => match known {
                Some(known) => known.spare(response),
                None => response,
            },
            Ok(Err(never)) => match never {},
            Err(_panic) => {
                self.traffic.panicked();
                tracing::error!(%method, path = path.path(), "a handler panicked");
                Problem::internal_error().into_response()
            }
        }
    }
}

/// The bounds of a server. The defaults are those of [`limits`].
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// Open connections.
    pub connections: usize,
    /// For a request's line and headers.
    pub head_time: Duration,
    /// Between requests on one connection.
    pub idle_time: Duration,
    /// Without the client taking any byte that is ready for it.
    pub stall_time: Duration,
    /// For a client that is still sending after its last answer.
    pub linger_time: Duration,
    /// For requests in progress, when the server stops.
    pub drain_time: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            connections: limits::CONNECTIONS,
            head_time: limits::HEAD_TIME,
            idle_time: limits::IDLE_TIME,
            stall_time: limits::STALL_TIME,
            linger_time: limits::LINGER_TIME,
            drain_time: limits::DRAIN_TIME,
        }
    }
}

/// How a server stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stopped {
    /// Connections that were busy beyond [`Settings::drain_time`].
    pub cut_off: usize,
}

/// Serves until `stop` is done: then accepts no more, lets requests in progress end, and returns. What
/// could go on for long (live feeds, work under [`Client::unless_gone`]) ends at once.
pub async fn serve(
    listener: TcpListener,
    app: Arc<App>,
    settings: Settings,
    stop: impl Future<Output = ()>,
) -> Stopped {
    let (stopping, is_stopping) = watch::channel(false);
    let mut served = JoinSet::new();
    let mut refused = JoinSet::new();
    let mut stop = pin!(stop);
    loop {
        let accepted = tokio::select! {
            biased;
            () = stop.as_mut() => break,
            accepted = listener.accept() => accepted,
        };
        // What has ended is forgotten here: the number of both is bounded, so it may wait.
        while served.try_join_next().is_some() {}
        while refused.try_join_next().is_some() {}
        match accepted {
            Ok((stream, peer)) => {
                let connection = Connection::new(prepare(stream), peer, is_stopping.clone());
                if served.len() < settings.connections {
                    let app = Arc::clone(&app);
                    served.spawn(serve_one(connection, app, settings));
                } else if refused.len() < limits::REFUSALS {
                    app.traffic.refused();
                    refused.spawn(refuse(connection, settings.linger_time));
                }
            }
            Err(error) => {
                // Out of file descriptors, or a client that left at once: others are still served.
                tracing::warn!(%error, "could not accept a connection");
                tokio::time::sleep(limits::ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    stopping.send_replace(true);
    let drained = async { while served.join_next().await.is_some() {} };
    let in_time = tokio::time::timeout(settings.drain_time, drained).await;
    let cut_off = if in_time.is_ok() { 0 } else { served.len() };
    served.shutdown().await;
    refused.shutdown().await;
    Stopped { cut_off }
}

/// Small answers must not wait for acknowledgements (Nagle's algorithm).
fn prepare(stream: TcpStream) -> TcpStream {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "a connection stays without TCP_NODELAY");
    }
    stream
}

async fn refuse(connection: Connection, linger: Duration) {
    connection.close(&raw(&Problem::too_many_connections()), linger).await;
}

/// How serving a connection ended.
enum End {
    /// hyper is done with it.
    Served(hyper::Result<()>),
    /// The client took too long.
    Overdue(Overdue),
    /// A handler ended it.
    Disconnected,
}

async fn serve_one(connection: Connection, app: Arc<App>, settings: Settings) {
    let connection = Arc::new(connection);
    let _open = app.traffic.open();
    let end = {
        let service = service_fn(|request| answer(&app, &connection, request));
        let io = TokioIo::new(Wire(Arc::clone(&connection)));
        let mut http = pin!(protocol().serve_connection(io, service));
        let patience = Patience {
            head: settings.head_time,
            idle: settings.idle_time,
            stall: settings.stall_time,
        };
        let mut watchdog = pin!(Watchdog::new(Arc::clone(&connection), patience));
        let mut disconnected = pin!(connection.disconnect.called());
        let mut stopping = false;
        loop {
            tokio::select! {
                biased;
                () = disconnected.as_mut() => break End::Disconnected,
                served = http.as_mut() => break End::Served(served),
                overdue = watchdog.as_mut() => break End::Overdue(overdue),
                () = connection.stopping(), if !stopping => {
                    stopping = true;
                    http.as_mut().graceful_shutdown();
                }
            }
        }
    };
    let mut last = Vec::new();
    if let Some(problem) = last_words(&connection, &end) {
        app.traffic.answered(problem.status());
        last = raw(&problem);
    }
    match end {
        End::Served(_) | End::Overdue(Overdue::Head | Overdue::Idle) => {
            connection.close(&last, settings.linger_time).await;
        }
        // It does not read: there is nothing to wait for.
        End::Overdue(Overdue::Stall) | End::Disconnected => {}
    }
}

/// Head time-outs are the [`Watchdog`]'s. The number of headers is left at hyper's own 100, which is
/// [`limits::HEADERS`]: any number set would cost an allocation per request.
fn protocol() -> http1::Builder {
    let mut http = http1::Builder::new();
    http.half_close(true).header_read_timeout(None).max_header_size(limits::HEAD_BYTES);
    http
}

/// What a client is told whose connection ends without an answer to what it sent last.
fn last_words(connection: &Connection, end: &End) -> Option<Problem> {
    let unfinished = connection.phase() == Phase::Head;
    match (connection.held_back(), end) {
        (Some(431), _) => Some(Problem::header_too_large()),
        (Some(414), _) => Some(Problem::uri_too_long()),
        (Some(_), _) => Some(Problem::bad_request("this is no well-formed HTTP/1.1 request")),
        (None, End::Overdue(Overdue::Head)) if unfinished => {
            Some(Problem::request_timeout("the request's headers did not arrive in time"))
        }
        (None, End::Served(Err(_))) if unfinished => {
            Some(Problem::bad_request("the request broke off before the end of its headers"))
        }
        (None, End::Served(_) | End::Overdue(_) | End::Disconnected) => None,
    }
}

/// A problem as bytes, for connections that hyper no longer serves.
fn raw(problem: &Problem) -> Vec<u8> {
    let body = problem.to_json();
    let mut text = format!(
        "HTTP/1.1 {}\r\ncontent-type: {}\r\ncontent-length: {}\r\nconnection: close\r\n",
        problem.status(),
        crate::problem::MEDIA_TYPE,
        body.len()
    );
    for (name, value) in problem.headers() {
        let value = value.to_str().expect("problems have ASCII headers");
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    text.push_str("\r\n");
    text.push_str(&body);
    text.into_bytes()
}

async fn answer(
    app: &App,
    connection: &Arc<Connection>,
    mut request: Request<Incoming>,
) -> Result<Response<Sending>, Infallible> {
    connection.enter(Phase::Busy);
    request.extensions_mut().insert(Client(Some(Arc::clone(connection))));
    let response = app.answer(request).await;
    app.traffic.answered(response.status());
    Ok(response.map(|body| Sending { body, connection: Arc::clone(connection) }))
}

/// An answer's body. When it is dropped, the request is over.
struct Sending {
    body: Body,
    connection: Arc<Connection>,
}

impl Drop for Sending {
    fn drop(&mut self) {
        self.connection.enter(Phase::Idle);
    }
}

impl HttpBody for Sending {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
