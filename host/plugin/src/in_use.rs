//! Components that somebody uses now, so that all shards of a generation share one that was compiled once.
//!
//! Not here: compiled components on disk, which outlive the process (`engine`).

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use crate::error::PluginError;
use crate::load::Shared;

/// By digest of their bytes. What nobody uses any more is forgotten.
#[derive(Default)]
pub(crate) struct InUse {
    slots: Mutex<HashMap<blake3::Hash, Arc<Slot>>>,
}

#[derive(Default)]
struct Slot(Mutex<Weak<Shared>>);

impl InUse {
    /// The component of these bytes: the one in use, or a new one of `load`, for which everybody waits who asks for the same bytes
    /// meanwhile. What `load` refuses is tried again by the next.
    pub(crate) fn get(
        &self,
        bytes: &[u8],
        load: impl FnOnce() -> Result<Shared, PluginError>,
    ) -> Result<Arc<Shared>, PluginError> {
        let slot = self.slot(blake3::hash(bytes));
        let mut component = lock(&slot.0);
        if let Some(component) = component.upgrade() {
            return Ok(component);
        }
        let loaded = Arc::new(load()?);
        *component = Arc::downgrade(&loaded);
        Ok(loaded)
    }

    fn slot(&self, digest: blake3::Hash) -> Arc<Slot> {
        let mut slots = lock(&self.slots);
        // Who waits for a slot holds it, too.
        slots.retain(|known, slot| *known == digest || Arc::strong_count(slot) > 1 || lock(&slot.0).strong_count() > 0);
        Arc::clone(slots.entry(digest).or_default())
    }
}

/// Nothing is left half changed: a panic while loading leaves the slot as it was.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
