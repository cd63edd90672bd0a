//! Engines of a configuration, and commands to them.

use interlock_kernel::{
    ids::Member,
    kit::{Alone, Answer},
    pool::LeaseId,
    time::Millis,
};
use interlock_streams::domain::engines::{
    Asker, Command, Ending, EngineSpec, Engines, Grant, Reply, Rules, Session,
};

pub const RULES: Rules = Rules {
    lease_ttl: Millis(15_000),
    engine_idle: Millis(10_000),
    ejection: Millis(30_000),
    start_timeout: Millis(30_000),
};

pub fn member(name: &str) -> Member {
    Member::new(name).unwrap()
}

pub fn spec(name: &str, limit: u32, forwarded: bool) -> EngineSpec {
    EngineSpec { name: member(name), url: format!("http://{name}:6878"), limit, forwarded }
}

pub fn begin(specs: &[EngineSpec]) -> Command {
    Command::Begin { engines: specs.to_vec(), rules: RULES }
}

/// Engines that a first process was given.
pub fn engines(specs: &[EngineSpec]) -> Alone<Engines> {
    let mut engines = Alone::new();
    done(&mut engines, begin(specs));
    engines
}

pub fn done(engines: &mut Alone<Engines>, command: Command) {
    let sent = engines.send(command);
    assert_eq!(engines.reply(sent), Reply::Done);
}

pub fn acquire(stream: &str, avoid: &[&str]) -> Command {
    Command::Acquire { asker: asker(stream, avoid), ahead: Vec::new(), unwatched: Vec::new() }
}

pub fn asker(stream: &str, avoid: &[&str]) -> Asker {
    let avoid = avoid.iter().map(|name| member(name)).collect();
    Asker { stream: stream.to_owned(), avoid }
}

pub fn granted(engines: &mut Alone<Engines>, stream: &str, avoid: &[&str]) -> Grant {
    let sent = engines.send(acquire(stream, avoid));
    match engines.reply(sent) {
        Reply::Granted(grant) => grant,
        Reply::Done | Reply::Soon { .. } | Reply::AllTried => panic!("no slot for {stream}"),
    }
}

/// Whether there is no slot for it now; there may be one to wait for.
pub fn is_full(engines: &mut Alone<Engines>, stream: &str) -> bool {
    let sent = engines.send(acquire(stream, &[]));
    match engines.answer(sent) {
        Answer::Reply(Reply::Soon { gives_way: None }, _) | Answer::Rejected(_) => true,
        Answer::Reply(..) | Answer::Waiting => false,
    }
}

pub fn started(lease: LeaseId) -> Command {
    Command::Started {
        lease,
        command_url: format!("http://engine/ace/cmd/{lease}"),
        stat_url: format!("http://engine/ace/stat/{lease}"),
    }
}

pub fn release(lease: LeaseId, ending: Ending, session: Session) -> Command {
    Command::Release { lease, ending, session }
}

pub fn failed(lease: LeaseId, unreachable: bool) -> Command {
    let ending = Ending::Failed { why: "it said no".to_owned(), unreachable };
    release(lease, ending, Session::None)
}

/// A stream that flows.
pub fn flowing(engines: &mut Alone<Engines>, stream: &str, avoid: &[&str]) -> Grant {
    let grant = granted(engines, stream, avoid);
    done(engines, started(grant.lease));
    done(engines, Command::Flowing { lease: grant.lease });
    grant
}
