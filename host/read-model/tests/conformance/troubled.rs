//! Servers that cannot write just now: a full disk, one that goes down, one that became a replica. Each as the server itself names it,
//! raised by a trigger on the table: it passes, nothing of the commit is there, and another try does it.

use std::sync::Arc;

use reel_projector::ports::CommitError;
use reel_projector::{ReadModelError, TableWrites};
use reel_read_model::{GenerationId, TargetKind};

use crate::place::Place;
use crate::samples::{all, ask, deploy, note, notes, upsert, write, writes};

/// What the server says: of PostgreSQL a SQLSTATE, of MySQL a number.
fn troubles(kind: TargetKind) -> &'static [&'static str] {
    match kind {
        // The disk is full; the server shuts down; it is a standby.
        TargetKind::Postgres => &["53100", "57P01", "25006"],
        // The disk is full; the table is; the server shuts down; it takes no writes, for two reasons.
        TargetKind::MySql => &["1021", "1114", "1053", "1290", "1836"],
        // SQL Server lets nobody raise its own numbers: that they pass is said by a test beside its errors. A full disk under SQLite is
        // in the tests of the whole.
        TargetKind::SqlServer | TargetKind::Sqlite => &[],
    }
}

async fn begins(place: &Place, id: GenerationId, trouble: &str) {
    let statements = match place.kind() {
        TargetKind::Postgres => format!(
            "CREATE FUNCTION trouble() RETURNS trigger LANGUAGE plpgsql AS \
             $$ BEGIN RAISE EXCEPTION 'trouble' USING ERRCODE = '{trouble}'; END $$; \
             CREATE TRIGGER trouble BEFORE INSERT ON reel_data.\"g{}_notes\" FOR EACH STATEMENT EXECUTE FUNCTION trouble()",
            id.0
        ),
        _ => format!(
            "CREATE TRIGGER trouble BEFORE INSERT ON _g{}_notes FOR EACH ROW \
             SIGNAL SQLSTATE 'HY000' SET MYSQL_ERRNO = {trouble}, MESSAGE_TEXT = 'trouble'",
            id.0
        ),
    };
    place.sql(&statements).await.unwrap();
}

async fn ends(place: &Place) {
    let statement = match place.kind() {
        TargetKind::Postgres => "DROP FUNCTION trouble() CASCADE",
        _ => "DROP TRIGGER trouble",
    };
    place.sql(statement).await.unwrap();
}

pub(crate) async fn what_cannot_be_written_now_is_written_later(place: Arc<Place>) {
    let target = place.target.as_ref();
    let generation = deploy(target, &notes()).await;
    upsert(target, &generation, 0, vec![note(1, "before")]).await;
    let mut rows = vec![note(1, "before")];
    for (position, trouble) in (2..).zip(troubles(place.kind())) {
        let new = note(position, trouble);
        let commit = writes(&generation, 0, TableWrites { upserts: vec![new.clone()], ..TableWrites::default() });
        let model = target.read_model(&generation);
        begins(&place, generation.id, trouble).await;
        let failed = write(model.as_ref(), position as u64, &commit).await;
        ends(&place).await;
        let passes = matches!(failed, Err(CommitError::ReadModel(ReadModelError::Unavailable { .. })));
        assert!(passes, "{trouble}: {failed:?}");
        assert_eq!(ask(target, &generation, &all(&generation, 0)).await, rows, "{trouble}");
        write(model.as_ref(), position as u64, &commit).await.unwrap();
        rows.push(new);
    }
    assert_eq!(ask(target, &generation, &all(&generation, 0)).await, rows);
}
