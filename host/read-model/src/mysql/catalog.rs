//! Reads and writes entries of the catalog. Making, flipping and dropping generations is in `generations`.

use std::time::Duration;

use reel_events::{LogId, Place};
use reel_projector::Checkpoint;
use reel_projector::ports::{DeadLetter, DeadLetterReason};
use sqlx::mysql::{MySqlQueryResult, MySqlRow};
use sqlx::{MySqlConnection, Row, query, query_scalar, raw_sql};
use uuid::Uuid;

use super::dialect::catalog as sql;
use super::error::{MySqlFault, is_duplicate, is_duplicate_column};
use crate::catalog::{
    CHUNK_BYTES, CheckpointEntry, ConditionEntry, GenerationEntry, Manifests, Unreadable, VERSION, Word, check_move,
    check_relayout, kept, no_generation, no_shard, now, place, settings_digest, title, upgrades_from, uuid,
};
use crate::fault::Fault;
use crate::target::{CatalogError, Component, Condition, Decision, Generation, GenerationId, GenerationState};

pub(super) type Outcome<T> = Result<T, MySqlFault<CatalogError>>;

/// Makes the catalog where there is none, and brings an older one up to date. The schema's lock is held: see `Alteration`.
pub(super) async fn prepare(connection: &mut MySqlConnection, target: &str, collation: &str) -> Outcome<()> {
    let unusable = |reason: String| Fault::Own(CatalogError::Unusable { target: target.to_owned(), reason });
    let row = query(sql::OWN_TABLES).fetch_one(&mut *connection).await?;
    let (tables, catalogs): (i64, i64) = (row.try_get(0)?, row.try_get(1)?);
    if catalogs == 0 && tables > 0 {
        return Err(unusable(
            "it has tables named reel_… that are not a catalog of Reel: use another database".to_owned(),
        ));
    }
    let version: Option<i64> = match catalogs {
        0 => None,
        _ => query_scalar(sql::VERSION).fetch_optional(&mut *connection).await?,
    };
    // Without a version, whoever made it was interrupted.
    if version.is_none() {
        for statement in sql::CREATE {
            raw_sql(sql::create(statement, collation)).execute(&mut *connection).await?;
        }
        query(sql::PUT_VERSION).bind(1_i64).execute(&mut *connection).await?;
    }
    let version = version.unwrap_or(1);
    if version == VERSION {
        return Ok(());
    }
    for upgrade in upgrades_from(version, sql::UPGRADES).map_err(unusable)? {
        for statement in *upgrade {
            let done = raw_sql(sql::create(statement, collation)).execute(&mut *connection).await;
            // Where the column is there, whoever upgraded the catalog before was interrupted behind this statement.
            if let Err(error) = done
                && !is_duplicate_column(&error)
            {
                return Err(error.into());
            }
        }
    }
    query(sql::SET_VERSION).bind(VERSION).execute(&mut *connection).await?;
    Ok(())
}

pub(super) async fn put_component(connection: &mut MySqlConnection, component: &Component) -> Outcome<()> {
    let put = query(sql::PUT_COMPONENT).bind(&component.digest).bind(&component.manifest);
    if !is_new(put.execute(&mut *connection).await)? {
        return Ok(());
    }
    for (number, bytes) in component.bytes.chunks(CHUNK_BYTES).enumerate() {
        let put = query(sql::PUT_CHUNK).bind(&component.digest).bind(number as i64).bind(bytes);
        put.execute(&mut *connection).await?;
    }
    Ok(())
}

pub(super) async fn component(connection: &mut MySqlConnection, digest: &str) -> Outcome<Option<Component>> {
    let Some(manifest) = manifest(connection, digest).await? else {
        return Ok(None);
    };
    let chunks: Vec<Vec<u8>> = query_scalar(sql::CHUNKS).bind(digest).fetch_all(&mut *connection).await?;
    Ok(Some(Component { digest: digest.to_owned(), manifest, bytes: chunks.concat() }))
}

pub(super) async fn manifest(connection: &mut MySqlConnection, digest: &str) -> Outcome<Option<String>> {
    Ok(query_scalar(sql::MANIFEST).bind(digest).fetch_optional(&mut *connection).await?)
}

pub(super) async fn generations(connection: &mut MySqlConnection, manifests: &Manifests) -> Outcome<Vec<Generation>> {
    let rows = query(sql::GENERATIONS).fetch_all(&mut *connection).await?;
    let mut generations = Vec::with_capacity(rows.len());
    for row in &rows {
        generations.push(read_generation(&mut *connection, manifests, generation_entry(row)?).await?);
    }
    Ok(generations)
}

/// A generation that is there, dropped or not.
pub(super) async fn generation(
    connection: &mut MySqlConnection,
    manifests: &Manifests,
    id: GenerationId,
) -> Outcome<Generation> {
    let row = query(sql::GENERATION).bind(id.0).fetch_optional(&mut *connection).await?;
    let row = row.ok_or_else(|| Fault::Own(no_generation(id)))?;
    read_generation(connection, manifests, generation_entry(&row)?).await
}

/// The same, and nobody else changes its entry until the transaction ends.
pub(super) async fn lock_generation(
    connection: &mut MySqlConnection,
    manifests: &Manifests,
    id: GenerationId,
) -> Outcome<Generation> {
    query(sql::LOCK_GENERATION).bind(id.0).execute(&mut *connection).await?;
    generation(connection, manifests, id).await
}

/// The live generation of a projection.
pub(super) async fn live(
    connection: &mut MySqlConnection,
    manifests: &Manifests,
    projection: &str,
) -> Outcome<Option<Generation>> {
    let live: Option<Option<i64>> = query_scalar(sql::LIVE).bind(projection).fetch_optional(&mut *connection).await?;
    match live.flatten() {
        Some(id) => Ok(Some(generation(connection, manifests, GenerationId(id)).await?)),
        None => Ok(None),
    }
}

async fn read_generation(
    connection: &mut MySqlConnection,
    manifests: &Manifests,
    entry: GenerationEntry,
) -> Outcome<Generation> {
    let manifest = match manifests.get(&entry.digest) {
        Some(manifest) => manifest,
        None => {
            let json = manifest(connection, &entry.digest)
                .await?
                .ok_or_else(|| Unreadable(format!("component {} is not in the catalog any more", entry.digest)))?;
            manifests.read(&entry.digest, &json)?
        }
    };
    Ok(entry.read(manifest)?)
}

pub(super) async fn set_state(
    connection: &mut MySqlConnection,
    generation: &Generation,
    from: GenerationState,
    to: GenerationState,
) -> Outcome<()> {
    check_move(generation, from, to).map_err(Fault::Own)?;
    query(sql::SET_STATE).bind(to.word()).bind(generation.id.0).execute(&mut *connection).await?;
    Ok(())
}

pub(super) async fn set_condition(
    connection: &mut MySqlConnection,
    id: GenerationId,
    condition: &Condition,
) -> Outcome<()> {
    let entry = ConditionEntry::of(condition);
    let set = query(sql::SET_CONDITION)
        .bind(entry.word)
        .bind(entry.position)
        .bind(entry.stream)
        .bind(entry.code)
        .bind(entry.message)
        .bind(id.0);
    let changed = set.execute(&mut *connection).await?.rows_affected();
    if changed == 1 { Ok(()) } else { Err(Fault::Own(no_generation(id))) }
}

/// Raises the epoch of all shards, and says where they stand.
pub(super) async fn take(connection: &mut MySqlConnection, generation: &Generation) -> Outcome<Vec<Checkpoint>> {
    query(sql::LOCK_CHECKPOINTS).bind(generation.id.0).execute(&mut *connection).await?;
    let raised = query(sql::RAISE_CHECKPOINTS).bind(generation.id.0).execute(&mut *connection).await?;
    if raised.rows_affected() == 0 {
        return Err(Fault::Own(CatalogError::NotFound(format!("the checkpoint of {}", title(generation)))));
    }
    query(sql::RAISE_EPOCH).bind(generation.id.0).execute(&mut *connection).await?;
    checkpoints(connection, generation.id).await
}

/// Raises the epoch of one shard, and says where it stands.
pub(super) async fn take_shard(connection: &mut MySqlConnection, id: GenerationId, shard: u32) -> Outcome<Checkpoint> {
    let raise = query(sql::RAISE_CHECKPOINT).bind(id.0).bind(i64::from(shard));
    if raise.execute(&mut *connection).await?.rows_affected() == 0 {
        return Err(Fault::Own(no_shard(id, shard)));
    }
    let row = query(sql::CHECKPOINT).bind(id.0).bind(i64::from(shard)).fetch_one(&mut *connection).await?;
    Ok(checkpoint_entry(&row)?.read()?)
}

/// Puts the checkpoints of a new layout in the place of `from`.
pub(super) async fn relayout(
    connection: &mut MySqlConnection,
    generation: &Generation,
    from: &[Checkpoint],
    (layout, shards): (u64, u32),
) -> Outcome<Vec<Checkpoint>> {
    let found = lock_checkpoints(connection, generation.id).await?;
    let start = check_relayout(generation, from, &found, layout).map_err(Fault::Own)?;
    query(sql::DELETE_CHECKPOINTS).bind(generation.id.0).execute(&mut *connection).await?;
    put_checkpoints(connection, generation.id, &start, shards).await?;
    query(sql::SET_SHARDS).bind(i64::from(shards)).bind(generation.id.0).execute(&mut *connection).await?;
    Ok(vec![start; shards as usize])
}

/// Takes or keeps the lease of a generation, unless somebody else has it.
pub(super) async fn lease(
    connection: &mut MySqlConnection,
    generation: &Generation,
    holder: Uuid,
    lasts: Duration,
) -> Outcome<bool> {
    if generation.state == GenerationState::Dropped {
        return Err(Fault::Own(no_generation(generation.id)));
    }
    let (holder, lasts) = (holder.to_string(), kept(lasts.as_micros() as u64));
    let keep = query(sql::KEEP_LEASE).bind(&holder).bind(lasts).bind(generation.id.0).bind(&holder);
    if keep.execute(&mut *connection).await?.rows_affected() == 1 {
        return Ok(true);
    }
    let put = query(sql::PUT_LEASE).bind(generation.id.0).bind(&holder).bind(lasts);
    is_new(put.execute(&mut *connection).await)
}

/// Whether an insert put its row, or found one with its key. `INSERT IGNORE` would say so too, but it cuts values to fit.
fn is_new(inserted: Result<MySqlQueryResult, sqlx::Error>) -> Outcome<bool> {
    match inserted {
        Ok(_) => Ok(true),
        Err(error) if is_duplicate(&error) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

pub(super) async fn release(connection: &mut MySqlConnection, id: GenerationId, holder: Uuid) -> Outcome<()> {
    query(sql::RELEASE).bind(id.0).bind(holder.to_string()).execute(&mut *connection).await?;
    Ok(())
}

pub(super) async fn checkpoints<O>(
    connection: &mut MySqlConnection,
    id: GenerationId,
) -> Result<Vec<Checkpoint>, MySqlFault<O>> {
    let rows = query(sql::CHECKPOINTS).bind(id.0).fetch_all(&mut *connection).await?;
    read_checkpoints(&rows)
}

/// The same, and nobody moves them until the transaction ends.
pub(super) async fn lock_checkpoints<O>(
    connection: &mut MySqlConnection,
    id: GenerationId,
) -> Result<Vec<Checkpoint>, MySqlFault<O>> {
    let rows = query(sql::LOCK_CHECKPOINTS).bind(id.0).fetch_all(&mut *connection).await?;
    read_checkpoints(&rows)
}

fn read_checkpoints<O>(rows: &[MySqlRow]) -> Result<Vec<Checkpoint>, MySqlFault<O>> {
    rows.iter().map(|row| Ok(checkpoint_entry(row)?.read()?)).collect()
}

/// Makes the checkpoints of `shards` shards, all alike.
pub(super) async fn put_checkpoints<O>(
    connection: &mut MySqlConnection,
    id: GenerationId,
    checkpoint: &Checkpoint,
    shards: u32,
) -> Result<(), MySqlFault<O>> {
    let entry = CheckpointEntry::of(checkpoint);
    for shard in 0..shards {
        let put = query(sql::PUT_CHECKPOINT)
            .bind(id.0)
            .bind(i64::from(shard))
            .bind(&entry.log)
            .bind(entry.position)
            .bind(&entry.event)
            .bind(entry.layout)
            .bind(entry.epoch);
        put.execute(&mut *connection).await?;
    }
    Ok(())
}

pub(super) async fn dead_letters(
    connection: &mut MySqlConnection,
    id: GenerationId,
    after: Place,
    limit: u32,
) -> Outcome<Vec<DeadLetter>> {
    let letters = query(sql::DEAD_LETTERS).bind(id.0).bind(kept(after.number())).bind(i64::from(limit));
    letters.fetch_all(&mut *connection).await?.iter().map(dead_letter).collect()
}

fn dead_letter(row: &MySqlRow) -> Outcome<DeadLetter> {
    Ok(DeadLetter {
        position: place(row.try_get(0)?)?,
        event: uuid(row.try_get(1)?)?,
        stream: row.try_get(2)?,
        kind: row.try_get(3)?,
        reason: DeadLetterReason::read(row.try_get(4)?)?,
        code: row.try_get(5)?,
        message: row.try_get(6)?,
        original: row.try_get(7)?,
    })
}

pub(super) async fn decisions(
    connection: &mut MySqlConnection,
    log: LogId,
    digest: &str,
    settings: &str,
) -> Outcome<Vec<Place>> {
    let decisions = query_scalar(sql::DECISIONS).bind(log.to_string()).bind(digest).bind(settings_digest(settings));
    let positions: Vec<i64> = decisions.fetch_all(&mut *connection).await?;
    Ok(positions.into_iter().map(place).collect::<Result<_, _>>()?)
}

pub(super) async fn decide(connection: &mut MySqlConnection, decision: &Decision) -> Outcome<()> {
    let decide = query(sql::DECIDE)
        .bind(decision.log.to_string())
        .bind(&decision.digest)
        .bind(settings_digest(&decision.settings))
        .bind(kept(decision.position.number()))
        .bind(decision.decided_at.micros());
    decide.execute(&mut *connection).await?;
    Ok(())
}

/// Makes `id` the live generation of `projection`, as of now.
pub(super) async fn promote(connection: &mut MySqlConnection, projection: &str, id: GenerationId) -> Outcome<()> {
    query(sql::PROMOTE).bind(now().micros()).bind(id.0).execute(&mut *connection).await?;
    query(sql::SET_LIVE).bind(id.0).bind(projection).execute(&mut *connection).await?;
    Ok(())
}

fn generation_entry(row: &MySqlRow) -> Result<GenerationEntry, sqlx::Error> {
    Ok(GenerationEntry {
        id: row.try_get(0)?,
        projection: row.try_get(1)?,
        number: row.try_get(2)?,
        digest: row.try_get(3)?,
        settings: row.try_get(4)?,
        on_failure: row.try_get(5)?,
        promotion: row.try_get(6)?,
        state: row.try_get(7)?,
        condition: ConditionEntry {
            word: row.try_get(8)?,
            position: row.try_get(9)?,
            stream: row.try_get(10)?,
            code: row.try_get(11)?,
            message: row.try_get(12)?,
        },
        log: row.try_get(13)?,
        shards: row.try_get(14)?,
        epoch: row.try_get(15)?,
        created_at: row.try_get(16)?,
        promoted_at: row.try_get(17)?,
    })
}

pub(super) fn checkpoint_entry(row: &MySqlRow) -> Result<CheckpointEntry, sqlx::Error> {
    Ok(CheckpointEntry {
        log: row.try_get(0)?,
        position: row.try_get(1)?,
        event: row.try_get(2)?,
        layout: row.try_get(3)?,
        epoch: row.try_get(4)?,
    })
}
