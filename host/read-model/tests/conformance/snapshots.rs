//! A snapshot: all rows of one moment in the order of the key, whatever the pieces, with the checkpoints of that moment.

use std::sync::Arc;

use reel_projector::{Row, Value};
use reel_read_model::{CatalogError, Snapshot};
use rust_decimal::Decimal;
use serde_json::{Value as Json, json};
use uuid::Uuid;

use crate::place::Place;
use crate::samples::{all, ask, deploy, int, note, notes, point, text, upsert};

/// A key of every type that travels in a form of its own.
fn keyed() -> Json {
    json!({
        "manifest": 1, "name": "keyed", "version": "1.0.0", "kinds": ["*"], "order": "global",
        "tables": [{
            "name": "keyed",
            "columns": [
                {"name": "at", "type": "timestamp"},
                {"name": "price", "type": "decimal", "precision": 18, "scale": 2},
                {"name": "day", "type": "date"},
                {"name": "hour", "type": "time"},
                {"name": "id", "type": "uuid"},
                {"name": "seal", "type": "bytes", "length": 2},
                {"name": "words", "type": "text", "length": 8},
                {"name": "more", "type": "json", "nullable": true}
            ],
            "key": ["at", "price", "day", "hour", "id", "seal", "words"]
        }]
    })
}

/// Rows that differ in one column of the key each, from the first to the last.
fn keys() -> Vec<Row> {
    let row = |numbers: [i64; 6], words: &str| -> Row {
        [
            Value::Timestamp(numbers[0] - 1),
            Value::Decimal(Decimal::new(numbers[1] * 1_000_000_000_000_001 - 1, 2)),
            Value::Date(numbers[2] as i32 - 1),
            Value::Time(numbers[3]),
            Value::Uuid(Uuid::from_u128(numbers[4] as u128)),
            Value::Bytes([0, numbers[5] as u8].into()),
            text(words),
            Value::Null,
        ]
        .into()
    };
    let mut rows = vec![row([0; 6], "a")];
    for place in 0..6 {
        for step in 1..3 {
            let mut numbers = [0; 6];
            numbers[place] = step;
            rows.push(row(numbers, "a"));
        }
    }
    rows.extend(["A", "b", "Ä", "😀"].map(|words| row([0; 6], words)));
    rows
}

/// All rows of a table, in pieces.
async fn read(snapshot: &mut dyn Snapshot, key: &[usize], piece: usize) -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    loop {
        let after = rows.last().map(|row| key.iter().map(|column| row[*column].clone()).collect());
        let some = snapshot.rows(0, after.as_ref(), piece).await.unwrap();
        assert!(some.len() <= piece);
        if some.is_empty() {
            return rows;
        }
        rows.extend(some);
    }
}

pub(crate) async fn all_rows_of_one_moment(place: Arc<Place>) {
    let target = place.target.as_ref();
    let generation = deploy(target, &notes()).await;
    let rows: Vec<Row> = (-3..40).map(|id| note(id, "then")).collect();
    upsert(target, &generation, 0, rows.clone()).await;
    let mut snapshot = target.snapshot(&generation).await.unwrap();
    upsert(target, &generation, 0, vec![note(5, "now"), note(99, "now")]).await;
    assert_eq!(snapshot.checkpoints()[0].point, point(1));
    assert_eq!(read(snapshot.as_mut(), &[0], 7).await, rows);
    assert_eq!(snapshot.rows(1, None, 10).await.unwrap(), [] as [Row; 0]);
    drop(snapshot);
    let mut later = target.snapshot(&generation).await.unwrap();
    assert_eq!(later.checkpoints()[0].point, point(2));
    let last = later.rows(0, Some(&[int(39)].into()), 10).await.unwrap();
    assert_eq!(last, [note(99, "now")]);
    drop(later);
    target.drop_generation(generation.id, reel_read_model::DropScope::Projection).await.unwrap();
    let error = target.snapshot(&generation).await.err().unwrap();
    assert!(matches!(error, CatalogError::NotFound(_)), "{error}");
}

pub(crate) async fn keys_of_every_type_in_pieces(place: Arc<Place>) {
    let target = place.target.as_ref();
    let generation = deploy(target, &keyed()).await;
    upsert(target, &generation, 0, keys()).await;
    let expected = ask(target, &generation, &all(&generation, 0)).await;
    assert_eq!(expected.len(), keys().len());
    for piece in [1, 2, 5, 100] {
        let mut snapshot = target.snapshot(&generation).await.unwrap();
        assert_eq!(read(snapshot.as_mut(), &[0, 1, 2, 3, 4, 5, 6], piece).await, expected, "pieces of {piece}");
    }
    let keys: Vec<Box<[Value]>> = expected.iter().map(|row| row[..7].into()).collect();
    let found = target.read_model(&generation).read(0, &keys).await.unwrap();
    assert_eq!(found, expected.into_iter().map(Some).collect::<Vec<_>>());
}
