//! Faults: what may go wrong on a simulated machine and on the way to it, and how often.
//!
//! Where something can go wrong, [`Luck`] asks the world whether it does, and what: so faults are choices like
//! any other, searched, repeated and shrunk with the order of steps. Crashes are the world's own: they may
//! come at every await.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use interlock_runtime::env::World;

use crate::world::Sim;

/// What may go wrong, and how often.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Faults {
    /// Crashes of the process.
    pub crashes: u32,
    /// Crashes that are power losses, and take the newest rows that were written lazily.
    pub power: u32,
    /// Commits that are refused, whose outcome is unknown, or that take [`LATE`]; settlings and truncations of the
    /// log, too.
    pub commits: u32,
    /// Groups of rows that fail, written or not, or that take [`LATE`].
    pub rows: u32,
    /// Times at which the disk is full, for [`FULL`].
    pub full: u32,
    /// Jumps of the wall clock, forward or back, by [`JUMP_MS`].
    pub clocks: u32,
    /// Pauses of the process, for [`PAUSE`]: its tasks stand still while time goes on.
    pub pauses: u32,
    /// Pauses during which a second process opens the same store; the first one comes back as a zombie.
    pub takeovers: u32,
    /// Requests or answers that are lost, come late or come twice, and clients that do not wait, each on the way of
    /// one client.
    pub messages: u32,
}

/// How long a commit or a message takes that is late.
pub const LATE: Duration = Duration::from_secs(2);
/// How long a client waits for an answer that does not come.
pub const PATIENCE: Duration = Duration::from_secs(1);
/// How long a disk is full.
pub const FULL: Duration = Duration::from_secs(5);
/// How long a process is paused.
pub const PAUSE: Duration = Duration::from_secs(30);
/// How far the wall clock jumps, in milliseconds: an hour, as a wrong time zone makes it.
pub const JUMP_MS: i64 = 3_600_000;

impl Faults {
    /// Nothing goes wrong.
    pub const NONE: Self = Self::each(0);
    /// One of each.
    pub const ONE: Self = Self::each(1);
    /// One of each but jumps of the clock: for promises that rest on time having passed, as that of a slot which is
    /// free once its engine has been idle for so long. A jump and then a crash look like an hour in the dark.
    pub const IN_TIME: Self = Self { clocks: 0, ..Self::ONE };
    /// The disk fails, whichever way, and the process with it.
    pub const DISK: Self =
        Self { crashes: 1, power: 1, commits: 2, rows: 2, full: 1, ..Self::NONE };
    /// Only the clock, forward and back, and crashes between.
    pub const CLOCK: Self = Self { crashes: 1, clocks: 3, ..Self::NONE };
    /// Only messages, several of each client.
    pub const NETWORK: Self = Self { crashes: 1, messages: 3, ..Self::NONE };
    /// Processes that pause, are replaced, and come back.
    pub const ZOMBIES: Self = Self { crashes: 1, pauses: 1, takeovers: 2, ..Self::NONE };

    /// So many of each.
    const fn each(times: u32) -> Self {
        Self {
            crashes: times,
            power: times,
            commits: times,
            rows: times,
            full: times,
            clocks: times,
            pauses: times,
            takeovers: times,
            messages: times,
        }
    }
}

/// What befalls a machine as it commits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mishap {
    /// The commit is refused.
    Refused,
    /// Its outcome is unknown, and it is lost.
    UnknownLost,
    /// Its outcome is unknown, and it is written.
    UnknownWritten,
    /// It is written late.
    WrittenLate,
    /// It is written, and its outcome told late.
    ToldLate,
    /// The disk is full.
    Full,
    /// The wall clock jumps forward.
    Forward,
    /// The wall clock jumps back.
    Back,
    /// The process is paused.
    Paused,
    /// The process is paused, and another opens its store.
    Replaced,
}

/// What befalls a write that is no commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// It fails, and does not happen.
    Fails,
    /// It happens, and its writer is told that it failed.
    Doubted,
    /// It happens late.
    Late,
    /// It happens, and its outcome is told late.
    ToldLate,
}

impl Trouble {
    /// All of them, as what counts into this number.
    pub(crate) fn all(count: Count) -> [(Count, Self); 4] {
        [Self::Fails, Self::Doubted, Self::Late, Self::ToldLate].map(|trouble| (count, trouble))
    }
}

/// What befalls a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Loss {
    /// The request is lost.
    Request,
    /// The answer is lost.
    Answer,
    /// The request comes when its sender has stopped waiting for the answer.
    Late,
    /// It comes a second time, late.
    Twice,
    /// Its sender does not wait for the answer and asks again: the two answers come in either order.
    Impatience,
}

/// Which of the numbers in [`Faults`] something counts into.
pub(crate) type Count = fn(&mut Faults) -> &mut u32;

/// What may befall a machine as it commits.
pub(crate) const MISHAPS: [(Count, Mishap); 10] = [
    (|faults| &mut faults.commits, Mishap::Refused),
    (|faults| &mut faults.commits, Mishap::UnknownLost),
    (|faults| &mut faults.commits, Mishap::UnknownWritten),
    (|faults| &mut faults.commits, Mishap::WrittenLate),
    (|faults| &mut faults.commits, Mishap::ToldLate),
    (|faults| &mut faults.full, Mishap::Full),
    (|faults| &mut faults.clocks, Mishap::Forward),
    (|faults| &mut faults.clocks, Mishap::Back),
    (|faults| &mut faults.pauses, Mishap::Paused),
    (|faults| &mut faults.takeovers, Mishap::Replaced),
];

/// What may befall a message.
pub(crate) const LOSSES: [(Count, Loss); 5] = [
    (|faults| &mut faults.messages, Loss::Request),
    (|faults| &mut faults.messages, Loss::Answer),
    (|faults| &mut faults.messages, Loss::Late),
    (|faults| &mut faults.messages, Loss::Twice),
    (|faults| &mut faults.messages, Loss::Impatience),
];

/// The faults that are left to strike. A clone draws on the same ones.
#[derive(Clone)]
pub(crate) struct Luck {
    world: Sim,
    /// At first.
    all: Faults,
    left: Arc<Mutex<Faults>>,
}

impl Luck {
    pub(crate) fn new(world: &Sim, faults: Faults) -> Self {
        Self { world: world.clone(), all: faults, left: Arc::new(Mutex::new(faults)) }
    }

    /// Asks whether one of these strikes here, as far as any is left.
    pub(crate) fn strikes<T: Copy>(&self, among: &[(Count, T)]) -> Option<T> {
        self.draws(among, Sim::fault)
    }

    /// Asks whether one of these makes it worse that something has failed here, as far as any is left.
    pub(crate) fn worsens<T: Copy>(&self, among: &[(Count, T)]) -> Option<T> {
        self.draws(among, Sim::damage)
    }

    fn draws<T: Copy>(&self, among: &[(Count, T)], ask: fn(&Sim, usize) -> usize) -> Option<T> {
        let mut all = self.all;
        if among.iter().all(|(count, _)| *count(&mut all) == 0) {
            return None;
        }
        let mut left = self.left.lock().expect("no code panics while it holds the lock");
        let possible: Vec<&(Count, T)> =
            among.iter().filter(|(count, _)| *count(&mut left) > 0).collect();
        let taken = ask(&self.world, possible.len()).checked_sub(1)?;
        let (count, fault) = possible[taken];
        *count(&mut left) -= 1;
        Some(*fault)
    }
}

/// Pauses a process for a while.
pub(crate) fn pause(process: &Sim) {
    process.pause();
    let (process, outside) = (process.clone(), process.outside());
    let wakes = async move {
        process.outside().sleep(PAUSE).await;
        process.resume();
    };
    outside.spawn("pause", Box::pin(wakes));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::choice::{Replay, Schedule};

    #[test]
    fn a_paused_process_stands_still_while_time_and_others_go_on() {
        let world = Sim::new(Box::new(Replay::new(Schedule::default())));
        let process = world.process(0);
        let ticks = Arc::new(Mutex::new(0));
        let (counter, sleeper) = (ticks.clone(), process.clone());
        let counts = async move {
            loop {
                sleeper.sleep(Duration::from_secs(1)).await;
                *counter.lock().unwrap() += 1;
            }
        };
        let (outside, counted) = (world.clone(), ticks.clone());
        let ended = world.run(Box::pin(async move {
            process.spawn("counts", Box::pin(counts));
            let count = || *counted.lock().unwrap();
            outside.sleep(Duration::from_millis(2_500)).await;
            assert_eq!(count(), 2);
            pause(&process);
            outside.sleep(PAUSE.saturating_sub(Duration::from_millis(100))).await;
            assert_eq!(count(), 2, "it was paused");
            outside.sleep(Duration::from_secs(3)).await;
            assert!(count() > 2, "it goes on");
        }));
        assert_eq!(ended, Ok(()));
    }

    #[test]
    fn each_fault_strikes_as_often_as_it_may() {
        let always = Schedule(vec![1; 20]);
        let world = Sim::new(Box::new(Replay::new(always)));
        let luck = Luck::new(&world, Faults { commits: 2, pauses: 1, ..Faults::NONE });
        let struck: Vec<Mishap> = (0..20).filter_map(|_| luck.strikes(&MISHAPS)).collect();
        assert_eq!(struck, [Mishap::Refused, Mishap::Refused, Mishap::Paused]);
    }
}
