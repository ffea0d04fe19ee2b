//! Sessions that somebody ends on the server, in the middle of what we do: it passes, nothing of it is there, and another try does it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use reel_projector::ports::CommitError;
use reel_projector::{ReadModelError, Row, TableWrites};
use reel_read_model::{CatalogError, Generation, Target, TargetKind};
use sqlx::{AssertSqlSafe, Connection, Executor, MySqlConnection, PgConnection};

use crate::loads::{begin, index_all, loaded};
use crate::place::Place;
use crate::samples::{all, ask, deploy, note, notes, upsert, write, writes};
use crate::tds;

/// Somebody else's transaction.
enum Holder {
    Postgres(PgConnection),
    MySql(MySqlConnection),
    SqlServer(Box<tds::Connected>),
}

impl Holder {
    /// Takes the lock on a row that stands in the middle of what is to be written.
    async fn take(place: &Place, generation: &Generation) -> Holder {
        let id = generation.id.0;
        let (begin, table) = match place.kind() {
            TargetKind::Postgres => ("BEGIN", format!("reel_data.\"g{id}_notes\"")),
            TargetKind::SqlServer => ("BEGIN TRANSACTION", format!("reel_data.[g{id}_notes]")),
            TargetKind::MySql | TargetKind::Sqlite => ("START TRANSACTION", format!("_g{id}_notes")),
        };
        let mut holder = match place.kind() {
            TargetKind::Postgres => Holder::Postgres(PgConnection::connect(&place.url).await.unwrap()),
            TargetKind::SqlServer => Holder::SqlServer(Box::new(tds::connect(&place.url).await.unwrap())),
            TargetKind::MySql | TargetKind::Sqlite => {
                Holder::MySql(MySqlConnection::connect(&place.url).await.unwrap())
            }
        };
        holder.say(begin).await;
        holder.say(&format!("UPDATE {table} SET likes = likes WHERE id = 25")).await;
        holder
    }

    async fn say(&mut self, sql: &str) {
        match self {
            Holder::Postgres(connection) => drop(connection.execute(AssertSqlSafe(sql)).await.unwrap()),
            Holder::MySql(connection) => drop(connection.execute(AssertSqlSafe(sql)).await.unwrap()),
            Holder::SqlServer(client) => drop(client.simple_query(sql).await.unwrap().into_results().await.unwrap()),
        }
    }

    async fn let_go(mut self) {
        self.say("ROLLBACK").await;
    }
}

/// Our sessions that wait for a lock in a transaction.
fn waiting(kind: TargetKind) -> &'static str {
    match kind {
        TargetKind::Postgres => {
            "SELECT pid::text FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        }
        TargetKind::SqlServer => {
            "SELECT session_id FROM sys.dm_exec_sessions WHERE program_name = N'reel' AND database_id = DB_ID() \
             AND open_transaction_count > 0 AND status IN (N'running', N'active')"
        }
        TargetKind::MySql | TargetKind::Sqlite => {
            "SELECT CAST(p.id AS CHAR) FROM information_schema.innodb_trx t JOIN information_schema.processlist p \
             ON p.id = t.trx_mysql_thread_id WHERE p.db = database() AND t.trx_state = 'LOCK WAIT'"
        }
    }
}

/// All our sessions.
fn ours(kind: TargetKind) -> &'static str {
    match kind {
        TargetKind::Postgres => {
            "SELECT pid::text FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        }
        TargetKind::SqlServer => {
            "SELECT session_id FROM sys.dm_exec_sessions WHERE program_name = N'reel' AND database_id = DB_ID()"
        }
        TargetKind::MySql | TargetKind::Sqlite => {
            "SELECT CAST(id AS CHAR) FROM information_schema.processlist WHERE db = database() AND id <> connection_id()"
        }
    }
}

/// How long to leave the server alone before it is asked again: InnoDB says the same again to who asks more often than each 0.1 s.
const PAUSE: Duration = Duration::from_millis(200);

/// Ends the sessions that `which` finds, at least one.
async fn kill(place: &Place, which: &str) {
    let deadline = Instant::now() + Duration::from_secs(30);
    let found = loop {
        let found: Vec<String> = place.sql(which).await.unwrap().into_iter().flatten().collect();
        if !found.is_empty() {
            break found;
        }
        assert!(Instant::now() < deadline, "no session of ours is found");
        tokio::time::sleep(PAUSE).await;
    };
    for session in found {
        let kill = match place.kind() {
            TargetKind::Postgres => format!("SELECT pg_terminate_backend({session})::text"),
            _ => format!("KILL {session}"),
        };
        // It may have ended by itself.
        drop(place.sql(&kill).await);
    }
}

fn many(words: &str) -> Vec<Row> {
    (0..100).map(|id| note(id, words)).collect()
}

pub(crate) async fn a_commit_leaves_nothing_and_is_done_again(place: Arc<Place>) {
    let target = place.target.as_ref();
    let generation = deploy(target, &notes()).await;
    let before = many("before");
    upsert(target, &generation, 0, before.clone()).await;
    let holder = Holder::take(&place, &generation).await;
    let model = target.read_model(&generation);
    let after = writes(&generation, 0, TableWrites { upserts: many("after"), ..TableWrites::default() });
    let commit = {
        let (model, after) = (Arc::clone(&model), after.clone());
        tokio::spawn(async move { write(model.as_ref(), 2, &after).await })
    };
    kill(&place, waiting(place.kind())).await;
    let failed = commit.await.unwrap();
    assert!(matches!(failed, Err(CommitError::ReadModel(ReadModelError::Unavailable { .. }))), "{failed:?}");
    holder.let_go().await;
    assert_eq!(model.checkpoint(0).await.unwrap().unwrap().point.position, 1);
    assert_eq!(ask(target, &generation, &all(&generation, 0)).await, before);

    write(model.as_ref(), 2, &after).await.unwrap();
    assert_eq!(ask(target, &generation, &all(&generation, 0)).await, many("after"));
}

/// Loads all rows; when some of them are there, `meanwhile` happens.
async fn load(place: &Place, generation: &Generation, meanwhile: impl Future<Output = ()>) -> Result<(), String> {
    let target: &dyn Target = place.target.as_ref();
    let load = begin(target, generation).await;
    let (first, second) = (many("loaded"), (100..300).map(|id| note(id, "loaded")).collect::<Vec<_>>());
    load.rows(0, &first).await.map_err(passing)?;
    meanwhile.await;
    load.rows(0, &second).await.map_err(passing)?;
    index_all(load.as_ref(), generation).await.map_err(passing)?;
    load.finish(loaded(9, 1, &[])).await.map(drop).map_err(|error| match error {
        CommitError::ReadModel(error) => passing(error),
        other => panic!("{other:?}"),
    })
}

fn passing(error: ReadModelError) -> String {
    assert!(matches!(error, ReadModelError::Unavailable { .. }), "{error:?}");
    error.to_string()
}

pub(crate) async fn a_load_leaves_nothing_and_begins_again(place: Arc<Place>) {
    let target = place.target.as_ref();
    let generation = deploy(target, &notes()).await;
    let first = load(&place, &generation, kill(&place, ours(place.kind()))).await;
    // MySQL keeps each piece that it was given: there the load may go on.
    assert!(first.is_err() || place.kind() == TargetKind::MySql);
    if first.is_err() {
        let again = load(&place, &generation, async {}).await;
        assert_eq!(again, Ok(()));
    }
    let expected: Vec<Row> = (0..300).map(|id| note(id, "loaded")).collect();
    assert_eq!(ask(target, &generation, &all(&generation, 0)).await, expected);
}

/// Sessions that ended while nobody used them are replaced before anybody is told.
pub(crate) async fn idle_sessions_are_replaced(place: Arc<Place>) {
    let target = place.target.as_ref();
    let generation = deploy(target, &notes()).await;
    upsert(target, &generation, 0, many("first")).await;
    kill(&place, ours(place.kind())).await;
    let read: Result<_, CatalogError> = target.generations().await;
    assert_eq!(read.unwrap().len(), 1);
    upsert(target, &generation, 0, many("second")).await;
    assert_eq!(ask(target, &generation, &all(&generation, 0)).await, many("second"));
}
