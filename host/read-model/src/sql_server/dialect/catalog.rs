//! Statements of the catalog, which is in schema `reel`. Text in it compares by its code units, whatever the database's own collation.

/// The statements that every catalog has.
pub(in crate::sql_server) const STATEMENTS: crate::catalog::Statements = crate::catalog::collected_statements!();

/// Where the catalog's tables are.
const PLACE: &str = "in a schema reel";

pub(in crate::sql_server) const VERSION: &str = "SELECT version FROM reel.[catalog]";
pub(in crate::sql_server) const PUT_VERSION: &str = "INSERT INTO reel.[catalog] (version) VALUES (@P1)";
pub(in crate::sql_server) const SET_VERSION: &str = "UPDATE reel.[catalog] SET version = @P1";

pub(in crate::sql_server) const MANIFEST: &str = "SELECT manifest FROM reel.[component] WHERE digest = @P1";
pub(in crate::sql_server) const PUT_COMPONENT: &str = "INSERT INTO reel.[component] (digest, manifest) \
     SELECT @P1, @P2 WHERE NOT EXISTS (SELECT 1 FROM reel.[component] WITH (UPDLOCK, HOLDLOCK) WHERE digest = @P1)";
pub(in crate::sql_server) const CHUNKS: &str =
    "SELECT bytes FROM reel.[component_chunk] WHERE digest = @P1 ORDER BY number";
pub(in crate::sql_server) const PUT_CHUNK: &str =
    "INSERT INTO reel.[component_chunk] (digest, number, bytes) VALUES (@P1, @P2, @P3)";

pub(in crate::sql_server) const LIVE: &str = "SELECT live FROM reel.[projection] WHERE name = @P1";
pub(in crate::sql_server) const SCHEMA_OWNER: &str = "SELECT name FROM reel.[projection] WHERE schema_name = @P1";
pub(in crate::sql_server) const PUT_PROJECTION: &str =
    "INSERT INTO reel.[projection] (name, schema_name) VALUES (@P1, @P2)";
pub(in crate::sql_server) const SET_LIVE: &str = "UPDATE reel.[projection] SET live = @P1 WHERE name = @P2";
pub(in crate::sql_server) const DELETE_PROJECTION: &str = "DELETE FROM reel.[projection] WHERE name = @P1";

pub(in crate::sql_server) const GENERATIONS: &str = "SELECT id, projection, number, digest, settings, on_failure, promotion, state, \
     condition, halted_position, halted_stream, halted_code, halted_message, log, shards, epoch, created_at, promoted_at \
     FROM reel.[generation] WHERE state <> N'dropped' ORDER BY id";
pub(in crate::sql_server) const GENERATION: &str = "SELECT id, projection, number, digest, settings, on_failure, promotion, state, \
     condition, halted_position, halted_stream, halted_code, halted_message, log, shards, epoch, created_at, promoted_at \
     FROM reel.[generation] WHERE id = @P1";
pub(in crate::sql_server) const STATE: &str = "SELECT state FROM reel.[generation] WHERE id = @P1";
pub(in crate::sql_server) const STATE_AND_EPOCH: &str = "SELECT state, epoch FROM reel.[generation] WHERE id = @P1";
pub(in crate::sql_server) const OTHERS: &str =
    "SELECT count_big(*) FROM reel.[generation] WHERE projection = @P1 AND id <> @P2 AND state <> N'dropped'";
pub(in crate::sql_server) const LAST_NUMBER: &str =
    "SELECT coalesce(max(number), 0) FROM reel.[generation] WHERE projection = @P1";
pub(in crate::sql_server) const PUT_GENERATION: &str = "INSERT INTO reel.[generation] (projection, number, digest, settings, on_failure, \
     promotion, state, condition, log, shards, epoch, created_at) OUTPUT inserted.id \
     VALUES (@P1, @P2, @P3, @P4, @P5, @P6, N'build', N'running', @P7, @P8, 1, @P9)";
pub(in crate::sql_server) const SET_STATE: &str = "UPDATE reel.[generation] SET state = @P1 WHERE id = @P2";
pub(in crate::sql_server) const PROMOTE: &str =
    "UPDATE reel.[generation] SET state = N'live', promoted_at = @P1 WHERE id = @P2";
/// A text that there is none of comes as an empty one: the driver has no NULL of a type.
pub(in crate::sql_server) const SET_CONDITION: &str = "UPDATE reel.[generation] SET condition = @P1, halted_position = @P2, \
     halted_stream = NULLIF(@P3, N''), halted_code = NULLIF(@P4, N''), halted_message = NULLIF(@P5, N'') \
     WHERE id = @P6 AND state <> N'dropped'";
pub(in crate::sql_server) const RAISE_EPOCH: &str = "UPDATE reel.[generation] SET epoch = epoch + 1 WHERE id = @P1";
pub(in crate::sql_server) const SET_SHARDS: &str = "UPDATE reel.[generation] SET shards = @P1 WHERE id = @P2";

pub(in crate::sql_server) const RELEASE: &str = "DELETE FROM reel.[lease] WHERE generation = @P1 AND holder = @P2";
pub(in crate::sql_server) const DELETE_LEASE: &str = "DELETE FROM reel.[lease] WHERE generation = @P1";

pub(in crate::sql_server) const HOLDS: &str = "SELECT generation, holder, through, stamp FROM reel.[hold]";
pub(in crate::sql_server) const MOVE_HOLD: &str =
    "UPDATE reel.[hold] SET through = @P1, stamp = stamp + 1 WHERE generation = @P2 AND holder = @P3";
pub(in crate::sql_server) const PUT_HOLD: &str = "INSERT INTO reel.[hold] (through, generation, holder, stamp) \
     SELECT @P1, @P2, @P3, 1 WHERE NOT EXISTS (SELECT 1 FROM reel.[hold] WITH (UPDLOCK, HOLDLOCK) WHERE generation = @P2)";
pub(in crate::sql_server) const END_HOLD: &str = "DELETE FROM reel.[hold] WHERE generation = @P1 AND holder = @P2";
pub(in crate::sql_server) const DELETE_HOLD: &str = "DELETE FROM reel.[hold] WHERE generation = @P1";

pub(in crate::sql_server) const CHECKPOINT: &str = "SELECT log, position, event, layout, epoch FROM reel.[checkpoint] \
     WHERE generation = @P1 AND shard = @P2";
pub(in crate::sql_server) const CHECKPOINTS: &str = "SELECT log, position, event, layout, epoch FROM reel.[checkpoint] \
     WHERE generation = @P1 ORDER BY shard";
pub(in crate::sql_server) const PUT_CHECKPOINT: &str = "INSERT INTO reel.[checkpoint] \
     (generation, shard, log, position, event, layout, epoch) VALUES (@P1, @P2, @P3, @P4, @P5, @P6, @P7)";
pub(in crate::sql_server) const MOVE_CHECKPOINT: &str = "UPDATE reel.[checkpoint] SET position = @P1, event = @P2 \
     WHERE generation = @P3 AND shard = @P4 AND log = @P5 AND position = @P6 AND event = @P7 AND layout = @P8 AND epoch = @P9";
pub(in crate::sql_server) const RAISE_CHECKPOINTS: &str =
    "UPDATE reel.[checkpoint] SET epoch = epoch + 1 WHERE generation = @P1";
pub(in crate::sql_server) const RAISE_CHECKPOINT: &str =
    "UPDATE reel.[checkpoint] SET epoch = epoch + 1 WHERE generation = @P1 AND shard = @P2";
pub(in crate::sql_server) const DELETE_CHECKPOINTS: &str = "DELETE FROM reel.[checkpoint] WHERE generation = @P1";

pub(in crate::sql_server) const DEAD_LETTERS: &str = "SELECT TOP (@P3) position, event, stream, kind, reason, code, message, original \
     FROM reel.[dead_letter] WHERE generation = @P1 AND position > @P2 ORDER BY position";
pub(in crate::sql_server) const DELETE_DEAD_LETTERS: &str = "DELETE FROM reel.[dead_letter] WHERE generation = @P1";

pub(in crate::sql_server) const DECISIONS: &str = "SELECT position FROM reel.[decision] \
     WHERE log = @P1 AND digest = @P2 AND settings_digest = @P3 ORDER BY position";
pub(in crate::sql_server) const DECIDE: &str = "INSERT INTO reel.[decision] (log, digest, settings_digest, position, decided_at) \
     SELECT @P1, @P2, @P3, @P4, @P5 WHERE NOT EXISTS (SELECT 1 FROM reel.[decision] WITH (UPDLOCK, HOLDLOCK) \
     WHERE log = @P1 AND digest = @P2 AND settings_digest = @P3 AND position = @P4)";

pub(in crate::sql_server) const VIEW: &str = "SELECT projection, made FROM reel.[view] WHERE name = @P1";
pub(in crate::sql_server) const MADE_VIEWS: &str =
    "SELECT name FROM reel.[view] WHERE projection = @P1 AND made = 1 ORDER BY name";
pub(in crate::sql_server) const CLAIM_VIEW: &str =
    "INSERT INTO reel.[view] (name, projection, made) VALUES (@P1, @P2, 0)";
pub(in crate::sql_server) const SET_VIEW: &str = "UPDATE reel.[view] SET made = @P1 WHERE name = @P2";
pub(in crate::sql_server) const DELETE_VIEWS: &str = "DELETE FROM reel.[view] WHERE projection = @P1";

/// Nobody else flips or drops generations of this projection until the transaction ends. An update, like the next two: it locks what
/// a lock hint only asks for.
pub(in crate::sql_server) const LOCK_PROJECTION: &str = "UPDATE reel.[projection] SET live = live WHERE name = @P1";

/// Nobody else changes this generation's entry until the transaction ends.
pub(in crate::sql_server) const LOCK_GENERATION: &str = "UPDATE reel.[generation] SET state = state WHERE id = @P1";

/// Nobody else moves these checkpoints until the transaction ends.
pub(in crate::sql_server) const LOCK_CHECKPOINTS: &str =
    "UPDATE reel.[checkpoint] SET epoch = epoch WHERE generation = @P1";

/// One transaction at a time holds the lock with this name; error 51222 where it is not to be had in 10 seconds.
pub(in crate::sql_server) const LOCK: &str = "DECLARE @got int; EXEC @got = sp_getapplock @Resource = @P1, \
     @LockMode = N'Exclusive', @LockOwner = N'Transaction', @LockTimeout = 10000; \
     IF @got < 0 THROW 51222, N'another transaction holds this lock', 1";

/// The same for the shortest time, for what is tried again.
pub(in crate::sql_server) const LOCK_SOON: &str = "DECLARE @got int; EXEC @got = sp_getapplock @Resource = @P1, \
     @LockMode = N'Exclusive', @LockOwner = N'Transaction', @LockTimeout = 500; \
     IF @got < 0 THROW 51222, N'another transaction holds this lock', 1";

/// Many transactions hold the lock with this name, but none of those above.
pub(in crate::sql_server) const SHARE_LOCK: &str = "DECLARE @got int; EXEC @got = sp_getapplock @Resource = @P1, \
     @LockMode = N'Shared', @LockOwner = N'Transaction', @LockTimeout = 10000; \
     IF @got < 0 THROW 51222, N'another transaction holds this lock', 1";

/// Who makes the catalog, or a generation, holds the lock with this name.
pub(in crate::sql_server) const CATALOG_LOCK: &str = "reel catalog";

/// Which tables are in our schema.
pub(in crate::sql_server) const OWN_TABLES: &str = "SELECT count_big(*), \
     count_big(CASE WHEN name = N'catalog' THEN 1 END) FROM sys.tables WHERE schema_id = SCHEMA_ID(N'reel')";

/// Whether a schema has this name.
pub(in crate::sql_server) const SCHEMA: &str = "SELECT CASE WHEN SCHEMA_ID(@P1) IS NULL THEN 0 ELSE 1 END";

/// What is in a schema, by name.
pub(in crate::sql_server) const OBJECTS: &str = "SELECT CAST(name AS nvarchar(128)) FROM sys.objects \
     WHERE schema_id = SCHEMA_ID(@P1) AND type IN ('U', 'V', 'P', 'FN', 'IF', 'TF', 'SN', 'SO') ORDER BY name";

/// Whether anything has this name, written as in SQL.
pub(in crate::sql_server) const OBJECT: &str =
    "SELECT CAST(CASE WHEN OBJECT_ID(@P1) IS NULL THEN 0 ELSE 1 END AS bigint)";

/// Who may do what with a view: role, right, `D`enied, `G`ranted or granted `W`ith the right to pass it on, column (NULL = all).
pub(in crate::sql_server) const GRANTS: &str = "SELECT CAST(who.name AS nvarchar(128)), CAST(what.permission_name AS nvarchar(128)), \
     CAST(what.state AS nvarchar(1)), CAST(c.name AS nvarchar(128)) \
     FROM sys.database_permissions AS what \
     JOIN sys.database_principals AS who ON who.principal_id = what.grantee_principal_id \
     LEFT JOIN sys.columns AS c ON c.object_id = what.major_id AND c.column_id = what.minor_id \
     WHERE what.class = 1 AND what.major_id = OBJECT_ID(@P1)";

/// Keeps a dead letter; one of the same position is replaced. The last argument says whether there is an original.
pub(in crate::sql_server) const PUT_DEAD_LETTER: &str = "UPDATE reel.[dead_letter] SET event = @P3, stream = @P4, kind = @P5, \
     reason = @P6, code = @P7, message = @P8, original = CASE WHEN @P10 = 1 THEN @P9 END \
     WHERE generation = @P1 AND position = @P2; \
     IF @@ROWCOUNT = 0 INSERT INTO reel.[dead_letter] \
     (generation, position, event, stream, kind, reason, code, message, original) \
     VALUES (@P1, @P2, @P3, @P4, @P5, @P6, @P7, @P8, CASE WHEN @P10 = 1 THEN @P9 END)";

/// Ends a dead letter.
pub(in crate::sql_server) const SETTLE: &str =
    "DELETE FROM reel.[dead_letter] WHERE generation = @P1 AND position = @P2";

/// Keeps a generation's lease, or takes one that has run out; it lasts @P2 microseconds by the server's clock.
pub(in crate::sql_server) const KEEP_LEASE: &str = "UPDATE reel.[lease] SET holder = @P1, \
     expires_at = DATEDIFF_BIG(microsecond, '1970-01-01', SYSUTCDATETIME()) + @P2 WHERE generation = @P3 \
     AND (holder = @P1 OR expires_at <= DATEDIFF_BIG(microsecond, '1970-01-01', SYSUTCDATETIME()))";

/// Takes a generation's lease that nobody has.
pub(in crate::sql_server) const PUT_LEASE: &str = "INSERT INTO reel.[lease] (generation, holder, expires_at) \
     SELECT @P3, @P1, DATEDIFF_BIG(microsecond, '1970-01-01', SYSUTCDATETIME()) + @P2 \
     WHERE NOT EXISTS (SELECT 1 FROM reel.[lease] WITH (UPDLOCK, HOLDLOCK) WHERE generation = @P3)";

/// What the server is, and what we may do there. What its edition is called tells Azure SQL (5, 8 and above), whose version says
/// nothing.
pub(in crate::sql_server) const EXAMINE: &str = "SELECT CAST(SERVERPROPERTY('ProductVersion') AS nvarchar(128)), \
     CAST(SERVERPROPERTY('EngineEdition') AS int), CAST(@@VERSION AS nvarchar(400)), \
     CAST(DATABASEPROPERTYEX(DB_NAME(), 'Updateability') AS nvarchar(128)), \
     CAST(d.is_read_committed_snapshot_on AS int), CAST(d.snapshot_isolation_state AS int), CAST(d.compatibility_level AS int), \
     CAST(HAS_PERMS_BY_NAME(DB_NAME(), 'DATABASE', 'CREATE SCHEMA') AS int), \
     CAST(HAS_PERMS_BY_NAME(DB_NAME(), 'DATABASE', 'CREATE TABLE') AS int), \
     CAST(HAS_PERMS_BY_NAME(DB_NAME(), 'DATABASE', 'CREATE VIEW') AS int), \
     CAST(USER_NAME() AS nvarchar(128)), CAST(DB_NAME() AS nvarchar(128)) \
     FROM sys.databases AS d WHERE d.name = DB_NAME()";

/// Who builds or runs which generation, since version 2.
const CREATE_LEASE: &str = "CREATE TABLE reel.[lease] (
        generation bigint NOT NULL PRIMARY KEY, holder nvarchar(36) COLLATE Latin1_General_100_BIN2 NOT NULL,
        expires_at bigint NOT NULL
    )";

/// The message that a dead letter of a foreign topic was, since version 3.
const ADD_ORIGINAL: &str =
    "ALTER TABLE reel.[dead_letter] ADD original nvarchar(max) COLLATE Latin1_General_100_BIN2 NULL";

/// Which generations are held for whom, and where, since version 4.
const CREATE_HOLD: &str = "CREATE TABLE reel.[hold] (
        generation bigint NOT NULL PRIMARY KEY, holder nvarchar(36) COLLATE Latin1_General_100_BIN2 NOT NULL,
        through bigint NOT NULL, stamp bigint NOT NULL
    )";

/// What makes version 2 of version 1, and so on.
pub(in crate::sql_server) const UPGRADES: &[&[&str]] = &[&[CREATE_LEASE], &[ADD_ORIGINAL], &[CREATE_HOLD]];

/// Our schemas, if they are not there: made by somebody who has more rights.
pub(in crate::sql_server) const SCHEMAS: [&str; 2] = ["reel", "reel_data"];

/// The empty catalog of version 1; the upgrades follow.
pub(in crate::sql_server) const CREATE: &[&str] = &[
    "CREATE TABLE reel.[catalog] (version bigint NOT NULL)",
    "CREATE TABLE reel.[component] (
        digest nvarchar(64) COLLATE Latin1_General_100_BIN2 NOT NULL PRIMARY KEY,
        manifest nvarchar(max) COLLATE Latin1_General_100_BIN2 NOT NULL
    )",
    "CREATE TABLE reel.[component_chunk] (
        digest nvarchar(64) COLLATE Latin1_General_100_BIN2 NOT NULL, number bigint NOT NULL, bytes varbinary(max) NOT NULL,
        PRIMARY KEY (digest, number)
    )",
    "CREATE TABLE reel.[projection] (
        name nvarchar(64) COLLATE Latin1_General_100_BIN2 NOT NULL PRIMARY KEY,
        schema_name nvarchar(64) COLLATE Latin1_General_100_BIN2 NOT NULL UNIQUE, live bigint NULL
    )",
    "CREATE TABLE reel.[generation] (
        id bigint IDENTITY(1, 1) NOT NULL PRIMARY KEY, projection nvarchar(64) COLLATE Latin1_General_100_BIN2 NOT NULL,
        number bigint NOT NULL, digest nvarchar(64) COLLATE Latin1_General_100_BIN2 NOT NULL,
        settings nvarchar(max) COLLATE Latin1_General_100_BIN2 NOT NULL,
        on_failure nvarchar(16) COLLATE Latin1_General_100_BIN2 NOT NULL,
        promotion nvarchar(64) COLLATE Latin1_General_100_BIN2 NOT NULL,
        state nvarchar(16) COLLATE Latin1_General_100_BIN2 NOT NULL,
        condition nvarchar(16) COLLATE Latin1_General_100_BIN2 NOT NULL, halted_position bigint NULL,
        halted_stream nvarchar(max) COLLATE Latin1_General_100_BIN2 NULL,
        halted_code nvarchar(max) COLLATE Latin1_General_100_BIN2 NULL,
        halted_message nvarchar(max) COLLATE Latin1_General_100_BIN2 NULL,
        log nvarchar(36) COLLATE Latin1_General_100_BIN2 NOT NULL, shards bigint NOT NULL, epoch bigint NOT NULL,
        created_at bigint NOT NULL, promoted_at bigint NULL, UNIQUE (projection, number)
    )",
    "CREATE TABLE reel.[checkpoint] (
        generation bigint NOT NULL, shard bigint NOT NULL, log nvarchar(36) COLLATE Latin1_General_100_BIN2 NOT NULL,
        position bigint NOT NULL, event nvarchar(36) COLLATE Latin1_General_100_BIN2 NOT NULL, layout bigint NOT NULL,
        epoch bigint NOT NULL, PRIMARY KEY (generation, shard)
    )",
    "CREATE TABLE reel.[dead_letter] (
        generation bigint NOT NULL, position bigint NOT NULL, event nvarchar(36) COLLATE Latin1_General_100_BIN2 NOT NULL,
        stream nvarchar(max) COLLATE Latin1_General_100_BIN2 NOT NULL,
        kind nvarchar(max) COLLATE Latin1_General_100_BIN2 NOT NULL,
        reason nvarchar(16) COLLATE Latin1_General_100_BIN2 NOT NULL,
        code nvarchar(max) COLLATE Latin1_General_100_BIN2 NOT NULL,
        message nvarchar(max) COLLATE Latin1_General_100_BIN2 NOT NULL, PRIMARY KEY (generation, position)
    )",
    "CREATE TABLE reel.[decision] (
        log nvarchar(36) COLLATE Latin1_General_100_BIN2 NOT NULL, digest nvarchar(64) COLLATE Latin1_General_100_BIN2 NOT NULL,
        settings_digest nvarchar(64) COLLATE Latin1_General_100_BIN2 NOT NULL, position bigint NOT NULL,
        decided_at bigint NOT NULL, PRIMARY KEY (log, digest, settings_digest, position)
    )",
    "CREATE TABLE reel.[view] (
        name nvarchar(128) COLLATE Latin1_General_100_BIN2 NOT NULL PRIMARY KEY,
        projection nvarchar(64) COLLATE Latin1_General_100_BIN2 NOT NULL, made bigint NOT NULL
    )",
];
