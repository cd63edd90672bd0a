//! Power cuts under load: the disk forgets what was not synced, and no acknowledged command is lost or doubled.
//!
//! kill -9 never tests a sync, because the system keeps what a process wrote. So here the disk itself fails: at
//! a moment drawn from the seed it stops, and then forgets unsynced writes, all of them or some sectors.

#![cfg(unix)] // as the disk that fails is
#![allow(clippy::unwrap_used, clippy::disallowed_methods)] // threads and disks are real here

mod common;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use common::{Command, Tank, id, key};
use interlock_kernel::{
    ids::Version,
    time::{Millis, Time},
};
use interlock_runtime::{
    Builder, Handle,
    env::{Env, tokio::Tokio},
    store::{
        faults::{FaultDisk, Survivors},
        sqlite::{SqliteOptions, SqliteStore},
    },
};

const ROUNDS: u64 = 200;
const CALLERS: u64 = 4;
const TANKS: u64 = 3;
/// Disk operations among which the cut falls.
const OPERATIONS: u64 = 400;

/// What callers were told, and what they were not: id → tank, and its version and level if it was answered.
type Told = BTreeMap<String, (String, Option<(Version, u64)>)>;

fn random(seed: u64) -> u64 {
    let z = seed.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z ^ (z >> 27)
}

async fn start(folder: &std::path::Path, disk: &FaultDisk) -> Option<Handle<Tank>> {
    let options = SqliteOptions { disk: Arc::new(disk.clone()), ..SqliteOptions::new(folder) };
    let store = SqliteStore::open(&options).ok()?;
    let env = Env::new(Tokio::current(), Arc::new(store));
    let runtime = Builder::new(env).entity::<Tank>().start().await.ok()?;
    Some(runtime.handle())
}

/// Fills tanks until an answer is missing.
async fn call(
    tanks: Handle<Tank>,
    disk: FaultDisk,
    round: u64,
    caller: u64,
    told: Arc<Mutex<Told>>,
) {
    for n in 0_u64.. {
        let (tank, name) = (format!("t{}", (caller + n) % TANKS), format!("{round}-{caller}-{n}"));
        let before = (tank.clone(), None);
        told.lock().unwrap().insert(name.clone(), before);
        let entity = key(&tank);
        let fill = tanks.send(&entity, Command::Fill(1), id(&name));
        // A store whose disk is gone cannot say what became of a commit, and goes on asking.
        let gone = async {
            while !disk.is_cut() {
                tanks.sleep(Millis(5)).await;
            }
            tanks.sleep(Millis(20)).await;
        };
        let answer = tokio::select! {
            biased;
            answer = fill => answer,
            () = gone => return,
        };
        let Ok(receipt) = answer else { return };
        let answered = Some((receipt.version, receipt.reply));
        told.lock().unwrap().insert(name, (tank, answered));
    }
}

/// Asks again for everything of the round, and compares; what had no answer gets one now.
async fn check(tanks: &Handle<Tank>, told: Told, levels: &mut BTreeMap<String, u64>) {
    for (name, (tank, before)) in told {
        let again = tanks.send(&key(&tank), Command::Fill(1), id(&name)).await.unwrap();
        if let Some(before) = before {
            assert!(again.replayed, "{name} was acknowledged and is lost");
            assert_eq!((again.version, again.reply), before, "{name} got two answers");
        }
        // Every command of a tank adds one, so its version and its level are the same number.
        assert_eq!(again.version.0, again.reply, "{name}: a version is missing or doubled");
        *levels.entry(tank).or_default() += 1;
    }
    for (tank, level) in levels {
        let view = tanks.view(&key(tank)).await.unwrap();
        assert_eq!((view.state.level, view.version.0), (*level, *level), "{tank}");
        assert!(view.at > Time(0));
    }
}

#[test]
fn nothing_acknowledged_is_lost_or_doubled_by_two_hundred_power_cuts() {
    let folder = tempfile::tempdir().unwrap();
    let disk = FaultDisk::new();
    let mut levels = BTreeMap::new();
    let threads =
        || tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    for round in 0..ROUNDS {
        let told: Arc<Mutex<Told>> = Arc::default();
        let process = threads().unwrap();
        process.block_on(async {
            let Some(tanks) = start(folder.path(), &disk).await else { panic!("it does not open") };
            disk.cut_power_after(random(round) % OPERATIONS);
            let calls = (0..CALLERS).map(|caller| {
                tokio::spawn(call(tanks.clone(), disk.clone(), round, caller, told.clone()))
            });
            for call in calls.collect::<Vec<_>>() {
                call.await.unwrap();
            }
        });
        // The process is gone, with everything that it had open.
        drop(process);
        disk.cut_power();
        disk.restore(if round % 4 == 0 { Survivors::Synced } else { Survivors::Some(round) })
            .unwrap();
        let process = threads().unwrap();
        process.block_on(async {
            let tanks = start(folder.path(), &disk).await.expect("it opens again");
            let told = std::mem::take(&mut *told.lock().unwrap());
            check(&tanks, told, &mut levels).await;
        });
    }
    assert!(levels.values().sum::<u64>() > ROUNDS, "hardly anything was written: {levels:?}");
}
