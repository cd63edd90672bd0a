//! Machines that share a run: one has it, the other joins over HTTP.

use std::{net::SocketAddr, sync::Arc};

use interlock_battles::{
    RETENTION,
    domain::run::{Mode, Plan, Tally},
    fake::Faults,
    fleet::{
        Fleet, Report,
        counter::{Api, CountError, Counter, Why},
    },
    routes::routes,
};
use interlock_kernel::{
    ids::{Key, Worker},
    time::Millis,
};
use interlock_runtime::Runtime;
use interlock_web::{
    guard::{AccessToken, Guard},
    serve::{App, Settings, serve},
    traffic::Traffic,
};
use tokio::{
    net::{TcpListener, TcpSocket},
    task::JoinHandle,
};

use crate::support::{Ground, settings};

pub const TOKEN: &str = "a-token-of-16-characters";

/// The API of a run's home, until it is dropped.
pub struct Home {
    address: SocketAddr,
    serving: JoinHandle<()>,
}

impl Home {
    pub async fn start(runtime: &Runtime, address: SocketAddr) -> Self {
        let listener = listen(address);
        let address = listener.local_addr().unwrap();
        let tokens = [AccessToken { name: "b".to_owned(), secret: TOKEN.to_owned() }];
        let guard = Guard::new(&[address], &tokens).unwrap();
        let routes = routes(runtime.clone(), RETENTION);
        let app = Arc::new(App::new(routes, guard, Arc::new(Traffic::default())));
        let serving = tokio::spawn(async move {
            serve(listener, app, Settings::default(), std::future::pending()).await;
        });
        Self { address, serving }
    }

    pub fn counter(&self, token: Option<&str>, process: u64) -> Counter {
        let api = Api::new(&format!("http://{}", self.address), token.map(str::to_owned)).unwrap();
        Counter::joined(api, Key::new("test").unwrap(), process)
    }

    /// As a machine goes: connections break, and nobody listens.
    async fn die(self) -> SocketAddr {
        self.serving.abort();
        // It was told to.
        let _ = self.serving.await;
        self.address
    }
}

/// A restarted server takes its old port while old connections of it may linger.
fn listen(address: SocketAddr) -> TcpListener {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_reuseaddr(true).unwrap();
    socket.bind(address).unwrap();
    socket.listen(64).unwrap()
}

pub fn any_port() -> SocketAddr {
    "127.0.0.1:0".parse().unwrap()
}

#[tokio::test]
async fn two_machines_share_a_run_exactly_while_its_home_restarts() {
    let faults = Faults { drop: Some(200), double: Some(10), ..Faults::default() };
    let mut ground = Ground::new(faults, 20).await;
    let away = tempfile::tempdir().unwrap();
    let plan = Plan { shares: None, ..ground.plan(30, 1, Mode::Ladder) };
    let runtime = ground.runtime().await;
    let here = ground.fleet(&runtime, &plan, &["one"]).await;
    let home = Home::start(&runtime, any_port()).await;
    let there = settings("b", 3, &["two"], away.path());
    let there = Fleet::start(home.counter(Some(TOKEN), 1), there).await.unwrap();
    let mut news = there.tracker().news();
    let joined = tokio::spawn(there.ended());

    for _ in 0..20 {
        news.changed().await.unwrap();
    }
    // The home dies with its workers, and comes back.
    let address = home.die().await;
    drop((here, runtime));
    ground.server.drop_all();
    let runtime = ground.runtime().await;
    let home = Home::start(&runtime, address).await;
    let here = ground.fleet(&runtime, &plan, &["one"]).await.ended().await.unwrap();
    let there = joined.await.unwrap().unwrap();

    let workers_of = |report: &Report, prefix: &str| -> u64 {
        let ours = report.workers.iter().filter(|(name, _)| name.starts_with(prefix));
        ours.map(|(_, worker)| worker.finished).sum()
    };
    let (one, two) = (ground.truth("one"), ground.truth("two"));
    assert_eq!(workers_of(&there, "w"), one.finished());
    assert_eq!(workers_of(&there, "b"), two.finished());
    assert!(one.finished() > 0 && two.finished() > 0, "both play: {one:?} {two:?}");
    for (report, others) in [(&here, two), (&there, one)] {
        assert_eq!((report.finished, report.claimed), (30, 0));
        assert_eq!((report.drift, report.elsewhere), (0, others.finished()));
        let Tally { wins, losses, ties, .. } = report.total;
        assert_eq!(wins, one.wins + two.wins);
        assert_eq!(losses, one.losses + two.losses);
        assert_eq!(ties, one.ties + two.ties);
    }
    drop(home);
}

#[tokio::test]
async fn whoever_joins_without_the_token_or_the_run_is_told_so() {
    let mut ground = Ground::new(Faults::default(), 21).await;
    let runtime = ground.runtime().await;
    let home = Home::start(&runtime, any_port()).await;
    let refused = |error: CountError| match error {
        CountError::Refused { why: Why::Other | Why::Unknown, says } => says,
        other @ (CountError::Refused { .. } | CountError::Gone(_)) => panic!("{other:?}"),
    };
    let says = refused(home.counter(None, 1).view().await.unwrap_err());
    assert!(says.contains("token"), "{says}");
    let says = refused(home.counter(Some(TOKEN), 2).view().await.unwrap_err());
    assert_eq!(says, "there is no such run");
}

#[tokio::test]
async fn a_home_that_stays_away_is_given_up_and_named() {
    let mut ground = Ground::new(Faults::default(), 23).await;
    let plan = ground.plan(2, 2, Mode::Ladder);
    let runtime = ground.runtime().await;
    let home = Home::start(&runtime, any_port()).await;
    let counter = home.counter(Some(TOKEN), 1);
    counter.open(plan, interlock_battles::limits::CLAIM_TTL, RETENTION).await.unwrap();
    let address = home.die().await;
    tokio::time::pause();
    let asked = counter.claim(Worker::new("b0").unwrap(), None).await;
    let Err(CountError::Gone(says)) = asked else { panic!("{asked:?}") };
    assert!(says.starts_with(&format!("http://{address}: ")), "{says}");
    assert!(says.contains("no answer for 600 s"), "{says}");
}

#[tokio::test]
async fn a_joined_counter_is_told_what_is_left() {
    let mut ground = Ground::new(Faults::default(), 22).await;
    let plan = ground.plan(2, 2, Mode::Accept(Some("Ann".to_owned())));
    let runtime = ground.runtime().await;
    let home = Home::start(&runtime, any_port()).await;
    let counter = home.counter(Some(TOKEN), 1);
    let ttl = Millis::from_secs(7);
    assert!(counter.open(plan.clone(), ttl, RETENTION).await.unwrap());
    assert!(!counter.open(plan.clone(), ttl, RETENTION).await.unwrap());
    assert_eq!(counter.view().await.unwrap().plan, plan);
    let worker = |name: &str| Worker::new(name).unwrap();
    let grant = counter.claim(worker("b0"), Some("rain".to_owned())).await.unwrap();
    assert_eq!((grant.ttl, counter.renew(grant.claim).await), (ttl, Ok(ttl)));
    let why = async |name: &str| match counter.claim(worker(name), None).await {
        Err(CountError::Refused { why, .. }) => Some(why),
        _ => None,
    };
    let is_claimed =
        |why: Option<Why>| matches!(why, Some(Why::AllClaimed { retry_after: Some(_) }));
    assert!(is_claimed(why("b0").await), "its share is");
    counter.claim(worker("b1"), None).await.unwrap();
    assert!(is_claimed(why("b1").await), "everything is");
    counter.give_back(grant.claim).await.unwrap();
    counter.give_back(grant.claim).await.unwrap();
    assert_eq!(counter.view().await.unwrap().claimed, 1);
    let here = Counter::new(&runtime, Key::new("test").unwrap());
    let grant = here.claim(worker("b0"), None).await.unwrap();
    assert_eq!((grant.ttl, here.renew(grant.claim).await), (ttl, Ok(ttl)));
}
