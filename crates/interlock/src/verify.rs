//! `interlock store verify`

use anyhow::{Result, bail};
use interlock_server::{
    config::Overrides,
    server::{self, Report},
};

use crate::{cli::Verify, config};

pub fn run(verify: &Verify) -> Result<()> {
    let overrides = Overrides { listen: None, data: verify.data.clone() };
    let folder = config::load(verify.config.clone(), &overrides)?.data;
    if !folder.is_dir() {
        bail!("there is no data folder at {}", folder.display());
    }
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

fn summary(report: &Report) -> String {
    let entities: u64 = report.entities.values().sum();
    format!(
        "read {} records ({} to {}) of {entities} entities with {} command ids; {} snapshots compared",
        report.records, report.first, report.end, report.ids, report.snapshots_checked,
    )
}
