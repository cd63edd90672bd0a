//! Where mutants are made: a copy of the workspace with a target folder of its own.
//!
//! The copy stays between mutants and between runs, and only what differs is written: so each mutant costs
//! one incremental build.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    sync::mpsc::{self, RecvTimeoutError},
    thread,
    time::Duration,
};

use anyhow::{Context, Result, anyhow, bail};

use super::list::Mutant;

/// How long a mutant may take to show itself; most bugs that keep others waiting for ever are found by the
/// simulated world, but a loop without an await is not.
const PATIENCE: Duration = Duration::from_secs(600);

/// The workspace's root.
pub fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).expect("crates/trust lies two folders deep").to_owned()
}

/// The files of a workspace that a mutant changes, with their new texts.
pub fn mutated(workspace: &Path, mutant: &Mutant) -> Result<BTreeMap<&'static str, String>> {
    let mut texts = BTreeMap::new();
    for edit in mutant.edits {
        let text = match texts.remove(edit.file) {
            Some(text) => text,
            None => fs::read_to_string(workspace.join(edit.file)).context(edit.file)?,
        };
        texts.insert(edit.file, edit.apply(&text).map_err(|why| anyhow!(why))?);
    }
    Ok(texts)
}

/// A copy of the workspace.
pub struct Workshop {
    folder: PathBuf,
}

/// What became of a program.
pub enum Ran {
    /// It ended.
    Ended(Output),
    /// It did not, and was stopped.
    Hung,
}

impl Workshop {
    /// A copy of the workspace as it is now.
    pub fn open() -> Result<Self> {
        let (root, folder) = (root(), root().join("target/mutants"));
        fs::create_dir_all(&folder)?;
        for file in ["Cargo.toml", "Cargo.lock"] {
            copy(&root.join(file), &folder.join(file)).context(file)?;
        }
        sync(&root.join("crates"), &folder.join("crates")).context("copying the workspace")?;
        Ok(Self { folder })
    }

    /// Puts a mutant's bug in, does something, and takes it out again. Whoever goes on writing in the workspace
    /// meanwhile changes nothing here.
    pub fn with<T>(&self, mutant: &Mutant, work: impl FnOnce(&Self) -> Result<T>) -> Result<T> {
        let texts = mutated(&self.folder, mutant)?;
        let read = |file: &&'static str| Ok((*file, fs::read_to_string(self.folder.join(file))?));
        let before: Vec<(&str, String)> = texts.keys().map(read).collect::<Result<_>>()?;
        for (file, text) in texts {
            fs::write(self.folder.join(file), text)?;
        }
        let done = work(self);
        for (file, text) in before {
            fs::write(self.folder.join(file), text)?;
        }
        done
    }

    /// Builds this very program in the copy.
    pub fn build(&self) -> Result<PathBuf> {
        let output = self.cargo(&["build", "--package", "interlock-trust"]).output()?;
        if !output.status.success() {
            bail!("it does not compile:\n{}", String::from_utf8_lossy(&output.stderr));
        }
        Ok(self.folder.join("target/debug/interlock-trust"))
    }

    /// Runs the own tests of the crates that mutants are made of.
    pub fn test(&self) -> Result<Ran> {
        let crates = ["test", "--package", "interlock-runtime", "--package", "interlock-kernel"];
        let mut command = self.cargo(&crates);
        ended(command.args(["--package", "interlock-streams", "--lib", "--tests"]))
    }

    fn cargo(&self, arguments: &[&str]) -> Command {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut command = Command::new(cargo);
        command.args(arguments).args(["--offline", "--quiet"]).current_dir(&self.folder);
        // Quick to build, and most bugs show at once; and nothing of the cargo that runs this program.
        command.env("CARGO_PROFILE_DEV_DEBUG", "0");
        command.env_remove("CARGO_TARGET_DIR").env("RUSTFLAGS", "--cap-lints=allow");
        command
    }
}

/// Runs a program to its end, or until patience ends.
pub fn ended(command: &mut Command) -> Result<Ran> {
    let child =
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let process = child.id();
    let (sender, ended) = mpsc::channel();
    // Reading is another's work, so that a full pipe keeps nobody waiting; patience may have ended before.
    thread::spawn(move || sender.send(child.wait_with_output()));
    match ended.recv_timeout(PATIENCE) {
        Ok(output) => Ok(Ran::Ended(output?)),
        Err(RecvTimeoutError::Timeout) => {
            Command::new("kill").args(["-9", &process.to_string()]).status()?;
            Ok(Ran::Hung)
        }
        Err(RecvTimeoutError::Disconnected) => bail!("reading what a program says panicked"),
    }
}

/// Makes a folder's copy the same, and writes only what differs.
fn sync(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(to)? {
        let entry = entry?;
        let path = entry.path();
        if from.join(entry.file_name()).exists() {
            continue;
        }
        if path.is_dir() { fs::remove_dir_all(path)? } else { fs::remove_file(path)? }
    }
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        if from.is_dir() { sync(&from, &to)? } else { copy(&from, &to)? }
    }
    Ok(())
}

fn copy(from: &Path, to: &Path) -> io::Result<()> {
    let content = fs::read(from)?;
    if fs::read(to).is_ok_and(|there| there == content) { Ok(()) } else { fs::write(to, content) }
}
