//! Channels, as tokio has them, whose ends tell what is touched through them.
//!
//! Where the order of steps is searched ([`Witness`]), an end says so whenever the running task looks at its
//! channel or changes it, also by being dropped. In the real world nobody listens, and it costs a branch.

use std::{
    future::Future,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll},
};

use ::tokio::sync::{mpsc, oneshot, watch};

/// How something that tasks share is touched. Of two that read, or two that merge, the order does not show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// It is looked at.
    Read,
    /// Something is added, of which the order does not show: a waker is called, a count goes up.
    Merge,
    /// It may be changed.
    Write,
    /// The end that receives takes something out, or closes: it may be changed, and nothing of that is left once
    /// whoever holds this end has gone.
    Receive,
}

/// Hears what the running task touches.
pub trait Witness: Send + Sync + 'static {
    /// A number for something new that tasks share.
    fn object(&self) -> u64;
    /// The running task touches it.
    fn touches(&self, object: u64, access: Access);
    /// The running task reaches for what nobody sees: it may touch anything.
    fn touches_anything(&self);
}

/// Something that tasks share, and who hears of it.
#[derive(Clone)]
struct Object(Option<(Arc<dyn Witness>, u64)>);

impl Object {
    fn new(witness: Option<&Arc<dyn Witness>>) -> Self {
        Self(witness.map(|witness| (witness.clone(), witness.object())))
    }

    fn touch(&self, access: Access) {
        if let Some((witness, object)) = &self.0 {
            witness.touches(*object, access);
        }
    }

    /// A future that touches it in every poll, and when it is dropped.
    async fn during<F: Future>(&self, access: Access, future: F) -> F::Output {
        let _dropped = Touching { object: self, access };
        let mut future = pin!(future);
        std::future::poll_fn(|cx| {
            self.touch(access);
            future.as_mut().poll(cx)
        })
        .await
    }
}

struct Touching<'a> {
    object: &'a Object,
    access: Access,
}

impl Drop for Touching<'_> {
    fn drop(&mut self) {
        self.object.touch(self.access);
    }
}

/// An end that the other side sees go.
struct End {
    object: Object,
    /// How it touches the channel.
    access: Access,
}

impl End {
    /// The two ends of a channel of which one receives.
    fn pair(object: Object) -> (Self, Self) {
        let sends = Self { object: object.clone(), access: Access::Write };
        (sends, Self { object, access: Access::Receive })
    }

    fn touch(&self) {
        self.object.touch(self.access);
    }
}

impl Drop for End {
    fn drop(&mut self) {
        self.touch();
    }
}

/// Sends to a bounded channel.
pub struct Sender<T> {
    sender: mpsc::Sender<T>,
    /// What is in the channel.
    content: Object,
    /// Whether its receiver is there.
    open: Object,
}

/// Receives from a bounded channel.
pub struct Receiver<T> {
    receiver: mpsc::Receiver<T>,
    end: End,
    open: End,
}

/// A bounded channel.
#[must_use]
pub fn bounded<T>(witness: Option<&Arc<dyn Witness>>, capacity: usize) -> (Sender<T>, Receiver<T>) {
    let (sender, receiver) = mpsc::channel(capacity);
    let (content, open) = (Object::new(witness), Object::new(witness));
    let [end, receiver_open] =
        [&content, &open].map(|object| End { object: object.clone(), access: Access::Receive });
    (Sender { sender, content, open }, Receiver { receiver, end, open: receiver_open })
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        let Self { sender, content, open } = self;
        Self { sender: sender.clone(), content: content.clone(), open: open.clone() }
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        self.open.touch(Access::Read);
        // Nobody sees one go without whom nothing is received anyway.
        if !self.sender.is_closed() {
            self.content.touch(Access::Write);
        }
    }
}

impl<T> Sender<T> {
    /// Sends when there is room.
    ///
    /// # Errors
    /// The receiver has gone.
    pub async fn send(&self, value: T) -> Result<(), mpsc::error::SendError<T>> {
        let sent = self.content.during(Access::Write, self.sender.send(value));
        self.open.during(Access::Read, sent).await
    }

    /// Sends if there is room.
    ///
    /// # Errors
    /// There is none, or the receiver has gone.
    pub fn try_send(&self, value: T) -> Result<(), mpsc::error::TrySendError<T>> {
        self.open.touch(Access::Read);
        if !self.sender.is_closed() {
            self.content.touch(Access::Write);
        }
        self.sender.try_send(value)
    }

    /// Ends when the receiver has gone.
    pub async fn closed(&self) {
        self.open.during(Access::Read, self.sender.closed()).await;
    }

    /// Whether the receiver has gone.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.open.touch(Access::Read);
        self.sender.is_closed()
    }
}

impl<T> Receiver<T> {
    /// The next value; none when all senders have gone.
    pub async fn recv(&mut self) -> Option<T> {
        std::future::poll_fn(|cx| {
            self.end.touch();
            self.receiver.poll_recv(cx)
        })
        .await
    }

    /// The next value, if it is there.
    ///
    /// # Errors
    /// It is not, or all senders have gone.
    pub fn try_recv(&mut self) -> Result<T, mpsc::error::TryRecvError> {
        self.end.touch();
        self.receiver.try_recv()
    }

    /// Whether nothing is there now.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.end.object.touch(Access::Read);
        self.receiver.is_empty()
    }

    /// Takes nothing more in.
    pub fn close(&mut self) {
        self.end.touch();
        self.open.touch();
        self.receiver.close();
    }
}

/// Sends one value.
pub struct OnceSender<T> {
    sender: oneshot::Sender<T>,
    end: End,
}

/// Receives one value.
pub struct OnceReceiver<T> {
    receiver: oneshot::Receiver<T>,
    end: End,
}

/// A channel for one value.
#[must_use]
pub fn once<T>(witness: Option<&Arc<dyn Witness>>) -> (OnceSender<T>, OnceReceiver<T>) {
    let (sender, receiver) = oneshot::channel();
    let (sends, receives) = End::pair(Object::new(witness));
    (OnceSender { sender, end: sends }, OnceReceiver { receiver, end: receives })
}

impl<T> OnceSender<T> {
    /// Sends it.
    ///
    /// # Errors
    /// The value, if the receiver has gone.
    pub fn send(self, value: T) -> Result<(), T> {
        self.sender.send(value)
    }

    /// Whether the receiver has gone.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.end.object.touch(Access::Read);
        self.sender.is_closed()
    }
}

impl<T> Future for OnceReceiver<T> {
    type Output = Result<T, oneshot::error::RecvError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.end.touch();
        Pin::new(&mut self.receiver).poll(cx)
    }
}

/// Shows the newest of a series of values.
pub struct WatchSender<T> {
    sender: watch::Sender<T>,
    end: End,
}

/// Sees the newest of a series of values.
pub struct WatchReceiver<T> {
    receiver: watch::Receiver<T>,
    object: Object,
}

/// A value to watch.
#[must_use]
pub fn watch<T>(
    witness: Option<&Arc<dyn Witness>>,
    first: T,
) -> (WatchSender<T>, WatchReceiver<T>) {
    let (sender, receiver) = watch::channel(first);
    let object = Object::new(witness);
    let end = End { object: object.clone(), access: Access::Write };
    (WatchSender { sender, end }, WatchReceiver { receiver, object })
}

impl<T> WatchSender<T> {
    /// Shows a value, and returns the one before.
    pub fn send_replace(&self, value: T) -> T {
        self.end.touch();
        self.sender.send_replace(value)
    }

    /// Changes the value, and shows it if `change` says so.
    pub fn send_if_modified(&self, change: impl FnOnce(&mut T) -> bool) -> bool {
        self.end.touch();
        self.sender.send_if_modified(change)
    }

    /// The value.
    #[must_use]
    pub fn borrow(&self) -> watch::Ref<'_, T> {
        self.end.object.touch(Access::Read);
        self.sender.borrow()
    }
}

impl<T> Clone for WatchReceiver<T> {
    fn clone(&self) -> Self {
        // A clone has seen what the original has.
        Self { receiver: self.receiver.clone(), object: self.object.clone() }
    }
}

impl<T> WatchReceiver<T> {
    /// The newest value.
    #[must_use]
    pub fn borrow(&self) -> watch::Ref<'_, T> {
        self.object.touch(Access::Read);
        self.receiver.borrow()
    }

    /// The newest value, which counts as seen.
    pub fn borrow_and_update(&mut self) -> watch::Ref<'_, T> {
        self.object.touch(Access::Read);
        self.receiver.borrow_and_update()
    }

    /// Ends when there is a value that was not seen, which then counts as seen.
    ///
    /// # Errors
    /// The sender has gone.
    pub async fn changed(&mut self) -> Result<(), watch::error::RecvError> {
        self.object.during(Access::Read, self.receiver.changed()).await
    }

    /// Whether there is a value that was not seen.
    ///
    /// # Errors
    /// The sender has gone.
    pub fn has_changed(&self) -> Result<bool, watch::error::RecvError> {
        self.object.touch(Access::Read);
        self.receiver.has_changed()
    }

    /// Ends with the newest value when it is such a one.
    ///
    /// # Errors
    /// The sender has gone.
    pub async fn wait_for(
        &mut self,
        is_such: impl FnMut(&T) -> bool,
    ) -> Result<watch::Ref<'_, T>, watch::error::RecvError> {
        self.object.during(Access::Read, self.receiver.wait_for(is_such)).await
    }
}
