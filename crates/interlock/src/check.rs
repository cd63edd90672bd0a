//! `interlock config check`

use anyhow::Result;
use interlock_server::config::Overrides;

use crate::{cli::Check, config};

pub fn run(check: &Check) -> Result<()> {
    let config = config::read(&check.file, &Overrides::default())?;
    println!(
        "{} is right: listens on {}, keeps its data in {}; tokens: {}, engines: {}",
        check.file.display(),
        config.listen,
        config.data.display(),
        config.tokens.len(),
        config.streams.engines.len()
    );
    Ok(())
}
