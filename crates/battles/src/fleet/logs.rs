//! The logs of battles on disk: one file for each battle that is over, in Showdown's own format.
//!
//! ```text
//! FOLDER/logs/WORKER/ACCOUNT/0/c17.battle-gen9randombattle-5.log       claims 0 to 999
//! FOLDER/logs/WORKER/ACCOUNT/0/c17.battle-gen9randombattle-5.thoughts  what the bot thought in it, if it did
//! FOLDER/taken-up/WORKER/ACCOUNT/0/c18.battle-gen9randombattle-6.log   the same of other machines' workers
//! FOLDER/replays/battle-gen9randombattle-5.c17.html                    those that the rule wants, to look at
//! ```
//!
//! A log is there whole or not at all, and before its battle is counted: so a log without a count is a crash
//! between the two, and settles what is in doubt. Recounting them is an independent judge of a run's numbers.
//!
//! Machines that share a run keep the logs of what they played. A worker's folder is made before it claims
//! anything, so each machine judges the workers that it has folders of, and those alone. A battle that another machine
//! has taken up is judged by that one, which has its log.

use std::{
    collections::BTreeMap,
    ffi::OsStr,
    fs::{self, File},
    io::{self, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

use interlock_kernel::{ids::Worker, quota::ClaimId};

use super::thoughts::{self, Decision};
pub use crate::domain::fleet::SaveReplay;
use crate::{
    domain::{
        id::id,
        log::{self, End},
        protocol::is_room,
        run::{Ending, Outcome, Over, Room, RunView, TakenUp, Tally},
    },
    limits,
};

/// The logs of one run.
#[derive(Debug, Clone)]
pub struct Logs {
    folder: PathBuf,
}

/// Which battle a log is of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogName<'a> {
    /// For whom it is counted.
    pub worker: &'a Worker,
    /// The id of the account that played it.
    pub account: &'a str,
    /// The claim that it settles.
    pub claim: ClaimId,
    /// Its room's id.
    pub room: &'a str,
}

impl<'a> LogName<'a> {
    /// That of a battle that is over. `None`: it had no room, or whoever reported it said what no server says. What
    /// other programs report becomes a file's name here.
    #[must_use]
    pub fn of(over: &'a Over) -> Option<Self> {
        let Room { id: room, account, .. } = over.room.as_ref()?;
        let is_account = !account.is_empty() && id(account) == *account;
        (is_room(room) && is_account).then_some(Self {
            worker: &over.worker,
            account,
            claim: over.claim,
            room,
        })
    }
}

impl Logs {
    /// The logs in this folder, which is made when the first one is kept.
    #[must_use]
    pub fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// Keeps a log, durably. Once more, it replaces it.
    ///
    /// # Errors
    /// When it cannot be written: the disk is full, or the folder is not ours.
    pub fn keep(&self, name: &LogName<'_>, log: &str) -> io::Result<()> {
        write_whole(&self.path(name), log)
    }

    /// Keeps the bot's [thoughts](super::thoughts) beside the log, whole but not durably: nothing rests on them.
    ///
    /// # Errors
    /// When they cannot be written.
    pub fn keep_thoughts(&self, name: &LogName<'_>, lines: &str) -> io::Result<()> {
        let path = self.path(name).with_extension("thoughts");
        let half = path.with_extension("half");
        fs::write(&half, lines)?;
        fs::rename(half, path)
    }

    /// What the bot thought, if it is here and can be read.
    #[must_use]
    pub fn thoughts(&self, name: &LogName<'_>) -> Vec<Decision> {
        let file = File::open(self.path(name).with_extension("thoughts"));
        let lines = file.and_then(|mut file| text_from(&mut file, 0));
        lines.map(|lines| thoughts::read(&lines)).unwrap_or_default()
    }

    /// How the battle ended, if its log is here.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn end(&self, name: &LogName<'_>) -> io::Result<Option<End>> {
        found(find(&self.path(name), log::end)).map(Option::flatten)
    }

    /// The whole log of a battle, if it is here.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn read(&self, name: &LogName<'_>) -> io::Result<Option<String>> {
        found(File::open(self.path(name)).and_then(|mut file| text_from(&mut file, 0)))
    }

    /// How many turns a battle took, if its log is here.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn turns(&self, name: &LogName<'_>) -> io::Result<Option<u16>> {
        found(find(&self.path(name), log::turn)).map(Option::flatten)
    }

    /// Keeps how many battles of the server could not be read by whoever watches from here.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn keep_unread(&self, unread: u64) -> io::Result<()> {
        write_whole(&self.folder.join("unread"), &unread.to_string())
    }

    /// How many that were, as it was kept last; 0: it never was.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn unread(&self) -> io::Result<u64> {
        let kept = found(fs::read_to_string(self.folder.join("unread")))?;
        Ok(kept.and_then(|text| text.parse().ok()).unwrap_or_default())
    }

    /// From now on this worker is judged here.
    ///
    /// # Errors
    /// When its folder cannot be made.
    pub fn judge(&self, worker: &Worker) -> io::Result<()> {
        fs::create_dir_all(self.folder.join(OWN).join(worker.as_str()))
    }

    /// Whether this worker is judged here: the logs of its battles are here, but for those that others took up.
    #[must_use]
    pub fn judges(&self, worker: &Worker) -> bool {
        self.folder.join(OWN).join(worker.as_str()).is_dir()
    }

    /// Counts every battle once more, from the logs alone. `taken_up`: those of which the run says that another worker
    /// than their own settled them.
    ///
    /// # Errors
    /// When a log cannot be read.
    pub fn recount(&self, taken_up: &[TakenUp]) -> io::Result<Recount> {
        let mut recount = Recount::default();
        for (worker, folder) in workers(&self.folder.join(OWN))? {
            recount.workers.entry(worker.clone()).or_default();
            for (me, path) in Self::of_worker(&folder)? {
                let is_this = |it: &&TakenUp| it.worker == worker && Some(it.claim) == claim(&path);
                let Some(end) = find(&path, log::end)? else { continue };
                match taken_up.iter().find(is_this) {
                    None => recount.add(&worker, end.outcome(&me)),
                    Some(battle) => {
                        recount.late.insert(battle.claim, end.outcome(&me));
                    }
                }
            }
        }
        for (_, folder) in workers(&self.folder.join(TAKEN_UP))? {
            for (me, path) in Self::of_worker(&folder)? {
                if let (Some(claim), Some(end)) = (claim(&path), find(&path, log::end)?) {
                    recount.taken_up.insert(claim, end.outcome(&me));
                }
            }
        }
        Ok(recount)
    }

    /// Every log here, with the account that played it.
    ///
    /// # Errors
    /// When a folder cannot be read.
    pub fn all(&self) -> io::Result<Vec<(String, PathBuf)>> {
        let mut all = Vec::new();
        for tree in [OWN, TAKEN_UP] {
            for worker in folders(&self.folder.join(tree))? {
                all.extend(Self::of_worker(&worker)?);
            }
        }
        Ok(all)
    }

    /// The rooms of all battles whose log is here.
    ///
    /// # Errors
    /// When a folder cannot be read.
    pub fn rooms(&self) -> io::Result<Vec<String>> {
        let room = |path: &Path| {
            let name = path.file_stem()?.to_str()?;
            name.split_once('.').map(|(_claim, room)| room.to_owned())
        };
        Ok(self.all()?.iter().filter_map(|(_, path)| room(path)).collect())
    }

    fn of_worker(folder: &Path) -> io::Result<Vec<(String, PathBuf)>> {
        let mut all = Vec::new();
        for account in folders(folder)? {
            let Some(me) = account.file_name().and_then(OsStr::to_str) else { continue };
            for shelf in folders(&account)? {
                for entry in fs::read_dir(shelf)? {
                    let path = entry?.path();
                    if path.extension() == Some(OsStr::new("log")) {
                        all.push((me.to_owned(), path));
                    }
                }
            }
        }
        Ok(all)
    }

    /// Saves a page on which the battle can be watched, and says where it is.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn save_replay(&self, name: &LogName<'_>, log: &str) -> io::Result<PathBuf> {
        let LogName { claim, room, .. } = name;
        let path = self.folder.join("replays").join(format!("{room}.{claim}.html"));
        write_whole(&path, &replay(room, log))?;
        Ok(path)
    }

    fn path(&self, LogName { worker, account, claim, room }: &LogName<'_>) -> PathBuf {
        let shelf = (claim.number() / limits::LOGS_PER_FOLDER).to_string();
        let tree = if self.judges(worker) { OWN } else { TAKEN_UP };
        let folder = self.folder.join(tree).join(worker.as_str()).join(account).join(shelf);
        folder.join(format!("{claim}.{room}.log"))
    }
}

/// The folder of the workers that play here.
const OWN: &str = "logs";
/// The folder of others.
const TAKEN_UP: &str = "taken-up";

/// What the logs of a machine say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recount {
    /// Of each worker that plays there, but for what others have settled.
    pub workers: BTreeMap<Worker, Tally>,
    /// Of battles of other machines' workers that were taken up there.
    pub taken_up: BTreeMap<ClaimId, Outcome>,
    /// Of battles of its own workers that others had settled without these logs.
    pub late: BTreeMap<ClaimId, Outcome>,
}

impl Recount {
    /// Counts a log of a worker.
    pub fn add(&mut self, worker: &Worker, outcome: Outcome) {
        self.workers.entry(worker.clone()).or_default().add(Ending::Of(outcome));
    }

    /// What others have taken up, and this machine judges: its log is there.
    fn taken_up_here<'a>(
        &self,
        view: &'a RunView,
    ) -> impl Iterator<Item = (ClaimId, Outcome)> + use<'a, '_> {
        view.taken_up.iter().filter_map(|battle| match battle.ending {
            Ending::Of(outcome) if self.workers.contains_key(&battle.by) => {
                Some((battle.claim, outcome))
            }
            Ending::Of(_) | Ending::Void => None,
        })
    }
}

/// How far a run's counts are from the logs of one machine: for each worker that plays there and each way of ending,
/// the difference, summed up; and for each battle that was taken up there, whether its log says what was counted.
#[must_use]
pub fn drift(view: &RunView, recount: &Recount) -> u64 {
    let of = |(worker, logged): (&Worker, &Tally)| log::drift(counted(view, worker), *logged);
    let own: u64 = recount.workers.iter().map(of).sum();
    let differs =
        |(claim, outcome): &(ClaimId, Outcome)| recount.taken_up.get(claim) != Some(outcome);
    own + recount.taken_up_here(view).filter(differs).count() as u64
}

/// How many battles count that were played, or taken up, on other machines, and are judged there.
#[must_use]
pub fn elsewhere(view: &RunView, recount: &Recount) -> u64 {
    let here: u64 = recount.workers.keys().map(|worker| counted(view, worker).finished()).sum();
    view.total.finished() - here - recount.taken_up_here(view).count() as u64
}

/// How many logs came too late: others had settled their battles otherwise, as void, when they could not be asked.
#[must_use]
pub fn late(view: &RunView, recount: &Recount) -> u64 {
    let is_late = |battle: &&TakenUp| {
        let logged = recount.late.get(&battle.claim);
        logged.is_some_and(|outcome| Ending::Of(*outcome) != battle.ending)
    };
    view.taken_up.iter().filter(is_late).count() as u64
}

/// What counts for a worker and was settled by itself, or on its machine.
fn counted(view: &RunView, worker: &Worker) -> Tally {
    let tally = view.workers.get(worker).map(|worker| worker.tally).unwrap_or_default();
    let mut others = Tally::default();
    let its = view.taken_up.iter().filter(|battle| battle.worker == *worker);
    its.for_each(|battle| others.add(battle.ending));
    tally.without(others)
}

/// Workers, and their folders, of one tree.
fn workers(tree: &Path) -> io::Result<Vec<(Worker, PathBuf)>> {
    let named = |folder: PathBuf| {
        let name = folder.file_name().and_then(OsStr::to_str)?;
        Some((Worker::new(name).ok()?, folder))
    };
    Ok(folders(tree)?.into_iter().filter_map(named).collect())
}

/// The claim that a log is named after.
fn claim(path: &Path) -> Option<ClaimId> {
    ClaimId::parse(path.file_stem()?.to_str()?.split_once('.')?.0)
}

/// The folders in a folder; none if it is not there.
fn folders(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut folders = Vec::new();
    for entry in entries {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            folders.push(entry.path());
        }
    }
    Ok(folders)
}

/// Under another name first, so that nobody ever sees half of it.
fn write_whole(path: &Path, text: &str) -> io::Result<()> {
    let folder = path.parent().expect("a log is in a folder");
    fs::create_dir_all(folder)?;
    let half = path.with_extension("half");
    let mut file = File::create(&half)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&half, path)?;
    File::open(folder)?.sync_all()
}

/// Nothing, where the file is not there.
fn found<T>(read: io::Result<T>) -> io::Result<Option<T>> {
    match read {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        read => read.map(Some),
    }
}

/// Finds what a log says. Looks at the end of the file first, for nearly all say it there, and then at all of it.
fn find<T>(path: &Path, what: fn(&str) -> Option<T>) -> io::Result<Option<T>> {
    let mut file = File::open(path)?;
    let begin = file.metadata()?.len().saturating_sub(limits::LOG_TAIL);
    if begin > 0 {
        let tail = text_from(&mut file, begin)?;
        // Cut off at its beginning, somebody's chat may look like anything.
        let lines = tail.split_once('\n').map_or("", |(_cut, lines)| lines);
        if let Some(found) = what(lines) {
            return Ok(Some(found));
        }
    }
    Ok(what(&text_from(&mut file, 0)?))
}

fn text_from(file: &mut File, begin: u64) -> io::Result<String> {
    file.seek(SeekFrom::Start(begin))?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// A page for Showdown's replay viewer, which reads the log from it. The viewer's script is Showdown's own: it is to
/// be opened as a file, never as a page of a server of ours.
#[must_use]
pub fn replay(room: &str, log: &str) -> String {
    // The viewer takes the backslashes away again; no log can end the script that holds it.
    let log = log.replace('/', "\\/");
    format!(
        "<!DOCTYPE html>\n<meta charset=\"utf-8\">\n<title>{room}</title>\n\
         <input type=\"hidden\" name=\"replayid\" value=\"{room}\">\n\
         <div class=\"wrapper replay-wrapper\">\n\
         <div class=\"battle\"></div><div class=\"battle-log\"></div>\
         <div class=\"replay-controls\"></div><div class=\"replay-controls-2\"></div>\n\
         <script type=\"text/plain\" class=\"battle-log-data\">{log}</script>\n</div>\n\
         <script src=\"https://play.pokemonshowdown.com/js/replay-embed.js\"></script>\n"
    )
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use interlock_kernel::time::Time;

    use super::*;
    use crate::domain::run::Outcome;

    const WON: &str = "|player|p1|Bot|\n|win|Bot\n";
    const LOST: &str = "|player|p1|Bot|\n|win|Rival\n";

    fn w0() -> &'static Worker {
        static NAME: LazyLock<Worker> = LazyLock::new(|| Worker::new("w0").unwrap());
        &NAME
    }

    /// The logs of a machine on which this worker plays.
    fn judging(folder: &Path) -> Logs {
        let logs = Logs::new(folder.to_owned());
        logs.judge(w0()).unwrap();
        logs
    }

    fn name(claim: &str) -> LogName<'_> {
        let claim = ClaimId::parse(claim).unwrap();
        LogName { worker: w0(), account: "bot", claim, room: "battle-gen9randombattle-1" }
    }

    #[test]
    fn logs_are_recounted_by_who_played() {
        let folder = tempfile::tempdir().unwrap();
        let logs = Logs::new(folder.path().join("logs"));
        assert_eq!(logs.recount(&[]).unwrap(), Recount::default());
        logs.judge(w0()).unwrap();
        let w1 = Worker::new("w1").unwrap();
        logs.judge(&w1).unwrap();
        logs.keep(&name("c1"), WON).unwrap();
        logs.keep(&name("c1"), WON).unwrap();
        logs.keep(&name("c1000"), LOST).unwrap();
        logs.keep(&LogName { account: "rival", ..name("c2") }, LOST).unwrap();
        logs.keep(&name("c3"), "|player|p1|Bot|\n|turn|1\n").unwrap();
        let recount = logs.recount(&[]).unwrap();
        let tally = Tally { wins: 2, losses: 1, ..Tally::default() };
        let expected = BTreeMap::from([(w0().clone(), tally), (w1, Tally::default())]);
        assert_eq!(recount.workers, expected);
        assert_eq!(logs.end(&name("c1000")).unwrap().unwrap().outcome("bot"), Outcome::Loss);
        assert_eq!(logs.end(&name("c4")).unwrap(), None);
    }

    #[test]
    fn a_log_is_read_and_says_how_many_turns_it_took() {
        let folder = tempfile::tempdir().unwrap();
        let logs = judging(folder.path());
        let log = format!("|turn|1\n|turn|2\n|c|a|b|turn|9\n{WON}");
        logs.keep(&name("c1"), &log).unwrap();
        let long = format!("|turn|7\n{}{WON}", "|c|☆Rival|lol\n".repeat(10_000));
        logs.keep(&name("c2"), &long).unwrap();
        logs.keep(&name("c3"), WON).unwrap();
        let turns = ["c1", "c2", "c3", "c4"].map(|claim| logs.turns(&name(claim)).unwrap());
        assert_eq!(turns, [Some(2), Some(7), None, None]);
        assert_eq!(logs.read(&name("c1")).unwrap(), Some(log));
        assert_eq!(logs.read(&name("c4")).unwrap(), None);
    }

    #[test]
    fn thoughts_are_kept_beside_the_log_and_broken_ones_are_none() {
        let folder = tempfile::tempdir().unwrap();
        let logs = Logs::new(folder.path().to_owned());
        logs.judge(w0()).unwrap();
        logs.keep(&name("c1"), WON).unwrap();
        assert_eq!(logs.thoughts(&name("c1")), []);
        let line = r#"{"turn":1,"chosen":"Surf","candidates":[]}"#;
        logs.keep_thoughts(&name("c1"), line).unwrap();
        let kept = Decision { turn: 1, chosen: "Surf".to_owned(), candidates: Vec::new() };
        assert_eq!(logs.thoughts(&name("c1")), [kept]);
        assert_eq!(logs.read(&name("c1")).unwrap().as_deref(), Some(WON), "the log is as it was");
        assert_eq!(logs.recount(&[]).unwrap().workers[w0()].wins, 1, "thoughts are no log");
        logs.keep_thoughts(&name("c1"), "\0\u{fffd}{").unwrap();
        assert_eq!(logs.thoughts(&name("c1")), []);
    }

    #[test]
    fn what_is_reported_names_no_other_file() {
        let over = |room: &str, account: &str| Over {
            claim: ClaimId::parse("c1").unwrap(),
            worker: w0().clone(),
            team: None,
            room: Some(Room { id: room.to_owned(), account: account.to_owned(), opponent: None }),
            ending: Ending::Void,
            rating: None,
            since: Time(0),
            at: Time(0),
        };
        assert!(LogName::of(&over("battle-gen9ou-1", "bot1")).is_some());
        for (room, account) in [
            ("../battle-gen9ou-1", "bot1"),
            ("battle-gen9ou-1", ".."),
            ("battle-gen9ou-1", ""),
            ("battle-gen9ou-1", "a/b"),
            ("/etc/passwd", "bot1"),
            ("", "bot1"),
        ] {
            assert_eq!(LogName::of(&over(room, account)), None, "{room} {account}");
        }
        assert_eq!(LogName::of(&Over { room: None, ..over("", "") }), None);
    }

    #[test]
    fn the_end_of_a_long_log_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let logs = judging(folder.path());
        let long = format!("{}{WON}", "|c|☆Rival|lol\n".repeat(10_000));
        logs.keep(&name("c1"), &long).unwrap();
        assert_eq!(logs.recount(&[]).unwrap().workers[w0()].wins, 1);
    }

    #[test]
    fn chat_that_is_cut_ends_no_battle() {
        let folder = tempfile::tempdir().unwrap();
        let logs = judging(folder.path());
        // What is read first begins at the second bar.
        let rest = |chat: &str| format!("|win|Rival\n|c|a|{chat}\n{WON}");
        let chat = "g".repeat(usize::try_from(limits::LOG_TAIL).unwrap() - rest("").len());
        logs.keep(&name("c1"), &format!("|c|☆Rival|{}", rest(&chat))).unwrap();
        assert_eq!(logs.recount(&[]).unwrap().workers[w0()].wins, 1);
    }

    #[test]
    fn an_end_that_much_is_said_after_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let logs = judging(folder.path());
        let long = format!("{WON}{}", "|c|☆Rival|lol\n".repeat(10_000));
        logs.keep(&name("c1"), &long).unwrap();
        assert_eq!(logs.recount(&[]).unwrap().workers[w0()].wins, 1);
    }

    #[test]
    fn half_a_log_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let logs = judging(folder.path());
        logs.keep(&name("c1"), WON).unwrap();
        let shelf = folder.path().join("logs/w0/bot/0");
        fs::write(shelf.join("c2.battle-gen9randombattle-2.half"), WON).unwrap();
        assert_eq!(logs.recount(&[]).unwrap().workers[w0()].wins, 1);
    }

    #[test]
    fn a_replay_is_saved_of_what_the_rule_names() {
        let all = [Outcome::Win, Outcome::Loss, Outcome::Tie, Outcome::Forfeit];
        let saved = |rule: SaveReplay| all.map(|outcome| rule.wants(outcome));
        assert_eq!(saved(SaveReplay::Always), [true; 4]);
        assert_eq!(saved(SaveReplay::Never), [false; 4]);
        assert_eq!(saved(SaveReplay::OnWin), [true, false, false, false]);
        assert_eq!(saved(SaveReplay::OnLoss), [false, true, false, true]);
    }

    #[test]
    fn no_chat_breaks_out_of_a_replay() {
        let folder = tempfile::tempdir().unwrap();
        let logs = judging(folder.path());
        let evil = "|c|☆Rival|</script><script>alert(1)</script>\n|win|Bot\n";
        let page = fs::read_to_string(logs.save_replay(&name("c1"), evil).unwrap()).unwrap();
        assert_eq!(page.matches("</script>").count(), 2, "only our own");
        assert!(page.contains("<\\/script><script>alert"), "{page}");
    }
}
