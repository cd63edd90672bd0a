//! The outbox: calls to the outside, made after the commit that asked for them.
//!
//! A request is part of the entity's history until its result is, so it survives a crash: the call is made
//! at least once, its result is a command to the entity exactly once. Each try has a deadline; failed tries
//! are repeated with growing pauses; then the fallback is the result.
//!
//! Invariants: one process makes one try of an effect at a time; at most [`limits::EFFECTS_AT_ONCE`] tries of
//! an entity type are under way; when the engine has gone, so have they.

use std::{
    collections::BTreeSet,
    future::Future,
    panic::AssertUnwindSafe,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard},
};

use futures_util::FutureExt;
use interlock_kernel::{
    entity::{EffectRequest, Entity},
    ids::Key,
    time::Millis,
};
use tokio::sync::Semaphore;

use crate::{
    engine::message::{Body, Envelope, LaneId, Origin, Parcel, ReplyTo, SendError, Work},
    env::{Env, Sender},
    fold::EffectId,
    limits,
};

/// The longest pause between two tries.
const BACKOFF_MAX: Millis = Millis::from_secs(300);

/// A try that failed, in words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct EffectError(pub String);

/// What a try ends with: a command to the entity that asked for it, or a failure to be tried again.
pub type Performed<E> =
    Pin<Box<dyn Future<Output = Result<<E as Entity>::Command, EffectError>> + Send>>;

/// Makes an entity type's calls to the outside.
pub trait EffectHandler<E: Entity>: Send + Sync + 'static {
    /// One try. May be cancelled at any await, when its deadline has passed; may be made again after a
    /// crash, so what it calls should be idempotent.
    fn perform(&self, key: &Key, effect: E::Effect, attempt: u32) -> Performed<E>;
}

/// Runs the effects of one entity type.
pub(crate) struct Effects<E: Entity> {
    handler: Arc<dyn EffectHandler<E>>,
    env: Env,
    lane: LaneId,
    internal: Sender<Parcel>,
    /// One for every try under way.
    permits: Arc<Semaphore>,
    under_way: UnderWay,
}

/// The effects that this process takes care of, from their start to the commit of their result.
type UnderWay = Arc<Mutex<BTreeSet<(Key, EffectId)>>>;

/// Takes an effect out of those under way, however its task ends.
struct Ends {
    effect: (Key, EffectId),
    under_way: UnderWay,
}

impl Drop for Ends {
    fn drop(&mut self) {
        lock(&self.under_way).remove(&self.effect);
    }
}

fn lock(under_way: &UnderWay) -> MutexGuard<'_, BTreeSet<(Key, EffectId)>> {
    under_way.lock().expect("nothing panics while it holds the set")
}

impl<E: Entity> Clone for Effects<E> {
    fn clone(&self) -> Self {
        Self {
            handler: self.handler.clone(),
            env: self.env.clone(),
            lane: self.lane,
            internal: self.internal.clone(),
            permits: self.permits.clone(),
            under_way: self.under_way.clone(),
        }
    }
}

impl<E: Entity> Effects<E> {
    /// Effects of the entities of a lane, whose results go to the engine.
    pub(crate) fn new(
        handler: Arc<dyn EffectHandler<E>>,
        env: Env,
        lane: LaneId,
        internal: Sender<Parcel>,
    ) -> Self {
        let permits = Arc::new(Semaphore::new(limits::EFFECTS_AT_ONCE));
        Self { handler, env, lane, internal, permits, under_way: UnderWay::default() }
    }

    /// Begins an effect, unless it is under way: an entity that is read again asks for it once more.
    pub(crate) fn start(&self, key: Key, id: EffectId, request: EffectRequest<E>) {
        let effect = (key.clone(), id);
        if !lock(&self.under_way).insert(effect.clone()) {
            return;
        }
        let ends = Ends { effect, under_way: self.under_way.clone() };
        let this = self.clone();
        self.env.spawn("effect", async move {
            let work = async {
                let result = this.result(&key, request).await;
                this.deliver(key, id, result).await;
            };
            tokio::select! {
                biased;
                () = work => {}
                // The engine has gone; the next start makes the call again.
                () = this.internal.closed() => {}
            }
            drop(ends);
        });
    }

    async fn result(&self, key: &Key, request: EffectRequest<E>) -> E::Command {
        let mut pause = request.backoff;
        for attempt in 1..=request.attempts {
            match self.attempt(key, &request, attempt).await {
                Ok(command) => return command,
                Err(error) => {
                    tracing::warn!(entity = E::TYPE, %key, attempt, %error, "an effect failed");
                }
            }
            if attempt < request.attempts {
                self.env.sleep(pause).await;
                pause = Millis(pause.0.saturating_mul(2)).min(BACKOFF_MAX);
            }
        }
        request.fallback
    }

    async fn attempt(
        &self,
        key: &Key,
        request: &EffectRequest<E>,
        attempt: u32,
    ) -> Result<E::Command, EffectError> {
        let _permit = self.permits.acquire().await.expect("nobody closes the semaphore");
        let call = async { self.handler.perform(key, request.effect.clone(), attempt).await };
        tokio::select! {
            biased;
            result = AssertUnwindSafe(call).catch_unwind() => {
                result.unwrap_or_else(|_| Err(EffectError("it panicked".to_owned())))
            }
            () = self.env.sleep(request.deadline) => {
                Err(EffectError("its deadline passed".to_owned()))
            }
        }
    }

    /// Sends the result until it is committed, or no longer wanted.
    async fn deliver(&self, key: Key, id: EffectId, command: E::Command) {
        loop {
            let (reply, answer) = self.env.once();
            let mut envelope = Envelope::internal(key.clone(), command.clone(), Origin::Effect(id));
            envelope.reply = ReplyTo::Caller(reply);
            let body = Body::Typed(Box::new(Work::<E>::Send(Box::new(envelope))));
            if self.internal.send(Parcel { lane: self.lane, body }).await.is_err() {
                return;
            }
            match answer.await {
                Ok(Err(SendError::Busy | SendError::Unavailable(_))) => {
                    self.env.sleep(limits::STORE_BACKOFF).await;
                }
                Ok(_) | Err(_) => return,
            }
        }
    }
}
