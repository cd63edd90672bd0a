//! `interlock store verify`

use std::path::Path;

use anyhow::{Result, bail};
use interlock_server::{
    config::Overrides,
    server::{self, Report},
};

use crate::{cli::Verify, config};

/// The file that a store cannot be without; the rest can be made again from it.
const LOG: &str = "log.sqlite";

pub fn run(verify: &Verify) -> Result<()> {
    let overrides = Overrides { listen: None, data: verify.data.clone() };
    let folder = config::load(verify.config.clone(), &overrides)?.data;
    check_is_there(&folder)?;
    let runtime = tokio::runtime::Runtime::new()?;
    let report = runtime.block_on(server::verify(&folder))?;
    println!("{}", summary(&report));
    if report.wrong > 0 {
        for problem in &report.problems {
            println!("- {problem}");
        }
        bail!("{} things are wrong in {}", report.wrong, folder.display());
    }
    Ok(())
}

/// Opening a store creates what is missing, and an empty store has nothing wrong. Who asks about a store
/// means one that is there.
fn check_is_there(folder: &Path) -> Result<()> {
    if !folder.is_dir() {
        bail!("there is no data folder at {}", folder.display());
    }
    let log = folder.join(LOG);
    if !log.metadata().is_ok_and(|log| log.is_file() && log.len() > 0) {
        bail!("there is no store in {}: {LOG} is missing or empty", folder.display());
    }
    Ok(())
}

fn summary(report: &Report) -> String {
    let entities: u64 = report.entities.values().sum();
    format!(
        "read {} records ({} to {}) of {entities} entities with {} command ids; {} snapshots compared",
        report.records, report.first, report.end, report.ids, report.snapshots_checked,
    )
}
