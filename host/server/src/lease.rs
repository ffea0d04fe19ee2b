//! The lease of a generation that one host works on at a time: who builds it, runs it, or moves it on. It saves work; what keeps two
//! hosts from writing is the epoch.

use std::sync::Arc;
use std::time::Duration;

use reel_projector::chain;
use reel_read_model::{CatalogError, GenerationId, Target};
use tokio::task::JoinHandle;
use uuid::Uuid;

/// How long it holds when nobody keeps it: as long as a generation rests whose host was killed.
pub(crate) const LASTS: Duration = Duration::from_secs(5);
/// How often it is kept.
const EVERY: Duration = Duration::from_secs(1);

/// A lease that is kept until it is dropped.
pub(crate) struct Lease {
    target: Arc<dyn Target>,
    id: GenerationId,
    holder: Uuid,
    keeping: JoinHandle<()>,
}

impl Lease {
    /// Takes the lease of a generation; nothing where somebody else holds it.
    pub(crate) async fn take(
        target: &Arc<dyn Target>,
        id: GenerationId,
        holder: Uuid,
    ) -> Result<Option<Lease>, CatalogError> {
        if !target.lease(id, holder, LASTS).await? {
            return Ok(None);
        }
        let kept = Arc::clone(target);
        let keeping = tokio::spawn(async move {
            loop {
                tokio::time::sleep(EVERY).await;
                if let Err(error) = kept.lease(id, holder, LASTS).await {
                    tracing::debug!(error = chain(&error), "a lease cannot be kept");
                }
            }
        });
        Ok(Some(Lease { target: Arc::clone(target), id, holder, keeping }))
    }

    /// Gives it back at once.
    pub(crate) async fn release(self) {
        self.keeping.abort();
        release(&self.target, self.id, self.holder).await;
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.keeping.abort();
    }
}

/// Gives a lease back; where that does not work, it lapses.
pub(crate) async fn release(target: &Arc<dyn Target>, id: GenerationId, holder: Uuid) {
    if let Err(error) = target.release(id, holder).await {
        tracing::debug!(error = chain(&error), "a lease cannot be given back; it ends by itself");
    }
}
