//! The log of an event store, sealed into segments beside it.

use std::num::NonZeroU32;
use std::path::{Path, PathBuf};

use reel_event_log::archive::{Archive, SegmentBuilder};
use reel_event_log::{EventStore, ReadLimit};

use crate::error::BenchError;

/// Where the segments of the store at `path` are.
pub(crate) fn beside(path: &Path) -> PathBuf {
    path.with_extension("archive")
}

/// Opens the archive in `folder`.
pub(crate) fn open(folder: &Path) -> Result<Archive, BenchError> {
    let url = folder.to_str().ok_or_else(|| BenchError::Failed("the directory's name is not UTF-8".into()))?;
    Archive::open(url).map_err(BenchError::doing("opening the archive"))
}

/// Seals every full range that is not sealed yet, as the sealer does, but as fast as it goes.
pub(crate) async fn seal(store: &dyn EventStore, folder: &Path) -> Result<(), BenchError> {
    std::fs::create_dir_all(folder).map_err(BenchError::doing("making the archive's directory"))?;
    let archive = open(folder)?;
    let log = store.log_id();
    let sealed = archive.segments(log).await.map_err(BenchError::doing("listing the archive"))?;
    let mut after = sealed.last().map_or(0, |last| last.name.last);
    let mut builder = SegmentBuilder::new(log, after + 1);
    loop {
        let read = store.read(after, ReadLimit::events(20_000)).await;
        let events = read.map_err(BenchError::doing("reading the event store"))?;
        if events.is_empty() {
            return Ok(());
        }
        for event in events.iter() {
            builder.push(event);
            after = event.position;
            if builder.is_full() {
                let full = std::mem::replace(&mut builder, SegmentBuilder::new(log, after + 1));
                archive.put(full.seal(NonZeroU32::MIN)).await.map_err(BenchError::doing("writing a segment"))?;
            }
        }
    }
}
