//! Statements of the catalog, whose tables begin with `reel_`.

/// The statements that every catalog has.
pub(in crate::sqlite) const STATEMENTS: crate::catalog::Statements = crate::catalog::collected_statements!();

/// Where the catalog's tables are.
const PLACE: &str = "whose names begin with reel_";

/// There is nothing to lock: nobody else writes while a transaction does.
const LOCK_GENERATION: &str = STATE;

/// See [`LOCK_GENERATION`].
const LOCK_PROJECTION: &str = LIVE;

/// See [`LOCK_GENERATION`].
const LOCK_CHECKPOINTS: &str = CHECKPOINTS;

crate::catalog::catalog_statements!("reel_");

/// Which tables of ours are there.
pub(in crate::sqlite) const OWN_TABLES: &str = "SELECT count(*), coalesce(sum(name = 'reel_catalog'), 0) FROM sqlite_schema WHERE type = 'table' AND name GLOB 'reel_[a-z]*' AND NOT name GLOB '*__*'";

/// Whether anything has this name; SQLite's names do not count case.
pub(in crate::sqlite) const OBJECT: &str =
    "SELECT count(*) FROM sqlite_schema WHERE type IN ('table', 'view') AND lower(name) = lower($1)";

/// Keeps a dead letter; one of the same position is replaced.
pub(in crate::sqlite) const PUT_DEAD_LETTER: &str = "INSERT INTO reel_dead_letter \
     (generation, position, event, stream, kind, reason, code, message, original) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) \
     ON CONFLICT (generation, position) DO UPDATE SET event = excluded.event, stream = excluded.stream, kind = excluded.kind, \
     reason = excluded.reason, code = excluded.code, message = excluded.message, original = excluded.original";

/// Takes or keeps a generation's lease, which lasts $2 microseconds by the clock of the machine that runs SQLite.
pub(in crate::sqlite) const LEASE: &str = "INSERT INTO reel_lease (generation, holder, expires_at) \
     SELECT id, $1, CAST(unixepoch('subsec') * 1000000 AS INTEGER) + $2 FROM reel_generation WHERE id = $3 AND state <> 'dropped' \
     ON CONFLICT (generation) DO UPDATE SET holder = excluded.holder, expires_at = excluded.expires_at \
     WHERE holder = excluded.holder OR expires_at <= CAST(unixepoch('subsec') * 1000000 AS INTEGER)";

/// Who builds or runs which generation, since version 2.
const CREATE_LEASE: &str = "CREATE TABLE reel_lease (
    generation INTEGER NOT NULL PRIMARY KEY, holder TEXT NOT NULL, expires_at INTEGER NOT NULL
) STRICT";

/// The message that a dead letter of a foreign topic was, since version 3.
const ADD_ORIGINAL: &str = "ALTER TABLE reel_dead_letter ADD COLUMN original TEXT";

/// Which generations are held for whom, and where, since version 4.
const CREATE_HOLD: &str = "CREATE TABLE reel_hold (
    generation INTEGER NOT NULL PRIMARY KEY, holder TEXT NOT NULL, through INTEGER NOT NULL, stamp INTEGER NOT NULL
) STRICT";

/// What makes version 2 of version 1, and so on.
pub(in crate::sqlite) const UPGRADES: &[&[&str]] = &[&[CREATE_LEASE], &[ADD_ORIGINAL], &[CREATE_HOLD]];

/// The empty catalog of version 1; the upgrades follow. Numbers of generations are never used again, hence AUTOINCREMENT.
pub(in crate::sqlite) const CREATE: &[&str] = &["
CREATE TABLE reel_catalog (version INTEGER NOT NULL) STRICT;
CREATE TABLE reel_component (digest TEXT NOT NULL PRIMARY KEY, manifest TEXT NOT NULL) STRICT;
CREATE TABLE reel_component_chunk (
    digest TEXT NOT NULL, number INTEGER NOT NULL, bytes BLOB NOT NULL, PRIMARY KEY (digest, number)
) STRICT;
CREATE TABLE reel_projection (
    name TEXT NOT NULL PRIMARY KEY, schema_name TEXT NOT NULL UNIQUE, live INTEGER
) STRICT, WITHOUT ROWID;
CREATE TABLE reel_generation (
    id INTEGER PRIMARY KEY AUTOINCREMENT, projection TEXT NOT NULL, number INTEGER NOT NULL, digest TEXT NOT NULL,
    settings TEXT NOT NULL, on_failure TEXT NOT NULL, promotion TEXT NOT NULL, state TEXT NOT NULL, condition TEXT NOT NULL,
    halted_position INTEGER, halted_stream TEXT, halted_code TEXT, halted_message TEXT, log TEXT NOT NULL,
    shards INTEGER NOT NULL, epoch INTEGER NOT NULL, created_at INTEGER NOT NULL, promoted_at INTEGER,
    UNIQUE (projection, number)
) STRICT;
CREATE TABLE reel_checkpoint (
    generation INTEGER NOT NULL, shard INTEGER NOT NULL, log TEXT NOT NULL, position INTEGER NOT NULL, event TEXT NOT NULL,
    layout INTEGER NOT NULL, epoch INTEGER NOT NULL, PRIMARY KEY (generation, shard)
) STRICT, WITHOUT ROWID;
CREATE TABLE reel_dead_letter (
    generation INTEGER NOT NULL, position INTEGER NOT NULL, event TEXT NOT NULL, stream TEXT NOT NULL, kind TEXT NOT NULL,
    reason TEXT NOT NULL, code TEXT NOT NULL, message TEXT NOT NULL, PRIMARY KEY (generation, position)
) STRICT, WITHOUT ROWID;
CREATE TABLE reel_decision (
    log TEXT NOT NULL, digest TEXT NOT NULL, settings_digest TEXT NOT NULL, position INTEGER NOT NULL,
    decided_at INTEGER NOT NULL, PRIMARY KEY (log, digest, settings_digest, position)
) STRICT, WITHOUT ROWID;
CREATE TABLE reel_view (
    name TEXT NOT NULL PRIMARY KEY, projection TEXT NOT NULL, made INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
"];

/// Whether the file is a database at all: its schema can be read.
pub(in crate::sqlite) const EXAMINE: &str = "SELECT count(*) FROM sqlite_schema";
