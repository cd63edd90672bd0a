//! A given/when/then test kit: one entity, alone, without any runtime, on a clock that only moves when
//! told.
//!
//! ```
//! # use interlock_kernel::{entity::*, ids::*, kit::Alone};
//! # use serde::{Serialize, Deserialize};
//! # #[derive(Clone, Default, Serialize, Deserialize)] pub struct Lamp { on: bool }
//! # #[derive(Debug, Clone, thiserror::Error, PartialEq)] #[error("it is on")] pub struct IsOn;
//! # #[derive(Debug, Clone, Serialize, Deserialize)] pub struct Light;
//! # #[derive(Debug, Clone, Serialize, Deserialize, PartialEq)] pub struct Lit;
//! # impl Entity for Lamp {
//! #   const TYPE: &'static str = "lamp"; type Command = Light; type Event = Lit; type Reply = ();
//! #   type Rejection = IsOn; type Effect = Never;
//! #   fn decide(&self, _: &Light, _: &Context<'_>) -> Verdict<Self> {
//! #     if self.on { return Err(IsOn.into()) } Ok(Decision::event(Lit, ())) }
//! #   fn apply(&mut self, _: &Lit) { self.on = true; }
//! #   fn command_name(_: &Light) -> &'static str { "light" }
//! #   fn event_name(_: &Lit) -> &'static str { "lit" }
//! # }
//! let mut lamp = Alone::<Lamp>::new();
//! let first = lamp.send(Light);
//! assert_eq!(lamp.events(), [Lit]);
//! let second = lamp.send(Light);
//! assert_eq!(lamp.rejection(second), IsOn);
//! assert!(lamp.reply(first) == ());
//! ```
//!
//! [`Alone::check_replay`] folds the whole history again and compares.

use std::collections::BTreeMap;

use crate::{
    entity::{Context, Decision, Entity, Refusal, TimerChange, TimerName},
    ids::{Caller, CommandId, Key, Version},
    room::{Again, Room},
    time::{Millis, Time},
};

/// Names a command sent to [`Alone`]: its number, from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Sent(usize);

/// How a command stands.
#[derive(Debug, Clone)]
pub enum Answer<E: Entity> {
    /// Answered, at this version.
    Reply(E::Reply, Version),
    /// The domain said no.
    Rejected(E::Rejection),
    /// Still in the waiting room.
    Waiting,
}

struct Waiter<E: Entity> {
    sent: Sent,
    command: E::Command,
    arrived: Time,
}

/// One entity and its history.
pub struct Alone<E: Entity> {
    state: E,
    version: Version,
    now: Time,
    key: Key,
    caller: Caller,
    id: Option<CommandId>,
    events: Vec<E::Event>,
    effects: Vec<E::Effect>,
    timers: BTreeMap<TimerName, (Time, E::Command)>,
    room: Room<Waiter<E>>,
    answers: Vec<Answer<E>>,
    random: u64,
    closed: bool,
}

impl<E: Entity> Default for Alone<E> {
    fn default() -> Self {
        Self::new()
    }
}

impl<E: Entity> Alone<E> {
    /// An entity that nobody has written to, at 2026-01-01T00:00:00Z, its key `test`.
    #[must_use]
    pub fn new() -> Self {
        Self {
            state: E::default(),
            version: Version(0),
            now: Time(1_767_225_600_000),
            key: Key::new("test").expect("a valid key"),
            caller: Caller::local(),
            id: None,
            events: Vec::new(),
            effects: Vec::new(),
            timers: BTreeMap::new(),
            room: Room::default(),
            answers: Vec::new(),
            random: 0,
            closed: false,
        }
    }

    /// The clock.
    #[must_use]
    pub fn now(&self) -> Time {
        self.now
    }

    /// The state.
    #[must_use]
    pub fn state(&self) -> &E {
        &self.state
    }

    /// The version.
    #[must_use]
    pub fn version(&self) -> Version {
        self.version
    }

    /// Everything that happened.
    #[must_use]
    pub fn events(&self) -> &[E::Event] {
        &self.events
    }

    /// Every outside call that was asked for.
    #[must_use]
    pub fn effects(&self) -> &[E::Effect] {
        &self.effects
    }

    /// Pending timers.
    #[must_use]
    pub fn timers(&self) -> &BTreeMap<TimerName, (Time, E::Command)> {
        &self.timers
    }

    /// Commands in the waiting room.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.room.len()
    }

    /// Whether a decision closed the entity.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.closed
    }

    /// The next commands carry this id.
    pub fn with_id(&mut self, id: Option<&str>) -> &mut Self {
        self.id = id.map(|id| CommandId::new(id).expect("a valid command id"));
        self
    }

    /// Sends a command.
    pub fn send(&mut self, command: E::Command) -> Sent {
        let sent = Sent(self.answers.len());
        self.answers.push(Answer::Waiting);
        let waiter = Waiter { sent, command, arrived: self.now };
        match self.consider(&waiter) {
            Again::Waits => {
                let until = self.wait_until(&waiter);
                assert!(self.room.enter(until, waiter).is_ok(), "the waiting room is full");
            }
            Again::Changed => self.settle(),
            Again::Answered => {}
        }
        sent
    }

    /// Lets time pass, firing timers and ending waits on the way, in order.
    pub fn pass(&mut self, span: Millis) -> &mut Self {
        let end = self.now + span;
        loop {
            let timer = self.timers.values().map(|(at, _)| *at).min();
            let wait = self.room.next_deadline();
            let Some(next) = [timer, wait].into_iter().flatten().min().filter(|at| *at <= end)
            else {
                break;
            };
            self.now = self.now.max(next);
            if timer == Some(next) {
                self.fire(next);
            } else {
                self.end_waits();
            }
        }
        self.now = end;
        self
    }

    /// How a command stands.
    #[must_use]
    pub fn answer(&self, sent: Sent) -> &Answer<E> {
        &self.answers[sent.0]
    }

    /// The reply to a command that must have one.
    #[must_use]
    pub fn reply(&self, sent: Sent) -> E::Reply {
        match self.answer(sent) {
            Answer::Reply(reply, _) => reply.clone(),
            Answer::Rejected(rejection) => panic!("rejected: {rejection}"),
            Answer::Waiting => panic!("still waiting"),
        }
    }

    /// The rejection of a command that must have one.
    #[must_use]
    pub fn rejection(&self, sent: Sent) -> E::Rejection {
        match self.answer(sent) {
            Answer::Rejected(rejection) => rejection.clone(),
            Answer::Reply(reply, _) => panic!("not rejected: {reply:?}"),
            Answer::Waiting => panic!("still waiting"),
        }
    }

    /// A caller gave up waiting.
    pub fn give_up(&mut self, sent: Sent) {
        self.room.retain(|waiter| waiter.sent != sent);
    }

    fn fire(&mut self, at: Time) {
        let name =
            self.timers.iter().find(|(_, timer)| timer.0 == at).map(|(name, _)| name.clone());
        let name = name.expect("the caller saw a timer at this moment");
        let (_, command) = self.timers.remove(&name).expect("it was just found");
        let sent = Sent(self.answers.len());
        self.answers.push(Answer::Waiting);
        let waiter = Waiter { sent, command, arrived: self.now };
        match self.consider(&waiter) {
            Again::Waits => panic!("a timer's command must not wait"),
            Again::Changed => self.settle(),
            Again::Answered => {}
        }
    }

    fn end_waits(&mut self) {
        let mut room = std::mem::take(&mut self.room);
        let now = self.now;
        let changed = room.expire(now, |waiter| match self.consider(waiter) {
            Again::Waits => panic!("a command must not wait beyond its own deadline"),
            again @ (Again::Changed | Again::Answered) => again,
        });
        self.room = room;
        if changed {
            self.settle();
        }
    }

    fn settle(&mut self) {
        let mut room = std::mem::take(&mut self.room);
        room.reconsider(|waiter| self.consider(waiter));
        self.room = room;
    }

    fn decide(&mut self, waiter: &Waiter<E>) -> crate::entity::Verdict<E> {
        self.random = self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let cx = Context {
            now: self.now,
            arrived: waiter.arrived,
            version: self.version,
            key: &self.key,
            caller: &self.caller,
            id: self.id.as_ref(),
            random: self.random,
        };
        self.state.decide(&waiter.command, &cx)
    }

    fn wait_until(&mut self, waiter: &Waiter<E>) -> Time {
        match self.decide(waiter) {
            Err(Refusal::Wait { until }) => {
                assert!(until > self.now, "a wait must end later than now");
                until
            }
            Ok(_) | Err(Refusal::Rejected(_)) => unreachable!("decide is a function of its inputs"),
        }
    }

    fn consider(&mut self, waiter: &Waiter<E>) -> Again {
        match self.decide(waiter) {
            Ok(decision) => {
                let unchanged = decision.is_unchanged();
                let reply = decision.reply.clone();
                if !unchanged {
                    self.commit(decision);
                }
                self.answers[waiter.sent.0] = Answer::Reply(reply, self.version);
                if unchanged { Again::Answered } else { Again::Changed }
            }
            Err(Refusal::Rejected(rejection)) => {
                self.answers[waiter.sent.0] = Answer::Rejected(rejection);
                Again::Answered
            }
            Err(Refusal::Wait { .. }) => Again::Waits,
        }
    }

    fn commit(&mut self, decision: Decision<E>) {
        if decision.makes_version() {
            self.version = self.version.next();
        }
        for event in decision.events {
            self.state.apply(&event);
            self.events.push(event);
        }
        for change in decision.timers {
            match change {
                TimerChange::Set { name, at, command } => {
                    self.timers.insert(name, (at, command));
                }
                TimerChange::Cancel { name } => {
                    self.timers.remove(&name);
                }
            }
        }
        self.effects.extend(decision.effects.into_iter().map(|request| request.effect));
        self.closed |= decision.closes;
    }
}

impl<E: Entity + PartialEq + std::fmt::Debug> Alone<E> {
    /// Folds the whole history again and compares it with the state.
    pub fn check_replay(&self) {
        let mut again = E::default();
        for event in &self.events {
            again.apply(event);
        }
        assert_eq!(again, self.state, "the events do not fold to the state");
    }
}
