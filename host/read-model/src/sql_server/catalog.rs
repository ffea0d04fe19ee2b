//! Reads and writes entries of the catalog. Making, flipping and dropping generations is in `generations`.

use std::time::Duration;

use reel_events::{LogId, Place};
use reel_projector::Checkpoint;
use reel_projector::ports::{DeadLetter, DeadLetterReason};
use tiberius::Row;
use uuid::Uuid;

use super::connection::{Session, query};
use super::dialect::{catalog as sql, tables};
use super::error::{SqlServerError, SqlServerFault};
use super::values::{get, maybe, maybe_text, text};
use crate::catalog::{
    CHUNK_BYTES, CheckpointEntry, ConditionEntry, GenerationEntry, Manifests, Unreadable, VERSION, Word, check_move,
    check_relayout, kept, no_generation, no_shard, now, place, settings_digest, title, upgrades_from, uuid,
};
use crate::fault::Fault;
use crate::target::{CatalogError, Component, Condition, Decision, Generation, GenerationId, GenerationState};

pub(super) type Outcome<T> = Result<T, SqlServerFault<CatalogError>>;

/// Makes the catalog where there is none, and brings an older one up to date.
pub(super) async fn prepare(session: &mut Session, target: &str) -> Outcome<()> {
    let unusable = |reason: String| Fault::Own(CatalogError::Unusable { target: target.to_owned(), reason });
    query(sql::LOCK).bind(sql::CATALOG_LOCK).execute(session).await?;
    let row = query(sql::OWN_TABLES).one(session).await?;
    let (tables, catalogs): (i64, i64) = (get(&row, 0)?, get(&row, 1)?);
    if catalogs == 0 && tables > 0 {
        return Err(unusable(
            "it has a schema reel with tables that are not a catalog of Reel: use another database".to_owned(),
        ));
    }
    if catalogs == 0 {
        for schema in sql::SCHEMAS {
            if !schema_exists(session, schema).await? {
                session.batch(&tables::create_schema(schema)).await?;
            }
        }
        for statement in sql::CREATE {
            session.batch(statement).await?;
        }
        query(sql::PUT_VERSION).bind(1_i64).execute(session).await?;
    }
    let version: i64 = get(&query(sql::VERSION).one(session).await?, 0)?;
    if version == VERSION {
        return Ok(());
    }
    for upgrade in upgrades_from(version, sql::UPGRADES).map_err(unusable)? {
        for statement in *upgrade {
            session.batch(statement).await?;
        }
    }
    query(sql::SET_VERSION).bind(VERSION).execute(session).await?;
    Ok(())
}

/// Whether a schema has this name.
pub(super) async fn schema_exists(session: &mut Session, schema: &str) -> Outcome<bool> {
    let row = query(sql::SCHEMA).bind(schema).one(session).await?;
    Ok(get::<i32>(&row, 0)? == 1)
}

pub(super) async fn put_component(session: &mut Session, component: &Component) -> Outcome<()> {
    let put = query(sql::PUT_COMPONENT).bind(&component.digest).bind(&component.manifest);
    if put.execute(session).await? == 0 {
        return Ok(());
    }
    for (number, bytes) in component.bytes.chunks(CHUNK_BYTES).enumerate() {
        let put = query(sql::PUT_CHUNK).bind(&component.digest).bind(number as i64).bind(bytes);
        put.execute(session).await?;
    }
    Ok(())
}

pub(super) async fn component(session: &mut Session, digest: &str) -> Outcome<Option<Component>> {
    let Some(manifest) = manifest(session, digest).await? else {
        return Ok(None);
    };
    let rows = query(sql::CHUNKS).bind(digest).rows(session).await?;
    let chunks: Vec<&[u8]> = rows.iter().map(|row| get(row, 0)).collect::<Result<_, _>>()?;
    Ok(Some(Component { digest: digest.to_owned(), manifest, bytes: chunks.concat() }))
}

pub(super) async fn manifest(session: &mut Session, digest: &str) -> Outcome<Option<String>> {
    let row = query(sql::MANIFEST).bind(digest).row(session).await?;
    Ok(row.map(|row| text(&row, 0)).transpose()?)
}

pub(super) async fn generations(session: &mut Session, manifests: &Manifests) -> Outcome<Vec<Generation>> {
    let rows = query(sql::GENERATIONS).rows(session).await?;
    let mut generations = Vec::with_capacity(rows.len());
    for row in &rows {
        generations.push(read_generation(&mut *session, manifests, generation_entry(row)?).await?);
    }
    Ok(generations)
}

/// A generation that is there, dropped or not.
pub(super) async fn generation(session: &mut Session, manifests: &Manifests, id: GenerationId) -> Outcome<Generation> {
    let row = query(sql::GENERATION).bind(id.0).row(session).await?;
    let row = row.ok_or_else(|| Fault::Own(no_generation(id)))?;
    read_generation(session, manifests, generation_entry(&row)?).await
}

/// The same, and nobody else changes its entry until the transaction ends.
pub(super) async fn lock_generation(
    session: &mut Session,
    manifests: &Manifests,
    id: GenerationId,
) -> Outcome<Generation> {
    query(sql::LOCK_GENERATION).bind(id.0).execute(session).await?;
    generation(session, manifests, id).await
}

/// The live generation of a projection.
pub(super) async fn live(
    session: &mut Session,
    manifests: &Manifests,
    projection: &str,
) -> Outcome<Option<Generation>> {
    let row = query(sql::LIVE).bind(projection).row(session).await?;
    match row.map(|row| maybe(&row, 0)).transpose()?.flatten() {
        Some(id) => Ok(Some(generation(session, manifests, GenerationId(id)).await?)),
        None => Ok(None),
    }
}

async fn read_generation(session: &mut Session, manifests: &Manifests, entry: GenerationEntry) -> Outcome<Generation> {
    let manifest = match manifests.get(&entry.digest) {
        Some(manifest) => manifest,
        None => {
            let json = manifest(session, &entry.digest)
                .await?
                .ok_or_else(|| Unreadable(format!("component {} is not in the catalog any more", entry.digest)))?;
            manifests.read(&entry.digest, &json)?
        }
    };
    Ok(entry.read(manifest)?)
}

pub(super) async fn set_state(
    session: &mut Session,
    generation: &Generation,
    from: GenerationState,
    to: GenerationState,
) -> Outcome<()> {
    check_move(generation, from, to).map_err(Fault::Own)?;
    query(sql::SET_STATE).bind(to.word()).bind(generation.id.0).execute(session).await?;
    Ok(())
}

pub(super) async fn set_condition(session: &mut Session, id: GenerationId, condition: &Condition) -> Outcome<()> {
    let entry = ConditionEntry::of(condition);
    let set = query(sql::SET_CONDITION)
        .bind(entry.word)
        .bind(entry.position)
        .bind(entry.stream.unwrap_or_default())
        .bind(entry.code.unwrap_or_default())
        .bind(entry.message.unwrap_or_default())
        .bind(id.0);
    let changed = set.execute(session).await?;
    if changed == 1 { Ok(()) } else { Err(Fault::Own(no_generation(id))) }
}

/// Raises the epoch of all shards, and says where they stand.
pub(super) async fn take(session: &mut Session, generation: &Generation) -> Outcome<Vec<Checkpoint>> {
    let raised = query(sql::RAISE_CHECKPOINTS).bind(generation.id.0).execute(session).await?;
    if raised == 0 {
        return Err(Fault::Own(CatalogError::NotFound(format!("the checkpoint of {}", title(generation)))));
    }
    query(sql::RAISE_EPOCH).bind(generation.id.0).execute(session).await?;
    checkpoints(session, generation.id).await
}

/// Raises the epoch of one shard, and says where it stands.
pub(super) async fn take_shard(session: &mut Session, id: GenerationId, shard: u32) -> Outcome<Checkpoint> {
    let raise = query(sql::RAISE_CHECKPOINT).bind(id.0).bind(i64::from(shard));
    if raise.execute(session).await? == 0 {
        return Err(Fault::Own(no_shard(id, shard)));
    }
    let row = query(sql::CHECKPOINT).bind(id.0).bind(i64::from(shard)).one(session).await?;
    Ok(checkpoint_entry(&row)?.read()?)
}

/// Puts the checkpoints of a new layout in the place of `from`.
pub(super) async fn relayout(
    session: &mut Session,
    generation: &Generation,
    from: &[Checkpoint],
    (layout, shards): (u64, u32),
) -> Outcome<Vec<Checkpoint>> {
    let found = lock_checkpoints(session, generation.id).await?;
    let start = check_relayout(generation, from, &found, layout).map_err(Fault::Own)?;
    query(sql::DELETE_CHECKPOINTS).bind(generation.id.0).execute(session).await?;
    put_checkpoints(session, generation.id, &start, shards).await?;
    query(sql::SET_SHARDS).bind(i64::from(shards)).bind(generation.id.0).execute(session).await?;
    Ok(vec![start; shards as usize])
}

/// Takes or keeps the lease of a generation, unless somebody else has it.
pub(super) async fn lease(
    session: &mut Session,
    generation: &Generation,
    holder: Uuid,
    lasts: Duration,
) -> Outcome<bool> {
    if generation.state == GenerationState::Dropped {
        return Err(Fault::Own(no_generation(generation.id)));
    }
    let lasts = kept(lasts.as_micros() as u64);
    let ask = |statement| query(statement).bind(holder.to_string()).bind(lasts).bind(generation.id.0);
    if ask(sql::KEEP_LEASE).execute(session).await? == 1 {
        return Ok(true);
    }
    Ok(ask(sql::PUT_LEASE).execute(session).await? == 1)
}

pub(super) async fn release(session: &mut Session, id: GenerationId, holder: Uuid) -> Outcome<()> {
    query(sql::RELEASE).bind(id.0).bind(holder.to_string()).execute(session).await?;
    Ok(())
}

pub(super) async fn checkpoints<O>(
    session: &mut Session,
    id: GenerationId,
) -> Result<Vec<Checkpoint>, SqlServerFault<O>> {
    let rows = query(sql::CHECKPOINTS).bind(id.0).rows(session).await?;
    rows.iter().map(|row| Ok(checkpoint_entry(row)?.read()?)).collect()
}

/// The same, and nobody moves them until the transaction ends.
pub(super) async fn lock_checkpoints<O>(
    session: &mut Session,
    id: GenerationId,
) -> Result<Vec<Checkpoint>, SqlServerFault<O>> {
    query(sql::LOCK_CHECKPOINTS).bind(id.0).execute(session).await?;
    checkpoints(session, id).await
}

/// Makes the checkpoints of `shards` shards, all alike.
pub(super) async fn put_checkpoints<O>(
    session: &mut Session,
    id: GenerationId,
    checkpoint: &Checkpoint,
    shards: u32,
) -> Result<(), SqlServerFault<O>> {
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
        put.execute(session).await?;
    }
    Ok(())
}

pub(super) async fn dead_letters(
    session: &mut Session,
    id: GenerationId,
    after: Place,
    limit: u32,
) -> Outcome<Vec<DeadLetter>> {
    let letters = query(sql::DEAD_LETTERS).bind(id.0).bind(kept(after.number())).bind(i64::from(limit));
    letters.rows(session).await?.iter().map(dead_letter).collect()
}

fn dead_letter(row: &Row) -> Outcome<DeadLetter> {
    Ok(DeadLetter {
        position: place(get(row, 0)?)?,
        event: uuid(get(row, 1)?)?,
        stream: text(row, 2)?,
        kind: text(row, 3)?,
        reason: DeadLetterReason::read(get(row, 4)?)?,
        code: text(row, 5)?,
        message: text(row, 6)?,
        original: maybe_text(row, 7)?,
    })
}

pub(super) async fn decisions(session: &mut Session, log: LogId, digest: &str, settings: &str) -> Outcome<Vec<Place>> {
    let decisions = query(sql::DECISIONS).bind(log.to_string()).bind(digest).bind(settings_digest(settings));
    decisions.rows(session).await?.iter().map(|row| Ok(place(get(row, 0)?)?)).collect()
}

pub(super) async fn decide(session: &mut Session, decision: &Decision) -> Outcome<()> {
    let decide = query(sql::DECIDE)
        .bind(decision.log.to_string())
        .bind(&decision.digest)
        .bind(settings_digest(&decision.settings))
        .bind(kept(decision.position.number()))
        .bind(decision.decided_at.micros());
    decide.execute(session).await?;
    Ok(())
}

/// Makes `id` the live generation of `projection`, as of now.
pub(super) async fn promote(session: &mut Session, projection: &str, id: GenerationId) -> Outcome<()> {
    query(sql::PROMOTE).bind(now().micros()).bind(id.0).execute(session).await?;
    query(sql::SET_LIVE).bind(id.0).bind(projection).execute(session).await?;
    Ok(())
}

fn generation_entry(row: &Row) -> Result<GenerationEntry, SqlServerError> {
    Ok(GenerationEntry {
        id: get(row, 0)?,
        projection: text(row, 1)?,
        number: get(row, 2)?,
        digest: text(row, 3)?,
        settings: text(row, 4)?,
        on_failure: text(row, 5)?,
        promotion: text(row, 6)?,
        state: text(row, 7)?,
        condition: ConditionEntry {
            word: text(row, 8)?,
            position: maybe(row, 9)?,
            stream: maybe_text(row, 10)?,
            code: maybe_text(row, 11)?,
            message: maybe_text(row, 12)?,
        },
        log: text(row, 13)?,
        shards: get(row, 14)?,
        epoch: get(row, 15)?,
        created_at: get(row, 16)?,
        promoted_at: maybe(row, 17)?,
    })
}

pub(super) fn checkpoint_entry(row: &Row) -> Result<CheckpointEntry, SqlServerError> {
    Ok(CheckpointEntry {
        log: text(row, 0)?,
        position: get(row, 1)?,
        event: text(row, 2)?,
        layout: get(row, 3)?,
        epoch: get(row, 4)?,
    })
}
