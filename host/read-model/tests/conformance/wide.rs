//! Tables with as many columns as a manifest may have, and rows longer than a page of the database.

use std::sync::Arc;

use reel_projector::{Row, Value};
use serde_json::{Value as Json, json};

use crate::loads::fill;
use crate::place::Place;
use crate::samples::{all, ask, deploy, int, text, upsert};

/// The most columns of a manifest's table.
const COLUMNS: usize = 1_000;

fn table(columns: &[Json]) -> Json {
    json!({
        "manifest": 1, "name": "wide", "version": "1.0.0", "kinds": ["*"], "order": "global",
        "tables": [{"name": "wide", "columns": columns, "key": ["id"]}]
    })
}

fn with_id(others: impl Iterator<Item = Json>) -> Vec<Json> {
    std::iter::once(json!({"name": "id", "type": "int64"})).chain(others).collect()
}

/// As arguments, where they are few, a statement of these takes all that SQL Server (2,100) lets it have.
pub(crate) async fn as_many_columns_as_may_be(place: Arc<Place>) {
    let target = place.target.as_ref();
    let others = (1..COLUMNS).map(|number| json!({"name": format!("c{number}"), "type": "int16", "nullable": true}));
    let generation = deploy(target, &table(&with_id(others))).await;
    let value =
        |row: usize, column: usize| if (row + column).is_multiple_of(3) { Value::Null } else { int(column as i64) };
    let row =
        |row: usize| -> Row { std::iter::once(int(row as i64)).chain((1..COLUMNS).map(|c| value(row, c))).collect() };
    let rows: Vec<Row> = (0..70).map(row).collect();
    upsert(target, &generation, 0, rows[..1].to_vec()).await;
    upsert(target, &generation, 0, rows.clone()).await;
    assert!(ask(target, &generation, &all(&generation, 0)).await == rows);
    let key = Box::from([int(69)]);
    assert!(target.read_model(&generation).read(0, &[key]).await.unwrap() == [rows.last().cloned()]);
    fill(target, &generation, &rows[1..]).await;
    assert!(ask(target, &generation, &all(&generation, 0)).await == rows[1..]);
}

/// 8,060 bytes on SQL Server, 8 KiB or less elsewhere.
pub(crate) async fn rows_longer_than_a_page(place: Arc<Place>) {
    let target = place.target.as_ref();
    let others = (0..60).map(|number| {
        let length = if number < 10 { json!({"length": 1_000}) } else { json!({}) };
        let mut column = json!({"name": format!("c{number}"), "type": "text"});
        column.as_object_mut().unwrap().extend(length.as_object().unwrap().clone());
        column
    });
    let generation = deploy(target, &table(&with_id(others))).await;
    let long = |row: i64| text(&"ä😀z".repeat(100 + row as usize));
    let rows: Vec<Row> =
        (0..40).map(|id| std::iter::once(int(id)).chain((0..60).map(|_| long(id))).collect()).collect();
    upsert(target, &generation, 0, rows[..2].to_vec()).await;
    upsert(target, &generation, 0, rows.clone()).await;
    assert!(ask(target, &generation, &all(&generation, 0)).await == rows);
    fill(target, &generation, &rows[1..]).await;
    assert!(ask(target, &generation, &all(&generation, 0)).await == rows[1..]);
}
