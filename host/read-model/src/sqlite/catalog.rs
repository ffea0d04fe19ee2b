//! Reads and writes entries of the catalog. Making, flipping and dropping generations is in `generations`.

use std::time::Duration;

use reel_events::{LogId, Place};
use reel_projector::Checkpoint;
use reel_projector::ports::{DeadLetter, DeadLetterReason};
use rusqlite::{OptionalExtension, Row, Transaction, params};
use uuid::Uuid;

use super::dialect::catalog as sql;
use super::error::SqliteFault;
use crate::catalog::{
    CHUNK_BYTES, CheckpointEntry, ConditionEntry, GenerationEntry, Manifests, Unreadable, VERSION, Word, check_move,
    check_relayout, kept, no_generation, no_shard, now, place, settings_digest, title, upgrades_from, uuid,
};
use crate::fault::Fault;
use crate::target::{CatalogError, Component, Condition, Decision, Generation, GenerationId, GenerationState};

pub(super) type Outcome<T> = Result<T, SqliteFault<CatalogError>>;

/// Makes the catalog where there is none, and brings an older one up to date.
pub(super) fn prepare(transaction: &Transaction<'_>, target: &str) -> Outcome<()> {
    let unusable = |reason: String| Fault::Own(CatalogError::Unusable { target: target.to_owned(), reason });
    let (tables, catalogs): (i64, i64) =
        transaction.query_row(sql::OWN_TABLES, [], |row| Ok((row.get(0)?, row.get(1)?)))?;
    if catalogs == 0 && tables > 0 {
        return Err(unusable(
            "it has tables whose names begin with reel_ that are not a catalog of Reel: use another file".to_owned(),
        ));
    }
    if catalogs == 0 {
        transaction.execute_batch(sql::CREATE)?;
        transaction.execute(sql::PUT_VERSION, [1])?;
    }
    let version: i64 = transaction.query_row(sql::VERSION, [], |row| row.get(0))?;
    for upgrade in upgrades_from(version, sql::UPGRADES).map_err(unusable)? {
        for statement in *upgrade {
            transaction.execute(statement, [])?;
        }
    }
    transaction.execute(sql::SET_VERSION, [VERSION])?;
    Ok(())
}

/// Whether the catalog is there already and of this version, so that nothing needs to be written.
pub(super) fn is_current(transaction: &Transaction<'_>) -> Outcome<bool> {
    let catalogs: i64 = transaction.query_row(sql::OWN_TABLES, [], |row| row.get(1))?;
    Ok(catalogs > 0 && transaction.query_row(sql::VERSION, [], |row| row.get::<_, i64>(0))? == VERSION)
}

pub(super) fn put_component(transaction: &Transaction<'_>, component: &Component) -> Outcome<()> {
    if transaction.execute(sql::PUT_COMPONENT, params![component.digest, component.manifest])? == 0 {
        return Ok(());
    }
    let mut statement = transaction.prepare_cached(sql::PUT_CHUNK)?;
    for (number, bytes) in component.bytes.chunks(CHUNK_BYTES).enumerate() {
        statement.execute(params![component.digest, number as i64, bytes])?;
    }
    Ok(())
}

pub(super) fn component(transaction: &Transaction<'_>, digest: &str) -> Outcome<Option<Component>> {
    let Some(manifest) = manifest(transaction, digest)? else {
        return Ok(None);
    };
    let mut statement = transaction.prepare_cached(sql::CHUNKS)?;
    let mut chunks = statement.query([digest])?;
    let mut bytes = Vec::new();
    while let Some(row) = chunks.next()? {
        bytes.extend_from_slice(row.get_ref(0)?.as_blob().map_err(rusqlite::Error::from)?);
    }
    Ok(Some(Component { digest: digest.to_owned(), manifest, bytes }))
}

pub(super) fn manifest(transaction: &Transaction<'_>, digest: &str) -> Outcome<Option<String>> {
    Ok(transaction.prepare_cached(sql::MANIFEST)?.query_row([digest], |row| row.get(0)).optional()?)
}

pub(super) fn generations(transaction: &Transaction<'_>, manifests: &Manifests) -> Outcome<Vec<Generation>> {
    let mut statement = transaction.prepare_cached(sql::GENERATIONS)?;
    let entries: Vec<GenerationEntry> = statement.query_map([], generation_entry)?.collect::<Result<_, _>>()?;
    entries.into_iter().map(|entry| read_generation(transaction, manifests, entry)).collect()
}

/// A generation that is there, dropped or not.
pub(super) fn generation(
    transaction: &Transaction<'_>,
    manifests: &Manifests,
    id: GenerationId,
) -> Outcome<Generation> {
    let entry = transaction.prepare_cached(sql::GENERATION)?.query_row([id.0], generation_entry).optional()?;
    let entry = entry.ok_or_else(|| Fault::Own(no_generation(id)))?;
    read_generation(transaction, manifests, entry)
}

/// The live generation of a projection.
pub(super) fn live(
    transaction: &Transaction<'_>,
    manifests: &Manifests,
    projection: &str,
) -> Outcome<Option<Generation>> {
    let live: Option<Option<i64>> =
        transaction.prepare_cached(sql::LIVE)?.query_row([projection], |row| row.get(0)).optional()?;
    live.flatten().map(|id| generation(transaction, manifests, GenerationId(id))).transpose()
}

fn read_generation(
    transaction: &Transaction<'_>,
    manifests: &Manifests,
    entry: GenerationEntry,
) -> Outcome<Generation> {
    let manifest = match manifests.get(&entry.digest) {
        Some(manifest) => manifest,
        None => {
            let json = manifest(transaction, &entry.digest)?
                .ok_or_else(|| Unreadable(format!("component {} is not in the catalog any more", entry.digest)))?;
            manifests.read(&entry.digest, &json)?
        }
    };
    Ok(entry.read(manifest)?)
}

pub(super) fn set_state(
    transaction: &Transaction<'_>,
    generation: &Generation,
    from: GenerationState,
    to: GenerationState,
) -> Outcome<()> {
    check_move(generation, from, to).map_err(Fault::Own)?;
    transaction.execute(sql::SET_STATE, params![to.word(), generation.id.0])?;
    Ok(())
}

pub(super) fn set_condition(transaction: &Transaction<'_>, id: GenerationId, condition: &Condition) -> Outcome<()> {
    let entry = ConditionEntry::of(condition);
    let changed = transaction.execute(
        sql::SET_CONDITION,
        params![entry.word, entry.position, entry.stream, entry.code, entry.message, id.0],
    )?;
    if changed == 1 { Ok(()) } else { Err(Fault::Own(no_generation(id))) }
}

/// Raises the epoch of all shards, and says where they stand.
pub(super) fn take(transaction: &Transaction<'_>, generation: &Generation) -> Outcome<Vec<Checkpoint>> {
    if transaction.execute(sql::RAISE_CHECKPOINTS, [generation.id.0])? == 0 {
        return Err(Fault::Own(CatalogError::NotFound(format!("the checkpoint of {}", title(generation)))));
    }
    transaction.execute(sql::RAISE_EPOCH, [generation.id.0])?;
    checkpoints(transaction, generation.id)
}

/// Raises the epoch of one shard, and says where it stands.
pub(super) fn take_shard(transaction: &Transaction<'_>, id: GenerationId, shard: u32) -> Outcome<Checkpoint> {
    if transaction.execute(sql::RAISE_CHECKPOINT, params![id.0, shard])? == 0 {
        return Err(Fault::Own(no_shard(id, shard)));
    }
    let entry = transaction.query_row(sql::CHECKPOINT, params![id.0, shard], checkpoint_entry)?;
    Ok(entry.read()?)
}

/// Puts the checkpoints of a new layout in the place of `from`.
pub(super) fn relayout(
    transaction: &Transaction<'_>,
    generation: &Generation,
    from: &[Checkpoint],
    (layout, shards): (u64, u32),
) -> Outcome<Vec<Checkpoint>> {
    let found = checkpoints(transaction, generation.id)?;
    let start = check_relayout(generation, from, &found, layout).map_err(Fault::Own)?;
    transaction.execute(sql::DELETE_CHECKPOINTS, [generation.id.0])?;
    put_checkpoints(transaction, generation.id, &start, shards)?;
    transaction.execute(sql::SET_SHARDS, params![shards, generation.id.0])?;
    Ok(vec![start; shards as usize])
}

/// Takes or keeps the lease of a generation, unless somebody else has it.
pub(super) fn lease(
    transaction: &Transaction<'_>,
    generation: &Generation,
    holder: Uuid,
    lasts: Duration,
) -> Outcome<bool> {
    if generation.state == GenerationState::Dropped {
        return Err(Fault::Own(no_generation(generation.id)));
    }
    let lasts = kept(lasts.as_micros() as u64);
    let held = transaction.execute(sql::LEASE, params![holder.to_string(), lasts, generation.id.0])?;
    Ok(held == 1)
}

pub(super) fn release(transaction: &Transaction<'_>, id: GenerationId, holder: Uuid) -> Outcome<()> {
    transaction.execute(sql::RELEASE, params![id.0, holder.to_string()])?;
    Ok(())
}

pub(super) fn checkpoints<O>(
    transaction: &Transaction<'_>,
    id: GenerationId,
) -> Result<Vec<Checkpoint>, SqliteFault<O>> {
    let mut statement = transaction.prepare_cached(sql::CHECKPOINTS)?;
    let entries: Vec<CheckpointEntry> = statement.query_map([id.0], checkpoint_entry)?.collect::<Result<_, _>>()?;
    Ok(entries.into_iter().map(CheckpointEntry::read).collect::<Result<_, _>>()?)
}

/// Makes the checkpoints of `shards` shards, all alike.
pub(super) fn put_checkpoints<O>(
    transaction: &Transaction<'_>,
    id: GenerationId,
    checkpoint: &Checkpoint,
    shards: u32,
) -> Result<(), SqliteFault<O>> {
    let entry = CheckpointEntry::of(checkpoint);
    let mut put = transaction.prepare_cached(sql::PUT_CHECKPOINT)?;
    for shard in 0..shards {
        put.execute(params![id.0, shard, entry.log, entry.position, entry.event, entry.layout, entry.epoch])?;
    }
    Ok(())
}

pub(super) fn dead_letters(
    transaction: &Transaction<'_>,
    id: GenerationId,
    after: Place,
    limit: u32,
) -> Outcome<Vec<DeadLetter>> {
    let mut statement = transaction.prepare_cached(sql::DEAD_LETTERS)?;
    let mut rows = statement.query(params![id.0, kept(after.number()), limit])?;
    let mut letters = Vec::new();
    while let Some(row) = rows.next()? {
        letters.push(DeadLetter {
            position: place(row.get(0)?)?,
            event: uuid(&row.get::<_, String>(1)?)?,
            stream: row.get(2)?,
            kind: row.get(3)?,
            reason: DeadLetterReason::read(&row.get::<_, String>(4)?)?,
            code: row.get(5)?,
            message: row.get(6)?,
            original: row.get(7)?,
        });
    }
    Ok(letters)
}

pub(super) fn decisions(
    transaction: &Transaction<'_>,
    log: LogId,
    digest: &str,
    settings: &str,
) -> Outcome<Vec<Place>> {
    let mut statement = transaction.prepare_cached(sql::DECISIONS)?;
    let mut rows = statement.query(params![log.to_string(), digest, settings_digest(settings)])?;
    let mut positions = Vec::new();
    while let Some(row) = rows.next()? {
        positions.push(place(row.get(0)?)?);
    }
    Ok(positions)
}

pub(super) fn decide(transaction: &Transaction<'_>, decision: &Decision) -> Outcome<()> {
    let (log, settings) = (decision.log.to_string(), settings_digest(&decision.settings));
    let decided_at = decision.decided_at.micros();
    transaction
        .execute(sql::DECIDE, params![log, decision.digest, settings, kept(decision.position.number()), decided_at])?;
    Ok(())
}

/// Makes `id` the live generation of `projection`, as of now.
pub(super) fn promote(transaction: &Transaction<'_>, projection: &str, id: GenerationId) -> Outcome<()> {
    transaction.execute(sql::PROMOTE, params![now().micros(), id.0])?;
    transaction.execute(sql::SET_LIVE, params![id.0, projection])?;
    Ok(())
}

fn generation_entry(row: &Row<'_>) -> rusqlite::Result<GenerationEntry> {
    Ok(GenerationEntry {
        id: row.get(0)?,
        projection: row.get(1)?,
        number: row.get(2)?,
        digest: row.get(3)?,
        settings: row.get(4)?,
        on_failure: row.get(5)?,
        promotion: row.get(6)?,
        state: row.get(7)?,
        condition: ConditionEntry {
            word: row.get(8)?,
            position: row.get(9)?,
            stream: row.get(10)?,
            code: row.get(11)?,
            message: row.get(12)?,
        },
        log: row.get(13)?,
        shards: row.get(14)?,
        epoch: row.get(15)?,
        created_at: row.get(16)?,
        promoted_at: row.get(17)?,
    })
}

pub(super) fn checkpoint_entry(row: &Row<'_>) -> rusqlite::Result<CheckpointEntry> {
    Ok(CheckpointEntry {
        log: row.get(0)?,
        position: row.get(1)?,
        event: row.get(2)?,
        layout: row.get(3)?,
        epoch: row.get(4)?,
    })
}
