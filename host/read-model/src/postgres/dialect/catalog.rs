//! Statements of the catalog, which is in schema `reel`.

/// The statements that every catalog has.
pub(in crate::postgres) const STATEMENTS: crate::catalog::Statements = crate::catalog::collected_statements!();

/// Where the catalog's tables are.
const PLACE: &str = "in a schema reel";

crate::catalog::catalog_statements!("reel.");

/// Nobody else flips or drops generations of this projection until the transaction ends.
pub(in crate::postgres) const LOCK_PROJECTION: &str = "SELECT live FROM reel.projection WHERE name = $1 FOR UPDATE";

/// Nobody else changes this generation's entry until the transaction ends.
pub(in crate::postgres) const LOCK_GENERATION: &str = "SELECT id FROM reel.generation WHERE id = $1 FOR UPDATE";

/// Nobody else moves these checkpoints until the transaction ends.
pub(in crate::postgres) const LOCK_CHECKPOINTS: &str = "SELECT log, position, event, layout, epoch FROM reel.checkpoint \
     WHERE generation = $1 ORDER BY shard FOR UPDATE";

/// One process at a time makes the catalog, or a generation.
pub(in crate::postgres) const LOCK_CATALOG: &str = "SELECT pg_advisory_xact_lock(7234029384726102341)";

/// What characters the database knows.
pub(in crate::postgres) const ENCODING: &str = "SELECT current_setting('server_encoding')";

/// What the server is, and what we may do there.
pub(in crate::postgres) const EXAMINE: &str = "SELECT current_setting('server_version') AS version, \
     current_setting('server_version_num')::int4 AS number, current_setting('server_encoding') AS encoding, \
     pg_is_in_recovery() AS standby, has_database_privilege(current_database(), 'CREATE') AS may_create, \
     has_schema_privilege(to_regnamespace('reel')::oid, 'CREATE') AS may_write, \
     current_user::text AS login, current_database()::text AS database";

/// Which tables are in our schema.
pub(in crate::postgres) const OWN_TABLES: &str = "SELECT count(*), count(*) FILTER (WHERE tablename = 'catalog') \
     FROM pg_catalog.pg_tables WHERE schemaname = 'reel'";

/// Whether a schema has this name.
pub(in crate::postgres) const SCHEMA: &str = "SELECT count(*) FROM pg_catalog.pg_namespace WHERE nspname = $1";

/// What else is in a schema, by name.
pub(in crate::postgres) const OBJECTS: &str = "SELECT coalesce(string_agg(relname, ', ' ORDER BY relname), '') \
     FROM pg_catalog.pg_class WHERE relnamespace = (SELECT oid FROM pg_catalog.pg_namespace WHERE nspname = $1) \
     AND relkind IN ('r', 'v', 'm', 'f', 'p', 'S')";

/// Whether anything has this name, written as in SQL.
pub(in crate::postgres) const OBJECT: &str = "SELECT count(to_regclass($1))";

/// Names, types and collations of the columns of a table or view.
pub(in crate::postgres) const SHAPE: &str = "SELECT string_agg(\
     format('%s %s %s %s', quote_ident(attname), atttypid, atttypmod, attcollation), ', ' ORDER BY attnum) \
     FROM pg_catalog.pg_attribute WHERE attrelid = to_regclass($1) AND attnum > 0 AND NOT attisdropped";

/// Who may do what with a view, beside its owner: role (NULL = everybody), privilege, whether to pass it on, column (NULL = all).
pub(in crate::postgres) const GRANTS: &str = "\
     SELECT CASE WHEN a.grantee <> 0 THEN pg_get_userbyid(a.grantee)::text END, a.privilege_type, a.is_grantable, NULL::text \
     FROM pg_catalog.pg_class c, aclexplode(c.relacl) a WHERE c.oid = to_regclass($1) AND a.grantee <> c.relowner \
     UNION ALL \
     SELECT CASE WHEN a.grantee <> 0 THEN pg_get_userbyid(a.grantee)::text END, a.privilege_type, a.is_grantable, t.attname::text \
     FROM pg_catalog.pg_class c, pg_catalog.pg_attribute t, aclexplode(t.attacl) a \
     WHERE c.oid = to_regclass($1) AND t.attrelid = c.oid AND a.grantee <> c.relowner";

/// Keeps dead letters; one of the same position is replaced.
pub(in crate::postgres) const PUT_DEAD_LETTERS: &str = "INSERT INTO reel.dead_letter \
     (generation, position, event, stream, kind, reason, code, message, original) \
     SELECT $1, * FROM unnest($2::int8[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[]) \
     ON CONFLICT (generation, position) DO UPDATE SET event = excluded.event, stream = excluded.stream, kind = excluded.kind, \
     reason = excluded.reason, code = excluded.code, message = excluded.message, original = excluded.original";

/// Takes or keeps a generation's lease, which lasts $2 microseconds by the server's clock.
pub(in crate::postgres) const LEASE: &str = "INSERT INTO reel.lease AS held (generation, holder, expires_at) \
     SELECT id, $1, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint + $2 \
     FROM reel.generation WHERE id = $3 AND state <> 'dropped' \
     ON CONFLICT (generation) DO UPDATE SET holder = excluded.holder, expires_at = excluded.expires_at \
     WHERE held.holder = excluded.holder OR held.expires_at <= (extract(epoch FROM clock_timestamp()) * 1000000)::bigint";

/// Who builds or runs which generation, since version 2.
const CREATE_LEASE: &str = "CREATE TABLE reel.lease (
        generation bigint NOT NULL PRIMARY KEY, holder text NOT NULL, expires_at bigint NOT NULL
    )";

/// The message that a dead letter of a foreign topic was, since version 3.
const ADD_ORIGINAL: &str = "ALTER TABLE reel.dead_letter ADD COLUMN original text";

/// Which generations are held for whom, and where, since version 4.
const CREATE_HOLD: &str = "CREATE TABLE reel.hold (
        generation bigint NOT NULL PRIMARY KEY, holder text NOT NULL, through bigint NOT NULL, stamp bigint NOT NULL
    )";

/// What makes version 2 of version 1, and so on.
pub(in crate::postgres) const UPGRADES: &[&[&str]] = &[&[CREATE_LEASE], &[ADD_ORIGINAL], &[CREATE_HOLD]];

/// The empty catalog of version 1; the upgrades follow. The schemas may be there already, if they are empty: made by somebody who
/// has more rights.
pub(in crate::postgres) const CREATE: &[&str] = &[
    "CREATE SCHEMA IF NOT EXISTS reel",
    "CREATE SCHEMA IF NOT EXISTS reel_data",
    "CREATE TABLE reel.catalog (version bigint NOT NULL)",
    "CREATE TABLE reel.component (digest text NOT NULL PRIMARY KEY, manifest text NOT NULL)",
    "CREATE TABLE reel.component_chunk (
        digest text NOT NULL, number bigint NOT NULL, bytes bytea NOT NULL, PRIMARY KEY (digest, number)
    )",
    "CREATE TABLE reel.projection (name text NOT NULL PRIMARY KEY, schema_name text NOT NULL UNIQUE, live bigint)",
    "CREATE TABLE reel.generation (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, projection text NOT NULL, number bigint NOT NULL,
        digest text NOT NULL, settings text NOT NULL, on_failure text NOT NULL, promotion text NOT NULL, state text NOT NULL,
        condition text NOT NULL, halted_position bigint, halted_stream text, halted_code text, halted_message text,
        log text NOT NULL, shards bigint NOT NULL, epoch bigint NOT NULL, created_at bigint NOT NULL, promoted_at bigint,
        UNIQUE (projection, number)
    )",
    "CREATE TABLE reel.checkpoint (
        generation bigint NOT NULL, shard bigint NOT NULL, log text NOT NULL, position bigint NOT NULL, event text NOT NULL,
        layout bigint NOT NULL, epoch bigint NOT NULL, PRIMARY KEY (generation, shard)
    ) WITH (fillfactor = 50)",
    "CREATE TABLE reel.dead_letter (
        generation bigint NOT NULL, position bigint NOT NULL, event text NOT NULL, stream text NOT NULL, kind text NOT NULL,
        reason text NOT NULL, code text NOT NULL, message text NOT NULL, PRIMARY KEY (generation, position)
    )",
    "CREATE TABLE reel.decision (
        log text NOT NULL, digest text NOT NULL, settings_digest text NOT NULL, position bigint NOT NULL,
        decided_at bigint NOT NULL, PRIMARY KEY (log, digest, settings_digest, position)
    )",
    "CREATE TABLE reel.view (name text NOT NULL PRIMARY KEY, projection text NOT NULL, made bigint NOT NULL)",
];
