//! Macro files, which the service writes and the game client reads while both run.
//!
//! The twin keeps the whole set as one value: a reader gets the set that some write made.

use interlock_kernel::ids::Version;
use interlock_primitives::domain::value::ValueEntity;

use super::super::parts::{File, key, node, read, replace, said};
use crate::stage::{Actor, Stage};

/// A macro before and after an improvement, the new one in the halves that its file gets it in.
const OLD: &str = "if hp < 30 { heal }";
const NEW: [&str; 2] = ["if hp < 50", " { heal }"];
/// What a second writer makes of it.
const OTHER: [&str; 2] = ["if hp < 70", " { flee }"];

fn check_whole(actor: &Actor, text: &str) {
    actor.says(|| format!("reads {text:?}"));
    let is_whole = text == OLD || text == NEW.concat() || text == OTHER.concat();
    actor
        .stage()
        .check(is_whole, || format!("the game client runs a macro that nobody wrote: {text:?}"));
}

fn macro_file(stage: &Stage) -> File<String> {
    let file = File::new(OLD.to_owned());
    let content = file.clone();
    stage.show(move || content.content());
    file
}

/// Scenario 4, the risk: the file is written in place.
pub(super) async fn half_read(stage: Stage) {
    let file = macro_file(&stage);
    let written = file.clone();
    stage.actor("service", |actor| async move { written.overwrite(&actor, NEW).await });
    stage.actor("game client", |actor| async move {
        let text = file.read(&actor).await;
        check_whole(&actor, &text);
    });
    stage.all_done().await;
}

/// Scenario 4, as it is called safe: written elsewhere and renamed. But that place has one name,
/// `target.with_suffix('.tmp')`, for everybody who writes this macro.
pub(super) async fn shared_temporary(stage: Stage) {
    let (file, temporary) = (File::new(OLD.to_owned()), File::new(String::new()));
    let shown = (file.clone(), temporary.clone());
    stage.show(move || format!("{}, temporary: {}", shown.0.content(), shown.1.content()));
    for (name, halves) in [("cycle A", NEW), ("cycle B", OTHER)] {
        let (file, temporary) = (file.clone(), temporary.clone());
        stage.actor(name, |actor| async move {
            temporary.overwrite(&actor, halves).await;
            actor.step().await;
            // One step, as a rename is.
            let content = temporary.content();
            file.set(content);
            actor.says(|| "renames the temporary file".to_owned());
        });
    }
    stage.all_done().await;
    let client = stage.extra("game client");
    check_whole(&client, &file.content());
}

/// Two files that belong together, each replaced by a rename.
pub(super) async fn half_replaced(stage: Stage) {
    let (heal, attack) = (File::new(1), File::new(1));
    let shown = (heal.clone(), attack.clone());
    stage.show(move || format!("heal {}, attack {}", shown.0.content(), shown.1.content()));
    let written = (heal.clone(), attack.clone());
    stage.actor("service", |actor| async move {
        written.0.replace(&actor, 2).await;
        actor.says(|| "replaces heal.txt by version 2".to_owned());
        written.1.replace(&actor, 2).await;
        actor.says(|| "replaces attack.txt by version 2".to_owned());
    });
    stage.actor("game client", |actor| async move {
        let heals = heal.read(&actor).await;
        actor.says(|| format!("reads heal.txt, version {heals}"));
        let attacks = attack.read(&actor).await;
        actor.says(|| format!("reads attack.txt, version {attacks}"));
        let mixed = || format!("heal of version {heals} runs with attack of version {attacks}");
        actor.stage().check(heals == attacks, mixed);
    });
    stage.all_done().await;
}

/// A set of macros, and who wrote it.
type Set = [String; 2];

fn set(of: &str) -> Set {
    ["heal", "attack"].map(|name| format!("{name} as {of} wants it"))
}

/// All macros in one value; two cycles replace it, each what it has seen.
pub(super) async fn set_twin(stage: Stage) {
    let node = node::<ValueEntity>(&stage);
    for name in ["cycle-A", "cycle-B"] {
        let node = node.clone();
        stage.actor(name, |actor| async move {
            let mut client = node.client(&actor, name);
            loop {
                let seen = read(&client, &key("macros")).await.map(|kept| kept.version);
                let written = replace(&mut client, &key("macros"), seen, &set(name)).await;
                if written.is_some() {
                    return actor.says(|| "replaces the macros".to_owned());
                }
                actor.says(|| "somebody else has replaced them: looks again".to_owned());
            }
        });
    }
    let reader = node.clone();
    stage.actor("game client", |actor| async move {
        let client = reader.client(&actor, "client");
        for _ in 0..2 {
            let Some(kept) = read(&client, &key("macros")).await else { continue };
            let macros: Set = said(&kept.content);
            actor.says(|| format!("reads {macros:?}"));
            let is_whole = macros == set("cycle-A") || macros == set("cycle-B");
            actor.stage().check(is_whole, || format!("the game client runs {macros:?}"));
        }
    });
    stage.all_done().await;
    let client = node.client(&stage.extra("afterwards"), "afterwards");
    let kept = read(&client, &key("macros")).await;
    let version = kept.map(|kept| kept.version);
    let lost = || format!("two cycles improved the macros, and their version is {version:?}");
    stage.check(version == Some(Version(2)), lost);
}
