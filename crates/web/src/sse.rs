//! Live feeds: server-sent events (WHATWG HTML §9.2), an answer that goes on.
//!
//! The stream of events is asked for the next one only when the client has taken the last ones, so a slow
//! client costs its own progress and nothing else; one that takes nothing at all is let go by the
//! server. In silence a comment is sent from time to time. The feed ends when the client has gone or the
//! server stops.
//!
//! Not here: where events come from, what their ids mean, how a feed is resumed.

use std::{
    convert::Infallible,
    fmt::Write,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use axum::{
    body::{Body, HttpBody},
    http::{HeaderMap, HeaderName, HeaderValue, header},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use hyper::body::Frame;
use tokio::time::{Instant, Sleep, sleep};

use crate::{connection::Client, limits, problem::Problem};

/// The media type.
pub const MEDIA_TYPE: &str = "text/event-stream";
/// The header with which a client resumes a feed.
pub const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// One event.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Event {
    /// What the client sends as `Last-Event-ID` when it comes back. Empty for none.
    pub id: String,
    /// The type that listeners are registered for. Empty for `message`.
    pub event: String,
    /// What it says.
    pub data: String,
}

impl Event {
    /// Writes the event. Panics if id or type hold what would end their line: both are ours.
    fn write(&self, text: &mut String) {
        for (name, value) in [("id", &self.id), ("event", &self.event)] {
            assert!(!value.contains(['\r', '\n', '\0']), "{name} {value:?} does not fit a line");
            if !value.is_empty() {
                writeln!(text, "{name}: {value}").expect("a string takes what is written to it");
            }
        }
        let data = self.data.replace("\r\n", "\n");
        for line in data.split(['\r', '\n']) {
            writeln!(text, "data: {line}").expect("a string takes what is written to it");
        }
        text.push('\n');
    }
}

/// An answer that sends these events until they end, the client has gone or the server stops.
pub fn feed<S>(client: Client, events: S) -> Response
where
    S: Stream<Item = Event> + Send + 'static,
{
    feed_with(client, events, limits::FEED_SILENCE)
}

/// The same with another time of silence.
pub fn feed_with<S>(client: Client, events: S, silence: Duration) -> Response
where
    S: Stream<Item = Event> + Send + 'static,
{
    let over = async move { client.over().await };
    let events = Box::pin(events.take_until(Box::pin(over)));
    let body = Feed { events, silence, alarm: Box::pin(sleep(silence)), ended: false };
    let headers = [
        (header::CONTENT_TYPE, MEDIA_TYPE),
        (header::CACHE_CONTROL, "no-store"),
        (HeaderName::from_static("x-accel-buffering"), "no"),
    ];
    let headers = headers.map(|(name, value)| (name, HeaderValue::from_static(value)));
    (headers, Body::new(body)).into_response()
}

/// The `Last-Event-ID` of a request. 400 `bad_cursor` if it is there twice or is no text.
pub fn last_event_id(headers: &HeaderMap) -> Result<Option<&str>, Problem> {
    let mut lines = headers.get_all(LAST_EVENT_ID).iter();
    let Some(line) = lines.next() else {
        return Ok(None);
    };
    match (line.to_str(), lines.next()) {
        (Ok(text), None) => Ok(Some(text)),
        (Ok(_), Some(_)) | (Err(_), _) => Err(Problem::bad_cursor("Last-Event-ID")),
    }
}

struct Feed<S> {
    events: Pin<Box<S>>,
    silence: Duration,
    alarm: Pin<Box<Sleep>>,
    ended: bool,
}

impl<S: Stream<Item = Event>> HttpBody for Feed<S> {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let mut text = String::new();
        while !self.ended && text.len() < limits::FEED_CHUNK_BYTES {
            match self.events.as_mut().poll_next(cx) {
                Poll::Ready(Some(event)) => event.write(&mut text),
                Poll::Ready(None) => self.ended = true,
                Poll::Pending => break,
            }
        }
        if text.is_empty() {
            if self.ended {
                return Poll::Ready(None);
            }
            if self.alarm.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            text.push_str(":\n\n");
        }
        let next = Instant::now() + self.silence;
        self.alarm.as_mut().reset(next);
        Poll::Ready(Some(Ok(Frame::data(Bytes::from(text)))))
    }
}

#[cfg(test)]
mod tests {
    use futures_util::{future::poll_immediate, stream};
    use http_body_util::BodyExt;

    use super::*;

    fn event(id: &str, event: &str, data: &str) -> Event {
        Event { id: id.into(), event: event.into(), data: data.into() }
    }

    #[test]
    fn an_event_is_written_as_the_standard_says() {
        for (event, expected) in [
            (event("7", "claimed", "{}"), "id: 7\nevent: claimed\ndata: {}\n\n"),
            (event("", "", ""), "data: \n\n"),
            (event("", "", "a\nb\r\nc\rd"), "data: a\ndata: b\ndata: c\ndata: d\n\n"),
        ] {
            let mut text = String::new();
            event.write(&mut text);
            assert_eq!(text, expected);
        }
    }

    #[test]
    #[should_panic(expected = "does not fit a line")]
    fn an_id_that_would_forge_another_event_is_a_bug() {
        event("1\ndata: x", "", "").write(&mut String::new());
    }

    #[tokio::test]
    async fn what_is_ready_leaves_in_few_pieces_and_the_end_is_the_end() {
        let events = (0..1000).map(|n| event(&n.to_string(), "", &"x".repeat(100)));
        let response = feed(Client::default(), stream::iter(events.clone()));
        assert_eq!(response.headers()[header::CONTENT_TYPE], MEDIA_TYPE);
        let mut body = response.into_body();
        let (mut pieces, mut text) = (0, String::new());
        while let Some(frame) = body.frame().await {
            let data = frame.unwrap().into_data().unwrap();
            assert!(data.len() < limits::FEED_CHUNK_BYTES + 200);
            text.push_str(std::str::from_utf8(&data).unwrap());
            pieces += 1;
        }
        let mut expected = String::new();
        events.for_each(|event| event.write(&mut expected));
        assert_eq!(text, expected);
        assert!((2..20).contains(&pieces), "{pieces}");
    }

    #[tokio::test]
    async fn silence_is_broken_by_comments() {
        let pending = stream::pending();
        let mut body = feed_with(Client::default(), pending, Duration::from_millis(1)).into_body();
        for _ in 0..3 {
            let frame = body.frame().await.unwrap().unwrap();
            assert_eq!(frame.into_data().unwrap(), ":\n\n");
        }
    }

    #[tokio::test]
    async fn nothing_is_taken_from_the_stream_before_the_client_wants_it() {
        let taken = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let counter = taken.clone();
        let events = stream::repeat_with(move || {
            counter.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            event("", "", &"x".repeat(1000))
        });
        let mut body = feed(Client::default(), events).into_body();
        assert_eq!(taken.load(std::sync::atomic::Ordering::Relaxed), 0);
        assert!(poll_immediate(body.frame()).await.is_some());
        let first = taken.load(std::sync::atomic::Ordering::Relaxed);
        assert!((10..20).contains(&first), "{first}");
    }
}
