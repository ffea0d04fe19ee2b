//! What only MySQL and MariaDB need, where nothing that changes the schema can be undone: what a crash leaves half-done is mended by
//! whoever comes next; who holds a view delays a flip and nobody else; who holds a row delays nobody who writes another.

use std::sync::Arc;
use std::time::Duration;

use reel_projector::{Row, TableWrites, Value};
use reel_read_model::target::DropScope;
use reel_read_model::{FlipOutcome, Generation, IfBehind, Target};
use sqlx::{AssertSqlSafe, Connection, Executor, MySqlConnection};

use crate::place::Place;
use crate::samples::{all, ask, deploy, int, make_ready, note, notes, text, upsert, write, writes};

/// A generation with one note, ready to be promoted.
async fn ready(target: &dyn Target, words: &str) -> Generation {
    let generation = deploy(target, &notes()).await;
    upsert(target, &generation, 0, vec![note(1, words)]).await;
    make_ready(target, &generation).await;
    generation
}

async fn shown(place: &Place) -> Result<Vec<Option<String>>, String> {
    place.sql("SELECT text FROM notes__notes").await
}

fn words(words: &str) -> Result<Vec<Option<String>>, String> {
    Ok(vec![Some(words.to_owned())])
}

pub(crate) async fn views_that_ran_ahead_of_the_pointer(place: Arc<Place>) {
    let target = place.target.as_ref();
    let (first, second) = (ready(target, "first").await, ready(target, "second").await);
    // As a host leaves them that dies between the views and the commit: of the first flip, and of a later one.
    let (a, b) = (first.id.0, second.id.0);
    place.sql(&format!("RENAME TABLE _v{a}_notes TO notes__notes, _v{a}_order TO notes__order")).await.unwrap();
    place.reopen().await.unwrap();
    shown(&place).await.unwrap_err();
    target.flip(first.id, IfBehind::Refuse).await.unwrap();
    assert_eq!(shown(&place).await, words("first"));
    let ahead =
        format!("RENAME TABLE notes__notes TO _v{a}_notes, _v{b}_notes TO notes__notes, notes__pairs TO _v{a}_pairs");
    place.sql(&ahead).await.unwrap();
    assert_eq!(shown(&place).await, words("second"));
    place.reopen().await.unwrap();
    assert_eq!(shown(&place).await, words("first"));
    place.sql("SELECT * FROM notes__pairs").await.unwrap();

    // A view that somebody dropped comes back, and the next flip is as any other.
    place.sql("DROP VIEW notes__notes").await.unwrap();
    assert_eq!(target.flip(second.id, IfBehind::Refuse).await.unwrap(), FlipOutcome::Flipped);
    assert_eq!(shown(&place).await, words("second"));
}

pub(crate) async fn leftovers_go_and_nothing_else(place: Arc<Place>) {
    let target = place.target.as_ref();
    let kept = ready(target, "kept").await;
    // As a host leaves them that dies while it makes a generation; and a table of somebody else that looks like ours.
    place.sql("CREATE TABLE _g99_notes (id int); CREATE VIEW _v99_notes AS SELECT id FROM _g99_notes").await.unwrap();
    place.sql("CREATE TABLE _g98_notes (id int)").await.unwrap();
    place
        .sql("INSERT INTO reel_leftover VALUES ('_g99_notes', 'table'), ('_v99_notes', 'view'), ('_v99_order', 'view')")
        .await
        .unwrap();
    place.reopen().await.unwrap();
    let names = "SELECT table_name FROM information_schema.tables WHERE table_schema = database() AND table_name LIKE '\\_%9_\\_%'";
    assert_eq!(place.sql(names).await.unwrap(), [Some("_g98_notes".to_owned())]);
    assert_eq!(place.sql("SELECT name FROM reel_leftover").await.unwrap(), []);
    assert_eq!(ask(target, &kept, &all(&kept, 0)).await, [note(1, "kept")]);
    target.drop_generation(kept.id, DropScope::Projection).await.unwrap();
    let ours = "SELECT table_name FROM information_schema.tables WHERE table_schema = database() AND table_name NOT LIKE 'reel\\_%'";
    assert_eq!(place.sql(ours).await.unwrap(), [Some("_g98_notes".to_owned())]);
}

pub(crate) async fn who_holds_a_view_delays_the_flip_alone(place: Arc<Place>) {
    let target = place.target.as_ref();
    let (first, second) = (ready(target, "first").await, ready(target, "second").await);
    target.flip(first.id, IfBehind::Refuse).await.unwrap();
    let mut holder = MySqlConnection::connect(&place.url).await.unwrap();
    holder.execute("START TRANSACTION").await.unwrap();
    holder.execute("SELECT * FROM notes__notes").await.unwrap();
    let flip = {
        let place = Arc::clone(&place);
        tokio::spawn(async move { place.target.flip(second.id, IfBehind::Refuse).await })
    };
    for _ in 0..5 {
        let read = tokio::time::timeout(Duration::from_secs(5), shown(&place)).await;
        assert_eq!(read.expect("readers go on"), words("first"));
        upsert(target, &second, 0, vec![note(2, "more")]).await;
    }
    assert!(!flip.is_finished());
    holder.execute("COMMIT").await.unwrap();
    assert_eq!(flip.await.unwrap().unwrap(), FlipOutcome::Flipped);
    assert_eq!(shown(&place).await.unwrap().len(), 2);
}

/// Of a table whose key has several columns: the server reads it whole, and waits for each row, where one key is given as a list of one.
pub(crate) async fn who_holds_a_row_delays_nobody_who_deletes_another(place: Arc<Place>) {
    let target = place.target.as_ref();
    let generation = deploy(target, &notes()).await;
    let order = |key: &str| -> Row { [text(key), Value::Null, int(1), text("group"), Value::Boolean(true)].into() };
    upsert(target, &generation, 1, vec![order("held"), order("other")]).await;
    let mut holder = MySqlConnection::connect(&place.url).await.unwrap();
    holder.execute("START TRANSACTION").await.unwrap();
    let hold =
        format!("UPDATE _g{}_order SET `select` = 0 WHERE `group` = 'group' AND `key` = 'held'", generation.id.0);
    holder.execute(AssertSqlSafe(hold)).await.unwrap();
    let deletes = vec![[text("group"), text("other")].into()];
    let writes = writes(&generation, 1, TableWrites { deletes, ..TableWrites::default() });
    let model = target.read_model(&generation);
    let deleted = tokio::time::timeout(Duration::from_secs(5), write(model.as_ref(), 2, &writes)).await;
    deleted.expect("the row that is held is another one").unwrap();
    holder.execute("ROLLBACK").await.unwrap();
    assert_eq!(ask(target, &generation, &all(&generation, 1)).await, [order("held")]);
}

pub(crate) async fn an_upgrade_that_was_interrupted_goes_on(place: Arc<Place>) {
    // As whoever upgrades it leaves it that dies behind the last statement, and before the version is written.
    for version in [1, 2, 3] {
        place.sql(&format!("UPDATE reel_catalog SET version = {version}")).await.unwrap();
        place.reopen().await.unwrap();
        assert_eq!(place.sql("SELECT CAST(version AS CHAR) FROM reel_catalog").await.unwrap(), [Some("4".to_owned())]);
    }
}
