//! The end of a machine's run: its handlers come to theirs, and everything is compared with what the disk holds.

use std::{sync::Arc, time::Duration};

use futures_util::FutureExt;
use interlock_runtime::{codec::Codec, dispatch::dead, env::World, store::StoreError};

use crate::{
    bus::{Bus, Left},
    disk::Disk,
    history::History,
    ledger::CrossChecked,
    stage::Stage,
    watch::Watch,
};

/// The pause between looks at whether handlers have ended, and how many there are.
const HANDLED_PAUSE: Duration = Duration::from_secs(1);
const HANDLED_LOOKS: u32 = 600;

/// What a machine leaves, to be looked at when all is over.
pub(super) struct End {
    pub(super) disk: Disk,
    pub(super) history: History,
    pub(super) watch: Watch,
    pub(super) codecs: Vec<Codec>,
    pub(super) bus: Option<Arc<Bus>>,
}

impl End {
    pub(super) fn settle(self) -> Result<CrossChecked, String> {
        let unreadable = |error: StoreError| format!("the disk cannot be read: {error}");
        let store = self.disk.reopen();
        let log = self.disk.log().map_err(unreadable)?;
        self.watch.with(|seen| {
            let cross_checked = self.history.settle(&store, &log, &self.codecs, &seen.waits)?;
            let Some(bus) = self.bus else { return Ok(cross_checked) };
            let letters = dead::letters(&store).now_or_never().expect("memory answers at once");
            let letters = letters.map_err(unreadable)?;
            bus.settle(&Left {
                log: &log,
                letters: &letters,
                rows: &self.disk.row_events(),
                seen,
            })?;
            Ok(cross_checked)
        })
    }
}

/// Waits until handlers have ended, now that nothing else happens: they do by themselves.
pub(super) async fn handled(stage: Stage, bus: Arc<Bus>, disk: Disk) {
    let mut behind = None;
    for _ in 0..HANDLED_LOOKS {
        let store = disk.look();
        let log = disk.log().expect("whoever opened it last may read it");
        behind = bus.is_behind(&store, &log);
        if behind.is_none() {
            return;
        }
        stage.world().sleep(HANDLED_PAUSE).await;
    }
    behind.into_iter().for_each(|behind| stage.violation(behind));
}
