//! The manifests of a catalog's components, which are read once.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use reel_projector::Manifest;

use super::entries::Unreadable;

/// Manifests by the digest of their component, each read once.
#[derive(Debug, Default)]
pub(crate) struct Manifests(Mutex<HashMap<String, Arc<Manifest>>>);

impl Manifests {
    /// The manifest of the component, if it was seen before.
    pub(crate) fn get(&self, digest: &str) -> Option<Arc<Manifest>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(digest).cloned()
    }

    /// Remembers the manifest of a component.
    pub(crate) fn put(&self, digest: &str, manifest: &Arc<Manifest>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(digest.to_owned(), Arc::clone(manifest));
    }

    /// Reads and remembers the manifest of a component.
    pub(crate) fn read(&self, digest: &str, json: &str) -> Result<Arc<Manifest>, Unreadable> {
        let manifest = Manifest::parse(json)
            .map_err(|error| Unreadable(format!("the manifest kept for component {digest} cannot be read: {error}")))?;
        let manifest = Arc::new(manifest);
        self.put(digest, &manifest);
        Ok(manifest)
    }
}
