//! Drift: what memory says of an entity against a recount of the log.
//!
//! The recount folds the entity's records anew, from the snapshot before the newest one if there is one, so
//! that neither the live state nor a snapshot made of it can vouch for itself. A difference is counted per
//! type and logged; the gauge must read zero.

use std::sync::atomic::Ordering;

use interlock_kernel::ids::{Key, Position, Version};

use crate::{
    engine::message::ShowError,
    history::{Chain, Until},
    record,
    runtime::Runtime,
    store::StoreError,
};

/// Why an entity could not be recounted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecountError {
    /// It cannot be shown.
    #[error(transparent)]
    Show(#[from] ShowError),
    /// Its records cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Runtime {
    /// Recounts one entity. False: it differs from its records.
    ///
    /// # Errors
    /// See [`RecountError`].
    pub async fn recount(&self, entity: &str, key: &Key) -> Result<bool, RecountError> {
        let shown = self.show(entity, key).await?;
        if shown.head == Position(0) {
            return Ok(true);
        }
        let codec = self.shared().codecs.get(entity).ok_or(ShowError::UnknownType)?;
        let store = self.env().store();
        let chain =
            Chain::back(store.as_ref(), entity, key.as_str(), shown.head, Until::Recount).await?;
        let mut fold = (codec.fold)();
        let mut same = true;
        for (position, body) in chain.oldest_first() {
            let record = record::parse(position, body)?;
            if let Err(error) = fold.fold(position, &record) {
                tracing::error!(entity, %key, %position, %error, "a recount failed");
                same = false;
                break;
            }
        }
        let version: Version = shown.version;
        let json = |text: Result<Box<serde_json::value::RawValue>, serde_json::Error>| {
            text.map(|json| json.get().to_owned()).unwrap_or_default()
        };
        same = same && fold.version() == version && json(fold.json()) == json((shown.json)());
        let status = self.status().types.get(entity);
        if let Some(status) = status {
            status.recounted.fetch_add(1, Ordering::Relaxed);
            if !same {
                status.drift.fetch_add(1, Ordering::Relaxed);
                tracing::error!(entity, %key, %version, "memory differs from the log");
            }
        }
        Ok(same)
    }

    /// Recounts one recently changed entity of every type.
    pub async fn recount_some(&self) {
        for entity in self.types().collect::<Vec<_>>() {
            let recent = self.recent(entity, 16).await;
            let Ok(count) = u64::try_from(recent.len()) else { continue };
            let Some(chosen) = self.env().random().checked_rem(count) else { continue };
            let chosen = usize::try_from(chosen).ok().and_then(|chosen| recent.get(chosen));
            let Some(resident) = chosen else { continue };
            if let Err(error) = self.recount(entity, &resident.key).await {
                tracing::debug!(entity, key = %resident.key, %error, "a recount was put off");
            }
        }
    }
}
