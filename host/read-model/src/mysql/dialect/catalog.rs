//! Statements of the catalog, whose tables begin with `reel_`. Text in it compares bytewise, whatever the database's own collation.

/// The statements that every catalog has.
pub(in crate::mysql) const STATEMENTS: crate::catalog::Statements = crate::catalog::collected_statements!();

/// Where the catalog's tables are.
const PLACE: &str = "whose names begin with reel_";

/// How texts are compared: set in by [`create`].
const COLLATION: &str = "COLLATION";

pub(in crate::mysql) const VERSION: &str = "SELECT version FROM reel_catalog";
pub(in crate::mysql) const PUT_VERSION: &str = "INSERT INTO reel_catalog (version) VALUES (?)";
pub(in crate::mysql) const SET_VERSION: &str = "UPDATE reel_catalog SET version = ?";

pub(in crate::mysql) const MANIFEST: &str = "SELECT manifest FROM reel_component WHERE digest = ?";
pub(in crate::mysql) const PUT_COMPONENT: &str = "INSERT INTO reel_component (digest, manifest) VALUES (?, ?)";
pub(in crate::mysql) const CHUNKS: &str = "SELECT bytes FROM reel_component_chunk WHERE digest = ? ORDER BY number";
pub(in crate::mysql) const PUT_CHUNK: &str =
    "INSERT INTO reel_component_chunk (digest, number, bytes) VALUES (?, ?, ?)";

pub(in crate::mysql) const LIVE: &str = "SELECT live FROM reel_projection WHERE name = ?";
pub(in crate::mysql) const PROJECTIONS: &str = "SELECT name, live FROM reel_projection ORDER BY name";
pub(in crate::mysql) const SCHEMA_OWNER: &str = "SELECT name FROM reel_projection WHERE schema_name = ?";
pub(in crate::mysql) const PUT_PROJECTION: &str = "INSERT INTO reel_projection (name, schema_name) VALUES (?, ?)";
pub(in crate::mysql) const SET_LIVE: &str = "UPDATE reel_projection SET live = ? WHERE name = ?";
pub(in crate::mysql) const DELETE_PROJECTION: &str = "DELETE FROM reel_projection WHERE name = ?";

pub(in crate::mysql) const GENERATIONS: &str = "SELECT id, projection, number, digest, settings, on_failure, promotion, state, \
     `condition`, halted_position, halted_stream, halted_code, halted_message, log, shards, epoch, created_at, promoted_at \
     FROM reel_generation WHERE state <> 'dropped' ORDER BY id";
pub(in crate::mysql) const GENERATION: &str = "SELECT id, projection, number, digest, settings, on_failure, promotion, state, \
     `condition`, halted_position, halted_stream, halted_code, halted_message, log, shards, epoch, created_at, promoted_at \
     FROM reel_generation WHERE id = ?";
pub(in crate::mysql) const STATE: &str = "SELECT state FROM reel_generation WHERE id = ?";
pub(in crate::mysql) const STATE_AND_EPOCH: &str = "SELECT state, epoch FROM reel_generation WHERE id = ?";
pub(in crate::mysql) const OTHERS: &str =
    "SELECT count(*) FROM reel_generation WHERE projection = ? AND id <> ? AND state <> 'dropped'";
pub(in crate::mysql) const LAST_NUMBER: &str =
    "SELECT coalesce(max(number), 0) FROM reel_generation WHERE projection = ?";

/// A generation counts as dropped until its tables are there: nobody sees it before.
pub(in crate::mysql) const PUT_GENERATION: &str = "INSERT INTO reel_generation (projection, number, digest, settings, on_failure, \
     promotion, state, `condition`, log, shards, epoch, created_at) VALUES (?, ?, ?, ?, ?, ?, 'dropped', 'running', ?, ?, 1, ?)";
pub(in crate::mysql) const SET_STATE: &str = "UPDATE reel_generation SET state = ? WHERE id = ?";
pub(in crate::mysql) const PROMOTE: &str = "UPDATE reel_generation SET state = 'live', promoted_at = ? WHERE id = ?";
pub(in crate::mysql) const SET_CONDITION: &str = "UPDATE reel_generation SET `condition` = ?, halted_position = ?, halted_stream = ?, \
     halted_code = ?, halted_message = ? WHERE id = ? AND state <> 'dropped'";
pub(in crate::mysql) const RAISE_EPOCH: &str = "UPDATE reel_generation SET epoch = epoch + 1 WHERE id = ?";
pub(in crate::mysql) const SET_SHARDS: &str = "UPDATE reel_generation SET shards = ? WHERE id = ?";

pub(in crate::mysql) const RELEASE: &str = "DELETE FROM reel_lease WHERE generation = ? AND holder = ?";
pub(in crate::mysql) const DELETE_LEASE: &str = "DELETE FROM reel_lease WHERE generation = ?";

pub(in crate::mysql) const HOLDS: &str = "SELECT generation, holder, through, stamp FROM reel_hold";
pub(in crate::mysql) const MOVE_HOLD: &str =
    "UPDATE reel_hold SET through = ?, stamp = stamp + 1 WHERE generation = ? AND holder = ?";
pub(in crate::mysql) const PUT_HOLD: &str =
    "INSERT INTO reel_hold (through, generation, holder, stamp) VALUES (?, ?, ?, 1)";
pub(in crate::mysql) const END_HOLD: &str = "DELETE FROM reel_hold WHERE generation = ? AND holder = ?";
pub(in crate::mysql) const DELETE_HOLD: &str = "DELETE FROM reel_hold WHERE generation = ?";

pub(in crate::mysql) const CHECKPOINT: &str =
    "SELECT log, position, event, layout, epoch FROM reel_checkpoint WHERE generation = ? AND shard = ?";
pub(in crate::mysql) const CHECKPOINTS: &str =
    "SELECT log, position, event, layout, epoch FROM reel_checkpoint WHERE generation = ? ORDER BY shard";
pub(in crate::mysql) const PUT_CHECKPOINT: &str =
    "INSERT INTO reel_checkpoint (generation, shard, log, position, event, layout, epoch) VALUES (?, ?, ?, ?, ?, ?, ?)";
pub(in crate::mysql) const MOVE_CHECKPOINT: &str = "UPDATE reel_checkpoint SET position = ?, event = ? WHERE generation = ? \
     AND shard = ? AND log = ? AND position = ? AND event = ? AND layout = ? AND epoch = ?";
pub(in crate::mysql) const RAISE_CHECKPOINTS: &str =
    "UPDATE reel_checkpoint SET epoch = epoch + 1 WHERE generation = ?";
pub(in crate::mysql) const RAISE_CHECKPOINT: &str =
    "UPDATE reel_checkpoint SET epoch = epoch + 1 WHERE generation = ? AND shard = ?";
pub(in crate::mysql) const DELETE_CHECKPOINTS: &str = "DELETE FROM reel_checkpoint WHERE generation = ?";

pub(in crate::mysql) const DEAD_LETTERS: &str = "SELECT position, event, stream, kind, reason, code, message, original \
     FROM reel_dead_letter WHERE generation = ? AND position > ? ORDER BY position LIMIT ?";
pub(in crate::mysql) const DELETE_DEAD_LETTERS: &str = "DELETE FROM reel_dead_letter WHERE generation = ?";

pub(in crate::mysql) const DECISIONS: &str =
    "SELECT position FROM reel_decision WHERE log = ? AND digest = ? AND settings_digest = ? ORDER BY position";
pub(in crate::mysql) const DECIDE: &str = "INSERT INTO reel_decision (log, digest, settings_digest, position, decided_at) VALUES (?, ?, ?, ?, ?) \
     ON DUPLICATE KEY UPDATE position = VALUES(position)";

pub(in crate::mysql) const VIEW: &str = "SELECT projection, made FROM reel_view WHERE name = ?";
pub(in crate::mysql) const MADE_VIEWS: &str =
    "SELECT name FROM reel_view WHERE projection = ? AND made = 1 ORDER BY name";
pub(in crate::mysql) const CLAIM_VIEW: &str = "INSERT INTO reel_view (name, projection, made) VALUES (?, ?, 0)";
pub(in crate::mysql) const UNMAKE_VIEWS: &str = "UPDATE reel_view SET made = 0 WHERE projection = ?";
pub(in crate::mysql) const SET_VIEW: &str = "UPDATE reel_view SET made = ? WHERE name = ?";
pub(in crate::mysql) const DELETE_VIEWS: &str = "DELETE FROM reel_view WHERE projection = ?";

/// Tables and views that are to go: written before they are made or given up, so that a crash leaves nothing behind.
pub(in crate::mysql) const LEFTOVERS: &str = "SELECT name, kind FROM reel_leftover ORDER BY kind DESC, name";
pub(in crate::mysql) const PUT_LEFTOVER: &str = "INSERT INTO reel_leftover (name, kind) VALUES (?, ?)";
pub(in crate::mysql) const DELETE_LEFTOVER: &str = "DELETE FROM reel_leftover WHERE name = ?";

/// Nobody else flips or drops generations of this projection until the transaction ends.
pub(in crate::mysql) const LOCK_PROJECTION: &str = "SELECT live FROM reel_projection WHERE name = ? FOR UPDATE";

/// Nobody else changes this generation's entry until the transaction ends.
pub(in crate::mysql) const LOCK_GENERATION: &str = "SELECT id FROM reel_generation WHERE id = ? FOR UPDATE";

/// Nobody else moves these checkpoints until the transaction ends.
pub(in crate::mysql) const LOCK_CHECKPOINTS: &str = "SELECT log, position, event, layout, epoch FROM reel_checkpoint \
     WHERE generation = ? ORDER BY shard FOR UPDATE";

/// The same as [`STATE_AND_EPOCH`], and nobody takes the generation over until the transaction ends.
pub(in crate::mysql) const HOLD_STATE_AND_EPOCH: &str =
    "SELECT state, epoch FROM reel_generation WHERE id = ? LOCK IN SHARE MODE";

/// One process at a time makes, flips or drops anything in this database; the lock is its session's. Such locks are the whole
/// server's, hence the database's name in it, at a bounded length.
pub(in crate::mysql) const LOCK_SCHEMA: &str = "SELECT GET_LOCK(concat('reel ', sha1(database())), 20)";

/// Which tables of ours are there.
pub(in crate::mysql) const OWN_TABLES: &str = "SELECT count(*), CAST(coalesce(sum(table_name = 'reel_catalog'), 0) AS SIGNED) \
     FROM information_schema.tables \
     WHERE table_schema = database() AND table_name LIKE 'reel\\_%' AND table_name NOT LIKE '%\\_\\_%'";

/// Whether anything has this name; on some servers names do not count case.
pub(in crate::mysql) const OBJECT: &str =
    "SELECT count(*) FROM information_schema.tables WHERE table_schema = database() AND lower(table_name) = lower(?)";

/// All views.
pub(in crate::mysql) const ALL_VIEWS: &str =
    "SELECT table_name FROM information_schema.tables WHERE table_schema = database() AND table_type = 'VIEW'";

/// Keeps a dead letter; one of the same position is replaced.
pub(in crate::mysql) const PUT_DEAD_LETTER: &str = "INSERT INTO reel_dead_letter \
     (generation, position, event, stream, kind, reason, code, message, original) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) \
     ON DUPLICATE KEY UPDATE event = VALUES(event), stream = VALUES(stream), kind = VALUES(kind), reason = VALUES(reason), \
     code = VALUES(code), message = VALUES(message), original = VALUES(original)";

/// Ends a dead letter.
pub(in crate::mysql) const SETTLE: &str = "DELETE FROM reel_dead_letter WHERE generation = ? AND position = ?";

/// Keeps a generation's lease, or takes one that has run out; it lasts so many microseconds by the server's clock.
pub(in crate::mysql) const KEEP_LEASE: &str = "UPDATE reel_lease SET holder = ?, expires_at = utc_timestamp(6) + INTERVAL ? MICROSECOND \
     WHERE generation = ? AND (holder = ? OR expires_at <= utc_timestamp(6))";

/// Takes a generation's lease that nobody has.
pub(in crate::mysql) const PUT_LEASE: &str = "INSERT INTO reel_lease (generation, holder, expires_at) \
     VALUES (?, ?, utc_timestamp(6) + INTERVAL ? MICROSECOND)";

/// Who builds or runs which generation, since version 2.
const CREATE_LEASE: &str = "CREATE TABLE IF NOT EXISTS reel_lease (
        generation bigint NOT NULL PRIMARY KEY, holder varchar(36) NOT NULL, expires_at datetime(6) NOT NULL
    ) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE COLLATION";

/// The message that a dead letter of a foreign topic was, since version 3.
const ADD_ORIGINAL: &str = "ALTER TABLE reel_dead_letter ADD COLUMN original longtext";

/// Which generations are held for whom, and where, since version 4.
const CREATE_HOLD: &str = "CREATE TABLE IF NOT EXISTS reel_hold (
        generation bigint NOT NULL PRIMARY KEY, holder varchar(36) NOT NULL, through bigint NOT NULL, stamp bigint NOT NULL
    ) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE COLLATION";

/// What makes version 2 of version 1, and so on.
pub(in crate::mysql) const UPGRADES: &[&[&str]] = &[&[CREATE_LEASE], &[ADD_ORIGINAL], &[CREATE_HOLD]];

/// The empty catalog of version 1; the upgrades follow. Nothing of it is undone where making it is interrupted, so that each
/// statement does nothing where it was done before. The first table says that the others are ours.
pub(in crate::mysql) const CREATE: &[&str] = &[
    "CREATE TABLE IF NOT EXISTS reel_catalog (version bigint NOT NULL PRIMARY KEY) ENGINE = InnoDB",
    "CREATE TABLE IF NOT EXISTS reel_component (
        digest varchar(64) NOT NULL PRIMARY KEY, manifest longtext NOT NULL
    ) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE COLLATION",
    "CREATE TABLE IF NOT EXISTS reel_component_chunk (
        digest varchar(64) NOT NULL, number bigint NOT NULL, bytes longblob NOT NULL, PRIMARY KEY (digest, number)
    ) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE COLLATION",
    "CREATE TABLE IF NOT EXISTS reel_projection (
        name varchar(64) NOT NULL PRIMARY KEY, schema_name varchar(64) NOT NULL UNIQUE, live bigint
    ) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE COLLATION",
    "CREATE TABLE IF NOT EXISTS reel_generation (
        id bigint NOT NULL AUTO_INCREMENT PRIMARY KEY, projection varchar(64) NOT NULL, number bigint NOT NULL,
        digest varchar(64) NOT NULL, settings longtext NOT NULL, on_failure varchar(16) NOT NULL, promotion varchar(16) NOT NULL,
        state varchar(16) NOT NULL, `condition` varchar(16) NOT NULL, halted_position bigint, halted_stream longtext,
        halted_code longtext, halted_message longtext, log varchar(36) NOT NULL, shards bigint NOT NULL, epoch bigint NOT NULL,
        created_at bigint NOT NULL, promoted_at bigint, UNIQUE (projection, number)
    ) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE COLLATION",
    "CREATE TABLE IF NOT EXISTS reel_checkpoint (
        generation bigint NOT NULL, shard bigint NOT NULL, log varchar(36) NOT NULL, position bigint NOT NULL,
        event varchar(36) NOT NULL, layout bigint NOT NULL, epoch bigint NOT NULL, PRIMARY KEY (generation, shard)
    ) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE COLLATION",
    "CREATE TABLE IF NOT EXISTS reel_dead_letter (
        generation bigint NOT NULL, position bigint NOT NULL, event varchar(36) NOT NULL, stream longtext NOT NULL,
        kind longtext NOT NULL, reason varchar(16) NOT NULL, code longtext NOT NULL, message longtext NOT NULL,
        PRIMARY KEY (generation, position)
    ) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE COLLATION",
    "CREATE TABLE IF NOT EXISTS reel_decision (
        log varchar(36) NOT NULL, digest varchar(64) NOT NULL, settings_digest varchar(64) NOT NULL, position bigint NOT NULL,
        decided_at bigint NOT NULL, PRIMARY KEY (log, digest, settings_digest, position)
    ) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE COLLATION",
    "CREATE TABLE IF NOT EXISTS reel_view (
        name varchar(64) NOT NULL PRIMARY KEY, projection varchar(64) NOT NULL, made bigint NOT NULL
    ) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE COLLATION",
    "CREATE TABLE IF NOT EXISTS reel_leftover (
        name varchar(64) NOT NULL PRIMARY KEY, kind varchar(16) NOT NULL
    ) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE COLLATION",
];

/// A statement of [`CREATE`] or [`UPGRADES`] for a server with this collation.
pub(in crate::mysql) fn create(statement: &str, collation: &str) -> String {
    statement.replace(COLLATION, collation)
}
