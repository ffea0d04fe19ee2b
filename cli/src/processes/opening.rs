//! Opening what a process needs. What does not answer is tried again until it does, and named meanwhile; only what trying again cannot
//! mend ends the process.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use reel_event_log::{EventStore, StoreError};
use reel_projector::{ReadModelError, chain};
use reel_read_model::{CatalogError, Target};

use super::readiness::{Need, Readiness, Weight};
use crate::config::{Address, Config};
use crate::error::CliError;

const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Why something could not be done, by what comes next.
pub(super) enum Failed {
    /// Try again.
    Passing(String),
    /// The process ends.
    ForGood(CliError),
}

impl Failed {
    /// Worth trying again.
    pub(super) fn passing(action: &str, error: &dyn std::error::Error) -> Failed {
        Failed::Passing(format!("{action}: {}", chain(error)))
    }
}

/// Tries until it works, or never will.
pub(super) async fn with_patience<T>(attempt: impl AsyncFnMut() -> Result<T, Failed>) -> Result<T, CliError> {
    patiently(attempt, |_| {}).await
}

async fn patiently<T>(
    mut attempt: impl AsyncFnMut() -> Result<T, Failed>,
    mut note: impl FnMut(&str),
) -> Result<T, CliError> {
    let mut pause = FIRST_PAUSE;
    loop {
        match attempt().await {
            Ok(done) => return Ok(done),
            Err(Failed::ForGood(error)) => return Err(error),
            Err(Failed::Passing(why)) => {
                tracing::warn!("{why}; trying again in {} ms", pause.as_millis());
                note(&why);
            }
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// Opens the event store.
pub(super) async fn open_store(config: &Config, readiness: &Readiness) -> Result<Arc<dyn EventStore>, CliError> {
    make(&config.data)?;
    let need = readiness.need("store", &config.store, Weight::Needed);
    let url = &config.store;
    let opening =
        async || reel_event_log::open_store(url.whole(), config.limits).await.map_err(|error| store_failed(url, error));
    let store = patiently(opening, |why| readiness.waits(need, why)).await?;
    readiness.opened(need, Need::Store(Arc::clone(&store)));
    Ok(store)
}

fn make(data: &Path) -> Result<(), CliError> {
    let shown = data.display();
    std::fs::create_dir_all(data)
        .map_err(|error| CliError::caused(format!("the data directory {shown} cannot be made"), error))
}

/// What it means for the process.
pub(super) fn store_failed(url: &Address, error: StoreError) -> Failed {
    match error {
        StoreError::InUse { location } => Failed::ForGood(CliError::Conflict(format!(
            "{location} is in use: another reel runs on it; stop that one, or give this one its own --data DIR"
        ))),
        // A file that cannot be opened now will not be later either.
        error @ StoreError::Unavailable { .. } if url.scheme() != "sqlite" => {
            Failed::passing("the event store cannot be opened", &error)
        }
        error => Failed::ForGood(CliError::caused(format!("the event store {url} cannot be opened"), error)),
    }
}

/// Opens the read databases, the default one first.
pub(super) async fn open_targets(config: &Config, readiness: &Readiness) -> Result<Vec<Arc<dyn Target>>, CliError> {
    make(&config.data)?;
    let needs: Vec<usize> = config
        .targets
        .iter()
        .enumerate()
        .map(|(place, (name, url))| {
            let weight = if place == 0 { Weight::Needed } else { Weight::Told };
            readiness.need(&format!("target {name}"), url, weight)
        })
        .collect();
    let mut opened = Vec::with_capacity(config.targets.len());
    for ((name, url), need) in config.targets.iter().zip(needs) {
        let attempt =
            async || reel_read_model::open(name, url.whole()).await.map_err(|error| target_failed(name, url, error));
        let target = patiently(attempt, |why| readiness.waits(need, why)).await?;
        readiness.opened(need, Need::Target(Arc::clone(&target)));
        opened.push(target);
    }
    Ok(opened)
}

fn target_failed(name: &str, url: &Address, error: CatalogError) -> Failed {
    let what = format!("the read database {name} ({url}) cannot be opened");
    match error {
        CatalogError::ReadModel(ReadModelError::Unavailable { source, .. }) => Failed::passing(&what, &*source),
        error => Failed::ForGood(CliError::caused(what, error)),
    }
}
