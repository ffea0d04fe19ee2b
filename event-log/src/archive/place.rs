//! Where segments are kept: a directory, or object storage, through one interface. Objects appear whole or not at all.

use std::{collections::BTreeMap, sync::Arc};

use bytes::Bytes;
use futures::TryStreamExt;
use object_store::{ObjectStore, ObjectStoreExt, path::Path};
use reel_events::LogId;

use super::{
    ArchiveError, Segment, SegmentName, Unsealing,
    header::{self, Header, damaged},
    location::{self, Place},
    unseal::StoredBlock,
};
use crate::history::Portion;

/// How much of a segment is fetched to see its header: that of some hundred kinds.
const BEGINNING: u64 = 64 << 10;
/// Folder, within a log's, of segments that were put aside.
const ASIDE: &str = "aside";

/// Sealed segments of any number of logs. Cheap to clone; all clones are the same archive.
#[derive(Debug, Clone)]
pub struct Archive {
    objects: Arc<dyn ObjectStore>,
    prefix: Path,
    location: Arc<str>,
}

/// A segment that is kept here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Stored {
    /// What it is called.
    pub name: SegmentName,
    /// Bytes that it takes.
    pub bytes: u64,
}

/// What was removed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Pruned {
    /// The objects' names.
    pub removed: Vec<String>,
    /// Bytes that they took.
    pub bytes: u64,
}

/// A segment whose header was read.
#[derive(Debug, Clone)]
pub(crate) struct Opened {
    pub(crate) header: Header,
    /// The bytes that were fetched to see it.
    beginning: Bytes,
}

impl Archive {
    /// The archive at `url`: `file:///…`, `s3://BUCKET/PREFIX`, `gs://BUCKET/PREFIX`, `az://CONTAINER/PREFIX`, or a directory's path,
    /// which is made where there is none. Credentials and endpoints of object storage come from the variables that its own tools use
    /// (`AWS_…`, `GOOGLE_…`, `AZURE_…`).
    ///
    /// # Errors
    /// [`ArchiveError::Place`] where that is no place for an archive. Object storage is not asked yet.
    pub fn open(url: &str) -> Result<Archive, ArchiveError> {
        let Place { objects, prefix } = location::open(url)?;
        Ok(Archive::on(objects, prefix, url))
    }

    /// The archive below `prefix` of an object store; messages call it `location`.
    #[must_use]
    pub fn on(objects: Arc<dyn ObjectStore>, prefix: Path, location: &str) -> Archive {
        Archive { objects, prefix, location: location.into() }
    }

    /// Where it is.
    #[must_use]
    pub fn location(&self) -> &str {
        &self.location
    }

    /// Keeps a segment; one with its name is replaced.
    ///
    /// # Errors
    /// [`ArchiveError::Unavailable`].
    pub async fn put(&self, segment: Segment) -> Result<Stored, ArchiveError> {
        let (name, bytes) = (segment.name, segment.bytes.len() as u64);
        let put = self.objects.put(&name.path(&self.prefix), segment.bytes.into()).await;
        put.map_err(|error| self.unavailable(error))?;
        Ok(Stored { name, bytes })
    }

    /// All segments of a log, those that others supersede too, in the order of their names.
    ///
    /// # Errors
    /// [`ArchiveError::Unavailable`].
    pub async fn list(&self, log: LogId) -> Result<Vec<Stored>, ArchiveError> {
        let folder = self.folder(log);
        let listed = self.objects.list_with_delimiter(Some(&folder)).await.map_err(|error| self.unavailable(error))?;
        let stored = listed.objects.into_iter().filter_map(|object| {
            let name = SegmentName::parse(log, object.location.filename()?)?;
            Some(Stored { name, bytes: object.size })
        });
        let mut stored: Vec<_> = stored.collect();
        stored.sort_unstable();
        Ok(stored)
    }

    /// The segments of a log that count, in order, none overlapping another: of those that begin at the same position, the highest
    /// revision.
    ///
    /// # Errors
    /// [`ArchiveError::Unavailable`].
    pub async fn segments(&self, log: LogId) -> Result<Vec<Stored>, ArchiveError> {
        Ok(current(&self.list(log).await?))
    }

    /// Puts a segment aside, out of the way of readers, so that its range is sealed again. It is not removed: an event store that was
    /// restored from an older copy may lack what it holds.
    ///
    /// # Errors
    /// [`ArchiveError::Unavailable`].
    pub async fn put_aside(&self, name: SegmentName) -> Result<(), ArchiveError> {
        let aside = self.aside(name.log).join(name.file());
        match self.objects.rename(&name.path(&self.prefix), &aside).await {
            // Somebody else did it.
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(self.unavailable(error)),
        }
    }

    /// Segments of a log that were put aside: how many, and their bytes.
    ///
    /// # Errors
    /// [`ArchiveError::Unavailable`].
    pub async fn set_aside(&self, log: LogId) -> Result<(usize, u64), ArchiveError> {
        let objects = self.objects_in(&self.aside(log)).await?;
        Ok((objects.len(), objects.values().sum()))
    }

    /// Removes what no reader of the log will want again: superseded segments, and those that were put aside.
    ///
    /// # Errors
    /// [`ArchiveError::Unavailable`]; what was removed before stays so.
    pub async fn prune(&self, log: LogId) -> Result<Pruned, ArchiveError> {
        let all = self.list(log).await?;
        let kept = current(&all);
        let superseded = all.iter().filter(|stored| kept.binary_search(stored).is_err());
        let mut objects: BTreeMap<Path, u64> =
            superseded.map(|stored| (stored.name.path(&self.prefix), stored.bytes)).collect();
        objects.extend(self.objects_in(&self.aside(log)).await?);
        let mut pruned = Pruned::default();
        for (path, bytes) in objects {
            self.objects.delete(&path).await.map_err(|error| self.unavailable(error))?;
            pruned.removed.push(path.to_string());
            pruned.bytes += bytes;
        }
        Ok(pruned)
    }

    /// Reads the header of a segment.
    ///
    /// # Errors
    /// Any but [`ArchiveError::Place`].
    pub(crate) async fn open_segment(&self, stored: Stored) -> Result<Opened, ArchiveError> {
        let Stored { name, bytes } = stored;
        if bytes < header::PREFIX as u64 {
            return Err(damaged(name, &format!("it has {bytes} bytes")));
        }
        let mut beginning = self.range(name, 0..bytes.min(BEGINNING)).await?;
        let length = Header::length(name, &beginning)? as u64;
        if length > bytes {
            return Err(damaged(name, "it ends within its header"));
        }
        if length > beginning.len() as u64 {
            beginning = self.range(name, 0..length).await?;
        }
        let header = Header::decode(name, &beginning)?;
        if header.bytes != bytes {
            return Err(damaged(name, &format!("it has {bytes} bytes and should have {}", header.bytes)));
        }
        Ok(Opened { header, beginning })
    }

    /// Reads what is wanted of a segment: fetches the blocks, and unseals them on a thread for blocking work.
    ///
    /// # Errors
    /// Any but [`ArchiveError::Place`].
    pub(crate) async fn read(&self, opened: Opened, unsealing: Unsealing) -> Result<Vec<Portion>, ArchiveError> {
        let blocks = self.blocks(&opened, &unsealing).await?;
        let work = move || unsealing.read(&opened.header, &blocks);
        match tokio::task::spawn_blocking(work).await {
            Ok(portions) => portions,
            Err(error) => Err(self.unavailable(error)),
        }
    }

    async fn blocks(&self, opened: &Opened, unsealing: &Unsealing) -> Result<Vec<StoredBlock>, ArchiveError> {
        let Opened { header, beginning } = opened;
        let entries: Vec<_> = header.index.iter().filter(|entry| unsealing.needs(header, entry)).cloned().collect();
        let ranges: Vec<_> = entries.iter().map(|entry| entry.offset..entry.offset + u64::from(entry.stored)).collect();
        let parts = if header.bytes <= beginning.len() as u64 {
            ranges.iter().map(|range| beginning.slice(range.start as usize..range.end as usize)).collect()
        } else {
            let path = header.name.path(&self.prefix);
            self.objects.get_ranges(&path, &ranges).await.map_err(|error| self.of_segment(header.name, error))?
        };
        Ok(entries.into_iter().zip(parts).map(|(entry, bytes)| StoredBlock { entry, bytes }).collect())
    }

    async fn range(&self, name: SegmentName, range: std::ops::Range<u64>) -> Result<Bytes, ArchiveError> {
        let bytes = self.objects.get_range(&name.path(&self.prefix), range).await;
        bytes.map_err(|error| self.of_segment(name, error))
    }

    async fn objects_in(&self, folder: &Path) -> Result<BTreeMap<Path, u64>, ArchiveError> {
        let objects = self.objects.list(Some(folder)).map_ok(|object| (object.location, object.size));
        objects.try_collect().await.map_err(|error| self.unavailable(error))
    }

    fn folder(&self, log: LogId) -> Path {
        self.prefix.clone().join(log.to_string())
    }

    fn aside(&self, log: LogId) -> Path {
        self.folder(log).join(ASIDE)
    }

    fn of_segment(&self, name: SegmentName, error: object_store::Error) -> ArchiveError {
        match error {
            object_store::Error::NotFound { .. } => {
                ArchiveError::Unusable { segment: name.to_string(), reason: "it is there no more".to_owned() }
            }
            error => self.unavailable(error),
        }
    }

    pub(super) fn unavailable(&self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> ArchiveError {
        ArchiveError::Unavailable { location: self.location.to_string(), source: source.into() }
    }
}

/// Of segments in the order of their names, those that count.
fn current(all: &[Stored]) -> Vec<Stored> {
    let mut kept: Vec<Stored> = Vec::new();
    for same_first in all.chunk_by(|a, b| a.name.first == b.name.first) {
        let best = same_first.iter().max_by_key(|stored| (stored.name.revision, stored.name.last));
        let best = best.expect("a chunk is never empty");
        if kept.last().is_none_or(|last| last.name.last < best.name.first) {
            kept.push(*best);
        }
    }
    kept
}
