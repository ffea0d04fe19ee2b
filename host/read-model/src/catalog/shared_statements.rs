//! The catalog's statements that read the same in SQLite and PostgreSQL, but for where its tables are: `reel_component` or
//! `reel.component`. Parameters appear first in the order of their numbers, because SQLite counts them by that.

/// Defines the statements; `$at` is what the names of the tables begin with.
macro_rules! catalog_statements {
    ($at:literal) => {
        pub(crate) const VERSION: &str = concat!("SELECT version FROM ", $at, "catalog");
        pub(crate) const SET_VERSION: &str = concat!("UPDATE ", $at, "catalog SET version = $1");
        pub(crate) const PUT_VERSION: &str = concat!("INSERT INTO ", $at, "catalog (version) VALUES ($1)");

        pub(crate) const MANIFEST: &str = concat!("SELECT manifest FROM ", $at, "component WHERE digest = $1");
        pub(crate) const PUT_COMPONENT: &str = concat!(
            "INSERT INTO ",
            $at,
            "component (digest, manifest) VALUES ($1, $2) ON CONFLICT (digest) DO NOTHING"
        );
        pub(crate) const CHUNKS: &str =
            concat!("SELECT bytes FROM ", $at, "component_chunk WHERE digest = $1 ORDER BY number");
        pub(crate) const PUT_CHUNK: &str =
            concat!("INSERT INTO ", $at, "component_chunk (digest, number, bytes) VALUES ($1, $2, $3)");

        pub(crate) const LIVE: &str = concat!("SELECT live FROM ", $at, "projection WHERE name = $1");
        pub(crate) const SCHEMA_OWNER: &str =
            concat!("SELECT name FROM ", $at, "projection WHERE schema_name = $1");
        pub(crate) const PUT_PROJECTION: &str =
            concat!("INSERT INTO ", $at, "projection (name, schema_name) VALUES ($1, $2)");
        pub(crate) const SET_LIVE: &str = concat!("UPDATE ", $at, "projection SET live = $1 WHERE name = $2");
        pub(crate) const DELETE_PROJECTION: &str = concat!("DELETE FROM ", $at, "projection WHERE name = $1");

        pub(crate) const GENERATIONS: &str = concat!(
            "SELECT id, projection, number, digest, settings, on_failure, promotion, state, condition, halted_position, ",
            "halted_stream, halted_code, halted_message, log, shards, epoch, created_at, promoted_at FROM ",
            $at,
            "generation WHERE state <> 'dropped' ORDER BY id"
        );
        pub(crate) const GENERATION: &str = concat!(
            "SELECT id, projection, number, digest, settings, on_failure, promotion, state, condition, halted_position, ",
            "halted_stream, halted_code, halted_message, log, shards, epoch, created_at, promoted_at FROM ",
            $at,
            "generation WHERE id = $1"
        );
        pub(crate) const STATE: &str = concat!("SELECT state FROM ", $at, "generation WHERE id = $1");
        pub(crate) const STATE_AND_EPOCH: &str =
            concat!("SELECT state, epoch FROM ", $at, "generation WHERE id = $1");
        pub(crate) const OTHERS: &str = concat!(
            "SELECT count(*) FROM ",
            $at,
            "generation WHERE projection = $1 AND id <> $2 AND state <> 'dropped'"
        );
        pub(crate) const LAST_NUMBER: &str =
            concat!("SELECT coalesce(max(number), 0) FROM ", $at, "generation WHERE projection = $1");
        pub(crate) const PUT_GENERATION: &str = concat!(
            "INSERT INTO ",
            $at,
            "generation (projection, number, digest, settings, on_failure, promotion, state, condition, log, shards, epoch, ",
            "created_at) VALUES ($1, $2, $3, $4, $5, $6, 'build', 'running', $7, $8, 1, $9) RETURNING id"
        );
        pub(crate) const SET_STATE: &str = concat!("UPDATE ", $at, "generation SET state = $1 WHERE id = $2");
        pub(crate) const PROMOTE: &str =
            concat!("UPDATE ", $at, "generation SET state = 'live', promoted_at = $1 WHERE id = $2");
        pub(crate) const SET_CONDITION: &str = concat!(
            "UPDATE ",
            $at,
            "generation SET condition = $1, halted_position = $2, halted_stream = $3, halted_code = $4, halted_message = $5 ",
            "WHERE id = $6 AND state <> 'dropped'"
        );
        pub(crate) const RAISE_EPOCH: &str =
            concat!("UPDATE ", $at, "generation SET epoch = epoch + 1 WHERE id = $1");

        pub(crate) const SET_SHARDS: &str = concat!("UPDATE ", $at, "generation SET shards = $1 WHERE id = $2");

        pub(crate) const RELEASE: &str =
            concat!("DELETE FROM ", $at, "lease WHERE generation = $1 AND holder = $2");
        pub(crate) const DELETE_LEASE: &str = concat!("DELETE FROM ", $at, "lease WHERE generation = $1");

        pub(crate) const HOLDS: &str = concat!("SELECT generation, holder, through, stamp FROM ", $at, "hold");
        pub(crate) const MOVE_HOLD: &str = concat!(
            "UPDATE ",
            $at,
            "hold SET through = $1, stamp = stamp + 1 WHERE generation = $2 AND holder = $3"
        );
        pub(crate) const PUT_HOLD: &str = concat!(
            "INSERT INTO ",
            $at,
            "hold (through, generation, holder, stamp) VALUES ($1, $2, $3, 1) ON CONFLICT (generation) DO NOTHING"
        );
        pub(crate) const END_HOLD: &str = concat!("DELETE FROM ", $at, "hold WHERE generation = $1 AND holder = $2");
        pub(crate) const DELETE_HOLD: &str = concat!("DELETE FROM ", $at, "hold WHERE generation = $1");

        pub(crate) const CHECKPOINT: &str = concat!(
            "SELECT log, position, event, layout, epoch FROM ",
            $at,
            "checkpoint WHERE generation = $1 AND shard = $2"
        );
        pub(crate) const CHECKPOINTS: &str = concat!(
            "SELECT log, position, event, layout, epoch FROM ",
            $at,
            "checkpoint WHERE generation = $1 ORDER BY shard"
        );
        pub(crate) const PUT_CHECKPOINT: &str = concat!(
            "INSERT INTO ",
            $at,
            "checkpoint (generation, shard, log, position, event, layout, epoch) VALUES ($1, $2, $3, $4, $5, $6, $7)"
        );
        pub(crate) const MOVE_CHECKPOINT: &str = concat!(
            "UPDATE ",
            $at,
            "checkpoint SET position = $1, event = $2 WHERE generation = $3 AND shard = $4 AND log = $5 AND position = $6 ",
            "AND event = $7 AND layout = $8 AND epoch = $9"
        );
        pub(crate) const RAISE_CHECKPOINTS: &str =
            concat!("UPDATE ", $at, "checkpoint SET epoch = epoch + 1 WHERE generation = $1");
        pub(crate) const RAISE_CHECKPOINT: &str =
            concat!("UPDATE ", $at, "checkpoint SET epoch = epoch + 1 WHERE generation = $1 AND shard = $2");
        pub(crate) const DELETE_CHECKPOINTS: &str =
            concat!("DELETE FROM ", $at, "checkpoint WHERE generation = $1");

        pub(crate) const DEAD_LETTERS: &str = concat!(
            "SELECT position, event, stream, kind, reason, code, message, original FROM ",
            $at,
            "dead_letter WHERE generation = $1 AND position > $2 ORDER BY position LIMIT $3"
        );
        /// Ends a dead letter.
        pub(crate) const SETTLE: &str =
            concat!("DELETE FROM ", $at, "dead_letter WHERE generation = $1 AND position = $2");
        pub(crate) const DELETE_DEAD_LETTERS: &str =
            concat!("DELETE FROM ", $at, "dead_letter WHERE generation = $1");

        pub(crate) const DECISIONS: &str = concat!(
            "SELECT position FROM ",
            $at,
            "decision WHERE log = $1 AND digest = $2 AND settings_digest = $3 ORDER BY position"
        );
        pub(crate) const DECIDE: &str = concat!(
            "INSERT INTO ",
            $at,
            "decision (log, digest, settings_digest, position, decided_at) VALUES ($1, $2, $3, $4, $5) ",
            "ON CONFLICT (log, digest, settings_digest, position) DO NOTHING"
        );

        pub(crate) const VIEW: &str = concat!("SELECT projection, made FROM ", $at, "view WHERE name = $1");
        pub(crate) const MADE_VIEWS: &str =
            concat!("SELECT name FROM ", $at, "view WHERE projection = $1 AND made = 1 ORDER BY name");
        pub(crate) const CLAIM_VIEW: &str =
            concat!("INSERT INTO ", $at, "view (name, projection, made) VALUES ($1, $2, 0)");
        pub(crate) const SET_VIEW: &str = concat!("UPDATE ", $at, "view SET made = $1 WHERE name = $2");
        pub(crate) const DELETE_VIEWS: &str = concat!("DELETE FROM ", $at, "view WHERE projection = $1");
    };
}

pub(crate) use catalog_statements;
