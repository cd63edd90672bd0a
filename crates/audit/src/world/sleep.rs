//! Sleepers.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use super::Sim;

/// Ends at a time.
pub(super) struct Sleep {
    sim: Sim,
    at: Duration,
    /// Its number among the sleepers.
    registered: Option<u64>,
}

impl Sleep {
    pub(super) fn new(sim: &Sim, at: Duration) -> Self {
        Self { sim: sim.clone(), at, registered: None }
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let Self { sim, at, registered } = self.get_mut();
        let (before, number) = sim.with(|state| {
            let before = registered.and_then(|number| state.sleepers.remove(&(*at, number)));
            let number = (state.now < *at).then(|| {
                state.sleeps += 1;
                state.sleepers.insert((*at, state.sleeps), cx.waker().clone());
                state.sleeps
            });
            (before, number)
        });
        drop(before);
        *registered = number;
        if number.is_some() { Poll::Pending } else { Poll::Ready(()) }
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if let Some(number) = self.registered {
            drop(self.sim.reach(|state| state.sleepers.remove(&(self.at, number))));
        }
    }
}
