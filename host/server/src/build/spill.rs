//! Rows of passes over history, until the last one is done: files without a name in one directory, which go with the process, however
//! it ends.

use std::fs::File;
use std::io::{BufReader, BufWriter, Seek, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use reel_projector::bulk::merge;
use reel_projector::{FoldedShard, Manifest, MergedTable, StoredRun};

/// Bytes that are written at once.
const WRITTEN: usize = 256 << 10;
/// Bytes that are read at once from all files together, and at least from one.
const READ_IN_ALL: usize = 16 << 20;
const READ: usize = 16 << 10;

/// What passes have put aside.
pub(super) struct Spill {
    directory: PathBuf,
    /// By pass, then by table.
    passes: Vec<Vec<Stored>>,
}

struct Stored {
    file: File,
    rows: usize,
}

impl Spill {
    pub(super) fn new(directory: &Path) -> Spill {
        Spill { directory: directory.to_owned(), passes: Vec::new() }
    }

    /// Writes the rows of a pass. Blocks.
    ///
    /// # Errors
    /// Where the directory cannot be written to; the message says which, and what can be done.
    pub(super) fn put(&mut self, manifest: &Arc<Manifest>, shards: Vec<FoldedShard>) -> Result<(), String> {
        let told = |error: std::io::Error| {
            format!(
                "rows that do not fit into memory cannot be put aside in {}: {error}; make room there, or give builds more memory (--memory)",
                self.directory.display()
            )
        };
        std::fs::create_dir_all(&self.directory).map_err(told)?;
        let stored = merge(manifest, shards).into_iter().map(|table| self.store(table));
        let stored = stored.collect::<std::io::Result<_>>().map_err(told)?;
        self.passes.push(stored);
        Ok(())
    }

    fn store(&self, table: MergedTable) -> std::io::Result<Stored> {
        let mut writer = BufWriter::with_capacity(WRITTEN, tempfile::tempfile_in(&self.directory)?);
        let rows = table.store(&mut writer)?;
        writer.flush()?;
        let mut file = writer.into_inner().map_err(std::io::IntoInnerError::into_error)?;
        file.rewind()?;
        Ok(Stored { file, rows })
    }

    /// Gives all that was put aside to the tables that the last pass made.
    pub(super) fn give_back(self, tables: &mut [MergedTable]) {
        let files = self.passes.len() * tables.len();
        let capacity = (READ_IN_ALL / files.max(1)).clamp(READ, WRITTEN);
        for pass in self.passes {
            for (table, Stored { file, rows }) in tables.iter_mut().zip(pass) {
                table.add(StoredRun::new(Box::new(BufReader::with_capacity(capacity, file)), rows));
            }
        }
    }
}
