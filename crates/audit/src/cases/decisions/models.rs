//! Models that are trained while others predict.
//!
//! The twins keep what a model consists of as one value: it is written when it is fitted, and a prediction
//! names the version that it began with.

use interlock_kernel::ids::Version;
use interlock_primitives::domain::value::ValueEntity;

use super::super::{
    Flaw,
    parts::{Shared, key, node, read, read_at, replace, said},
};
use crate::{
    node::Client,
    stage::{Actor, Stage},
};

/// The forest of the cold start, tree by tree. It is fitted when all have grown.
type Forest = Vec<u32>;

/// What its samples make of it.
const FITTED: [u32; 3] = [30, 50, 70];

fn predict(actor: &Actor, model: Option<Forest>) {
    let Some(forest) = model else {
        return actor.says(|| "no model: asks the rules".to_owned());
    };
    actor.says(|| format!("there is a model: predicts with {} trees", forest.len()));
    let unfitted = || format!("a prediction uses a model that is not fitted: {forest:?}");
    actor.stage().check(forest == FITTED, unfitted);
}

/// Scenario 5, "Loading new model while predictions are in-flight": the new model is in its place before it is
/// fitted. Without the flaw it is put there when it is.
pub(super) async fn unfitted(stage: Stage, flaw: Flaw) {
    let model = Shared::<Option<Forest>>::default();
    let shown = model.clone();
    stage.show(move || match shown.get() {
        None => "no model".to_owned(),
        Some(forest) => format!("a model of {} trees", forest.len()),
    });
    let trained = model.clone();
    stage.actor("training", |actor| async move {
        let mut forest = Forest::new();
        if flaw.is_present() {
            *trained.lock() = Some(forest.clone());
            actor.says(|| "self.model = Forest()".to_owned());
        }
        // Fitting takes seconds, in another thread.
        actor.step().await;
        forest.extend(FITTED);
        *trained.lock() = Some(forest);
        actor.says(|| "self.model.fit(samples)".to_owned());
    });
    stage.actor("prediction", |actor| async move { predict(&actor, model.get()) });
    stage.all_done().await;
}

/// A model's two steps: the version of its scaler, and that of its trees.
type Stored = (u32, u32);

/// What is stored is fitted: whoever predicts meanwhile gets all of its trees, or asks the rules.
pub(super) async fn unfitted_twin(stage: Stage) {
    let node = node::<ValueEntity>(&stage);
    let trained = node.clone();
    stage.actor("training", |actor| async move {
        let mut client = trained.client(&actor, "training");
        let mut forest = Forest::new();
        for tree in FITTED {
            // Fitting, of a model that nobody else has.
            actor.step().await;
            forest.push(tree);
        }
        let written = replace(&mut client, &key("model"), None, &forest).await;
        actor.stage().check(written.is_some(), || "the model cannot be stored".to_owned());
        actor.says(|| "stores the fitted model".to_owned());
        predict(&actor, stored(&client).await);
    });
    let predicts = node.clone();
    stage.actor("prediction", |actor| async move {
        let client = predicts.client(&actor, "prediction");
        for _ in 0..2 {
            predict(&actor, stored(&client).await);
            actor.step().await;
        }
    });
    stage.all_done().await;
    let model = stored(&node.client(&stage.extra("afterwards"), "afterwards")).await;
    let lost = || format!("the model that was stored is {model:?} afterwards");
    stage.check(model.as_deref() == Some(&FITTED), lost);
}

async fn stored(client: &Client) -> Option<Forest> {
    read(client, &key("model")).await.map(|kept| said(&kept.content))
}

fn check_same(actor: &Actor, scaler: u32, trees: u32) {
    let mixed = || {
        format!("scaled as for model {scaler}, predicted with model {trees}: a meaningless number")
    };
    actor.stage().check(scaler == trees, mixed);
}

/// Scenario 5, "Implement atomic model swap": a prediction looks at the model twice, and it is another one. Without
/// the flaw it looks once, and holds on to what it got.
pub(super) async fn swapped(stage: Stage, flaw: Flaw) {
    let model = Shared::new(1);
    let shown = model.clone();
    stage.show(move || format!("model {}", shown.get()));
    let swapped = model.clone();
    stage.actor("training", |actor| async move {
        actor.step().await;
        *swapped.lock() = 2;
        actor.says(|| "puts model 2 in its place".to_owned());
    });
    stage.actor("prediction", |actor| async move {
        let scaler = model.get();
        actor.says(|| format!("scales what it sees as model {scaler} wants it"));
        actor.step().await;
        let trees = if flaw.is_present() { model.get() } else { scaler };
        actor.says(|| format!("predicts with model {trees}"));
        check_same(&actor, scaler, trees);
    });
    stage.all_done().await;
}

/// A prediction stays with the version that it began with; a swap makes a new one.
pub(super) async fn swapped_twin(stage: Stage) {
    let node = node::<ValueEntity>(&stage);
    let trained = node.clone();
    stage.actor("training", |actor| async move {
        let mut client = trained.client(&actor, "training");
        let mut seen: Option<Version> = None;
        for number in 1..=3 {
            let fitted: Stored = (number, number);
            seen = replace(&mut client, &key("model"), seen, &fitted).await;
            actor.stage().check(seen.is_some(), || "the only writer is refused".to_owned());
            actor.says(|| format!("stores model {number}"));
        }
    });
    stage.actor("prediction", |actor| async move {
        let client = node.client(&actor, "prediction");
        let Some(kept) = read(&client, &key("model")).await else {
            return actor.says(|| "no model: asks the rules".to_owned());
        };
        let (scaler, _) = said::<Stored>(&kept.content);
        actor.says(|| format!("scales what it sees as model {scaler} wants it"));
        actor.step().await;
        let kept = read_at(&client, &key("model"), kept.version).await;
        let (_, trees) = said::<Stored>(&kept.content);
        actor.says(|| format!("predicts with model {trees}"));
        check_same(&actor, scaler, trees);
    });
    stage.all_done().await;
}
