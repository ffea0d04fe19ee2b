//! Digests of all tables of a generation, and where its shards stood at that moment.

use reel_projector::{Manifest, ReadModelError, Row, Table};
use reel_read_model::Snapshot;
use serde::Serialize;

use super::digest::TableDigest;
use super::ordered::{PAGE, key_of};
use super::{ShardAt, Which, shards};
use crate::error::HostError;
use crate::host::Host;

/// What a generation held at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Fingerprint {
    /// `posts@2`
    pub generation: String,
    /// The read database.
    pub target: String,
    /// The log that it was built from.
    pub log: String,
    /// Where its shards stood.
    pub shards: Vec<ShardAt>,
    /// Its tables, as the manifest has them.
    pub tables: Vec<TableFingerprint>,
}

/// The rows of one table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TableFingerprint {
    /// The table.
    pub table: String,
    /// How many rows.
    pub rows: u64,
    /// See docs/fingerprint.md: equal for equal rows, whatever the database.
    pub digest: String,
}

impl Host {
    /// The digest of each table of a generation, of one moment.
    ///
    /// # Errors
    /// Where there is no such generation, it is still being built, or the database does not answer.
    pub async fn fingerprint(&self, which: &Which) -> Result<Fingerprint, HostError> {
        let subject = self.subject(which).await?;
        let mut snapshot = subject.snapshot().await?;
        let tables = fingerprints(snapshot.as_mut(), &subject.generation.manifest).await.map_err(HostError::reading)?;
        Ok(Fingerprint {
            generation: subject.title(),
            target: subject.target.name().to_owned(),
            log: subject.generation.log.to_string(),
            shards: shards(snapshot.checkpoints()),
            tables,
        })
    }
}

impl TableFingerprint {
    /// That of rows, in whatever order they come.
    #[must_use]
    pub fn of<'r>(table: &Table, rows: impl IntoIterator<Item = &'r Row>) -> TableFingerprint {
        let mut digest = TableDigest::new(table);
        rows.into_iter().for_each(|row| digest.add(row));
        TableFingerprint::told(table, &digest)
    }

    fn told(table: &Table, digest: &TableDigest) -> TableFingerprint {
        TableFingerprint { table: table.name.clone(), rows: digest.rows(), digest: digest.hex() }
    }
}

/// Those of all tables, at the snapshot's moment.
///
/// # Errors
/// Where the database does not answer.
pub async fn fingerprints(
    snapshot: &mut dyn Snapshot,
    manifest: &Manifest,
) -> Result<Vec<TableFingerprint>, ReadModelError> {
    let mut tables = Vec::with_capacity(manifest.tables.len());
    for (number, table) in manifest.tables.iter().enumerate() {
        tables.push(fingerprint(snapshot, number as u16, table).await?);
    }
    Ok(tables)
}

async fn fingerprint(
    snapshot: &mut dyn Snapshot,
    number: u16,
    table: &Table,
) -> Result<TableFingerprint, ReadModelError> {
    let mut digest = TableDigest::new(table);
    let mut after = None;
    loop {
        let page = snapshot.rows(number, after.as_ref(), PAGE).await?;
        page.iter().for_each(|row| digest.add(row));
        match page.last() {
            Some(last) if page.len() == PAGE => after = Some(key_of(table, last)),
            _ => break,
        }
    }
    Ok(TableFingerprint::told(table, &digest))
}
