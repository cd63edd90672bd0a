//! One decision about the engines, step by step, on a copy of their state.
//!
//! What the pool decides is taken in event by event, so that every use that ends has its end recorded, and
//! its session stopped, in the same commit.

use std::collections::BTreeSet;

use interlock_kernel::{
    entity::{Decision, EffectRequest, Entity},
    expiry::Step,
    ids::{Holder, Member},
    pool::{LeaseId, LeaseRequest, MemberChange, PoolEvent, PoolRefusal, Standing},
    time::{Millis, Time},
};

use super::{
    Asker, Command, Ending, EngineSpec, Engines, Freed, Grant, Reply, Rules, Session, StopSession,
    Use, outlook::Outlook,
};
use crate::domain::engines_event::{
    Assigned, Began, Ended, EnginesEvent, Failed, Flowing, Free, Started,
};

/// Tries to stop a session before its own idle time-out has to do.
const STOP_ATTEMPTS: u32 = 3;

/// What has happened so far in one decision, on a copy of the state.
pub(super) struct Draft {
    pub(super) state: Engines,
    events: Vec<EnginesEvent>,
    stops: Vec<StopSession>,
    pub(super) idle: Vec<(LeaseId, Time)>,
    alarm: Option<Time>,
}

impl Draft {
    /// Nothing has been decided yet.
    pub(super) fn new(state: &Engines) -> Self {
        Self {
            state: state.clone(),
            events: Vec::new(),
            stops: Vec::new(),
            idle: Vec::new(),
            alarm: None,
        }
    }

    pub(super) fn begin(
        &mut self,
        engines: &[EngineSpec],
        rules: Rules,
        now: Time,
    ) -> Result<(), PoolRefusal> {
        let before = self.state.urls.clone();
        self.push(EnginesEvent::Began(Began { engines: engines.to_vec(), rules }));
        for engine in engines {
            let change = MemberChange {
                limit: Some(engine.limit),
                standing: Some(Standing { tier: 0, preferred: engine.forwarded }),
                ..MemberChange::default()
            };
            let step = self.state.pool.put_member(&engine.name, &change, now)?;
            self.step(step, now);
        }
        for lease in self.state.pool.leases().keys().copied().collect::<Vec<_>>() {
            let step = self.state.pool.release(lease, lease.token(), now)?;
            self.step_to(step, &Ending::TakenOver, Session::Unanswered, now);
        }
        for gone in before.keys().filter(|name| engines.iter().all(|engine| engine.name != **name))
        {
            let step = self.state.pool.remove_member(gone, now)?;
            self.step(step, now);
        }
        Ok(())
    }

    pub(super) fn acquire(
        &mut self,
        asker: &Asker,
        ahead: &[Asker],
        unwatched: &[LeaseId],
        now: Time,
    ) -> Result<Reply, PoolRefusal> {
        match self.state.outlook(asker, ahead, unwatched) {
            Outlook::Free => self.grant(asker, now).map(Reply::Granted),
            Outlook::Closing => Ok(Reply::Soon { gives_way: None }),
            Outlook::Unwatched(lease) => Ok(Reply::Soon { gives_way: Some(lease) }),
            Outlook::Full => Err(self.state.pool.full(now)),
            Outlook::AllTried => Ok(Reply::AllTried),
        }
    }

    fn grant(&mut self, asker: &Asker, now: Time) -> Result<Grant, PoolRefusal> {
        let Asker { stream, avoid } = asker.clone();
        let holder = Holder::new(&stream).expect("stream keys are names");
        let ttl = self.state.rules.lease_ttl;
        let request = LeaseRequest { avoid, ..LeaseRequest::new(holder, ttl) };
        let step = self.state.pool.lease(&request, now)?;
        let grant = self.step(step, now);
        let (lease, engine, reason) = (grant.held.lease, grant.held.member, grant.reason);
        let url = self.state.urls.get(&engine).cloned().expect("every member came with its URL");
        self.push(EnginesEvent::Assigned(Assigned {
            lease,
            engine: engine.clone(),
            url: url.clone(),
            stream,
            reason: reason.clone(),
            at: now,
        }));
        Ok(Grant { lease, engine, url, reason })
    }

    /// Told even when the use is over already: an answer that came late is stopped at once.
    pub(super) fn started(
        &mut self,
        lease: LeaseId,
        command_url: &str,
        stat_url: &str,
        now: Time,
    ) -> Result<(), PoolRefusal> {
        let used = self.state.uses.get(&lease).cloned();
        let used = used.ok_or(PoolRefusal::LeaseOver(lease))?;
        self.push(EnginesEvent::Started(Started {
            lease,
            engine: used.engine,
            stream: used.stream,
            command_url: command_url.to_owned(),
            stat_url: stat_url.to_owned(),
        }));
        if let Some(idle_at) = used.idle_at {
            self.stop(lease, idle_at.max(now + self.state.rules.engine_idle));
        }
        Ok(())
    }

    pub(super) fn flowing(&mut self, lease: LeaseId, now: Time) -> Result<(), PoolRefusal> {
        let step = self.state.pool.confirm(lease, lease.token(), now)?;
        self.step(step, now);
        let used = self.state.uses.get(&lease).cloned();
        let Use { stream, engine, since, .. } = used.ok_or(PoolRefusal::LeaseOver(lease))?;
        let window = self.state.blame_window();
        let guilty = self.state.blame.clone().flowed(&engine, &stream, now, window);
        let after_ms = now.since(since);
        self.push(EnginesEvent::Flowing(Flowing { lease, engine, stream, after_ms, at: now }));
        self.set_aside(guilty, now);
        Ok(())
    }

    pub(super) fn release(
        &mut self,
        lease: LeaseId,
        ending: &Ending,
        session: Session,
        now: Time,
    ) -> Result<(), PoolRefusal> {
        let step = self.state.pool.release(lease, lease.token(), now)?;
        let used = self.state.uses.get(&lease).cloned();
        // Of a use that is over this says nothing new.
        let Some(used) = used.filter(|used| used.idle_at.is_none()) else { return Ok(()) };
        self.step_to(step, ending, session, now);
        if let Ending::Failed { why, unreachable } = ending {
            let window = self.state.blame_window();
            let (engine, stream) = (used.engine.clone(), used.stream.clone());
            let mut blame = self.state.blame.clone();
            let guilty = blame.failed(&engine, &stream, *unreachable, now, window);
            let (why, unreachable) = (why.clone(), *unreachable);
            self.push(EnginesEvent::Failed(Failed { engine, stream, why, unreachable, at: now }));
            self.set_aside(guilty, now);
        }
        if used.command_url.is_none() && session == Session::None {
            self.idle.retain(|(idle, _)| *idle != lease);
            self.free(lease, Freed::Unused, now);
        }
        Ok(())
    }

    pub(super) fn health(
        &mut self,
        engine: &Member,
        healthy: bool,
        now: Time,
    ) -> Result<(), PoolRefusal> {
        let record = self.state.pool.members().get(engine);
        let record = record.ok_or_else(|| PoolRefusal::UnknownMember(engine.clone()))?;
        if record.leaving {
            return Ok(());
        }
        let standing = Standing { tier: u8::from(!healthy), ..record.standing };
        let change = MemberChange { standing: Some(standing), ..MemberChange::default() };
        let step = self.state.pool.put_member(engine, &change, now)?;
        self.step(step, now);
        Ok(())
    }
}

impl Draft {
    fn push(&mut self, event: EnginesEvent) {
        self.state.apply(&event);
        self.events.push(event);
    }

    /// Takes in what the pool decided. Uses may only have run out thereby.
    pub(super) fn step<A>(&mut self, step: Step<PoolEvent, A>, now: Time) -> A {
        self.step_to(step, &Ending::LeaseLost, Session::Unanswered, now)
    }

    /// Takes in what the pool decided; a use that is released thereby ends for this reason.
    fn step_to<A>(
        &mut self,
        step: Step<PoolEvent, A>,
        ending: &Ending,
        session: Session,
        now: Time,
    ) -> A {
        self.alarm = step.alarm.or(self.alarm);
        for event in step.events {
            let ended = match &event {
                PoolEvent::Released(released) => Some((released.lease, ending.clone(), session)),
                PoolEvent::Expired(expired) => {
                    Some((expired.lease, Ending::LeaseLost, Session::Unanswered))
                }
                PoolEvent::MemberPut(_)
                | PoolEvent::MemberLeaving(_)
                | PoolEvent::MemberRemoved(_)
                | PoolEvent::MemberSetAside(_)
                | PoolEvent::MemberReadmitted(_)
                | PoolEvent::Leased(_)
                | PoolEvent::Confirmed(_)
                | PoolEvent::Renewed(_)
                | PoolEvent::SlotClosed(_) => None,
            };
            self.push(EnginesEvent::Pool(event));
            if let Some((lease, ending, session)) = ended {
                self.ended(lease, ending, session, now);
            }
        }
        step.answer
    }

    /// A use is over: its session is to be stopped, or left to the engine's idle time-out.
    fn ended(&mut self, lease: LeaseId, ending: Ending, session: Session, now: Time) {
        let used = self.state.uses.get(&lease).cloned().expect("what ends is used");
        let rules = self.state.rules;
        // A start that nobody listens to any more may open a session until its time is up.
        let opened_by = match (session, &used.command_url) {
            (Session::Unanswered, None) => now.max(used.since + rules.start_timeout),
            (Session::None | Session::Perhaps, None)
            | (Session::None | Session::Perhaps | Session::Unanswered, Some(_)) => now,
        };
        let idle_at = opened_by + rules.engine_idle;
        let Use { engine, stream, since, .. } = used;
        self.push(EnginesEvent::Ended(Ended {
            lease,
            engine,
            stream,
            ending,
            since,
            at: now,
            idle_at,
        }));
        self.stop(lease, idle_at);
    }

    fn stop(&mut self, lease: LeaseId, idle_at: Time) {
        let Some(used) = self.state.uses.get(&lease) else { return };
        match &used.command_url {
            Some(command_url) => {
                let (url, command_url) = (used.url.clone(), command_url.clone());
                self.stops.push(StopSession { lease, url, command_url });
            }
            None => self.idle.push((lease, idle_at)),
        }
    }

    /// Nobody can be using the slot any more.
    pub(super) fn free(&mut self, lease: LeaseId, how: Freed, now: Time) {
        // Of a slot that is free already, or held by somebody new, this says nothing.
        let Ok(step) = self.state.pool.closed(lease, now) else { return };
        let used = self.state.uses.get(&lease).cloned();
        if step.events.is_empty() {
            return;
        }
        if let Some(Use { engine, stream, .. }) = used {
            self.push(EnginesEvent::Free(Free { lease, engine, stream, how }));
        }
        self.step(step, now);
    }

    fn set_aside(&mut self, engines: BTreeSet<Member>, now: Time) {
        let until = now + self.state.rules.ejection;
        for engine in engines {
            // An engine that is no longer a member cannot be set aside, nor chosen.
            if let Ok(step) = self.state.pool.set_aside(&engine, until, now) {
                self.step(step, now);
            }
        }
    }

    pub(super) fn decision(self, reply: Reply) -> Decision<Engines> {
        let rules = self.state.rules;
        let mut decision = Decision::events(self.events, reply);
        if let Some(at) = self.alarm {
            decision = decision.timer("expiry", at, Command::Expire);
        }
        for (lease, at) in self.idle {
            decision = decision.timer(idle_timer(lease), at, Command::Idle { lease });
        }
        for stop in self.stops {
            let lease = stop.lease;
            decision = decision.effect(EffectRequest {
                effect: stop,
                attempts: STOP_ATTEMPTS,
                deadline: Millis((rules.engine_idle.0 / 4).clamp(250, 5_000)),
                backoff: Millis(100),
                fallback: Command::StopFailed { lease },
            });
        }
        decision
    }
}

fn idle_timer(lease: LeaseId) -> String {
    format!("idle-{lease}")
}
