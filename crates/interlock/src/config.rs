//! Finds and reads the configuration file.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use interlock_server::config::{Config, FILE_NAME, Overrides};

/// The configuration from the named file; without a name, from [`FILE_NAME`] if that is there.
pub fn load(file: Option<PathBuf>, overrides: &Overrides) -> Result<Config> {
    match file {
        Some(file) => read(&file, overrides),
        None => match fs::metadata(FILE_NAME) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Ok(Config::without_file(overrides)?)
            }
            Ok(_) | Err(_) => read(Path::new(FILE_NAME), overrides),
        },
    }
}

/// The configuration from this file.
pub fn read(file: &Path, overrides: &Overrides) -> Result<Config> {
    let name = file.display().to_string();
    let text = fs::read_to_string(file).with_context(|| format!("cannot read {name}"))?;
    Ok(Config::parse(&name, &text, overrides)?)
}
