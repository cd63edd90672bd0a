//! Making a lost connection anew.

use tokio::time::sleep;

use super::{Match, SessionSettings};
use crate::{
    domain::id::id,
    io::{Client, ConnectError, Events},
    limits,
};

/// The first connection. What an earlier process left half open may hold the name for a while; whatever else is
/// wrong will stay so, and is said at once.
pub(super) async fn begin(settings: &SessionSettings) -> Result<(Client, Events), ConnectError> {
    let mut pause = limits::FIRST_RECONNECT_PAUSE;
    for _ in 1..limits::FIRST_CONNECTIONS {
        match Client::connect(&settings.url, &settings.account).await {
            Err(error @ (ConnectError::NameTaken { .. } | ConnectError::Ended)) => {
                tracing::warn!(%error, "no connection yet");
            }
            done => return done,
        }
        sleep(pause).await;
        pause = (pause * 2).min(limits::LONGEST_RECONNECT_PAUSE);
    }
    Client::connect(&settings.url, &settings.account).await
}

/// Connects, however long it takes. A name that is still taken by the lost connection is free again soon.
pub(super) async fn connect(settings: &SessionSettings, me: &str) -> (Client, Events) {
    let mut pause = limits::FIRST_RECONNECT_PAUSE;
    // Who watches others need not be the same as before.
    let is_anybody = matches!(settings.matching, Match::Watch { .. });
    loop {
        match Client::connect(&settings.url, &settings.account).await {
            Ok((client, events)) if id(client.name()) == me || is_anybody => {
                return (client, events);
            }
            Ok((client, _)) => {
                let name = client.name();
                tracing::warn!(account = me, name, "the server gave another name");
            }
            Err(error) => tracing::warn!(account = me, %error, "no connection yet"),
        }
        sleep(pause).await;
        pause = (pause * 2).min(limits::LONGEST_RECONNECT_PAUSE);
    }
}
