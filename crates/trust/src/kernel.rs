//! `cargo mutants` on the kernel: bugs that a program makes up, shown to the kernel's own tests.
//!
//! It makes some 800 mutants, of which each is built and tested for seconds; so a run takes a sample, every
//! tenth unless told otherwise.

use std::{collections::BTreeMap, fs, path::Path, process::Command};

use anyhow::{Context, Result};

use crate::{mutants::root, table::Table};

/// Tests whose subject is the compiler's messages: slow, and no mutant is theirs.
const LEFT_OUT: &str = "compile_fail";

/// Runs a share of them (`k/n`: those with a number that is k modulo n), and prints what was not caught. Returns
/// whether it could run.
pub fn run(share: &str) -> Result<bool> {
    println!("## `cargo mutants` on the kernel\n");
    let cargo = || Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    let version = cargo().args(["mutants", "--version"]).output()?;
    if !version.status.success() {
        println!("Not measured: it is not installed (`cargo install --locked cargo-mutants`).");
        return Ok(false);
    }
    let output = root().join("target/mutants-kernel");
    fs::create_dir_all(&output)?;
    let mut mutants = cargo();
    mutants.args(["mutants", "--package", "interlock-kernel", "--jobs", "1", "--no-shuffle"]);
    mutants.args(["--sharding", "round-robin", "--shard", share, "--baseline", "skip"]);
    mutants.args(["--timeout", "120", "--cap-lints", "true", "--output"]).arg(&output);
    mutants.args(["--", "--lib"]).args(tests()?).current_dir(root());
    // Its own words go to where words about progress go. Whether mutants were missed is read from its files.
    let _ = mutants.stdout(std::io::stderr()).status()?;
    let found = output.join("mutants.out");
    let lists = ["caught", "missed", "timeout", "unviable"].map(|kind| (kind, lines(&found, kind)));
    let lists: BTreeMap<&str, Vec<String>> =
        lists.into_iter().map(|(kind, lines)| Ok((kind, lines?))).collect::<Result<_>>()?;
    let table = Table::begin(["share", "caught", "timed out", "missed", "unviable"]);
    let count = |kind: &str| lists[kind].len().to_string();
    let [caught, timeout, missed, unviable] =
        ["caught", "timeout", "missed", "unviable"].map(count);
    table.row([share.to_owned(), caught, timeout, missed, unviable]);
    println!();
    lists["missed"].iter().for_each(|mutant| println!("- missed: `{mutant}`"));
    Ok(true)
}

/// `--test NAME` for each of the kernel's own tests.
fn tests() -> Result<Vec<String>> {
    let folder = root().join("crates/kernel/tests");
    let mut names = Vec::new();
    for entry in fs::read_dir(&folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        let is_test = path.extension().is_some_and(|extension| extension == "rs");
        let name = path.file_stem().and_then(|name| name.to_str()).unwrap_or_default();
        if is_test && name != LEFT_OUT {
            names.push(format!("--test={name}"));
        }
    }
    names.sort();
    Ok(names)
}

/// The mutants that came out one way.
fn lines(folder: &Path, kind: &str) -> Result<Vec<String>> {
    let file = folder.join(format!("{kind}.txt"));
    let text = fs::read_to_string(&file).with_context(|| file.display().to_string())?;
    Ok(text.lines().map(str::to_owned).collect())
}
