//! The pull: the one reader of a session's playback URL.
//!
//! It passes on at once what has arrived. When more is at hand, small reads are merged, so that each
//! wakes its players once and fills their writes; that copies the small reads, once per stream. A read
//! that is large already is passed on as it is.
//!
//! Not here: starting and stopping sessions (`engine`); what to do when a pull ends.

use std::{
    future::poll_fn,
    pin::pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use futures_util::future::{Either, select};
use tokio::time::timeout;

use super::{
    engine::{EngineUrl, path_of},
    exchange::{self, Answer, AnswerBody},
    fault::{EngineError, Fault},
    hub::Feed,
    ts::{self, Probe},
};
use crate::limits;

/// A stream that flows. Dropping it closes the connection to the engine.
#[derive(Debug)]
pub struct Pull {
    engine: EngineUrl,
    body: AnswerBody,
    /// Read, but not yet passed on.
    ahead: Option<Item>,
}

type Item = Option<Result<Bytes, hyper::Error>>;

/// How a pull ended.
#[derive(Debug)]
pub enum PullEnd {
    /// The engine ended the stream in good order.
    Over,
    /// The hub's owner closed it.
    Closed,
    /// The engine failed.
    Failed(EngineError),
}

impl Pull {
    /// Opens a playback URL, following redirects, and reads until it is clear that it is a transport
    /// stream. Never waits for more than that.
    pub(super) async fn open(engine: &EngineUrl, playback_url: &str) -> Result<Self, Fault> {
        let answer = follow(engine, path_of(playback_url)?).await?;
        if !answer.status.is_success() {
            let words = answer.body.whole().await?;
            let words = String::from_utf8_lossy(&words);
            return Err(Fault::said(&format!("{}: {words}", answer.status)));
        }
        let mut body = answer.body;
        let mut first = BytesMut::new();
        loop {
            match ts::probe(&first) {
                Probe::TransportStream => break,
                Probe::Other => return Err(Fault::not_transport_stream(&first)),
                Probe::Undecided => (),
            }
            match poll_fn(|cx| body.poll_bytes(cx)).await {
                Some(bytes) => first.extend_from_slice(&bytes.map_err(Fault::from_http)?),
                None if first.is_empty() => return Err(Fault::Ended(None)),
                None => return Err(Fault::not_transport_stream(&first)),
            }
        }
        Ok(Self { engine: engine.clone(), body, ahead: Some(Some(Ok(first.freeze()))) })
    }

    /// The next bytes of the stream; `None` when the engine has ended it. Nothing is lost when the call
    /// is abandoned.
    pub async fn read(&mut self) -> Result<Option<Bytes>, EngineError> {
        let item = poll_fn(|cx| self.poll_read(cx)).await;
        item.transpose().map_err(|error| Fault::from_http(error).of(&self.engine))
    }

    /// Feeds a hub until the stream or the hub ends, or the engine sends nothing for `silence`. Leaves the
    /// feed open, so that another pull may go on with it.
    pub async fn feed(mut self, feed: &mut Feed, silence: Duration) -> PullEnd {
        loop {
            let read = {
                let closed = pin!(feed.closed());
                match select(closed, pin!(timeout(silence, self.read()))).await {
                    Either::Left(((), _)) => return PullEnd::Closed,
                    Either::Right((read, _)) => read,
                }
            };
            let bytes = match read {
                Ok(Ok(Some(bytes))) => bytes,
                Ok(Ok(None)) => return PullEnd::Over,
                Ok(Err(error)) => return PullEnd::Failed(error),
                Err(_) => return PullEnd::Failed(Fault::TimedOut("go on").of(&self.engine)),
            };
            let plenty = bytes.len() >= limits::MERGE_BYTES;
            if feed.push(bytes).await.is_err() {
                return PullEnd::Closed;
            }
            if plenty {
                // The players go first, while what they send is still in the processor's cache.
                tokio::task::yield_now().await;
            }
        }
    }

    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<Item> {
        let first = match ready!(self.poll_item(cx)) {
            Some(Ok(bytes)) => bytes,
            end => return Poll::Ready(end),
        };
        let mut merged = Vec::new();
        let mut total = first.len();
        while total < limits::MERGE_BYTES {
            match self.poll_item(cx) {
                Poll::Ready(Some(Ok(bytes))) => {
                    total += bytes.len();
                    merged.push(bytes);
                }
                Poll::Ready(end) => {
                    self.ahead = Some(end);
                    break;
                }
                Poll::Pending => break,
            }
        }
        if merged.is_empty() {
            return Poll::Ready(Some(Ok(first)));
        }
        let mut whole = BytesMut::with_capacity(total);
        whole.extend_from_slice(&first);
        merged.iter().for_each(|bytes| whole.extend_from_slice(bytes));
        Poll::Ready(Some(Ok(whole.freeze())))
    }

    fn poll_item(&mut self, cx: &mut Context<'_>) -> Poll<Item> {
        match self.ahead.take() {
            Some(item) => Poll::Ready(item),
            None => self.body.poll_bytes(cx),
        }
    }
}

async fn follow(engine: &EngineUrl, mut path: String) -> Result<Answer, Fault> {
    for _ in 0..=limits::REDIRECTS {
        let answer = exchange::get(engine, &path).await?;
        if !answer.status.is_redirection() {
            return Ok(answer);
        }
        let location = answer.location.ok_or(Fault::BadAnswer("a redirect to nowhere".into()))?;
        path = path_of(&location)?;
    }
    Err(Fault::BadAnswer(format!("more than {} redirects", limits::REDIRECTS)))
}
