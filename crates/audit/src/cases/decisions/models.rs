//! Models that are trained while others predict.
//!
//! The twins keep what a model consists of as one value: it is written when it is fitted, and a prediction
//! names the version that it began with.

use interlock_kernel::ids::Version;
use interlock_primitives::domain::value::ValueEntity;

use super::super::parts::{Shared, key, node, read, read_at, replace, said};
use crate::stage::{Actor, Stage};

/// The model of the cold start: none yet, made, fitted.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Model {
    None,
    Unfitted,
    Fitted,
}

/// Scenario 5: the new model is in its place before it is fitted.
pub(super) async fn unfitted(stage: Stage) {
    let model = Shared::new(Model::None);
    let shown = model.clone();
    stage.show(move || {
        let words = match shown.get() {
            Model::None => "no model",
            Model::Unfitted => "unfitted model",
            Model::Fitted => "fitted model",
        };
        words.to_owned()
    });
    let trained = model.clone();
    stage.actor("training", |actor| async move {
        *trained.lock() = Model::Unfitted;
        actor.says(|| "self.model = Forest()".to_owned());
        // Fitting takes seconds, in another thread.
        actor.step().await;
        *trained.lock() = Model::Fitted;
        actor.says(|| "self.model.fit(samples)".to_owned());
    });
    stage.actor("prediction", |actor| async move {
        let used = model.get();
        if used == Model::None {
            return actor.says(|| "no model: asks the rules".to_owned());
        }
        actor.says(|| "there is a model: predicts".to_owned());
        let unfitted = || "a prediction uses a model that is not fitted".to_owned();
        actor.stage().check(used == Model::Fitted, unfitted);
    });
    stage.all_done().await;
}

/// A model, as far as it can go wrong: the version of its scaler, that of its trees, whether it is fitted.
type Stored = (u32, u32, bool);

/// What is stored is fitted.
pub(super) async fn unfitted_twin(stage: Stage) {
    let node = node::<ValueEntity>(&stage);
    let trained = node.clone();
    stage.actor("training", |actor| async move {
        let mut client = trained.client(&actor, "training");
        // Fitting, on a model that nobody else has.
        actor.step().await;
        let fitted: Stored = (1, 1, true);
        let written = replace(&mut client, &key("model"), None, &fitted).await;
        actor.stage().check(written.is_some(), || "the model cannot be stored".to_owned());
        actor.says(|| "stores the fitted model".to_owned());
    });
    stage.actor("prediction", |actor| async move {
        let client = node.client(&actor, "prediction");
        let Some(kept) = read(&client, &key("model")).await else {
            return actor.says(|| "no model: asks the rules".to_owned());
        };
        let (_, _, is_fitted) = said::<Stored>(&kept.content);
        actor.says(|| "there is a model: predicts".to_owned());
        let unfitted = || "a prediction uses a model that is not fitted".to_owned();
        actor.stage().check(is_fitted, unfitted);
    });
    stage.all_done().await;
}

fn check_same(actor: &Actor, scaler: u32, trees: u32) {
    let mixed = || {
        format!("scaled as for model {scaler}, predicted with model {trees}: a meaningless number")
    };
    actor.stage().check(scaler == trees, mixed);
}

/// Scenario 5: a prediction looks at the model twice, and it is another one.
pub(super) async fn swapped(stage: Stage) {
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
        let trees = model.get();
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
            let fitted: Stored = (number, number, true);
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
        let (scaler, _, _) = said::<Stored>(&kept.content);
        actor.says(|| format!("scales what it sees as model {scaler} wants it"));
        actor.step().await;
        let kept = read_at(&client, &key("model"), kept.version).await;
        let (_, trees, _) = said::<Stored>(&kept.content);
        actor.says(|| format!("predicts with model {trees}"));
        check_same(&actor, scaler, trees);
    });
    stage.all_done().await;
}
