//! Who answers a turn: clicks, free text, the countdown; and who starts again after a death.
//!
//! The twins let a turn decide: the first value posted to it wins, later ones learn the winner, and only the
//! winner runs the engine.

use std::collections::BTreeSet;

use interlock_kernel::time::Millis;
use interlock_primitives::domain::turn::{TurnEntity, TurnView};

use super::super::{
    Flaw,
    parts::{Shared, key, lives, node, post, said, unexpected},
};
use crate::{
    node::Client,
    stage::{Actor, Stage},
};

/// How long a player may think.
const COUNTDOWN: Millis = Millis::from_secs(15);

/// The story as the bot holds it, at its first turn.
#[derive(Default)]
struct Story {
    /// What the engine ran the turn with.
    answers: Vec<&'static str>,
    /// Whether its buttons are disabled although it has not run.
    is_disabled: bool,
    /// The lock on free text.
    is_locked: bool,
    countdown_is_cancelled: bool,
}

/// Begins a story, and shows where it is.
fn story(stage: &Stage) -> Shared<Story> {
    let story = Shared::<Story>::default();
    let shown = story.clone();
    stage.show(move || told(&shown.lock().answers));
    story
}

fn told(answers: &[&str]) -> String {
    match answers {
        [] => "turn 1".to_owned(),
        answers => format!("turn {}: {}", answers.len() + 1, answers.join(", ")),
    }
}

/// Runs the engine on turn 1: only then do its buttons vanish.
async fn run_turn(actor: &Actor, story: &Shared<Story>, answer: &'static str) {
    actor.says(|| format!("runs turn 1 with {answer:?}"));
    // advance_turn_image_fast: the scene and the image, in another thread.
    actor.step().await;
    story.lock().answers.push(answer);
    actor.says(|| format!("{answer:?} moves the story on"));
    check_once(actor.stage(), &story.lock().answers);
}

fn check_once(stage: &Stage, answers: &[&str]) {
    let twice = || format!("turn 1 was answered {} times: {}", answers.len(), answers.join(", "));
    stage.check(answers.len() <= 1, twice);
}

/// Whether a player can still press something.
fn is_open(actor: &Actor, story: &Shared<Story>) -> bool {
    let is_over = {
        let story = story.lock();
        story.is_disabled || !story.answers.is_empty()
    };
    if is_over {
        actor.says(|| "finds the buttons gone".to_owned());
    }
    !is_over
}

/// Bug 1: a click is deferred, which takes an await, and then runs the turn. Without the flaw, "IMMEDIATELY disable
/// ALL buttons before processing".
pub(super) async fn double_click(stage: Stage, flaw: Flaw) {
    let story = story(&stage);
    for (name, choice) in [("first click", "north"), ("second click", "south")] {
        let story = story.clone();
        stage.actor(name, |actor| async move {
            if !is_open(&actor, &story) {
                return;
            }
            actor.says(|| format!("clicks {choice:?}"));
            story.lock().is_disabled = !flaw.is_present();
            // interaction.response.defer()
            actor.step().await;
            run_turn(&actor, &story, choice).await;
        });
    }
    stage.all_done().await;
}

/// The same with free text: its lock is let go of when the text is accepted, not when the turn has run.
pub(super) async fn free_text(stage: Stage, flaw: Flaw) {
    let story = story(&stage);
    for (name, text) in [("first text", "dig"), ("second text", "hide")] {
        let story = story.clone();
        stage.actor(name, |actor| async move {
            if !is_open(&actor, &story) {
                return;
            }
            if std::mem::replace(&mut story.lock().is_locked, true) {
                return actor.says(|| format!("sends {text:?}: please wait"));
            }
            actor.says(|| format!("sends {text:?}, takes the lock"));
            // The modal is closed, the text shown in the channel.
            actor.step().await;
            if flaw.is_present() {
                story.lock().is_locked = false;
                actor.says(|| format!("{text:?} is accepted, lets go of the lock"));
            }
            run_turn(&actor, &story, text).await;
            story.lock().is_locked = false;
        });
    }
    stage.all_done().await;
}

/// The countdown is cancelled by a click, but what it runs in another thread is not. Without the flaw it disables
/// the buttons before it runs the turn.
pub(super) async fn countdown(stage: Stage, flaw: Flaw) {
    let story = story(&stage);
    let timed = story.clone();
    stage.actor("countdown", |actor| async move {
        actor.sleep(COUNTDOWN).await;
        if timed.lock().countdown_is_cancelled {
            return actor.says(|| "is cancelled".to_owned());
        }
        actor.says(|| "time is up".to_owned());
        timed.lock().is_disabled = !flaw.is_present();
        run_turn(&actor, &timed, "stay").await;
    });
    stage.actor("player", |actor| async move {
        actor.sleep(COUNTDOWN).await;
        if !is_open(&actor, &story) {
            return;
        }
        story.lock().countdown_is_cancelled = true;
        actor.says(|| "clicks \"north\", cancels the countdown".to_owned());
        run_turn(&actor, &story, "north").await;
    });
    stage.all_done().await;
}

/// After a death both a timer and a button start again. Without the flaw, whoever does says so before it awaits
/// anything: an "event flag".
pub(super) async fn restarts(stage: Stage, flaw: Flaw) {
    // The number of the run, and whether its hero is dead.
    let game = Shared::new((1, true));
    let shown = game.clone();
    stage.show(move || {
        let (run, is_dead) = shown.get();
        format!("run {run}, {}", if is_dead { "dead" } else { "alive" })
    });
    for (name, what) in [("timer", "ten seconds have passed"), ("button", "play again")] {
        let game = game.clone();
        stage.actor(name, |actor| async move {
            if !game.lock().1 {
                return actor.says(|| "finds the hero alive".to_owned());
            }
            actor.says(|| format!("{what}: the hero is dead"));
            game.lock().1 = flaw.is_present();
            // The tape of the last run is cut and sent.
            actor.step().await;
            let run = {
                let mut game = game.lock();
                *game = (game.0 + 1, false);
                game.0
            };
            actor.says(|| format!("starts run {run}"));
            let twice = || format!("one death was followed by {} restarts", run - 1);
            actor.stage().check(run <= 2, twice);
        });
    }
    stage.all_done().await;
}

/// Somebody who answers a turn, and when.
#[derive(Clone, Copy)]
struct Contender {
    name: &'static str,
    answer: &'static str,
    after: Millis,
}

const fn contender(name: &'static str, answer: &'static str) -> Contender {
    Contender { name, answer, after: Millis(0) }
}

pub(super) async fn double_click_twin(stage: Stage) {
    contest(stage, "story", [contender("click A", "north"), contender("click B", "south")]).await;
}

pub(super) async fn free_text_twin(stage: Stage) {
    contest(stage, "story", [contender("text A", "dig"), contender("text B", "hide")]).await;
}

pub(super) async fn countdown_twin(stage: Stage) {
    let countdown = Contender { after: COUNTDOWN, ..contender("countdown", "stay") };
    let player = Contender { after: COUNTDOWN, ..contender("player", "north") };
    contest(stage, "story", [countdown, player]).await;
}

/// Each death is a turn of its own: whoever wins it starts again.
pub(super) async fn restarts_twin(stage: Stage) {
    let contenders = [contender("timer", "timer"), contender("button", "button")];
    contest(stage, "deaths", contenders).await;
}

/// Everybody posts to turn 1; the engine runs for its winner. Whoever is killed asks again who has won.
async fn contest(stage: Stage, name: &'static str, contenders: [Contender; 2]) {
    let node = node::<TurnEntity>(&stage);
    // What the engine ran the turn with. Run again with the same answer, it changes nothing.
    let answers = Shared::<BTreeSet<&'static str>>::default();
    let shown = answers.clone();
    stage.show(move || told(&Vec::from_iter(shown.get())));
    for contender in contenders {
        let (node, answers) = (node.clone(), answers.clone());
        stage.actor(contender.name, |actor| async move {
            let life = |life| {
                let client = node.client(&actor, &format!("{}-{life}", contender.answer));
                contend(actor.clone(), client, name, contender, answers.clone())
            };
            lives(&actor, life).await;
        });
    }
    stage.all_done().await;
    let answers = answers.get();
    let client = node.client(&stage.extra("afterwards"), "afterwards");
    let view = match client.view::<TurnEntity>(&key(name)).await {
        Ok(view) => view,
        Err(error) => unexpected(&error),
    };
    let Ok(TurnView { next_turn, last, .. }) = view.state.view(view.version) else {
        return stage.violation("nobody has answered".to_owned());
    };
    stage.check(next_turn.get() == 2, || format!("the next turn is {next_turn}"));
    let winner: Option<String> = last.map(|last| said(last.value));
    let same = answers.len() == 1 && answers.first().copied() == winner.as_deref();
    stage.check(same, || format!("turn 1 was run with {answers:?}, and won by {winner:?}"));
}

async fn contend(
    actor: Actor,
    mut client: Client,
    name: &'static str,
    contender: Contender,
    answers: Shared<BTreeSet<&'static str>>,
) {
    let Contender { answer, after, .. } = contender;
    actor.sleep(after).await;
    let result = post(&mut client, &key(name), 1, answer).await;
    let winner: String = said(&result.value);
    // It may have won in the life before, and not have heard of it.
    if winner != answer {
        return actor.says(|| format!("turn 1 was won by {winner:?}"));
    }
    actor.says(|| "has won turn 1".to_owned());
    actor.step().await;
    answers.lock().insert(answer);
    actor.says(|| format!("{answer:?} moves the story on"));
    check_once(actor.stage(), &Vec::from_iter(answers.get()));
}
