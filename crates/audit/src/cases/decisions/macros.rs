//! Macro files, which the service writes and the game client reads while both run.
//!
//! The twin keeps the whole set as one value: a reader gets the set that some write made.

use interlock_kernel::ids::Version;
use interlock_primitives::domain::value::ValueEntity;
use serde::{Deserialize, Serialize};

use super::super::{
    Flaw,
    folder::Folder,
    parts::{File, key, node, read, read_at, replace, said},
};
use crate::{
    node::{Client, Node},
    stage::{Actor, Stage},
};

const MACRO: &str = "heal.txt";
const OLD: &str = "if hp < 30 { heal }";
/// What improvement cycles make of it, in the halves that a file gets it in; and a temporary file that nobody else
/// writes.
const CYCLES: [(&str, [&str; 2], &str); 2] = [
    ("cycle A", ["if hp < 50", " { heal }"], "a.tmp"),
    ("cycle B", ["if hp < 70", " { flee }"], "b.tmp"),
];

fn macro_folder(stage: &Stage) -> Folder {
    let folder = Folder::with(MACRO, OLD);
    let content = folder.clone();
    stage.show(move || content.shown());
    folder
}

/// The game client loads the macro.
async fn load(actor: Actor, folder: Folder) {
    let text = folder.read(&actor, MACRO).await;
    let is_whole = text == OLD || CYCLES.iter().any(|(_, halves, _)| text == halves.concat());
    let broken = || format!("the game client runs a macro that nobody wrote: {text:?}");
    actor.stage().check(is_whole, broken);
}

/// Scenario 4, the risk: "Overwriting macro file while OpenKore is reading it". Without the flaw, its "Atomic Write:
/// Write to temp file, then atomic rename".
pub(super) async fn half_read(stage: Stage, flaw: Flaw) {
    let folder = macro_folder(&stage);
    let written = folder.clone();
    stage.actor("service", |actor| async move {
        let (_, halves, temporary) = CYCLES[0];
        match flaw {
            Flaw::Present => written.write(&actor, MACRO, halves).await,
            Flaw::Absent => written.replace(&actor, (MACRO, temporary), halves).await,
        }
    });
    stage.actor("game client", |actor| load(actor, folder));
    stage.all_done().await;
}

/// Scenario 4, as it is called safe: `temp_path = target_path.with_suffix('.tmp')`, which is one name for everybody
/// who writes this macro. Without the flaw each has a name of its own.
pub(super) async fn shared_temporary(stage: Stage, flaw: Flaw) {
    let folder = macro_folder(&stage);
    for (name, halves, own) in CYCLES {
        let folder = folder.clone();
        let temporary = if flaw.is_present() { "heal.tmp" } else { own };
        stage.actor(name, |actor| async move {
            folder.replace(&actor, (MACRO, temporary), halves).await;
        });
    }
    stage.actor("game client", |actor| load(actor, folder));
    stage.all_done().await;
}

/// Scenario 4 protects a file; two that belong together are replaced by two renames. Without the flaw they are one
/// file.
pub(super) async fn half_replaced(stage: Stage, flaw: Flaw) {
    let files = File::new([1, 1]);
    let shown = files.clone();
    stage.show(move || {
        let [heal, attack] = shown.content();
        format!("heal {heal}, attack {attack}")
    });
    let written = files.clone();
    stage.actor("service", |actor| async move {
        if flaw.is_present() {
            written.replace(&actor, [2, 1]).await;
            actor.says(|| "replaces heal.txt by version 2".to_owned());
        }
        written.replace(&actor, [2, 2]).await;
        actor.says(|| "replaces attack.txt by version 2".to_owned());
    });
    stage.actor("game client", |actor| async move {
        let first = files.read(&actor).await;
        let [heals, _] = first;
        actor.says(|| format!("reads heal.txt, version {heals}"));
        let [_, attacks] = if flaw.is_present() { files.read(&actor).await } else { first };
        actor.says(|| format!("reads attack.txt, version {attacks}"));
        let mixed = || format!("heal of version {heals} runs with attack of version {attacks}");
        actor.stage().check(heals == attacks, mixed);
    });
    stage.all_done().await;
}

/// A generation of the macros: which one, who made it, and what its files say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Set {
    generation: u64,
    by: String,
    heal: String,
    attack: String,
}

impl Set {
    fn new(generation: u64, by: &str) -> Self {
        let file = |name: &str| format!("{name} of generation {generation}, by {by}");
        Self { generation, by: by.to_owned(), heal: file("heal"), attack: file("attack") }
    }
}

/// All macros in one value: two cycles replace it, each the generation that it has seen, while the game client
/// loads one file after the other.
pub(super) async fn set_twin(stage: Stage) {
    let node = node::<ValueEntity>(&stage);
    let mut begin = node.client(&stage.extra("beginning"), "beginning");
    let first = replace(&mut begin, &key("macros"), None, &Set::new(1, "hand")).await;
    stage.check(first == Some(Version(1)), || "the macros cannot be created".to_owned());
    for name in ["cycle-A", "cycle-B"] {
        let node = node.clone();
        stage.actor(name, |actor| async move { improve(&actor, &node, name).await });
    }
    let reader = node.clone();
    stage.actor("game client", |actor| async move {
        let client = reader.client(&actor, "client");
        let mut newest = Version(1);
        for _ in 0..2 {
            newest = load_set(&actor, &client, newest).await;
        }
    });
    stage.all_done().await;
    let actor = stage.extra("afterwards");
    let last = load_set(&actor, &node.client(&actor, "afterwards"), Version(3)).await;
    let lost = || format!("two cycles improved the macros, and their version is {last}");
    stage.check(last == Version(3), lost);
}

/// Writes the next generation, again if somebody else has come in between.
async fn improve(actor: &Actor, node: &Node, name: &str) {
    let mut client = node.client(actor, name);
    loop {
        let kept = read(&client, &key("macros")).await.expect("they were created");
        let seen: Set = said(&kept.content);
        let next = Set::new(seen.generation + 1, name);
        if replace(&mut client, &key("macros"), Some(kept.version), &next).await.is_some() {
            return actor.says(|| format!("writes generation {}", next.generation));
        }
        actor.says(|| "somebody else has replaced them: looks again".to_owned());
    }
}

/// Loads one file, then the other, of the generation that it began with; no older one than before.
async fn load_set(actor: &Actor, client: &Client, known: Version) -> Version {
    let kept = read(client, &key("macros")).await.expect("they were created");
    let version = kept.version;
    let one: Set = said(&kept.content);
    actor.says(|| format!("reads {:?}", one.heal));
    actor.step().await;
    let other: Set = said(&read_at(client, &key("macros"), version).await.content);
    actor.says(|| format!("reads {:?}", other.attack));
    let loaded = Set { heal: one.heal, ..other };
    // Generations are counted as versions are.
    let is_whole = loaded == Set::new(version.0, &loaded.by);
    actor
        .stage()
        .check(is_whole, || format!("at version {version} the game client runs {loaded:?}"));
    actor.stage().check(version >= known, || format!("{version} is read after {known}"));
    version
}
