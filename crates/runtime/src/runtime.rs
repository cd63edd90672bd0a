//! Starting, using and stopping a runtime.

use std::{
    any::Any,
    collections::{BTreeMap, BTreeSet},
    future::Future,
    marker::PhantomData,
    pin::Pin,
    sync::Arc,
};

use futures_util::future::{FutureExt, select_all};
use interlock_kernel::{
    bus::{Flow, HandlerTable, NoHandlers},
    entity::Entity,
    ids::{Caller, CommandId, Key, Position, check_name},
    time::{Millis, Time},
};
use tokio::sync::Mutex;

use crate::{
    codec::Codec,
    dispatch::{Ask, Backlog, Dispatcher, Surroundings, dead},
    effects::{EffectHandler, Effects},
    engine::{
        Control, Engine, Parts, PoisonList,
        lane::{AnyLane, Feed, Lane},
        message::{
            Answer, Body, Envelope, LaneId, Origin, Parcel, ReplyTo, Resident, SendError,
            ShowError, ShowTo, Shown, View, Work,
        },
        recover::recover,
    },
    env::{Env, OnceReceiver, Receiver, Sender, WatchReceiver},
    limits,
    reactions::Reactions,
    status::Status,
    store::StoreError,
};

/// Collects the entity types of a runtime.
pub struct Builder {
    env: Env,
    types: Vec<Registered>,
    retention: Millis,
}

struct Registered {
    codec: Codec,
    flow: Vec<Flow>,
    reactions: Option<Reactions>,
    start: Box<dyn FnOnce(Start) -> Starting + Send>,
}

/// What an entity type gets when the runtime starts.
struct Start {
    id: LaneId,
    around: Surroundings,
}

type Starting = Pin<Box<dyn Future<Output = Result<Started, StoreError>> + Send>>;

/// What an entity type is when it has started.
struct Started {
    lane: Box<dyn AnyLane>,
    asks: Option<Sender<Ask>>,
    ended: Option<OnceReceiver<()>>,
}

impl Builder {
    /// A runtime in this environment, without any entity type yet.
    #[must_use]
    pub fn new(env: Env) -> Self {
        Self { env, types: Vec::new(), retention: limits::RETENTION }
    }

    /// How long command ids, closed entities and events are kept at least.
    #[must_use]
    pub fn retention(mut self, retention: Millis) -> Self {
        self.retention = retention;
        self
    }

    /// The entity types so far, for readers of their stored form.
    #[must_use]
    pub fn codecs(&self) -> Vec<Codec> {
        self.types.iter().map(|registered| registered.codec).collect()
    }

    /// The handlers of the entity types that have some, for whoever recounts what they must have done.
    #[must_use]
    pub fn reactions(self) -> Vec<Reactions> {
        self.types.into_iter().filter_map(|registered| registered.reactions).collect()
    }

    /// Adds an entity type whose events nobody handles.
    #[must_use]
    pub fn entity<E: Entity>(self) -> Self {
        self.entity_with::<E, _>(NoHandlers, None)
    }

    /// Adds an entity type with its handlers, and with the one who makes its outside calls.
    ///
    /// # Panics
    /// If the type is there already, if its name is none or longer than [`limits::TYPE_CHARS`], or if two
    /// write handlers of one event have the same name: the ids of their commands are made of it.
    #[must_use]
    pub fn entity_with<E: Entity, T: HandlerTable<E>>(
        mut self,
        table: T,
        effects: Option<Arc<dyn EffectHandler<E>>>,
    ) -> Self {
        let doubled = self.types.iter().any(|registered| registered.codec.entity == E::TYPE);
        assert!(!doubled, "the entity type {} is there twice", E::TYPE);
        let named = check_name(E::TYPE).is_ok() && E::TYPE.len() <= limits::TYPE_CHARS;
        assert!(named, "{:?} cannot be the name of an entity type", E::TYPE);
        for Flow { event, write, .. } in table.flow() {
            let names: BTreeSet<&str> = write.iter().copied().collect();
            assert!(
                names.len() == write.len(),
                "{}: two write handlers of {event} have one name",
                E::TYPE
            );
        }
        let table = Arc::new(table);
        self.types.push(Registered {
            codec: Codec::of::<E>(),
            flow: table.flow(),
            reactions: (!table.is_empty()).then(|| Reactions::of::<E, _>(table.clone())),
            start: Box::new(move |start| Box::pin(start_type::<E, _>(table, effects, start))),
        });
        self
    }

    /// Reads what the store holds, and begins to serve.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn start(self) -> Result<Runtime, StoreError> {
        let Self { env, types, retention } = self;
        let recovered = recover(env.store()).await?;
        let poisoned = PoisonList::open(env.store().as_ref()).await?;
        let (inbox, inbox_receiver) = env.channel(limits::INBOX_COMMANDS);
        let (internal, internal_receiver) = env.channel(limits::INTERNAL_COMMANDS);
        let (control, control_receiver) = env.channel(4);
        let (committed, committed_receiver) = env.watch(recovered.span.end);
        let names: Vec<&'static str> = types.iter().map(|known| known.codec.entity).collect();
        let lane_ids = names.iter().copied().zip((0..).map(LaneId)).collect();
        let lane_ids: Arc<BTreeMap<&'static str, LaneId>> = Arc::new(lane_ids);
        let status = Arc::new(Status::new(names.iter().copied()));
        let backlog = Arc::new(Backlog::default());
        let mut shared = Shared {
            env: env.clone(),
            inbox,
            control,
            committed: committed_receiver.clone(),
            status: status.clone(),
            codecs: BTreeMap::new(),
            flows: BTreeMap::new(),
            lane_ids: lane_ids.clone(),
            asks: BTreeMap::new(),
            ended: Mutex::new(Vec::new()),
        };
        let mut lanes = Vec::new();
        for (id, registered) in (0..).map(LaneId).zip(types) {
            let around = Surroundings {
                env: env.clone(),
                lanes: lane_ids.clone(),
                internal: internal.clone(),
                status: status.clone(),
                backlog: backlog.clone(),
                committed: committed_receiver.clone(),
                end: recovered.span.end,
                first: recovered.span.first,
            };
            let Registered { codec, flow, reactions: _, start } = registered;
            let started = start(Start { id, around }).await?;
            lanes.push(started.lane);
            shared.codecs.insert(codec.entity, codec);
            shared.flows.insert(codec.entity, flow);
            shared.asks.extend(started.asks.map(|asks| (codec.entity, asks)));
            shared.ended.get_mut().extend(started.ended);
        }
        let engine = Engine::new(Parts {
            env: env.clone(),
            span: recovered.span,
            heads: recovered.heads,
            ids: recovered.ids,
            poisoned,
            log_time: recovered.log_time,
            schedule: recovered.schedule,
            lanes,
            names,
            backlog,
            inbox: inbox_receiver,
            internal: internal_receiver,
            control: control_receiver,
            committed,
            status,
        });
        env.spawn("engine", engine.run());
        let runtime = Runtime { shared: Arc::new(shared) };
        env.spawn_apart("housekeeping", runtime.clone().keep_house(retention));
        Ok(runtime)
    }
}

async fn start_type<E: Entity, T: HandlerTable<E>>(
    table: T,
    effects: Option<Arc<dyn EffectHandler<E>>>,
    start: Start,
) -> Result<Started, StoreError> {
    let Start { id, around } = start;
    let effects = effects
        .map(|handler| Effects::new(handler, around.env.clone(), id, around.internal.clone()));
    if table.is_empty() {
        let lane = Lane::<E>::new(id, None, effects);
        return Ok(Started { lane: Box::new(lane), asks: None, ended: None });
    }
    let env = around.env.clone();
    let backlog = around.backlog.clone();
    let (sender, input): (_, Receiver<_>) = env.channel(limits::FEED_BATCHES);
    let (asks, asks_receiver) = env.channel(16);
    let dispatcher = Dispatcher::<E, T>::open(table, around, input, asks_receiver).await?;
    let (ended_sender, ended) = env.once();
    env.spawn("dispatcher", async move {
        dispatcher.run().await;
        // Nobody waits for it unless the runtime stops.
        let _ = ended_sender.send(());
    });
    let feed = Feed { sender, backlog };
    let lane = Lane::<E>::new(id, Some(feed), effects);
    Ok(Started { lane: Box::new(lane), asks: Some(asks), ended: Some(ended) })
}

/// Durable entities, served by one writer. Cloning gives another handle to the same runtime.
#[derive(Clone)]
pub struct Runtime {
    shared: Arc<Shared>,
}

pub(crate) struct Shared {
    pub env: Env,
    inbox: Sender<Parcel>,
    control: Sender<Control>,
    pub committed: WatchReceiver<Position>,
    status: Arc<Status>,
    pub codecs: BTreeMap<&'static str, Codec>,
    flows: BTreeMap<&'static str, Vec<Flow>>,
    lane_ids: Arc<BTreeMap<&'static str, LaneId>>,
    asks: BTreeMap<&'static str, Sender<Ask>>,
    /// Held while the runtime stops, so that it stops once.
    ended: Mutex<Vec<OnceReceiver<()>>>,
}

impl Runtime {
    /// The entities of one type.
    ///
    /// # Panics
    /// If the runtime was built without that type.
    #[must_use]
    pub fn handle<E: Entity>(&self) -> Handle<E> {
        let lane = self.shared.lane_ids.get(E::TYPE).copied();
        let lane = lane.expect("the builder was given every entity type that is used");
        Handle { lane, shared: self.shared.clone(), entity: PhantomData }
    }

    /// What the runtime counts about itself.
    #[must_use]
    pub fn status(&self) -> &Status {
        self.shared.env.reach_in();
        &self.shared.status
    }

    /// The entity types, in the order of their names.
    pub fn types(&self) -> impl Iterator<Item = &'static str> {
        self.shared.codecs.keys().copied()
    }

    /// Who reacts to which events of a type.
    #[must_use]
    pub fn flow(&self, entity: &str) -> &[Flow] {
        self.shared.flows.get(entity).map_or(&[], Vec::as_slice)
    }

    /// The environment that it runs in.
    #[must_use]
    pub fn env(&self) -> &Env {
        &self.shared.env
    }

    /// Entities of a type that changed recently, newest first.
    pub async fn recent(&self, entity: &str, limit: usize) -> Vec<Resident> {
        let Some(lane) = self.shared.lane_ids.get(entity) else { return Vec::new() };
        let (sender, receiver) = self.shared.env.once();
        let parcel = Parcel { lane: *lane, body: Body::Recent(limit, sender) };
        if self.shared.inbox.send(parcel).await.is_err() {
            return Vec::new();
        }
        receiver.await.unwrap_or_default()
    }

    /// One entity, for those who do not know its type at compile time.
    ///
    /// # Errors
    /// See [`ShowError`].
    pub async fn show(&self, entity: &str, key: &Key) -> Result<Shown, ShowError> {
        let lane = self.shared.lane_ids.get(entity).ok_or(ShowError::UnknownType)?;
        let (sender, receiver) = self.shared.env.once();
        let parcel = Parcel { lane: *lane, body: Body::Show(key.clone(), sender) };
        self.shared.inbox.try_send(parcel).map_err(|_| ShowError::Busy)?;
        receiver.await.unwrap_or(Err(ShowError::Stopping))
    }

    /// All dead letters: records whose write handler failed for good, and behind which later ones wait.
    pub async fn dead_letters(&self) -> Result<Vec<dead::Letter>, StoreError> {
        dead::letters(self.shared.env.store().as_ref()).await
    }

    /// Handles a parked entity's records again, in order. When this returns, its letter is gone for good.
    ///
    /// # Errors
    /// In words: there is no dead letter, or the log cannot be read.
    pub async fn retry_dead_letter(&self, entity: &str, key: &Key) -> Result<(), String> {
        let stopped = || "the runtime is stopping".to_owned();
        let asks = self.shared.asks.get(entity);
        let asks = asks.ok_or_else(|| format!("nothing handles the events of {entity}"))?;
        let (sender, receiver) = self.shared.env.once();
        asks.send(Ask::Retry(key.clone(), sender)).await.map_err(|_| stopped())?;
        receiver.await.map_err(|_| stopped())?
    }

    /// Finishes what was begun, takes nothing new, and closes the store. Commands that arrive from now on
    /// are told that the runtime stops; those in waiting rooms too.
    pub async fn stop(&self) {
        self.shared.env.reach_in();
        let mut ended = self.shared.ended.lock().await;
        let (sender, stopped) = self.shared.env.once();
        if self.shared.control.send(Control::Stop(sender)).await.is_ok() {
            // An engine that has gone has nothing left to finish.
            drop(stopped.await);
        }
        for dispatcher in ended.drain(..) {
            drop(dispatcher.await);
        }
        self.shared.env.store().close().await;
    }

    /// Ends when the runtime has stopped, or when a defect has ended one of its tasks. In the second case
    /// commands get no answers any more; what was acknowledged is in the store, and a new start goes on.
    pub async fn ended(&self) {
        let engine = self.shared.control.closed().boxed();
        let dispatchers = self.shared.asks.values().map(|asks| asks.closed().boxed());
        select_all(dispatchers.chain([engine])).await;
    }

    /// Compacts and recounts now and then, until the runtime stops.
    async fn keep_house(self, retention: Millis) {
        let mut until_compaction = limits::COMPACTION_PAUSE.0 / limits::RECOUNT_PAUSE.0;
        loop {
            tokio::select! {
                biased;
                () = self.shared.inbox.closed() => return,
                () = self.shared.env.sleep(limits::RECOUNT_PAUSE) => {}
            }
            self.recount_some().await;
            until_compaction -= 1;
            if until_compaction == 0 {
                until_compaction = limits::COMPACTION_PAUSE.0 / limits::RECOUNT_PAUSE.0;
                match self.compact(retention).await {
                    Ok(done) if done.dropped > 0 => {
                        tracing::info!(?done, "the log let go of old records");
                    }
                    Ok(_) => {}
                    Err(error) => tracing::warn!(%error, "the log could not be compacted"),
                }
            }
        }
    }

    /// Command ids below a position are past their retention.
    pub(crate) async fn expire_ids(&self, decided: Time, below: Position) {
        // An engine that has gone has no index to expire from.
        drop(self.shared.control.send(Control::Expire(decided, below)).await);
    }

    pub(crate) fn shared(&self) -> &Shared {
        self.shared.env.reach_in();
        &self.shared
    }
}

impl Shared {
    /// The lane of an entity type.
    pub(crate) fn lane(&self, entity: &str) -> Option<LaneId> {
        self.lane_ids.get(entity).copied()
    }

    /// Sends a parcel when there is room for it. An error: the runtime stops.
    pub(crate) async fn send(&self, parcel: Parcel) -> Result<(), ()> {
        self.inbox.send(parcel).await.map_err(|_| ())
    }
}

/// How a command is sent, besides what it says.
#[derive(Debug, Clone, Default)]
pub struct Meta {
    /// Who sends it; [`None`]: the local caller.
    pub caller: Option<Caller>,
    /// Its id: a repeat gets the recorded reply.
    pub id: Option<CommandId>,
    /// A hash of the request: the same id with another one is refused.
    pub fingerprint: u64,
}

impl Meta {
    /// A command with this id.
    #[must_use]
    pub fn id(id: CommandId) -> Self {
        Self { id: Some(id), ..Self::default() }
    }
}

/// The entities of one type.
pub struct Handle<E: Entity> {
    lane: LaneId,
    shared: Arc<Shared>,
    entity: PhantomData<fn(E)>,
}

impl<E: Entity> Clone for Handle<E> {
    fn clone(&self) -> Self {
        Self { lane: self.lane, shared: self.shared.clone(), entity: PhantomData }
    }
}

impl<E: Entity> Handle<E> {
    /// Sends a command and waits for its durable outcome. Dropping the future takes a waiting command out
    /// of its entity's waiting room; one that was decided stays decided.
    ///
    /// # Errors
    /// See [`SendError`]. After any of them nothing was kept, and the id can be used again.
    pub async fn send(&self, key: &Key, command: E::Command, meta: Meta) -> Answer<E> {
        let (reply, answer) = self.shared.env.once();
        let envelope = Envelope {
            key: key.clone(),
            command,
            caller: meta.caller.unwrap_or_else(Caller::local),
            id: meta.id,
            fingerprint: meta.fingerprint,
            cause: Origin::Sent,
            arrived: Time(0),
            wait_until: Time(0),
            reply: ReplyTo::Caller(reply),
            repeats: Vec::new(),
        };
        self.post(Work::Send(Box::new(envelope)))?;
        answer.await.unwrap_or(Err(SendError::Stopping))
    }

    /// The entity's committed state, with everything that was acknowledged before the call.
    ///
    /// # Errors
    /// As for [`Handle::send`], without the domain's own.
    pub async fn view(&self, key: &Key) -> Result<View<E>, SendError<E::Rejection>> {
        let (reply, answer) = self.shared.env.once();
        self.post(Work::Read(key.clone(), ShowTo::Typed(reply)))?;
        answer.await.unwrap_or(Err(SendError::Stopping))
    }

    fn post(&self, work: Work<E>) -> Result<(), SendError<E::Rejection>> {
        use tokio::sync::mpsc::error::TrySendError;
        let body = Body::Typed(Box::new(work) as Box<dyn Any + Send>);
        self.shared.inbox.try_send(Parcel { lane: self.lane, body }).map_err(|error| match error {
            TrySendError::Full(_) => SendError::Busy,
            TrySendError::Closed(_) => SendError::Stopping,
        })
    }

    /// A pause, on the runtime's clock.
    pub async fn sleep(&self, span: Millis) {
        self.shared.env.sleep(span).await;
    }
}
