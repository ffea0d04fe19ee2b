//! Rows that builds put aside and that nobody goes on from: a generation was dropped, or built by another host, while this one was away. The
//! catalog decides, by its entry of the very generation that the record names; what it does not know stays, whatever it is called.

use std::path::Path;

use reel_projector::chain;
use reel_read_model::{CatalogError, GenerationId, GenerationState};

use super::record::{Owner, Record};
use super::spill::discard;
use crate::host::Targets;

/// Lets go of them.
pub(crate) async fn let_go_of_orphans(spill_dir: &Path, targets: &Targets) {
    // Nothing was put aside here yet.
    let Ok(directories) = std::fs::read_dir(spill_dir) else { return };
    for directory in directories.flatten().map(|entry| entry.path()).filter(|path| path.is_dir()) {
        let owner = match Record::read(&directory) {
            Ok(Some(record)) => record.owner,
            Ok(None) => continue,
            Err(unfit) => {
                tracing::debug!(directory = %directory.display(), %unfit, "left alone");
                continue;
            }
        };
        let at_home = directory.file_name().is_some_and(|name| name == owner.directory().as_str());
        if at_home && is_over(&owner, targets).await {
            tracing::info!(
                projection = %owner.projection, number = owner.number, target = %owner.target,
                "what a build put aside is let go of: it will not go on"
            );
            discard(directory).await;
        }
    }
}

/// Whether the catalog knows the generation, and that it is not to be built any more.
async fn is_over(owner: &Owner, targets: &Targets) -> bool {
    let Some(target) = targets.iter().find(|target| target.name() == owner.target) else { return false };
    match target.generation(GenerationId(owner.id)).await {
        // Else it is one of another database that had this name.
        Ok(generation) => Owner::of(target.name(), &generation) == *owner && generation.state != GenerationState::Build,
        Err(CatalogError::NotFound(_)) => false,
        Err(error) => {
            tracing::debug!(target = target.name(), error = chain(&error), "the catalog is not looked at");
            false
        }
    }
}
