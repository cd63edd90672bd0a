//! Ends one connection from outside.
//!
//! A server that writes to a client that has stopped reading waits for that client's socket and looks at
//! nothing else: the end of the body would be noticed when the client reads again, or never. So the
//! connection's task listens for a [`Disconnect`], and drops the connection when it is called.
//!
//! ```
//! # use interlock_web::disconnect::Disconnect;
//! # #[tokio::main(flavor = "current_thread")] async fn main() {
//! let disconnect = Disconnect::default();
//! let handler_side = disconnect.clone();
//! handler_side.call();
//! let connection = std::future::pending::<()>();
//! assert_eq!(disconnect.unless_called(connection).await, None);
//! # }
//! ```

use std::{pin::pin, sync::Arc};

use futures_util::future::{self, Either};
use tokio::sync::Notify;

/// A switch that two hold: the task that serves a connection, and whoever may have to end it.
///
/// Every connection of the server has one: [`crate::connection::Client::disconnect`].
#[derive(Debug, Clone, Default)]
pub struct Disconnect(Arc<Notify>);

impl Disconnect {
    /// Ends the connection, now or as soon as its task listens.
    pub fn call(&self) {
        self.0.notify_one();
    }

    /// Returns when it is called.
    pub async fn called(&self) {
        self.0.notified().await;
    }

    /// Runs the connection to its end; `None` if it was ended from outside.
    pub async fn unless_called<C: Future>(&self, connection: C) -> Option<C::Output> {
        match future::select(pin!(self.called()), pin!(connection)).await {
            Either::Left(((), _)) => None,
            Either::Right((output, _)) => Some(output),
        }
    }
}
