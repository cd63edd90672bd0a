//! `cargo mutants` on the kernel: bugs that a program makes up, shown to the kernel's own tests.
//!
//! It makes some 800 mutants, of which each is built and tested for seconds; so a run takes a sample, every
//! tenth unless told otherwise.

use std::{collections::BTreeMap, fs, path::Path, process::Command};

use anyhow::{Context, Result, bail};

use crate::{mutants::root, table::Table};

/// Tests whose subject is the compiler's messages: slow, and no mutant is theirs.
const LEFT_OUT: &str = "compile_fail";

/// A mutant that may be missed, as [`place_less`] names it, and why: it is no bug, or no test could tell.
struct Accepted {
    mutant: &'static str,
    because: &'static str,
}

const ACCEPTED: &[Accepted] = &[Accepted {
    mutant: "crates/kernel/src/bus.rs: replace <impl HandlerTable<E> for NoHandlers>::flow -> Vec<Flow> with vec![]",
    because: "it is the same",
}];

/// What `cargo mutants` exits with when it has tried mutants: all are caught, some are missed, some time out.
const TRIED: [i32; 3] = [0, 2, 3];

/// Runs a share of them (`k/n`: those with a number that is k modulo n), and prints what came of it. Returns whether
/// every mutant was caught, or is accepted.
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
    // Its own words go to where words about progress go. Which mutants were missed is read from its files.
    let status = mutants.stdout(std::io::stderr()).status()?;
    if !status.code().is_some_and(|code| TRIED.contains(&code)) {
        bail!("`cargo mutants` could not try them: {status}");
    }
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
    let mut unexplained = 0;
    for mutant in &lists["missed"] {
        match because(mutant, ACCEPTED) {
            Some(because) => println!("- accepted: `{mutant}`: {because}"),
            None => {
                unexplained += 1;
                println!("- missed: `{mutant}`");
            }
        }
    }
    let tried: usize = lists.values().map(Vec::len).sum();
    println!("\n{unexplained} of {tried} mutants are missed without a reason.");
    Ok(unexplained == 0 && tried > 0)
}

/// Why a mutant may be missed, if it may.
fn because(mutant: &str, accepted: &[Accepted]) -> Option<&'static str> {
    let name = place_less(mutant);
    let accepted = accepted.iter().find(|accepted| accepted.mutant == name);
    accepted.map(|accepted| accepted.because)
}

/// A mutant without its line and column, which move: `FILE:LINE:COLUMN: WHAT` becomes `FILE: WHAT`.
fn place_less(mutant: &str) -> String {
    let (place, what) = mutant.split_once(": ").unwrap_or((mutant, ""));
    let file = place.split(':').next().unwrap_or(place);
    format!("{file}: {what}")
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missed_mutant_is_accepted_wherever_it_stands_and_no_other() {
        let mutant = "crates/kernel/src/turn.rs: replace < with <= in Turn::post";
        let accepted = [Accepted { mutant, because: "it is the same" }];
        let missed = |what: &str| format!("crates/kernel/src/turn.rs:12:34: {what}");
        let because = |what: &str| because(&missed(what), &accepted);
        assert_eq!(because("replace < with <= in Turn::post"), Some("it is the same"));
        assert_eq!(because("replace < with == in Turn::post"), None);
    }
}
