//! Rows of a build's passes over history, until they are loaded: in files of one directory, with a record of them (`record`). A build that was
//! killed goes on from there.
//!
//! Two hosts that are given one directory may both think that the build is theirs, for as long as a lease takes to lapse: files have names of
//! their own, and whichever record stands in the end names files that are whole, or nobody goes on from it.

use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use reel_events::LogPoint;
use reel_projector::bulk::merge;
use reel_projector::ports::DeadLetter;
use reel_projector::{FoldedShard, Manifest, MergedTable, StoredRun};
use uuid::Uuid;

use super::passes::Part;
use super::record::{Kept, Letter, Record, Run, Sealed, Unfit};

/// Bytes that are written at once.
const WRITTEN: usize = 256 << 10;
/// Bytes that are read at once from all files together, and at least from one.
const READ_IN_ALL: usize = 16 << 20;
const READ: usize = 16 << 10;

/// What passes have put aside.
pub(super) struct Spill {
    directory: PathBuf,
    record: Record,
    runs: Vec<Opened>,
    /// Whoever writes is to stop.
    given_up: Arc<AtomicBool>,
}

/// Rows of one table, wherever their file went meanwhile.
struct Opened {
    table: usize,
    rows: usize,
    file: File,
}

/// Which part is put aside, how far it is folded, and what is left to fold then.
pub(super) struct Done {
    pub(super) part: Part,
    pub(super) through: LogPoint,
    pub(super) left: Vec<Part>,
    pub(super) aside: Vec<DeadLetter>,
}

impl Spill {
    /// Nothing yet. `wanted` is the record of the build before its first part.
    pub(super) fn new(directory: &Path, wanted: Record, given_up: Arc<AtomicBool>) -> Spill {
        Spill { directory: directory.to_owned(), record: wanted, runs: Vec::new(), given_up }
    }

    /// What is left to fold, how many parts are done, and up to where; nothing where there are none.
    pub(super) fn stands(&self) -> Option<(&[Part], u32, LogPoint)> {
        let Record { parts, left, through, .. } = &self.record;
        (!parts.is_empty()).then_some((left, parts.len() as u32, *through))
    }

    /// Takes over what an earlier attempt put aside, if it fits; and its dead letters. A part of which a file is not whole is left to fold
    /// again. Blocks.
    pub(super) fn take_over(&mut self) -> Result<Vec<DeadLetter>, Unfit> {
        let Some(mut record) = Record::read(&self.directory)? else { return Ok(Vec::new()) };
        record.check(&self.record)?;
        let mut aside = Vec::new();
        for kept in std::mem::take(&mut record.parts) {
            match self.opened(&kept) {
                Ok((mut letters, mut runs)) => {
                    aside.append(&mut letters);
                    self.runs.append(&mut runs);
                    record.parts.push(kept);
                }
                Err(unfit) => {
                    let Part { part, of } = kept.part;
                    tracing::warn!(why = %unfit, part, of, "a part that was put aside is of no use: it is folded again");
                    record.left.push(kept.part);
                }
            }
        }
        // Whoever is given up has not seen all files: those that he has not are no less whole.
        self.go_on().map_err(|given_up| Unfit(given_up.to_string()))?;
        self.record = record;
        self.clear_unnamed();
        Ok(aside)
    }

    /// The dead letters and the rows of a part, if all of it is whole.
    fn opened(&self, Kept { runs, letters, .. }: &Kept) -> Result<(Vec<DeadLetter>, Vec<Opened>), Unfit> {
        let unread = |error| Unfit(format!("{}: {error}", letters.name));
        let read: Vec<Letter> = serde_json::from_reader(self.whole(letters)?).map_err(unread)?;
        let open = |Run { table, rows, file }: &Run| Ok(Opened { table: *table, rows: *rows, file: self.whole(file)? });
        let opened = runs.iter().map(open).collect::<Result<_, Unfit>>()?;
        Ok((read.into_iter().map(DeadLetter::from).collect(), opened))
    }

    /// A file, at its beginning, if it is as it was sealed.
    fn whole(&self, Sealed { name, bytes, checksum }: &Sealed) -> Result<File, Unfit> {
        let unread = |error: io::Error| Unfit(format!("{name}: {error}"));
        let mut file = File::open(self.directory.join(name)).map_err(unread)?;
        let (mut hasher, mut length, mut piece) = (blake3::Hasher::new(), 0, vec![0; WRITTEN]);
        loop {
            self.go_on().map_err(unread)?;
            match file.read(&mut piece).map_err(unread)? {
                0 => break,
                read => {
                    hasher.update(&piece[..read]);
                    length += read as u64;
                }
            }
        }
        if length != *bytes || hasher.finalize().to_hex().as_str() != checksum {
            return Err(Unfit(format!("{name} is not as it was written")));
        }
        file.rewind().map_err(unread)?;
        Ok(file)
    }

    /// Lets go of what an attempt left that was killed while it wrote.
    fn clear_unnamed(&self) {
        let Ok(files) = fs::read_dir(&self.directory) else { return };
        for file in files.flatten() {
            if !file.file_name().to_str().is_some_and(|name| self.record.names(name)) {
                // What stays is in nobody's way.
                let _ = fs::remove_file(file.path());
            }
        }
    }

    /// Writes the rows of a part, and lets go of them. Blocks.
    ///
    /// # Errors
    /// Where the directory cannot be written to; the message says which, and what can be done.
    pub(super) fn put(&mut self, manifest: &Arc<Manifest>, shards: Vec<FoldedShard>, done: Done) -> Result<(), String> {
        let tables = merge(manifest, shards).into_iter().enumerate();
        let stored = self
            .write(done, |spill| tables.map(|(number, table)| spill.run(number, |into| table.store(into))).collect());
        stored.map_err(|error| {
            format!(
                "rows that do not fit into memory cannot be put aside in {}: {error}; make room there, or give builds more memory (--memory)",
                self.directory.display()
            )
        })
    }

    /// Writes the rows of the last part, which stay at hand. Blocks.
    ///
    /// # Errors
    /// Where the directory cannot be written to: then it is as it was before.
    pub(super) fn keep(&mut self, shards: &[FoldedShard], done: Done) -> io::Result<()> {
        let opened = self.runs.len();
        self.write(done, |spill| {
            let tables = shards.iter().flat_map(|shard| (0..shard.tables()).map(move |table| (shard, table)));
            tables.map(|(shard, table)| spill.run(table, |into| shard.store(table, into))).collect()
        })?;
        // They need not be read again.
        self.runs.truncate(opened);
        Ok(())
    }

    fn write(
        &mut self,
        Done { part, through, left, aside }: Done,
        rows: impl FnOnce(&Spill) -> io::Result<Vec<(Run, Opened)>>,
    ) -> io::Result<()> {
        let before = self.record.clone();
        let written = self.begin().and_then(|()| {
            let (runs, opened): (Vec<_>, Vec<_>) = rows(self)?.into_iter().unzip();
            let letters: Vec<Letter> = aside.iter().map(Letter::from).collect();
            let (letters, _) = self.sealed("letters", |into| Ok(serde_json::to_writer(into, &letters)?))?;
            self.record.parts.push(Kept { part, runs, letters });
            (self.record.through, self.record.left) = (through, left);
            self.record.write(&self.directory)?;
            Ok(opened)
        });
        match written {
            Ok(opened) => self.runs.extend(opened),
            Err(error) => {
                self.record = before;
                // Room there may be what the read database lacks.
                self.clear_unnamed();
                return Err(error);
            }
        }
        Ok(())
    }

    /// Makes the directory, with a record from the beginning: so somebody always knows whose it is.
    fn begin(&self) -> io::Result<()> {
        if !self.record.parts.is_empty() {
            return Ok(());
        }
        fs::create_dir_all(&self.directory)?;
        self.record.write(&self.directory)?;
        self.clear_unnamed();
        Ok(())
    }

    fn run(
        &self,
        table: usize,
        write: impl FnOnce(&mut BufWriter<Sealing<'_>>) -> io::Result<usize>,
    ) -> io::Result<(Run, Opened)> {
        let mut rows = 0;
        let (sealed, file) = self.sealed("rows", |into| {
            rows = write(into)?;
            Ok(())
        })?;
        Ok((Run { table, rows, file: sealed }, Opened { table, rows, file }))
    }

    /// Writes a file to its end; it, at its beginning.
    fn sealed(
        &self,
        ending: &str,
        write: impl FnOnce(&mut BufWriter<Sealing<'_>>) -> io::Result<()>,
    ) -> io::Result<(Sealed, File)> {
        let name = format!("{}.{ending}", Uuid::new_v4().simple());
        let file = File::options().read(true).write(true).create_new(true).open(self.directory.join(&name))?;
        let sealing = Sealing { spill: self, file, hasher: blake3::Hasher::new(), bytes: 0 };
        let mut writer = BufWriter::with_capacity(WRITTEN, sealing);
        write(&mut writer)?;
        let Sealing { mut file, hasher, bytes, .. } = writer.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.sync_all()?;
        file.rewind()?;
        Ok((Sealed { name, bytes, checksum: hasher.finalize().to_hex().to_string() }, file))
    }

    fn go_on(&self) -> io::Result<()> {
        if self.given_up.load(Ordering::Relaxed) { Err(io::Error::other("the build was given up")) } else { Ok(()) }
    }

    /// Gives all that was put aside to the tables that the last pass made.
    pub(super) fn give_back(self, tables: &mut [MergedTable]) {
        let capacity = (READ_IN_ALL / self.runs.len().max(1)).clamp(READ, WRITTEN);
        for Opened { table, rows, file } in self.runs {
            tables[table].add(StoredRun::new(Box::new(BufReader::with_capacity(capacity, file)), rows));
        }
    }
}

/// A file that is being written.
struct Sealing<'a> {
    spill: &'a Spill,
    file: File,
    hasher: blake3::Hasher,
    bytes: u64,
}

impl Write for Sealing<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.spill.go_on()?;
        let written = self.file.write(bytes)?;
        self.hasher.update(&bytes[..written]);
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// Lets go of all that is put aside in a directory; one that is not there is fine.
pub(super) async fn discard(directory: PathBuf) {
    let shown = directory.display().to_string();
    let removed = tokio::task::spawn_blocking(move || fs::remove_dir_all(directory)).await;
    match removed.expect("removing files does not panic, and nobody aborts it") {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            tracing::warn!(directory = shown, %error, "rows that a build put aside stay there");
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests;
